"""Rules of passwords, their hashes, and names of users."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.accounts import passwords, usernames
from core.errors import OptionError

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
        ("motdepasse1", COMMON_REASON),
        ("password123", COMMON_REASON),
        ("P@ssw0rd!!", COMMON_REASON),
        ("Liechtenstein", WORD_REASON),
        ("vigievigie", REPETITION_REASON),
        ("vigie2026!", NAME_REASON),
        ("alice-rules-71", NAME_REASON),
        ("ALICE~dupont~9", NAME_REASON),
        ("Dupont~lantern~71~plum", NAME_REASON),
    ],
)
def test_password_rejects_weak_with_reason(password: str, reason: str) -> None:
    with pytest.raises(OptionError, match="too easy to guess") as error:
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


@pytest.mark.parametrize("length", [0, 9, 201, 1_000_000])
def test_password_length_limits(length: int) -> None:
    with pytest.raises(OptionError, match=f"has {length:,} characters. Accepted are 10 to 200 characters"):
        passwords.check_password("x" * length, "alice")


@settings(max_examples=40, deadline=None)
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
