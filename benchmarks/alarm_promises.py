"""Promised against measured false alarms on normal stretches, and planted faults found; rows that stand out.

Each stretch is normal: its first half is for training, the second half is the future. "before" is the threshold of
earlier versions: the rank among the scores of the last fifth of the training rows.
"""

import json
import os
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.datasets import find_gas_files
from benchmarks.known_anomalies import find_anomalous_rows
from benchmarks.report import ResultLine, median
from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.quality.repairs import undo_hour_shift
from core.data.samples import load_sample
from core.detectors.base import SequenceDetector
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation.alarm_rates import measure_alarm_rate
from core.evaluation.injection import InjectedEvent, inject
from core.evaluation.promises import adapt_threshold
from core.evaluation.stand_out import fit_stand_out_threshold
from core.evaluation.thresholds import fit_alarm_threshold
from core.tasks.anomalies.spec import DetectionSpec

DETECTORS: tuple[SequenceDetector, ...] = (PcaResidual(), MovingMean(), SubPCA(), KMeansAD())
RATES = (0.002, 0.005)
NOISE_SHAPES = ((3000, 1), (6000, 4), (10_000, 1), (10_000, 8))
CORRELATIONS = (0.0, 0.5, 0.9, 0.98)  # of one row with the next
MIN_STRETCH_ROWS = 1500
PLANTED_SHARE, SEED = 0.05, 7
METHODS = ("before", "now", "now, adaptive")


@dataclass(frozen=True)
class Outcome:
    """Outcome of one threshold on one stretch.

    is_kept, is_request_kept  the measured band does not lie above the promised rate, the requested rate
    is_inside                 it contains the promised rate
    is_weaker                 the promised rate is larger than the requested one
    ratio   measured rate / requested rate
    recall  share of planted events with an alarm; NaN without events
    """

    kind: str
    is_kept: bool
    is_request_kept: bool
    is_inside: bool
    is_weaker: bool
    ratio: float
    recall: float


