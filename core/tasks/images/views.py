"""Choices for the screen: classes to fit on, thresholds to move between, and images to look at."""

import numpy as np
import pandas as pd

from core.data.images.image_set import ImageSet
from core.data.images.one_class_split import MIN_TRAINING_IMAGES, TEST_SHARE
from core.tasks.images.model_result import TEST, ImageModelResult

MAX_THRESHOLDS = 201
MARGIN = 0.001  # of the largest score, in absolute terms
DIGITS = 6  # significant digits that tell two thresholds apart

MOST, LEAST, FALSE_ALARMS, MISSED = "most", "least", "false", "missed"
GALLERIES = (MOST, LEAST, FALSE_ALARMS, MISSED)


def list_fitting_classes(images: ImageSet) -> list[str]:
    """Return the classes with enough images outside the test part to fit a model on.

    Example:
        >>> labels, is_test = np.array([0, 0, 0, 1, 1]), np.array([False, False, False, True, True])
        >>> images = ImageSet(np.zeros((5, 8, 8, 1), np.uint8), tuple("abcde"), ("good", "crack"), labels, is_test)
        >>> list_fitting_classes(images)
        ['good']
    """
    is_training = ~images.is_test if images.has_test_part else np.ones(len(images), bool)
    counts = np.bincount(images.labels[is_training & (images.labels >= 0)], minlength=len(images.classes))
    share = 1.0 if images.has_test_part else 1 - TEST_SHARE
    return [
        name for name, count in zip(images.classes, counts, strict=True) if int(count * share) >= MIN_TRAINING_IMAGES
    ]


def list_thresholds(result: ImageModelResult) -> list[float]:
    """Return thresholds from little to very sensitive, at most 202: scores of the test part, and that of the model.

    Thresholds with the same six digits are one. Empty without a test part.
    """
    scores = result.test_rows["score"].to_numpy(np.float64)
    if not len(scores):
        return []
    steps = np.quantile(scores, np.linspace(1, 0, MAX_THRESHOLDS), method="nearest")
    lowest = scores.min() - MARGIN * (np.abs(scores).max() or 1.0)  # all images are alarms
    candidates = [*([] if result.threshold is None else [result.threshold]), *steps.tolist(), float(lowest)]
    # The threshold of the model wins. Adding zero turns -0.0 into 0.0: equal thresholds have one text.
    by_text = {f"{value + 0.0:.{DIGITS}g}": value + 0.0 for value in reversed(candidates)}
    return sorted(by_text.values(), reverse=True)


def choose_start(result: ImageModelResult, thresholds: list[float]) -> float:
    """Return the threshold to begin with: that of the model, else the first that the accepted false alarms exceed.

    For a fit without a threshold, the share of false alarms is that of the normal test images.
    """
    if result.threshold is not None:
        return result.threshold
    normal = result.normal_test_rows["score"].to_numpy(np.float64)
    accepted = result.spec.false_alarm_rate * len(normal)
    return next((value for value in thresholds if (normal > value).sum() >= accepted), thresholds[-1])


def select_gallery(result: ImageModelResult, kind: str, count: int, part: str = TEST) -> pd.DataFrame:
    """Return images to look at, the most telling first.

    kind  "most" or "least" abnormal by score; "false": normal images with the highest scores; "missed": abnormal images
          with the lowest scores
    """
    rows = result.rows[result.rows["part"] == part]
    if kind == FALSE_ALARMS:
        rows = rows[~rows["is_abnormal"]]
    elif kind == MISSED:
        rows = rows[rows["is_abnormal"]]
    return rows.iloc[::-1].head(count) if kind in (LEAST, MISSED) else rows.head(count)
