"""Tests of the task intervals: judged points, events, periods, odd data, saved models, and the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import forecasters
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, OptionError
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.feed_forward import FeedForward
from core.operations.feedback import serialise_row
from core.progress import CancelledError, Progress
from core.runs.card_data import describe_result
from core.runs.stored_runs import load_result
from core.runs.verdicts import compute_majorities, make_row_key
from core.spec.plugins import register_class
from core.storage.feedback import Feedback
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.run import apply_model, judge_points
from core.tasks.intervals.spec import IntervalsApplySpec, IntervalsSpec
from core.workspace import Workspace
from tests.conftest import Command
from tests.support.sample_calls import DAY_STEPS, WEEK_STEPS, make_call_dataset, make_calls
from tests.support.sampling_forecaster import SamplingForecaster

ACTOR = Actor("test")
SPEC = IntervalsSpec(forecaster=SeasonalNaive())
HOUR = pd.Timedelta(hours=1)
DAY_HOURS, WEEK_HOURS = 24, 168


def judge(dataset: Dataset, workspace: Workspace, **options: object) -> Intervals:
    """Return the result of seasonal naive, or of another forecaster in `options`."""
    return judge_points(replace(SPEC, **options), dataset, workspace=workspace, actor=ACTOR)[0]


def make_hourly(weeks: int = 6, trunks: int = 1, seed: int = 0) -> np.ndarray:
    return make_calls(weeks, trunks, HOUR, seed)


def select_judged(result: Intervals, entity: str = "T1") -> pd.DataFrame:
    rows = result.rows
    return rows[(rows["phase"] == "test") & (rows["entity"] == entity)].reset_index(drop=True)


# ---- judged points --------------------------------------------------------------------------------------------------


def test_outage_is_one_event_and_worst(workspace: Workspace) -> None:
    values = make_calls(6, 2)
    outage = slice(len(values) - 3 * DAY_STEPS - 48, len(values) - 3 * DAY_STEPS - 40)  # two hours around noon
    values[outage, 1] = 0
    result = judge(make_call_dataset(values), workspace)
    worst = result.events.iloc[0]
    times = result.rows.loc[(result.rows["entity"] == "T2") & (result.rows["phase"] == "test"), "time"].reset_index(
        drop=True
    )
    first = len(times) - 3 * DAY_STEPS - 48
    assert (worst["entity"], worst["kind"], worst["severity"]) == ("T2", "low", "critical")
    assert times[first - 4] <= worst["start"] <= times[first]  # a point by chance may be bridged
    assert times[first + 7] <= worst["end"] <= times[first + 16]
    assert worst["y"] == 0
    assert worst["distance"] < 0
    assert worst["rel_distance"] == pytest.approx(100 * worst["distance"] / worst["yhat"])
    assert result.events["score"].is_monotonic_decreasing


def test_result_keeps_its_promises(workspace: Workspace) -> None:
    """Coverage, alarm rate, phases and the columns that its users know, on data without faults."""
    result, run = judge_points(SPEC, make_call_dataset(make_calls(8)), workspace=workspace, actor=ACTOR)
    metrics = result.metrics()
    assert (result.horizon, result.season, result.windows) == (WEEK_STEPS, WEEK_STEPS, {"calibration": 1, "test": 2})
    assert metrics["coverage"] == pytest.approx(0.95, abs=0.02)
    assert metrics["coverage_50"] == pytest.approx(0.5, abs=0.05)
    assert metrics["alarm_rate"] == pytest.approx(1 - metrics["coverage"])
    assert {"rmse", "mase", "mwql", "events"} <= set(metrics)
    assert "mase_672" in result.scores
    assert result.rows["phase"].value_counts().to_dict() == {"calibration": 672, "test": 2 * 672, "future": 672}
    assert result.rows.loc[result.rows["phase"] == "future", "yhat_upper"].notna().all()
    assert not result.rows.loc[result.rows["phase"] != "test", "anomalous"].any()
    names = ["timestamp", "y", "yhat", "yhat_lower", "yhat_upper", "distance", "rel_distance", "anomalous"]
    assert list(result.build_point_table()) == names
    bounds = result.rows[["yhat_lower", "lower_50", "upper_50", "yhat_upper"]].to_numpy()
    assert (np.diff(bounds, axis=1) >= 0).all()
    assert bounds.min() >= 0
    stored = load_result(run.id, Intervals, workspace)
    pd.testing.assert_frame_equal(stored.rows, result.rows, check_dtype=False, check_categorical=False)
    assert stored.spec == result.spec
    card = describe_result("intervals", stored)
    assert card.intervals is not None
    assert card.intervals.promised == 0.95


def test_level_shift_is_one_event(workspace: Workspace) -> None:
    """A trunk whose calls double is one line, not a storm, also in the next week of forecasts."""
    values = make_hourly(8)
    start = len(values) - 11 * DAY_HOURS  # in the first of two judged weeks
    values[start:] *= 3
    result = judge(make_call_dataset(values, step=HOUR), workspace, test_windows=2, calibration_windows=2)
    shifts = result.events[result.events["kind"] == "level_shift"]
    assert len(shifts) == 1
    (event,) = shifts.to_dict("records")
    assert abs(event["start"] - result.rows["time"].iloc[0] - pd.Timedelta(days=14 + 3)) <= pd.Timedelta(hours=6)
    others = result.events[
        (result.events["kind"] != "level_shift") & result.events["severity"].isin(["high", "critical"])
    ]
    assert len(others) == 0
    settled = select_judged(result).iloc[5 * DAY_HOURS :]
    assert settled["anomalous"].mean() < 0.12


def test_number_of_samples_does_not_change_alarm_rate(workspace: Workspace) -> None:
    """The bound is a quantile: a hundred times more samples give the same rate, where a maximum would shrink it."""
    dataset = make_call_dataset(make_hourly(9), step=HOUR)
    with register_class(forecasters, SamplingForecaster):
        results = [judge(dataset, workspace, forecaster=SamplingForecaster(samples=samples)) for samples in (50, 5000)]
    rates = [result.alarm_rate for result in results]
    assert rates[0] == pytest.approx(rates[1], abs=0.02)
    assert rates[1] == pytest.approx(0.05, abs=0.03)
    widths = [(rows["yhat_upper"] - rows["yhat_lower"]).mean() for rows in map(select_judged, results)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_worse_forecaster_is_said(workspace: Workspace) -> None:
    """Seasonal naive is beside every forecaster, and a note tells that it was better."""
    dataset = make_call_dataset(make_hourly(), step=HOUR)
    result = judge(dataset, workspace, forecaster=SeasonalNaive(season=1))
    assert result.scores["model"].tolist() == ["seasonal-naive"]
    with register_class(forecasters, SamplingForecaster):
        sampled = judge(dataset, workspace, forecaster=SamplingForecaster(samples=1))
    assert sampled.scores["model"].tolist() == ["sampling", "seasonal-naive"]
    assert sampled.metrics()["skill"] < 0
    assert any("worse than seasonal naive" in str(note) for note in sampled.notes)


def test_fault_in_history_does_not_enter_forecast(workspace: Workspace) -> None:
    """A spike one week before is cleaned: it is neither forecast again, nor its absence an anomaly."""
    values = make_calls(6)
    spike = len(values) - WEEK_STEPS - 50
    values[spike] = 90_000
    result = judge(make_call_dataset(values), workspace, test_windows=2)
    rows = select_judged(result)
    position = len(rows) - WEEK_STEPS - 50
    assert rows["y"][position] == 90_000
    assert rows["anomalous"][position]
    assert rows["cleaned"][position] < 2000
    assert rows["yhat"][position + WEEK_STEPS] < 2000
    raw = judge(make_call_dataset(values), workspace, test_windows=2, spike_threshold="none")
    assert select_judged(raw)["yhat"][position + WEEK_STEPS] > 10_000


# ---- missing and odd data -------------------------------------------------------------------------------------------


def test_missing_week_is_imputed_and_never_anomalous(workspace: Workspace) -> None:
    values = make_calls(7)
    gap = slice(len(values) - 10 * DAY_STEPS, len(values) - 3 * DAY_STEPS)
    values[gap] = np.nan
    result = judge(make_call_dataset(values), workspace, test_windows=2)
    rows = select_judged(result)
    missing = rows["y"].isna()
    assert missing.sum() == 7 * DAY_STEPS
    assert rows.loc[missing, "is_imputed"].all()
    assert not rows.loc[missing, "anomalous"].any()
    assert rows.loc[missing, "distance"].isna().all()
    assert rows.loc[missing, "yhat_lower"].notna().all()
    assert not rows.loc[~missing, "is_imputed"].any()


def test_trunks_appear_and_die_without_stopping_the_rest(workspace: Workspace) -> None:
    values = make_hourly(8, 4)
    values[: -3 * DAY_HOURS, 1] = np.nan  # appears in the judged week
    values[-4 * WEEK_HOURS :, 2] = np.nan  # dies before it
    values[:, 3] = 0.0  # is silent
    dataset = make_call_dataset(values, step=HOUR)
    result = judge(dataset, workspace, test_windows=1)
    assert result.judged_rows["entity"].astype(str).value_counts()["T1"] == WEEK_HOURS
    judged = set(result.judged_rows["entity"].astype(str))
    assert "T1" in judged
    assert not judged & {"T2", "T3"}
    notes = " ".join(map(str, result.notes))
    assert f"at least {WEEK_HOURS}" in notes or f"has {WEEK_HOURS} steps" in notes
    assert "T3 has no value of total after" in notes
    silent = select_judged(result, "T4")
    assert not silent["anomalous"].any()
    assert set(result.list_current()["entity"].astype(str)) == judged


def test_too_little_history_is_refused_with_the_steps_needed(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="at least 2,016 are needed"):
        judge(make_call_dataset(make_calls(2)), workspace, horizon=WEEK_STEPS)


def test_short_history_is_judged_by_days(workspace: Workspace) -> None:
    result = judge(make_call_dataset(make_calls(3)), workspace)
    assert result.horizon == DAY_STEPS
    assert len(result.judged_rows) == DAY_STEPS * result.windows["test"]


@pytest.mark.parametrize("start", ["2024-02-12 23:00", "2024-09-08 22:00"], ids=["23 hours", "25 hours"])
def test_rows_keep_local_clock_through_clock_change(workspace: Workspace, start: str) -> None:
    values = make_hourly(7)
    result = judge(make_call_dataset(values, start, HOUR, "Europe/Paris"), workspace, test_windows=2)
    times = pd.DatetimeIndex(result.rows["time"])
    assert len(times) == len(result.rows)
    change = pd.Timestamp("2024-03-31" if start < "2024-06" else "2024-10-27")
    day = times[times.normalize() == change]
    assert len(day) == (23 if start < "2024-06" else 25)
    assert (2 in day.hour) == (start > "2024-06")
    assert result.alarm_rate < 0.15


def test_daily_series_of_any_kind(workspace: Workspace) -> None:
    days = pd.Timedelta(days=1)
    random = np.random.default_rng(0)
    values = (np.sin(np.arange(400) * 2 * np.pi / 7) * 10 + random.normal(size=400))[:, None]  # below 0 as well
    values[-5] += 40
    result = judge(make_call_dataset(values, step=days), workspace)
    assert result.horizon == result.season == 7
    assert result.events.iloc[0]["kind"] == "high"
    assert (result.rows["yhat_lower"] < 0).any()


def test_ratio_stays_between_0_and_1_and_allows_for_few_attempts(workspace: Workspace) -> None:
    total = make_hourly(8)
    random = np.random.default_rng(3)
    total[np.arange(len(total)) % 24 < 4] = 3.0  # few calls at night
    ratio = random.binomial(total.astype(int), 0.9) / total
    result = judge(make_call_dataset(total, step=HOUR, ccr=ratio), workspace, value=("ccr", "total"))
    rows = result.rows[(result.rows["measure"] == "ccr") & (result.rows["phase"] != "calibration")]
    assert rows[["yhat_lower", "yhat_upper"]].min().min() >= 0
    assert rows[["yhat_lower", "yhat_upper"]].max().max() <= 1
    night = rows["time"].dt.hour < 4
    judged = rows["phase"] == "test"
    width = rows["yhat_upper"] - rows["yhat_lower"]
    assert width[night].mean() > 3 * width[~night].mean()
    assert rows.loc[night & judged, "anomalous"].mean() < 0.2
    assert {"mwql", "mwql.total"} <= set(result.metrics())


def test_ratio_without_attempts_is_not_judged(workspace: Workspace) -> None:
    total = make_hourly(8)
    total[-20:-10] = 0
    ratio = np.where(total > 0, 0.9, 0.0)
    result = judge(make_call_dataset(total, step=HOUR, ccr=ratio), workspace, value=("ccr",))
    assert select_judged(result)["distance"].iloc[-20:-10].isna().all()


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_model_is_applied_to_new_values(workspace: Workspace) -> None:
    values = make_hourly(8, 2)
    values[-30:-20, 0] = 0
    known, later = make_call_dataset(values[: -2 * WEEK_HOURS], step=HOUR), make_call_dataset(values, step=HOUR)
    source, run = judge_points(SPEC, known, workspace=workspace, actor=ACTOR)
    spec = IntervalsApplySpec(model=run.id)
    result, applied = apply_model(spec, later, workspace=workspace, actor=ACTOR)
    assert len(result.judged_rows) == 2 * 2 * WEEK_HOURS
    assert result.judged_rows["time"].min() == source.rows.loc[source.rows["phase"] == "future", "time"].min()
    assert (result.events.iloc[0]["entity"], result.events.iloc[0]["kind"]) == ("T1", "low")
    assert result.metrics()["coverage"] == pytest.approx(0.95, abs=0.04)
    assert applied.params["model_run"] == run.id
    with pytest.raises(DataError, match="trained on"):
        apply_model(spec, make_call_dataset(make_calls(5)), workspace=workspace, actor=ACTOR)
    strangers = make_call_dataset(values, step=HOUR, names=["X1", "X2"])
    with pytest.raises(DataError, match="trained on"):
        apply_model(spec, strangers, workspace=workspace, actor=ACTOR)


def test_default_forecaster_beats_seasonal_naive_and_is_saved(workspace: Workspace) -> None:
    """A week ahead from four weeks of quarter-hours; the stored model judges the same values as the run did."""
    values = make_calls(6)
    known, later = (make_call_dataset(values[: weeks * WEEK_STEPS]) for weeks in (4, 6))
    result, run = judge_points(IntervalsSpec(), known, workspace=workspace, actor=ACTOR)
    assert result.metrics()["skill"] > 0.1
    assert result.metrics()["coverage"] == pytest.approx(0.95, abs=0.025)
    applied, _ = apply_model(IntervalsApplySpec(model=run.id), later, workspace=workspace, actor=ACTOR)
    assert applied.metrics()["coverage"] == pytest.approx(0.95, abs=0.03)
    future = result.rows[result.rows["phase"] == "future"]
    judged = applied.rows[applied.rows["phase"] == "test"].iloc[:WEEK_STEPS]
    assert np.allclose(future["forecast"], judged["forecast"])


def test_cancel_stops_the_run(workspace: Workspace) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        judge_points(
            SPEC, make_call_dataset(make_hourly(), step=HOUR), workspace=workspace, actor=ACTOR, progress=progress
        )


def test_search_chooses_settings_of_neural_forecaster(workspace: Workspace) -> None:
    """The run and its model have the settings that the search chose; the spec repeats the search."""
    fast = FeedForward(hidden_size=4, epochs=1)
    spec = replace(SPEC, forecaster=fast, search=2, horizon=DAY_HOURS)
    result, run = judge_points(spec, make_call_dataset(make_hourly(5), step=HOUR), workspace=workspace, actor=ACTOR)
    assert len(result.trials) == 2
    best = result.trials.loc[result.trials["mwql"].idxmin()]
    assert result.model_spec.forecaster.hidden_size == run.params["hidden_size"] == best["hidden_size"]
    assert (result.spec.search, result.model_spec.search) == (2, 0)
    assert load_result(run.id, Intervals, workspace).trials["trial"].tolist() == [1, 2]
    with pytest.raises(OptionError, match="seasonal-naive"):
        replace(SPEC, search=2).check()


def test_unknown_measure_is_refused(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="erlang"):
        judge(make_call_dataset(make_hourly(), step=HOUR), workspace, value=("erlang",))
    with pytest.raises(OptionError, match="attempts"):
        replace(SPEC, value=("a", "b"), attempts="c").check()


def test_verdicts_on_events_of_two_measures_are_apart(workspace: Workspace) -> None:
    """An outage of two measures at the same time is two events, each with its own verdict."""
    values = make_hourly()
    values[-30:-25] = 0
    result = judge(make_call_dataset(values, step=HOUR, erlang=values.copy()), workspace, value=("total", "erlang"))
    alarms = result.list_alarms().head(2).to_dict("records")
    rows = [serialise_row(alarm) for alarm in alarms]
    assert {row["measure"] for row in rows} == {"total", "erlang"}
    assert alarms[0]["time"] == alarms[1]["time"]
    records = [
        Feedback(user="a", page="intervals", run_id="r", row=row, verdict=verdict)
        for row, verdict in zip(rows, ("true_alarm", "false_alarm"), strict=True)
    ]
    verdicts = compute_majorities(records)
    assert [verdicts[make_row_key(row)] for row in rows] == ["true_alarm", "false_alarm"]


def test_current_state_lists_open_event_first(workspace: Workspace) -> None:
    values = make_hourly(6, 3)
    values[-6:, 2] = 0
    result = judge(make_call_dataset(values, step=HOUR), workspace)
    current = result.list_current()
    assert len(current) == 3
    first = current.iloc[0]
    assert (first["entity"], first["y"]) == ("T3", 0)
    assert first["severity"] != "low"
    assert first["since"] == result.rows.loc[result.rows["phase"] == "test", "time"].max() - pd.Timedelta(hours=5)
    assert result.events.set_index("event").loc[first["event"], "is_open"]


def test_command_writes_events_and_points(vigie: Command, tmp_path: Path) -> None:
    values = make_hourly(6)
    values[-30:-25] = 0
    file, events, points = (tmp_path / name for name in ("counts.csv", "events.csv", "points.csv"))
    frame = make_call_dataset(values, step=HOUR).frame.reset_index()
    frame.rename(columns={"time": "timestamp", "entity": "trunk"}).to_csv(file, index=False)
    arguments = ["--value", "total", "--forecaster", "seasonal-naive", "--horizon", "168", "--level", "0.95"]
    outcome = vigie("intervals", file, *arguments, "--out", events, "--points", points, "--json")
    assert outcome.returncode == 0, outcome.stderr
    answer = json.loads(outcome.stdout)
    assert {"rmse", "mase", "mwql", "coverage", "alarm_rate", "events"} <= set(answer["metrics"])
    assert answer["metrics"]["events"] == len(answer["events"]) == len(pd.read_csv(events))
    assert answer["events"][0]["kind"] == "low"
    assert answer["alarms"]["promised"] == 0.05
    table = pd.read_csv(points)
    assert list(table)[:5] == ["timestamp", "y", "yhat", "yhat_lower", "yhat_upper"]
    assert len(table) == 2 * 168
    refused = vigie("intervals", file, "--points", tmp_path / "points.txt")
    assert refused.returncode == 2
    assert "--points" in refused.stderr
