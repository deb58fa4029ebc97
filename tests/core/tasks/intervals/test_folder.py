"""Tests of intervals of a folder: batches, workers, resumption, skipped files, notes, run card and command."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.array_types import Floats
from core.data.ingest.loading import load
from core.errors import DataError, OptionError
from core.forecasters.seasonal_naive import SeasonalNaive
from core.progress import CancelledError, Progress
from core.runs.card import build_run_card
from core.runs.promotion import runs_with_model
from core.runs.stored_runs import load_task_result
from core.tasks.batch.run import score_files
from core.tasks.batch.spec import BatchSpec
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.folder_run import judge_folder
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsFolderSpec, IntervalsSpec, list_series_forecasters
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.sample_calls import START, make_calls

ACTOR = Actor("test")
HOUR = pd.Timedelta(hours=1)
WEEK_HOURS = 168
WEEKS, TRUNKS = 4, 6
TABLES = ("events.parquet", "events.csv", "models.parquet", "summary.parquet", "skipped.csv")
TRUNK_ROWS = WEEKS * WEEK_HOURS


@pytest.fixture(autouse=True)
def slice_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide small Parquet files as well."""
    monkeypatch.setattr("core.batch.batches.MIN_SLICED_BYTES", 0)


def write_counts(path: Path, values: Floats, names: list[str] | None = None, start: str = START) -> Path:
    """Write hourly counts, (steps, trunks), in the form of `python -m core calls import --by trunk --out`."""
    count, trunks = values.shape
    table = pd.DataFrame(
        {
            "timestamp": np.tile(pd.date_range(start, periods=count, freq=HOUR, tz="UTC"), trunks),
            "trunk": np.repeat(names or [f"T{number + 1}" for number in range(trunks)], count),
            "answered": np.floor(0.9 * values).T.ravel(),
            "total": values.T.ravel(),
        }
    ).dropna()
    path.parent.mkdir(exist_ok=True)
    table.to_parquet(path, index=False) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


def make_values(trunks: int = TRUNKS) -> Floats:
    """Return four weeks of calls: an outage of the second trunk, a storm of the last one."""
    values = make_calls(WEEKS, trunks, HOUR)
    values[-60:-54, 1] = 0
    values[-30:-27, -1] *= 4
    return values


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    return write_counts(tmp_path / "in" / "counts.parquet", make_values())


def make_spec(folder: Path, out: Path, **options: object) -> IntervalsFolderSpec:
    """Return a spec with two trunks a batch and seasonal naive."""
    values: dict[str, object] = {"forecaster": SeasonalNaive(), "batch_rows": 2 * TRUNK_ROWS} | options
    return IntervalsFolderSpec(str(folder), str(out), **values)  # type: ignore[arg-type]


def judge(spec: IntervalsFolderSpec, workspace: Workspace, progress: Progress | None = None) -> FolderIntervals:
    return judge_folder(spec, workspace=workspace, actor=ACTOR, progress=progress)[0]


def read_points(out: Path) -> pd.DataFrame:
    tables = [pd.read_parquet(path, partitioning=None) for path in sorted(out.glob("part=*/scores.parquet"))]
    return pd.concat(tables).astype({"file": str, "entity": str, "measure": str}).reset_index(drop=True)


def list_texts(result: FolderIntervals) -> str:
    return "\n".join(map(str, result.notes))


# ---- batches --------------------------------------------------------------------------------------------------------


