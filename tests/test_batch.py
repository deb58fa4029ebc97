"""Batch scoring of a folder: scores, bad files, killed workers and processes, Dask clusters, task and command."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster

from core.actor import Actor
from core.batch import executors
from core.batch.batches import Batch, FitTask, Per, iter_batches
from core.batch.executors import Executor
from core.batch.file_inventory import FileList, Folder
from core.batch.job_spec import JobSpec
from core.batch.output import lock_output
from core.batch.score_batch import BatchResult
from core.data.dataset import Dataset, clock_labels
from core.data.ingest.loading import load
from core.data.series import series_of
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.errors import DataError, InputError, OptionError, UnreadableFileError, VigieError
from core.progress import Cancelled, Progress
from core.runs.card import run_card
from core.runs.model_files import save_model, trusted_types
from core.runs.stored_runs import load_run
from core.runs.tracked_run import tracked_run
from core.spec.codec import encode
from core.spec.task import run_job
from core.tasks.batch.run import load_batch_result, score_files
from core.tasks.batch.spec import BatchApplySpec, BatchSpec, detectors
from core.workspace import Workspace
from tests.conftest import ROOT
from tests.slow import Slow, fitted, job_for, score_slowly, scored
from tests.twins import official, per_tile, traffic

BY = Actor("alice", "tests")


def with_ours(model: SequenceModel, folder: Path, out: Path) -> JobSpec:
    return job_for(model, folder, out, trusted_types())


def scores(out: Path) -> pd.DataFrame:
    parts = [pd.read_parquet(path, partitioning=None) for path in sorted(out.glob("part=*/scores.parquet"))]
    return pd.concat(parts).astype({"file": str, "entity": str}).reset_index(drop=True)


def table(entities: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a table of several sites with the same days of 24 hours, site after site."""
    random = np.random.default_rng(seed)
    found = pd.DataFrame(random.gamma(4, 10, (entities * rows, 24)), columns=clock_labels(24))
    found.insert(0, "date", np.tile(pd.date_range("2024-01-01", periods=rows), entities))
    found.insert(1, "site", np.repeat([f"S{number:03d}" for number in range(entities)], rows))
    return found


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Folder of two services: 12 tiles of 30 days and 7 tiles of 20 days."""
    folder = tmp_path / "tiles"
    per_tile(folder, "Netflix", traffic(12, 30))
    per_tile(folder, "Waze", traffic(7, 20, seed=1))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Folder of 24 files with one site and 20 rows each. With 20 rows a batch, each file is one batch."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(24):
        table(1, 20, seed=number).assign(site=f"S{number:03d}").to_csv(folder / f"site_{number}.csv", index=False)
    return folder


# ---- scores ---------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_each_series_alone(tiles: Path, tmp_path: Path) -> None:
    whole = load([tiles / "Netflix"])
    model = fitted(SGmVRNN(steps=3, scoring="streaming"), whole)
    tally = scored(with_ours(model, tiles, tmp_path / "out"), 130)
    assert (tally.series, tally.rows, tally.skipped, tally.resumed) == (19, 12 * 30 + 7 * 20, [], 0)
    assert tally.batches > 3
    found = scores(tmp_path / "out")
    for path in sorted(tiles.rglob("*.txt")):
        alone = load([path])
        [series] = series_of(alone)
        own = found[found["file"] == path.relative_to(tiles).as_posix()]
        expected = model.score_series([series.values])[0].score
        np.testing.assert_allclose(own["score"], expected, rtol=1e-4, atol=1e-4)
        assert (own["time"].to_numpy() == alone.time.to_numpy()[series.places]).all()
        assert list(own["entity"].unique()) == alone.entities
        assert list(own["row"]) == list(range(len(alone)))
        assert (own["anomaly"].to_numpy() == (own["score"] > model.threshold_)).all()
    assert tally.anomalies == found["anomaly"].sum() > 0
    summary = pd.read_parquet(tmp_path / "out" / "summary.parquet").set_index("file")
    by_file = found.groupby("file")
    pd.testing.assert_series_equal(
        summary["max_score"].sort_index(), by_file["score"].max(), check_names=False, check_dtype=False
    )
    pd.testing.assert_series_equal(
        summary["anomalies"].sort_index(), by_file["anomaly"].sum(), check_names=False, check_dtype=False
    )
    assert (summary["first"].sort_index() == by_file["time"].min()).all()


def test_a_model_of_windows_is_scored_streaming_or_as_trained(tiles: Path, tmp_path: Path) -> None:
    whole = load([tiles / "Waze"])
    model = fitted(SGmVRNN(steps=3, scoring="windows"), whole)
    work = with_ours(model, tiles, tmp_path / "out")
    scored(replace(work, streaming=False), 1000, pattern="Waze/**/*.txt")
    np.testing.assert_allclose(
        scores(tmp_path / "out")["score"],
        np.concatenate([each.score for each in model.score(whole)]),
        rtol=1e-4,
        atol=1e-4,
    )
    scored(with_ours(model, tiles, tmp_path / "streams"), 1000, pattern="Waze/**/*.txt")
    model.detector.scoring = "streaming"  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        scores(tmp_path / "streams")["score"],
        np.concatenate([each.score for each in model.score(whole)]),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_one_large_file_of_many_entities(tmp_path: Path, order: str) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    whole = table(120, 80)
    whole = whole if order == "sorted" else whole.sample(frac=1, random_state=0)
    whole.to_parquet(folder / "sites.parquet", row_group_size=700)
    dataset = load([folder / "sites.parquet"])
    model = fitted(PcaResidual(), dataset)
    assert (folder / "sites.parquet").stat().st_size > 10**6
    tally = scored(with_ours(model, folder, tmp_path / "out"), 1000)
    assert (tally.series, tally.rows) == (120, 9600)
    assert tally.batches == 10
    found = scores(tmp_path / "out").set_index(["entity", "row"]).sort_index()
    expected = np.concatenate([each.score for each in model.score(dataset)])
    np.testing.assert_allclose(found["score"], expected, rtol=1e-4, atol=1e-5)


def test_days_of_a_city_are_read_together(tmp_path: Path) -> None:
    """Each file of a service holds all tiles for one day. A batch holds some of the tiles for all days."""
    values = traffic(9, 25)
    official(tmp_path / "cities", "Lyon", "Apple_Video", values)
    per_tile(tmp_path / "tiles", "Apple_Video", values)
    model = fitted(PcaResidual(), load([tmp_path / "tiles"]))
    tally = scored(with_ours(model, tmp_path / "cities", tmp_path / "out"), 80)
    assert (tally.series, tally.rows, tally.skipped) == (18, 450, [])
    assert tally.batches > 4
    found = scores(tmp_path / "out")
    alone = model.score(load([tmp_path / "tiles"]))
    for number in range(9):
        own = found[found["entity"] == f"Lyon · Apple_Video · DL · {100 + number}"]
        np.testing.assert_allclose(own["score"], alone[number].score, rtol=1e-4, atol=1e-5)


def test_files_without_dates(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        np.savetxt(tmp_path / f"{number}.csv", random.normal(size=(40, 5)), delimiter=",")
    model = fitted(PcaResidual(), load([tmp_path / "0.csv"]))
    (tmp_path / "in").mkdir()
    for path in tmp_path.glob("*.csv"):
        shutil.move(path, tmp_path / "in")
    tally = scored(with_ours(model, tmp_path / "in", tmp_path / "out"), 1000)
    found = scores(tmp_path / "out")
    assert (tally.series, tally.batches) == (3, 1)
    assert found["time"].isna().all()
    assert list(found["row"]) == [*range(40)] * 3


# ---- bad files ------------------------------------------------------------------------------------------------------


def test_bad_files_are_listed_and_the_others_scored(tiles: Path, tmp_path: Path) -> None:
    model = fitted(PcaResidual(), load([tiles / "Waze"]))
    inside = tiles / "Netflix" / "DL"
    (inside / "Netflix_DL_Tile_1.txt").write_text("")
    (inside / "Netflix_DL_Tile_2.txt").write_text("20190316 1 2 3\n")
    (inside / "Netflix_DL_Tile_3.txt").symlink_to(tmp_path / "gone")
    (inside / "Netflix_DL_Tile_4.txt").write_bytes(b"\x80\x04\x95\x00pickle\n")
    (tiles / "other.csv").write_text("date,a\n2024-01-01,1\n2024-01-02,2\n")
    (tiles / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (tiles / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    tally = scored(with_ours(model, tiles, tmp_path / "out"), 130)
    assert tally.series == 19
    listed = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("file")["reason"]
    assert (
        sorted(listed.index)
        == sorted(dict(tally.skipped))
        == [
            "Netflix/DL/Netflix_DL_Tile_1.txt",
            "Netflix/DL/Netflix_DL_Tile_2.txt",
            "Netflix/DL/Netflix_DL_Tile_4.txt",
            "broken.parquet",
            "image.png",
            "other.csv",
        ]
    )
    assert "3 quarter-hours" in listed["Netflix/DL/Netflix_DL_Tile_2.txt"]
    assert "fitted on the columns" in listed["other.csv"]
    assert "damaged Parquet" in listed["broken.parquet"]


def test_a_name_that_is_no_utf8(files: Path, tmp_path: Path) -> None:
    """Readers reject the file. The test is that `skipped.csv` lists it."""
    shutil.copy(files / "site_2.csv", files / os.fsdecode(b"r\xe9gion.csv"))
    tally = scored(with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"), 100)
    assert tally.series == 24
    assert [file for file, _ in tally.skipped] == ["r\ufffdgion.csv"]
    assert "surrogates not allowed" in (tmp_path / "out" / "skipped.csv").read_text(encoding="utf-8-sig")


def test_a_file_that_goes_away_meanwhile_is_listed(tiles: Path, tmp_path: Path) -> None:
    gone = tiles / "Waze" / "DL" / "Waze_DL_Tile_103.txt"
    model = fitted(PcaResidual(), load([tiles / "Waze"]))
    work = with_ours(model, tiles, tmp_path / "out")

    class Deleting(Progress):
        def tell(self, share: float, doing: str = "") -> None:
            gone.unlink(missing_ok=True)
            super().tell(share, doing)

    tally = scored(work, 1000, progress=Deleting())
    assert tally.series == 18
    assert [file for file, _ in tally.skipped] == ["Waze/DL/Waze_DL_Tile_103.txt"]
    assert "cannot be read" in tally.skipped[0][1]


def test_a_folder_that_does_not_fit_is_refused_early(
    files: Path, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(PcaResidual(), load([tiles / "Waze"]))
    monkeypatch.setattr("core.batch.score_folder.MAX_VAIN_FILES", 5)
    with pytest.raises(DataError, match=r"none of the first 5 files.*fitted on the columns"):
        scored(with_ours(model, files, tmp_path / "out"), 20)
    assert len(pd.read_csv(tmp_path / "out" / "skipped.csv")) == 5


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_are_some_files_in_natural_order(files: Path) -> None:
    (files / ".hidden.csv").write_text("x")
    (files / "map.geojson").write_text("{}")
    cut = [step for step in iter_batches(Folder.parse(files), 100) if isinstance(step, Batch)]
    assert [path for batch in cut for file_group in batch.files for path in file_group.files] == [
        f"site_{number}.csv" for number in range(24)
    ]
    assert {len(batch.files) for batch in cut[:-1]} <= {4, 5, 6}
    assert [step.digest for step in iter_batches(Folder.parse(files), 100) if isinstance(step, Batch)] == [
        batch.digest for batch in cut
    ]


def test_patterns(tiles: Path, tmp_path: Path) -> None:
    assert Folder.parse(tiles).inventory().files == 19
    assert Folder.parse(tiles / "**" / "Netflix*.txt").inventory().files == 12
    assert Folder.parse(tiles / "*" / "*" / "*_10?.txt").inventory().files == 10 + 7
    assert Folder.parse(tiles / "Waze" / "DL" / "Waze_DL_Tile_100.txt").inventory().files == 1
    for nothing in (tiles / "*.csv", tmp_path / "nowhere"):
        with pytest.raises(UnreadableFileError):
            Folder.parse(nothing).inventory()


def test_the_list_of_files_has_a_digest(files: Path) -> None:
    before = Folder.parse(files).inventory()
    assert Folder.parse(files).inventory() == before
    (files / "site_3.csv").write_text((files / "site_3.csv").read_text() + "\n")
    assert Folder.parse(files).inventory().digest != before.digest


@pytest.mark.parametrize(
    ("per", "groups"),
    [
        ("folder", ["Netflix/DL", "Waze/DL", "more"]),
        ("name", ["Netflix/DL/Netflix", "Waze/DL/Waze", "more/a", "more/b"]),
    ],
)
def test_groups(tiles: Path, per: Per, groups: list[str]) -> None:
    (tiles / "more").mkdir()
    for name in ("a_1.csv", "a_2.csv", "b_1.csv"):
        (tiles / "more" / name).write_text("x\n1\n")
    steps = list(iter_batches(Folder.parse(tiles), 10**6, per))
    assert [step.group for step in steps if isinstance(step, FitTask)] == groups
    assert [step.group for step in steps if isinstance(step, Batch)] == groups
    assert isinstance(steps[0], FitTask)


# ---- killed workers and processes -----------------------------------------------------------------------------------


def workers() -> list[psutil.Process]:
    """Return the worker processes that this process has started."""
    servers = [each for each in psutil.Process().children() if "forkserver" in " ".join(each.cmdline())]
    return [worker for server in servers for worker in server.children()]


class Watching(Progress):
    """Progress that calls a function once, after some batches."""

    def __init__(self, after: int, then: Callable[[], None]) -> None:
        super().__init__()
        self.after, self.then, self.done = after, then, False

    def draw(self, curve: str, step: float, value: float) -> None:
        super().draw(curve, step, value)
        if not self.done and len(self.curves[curve]) >= self.after:
            self.done = True
            self.then()


def test_a_killed_worker_loses_nothing(files: Path, tmp_path: Path) -> None:
    model = fitted(Slow(str(tmp_path / "log")), load([files / "site_1.csv"]))
    killed: list[int] = []

    def kill() -> None:
        victim = workers()[0]
        killed.append(victim.pid)
        victim.send_signal(signal.SIGKILL)

    tally = scored(job_for(model, files, tmp_path / "out"), 20, Executor(2), Watching(6, kill))
    assert (tally.series, tally.batches, tally.resumed, tally.skipped) == (24, 24, 0, [])
    assert scores(tmp_path / "out")["file"].value_counts().to_dict() == {
        f"site_{number}.csv": 20 for number in range(24)
    }
    by = Counter(line.split()[0] for line in (tmp_path / "log").read_text().splitlines())
    assert str(killed[0]) in by
    assert len(by) >= 2  # other workers continued
    assert not workers()


class Handover:
    """Fake Dask future: its worker dies with the finished result, and another worker repeats the task."""

    status, key = "lost", "score-0"

    def __init__(self, result: BatchResult, then: str) -> None:
        self.found, self.then = result, then

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        callback(self)

    def exception(self) -> None:
        self.status = self.then

    def result(self) -> BatchResult:
        return self.found


class OneFuture:
    """Fake Dask client with one core and one future."""

    def __init__(self, future: Handover) -> None:
        self.future = future

    def submit(self, *_: object, **__: object) -> Handover:
        return self.future

    def ncores(self) -> dict[str, int]:
        return {"worker": 1}

    def cancel(self, futures: list[Handover]) -> None:
        assert futures == []


def test_a_worker_that_dies_with_its_result_is_not_a_scheduler_that_went_away(files: Path, tmp_path: Path) -> None:
    job, batch = JobSpec(files, tmp_path / "out", "made", ()), Batch(0, "", ())
    found = BatchResult(0, 1, 10, series=3, fresh=False)  # the second worker loads what the first one saved
    client = OneFuture(Handover(found, then="finished"))
    assert list(executors._ClusterRun(client, job, lambda: None).run(iter([batch]))) == [replace(found, fresh=True)]
    client = OneFuture(Handover(found, then="cancelled"))
    with pytest.raises(VigieError, match="went away"):
        list(executors._ClusterRun(client, job, lambda: None).run(iter([batch])))


def test_a_batch_that_kills_its_workers_does_not_stop_the_others(files: Path, tmp_path: Path) -> None:
    deadly = pd.read_csv(files / "site_1.csv")
    deadly.iloc[0, 2] = 1e7
    deadly.to_csv(files / "site_1.csv", index=False)
    model = fitted(Slow(), load([files / "site_2.csv"]))
    model.detector.deadly = 1e4  # type: ignore[attr-defined]
    work = job_for(model, files, tmp_path / "out")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        tally = scored(work, 20, Executor(1), pattern="site_?.csv")
    lost = dict(tally.skipped)
    assert "died" in lost["site_1.csv"]
    assert tally.series + len(lost) == 10
    assert not (tmp_path / "out" / "part=000001" / "scores.parquet").exists()  # the next run retries this batch


def test_a_killed_command_goes_on_where_it_was(files: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    command = [sys.executable, "-m", "tests.slow", str(files), str(out), str(log)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    until = time.monotonic() + 60
    while len(list(out.glob("part=*/scores.parquet"))) < 4:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("part=*/scores.parquet")}
    assert 4 <= len(finished) < 24
    tally = score_slowly(files, out, log)
    assert (tally.series, tally.batches, tally.resumed, tally.resumed_series) == (24, 24, len(finished), len(finished))
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert scores(out)["file"].value_counts().to_dict() == {f"site_{number}.csv": 20 for number in range(24)}
    again = Counter(line.split()[0] for line in log.read_text().splitlines())[str(os.getpid())]
    assert again == 24 - len(finished) + 1  # one more call during fitting
    assert len(pd.read_parquet(out / "summary.parquet")) == 24


def test_work_stops_between_batches_and_keeps_what_is_finished(files: Path, tmp_path: Path) -> None:
    work = with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    progress = Watching(3, lambda: progress.cancel())
    with pytest.raises(Cancelled):
        scored(work, 20, progress=progress)
    assert len(list((tmp_path / "out").glob("part=*/scores.parquet"))) in (3, 4)
    assert scored(work, 20).resumed in (3, 4)


def test_progress_tells_rate_and_time_left(files: Path, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    class Listening(Progress):
        def tell(self, share: float, doing: str = "") -> None:
            super().tell(share, doing)
            told.append((share, doing))

    scored(
        with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"),
        20,
        progress=Listening(),
    )
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any("/s, 0:0" in doing and "left" in doing for _, doing in told)


# ---- Dask clusters --------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Dask scheduler and worker that listen on TCP, as on other machines."""
    quiet = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with (
        dask.config.set(executors.DASK_CONFIG),
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", **quiet) as found,
    ):
        yield found


