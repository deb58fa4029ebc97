"""Events of series on labelled servers and NAB: precision and recall, causes, and what would not have been flagged.

An event is right if at least half of its rows are labelled, or lie at most 20 rows (a window of the detectors) beside
labelled ones. A labelled anomaly is found if a right event touches it or these rows. So an event that spans the whole
file finds nothing. "touching" is the usual, kinder count: any common row is enough.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.root_causes import read_root_causes
from core.detectors.base import SequenceDetector, SequenceScores
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation import events as event_rules
from core.evaluation.events import EventSpan, ScoreLevels, find_events, merge_anomalies
from core.evaluation.explanation import CAUSE_WINDOW_ROWS, RootCause, compute_hit_rate, compute_moving_mean_distance
from core.evaluation.thresholds import fit_alarm_threshold
from core.evaluation.validation import Flags
from core.evaluation.vus import find_ranges
from core.tasks.sequences.evaluation import EvaluationArrays, read_arrays
from core.tasks.sequences.explanations import SeriesExplainer

CHOOSING_SETS = ("machine-1-6", "machine-2-1", "omi-1", "omi-3", "omi-5")  # the other servers and NAB confirm
DETECTORS: Mapping[str, Callable[[], SequenceDetector]] = {
    "PCA residual": PcaResidual,
    "moving mean": MovingMean,
    "KMeansAD": KMeansAD,
    "Sub-PCA": SubPCA,
}
RATES = (0.002, 0.01)  # accepted shares of flagged normal rows
TOLERANCE_ROWS = 20
MAX_EVENTS = 200  # with a search for counterfactuals
Split = Callable[[Floats, Flags, ScoreLevels], list[EventSpan]]


@dataclass(frozen=True)
class Scored:
    """Test rows of a labelled set, scored by one model; `causes` are empty without root causes."""

    name: str
    arrays: EvaluationArrays
    model: SequenceModel
    scores: SequenceScores
    causes: Sequence[RootCause]

    @property
    def labels(self) -> Flags:
        """Labels of the test rows."""
        assert self.arrays.labels is not None
        return self.arrays.labels

    def flag(self, rate: float) -> tuple[Floats, Flags, ScoreLevels]:
        """Return scores, flags and levels for an accepted share of flagged normal rows."""
        threshold = fit_alarm_threshold(self.model.calibration_, rate).value
        scores = self.scores.score.astype(np.float64)
        return scores, scores > threshold, ScoreLevels.from_calibration(self.model.calibration_, threshold)


def main() -> list[ResultLine]:
    """Print events with and without returns, the rankings of causes, and counterfactuals."""
    servers = [*_score_servers()]
    if not servers:
        return [ResultLine("skipped: no smd/, asd/ and nab/ in the shared data", "–")]
    groups = {
        "choosing servers": [scored for scored in servers if scored.name in CHOOSING_SETS],
        "confirming servers": [scored for scored in servers if scored.name not in CHOOSING_SETS],
        "NAB": [*_score_nab()],
    }
    lines = [ResultLine("events: precision / recall / F1", "", basis="touching; events; longest anomaly")]
    for rate in RATES:
        for group, scored in groups.items():
            lines.append(ResultLine(f"{group}, {1000 * rate:g} per 1,000 rows", ""))
            lines += [_summarise(name, split, scored, rate) for name, split in SPLITS.items()]
    lines += _vary_parameters(groups["choosing servers"])
    lines.append(ResultLine("causes: HitRate@100 / @150", ""))
    for group in ("choosing servers", "confirming servers"):
        lines.append(ResultLine(group, ""))
        lines += _compare_rankings(groups[group])
    lines.append(ResultLine("counterfactuals", "one / several / no column", basis="verified on the whole series"))
    for name in DETECTORS:
        lines.append(_check_counterfactuals(name, [s for s in servers if type(s.model.detector) is DETECTORS[name]]))
    return lines


# ---- data -----------------------------------------------------------------------------------------------------------


def _find_data() -> Path:
    return Path(os.environ.get("VIGIE_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


def _score_servers() -> Iterator[Scored]:
    for path in [*sorted(_find_data().glob("smd/*.npz")), *sorted(_find_data().glob("asd/*.npz"))]:
        arrays = read_arrays(path)
        causes_file = path.parent / "interpretation_label" / f"{path.stem}.txt"
        causes = read_root_causes(causes_file, arrays.labels, arrays.test.shape[1])
        for make in DETECTORS.values():
            yield score_arrays(path.stem, arrays, make(), causes)


def _score_nab() -> Iterator[Scored]:
    """Score the second half of the series that have a labelled window in it."""
    folder = _find_data() / "nab"
    if not folder.is_dir():
        return
    windows_by_file = json.loads((folder / "combined_windows.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob("*/*.csv")):
        table = pd.read_csv(path, parse_dates=["timestamp"])
        labels = np.zeros(len(table), dtype=bool)
        for start, end in windows_by_file[f"{path.parent.name}/{path.name}"]:
            labels |= table["timestamp"].between(pd.Timestamp(start), pd.Timestamp(end)).to_numpy()
        values, middle = table[["value"]].to_numpy(dtype=np.float64), len(table) // 2
        if labels[middle:].any():
            arrays = EvaluationArrays(values[:middle], values[middle:], labels[middle:])
            for make in DETECTORS.values():
                yield score_arrays(path.stem, arrays, make(), ())


def score_arrays(
    name: str, arrays: EvaluationArrays, detector: SequenceDetector, causes: Sequence[RootCause]
) -> Scored:
    """Return the scores of the test rows by a model of the training rows."""
    model = SequenceModel(detector, Scaling()).fit_series([arrays.train])
    return Scored(name, arrays, model, model.score_series([arrays.test])[0], causes)


# ---- events ---------------------------------------------------------------------------------------------------------


def merge_by_gap(scores: Floats, anomaly: Flags, levels: ScoreLevels) -> list[EventSpan]:
    """Return the events of earlier versions: anomalies at most three rows apart, however long."""
    return [EventSpan(first, last) for first, last in merge_anomalies(anomaly)]


SPLITS: Mapping[str, Split] = {"    gap of 3 rows (before)": merge_by_gap, "    until the scores return": find_events}


def measure_events(spans: Sequence[EventSpan], labels: Flags) -> dict[str, float]:
    """Return precision and recall of events, (precision, recall), by tight and by touching (touch_…) events.

    Precision is 0 without an event.
    """
    starts, ends = find_ranges(labels)
    near = np.zeros(len(labels), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        near[max(start - TOLERANCE_ROWS, 0) : end + TOLERANCE_ROWS + 1] = True
    is_right = [near[span.first : span.last + 1].mean() >= 0.5 for span in spans]
    touches = [labels[span.first : span.last + 1].any() for span in spans]
    right_spans = [span for span, right in zip(spans, is_right, strict=True) if right]

    def find_share(events: Sequence[EventSpan], margin: int) -> float:
        found = [
            any(event.first <= end + margin and event.last >= start - margin for event in events)
            for start, end in zip(starts, ends, strict=True)
        ]
        return float(np.mean(found))

    return {
        "precision": float(np.mean(is_right)) if spans else 0.0,
        "recall": find_share(right_spans, TOLERANCE_ROWS),
        "touch_precision": float(np.mean(touches)) if spans else 0.0,
        "touch_recall": find_share(spans, 0),
    }


def compute_f1(precision: float, recall: float) -> float:
    """Return the harmonic mean, 0 for two zeros."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _summarise(name: str, split: Split, sets: Sequence[Scored], rate: float) -> ResultLine:
    """Return the means over all sets and detectors."""
    found = [split(*scored.flag(rate)) for scored in sets]
    metrics = [measure_events(spans, scored.labels) for spans, scored in zip(found, sets, strict=True)]
    lengths = [span.last - span.first + 1 for spans in found for span in spans if span.kind == "anomaly"]
    lasting = sum(span.kind == "lasting change" for spans in found for span in spans)
    line = ResultLine(
        name,
        _format_metrics(metrics, ""),
        basis=f"{_format_metrics(metrics, 'touch_')}; {sum(map(len, found)):,} events, {lasting} of them lasting; "
        f"{max(lengths, default=0):,} rows",
    )
    print(line, file=sys.stderr, flush=True)
    return line


