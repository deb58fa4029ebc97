"""Judgement of models of one normal class: areas, ROC curve, promised and measured alarm rates, collapse."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.errors import DataError
from core.evaluation.detection_metrics import compute_areas
from core.evaluation.thresholds import Threshold, fit_alarm_threshold
from core.evaluation.validation import check_labels_and_scores, check_scores
from core.messages import N_, Message
from core.phrases import to_rare_percent

MAX_ROC_POINTS = 1_001
BAND_TAIL = 0.025  # on each side of a 95 % range
MIN_LATENT_SPREAD = 1e-3  # standard deviation of an embedding, relative to its length
MIN_SCORE_SPREAD = 1e-6  # range of 99 % of the scores, relative to their size
MIDDLE_QUANTILES = (0.005, 0.995)
SEVERITY_P_VALUES = (0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class Confusion:
    """Counts of images at one threshold: alarms and silence, on abnormal and on normal images."""

    true_alarms: int
    false_alarms: int
    missed: int
    quiet: int

    @property
    def sensitivity(self) -> float:
        """Share of abnormal images that are alarms; NaN without any."""
        return _divide(self.true_alarms, self.true_alarms + self.missed)

    @property
    def specificity(self) -> float:
        """Share of normal images that are no alarms; NaN without any."""
        return _divide(self.quiet, self.quiet + self.false_alarms)

    @property
    def precision(self) -> float:
        """Share of alarms that are abnormal images; NaN without an alarm."""
        return _divide(self.true_alarms, self.true_alarms + self.false_alarms)


def count_confusion(is_abnormal: ArrayLike, scores: ArrayLike, threshold: float) -> Confusion:
    """Return the counts of images whose score is above `threshold`.

    Example:
        >>> confusion = count_confusion([0, 0, 1, 1], [1.0, 3.0, 2.0, 4.0], threshold=2.5)
        >>> confusion.true_alarms, confusion.false_alarms, confusion.sensitivity, confusion.specificity
        (1, 1, 0.5, 0.5)
    """
    flags, values = check_labels_and_scores(is_abnormal, scores)
    is_alarm = values > threshold
    true_alarms, alarms = int((is_alarm & flags).sum()), int(is_alarm.sum())
    missed = int(flags.sum()) - true_alarms
    return Confusion(true_alarms, alarms - true_alarms, missed, len(flags) - alarms - missed)


def build_roc_table(is_abnormal: ArrayLike, scores: ArrayLike, max_points: int = MAX_ROC_POINTS) -> pd.DataFrame:
    """Return the ROC curve from no alarm to all alarms; empty where one of the two kinds of images is missing.

    Columns: threshold (images with a higher score are alarms), true_alarms, false_alarms, sensitivity, specificity.
    A longer curve is thinned out evenly, with both ends.

    Example:
        >>> table = build_roc_table([0, 1, 1], [1.0, 2.0, 3.0])
        >>> table[["threshold", "sensitivity", "specificity"]].values.tolist()[1:3]
        [[2.0, 0.5, 1.0], [1.0, 1.0, 1.0]]
    """
    flags, values = check_labels_and_scores(is_abnormal, scores)
    columns = ["threshold", "true_alarms", "false_alarms", "sensitivity", "specificity"]
    if flags.all() or not flags.any():
        return pd.DataFrame(columns=columns, dtype=float)
    cuts, index, counts = np.unique(-values, return_inverse=True, return_counts=True)
    true_alarms = np.concatenate([[0], np.cumsum(np.bincount(index[flags], minlength=len(cuts)))])
    false_alarms = np.concatenate([[0], np.cumsum(counts)]) - true_alarms
    thresholds = np.concatenate([-cuts, [np.nextafter(-cuts[-1], -np.inf)]])
    table = pd.DataFrame(
        {
            "threshold": thresholds,
            "true_alarms": true_alarms,
            "false_alarms": false_alarms,
            "sensitivity": true_alarms / true_alarms[-1],
            "specificity": 1 - false_alarms / false_alarms[-1],
        },
        columns=columns,
    )
    positions = np.unique(np.linspace(0, len(table) - 1, min(max_points, len(table))).round().astype(int))
    return table.iloc[positions].reset_index(drop=True)


def measure_areas(is_abnormal: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Return the area under the ROC curve and the average precision; NaN unless both kinds of images are there.

    Example:
        >>> measure_areas([0, 0, 1, 1], [1.0, 3.0, 2.0, 4.0])
        (0.75, 0.8333333333333333)
        >>> measure_areas([0, 0], [1.0, 3.0])
        (nan, nan)
    """
    flags, values = check_labels_and_scores(is_abnormal, scores)
    if flags.all() or not flags.any():
        return float("nan"), float("nan")
    return compute_areas(flags, values)


