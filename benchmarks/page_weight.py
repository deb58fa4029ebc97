"""Data that a browser receives for the timeline: JSON of all points, compared with JSON of the thinned line."""

import time
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine, build_figure, build_ratio
from core.data.dataset import Dataset, make_index
from core.tasks.anomalies import timeline
from core.tasks.anomalies.incidents import number_incidents
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.spec import DetectionSpec

SIZES = (50_000, 1_000_000)
REPETITIONS = 5
FLAGGED_SHARE = 0.01


def main() -> list[ResultLine]:
    """Compare both sizes for two lengths of a series."""
    lines = []
    for size in SIZES:
        dataset, detection = _make_series(size)
        full_mb, thinned_mb, seconds = [], [], []
        for _ in range(REPETITIONS):
            with patch.object(timeline, "MAX_POINTS", size):
                full_mb.append(len(timeline.draw_timeline(dataset, detection).to_json()) / 1e6)
            began = time.perf_counter()
            figure = timeline.draw_timeline(dataset, detection)
            seconds.append(time.perf_counter() - began)
            thinned_mb.append(len(figure.to_json()) / 1e6)
        lines.append(build_ratio(f"every point : thinned, {size:,} points", full_mb, thinned_mb, unit="MB"))
        lines.append(build_figure(f"building the thinned timeline, {size:,} points", seconds, "s"))
    return lines


def _make_series(size: int) -> tuple[Dataset, Detection]:
    """Return a series with one value per minute, and a detection of the 1 % with the highest random scores."""
    random = np.random.default_rng(0)
    times = pd.date_range("2023-01-01", periods=size, freq="min")
    values = np.sin(np.arange(size) * 2 * np.pi / 1440) + random.normal(0, 0.1, size)
    frame = pd.DataFrame({"value": values}, index=make_index(pd.Categorical(np.repeat("line", size)), times))
    dataset = Dataset(frame, layout="tidy_series", step=pd.Timedelta(minutes=1), files=("series.csv",))
    scores = random.random(size)
    order = np.argsort(-scores)
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical(np.repeat("line", size)),
            "time": times[order],
            "score": scores[order],
            "severity": np.searchsorted([0.99, 0.999, 0.9999], scores[order]).astype(np.int8),
            "anomaly": scores[order] > 1 - FLAGGED_SHARE,
            "amount": values[order],
            "column": "value",
            "value": values[order],
            "low": -0.2,
            "high": 0.2,
        }
    )
    rows["incident"] = number_incidents(rows, step_seconds=60.0)
    spec = DetectionSpec(baseline="entity", contamination=FLAGGED_SHARE)
    return dataset, Detection(spec, spec, dataset.summary, 1 - FLAGGED_SHARE, 0, rows, pd.DataFrame())
