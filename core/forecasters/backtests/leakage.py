"""Leakage check: a covariate that reproduces the target cannot be known in advance, so it is left out."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.dataset import DAY
from core.data.panel import Panel
from core.forecasters.panels.covariate_periods import list_days, list_timed_columns, read_deviations, read_periods
from core.messages import N_, Message

MIN_LEAK_R2 = 0.999  # R² of a leak; for comparison, temperature explains 0.9 of French gas
MIN_SIMILAR_R2 = 0.5  # R² from which ranks are compared, to find a monotonic transform
SHIFTS = range(-7, 29)  # periods: from the amounts of the week after to those of four weeks before, in days
MIN_PERIODS = 30  # of a correlation
ROUNDING_SHARE = 1e-9  # share of the variance lost by rounded numbers
MIN_PERIODS_PER_COLUMN = 5  # in a test of a weighted sum

COPY = N_(
    "{covariate} is not used: it reproduces the amount to forecast (R² = {share}), so it cannot be known in advance."
)
LATER_COPY = N_(
    "{covariate} is not used: it reproduces the amount to forecast of {count} periods later (R² = {share}), so it "
    "cannot be known in advance."
)
EARLIER_COPY = N_(
    "{covariate} is not used: it reproduces the amount to forecast of {count} periods before (R² = {share}), so it "
    "cannot be known in advance for the whole horizon."
)
SUM = N_(
    "{covariate} is not used: a weighted sum of {columns} equals the amount to forecast, so these covariates cannot be "
    "known in advance."
)


def find_leaks(series: Panel, covariates: Covariates) -> dict[str, Message]:
    """Return the covariates that reproduce the amounts of `series`, each with the reason to leave it out.

    A copy of the amounts can be shifted by some periods, scaled or monotonically transformed. A weighted sum of several
    covariates can be the amount, such as the hours of a day. Amounts and covariates are compared by period, and at the
    times of the day and by day where they have them.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=60, name="day")
        >>> load = np.random.default_rng(0).normal(100, 10, 60)
        >>> series = Panel(days, ("Lyon",), ("day",), load[:, None, None])
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> frame = pd.DataFrame({"wind": load[::-1], "copy": 2 * load + 1}, index=index)
        >>> {name: str(reason)[:58] for name, reason in find_leaks(series, Covariates(frame)).items()}
        {'copy': 'copy is not used: it reproduces the amount to forecast (R²'}
    """
    leaks: dict[str, Message] = {}
    for amounts, values in _list_views(series, covariates):
        for index, name in enumerate(covariates.columns):
            match = None if name in leaks else _find_copy(amounts, values[:, :, index])
            if match is not None:
                leaks[name] = _describe_copy(name, *match)
        remaining = [index for index, name in enumerate(covariates.columns) if name not in leaks]
        while sum_columns := _find_sum(amounts, values, remaining):
            names = [covariates.columns[index] for index in sum_columns]
            leaks |= {name: Message(SUM, {"covariate": name, "columns": ", ".join(names)}) for name in names}
            remaining = [index for index in remaining if index not in sum_columns]
    return leaks


def _describe_copy(name: str, share: float, shift: int) -> Message:
    template = COPY if shift == 0 else EARLIER_COPY if shift > 0 else LATER_COPY
    return Message(template, {"covariate": name, "share": f"{share:.4f}", "count": abs(shift)})


def _list_views(series: Panel, covariates: Covariates) -> Iterator[tuple[Floats, Floats]]:
    """Yield amounts (periods, entities) with the covariates (periods, entities, columns) of the same periods.

    These are the periods of `series`, then the times of its days, then whole days of shorter steps.
    """
    values = read_periods(covariates, series, series.periods)
    yield series.amounts, values
    if timed := list_timed_columns(covariates, series):
        at_times = np.repeat(values[:, :, None], len(series.slots), axis=2)
        for name in timed:
            number = covariates.columns.index(name)
            at_times[..., number] += read_deviations(covariates, series, series.periods, name)
        yield _unroll(series.values), _unroll(at_times)
    if series.step < DAY:
        days = list_days(series.periods)
        means = pd.DataFrame(series.amounts).groupby(series.periods.normalize()).mean().reindex(days)
        yield means.to_numpy(), covariates.to_array(series.entities, days)


def _unroll(values: Floats) -> Floats:
    """Return values (periods, entities, slots …) as (periods × slots, entities …)."""
    return np.moveaxis(values, 1, 2).reshape(-1, values.shape[1], *values.shape[3:])


def _find_copy(amounts: Floats, covariate: Floats) -> tuple[float, int] | None:
    """Return R² and shift in periods if the covariate of an entity is a copy of the amounts; None otherwise."""
    for shift in sorted(SHIFTS, key=abs):
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
    """Return the squared correlation; 0 for fewer than 30 periods or nearly constant values."""
    if len(first) < MIN_PERIODS or len(np.unique(second)) < MIN_PERIODS // 3 or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1] ** 2)


def _rank_values(values: Floats) -> Floats:
    """Return the ranks; equal values share a rank, so a constant is no copy of a growing series."""
    return np.asarray(pd.Series(values).rank())


def _find_sum(amounts: Floats, values: Floats, columns: list[int]) -> list[int]:
    """Return as few of `columns` as have a weighted sum that is the amount; [] without such a sum."""
    used = [
        index for index in columns if len(np.unique(values[np.isfinite(values[:, :, index]), index])) > MIN_PERIODS // 3
    ]
    rows = np.isfinite(values[:, :, used]).all(axis=2) & np.isfinite(amounts)
    if len(used) < 2 or rows.sum() < MIN_PERIODS_PER_COLUMN * len(used):
        return []
    features, target = values[rows], amounts[rows]
    unexplained_share = _compute_unexplained_share(features[:, used], target)
    if unexplained_share > 1 - MIN_LEAK_R2:
        return []
    for index in list(used):
        others = [other for other in used if other != index]
        if others and _compute_unexplained_share(features[:, others], target) <= 2 * unexplained_share + ROUNDING_SHARE:
            used = others
    return used


def _compute_unexplained_share(features: Floats, target: Floats) -> float:
    """Return 1 − R² of the best weighted sum; 1 for a constant target."""
    deviations = target - target.mean()
    design = np.column_stack([features, np.ones(len(features))])
    residuals = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float((residuals @ residuals) / (deviations @ deviations)) if deviations @ deviations > 0 else 1.0
