"""Recalibration of intervals: the best choice of past errors on half of a backtest, kept if the other half gains."""

from dataclasses import dataclass, replace

import numpy as np

from core.array_types import Floats
from core.evaluation.conformal import ConformalConfig, ResidualHistory
from core.evaluation.forecast_metrics import compute_coverage, quantile_loss
from core.messages import N_, Message

CHOICES: dict[str, tuple[object, ...]] = {
    "adaptation": (0.0, 0.5, 1.0, 1.5),
    "per_entity": (True, False),
    "scale": ("root", "level", "plain"),
    "window": (365, 180, 90),
}
"""Accepted values of the fields of `ConformalConfig`, chosen one after the other."""
MIN_GAIN = 0.01  # of the quantile loss on the second half, below which the intervals stay as they are
MAX_COVERAGE_LOSS = 0.01  # farther from the nominal coverage on the second half


@dataclass(frozen=True)
class _Halves:
    """Quantile loss of the ends of intervals on the first and the second half, and their coverage on the second."""

    first_loss: float
    second_loss: float
    coverage: float


def recalibrate_errors(errors: ResidualHistory, low: float, high: float) -> tuple[ResidualHistory, Message]:
    """Return `errors` with the calibration whose interval from `low` to `high` has the least loss, and a note.

    The choice uses the first half of the periods. It is kept only if it lowers the quantile loss on the second half by
    1 % and more, and its coverage there is not farther from the nominal one. The note states what was measured there.
    """
    measured = {errors.calibration: _measure_halves(errors, low, high)}
    best = errors.calibration
    for name, values in CHOICES.items():
        candidates = [replace(best, **{name: value}) for value in values]  # type: ignore[arg-type]
        for candidate in candidates:
            if candidate not in measured:
                measured[candidate] = _measure_halves(replace(errors, calibration=candidate), low, high)
        best = min((best, *candidates), key=lambda calibration: measured[calibration].first_loss)
    before, after = measured[errors.calibration], measured[best]
    if not _is_better(after, before, high - low):
        return errors, _describe_no_gain(before, high - low)
    return replace(errors, calibration=best), _describe_gain(best, before, after, high - low)


def _measure_halves(errors: ResidualHistory, low: float, high: float) -> _Halves:
    """Measure the intervals of the first, the middle and the last step, after a third of the periods."""
    horizon, count = errors.forecast.shape[:2]
    start = count // 3
    middle, levels = (count - start) // 2, np.array([low, high])
    steps = sorted({1, (horizon + 1) // 2, horizon})
    bands = np.stack([errors.compute_rolling_quantiles(step, levels, start) for step in steps])
    actual = np.broadcast_to(errors.actual[start:], bands.shape[:-1])
    first_loss, second_loss = (
        quantile_loss(actual[:, half], bands[:, half], levels) for half in (slice(middle), slice(middle, None))
    )
    return _Halves(first_loss, second_loss, _measure_coverage(actual[:, middle:], bands[:, middle:]))


def _measure_coverage(actual: Floats, bands: Floats) -> float:
    return compute_coverage(actual, bands[..., 0], bands[..., 1])


def _is_better(after: _Halves, before: _Halves, nominal: float) -> bool:
    is_near = abs(after.coverage - nominal) <= abs(before.coverage - nominal) + MAX_COVERAGE_LOSS
    return is_near and after.second_loss <= (1 - MIN_GAIN) * before.second_loss


def _describe_gain(best: ConformalConfig, before: _Halves, after: _Halves, nominal: float) -> Message:
    return Message(
        N_(
            "Recalibrated on the first half of the test, from the errors of {window} periods. On the second half the "
            "quantile loss of the interval is {loss} % lower. Its coverage is {before} % before and {after} % after "
            "recalibration. Nominal coverage: {nominal} %."
        ),
        {
            "window": best.window,
            "loss": round(100 * (1 - after.second_loss / before.second_loss), 1),
            "before": round(100 * before.coverage, 1),
            "after": round(100 * after.coverage, 1),
            "nominal": round(100 * nominal, 1),
        },
    )


def _describe_no_gain(before: _Halves, nominal: float) -> Message:
    return Message(
        N_(
            "Recalibration brings no gain: no other choice of past errors improves the intervals on the "
            "second half of the test. They stay unchanged. Coverage there: {before} %. Nominal coverage: "
            "{nominal} %."
        ),
        {"before": round(100 * before.coverage, 1), "nominal": round(100 * nominal, 1)},
    )
