"""Description of a result for the run card, and the parts that several tasks share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.messages import N_, Text
from core.runs.card_model import Intervals, Part, Picture, ScoreCard, Threshold
from core.runs.result import RESULT_FOLDER, Result
from core.spec.metric import SCORE_CARD
from core.spec.spec import DataSpec, PartSpec
from core.spec.task import find_task, load_entry

BINS = 30
VERDICTS = "verdicts"
BY_SHARE = N_("The share of {share} of the rows was asked for; it promises nothing about false alarms.")
BY_TAIL = N_("By the tail of the scores (peaks over threshold): the share of {share} of normal rows would exceed it.")
BY_VERDICTS = N_("People chose it from their verdicts on the run {run}; it promises nothing about false alarms.")
NO_LABELS = N_("There are no labels: no figure here says how many of these are right.")


@dataclass(frozen=True)
class CardData:
    """Description of a result for the run card.

    files            names of the files of the dataset
    covariate_files  names of the files of the covariates
    """

    files: tuple[str, ...] = ()
    covariate_files: tuple[str, ...] = ()
    part: Part | None = None
    threshold: Threshold | None = None
    score_card: ScoreCard | None = None
    intervals: Intervals | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    picture: Picture | None = None
    notes: tuple[Text, ...] = ()


def read_result(task: str, files: Path) -> Result | None:
    """Return the result among the files of a run; None without a result, or for an unknown task."""
    known = find_task(task)
    if known is None:
        return None
    try:
        result: Result = load_entry(known.result).load(files / RESULT_FOLDER)
        return result
    except NotFoundError:
        return None


def describe_result(task: str, result: Result) -> CardData:
    """Return the description of a result; only its metrics where its task has no card."""
    known = find_task(task)
    if known is None or not known.card:
        return CardData(counts=result.metrics())
    data: CardData = load_entry(known.card)(result)
    return data


# ---- parts ----------------------------------------------------------------------------------------------------------


def describe_part(rows: pd.DataFrame, spec: DataSpec) -> Part:
    """Return the part of the data that `rows` cover: number of rows and entities, period, and the selection."""
    times = rows["time"] if "time" in rows else pd.Series(dtype=object)
    first, last = (str(times.min()), str(times.max())) if len(times) else ("", "")
    chosen = (spec.entities, spec.start, spec.end) if isinstance(spec, PartSpec) else ()
    return Part(len(rows), int(rows["entity"].nunique()), first, last, *chosen)


def build_score_card(card: pd.DataFrame) -> ScoreCard | None:
    """Return the score card of a detector and its baselines; None without labels."""
    if not len(card):
        return None
    names = tuple(name for name in SCORE_CARD if name in card)
    lines = [(str(line["line"]), tuple(finite(line[name]) for name in names)) for line in card.to_dict("records")]
    return ScoreCard(names, tuple(lines))


def count_scores(scores: pd.Series, threshold: float) -> Picture | None:
    """Return the histogram of the finite scores with the threshold; None without a finite score."""
    numbers = scores[np.isfinite(scores)].to_numpy(dtype=float)
    if not len(numbers):
        return None
    counts, edges = np.histogram(numbers, BINS)
    title = Text(N_("Scores of the rows, and the threshold"))
    return Picture("histogram", title, tuple(map(float, edges)), {"rows": tuple(map(float, counts))}, threshold)


def finite(value: Any) -> float | None:
    """Return `value` as a float; None where it is missing or not finite."""
    return None if value is None or not np.isfinite(value) else float(value)
