"""Checks of fitted detectors: scores that hardly differ, and training that ended before the loss settled."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.array_types import Floats
from core.messages import N_, Message

CENTRAL_PERCENTILES = (1.0, 99.0)
MIN_RANGE_SHARE = 0.01  # of the median score: with a smaller central range, scores hardly differ
MIN_VALIDATIONS = 4  # points of the held-out loss, at least, that can show whether it settled
LAST_SHARE = 0.25  # last part of the training, in which a settled loss no longer falls
MAX_LAST_FALL = 0.05  # share of the whole fall of the loss that may fall into the last part

CONSTANT_NOTE = N_(
    "The scores of the calibration rows hardly differ ({low} to {high}). The detector tells these rows apart "
    "by little more than noise, so that its alarms mean little. Check its settings and the scaling of the columns."
)
SHORT_TRAINING_NOTE = N_(
    "The training ended after {steps} batches, too early to see whether the loss had settled. The scores may "
    "hardly tell usual rows from unusual ones. Train longer."
)
FALLING_LOSS_NOTE = N_(
    "The loss on held-out rows was still falling when the training ended after {steps} batches. Train longer."
)


def check_score_range(calibration: Floats) -> tuple[Message, ...]:
    """Return a note if the calibration scores, (rows,), are constant or nearly so; () without any score.

    Example:
        >>> import numpy as np
        >>> len(check_score_range(np.full(50, 3.0))), len(check_score_range(np.linspace(0.0, 1.0, 50)))
        (1, 0)
    """
    if not len(calibration):
        return ()
    low, high = np.percentile(calibration, CENTRAL_PERCENTILES)
    if high - low > MIN_RANGE_SHARE * abs(np.median(calibration)):
        return ()
    return (Message(CONSTANT_NOTE, {"low": float(f"{low:.4g}"), "high": float(f"{high:.4g}")}),)


def check_training(curves: Mapping[str, Sequence[tuple[float, float]]], held_out: str) -> tuple[Message, ...]:
    """Return a note if the training was too short, or its loss on held-out rows still fell at the end.

    curves    name → [(step, value), …] of the training; without the curve `held_out`, nothing is trained by steps
    held_out  name of the curve of the held-out loss

    Example:
        >>> falling = {"held-out": [(50.0, 9.0), (100.0, 6.0), (150.0, 3.0), (200.0, 0.0)]}
        >>> settled = {"held-out": [(50.0, 9.0), (100.0, 1.0), (150.0, 0.1), (200.0, 0.1)]}
        >>> [len(check_training(curves, "held-out")) for curves in (falling, settled, {})]
        [1, 0, 0]
    """
    points = curves.get(held_out, [])
    if not points:
        return ()
    steps, losses = np.array(points).T
    params = {"steps": int(steps[-1])}
    if len(points) < MIN_VALIDATIONS:
        return (Message(SHORT_TRAINING_NOTE, params),)
    before_last_part = losses[steps <= (1 - LAST_SHARE) * steps[-1]]
    whole_fall = losses[0] - losses.min()
    last_fall = (before_last_part.min() if len(before_last_part) else losses[0]) - losses.min()
    return (Message(FALLING_LOSS_NOTE, params),) if last_fall > MAX_LAST_FALL * whole_fall else ()
