"""Figures and tables of the page of intervals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.figures.style import HIGHLIGHT_COLOUR, MAX_POINTS
from core.forecasters.seasonal_naive import SeasonalNaive
from core.tasks.intervals import figures, views
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec
from core.tasks.intervals.views import SeriesView
from core.workspace import Workspace
from tests.support.sample_calls import make_call_dataset, make_calls

HOUR = pd.Timedelta(hours=1)
BOB = Actor("bob", "tests")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, empty_store: Any) -> Intervals:
    """Four weeks of two trunks per hour: an outage of the first one, a hole of the second one in the judged week."""
    from tests.conftest import create_workspace

    workspace: Workspace = create_workspace(tmp_path_factory.mktemp("place"), empty_store)
    values = make_calls(4, 2, HOUR)
    values[-60:-54, 0] = 0
    values[-30:-20, 1] = np.nan
    values[-3:, 1] = np.nan
    dataset, spec = make_call_dataset(values, step=HOUR), IntervalsSpec(forecaster=SeasonalNaive(), horizon=24)
    return judge_points(spec, dataset, workspace=workspace, actor=BOB)[0]


def make_view(values: list[float] | np.ndarray, step: str = "15min", **changes: Any) -> SeriesView:
    """Return a view of judged values whose interval is 8 to 12 around a median of 10."""
    actual = np.asarray(values, dtype=float)
    count = len(actual)
    distance = np.minimum(actual - 8, 0) + np.maximum(actual - 12, 0)
    rows = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=count, freq=step),
            "y": actual,
            "cleaned": actual,
            "yhat": 10.0,
            "yhat_lower": 8.0,
            "yhat_upper": 12.0,
            "lower_50": 9.0,
            "upper_50": 11.0,
            "distance": distance,
            "rel_distance": 10 * distance,
            "score": np.abs(distance) / 4,
            "anomalous": np.nan_to_num(distance) != 0,
            "is_imputed": False,
            "phase": "test",
            "event": np.where(np.nan_to_num(distance) != 0, 0, -1),
        }
    )
    return SeriesView(rows.assign(**changes), 0.95, pd.Timedelta(step))


def find_trace(figure: go.Figure, name: str) -> Any:
    return next(trace for trace in figure.data if trace.name == name)


def list_names(figure: go.Figure) -> set[str]:
    return {str(trace.name) for trace in figure.data}


# ---- series ---------------------------------------------------------------------------------------------------------


def test_series_shows_values_median_bands_and_sized_markers(result: Intervals) -> None:
    view = views.select_series(result, "T1", "total")
    figure = figures.draw_series(view)
    assert {"measured", "usual (median)", "95 % interval", "50 % interval", "below the interval"} <= list_names(figure)
    drawn = [trace for trace in figure.data if trace.marker.color == HIGHLIGHT_COLOUR and trace.x[0] is not None]
    assert sum(len(trace.x) for trace in drawn) == view.rows["anomalous"].sum() > 0
    assert figure.layout.xaxis.rangeslider.visible
    assert "100 % or more" in list_names(figure)
    assert [annotation.text for annotation in figure.layout.annotations] == ["judged →", "ahead →"]


def test_marker_sizes_grow_with_relative_distance(result: Intervals) -> None:
    distances = np.array([0.0, 1.0, -5.0, 20.0, -80.0, 100.0])
    sizes = figures.compute_marker_sizes(distances)
    assert (np.diff(sizes) > 0).all()
    figure = figures.draw_series(make_view([10, 12.5, 10, 20, 7]))
    above = next(trace for trace in figure.data if trace.name == "above the interval")
    below = next(trace for trace in figure.data if trace.name == "below the interval")
    assert above.marker.size[1] > above.marker.size[0] > below.marker.size[0] - 5
    assert above.marker.symbol != below.marker.symbol


def test_marker_without_relative_distance_is_drawn() -> None:
    figure = figures.draw_series(make_view([10, 30, 10], rel_distance=np.nan))
    above = next(trace for trace in figure.data if trace.name == "above the interval")
    assert list(above.marker.size) == [figures.MARKER_PX[0]]


def test_filled_stretches_are_shaded_once_in_legend() -> None:
    filled = np.array([False, True, True, False, True])
    view = make_view([10, np.nan, np.nan, 10, np.nan], cleaned=10.0, is_imputed=filled)
    figure = figures.draw_series(view)
    shades = [shape for shape in figure.layout.shapes if shape.name == "filled, not judged"]
    assert [shape.showlegend for shape in shades] == [True, False]
    assert pd.Timestamp(shades[0].x0) == view.rows["time"][1] - view.step / 2
    assert pd.Timestamp(shades[0].x1) == view.rows["time"][2] + view.step / 2
    cleaned = find_trace(figure, "cleaned: used by the forecasting method")
    assert np.isfinite(np.asarray(cleaned.y, dtype=float)).all()
    assert "cleaned: used by the forecasting method" not in list_names(figures.draw_series(view, show_cleaned=False))


def test_cleaned_series_is_left_out_where_nothing_was_cleaned() -> None:
    assert "cleaned: used by the forecasting method" not in list_names(figures.draw_series(make_view([10, 11, 12])))


def test_event_zooms_and_is_shaded(result: Intervals) -> None:
    worst = result.events.iloc[0]
    assert (worst["entity"], worst["kind"]) == ("T1", "low")
    view = views.select_series(result, "T1", "total", 0)
    figure = figures.draw_series(view)
    first, last = map(pd.Timestamp, figure.layout.xaxis.range)
    assert first < worst["start"]
    assert worst["end"] < last
    assert last - first < pd.Timedelta(days=4)
    assert "this event" in {shape.name for shape in figure.layout.shapes}
    assert view.rows["time"].max() > last  # the rest of the series is beside the picture, not gone


def test_log_scale_draws_zeros_at_the_bottom() -> None:
    figure = figures.draw_series(make_view([0, 10, 12]), is_log=True)
    assert figure.layout.yaxis.type == "log"
    line = find_trace(figure, "measured")
    assert list(line.y) == [5.0, 10.0, 12.0]
    assert line.customdata[0] == 0
    assert 10 ** figure.layout.yaxis.range[0] < 5


def test_long_series_is_downsampled_and_keeps_visible_points_and_anomalies() -> None:
    random = np.random.default_rng(0)
    values = random.uniform(9, 11, 60_000)
    values[[10, 40_000]] = 30
    view = make_view(values)
    span = view.rows["time"][1000], view.rows["time"][3000]
    positions = figures.choose_positions(replace(view, span=span))
    assert len(positions) < 4 * MAX_POINTS
    assert {10, 40_000, *range(1000, 3001)} <= set(positions)
    assert (np.diff(positions) > 0).all()


def test_downsampling_keeps_gaps_open() -> None:
    values = np.full(20_000, 10.0)
    values[5000:5100] = np.nan
    positions = figures.choose_positions(make_view(values))
    drawn = values[positions]
    gap = np.flatnonzero(np.isnan(drawn))
    assert len(gap)
    assert positions[gap[0] - 1] == 4999


# ---- resampling -----------------------------------------------------------------------------------------------------


def test_counts_are_summed_and_ratios_are_averaged() -> None:
    counts = views.resample_series(make_view([1, 2, 3, 4, 5, 5, 5, 5]), "hour")
    assert counts.is_summed
    assert list(counts.rows["y"]) == [10, 20]
    assert list(counts.rows["yhat"]) == [40, 40]
    ratios = views.resample_series(make_view([0.5, 1, 1, 0.5]), "hour")
    assert not ratios.is_summed
    assert list(ratios.rows["y"]) == [0.75]
    assert not views.resample_series(make_view([1, 2, 3, 4]), "hour", "MW").is_summed


def test_resampled_view_has_no_bounds_and_names_its_axis() -> None:
    view = views.resample_series(make_view([10, 30, 10, 10]), "hour")
    assert not view.has_bounds
    figure = figures.draw_series(view, "calls")
    assert not {name for name in list_names(figure) if "interval" in name} - {"above the interval"}
    assert figure.layout.yaxis.title.text == "calls sum per hour"
    assert view.rows["rel_distance"].iloc[0] == 180


def test_sum_with_missing_value_is_missing() -> None:
    view = views.resample_series(make_view([10, np.nan, 10, 10, 10, 10, 10, 10]), "hour")
    assert np.isnan(view.rows["y"].iloc[0])
    assert view.rows["y"].iloc[1] == 40


def test_incomplete_last_period_is_left_out() -> None:
    view = views.resample_series(make_view([10] * 6), "hour")
    assert len(view.rows) == 1


def test_hour_that_comes_twice_is_shown_twice_and_day_of_23_hours_is_shown() -> None:
    utc = pd.date_range("2024-10-26T22:00Z", periods=25 * 4, freq="15min")
    times = utc.tz_convert("Europe/Paris").tz_localize(None)
    rows = make_view([10] * 100).rows.assign(time=times)
    view = SeriesView(rows, 0.95, pd.Timedelta("15min"))
    hours = views.resample_series(view, "hour").rows
    assert len(hours) == 25
    assert set(hours["y"]) == {40}
    assert list(views.resample_series(view, "day").rows["y"]) == [1000]
    short = SeriesView(make_view([10] * 92).rows, 0.95, pd.Timedelta("15min"))
    assert list(views.resample_series(short, "day").rows["y"]) == [920]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.sampled_from(["hour", "day"]))
def test_complete_periods_keep_the_sum(values: list[int], resolution: str) -> None:
    steps = {"hour": 4, "day": 96}[resolution]
    whole = len(values) // 4 * 4 if resolution == "hour" else 0
    view = views.resample_series(make_view(values), resolution)
    assert view.rows["y"].sum() == sum(values[:whole])
    assert len(view.rows) == whole // steps or resolution == "hour"


def test_resolutions_are_coarser_than_the_data(result: Intervals) -> None:
    assert views.list_resolutions(result) == ["step", "day"]
    assert views.list_resolutions(replace(result, step_seconds=900.0)) == ["step", "hour", "day"]
    assert views.list_resolutions(replace(result, step_seconds=86_400.0)) == ["step"]


# ---- now, peaks, reliability ----------------------------------------------------------------------------------------


def test_peaks_have_the_bounds_of_their_point(result: Intervals) -> None:
    peaks = views.list_peaks(result)
    assert len(peaks) == len(result.events)
    is_above = peaks["y"] > peaks["yhat_upper"]
    assert (is_above | (peaks["y"] < peaks["yhat_lower"])).all()
    outside = np.where(is_above, peaks["y"] - peaks["yhat_upper"], peaks["y"] - peaks["yhat_lower"])
    np.testing.assert_allclose(outside, peaks["distance"])


def test_severities_are_counted_worst_first(result: Intervals) -> None:
    counts = views.count_severities(result.events)
    assert list(counts) == ["critical", "high", "medium", "low"]
    assert sum(counts.values()) == len(result.events)


def test_current_counts_tell_late_series(result: Intervals) -> None:
    counts = views.count_current(result.list_current())
    assert (counts.series, counts.late) == (2, 1)


@pytest.mark.parametrize("grouping", ["hour", "entity"])
def test_reliability_adds_up_to_the_alarm_rate(result: Intervals, grouping: str) -> None:
    table = views.compute_reliability(result, "total", grouping)
    outside = (table["outside"] * table["points"]).sum() / table["points"].sum()
    assert outside == pytest.approx(result.alarm_rate)
    assert (table["low"] <= result.promised_rate).all()
    figure = figures.draw_reliability(table, result.promised_rate, grouping)
    assert len(find_trace(figure, "measured share outside").x) == len(table)


def test_skill_is_unknown_without_comparison(result: Intervals) -> None:
    assert np.isnan(views.compute_skill(result, "total"))
    scores = pd.concat([result.scores.assign(model="forest", mwql=0.5 * result.scores["mwql"]), result.scores])
    assert views.compute_skill(replace(result, scores=scores), "total") == pytest.approx(0.5)


def test_names_are_translated() -> None:
    view = make_view([10, 30, 7, 10], is_imputed=[False, False, False, True])
    figure = figures.draw_series(view, translate=lambda text: f"<{text}>")
    assert all(name.startswith("<") and name.endswith(">") for name in list_names(figure))
    assert all(annotation.text.startswith("<") for annotation in figure.layout.annotations)
