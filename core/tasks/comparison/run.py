"""Compare the fast detectors on one series, by its labels or by injected anomalies."""

import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.series import Series, series_of
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError
from core.evaluation.explanation import RootCause, explanation_card
from core.evaluation.injection import inject
from core.evaluation.metrics import score_card
from core.messages import N_
from core.progress import Progress
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, tracked_run
from core.tasks.comparison.result import HEADLINE, DetectorComparison
from core.tasks.comparison.spec import ComparisonSpec
from core.tasks.sequences.evaluation import baseline_scores
from core.tasks.sequences.spec import TRY_FIRST, detectors
from core.tasks.sequences.split import training_mask
from core.workspace import Workspace

Floats = NDArray[np.float64]

TASK = "comparison"
ROWS = 50_000  # maximum of training rows (the last before the split) and of test rows (the first after it)
INJECTED_ROWS = 10_000  # minimum of test rows with injected anomalies; a short series is copied several times
BASELINES = ("random", "mean_distance")  # the other baselines are among the compared detectors
SEED = 0


@dataclass(frozen=True)
class _Arrays:
    """Training rows of one series, (rows, columns), and one test array for each injection of anomalies.

    labels  (rows,), of the test arrays one after the other
    causes  root causes injected into each test array; empty for real labels
    """

    entity: str
    train: Floats
    test: list[Floats]
    labels: NDArray[np.bool_]
    causes: list[list[RootCause]]


def compare(
    spec: ComparisonSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[DetectorComparison, Run]:
    """Measure every fast detector with default settings, random scores and a baseline on one series.

    Raises DataError if no series has both training and test rows, OptionError for an impossible split, Cancelled
    if `progress` is cancelled.
    """
    spec.check()
    spec, progress = spec.completed_for(dataset), progress or Progress()
    params = {"compared": ", ".join(TRY_FIRST), **spec.params()}
    with tracked_run(TASK, "Comparison", params, dataset, actor, workspace) as run:
        arrays = _choose_arrays(spec.select(dataset), spec.until)
        lines, parts = [], len(TRY_FIRST) + 1
        for number, name in enumerate(TRY_FIRST):
            progress.tell(number / parts, detectors()[name].label)
            lines.append(_measure_detector(name, spec, arrays))
        progress.tell(len(TRY_FIRST) / parts, N_("Random scores and the distance to the mean"))
        comparison = DetectorComparison(
            spec,
            dataset.summary,
            arrays.entity,
            len(arrays.train),
            len(arrays.test[0]),
            sum(map(len, arrays.causes)),
            len(arrays.test),
            _build_card(lines, arrays),
        )
        run.add_result(comparison, TASK)
    return comparison, run


def load_comparison(run_id: str, workspace: Workspace) -> DetectorComparison:
    """Load the comparison of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, DetectorComparison, workspace)


# ---- parts ----------------------------------------------------------------------------------------------------------


def _choose_arrays(part: Dataset, until: str) -> _Arrays:
    """Return the arrays of the chosen series, with anomalies injected if none of its test rows is labelled."""
    fitted = training_mask(part, until)
    known = np.zeros(len(part), dtype=bool) if part.labels is None else part.labels.to_numpy(dtype=bool) & ~fitted
    best = _choose_series(part, fitted, known, until)
    before = fitted[best.places]
    train, test, labels = best.values[before][-ROWS:], best.values[~before][:ROWS], known[best.places][~before][:ROWS]
    if labels.any():
        return _Arrays(best.entity, train, [test], labels, [])
    copies = [inject(test, seed=SEED + number) for number in range(max(INJECTED_ROWS // len(test), 1))]
    return _Arrays(
        best.entity,
        train,
        [values.astype(np.float64) for values, _, _ in copies],
        np.concatenate([flags for _, flags, _ in copies]),
        [list(causes) for _, _, causes in copies],
    )


def _choose_series(part: Dataset, fitted: NDArray[np.bool_], known: NDArray[np.bool_], until: str) -> Series:
    """Return the series with most labelled test rows, else the longest.

    Raises DataError if no series has both training and test rows.
    """
    divided = [series for series in series_of(part) if fitted[series.places].any() and not fitted[series.places].all()]
    if not divided:
        raise DataError(N_("No entity has rows before {until} as well as after it."), until=until)
    return max(divided, key=lambda series: (int(known[series.places].sum()), len(series.places)))


def _measure_detector(name: str, spec: ComparisonSpec, arrays: _Arrays) -> dict[str, object]:
    """Return the card row of one detector with default settings."""
    began = time.perf_counter()
    model = SequenceModel(detectors()[name](), Scaling(spec.scaling, spec.counts)).fit_series([arrays.train])
    scored = model.score_series(arrays.test)
    seconds = time.perf_counter() - began
    metrics = score_card(arrays.labels, np.concatenate([part.score for part in scored]))
    line: dict[str, object] = {"line": name, **metrics, "seconds": seconds}
    hits = [
        explanation_card(part.shares, causes)["hit_100"]
        for part, causes in zip(scored, arrays.causes, strict=False)
        if causes
    ]
    return line | ({"hit_100": float(np.mean(hits))} if hits else {})


def _build_card(lines: list[dict[str, object]], arrays: _Arrays) -> pd.DataFrame:
    """Return the card rows of detectors and baselines, the best first."""
    baselines = baseline_scores([arrays.train], arrays.test, arrays.labels, seed=SEED)
    table = pd.DataFrame([*lines, *({"line": name, **baselines[name]} for name in BASELINES)])
    return table.sort_values(HEADLINE, ascending=False, kind="stable", ignore_index=True)