def test_a_scheduler_elsewhere(files: Path, tmp_path: Path, cluster: LocalCluster) -> None:
    executor = Executor(address=cluster.scheduler_address)
    tally = scored(
        with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"), 20, executor
    )
    assert (tally.series, tally.batches) == (24, 24)
    assert len(scores(tmp_path / "out")) == 480


def test_a_scheduler_that_goes_away(
    files: Path, tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(executors.DASK_CONFIG, "distributed.comm.timeouts.connect", "1s")
    monkeypatch.setattr(executors, "ANSWER_TIMEOUT_S", 1.5)
    work = job_for(fitted(Slow(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="went away"):
        scored(work, 20, Executor(address=cluster.scheduler_address), Watching(3, cluster.close))
    assert scored(work, 20).resumed >= 3


def test_a_scheduler_that_does_not_answer(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "ANSWER_TIMEOUT_S", 0.5)
    work = with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="does not answer"):
        scored(work, 20, Executor(address="tcp://127.0.0.1:9"))


# ---- output folder --------------------------------------------------------------------------------------------------


def test_results_of_something_else_are_not_mixed_in(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = {"model": "a", "batch_rows": 20}
    with lock_output(out, asked), pytest.raises(OptionError, match="another process"), lock_output(out, asked):
        pass
    with lock_output(out, {"model": "a", "batch_rows": 20}):
        pass
    with pytest.raises(DataError, match="model: a ≠ b"), lock_output(out, {"model": "b", "batch_rows": 20}):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="not empty"), lock_output(tmp_path / "full", {}):
        pass


def test_a_part_of_something_else_is_not_taken_for_finished(files: Path, tmp_path: Path) -> None:
    work = with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    scored(work, 20)
    with pytest.raises(DataError, match="something else"):
        scored(replace(work, manifest="other"), 20)
    with pytest.raises(DataError, match="something else"):
        scored(work, 60)


# ---- batch task -----------------------------------------------------------------------------------------------------


def test_one_model_per_group_as_one_run(tiles: Path, tmp_path: Path, place: Workspace) -> None:
    detector = detectors()["sgmvrnn"](steps=5)
    spec = BatchSpec(
        str(tiles), str(tmp_path / "out"), fit_per="name", detector=detector, counts=True, alarms_per_1000=50
    )
    result, run = score_files(spec, workspace=place, actor=BY)
    assert (result.series, result.batches) == (19, 2)
    assert len(list((tmp_path / "out" / "models").glob("*.skops"))) == 2
    record = load_run(run.id, place).record
    assert record.experiment == "batch"
    assert record.tags["dataset.digest"] == Folder.parse(tiles).inventory().digest
    assert record.tags["dataset.files"] == "tiles (19 files)"
    assert record.metrics["series"] == 19
    assert record.params["scoring"] == "streaming"
    assert detector.scoring == "windows", "the detector of the spec is not modified"
    again = run_job("batch", encode(spec), workspace=place, actor=BY, progress=Progress())
    assert load_run(again, place).record.metrics["batches_resumed"] == 2
    with pytest.raises(DataError, match="alarms_per_1000: 50 ≠ 40"):
        score_files(replace(spec, alarms_per_1000=40), workspace=place, actor=BY)


def record_model(model: SequenceModel, dataset: Dataset, workspace: Workspace) -> str:
    """Record a run that saves `model`. Return the id of the run."""
    example = dataset.frame.head(40).reset_index()
    example["entity"] = example["entity"].astype(str)
    with tracked_run("sequences", "SGmVRNN", {}, dataset, BY, workspace) as run:
        save_model(run.folder / "model", model, example)
    return run.id


def test_the_model_of_a_run(tiles: Path, tmp_path: Path, place: Workspace) -> None:
    dataset = load([tiles / "Netflix"])
    run_id = record_model(fitted(SGmVRNN(steps=5), dataset), dataset, place)
    spec = BatchApplySpec(str(tiles / "Waze"), str(tmp_path / "out"), model=run_id)
    result, scoring = score_files(spec, workspace=place, actor=BY)
    assert (result.series, result.rows) == (7, 140)
    assert "scores of windows" in str(result.notes[0])
    params = load_run(scoring.id, place).record.params
    assert (params["model_run"], params["detector"], params["steps"]) == (run_id, "sgmvrnn", 5)
    assert len(result.data.columns) == 96
    trained = replace(spec, out=str(tmp_path / "trained"), as_trained=True)
    assert score_files(trained, workspace=place, actor=BY)[0].notes == ()
    assert not np.allclose(scores(tmp_path / "out")["score"], scores(tmp_path / "trained")["score"])


def test_the_result_comes_back_from_the_run(tiles: Path, tmp_path: Path, place: Workspace) -> None:
    (tiles / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    spec = BatchSpec(str(tiles), str(tmp_path / "out"), fit_per="folder")
    result, run = score_files(spec, workspace=place, actor=BY)
    assert load_batch_result(run.id, place) == result
    assert result.data == FileList(Folder.parse(tiles).inventory().digest, ("tiles (20 files)",))
    assert [file for file, _ in result.skipped] == ["broken.parquet"]
    assert {"manifest.json", "skipped.csv", "batch.csv"} <= {path.name for path in run.folder.iterdir()}


def test_the_card_repeats_the_run(
    files: Path, tmp_path: Path, place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spec names relative folders. The command runs in another folder and adds to the same output folder."""
    monkeypatch.chdir(files.parent)
    spec = BatchSpec("files/site_1?.csv", "out", fit_per="folder", detector=detectors()["moving-mean"]())
    _, run = score_files(spec, workspace=place, actor=BY)
    card = run_card(run.id, place)
    assert card.data.files == ("files/site_1?.csv (10 files)",)
    assert card.counts["series"] == 10
    program, *words = shlex.split(card.repeat.command)
    shutil.rmtree(tmp_path / "out" / "part=000000")
    answer = command([*words, "--json"], tmp_path)
    assert program == "python"
    assert (answer["series"], answer["batches"], answer["batches_resumed"]) == (10, 1, 0)
    again = load_batch_result(answer["run_id"], place)
    assert again.spec == load_batch_result(run.id, place).spec


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fit_per": ""}, "either a model"),
        ({"fit_per": "colour"}, "fit_per"),
        ({"scaling": "none"}, "scaling"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"workers": -1}, "workers"),
        ({"alarms_per_1000": 0.0}, "alarms_per_1000"),
        ({"out": ""}, "--out"),
        ({"out": "inside"}, "lies in the folder"),
    ],
)
def test_specs_that_are_refused(
    files: Path, tmp_path: Path, place: Workspace, changes: dict[str, object], says: str
) -> None:
    values = {"folder": str(files), "out": str(tmp_path / "out"), "fit_per": "name"} | changes
    values["out"] = str(files / "inside") if values["out"] == "inside" else values["out"]
    with pytest.raises(InputError, match=says):
        score_files(BatchSpec(**values), workspace=place, actor=BY)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# ---- command --------------------------------------------------------------------------------------------------------


def vigie(words: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `python` with these arguments on the data folder `folder`."""
    environment = os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def command(words: list[str], folder: Path) -> dict[str, Any]:
    """Run a command that must succeed. Return its JSON output."""
    ran = vigie(words, folder)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def test_the_command(tiles: Path, tmp_path: Path) -> None:
    words = ["-m", "core", "scale", str(tiles), "--fit-per", "folder", "--out", str(tmp_path / "out"), "--json"]
    answer = command(words, tmp_path / "data")
    assert (answer["series"], answer["rows"], answer["skipped"]) == (19, 500, 0)
    assert answer["where"] == str(tmp_path / "out")
    assert answer["series_per_second"] > 0
    assert {"seconds", "run_id", "recorded", "notes", "flagged", "emissions_kg", "batches"} <= set(answer)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "either a model"),
        (["--model", "x", "--fit-per", "name"], "--fit-per does not go with --model"),
        (["--fit-per", "name", "--detector", "crystal-ball"], "detector"),
        (["--fit-per", "name", "--set", "wings=2"], "wings"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(files: Path, tmp_path: Path, words: list[str], says: str) -> None:
    out = tmp_path / "out"
    ran = vigie(["-m", "core", "scale", str(files), "--out", str(out), *words], tmp_path / "data")
    assert ran.returncode == 2
    assert says in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not out.exists()
