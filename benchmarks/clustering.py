"""Clustering compared with the estimators of scikit-learn on the same rows: seconds, peak memory, agreement.

Each side has its own process.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets import find_gas_files, generate_gas_days
from benchmarks.report import ResultLine, build_figure, build_ratio, peak_mb

MILLION = 10**6
PLAIN_DBSCAN_ROWS = 20_000  # generated rows; with 60,000 rows scikit-learn needs 17 GB for the neighbours
SETTINGS = {"dbscan": {"eps": 0.5, "min_samples": 5}, "kmeans": {"n_clusters": 4, "n_init": 10, "random_state": 42}}


def main() -> list[ResultLine]:
    """Compare DBSCAN and k-means on the gas files and on generated rows."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        rows = _generate_rows(MILLION)
        lines = []
        if find_gas_files():
            lines += _compare_sides("dbscan", "gas files", _load_gas(), Path(folder), repetitions=3)
        lines += _compare_sides(
            "dbscan", f"{PLAIN_DBSCAN_ROWS:,} generated rows", rows[:PLAIN_DBSCAN_ROWS], Path(folder), repetitions=1
        )
        lines += _measure_ours("dbscan", f"{MILLION:,} generated rows", rows, Path(folder))
        lines += _compare_sides("kmeans", f"{MILLION:,} generated rows", rows, Path(folder), repetitions=3)
    return lines


def _compare_sides(name: str, what: str, rows: NDArray[np.float64], folder: Path, repetitions: int) -> list[ResultLine]:
    """Compare both sides; they take turns within a repetition."""
    np.save(folder / "rows.npy", rows)
    results = [{side: _in_child(side, name, folder) for side in ("ours", "plain")} for _ in range(repetitions)]
    seconds, peak = (
        [[result[side][kind] for result in results] for side in ("ours", "plain")] for kind in ("seconds", "peak_mb")
    )
    same, ari = _measure_agreement(folder)
    basis = f"labels {'equal' if same else 'differ'}"
    return [
        build_ratio(f"{name} : scikit-learn, {what}", *seconds, target=1.0),
        build_ratio("    peak memory above the rows", *peak, unit="MB"),
        ResultLine("    adjusted Rand index of the two", f"{ari:.6f}", basis=basis),
    ]


def _measure_ours(name: str, what: str, rows: NDArray[np.float64], folder: Path) -> list[ResultLine]:
    """Measure our side where scikit-learn runs out of memory."""
    np.save(folder / "rows.npy", rows)
    result = _in_child("ours", name, folder)
    megabytes = rows.nbytes / 1e6
    return [
        build_figure(f"{name}, {what}", [result["seconds"]], "s", target=60),
        build_figure(
            f"    peak memory above the rows ({megabytes:.0f} MB)", [result["peak_mb"]], "MB", target=6 * megabytes
        ),
    ]


def _measure_agreement(folder: Path) -> tuple[bool, float]:
    from sklearn.metrics import adjusted_rand_score

    ours, plain = (np.load(folder / f"{side}.npy") for side in ("ours", "plain"))
    return bool(np.array_equal(ours, plain)), float(adjusted_rand_score(plain, ours))


def _in_child(side: str, name: str, folder: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.clustering", side, name, str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def measure(side: str, name: str, folder: Path) -> dict[str, float]:
    """Return the seconds of a fit, and the rise of the peak memory above imports and rows, in MB."""
    from sklearn import cluster

    from core.clusterers.dbscan import DBSCAN
    from core.clusterers.kmeans import KMeans

    ours, plain = {"dbscan": (DBSCAN, cluster.DBSCAN), "kmeans": (KMeans, cluster.KMeans)}[name]
    model = (ours if side == "ours" else plain)(**SETTINGS[name])
    rows = np.load(folder / "rows.npy")
    model.fit(rows[:2000])  # excludes lazy imports from the measurement
    before, began = peak_mb(), time.perf_counter()
    labels = model.fit(rows).labels_
    seconds = time.perf_counter() - began
    np.save(folder / f"{side}.npy", labels)
    return {"seconds": seconds, "peak_mb": max(peak_mb() - before, 0.1)}


def _load_gas() -> NDArray[np.float64]:
    """Return the gas files, with missing hours filled by the mean of the column, as in the reference figures."""
    from core.data.ingest.loading import load

    values = load(find_gas_files()).values
    return _standardise(np.where(np.isnan(values), np.nanmean(values, axis=0), values))


def _generate_rows(count: int) -> NDArray[np.float64]:
    """Return `count` generated gas days in random order."""
    days: list[NDArray[np.float64]] = []
    for table in generate_gas_days(10_000):
        days.append(table.filter(like=":").to_numpy())
        if sum(map(len, days)) >= count:
            break
    values = np.concatenate(days)
    return _standardise(values[np.random.default_rng(0).permutation(len(values))[:count]])


def _standardise(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - values.mean(axis=0)) / values.std(axis=0)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