def test_folder_counts_and_ranks_events_of_all_batches(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    out = tmp_path / "out"
    result, run = judge_folder(make_spec(counts, out), workspace=workspace, actor=ACTOR)
    points, events = read_points(out), pd.read_parquet(out / "events.parquet")
    assert (result.series, result.batches, result.batches_resumed, result.files_skipped) == (TRUNKS, 3, 0, 0)
    assert result.rows == len(points) == TRUNKS * WEEK_HOURS
    assert result.anomalies == points["anomaly"].sum() > 0
    assert ((points["y"] < points["yhat_lower"]) | (points["y"] > points["yhat_upper"])).equals(points["anomaly"])
    assert list(events["event"]) == list(range(1, len(events) + 1))
    assert events["score"].is_monotonic_decreasing
    assert set(events["entity"].head(2)) == {"T2", f"T{TRUNKS}"}
    assert (events["file"] == "counts.parquet").all()
    assert len(pd.read_csv(out / "events.csv")) == len(events) == result.event_count
    summary = pd.read_parquet(out / "summary.parquet").set_index("entity")
    by_trunk = points.groupby("entity")
    assert summary["anomalies"].to_dict() == by_trunk["anomaly"].sum().to_dict()
    assert summary["first"].to_dict() == by_trunk["time"].min().to_dict()
    np.testing.assert_allclose(summary["max_score"].sort_index(), by_trunk["score"].max(), rtol=1e-6)
    assert run.metrics["alarm_rate"] == pytest.approx(points["anomaly"].mean())
    assert run.metrics["promised_rate"] == pytest.approx(0.05)
    stored = load_task_result(run.id, workspace)
    assert isinstance(stored, FolderIntervals)
    assert stored.metrics() == result.metrics()
    pd.testing.assert_frame_equal(stored.events, result.events, check_dtype=False)


def test_workers_write_the_same_tables(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    forecaster = list_series_forecasters()["gradient-boosting-quantiles"](max_iter=5)
    spec = make_spec(counts, tmp_path / "here", forecaster=forecaster)
    judge(spec, workspace)
    judge(replace(spec, out=str(tmp_path / "workers"), workers=2), workspace)
    for name in TABLES:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "workers" / name).read_bytes(), name
    pd.testing.assert_frame_equal(read_points(tmp_path / "here"), read_points(tmp_path / "workers"))


def test_batch_equals_judgement_of_its_trunks(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    """A batch is judged as a dataset of its trunks, by a forecaster that learns from these trunks only."""
    forecaster = list_series_forecasters()["gradient-boosting-quantiles"](max_iter=5)
    judge(make_spec(counts, tmp_path / "out", forecaster=forecaster), workspace)
    spec = IntervalsSpec(forecaster=forecaster, entities=("T3", "T4"))
    expected = judge_points(spec, load([counts]), workspace=workspace, actor=ACTOR)[0]
    points = read_points(tmp_path / "out")
    points = points[points["entity"].isin(["T3", "T4"])].reset_index(drop=True)
    rows = expected.judged_rows.rename(columns={"anomalous": "anomaly"}).reset_index(drop=True)
    columns = [name for name in points if name != "file"]
    rows = rows[columns].astype({"entity": str, "measure": str})
    pd.testing.assert_frame_equal(points[columns], rows, check_dtype=False)
    events = pd.read_parquet(tmp_path / "out" / "events.parquet")
    events = events[events["entity"].isin(["T3", "T4"])]
    names = ["entity", "measure", "start", "score"]
    sorted_events = [
        table.drop(columns=["event", "file"], errors="ignore").sort_values(names).reset_index(drop=True)
        for table in (events, expected.to_frame())
    ]
    pd.testing.assert_frame_equal(sorted_events[0], sorted_events[1][list(sorted_events[0])], check_dtype=False)
    assert len(events) > 0


def test_cancelled_run_resumes(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    class CancellingProgress(Progress):
        def add_point(self, curve: str, step: float, value: float) -> None:
            self.cancel()

    spec = make_spec(counts, tmp_path / "out")
    with pytest.raises(CancelledError):
        judge(spec, workspace, CancellingProgress())
    finished = list((tmp_path / "out").glob("part=*/scores.parquet"))
    assert [path.parent.name for path in finished] == ["part=000000"]
    modified_ns = finished[0].stat().st_mtime_ns
    result = judge(spec, workspace)
    assert (result.batches, result.batches_resumed, result.series) == (3, 1, TRUNKS)
    assert finished[0].stat().st_mtime_ns == modified_ns
    fresh = judge(replace(spec, out=str(tmp_path / "fresh")), workspace)
    pd.testing.assert_frame_equal(result.events, fresh.events)
    assert (result.rows, result.anomalies) == (fresh.rows, fresh.anomalies)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_of_one_batch_are_judged_each_on_its_own(tmp_path: Path, workspace: Workspace, form: str) -> None:
    for number in range(2):
        values = make_calls(WEEKS, 1, HOUR, seed=number)
        write_counts(tmp_path / "in" / f"{number}.{form}", values, names=[f"T{number}"])
    result = judge(make_spec(tmp_path / "in", tmp_path / "out", batch_rows=10**6), workspace)
    assert (result.batches, result.series) == (1, 2)
    models = pd.read_parquet(tmp_path / "out" / "models.parquet")
    assert list(models["file"]) == [f"0.{form}", f"1.{form}"]
    assert (models["entities"] == 1).all()
    assert read_points(tmp_path / "out")["file"].value_counts().to_dict() == dict.fromkeys(models["file"], WEEK_HOURS)


def test_output_may_lie_beside_a_single_file(counts: Path, workspace: Workspace) -> None:
    assert judge(make_spec(counts, counts.parent / "out"), workspace).series == TRUNKS
    with pytest.raises(OptionError, match="is inside the input folder"):
        judge(make_spec(counts.parent, counts.parent / "out"), workspace)


# ---- what cannot be judged, or differs ------------------------------------------------------------------------------


def test_files_that_cannot_be_judged_are_skipped(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    write_counts(counts.parent / "short.csv", make_calls(WEEKS, 2, HOUR)[:20])
    pd.DataFrame({"answered": [3, 4, 2, 5], "total": [4, 5, 2, 7]}).to_csv(counts.parent / "undated.csv", index=False)
    (counts.parent / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    result = judge(make_spec(counts.parent, tmp_path / "out"), workspace)
    assert (result.series, result.files_skipped) == (TRUNKS, 3)
    reasons = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("file")["reason"]
    assert "too few" in reasons["short.csv"]
    assert "not judged: 2 (T1, T2)" in reasons["short.csv"]
    assert "no regular time step" in reasons["undated.csv"]
    assert "damaged" in reasons["broken.parquet"]
    assert set(pd.read_parquet(tmp_path / "out" / "summary.parquet")["file"]) == {"counts.parquet"}


def test_nothing_to_judge_is_an_error(tmp_path: Path, workspace: Workspace) -> None:
    path = write_counts(tmp_path / "in" / "short.csv", make_calls(WEEKS, 1, HOUR)[:20])
    with pytest.raises(DataError, match="too few"):
        judge(make_spec(path, tmp_path / "out"), workspace)
    good = write_counts(tmp_path / "in" / "counts.parquet", make_values())
    with pytest.raises(DataError, match="colour"):
        judge(make_spec(good, tmp_path / "other", value=("colour",)), workspace)


def test_note_tells_different_periods(tmp_path: Path, workspace: Workspace) -> None:
    values = make_values()
    values[: 2 * WEEK_HOURS, 2:] = np.nan  # the trunks of the second batch begin two weeks later
    late = write_counts(tmp_path / "in" / "counts.parquet", values)
    result = judge(make_spec(late, tmp_path / "out"), workspace)
    models = pd.read_parquet(tmp_path / "out" / "models.parquet")
    assert models["horizon"].nunique() == 2
    assert "over 2 different periods or horizons" in list_texts(result)
    same = judge(make_spec(write_counts(tmp_path / "same" / "c.parquet", make_values()), tmp_path / "two"), workspace)
    assert "different periods" not in list_texts(same)


def test_note_counts_series_without_judged_point(tmp_path: Path, workspace: Workspace) -> None:
    values = make_values()
    values[-2 * WEEK_HOURS :, 2] = np.nan  # the trunk was shut down
    path = write_counts(tmp_path / "in" / "counts.parquet", values)
    result = judge(make_spec(path, tmp_path / "out", value=("total", "answered")), workspace)
    summary = pd.read_parquet(tmp_path / "out" / "summary.parquet").set_index(["measure", "entity"])
    assert len(summary) == result.series == 2 * TRUNKS
    for measure in ("total", "answered"):
        assert summary.loc[(measure, "T3"), ["rows", "anomalies"]].tolist() == [0, 0]
        assert pd.isna(summary.loc[(measure, "T3"), "first"])
    assert "2 series have no judged point" in list_texts(result)


def test_large_csv_is_judged_in_one_piece_and_told(tmp_path: Path, workspace: Workspace) -> None:
    path = write_counts(tmp_path / "in" / "counts.csv", make_values())
    result = judge(make_spec(path, tmp_path / "out"), workspace)
    assert (result.batches, result.series) == (1, TRUNKS)
    assert f"counts.csv was judged in one piece of {TRUNKS * TRUNK_ROWS:,} rows" in list_texts(result)


def test_output_of_another_command_is_refused(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    spec = make_spec(counts, tmp_path / "out")
    judge(spec, workspace)
    with pytest.raises(DataError, match=r"different command: level: 0\.95 ≠ 0\.9"):
        judge(replace(spec, level=0.9), workspace)
    score_files(BatchSpec(str(counts), str(tmp_path / "scale"), fit_per="folder"), workspace=workspace, actor=ACTOR)
    with pytest.raises(DataError, match="different command"):
        judge(replace(spec, out=str(tmp_path / "scale")), workspace)


# ---- card, command --------------------------------------------------------------------------------------------------


def test_card_repeats_run_and_offers_no_model(counts: Path, tmp_path: Path, workspace: Workspace) -> None:
    _, run = judge_folder(make_spec(counts, tmp_path / "out"), workspace=workspace, actor=ACTOR)
    card = build_run_card(run.id, workspace)
    assert card.data.files == ("in/counts.parquet (1 files)",)
    assert card.counts["series"] == TRUNKS
    assert card.intervals is not None
    assert card.intervals.promised == 0.95
    assert any(str(tmp_path / "out") in str(note) for note in card.notes)
    assert runs_with_model("intervals", workspace) == []
    words = shlex.split(card.repeat.command)
    assert words[:5] == ["python", "-m", "core", "scale-intervals", str(counts)]
    assert {f"--out={tmp_path / 'out'}", f"--batch-rows={2 * TRUNK_ROWS}", "--forecaster=seasonal-naive"} <= set(words)


def test_command_prints_answer_and_resumes(counts: Path, tmp_path: Path, vigie: Command) -> None:
    arguments = ["scale-intervals", counts, "--out", tmp_path / "out", "--forecaster", "seasonal-naive"]
    lines = vigie(*arguments)
    assert lines.returncode == 0, lines.stderr
    assert f"{TRUNKS} series" in lines.stdout
    assert lines.stdout.splitlines()[-1] == str(tmp_path / "out")
    again = vigie(*arguments, "--json")
    assert again.returncode == 0, again.stderr
    answer = json.loads(again.stdout)
    assert (answer["series"], answer["batches"], answer["batches_resumed"], answer["skipped"]) == (TRUNKS, 1, 1, 0)
    assert (answer["rows"], answer["where"]) == (TRUNKS * WEEK_HOURS, str(tmp_path / "out"))
    assert answer["alarms"]["promised"] == 0.05
    assert answer["alarms"]["measured"] == pytest.approx(answer["anomalies"] / answer["rows"])
    assert [event["event"] for event in answer["events"]] == list(range(1, len(answer["events"]) + 1))
    refused = vigie(*arguments, "--level", "0.9")
    assert refused.returncode == 2
    assert "level: 0.95" in refused.stderr
