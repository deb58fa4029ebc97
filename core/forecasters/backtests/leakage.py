"""Leakage check: a covariate that reproduces the target cannot be known in advance."""

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.panels.covariate_periods import read_periods
from core.messages import N_

MIN_LEAK_R2 = 0.999  # R² of a leak; for comparison, temperature explains 0.9 of French gas
MIN_SIMILAR_R2 = 0.5  # R² from which ranks are compared, to find a monotonic transform
SHIFT_DAYS = range(-7, 29)  # days: from the amounts of the week after to those of four weeks before
MIN_DAYS = 30  # days of a correlation
ROUNDING_SHARE = 1e-9  # share of the variance lost by rounded numbers
MIN_DAYS_PER_COLUMN = 5  # days per column in a test of a weighted sum


def check_leakage(series: Panel, covariates: Covariates) -> None:
    """Check that no covariate reproduces the daily amounts of `series`.

    Raises DataError that names the covariates. A copy of the amounts can be shifted by some days, scaled or
    monotonically transformed. A weighted sum of several covariates can be the amount, such as the hours of a day.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=60, name="day")
        >>> load = np.random.default_rng(0).normal(100, 10, 60)
        >>> series = Panel(days, ("Lyon",), ("day",), load[:, None, None])
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> check_leakage(series, Covariates(pd.DataFrame({"wind": load[::-1]}, index=index)))
        >>> try:
        ...     check_leakage(series, Covariates(pd.DataFrame({"copy": 2 * load + 1}, index=index)))
        ... except DataError as error:
        ...     print(error.args[1]["columns"])
        copy (R² = 1.0000, +0 d)
    """
    values = read_periods(covariates, series, series.periods)
    amounts = series.amounts
    leaks = {
        name: match
        for index, name in enumerate(covariates.columns)
        if (match := _find_copy(amounts, values[:, :, index])) is not None
    }
    if leaks:
        raise DataError(
            N_(
                "These covariates reproduce the amount to forecast, so they cannot be known in "
                "advance: {columns}. Remove them."
            ),
            columns=", ".join(f"{name} (R² = {share:.4f}, {shift:+d} d)" for name, (share, shift) in leaks.items()),
        )
    sum_columns = _find_sum(amounts, values)
    if sum_columns:
        raise DataError(
            N_(
                "A weighted sum of these covariates equals the amount to forecast, so they "
                "cannot be known in advance: {columns}. Remove them."
            ),
            columns=", ".join(covariates.columns[column] for column in sum_columns),
        )


def _find_copy(amounts: Floats, covariate: Floats) -> tuple[float, int] | None:
    """Return R² and shift in days if the covariate of an entity is a copy of the amounts; None otherwise."""
    for shift in SHIFT_DAYS:
        shifted_amounts, shifted_covariate = _align_by_shift(amounts, covariate, shift)
        for entity in range(amounts.shape[1]):
            entity_amounts, entity_covariate = _drop_missing(shifted_amounts[:, entity], shifted_covariate[:, entity])
            share = _compute_r2(entity_amounts, entity_covariate)
            if MIN_SIMILAR_R2 < share <= MIN_LEAK_R2:  # possibly a monotonic transform
                share = _compute_r2(_rank_values(entity_amounts), _rank_values(entity_covariate))
            if share > MIN_LEAK_R2:
                return share, shift
    return None


def _align_by_shift(amounts: Floats, covariate: Floats, shift: int) -> tuple[Floats, Floats]:
    if shift >= 0:
        return amounts[: max(len(amounts) - shift, 0)], covariate[shift:]
    return amounts[-shift:], covariate[:shift]


def _drop_missing(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(first) & np.isfinite(second)
    return first[known], second[known]


def _compute_r2(first: Floats, second: Floats) -> float:
    """Return the squared correlation; 0 for fewer than 30 days or nearly constant values."""
    if len(first) < MIN_DAYS or len(np.unique(second)) < MIN_DAYS // 3 or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1] ** 2)


def _rank_values(values: Floats) -> Floats:
    """Return the ranks; equal values share a rank, so a constant is no copy of a growing series."""
    return np.asarray(pd.Series(values).rank())


def _find_sum(amounts: Floats, values: Floats) -> list[int]:
    """Return the columns whose weighted sum is the amount; [] if there is no such set."""
    varying_columns = [
        index
        for index in range(values.shape[2])
        if len(np.unique(values[np.isfinite(values[:, :, index]), index])) > MIN_DAYS // 3
    ]
    rows = np.isfinite(values[:, :, varying_columns]).all(axis=2) & np.isfinite(amounts)
    if len(varying_columns) < 2 or rows.sum() < MIN_DAYS_PER_COLUMN * len(varying_columns):
        return []
    features, target = values[:, :, varying_columns][rows], amounts[rows]
    unexplained_share = _compute_unexplained_share(features, target)
    if unexplained_share > 1 - MIN_LEAK_R2:
        return []
    reduced_shares = [
        _compute_unexplained_share(np.delete(features, number, axis=1), target)
        for number in range(len(varying_columns))
    ]
    return [
        index
        for index, reduced_share in zip(varying_columns, reduced_shares, strict=True)
        if reduced_share > 2 * unexplained_share + ROUNDING_SHARE
    ] or varying_columns


def _compute_unexplained_share(features: Floats, target: Floats) -> float:
    """Return 1 − R² of the best weighted sum; 1 for a constant target."""
    deviations = target - target.mean()
    design = np.column_stack([features, np.ones(len(features))])
    residuals = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float((residuals @ residuals) / (deviations @ deviations)) if deviations @ deviations > 0 else 1.0
