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

from benchmarks.lines import Line, peak_mb, ratio
from core.data.dataset import clock_labels

DAYS, TILES = 77, (1_000, 10_000, 100_000)
DISTINCT = 200  # tiles that are written; all others are links to them
BATCH_TILES = 650  # tiles of 77 days in a batch of 50,000 rows
REPETITIONS = 3
LIMIT = 580.0  # seconds; if the largest number of tiles would take longer, a smaller number is measured


def main() -> list[Line]:
    """Measure the overhead, then the cost of 1,000 to 100,000 tiles."""
    with TemporaryDirectory(prefix="vigie-bench-") as room:
        place = Path(room)
        folders = {tiles: place / str(tiles) for tiles in TILES}
        write_tiles(place / "tiles", DISTINCT)
        _train(place)
        overheads = _overhead(place)
        lines, seconds = [*overheads], dict[int, float]()
        for tiles in TILES:
            expected = seconds.get(10_000, 0.0) * tiles / 10_000
            asked = 30_000 if expected > LIMIT else tiles
            link_tiles(place / "tiles", folders[tiles], asked)
            found = _in_child("scale", place, folders[tiles])
            seconds[asked] = found["cpu"]
            lines += [
                Line(
                    f"{asked:,} tiles, one core",
                    f"{asked / found['cpu']:,.0f} series/s",
                    "",
                    f"{found['cpu']:.1f} s of one core, {found['seconds']:.1f} s",
                ),
                Line("    peak memory", f"{found['peak_mb']:,.0f} MB"),
            ]
        return [*lines, _linear(seconds)]


def _overhead(place: Path) -> list[Line]:
    """Compare the command with a loop that reads and scores the same batches and stores nothing.

    The sides take turns.
    """
    link_tiles(place / "tiles", place / "beside", 2_600)
    found = [
        {side: _in_child(side, place, place / "beside")["cpu"] for side in ("bare", "scale")}
        for _ in range(REPETITIONS)
    ]
    return [
        ratio(
            "2,600 tiles: scale : read and score in a loop",
            [each["scale"] for each in found],
            [each["bare"] for each in found],
            target=1.15,
        )
    ]


def _linear(seconds: dict[int, float]) -> Line:
    """Return the cost of a tile among the largest number, relative to that among 10,000."""
    most = max(seconds)
    per_tile = {tiles: seconds[tiles] / tiles for tiles in (10_000, most)}
    value = per_tile[most] / per_tile[10_000]
    return Line(
        f"cost of a tile: {most:,} over 10,000",
        f"{value:.2f} x",
        "",
        f"{per_tile[most] * 1e3:.2f} ms : {per_tile[10_000] * 1e3:.2f} ms",
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
        (folder / f"Netflix_DL_Tile_{number}.txt").write_text(_forward(text))


def _forward(text: str) -> str:
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


def _in_child(side: str, place: Path, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", side, str(place), str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


def _train(place: Path) -> None:
    """Fit a model on some tiles; its quality does not matter here."""
    import skops.io

    from core.batch.output import MODEL
    from core.data.ingest.loading import load
    from core.detectors.scaling import Scaling
    from core.detectors.sequence_model import SequenceModel
    from core.detectors.sequences.sgmvrnn_detector import SGmVRNN

    dataset = load(sorted((place / "tiles").iterdir())[:20])
    model = SequenceModel(SGmVRNN(steps=50, scoring="streaming"), Scaling(counts=True)).fit(dataset)
    model.threshold_ = float(np.quantile(model.calibration_, 0.99))
    skops.io.dump(model, place / MODEL)
    assert dataset.columns == clock_labels(96)


def measure(side: str, place: Path, folder: Path) -> dict[str, float]:
    """Return processor seconds, wall-clock seconds, and the peak memory of this process in MB.

    Imports are not counted; reading the model is.
    """
    import torch  # noqa: F401

    from core.batch.output import MODEL
    from core.runs.model_files import trusted_types
    from mlflow_utils.model_io import read_model

    trusted = trusted_types()
    read_model(place / MODEL, trusted)  # imports
    began, used = time.perf_counter(), time.process_time()
    if side == "bare":
        rows = sum(_loop(read_model(place / MODEL, trusted), folder))
    else:
        rows = _scaled(place, folder, trusted)
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "peak_mb": peak_mb()}


def _loop(model: object, folder: Path) -> Iterator[int]:
    """Read and score in batches, and yield the number of scored rows."""
    from core.data.ingest.files import Source
    from core.data.ingest.layouts.netmob import NetMob
    from core.data.ingest.readers import no_progress
    from core.data.ingest.readers.netmob import read_netmob
    from core.data.series import series_of

    files, layout = sorted(folder.rglob("*.txt")), NetMob()
    for first in range(0, len(files), BATCH_TILES):
        table = read_netmob(
            [Source(path, path.name, "netmob") for path in files[first : first + BATCH_TILES]], no_progress
        )
        dataset = layout.build(table, layout.roles(table.frame) or {}, "")
        found = model.score_series([series.values for series in series_of(dataset)])  # type: ignore[attr-defined]
        yield sum(len(each.score) for each in found)


def _scaled(place: Path, folder: Path, trusted: tuple[str, ...]) -> int:
    import shutil

    from core.batch.executors import Executor
    from core.batch.file_inventory import Folder
    from core.batch.job_spec import JobSpec
    from core.batch.output import MODEL, lock_output
    from core.batch.score_folder import BatchConfig, score_folder
    from core.progress import Progress

    with TemporaryDirectory(prefix="vigie-bench-out-") as room:
        out = Path(room) / "out"
        with lock_output(out, {}):
            shutil.copyfile(place / MODEL, out / MODEL)
            job, tiles = JobSpec(folder, out, "bench", trusted), Folder(folder)
            return score_folder(job, tiles, tiles.inventory(), BatchConfig(), Executor(), Progress()).rows


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
