"""Forecast figures and the total over all entities, on a back-test with known numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.data.dataset import DataSummary
from core.tasks.forecast import error_figures as trust
from core.tasks.forecast import figures as figures
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.spec import ForecastSpec, forecasters
from core.tasks.forecast.total import TOGETHER, summable, total

DAYS = pd.date_range("2024-01-01", periods=200)
SIZES = {"north": 1000.0, "south": 100.0}
STEPS = (1, 2)


SPEC = ForecastSpec(forecasters()["ridge"](), horizon=2, backtest_from="2024-01-01", dataset="d")


def made(**tables: pd.DataFrame) -> Forecast:
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
def found() -> Forecast:
    """Forecast of two entities with independent errors: 10 % of their size one day ahead, 20 % two days ahead."""
    random = np.random.default_rng(0)
    parts, rows = [], []
    for entity, size in SIZES.items():
        for step in STEPS:
            actual = size + random.normal(0, 0.1 * size * step, len(DAYS))
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
            {"nominal": nominal, "by": by, "group": group, "measured": nominal - 0.02, "count": 400}
            for nominal in (0.5, 0.8, 0.9, 0.95)
            for by, group in (
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
    return made(rows=pd.DataFrame(rows), scores=scores, checked=checked, reliability=reliability)


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(each for each in figure.data if each.name == name)


def told_apart_without_colour(figure: go.Figure) -> bool:
    """Tell whether all lines of the legend differ by dash, symbol or type."""
    looks = [
        (each.type, each.mode, each.fill, each.line.dash, each.marker.symbol, str(each.fillpattern.shape))
        for each in figure.data
        if each.type == "scatter" and each.showlegend is not False
    ]
    return len(looks) == len(set(looks))


# ---- total ----------------------------------------------------------------------------------------------------------


def test_the_sum_adds_amounts_and_not_quantiles(found: Forecast) -> None:
    both = total(found)
    assert both.rows["entity"].unique().tolist() == [TOGETHER]
    np.testing.assert_allclose(both.rows["forecast"], 1100)
    np.testing.assert_allclose(both.rows["naive7"], 1210)
    assert both.rows.set_index("step")["assumed"].to_dict() == {1: False, 2: True}
    width = (both.rows["q0.95"] - both.rows["q0.05"]).to_numpy()
    independent = 2 * 1.645 * np.hypot(100, 10) * np.array(STEPS)
    np.testing.assert_allclose(width, independent, rtol=0.25)
    assert len(both.checked) == len(DAYS) * len(STEPS)


def test_the_intervals_of_the_sum_hold_on_the_back_test(found: Forecast) -> None:
    both = total(found)
    for step in STEPS:
        ends = both.rows.set_index("step").loc[step]
        actual = both.checked.loc[both.checked["step"] == step, "actual"]
        assert 0.88 <= actual.between(ends["q0.05"], ends["q0.95"]).mean() <= 0.93


def test_moments_at_which_an_entity_is_missing_are_not_summed(found: Forecast) -> None:
    gone = found.checked["entity"].eq("south") & found.checked["time"].eq(DAYS[3])
    both = total(replace(found, checked=found.checked[~gone]))
    assert not both.checked["time"].eq(DAYS[3]).any()
    assert len(both.checked) == (len(DAYS) - 1) * len(STEPS)


def test_an_entity_without_a_forecast_is_no_part_of_the_sum(found: Forecast) -> None:
    ended = found.rows["entity"] == "south"
    rows = found.rows.assign(forecast=found.rows["forecast"].mask(ended))
    both = total(replace(found, rows=rows))
    assert summable(replace(found, rows=rows)) == ["north"]
    np.testing.assert_allclose(both.rows["forecast"], 1000)
    assert both.rows["q0.05"].notna().all()


def test_hours_take_the_intervals_of_their_own_hour(found: Forecast) -> None:
    """The back-test has large errors at 06:00 and none at 18:00. Step 2 was not kept and takes the errors of step 7."""
    times = pd.to_timedelta([6, 18], unit="h")
    random = np.random.default_rng(1)
    checked = pd.DataFrame(
        {
            "entity": "north",
            "time": np.repeat(DAYS, 2) + np.tile(times, len(DAYS)),
            "forecast": 100.0,
            "naive7": 100.0,
            "actual": 100 + np.column_stack([random.normal(0, 20, len(DAYS)), np.zeros(len(DAYS))]).ravel(),
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
    both = total(replace(found, rows=rows, checked=pd.concat([checked.assign(step=1), checked.assign(step=7)])))
    width = (both.rows["q0.95"] - both.rows["q0.05"]).to_numpy()
    assert width[0] > 50
    assert width[1] == pytest.approx(0, abs=1e-9)


# ---- forecast -------------------------------------------------------------------------------------------------------


def test_the_forecast_has_history_interval_naive_and_assumed_drivers(found: Forecast) -> None:
    rows = found.rows[found.rows["entity"] == "north"]
    history = found.checked[(found.checked["entity"] == "north") & (found.checked["step"] == 1)]
    figure = figures.ahead(rows, history, found)
    assert len(trace(figure, "measured").x) == len(DAYS)
    np.testing.assert_allclose(trace(figure, "90 % interval").y, 800)
    np.testing.assert_allclose(trace(figure, "same weekday before").y, 1100)
    assert list(trace(figure, "a driver assumed").x) == [rows["time"].iloc[1]]
    assert figure.layout.yaxis.title.text == "MWh per day"
    assert trace(figure, "forecast").y.dtype == np.float32
    assert told_apart_without_colour(figure)


@pytest.mark.parametrize(
    ("unit", "slots", "title"),
    [
        ("MWh", ("day",), "MWh per day"),
        ("MW", ("day",), "MW"),
        ("MWh", ("00:00", "01:00"), "MWh"),
        ("", ("day",), "per day"),
    ],
)
def test_the_axis_says_whether_amounts_are_sums_of_days(unit: str, slots: tuple[str, ...], title: str) -> None:
    assert figures.amount_axis(replace(made(), data=DataSummary((), unit, False, ()), slots=slots)) == title


def test_a_long_back_test_is_thinned_and_keeps_its_peak(found: Forecast) -> None:
    hours = pd.date_range("2024-01-01", periods=20_000, freq="h")
    actual = np.sin(np.arange(len(hours)))
    actual[12_345] = 50
    table = pd.DataFrame({"time": hours, "actual": actual, "forecast": 0.0, "q0.05": -1.0, "q0.95": 1.0})
    figure = figures.compared(table, found)
    assert max(len(each.x) for each in figure.data) <= 3000
    assert max(trace(figure, "measured").y) == 50
    assert told_apart_without_colour(figure)


def test_importance_is_ordered_and_in_per_cent() -> None:
    table = pd.DataFrame(
        {"group": ["past", "weather", "past", "weather"], "step": [1, 1, 7, 7], "spared": [2.0, 0.5, 1.0, 0.9]}
    )
    figure = figures.importance(table)
    assert [bar.name for bar in figure.data] == ["days ahead: 1", "days ahead: 7"]
    assert list(figure.data[0].y) == ["weather", "past amounts"]
    np.testing.assert_allclose(figure.data[0].x, [50, 200])
    assert len({bar.marker.pattern.shape for bar in figure.data}) == 2


def test_effects_show_their_intervals_where_there_are_some() -> None:
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
    matched, raw = figures.effects(table).data
    assert raw.error_x.visible
    assert not matched.error_x.visible
    assert raw.error_x.array[0] == pytest.approx(18)
    assert raw.error_x.arrayminus[0] == pytest.approx(12)
    assert raw.marker.symbol != matched.marker.symbol


def test_the_response_has_a_line_with_and_one_without_strike() -> None:
    table = pd.DataFrame(
        {"strike": [0.0, 1.0, 0.0, 1.0], "shift": [2.0, 2.0, -2.0, -2.0], "amount": [80.0, 70.0, 120.0, 110.0]}
    )
    figure = figures.response(table, "MWh")
    assert [line.name for line in figure.data] == ["without strike", "with strike"]
    assert list(figure.data[0].x) == [-2, 2]
    assert list(figure.data[0].y) == [120, 80]
    assert told_apart_without_colour(figure)


def test_what_if_of_a_sum_has_no_intervals(found: Forecast) -> None:
    table = pd.DataFrame({"time": DAYS[:2], "forecast": [10.0, 11.0], "changed": [9.0, 9.5]})
    assert len(figures.changed(table, found).data) == 2
    ends = {"low": 8.0, "high": 12.0, "changed_low": 7.0, "changed_high": 10.0}
    figure = figures.changed(table.assign(**ends), found)
    assert len(figure.data) == 6
    assert told_apart_without_colour(figure)


# ---- errors and coverage --------------------------------------------------------------------------------------------


def test_errors_by_days_ahead_stand_beside_two_naive_forecasts(found: Forecast) -> None:
    figure = trust.per_step(found.per_step())
    np.testing.assert_allclose(trace(figure, "forecast").y, [5, 10])
    np.testing.assert_allclose(trace(figure, "last known day").y, [8, 16])
    assert told_apart_without_colour(figure)


@pytest.mark.parametrize(("by", "groups", "first"), [("weekday", 7, "Mon"), ("month", 7, "01"), ("hour", 1, "00:00")])
def test_errors_by_circumstance_are_quartiles(found: Forecast, by: str, groups: int, first: str) -> None:
    [box] = trust.residuals(found.checked[found.checked["step"] == 1], by).data
    assert len(box.x) == groups
    assert box.x[0] == first
    order = np.stack([box.lowerfence, box.q1, box.median, box.q3, box.upperfence])
    assert (np.diff(order, axis=0) >= 0).all()
    assert 10 < (box.q3 - box.q1).mean() < 17, "10 % of the usual amount, for the large and for the small entity"


def test_errors_by_temperature_stand_on_a_scale_of_degrees(found: Forecast) -> None:
    table = found.checked[found.checked["step"] == 1]
    [box] = trust.residuals(table, "temperature").data
    assert np.diff(np.array(box.x, dtype=float)) == pytest.approx(3)
    shifted = table.assign(actual=table["actual"].where(table["temperature"] > 10, table["forecast"] * 1.5))
    [box] = trust.residuals(shifted, "temperature").data
    assert (box.median[np.array(box.x) < 8] > 20).all()
    assert (np.abs(box.median[np.array(box.x) > 12]) < 20).all()


def test_reliability_stands_beside_what_chance_allows(found: Forecast) -> None:
    figure = trust.reliability(found.reliability)
    np.testing.assert_allclose(trace(figure, "all days ahead").y, [48, 78, 88, 93])
    low = trace(figure, "what chance allows").y
    high = figure.data[0].y
    np.testing.assert_allclose((high - low)[0], 2 * 1.96 * 100 * np.sqrt(0.25 / 400), rtol=1e-6)
    assert told_apart_without_colour(figure)


def test_coverage_by_group_shows_the_promise_and_marks_what_broke_it(found: Forecast) -> None:
    figure = trust.coverage(found.reliability, "month", 0.9)
    bars, promise = figure.data
    assert list(bars.x) == ["2024-01", "2024-02"]
    np.testing.assert_allclose(bars.y, 88)
    assert set(bars.marker.pattern.shape) == {"/"}
    np.testing.assert_allclose(promise.y, 90)
    across = trust.coverage(found.reliability, "entity", 0.8)
    assert set(across.data[0].y) == {"north", "south"}
    np.testing.assert_allclose(across.data[1].x, 80)
    assert list(trust.coverage(found.reliability, "weekday", 0.8).data[0].x) == ["Mon", "Sun"]


def test_titles_pass_through_the_translation(found: Forecast) -> None:
    figure = trust.per_step(found.per_step(), lambda text: text.upper())
    assert figure.layout.xaxis.title.text == "DAYS AHEAD"
    assert {line.name for line in figure.data} == {"FORECAST", "LAST KNOWN DAY", "SAME WEEKDAY BEFORE"}
