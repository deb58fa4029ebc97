"""Rules of passwords, their hashes, and names of users."""

import random
import time
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounts import passwords, usernames
from core.accounts.password_patterns import KEY_LINES, MONTHS
from core.errors import OptionError, WeakPasswordError

pytestmark = pytest.mark.usefixtures("real_hashes")

SEQUENCE_REASON, REPETITION_REASON, KEYBOARD_REASON, DATE_REASON = (
    "It consists mostly of consecutive letters or digits, such as",
    "repeats the same",
    "It consists mostly of neighbouring keys",
    "date or a year",
)
COMMON_REASON, NAME_REASON, WORD_REASON = (
    "It consists mostly of a very common password",
    "name of the user or of this product",
    "word or a name",
)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("0123456789", SEQUENCE_REASON),
        ("9876543210", SEQUENCE_REASON),
        ("abcdefghijkl", SEQUENCE_REASON),
        ("aaaaaaaaaaaa", REPETITION_REASON),
        ("xyzxyzxyzxyz", REPETITION_REASON),
        ("qwertyuiop[]", KEYBOARD_REASON),
        ("azertyuiop", KEYBOARD_REASON),
        ("qsdfghjklm", KEYBOARD_REASON),
        ("12/03/1985", DATE_REASON),
        ("1985-03-12!", DATE_REASON),
        ("motdepasse1", WORD_REASON),
        ("password123", COMMON_REASON),
        ("P@ssw0rd!!", COMMON_REASON),
        ("Liechtenstein", WORD_REASON),
        ("vigievigie", REPETITION_REASON),
        ("vigie2026!", NAME_REASON),
        ("0011223344556677", SEQUENCE_REASON),
        ("7890123456", SEQUENCE_REASON),
        ("14071989!!", DATE_REASON),
        ("juillet1989", DATE_REASON),
        ("le 14 juillet 1989", DATE_REASON),
        ("14:07:1989", DATE_REASON),
        ("born on July 14, 1989", DATE_REASON),
        ("14071989-03121985", DATE_REASON),
        ("1989年07月14日", DATE_REASON),
        ("aqzsedrftg", KEYBOARD_REASON),
        ("azeqsdwxcv", KEYBOARD_REASON),
        ("&é\"'(-è_çà", KEYBOARD_REASON),
        ("Paris75Paris75", REPETITION_REASON),
        ("v1g13-2026!", NAME_REASON),
        ("Vigie-2026-vigie", NAME_REASON),
        ("tnopud.ecila~71~plum", NAME_REASON),
        ("Al1ce~lantern~71", NAME_REASON),
        ("MotDePasse2024", WORD_REASON),
        ("alice-rules-71", NAME_REASON),
        ("ALICE~dupont~9", NAME_REASON),
        ("Dupont~lantern~71~plum", NAME_REASON),
    ],
)
def test_password_rejects_weak_with_reason(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError, match="too easy to guess") as error:
        passwords.check_password(password, "alice.dupont@example.org")
    assert reason in str(error.value)
    assert password not in str(error.value)


@pytest.mark.parametrize(
    "password",
    [
        "Fjord-lantern-71-plum",
        "correct horse battery",
        "été~brûlé~où~71",
        "Tr0ub4dor&3-zeppelin",
        "密码很长而且很难猜到的",
        "k9$Wq!vR2#xT",
    ],
)
def test_password_accepts_strong(password: str) -> None:
    passwords.check_password(password, "alice.dupont@example.org")


def is_weak(password: str) -> bool:
    try:
        passwords.check_password(password, "alice.dupont@example.org")
    except WeakPasswordError:
        return True
    return False


def write_dates(day: int, month: int, year: int) -> list[str]:
    """Return a date as people write it, in passwords."""
    names = [MONTHS[month - 1], MONTHS[month + 11]]
    return [
        *(f"{day:02}{sign}{month:02}{sign}{year}" for sign in ("", "/", "-", ".", " ", ":", "_")),
        *(f"{year}{sign}{month:02}{sign}{day:02}" for sign in ("", "/", "-", ".", " ")),
        f"{month:02}{day:02}{year}",
        f"{day}/{month}/{year}",
        *(f"{day}{sign}{name}{sign}{year}" for sign in ("", " ", "-") for name in names),
        *(f"{name}{year}" for name in names),
        f"{names[0].title()} {day}th, {year}",
        f"le {day} {names[1]} {year}",
    ]


