"""Exponential smoothing with several seasons: a level, the week, the day, and what is left of the last error."""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import Forecaster, TargetTransform, build_history_error
from core.forecasters.level_tracker import LevelTracker
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
from core.forecasters.seasons import list_repeated_seasons
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

LEVEL_WEIGHTS = (0.05, 0.1, 0.3, 0.6, 1.0)  # share of an error that moves the level
SEASON_WEIGHTS = (0.02, 0.1, 0.3)  # share of an error that moves a season
ERROR_MEMORIES = (0.0, 0.6, 0.9)  # share of the last error that is left one period later
JUMPS = (1.0, 0.0)  # whether the level begins anew after a jump
NO_JUMPS_MARGIN = 1.03  # by which forms without jumps have to err less: a quiet past does not tell that none comes
MAX_GAIN = 1.2  # sum of the shares; beyond 2 the states diverge
MIN_VALUES = 8  # of an entity
MIN_SEASONS = 2  # of history, to learn a season from
MIN_OWN_ERRORS = 60  # per entity; with fewer, all entities share one form
MAX_CHUNK_CELLS = 1_500_000  # periods × entities × forms held at once


@dataclass(frozen=True)
class _States:
    """States after every period: level and last error (periods, forms, entities), one array a season."""

    level: Floats
    error: Floats
    seasons: list[Floats]


