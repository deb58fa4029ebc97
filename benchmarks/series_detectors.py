"""Fast detectors of series: VUS-PR and event-F1 on labelled series, and planted faults found in hourly electricity.

The default is chosen on the sets of `CHOOSING` and confirmed on the others.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.datasets import find_demand_file
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.detectors.base import SequenceDetector
from core.detectors.scaling import Scaling
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.level_shift import LevelShift
from core.detectors.sequences.matrix_profile import MatrixProfile
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.seasonal_residual import SeasonalResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.vus import find_ranges
from core.progress import Progress
from core.tasks.sequences.evaluation import read_arrays

DETECTORS: dict[str, Callable[[], SequenceDetector] | None] = {
    "random": None,
    "distance to the mean": MeanDistance,
    "moving mean": MovingMean,
    "PCA residual": PcaResidual,
    "Sub-PCA": SubPCA,
    "KMeansAD": KMeansAD,
    "matrix profile": MatrixProfile,
    "seasonal residual": SeasonalResidual,
    "level shift": LevelShift,
    "Sub-PCA, 50 rows": lambda: SubPCA(window=50),
    "Sub-PCA, 100 rows": lambda: SubPCA(window=100),
}
NAB_TRAIN_SHARE = 0.15  # NAB's own probation period, without labelled rows
TSB_TRAIN_ROWS = 1007  # the number after "tr" in the file's name
HOUR_S = 3600.0
FAULTS_PER_KIND = 20
KINDS = ("spikes", "flats", "shifts", "zeros")
TOP_SHARE = 0.01
SEEDS = (0, 1)


@dataclass(frozen=True)
class LabelledSeries:
    """Training rows, test rows and the labels of the test rows; `is_choosing` where it may choose the default."""

    family: str
    name: str
    train: Floats
    test: Floats
    labels: NDArray[np.bool_]
    step_seconds: float | None
    is_choosing: bool


def main() -> list[ResultLine]:
    """Measure every detector on every family of series, then on planted faults."""
    all_series = list(iterate_series())
    if not all_series:
        return [ResultLine("skipped: no smd/, asd/ or nab/ in the shared data", "–")]
    lines = [summarise(name, [measure(name, series) for series in all_series]) for name in DETECTORS]
    return lines + measure_planted_faults()


def iterate_series(families: tuple[str, ...] = ("asd", "nab", "smd", "tsb_ad")) -> Iterator[LabelledSeries]:
    """Yield the labelled series of the families. ASD 1 to 3 and every second series of NAB choose the default."""
    folder = Path(os.environ.get("VIGIE_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")
    for family in families:
        if family == "nab" and (folder / "nab").is_dir():
            yield from _iterate_nab(folder / "nab")
        elif family == "tsb_ad":
            for path in sorted(folder.glob("tsb_ad/*.csv")):
                table = pd.read_csv(path).to_numpy(dtype=float)
                train, test = np.split(table, [TSB_TRAIN_ROWS])
                yield LabelledSeries(family, path.stem, train[:, :1], test[:, :1], test[:, 1] > 0, None, False)
        else:
            for number, path in enumerate(sorted(folder.glob(f"{family}/*.npz"))):
                arrays = read_arrays(path)
                assert arrays.labels is not None
                is_choosing = family == "asd" and number < 3
                yield LabelledSeries(family, path.stem, arrays.train, arrays.test, arrays.labels, None, is_choosing)


def _iterate_nab(folder: Path) -> Iterator[LabelledSeries]:
    """Yield the series of NAB with labelled windows, trained on the rows of the probation period."""
    windows = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    names = [name for name in sorted(windows) if windows[name] and (folder / name).exists()]
    for number, name in enumerate(names):
        table = pd.read_csv(folder / name, parse_dates=["timestamp"])
        times, values = table["timestamp"], table[["value"]].to_numpy(dtype=float)
        labels = np.zeros(len(table), dtype=bool)
        for start, end in windows[name]:
            labels |= ((times >= start) & (times <= end)).to_numpy()
        rows = int(NAB_TRAIN_SHARE * len(table))
        step_seconds = float(times.diff().median().total_seconds())
        yield LabelledSeries("nab", name, values[:rows], values[rows:], labels[rows:], step_seconds, number % 2 == 0)


def measure(name: str, series: LabelledSeries) -> tuple[LabelledSeries, float, float, float]:
    """Return the series, and VUS-PR, event-F1 and seconds of the detector `name` on it."""
    start_time = time.perf_counter()
    scores = compute_scores(name, series)
    seconds = time.perf_counter() - start_time
    metrics = compute_detection_metrics(series.labels, scores)
    return series, metrics["vus_pr"], metrics["event_f1"], seconds


def compute_scores(name: str, series: LabelledSeries) -> Floats:
    """Return the scores of the test rows, (rows,), by the detector `name` with default settings."""
    build = DETECTORS[name]
    if build is None:
        return np.random.default_rng(0).random(len(series.test))
    scaling, detector = Scaling().fit([series.train]), build()
    detector.step_seconds_ = series.step_seconds
    detector.fit([scaling.transform(series.train)], Progress())
    return detector.score(scaling.transform(series.test)).score.astype(np.float64)


def summarise(name: str, cards: list[tuple[LabelledSeries, float, float, float]]) -> ResultLine:
    """Return one line: VUS-PR where the default is chosen and where it is confirmed, then each family.

    The mean of a family counts once in each of the two means.
    """
    means, parts = [], []
    for is_choosing in (True, False):
        by_family: dict[str, list[tuple[float, float, float]]] = {}
        for series, *figures in cards:
            if series.is_choosing == is_choosing:
                by_family.setdefault(series.family, []).append((figures[0], figures[1], figures[2]))
        table = {family: np.mean(figures, axis=0) for family, figures in by_family.items()}
        means.append(np.mean([vus for vus, _, _ in table.values()]) if table else float("nan"))
        parts.append("  ".join(f"{family} {vus:.3f} / {f1:.3f}" for family, (vus, f1, _) in table.items()))
    seconds = sum(figures[2] for _, *figures in cards)
    return ResultLine(name, f"{means[0]:.3f} → {means[1]:.3f}", f"{seconds:.0f} s", "  →  ".join(parts))


# ---- planted faults --------------------------------------------------------------------------------------------------


def measure_planted_faults() -> list[ResultLine]:
    """Return, per detector, the planted faults with a row among the 1 % of test rows with the highest scores."""
    path = find_demand_file()
    if path is None:
        return [ResultLine("skipped: no vic_elec/ in the shared data", "–")]
    demand = _read_hourly_demand(path)
    names = [name for name in DETECTORS if DETECTORS[name] is not None]
    lines = []
    for name in ("robust z by month, kind of day and hour", *names):
        counts, precisions = np.zeros(len(KINDS), dtype=int), list[float]()
        for seed in SEEDS:
            faulty, kinds, half = plant_faults(demand, seed)
            series = LabelledSeries("", "", faulty[:half, None], faulty[half:, None], kinds[half:] >= 0, HOUR_S, False)
            scores = (
                compute_scores(name, series) if name in DETECTORS else _compute_robust_z(faulty, demand.index, half)
            )
            found, precision = _count_found(scores, kinds[half:])
            counts, precisions = counts + found, [*precisions, precision]
        detail = "  ".join(f"{kind} {count}" for kind, count in zip(KINDS, counts, strict=True))
        planted = FAULTS_PER_KIND * len(KINDS) * len(SEEDS)
        precision_text = f"precision {np.mean(precisions):.2f}"
        lines.append(ResultLine(f"    {name}", f"{counts.sum()} of {planted}", precision_text, detail))
    return [ResultLine("planted faults in hourly electricity, highest 1 % of rows", ""), *lines]


def _read_hourly_demand(path: Path) -> pd.Series:
    """Return hourly demand in MW by the clock of Melbourne, whole days only."""
    table = pd.read_csv(path)
    table.columns = table.columns.str.lower()
    times = pd.to_datetime(table["time"], utc=True).dt.tz_convert("Australia/Melbourne").dt.tz_localize(None)
    demand = pd.Series(table["demand"].to_numpy(dtype=float), times).resample("h").mean().interpolate()
    demand = demand[demand.index >= demand.index[0].normalize() + pd.Timedelta(days=1)]
    return demand[: len(demand) // 24 * 24]


def plant_faults(demand: pd.Series, seed: int) -> tuple[Floats, NDArray[np.int_], int]:
    """Plant 20 faults of each kind in days of the second half.

    A spike is one hour × 1.5 or × 0.6, a flat six equal hours, a shift a day two hours late, and zeros are three hours.
    Returns the values, the kind of every row (−1 without a fault) and the first row of the second half.
    """
    random, values = np.random.default_rng(seed), demand.to_numpy().reshape(-1, 24).copy()
    half, kinds = len(values) // 2, np.full(values.shape, -1)
    days = random.permutation(np.arange(half, len(values)))[: FAULTS_PER_KIND * len(KINDS)]
    for number, day in enumerate(days):
        kind, hour = number % len(KINDS), int(random.integers(2, 16))
        hours = (slice(hour, hour + 1), slice(hour, hour + 6), slice(0, 24), slice(hour, hour + 3))[kind]
        if kind == 0:
            values[day, hours] *= 1.5 if random.random() < 0.5 else 0.6
        elif kind == 1:
            values[day, hours] = values[day, hour]
        elif kind == 2:
            values[day] = np.roll(values[day], 2)
        else:
            values[day, hours] = 0.0
        kinds[day, hours] = kind
    return values.ravel(), kinds.ravel(), half * 24


def _compute_robust_z(values: Floats, times: pd.Index, half: int) -> Floats:
    """Return the distance to the median of training rows of the same month, kind of day and hour, in spreads."""
    stamps = pd.DatetimeIndex(times)
    table = pd.DataFrame(
        {"value": values, "month": stamps.month, "weekend": stamps.dayofweek >= 5, "hour": stamps.hour}
    )
    keys = ["month", "weekend", "hour"]
    groups = table[:half].groupby(keys)["value"]
    center = groups.median().rename("center")
    spread = groups.agg(lambda group: 1.4826 * (group - group.median()).abs().median()).rename("spread")
    test = table[half:].join(center, on=keys).join(spread, on=keys)
    return np.asarray(((test["value"] - test["center"]).abs() / test["spread"]).to_numpy(dtype=float))


def _count_found(scores: Floats, kinds: NDArray[np.int_]) -> tuple[NDArray[np.int_], float]:
    """Return the number of faults of each kind with a row on top, and the share of top rows that belong to a fault."""
    is_top = np.zeros(len(scores), dtype=bool)
    is_top[np.argsort(-scores, kind="stable")[: int(TOP_SHARE * len(scores))]] = True
    counts = np.zeros(len(KINDS), dtype=int)
    for kind in range(len(KINDS)):
        for first, last in zip(*find_ranges(kinds == kind), strict=True):
            counts[kind] += is_top[first : last + 1].any()
    return counts, float((kinds[is_top] >= 0).mean())