def measure_area_error(is_abnormal: ArrayLike, scores: ArrayLike) -> float:
    """Return the standard error of the area under the ROC curve, by the images of the sample; NaN if it is unknown.

    An image's share is that of the other kind which it is ranked against rightly. The error is that of the mean of the
    shares of both kinds. DeLong, DeLong, Clarke-Pearson: Comparing the areas under two or more correlated receiver
    operating characteristic curves, Biometrics 1988. Two images of each kind are needed.

    Example:
        >>> round(measure_area_error([0, 0, 0, 1, 1], [1.0, 2.0, 4.0, 3.0, 5.0]), 4)
        0.2357
    """
    flags, values = check_labels_and_scores(is_abnormal, scores)
    normal, abnormal = np.sort(values[~flags]), np.sort(values[flags])
    if min(len(normal), len(abnormal)) < 2:
        return float("nan")
    return float(
        np.sqrt(sum(_rank_among(*pair).var(ddof=1) / len(pair[0]) for pair in permutations((normal, abnormal))))
    )


def _rank_among(values: Floats, others: Floats) -> Floats:
    """Return the share of the sorted `others` below each of the `values`; equal ones count half."""
    below, not_above = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(others))


def measure_top_precision(is_abnormal: ArrayLike, scores: ArrayLike) -> float:
    """Return the share of abnormal images among the n highest scores, n being their number; NaN without any.

    Ties at the n-th score count by their share.

    Example:
        >>> measure_top_precision([0, 0, 1, 1], [1.0, 3.0, 2.0, 4.0])
        0.5
    """
    flags, values = check_labels_and_scores(is_abnormal, scores)
    count = int(flags.sum())
    if not count:
        return float("nan")
    cut = np.sort(values)[-count]
    above, at_cut = values > cut, values == cut
    hits = (flags & above).sum() + (count - above.sum()) * flags[at_cut].mean()
    return float(hits / count)


# ---- threshold ------------------------------------------------------------------------------------------------------


def fit_normal_threshold(held_out: ArrayLike, rate: float) -> Threshold:
    """Return the threshold that at most the share `rate` of normal images exceeds, from their held-out scores (n,).

    n images promise no rate below 1 / (n + 1): for a lower one the threshold is their highest score, and the promised
    rate is 1 / (n + 1). Nothing is extrapolated. Raises DataError without a held-out score.

    Example:
        >>> fit_normal_threshold(range(1, 100), rate=0.05).value
        95.0
        >>> threshold = fit_normal_threshold([1.0, 2.0, 3.0], rate=0.05)
        >>> threshold.value, threshold.target_rate
        (3.0, 0.25)
    """
    scores = check_scores(held_out)
    lowest_rate = 1 / (len(scores) + 1)
    if rate >= lowest_rate - 1e-12:
        return fit_alarm_threshold(scores, rate)
    note = Message(
        N_(
            "{count} held-out normal image is too few for a false-alarm rate of {rate}: at least {needed} are "
            "needed. The threshold is its score, which allows at most {possible}.",
            "{count} held-out normal images are too few for a false-alarm rate of {rate}: at least {needed} are "
            "needed. The threshold is their highest score, which allows at most {possible}.",
        ),
        {
            "count": len(scores),
            "rate": to_rare_percent(rate),
            "needed": int(np.ceil(1 / rate)) - 1,
            "possible": to_rare_percent(lowest_rate),
        },
    )
    return Threshold(float(scores.max()), "highest", lowest_rate, note)