@dataclass
class ExponentialSmoothing(Forecaster):
    """Level and seasons that follow each new amount by a part of the last error.

    The seasons are those of the period: the day and the week of hours, the week of days, the year of weeks and months.
    Without two whole seasons only the level is smoothed. The form (how fast level and seasons move, how long an error
    lasts) is the one of a grid with the smallest errors on the training data, for each entity and group of steps ahead.
    After a jump the level may begin anew, see `LevelTracker`. No covariates are used. Amounts that are never negative
    may be smoothed as logarithms, if that errs less.

    Every forecast is a sum of states, so one pass over a series gives the forecasts of all origins. Taylor: Short-term
    electricity demand forecasting using double seasonal exponential smoothing, Journal of the Operational Research
    Society 54, 2003.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=56)  # begins on a Monday
        >>> week = np.where(days.dayofweek < 5, 100.0, 60.0)
        >>> series = Panel(days, ("Lyon",), ("day",), week[:, None, None])
        >>> known = CovariatePanel(days, {}, np.zeros((56, 1), dtype=bool))
        >>> forecaster = ExponentialSmoothing().fit(series, known, horizon=2)
        >>> forecaster.predict(series, known, 2, 49).ravel().round().tolist()
        [100.0, 100.0, 100.0, 100.0, 100.0, 60.0, 60.0]
    """

    name = "exponential-smoothing"
    label = N_("Exponential smoothing of all seasons")

    scale: str = hyperparameter(
        "auto",
        choices=("auto", "amounts", "logarithms"),
        help=N_("What is smoothed: the amounts, or their logarithms if no amount is negative."),
        label=N_("Smoothed values"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        known_count = int(np.isfinite(series.amounts).sum(axis=0).max(initial=0))
        if known_count < MIN_VALUES:
            raise build_history_error(series, known_count, MIN_VALUES)
        self.seasons_ = [season for season in list_repeated_seasons(series) if known_count >= MIN_SEASONS * season] or [
            1
        ]
        self.step_groups_ = group_steps(horizon)
        shape = (len(self.step_groups_), len(series.entities))
        self.forms_ = np.zeros((*shape, 3 + len(self.seasons_)))  # as in `_list_forms`
        self.is_logarithmic_ = np.zeros(shape, dtype=bool)
        self.offset_ = TargetTransform.from_amounts(series.amounts).offset
        best_errors = np.full(shape, np.inf)
        scales = self._list_scales(series)
        for number, is_logarithmic in enumerate(scales):
            forms, errors = self._search_forms(series, is_logarithmic)
            is_better = errors < best_errors
            self.forms_[is_better], best_errors[is_better] = forms[is_better], errors[is_better]
            self.is_logarithmic_[is_better] = is_logarithmic
            if progress is not None:
                progress.report((number + 1) / len(scales))
        return self

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        return self._predict_all([step], series)[step][first_day:]

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        period_count = end_day - first_day
        forecasts = np.full((horizon, period_count, len(series.entities)), np.nan)
        steps = list(range(1, min(horizon, period_count) + 1))
        for step, amounts in self._predict_all(steps, series).items():
            forecasts[step - 1, step - 1 :] = amounts[first_day + step - 1 : end_day]
        return forecasts

    @override
    def predict_next(self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int) -> Floats:
        by_step = self._predict_all(list(range(1, horizon + 1)), series)
        return np.stack([by_step[step][first_day + step - 1] for step in range(1, horizon + 1)])

    def _list_scales(self, series: Panel) -> tuple[bool, ...]:
        """Return the scales to try, True for logarithms."""
        if np.nanmin(series.amounts, initial=0) < 0:
            return (False,)
        return {"auto": (False, True), "amounts": (False,), "logarithms": (True,)}[self.scale]

    def _predict_all(self, steps: list[int], series: Panel) -> dict[int, Floats]:
        """Return step → forecasts of all periods, (periods, entities); one pass over the series serves all steps."""
        usable, forecasts = _select_usable(series), {}
        for group, (low, high) in enumerate(self.step_groups_):
            group_steps = [step for step in steps if low <= step <= high]
            if not group_steps:
                continue
            forms, is_logarithmic = self.forms_[group].T[:, None], self.is_logarithmic_[group]
            states = _smooth(_scale(usable, is_logarithmic, self.offset_), self.seasons_, forms)
            for step in group_steps:
                values = _forecast(states, self.seasons_, forms, step)[:, 0]
                lag = step + (-step) % min(self.seasons_)
                is_known = np.isfinite(shift_periods(series.last_known, step) + shift_periods(series.last_known, lag))
                forecasts[step] = np.where(is_known, _unscale(values, is_logarithmic, self.offset_), np.nan)
        return forecasts

    def _search_forms(self, series: Panel, is_logarithmic: bool) -> tuple[Floats, Floats]:
        """Return the form with the smallest error by group of steps and entity, and the error.

        The shapes are (groups, entities, parameters) and (groups, entities). An error is the mean over the periods
        after the first seasons, in the middle of the group.
        """
        rows = _list_forms(len(self.seasons_))
        usable, flags = _select_usable(series), np.full(len(series.entities), is_logarithmic)
        chunk = max(MAX_CHUNK_CELLS // (len(series) * len(rows)), 1)
        first = max(season for season in self.seasons_ if 3 * season <= len(series) or season == min(self.seasons_))
        margins = np.where(rows[:, 2:3] > 0, 1.0, NO_JUMPS_MARGIN)
        chunks = []
        for start in range(0, len(series.entities), chunk):
            part = slice(start, start + chunk)
            forms = rows.T[:, :, None]
            states = _smooth(_scale(usable, flags, self.offset_)[:, part], self.seasons_, forms)
            errors = []
            for low, high in self.step_groups_:
                values = _forecast(states, self.seasons_, forms, (low + high + 1) // 2)
                distance = np.abs(_unscale(values, flags[part], self.offset_[part]) - usable[:, None, part])
                errors.append(np.nan_to_num(_mean(distance[first:]), nan=np.inf) * margins)
            chunks.append(np.stack(errors))
        table = np.concatenate(chunks, axis=2)  # (groups, forms, entities)
        if np.isfinite(usable).sum(axis=0).max() < MIN_OWN_ERRORS:
            least = np.maximum(table.min(axis=1, keepdims=True), 1e-12)
            best = np.repeat((table / least).mean(axis=2).argmin(axis=1)[:, None], table.shape[2], axis=1)
        else:
            best = table.argmin(axis=1)
        return rows[best], np.take_along_axis(table, best[:, None], axis=1)[:, 0]


def group_steps(horizon: int) -> list[tuple[int, int]]:
    """Return groups of steps ahead that behave alike, each twice as long as the one before, as (first, last).

    Example:
        >>> group_steps(7), group_steps(10)
        ([(1, 1), (2, 3), (4, 7)], [(1, 1), (2, 3), (4, 7), (8, 10)])
    """
    firsts = [2**power for power in range(horizon.bit_length())]
    return [(first, min(2 * first - 1, horizon)) for first in firsts]


def _list_forms(season_count: int) -> Floats:
    """Return the grid of forms, (forms, parameters): level weight, error memory, jumps, weight of each season."""
    rows = product(LEVEL_WEIGHTS, ERROR_MEMORIES, JUMPS, *[SEASON_WEIGHTS] * season_count)
    return np.array([row for row in rows if row[0] + sum(row[3:]) <= MAX_GAIN])


def _select_usable(series: Panel) -> Floats:
    """Return the amounts with NaN for outliers compared with the periods before, (periods, entities)."""
    amounts = series.amounts
    return np.where(amounts == series.last_known, amounts, np.nan)


def _scale(amounts: Floats, is_logarithmic: NDArray[np.bool_], offset: Floats) -> Floats:
    """Return the amounts as they are smoothed, (periods, entities)."""
    return np.where(is_logarithmic, np.log(np.maximum(amounts, 0) + offset), amounts)


def _unscale(values: Floats, is_logarithmic: NDArray[np.bool_], offset: Floats) -> Floats:
    """Return the amounts of smoothed values, whose last axis is entities."""
    if not is_logarithmic.any():
        return values
    return np.where(is_logarithmic, np.maximum(np.exp(np.clip(values, -700, 700)) - offset, 0), values)


def _smooth(values: Floats, seasons: list[int], forms: Floats) -> _States:
    """Return the states of every form after every period of `values` (periods, entities).

    `forms` (parameters, forms, entities or 1) holds level weight, error memory, jumps and season weights. A missing
    value changes no state; the last error fades.
    """
    level_weight, error_memory, jumps, *season_weights = forms
    gain = level_weight + sum(season_weights)
    shape = np.broadcast_shapes(level_weight.shape, (1, values.shape[1]))
    level_states, error_states = np.empty((2, len(values), *shape))
    states = _States(level_states, error_states, [np.empty((len(values), *shape)) for _ in seasons])
    head = values[: min(4, len(values) // seasons[0]) * seasons[0]]
    level, current = _begin_states(values, head, seasons, shape)
    error, last_surprise = np.zeros(shape), np.zeros(shape)
    tracker = LevelTracker(np.broadcast_to(jumps > 0, shape))
    is_known_row = np.isfinite(values)
    for period in range(len(values)):
        season_slots = [each[period % season] for each, season in zip(current, seasons, strict=True)]
        carried = error_memory * error
        expected = level + season_slots[0] if len(seasons) == 1 else level + season_slots[0] + season_slots[1]
        is_known = is_known_row[period]
        surprise = np.where(is_known, values[period] - expected - carried, 0.0)
        least_weight = tracker.follow(np.where(is_known, surprise + carried, 0.0), is_known)
        if least_weight is None:
            error = carried + (1 - gain) * surprise
            level = level + level_weight * surprise
        else:
            level_change = np.maximum(level_weight, least_weight)
            is_anew = least_weight == 1.0
            error = np.where(is_anew, 0.0, carried + (1 - gain + level_weight - level_change) * surprise)
            level = level + np.where(is_anew, surprise + carried, level_change * surprise)
            for each, season, weight in zip(current, seasons, season_weights, strict=True):
                each[(period - 1) % season] -= np.where(is_anew, weight * last_surprise, 0.0)  # it was no season
            surprise = np.where(is_anew, 0.0, surprise)
        states.level[period], states.error[period] = level, error
        for slot, weight, season_states in zip(season_slots, season_weights, states.seasons, strict=True):
            slot += weight * surprise  # a view of `current`
            season_states[period] = slot
        last_surprise = np.where(is_known, surprise, last_surprise)
    return states


def _begin_states(
    values: Floats, head: Floats, seasons: list[int], shape: tuple[int, ...]
) -> tuple[Floats, list[Floats]]:
    """Return the first level (forms, entities), and the first states of each season (season, forms, entities).

    The shortest season begins with its mean shape in `head`, some whole seasons; a longer one begins at 0.
    """
    weeks = head.reshape(-1, seasons[0], values.shape[1])
    level = _mean(head)
    first_known = values[np.isfinite(values).argmax(axis=0), np.arange(values.shape[1])]
    level = np.nan_to_num(np.where(np.isfinite(level), level, first_known))
    profile = np.nan_to_num(_mean(weeks - _mean(weeks.swapaxes(0, 1))[:, None]))
    current = [np.zeros((season, *shape)) for season in seasons]
    current[0] += profile[:, None]
    return np.broadcast_to(level, shape), current


def _forecast(states: _States, seasons: list[int], forms: Floats, step: int) -> Floats:
    """Return the forecasts of all periods, made `step` periods before, (periods, forms, entities)."""
    forecast = shift_periods(states.level + forms[1] ** step * states.error, step)
    for season, season_states in zip(seasons, states.seasons, strict=True):
        forecast = forecast + shift_periods(season_states, step + (-step) % season)
    return forecast


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis of the values that are known; NaN where none is."""
    is_known = np.isfinite(values)
    counts = is_known.sum(axis=0)
    return np.where(counts > 0, np.where(is_known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
