"""What persons do about incidents, through the stores: steps, announcements, verdicts and accepted levels."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.covariates.read import read_covariates
from core.data.dataset import Dataset, make_index
from core.errors import NotFoundError, OptionError
from core.evaluation.feedback_metrics import AlarmPrecision
from core.operations.threshold_from_feedback import load_flagged_rows, propose_threshold
from core.operations.watching.incident_events import add_known_events, check_event_choices
from core.operations.watching.incidents import (
    accept_level,
    acknowledge_incident,
    assign_incident,
    list_open_incidents,
    mute_incident,
    reopen_incident,
    resolve_incident,
)
from core.operations.watching.watch_figures import WatchFigures, measure_watch
from core.runs.verdicts import measure_model_precision
from core.watches.incident import Incident, IncidentChange
from core.watches.watch import NewNormal
from core.workspace import Workspace
from tests.conftest import create_workspace
from tests.support.databases import wait_for_abandoned_calls
from tests.support.watch_stores import (
    DAY,
    HOUR,
    START,
    build_incident,
    build_outcome,
    build_recipient,
    build_watch,
    claim_watch,
    commit_rows,
    dump_watch_tables,
)
from tests.support.watched_power import train_power_model

ADA, BOB = Actor("ada", "tests"), Actor("bob", "tests")


@pytest.fixture
def watched(tmp_path: Path, empty_store: Path) -> Iterator[Workspace]:
    """A workspace with the watch `calls`, which tells `ops`."""
    workspace = create_workspace(tmp_path, empty_store)
    workspace.watches.recipients.save_recipient(build_recipient())
    workspace.watches.watches.add_watch(build_watch(recipients=("ops",)), START)
    yield workspace
    wait_for_abandoned_calls()
    workspace.watches.close()


def open_incidents(workspace: Workspace, *incidents: Incident) -> None:
    """Store incidents as a tick does."""
    lease = claim_watch(workspace.watches, name="calls")
    changes = tuple(IncidentChange(kind="opened", incident=incident) for incident in incidents)
    assert workspace.watches.ticks.commit_tick(lease, build_outcome(lease, changes=changes), START + HOUR)


def count_announcements(workspace: Workspace) -> int:
    return len(dump_watch_tables(workspace.watches)["watch_announcements"])


def test_steps_are_stored_and_recorded(watched: Workspace) -> None:
    incident = build_incident(severity=2)
    open_incidents(watched, incident)
    until = datetime.now(UTC) + HOUR
    assert acknowledge_incident(incident.id[:8], watched, ADA).acknowledged_by == "ada"
    assert assign_incident(incident.id, " bob ", watched, ADA).assignee == "bob"
    assert mute_incident(incident.id, until, watched, ADA).muted_until == until
    assert list_open_incidents(watched)[0].muted_until == until
    assert resolve_incident(incident.id, "true_alarm", "cut cable", watched, BOB).resolved_by == "bob"
    assert not list_open_incidents(watched)
    assert reopen_incident(incident.id, watched, ADA).reopenings == 1
    assert [each.id for each in list_open_incidents(watched, "calls")] == [incident.id]
    events = [event.event for event in watched.events.read_events()]
    names = ("acknowledge", "assign", "mute", "resolve", "reopen")
    assert [event for event in events if event.startswith("incident_")] == [f"incident_{name}" for name in names]


def test_only_ends_and_reopenings_are_announced(watched: Workspace) -> None:
    incident = build_incident(severity=2)
    open_incidents(watched, incident)
    acknowledge_incident(incident.id, watched, ADA)
    assert count_announcements(watched) == 0
    for _ in range(2):  # a double click
        resolve_incident(incident.id, None, "", watched, ADA)
        assert count_announcements(watched) == 1
    reopen_incident(incident.id, watched, ADA)
    resolve_incident(incident.id, None, "", watched, ADA)
    assert count_announcements(watched) == 3


def test_second_of_two_persons_is_told_who_was_first(watched: Workspace) -> None:
    incident = build_incident()
    open_incidents(watched, incident)

    def take_step(number: int) -> str:
        try:
            return acknowledge_incident(incident.id, watched, Actor(f"user-{number}", "tests")).acknowledged_by
        except OptionError as error:
            return str(error)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(take_step, range(8)))
    stored = watched.watches.incidents.load_incident(incident.id)
    assert answers.count(stored.acknowledged_by) == 1
    assert answers.count(f"{stored.acknowledged_by} has acknowledged this incident already.") == 7


def test_unknown_incident_is_told(watched: Workspace) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        acknowledge_incident("a" * 32, watched, ADA)


def test_accepted_level_is_kept_by_the_watch(watched: Workspace) -> None:
    first, second = build_incident(kind="lasting change", is_lasting_from=START), build_incident(entity="south")
    open_incidents(watched, first, second)
    assert accept_level(first.id, None, watched, ADA).verdict == "true_alarm"
    accept_level(second.id, START - DAY, watched, ADA)
    accept_level(second.id, START - DAY, watched, ADA)  # a double click
    watch = watched.watches.watches.load_watch("calls")
    assert watch.new_normals == (NewNormal(entity="north", since=START), NewNormal(entity="south", since=START - DAY))
    assert not list_open_incidents(watched)


def test_levels_that_are_accepted_at_once_are_all_kept(watched: Workspace) -> None:
    incidents = [build_incident(entity=f"site-{number}") for number in range(8)]
    open_incidents(watched, *incidents)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda incident: accept_level(incident.id, None, watched, ADA), incidents))
    levels = watched.watches.watches.load_watch("calls").new_normals
    assert {level.entity for level in levels} == {incident.entity for incident in incidents}


def test_level_that_cannot_be_accepted_changes_nothing(watched: Workspace) -> None:
    missing, later = build_incident(kind="no data", entity=""), build_incident()
    open_incidents(watched, missing, later)
    with pytest.raises(OptionError, match="about missing data"):
        accept_level(missing.id, None, watched, ADA)
    with pytest.raises(OptionError, match="after the incident has ended"):
        accept_level(later.id, START + HOUR, watched, ADA)
    resolve_incident(later.id, None, "", watched, BOB)
    with pytest.raises(OptionError, match="bob has resolved"):
        accept_level(later.id, None, watched, ADA)
    assert not watched.watches.watches.load_watch("calls").new_normals


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[Workspace, str]]:
    """A workspace with a trained model, and the id of its run."""
    workspace, run_id = train_power_model(tmp_path_factory.mktemp("power"), empty_store)
    yield workspace, run_id
    wait_for_abandoned_calls()
    workspace.watches.close()


def test_verdicts_move_the_threshold_of_the_model(power: tuple[Workspace, str]) -> None:
    """False alarms of a watch above the threshold propose a higher one, and lower the precision of the model."""
    workspace, run_id = power
    workspace.watches.watches.add_watch(build_watch("power", model=run_id), START)
    before, flagged = measure_model_precision(run_id, workspace), load_flagged_rows(run_id, workspace)
    assert propose_threshold(flagged) is None
    peaks = (1.1, 1.2, 3.0)
    incidents = [
        build_incident("power", start=START + n * DAY, peak=flagged.threshold * peak, run=run_id, zone="Europe/Paris")
        for n, peak in enumerate(peaks)
    ]
    lease = claim_watch(workspace.watches, name="power")
    changes = tuple(IncidentChange(kind="opened", incident=incident) for incident in incidents)
    assert workspace.watches.ticks.commit_tick(lease, build_outcome(lease, changes=changes), START + HOUR)
    for incident, verdict in zip(incidents, ("false_alarm", "false_alarm", "true_alarm"), strict=True):
        resolve_incident(incident.id, verdict, "", workspace, ADA)
    after = measure_model_precision(run_id, workspace)
    assert (after.true_alarms - before.true_alarms, after.false_alarms - before.false_alarms) == (1, 2)
    proposal = propose_threshold(load_flagged_rows(run_id, workspace))
    assert proposal is not None
    assert flagged.threshold * 1.2 <= proposal.candidate.threshold < flagged.threshold * 3.0
    assert proposal.candidate.false_alarms_removed == 2
    record = workspace.feedback.read_records()[-1]
    assert (record.page, record.run_id, record.user) == ("anomalies", run_id, workspace.pseudonymise("ada"))
    assert record.row is not None
    assert (record.row["entity"], record.row["watch"], record.row["time"]) == ("north", "power", "2026-03-03T01:00:00")


def test_verdict_taken_back_counts_once(watched: Workspace) -> None:
    incident = build_incident(run="a" * 32, peak=5.0)
    open_incidents(watched, incident)
    resolve_incident(incident.id, "false_alarm", "", watched, ADA)
    reopen_incident(incident.id, watched, ADA)
    resolve_incident(incident.id, "true_alarm", "", watched, ADA)
    assert [record.verdict for record in watched.feedback.read_records()] == ["false_alarm", "true_alarm"]
    assert measure_model_precision("a" * 32, watched) == AlarmPrecision(1, 0)


def test_missing_data_give_no_feedback(watched: Workspace) -> None:
    incident = build_incident(kind="no data", entity="", run="a" * 32)
    open_incidents(watched, incident)
    resolve_incident(incident.id, "true_alarm", "", watched, ADA)
    assert not watched.feedback.read_records()


# ---- figures and known events ---------------------------------------------------------------------------------------


def test_figures_of_a_watch(power: tuple[Workspace, str]) -> None:
    workspace, run_id = power
    workspace.watches.watches.add_watch(build_watch("calls", model=run_id), START)
    commit_rows(workspace.watches, {("north", START + n * HOUR): 1.0 for n in range(200)})
    incidents = [build_incident(start=START + n * HOUR, run="") for n in range(3)]
    open_incidents(workspace, *incidents)
    for incident, verdict in zip(incidents, ("false_alarm", "true_alarm", "unsure"), strict=True):
        resolve_incident(incident.id, verdict, "", workspace, ADA)
    figures = measure_watch("calls", workspace, START - DAY)
    assert (figures.rows, figures.alarms, figures.precision) == (200, 0, AlarmPrecision(1, 1))
    assert figures.target_rate is not None
    assert figures.expected_alarms == pytest.approx(200 * figures.target_rate)
    assert measure_watch("calls", workspace, START + DAY).precision.reviewed_count == 0
    with pytest.raises(NotFoundError):
        measure_watch("unknown", workspace, START)


def test_figures_without_model_have_no_target(watched: Workspace) -> None:
    figures = measure_watch("calls", watched, START)
    assert (figures.target_rate, figures.expected_alarms, figures.exceeds_target) == (None, None, False)


@pytest.mark.parametrize(
    ("alarms", "incidents", "exceeds"), [(10, 10, False), (40, 40, True), (40, 1, False), (40, 0, False), (0, 0, False)]
)
def test_alarms_exceed_target_only_significantly(alarms: int, incidents: int, exceeds: bool) -> None:
    """Alarms that come as one incident are one event."""
    figures = WatchFigures(START, 1000, alarms, incidents, 0.01, AlarmPrecision(0, 0))
    assert figures.exceeds_target == exceeds


def build_template(zone: str = "Europe/Paris", step: str = "1h") -> Dataset:
    index = make_index(["Île-de-France"], pd.DatetimeIndex(["2024-01-01"]))
    frame = pd.DataFrame({"power": [1.0]}, index=index)
    dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(step), zone=zone)
    return dataset.take_rows(np.zeros(0, dtype=np.intp))


def describe_events(workspace: Workspace, template: Dataset, incident: Incident, **fields: object) -> list[str]:
    watch = build_watch(**fields)
    (change,) = add_known_events(watch, [IncidentChange(kind="opened", incident=incident)], template, workspace)
    return [str(message) for message in change.incident.event_messages]


def test_holidays_are_named_beside_incidents(workspace: Workspace) -> None:
    may_day = datetime(2024, 4, 30, 22, 30, tzinfo=UTC)  # half an hour past midnight in Paris
    holiday = build_incident(entity="Île-de-France", start=may_day)
    assert describe_events(workspace, build_template(), holiday) == ["public holiday: Labor Day"]
    assert not describe_events(workspace, build_template(), holiday, calendar="none")
    before = build_incident(entity="Île-de-France", start=may_day - HOUR)
    assert not describe_events(workspace, build_template(), before)
    day = build_incident(entity="Île-de-France", start=datetime(2024, 4, 30, 22, tzinfo=UTC))
    assert describe_events(workspace, build_template(step="1D"), day) == ["public holiday: Labor Day"]
    day_before = build_incident(entity="Île-de-France", start=datetime(2024, 4, 29, 22, tzinfo=UTC))
    assert not describe_events(workspace, build_template(step="1D"), day_before)


def test_clock_changes_are_named_beside_incidents(workspace: Workspace) -> None:
    incident = build_incident(entity="Île-de-France", start=datetime(2024, 10, 27, 0, 30, tzinfo=UTC))
    incident = incident.model_copy(update={"end": incident.start + 2 * HOUR})
    assert any("clock change" in text for text in describe_events(workspace, build_template(), incident))


def test_events_that_cannot_be_had_are_left_out(workspace: Workspace) -> None:
    incident = build_incident(start=datetime(2024, 5, 1, 10, tzinfo=UTC))
    assert not describe_events(workspace, build_template(), incident, covariates="a" * 64)
    missing = build_incident(kind="no data", start=datetime(2024, 5, 1, 10, tzinfo=UTC))
    assert not describe_events(workspace, build_template(), missing)


def test_strikes_of_the_covariates_are_named(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "strikes.csv"
    file.write_text("date,strike\n2024-03-12,1\n2024-03-13,0\n")
    digest = workspace.covariates.save(read_covariates([file]))
    incident = build_incident(entity="Île-de-France", start=datetime(2024, 3, 12, 10, tzinfo=UTC))
    assert describe_events(workspace, build_template(), incident, covariates=digest) == ["strike"]
    after = build_incident(entity="Île-de-France", start=datetime(2024, 3, 13, 10, tzinfo=UTC))
    assert not describe_events(workspace, build_template(), after, covariates=digest)


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"calendar": "XX"}, "XX"), ({"places": ("paris",)}, "paris"), ({"covariates": "a" * 64}, "stored|covariates")],
)
def test_choices_of_known_events_are_checked(workspace: Workspace, fields: dict[str, object], text: str) -> None:
    check_event_choices(build_watch(), workspace)
    with pytest.raises((OptionError, NotFoundError), match=text):
        check_event_choices(build_watch(**fields), workspace)
