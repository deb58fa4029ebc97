"""Thresholds: functions from scores to one number, usable with every detector. Rows above it are anomalies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import DataError, OptionError
from core.evaluation.metrics import best_f1
from core.evaluation.scores import Floats, finite_scores, labelled_scores
from core.evaluation.tails import fit_tail, predicted_excess
from core.messages import N_, Text

LEVEL = 0.98  # quantile of the scores above which their tail begins
LEAST_PEAKS = 10  # scores in the tail, from which it can be told at all


@dataclass(frozen=True)
class Threshold:
    """Rows with a score above `value` are anomalies.

    method   "conformal", "pot" (peaks over threshold), "highest" (of the calibration) or "best_f1"
    promise  the share of normal rows that lie above it at most, as long as they come from where the calibration came
             from;
             None where nothing is promised
    note     how it was found, for a person
    """

    value: float
    method: str
    promise: float | None
    note: Text


def check_contamination(contamination: float) -> None:
    """Raises OptionError for a share outside 0 to 0.5."""
    if not 0 < contamination <= 0.5:
        raise OptionError(
            N_("{name} = {value} is outside {low} to {high}."),
            name="contamination",
            value=contamination,
            low=0,
            high=0.5,
        )


def contamination_threshold(scores: NDArray[np.float64], contamination: float) -> float:
    """The score that the share `contamination` of `scores` lies above.

    Raises OptionError for a share outside 0 to 0.5, DataError where all scores are equal and nothing can stand out.
    """
    check_contamination(contamination)
    if not len(scores) or scores.min() == scores.max():
        raise DataError(
            N_("All {count} rows have the same score: nothing stands out from the rest."), count=len(scores)
        )
    return float(np.quantile(scores, 1 - contamination))


def alarm_threshold(calibration: ArrayLike, rate: float) -> Threshold:
    """The threshold that at most the share `rate` of normal rows lies above, by the scores of normal rows (rows,).

    The rank of a new score among n exchangeable ones is uniform, so the k-th largest of them, k = ⌊rate (n + 1)⌋, is
    exceeded with a chance of k / (n + 1) ≤ rate, whatever the distribution; ties only make it rarer. Vovk, Gammerman,
    Shafer: Algorithmic Learning in a Random World, 2005. Rates below 1 / (n + 1) lie beyond the calibration: there
    the tail is extrapolated (`predicted_excess`), never below the highest score, and the promise is an estimate.
    Raises OptionError for a rate outside 0 to 1, DataError for unfit scores.
    """
    scores = finite_scores(calibration)
    _check_share("rate", rate)
    if (rank := _rank(rate, len(scores))) >= 1:
        return _conformal(scores, rate, rank)
    start, excesses = _peaks(scores, LEVEL)
    if len(excesses) < LEAST_PEAKS:
        return _highest(scores, len(excesses))
    beyond = start + predicted_excess(excesses, rate * len(scores) / len(excesses))
    note = Text(
        N_(
            "Extrapolated from the {peaks} highest of {count} normal scores, since {chance} is rarer than one "
            "in them all."
        ),
        {"peaks": len(excesses), "count": len(scores), "chance": rate},
    )
    return Threshold(max(beyond, float(scores.max())), "pot", rate, note)


def pot_threshold(calibration: ArrayLike, risk: float, level: float = LEVEL) -> Threshold:
    """Peaks over threshold: what the share `risk` of normal rows lies above, from the tail of their scores (rows,).

    Scores above the quantile `level` are taken to follow a generalised Pareto law, the most likely one. Siffer,
    Fouque, Termier, Largouët: Anomaly detection in streams with extreme value theory, KDD 2017. Where the tail cannot
    be told the note says so: fewer than 10 peaks give the highest score, and risks that do not lie in the tail the
    score of that rank.
    Raises OptionError for shares outside 0 to 1, DataError for unfit scores.
    """
    scores = finite_scores(calibration)
    _check_share("risk", risk)
    _check_share("level", level)
    start, excesses = _peaks(scores, level)
    if (rank := _rank(risk, len(scores))) > len(excesses):
        return _conformal(scores, risk, rank)
    if len(excesses) < LEAST_PEAKS:
        return _highest(scores, len(excesses))
    tail = fit_tail(excesses, start, len(scores))
    note = Text(
        N_("Extrapolated from the {peaks} highest of {count} scores (generalised Pareto law with the shape {shape})."),
        {"peaks": tail.peaks, "count": len(scores), "shape": round(tail.shape, 2)},
    )
    return Threshold(max(tail.quantile(risk), start), "pot", risk, note)


def best_f1_threshold(scores: ArrayLike, labels: ArrayLike) -> Threshold:
    """The threshold with the best F1 of rows: an oracle that has seen the labels.

    Raises DataError where none marks an anomaly.
    """
    flags, values = labelled_scores(labels, scores)
    if not flags.any():
        raise DataError(N_("None of {rows} labels marks an anomaly: there is no best threshold."), rows=len(flags))
    f1, value = best_f1(flags, values)
    note = Text(
        N_(
            "Chosen with the labels: no threshold has a better F1 than {f1} on these rows, and none is "
            "promised to reach it."
        ),
        {"f1": round(f1, 3)},
    )
    return Threshold(value, "best_f1", None, note)


def p_values(calibration: ArrayLike, scores: ArrayLike) -> Floats:
    """For every score the share of normal scores at least as high, itself counted among them: (rows,), never 0.

    Among exchangeable scores p ≤ a has a chance of at most a. At or below `rate` exactly where the conformal
    threshold of that rate is exceeded.
    """
    normal, values = np.sort(finite_scores(calibration)), finite_scores(scores)
    above = len(normal) - np.searchsorted(normal, values, side="left")
    return (1 + above) / (len(normal) + 1)


def _peaks(scores: Floats, level: float) -> tuple[float, Floats]:
    """Where the tail begins, and how far scores lie above it."""
    start = float(np.quantile(scores, level))
    return start, scores[scores > start] - start


def _rank(rate: float, count: int) -> int:
    """⌊rate (count + 1)⌋, without losing a whole rank to binary fractions."""
    return int(np.floor(rate * (count + 1) + 1e-9))


def _conformal(scores: Floats, rate: float, rank: int) -> Threshold:
    place = min(rank, len(scores))
    value = float(np.partition(scores, len(scores) - place)[len(scores) - place])
    note = Text(
        N_(
            "The score of rank {rank} among {count} normal ones: a normal row lies above it with a chance of "
            "at most {chance}."
        ),
        {"rank": place, "count": len(scores), "chance": rate},
    )
    return Threshold(value, "conformal", rate, note)


def _highest(scores: Floats, peaks: int) -> Threshold:
    chance = 1 / (len(scores) + 1)
    note = Text(
        N_(
            "The highest of {count} normal scores: only {peaks} lie in their tail, at least {accepted} are needed to"
            " extrapolate. No alarm rate below {chance} can be promised."
        ),
        {"count": len(scores), "peaks": peaks, "accepted": LEAST_PEAKS, "chance": chance},
    )
    return Threshold(float(scores.max()), "highest", chance, note)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise OptionError(N_("{name} = {value} is outside {low} to {high}."), name=name, value=value, low=0, high=1)
