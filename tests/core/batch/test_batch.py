"""Batch scoring of a folder: scores, bad files, killed workers and processes, Dask clusters, task and command."""

import os
import shlex
import shutil
import signal
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
from core.batch.batches import Batch, FitTask, Grouping, iter_batches
from core.batch.executors import Executor
from core.batch.file_inventory import FileList, Folder
from core.batch.job_spec import JobSpec
from core.batch.output import lock_output
from core.batch.score_batch import BatchResult
from core.data.dataset import Dataset, make_clock_labels
from core.data.ingest.loading import load
from core.data.series import split_by_entity
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.errors import DataError, InputError, OptionError, UnreadableFileError, VigieError
from core.progress import CancelledError, Progress
from core.runs.card import build_run_card
from core.runs.model_files import list_trusted_types, save_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.spec.codec import encode
from core.spec.task import run_job
from core.tasks.batch.run import load_batch_result, score_files
from core.tasks.batch.spec import BatchApplySpec, BatchSpec, list_detectors
from core.workspace import Workspace
from tests.support.command_server import get_command_server
from tests.support.commands import read_json_output, run_vigie
from tests.support.netmob_samples import make_traffic, write_official_files, write_tile_files
from tests.support.slow_detector import SlowDetector, fit_model, prepare_job, run_batch_job, score_slowly

ALICE = Actor("alice", "tests")


def prepare_trusted_job(model: SequenceModel, folder: Path, out: Path) -> JobSpec:
    return prepare_job(model, folder, out, list_trusted_types())


def read_scores(out: Path) -> pd.DataFrame:
    tables = [pd.read_parquet(path, partitioning=None) for path in sorted(out.glob("part=*/scores.parquet"))]
    return pd.concat(tables).astype({"file": str, "entity": str}).reset_index(drop=True)


