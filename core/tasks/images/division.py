"""Division of images for a fit: how many are held out for the threshold, and what curves are drawn with."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.data.images.image_set import ImageSet
from core.data.images.one_class_split import HELD_OUT_SHARE, OneClassSplit, Positions, split_one_class
from core.tasks.images.spec import ImagesFitSpec

MAX_HELD_OUT_SHARE = 1 / 3  # of the normal training images, unless the spec asks for more
MAX_VALIDATION_IMAGES = 256  # of each kind: normal and abnormal


@dataclass(frozen=True)
class ValidationPart:
    """Images that are neither fitted on nor judged by, for curves of accuracy per epoch.

    positions    (images,) in their set
    is_abnormal  (images,) True for images of other classes
    """

    positions: Positions
    is_abnormal: NDArray[np.bool_]


def divide_images(spec: ImagesFitSpec, images: ImageSet) -> OneClassSplit:
    """Return the division of `images` for a spec with its defaults filled.

    Without a share in the spec, a tenth of the normal training images is held out. Where a tenth is too few to promise
    the rate of false alarms, it is as many as the rate needs, and at most a third. Raises the errors of
    `split_one_class`.
    """
    seed = spec.seed or 0
    share = HELD_OUT_SHARE if spec.held_out is None else spec.held_out
    split = _split(spec, images, seed, share)
    needed = math.ceil(1 / spec.false_alarm_rate) - 1
    if spec.held_out is None and len(split.held_out) < needed:
        normal_count = len(split.held_out) + len(split.training) - count_intruders(split, images, spec.normal_class)
        split = _split(spec, images, seed, min(needed / max(normal_count, 1), MAX_HELD_OUT_SHARE))
    return split


def _split(spec: ImagesFitSpec, images: ImageSet, seed: int, share: float) -> OneClassSplit:
    return split_one_class(
        images,
        spec.normal_class,
        seed=seed,
        held_out_share=share,
        contamination=spec.contamination,
        abnormal_count=spec.abnormal_count,
    )


def count_intruders(split: OneClassSplit, images: ImageSet, normal_class: str) -> int:
    """Return the number of training images of other classes."""
    return int((images.labels[split.training] != images.classes.index(normal_class)).sum())


def choose_validation(split: OneClassSplit, images: ImageSet, normal_class: str, seed: int) -> ValidationPart | None:
    """Return held-out normal images and abnormal images that are in no part; None where one kind is missing.

    The images of the test part are left alone, so that settings chosen by the curves do not see them.
    """
    is_free = (images.labels >= 0) & (images.labels != images.classes.index(normal_class))
    for part in (split.test, split.training, split.abnormal):
        is_free[part] = False
    rng = np.random.default_rng(seed)
    kinds = [_draw(rng, split.held_out), _draw(rng, np.flatnonzero(is_free))]
    if not all(map(len, kinds)):
        return None
    return ValidationPart(np.concatenate(kinds), np.repeat([False, True], [len(kind) for kind in kinds]))


def _draw(rng: np.random.Generator, positions: Positions) -> Positions:
    return np.sort(rng.permutation(positions)[:MAX_VALIDATION_IMAGES])
