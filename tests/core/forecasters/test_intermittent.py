"""Forecasts of amounts that are zero most of the time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.intermittent import Intermittent
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.seasonal_naive import SeasonalNaive

FORMS = ("tsb", "croston")


def make_demand(values: Floats) -> tuple[Panel, CovariatePanel]:
    """Return a panel of one entity and its covariates, none."""
    days = pd.date_range("2024-01-01", periods=len(values))
    panel = Panel(days, ("a",), ("day",), values[:, None, None])
    return panel, CovariatePanel(
        days.append(panel.list_next_periods(1)), {}, np.zeros((len(values) + 1, 1), dtype=bool)
    )


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10)
@given(st.floats(0.2, 0.6), st.integers(0, 1000))
def test_rate_of_rare_demand_is_its_mean(form: str, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.where(random.random(4000) < share, random.gamma(4, 5, 4000), 0.0)
    panel, known = make_demand(values)
    forecasts = Intermittent(form, smoothing=0.02).fit(panel, known, 1).predict(panel, known, 1, 1000)
    assert forecasts.mean() == pytest.approx(values[1000:].mean(), rel=0.15)
    assert (forecasts >= 0).all()


def test_rare_demand_is_forecast_with_less_squared_error_than_naively() -> None:
    random = np.random.default_rng(3)
    values = np.where(random.random(1000) < 0.15, random.poisson(6, 1000) + 1.0, 0.0)
    panel, known = make_demand(values)
    errors = {
        type(each).__name__: np.mean(
            (each.fit(panel, known, 1).predict(panel, known, 1, 500)[:, 0] - values[500:]) ** 2
        )
        for each in (Intermittent(), SeasonalNaive())
    }
    assert errors["Intermittent"] < 0.65 * errors["SeasonalNaive"]


def test_ended_demand_is_forgotten_by_tsb_only() -> None:
    values = np.r_[np.tile([0.0, 5.0], 100), np.zeros(100)]
    panel, known = make_demand(values)
    last = {form: Intermittent(form).predict(panel, known, 1, 299).item() for form in FORMS}
    assert last["tsb"] < 0.01
    assert last["croston"] > 2


@pytest.mark.parametrize("form", FORMS)
def test_zeros_and_negative_amounts_have_finite_rates(form: str) -> None:
    for values in (np.zeros(30), np.where(np.arange(30) % 3 == 0, -4.0, 0.0)):
        panel, known = make_demand(values)
        forecast = Intermittent(form).predict(panel, known, 3, 20)
        assert np.isfinite(forecast).all()
        assert ((forecast <= 0) & (forecast >= values.min())).all()
