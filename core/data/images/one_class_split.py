"""Division of a set of images for a model of one class: what it is fitted on, calibrated with, and judged by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.images.image_set import ImageSet
from core.errors import DataError, OptionError
from core.messages import N_

HELD_OUT_SHARE = 0.1  # of the normal training images, for the threshold
TEST_SHARE = 0.2  # of every class, where the files name no test part
MIN_TRAINING_IMAGES = 2

Positions = NDArray[np.intp]


@dataclass(frozen=True)
class OneClassSplit:
    """Positions of images in their set. No image is in two parts.

    training    images that the model is fitted on: the normal class, with a share of other images if asked for
    held_out    normal images for the threshold; empty without
    abnormal    images of other classes that a supervised model may see as abnormal
    test        images that the model is judged by
    is_abnormal (test,) True for test images that are not of the normal class
    """

    training: Positions
    held_out: Positions
    abnormal: Positions
    test: Positions
    is_abnormal: NDArray[np.bool_]


def split_one_class(
    images: ImageSet,
    normal_class: str,
    *,
    seed: int = 0,
    held_out_share: float = HELD_OUT_SHARE,
    contamination: float = 0.0,
    abnormal_count: int = 0,
) -> OneClassSplit:
    """Return the division of `images` for a model of `normal_class`.

    The test part is the one that the files name, else a fifth of every class. Images without a class are in no part.
    `contamination` is the share of other classes among the training images; `abnormal_count` is the number of labelled
    abnormal images that a supervised model may see. The same seed gives the same division. Raises OptionError for an
    unknown class, DataError for less than two training images.

    Example:
        >>> labels = np.repeat([0, 1], 50)
        >>> images = ImageSet(np.zeros((100, 8, 8, 1), np.uint8), tuple(map(str, range(100))), ("a", "b"), labels)
        >>> split = split_one_class(images, "a")
        >>> len(split.training), len(split.held_out), len(split.test), int(split.is_abnormal.sum())
        (36, 4, 20, 10)
    """
    if normal_class not in images.classes:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="normal_class",
            value=normal_class,
            accepted=", ".join(images.classes) or "-",
        )
    rng = np.random.default_rng(seed)
    is_normal = images.labels == images.classes.index(normal_class)
    is_test = _choose_test_part(images)
    normal = rng.permutation(np.flatnonzero(is_normal & ~is_test))
    others = rng.permutation(np.flatnonzero(~is_normal & (images.labels >= 0) & ~is_test))
    held_out_count = round(held_out_share * len(normal))
    held_out, training = normal[:held_out_count], normal[held_out_count:]
    intruder_count = min(round(contamination / (1 - contamination) * len(training)), len(others))
    intruders, abnormal = others[:intruder_count], others[intruder_count : intruder_count + abnormal_count]
    training = np.sort(np.concatenate([training, intruders]))
    if len(training) < MIN_TRAINING_IMAGES:
        raise DataError(
            N_(
                "The class {value} has {count} training image. At least {needed} are needed.",
                "The class {value} has {count} training images. At least {needed} are needed.",
            ),
            value=normal_class,
            count=len(training),
            needed=MIN_TRAINING_IMAGES,
        )
    test = np.flatnonzero(is_test & (images.labels >= 0))
    return OneClassSplit(training, np.sort(held_out), np.sort(abnormal), test, ~is_normal[test])


def _choose_test_part(images: ImageSet) -> NDArray[np.bool_]:
    """Return the test part of the files, (images,), else a fifth of every class; it does not depend on the seed."""
    if images.has_test_part:
        return images.is_test
    is_test, rng = np.zeros(len(images), bool), np.random.default_rng(0)
    for number in range(len(images.classes)):
        members = rng.permutation(np.flatnonzero(images.labels == number))
        is_test[members[: round(TEST_SHARE * len(members))]] = True
    return is_test
