"""Many series from a folder: the same scores as one by one, each exactly once, whatever is killed meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import LocalCluster

from core.actor import Actor
from core.batch import Folder, Place, Work, batches, begun, executors
from core.batch.batches import Batch, Learning
from core.data.dataset import clock_labels
from core.data.ingest.loading import load
from core.data.series import series_of
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.errors import DataError, InputError, OptionError, UnreadableFileError, VigieError
from core.progress import Cancelled, Progress
from core.runs.model_files import trusted_types
from core.runs.stored_runs import load_run
from core.tasks.batch import run as scale
from core.tasks.batch.run import Question
from core.workspace import Workspace
from tests.conftest import ROOT
from tests.slow import Slow, fitted, score_slowly, scored, work_of
from tests.twins import official, per_tile, traffic

BY = Actor("alice", "tests")


def with_ours(model: SequenceModel, folder: Path, out: Path) -> Work:
    return work_of(model, folder, out, trusted_types())


def scores(out: Path) -> pd.DataFrame:
    parts = [pd.read_parquet(path, partitioning=None) for path in sorted(out.glob("part=*/scores.parquet"))]
    return pd.concat(parts).astype({"file": str, "entity": str}).reset_index(drop=True)


def table(entities: int, rows: int, seed: int = 0) -> pd.DataFrame:
    """Days of several sites, one after the other, 24 hours each."""
    random = np.random.default_rng(seed)
    found = pd.DataFrame(random.gamma(4, 10, (entities * rows, 24)), columns=clock_labels(24))
    found.insert(0, "date", np.tile(pd.date_range("2024-01-01", periods=rows), entities))
    found.insert(1, "site", np.repeat([f"S{number:03d}" for number in range(entities)], rows))
    return found


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Two services, 12 and 7 tiles of 30 and 20 days."""
    folder = tmp_path / "tiles"
    per_tile(folder, "Netflix", traffic(12, 30))
    per_tile(folder, "Waze", traffic(7, 20, seed=1))
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """24 files of one site each, one batch each with 20 rows to a batch."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(24):
        table(1, 20, seed=number).assign(site=f"S{number:03d}").to_csv(folder / f"site_{number}.csv", index=False)
    return folder


# ---- the scores -----------------------------------------------------------------------------------------------------


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
    """The files of one service hold all tiles, one day each; a batch is some of the tiles, over all days."""
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
    """Readers refuse it; that it is listed at all is what is tested."""
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
    monkeypatch.setattr("core.batch.IN_VAIN", 5)
    with pytest.raises(DataError, match=r"none of the first 5 files.*fitted on the columns"):
        scored(with_ours(model, files, tmp_path / "out"), 20)
    assert len(pd.read_csv(tmp_path / "out" / "skipped.csv")) == 5


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_are_some_files_in_natural_order(files: Path) -> None:
    (files / ".hidden.csv").write_text("x")
    (files / "map.geojson").write_text("{}")
    cut = [step for step in batches(Folder.of(files), 100) if isinstance(step, Batch)]
    assert [path for batch in cut for unit in batch.units for path in unit.files] == [
        f"site_{number}.csv" for number in range(24)
    ]
    assert {len(batch.units) for batch in cut[:-1]} <= {4, 5, 6}
    assert [step.digest for step in batches(Folder.of(files), 100) if isinstance(step, Batch)] == [
        batch.digest for batch in cut
    ]


def test_patterns(tiles: Path, tmp_path: Path) -> None:
    assert Folder.of(tiles).inventory().files == 19
    assert Folder.of(tiles / "**" / "Netflix*.txt").inventory().files == 12
    assert Folder.of(tiles / "*" / "*" / "*_10?.txt").inventory().files == 10 + 7
    assert Folder.of(tiles / "Waze" / "DL" / "Waze_DL_Tile_100.txt").inventory().files == 1
    for nothing in (tiles / "*.csv", tmp_path / "nowhere"):
        with pytest.raises(UnreadableFileError):
            Folder.of(nothing).inventory()


def test_the_list_of_files_has_a_digest(files: Path) -> None:
    before = Folder.of(files).inventory()
    assert Folder.of(files).inventory() == before
    (files / "site_3.csv").write_text((files / "site_3.csv").read_text() + "\n")
    assert Folder.of(files).inventory().digest != before.digest


@pytest.mark.parametrize(
    ("per", "groups"),
    [
        ("folder", ["Netflix/DL", "Waze/DL", "more"]),
        ("name", ["Netflix/DL/Netflix", "Waze/DL/Waze", "more/a", "more/b"]),
    ],
)
def test_groups(tiles: Path, per: scale.Per, groups: list[str]) -> None:
    (tiles / "more").mkdir()
    for name in ("a_1.csv", "a_2.csv", "b_1.csv"):
        (tiles / "more" / name).write_text("x\n1\n")
    steps = list(batches(Folder.of(tiles), 10**6, per))
    assert [step.group for step in steps if isinstance(step, Learning)] == groups
    assert [step.group for step in steps if isinstance(step, Batch)] == groups
    assert isinstance(steps[0], Learning)


# ---- one killed, all scored -----------------------------------------------------------------------------------------


def workers() -> list[psutil.Process]:
    """The worker processes that this process has started."""
    servers = [each for each in psutil.Process().children() if "forkserver" in " ".join(each.cmdline())]
    return [worker for server in servers for worker in server.children()]


class Watching(Progress):
    """Does something once, after some batches."""

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

    tally = scored(work_of(model, files, tmp_path / "out"), 20, Place(2), Watching(6, kill))
    assert (tally.series, tally.batches, tally.skipped) == (24, 24, [])
    assert scores(tmp_path / "out")["file"].value_counts().to_dict() == {
        f"site_{number}.csv": 20 for number in range(24)
    }
    by = Counter(line.split()[0] for line in (tmp_path / "log").read_text().splitlines())
    assert str(killed[0]) in by
    assert len(by) >= 2  # others went on
    assert not workers()


def test_a_batch_that_kills_its_workers_does_not_stop_the_others(files: Path, tmp_path: Path) -> None:
    deadly = pd.read_csv(files / "site_1.csv")
    deadly.iloc[0, 2] = 1e7
    deadly.to_csv(files / "site_1.csv", index=False)
    model = fitted(Slow(), load([files / "site_2.csv"]))
    model.detector.deadly = 1e4  # type: ignore[attr-defined]
    work = work_of(model, files, tmp_path / "out")
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        tally = scored(work, 20, Place(1), pattern="site_?.csv")
    lost = dict(tally.skipped)
    assert "died" in lost["site_1.csv"]
    assert tally.series + len(lost) == 10
    assert not (tmp_path / "out" / "part=000001" / "scores.parquet").exists()  # the next attempt tries it again


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
    assert again == 24 - len(finished) + 1  # and once while it was fitted
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


# ---- a cluster of others --------------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A scheduler and a worker that listen as those of other machines do."""
    quiet = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with (
        dask.config.set(executors.PLAIN),
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", **quiet) as found,
    ):
        yield found


