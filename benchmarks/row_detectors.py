"""Detectors of rows on labelled data: servers (SMD, ASD) and single series (NAB), beside random and simple scores.

Servers: fitted on the training part, compared with the labels of the test part, deviations from the entity. NAB: fitted
on the rows that are scored, deviations from the calendar. The first part of the sets chose the default, the second
confirms it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.datasets import find_shared_data
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.dataset import Dataset, make_index
from core.detectors.baselines import CalendarBaseline, EntityBaseline
from core.tasks.anomalies.spec import list_detectors
from core.tasks.row_comparison.run import SERIES_WINDOW_ROWS, build_simple_lines, measure_detector

TUNING, CONFIRMING = "tuning", "confirming"
TUNING_SETS = ("machine-1-6", "machine-2-1", "omi-1", "omi-2", "omi-3", "realAWSCloudwatch")


@dataclass(frozen=True)
class LabelledRows:
    """Features of training and test rows, (rows, features), and the labels of the test rows."""

    group: str
    name: str
    train: Floats
    test: Floats
    labels: NDArray[np.bool_]

    @property
    def part(self) -> str:
        """Part of the sets: "tuning" or "confirming"."""
        return TUNING if self.name in TUNING_SETS else CONFIRMING


def main() -> list[ResultLine]:
    """Measure every detector on every set; return means per group and part."""
    results: defaultdict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for rows in list_labelled_rows():
        lines: list[dict[str, float | str]] = [
            {"line": name, **measure_detector(detector_class(), rows.train, rows.test, rows.labels, SERIES_WINDOW_ROWS)}
            for name, detector_class in list_detectors().items()
        ]
        lines += build_simple_lines(rows.train, rows.test, rows.labels, SERIES_WINDOW_ROWS)
        for line in lines:
            name = str(line.pop("line"))
            metrics = {metric: float(value) for metric, value in line.items()}
            for group in (rows.group, "all"):
                results[rows.part, group, name].append(metrics)
    return [_build_line(*key, metrics) for key, metrics in sorted(results.items(), key=_rank)] or [
        ResultLine("skipped: no labelled data", "–")
    ]


def list_labelled_rows() -> Iterator[LabelledRows]:
    """Yield the labelled sets that are there."""
    folder = find_shared_data()
    for group in ("smd", "asd"):
        for path in sorted((folder / group).glob("*.npz")):
            yield _read_server(group, path)
    windows_path = folder / "nab" / "combined_windows.json"
    if windows_path.exists():
        windows = json.loads(windows_path.read_text(encoding="utf-8"))
        for path in sorted((folder / "nab").glob("*/*.csv")):
            rows = _read_series(path, windows[f"{path.parent.name}/{path.name}"])
            if rows.labels.any():
                yield rows


def _read_server(group: str, path: Path) -> LabelledRows:
    with np.load(path) as arrays:
        train, test, labels = arrays["train"], arrays["test"], arrays["label"].astype(bool)
    datasets = [
        Dataset(pd.DataFrame(values.astype(float), index=make_index([path.stem] * len(values), range(len(values)))), "")
        for values in (train, test)
    ]
    baseline = EntityBaseline().fit(datasets[0])
    train_features, test_features = (baseline.compute_features(dataset) for dataset in datasets)
    return LabelledRows(group, path.stem, train_features, test_features, labels)


def _read_series(path: Path, windows: list[list[str]]) -> LabelledRows:
    table = pd.read_csv(path, parse_dates=["timestamp"]).drop_duplicates("timestamp")
    times = pd.DatetimeIndex(table["timestamp"])
    labels = np.zeros(len(table), dtype=bool)
    for start, end in windows:
        labels |= (times >= pd.Timestamp(start)) & (times <= pd.Timestamp(end))
    frame = pd.DataFrame({"value": table["value"].to_numpy(float)}, index=make_index([path.stem] * len(table), times))
    dataset = Dataset(frame, "", step=pd.Timedelta(np.median(np.diff(times.to_numpy()))))
    features = CalendarBaseline().fit(dataset).compute_features(dataset)
    return LabelledRows("nab", path.parent.name, features, features, labels)


def _rank(item: tuple[tuple[str, str, str], list[dict[str, float]]]) -> tuple[str, str, float]:
    """Return the sort key: tuning first, then the group, then the best VUS-PR."""
    (part, group, _), metrics = item
    return "" if part == TUNING else part, group, -float(np.mean([line["vus_pr"] for line in metrics]))


def _build_line(part: str, group: str, name: str, metrics: list[dict[str, float]]) -> ResultLine:
    areas = [line["vus_pr"] for line in metrics]
    event_f1 = np.mean([line["event_f1"] for line in metrics])
    seconds = [line["seconds"] for line in metrics if "seconds" in line]
    return ResultLine(
        f"{part}, {group}: {name}",
        f"VUS-PR {np.mean(areas):.3f}",
        f"{min(areas):.2f} – {max(areas):.2f}",
        f"event F1 {event_f1:.3f}, {len(metrics)} sets" + (f", {np.mean(seconds):.1f} s" if seconds else ""),
    )
