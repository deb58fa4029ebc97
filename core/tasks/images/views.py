"""Choices for the screen: classes to fit on, the threshold to begin with, and images to look at."""

import numpy as np
import pandas as pd

from core.data.images.image_set import ImageSet
from core.data.images.one_class_split import MIN_TRAINING_IMAGES, TEST_SHARE
from core.tasks.images.model_result import TEST, ImageModelResult

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
