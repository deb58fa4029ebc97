"""Commands `python -m core watch` and `incidents`, in processes of their own, from a file to a resolved incident."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from core.cli.watch import NEW_INCIDENTS_EXIT_CODE
from core.data.samples import make_sample_table
from core.settings import Settings
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie

REGION = "Coast"
WORDS = ("ack", "assign", "mute", "resolve", "reopen", "accept")
CHAT, SECRET = "slack://T1JJ3T3L2/A1BRTD4JD/", "TIiajkdnlazkcOXrIdevi7FQ"


def read_gas() -> pd.DataFrame:
    """Return the daily gas consumption of one region, by date."""
    gas = make_sample_table("gas_daily")
    return gas[gas["region"] == REGION].sort_values("date").reset_index(drop=True)


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Path, str]:
    """A data folder with a run of anomalies of all but the last weeks, and the id of the run."""
    folder = tmp_path_factory.mktemp("trained_model")
    (folder / "data").mkdir()
    shutil.copy(empty_store, folder / "data" / "mlflow.db")
    read_gas().iloc[:-30].to_csv(folder / "past.csv", index=False)
    options = ("--detector", "isolation-forest", "--set", "n_estimators=20", "--json")
    process = run_vigie(folder / "data", "detect", folder / "past.csv", *options, MLFLOW_TRACKING_URI="")
    return folder / "data", str(read_json_output(process)["run_id"])


@pytest.fixture
def site(tmp_path: Path, trained_model: tuple[Path, str]) -> Path:
    """A copy of that data folder, and an empty folder to watch."""
    shutil.copytree(trained_model[0], tmp_path / "data")
    run_vigie(tmp_path / "data", "models", "list", MLFLOW_TRACKING_URI="")  # tells that the folder was moved
    (tmp_path / "inbox").mkdir()
    return tmp_path


@pytest.fixture
def vigie_at(site: Path) -> Command:
    """Runner of `python -m core …` on the data folder of `site`."""
    return partial(run_vigie, site / "data", MLFLOW_TRACKING_URI="", VIGIE_SOURCE_PLACES=str(site / "inbox"))


@pytest.fixture
def watch(vigie_at: Command) -> Command:
    return partial(vigie_at, "watch")


@pytest.fixture
def incidents(vigie_at: Command) -> Command:
    return partial(vigie_at, "incidents")


@pytest.fixture
def workspace_at(site: Path) -> Iterator[Workspace]:
    """The workspace of the commands, in this process."""
    workspace = Workspace.from_settings(Settings(vigie_data_dir=site / "data"))
    yield workspace
    workspace.watches.close()


def write_rows(path: Path, first: int, last: int) -> None:
    """Write the days `first` to `last` - 1, counted from the end of the data; the last one has a fault at 14:00."""
    rows = read_gas().iloc[first:last].copy()
    rows.loc[rows.index[-1], "14:00"] *= 4
    rows.to_csv(path, index=False)


def test_watch_command_finds_an_incident_that_a_person_resolves(
    watch: Command, incidents: Command, site: Path, trained_model: tuple[Path, str], workspace_at: Workspace
) -> None:
    assert watch("list").stdout == "there is no watch\n"
    added = read_json_output(
        watch(
            *("add", "--name", "gas", "--from-run", trained_model[1], "--every", "15 minutes", "--json"),
            *("--folder", site / "inbox", "--pattern", "*.csv", "--min-severity", "1"),
        )
    )
    assert (added["name"], added["task"], added["schedule"], added["min_severity"]) == (
        "gas",
        "anomalies",
        "15 minutes",
        1,
    )
    assert (added["source"]["kind"], added["last_tick"]) == ("folder", None)

    quiet = read_json_output(watch("run", "gas", "--json"))
    assert (quiet["state"], quiet["rows_new"], quiet["incidents_opened"]) == ("completed", 0, 0)
    write_rows(site / "inbox" / "may.csv", -20, -10)
    noisy = watch("run", "gas")
    assert noisy.returncode == NEW_INCIDENTS_EXIT_CODE, noisy.stderr
    assert "new rows 10, alarms 1, new incidents 1" in noisy.stdout
    again = read_json_output(watch("run", "gas", "--json"))
    assert (again["rows_new"], again["alarms"]) == (0, 0)
    assert "15 minutes" in watch("list").stdout
    shown = read_json_output(watch("show", "gas", "--json"))
    assert [tick["rows_new"] for tick in shown["ticks"]] == [0, 10, 0]
    assert str(site / "inbox") in watch("show", "gas").stdout

    [opened] = read_json_output(incidents("list", "--watch", "gas", "--json"))["incidents"]
    assert (opened["entity"], opened["state"], opened["column"]) == (f"North Gas · {REGION}", "open", "14:00")
    prefix = opened["id"][:8]
    past = read_json_output(watch("replay", "gas", "--from", "2024-01-01", "--to", "2024-06-30", "--json"))
    assert past["metrics"]["incidents"] == len(past["incidents"]) > 0
    assert past["truth"] == "labels"
    replayed = read_json_output(watch("replay", "gas", site / "inbox" / "may.csv", "--json"))
    assert [incident["column"] for incident in replayed["incidents"]] == ["14:00"]
    assert "incidents at" in watch("replay", "gas", site / "inbox" / "may.csv").stdout
    assert prefix in incidents("list").stdout
    assert read_json_output(incidents("ack", prefix, "--json"))["state"] == "acknowledged"
    assert read_json_output(incidents("assign", prefix, "grace", "--json"))["assignee"] == "grace"
    until = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    assert read_json_output(incidents("mute", prefix, "--until", until, "--json"))["muted_until"] == until
    assert read_json_output(incidents("mute", prefix, "--off", "--json"))["muted_until"] is None
    resolved = read_json_output(
        incidents("resolve", prefix, "--verdict", "false", "--comment", "meter replaced", "--json")
    )
    assert (resolved["state"], resolved["verdict"], resolved["comment"]) == (
        "resolved",
        "false_alarm",
        "meter replaced",
    )
    assert "there is no such incident" in incidents("list").stdout
    assert read_json_output(incidents("list", "--state", "resolved", "--json"))["incidents"] == [resolved]
    assert read_json_output(incidents("reopen", prefix, "--json"))["state"] != "resolved"
    assert "expected" in incidents("show", prefix).stdout
    accepted = read_json_output(incidents("accept", prefix, "--json"))
    assert (accepted["state"], accepted["verdict"]) == ("resolved", "true_alarm")
    [normal] = read_json_output(watch("show", "gas", "--json"))["new_normals"]
    assert (normal["entity"], normal["since"]) == (opened["entity"], opened["start"])
    applications = {event.application_name for event in workspace_at.events.read_events()}
    assert {
        f"Vigie command incidents {word}" for word in ("ack", "assign", "mute", "resolve", "reopen")
    } <= applications

    assert "paused" in watch("pause", "gas").stdout
    assert "waiting" in watch("resume", "gas").stdout
    assert read_json_output(watch("remove", "gas", "--json")) == {"removed": "gas"}
    assert read_json_output(watch("list", "--json")) == {"watches": []}
    assert_one_line_error(incidents("show", prefix), 1, "does not exist")


def test_watch_command_tells_a_failed_tick(watch: Command, site: Path, trained_model: tuple[Path, str]) -> None:
    read_json_output(
        watch(
            "add",
            "--name",
            "gas",
            "--from-run",
            trained_model[1],
            "--folder",
            site / "inbox",
            "--every",
            "1 day",
            "--json",
        )
    )
    (site / "inbox" / "wrong.csv").write_text("region,date,other\nCoast,2030-01-01,1\n", encoding="utf-8")
    process = watch("run", "gas")
    assert process.returncode == 1
    assert "failed" in process.stdout
    assert "wrong.csv" in process.stdout


def test_watch_command_reports_bad_input_in_one_line(
    watch: Command, incidents: Command, site: Path, trained_model: tuple[Path, str]
) -> None:
    add = partial(watch, "add", "--from-run", trained_model[1])
    assert_one_line_error(add("--name", "Gas!", "--folder", site / "inbox"), 2, "name")
    assert_one_line_error(add("--name", "gas", "--every", "1 day", "--cron", "0 6 * * *"), 2, "--every / --cron")
    assert_one_line_error(
        add("--name", "gas", "--folder", site, "--url", "https://example.org/a.csv"), 2, "--folder / --url"
    )
    assert_one_line_error(add("--name", "gas", "--url", "ftp://example.org/a.csv"), 2, "--url is not accepted")
    assert_one_line_error(add("--name", "gas", "--query", "SELECT 1"), 2, "--query needs --database")
    assert_one_line_error(add("--name", "gas", "--every", "soon", "--folder", site / "inbox"), 2, "soon")
    assert_one_line_error(add("--name", "gas", "--folder", site / "inbox", "--recipient", "nobody"), 2, "nobody")
    assert_one_line_error(watch("add", "--name", "gas", "--from-run", "f" * 32), 1, "was not found")
    for words in (("run",), ("show",), ("pause",), ("resume",), ("remove",)):
        assert_one_line_error(watch(*words, "nothing"), 1, "nothing")
    assert_one_line_error(incidents("ack", "f" * 32), 1, "does not exist")
    assert_one_line_error(incidents("resolve", "f" * 32, "--verdict", "maybe"), 2, "true, false, unsure")
    assert_one_line_error(incidents("mute", "f" * 32, "--until", "2026-01-31T13:00"), 2, "2026-01-31T13:00Z")
    assert_one_line_error(incidents("mute", "f" * 32), 2, "--until / --off")
    assert_one_line_error(incidents("list", "--watch", "nothing"), 1, "nothing")


def test_recipients_command_hides_the_secret_of_an_address(watch: Command, vigie_at: Command) -> None:
    recipients = partial(watch, "recipients")
    assert recipients("list").stdout == "there is no recipient\n"
    options = ("--language", "fr", "--zone", "Europe/Paris", "--quiet", "22:00-07:00", "--json")
    added = read_json_output(recipients("add", "ops", "--mail", "ops@example.org", *options))
    assert (added["address"], added["quiet_from"], added["quiet_until"]) == ("ops@example.org", "22:00", "07:00")
    added_chat = vigie_at("watch", "recipients", "add", "chat", "--chat", "-", piped=f"{CHAT}{SECRET}\n")
    assert added_chat.returncode == 0, added_chat.stderr
    refused = vigie_at("watch", "recipients", "add", "other", "--chat", "-", piped=f"{CHAT}{SECRET}-wrong\n")
    assert_one_line_error(refused, 2, "address of the chat is not accepted")
    listed = recipients("list")
    for process in (added_chat, refused, listed, recipients("list", "--json")):
        assert SECRET not in process.stdout + process.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["chat", "ops"]
    assert_one_line_error(recipients("add", "x", "--mail", "a@example.org", "--quiet", "late"), 2, "--quiet")
    assert_one_line_error(recipients("add", "x"), 2, "--mail / --webhook / --chat")
    assert_one_line_error(recipients("try", "nobody"), 1, "nobody")
    assert read_json_output(recipients("remove", "ops", "--json")) == {"removed": "ops"}
