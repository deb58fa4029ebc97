"""Messages about incidents: one line an incident, in two languages and zones, whatever the texts of others hold."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages import Message
from core.watches.announcing import Announcement
from core.watches.incident import ChangeKind
from core.watches.incident_sentences import collect_notices
from core.watches.message_texts import MAX_CHAT_CHARS, render_message, render_test
from core.watches.outgoing_message import OutgoingMessage
from tests.support.sample_announcements import MORNING, announce, make_incident, make_recipient

ADA = make_recipient("https://hooks.example.org/", channel="webhook")
MESSAGE_ID = "0123456789abcdef" * 2
URL = "https://vigie.example.org/"
MINUTE = timedelta(minutes=1)


def render(*announcements: Announcement, url: str = "", **fields: object) -> OutgoingMessage:
    return render_message(MESSAGE_ID, announcements, ADA.model_copy(update=fields), MORNING, url)


def test_message_about_one_incident_tells_all_about_it() -> None:
    incident = make_incident(
        causes=("power", "voltage"),
        known_events=(Message("{name}", {"name": "Strike\nof all"}).dump(), Message("cold spell").dump()),
        assignee="eve",
        comment="meter seen",
        zone="Europe/Paris",
    )
    message = render(announce(incident), url=URL)
    assert message.subject == "[Vigie] New incident: lyon-0 (load)"
    assert message.text.splitlines() == [
        "New incident: lyon-0, 2 Mar 2026 06:00 – 09:00 (UTC); "
        "2 Mar 2026 07:00 – 10:00 in the zone of the data, Europe/Paris",
        "123.457\u00a0MW measured in power, 80\u00a0MW expected, usual range 70 – 95".replace("123.457", "123.5"),
        "Severity 2 of 3, 4 flagged rows, watch load",
        "Columns that deviate most: power, voltage",
        "Known events at this time: Strike of all, cold spell",
        "eve looks after it",
        "Comment: meter seen",
        f"https://vigie.example.org/watch?incident={incident.id}",
        "",
        "-- ",
        "Vigie sends this because a watch names the recipient ada.",
    ]


@pytest.mark.parametrize(
    ("zone", "data_zone", "when"),
    [
        ("UTC", "UTC", "2 Mar 2026 06:00 – 09:00 (UTC)"),
        ("Europe/Paris", "+01:00", "2 Mar 2026 07:00 – 10:00 (Europe/Paris)"),
        ("Europe/Paris", "", "2 Mar 2026 06:00 – 09:00 (clock of the data)"),
        ("Asia/Kolkata", "UTC", "2 Mar 2026 11:30 – 14:30 (Asia/Kolkata); 2 Mar 2026 06:00 – 09:00 in the zone of the"),
    ],
)
def test_times_are_those_of_the_reader_and_of_the_data(zone: str, data_zone: str, when: str) -> None:
    assert when in render(announce(make_incident(zone=data_zone)), zone=zone).text


@pytest.mark.parametrize(
    ("kinds", "fields", "title"),
    [
        (["opened"], {}, "New incident"),
        (["opened", "grown"], {}, "New incident"),
        (["opened", "worse"], {}, "New incident"),
        (["worse"], {}, "The incident is worse"),
        (["opened", "ended"], {"ended_at": MORNING}, "Begun and ended"),
        (["opened", "ended", "resolved"], {"state": "resolved"}, "Opened and resolved"),
        (["resolved"], {"state": "resolved"}, "Resolved"),
        (["resolved", "reopened"], {}, "Opened again"),
        (["opened"], {"kind": "lasting change"}, "New lasting change"),
        (["opened"], {"kind": "no data", "entity": ""}, "No data"),
        (["resolved"], {"kind": "no data", "entity": "", "state": "resolved"}, "Data arrive again"),
        (["opened", "resolved"], {"kind": "no data", "entity": "", "state": "resolved"}, "No data for a time"),
        (["resolved"], {"rows": 0, "state": "resolved"}, "Withdrawn, because the corrected values are normal"),
        (["resolved"], {"merged_into": "f" * 32, "state": "resolved"}, "Part of an earlier incident"),
    ],
)
def test_changes_that_waited_are_one_line(kinds: list[ChangeKind], fields: dict[str, object], title: str) -> None:
    changes = [
        announce(
            make_incident(changed_at=MORNING + number * MINUTE, **(fields if number == len(kinds) - 1 else {})),
            kind=kind,
            due=MORNING + number * MINUTE,
        )
        for number, kind in enumerate(kinds)
    ]
    for order in (changes, changes[::-1]):
        message = render(*order)
        assert message.text.startswith(f"{title}: ")
        assert message.payload["count"] == 1


def test_incident_that_joined_another_is_told_with_it_alone() -> None:
    older = make_incident(0)
    joined = make_incident(1, merged_into=older.id, state="resolved", changed_at=MORNING + MINUTE)
    notices = collect_notices([announce(older), announce(make_incident(1)), announce(joined, kind="resolved")])
    assert [notice.incident.id for notice in notices] == [older.id]


def test_worst_incidents_come_first_and_all_are_counted() -> None:
    incidents = [make_incident(number, severity=number % 3, peak=float(number)) for number in range(50)]
    ended = make_incident(90, severity=3, state="resolved")
    message = render(*map(announce, incidents), announce(ended, kind="resolved"), url=URL)
    assert message.subject == "[Vigie] 51 incidents of load, the worst of severity 3"
    listed = re.findall(r"lyon-(\d+),", message.text)
    assert listed[:3] == ["47", "44", "41"]
    assert len(listed) == 20
    assert "31 more incidents are not listed here." in message.text
    assert len(message.payload["incidents"]) == message.payload["count"] == 51
    assert message.payload["incidents"][-1]["change"] == "resolved"
    assert len(message.chat) < MAX_CHAT_CHARS + 100
    shown = len(re.findall(r"lyon-", message.chat))
    assert f"{51 - shown} more incidents are not listed here." in message.chat


def test_message_is_in_the_language_of_its_recipient() -> None:
    french = render(announce(make_incident()), language="fr")
    assert "2 mars 2026 06:00 – 09:00" in french.text
    assert "123,5" in french.text
    assert '<html lang="fr">' in french.html


def test_json_has_null_for_unknown_numbers() -> None:
    message = render(announce(make_incident(measured=float("nan"), peak=float("inf"))))
    (told,) = json.loads(json.dumps(message.payload, allow_nan=False))["incidents"]
    assert (told["incident"]["measured"], told["incident"]["peak"]) == (None, None)
    assert told["url"] is None
    assert "– measured in power" in message.text


def test_json_is_made_for_webhooks_alone() -> None:
    assert render(announce(make_incident()), channel="mail").payload == {}


def test_test_message_is_marked_in_every_form() -> None:
    message = render_test(MESSAGE_ID, ADA, MORNING)
    assert message.payload["kind"] == "test"
    for text in (message.subject, message.html, message.chat):
        assert "Test message: no incident" in text


class TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)


evil_texts = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            "@channel @here @all",
            "<!channel>",
            "[free](https://evil.example)",
            "a\r\nBcc: x@y",
        ]
    ),
)


@given(evil_texts, evil_texts, evil_texts)
def test_texts_of_others_stay_text(entity: str, column: str, comment: str) -> None:
    incident = make_incident(entity=f"e{entity}", column=f"c{column}", comment=f"c{comment}", causes=(column, entity))
    message = render(announce(incident), url=URL)
    assert message.subject.isprintable()
    assert all(line.isprintable() for line in message.text.replace("\u00a0", "").split("\n"))
    collector = TagCollector()
    collector.feed(message.html)
    assert set(collector.tags) <= {"html", "head", "meta", "title", "body", "div", "strong", "br", "a", "p"}
    assert collector.tags.count("a") == 1
    words = message.chat.replace(f"https://vigie.example.org/watch?incident={incident.id}", "")
    assert not re.search(r"@\w|://|\]\(", words)
    assert html.escape(message.subject.removeprefix("[Vigie] ")) in message.html


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["opened", "worse", "ended", "resolved"])), max_size=30))
def test_every_incident_is_one_notice(changes: list[tuple[int, ChangeKind]]) -> None:
    announcements = [
        announce(make_incident(number, changed_at=MORNING + place * MINUTE), kind=kind)
        for place, (number, kind) in enumerate(changes)
    ]
    notices = collect_notices(announcements)
    assert sorted(notice.incident.entity for notice in notices) == sorted({f"lyon-{number}" for number, _ in changes})


def test_clock_change_shows_both_hours() -> None:
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    incident = make_incident(start=night, end=night + timedelta(hours=1), zone="Europe/Paris")
    assert (
        "25 Oct 2026 00:30 – 01:30 (UTC); 25 Oct 2026 02:30 in the zone of the data" in render(announce(incident)).text
    )
