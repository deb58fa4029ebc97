"""Store of announcements: one message at a time, retries under one id, caps and quiet hours, what is given up."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.messages import Message
from core.storage.watches.announcement_store import FIRST_WAIT_S, LEASE_S, LONGEST_WAIT_S, MAX_ATTEMPTS, MessageClaim
from core.storage.watches.stores import WatchStores
from core.watches.announcing import is_quiet
from core.watches.watch import Recipient
from tests.support.sample_announcements import (
    MORNING,
    announce,
    make_incident,
    make_recipient,
    open_stores,
    store_announcements,
)

ADA = make_recipient(max_per_hour=3)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
PROBLEM = Message("The server is {state}.", {"state": "away"})


@pytest.fixture
def watch_stores(tmp_path: Path, database_url: str) -> Iterator[WatchStores]:
    stores = open_stores(tmp_path, [ADA], database_url)
    yield stores
    stores.close()


def claim(stores: WatchStores, now: datetime, recipient: Recipient = ADA) -> MessageClaim:
    found = stores.announcements.claim_message(recipient, now)
    assert found is not None
    return found


def test_due_announcements_become_one_message(watch_stores: WatchStores) -> None:
    later = announce(make_incident(3), due=MORNING + HOUR)
    stored = [announce(make_incident(number)) for number in range(3)]
    assert store_announcements(watch_stores, [*stored, later]) == 4
    assert store_announcements(watch_stores, stored) == 0
    (waiting,) = watch_stores.announcements.count_due(MORNING)
    assert (waiting.recipient, waiting.due, waiting.urgent) == ("ada", 3, 0)
    message = claim(watch_stores, MORNING)
    assert list(message.announcements) == stored
    assert watch_stores.announcements.claim_message(ADA, MORNING) is None
    assert watch_stores.announcements.note_sent(message, MORNING) == 3
    assert watch_stores.announcements.claim_message(ADA, MORNING) is None
    assert claim(watch_stores, MORNING + HOUR).announcements == (later,)


def test_message_of_a_killed_process_keeps_its_id_and_its_content(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0))])
    first = claim(watch_stores, MORNING)
    store_announcements(watch_stores, [announce(make_incident(1))])
    assert watch_stores.announcements.claim_message(ADA, MORNING + LEASE_S * SECOND - SECOND) is None
    second = claim(watch_stores, MORNING + LEASE_S * SECOND)
    assert (second.id, second.announcements, second.attempt) == (first.id, first.announcements, 2)
    assert not watch_stores.announcements.note_failure(first, PROBLEM, MORNING)
    assert watch_stores.announcements.note_sent(second, MORNING) == 1
    assert watch_stores.announcements.note_sent(first, MORNING) == 0


def test_message_that_was_accepted_after_its_lease_is_not_sent_again(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0))])
    first, now = claim(watch_stores, MORNING), MORNING + 2 * LEASE_S * SECOND
    second = claim(watch_stores, now)
    assert watch_stores.announcements.note_sent(first, now) == 1
    assert not watch_stores.announcements.note_failure(second, PROBLEM, now)
    assert watch_stores.announcements.count_due(now + HOUR) == []


def test_waits_between_attempts_grow(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0))])
    now, ids, wait_s = MORNING, set(), FIRST_WAIT_S
    for _attempt in range(9):
        message = claim(watch_stores, now)
        ids.add(message.id)
        assert watch_stores.announcements.note_failure(message, PROBLEM, now)
        assert watch_stores.announcements.claim_message(ADA, now + (wait_s - 1) * SECOND) is None
        now += wait_s * SECOND
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
    assert wait_s == LONGEST_WAIT_S
    assert len(ids) == 1
    watch_stores.announcements.note_failure(claim(watch_stores, now), PROBLEM, now)
    assert watch_stores.announcements.claim_message(ADA, now, ignores_waits=True) is not None


def test_message_is_given_up_after_the_last_attempt(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0))])
    now = MORNING
    for attempt in range(1, MAX_ATTEMPTS + 1):
        message = claim(watch_stores, now)
        assert message.attempt == attempt
        watch_stores.announcements.note_failure(message, PROBLEM, now)
        now += LONGEST_WAIT_S * SECOND
    assert watch_stores.announcements.claim_message(ADA, now) is None
    assert watch_stores.announcements.count_rejected() == 1


def test_rejected_message_is_listed_retried_and_discarded(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0)), announce(make_incident(1))])
    message = claim(watch_stores, MORNING)
    watch_stores.announcements.note_failure(message, PROBLEM, MORNING, is_final=True)
    (rejected,) = watch_stores.announcements.list_rejected()
    assert (rejected.id, rejected.recipient, rejected.watches) == (message.id, "ada", ("load",))
    assert (rejected.count, rejected.attempts, rejected.ended) == (2, 1, MORNING)
    assert str(rejected.problem) == "The server is away."
    assert watch_stores.announcements.retry_rejected(message.id, MORNING) == 2
    assert watch_stores.announcements.retry_rejected(message.id, MORNING) == 0
    again = claim(watch_stores, MORNING)
    assert (again.id, again.attempt) == (message.id, 1)
    watch_stores.announcements.note_failure(again, PROBLEM, MORNING, is_final=True)
    assert watch_stores.announcements.discard_rejected("0" * 32) == 0
    assert watch_stores.announcements.discard_rejected(message.id) == 2
    assert watch_stores.announcements.count_rejected() == 0


def test_announcements_to_a_deleted_recipient_are_given_up(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0), "bob"), announce(make_incident(0))])
    assert watch_stores.announcements.reject_waiting("bob", PROBLEM, MORNING) == 1
    assert [message.recipient for message in watch_stores.announcements.list_rejected()] == ["bob"]
    assert [waiting.recipient for waiting in watch_stores.announcements.count_due(MORNING)] == ["ada"]


def test_old_announcements_that_were_sent_are_deleted(watch_stores: WatchStores) -> None:
    store_announcements(watch_stores, [announce(make_incident(0)), announce(make_incident(1), due=MORNING + HOUR)])
    watch_stores.announcements.note_sent(claim(watch_stores, MORNING), MORNING)
    assert watch_stores.announcements.delete_sent(MORNING) == 0
    assert watch_stores.announcements.delete_sent(MORNING + SECOND) == 1
    assert len(claim(watch_stores, MORNING + HOUR).announcements) == 1


def test_data_folders_that_share_a_database_do_not_share_announcements(tmp_path: Path, database_url: str) -> None:
    stores = [open_stores(tmp_path / name, [ADA], database_url) for name in ("one", "two")]
    store_announcements(stores[0], [announce(make_incident(0))])
    assert stores[1].announcements.count_due(MORNING) == []
    assert stores[1].announcements.claim_message(ADA, MORNING) is None
    watched = claim(stores[0], MORNING)
    stores[0].announcements.note_failure(watched, PROBLEM, MORNING, is_final=True)
    assert stores[1].announcements.retry_rejected(watched.id, MORNING) == 0
    assert stores[1].announcements.count_rejected() == 0
    for one in stores:
        one.close()


def test_quiet_hours_hold_back_what_is_not_urgent(tmp_path: Path) -> None:
    ada = make_recipient(quiet_from="22:00", quiet_until="07:00", zone="Europe/Paris")  # until 06:00 UTC
    stores, night = open_stores(tmp_path, [ada]), MORNING - 3 * HOUR
    calm, urgent = announce(make_incident(0), due=night), announce(make_incident(1), due=night, is_urgent=True)
    store_announcements(stores, [calm, urgent])
    message = claim(stores, night, ada)
    assert message.announcements == (urgent,)
    stores.announcements.note_sent(message, night)
    assert stores.announcements.claim_message(ada, MORNING - SECOND) is None
    assert claim(stores, MORNING, ada).announcements == (calm,)
    stores.close()


def test_message_that_waits_for_the_morning_delays_no_urgent_one(tmp_path: Path) -> None:
    ada, stores, evening = (
        make_recipient(quiet_from="22:00", quiet_until="06:00"),
        open_stores(tmp_path, [make_recipient()]),
        MORNING - 8 * HOUR - SECOND,
    )
    store_announcements(stores, [announce(make_incident(0), due=evening)])
    calm = claim(stores, evening, ada)
    stores.announcements.note_failure(calm, PROBLEM, evening)
    night = evening + HOUR
    store_announcements(stores, [announce(make_incident(1), due=night, is_urgent=True)])
    urgent = claim(stores, night, ada)
    assert urgent.id != calm.id
    stores.announcements.note_sent(urgent, night)
    assert claim(stores, MORNING, ada).id == calm.id
    stores.close()


@settings(max_examples=15)
@given(
    events=st.lists(st.tuples(st.integers(0, 60 * 12), st.booleans()), min_size=1, max_size=25),
    outages=st.lists(st.tuples(st.integers(0, 60 * 12), st.integers(1, 120)), max_size=2),
    cap=st.integers(1, 3),
    quiet=st.sampled_from([("", ""), ("22:00", "07:00"), ("09:00", "11:30")]),
    step=st.integers(4, 25),
)
def test_nothing_is_lost_and_no_hour_has_more_than_the_cap(
    events: list[tuple[int, bool]],
    outages: list[tuple[int, int]],
    cap: int,
    quiet: tuple[str, str],
    step: int,
    tmp_path: Path,
) -> None:
    """A day of announcements, polls and outages of the server, by a clock of its own."""
    start = MORNING - 10 * HOUR
    ada = make_recipient(max_per_hour=cap, quiet_from=quiet[0], quiet_until=quiet[1])
    stores = open_stores(tmp_path / uuid4().hex, [ada])
    waiting = [
        announce(make_incident(number), due=start + minute * timedelta(minutes=1), is_urgent=is_urgent)
        for number, (minute, is_urgent) in enumerate(events)
    ]
    store_announcements(stores, waiting)
    sent: list[tuple[datetime, MessageClaim]] = []
    attempts: dict[str, set[str]] = {}
    now = start
    while stores.announcements.count_due(start + 100 * HOUR):
        message = stores.announcements.claim_message(ada, now)
        if message is not None:
            attempts.setdefault(message.id, {one.id for one in message.announcements})
            assert attempts[message.id] == {one.id for one in message.announcements}
            minute = (now - start) / timedelta(minutes=1)
            if any(begin <= minute < begin + length for begin, length in outages):
                stores.announcements.note_failure(message, PROBLEM, now)
            else:
                stores.announcements.note_sent(message, now)
                sent.append((now, message))
        now += timedelta(minutes=step)
        assert now < start + 72 * HOUR
    delivered = [one for _moment, message in sent for one in message.announcements]
    assert sorted(one.id for one in delivered) == sorted(one.id for one in waiting)
    for moment, message in sent:
        assert all(one.due <= moment for one in message.announcements)
        assert not is_quiet(ada, moment) or any(one.is_urgent for one in message.announcements)
    moments = [moment for moment, _message in sent]
    assert all(sum(moment - HOUR < other <= moment for other in moments) <= cap for moment in moments)
    stores.close()
