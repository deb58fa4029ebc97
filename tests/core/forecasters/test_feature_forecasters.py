"""Forecasters with a feature matrix: many entities, unusual entities, short histories, and periods of any length."""

import numpy as np
import pandas as pd
import pytest

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import DirectForecaster
from core.forecasters.blend import Blend
from core.forecasters.covariate_panel import CovariatePanel
from core.forecasters.gradient_boosting import GradientBoosting
from core.forecasters.ridge import Ridge
from tests.support.sample_series import make_consumption, make_temperatures

DAYS = 420


def make_known(panel: Panel, **columns: Floats) -> CovariatePanel:
    """Return covariates of a panel; each column has one value per period and one more."""
    count, entities = len(panel) + 1, len(panel.entities)
    periods = pd.date_range(panel.periods[0], periods=count, freq=panel.frequency)
    values = {name: np.repeat(column[:count, None], entities, axis=1) for name, column in columns.items()}
    return CovariatePanel(periods, values, np.zeros((count, entities), dtype=bool))


def make_series(amounts: Floats, start: str = "2021-01-01", frequency: str = "D") -> Panel:
    """Return a panel of `amounts`, shape (periods, entities)."""
    periods = pd.date_range(start, periods=len(amounts), freq=frequency)
    names = tuple(f"e{number}" for number in range(amounts.shape[1]))
    return Panel(periods, names, ("day",), amounts[:, :, None], frequency=frequency)


FORECASTERS: tuple[DirectForecaster, ...] = (Ridge(), GradientBoosting(max_iter=20))


@pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)
def test_parts_of_entities_give_same_forecasts(forecaster: DirectForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of one entity at a time give the forecasts that those of all entities give."""
    series = make_series(make_consumption(DAYS, 5))
    known = make_known(series, temperature=make_temperatures(DAYS + 1))
    forecaster.fit(series, known, 2)
    expected = forecaster.predict(series, known, 2, 300)
    importance = forecaster.compute_importance(series, known, 2, 300)
    monkeypatch.setattr("core.forecasters.panel_parts.PART_CELLS", 1)
    assert np.array_equal(forecaster.predict(series, known, 2, 300), expected)
    assert forecaster.compute_importance(series, known, 2, 300) == pytest.approx(importance)
    refitted = forecaster.fit(series, known, 2).predict(series, known, 2, 300)
    assert np.abs(refitted / expected - 1).max() < (1e-6 if isinstance(forecaster, Ridge) else 0.2)


def test_trees_train_on_every_entity_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows of many entities are drawn: the numbers of days ahead use different entities, together all of them."""
    monkeypatch.setattr("core.forecasters.trees.MIN_DRAWN_FROM", 1)
    drawn: list[Floats] = []

    class Recorder:
        def fit(self, features: Floats, targets: Floats) -> "Recorder":
            drawn.append(features)
            return self

    class RecordedBoosting(GradientBoosting):
        max_train_rows = 1500

        def build_regressor(self) -> Recorder:
            return Recorder()

    series = make_series(make_consumption(DAYS, 16))
    RecordedBoosting().fit(series, make_known(series), 3)
    [features] = drawn
    entity = [len(np.unique(column)) == 16 for column in features.T]
    assert any(entity), "one feature is the number of the entity"
    numbers = features[:, entity.index(True)]
    assert len(features) <= 1501
    assert np.bincount(numbers.astype(int)).min() > 40


@pytest.mark.parametrize("forecaster", [*FORECASTERS, Blend("random-forest")], ids=lambda forecaster: forecaster.name)
def test_unusual_entities_leave_others_unchanged(forecaster: DirectForecaster | Blend) -> None:
    """Late, ended, constant, zero and empty entities: no error, and usual forecasts for the usual entity."""
    usual = make_consumption(DAYS, 1)
    late, ended, empty = usual.copy(), usual.copy(), np.full_like(usual, np.nan)
    late[:-25], ended[200:] = np.nan, np.nan
    values = np.concatenate([usual, late, ended, np.full_like(usual, 7.0), np.zeros_like(usual), empty], axis=1)
    series = make_series(values)
    known = make_known(series, temperature=make_temperatures(DAYS + 1))
    forecasts = forecaster.fit(series, known, 2).predict(series, known, 2, DAYS - 30)
    assert np.isfinite(forecasts[:, 0]).all()
    assert np.abs(forecasts[:, 0] / usual[-30:, 0] - 1).mean() < 0.1
    assert np.isnan(forecasts[:, 2]).all()
    assert np.isnan(forecasts[:, 5]).all()
    assert forecasts[:, 3] == pytest.approx(7.0, rel=0.1)
    assert np.abs(forecasts[:, 4]).max() < 1e-6 * usual.max()
    late_forecasts = forecasts[:, 1][np.isfinite(forecasts[:, 1])]
    assert ((late_forecasts > 0.3 * usual.min()) & (late_forecasts < 3 * usual.max())).all()
