"""The automatic forecaster: its candidates, their weights, its choice, and exponential smoothing of all seasons."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.automatic import Automatic
from core.forecasters.base import Forecaster
from core.forecasters.choice.candidates import Candidate, list_candidates
from core.forecasters.choice.choice import choose_members, forecast_origins
from core.forecasters.choice.ensemble_weights import PastForecasts, select_members, weigh_members
from core.forecasters.exponential_smoothing import ExponentialSmoothing, group_steps
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
from core.forecasters.season_line import SeasonLine
from core.forecasters.seasons import list_repeated_seasons
from core.messages import Message
from core.progress import Progress
from core.tasks.forecast.candidates import build_candidate_table, list_candidate_notes
from core.tasks.forecast.result import compute_candidate_metrics

HORIZON = 5


def make_panel(values: Floats, frequency: str = "D") -> Panel:
    """Return a panel of `values`, shape (periods,) or (periods, entities)."""
    columns = values.reshape(len(values), -1)
    names = tuple(f"entity {number}" for number in range(columns.shape[1]))
    periods = pd.date_range("2024-01-01", periods=len(columns), freq=frequency)
    return Panel(periods, names, ("day",), columns[:, :, None].astype(float), frequency=frequency)


def make_known(series: Panel) -> CovariatePanel:
    periods = series.extend(1).periods
    return CovariatePanel(periods, {}, np.zeros((len(periods), len(series.entities)), dtype=bool))


def make_week(count: int, noise: float = 2.0, seed: int = 0) -> Floats:
    """Return a week with low weekends, and noise."""
    random = np.random.default_rng(seed)
    return np.asarray(np.where(np.arange(count) % 7 < 5, 100.0, 60.0) + random.normal(0, noise, count))


@dataclass
class Oracle(Forecaster):
    """Forecaster that knows the future up to an error of `error`."""

    error: float = 0.0
    least: int = 0

    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        if len(series) < self.least:
            raise DataError("At least {accepted} are needed.", accepted=self.least)
        return self

    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        known = np.isfinite(shift_periods(series.amounts, step))
        return np.where(known, series.amounts + self.error, np.nan)[first_day:]


def use_candidates(monkeypatch: pytest.MonkeyPatch, *candidates: Candidate) -> None:
    lines = tuple(Candidate(f"line {periods}", lambda p=periods: SeasonLine(p), lambda size: 0.0) for periods in (1, 7))
    for module in ("choice.choice", "automatic"):
        monkeypatch.setattr(f"core.forecasters.{module}.list_candidates", lambda series: [*lines, *candidates])


# ---- weights --------------------------------------------------------------------------------------------------------


@st.composite
def draw_past(draw: st.DrawFn) -> tuple[PastForecasts, int]:
    """Return past forecasts of several members, some cells missing, and the number of steps."""
    members, origins, steps = draw(st.integers(2, 6)), draw(st.integers(1, 40)), draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    actual = random.normal(draw(st.sampled_from([0.0, 100.0])), 10, (origins, steps, 2))
    scales = 10 ** random.uniform(-1, 2, members)
    forecasts = actual + scales[:, None, None, None] * random.normal(0, 1, (members, *actual.shape))
    actual[random.random(actual.shape) < draw(st.sampled_from([0.0, 0.3]))] = np.nan
    return PastForecasts.from_forecasts(forecasts, actual, draw(st.sampled_from([0.5, 1.0, 7.0]))), steps


@given(draw_past())
def test_weights_are_shares_for_any_past(drawn: tuple[PastForecasts, int]) -> None:
    past, steps = drawn
    groups = group_steps(steps)
    weights, gains = weigh_members(past, groups, [0, 1])
    assert weights.shape == (len(groups), len(past.forecasts))
    assert (weights >= 0).all()
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(groups)))
    assert np.isfinite(gains).all()


@given(draw_past())
def test_selected_members_err_no_more_than_best_single_one(drawn: tuple[PastForecasts, int]) -> None:
    past, _ = drawn
    weights = select_members(past.forecasts, past.actual)
    blend = np.tensordot(weights, past.forecasts, 1)
    errors = [np.nansum(np.abs(each - past.actual)) for each in past.forecasts]
    assert np.nansum(np.abs(blend - past.actual)) <= min(errors) * (1 + 1e-9)


def test_blend_that_does_not_beat_naive_line_is_replaced_by_it() -> None:
    """Members that overfit one half and fail on the other lose to the naive line on held-out origins."""
    random = np.random.default_rng(0)
    actual = random.normal(100, 5, (80, 1, 1))
    halves = np.repeat([30.0, 0.1], 40)[:, None, None]
    forecasts = np.stack(
        [actual + 3 * np.sign(random.normal(size=actual.shape)), actual + halves, actual + halves[::-1]]
    )
    weights, gains = weigh_members(PastForecasts.from_forecasts(forecasts, actual, 1.0), [(1, 1)], [0])
    assert gains[0] < -1
    assert weights.tolist() == [[1.0, 0.0, 0.0]]


# ---- choice ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [25, 60, 200, 500])
def test_choice_finds_best_candidate(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    use_candidates(
        monkeypatch,
        Candidate("good", lambda: Oracle(0.1), lambda size: 0.0),
        Candidate("bad", lambda: Oracle(50.0), lambda size: 0.0),
    )
    series = make_panel(make_week(count))
    choice = choose_members(series, make_known(series), HORIZON, seconds=1)
    weights = {score.label: np.mean(score.weights) for score in choice.scores}
    assert weights["good"] > 0.9
    assert weights["bad"] == 0


def test_choice_names_what_was_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    use_candidates(
        monkeypatch,
        Candidate("slow", lambda: Oracle(), lambda size: 100.0),
        Candidate("hungry", lambda: Oracle(least=1000), lambda size: 0.0),
        Candidate("quick", lambda: Oracle(0.5), lambda size: 9.0),
    )
    series = make_panel(make_week(100))
    forecaster = Automatic(seconds=10).fit(series, make_known(series), HORIZON)
    reasons = {score.label: str(Message.load(score.reason)) for score in forecaster.choice_.scores if score.reason}
    slow = "needs about 100 s more, but only 10 s are allowed"
    assert reasons == {"slow": slow, "hungry": "At least 1,000 are needed."}
    assert set(forecaster.choice_.member_labels) <= {"line 1", "line 7", "quick"}
    notes = [str(note) for note in list_candidate_notes(forecaster)]
    assert "quick" in notes[0]
    assert any(note.startswith("hungry was not compared: At least 1,000") for note in notes)
    table = build_candidate_table(forecaster)
    assert table.groupby("first_step")["weight"].sum().loc[[2, 4]].tolist() == pytest.approx([1, 1])
    metrics = compute_candidate_metrics(table)
    assert metrics["candidate_wape.quick"] == pytest.approx(0.5 / series.amounts.mean(), rel=0.05)
    assert "candidate_wape.slow" not in metrics


def test_choice_sees_no_amount_that_fit_does_not_get(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts of an inner fold are made from a series that ends at the origin's fold or by `predict` alone."""
    lengths: list[int] = []

    class Recorder(Oracle):
        def fit(
            self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None
        ) -> Self:
            lengths.append(len(series))
            assert len(covariates.periods) == len(series) + 1
            return self

    use_candidates(monkeypatch, Candidate("recorder", lambda: Recorder(), lambda size: 0.0))
    series = make_panel(make_week(300))
    choose_members(series, make_known(series), HORIZON, seconds=1)
    assert len(lengths) == 3
    assert lengths == sorted(lengths)
    assert 0 < lengths[0] < lengths[-1] < 300


