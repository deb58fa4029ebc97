"""Alarms of a forecast: judged values, incidents, words, and the measured days after the training of a saved model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset, DataSummary
from core.data.panel import Panel
from core.evaluation.conformal import ResidualHistory
from core.forecasters.forecast_model import ForecastModel
from core.runs.model_files import load_model
from core.runs.result import RESULT_FOLDER
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run
from core.tasks.forecast.alarm_words import describe_alarm, list_causes, round_amounts, tabulate_alarms
from core.tasks.forecast.alarms import judge_periods
from core.tasks.forecast.card import describe
from core.tasks.forecast.command import to_answer, to_lines
from core.tasks.forecast.figures import draw_judged
from core.tasks.forecast.judgement import average_periods, judge_values
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import apply_model, forecast, load_forecast, recalibrate
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec, list_forecasters
from core.workspace import Workspace
from tests.conftest import create_workspace
from tests.support.sample_series import (
    join_tables,
    make_consumption,
    make_covariate_table,
    make_daily_dataset,
    make_hourly_dataset,
    make_temperatures,
)

ACTOR = Actor("alice", "tests")
DAYS, NEW_DAYS, HORIZON = 700, 40, 7
SPIKE_DAY, WEEK_START = 10, 20  # of the measured days after the training
LEVEL = 0.99


def make_errors(
    days: int = 500, entities: int = 2, slots: int = 1, seed: int = 0, spread: float = 2.0
) -> ResidualHistory:
    """Errors of forecasts of 100 by a forecaster that learns nothing; every number of days ahead is as good."""
    actual = 100 + np.random.default_rng(seed).normal(0, spread, (days, entities, slots))
    forecast = np.full((HORIZON, *actual.shape), 100.0)
    for step in range(1, HORIZON):
        forecast[step, :step] = np.nan
    return ResidualHistory(forecast, actual)


def judge(errors: ResidualHistory, first: int, level: float = LEVEL) -> dict[str, Any]:
    days, entities, slots = errors.actual.shape
    names = ("day",) if slots == 1 else tuple(f"{hour:02d}:00" for hour in range(slots))
    calendar = pd.date_range("2023-01-01", periods=days)
    series = Panel(calendar, tuple("abcdefgh"[:entities]), names, errors.actual, "MWh")
    return judge_periods(errors, first, series, calendar[first:], level)


def change(errors: ResidualHistory, days: slice | int, factor: float, entity: int = 0) -> ResidualHistory:
    actual = errors.actual.copy()
    actual[days, entity] *= factor
    return replace(errors, actual=actual)


def make_weather_table(count: int) -> Any:
    return make_covariate_table({"temperature": make_temperatures(count)})


def make_faulty_data(count: int = DAYS + NEW_DAYS) -> Dataset:
    """Consumption with a spike and a week of +30 % after the training."""
    values = make_consumption(DAYS + NEW_DAYS, 2)
    values[DAYS + SPIKE_DAY, 1] *= 1.5
    values[DAYS + WEEK_START : DAYS + WEEK_START + 7, 0] *= 1.3
    return make_daily_dataset(values[:count])


@pytest.fixture(scope="module")
def alarm_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    return create_workspace(tmp_path_factory.mktemp("alarms"), empty_store)


def run_with_weather(
    dataset: Dataset, workspace: Workspace, name: str = "ridge", **fields: Any
) -> tuple[Forecast, Run]:
    digest = workspace.covariates.save([make_weather_table(DAYS + NEW_DAYS + 30)])
    spec = ForecastSpec(list_forecasters()[name](), horizon=HORIZON, covariates=digest, **fields)
    return forecast(spec, dataset, workspace=workspace, actor=ACTOR)


def apply_with_weather(dataset: Dataset, run: Run, workspace: Workspace) -> tuple[Forecast, Run]:
    digest = workspace.covariates.save([make_weather_table(DAYS + NEW_DAYS + 30)])
    return apply_model(ForecastApplySpec(run.id, digest), dataset, workspace=workspace, actor=ACTOR)


@pytest.fixture(scope="module")
def saved_run(alarm_workspace: Workspace) -> tuple[Forecast, Run]:
    """Ridge forecast with a spike of +50 % in its backtest, on the 100th day before its end."""
    values = make_consumption(DAYS, 2)
    values[DAYS - 100, 0] *= 1.5
    return run_with_weather(make_daily_dataset(values), alarm_workspace)


# ---- judgement ------------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 4]),
    st.sampled_from([0.8, 0.95, 0.99]),
    st.floats(0, 0.3),
    st.floats(1.0, 3.0),
)
def test_every_outside_value_is_in_one_alarm(
    seed: int, slots: int, level: float, missing: float, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    errors = make_errors(120, 2, slots, seed)
    actual = np.where(rng.random(errors.actual.shape) < missing, np.nan, errors.actual)
    actual[rng.integers(60, 120, 3), 0] *= factor
    fields = judge(replace(errors, actual=actual), 60, level)
    judged, alarms, counts = fields["judged"], fields["alarms"], fields["alarm_counts"]
    assert len(judged) == np.isfinite(actual[60:]).sum()
    assert counts.judged == np.isfinite(actual[60:]).any(axis=2).sum()
    assert ((judged["distance"] != 0) <= (judged["alarm"] >= 0)).all()
    outside = judged[judged["distance"] != 0]
    assert len(outside.groupby(["entity", outside["time"].dt.normalize()], observed=True)) == counts.outside
    assert alarms["score"].is_monotonic_decreasing
    assert (alarms["start"] <= alarms["end"]).all()
    for _, part in alarms.sort_values("start").groupby("entity", observed=True):
        assert (part["start"].to_numpy()[1:] > part["end"].to_numpy()[:-1]).all()
    for alarm in alarms.to_dict("records"):
        is_inside = (judged["entity"] == alarm["entity"]) & judged["time"].between(alarm["start"], alarm["end"])
        assert (judged.loc[is_inside, "alarm"] == alarm["alarm"]).all()
        assert (judged.loc[is_inside, "distance"] != 0).sum() == alarm["outside"]
        assert alarm["measured"] > alarm["high"] or alarm["measured"] < alarm["low"]


@given(st.integers(0, 10_000), st.integers(301, 358), st.floats(0.0, 4.0))
def test_judgement_uses_no_later_value(seed: int, day: int, factor: float) -> None:
    """A changed value changes its own judgement and later ones, never the interval of its day or of an earlier one."""
    errors = make_errors(360, 2, seed=seed)
    before, after = judge_values(errors, 300, LEVEL), judge_values(change(errors, day, factor), 300, LEVEL)
    known = slice(0, day - 300 + 1)
    # the unit of the errors is the mean amount, which the change moves for all days alike
    assert np.allclose(before.low[known, 1], after.low[known, 1])
    assert np.allclose(before.low[known], after.low[known], rtol=0.02)
    assert np.allclose(before.high[known], after.high[known], rtol=0.02)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_share_of_usual_values_outside_keeps_its_promise(level: float) -> None:
    counts = judge(make_errors(1000, 8, seed=3), 365, level)["alarm_counts"]
    assert counts.rate == pytest.approx(1 - level, rel=0.3)
    low, high = counts.compute_chance_band(level)
    assert low < 1 - level < high


def test_promise_is_kept_by_days_not_by_their_hours() -> None:
    """With 24 times a day the share of days outside is the promised one, and that of hours far smaller."""
    fields = judge(make_errors(800, 4, 24, seed=5), 365, 0.95)
    assert fields["alarm_counts"].rate == pytest.approx(0.05, rel=0.35)
    assert (fields["judged"]["distance"] != 0).mean() < 0.01


def test_few_past_errors_are_told() -> None:
    """The outermost of 60 past errors of two series are no interval of 99 %; those of a longer history are."""
    short, long = judge(make_errors(120), 60)["alarm_counts"], judge(make_errors(500), 365)["alarm_counts"]
    assert "needs 99 past errors. There are 90: up to 1.1 %" in str(short.list_notes(LEVEL)[0])
    assert long.list_notes(LEVEL) == ()
    assert short.list_notes(0.98) == ()
    assert judge(make_errors(60), 30)["alarm_counts"].past_errors == 46, "few errors are joined by those of all series"


def test_constant_values_raise_no_alarm() -> None:
    errors = make_errors(200, 1)
    constant = replace(errors, actual=np.full_like(errors.actual, 100.0))
    fields = judge(constant, 100)
    assert fields["alarms"].empty
    assert fields["alarm_counts"].outside == 0
    assert {"entity", "start", "measured", "severity"} <= set(fields["alarms"])


@pytest.mark.parametrize(("factor", "kind"), [(1.3, "high"), (0.0, "low")])
def test_single_day_off_is_the_worst_alarm(factor: float, kind: str) -> None:
    alarm = judge(change(make_errors(), 400, factor), 365)["alarms"].iloc[0]
    assert (alarm["entity"], alarm["start"], alarm["end"]) == (
        "a",
        pd.Timestamp("2024-02-05"),
        pd.Timestamp("2024-02-05"),
    )
    assert alarm["kind"] == kind
    assert alarm["expected"] == pytest.approx(100)
    assert alarm["percent"] == pytest.approx(alarm["difference"])


def test_small_lasting_change_is_one_alarm_of_its_own_kind() -> None:
    """No single day of a week of +4 % is certain at a noise of 2 %; their mean is, and tells all of it."""
    alarm = judge(change(make_errors(), slice(400, 407), 1.04), 365)["alarms"].iloc[0]
    assert alarm["kind"] == "lasting"
    start, end = pd.Timestamp("2024-02-05"), pd.Timestamp("2024-02-11")
    assert abs(alarm["peak"] - start) <= pd.Timedelta(days=2)
    assert alarm["peak_end"] - alarm["peak"] == pd.Timedelta(days=6)
    assert alarm["start"] <= end
    assert alarm["end"] >= start
    assert alarm["percent"] == pytest.approx(4, abs=1.5)


def test_fault_does_not_hide_the_next_one() -> None:
    errors = change(change(make_errors(), slice(380, 383), 5.0), 420, 1.2)
    starts = judge(errors, 365)["alarms"].query("entity == 'a'")["start"].tolist()
    assert pd.Timestamp("2024-02-25") in starts


def test_mean_of_periods_needs_every_value() -> None:
    errors = make_errors(30, 1)
    actual = errors.actual.copy()
    actual[20] = np.nan
    for means in average_periods(replace(errors, actual=actual), 7, is_averaged=False):
        assert np.isnan(means.actual[20:27]).all()
        assert np.isfinite(means.actual[27:]).all()
        assert np.isfinite(means.forecast[0, 6:]).all()


def test_hours_of_a_day_are_listed_in_order_of_time() -> None:
    dataset = make_hourly_dataset(make_consumption(60, 1), day_start=6)
    series = Panel.from_dataset(dataset, "hour")
    forecast_values = np.broadcast_to(series.values.mean(axis=0), (1, *series.values.shape))
    fields = judge_periods(ResidualHistory(forecast_values, series.values), 40, series, series.periods[40:], 0.9)
    assert fields["judged"]["time"].is_monotonic_increasing
    assert fields["judged"]["time"].iloc[0].hour == 6
    assert len(fields["judged"]) == 20 * 24


# ---- result, run, command -------------------------------------------------------------------------------------------


def test_forecast_run_tells_its_alarms(saved_run: tuple[Forecast, Run], alarm_workspace: Workspace) -> None:
    result, run = saved_run
    worst = result.alarms.iloc[0]
    assert worst["start"] == make_consumption_day(DAYS - 100)
    assert worst["kind"] == "high"
    assert worst["severity"] != "low"
    assert worst["percent"] == pytest.approx(50, abs=8)
    assert run.metrics["alarms"] == len(result.alarms)
    assert run.metrics["alarm_rate"] == pytest.approx((result.judged["distance"] != 0).mean())
    assert run.metrics["promised_rate"] == 0.01
    stored = load_run(run.id, alarm_workspace)
    table = pd.read_csv(stored.files / "alarms.csv")
    assert table["alarm"].tolist() == list(range(1, len(result.alarms) + 1))
    assert "above what is explained by" in table["text"][0]
    assert stored.record.params["alarm_level"] == LEVEL
    again = load_forecast(run.id, alarm_workspace)
    assert again.alarm_counts == result.alarm_counts
    pd.testing.assert_frame_equal(again.alarms, result.alarms, check_dtype=False)
    pd.testing.assert_frame_equal(again.judged, result.judged, check_dtype=False)


def make_consumption_day(number: int) -> pd.Timestamp:
    return pd.Timestamp("2021-01-01") + pd.Timedelta(days=number)


def test_forecast_command_lists_alarms(saved_run: tuple[Forecast, Run]) -> None:
    result, run = saved_run
    answer = to_answer(result, run)
    assert len(answer["alarms"]) == len(result.alarms)
    assert answer["alarms"][0]["start"] == str(result.alarms["start"][0])[:10]
    assert answer["alarm_rates"]["promised"] == 0.01
    assert answer["alarm_rates"]["measured"] == run.metrics["alarm_rate"]
    lines = "\n".join(to_lines(result, run))
    assert f"{len(result.alarms)} alarms, outside the 99.0% interval: promised 1.00%" in lines
    assert str(describe_alarm(result.alarms.iloc[0].to_dict(), result)) in lines


def test_forecast_without_alarms_says_so(saved_run: tuple[Forecast, Run]) -> None:
    result, run = saved_run
    calm = replace(result, alarms=result.alarms.iloc[:0])
    assert "nothing left its interval" in "\n".join(to_lines(calm, run))
    assert tabulate_alarms(calm).empty
    assert to_answer(calm, run)["alarms"] == []


def test_forecast_card_counts_alarms(saved_run: tuple[Forecast, Run]) -> None:
    counts = describe(saved_run[0]).counts
    assert counts["alarms"] == len(saved_run[0].alarms)
    assert counts["promised_rate"] == 0.01


def test_forecast_of_an_earlier_version_loads_without_alarms(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace, tmp_path: Path
) -> None:
    saved_run[0].save(tmp_path)
    (tmp_path / "judged.parquet").unlink()
    (tmp_path / "alarms.parquet").unlink()
    text = (tmp_path / "result.json").read_text(encoding="utf-8")
    (tmp_path / "result.json").write_text(text.replace('"alarm_counts"', '"other"'), encoding="utf-8")
    earlier = Forecast.load(tmp_path)
    assert earlier.alarms.empty
    assert "alarms" not in earlier.metrics()
    assert (load_run(saved_run[1].id, alarm_workspace).files / RESULT_FOLDER / "alarms.parquet").exists()


def test_recalibrated_run_has_alarms_of_its_backtest(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    values = make_consumption(DAYS, 2)
    values[DAYS - 100, 0] *= 1.5
    spec = RecalibrationSpec(run=saved_run[1].id)
    result, _ = recalibrate(spec, make_daily_dataset(values), workspace=alarm_workspace, actor=ACTOR)
    assert result.alarms.iloc[0]["start"] == make_consumption_day(DAYS - 100)
    assert result.alarm_counts.judged == saved_run[0].alarm_counts.judged


def test_alarm_level_changes_the_number_of_alarms(alarm_workspace: Workspace) -> None:
    data = make_daily_dataset(make_consumption(DAYS, 2))
    rates = {
        level: run_with_weather(data, alarm_workspace, alarm_level=level)[1].metrics["alarm_rate"]
        for level in (0.8, 0.98)
    }
    assert rates[0.8] == pytest.approx(0.2, abs=0.06)
    assert rates[0.98] < 0.06


# ---- picture --------------------------------------------------------------------------------------------------------


def test_alarm_figure_marks_values_outside_and_shades_the_alarm(saved_run: tuple[Forecast, Run]) -> None:
    result = saved_run[0]
    alarm = result.alarms.iloc[0]
    figure = draw_judged(result, "a", (alarm["start"], alarm["end"]))
    judged = result.judged[result.judged["entity"] == "a"]
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    marked = {pd.Timestamp(time) for trace in marks for time in trace.x}
    assert marked == set(judged.loc[judged["distance"] != 0, "time"])
    [shade] = figure.layout.shapes
    assert pd.Timestamp(shade.x0) < alarm["start"] <= alarm["end"] < pd.Timestamp(shade.x1)
    low, high = map(pd.Timestamp, figure.layout.xaxis.range)
    assert low < alarm["start"] <= alarm["end"] < high


def test_alarm_figure_shows_a_gap_where_an_entity_is_missing(saved_run: tuple[Forecast, Run]) -> None:
    result = saved_run[0]
    is_dropped = (result.judged["entity"] == "a") & (result.judged["time"] == result.judged["time"][50])
    figure = draw_judged(replace(result, judged=result.judged[~is_dropped]), "a")
    [measured] = [trace for trace in figure.data if trace.name == "measured"]
    assert np.isnan(np.asarray(measured.y, dtype=float)).sum() == 1
    [band] = [trace for trace in figure.data if trace.fill]
    assert np.isnan(np.asarray(band.y, dtype=float)).sum() == 2, "two bands, one on each side of the gap"


def test_alarm_figure_of_long_series_draws_few_points() -> None:
    times = pd.date_range("2020-01-01", periods=30_000, freq="h")
    values = np.sin(np.arange(30_000) / 24) + 2
    judged = pd.DataFrame({"entity": "a", "time": times, "actual": values, "forecast": 2.0, "low": 0.5, "high": 3.5})
    judged = judged.assign(distance=0.0, alarm=-1)
    judged.loc[20_000, ["actual", "distance"]] = 9.0, 5.5
    empty, spec = pd.DataFrame(), ForecastSpec()
    data = DataSummary(("a.csv",), "MW", False, ("value",))
    result = Forecast(spec, spec, data, "2024-04-09", ("a", "b"), (), (), {}, (), empty, empty, empty, empty)
    figure = draw_judged(replace(result, judged=judged), "a", (times[20_000], times[20_000]))
    [measured] = [trace for trace in figure.data if trace.name == "measured"]
    assert len(measured.x) < 10_000
    assert times[20_000] in list(pd.to_datetime(np.asarray(measured.x)))


# ---- words ----------------------------------------------------------------------------------------------------------


def test_alarm_names_only_what_the_forecaster_uses(saved_run: tuple[Forecast, Run], alarm_workspace: Workspace) -> None:
    result = saved_run[0]
    causes = list_causes(result.importance)
    assert "weather" in causes
    assert "strike" not in causes, "no file of strikes was given"
    naive, _ = run_with_weather(make_faulty_data(DAYS), alarm_workspace, "seasonal-naive")
    assert list_causes(naive.importance) == []
    alarm = saved_run[0].alarms.iloc[0].to_dict()
    assert "above the forecast (expected" in str(describe_alarm(alarm, naive))


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_rounded_amount_outside_stays_outside(low: float, width: float, outside: float, is_above: bool) -> None:
    high = low + width
    measured = high + outside if is_above else low - outside
    rounded = round_amounts((measured, low + width / 2, low, high), outside)
    if outside > 1e-7 * max(abs(low), abs(high), abs(measured)):
        assert rounded[0] > rounded[3] if is_above else rounded[0] < rounded[2]


@given(
    st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-3),
    st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-3),
    st.sampled_from(["high", "low", "lasting"]),
    st.integers(0, 9),
)
def test_alarm_is_told_for_any_amounts(measured: float, expected: float, kind: str, days: int) -> None:
    empty, spec, start = pd.DataFrame(), ForecastSpec(), pd.Timestamp("2024-03-12")
    data = DataSummary(("a.csv",), "MWh", False, ("value",))
    result = Forecast(spec, spec, data, "2024-04-09", ("day",), (), (), {}, (), empty, empty, empty, empty)
    end = start + pd.Timedelta(days=days)
    percent = 100 * (measured - expected) / abs(expected) if expected else float("nan")
    alarm = {
        "entity": "a {b}", "kind": kind, "start": start, "end": end, "peak": start, "peak_end": end,
        "measured": measured, "expected": expected, "low": expected - 1, "high": expected + 1, "percent": percent,
    }  # fmt: skip
    text = str(describe_alarm(alarm, result))
    assert text.startswith("a {b}, 2024-03-12")
    assert ("above" in text) == (measured >= expected)
    assert "nan" not in text
    assert ("2024-03-" in text.split(",")[1].replace("2024-03-12", "", 1)) == (days > 0)


# ---- measured days after the training of a saved model --------------------------------------------------------------


def test_applied_model_judges_the_days_after_its_training(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    applied, run = apply_with_weather(make_faulty_data(), saved_run[1], alarm_workspace)
    judged, alarms = applied.judged, applied.alarms
    assert judged["time"].min() == make_consumption_day(DAYS)
    assert judged["time"].max() == make_consumption_day(DAYS + NEW_DAYS - 1)
    assert len(judged) == 2 * NEW_DAYS
    spike = alarms[(alarms["entity"] == "b") & (alarms["start"] == make_consumption_day(DAYS + SPIKE_DAY))]
    assert len(spike) == 1
    week = alarms[(alarms["entity"] == "a") & (alarms["kind"] == "lasting")].iloc[0]
    assert abs(week["peak"] - make_consumption_day(DAYS + WEEK_START)) <= pd.Timedelta(days=1)
    assert week["percent"] == pytest.approx(30, abs=6)
    assert run.metrics["alarms"] == len(alarms)
    assert "the measured periods after the training of the model" in " ".join(map(str, applied.notes))


def test_applied_model_judges_by_what_it_forecast_the_day_before(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    data = make_faulty_data()
    applied, _ = apply_with_weather(data, saved_run[1], alarm_workspace)
    model = load_model(saved_run[1].id, ForecastModel, alarm_workspace)
    covariates = join_tables(data, [make_weather_table(DAYS + NEW_DAYS + 30)])
    for day in (DAYS, DAYS + 17, DAYS + NEW_DAYS - 1):
        series = model.select_series(make_faulty_data(day))
        panel = model.build_covariate_panel(series, covariates)
        expected: Floats = model.forecast_days(series, panel, 1, np.array([0.5]))[0]
        told = applied.judged[applied.judged["time"] == make_consumption_day(day)].sort_values("entity")["forecast"]
        assert np.allclose(told, expected[0, :, 0], rtol=1e-5)


def test_applied_model_without_later_days_judges_nothing(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    applied, run = apply_with_weather(make_faulty_data(DAYS), saved_run[1], alarm_workspace)
    assert applied.alarms.empty
    assert applied.judged.empty
    assert "alarms" not in run.metrics
    assert "no alarm is judged" in " ".join(map(str, applied.notes))
    assert "nothing was judged" in "\n".join(to_lines(applied, run))


def test_applied_model_tells_values_that_it_cannot_judge(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    values = make_consumption(DAYS + NEW_DAYS, 2)
    values[DAYS + 3 : DAYS + 8, 1] = np.nan
    applied, _ = apply_with_weather(make_daily_dataset(values), saved_run[1], alarm_workspace)
    missing = 2 * NEW_DAYS - len(applied.judged)
    assert missing >= 5
    assert f"missing: {missing}." in " ".join(map(str, applied.notes))


def test_applied_model_judges_a_file_of_new_days_only(
    saved_run: tuple[Forecast, Run], alarm_workspace: Workspace
) -> None:
    """The first days have no history in the file, so they are told as not judged; a fault after them is found."""
    days, fault_day = 90, 70
    values = make_consumption(DAYS + days, 2)
    values[DAYS + fault_day, 0] *= 1.5
    later = make_daily_dataset(values[DAYS:], start=str(make_consumption_day(DAYS))[:10])
    digest = alarm_workspace.covariates.save([make_weather_table(DAYS + days + 30)])
    spec = ForecastApplySpec(saved_run[1].id, digest)
    applied, _ = apply_model(spec, later, workspace=alarm_workspace, actor=ACTOR)
    assert 0 < len(applied.judged) < 2 * days
    assert f"missing: {2 * days - len(applied.judged)}." in " ".join(map(str, applied.notes))
    assert make_consumption_day(DAYS + fault_day) in applied.alarms["start"].tolist()


def test_level_that_changes_at_the_end_is_a_caution(alarm_workspace: Workspace) -> None:
    """The forecast returns to the old level, so it says that the data end in an alarm; a usual end says nothing."""
    random = np.random.default_rng(0)
    values = 100 + random.normal(0, 1, (400, 1))
    for jump, is_told in ((0.0, False), (40.0, True)):
        values[-4:] += jump
        spec = ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=3)
        result, _ = forecast(spec, make_daily_dataset(values), workspace=alarm_workspace, actor=ACTOR)
        assert ("end in an alarm" in " ".join(map(str, result.cautions))) == is_told


@pytest.mark.parametrize("factor", [0.5, 1.5])
@pytest.mark.parametrize("days", [1, 2, 3])
def test_alarm_names_the_fault_and_not_its_echo(factor: float, days: int, alarm_workspace: Workspace) -> None:
    """Forecasts after a fault know it and miss to the other side; the alarm tells the day and the side of the fault."""
    values = 100 + np.random.default_rng(0).normal(0, 1, (400, 1))
    fault = slice(370, 370 + days)
    values[fault] *= factor
    spec = ForecastSpec(list_forecasters()["ridge"](), horizon=7, calendar="none")
    result, _ = forecast(spec, make_daily_dataset(values), workspace=alarm_workspace, actor=ACTOR)
    worst = result.alarms.iloc[0]
    times = make_daily_dataset(values).time[fault]
    assert worst["start"] <= times[-1]
    assert worst["end"] >= times[0]
    assert worst["peak"] in times
    assert worst["percent"] == pytest.approx(100 * (factor - 1), abs=12)
    assert worst["kind"] in ("lasting", "high" if factor > 1 else "low")