def main() -> list[ResultLine]:
    """Count the promises that are kept for series, and the rows that stand out."""
    outcomes: dict[tuple[str, float, str], list[Outcome]] = {}
    for kind, values in _iterate_stretches():
        for detector in DETECTORS:
            for key, outcome in _judge_stretch(detector, kind, values):
                outcomes.setdefault(key, []).append(outcome)
    lines = [
        _summarise(*key, found) for key, found in sorted(outcomes.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return lines + _judge_picture() + _judge_rows()


# ---- stretches ------------------------------------------------------------------------------------------------------


def _iterate_stretches() -> Iterator[tuple[str, Floats]]:
    """Yield kind and values (rows, columns) of normal stretches: noise, servers and the Numenta benchmark."""
    for number, correlation in enumerate(CORRELATIONS):
        for seed, (rows, columns) in enumerate(NOISE_SHAPES):
            yield "noise" if correlation == 0 else "AR(1)", make_noise(correlation, rows, columns, 10 * number + seed)
    default_folder = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VIGIE_SHARED_DATA") or default_folder)
    for path in (*sorted(folder.glob("smd/*.npz")), *sorted(folder.glob("asd/*.npz"))):
        train = np.load(path)["train"].astype(float)
        for half in np.array_split(train, 2) if len(train) > 20_000 else [train]:
            yield "servers", half
    windows = folder / "nab" / "combined_windows.json"
    known = json.loads(windows.read_text(encoding="utf-8")) if windows.exists() else {}
    for path in sorted(folder.glob("nab/*/*.csv")):
        longest = _find_normal_stretch(path, known[f"{path.parent.name}/{path.name}"])
        if len(longest) >= MIN_STRETCH_ROWS:
            yield "NAB", longest


def make_noise(correlation: float, rows: int, columns: int, seed: int) -> Floats:
    """Return stationary Gaussian noise (rows, columns) in which each row has this correlation with the next."""
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    values[0] /= np.sqrt(1 - correlation**2)
    for row in range(1, rows):
        values[row] += correlation * values[row - 1]
    return values


def _find_normal_stretch(path: Path, windows: list[list[str]]) -> Floats:
    """Return the longest run of rows outside the labelled windows, (rows, 1)."""
    table = pd.read_csv(path, parse_dates=["timestamp"])
    is_labelled = np.zeros(len(table), dtype=bool)
    for start, end in windows:
        is_labelled |= table["timestamp"].between(start, end).to_numpy()
    borders = np.flatnonzero(np.diff(np.r_[True, is_labelled, True].astype(int)))
    start, stop = max(zip(borders[::2], borders[1::2], strict=True), key=lambda run: run[1] - run[0])
    return table["value"].to_numpy(float)[start:stop, None]


# ---- series ---------------------------------------------------------------------------------------------------------


def _judge_stretch(
    detector: SequenceDetector, kind: str, values: Floats
) -> Iterator[tuple[tuple[str, float, str], Outcome]]:
    """Yield (detector, rate, method) and the outcome of every threshold."""
    half = len(values) // 2
    train, future = values[:half], values[half:]
    planted, _, events = inject(future, seed=SEED, share=PLANTED_SHARE)
    cut = half - half // 5
    old = SequenceModel(copy(detector), Scaling()).fit_detector([train[:cut]])
    new = SequenceModel(copy(detector), Scaling()).fit_series([train])
    both = [values, np.concatenate([train, planted])]
    old_scores, new_scores = (
        [result.score.astype(float) for result in model.score_series(both)] for model in (old, new)
    )
    usual = float(np.median(new.calibration_))
    for rate in RATES:
        value = fit_alarm_threshold(old_scores[0][cut:half], rate).value
        promise = new.fit_promise(rate)
        alarms = {
            "before": [scores[half:] > value for scores in old_scores],
            "now": [scores[half:] > promise.value for scores in new_scores],
            "now, adaptive": [
                scores[half:] > adapt_threshold(scores[half:], usual, promise.value, rate) for scores in new_scores
            ],
        }
        for method, (normal_alarms, planted_alarms) in alarms.items():
            promised = promise.target_rate or rate if method == "now" else rate
            yield (detector.name, rate, method), _judge(kind, normal_alarms, planted_alarms, events, rate, promised)


def _judge(
    kind: str,
    normal: NDArray[np.bool_],
    planted: NDArray[np.bool_],
    events: list[InjectedEvent],
    rate: float,
    promised: float,
) -> Outcome:
    estimate = measure_alarm_rate(normal.astype(float), 0.5)
    is_kept = not estimate.exceeds(promised)
    return Outcome(
        kind,
        is_kept,
        not estimate.exceeds(rate),
        is_kept and estimate.high >= promised,
        promised > rate,
        estimate.rate / rate,
        float(np.mean([planted[event.start : event.stop].any() for event in events])) if events else np.nan,
    )


def _summarise(detector: str, rate: float, method: str, outcomes: list[Outcome]) -> ResultLine:
    def share(name: str, chosen: list[Outcome]) -> float:
        return float(np.mean([getattr(outcome, name) for outcome in chosen]))

    kinds = dict.fromkeys(outcome.kind for outcome in outcomes)
    by_kind = ", ".join(
        f"{kind} {share('is_kept', [outcome for outcome in outcomes if outcome.kind == kind]):.0%}" for kind in kinds
    )
    kept = share("is_kept", outcomes)
    return ResultLine(
        f"{detector}, {1000 * rate:g} per 1,000 rows, {method}",
        f"kept {kept:.0%}",
        f"recall {np.nanmean([outcome.recall for outcome in outcomes]):.2f}",
        f"{len(outcomes)} stretches: {by_kind}; "
        f"request kept {share('is_request_kept', outcomes):.0%}; in band {share('is_inside', outcomes):.0%}; "
        f"weaker promise {share('is_weaker', outcomes):.0%}; "
        f"measured / asked {median([outcome.ratio for outcome in outcomes]):.2f}",
        "≥ 90%" if method != "before" else "",
        "" if method == "before" else "met" if kept >= 0.9 else "MISSED",
    )


def _judge_picture() -> list[ResultLine]:
    """Measure the rates of the generated server, whose first half is normal, at two alarms a day."""
    dataset = load_sample("server_kpis")
    values, labels = dataset.values, np.asarray(dataset.labels, dtype=bool)
    half = len(values) // 2
    model = SequenceModel(PcaResidual(), Scaling()).fit_series([values[:half]])
    promise = model.fit_promise(2 / 1440)
    scores = model.score_series([values])[0].score[half:]
    estimate = measure_alarm_rate(scores, promise.value, labels[half:])
    return [
        ResultLine(
            "generated server, 2 alarms a day, pca-residual",
            f"{1440 * estimate.rate:.2f} a day",
            f"{1440 * estimate.low:.2f} – {1440 * estimate.high:.2f}",
            f"promised {1440 * (promise.target_rate or 0):.2f} a day from {len(model.calibration_):,} scores",
            "promise kept",
            "MISSED" if estimate.exceeds(promise.target_rate or 0) else "met",
        )
    ]


# ---- rows -----------------------------------------------------------------------------------------------------------


def _judge_rows() -> list[ResultLine]:
    """Count rows that stand out by default: in noise, in generated data, and in the gas files."""
    lines = []
    counts = []
    for seed in range(40):
        noise = np.random.default_rng(seed).lognormal(sigma=0.5, size=(800, 3))
        dataset = load_sample("kpi_matrix")
        part = dataset.take_rows(np.arange(800))
        columns = part.columns[:3]
        counts.append(
            len(_find_rows(part.replace(frame=part.frame[columns].assign(**dict(zip(columns, noise.T, strict=True))))))
        )
    lines.append(
        ResultLine("rows: noise, 800 × 3", f"{np.mean(np.array(counts) > 0):.0%} with a flagged row", basis="40 seeds")
    )
    for name in ("gas_daily", "daily_profile", "tidy_series"):
        dataset = load_sample(name)
        truth = _get_truth(dataset)
        lines.append(_count_rows(f"rows: generated, {name}", dataset, truth))
    if find_gas_files():
        read = load(find_gas_files())
        for state, dataset in (("as they are", read), ("hour shift undone", undo_hour_shift(read))):
            lines.append(_count_rows(f"rows: gas files {state}", dataset, find_anomalous_rows(dataset)))
    return lines


def _get_truth(dataset: Dataset) -> NDArray[np.bool_]:
    marks = dataset.labels if dataset.labels is not None else (dataset.context or {})["injected"]
    return np.asarray(marks, dtype=float) > 0


def _count_rows(what: str, dataset: Dataset, truth: NDArray[np.bool_]) -> ResultLine:
    rows = _find_rows(dataset)
    hits = int(truth[rows].sum())
    known = int(truth[dataset.is_complete].sum())
    return ResultLine(what, f"{hits} of {known} known", f"{len(rows)} flagged", f"of {len(dataset):,} rows")


def _find_rows(dataset: Dataset) -> NDArray[np.intp]:
    """Return the positions of the rows that the default question flags."""
    spec = DetectionSpec().fill_defaults(dataset)
    model = RowModel(replace(spec.detector), BASELINE_CLASSES[spec.baseline]())  # type: ignore[type-var]
    complete_rows, scores = model.fit_score(dataset)
    calibration, blocks = model.score_held_out(complete_rows)
    threshold = fit_stand_out_threshold(
        scores, calibration, model.measure_deviations(complete_rows), spec.compute_target_rate(dataset), blocks
    )
    return np.flatnonzero(dataset.is_complete)[scores > threshold.value]
