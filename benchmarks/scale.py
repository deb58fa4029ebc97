"""Scoring of many NetMob tiles in a folder with streaming SGmVRNN.

It measures series per second and core, peak memory, and the overhead over a plain loop.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine, build_ratio, peak_mb
from core.data.dataset import make_clock_labels

DAYS, TILES = 77, (1_000, 10_000, 100_000)
DISTINCT_TILES = 200  # tiles that are written; all others are links to them
BATCH_TILES = 650  # tiles of 77 days in a batch of 50,000 rows
REPETITIONS = 3
LIMIT_S = 580.0  # seconds; if the largest number of tiles would take longer, a smaller number is measured


def main() -> list[ResultLine]:
    """Measure the overhead, then the cost of 1,000 to 100,000 tiles."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        work_folder = Path(folder)
        folders = {tiles: work_folder / str(tiles) for tiles in TILES}
        write_tiles(work_folder / "tiles", DISTINCT_TILES)
        _train_model(work_folder)
        overheads = _measure_overhead(work_folder)
        lines, seconds = [*overheads], dict[int, float]()
        for tiles in TILES:
            expected = seconds.get(10_000, 0.0) * tiles / 10_000
            tile_count = 30_000 if expected > LIMIT_S else tiles
            link_tiles(work_folder / "tiles", folders[tiles], tile_count)
            result = _in_child("scale", work_folder, folders[tiles])
            seconds[tile_count] = result["cpu"]
            lines += [
                ResultLine(
                    f"{tile_count:,} tiles, one core",
                    f"{tile_count / result['cpu']:,.0f} series/s",
                    "",
                    f"{result['cpu']:.1f} s of one core, {result['seconds']:.1f} s",
                ),
                ResultLine("    peak memory", f"{result['peak_mb']:,.0f} MB"),
            ]
        return [*lines, _compare_tile_costs(seconds)]


def _measure_overhead(work_folder: Path) -> list[ResultLine]:
    """Compare the command with a loop that reads and scores the same batches and stores nothing.

    The sides take turns.
    """
    link_tiles(work_folder / "tiles", work_folder / "beside", 2_600)
    results = [
        {side: _in_child(side, work_folder, work_folder / "beside")["cpu"] for side in ("bare", "scale")}
        for _ in range(REPETITIONS)
    ]
    return [
        build_ratio(
            "2,600 tiles: scale : read and score in a loop",
            [result["scale"] for result in results],
            [result["bare"] for result in results],
            target=1.15,
        )
    ]


def _compare_tile_costs(seconds: dict[int, float]) -> ResultLine:
    """Return the cost of a tile among the largest number, relative to that among 10,000."""
    max_tiles = max(seconds)
    per_tile = {tiles: seconds[tiles] / tiles for tiles in (10_000, max_tiles)}
    value = per_tile[max_tiles] / per_tile[10_000]
    return ResultLine(
        f"cost of a tile: {max_tiles:,} over 10,000",
        f"{value:.2f} x",
        "",
        f"{per_tile[max_tiles] * 1e3:.2f} ms : {per_tile[10_000] * 1e3:.2f} ms",
        "≤ 1.1 x",
        "met" if value <= 1.1 else "MISSED",
    )


# ---- tiles ----------------------------------------------------------------------------------------------------------


def write_tiles(folder: Path, count: int) -> None:
    """Write `count` NetMob23 files of 77 days × 96 quarter-hours, about 65 kB each."""
    folder.mkdir()
    random = np.random.default_rng(0)
    shape = 1.2 + np.sin(np.arange(96) / 96 * 2 * np.pi - 2)
    days = pd.date_range("2019-03-16", periods=DAYS).strftime("%Y%m%d")
    for number in range(count):
        values = random.gamma(4, 5000, (DAYS, 1)) * shape * random.uniform(0.8, 1.2, (DAYS, 96))
        lines = [" ".join([day, *(f"{value:.4f}" for value in row)]) for day, row in zip(days, values, strict=True)]
        text = "\n".join(lines) + "\n"
        (folder / f"Netflix_DL_Tile_{number}.txt").write_text(_drop_missing_hour(text))


