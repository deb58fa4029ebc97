"""The known value that a forecast is a change of: the last one, or those of the same phase of a season."""

import warnings

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.forecasters.features.feature_plan import FeaturePlan
from core.forecasters.panels.covariate_panel import shift_periods

RECENT_SHARE = 3


def build_bases(last_known: Floats, step: int, plan: FeaturePlan) -> list[Floats]:
    """Return the possible bases of every period, `step` periods ahead, each (periods, entities).

    The first is the last known value; the only one for a year or more of days. The others are, for each season, the
    last value of the same phase and the mean of the last ones. A regularised model of the change is close to its base
    where little can be learnt.

    Example:
        >>> weeks = np.arange(28.0)[:, None]
        >>> [base[20, 0].item() for base in build_bases(weeks, 1, FeaturePlan("D", 60))]
        [19.0, 13.0, 9.5]
    """
    bases = [shift_periods(last_known, step)]
    if plan.is_daily and plan.is_complete:
        return bases
    for season in plan.seasons:
        values = [shift_periods(last_known, lag) for lag in plan.list_season_lags(season, step)]
        bases += values[:1]
        if len(values) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no value is known in the first season
                bases.append(np.where(np.isfinite(values[0]), np.nanmean(np.stack(values), axis=0), np.nan))
    return bases


def choose_bases(last_known: Floats, targets: Floats, step: int, plan: FeaturePlan) -> NDArray[np.intp]:
    """Return the position of the base with the smallest mean absolute error, (entities,).

    All bases are compared on the same periods: the last third of the training data, because the best base of a winter
    is not that of a summer.
    """
    bases = build_bases(last_known, step, plan)
    if len(bases) == 1:
        return np.zeros(targets.shape[1], dtype=np.intp)
    recent = slice(-max(len(targets) // RECENT_SHARE, 1), None)
    errors = np.abs(np.stack([base[recent] for base in bases]) - targets[recent])
    is_known = np.isfinite(errors).all(axis=0)
    return np.argmin(np.where(is_known, errors, 0.0).sum(axis=1), axis=0)


def select_base(last_known: Floats, step: int, plan: FeaturePlan, positions: NDArray[np.intp]) -> Floats:
    """Return the base of every entity, of which `positions` (entities,) are chosen, (periods, entities)."""
    bases = build_bases(last_known, step, plan)
    return np.choose(positions[None, :], bases) if len(bases) > 1 else bases[0]
