"""Retraining of watched models: at the dates of the schedule, once, on stored rows, through the promotion gate."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core import queries
from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.errors import DataError, NotFoundError
from core.jobs.queue import list_unfinished
from core.operations.queries import REFIT_WATCH
from core.operations.watching.drift_watch import measure_drift, measure_watch_drift
from core.operations.watching.judges import load_judge
from core.operations.watching.refit import (
    RefitSpec,
    find_due_refit,
    list_refits,
    open_records,
    refit_watch,
    run_refit,
    submit_due_refits,
)
from core.operations.watching.refit_gate import REFIT_PROMOTION, compare_figures, measure_backtest, split_rows
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watcher import watch_loop
from core.progress import Progress
from core.runs.promotion import CommonBacktest, get_version, list_versions, promote, register
from core.runs.stored_runs import load_run
from core.storage.watches.judged_rows import JudgedBatch, compute_digests
from core.storage.watches.refit_records import RefitRecord
from core.storage.watches.ticks import TickOutcome, TickRecord
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.watches.source import FolderSource
from core.watches.watch import NewNormal, Watch
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import run_worker
from tests.support.concurrency import wait_until

ADA = Actor("ada", "tests")
NAME = "load-model"
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC)


def make_rows(
    days: int, level: float = 100.0, seed: int = 0, entity: str = "north", start: datetime = FIRST_DAY
) -> Dataset:
    """Return hourly loads of one entity."""
    rng, hours = np.random.default_rng(seed), np.arange(days * 24)
    values = level + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 2, len(hours))
    times = pd.date_range(start.replace(tzinfo=None), periods=len(hours), freq="h")
    index = make_index([entity] * len(hours), times)
    frame = pd.DataFrame({"load": values}, index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MW", files=("load.csv",), zone="UTC")


def train_champion(workspace: Workspace, dataset: Dataset) -> str:
    """Train and register a model, and make it champion; return its run."""
    workspace.datasets.save(dataset)
    run = detect(DetectionSpec(), dataset, workspace=workspace, actor=ADA)[1]
    register(run.id, NAME, workspace=workspace, actor=ADA)
    promote(NAME, workspace=workspace, actor=ADA)
    return run.id


def add_watch(workspace: Workspace, **values: Any) -> Watch:
    source = FolderSource(path="inbox")
    fields = {"model": f"{NAME}@champion", "history_days": 90, "created_at": NOW - timedelta(days=40)}
    watch = Watch(name="load", task="anomalies", schedule="1 hour", **{"source": source, **fields, **values})
    workspace.watches.watches.add_watch(watch, NOW)
    return watch


def store_rows(workspace: Workspace, *datasets: Dataset) -> None:
    """Store rows as a tick does."""
    lease = workspace.watches.ticks.claim_tick("test", NOW, "load")
    assert lease is not None
    frames = [dataset.frame.set_axis(dataset.frame.index.set_names(["entity", "instant"])) for dataset in datasets]
    arrivals = pd.concat(frames)
    batch = JudgedBatch(
        arrivals.index.get_level_values(0).to_numpy(dtype=object),
        arrivals.index.get_level_values(1).to_numpy("datetime64[ns]"),
        compute_digests(arrivals),
        np.zeros(len(arrivals), dtype=bool),
    )
    record = TickRecord(lease.tick, "load", NOW, NOW, NOW, rows_new=len(arrivals))
    outcome = TickOutcome(record, "", batch, arrivals, (), (), None)
    assert workspace.watches.ticks.commit_tick(lease, outcome, NOW + timedelta(hours=1))


def make_recent_rows(days: int, **values: Any) -> Dataset:
    """Return rows of the days up to now."""
    start = (NOW - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    return make_rows(days, start=start, **values)


# ---- one retraining ------------------------------------------------------------------------------------------------


def test_retrained_model_replaces_champion_after_a_change_of_level(workspace: Workspace) -> None:
    old_run = train_champion(workspace, make_rows(60))
    watch = add_watch(workspace)
    store_rows(workspace, make_recent_rows(60, level=160.0, seed=1))
    record = refit_watch("load", workspace, ADA)
    assert record.outcome == "promoted", record.reason
    assert record.rows == 60 * 24
    assert get_version(NAME, workspace=workspace).run_id == record.run != old_run
    assert load_judge(watch, workspace)[0] == record.run
    run = load_run(record.run, workspace).record
    assert run.params["detector"] == load_run(old_run, workspace).record.params["detector"]
    fitted = workspace.datasets.load(run.tags["dataset.digest"])
    assert len(fitted) == 48 * 24  # the last fifth compares the models
    assert list_refits(watch, workspace) == [record]


def test_equal_model_of_the_same_level_may_stay(workspace: Workspace) -> None:
    """A model that is no worse is accepted, one that is worse stays challenger: the gate decides, not the date."""
    old_run = train_champion(workspace, make_rows(60))
    add_watch(workspace)
    store_rows(workspace, make_recent_rows(60, seed=1))
    record = refit_watch("load", workspace, ADA)
    versions = {version.run_id: version.aliases for version in list_versions(workspace, NAME)}
    if record.outcome == "promoted":
        assert versions[record.run] == ("champion",)
    else:
        assert record.outcome == "kept"
        assert versions[old_run] == ("champion",)
        assert versions[record.run] == ("challenger",)
        assert "worse" in str(record.reason)


def test_worse_model_stays_challenger(workspace: Workspace) -> None:
    """Trained on rows of another level than those that compare, it breaks its promise."""
    old_run = train_champion(workspace, make_rows(60))
    add_watch(workspace)
    early = make_recent_rows(60, level=400.0, seed=1)
    late = make_recent_rows(12, seed=2)
    frame = pd.concat([early.frame.iloc[: 48 * 24], late.frame])
    store_rows(workspace, early.replace(frame=frame[~frame.index.duplicated()]))
    record = refit_watch("load", workspace, ADA)
    assert record.outcome == "kept"
    assert get_version(NAME, workspace=workspace).run_id == old_run
    assert get_version(NAME, "challenger", workspace=workspace).run_id == record.run


def test_rows_before_a_new_normal_are_left_out(workspace: Workspace) -> None:
    train_champion(workspace, make_rows(60))
    since = (NOW - timedelta(days=20)).replace(minute=0, second=0, microsecond=0)
    add_watch(workspace, new_normals=(NewNormal(entity="north", since=since),))
    store_rows(workspace, make_recent_rows(60, seed=1), make_recent_rows(60, seed=2, entity="south"))
    record = refit_watch("load", workspace, ADA)
    assert record.run, record.reason
    fitted = workspace.datasets.load(load_run(record.run, workspace).record.tags["dataset.digest"])
    assert record.rows == 80 * 24
    north = fitted.filter_rows(["north"])
    assert pd.Timestamp(north.time.min()) == pd.Timestamp(since.replace(tzinfo=None))
    assert len(fitted.filter_rows(["south"])) == 48 * 24


def test_large_watch_is_trained_on_its_latest_rows(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    train_champion(workspace, make_rows(60))
    add_watch(workspace)
    store_rows(workspace, make_recent_rows(60, level=160.0, seed=1))
    monkeypatch.setattr("core.operations.watching.refit.MAX_FIT_VALUES", 20 * 24)
    record = refit_watch("load", workspace, ADA)
    assert 18 * 24 <= record.rows <= 21 * 24


@pytest.mark.parametrize(
    ("values", "days", "outcome", "words"),
    [
        ({}, 3, "kept", "Training needs 100"),
        ({"history_days": 0}, 60, "kept", "Training needs 100"),
        ({"model": "e" * 32}, 60, "failed", "NAME@champion"),
        ({"model": f"{NAME}@challenger"}, 60, "failed", "NAME@champion"),
        ({"model": "other@champion"}, 60, "failed", "MLflow does not contain"),
    ],
)
def test_impossible_retraining_tells_why_and_changes_nothing(
    workspace: Workspace, values: dict[str, Any], days: int, outcome: str, words: str
) -> None:
    old_run = train_champion(workspace, make_rows(60))
    add_watch(workspace, **values)
    store_rows(workspace, make_recent_rows(days, seed=1))
    record = refit_watch("load", workspace, ADA)
    assert record.outcome == outcome
    assert words in str(record.reason)
    assert [version.run_id for version in list_versions(workspace, NAME)] == [old_run]


def test_run_is_told_where_mlflow_does_not_answer(workspace: Workspace) -> None:
    old_run = train_champion(workspace, make_rows(60))
    watch = add_watch(workspace)
    store_rows(workspace, make_recent_rows(60, level=160.0, seed=1))
    load_judge(watch, workspace)
    dead = replace(workspace, tracking=Tracking("http://127.0.0.1:9", None, workspace.folder / "runs"))
    record = refit_watch("load", dead, ADA)
    assert record.outcome == "failed"
    assert "MLflow" in str(record.reason)
    assert load_run(record.run, workspace).record.status == "completed"
    assert get_version(NAME, workspace=workspace).run_id == old_run


# ---- dates ---------------------------------------------------------------------------------------------------------


def test_date_is_due_once_since_the_watch_was_made(workspace: Workspace) -> None:
    watch = add_watch(workspace, refit="7 days")
    due = find_due_refit(watch, NOW)
    assert due is not None
    assert watch.created_at < due <= NOW
    assert find_due_refit(replace_watch(watch, created_at=NOW), NOW) is None
    assert find_due_refit(replace_watch(watch, is_paused=True), NOW) is None
    assert find_due_refit(replace_watch(watch, refit=""), NOW) is None


def replace_watch(watch: Watch, **values: Any) -> Watch:
    return watch.model_copy(update=values)


def test_due_retraining_is_done_once_by_any_worker(workspace: Workspace) -> None:
    train_champion(workspace, make_rows(60))
    watch = add_watch(workspace, refit="7 days", owner="ada")
    store_rows(workspace, make_recent_rows(60, level=160.0, seed=1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: submit_due_refits(workspace, NOW), range(4)))
    assert len(list_unfinished("ada", workspace)) == 1
    with run_worker(workspace, queries.run_job):
        while list_unfinished("ada", workspace):
            pass
    assert [record.outcome for record in list_refits(watch, workspace)] == ["promoted"]
    assert submit_due_refits(workspace, NOW) == 0
    assert len(list_versions(workspace, NAME)) == 2
    spec = RefitSpec("load", find_due_refit(watch, NOW).isoformat())  # type: ignore[union-attr]
    run_refit(spec, workspace=workspace, actor=ADA, progress=Progress())  # a job that a killed worker left
    assert len(list_versions(workspace, NAME)) == 2
    assert submit_due_refits(workspace, NOW + timedelta(days=7)) == 1


def test_unreadable_schedule_of_one_watch_stops_no_other(workspace: Workspace) -> None:
    first = add_watch(workspace, refit="never on Sundays")
    second = first.model_copy(update={"name": "other", "refit": "7 days"})
    workspace.watches.watches.add_watch(second, NOW)
    assert submit_due_refits(workspace, NOW) == 1


def test_retraining_of_a_removed_watch_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        run_refit(RefitSpec("load", NOW.isoformat()), workspace=workspace, actor=ADA, progress=Progress())


def test_damaged_record_is_left_out(workspace: Workspace) -> None:
    watch, records = add_watch(workspace), open_records(workspace)
    record = RefitRecord(
        watch="load", due=NOW, started=NOW, ended=NOW, outcome="kept", template="a {b}", values={"b": 1}
    )
    records.save_record(record)
    (records.folder / "load" / "20200101T000000.json").write_text("{")
    assert list_refits(watch, workspace) == [record]
    assert str(record.reason) == "a 1"
    assert open_records(workspace).has_record("load", NOW)


# ---- gate ----------------------------------------------------------------------------------------------------------


def test_gate_compares_on_common_rows_only(workspace: Workspace) -> None:
    old = train_champion(workspace, make_rows(60))
    new = detect(DetectionSpec(), make_rows(50), workspace=workspace, actor=ADA)[1].id
    version = register(new, NAME, workspace=workspace, actor=ADA)
    figures = {old: {"promise_kept": 1.0, "planted_recall": 0.5}}
    with pytest.raises(DataError):  # the backtest of its own run does not stand in for a missing figure
        promote(NAME, version.number, workspace=workspace, actor=ADA, backtest=CommonBacktest(REFIT_PROMOTION, figures))
    figures[new] = {"promise_kept": 1.0, "planted_recall": 0.5}
    promote(NAME, version.number, workspace=workspace, actor=ADA, backtest=CommonBacktest(REFIT_PROMOTION, figures))
    assert get_version(NAME, workspace=workspace).run_id == new


@pytest.mark.parametrize(
    ("old", "new", "is_accepted"),
    [
        ((0.0, 0.9), (1.0, 0.1), True),
        ((1.0, 0.1), (0.0, 0.9), False),
        ((1.0, 0.5), (1.0, 0.5), True),
        ((1.0, 0.5), (1.0, 0.4), False),
        ((np.nan, 0.4), (np.nan, 0.5), True),
        ((1.0, np.nan), (1.0, np.nan), False),
    ],
)
def test_promise_decides_before_recall(old: tuple[float, float], new: tuple[float, float], is_accepted: bool) -> None:
    names = ("promise_kept", "planted_recall")
    check = compare_figures(*(dict(zip(names, values, strict=True)) for values in (old, new)))
    assert check.is_accepted == is_accepted


def test_backtest_has_the_last_rows_of_each_entity() -> None:
    long, short = make_rows(400), make_rows(10, entity="south")
    dataset = long.replace(frame=pd.concat([long.frame, short.frame]))
    split = split_rows(dataset)
    tested = split.dataset.take_rows(split.is_backtest)
    assert len(tested.filter_rows(["north"])) == 28 * 24
    assert len(tested.filter_rows(["south"])) == 2 * 24
    assert len(split.training_rows) + len(tested) == len(dataset)
    for entity in ("north", "south"):
        training_rows, test_rows = (part.filter_rows([entity]) for part in (split.training_rows, tested))
        assert training_rows.time.max() < test_rows.time.min()


def test_backtest_knows_broken_promise_and_recall(workspace: Workspace) -> None:
    watch = add_watch(workspace)
    train_champion(workspace, make_rows(60))
    judge = load_judge(watch, workspace)[1]
    usual, shifted = (measure_backtest(judge, split_rows(make_rows(60, level, seed=3))) for level in (100.0, 160.0))
    assert usual["promise_kept"] == 1.0
    assert shifted["promise_kept"] == 0.0
    assert usual["planted_recall"] > 0.2
    assert shifted["planted_recall"] < 0.2  # a model that flags all rows finds nothing


# ---- drift ---------------------------------------------------------------------------------------------------------


def test_drift_of_stored_rows_is_told_with_its_column(workspace: Workspace) -> None:
    run_id = train_champion(workspace, make_rows(60))
    watch = add_watch(workspace)
    assert measure_watch_drift(watch, run_id, workspace, NOW) is None
    store_rows(workspace, make_recent_rows(10, level=160.0, seed=1))
    assert measure_watch_drift(watch, run_id, workspace, NOW + timedelta(hours=1)) is None  # computed once a day
    drift = measure_watch_drift(watch, run_id, workspace, NOW + timedelta(days=1, hours=1))
    assert drift is not None
    assert (drift.level, drift.column, drift.entity) == ("major", "load", "north")
    assert drift.psi > 1
    assert measure_watch_drift(replace_watch(watch, name="other", history_days=0), run_id, workspace, NOW) is None


def test_drift_of_a_large_watch_is_that_of_a_short_time(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = train_champion(workspace, make_rows(60))
    watch = add_watch(workspace)
    store_rows(workspace, make_recent_rows(10, seed=1))
    monkeypatch.setattr("core.operations.watching.drift_watch.MAX_LOADED_ROWS", 3 * 24)
    drift = measure_watch_drift(watch, run_id, workspace, NOW)
    assert drift is not None
    assert 2 * 24 <= drift.rows <= 3 * 24


def test_tick_tells_drift(workspace: Workspace) -> None:
    train_champion(workspace, make_rows(60))
    inbox = workspace.folder / "inbox"
    inbox.mkdir()
    add_watch(workspace, source=FolderSource(path=str(inbox)))
    store_rows(workspace, make_recent_rows(10, level=160.0, seed=1))
    record = run_watch_now("load", workspace, ADA)
    assert record.state == "completed", record.problem
    assert record.drift is not None
    assert record.drift > 1
    assert record.drift_column == "load"
    assert workspace.watches.watches.load_state("load").last_tick == record


def test_drift_by_chance_is_stable(workspace: Workspace) -> None:
    run_id = train_champion(workspace, make_rows(60))
    levels = []
    for seed in range(10):
        rows = make_rows(7, seed=100 + seed).frame
        drift = measure_drift(rows, run_id, workspace)
        assert drift is not None
        assert (drift.beyond_chance > 0) == (drift.psi > drift.by_chance)
        levels.append(drift.level)
    assert levels.count("stable") >= 9
    assert measure_drift(make_rows(1).frame, run_id, workspace) is None
    unknown = measure_drift(make_rows(7, entity="east").frame, run_id, workspace)
    assert unknown is not None
    assert unknown.entity == ""


def test_worker_submits_due_retraining(workspace: Workspace) -> None:
    add_watch(workspace, refit="7 days", owner="ada")
    ending = threading.Event()
    thread = threading.Thread(target=watch_loop, args=(workspace, ending))
    thread.start()
    try:
        wait_until(lambda: len(list_unfinished("ada", workspace)) == 1)
    finally:
        ending.set()
        thread.join(60)
    assert list_unfinished("ada", workspace)[0].task == REFIT_WATCH
