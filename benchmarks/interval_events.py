"""Events outside their intervals on two weeks of simulated calls with labelled faults: precision, recall and delay.

An event counts from the severity "medium" on. It is right if it overlaps a fault of its trunk.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine
from core.actor import Actor
from core.data.call_records.buckets import to_dataset
from core.data.call_records.simulator import MONDAY, SLOT, CallSimulator, Fault
from core.data.samples import TRUNK_FAULTS
from core.errors import DataError
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec, list_series_forecasters
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

SEEDS = (1, 2, 3, 4, 5)
FORECASTERS = ("seasonal-naive", "gradient-boosting-quantiles", "quantile-forest", "feed-forward", "zero-shot")
COUNTED_SEVERITIES = ("medium", "high", "critical")
MEASURES = ("total", "ccr")


@dataclass(frozen=True)
class Detection:
    """Counts of one run: events that count, those of them that are right, faults, and the delays of detected faults."""

    events: int
    right_events: int
    faults: int
    delays_min: list[float]
    alarm_rate: float


def main() -> list[ResultLine]:
    """Judge the last days of the sample "two weeks of calls" with every forecaster, for several seeds."""
    lines = []
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        tracking = Tracking(
            f"sqlite:///{folder}/mlflow.db", (Path(folder) / "mlartifacts").as_uri(), Path(folder) / "runs"
        )
        workspace = Workspace.in_folder(Path(folder), tracking)
        for name in FORECASTERS:
            try:
                detections = [_detect(name, seed, workspace) for seed in SEEDS]
            except DataError as error:
                lines.append(ResultLine(name, "refused", basis=str(error)))
                continue
            lines += _summarise(name, detections)
    return lines


def _detect(name: str, seed: int, workspace: Workspace) -> Detection:
    second_monday = MONDAY + pd.Timedelta(days=7)
    faults = tuple(
        Fault(
            kind, trunk, second_monday + pd.Timedelta(start), second_monday + pd.Timedelta(start) + pd.Timedelta(length)
        )
        for kind, trunk, start, length in TRUNK_FAULTS
    )
    counts = CallSimulator(trunks=4, days=14, calls_per_hour=400, faults=faults, seed=seed).make_counts()
    dataset = to_dataset(counts.drop(columns="injected"), SLOT, files=("simulated",))
    spec = IntervalsSpec(value=MEASURES, forecaster=list_series_forecasters()[name]())
    result, _run = judge_points(spec, dataset, workspace=workspace, actor=Actor("benchmark", "benchmarks"))
    return _compare(result, faults)


def _compare(result: Intervals, faults: tuple[Fault, ...]) -> Detection:
    """Compare the events with the faults in the judged period."""
    judged = result.judged_rows
    faults = tuple(fault for fault in faults if fault.start >= judged["time"].min())
    events = result.events[result.events["severity"].isin(COUNTED_SEVERITIES)]
    is_right = np.zeros(len(events), dtype=bool)
    delays_min = []
    for fault in faults:
        overlaps = (events["entity"] == fault.trunk) & (events["start"] < fault.end) & (events["end"] >= fault.start)
        is_right |= overlaps.to_numpy()
        if not overlaps.any():
            continue
        points = judged[judged["anomalous"] & (judged["entity"] == fault.trunk) & (judged["time"] >= fault.start)]
        delays_min.append((points["time"].min() + SLOT - fault.start).total_seconds() / 60)
    return Detection(len(events), int(is_right.sum()), len(faults), delays_min, result.alarm_rate)


def _summarise(name: str, detections: list[Detection]) -> list[ResultLine]:
    events, right_events = sum(d.events for d in detections), sum(d.right_events for d in detections)
    faults, delays_min = sum(d.faults for d in detections), [delay for d in detections for delay in d.delays_min]
    rates = [d.alarm_rate for d in detections]
    return [
        ResultLine(
            f"{name}: faults detected", f"{len(delays_min) / faults:.0%}", basis=f"{len(delays_min)} of {faults}"
        ),
        ResultLine(
            "    events that are faults", f"{right_events / max(events, 1):.0%}", basis=f"{right_events} of {events}"
        ),
        ResultLine(
            "    end of the first quarter-hour outside after the start",
            f"{np.median(delays_min):.0f} min" if delays_min else "–",
            f"{min(delays_min):.0f} – {max(delays_min):.0f}" if delays_min else "",
        ),
        ResultLine(
            "    share of points outside, promised 5 %", f"{np.mean(rates):.1%}", f"{min(rates):.1%} – {max(rates):.1%}"
        ),
    ]