def _drop_missing_hour(text: str) -> str:
    """Remove four quarter-hours from the day on which clocks go forward."""
    return "\n".join(
        " ".join([*(cells := line.split(" "))[:9], *cells[13:]]) if line.startswith("20190331") else line
        for line in text.split("\n")
    )


def link_tiles(source: Path, folder: Path, count: int) -> None:
    """Link the files of `source` repeatedly until there are `count` tiles, in folders of 10,000."""
    files = sorted(source.iterdir())
    for number in range(count):
        inside = folder / f"{number // 10_000:03d}"
        inside.mkdir(parents=True, exist_ok=True)
        os.link(files[number % len(files)], inside / f"Netflix_DL_Tile_{number}.txt")


# ---- sides ----------------------------------------------------------------------------------------------------------


def _in_child(side: str, work_folder: Path, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", side, str(work_folder), str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


def _train_model(work_folder: Path) -> None:
    """Fit a model on some tiles; its quality does not matter here."""
    import skops.io

    from core.batch.output import MODEL_FILE
    from core.data.ingest.loading import load
    from core.detectors.scaling import Scaling
    from core.detectors.sequence_model import SequenceModel
    from core.detectors.sequences.sgmvrnn_detector import SGmVRNN

    dataset = load(sorted((work_folder / "tiles").iterdir())[:20])
    model = SequenceModel(SGmVRNN(steps=50, scoring="streaming"), Scaling(counts=True)).fit(dataset)
    model.threshold_ = float(np.quantile(model.calibration_, 0.99))
    skops.io.dump(model, work_folder / MODEL_FILE)
    assert dataset.columns == make_clock_labels(96)


def measure(side: str, work_folder: Path, folder: Path) -> dict[str, float]:
    """Return processor seconds, wall-clock seconds, and the peak memory of this process in MB.

    Imports are not counted; reading the model is.
    """
    import torch  # noqa: F401

    from core.batch.output import MODEL_FILE
    from core.runs.model_files import list_trusted_types
    from mlflow_utils.model_io import read_model

    trusted = list_trusted_types()
    read_model(work_folder / MODEL_FILE, trusted)  # imports
    began, used = time.perf_counter(), time.process_time()
    if side == "bare":
        rows = sum(_score_in_loop(read_model(work_folder / MODEL_FILE, trusted), folder))
    else:
        rows = _score_with_command(work_folder, folder, trusted)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "peak_mb": peak_mb()}


def _score_in_loop(model: object, folder: Path) -> Iterator[int]:
    """Read and score in batches, and yield the number of scored rows."""
    from core.data.ingest.files import Source
    from core.data.ingest.layouts.netmob import NetMob
    from core.data.ingest.readers import ignore_progress
    from core.data.ingest.readers.netmob import read_netmob
    from core.data.series import split_by_entity

    files, layout = sorted(folder.rglob("*.txt")), NetMob()
    for first in range(0, len(files), BATCH_TILES):
        table = read_netmob(
            [Source(path, path.name, "netmob") for path in files[first : first + BATCH_TILES]], ignore_progress
        )
        dataset = layout.build(table, layout.detect_roles(table.frame) or {}, "")
        scores = model.score_series([series.values for series in split_by_entity(dataset)])  # type: ignore[attr-defined]
        yield sum(len(series_scores.score) for series_scores in scores)


def _score_with_command(work_folder: Path, folder: Path, trusted: tuple[str, ...]) -> int:
    import shutil

    from core.batch.executors import Executor
    from core.batch.file_inventory import Folder
    from core.batch.job_spec import JobSpec
    from core.batch.output import MODEL_FILE, lock_output
    from core.batch.score_folder import BatchConfig, score_folder
    from core.progress import Progress

    with TemporaryDirectory(prefix="vigie-bench-out-") as folder_name:
        out = Path(folder_name) / "out"
        with lock_output(out, {}):
            shutil.copyfile(work_folder / MODEL_FILE, out / MODEL_FILE)
            job, tiles = JobSpec(folder, out, "bench", trusted), Folder(folder)
            return score_folder(job, tiles, tiles.build_inventory(), BatchConfig(), Executor(), Progress()).rows


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
