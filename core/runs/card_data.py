"""Description of a result for the run card, and the parts that several tasks share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.messages import N_, Message
from core.runs.card_model import CardIntervals, CardThreshold, DataSelection, Picture, ScoreCard
from core.runs.result import RESULT_FOLDER, Result, load_mode_result
from core.spec.metric import SCORE_CARD_METRICS
from core.spec.spec import DataSpec, PartSpec
from core.spec.task import find_task, load_entry_point

HISTOGRAM_BINS = 30
SHARE_REASON = N_("The threshold flags a fixed share of the rows: {share}. It has no target false-alarm rate.")
TAIL_REASON = N_(
    "Computed from the tail of the scores (peaks over threshold). Target share of normal rows above it: {share}."
)
CHOICE_REASONS = {
    "verdicts": N_("Chosen from the verdicts of users. It has no target false-alarm rate."),
    "chosen": N_("Chosen by hand. It has no target false-alarm rate."),
}
"""Origin of a threshold that a user chose → its reason."""
NO_LABELS_NOTE = N_("The data have no labels, so the precision of these results is unknown.")


@dataclass(frozen=True)
class CardData:
    """Description of a result for the run card.

    files            names of the files of the dataset
    covariate_files  names of the files of the covariates
    """

    files: tuple[str, ...] = ()
    covariate_files: tuple[str, ...] = ()
    part: DataSelection | None = None
    threshold: CardThreshold | None = None
    score_card: ScoreCard | None = None
    intervals: CardIntervals | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    notes: tuple[Message, ...] = ()


def read_result(task: str, files: Path) -> Result | None:
    """Return the result among the files of a run; None without a result, or for an unknown task."""
    known_task = find_task(task)
    if known_task is None:
        return None
    try:
        return load_mode_result(known_task, files / RESULT_FOLDER)
    except NotFoundError:
        return None


def describe_result(task: str, result: Result) -> CardData:
    """Return the description of a result; only its metrics where its task has no card."""
    known_task = find_task(task)
    if known_task is None or not known_task.card:
        return CardData(counts=result.metrics())
    data: CardData = load_entry_point(known_task.card)(result)
    return data


# ---- parts ----------------------------------------------------------------------------------------------------------


def describe_part(rows: pd.DataFrame, spec: DataSpec) -> DataSelection:
    """Return the part of the data that `rows` cover: number of rows and entities, period, and the selection."""
    times = rows["time"] if "time" in rows else pd.Series(dtype=object)
    first, last = (str(times.min()), str(times.max())) if len(times) else ("", "")
    selection = (spec.entities, spec.start, spec.end) if isinstance(spec, PartSpec) else ()
    return DataSelection(len(rows), int(rows["entity"].nunique()), first, last, *selection)


def build_score_card(card: pd.DataFrame) -> ScoreCard | None:
    """Return the score card of a detector and its baselines; None without labels."""
    if not len(card):
        return None
    metric_names = tuple(name for name in SCORE_CARD_METRICS if name in card)
    lines = [
        (str(line["line"]), tuple(to_finite(line[name]) for name in metric_names)) for line in card.to_dict("records")
    ]
    return ScoreCard(metric_names, tuple(lines))


def build_score_histogram(scores: pd.Series, threshold: float) -> Picture | None:
    """Return the histogram of the finite scores with the threshold; None without a finite score."""
    numbers = scores[np.isfinite(scores)].to_numpy(dtype=float)
    if not len(numbers):
        return None
    counts, edges = np.histogram(numbers, HISTOGRAM_BINS)
    title = Message(N_("Scores of the rows and threshold"))
    return Picture("histogram", title, tuple(map(float, edges)), {"rows": tuple(map(float, counts))}, threshold)


def to_finite(value: Any) -> float | None:
    """Return `value` as a float; None where it is missing or not finite."""
    return None if value is None or not np.isfinite(value) else float(value)
