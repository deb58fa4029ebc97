"""Recent change of a series: the last origins from which a member errs far less than the blend that the past chose."""

import numpy as np

from core.array_types import Floats
from core.forecasters.choice.ensemble_weights import PRIOR_POWER, PastForecasts, drop_small_weights

MIN_ORIGINS = 2  # since the change; one can be luck
MIN_GAIN = 0.3  # of the errors of the blend, that a member avoids since the change
MIN_MEAN_SPREADS = 5.0  # times the usual spread of such gains, in the mean since the change
MIN_SPREADS = 1.0  # the same, from every origin since the change
MIN_USUAL_ORIGINS = 4  # before the change, whose gains tell the usual spread


def count_changed_origins(
    past: PastForecasts, recent: PastForecasts, weights: Floats, groups: list[tuple[int, int]]
) -> int:
    """Return how many of the last origins of `recent` follow a change; 0 without one.

    `weights` (groups, members) are those that the past gives; the origins of `past` are before those of `recent`. The
    change begins where one member errs so much less than their blend, from every origin on, that its gains stand out
    from those in the past. So a new level counts as soon as it shows in errors, and a fault that has ended does not.
    Gains that were as large before, such as those after earlier jumps, are a part of the usual spread, and of the
    weights.

    Example:
        >>> random = np.random.default_rng(0)
        >>> amounts = np.where(np.arange(60) < 55, 10.0, 30.0) + random.normal(0, 0.1, 60)
        >>> mean, last = np.full(59, 10.0), amounts[:-1]  # always the old level; the amount before
        >>> every = PastForecasts.from_forecasts(np.stack([mean, last])[..., None, None], amounts[1:, None, None], 1.0)
        >>> parts = every.select_origins(slice(0, 50)), every.select_origins(slice(50, None))
        >>> count_changed_origins(*parts, np.array([[1.0, 0.0]]), [(1, 1)])  # the forecast of the jump itself is wrong
        4
    """
    usual = _compute_gains(past, weights, groups)[0]
    gains, blend_errors = _compute_gains(recent, weights, groups)
    usual = usual[:, np.isfinite(usual).all(axis=0)]
    if usual.shape[1] < MIN_USUAL_ORIGINS:
        return 0
    spread = np.maximum(usual.std(axis=1, ddof=1), 1e-9)
    changed_count, strongest = 0, 0.0
    for count in range(MIN_ORIGINS, gains.shape[1] + 1):
        is_known = np.isfinite(blend_errors[-count:])
        if is_known.sum() < MIN_ORIGINS:
            continue
        own_gains = gains[:, -count:][:, is_known]
        means = own_gains.mean(axis=1) / spread
        independent = max(1.0, is_known.sum() / past.actual.shape[1])
        is_change = (
            (own_gains.mean(axis=1) > MIN_GAIN * blend_errors[-count:][is_known].mean())
            & (own_gains.min(axis=1) > MIN_SPREADS * spread)
            & (means * np.sqrt(independent) > MIN_MEAN_SPREADS)
        )
        strength = float(np.where(is_change, means, 0.0).max()) * np.sqrt(count)  # largest where all origins follow it
        if strength > strongest:
            changed_count, strongest = count, strength
    return changed_count


def weigh_after_change(past: PastForecasts, changed: PastForecasts, groups: list[tuple[int, int]]) -> Floats:
    """Return weights for members that are good before and since a change, (groups, members).

    A few origins do not tell who knows the seasons, and those before the change do not tell who follows it. So the
    weights are inverse products of both errors, each in multiples of the least. The least error before the change is
    added to those since, because a few origins can be right by luck.

    Example:
        >>> actual = np.full((8, 1, 1), 10.0)
        >>> before = PastForecasts.from_forecasts(np.stack([actual + 1, actual + 9, actual + 1]), actual, 1.0)
        >>> since = PastForecasts.from_forecasts(np.stack([actual + 1, actual + 1, actual + 9]), actual, 1.0)
        >>> weigh_after_change(before, since, [(1, 1)]).round(2).tolist()
        [[1.0, 0.0, 0.0]]
    """
    usual = float(past.compute_wape().min())
    since = _divide_by_least(changed.compute_wape() + usual)
    products = [_divide_by_least(past.select_steps(low, high).compute_wape()) * since for low, high in groups]
    return drop_small_weights(np.stack(products) ** -PRIOR_POWER)


def _divide_by_least(errors: Floats) -> Floats:
    return np.maximum(errors, 1e-9) / max(float(errors.min()), 1e-9)


def _compute_gains(part: PastForecasts, weights: Floats, groups: list[tuple[int, int]]) -> tuple[Floats, Floats]:
    """Return how much less than the blend every member errs, (members, origins), and the errors of the blend.

    Errors are means over the known steps and entities of an origin; NaN where there are none.
    """
    blend = np.concatenate(
        [
            np.tensordot(own_weights, part.forecasts[:, :, low - 1 : high], 1)
            for own_weights, (low, high) in zip(weights, groups, strict=True)
        ],
        axis=1,
    )
    counts = np.isfinite(part.actual).sum(axis=(1, 2))
    scale = np.where(counts > 0, 1 / np.maximum(counts, 1), np.nan)
    blend_errors, *member_errors = (
        np.nansum(np.abs(each - part.actual), axis=(1, 2)) * scale for each in (blend, *part.forecasts)
    )
    return blend_errors - np.stack(member_errors), blend_errors
