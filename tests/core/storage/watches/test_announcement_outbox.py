"""Outbox of announcements, with real mail servers and web servers: storms, dead servers, killed processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import ServiceUnavailableError
from core.operations.health import check_services
from core.outbox import deliver
from core.settings import ROOT, Settings
from core.storage.watches.announcement_outbox import AnnouncementOutbox
from core.storage.watches.stores import WatchStores
from core.watches.watch import Recipient
from core.workspace import Workspace
from tests.support.processes import find_free_port
from tests.support.receivers import MailServer, Request, WebReceiver, serve_mail, serve_web
from tests.support.sample_announcements import announce, make_incident, make_recipient, open_stores, store_announcements

KEY = "a-long-random-text-of-both-sides"
SETTLE_S = 10.0


def make_settings(folder: Path, **values: Any) -> Settings:
    fields = {"vigie_webhook_key": SecretStr(KEY), "vigie_source_networks": "127.0.0.0/8", **values}
    return Settings.model_construct(vigie_data_dir=folder, **fields)


def make_outbox(folder: Path, stores: WatchStores, **values: Any) -> AnnouncementOutbox:
    return AnnouncementOutbox(folder / "watches" / "watches.db", make_settings(folder, **values), lambda: stores)


def make_hook(receiver: WebReceiver, name: str = "ada", **fields: Any) -> Recipient:
    return make_recipient(f"{receiver.url}/hooks/{name}", name=name, channel="webhook", **fields)


def wait_until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_S
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith(("announce to", "call ")):
            thread.join(SETTLE_S)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with serve_mail() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[WebReceiver]:
    with serve_web() as server:
        yield server


def test_storm_is_one_mail_with_the_worst_and_a_count(tmp_path: Path, mail_server: MailServer) -> None:
    ada, bob = make_recipient(), make_recipient("bob@example.org", name="bob", language="fr")
    stores = open_stores(tmp_path, [ada, bob])
    incidents = [make_incident(number, peak=float(number), severity=number % 4) for number in range(1000)]
    store_announcements(stores, [announce(one, name) for one in incidents for name in ("ada", "bob")])
    outbox = make_outbox(tmp_path, stores, vigie_smtp_url=SecretStr(mail_server.url))
    assert outbox.count_pending() == 2000
    delivered = 0
    while outbox.count_pending():
        delivered += outbox.deliver_pending()
        wait_for_threads()
    assert delivered + outbox.deliver_pending() == 2000
    assert sorted(mail_server.recipients) == ["ada@example.org", "bob@example.org"]
    text = next(mail for mail in mail_server.mails if mail["To"] == "ada@example.org").get_body(("plain",))
    assert text is not None
    words = text.get_content()
    assert words.count("New incident: ") == 20
    assert "lyon-999," in words
    assert "980 more incidents are not listed here." in words
    assert outbox.last_error == ""
    stores.close()


def test_dead_server_delays_no_other_recipient_and_loses_nothing(
    tmp_path: Path, mail_server: MailServer, receiver: WebReceiver
) -> None:
    hook, ada = make_hook(receiver, "desk"), make_recipient()
    stores = open_stores(tmp_path, [hook, ada])
    store_announcements(stores, [announce(make_incident(0), "desk"), announce(make_incident(0))])
    receiver.status = 503
    outbox = make_outbox(tmp_path, stores, vigie_smtp_url=SecretStr(mail_server.url))
    assert outbox.deliver_pending() == 1
    assert len(mail_server.mails) == 1
    assert (outbox.count_pending(), outbox.count_rejected()) == (1, 0)
    assert "HTTP 503" in outbox.last_error
    receiver.status = 200
    assert outbox.deliver_pending() == 0  # it waits before the next attempt
    outbox.reset()
    assert outbox.deliver_pending() == 1
    first, second = receiver.requests
    assert first.headers["x-vigie-delivery"] == second.headers["x-vigie-delivery"]
    stores.close()


def test_slow_server_holds_no_round_and_gets_its_message_once(tmp_path: Path, receiver: WebReceiver) -> None:
    stores = open_stores(tmp_path, [make_hook(receiver)])
    store_announcements(stores, [announce(make_incident(0))])
    release = threading.Event()
    receiver.on_request = lambda _request: release.wait(SETTLE_S) and None
    outbox = make_outbox(tmp_path, stores)
    for _round in range(2):
        assert outbox.deliver_pending() == 0
    release.set()
    wait_for_threads()
    assert outbox.deliver_pending() == 1
    assert len(receiver.requests) == 1
    stores.close()


def test_refused_message_is_given_up_with_its_reason(tmp_path: Path, mail_server: MailServer) -> None:
    stores = open_stores(tmp_path, [make_recipient()])
    store_announcements(stores, [announce(make_incident(0))])
    mail_server.rcpt_answer = "550 no such user"
    outbox = make_outbox(tmp_path, stores, vigie_smtp_url=SecretStr(mail_server.url))
    assert outbox.deliver_pending() == 0
    assert (outbox.count_pending(), outbox.count_rejected()) == (0, 1)
    (rejected,) = stores.announcements.list_rejected()
    assert str(rejected.problem) == "The mail server refuses the recipient: 550 no such user."
    stores.close()


def test_setting_that_is_missing_keeps_the_message(tmp_path: Path) -> None:
    stores = open_stores(tmp_path, [make_recipient()])
    store_announcements(stores, [announce(make_incident(0))])
    outbox = make_outbox(tmp_path, stores)
    assert outbox.deliver_pending() == 0
    assert (outbox.count_pending(), outbox.count_rejected()) == (1, 0)
    assert "VIGIE_SMTP_URL" in outbox.last_error
    stores.close()


def test_address_that_is_no_longer_allowed_is_given_up(tmp_path: Path, receiver: WebReceiver) -> None:
    stores = open_stores(tmp_path, [make_hook(receiver)])
    store_announcements(stores, [announce(make_incident(0))])
    outbox = make_outbox(tmp_path, stores, vigie_source_networks="")
    assert outbox.deliver_pending() == 0
    assert (outbox.count_rejected(), receiver.requests) == (1, [])
    stores.close()


def test_recipient_that_is_gone_is_told(tmp_path: Path) -> None:
    stores = open_stores(tmp_path, [make_recipient()])
    store_announcements(stores, [announce(make_incident(0), "bob")])
    outbox = make_outbox(tmp_path, stores)
    outbox.deliver_pending()
    (rejected,) = stores.announcements.list_rejected()
    assert str(rejected.problem) == "The recipient bob does not exist."
    stores.close()


def test_message_that_cannot_be_written_is_told_and_tried_again(
    tmp_path: Path, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A zone that no longer exists must not end the delivery to others."""
    stores = open_stores(tmp_path, [make_recipient(), make_recipient("bob@example.org", name="bob")])
    unknown = make_incident(0, zone="Mars/Olympus")
    store_announcements(stores, [announce(unknown), announce(make_incident(1), "bob")])
    outbox = make_outbox(tmp_path, stores, vigie_smtp_url=SecretStr(mail_server.url))
    assert outbox.deliver_pending() == 1
    assert mail_server.recipients == ["bob@example.org"]
    assert outbox.count_pending() == 1
    assert "a message to ada could not be sent" in caplog.text
    stores.close()


