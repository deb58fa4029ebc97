"""Ticks of a watch on a folder: every row judged once, incidents, files that cannot be read, sources that are dead."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from core.actor import Actor
from core.data.ingest.loading import load
from core.errors import NotFoundError, OptionError
from core.operations.watching.judges import load_judge
from core.operations.watching.tick import REFUSED, SET_ASIDE, UNEXPECTED, run_due_ticks, run_tick, run_watch_now
from core.operations.watching.watches import pause_watch
from core.runs.promotion import promote, register
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.run import apply_model, apply_threshold
from core.watches.watch import Recipient
from core.workspace import Workspace
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, train_power_model, watch_inbox, write_rows

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    """A workspace with a model, and the id of its run."""
    return train_power_model(tmp_path_factory.mktemp("watched"), empty_store)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name of a watch that no other test uses."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")


def make_faulty_rows(hours: int = 24, seed: int = 3) -> pd.DataFrame:
    """Return rows with a fault of Paris in three hours."""
    rows = make_rows(FIRST_WATCHED, hours, seed)
    rows.loc[(rows["site"] == "paris") & rows["time"].dt.hour.between(5, 7), "power"] *= 1.7
    return rows


def test_new_rows_are_judged_as_page_judges_them(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    path = write_rows(make_faulty_rows(), inbox / "rows.csv")
    record = run_watch_now(name, workspace, ALICE)
    page, _ = apply_model(ApplySpec(model=run_id), load([path]), workspace=workspace, actor=ALICE)
    assert (record.state, record.rows_new, record.alarms, record.problem) == (
        "completed",
        72,
        len(page.anomalies),
        None,
    )
    assert record.model_run == run_id
    [incident] = workspace.watches.incidents.list_incidents(watch=name)
    worst = page.rows.loc[page.incidents["row"].iloc[0]]
    assert (incident.entity, incident.rows, incident.severity) == ("paris", len(page.anomalies), worst["severity"])
    assert (incident.start, incident.end) == tuple(
        pd.Timestamp(page.incidents[end].iloc[0]).tz_localize(UTC) for end in ("start", "end")
    )
    assert (incident.column, incident.peak) == (worst["column"], pytest.approx(worst["score"]))
    assert incident.measured == pytest.approx(worst["value"])
    assert incident.run == run_id


def test_rows_that_came_before_are_not_judged_again(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    rows = make_faulty_rows()
    write_rows(rows, inbox / "rows.csv")
    run_watch_now(name, workspace, ALICE)
    assert run_watch_now(name, workspace, ALICE).rows_new == 0
    write_rows(rows.iloc[::-1], inbox / "again.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.rows_new, record.rows_corrected, record.rows_known, record.alarms) == (0, 0, 72, 0)
    assert len(workspace.watches.incidents.list_incidents(watch=name)) == 1


def test_rows_of_entity_that_model_does_not_know_are_told_and_stored(
    trained_model: tuple[Workspace, str], name: str
) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name, history_days=30)
    rows = pd.concat([make_faulty_rows(), make_rows(FIRST_WATCHED, 24, entities=("brest", "nice"))])
    write_rows(rows, inbox / "rows.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.state, record.rows_new, record.rows_left_out) == ("completed", 120, 48)
    assert record.alarms > 0
    assert "brest, nice" in str(record.problem)
    since = FIRST_WATCHED.tz_localize(UTC).to_pydatetime()
    assert len(workspace.watches.rows.load_past(name, {"brest"}, since, since + 48 * HOUR)) == 24
    write_rows(rows.iloc[::-1], inbox / "again.csv")
    again = run_watch_now(name, workspace, ALICE)
    assert (again.rows_new, again.rows_known) == (0, 120)


def test_correction_takes_row_out_of_incident(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    rows, usual = make_faulty_rows(), make_rows(FIRST_WATCHED, 24, 3)
    write_rows(rows, inbox / "rows.csv")
    run_watch_now(name, workspace, ALICE)
    is_first = (rows["site"] == "paris") & (rows["time"].dt.hour == 5)
    write_rows(usual[is_first], inbox / "first.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.rows_corrected, record.alarms) == (1, 0)
    [incident] = workspace.watches.incidents.list_incidents(watch=name)
    assert (incident.rows, incident.start.hour, incident.state) == (2, 6, "open")
    write_rows(usual, inbox / "all.csv")
    run_watch_now(name, workspace, ALICE)
    [incident] = workspace.watches.incidents.list_incidents(watch=name)
    assert (incident.rows, incident.state) == (0, "resolved")


@settings(max_examples=4)
@given(data=st.data())
def test_any_arrival_of_rows_gives_same_incidents(trained_model: tuple[Workspace, str], data: st.DataObject) -> None:
    """Rows come in any order, cut into any files, some twice: each is judged once, and the incidents are the same."""
    workspace, run_id = trained_model
    number = sum(1 for _ in (workspace.folder / "inbox").glob("*")) if (workspace.folder / "inbox").exists() else 0
    name = f"any-arrival-{number}"
    _, inbox = watch_inbox(workspace, run_id, name)
    rows = make_faulty_rows(12)
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=3)))
    parts = np.split(order, cuts)
    repeated = data.draw(st.lists(st.sampled_from(range(len(parts))), max_size=1))
    judged = 0
    for place, part in enumerate([*parts, *(parts[each][::-1] for each in repeated)]):
        write_rows(rows.iloc[part], inbox / f"{place}.csv")
        record = run_watch_now(name, workspace, ALICE)
        judged += record.rows_new + record.rows_corrected
    assert judged == len(rows)
    incidents = [
        incident for incident in workspace.watches.incidents.list_incidents(watch=name) if not incident.merged_into
    ]
    assert [(each.entity, each.start.hour, each.end.hour, each.rows) for each in incidents] == [("paris", 5, 7, 3)]


# ---- files ----------------------------------------------------------------------------------------------------------


def test_bad_file_keeps_no_rows_back_and_is_set_aside(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    write_rows(make_faulty_rows(), inbox / "good.csv")
    (inbox / "bad.csv").write_text("time,site,power\n2024-03-02 00:00,paris,3\n")
    records = [run_watch_now(name, workspace, ALICE) for _ in range(4)]
    assert [record.rows_new for record in records] == [72, 0, 0, 0]
    templates = [record.problem.template if record.problem else None for record in records]
    assert templates == [REFUSED, REFUSED, SET_ASIDE, None]
    assert "bad.csv" in str(records[2].problem)
    assert "'voltage'" in str(records[2].problem)
    (inbox / "bad.csv").unlink()
    write_rows(make_rows(FIRST_WATCHED + pd.Timedelta(days=1), 1), inbox / "bad.csv")
    assert run_watch_now(name, workspace, ALICE).rows_new == 3


def test_bad_files_alone_fail_ticks(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    (inbox / "bad.csv").write_text("site,power\nparis,3\n")
    records = [run_watch_now(name, workspace, ALICE) for _ in range(3)]
    assert [record.state for record in records] == ["failed", "failed", "completed"]
    assert workspace.watches.watches.load_state(name).failures == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("time,site,power,voltage,more\n2024-03-02 00:00,paris,3,4,5\n", "more"),
        ("time,site,power,voltage\nyesterday,paris,3,4\n", "'yesterday' is not a date"),
        ("time,site,power,voltage\n2024-03-02 00:00,paris,much,more\n", "bad.csv"),
    ],
    ids=["another column", "no date", "no number"],
)
def test_reason_names_file_and_fault(trained_model: tuple[Workspace, str], name: str, text: str, reason: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    (inbox / "bad.csv").write_text(text)
    record = run_watch_now(name, workspace, ALICE)
    assert record.state == "failed"
    assert "bad.csv" in str(record.problem)
    assert reason in str(record.problem)


def test_last_of_repeated_rows_counts_and_is_told(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    rows = make_rows(FIRST_WATCHED, 1)
    write_rows(pd.concat([rows.assign(power=rows["power"] * 3), rows]), inbox / "rows.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.rows_new, record.alarms) == (3, 0)
    assert str(record.problem) == "3 rows replaced earlier ones of the same entity and time in the same arrival."


def test_rows_without_values_are_left_out_once(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    rows = make_rows(FIRST_WATCHED, 2)
    rows.loc[0, "power"] = np.nan
    write_rows(rows, inbox / "rows.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.rows_new, record.rows_left_out) == (6, 1)
    write_rows(rows.iloc[::-1], inbox / "again.csv")
    assert run_watch_now(name, workspace, ALICE).rows_known == 6


def test_file_of_one_row_with_other_order_of_columns_is_read(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    row = make_faulty_rows().query("site == 'paris' and time.dt.hour == 6")
    write_rows(row[["voltage", "site", "power", "time"]], inbox / "row.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.rows_new, record.alarms) == (1, 1)


# ---- sources, models and errors -------------------------------------------------------------------------------------


def test_dead_source_becomes_incident_and_its_return_resolves_it(
    trained_model: tuple[Workspace, str], name: str
) -> None:
    workspace, run_id = trained_model
    workspace.watches.recipients.save_recipient(
        Recipient(name="night-shift", channel="mail", address="night@example.org")
    )
    _, inbox = watch_inbox(workspace, run_id, name, recipients=("night-shift",))
    shutil.rmtree(inbox)
    records = [run_watch_now(name, workspace, ALICE) for _ in range(4)]
    assert [record.state for record in records] == ["failed"] * 4
    assert [record.incidents_opened for record in records] == [0, 0, 1, 0]
    [incident] = workspace.watches.incidents.list_incidents(watch=name, is_open=True)
    assert (incident.kind, incident.entity) == ("no data", "")
    write_rows(make_rows(FIRST_WATCHED, 1), inbox / "rows.csv")
    assert run_watch_now(name, workspace, ALICE).rows_new == 3
    assert workspace.watches.incidents.list_incidents(watch=name, is_open=True) == []
    errors = [event for event in workspace.events.read_events() if event.details.inputs.get("watch") == name]
    assert [event.status for event in errors if event.event == "watch_tick"] == ["failed"] * 4


def test_watch_follows_champion(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    register(run_id, "power", workspace=workspace, actor=ALICE)
    promote("power", workspace=workspace, actor=ALICE)
    watch, inbox = watch_inbox(workspace, run_id, name)
    assert watch.model == "power@champion"
    write_rows(make_faulty_rows(), inbox / "rows.csv")
    assert run_watch_now(name, workspace, ALICE).alarms == 3
    history = load([workspace.folder / "power.csv"])
    _, blind = apply_threshold(ThresholdSpec(run=run_id, threshold=1e9), history, workspace=workspace, actor=ALICE)
    register(blind.id, "power", workspace=workspace, actor=ALICE)
    promote("power", workspace=workspace, actor=ALICE, force=True, reason="a test")
    write_rows(make_faulty_rows().assign(time=lambda rows: rows["time"] + pd.Timedelta(days=1)), inbox / "next.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.model_run, record.rows_new, record.alarms) == (blind.id, 72, 0)


def test_unexpected_error_is_failed_tick(
    trained_model: tuple[Workspace, str], name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace, run_id = trained_model
    watch, inbox = watch_inbox(workspace, run_id, name)
    write_rows(make_rows(FIRST_WATCHED, 1), inbox / "rows.csv")
    judge = load_judge(watch, workspace)[1]
    with monkeypatch.context() as patch:
        patch.setattr(type(judge), "judge_rows", lambda *_: 1 / 0)
        record = run_watch_now(name, workspace, ALICE)
    assert record.state == "failed"
    assert record.problem is not None
    assert record.problem.template == UNEXPECTED
    assert f"error {record.problem.values['number']}" in caplog.text
    assert run_watch_now(name, workspace, ALICE).rows_new == 3


def test_secrets_of_settings_stay_out_of_records(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    (inbox / "bad.csv").write_text("time,site,power,voltage\nhunter2-hunter2,paris,3.5,4.5\n")
    secret = {"vigie_webhook_key": SecretStr("hunter2-hunter2")}
    careful = replace(workspace, settings=workspace.settings.model_copy(update=secret))
    assert "hunter2" in str(run_watch_now(name, workspace, ALICE).problem)
    assert "hunter2" not in str(run_watch_now(name, careful, ALICE).problem)


def test_lost_lease_stores_nothing(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, name)
    write_rows(make_faulty_rows(), inbox / "rows.csv")
    now = datetime.now(UTC)
    lease = workspace.watches.ticks.claim_tick("slow", now, name)
    assert lease is not None
    with pytest.raises(OptionError, match="is being asked now"):
        run_watch_now(name, workspace, ALICE)
    pause_watch(name, True, workspace, ALICE)
    workspace.watches.watches.change_watch(lease.watch, now)  # which takes the lease away
    assert run_tick(lease, workspace, now) is None
    assert workspace.watches.incidents.list_incidents(watch=name) == []
    assert run_watch_now(name, workspace, ALICE).rows_new == 72


def test_due_watches_are_asked_once_and_paused_ones_are_not(trained_model: tuple[Workspace, str], name: str) -> None:
    workspace, run_id = trained_model
    for state in workspace.watches.watches.list_states():
        pause_watch(state.watch.name, True, workspace, ALICE)
    watch_inbox(workspace, run_id, name)
    now = datetime.now(UTC)
    assert run_due_ticks(workspace, "worker", now) == 1
    assert run_due_ticks(workspace, "worker", now) == 0
    state = workspace.watches.watches.load_state(name)
    assert state.next_tick is not None
    assert now < state.next_tick <= now + HOUR
    assert state.next_tick.minute == 0
    assert run_due_ticks(workspace, "worker", now + 30 * HOUR) == 1  # missed ticks are made up once
    pause_watch(name, True, workspace, ALICE)
    assert run_due_ticks(workspace, "worker", now + 60 * HOUR) == 0
    pause_watch(name, False, workspace, ALICE)
    assert run_due_ticks(workspace, "worker", now + 60 * HOUR) == 1


def test_unknown_watch_is_told(trained_model: tuple[Workspace, str]) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        run_watch_now("nobody", trained_model[0], Actor("alice", "tests"))
