"""The leakage guard: a driver that reproduces what is to be forecast cannot have been known in advance."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates import Drivers
from core.data.panel import Panel
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]

LEAK = 0.999  # R² no honest driver reaches: temperature explains 0.9 of French gas
LIKE = 0.5  # R² from which a driver may be a bent copy
SHIFTS = range(-7, 29)  # days by which a copy may be moved: the amount of tomorrow, or of the day of asking
LEAST = 30  # days to judge from
ROUNDING = 1e-9  # share of the variance that a sum misses because of rounded numbers
FEW = 5  # days per column that a sum of columns has to explain


def refuse_leaks(series: Panel, drivers: Drivers) -> None:
    """Raise DataError naming every driver that gives the amounts away.

    That is a copy of them (moved by some days, scaled, or bent), and every set of drivers that adds up to them, as
    the mean of a day's hours does to its total.
    """
    given = drivers.array(series.entities, series.days)
    amounts = series.amounts
    leaks = {
        name: found
        for place, name in enumerate(drivers.columns)
        if (found := _copy(amounts, given[:, :, place])) is not None
    }
    if leaks:
        raise DataError(
            N_(
                "These drivers reproduce what is to be forecast, so they cannot be known in advance: "
                "{columns}. Leave them out."
            ),
            columns=", ".join(f"{name} (R² = {share:.4f}, {shift:+d} d)" for name, (share, shift) in leaks.items()),
        )
    parts = _sum(amounts, given)
    if parts:
        raise DataError(
            N_(
                "Together these drivers add up to what is to be forecast, so they cannot be known in advance: "
                "{columns}. Leave them out."
            ),
            columns=", ".join(drivers.columns[part] for part in parts),
        )


def _copy(amounts: Floats, driver: Floats) -> tuple[float, int] | None:
    """R² and shift where the driver, in some entity, is the amounts moved by some days."""
    for shift in SHIFTS:
        now, then = _overlapping(amounts, driver, shift)
        for entity in range(amounts.shape[1]):
            one, other = _both(now[:, entity], then[:, entity])
            share = _squared(one, other)
            if LIKE < share <= LEAK:  # a bent copy is still like it
                share = _squared(_ranks(one), _ranks(other))
            if share > LEAK:
                return share, shift
    return None


def _overlapping(amounts: Floats, driver: Floats, shift: int) -> tuple[Floats, Floats]:
    if shift >= 0:
        return amounts[: max(len(amounts) - shift, 0)], driver[shift:]
    return amounts[-shift:], driver[:shift]


def _both(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(one) & np.isfinite(other)
    return one[known], other[known]


def _squared(one: Floats, other: Floats) -> float:
    """Squared correlation; 0 where there is too little to tell, or hardly any different values."""
    if len(one) < LEAST or len(np.unique(other)) < LEAST // 3 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1] ** 2)


def _ranks(values: Floats) -> Floats:
    """Equal values share a rank: a constant is no copy of what only grows."""
    return np.asarray(pd.Series(values).rank())


def _sum(amounts: Floats, given: Floats) -> list[int]:
    """The columns of which a weighted sum is the amounts; empty where none is."""
    varied = [
        place
        for place in range(given.shape[2])
        if len(np.unique(given[np.isfinite(given[:, :, place]), place])) > LEAST // 3
    ]
    rows = np.isfinite(given[:, :, varied]).all(axis=2) & np.isfinite(amounts)
    if len(varied) < 2 or rows.sum() < FEW * len(varied):
        return []
    features, target = given[:, :, varied][rows], amounts[rows]
    left = _unexplained(features, target)
    if left > 1 - LEAK:
        return []
    without = [_unexplained(np.delete(features, number, axis=1), target) for number in range(len(varied))]
    return [place for place, rest in zip(varied, without, strict=True) if rest > 2 * left + ROUNDING] or varied


def _unexplained(features: Floats, target: Floats) -> float:
    """1 − R² of the best weighted sum; 1 where the target never changes."""
    spread = target - target.mean()
    design = np.column_stack([features, np.ones(len(features))])
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float((rest @ rest) / (spread @ spread)) if spread @ spread > 0 else 1.0
