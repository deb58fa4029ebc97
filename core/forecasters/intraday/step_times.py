"""Choice of the covariates at the times of the day for steps shorter than a day, by a test on training data."""

from dataclasses import replace

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.damping import EARLY_SHARE
from core.forecasters.features.feature_plan import FeaturePlan
from core.forecasters.features.features import build_linear_features
from core.forecasters.intraday.times_choice import TimesTest
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_entities, select_last_periods
from core.forecasters.ridge_regression import fit_ridge_lines

MIN_TEST_DAYS = 28  # of history, for training and test together
MAX_TEST_PERIODS = 6000
MAX_TEST_ENTITIES = 12
MIN_ROWS = 90
ALPHAS = (1.0, 10.0, 100.0, 1000.0)


def choose_times(series: Panel, covariates: CovariatePanel, horizon: int) -> tuple[CovariatePanel, TimesTest | None]:
    """Return the covariates, at the times of the day only where this is measurably better, and the test of it.

    A linear model with and without these values is fitted on the first three quarters of the last periods, and compared
    on the rest, a day ahead or the shorter horizon. Slots of days have a test of their own, see `DayShape`. Where the
    history is shorter than four weeks, there is no test, and covariates count by day.
    """
    if not covariates.at_times or len(series.slots) > 1:
        return covariates, None
    plan = FeaturePlan.from_series(series)
    by_day = covariates.drop_times()
    if len(series) < MIN_TEST_DAYS * plan.day_length:
        return by_day, None
    step = min(horizon, plan.day_length)
    part, known = select_last_periods(series, covariates, MAX_TEST_PERIODS)
    every = -(-len(part.entities) // MAX_TEST_ENTITIES)
    part, known = select_entities(part, known, slice(None, None, every))
    start = int(len(part) * EARLY_SHARE)
    losses, timed_losses = (_measure_losses(part, each, step, plan, start) for each in (known.drop_times(), known))
    is_known = np.isfinite(losses) & np.isfinite(timed_losses)
    total = float(np.abs(np.where(is_known, part.amounts[start:], 0)).sum())
    days = part.periods[start:].normalize()
    day_losses, times_losses = (
        pd.Series(np.where(is_known, each, 0).sum(axis=1)).groupby(days).sum().to_numpy()
        for each in (losses, timed_losses)
    )
    test = TimesTest.from_losses(tuple(known.at_times), day_losses, times_losses, total)
    return covariates if test.is_gain else by_day, test


def _measure_losses(series: Panel, covariates: CovariatePanel, step: int, plan: FeaturePlan, start: int) -> Floats:
    """Return the absolute errors of a linear model fitted before index `start`, on the periods from it on."""
    features = build_linear_features(series, covariates, series.last_known, step, plan)
    change = series.training_targets - features.base
    is_row = features.complete_mask & np.isfinite(change)
    is_row[start:] = False
    lines = fit_ridge_lines(features.values, change, is_row, ALPHAS, MIN_ROWS)
    late = replace(features, values=features.values[start:], base=features.base[start:])
    return np.abs(series.amounts[start:] - late.base - lines.predict(late.values))
