"""Past rows of a watch: ticks of single rows find what one tick of all rows finds."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from core.data.ingest.loading import load
from core.forecasters.seasonal_naive import SeasonalNaive
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watches import change_watch
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec
from core.tasks.sequences.run import train
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.watches.watch import NewNormal
from core.workspace import Workspace
from tests.conftest import create_workspace
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, watch_inbox, write_rows

DAYS, HOURS = 30, 12
FAULT = FIRST_WATCHED + pd.Timedelta(hours=4)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """A workspace whose history of hourly power is stored."""
    workspace = create_workspace(tmp_path_factory.mktemp("past"), empty_store)
    rows = make_rows(FIRST_WATCHED - pd.Timedelta(days=DAYS), 24 * DAYS)
    write_rows(rows, workspace.folder / "power.csv")
    return workspace


@pytest.fixture(scope="module", params=["sub-pca", "moving-mean", "intervals"])
def run_id(workspace: Workspace, request: pytest.FixtureRequest) -> str:
    """The run of a model that needs past rows."""
    history = load([workspace.folder / "power.csv"])
    workspace.datasets.save(history)
    if request.param == "intervals":
        spec = IntervalsSpec(forecaster=SeasonalNaive(), horizon=24, value=("power", "voltage"))
        return judge_points(spec, history, workspace=workspace, actor=ALICE)[1].id
    detector = replace(list_detectors()[request.param](), window=6, centred=False)
    return train(SequenceSpec(detector), history, workspace=workspace, actor=ALICE)[1].id


def make_faulty_rows() -> pd.DataFrame:
    """Return the watched rows, with a fault of Lyon in two hours."""
    rows = make_rows(FIRST_WATCHED, HOURS, 5)
    rows.loc[(rows["site"] == "lyon") & rows["time"].between(FAULT, FAULT + pd.Timedelta(hours=1)), "power"] *= 3
    return rows


def list_incidents(workspace: Workspace, name: str) -> list[tuple[object, ...]]:
    """Return what the incidents of a watch tell about the watched time, by entity and start."""
    incidents = workspace.watches.incidents.list_incidents(watch=name, since=FIRST_WATCHED.tz_localize("UTC"))
    return sorted(
        (each.entity, each.start, each.end, each.rows, each.column, round(each.peak, 4), round(each.low or 0, 3))
        for each in incidents
        if not each.merged_into and each.rows
    )


def test_ticks_of_rows_find_what_one_tick_finds(workspace: Workspace, run_id: str) -> None:
    rows, name = make_faulty_rows(), run_id[:12]
    for kind in ("whole", "single"):
        _, inbox = watch_inbox(workspace, run_id, f"{kind}-{name}")
        write_rows(pd.read_csv(workspace.folder / "power.csv"), inbox / "history.csv")
        run_watch_now(f"{kind}-{name}", workspace, ALICE)
        parts = [rows] if kind == "whole" else [part for _, part in rows.groupby("time")]
        for number, part in enumerate(parts):
            write_rows(part, inbox / f"{number:03d}.csv")
            record = run_watch_now(f"{kind}-{name}", workspace, ALICE)
            assert (record.state, record.rows_new, record.rows_left_out) == ("completed", len(part), 0)
    found = list_incidents(workspace, f"single-{name}")
    assert found == list_incidents(workspace, f"whole-{name}")
    assert any(entity == "lyon" and start == FAULT.tz_localize("UTC") for entity, start, *_ in found)


def test_rows_before_new_normal_are_no_past(workspace: Workspace, run_id: str) -> None:
    name = f"normal-{run_id[:12]}"
    watch, inbox = watch_inbox(workspace, run_id, name)
    write_rows(pd.read_csv(workspace.folder / "power.csv"), inbox / "history.csv")
    run_watch_now(name, workspace, ALICE)
    level = NewNormal(entity="lyon", since=FIRST_WATCHED.tz_localize("UTC"))
    change_watch(watch.model_copy(update={"new_normals": (level,)}), workspace, ALICE)
    write_rows(make_rows(FIRST_WATCHED, 1, 5), inbox / "rows.csv")
    record = run_watch_now(name, workspace, ALICE)
    assert (record.state, record.rows_new) == ("completed", 3)
    if watch.task == "intervals":
        assert record.rows_left_out == 1  # Lyon has no past any more