def make_table(entities: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a table of several sites with the same days of 24 hours, site after site."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.gamma(4, 10, (entities * rows, 24)), columns=make_clock_labels(24))
    frame.insert(0, "date", np.tile(pd.date_range("2024-01-01", periods=rows), entities))
    frame.insert(1, "site", np.repeat([f"S{number:03d}" for number in range(entities)], rows))
    return frame


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Folder of two services: 12 tiles of 30 days and 7 tiles of 20 days."""
    folder = tmp_path / "tiles"
    write_tile_files(folder, "Netflix", make_traffic(12, 30))
    write_tile_files(folder, "Waze", make_traffic(7, 20, seed=1))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Folder of 24 files with one site and 20 rows each. With 20 rows a batch, each file is one batch."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(24):
        make_table(1, 20, seed=number).assign(site=f"S{number:03d}").to_csv(folder / f"site_{number}.csv", index=False)
    return folder


# ---- scores ---------------------------------------------------------------------------------------------------------


def test_batch_scores_equal_single_series_scores(tiles: Path, tmp_path: Path) -> None:
    netflix = load([tiles / "Netflix"])
    model = fit_model(SGmVRNN(steps=3, scoring="streaming"), netflix)
    tally = run_batch_job(prepare_trusted_job(model, tiles, tmp_path / "out"), 130)
    assert (tally.series, tally.rows, tally.skipped, tally.resumed_batches) == (19, 12 * 30 + 7 * 20, [], 0)
    assert tally.batches > 3
    scores = read_scores(tmp_path / "out")
    for path in sorted(tiles.rglob("*.txt")):
        dataset = load([path])
        [series] = split_by_entity(dataset)
        file_scores = scores[scores["file"] == path.relative_to(tiles).as_posix()]
        expected = model.score_series([series.values])[0].score
        np.testing.assert_allclose(file_scores["score"], expected, rtol=1e-4, atol=1e-4)
        assert (file_scores["time"].to_numpy() == dataset.time.to_numpy()[series.row_positions]).all()
        assert list(file_scores["entity"].unique()) == dataset.entities
        assert list(file_scores["row"]) == list(range(len(dataset)))
        assert (file_scores["anomaly"].to_numpy() == (file_scores["score"] > model.threshold_)).all()
    assert tally.anomalies == scores["anomaly"].sum() > 0
    summary = pd.read_parquet(tmp_path / "out" / "summary.parquet").set_index("file")
    scores_by_file = scores.groupby("file")
    pd.testing.assert_series_equal(
        summary["max_score"].sort_index(), scores_by_file["score"].max(), check_names=False, check_dtype=False
    )
    pd.testing.assert_series_equal(
        summary["anomalies"].sort_index(), scores_by_file["anomaly"].sum(), check_names=False, check_dtype=False
    )
    assert (summary["first"].sort_index() == scores_by_file["time"].min()).all()


def test_batch_scores_window_model_streaming_or_as_trained(tiles: Path, tmp_path: Path) -> None:
    dataset = load([tiles / "Waze"])
    model = fit_model(SGmVRNN(steps=3, scoring="windows"), dataset)
    job = prepare_trusted_job(model, tiles, tmp_path / "out")
    run_batch_job(replace(job, streaming=False), 1000, pattern="Waze/**/*.txt")
    np.testing.assert_allclose(
        read_scores(tmp_path / "out")["score"],
        np.concatenate([result.score for result in model.score(dataset)]),
        rtol=1e-4,
        atol=1e-4,
    )
    run_batch_job(prepare_trusted_job(model, tiles, tmp_path / "streams"), 1000, pattern="Waze/**/*.txt")
    model.detector.scoring = "streaming"  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        read_scores(tmp_path / "streams")["score"],
        np.concatenate([result.score for result in model.score(dataset)]),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_batch_splits_large_file_by_entity(tmp_path: Path, order: str) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    frame = make_table(120, 80)
    frame = frame if order == "sorted" else frame.sample(frac=1, random_state=0)
    frame.to_parquet(folder / "sites.parquet", row_group_size=700)
    dataset = load([folder / "sites.parquet"])
    model = fit_model(PcaResidual(), dataset)
    assert (folder / "sites.parquet").stat().st_size > 10**6
    tally = run_batch_job(prepare_trusted_job(model, folder, tmp_path / "out"), 1000)
    assert (tally.series, tally.rows) == (120, 9600)
    assert tally.batches == 10
    scores = read_scores(tmp_path / "out").set_index(["entity", "row"]).sort_index()
    expected = np.concatenate([result.score for result in model.score(dataset)])
    np.testing.assert_allclose(scores["score"], expected, rtol=1e-4, atol=1e-5)


def test_batch_joins_daily_netmob_files(tmp_path: Path) -> None:
    """Each file of a service holds all tiles for one day. A batch holds some of the tiles for all days."""
    values = make_traffic(9, 25)
    write_official_files(tmp_path / "cities", "Lyon", "Apple_Video", values)
    write_tile_files(tmp_path / "tiles", "Apple_Video", values)
    model = fit_model(PcaResidual(), load([tmp_path / "tiles"]))
    tally = run_batch_job(prepare_trusted_job(model, tmp_path / "cities", tmp_path / "out"), 80)
    assert (tally.series, tally.rows, tally.skipped) == (18, 450, [])
    assert tally.batches > 4
    scores = read_scores(tmp_path / "out")
    expected = model.score(load([tmp_path / "tiles"]))
    for number in range(9):
        tile_scores = scores[scores["entity"] == f"Lyon · Apple_Video · DL · {100 + number}"]
        np.testing.assert_allclose(tile_scores["score"], expected[number].score, rtol=1e-4, atol=1e-5)


def test_batch_scores_files_without_dates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        np.savetxt(tmp_path / f"{number}.csv", rng.normal(size=(40, 5)), delimiter=",")
    model = fit_model(PcaResidual(), load([tmp_path / "0.csv"]))
    (tmp_path / "in").mkdir()
    for path in tmp_path.glob("*.csv"):
        shutil.move(path, tmp_path / "in")
    tally = run_batch_job(prepare_trusted_job(model, tmp_path / "in", tmp_path / "out"), 1000)
    scores = read_scores(tmp_path / "out")
    assert (tally.series, tally.batches) == (3, 1)
    assert scores["time"].isna().all()
    assert list(scores["row"]) == [*range(40)] * 3


# ---- bad files ------------------------------------------------------------------------------------------------------


def test_batch_lists_bad_files_and_scores_others(tiles: Path, tmp_path: Path) -> None:
    model = fit_model(PcaResidual(), load([tiles / "Waze"]))
    tile_folder = tiles / "Netflix" / "DL"
    (tile_folder / "Netflix_DL_Tile_1.txt").write_text("")
    (tile_folder / "Netflix_DL_Tile_2.txt").write_text("20190316 1 2 3\n")
    (tile_folder / "Netflix_DL_Tile_3.txt").symlink_to(tmp_path / "gone")
    (tile_folder / "Netflix_DL_Tile_4.txt").write_bytes(b"\x80\x04\x95\x00pickle\n")
    (tiles / "other.csv").write_text("date,a\n2024-01-01,1\n2024-01-02,2\n")
    (tiles / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (tiles / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    tally = run_batch_job(prepare_trusted_job(model, tiles, tmp_path / "out"), 130)
    assert tally.series == 19
    reasons = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("file")["reason"]
    assert (
        sorted(reasons.index)
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
    assert "3 quarter-hours" in reasons["Netflix/DL/Netflix_DL_Tile_2.txt"]
    assert "trained on the columns" in reasons["other.csv"]
    assert "damaged Parquet" in reasons["broken.parquet"]


def test_batch_lists_non_utf8_file_name(files: Path, tmp_path: Path) -> None:
    """Readers reject the file. The test is that `skipped.csv` lists it."""
    shutil.copy(files / "site_2.csv", files / os.fsdecode(b"r\xe9gion.csv"))
    tally = run_batch_job(
        prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"), 100
    )
    assert tally.series == 24
    assert [file for file, _ in tally.skipped] == ["r\ufffdgion.csv"]
    assert "surrogates not allowed" in (tmp_path / "out" / "skipped.csv").read_text(encoding="utf-8-sig")


def test_batch_lists_file_deleted_during_scoring(tiles: Path, tmp_path: Path) -> None:
    deleted_file = tiles / "Waze" / "DL" / "Waze_DL_Tile_103.txt"
    model = fit_model(PcaResidual(), load([tiles / "Waze"]))
    job = prepare_trusted_job(model, tiles, tmp_path / "out")

    class DeletingProgress(Progress):
        def report(self, share: float, stage: str = "") -> None:
            deleted_file.unlink(missing_ok=True)
            super().report(share, stage)

    tally = run_batch_job(job, 1000, progress=DeletingProgress())
    assert tally.series == 18
    assert [file for file, _ in tally.skipped] == ["Waze/DL/Waze_DL_Tile_103.txt"]
    assert "cannot be read" in tally.skipped[0][1]


def test_batch_rejects_unsuitable_folder_early(
    files: Path, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit_model(PcaResidual(), load([tiles / "Waze"]))
    monkeypatch.setattr("core.batch.score_folder.MAX_FAILED_FILES", 5)
    with pytest.raises(DataError, match=r"none of the first 5 files.*trained on the columns"):
        run_batch_job(prepare_trusted_job(model, files, tmp_path / "out"), 20)
    assert len(pd.read_csv(tmp_path / "out" / "skipped.csv")) == 5


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_keep_natural_order_of_files(files: Path) -> None:
    (files / ".hidden.csv").write_text("x")
    (files / "map.geojson").write_text("{}")
    batches = [step for step in iter_batches(Folder.parse(files), 100) if isinstance(step, Batch)]
    assert [path for batch in batches for file_group in batch.files for path in file_group.files] == [
        f"site_{number}.csv" for number in range(24)
    ]
    assert {len(batch.files) for batch in batches[:-1]} <= {4, 5, 6}
    assert [step.digest for step in iter_batches(Folder.parse(files), 100) if isinstance(step, Batch)] == [
        batch.digest for batch in batches
    ]


def test_folder_finds_files_by_pattern(tiles: Path, tmp_path: Path) -> None:
    assert Folder.parse(tiles).build_inventory().files == 19
    assert Folder.parse(tiles / "**" / "Netflix*.txt").build_inventory().files == 12
    assert Folder.parse(tiles / "*" / "*" / "*_10?.txt").build_inventory().files == 10 + 7
    assert Folder.parse(tiles / "Waze" / "DL" / "Waze_DL_Tile_100.txt").build_inventory().files == 1
    for pattern in (tiles / "*.csv", tmp_path / "nowhere"):
        with pytest.raises(UnreadableFileError):
            Folder.parse(pattern).build_inventory()


def test_folder_digest_changes_with_its_files(files: Path) -> None:
    before = Folder.parse(files).build_inventory()
    assert Folder.parse(files).build_inventory() == before
    (files / "site_3.csv").write_text((files / "site_3.csv").read_text() + "\n")
    assert Folder.parse(files).build_inventory().digest != before.digest


@pytest.mark.parametrize(
    ("per", "groups"),
    [
        ("folder", ["Netflix/DL", "Waze/DL", "more"]),
        ("name", ["Netflix/DL/Netflix", "Waze/DL/Waze", "more/a", "more/b"]),
    ],
)
def test_batches_are_grouped_by_folder_or_name(tiles: Path, per: Grouping, groups: list[str]) -> None:
    (tiles / "more").mkdir()
    for name in ("a_1.csv", "a_2.csv", "b_1.csv"):
        (tiles / "more" / name).write_text("x\n1\n")
    steps = list(iter_batches(Folder.parse(tiles), 10**6, per))
    assert [step.group for step in steps if isinstance(step, FitTask)] == groups
    assert [step.group for step in steps if isinstance(step, Batch)] == groups
    assert isinstance(steps[0], FitTask)


# ---- killed workers and processes -----------------------------------------------------------------------------------


def list_workers() -> list[psutil.Process]:
    """Return the worker processes that this process has started."""
    servers = [process for process in psutil.Process().children() if "forkserver" in " ".join(process.cmdline())]
    return [worker for server in servers for worker in server.children()]


class CallbackProgress(Progress):
    """Progress that calls a function once, after some batches."""

    def __init__(self, after: int, callback: Callable[[], None]) -> None:
        super().__init__()
        self.after, self.callback, self.done = after, callback, False

    def add_point(self, curve: str, step: float, value: float) -> None:
        super().add_point(curve, step, value)
        if not self.done and len(self.curves[curve]) >= self.after:
            self.done = True
            self.callback()


def test_batch_survives_killed_worker(files: Path, tmp_path: Path) -> None:
    model = fit_model(SlowDetector(str(tmp_path / "log")), load([files / "site_1.csv"]))
    killed: list[int] = []

    def kill() -> None:
        victim = list_workers()[0]
        killed.append(victim.pid)
        victim.send_signal(signal.SIGKILL)

    tally = run_batch_job(prepare_job(model, files, tmp_path / "out"), 20, Executor(2), CallbackProgress(6, kill))
    assert (tally.series, tally.batches, tally.resumed_batches, tally.skipped) == (24, 24, 0, [])
    assert read_scores(tmp_path / "out")["file"].value_counts().to_dict() == {
        f"site_{number}.csv": 20 for number in range(24)
    }
    calls_by_pid = Counter(line.split()[0] for line in (tmp_path / "log").read_text().splitlines())
    assert str(killed[0]) in calls_by_pid
    assert len(calls_by_pid) >= 2  # other workers continued
    assert not list_workers()


class LostFuture:
    """Fake Dask future: its worker dies with the finished result, and another worker repeats the task."""

    status, key = "lost", "score-0"

    def __init__(self, result: BatchResult, final_status: str) -> None:
        self.stored_result, self.final_status = result, final_status

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        callback(self)

    def exception(self) -> None:
        self.status = self.final_status

    def result(self) -> BatchResult:
        return self.stored_result


class FakeClient:
    """Fake Dask client with one core and one future."""

    def __init__(self, future: LostFuture) -> None:
        self.future = future

    def submit(self, *_: object, **__: object) -> LostFuture:
        return self.future

    def ncores(self) -> dict[str, int]:
        return {"worker": 1}

    def cancel(self, futures: list[LostFuture]) -> None:
        assert futures == []


def test_cluster_run_distinguishes_lost_result_from_lost_scheduler(files: Path, tmp_path: Path) -> None:
    job, batch = JobSpec(files, tmp_path / "out", "made", ()), Batch(0, "", ())
    result = BatchResult(0, 1, 10, series=3, is_new=False)  # the second worker loads what the first one saved
    client = FakeClient(LostFuture(result, final_status="finished"))
    assert list(executors._ClusterRun(client, job, lambda: None).run(iter([batch]))) == [replace(result, is_new=True)]
    client = FakeClient(LostFuture(result, final_status="cancelled"))
    with pytest.raises(VigieError, match="no longer answers"):
        list(executors._ClusterRun(client, job, lambda: None).run(iter([batch])))


def test_batch_that_kills_workers_is_skipped(files: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(files / "site_1.csv")
    frame.iloc[0, 2] = 1e7
    frame.to_csv(files / "site_1.csv", index=False)
    model = fit_model(SlowDetector(), load([files / "site_2.csv"]))
    model.detector.deadly = 1e4  # type: ignore[attr-defined]
    job = prepare_job(model, files, tmp_path / "out")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        tally = run_batch_job(job, 20, Executor(1), pattern="site_?.csv")
    reasons = dict(tally.skipped)
    assert "died" in reasons["site_1.csv"]
    assert tally.series + len(reasons) == 10
    assert not (tmp_path / "out" / "part=000001" / "scores.parquet").exists()  # the next run retries this batch


def test_batch_resumes_after_killed_process(files: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    arguments = map(str, (files, out, log))
    process = get_command_server().start("tests.support.slow_detector", *arguments, environment=os.environ)
    deadline = time.monotonic() + 60
    while len(list(out.glob("part=*/scores.parquet"))) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("part=*/scores.parquet")}
    assert 4 <= len(finished) < 24
    tally = score_slowly(files, out, log)
    assert (tally.series, tally.batches, tally.resumed_batches, tally.resumed_series) == (
        24,
        24,
        len(finished),
        len(finished),
    )
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert read_scores(out)["file"].value_counts().to_dict() == {f"site_{number}.csv": 20 for number in range(24)}
    calls = Counter(line.split()[0] for line in log.read_text().splitlines())[str(os.getpid())]
    assert calls == 24 - len(finished) + 1  # one more call during fitting
    assert len(pd.read_parquet(out / "summary.parquet")) == 24


def test_cancelled_batch_keeps_finished_parts(files: Path, tmp_path: Path) -> None:
    job = prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    progress = CallbackProgress(3, lambda: progress.cancel())
    with pytest.raises(CancelledError):
        run_batch_job(job, 20, progress=progress)
    assert len(list((tmp_path / "out").glob("part=*/scores.parquet"))) in (3, 4)
    assert run_batch_job(job, 20).resumed_batches in (3, 4)


def test_batch_progress_shows_rate_and_time_left(files: Path, tmp_path: Path) -> None:
    updates: list[tuple[float, str]] = []

    class RecordingProgress(Progress):
        def report(self, share: float, stage: str = "") -> None:
            super().report(share, stage)
            updates.append((share, stage))

    run_batch_job(
        prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"),
        20,
        progress=RecordingProgress(),
    )
    shares = [share for share, _ in updates]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any("0:0" in doing and "remaining" in doing for _, doing in updates)


# ---- Dask clusters --------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Dask scheduler and worker that listen on TCP, as on other machines."""
    options = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with (
        dask.config.set(executors.DASK_CONFIG),
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", **options) as local_cluster,
    ):
        yield local_cluster


def test_batch_runs_on_dask_cluster(files: Path, tmp_path: Path, cluster: LocalCluster) -> None:
    executor = Executor(address=cluster.scheduler_address)
    tally = run_batch_job(
        prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"),
        20,
        executor,
    )
    assert (tally.series, tally.batches) == (24, 24)
    assert len(read_scores(tmp_path / "out")) == 480


def test_batch_fails_when_dask_scheduler_stops(
    files: Path, tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(executors.DASK_CONFIG, "distributed.comm.timeouts.connect", "1s")
    monkeypatch.setattr(executors, "ANSWER_TIMEOUT_S", 1.5)
    job = prepare_job(fit_model(SlowDetector(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="no longer answers"):
        run_batch_job(job, 20, Executor(address=cluster.scheduler_address), CallbackProgress(3, cluster.close))
    assert run_batch_job(job, 20).resumed_batches >= 3


def test_batch_fails_without_answer_of_dask_scheduler(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "ANSWER_TIMEOUT_S", 0.5)
    job = prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="does not answer"):
        run_batch_job(job, 20, Executor(address="tcp://127.0.0.1:9"))


# ---- output folder --------------------------------------------------------------------------------------------------


def test_output_lock_rejects_other_settings(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = {"model": "a", "batch_rows": 20}
    with lock_output(out, settings), pytest.raises(OptionError, match="another process"), lock_output(out, settings):
        pass
    with lock_output(out, {"model": "a", "batch_rows": 20}):
        pass
    with pytest.raises(DataError, match="model: a ≠ b"), lock_output(out, {"model": "b", "batch_rows": 20}):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="not empty"), lock_output(tmp_path / "full", {}):
        pass


def test_batch_rejects_parts_of_another_job(files: Path, tmp_path: Path) -> None:
    job = prepare_trusted_job(fit_model(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    run_batch_job(job, 20)
    with pytest.raises(DataError, match="results of a different command"):
        run_batch_job(replace(job, manifest="other"), 20)
    with pytest.raises(DataError, match="results of a different command"):
        run_batch_job(job, 60)


# ---- batch task -----------------------------------------------------------------------------------------------------


def test_batch_fits_one_model_per_group(tiles: Path, tmp_path: Path, workspace: Workspace) -> None:
    detector = list_detectors()["sgmvrnn"](steps=5)
    spec = BatchSpec(
        str(tiles), str(tmp_path / "out"), fit_per="name", detector=detector, counts=True, alarms_per_1000=50
    )
    result, run = score_files(spec, workspace=workspace, actor=ALICE)
    assert (result.series, result.batches) == (19, 2)
    assert len(list((tmp_path / "out" / "models").glob("*.skops"))) == 2
    scores, details = read_scores(tmp_path / "out"), workspace.events.read_events()[-1].details
    counts = {entity.entity: entity.count for entity in details.anomalies_by_entity or ()}
    assert counts == scores.loc[scores["anomaly"], "entity"].astype(str).value_counts().to_dict()
    assert sum(counts.values()) == result.anomalies > 0
    record = load_run(run.id, workspace).record
    assert record.experiment == "batch"
    assert record.tags["dataset.digest"] == Folder.parse(tiles).build_inventory().digest
    assert record.tags["dataset.files"] == "tiles (19 files)"
    assert record.metrics["series"] == 19
    assert record.params["scoring"] == "streaming"
    assert detector.scoring == "windows", "the detector of the spec is not modified"
    repeated_run_id = run_job("batch", encode(spec), workspace=workspace, actor=ALICE, progress=Progress())
    assert load_run(repeated_run_id, workspace).record.metrics["batches_resumed"] == 2
    with pytest.raises(DataError, match="alarms_per_1000: 50 ≠ 40"):
        score_files(replace(spec, alarms_per_1000=40), workspace=workspace, actor=ALICE)


def record_model(model: SequenceModel, dataset: Dataset, workspace: Workspace) -> str:
    """Record a run that saves `model`. Return the id of the run."""
    example = dataset.frame.head(40).reset_index()
    example["entity"] = example["entity"].astype(str)
    with track_run("sequences", "SGmVRNN", {}, dataset, ALICE, workspace) as run:
        save_model(run.folder / "model", model, example)
    return run.id


def test_batch_applies_model_of_a_run(tiles: Path, tmp_path: Path, workspace: Workspace) -> None:
    dataset = load([tiles / "Netflix"])
    run_id = record_model(fit_model(SGmVRNN(steps=5, smoothing=3), dataset), dataset, workspace)
    spec = BatchApplySpec(str(tiles / "Waze"), str(tmp_path / "out"), model=run_id)
    result, scoring_run = score_files(spec, workspace=workspace, actor=ALICE)
    assert (result.series, result.rows) == (7, 140)
    assert "scores of windows" in str(result.notes[0])
    params = load_run(scoring_run.id, workspace).record.params
    assert (params["model_run"], params["detector"], params["steps"]) == (run_id, "sgmvrnn", 5)
    assert len(result.data.columns) == 96
    trained = replace(spec, out=str(tmp_path / "trained"), as_trained=True)
    assert score_files(trained, workspace=workspace, actor=ALICE)[0].notes == ()
    assert not np.allclose(read_scores(tmp_path / "out")["score"], read_scores(tmp_path / "trained")["score"])


def test_batch_result_is_loaded_from_run(tiles: Path, tmp_path: Path, workspace: Workspace) -> None:
    (tiles / "broken.parquet").write_bytes(b"PAR1" + b"x" * 100)
    spec = BatchSpec(str(tiles), str(tmp_path / "out"), fit_per="folder")
    result, run = score_files(spec, workspace=workspace, actor=ALICE)
    assert load_batch_result(run.id, workspace) == result
    assert result.data == FileList(Folder.parse(tiles).build_inventory().digest, ("tiles (20 files)",))
    assert [file for file, _ in result.skipped] == ["broken.parquet"]
    assert {"manifest.json", "skipped.csv", "batch.csv"} <= {path.name for path in run.folder.iterdir()}


def test_run_card_command_repeats_batch_run(
    files: Path, tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spec names relative folders. The command runs in another folder and adds to the same output folder."""
    monkeypatch.chdir(files.parent)
    spec = BatchSpec("files/site_1?.csv", "out", fit_per="folder", detector=list_detectors()["moving-mean"]())
    _, run = score_files(spec, workspace=workspace, actor=ALICE)
    card = build_run_card(run.id, workspace)
    assert card.data.files == ("files/site_1?.csv (10 files)",)
    assert card.counts["series"] == 10
    words = shlex.split(card.repeat.command)
    shutil.rmtree(tmp_path / "out" / "part=000000")
    answer = run_command([*words[3:], "--json"], tmp_path)
    assert words[:3] == ["python", "-m", "core"]
    assert (answer["series"], answer["batches"], answer["batches_resumed"]) == (10, 1, 0)
    repeated = load_batch_result(answer["run_id"], workspace)
    assert repeated.spec == load_batch_result(run.id, workspace).spec


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fit_per": ""}, "Set either --model"),
        ({"fit_per": "colour"}, "fit_per"),
        ({"scaling": "none"}, "scaling"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"workers": -1}, "workers"),
        ({"alarms_per_1000": 0.0}, "alarms_per_1000"),
        ({"out": ""}, "--out"),
        ({"out": "inside"}, "is inside the input folder"),
    ],
)
def test_batch_spec_rejects_invalid_values(
    files: Path, tmp_path: Path, workspace: Workspace, changes: dict[str, object], says: str
) -> None:
    values = {"folder": str(files), "out": str(tmp_path / "out"), "fit_per": "name"} | changes
    values["out"] = str(files / "inside") if values["out"] == "inside" else values["out"]
    with pytest.raises(InputError, match=says):
        score_files(BatchSpec(**values), workspace=workspace, actor=ALICE)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


# ---- command --------------------------------------------------------------------------------------------------------


def run_command(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run a command that must succeed. Return its JSON output."""
    answer: dict[str, Any] = read_json_output(run_vigie(folder, *arguments, MLFLOW_TRACKING_URI=""))
    return answer


def test_scale_command_prints_json(tiles: Path, tmp_path: Path) -> None:
    arguments = ["scale", str(tiles), "--fit-per", "folder", "--out", str(tmp_path / "out"), "--json"]
    answer = run_command(arguments, tmp_path / "data")
    assert (answer["series"], answer["rows"], answer["skipped"]) == (19, 500, 0)
    assert answer["where"] == str(tmp_path / "out")
    assert answer["series_per_second"] > 0
    assert {"seconds", "run_id", "recorded", "notes", "flagged", "emissions_kg", "batches"} <= set(answer)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Set either --model"),
        (["--model", "x", "--fit-per", "name"], "--fit-per cannot be combined with --model"),
        (["--fit-per", "name", "--detector", "crystal-ball"], "detector"),
        (["--fit-per", "name", "--set", "wings=2"], "wings"),
    ],
)
def test_scale_command_reports_bad_input_in_one_line(files: Path, tmp_path: Path, words: list[str], says: str) -> None:
    out = tmp_path / "out"
    process = run_vigie(tmp_path / "data", "scale", files, "--out", out, *words, MLFLOW_TRACKING_URI="")
    assert process.returncode == 2
    assert says in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert not out.exists()
