"""The neural forecasters: training, samples, skill, and the search for settings."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.errors import DataError, OptionError
from core.evaluation.forecast_metrics import compute_coverage, quantile_loss
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.deepar import DeepAR, average_blocks
from core.forecasters.series.feed_forward import FeedForward
from core.forecasters.series.neural_forecaster import NeuralForecaster
from core.forecasters.series.neural_search import SEARCH_SPACE, draw_settings, search_settings
from core.forecasters.series.seasonal_residuals import ResidualGrid, SeasonalResiduals
from core.progress import CancelledError, Progress

WEEK, HORIZON = 7 * 24, 3 * 24
QUANTILES = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
FORECASTERS = [FeedForward(epochs=3), DeepAR(epochs=2, hidden_size=8, context=0.3)]
EVERY_FORECASTER = pytest.mark.parametrize("forecaster", FORECASTERS, ids=lambda forecaster: forecaster.name)


def make_series(weeks: int = 9, *, trend: float = 0.0, zone: str = "", seed: int = 1) -> RegularSeries:
    """Return an hourly series with a weekly cycle, noise, and a trend per week."""
    times = pd.date_range("2024-09-02", periods=weeks * WEEK, freq="h")
    hours = np.arange(len(times))
    cycle = 100 + 40 * np.sin(2 * np.pi * hours / 24) + 20 * (times.dayofweek < 5)
    noise = np.random.default_rng(seed).normal(0, 8, len(times))
    values = np.asarray(cycle + trend * hours / WEEK + noise)[:, None]
    return RegularSeries(times, ("a",), values, pd.Timedelta(hours=1), zone=zone)


def select_actual(series: RegularSeries, origins: list[int]) -> Floats:
    return np.stack([series.values[origin : origin + HORIZON] for origin in origins])


@EVERY_FORECASTER
def test_neural_forecast_beats_seasonal_naive_on_weekly_cycle_with_trend(forecaster: NeuralForecaster) -> None:
    series, start = make_series(11, trend=2.0), 9 * WEEK
    origins = list(range(start, 11 * WEEK - HORIZON, 24))
    losses = []
    for model in (replace(forecaster), SeasonalNaive()):
        model.fit_series(series.select(0, start), HORIZON)
        forecasts = model.predict_origins(series, origins, HORIZON, QUANTILES)
        losses.append(quantile_loss(select_actual(series, origins), forecasts, QUANTILES))
    assert losses[0] < 0.9 * losses[1]


@EVERY_FORECASTER
def test_neural_training_restores_torch_and_reports_losses(forecaster: NeuralForecaster) -> None:
    torch.manual_seed(5)
    state, threads, progress = torch.get_rng_state(), torch.get_num_threads(), Progress()
    fitted = replace(forecaster).fit_series(make_series(), HORIZON, progress)
    fitted.predict_quantiles(make_series(), HORIZON, QUANTILES)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert [step for step, _ in progress.curves["loss"]] == list(range(1, forecaster.epochs + 1))
    assert [step for step, _ in progress.curves["validation loss"]] == list(range(forecaster.epochs + 1))
    assert np.isfinite([value for curve in progress.curves.values() for _, value in curve]).all()


def test_deepar_forecast_depends_on_seed() -> None:
    first, same, other = (
        replace(FORECASTERS[1], epochs=1, seed=seed)
        .fit_series(make_series(), HORIZON)
        .predict_quantiles(make_series(), HORIZON, QUANTILES)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


class CancellingProgress(Progress):
    """Progress that is cancelled when the second epoch begins."""

    def add_point(self, curve: str, step: float, value: float) -> None:
        super().add_point(curve, step, value)
        if curve == "loss":
            self.cancel()


@EVERY_FORECASTER
def test_neural_training_can_be_cancelled(forecaster: NeuralForecaster) -> None:
    progress, threads = CancellingProgress(), torch.get_num_threads()
    model = replace(forecaster)
    with pytest.raises(CancelledError):
        model.fit_series(make_series(), HORIZON, progress)
    assert len(progress.curves["loss"]) == 1
    assert torch.get_num_threads() == threads
    assert not hasattr(model, "weights_")


@EVERY_FORECASTER
def test_neural_training_ends_at_time_limit(forecaster: NeuralForecaster) -> None:
    progress = Progress()
    replace(forecaster, epochs=1000, seconds=0.3).fit_series(make_series(), HORIZON, progress)
    assert len(progress.curves.get("loss", [])) < 200
    assert progress.share == 1


@EVERY_FORECASTER
def test_neural_training_ends_when_held_out_loss_no_longer_falls(forecaster: NeuralForecaster) -> None:
    progress = Progress()
    model = replace(forecaster, epochs=60, learning_rate=0.02).fit_series(make_series(5), HORIZON, progress)
    losses = [value for _, value in progress.curves["validation loss"]]
    assert len(losses) < 60
    assert int(np.argmin(losses)) == len(losses) - 1 - model.patience


@EVERY_FORECASTER
def test_neural_forecast_refuses_longer_horizon_than_trained(forecaster: NeuralForecaster) -> None:
    model = replace(forecaster, epochs=1).fit_series(make_series(), HORIZON)
    with pytest.raises(OptionError, match=r"horizon = 73 .* 1 to 72"):
        model.predict_quantiles(make_series(), HORIZON + 1, QUANTILES)


def test_deepar_alarm_rate_does_not_depend_on_number_of_samples() -> None:
    series, start = make_series(12), 8 * WEEK
    model = replace(FORECASTERS[1]).fit_series(series.select(0, start), HORIZON)
    origins = list(range(start, 12 * WEEK - HORIZON, 36))
    actual = select_actual(series, origins)
    rates = []
    for samples in (100, 400, 1600):
        model.samples = samples
        forecasts = model.predict_origins(series, origins, HORIZON, QUANTILES)
        rates.append(1 - compute_coverage(actual, forecasts[..., 0], forecasts[..., -1]))
    assert np.ptp(rates) < 0.02, rates
    assert min(rates) > 0.01


def test_deepar_draws_more_samples_for_extreme_quantiles() -> None:
    """A quantile is never the lowest or highest sample."""
    model = replace(FORECASTERS[1], epochs=1, samples=100).fit_series(make_series(), HORIZON)
    extreme = np.array([0.001, 0.999])
    few = model.predict_quantiles(make_series(), HORIZON, extreme)
    model.samples = 5000  # as many as 0.001 needs
    assert np.array_equal(few, model.predict_quantiles(make_series(), HORIZON, extreme))


def test_feed_forward_has_quantiles_of_its_distribution() -> None:
    """Quantiles do not depend on which others are asked for."""
    model = replace(FORECASTERS[0], epochs=1).fit_series(make_series(), HORIZON)
    several = model.predict_quantiles(make_series(), HORIZON, QUANTILES)
    one = model.predict_quantiles(make_series(), HORIZON, QUANTILES[:1])
    assert np.allclose(several[..., :1], one)


@EVERY_FORECASTER
def test_neural_forecast_takes_quarter_hours_in_blocks(forecaster: NeuralForecaster) -> None:
    """The peak of a quarter-hour inside a block of three hours is in the forecast; missing weeks do no harm."""
    times = pd.date_range("2024-01-01", periods=4 * 672, freq="15min")
    is_peak = (times.hour == 13) & (times.minute == 30)
    values = np.random.default_rng(0).poisson(np.where(is_peak, 400, 50)).astype(float)[:, None]
    values[1400:1700] = np.nan
    series = RegularSeries(times, ("a",), values, pd.Timedelta(minutes=15))
    model = replace(forecaster, epochs=1).fit_series(series, 673)
    forecasts = model.predict_quantiles(series, 673, QUANTILES)
    medians = forecasts[:672, 0, 3]
    assert model.block_steps_ == 12
    assert np.isfinite(forecasts).all()
    assert np.allclose(medians[is_peak[:672]], 400, rtol=0.2)
    assert np.median(medians[~is_peak[:672]]) == pytest.approx(50, rel=0.1)


def test_residuals_restore_values_and_use_steps_before_origin_only() -> None:
    series = make_series(6, zone="Europe/Paris")
    transform = SeasonalResiduals.from_series(series)
    origins, entities = np.array([4 * WEEK, 5 * WEEK + 7]), np.array([0, 0])
    residuals, expected, spread = ResidualGrid(transform, series, 30).compute_future(origins, entities, 30)
    restored = transform.inverse_transform(expected + spread * residuals, entities[:, None])
    actual = np.stack([series.values[origin : origin + 30, 0] for origin in origins])
    assert np.allclose(restored, actual)
    values = series.values.copy()
    values[4 * WEEK :] = 1e6
    changed = ResidualGrid(transform, series.with_values(values), 30).compute_future(origins[:1], entities[:1], 30)
    assert np.array_equal(changed[1][0], expected[0])


def test_blocks_average_known_values() -> None:
    blocks = average_blocks(np.array([[1.0, 3.0, np.nan, 5.0, np.nan, np.nan]]), 2)
    assert np.array_equal(blocks, [[2.0, 5.0, np.nan]], equal_nan=True)


def test_search_returns_settings_with_lowest_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SEARCH_SPACE, "epochs", (1, 2))
    progress = Progress()
    start = FeedForward(epochs=1, hidden_size=4)
    best, table = search_settings(start, make_series(), HORIZON, 3, progress)
    again, same_table = search_settings(start, make_series(), HORIZON, 3)
    row = table.loc[table["mwql"].idxmin()]
    assert list(table["trial"]) == [1, 2, 3]
    assert table.loc[0, "hidden_size"] == 4
    assert (best.hidden_size, best.context, best.learning_rate) == (row.hidden_size, row.context, row.learning_rate)
    assert best == again
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), same_table.drop(columns="seconds"))
    assert progress.share == 1
    assert [value for _, value in progress.curves["mean weighted quantile loss"]] == table["mwql"].tolist()
    assert "validation loss 3" in progress.curves
    best.fit_series(make_series(), HORIZON)


def test_search_draws_distinct_settings() -> None:
    candidates = draw_settings(DeepAR(), 12)
    assert len({repr(candidate) for candidate in candidates}) == len(candidates) == 12
    assert candidates[0] == DeepAR()


def test_search_can_be_cancelled_and_refuses_short_history() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        search_settings(FeedForward(epochs=1), make_series(), HORIZON, 2, progress)
    with pytest.raises(DataError, match="At least"):
        search_settings(FeedForward(epochs=1), make_series().select(0, 70), HORIZON, 2)


def test_neural_forecasters_are_listed_without_deep_learning_libraries() -> None:
    code = (
        "import sys; from core.forecasters.series import deepar, feed_forward, neural_search; "
        "print({'torch', 'lightning', 'gluonts', 'scipy.special'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "set()"