def _format_metrics(metrics: Sequence[Mapping[str, float]], prefix: str) -> str:
    pairs = [(values[f"{prefix}precision"], values[f"{prefix}recall"]) for values in metrics]
    means = [*np.mean(pairs, axis=0), float(np.mean([compute_f1(*pair) for pair in pairs]))]
    return " / ".join(f"{value:.3f}" for value in means)


def _vary_parameters(sets: Sequence[Scored]) -> Iterator[ResultLine]:
    """Yield the figures of other parameters on the sets that chose them."""
    for name, values in (("RETURN_SHARE", (0.25, 0.5, 0.75, 1.0)), ("LASTING_FACTOR", (1, 2, 5, 1_000_000))):
        chosen = getattr(event_rules, name)
        for value in values:
            setattr(event_rules, name, value)
            yield _summarise(
                f"    {name} = {value:,}{' (chosen)' if value == chosen else ''}", find_events, sets, RATES[0]
            )
        setattr(event_rules, name, chosen)


# ---- causes ---------------------------------------------------------------------------------------------------------


def rank_columns(scored: Scored) -> Iterator[tuple[str, list[Floats]]]:
    """Yield the name of a ranking, and the weights of the columns for each labelled event."""
    values, shares = scored.arrays.test, scored.scores.shares.astype(np.float64)
    narrow = np.nan_to_num(compute_moving_mean_distance(values))
    wide = np.nan_to_num(compute_moving_mean_distance(values, CAUSE_WINDOW_ROWS))
    rows = [slice(event.start, event.stop) for event in scored.causes]
    share_means, distance_means = ([table[part].mean(axis=0) for part in rows] for table in (shares, narrow))
    typical = np.maximum(shares.mean(axis=0), 1e-12)
    yield "    shares of the detector (table before)", share_means
    yield "    distance to the mean of 21 rows (picture before)", distance_means
    yield "    shares, relative to their mean", [mean / typical for mean in share_means]
    yield (
        "    product of both ranks",
        [-_rank(share) * _rank(distance) for share, distance in zip(share_means, distance_means, strict=True)],
    )
    yield (
        "    distance × √share",
        [distance * np.sqrt(share) for share, distance in zip(share_means, distance_means, strict=True)],
    )
    yield "    largest distance", [narrow[part].max(axis=0) for part in rows]
    yield "    squared distance, 21 rows", [np.square(narrow[part]).mean(axis=0) for part in rows]
    yield "    squared distance, 41 rows (chosen)", [np.square(wide[part]).mean(axis=0) for part in rows]


