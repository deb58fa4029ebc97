"""Which of the quick detectors sees most on the data at hand, by their labels or by planted anomalies."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.series import series_of
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError
from core.evaluation.explanation import RootCause, explanation_card
from core.evaluation.injection import inject
from core.evaluation.metrics import score_card
from core.exports import written_csv
from core.messages import N_
from core.progress import Progress
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.tasks.comparison.result import HEADLINE, Compared, Comparison
from core.tasks.selection import EVERYTHING, Selection
from core.tasks.sequences.config import Plan, learnt, usual_until
from core.tasks.sequences.evaluation import simple_lines
from core.tasks.sequences.run import TRY_FIRST, detectors
from core.workspace import Workspace

Floats = NDArray[np.float64]

TASK = "sequence-comparison"
ROWS = 50_000  # learnt from, and judged, at most: the last ones before the end of learning, and the first ones after it
PLANTED_ROWS = 10_000  # judged at least where anomalies are planted: short series are taken several times
BESIDE = ("random", "mean_distance")
SEED = 0


@dataclass(frozen=True)
class _Arrays:
    """Of one series what is learnt from, (rows, columns), and what is judged, as often as anomalies were planted in
    it anew.

    labels  of all judged rows; causes: what was planted in each copy, empty where the labels are real
    """

    entity: str
    train: Floats
    test: list[Floats]
    labels: NDArray[np.bool_]
    causes: list[list[RootCause]]


def compare(
    dataset: Dataset,
    plan: Plan,
    *,
    workspace: Workspace,
    actor: Actor,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> tuple[Comparison, Run]:
    """Every quick detector with its default settings beside random scores and the distance to the mean, on one series.

    Raises DataError where no series has rows to learn from and rows to judge, OptionError for a plan that cannot be,
    Cancelled
    where `progress` was told to stop.
    """
    plan.check()
    part, progress = selection.of(dataset), progress or Progress()
    plan = replace(plan, until=plan.until or usual_until(part))
    asked = {
        "compared": ", ".join(TRY_FIRST),
        "learnt_until": plan.until,
        "scaling": plan.scaling,
        "counts": plan.counts,
    }
    with tracked_run(TASK, "Comparison", asked, dataset, actor, workspace) as run:
        arrays = _arrays(part, plan)
        lines = []
        for number, name in enumerate(TRY_FIRST):
            progress.tell(number / (len(TRY_FIRST) + 1), detectors()[name].label)
            lines.append(_line(name, plan, arrays))
        progress.tell(len(TRY_FIRST) / (len(TRY_FIRST) + 1), N_("Random scores and the distance to the mean"))
        found = Comparison(_question(dataset, plan, arrays), _card(lines, arrays))
        run.metrics = found.metrics()
        found.save(run.folder / "result")
        written_csv(found.card, run.folder / "comparison.csv")
    return found, run


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """The id of the run that answers the question `arguments`: those of `sequences.question_of` without its detector.
    Raises as `compare`.
    """
    dataset, plan, selection = (
        workspace.datasets.load(arguments["dataset"]),
        Plan(**arguments["plan"]),
        Selection.from_json(arguments),
    )
    return compare(dataset, plan, workspace=workspace, actor=actor, selection=selection, progress=progress)[1].id


def comparison_of(run_id: str, workspace: Workspace) -> Comparison:
    """The comparison that a run kept. Raises NotFoundError where there is none."""
    return Comparison.load(load_run(run_id, workspace).files / "result")


# ---- parts ----------------------------------------------------------------------------------------------------------


def _arrays(part: Dataset, plan: Plan) -> _Arrays:
    """The rows of the series that says most; anomalies are planted where none of its judged rows is labelled."""
    fitted = learnt(part, plan.until)
    known = np.zeros(len(part), dtype=bool) if part.labels is None else part.labels.to_numpy(dtype=bool) & ~fitted
    series = [each for each in series_of(part) if fitted[each.places].any() and not fitted[each.places].all()]
    if not series:
        raise DataError(N_("No entity has rows before {until} as well as after it."), until=plan.until)
    best = max(series, key=lambda each: (int(known[each.places].sum()), len(each.places)))
    before = fitted[best.places]
    train, test, labels = best.values[before][-ROWS:], best.values[~before][:ROWS], known[best.places][~before][:ROWS]
    if labels.any():
        return _Arrays(best.entity, train, [test], labels, [])
    copies = [inject(test, seed=SEED + number) for number in range(max(PLANTED_ROWS // len(test), 1))]
    return _Arrays(
        best.entity,
        train,
        [values.astype(np.float64) for values, _, _ in copies],
        np.concatenate([flags for _, flags, _ in copies]),
        [list(planted) for _, _, planted in copies],
    )


def _line(name: str, plan: Plan, arrays: _Arrays) -> dict[str, object]:
    """One detector with its default settings."""
    began = time.perf_counter()
    model = SequenceModel(detectors()[name](), Scaling(plan.scaling, plan.counts)).fit_series([arrays.train])
    scored = model.score_series(arrays.test)
    seconds = time.perf_counter() - began
    found = {
        "line": name,
        **score_card(arrays.labels, np.concatenate([each.score for each in scored])),
        "seconds": seconds,
    }
    hits = [
        explanation_card(each.shares, causes)["hit_100"]
        for each, causes in zip(scored, arrays.causes, strict=False)
        if causes
    ]
    return found | {"hit_100": float(np.mean(hits))} if hits else found


def _card(lines: list[dict[str, object]], arrays: _Arrays) -> pd.DataFrame:
    beside = simple_lines([arrays.train], arrays.test, arrays.labels, seed=SEED)
    table = pd.DataFrame([*lines, *({"line": name, **beside[name]} for name in BESIDE)])
    return table.sort_values(HEADLINE, ascending=False, kind="stable", ignore_index=True)


def _question(dataset: Dataset, plan: Plan, arrays: _Arrays) -> Compared:
    return Compared(
        dataset.digest,
        dataset.files,
        plan.until,
        plan.scaling,
        plan.counts,
        arrays.entity,
        len(arrays.train),
        len(arrays.test[0]),
        sum(map(len, arrays.causes)),
        len(arrays.test),
    )