def test_a_scheduler_elsewhere(files: Path, tmp_path: Path, cluster: LocalCluster) -> None:
    place = Place(address=cluster.scheduler_address)
    tally = scored(with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out"), 20, place)
    assert (tally.series, tally.batches) == (24, 24)
    assert len(scores(tmp_path / "out")) == 480


def test_a_scheduler_that_goes_away(
    files: Path, tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(executors.PLAIN, "distributed.comm.timeouts.connect", "1s")
    monkeypatch.setattr(executors, "ANSWER", 1.5)
    work = work_of(fitted(Slow(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="went away"):
        scored(work, 20, Place(address=cluster.scheduler_address), Watching(3, cluster.close))
    assert scored(work, 20).resumed >= 3


def test_a_scheduler_that_does_not_answer(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "ANSWER", 0.5)
    work = with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    with pytest.raises(VigieError, match="does not answer"):
        scored(work, 20, Place(address="tcp://127.0.0.1:9"))


# ---- the folder of results ------------------------------------------------------------------------------------------


def test_results_of_something_else_are_not_mixed_in(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = {"model": "a", "batch_rows": 20}
    with begun(out, asked), pytest.raises(OptionError, match="another process"), begun(out, asked):
        pass
    with begun(out, {"model": "a", "batch_rows": 20}):
        pass
    with pytest.raises(DataError, match="model: a ≠ b"), begun(out, {"model": "b", "batch_rows": 20}):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="not empty"), begun(tmp_path / "full", {}):
        pass


def test_a_part_of_something_else_is_not_taken_for_finished(files: Path, tmp_path: Path) -> None:
    work = with_ours(fitted(PcaResidual(), load([files / "site_1.csv"])), files, tmp_path / "out")
    scored(work, 20)
    with pytest.raises(DataError, match="something else"):
        scored(replace(work, manifest="other"), 20)
    with pytest.raises(DataError, match="something else"):
        scored(work, 60)


# ---- the verb -------------------------------------------------------------------------------------------------------


def test_one_model_per_group_as_one_run(tiles: Path, tmp_path: Path, place: Workspace) -> None:
    question = Question(
        str(tiles),
        str(tmp_path / "out"),
        fit_per="name",
        detector="sgmvrnn",
        settings={"steps": "5"},
        counts=True,
        alarms_per_1000=50,
    )
    found, run = scale.score(question, workspace=place, actor=BY)
    assert (found.tally.series, found.tally.batches) == (19, 2)
    assert len(list((tmp_path / "out" / "models").glob("*.skops"))) == 2
    record = load_run(run.id, place).record
    assert record.experiment == "scale"
    assert record.tags["dataset.digest"] == Folder.of(tiles).inventory().digest
    assert record.tags["dataset.files"] == "tiles (19 files)"
    assert record.metrics["series"] == 19
    assert record.params["scoring"] == "streaming"
    again = scale.carry_out({**vars(question)}, workspace=place, actor=BY, progress=Progress())
    assert load_run(again, place).record.metrics["batches_resumed"] == 2
    with pytest.raises(DataError, match="alarms_per_1000: 50 ≠ 40"):
        scale.score(replace(question, alarms_per_1000=40), workspace=place, actor=BY)


def test_the_model_of_a_run(tiles: Path, tmp_path: Path, place: Workspace) -> None:
    from core.tasks.sequences.config import Asked, Plan
    from core.tasks.sequences.run import train

    _, run = train(
        load([tiles / "Netflix"]),
        SGmVRNN(steps=5),
        Plan(),
        Asked("alarms", 100, "1000 rows"),
        workspace=place,
        actor=BY,
    )
    question = Question(str(tiles / "Waze"), str(tmp_path / "out"), model=run.id)
    found, scaled = scale.score(question, workspace=place, actor=BY)
    assert (found.tally.series, found.tally.rows) == (7, 140)
    assert "scores of windows" in str(found.notes[0])
    assert load_run(scaled.id, place).record.params["model_run"] == run.id
    trained = replace(question, out=str(tmp_path / "trained"), streaming=False)
    assert scale.score(trained, workspace=place, actor=BY)[0].notes == ()
    assert not np.allclose(scores(tmp_path / "out")["score"], scores(tmp_path / "trained")["score"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "either a model"),
        ({"model": "x", "fit_per": "name"}, "either a model"),
        ({"fit_per": "colour"}, "fit_per"),
        ({"fit_per": "name", "detector": "crystal-ball"}, "detector"),
        ({"fit_per": "name", "batch_rows": 0}, "batch_rows"),
        ({"fit_per": "name", "alarms_per_1000": 0.0}, "alarms_per_1000"),
        ({"fit_per": "name", "out": "inside"}, "lies in the folder"),
    ],
)
def test_questions_that_are_refused(
    files: Path, tmp_path: Path, place: Workspace, changes: dict[str, object], says: str
) -> None:
    given = {"folder": str(files), "out": str(tmp_path / "out")} | changes
    given["out"] = str(files / "inside") if given["out"] == "inside" else given["out"]
    with pytest.raises(InputError, match=says):
        scale.score(Question(**given), workspace=place, actor=BY)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_command(tiles: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "core",
        "scale",
        str(tiles),
        "--fit-per",
        "folder",
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert (answer["series"], answer["rows"], answer["skipped"]) == (19, 500, 0)
    assert answer["where"] == str(tmp_path / "out")
    assert answer["series_per_second"] > 0
    assert {"seconds", "run_id", "recorded", "notes", "flagged"} <= set(answer)