def _rank(weights: Floats) -> Floats:
    return np.argsort(np.argsort(-weights, kind="stable"), kind="stable") + 1.0


def _compare_rankings(sets: Sequence[Scored]) -> Iterator[ResultLine]:
    """Yield the mean hit rates over the events, with the range over the detectors."""
    names = [name for name, _weights in rank_columns(sets[0])]
    for name in names:
        by_detector = []
        for make in DETECTORS.values():
            hits = [
                [compute_hit_rate(np.argsort(-weights, kind="stable"), event.columns, share) for share in (1.0, 1.5)]
                for scored in sets
                if type(scored.model.detector) is make
                for weights, event in zip(dict(rank_columns(scored))[name], scored.causes, strict=True)
            ]
            by_detector.append(np.mean(hits, axis=0))
        means, low, high = np.mean(by_detector, axis=0), np.min(by_detector, axis=0), np.max(by_detector, axis=0)
        spread = "" if np.allclose(low, high) else f"{low[0]:.3f} – {high[0]:.3f} by detector"
        yield ResultLine(name, f"{means[0]:.3f} / {means[1]:.3f}", spread, f"{len(hits)} events")


# ---- counterfactuals ------------------------------------------------------------------------------------------------


def _check_counterfactuals(name: str, sets: Sequence[Scored]) -> ResultLine:
    """Search the ranges of the first events, and score the whole series again with the values clipped to them."""
    counts, verified, seconds = np.zeros(3, dtype=int), 0, 0.0
    for scored in sets:
        scores, anomaly, levels = scored.flag(RATES[0])
        spans = find_events(scores, anomaly, levels)
        scored.model.threshold_ = levels.threshold
        columns = [str(column) for column in range(scored.arrays.test.shape[1])]
        explainer = SeriesExplainer(scored.model, columns, scored.arrays.test, scored.scores, anomaly, spans)
        began = time.perf_counter()
        answers = [
            (span, explainer.find_counterfactual(span) or [])
            for span in [span for span in spans if span.kind == "anomaly" and not _is_within(span, spans)][:MAX_EVENTS]
        ]
        seconds += time.perf_counter() - began
        for span, bounds in answers:
            counts[min(len(bounds), 2) - 1] += 1  # no column is the last
            verified += bool(bounds) and not _flags_again(scored, span, bounds)
    total = counts[:2].sum()
    return ResultLine(
        f"    {name}",
        " / ".join(f"{count}" for count in counts),
        basis=f"{verified} of {total} not flagged; {seconds:.1f} s for {counts.sum()} events",
    )


def _is_within(span: EventSpan, spans: Sequence[EventSpan]) -> bool:
    return any(
        other.kind == "lasting change" and other.first <= span.first and span.last <= other.last for other in spans
    )


def _flags_again(scored: Scored, span: EventSpan, bounds: Sequence[tuple[int, float, float]]) -> bool:
    values, rows = scored.arrays.test.copy(), slice(span.first, span.last + 1)
    for column, low, high in bounds:
        values[rows, column] = np.clip(values[rows, column], low, high)
    score = scored.model.score_series([values])[0].score[rows].astype(np.float64)
    return bool((score > scored.model.threshold_).any())