def test_origins_are_those_of_single_forecasts() -> None:
    series = make_panel(make_week(120).reshape(60, 2))
    line, known = SeasonLine(7).fit(series, make_known(series), HORIZON), make_known(series)
    origins = np.array([30, 41, 58])
    forecasts = forecast_origins(line, series, known, origins, HORIZON)
    for number, origin in enumerate(origins):
        for step in range(1, HORIZON + 1):
            target = origin + step - 1
            expected = line.predict(series, known, step)[target] if target < 60 else np.full(2, np.nan)
            assert np.array_equal(forecasts[number, step - 1], expected, equal_nan=True)


def test_choice_is_kept_until_history_nearly_doubles() -> None:
    values = make_week(200)
    forecaster = Automatic(seconds=1).fit(make_panel(values[:60]), make_known(make_panel(values[:60])), 2)
    for count, is_kept in ((90, True), (200, False)):
        series = make_panel(values[:count])
        renewed = forecaster.renew().fit(series, make_known(series), 2)
        assert (renewed.choice_ is forecaster.choice_) == is_kept
    assert not hasattr(Automatic(seconds=1).renew(), "choice_")
    assert not hasattr(forecaster.renew(), "members_")


@pytest.mark.parametrize("count", [8, 10, 14, 20])
def test_automatic_answers_from_a_season_on(count: int) -> None:
    series = make_panel(make_week(count))
    forecaster = Automatic(seconds=1).fit(series, make_known(series), 3)
    longer = series.extend(3)
    forecast = forecaster.predict(longer, make_known(longer), 1, count)[0, 0]
    assert 40 < forecast < 120