def compute_alarm_band(held_out_count: int, rate: float, test_count: int) -> tuple[float, float]:
    """Return the 95 % range of the share of alarms among `test_count` new normal images.

    With k = ⌊rate (n + 1)⌋ and n held-out images without equal scores, the number of alarms is beta-binomial with the
    parameters k and n + 1 − k: it varies by the held-out images as well as by the new ones. Vovk: Conditional validity
    of inductive conformal predictors, 2012. (0, 1) without images.

    Example:
        >>> [round(end, 3) for end in compute_alarm_band(held_out_count=599, rate=0.05, test_count=980)]
        [0.03, 0.073]
    """
    from scipy.stats import betabinom  # type: ignore[import-untyped, unused-ignore]

    rank = int(np.floor(rate * (held_out_count + 1) + 1e-9))
    if not (test_count and 1 <= rank <= held_out_count):
        return 0.0, 1.0
    alarms = betabinom(test_count, rank, held_out_count + 1 - rank)
    return float(alarms.ppf(BAND_TAIL) / test_count), float(alarms.ppf(1 - BAND_TAIL) / test_count)


def classify_severity(p_values: Floats) -> NDArray[np.int8]:
    """Return the severity of p-values, 0 to 3: above 1 %, at most 1 %, 1 in 1,000, 1 in 10,000. NaN gives 0.

    Example:
        >>> classify_severity(np.array([0.5, 0.01, 0.0005, np.nan])).tolist()
        [0, 1, 2, 0]
    """
    return sum((p_values <= limit).astype(np.int8) for limit in SEVERITY_P_VALUES)  # type: ignore[return-value]


# ---- collapse -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collapse:
    """Spread of the scores and embeddings of a model: without any, every image looks the same to it.

    latent_spread  standard deviation of the embeddings relative to their length
    score_spread   range of 99 % of the scores relative to their size
    """

    latent_spread: float
    score_spread: float

    @property
    def kind(self) -> str:
        """Kind of the collapse: "scores", "latent", or "" for none."""
        if self.score_spread < MIN_SCORE_SPREAD:
            return "scores"
        return "latent" if self.latent_spread < MIN_LATENT_SPREAD else ""

    @property
    def is_collapsed(self) -> bool:
        """True for a model that no longer tells images apart."""
        return bool(self.kind)


def measure_collapse(scores: ArrayLike, embeddings: NDArray[np.floating]) -> Collapse:
    """Return the spread of scores (images,) and embeddings (images, dimensions). Raises DataError for one image.

    Example:
        >>> embeddings = np.ones((50, 4)) + 1e-6 * np.random.default_rng(0).normal(size=(50, 4))
        >>> measure_collapse(np.arange(50.0), embeddings).kind
        'latent'
        >>> measure_collapse(np.full(50, 2.0), np.random.default_rng(0).normal(size=(50, 4))).kind
        'scores'
    """
    values = check_scores(scores)
    if len(values) < 2:
        raise DataError(N_("With a single image, it cannot be checked whether a model distinguishes images."))
    low, high = np.quantile(values, MIDDLE_QUANTILES)
    size = max(abs(float(np.median(values))), float(np.abs(values).max()) * MIN_SCORE_SPREAD)
    centred = np.asarray(embeddings, np.float64)
    length = float(np.sqrt((centred**2).sum(axis=1).mean()))
    deviation = float(np.sqrt(centred.var(axis=0).sum()))
    return Collapse(_divide(deviation, length, 0.0), _divide(float(high - low), size, 0.0))


def _divide(part: float, whole: float, missing: float = float("nan")) -> float:
    return part / whole if whole else missing