def test_recipient_that_cannot_be_read_is_told_once(
    tmp_path: Path, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    broken = make_recipient(zone="Mars/Olympus", quiet_from="22:00", quiet_until="07:00")
    stores = open_stores(tmp_path, [broken, make_recipient("bob@example.org", name="bob")])
    store_announcements(stores, [announce(make_incident(0)), announce(make_incident(1), "bob")])
    outbox = make_outbox(tmp_path, stores, vigie_smtp_url=SecretStr(mail_server.url))
    delivered = [outbox.deliver_pending() for _round in range(3)]
    assert delivered == [1, 0, 0]
    assert caplog.text.count("announcements to ada could not be delivered") == 1
    assert "Mars/Olympus" in outbox.last_error
    stores.close()


def test_recipient_that_rests_gets_what_is_new_at_once(tmp_path: Path, receiver: WebReceiver) -> None:
    """A round that could send nothing is not repeated every second, but a later announcement does not wait for it."""
    now = datetime.now(UTC)
    quiet = {"quiet_from": f"{now - timedelta(hours=2):%H:%M}", "quiet_until": f"{now + timedelta(hours=2):%H:%M}"}
    stores = open_stores(tmp_path, [make_hook(receiver, **quiet)])
    outbox = make_outbox(tmp_path, stores)
    for number in range(3):
        store_announcements(stores, [announce(make_incident(number))])
        assert [outbox.deliver_pending() for _round in range(2)] == [0, 0]
        store_announcements(stores, [announce(make_incident(10 + number), is_urgent=True)])
        assert outbox.deliver_pending() == 1
    assert [json.loads(request.body)["count"] for request in receiver.requests] == [1, 1, 1]
    stores.close()


def test_quiet_hours_and_caps_are_no_backlog(tmp_path: Path, receiver: WebReceiver) -> None:
    now = datetime.now(UTC)
    quiet = {"quiet_from": f"{now - timedelta(hours=2):%H:%M}", "quiet_until": f"{now + timedelta(hours=2):%H:%M}"}
    asleep, capped = make_hook(receiver, **quiet), make_hook(receiver, "desk", max_per_hour=1)
    stores = open_stores(tmp_path, [asleep, capped])
    store_announcements(stores, [announce(make_incident(0)), announce(make_incident(0), "desk")])
    outbox = make_outbox(tmp_path, stores)
    assert outbox.deliver_pending() == 1
    store_announcements(stores, [announce(make_incident(1), "desk")])
    assert outbox.deliver_pending() == 0
    assert [request.path for request in receiver.requests] == ["/hooks/desk"]
    assert outbox.count_pending() == 0
    store_announcements(stores, [announce(make_incident(2), is_urgent=True)])
    assert outbox.count_pending() == 1
    assert outbox.deliver_pending() == 1
    stores.close()


def test_two_processes_send_each_message_once(tmp_path: Path, receiver: WebReceiver, database_url: str) -> None:
    names = [f"desk-{number}" for number in range(6)]
    stores = open_stores(tmp_path, [make_hook(receiver, name) for name in names], database_url)
    others = [WatchStores.open(tmp_path / "watches", database_url) for _number in range(3)]
    store_announcements(stores, [announce(make_incident(number), name) for number in range(3) for name in names])
    outboxes = [make_outbox(tmp_path, one, database_url=SecretStr(database_url)) for one in others]
    threads = [threading.Thread(target=outbox.deliver_pending) for outbox in outboxes for _time in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for_threads()
    assert sorted(request.path for request in receiver.requests) == [f"/hooks/{name}" for name in names]
    assert sum(json.loads(request.body)["count"] for request in receiver.requests) == 18
    for one in (stores, *others):
        one.close()


def test_message_of_a_process_that_is_killed_after_sending_is_repeated_with_its_id(
    tmp_path: Path, receiver: WebReceiver
) -> None:
    stores = open_stores(tmp_path, [make_hook(receiver)])
    store_announcements(stores, [announce(make_incident(0)), announce(make_incident(1))])
    environment = {"VIGIE_WEBHOOK_KEY": KEY, "VIGIE_SOURCE_NETWORKS": "127.0.0.0/8", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.support.announcing_process", str(tmp_path), "1.0"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE) as process:

        def kill_sender(_request: Request) -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        receiver.on_request = kill_sender
        wait_until(lambda: process.poll() is not None)
    assert len(receiver.requests) == 1
    receiver.on_request = lambda _request: None
    store_announcements(stores, [announce(make_incident(2))])
    outbox = make_outbox(tmp_path, stores)
    wait_until(lambda: bool(outbox.deliver_pending()))
    wait_until(lambda: bool(outbox.deliver_pending()) or len(receiver.requests) == 3)
    first, second, third = receiver.requests
    assert first.headers["x-vigie-delivery"] == second.headers["x-vigie-delivery"]
    assert first.headers["x-vigie-delivery"] != third.headers["x-vigie-delivery"]
    contents = [json.loads(request.body) for request in (first, second)]
    assert contents[0]["incidents"] == contents[1]["incidents"]
    assert [json.loads(request.body)["count"] for request in receiver.requests] == [2, 2, 1]
    stores.close()


def test_announcements_are_sent_by_the_delivery_of_a_workspace(workspace: Workspace, mail_server: MailServer) -> None:
    assert deliver(workspace)["announcements"] == 0
    assert not (workspace.folder / "watches").exists()
    settings = make_settings(workspace.folder, vigie_smtp_url=SecretStr(mail_server.url))
    watching = replace(workspace, settings=settings)
    open_stores(workspace.folder, [make_recipient()]).close()
    store_announcements(watching.watches, [announce(make_incident(0))])
    assert deliver(watching)["announcements"] == 1
    assert watching.announcements is next(one for one in watching.outboxes if one.name == "Announcements")
    watching.watches.close()


def test_health_tells_the_state_of_announcements(workspace: Workspace, mail_server: MailServer) -> None:
    def check(**values: Any) -> Any:
        checked = replace(workspace, settings=make_settings(workspace.folder, **values))
        return {one.name: one for one in check_services(checked, lambda _workspace: [object()])}["Announcements"]

    assert check().state == "not_set"
    place = mail_server.url.removeprefix("smtp://")
    working = check(vigie_smtp_url=SecretStr(f"smtp://{place}"))
    assert (working.state, working.place) == ("works", f"smtp://{place}")
    dead = check(vigie_smtp_url=SecretStr(f"smtp://ada:hunter2-xyz@127.0.0.1:{find_free_port()}"))
    assert dead.state == "failing"
    assert "does not answer" in str(dead.problem)
    assert "hunter2" not in f"{dead.place}{dead.problem}"


def test_outbox_without_watches_opens_no_database(tmp_path: Path) -> None:
    def refuse() -> WatchStores:
        raise AssertionError

    outbox = AnnouncementOutbox(tmp_path / "watches.db", make_settings(tmp_path), refuse)
    assert (outbox.deliver_pending(), outbox.count_pending(), outbox.count_rejected()) == (0, 0, 0)
    assert outbox.check() == ""


def test_outbox_outlasts_a_dead_database(tmp_path: Path) -> None:
    url = f"postgresql://vigie:hunter2-xyz@127.0.0.1:{find_free_port()}/vigie"
    with ExitStack() as stack:
        stores = WatchStores.open(tmp_path, url)
        stack.callback(stores.close)
        outbox = make_outbox(tmp_path, stores, database_url=SecretStr(url))
        assert (outbox.deliver_pending(), outbox.count_pending(), outbox.count_rejected()) == (0, 0, 0)
        assert "does not answer" in outbox.last_error
        with pytest.raises(ServiceUnavailableError, match="does not answer"):
            outbox.check()


def test_process_that_delivers_once_waits_for_slow_servers(tmp_path: Path, receiver: WebReceiver) -> None:
    names = [f"desk-{number}" for number in range(40)]
    stores = open_stores(tmp_path, [make_hook(receiver, name) for name in names])
    store_announcements(stores, [announce(make_incident(0), name) for name in names])
    receiver.delay_s = 0.5
    watching = Workspace.from_settings(make_settings(tmp_path))
    assert deliver(watching)["announcements"] == 40
    watching.watches.close()
    stores.close()
