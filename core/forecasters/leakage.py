"""Leakage check: a covariate that reproduces the target cannot be known in advance."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates import Drivers
from core.data.panel import Panel
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]

LEAK = 0.999  # R² of a leak; for comparison, temperature explains 0.9 of French gas
LIKE = 0.5  # R² from which ranks are compared, to find a monotonic transform
SHIFTS = range(-7, 29)  # days: from the amounts of the week after to those of four weeks before
LEAST = 30  # days of a correlation
ROUNDING = 1e-9  # share of the variance lost by rounded numbers
FEW = 5  # days per column in a test of a weighted sum


def refuse_leaks(series: Panel, drivers: Drivers) -> None:
    """Check that no covariate reproduces the daily amounts of `series`.

    Raises DataError that names the covariates. A copy of the amounts can be shifted by some days, scaled or
    monotonically transformed. A weighted sum of several covariates can be the amount, such as the hours of a day.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=60, name="day")
        >>> load = np.random.default_rng(0).normal(100, 10, 60)
        >>> series = Panel(days, ("Lyon",), ("day",), load[:, None, None])
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> refuse_leaks(series, Drivers(pd.DataFrame({"wind": load[::-1]}, index=index)))
        >>> try:
        ...     refuse_leaks(series, Drivers(pd.DataFrame({"copy": 2 * load + 1}, index=index)))
        ... except DataError as error:
        ...     print(error.args[1]["columns"])
        copy (R² = 1.0000, +0 d)
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
    """Return R² and shift in days if the covariate of an entity is a copy of the amounts; None otherwise."""
    for shift in SHIFTS:
        now, then = _overlapping(amounts, driver, shift)
        for entity in range(amounts.shape[1]):
            one, other = _both(now[:, entity], then[:, entity])
            share = _squared(one, other)
            if LIKE < share <= LEAK:  # possibly a monotonic transform
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
    """Return the squared correlation; 0 for fewer than 30 days or nearly constant values."""
    if len(one) < LEAST or len(np.unique(other)) < LEAST // 3 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1] ** 2)


def _ranks(values: Floats) -> Floats:
    """Return the ranks; equal values share a rank, so a constant is no copy of a growing series."""
    return np.asarray(pd.Series(values).rank())


def _sum(amounts: Floats, given: Floats) -> list[int]:
    """Return the columns whose weighted sum is the amount; [] if there is no such set."""
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
    """Return 1 − R² of the best weighted sum; 1 for a constant target."""
    spread = target - target.mean()
    design = np.column_stack([features, np.ones(len(features))])
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float((rest @ rest) / (spread @ spread)) if spread @ spread > 0 else 1.0