@given(st.dates(date(1930, 1, 1), date(2029, 12, 31)), st.sampled_from(["", "!", "a", "le", "né", "!!"]))
def test_password_of_a_date_is_weak(day: date, more: str) -> None:
    forms = [f"{form}{more}" for form in write_dates(day.day, day.month, day.year)]
    assert [form for form in forms if not is_weak(form)] == []


patterns = st.one_of(
    st.builds(
        lambda line, start, length, backwards: line[start : start + length][:: -1 if backwards else 1],
        st.sampled_from([line for line in KEY_LINES if line.isalnum()]),
        st.integers(0, 3),
        st.integers(4, 10),
        st.booleans(),
    ),
    st.builds(
        lambda start, step, length: "".join(chr(start + step * number) for number in range(length)),
        st.integers(ord("d"), ord("m")),
        st.sampled_from([-1, 1]),
        st.integers(4, 10),
    ).filter(str.isalpha),
    st.sampled_from(["vigie", "alice", "dupont", "eigiv", "V1gie", "2026", "1989", "14071989"]),
)


@given(st.lists(patterns, min_size=3, max_size=4), st.sampled_from(["", "-", "."]), st.sampled_from(["", "7", "!"]))
def test_password_of_patterns_side_by_side_is_weak(parts: list[str], sign: str, more: str) -> None:
    password = sign.join(parts) + more
    assert is_weak(password), password


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789!-", min_size=1, max_size=4), st.integers(10, 20))
def test_password_of_a_repeated_block_is_weak(block: str, length: int) -> None:
    assert is_weak((block * length)[:length])


@given(st.integers())
def test_random_password_is_strong(seed: int) -> None:
    """No rule refuses what a password manager makes: it would leave people with weak ones."""
    generator = random.Random(seed)
    letters = "".join(generator.choices("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789!#%+:=?@", k=16))
    assert not is_weak(letters), letters


@pytest.mark.parametrize("length", [0, 9, 201, 1_000_000])
def test_password_length_limits(length: int) -> None:
    with pytest.raises(OptionError, match=f"has {length:,} characters. Accepted are 10 to 200 characters"):
        passwords.check_password("x" * length, "alice")


@given(st.text(min_size=0, max_size=220))
def test_password_check_is_fast(password: str) -> None:
    began = time.thread_time()
    with suppress(OptionError):
        passwords.check_password(password, "alice")
    assert time.thread_time() - began < 1


def test_password_check_truncates_slow_input() -> None:
    began = time.thread_time()
    for piece in ("qwertyuiop[]", "p4ssw0rd", "20012001", "a1B!", "4@8({[</6g9!1|l"):
        with suppress(OptionError):
            passwords.check_password((piece * 60)[:200], "alice")
    assert time.thread_time() - began < 2


def test_password_hashes_verify() -> None:
    hash_ = passwords.hash_password("Fjord-lantern-été")
    assert passwords.verify_password(hash_, "Fjord-lantern-été")
    assert passwords.verify_password(hash_, "Fjord-lantern-e\u0301te\u0301"), "the decomposed form of é is accepted"
    assert not passwords.verify_password(hash_, "fjord-lantern-été")
    assert not passwords.verify_password(None, "the password of nobody")
    assert not passwords.verify_password("no hash", "Fjord-lantern-été")
    assert not passwords.verify_password(hash_, "x" * 100_000)
    assert passwords.hash_password("Fjord-lantern-été") != hash_
    assert passwords.verify_password(passwords.hash_password("\ud800" * 12), "\ud800" * 12)


def test_password_verification_is_slow_for_attackers() -> None:
    hash_ = passwords.hash_password("Fjord-lantern-71-plum")
    fastest = min(_measure_verification_s(hash_) for _each in range(5))
    assert 0.01 < fastest < 1


def _measure_verification_s(hash_: str) -> float:
    began = time.thread_time()
    passwords.verify_password(hash_, "wrong")
    return time.thread_time() - began


@given(st.text(max_size=220))
def test_username_lookup_key_is_idempotent(name: str) -> None:
    key = usernames.make_lookup_key(name)
    if key is None:
        with pytest.raises(OptionError):
            usernames.validate_username(name)
    else:
        username = usernames.validate_username(name)
        assert usernames.validate_username(username) == username
        assert usernames.make_lookup_key(username) == key
        assert len(key) <= 400
