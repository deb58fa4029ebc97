"""Delivery as persons see it: a recipient is tried, and messages that were given up are looked after."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from core.actor import Actor
from core.errors import NotFoundError, OptionError, ServiceUnavailableError
from core.operations.watching.delivery import discard_message, list_undelivered, retry_message, try_recipient
from core.settings import Settings
from core.storage.channels.base import DeliveryRefusedError
from core.workspace import Workspace
from tests.support.processes import find_free_port
from tests.support.receivers import MailServer, serve_mail, serve_web
from tests.support.sample_announcements import announce, make_incident, make_recipient, open_stores, store_announcements

ALICE = Actor("alice", "tests")


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with serve_mail() as server:
        yield server


def with_settings(workspace: Workspace, **values: Any) -> Workspace:
    return replace(workspace, settings=Settings.model_construct(vigie_data_dir=workspace.folder, **values))


def read_events(workspace: Workspace) -> list[dict[str, Any]]:
    lines = [line for path in workspace.events.folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("language", "word"), [("en", "Test message"), ("fr", "")])
def test_recipient_is_tried_with_a_message_that_says_so(
    language: str, word: str, workspace: Workspace, mail_server: MailServer
) -> None:
    trying = with_settings(workspace, vigie_smtp_url=SecretStr(mail_server.url))
    message_id = try_recipient(make_recipient(language=language), trying, ALICE)
    (mail,) = mail_server.mails
    assert mail["X-Vigie-Delivery"] == message_id
    assert word in mail["Subject"]
    events = read_events(workspace)
    assert [(event["event"], event["status"], event["user"]) for event in events] == [
        ("recipient_try", "completed", "alice")
    ]
    assert "ada@example.org" not in json.dumps(events)


def test_recipient_is_tried_in_quiet_hours(workspace: Workspace) -> None:
    with serve_web() as receiver:
        hook = make_recipient(receiver.url, channel="webhook", quiet_from="00:00", quiet_until="23:59", max_per_hour=1)
        key = SecretStr("a-long-random-text-of-both-sides")
        trying = with_settings(workspace, vigie_webhook_key=key, vigie_source_networks="127.0.0.0/8")
        for _time in range(3):
            try_recipient(hook, trying, ALICE)
        assert [json.loads(request.body)["kind"] for request in receiver.requests] == ["test"] * 3


def test_recipient_that_cannot_be_reached_is_told_exactly(workspace: Workspace, mail_server: MailServer) -> None:
    trying = with_settings(workspace, vigie_smtp_url=SecretStr(mail_server.url))
    with pytest.raises(OptionError, match="is not a mail address"):
        try_recipient(make_recipient("ada"), trying, ALICE)
    with pytest.raises(OptionError, match="Mars/Olympus"):
        try_recipient(make_recipient(zone="Mars/Olympus"), trying, ALICE)
    with pytest.raises(OptionError, match="Quiet hours need a begin and an end"):
        try_recipient(make_recipient(quiet_from="22:00"), trying, ALICE)
    with pytest.raises(ServiceUnavailableError, match="Set VIGIE_SMTP_URL"):
        try_recipient(make_recipient(), with_settings(workspace), ALICE)
    dead = SecretStr(f"smtp://ada:hunter2-xyz@127.0.0.1:{find_free_port()}")
    with pytest.raises(ServiceUnavailableError, match="refused") as caught:
        try_recipient(make_recipient(), with_settings(workspace, vigie_smtp_url=dead), ALICE)
    assert "hunter2" not in str(caught.value)
    mail_server.rcpt_answer = "550 no such user"
    with pytest.raises(DeliveryRefusedError, match="550 no such user"):
        try_recipient(make_recipient(), trying, ALICE)
    assert {event["status"] for event in read_events(workspace)} == {"failed"}


def test_message_that_was_given_up_is_sent_again_by_a_person(workspace: Workspace, mail_server: MailServer) -> None:
    open_stores(workspace.folder, [make_recipient()]).close()
    watching = with_settings(workspace, vigie_smtp_url=SecretStr(mail_server.url))
    store_announcements(watching.watches, [announce(make_incident(0))])
    mail_server.rcpt_answer = "550 no such user"
    watching.announcements.deliver_pending()
    (message,) = list_undelivered(watching)
    mail_server.rcpt_answer = ""
    assert retry_message(message.id, watching, ALICE) == 1
    assert list_undelivered(watching) == []
    assert watching.announcements.deliver_pending() == 1
    assert mail_server.mails[0]["X-Vigie-Delivery"] == message.id
    for change in (retry_message, discard_message):
        with pytest.raises(NotFoundError, match=message.id):
            change(message.id, watching, ALICE)
    watching.watches.close()


def test_message_that_was_given_up_is_forgotten_by_a_person(workspace: Workspace) -> None:
    open_stores(workspace.folder, [make_recipient()]).close()
    watching = with_settings(workspace)
    store_announcements(watching.watches, [announce(make_incident(0), "bob")])
    watching.announcements.deliver_pending()
    (message,) = list_undelivered(watching)
    assert discard_message(message.id, watching, ALICE) == 1
    assert watching.announcements.count_rejected() == 0
    watching.watches.close()
