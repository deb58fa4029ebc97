"""From a file in a watched folder to the mail about its incident, through the tick and the outbox."""

from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.operations.watching.incidents import resolve_incident
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watches import add_recipient
from core.settings import Settings
from core.workspace import Workspace
from tests.support.receivers import serve_mail
from tests.support.sample_announcements import make_recipient
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, train_power_model, watch_inbox, write_rows


@pytest.fixture(scope="module")
def trained_power(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    return train_power_model(tmp_path_factory.mktemp("announced"), empty_store)


def read_text(mail: EmailMessage) -> str:
    text = mail.get_body(("plain",))
    assert text is not None
    return str(text.get_content())


def test_file_with_a_fault_becomes_one_mail_and_its_end_another(trained_power: tuple[Workspace, str]) -> None:
    trained, run_id = trained_power
    with serve_mail() as server:
        settings = Settings.model_construct(
            vigie_data_dir=trained.folder,
            vigie_smtp_url=SecretStr(server.url),
            vigie_public_url="https://vigie.example.org",
        )
        workspace = replace(trained, settings=settings)
        add_recipient(make_recipient(zone="Europe/Paris"), workspace, ALICE)
        _, inbox = watch_inbox(workspace, run_id, "plant", recipients=("ada",))
        rows = make_rows(FIRST_WATCHED, 24, seed=3)
        rows.loc[(rows["site"] == "paris") & rows["time"].dt.hour.between(5, 7), "power"] *= 1.7
        write_rows(rows, inbox / "rows.csv")
        assert run_watch_now("plant", workspace, ALICE).incidents_opened == 1
        delivered = workspace.announcements.deliver_pending() + workspace.announcements.wait_for_messages()
        run_watch_now("plant", workspace, ALICE)
        assert workspace.announcements.deliver_pending() == 0
        [incident] = workspace.watches.incidents.list_incidents(watch="plant")
        resolve_incident(incident.id, "true_alarm", "breaker changed", workspace, ALICE)
        workspace.announcements.deliver_pending()
        workspace.announcements.wait_for_messages()
        first, second = server.mails
        assert delivered >= 1
        words, last_words = map(read_text, (first, second))
        assert "paris (plant)" in first["Subject"]
        assert f"https://vigie.example.org/watch?incident={incident.id}" in words
        assert "measured in power" in words
        assert "1 Mar 2024" in words
        assert second["Subject"].startswith("[Vigie] Resolved: paris")
        assert "Comment: breaker changed" in last_words
        workspace.watches.close()
