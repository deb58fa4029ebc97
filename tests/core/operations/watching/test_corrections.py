"""Corrected rows leave their incidents, whatever they are corrected to."""

from pathlib import Path

import pandas as pd
import pytest

from core.operations.watching.tick import run_watch_now
from core.watches.incident import Incident
from core.workspace import Workspace
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, train_power_model, watch_inbox, write_rows


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    return train_power_model(tmp_path_factory.mktemp("corrected"), empty_store)


def make_rising_fault(first_hour: int = 5, last_hour: int = 7) -> pd.DataFrame:
    """Return twelve hours in which the power of Paris rises more and more above the usual."""
    rows = make_rows(FIRST_WATCHED, 12, 3)
    hours = rows["time"].dt.hour
    is_faulty = (rows["site"] == "paris") & hours.between(first_hour, last_hour)
    rows.loc[is_faulty, "power"] *= 1.3 + hours[is_faulty] / 10
    return rows


def run_ticks(workspace: Workspace, inbox: Path, name: str, *tables: pd.DataFrame) -> list[Incident]:
    """Let tables arrive one after the other, and return the incidents that are neither withdrawn nor merged."""
    for number, table in enumerate(tables):
        write_rows(table, inbox / f"{number}.csv")
        record = run_watch_now(name, workspace, ALICE)
        assert record.problem is None
    incidents = workspace.watches.incidents.list_incidents(watch=name)
    return [incident for incident in incidents if not incident.is_withdrawn and not incident.merged_into]


def test_worst_row_that_is_corrected_leaves_the_next_worst(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, "next-worst")
    rows, usual = make_rising_fault(), make_rows(FIRST_WATCHED, 12, 3)
    is_worst = (rows["site"] == "paris") & (rows["time"].dt.hour == 7)
    [incident] = run_ticks(workspace, inbox, "next-worst", rows, rows.mask(is_worst, usual))
    is_next = (rows["site"] == "paris") & (rows["time"].dt.hour == 6)
    assert (incident.rows, incident.end.hour, incident.peak_at.hour) == (2, 6, 6)
    assert incident.measured == pytest.approx(rows.loc[is_next, "power"].item())
    assert incident.column == "power"
    assert incident.expected is not None


def test_row_that_loses_its_values_leaves_its_incident(trained_model: tuple[Workspace, str]) -> None:
    """It counts once when it comes back."""
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, "lost-values")
    rows = make_rising_fault()
    is_last = (rows["site"] == "paris") & (rows["time"].dt.hour == 7)
    empty = rows.assign(power=rows["power"].mask(is_last))
    [incident] = run_ticks(workspace, inbox, "lost-values", rows, empty)
    assert (incident.rows, incident.end.hour) == (2, 6)
    write_rows(rows.iloc[::-1], inbox / "again.csv")
    assert run_watch_now("lost-values", workspace, ALICE).rows_corrected == 1
    assert [each.rows for each in workspace.watches.incidents.list_incidents(watch="lost-values")] == [3]


def test_incident_parts_and_joins_again(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    _, inbox = watch_inbox(workspace, run_id, "parted")
    rows, usual = make_rising_fault(3, 9), make_rows(FIRST_WATCHED, 12, 3)
    is_middle = (usual["site"] == "paris") & usual["time"].dt.hour.between(5, 7)
    parted = run_ticks(workspace, inbox, "parted", rows, rows.mask(is_middle, usual))
    assert sorted((each.start.hour, each.end.hour, each.rows) for each in parted) == [(3, 4, 2), (8, 9, 2)]
    write_rows(rows.iloc[::-1], inbox / "again.csv")
    run_watch_now("parted", workspace, ALICE)
    whole, merged = workspace.watches.incidents.list_incidents(watch="parted")
    assert (whole.start.hour, whole.end.hour, whole.rows) == (3, 9, 7)
    assert merged.merged_into == whole.id