@pytest.mark.parametrize("values", [np.zeros(100), np.full(100, 5.0), -make_week(100), np.arange(100.0)])
def test_automatic_forecasts_any_amounts(values: Floats) -> None:
    series = make_panel(values)
    forecast = Automatic(seconds=1).fit(series, make_known(series), 2).predict(series, make_known(series), 2, 60)
    assert np.isfinite(forecast).all()
    assert np.abs(forecast[:, 0] - values[60:]).max() <= max(np.ptp(values), 1e-9)


def test_automatic_mixes_steps_as_predict_does() -> None:
    series = make_panel(make_week(300).reshape(150, 2))
    known = make_known(series)
    forecaster = Automatic(seconds=1).fit(series, known, HORIZON)
    by_step = forecaster.predict_steps(series, known, HORIZON, 120, 150)
    for step in range(1, HORIZON + 1):
        expected = forecaster.predict(series, known, step, 120 + step - 1)
        assert by_step[step - 1, step - 1 :] == pytest.approx(expected)
    longer = series.extend(HORIZON)
    ahead = forecaster.predict_next(longer, make_known(longer), HORIZON, 150)
    for step in range(1, HORIZON + 1):
        expected = forecaster.predict(longer, make_known(longer), step, 150 + step - 1)[0]
        assert ahead[step - 1] == pytest.approx(expected)


def test_candidates_begin_with_naive_lines() -> None:
    candidates = list_candidates(make_panel(np.ones(60), "30min"))
    assert [candidate.label for candidate in candidates if candidate.is_naive] == [
        f"season-line {periods}" for periods in (1, 48, 336)
    ]
    assert len({candidate.label for candidate in candidates}) == len(candidates)


# ---- exponential smoothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frequency", "season"), [("D", 7), ("MS", 12), ("h", 24), ("W-MON", 52), ("QS", 4)])
def test_smoothing_learns_season_of_any_period(frequency: str, season: int) -> None:
    random = np.random.default_rng(0)
    shape = 100 + 20 * np.sin(2 * np.pi * np.arange(6 * season) / season)
    series = make_panel(shape + random.normal(0, 3, len(shape)), frequency)
    start = 4 * season
    train = make_panel(series.amounts[:start, 0], frequency)
    forecaster = ExponentialSmoothing().fit(train, make_known(train), 3)
    error, naive_error = (
        np.nanmean(np.abs(each.predict(series, make_known(series), 3, start)[:, 0] - shape[start:]))
        for each in (forecaster, SeasonLine(season).fit(train, make_known(train), 3))
    )
    assert error < 0.95 * naive_error
    assert min(list_repeated_seasons(series)) == season


@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0, 0.4))
def test_smoothing_steps_agree_and_ignore_later_amounts(seed: int, horizon: int, gaps: float) -> None:
    random = np.random.default_rng(seed)
    values = make_week(140, 8, seed).reshape(70, 2) * random.uniform(-1, 3)
    values[random.random(values.shape) < gaps] = np.nan
    series = make_panel(values)
    known = make_known(series)
    forecaster = ExponentialSmoothing().fit(series, known, horizon)
    by_step = forecaster.predict_steps(series, known, horizon, 50, 70)
    changed = make_panel(np.concatenate([values[:50], values[50:] * 3 + 7]))
    for step in range(1, horizon + 1):
        expected = forecaster.predict(series, known, step, 50 + step - 1)
        assert np.array_equal(by_step[step - 1, step - 1 :], expected, equal_nan=True)
        first = forecaster.predict(changed, known, step, 50)[:step]
        assert np.array_equal(first, forecaster.predict(series, known, step, 50)[:step], equal_nan=True)
    assert not np.isinf(by_step).any()


def test_smoothing_follows_a_level_shift() -> None:
    values = make_week(300)
    values[200:] += 80
    train = make_panel(values[:180])
    forecaster = ExponentialSmoothing().fit(train, make_known(train), 1)
    series = make_panel(values)
    forecast = forecaster.predict(series, make_known(series), 1)[:, 0]
    assert np.abs(forecast - values)[260:].mean() < 20  # of a shift by 80


def test_smoothing_tells_how_much_history_it_needs() -> None:
    series = make_panel(make_week(7))
    with pytest.raises(DataError, match=r"7 values\. At least 8 are needed"):
        ExponentialSmoothing().fit(series, make_known(series), 1)
