"""Forecast figures and the total over all entities, on a backtest with known numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.data.dataset import DataSummary
from core.tasks.forecast import error_figures, figures
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.spec import ForecastSpec, list_forecasters
from core.tasks.forecast.total import TOTAL_ENTITY, list_summable_entities, sum_entities

DAYS = pd.date_range("2024-01-01", periods=200)
SIZES = {"north": 1000.0, "south": 100.0}
STEPS = (1, 2)


SPEC = ForecastSpec(list_forecasters()["ridge"](), horizon=2, backtest_from="2024-01-01", dataset="d")


def make_forecast(**tables: pd.DataFrame) -> Forecast:
    empty = dict.fromkeys(("rows", "scores", "checked", "reliability"), pd.DataFrame())
    return Forecast(
        spec=SPEC,
        model_spec=SPEC,
        data=DataSummary(("a.csv",), "MWh", False, ("value",)),
        backtest_until="2024-07-18",
        slots=("day",),
        covariates=("temperature", "strike"),
        joins=(),
        calibration={},
        notes=(),
        **empty | tables,
    )


@pytest.fixture(scope="module")
def backtest() -> Forecast:
    """Forecast of two entities with independent errors: 10 % of their size one day ahead, 20 % two days ahead."""
    rng = np.random.default_rng(0)
    parts, rows = [], []
    for entity, size in SIZES.items():
        for step in STEPS:
            actual = size + rng.normal(0, 0.1 * size * step, len(DAYS))
            parts.append(
                pd.DataFrame(
                    {
                        "entity": entity,
                        "time": DAYS,
                        "actual": actual,
                        "forecast": size,
                        "naive7": size,
                        "q0.05": 0.8 * size,
                        "q0.5": size,
                        "q0.95": 1.2 * size,
                        "temperature": np.linspace(-5, 25, len(DAYS)),
                        "step": step,
                    }
                )
            )
            rows.append(
                {
                    "entity": entity,
                    "time": DAYS[-1] + pd.Timedelta(days=step),
                    "step": step,
                    "forecast": size,
                    "q0.05": 0.8 * size,
                    "q0.5": size,
                    "q0.95": 1.2 * size,
                    "naive1": size,
                    "naive7": 1.1 * size,
                    "assumed": step == 2,
                }
            )
    checked = pd.concat(parts, ignore_index=True).astype({"actual": "float32", "forecast": "float32"})
    reliability = pd.DataFrame(
        [
            {"nominal": nominal, "by": grouping, "group": group, "measured": nominal - 0.02, "count": 400}
            for nominal in (0.5, 0.8, 0.9, 0.95)
            for grouping, group in (
                ("all", ""),
                ("step", "1"),
                ("step", "2"),
                ("month", "2024-01"),
                ("month", "2024-02"),
                ("entity", "north"),
                ("entity", "south"),
                ("weekday", "0"),
                ("weekday", "6"),
            )
        ]
    )
    scores = pd.DataFrame(
        [
            {"step": step, "entity": "", "wape": 0.05 * step, "wape_naive1": 0.08 * step, "wape_naive7": 0.12}
            for step in STEPS
        ]
    )
    return make_forecast(rows=pd.DataFrame(rows), scores=scores, checked=checked, reliability=reliability)


def get_trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(trace for trace in figure.data if trace.name == name)


def has_distinct_lines(figure: go.Figure) -> bool:
    """Tell whether all lines of the legend differ by dash, symbol or type."""
    looks = [
        (trace.type, trace.mode, trace.fill, trace.line.dash, trace.marker.symbol, str(trace.fillpattern.shape))
        for trace in figure.data
        if trace.type == "scatter" and trace.showlegend is not False
    ]
    return len(looks) == len(set(looks))


# ---- total ----------------------------------------------------------------------------------------------------------


def test_total_adds_amounts_but_not_quantiles(backtest: Forecast) -> None:
    total_forecast = sum_entities(backtest)
    assert total_forecast.rows["entity"].unique().tolist() == [TOTAL_ENTITY]
    np.testing.assert_allclose(total_forecast.rows["forecast"], 1100)
    np.testing.assert_allclose(total_forecast.rows["naive7"], 1210)
    assert total_forecast.rows.set_index("step")["assumed"].to_dict() == {1: False, 2: True}
    width = (total_forecast.rows["q0.95"] - total_forecast.rows["q0.05"]).to_numpy()
    independent = 2 * 1.645 * np.hypot(100, 10) * np.array(STEPS)
    np.testing.assert_allclose(width, independent, rtol=0.25)
    assert len(total_forecast.checked) == len(DAYS) * len(STEPS)


def test_total_intervals_cover_backtest(backtest: Forecast) -> None:
    total_forecast = sum_entities(backtest)
    for step in STEPS:
        ends = total_forecast.rows.set_index("step").loc[step]
        actual = total_forecast.checked.loc[total_forecast.checked["step"] == step, "actual"]
        assert 0.86 <= actual.between(ends["q0.05"], ends["q0.95"]).mean() <= 0.95, "as wide as the last errors"


def test_total_skips_incomplete_timestamps(backtest: Forecast) -> None:
    missing = backtest.checked["entity"].eq("south") & backtest.checked["time"].eq(DAYS[3])
    total_forecast = sum_entities(replace(backtest, checked=backtest.checked[~missing]))
    assert not total_forecast.checked["time"].eq(DAYS[3]).any()
    assert len(total_forecast.checked) == (len(DAYS) - 1) * len(STEPS)


def test_total_leaves_out_entity_without_forecast(backtest: Forecast) -> None:
    missing = backtest.rows["entity"] == "south"
    rows = backtest.rows.assign(forecast=backtest.rows["forecast"].mask(missing))
    total_forecast = sum_entities(replace(backtest, rows=rows))
    assert list_summable_entities(replace(backtest, rows=rows)) == ["north"]
    np.testing.assert_allclose(total_forecast.rows["forecast"], 1000)
    assert total_forecast.rows["q0.05"].notna().all()


def test_total_intervals_depend_on_hour(backtest: Forecast) -> None:
    """The backtest has large errors at 06:00 and none at 18:00. Step 2 was not kept and takes the errors of step 7."""
    times = pd.to_timedelta([6, 18], unit="h")
    rng = np.random.default_rng(1)
    checked = pd.DataFrame(
        {
            "entity": "north",
            "time": np.repeat(DAYS, 2) + np.tile(times, len(DAYS)),
            "forecast": 100.0,
            "naive7": 100.0,
            "actual": 100 + np.column_stack([rng.normal(0, 20, len(DAYS)), np.zeros(len(DAYS))]).ravel(),
        }
    )
    rows = pd.DataFrame(
        {
            "entity": "north",
            "time": pd.Timestamp("2024-08-01") + times,
            "step": 2,
            "forecast": 100.0,
            "naive1": 100.0,
            "naive7": 100.0,
            "assumed": False,
        }
    )
    total_forecast = sum_entities(
        replace(backtest, rows=rows, checked=pd.concat([checked.assign(step=1), checked.assign(step=7)]))
    )
    width = (total_forecast.rows["q0.95"] - total_forecast.rows["q0.05"]).to_numpy()
    assert width[0] > 50
    assert width[1] == pytest.approx(0, abs=1e-9)


# ---- forecast -------------------------------------------------------------------------------------------------------


def test_forecast_figure_shows_history_interval_and_baselines(backtest: Forecast) -> None:
    rows = backtest.rows[backtest.rows["entity"] == "north"]
    history = backtest.checked[(backtest.checked["entity"] == "north") & (backtest.checked["step"] == 1)]
    figure = figures.draw_forecast(rows, history, backtest)
    assert len(get_trace(figure, "measured").x) == len(DAYS)
    assert set(np.unique(get_trace(figure, "90 % interval").y[:-1])) == {800, 1200}
    np.testing.assert_allclose(get_trace(figure, "same weekday before").y, 1100)
    assert list(get_trace(figure, "assumed covariate").x) == [rows["time"].iloc[1]]
    assert figure.layout.yaxis.title.text == "MWh per day"
    assert get_trace(figure, "forecast").y.dtype == np.float32
    assert has_distinct_lines(figure)


@pytest.mark.parametrize(
    ("unit", "slots", "title"),
    [
        ("MWh", ("day",), "MWh per day"),
        ("MW", ("day",), "MW"),
        ("MWh", ("00:00", "01:00"), "MWh"),
        ("", ("day",), "per day"),
    ],
)
def test_amount_axis_names_unit_and_period(unit: str, slots: tuple[str, ...], title: str) -> None:
    assert (
        figures.label_amount_axis(replace(make_forecast(), data=DataSummary((), unit, False, ()), slots=slots)) == title
    )


def test_backtest_figure_downsamples_and_keeps_peak(backtest: Forecast) -> None:
    hours = pd.date_range("2024-01-01", periods=20_000, freq="h")
    actual = np.sin(np.arange(len(hours)))
    actual[12_345] = 50
    table = pd.DataFrame({"time": hours, "actual": actual, "forecast": 0.0, "q0.05": -1.0, "q0.95": 1.0})
    figure = figures.draw_backtest(table, backtest)
    assert max(len(trace.x) for trace in figure.data if not trace.fill) <= 3000
    assert max(get_trace(figure, "measured").y) == 50
    assert has_distinct_lines(figure)


def test_importance_figure_is_sorted_and_in_percent() -> None:
    table = pd.DataFrame(
        {"group": ["past", "weather", "past", "weather"], "step": [1, 1, 7, 7], "spared": [2.0, 0.5, 1.0, 0.9]}
    )
    figure = figures.draw_importance(table)
    assert [bar.name for bar in figure.data] == ["days ahead: 1", "days ahead: 7"]
    assert list(figure.data[0].y) == ["weather", "past amounts"]
    np.testing.assert_allclose(figure.data[0].x, [50, 200])
    assert len({bar.marker.pattern.shape for bar in figure.data}) == 2


def test_effects_figure_shows_available_intervals() -> None:
    table = pd.DataFrame(
        {
            "method": ["raw", "matched"],
            "change": [-0.28, -0.01],
            "low": [-0.4, np.nan],
            "high": [-0.1, np.nan],
            "days": [40, 40],
            "episodes": [9, 1],
        }
    )
    matched, raw = figures.draw_effects(table).data
    assert raw.error_x.visible
    assert not matched.error_x.visible
    assert raw.error_x.array[0] == pytest.approx(18)
    assert raw.error_x.arrayminus[0] == pytest.approx(12)
    assert raw.marker.symbol != matched.marker.symbol


def test_response_figure_separates_strike_days() -> None:
    table = pd.DataFrame(
        {"strike": [0.0, 1.0, 0.0, 1.0], "shift": [2.0, 2.0, -2.0, -2.0], "amount": [80.0, 70.0, 120.0, 110.0]}
    )
    figure = figures.draw_response(table, "MWh")
    assert [line.name for line in figure.data] == ["without strike", "with strike"]
    assert list(figure.data[0].x) == [-2, 2]
    assert list(figure.data[0].y) == [120, 80]
    assert has_distinct_lines(figure)


def test_scenario_figure_of_total_has_no_intervals(backtest: Forecast) -> None:
    table = pd.DataFrame({"time": DAYS[:2], "forecast": [10.0, 11.0], "changed": [9.0, 9.5]})
    assert len(figures.draw_scenario(table, backtest).data) == 2
    ends = {"low": 8.0, "high": 12.0, "changed_low": 7.0, "changed_high": 10.0}
    figure = figures.draw_scenario(table.assign(**ends), backtest)
    assert len(figure.data) == 4
    assert has_distinct_lines(figure)


# ---- errors and coverage --------------------------------------------------------------------------------------------


def test_error_figure_compares_with_naive_forecasts(backtest: Forecast) -> None:
    figure = error_figures.draw_step_errors(backtest.get_step_scores())
    np.testing.assert_allclose(get_trace(figure, "forecast").y, [5, 10])
    np.testing.assert_allclose(get_trace(figure, "last known day").y, [8, 16])
    assert has_distinct_lines(figure)


@pytest.mark.parametrize(("by", "groups", "first"), [("weekday", 7, "Mon"), ("month", 7, "01"), ("hour", 1, "00:00")])
def test_residual_figure_shows_quartiles(backtest: Forecast, by: str, groups: int, first: str) -> None:
    [box] = error_figures.draw_residuals(backtest.checked[backtest.checked["step"] == 1], by).data
    assert len(box.x) == groups
    assert box.x[0] == first
    order = np.stack([box.lowerfence, box.q1, box.median, box.q3, box.upperfence])
    assert (np.diff(order, axis=0) >= 0).all()
    assert 10 < (box.q3 - box.q1).mean() < 17, "10 % of the usual amount, for the large and for the small entity"


def test_residual_figure_by_temperature_uses_degrees(backtest: Forecast) -> None:
    table = backtest.checked[backtest.checked["step"] == 1]
    [box] = error_figures.draw_residuals(table, "temperature").data
    assert np.diff(np.array(box.x, dtype=float)) == pytest.approx(3)
    shifted = table.assign(actual=table["actual"].where(table["temperature"] > 10, table["forecast"] * 1.5))
    [box] = error_figures.draw_residuals(shifted, "temperature").data
    assert (box.median[np.array(box.x) < 8] > 20).all()
    assert (np.abs(box.median[np.array(box.x) > 12]) < 20).all()


def test_reliability_figure_shows_chance_band(backtest: Forecast) -> None:
    figure = error_figures.draw_reliability(backtest.reliability)
    np.testing.assert_allclose(get_trace(figure, "all days ahead").y, [48, 78, 88, 93])
    low = get_trace(figure, "95 % range of chance").y
    high = figure.data[0].y
    np.testing.assert_allclose((high - low)[0], 2 * 1.96 * 100 * np.sqrt(0.25 / 400), rtol=1e-6)
    assert has_distinct_lines(figure)


def test_coverage_figure_shows_nominal_and_marks_misses(backtest: Forecast) -> None:
    figure = error_figures.draw_coverage(backtest.reliability, "month", 0.9)
    bars, nominal = figure.data
    assert list(bars.x) == ["2024-01", "2024-02"]
    np.testing.assert_allclose(bars.y, 88)
    assert set(bars.marker.pattern.shape) == {"/"}
    np.testing.assert_allclose(nominal.y, 90)
    across = error_figures.draw_coverage(backtest.reliability, "entity", 0.8)
    assert set(across.data[0].y) == {"north", "south"}
    np.testing.assert_allclose(across.data[1].x, 80)
    assert list(error_figures.draw_coverage(backtest.reliability, "weekday", 0.8).data[0].x) == ["Mon", "Sun"]


def test_error_figure_translates_titles(backtest: Forecast) -> None:
    figure = error_figures.draw_step_errors(backtest.get_step_scores(), lambda text: text.upper())
    assert figure.layout.xaxis.title.text == "DAYS AHEAD"
    assert {line.name for line in figure.data} == {"FORECAST", "LAST KNOWN DAY", "SAME WEEKDAY BEFORE"}
