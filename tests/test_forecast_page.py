"""Forecast page in Streamlit's test harness: form, result, covariates, scenarios and models."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.covariates import CovariateTable
from core.data.dataset import Dataset
from core.data.panel import Panel
from core.runs.stored_runs import load_run
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import forecast
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, forecasters
from core.workspace import Workspace
from tests.conftest import ROOT, answered, working, workplace_in
from tests.test_pages import clicked, opened, texts

PAGE = "analysis/forecast.py"
BOB = Actor("bob", "tests")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace of all tests in this file, so that one test can show what another one computed."""
    return workplace_in(tmp_path_factory.mktemp("place"), empty_store)


@pytest.fixture(scope="module", autouse=True)
def hands(place: Workspace) -> Iterator[None]:
    """Worker that executes the jobs of the page."""
    with working(place):
        yield


@pytest.fixture(autouse=True)
def at(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: place)
    monkeypatch.setattr("core.lifespan.warm", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield place
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def small(sample: Dataset) -> Dataset:
    """The gas sample with two entities."""
    return sample.select(sample.entities[:2])


@pytest.fixture(scope="module")
def weather(small: Dataset) -> CovariateTable:
    """National temperatures up to 30 days after the data. Consumption is higher on colder days."""
    amounts = Panel.of(small).amounts.sum(axis=1)
    usual = pd.Series(amounts).rolling(7, center=True, min_periods=1).median()
    warm = 22 - 12 * (usual / usual.mean()).to_numpy() + np.random.default_rng(0).normal(0, 1.5, len(usual))
    warm = np.append(warm, np.full(30, warm[-1]))
    days = pd.date_range(small.time.min(), periods=len(warm), name="day")
    index = pd.MultiIndex.from_product([[""], days], names=["place", "day"])
    frame = pd.DataFrame({"temperature": warm, "temperature_min": warm - 4, "temperature_max": warm + 4}, index=index)
    return CovariateTable("weather", frame, "weather.csv")


@pytest.fixture(scope="module")
def digest(place: Workspace, small: Dataset) -> str:
    return place.datasets.save(small)


@pytest.fixture(scope="module")
def made(place: Workspace, small: Dataset, weather: CovariateTable, digest: str) -> tuple[Forecast, str]:
    """A Ridge forecast of two days with weather, and the id of its run."""
    spec = ForecastSpec(forecasters()["ridge"](), horizon=2, covariates=place.drivers.save([weather]))
    found, run = forecast(spec, small, workspace=place, actor=BOB)
    return found, run.id


def shown(digest: str, run: str, view: str = "") -> AppTest:
    """Open the page with a result, on one of its views."""
    app = AppTest.from_file(str(ROOT / "pages" / "navigation.py"), default_timeout=60)
    app.query_params["dataset"], app.query_params["run"] = digest, run
    app.run()
    app = app.switch_page(str(ROOT / "pages" / PAGE)).run()
    if view:
        app.session_state["forecast-view"] = view
        app.run()
    assert not app.exception
    return app


def widget(app: AppTest, kind: str, key: str) -> Any:
    return next(each for each in getattr(app, kind) if each.key == key)


def errors(app: AppTest) -> str:
    return "\n".join(str(error.value) for error in app.error)


# ---- form -----------------------------------------------------------------------------------------------------------


def test_without_data_the_page_says_what_to_do() -> None:
    app = opened(PAGE)
    assert not app.exception
    assert "There is no data yet" in texts(app)


def test_a_question_is_asked_worked_on_and_answered(at: Workspace, digest: str) -> None:
    app = opened(PAGE, dataset=digest)
    assert not app.exception
    assert widget(app, "selectbox", "forecast-forecaster").value == "blend"
    assert widget(app, "selectbox", "forecast-resolution").label == "Amounts"
    assert widget(app, "segmented_control", "forecast-quantiles").label == "Interval"
    widget(app, "selectbox", "forecast-forecaster").set_value("seasonal-naive")
    widget(app, "select_slider", "forecast-horizon").set_value(2).run()
    before = len(list(at.events.read()))
    app = answered(clicked(app, "forecast-ask"))
    assert not app.exception
    assert not app.error
    [event] = list(at.events.read())[before:]
    assert app.query_params["run"] == event.run_id
    assert event.application_name == "Vigie page forecast"
    figures = {metric.label: metric for metric in app.metric}
    assert {"WAPE, day 1", "WAPE, day 2", "Coverage", "Entities", "Seconds", "g CO₂"} == set(figures)
    assert "naive" in figures["WAPE, day 1"].delta
    assert figures["Coverage"].delta == "promised 90%"
    assert figures["Entities"].value == "2"
    assert "Tested from" in texts(app)


def test_an_error_of_the_work_is_a_message_and_the_question_stays_open(at: Workspace, small: Dataset) -> None:
    short = small.select(end=small.time.min() + pd.Timedelta(days=30))
    app = opened(PAGE, dataset=at.datasets.save(short))
    widget(app, "selectbox", "forecast-forecaster").set_value("seasonal-naive").run()
    app = answered(clicked(app, "forecast-ask"))
    assert not app.exception
    assert "A back-test from" in errors(app)
    assert widget(app, "button", "forecast-ask")
    assert "run" not in app.query_params


def test_a_saved_model_is_applied(
    at: Workspace, digest: str, made: tuple[Forecast, str], weather: CovariateTable
) -> None:
    app = opened(PAGE, dataset=digest, drivers=at.drivers.save([weather]))
    widget(app, "segmented_control", "forecast-mode").set_value(1).run()
    widget(app, "selectbox", "forecast-model-run").set_value(made[1]).run()
    app = answered(clicked(app, "forecast-ask"))
    assert not app.error
    assert app.query_params["run"] != made[1]
    again = Forecast.load(_folder(at, app.query_params["run"]))
    assert isinstance(again.spec, ForecastApplySpec)
    assert again.spec.model == made[1]
    np.testing.assert_allclose(again.rows["forecast"], made[0].rows["forecast"])


def _folder(at: Workspace, run: str) -> Path:
    return load_run(run, at).files / "result"


# ---- address --------------------------------------------------------------------------------------------------------


def test_a_result_of_other_data_is_shown_with_a_warning(
    at: Workspace, sample: Dataset, made: tuple[Forecast, str]
) -> None:
    app = shown(at.datasets.save(sample.select(sample.entities[2:])), made[1])
    assert "belongs to data other than those loaded" in texts(app)
    assert {metric.label for metric in app.metric} >= {"Coverage"}
    app = shown(at.datasets.save(sample.select(sample.entities[2:])), made[1], "What if")
    assert "not loaded" in texts(app)


# ---- covariates -----------------------------------------------------------------------------------------------------


def test_drivers_are_stored_kept_in_the_address_and_reported(at: Workspace, digest: str) -> None:
    days = pd.date_range("2022-10-01", "2024-10-14")
    file = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "TMin": 3.0, "TMax": 9.0, "colour": "blue"}).to_csv(
        index=False
    )
    app = opened(PAGE, dataset=digest)
    widget(app, "file_uploader", "driver-files-0").set_value([("météo.csv", file.encode(), "text/csv")]).run()
    assert not app.exception
    assert not app.error
    [table] = at.drivers.load(app.query_params["drivers"])
    assert (table.file, table.kind) == ("météo.csv", "weather")
    report = joins(app)
    assert report.loc["météo.csv", "matched"] == "2 / 2"
    assert report.loc["météo.csv", "covered"] == "100%"
    assert report.loc["météo.csv", "columns"] == "temperature, temperature_min, temperature_max"
    assert "colour" in texts(app), "ignored columns are reported"
    refreshed = opened(PAGE, dataset=digest, drivers=app.query_params["drivers"])
    assert joins(refreshed).equals(report)
    app = clicked(refreshed, "forget-drivers")
    assert "drivers" not in app.query_params


def joins(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "matched" in frame.value).set_index("file")


def test_the_weather_of_the_sample_is_a_click_away(at: Workspace, digest: str, weather: CovariateTable) -> None:
    app = opened(PAGE, dataset=digest, drivers=at.drivers.save([weather]))
    app = clicked(app, "sample-weather")
    assert not app.exception
    assert not app.error
    assert [table.file for table in at.drivers.load(app.query_params["drivers"])] == [
        "weather.csv",
        "sample_gas_weather.csv",
    ]
    assert joins(app).loc["sample_gas_weather.csv", "covered"] == "100%"
    assert "sample-weather" not in {button.key for button in app.button}
    refreshed = opened(PAGE, dataset=digest, drivers=app.query_params["drivers"])
    assert joins(refreshed).equals(joins(app))


def test_other_data_are_not_offered_the_weather_of_the_sample(at: Workspace, small: Dataset) -> None:
    app = opened(PAGE, dataset=at.datasets.save(replace(small, files=("mine.csv",))))
    assert not app.exception
    assert "sample-weather" not in {button.key for button in app.button}


def test_a_file_that_is_no_driver_is_refused_and_the_question_stays(digest: str) -> None:
    app = opened(PAGE, dataset=digest)
    file = b"date,word\n2024-01-01,a\n2024-01-02,b\n"
    widget(app, "file_uploader", "driver-files-0").set_value([("words.csv", file, "text/csv")]).run()
    assert not app.exception
    assert "words.csv" in errors(app)
    assert widget(app, "button", "forecast-ask")


def test_the_drivers_of_a_shared_result_are_taken_up(digest: str, made: tuple[Forecast, str]) -> None:
    app = shown(digest, made[1])
    assert app.query_params["drivers"] == made[0].covariate_digest
    assert "weather.csv" in joins(app).index


# ---- views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("Forecast", "The sum of 2 entities of 2"),
        ("Back-test", "By entity"),
        ("Errors", "Boxes hold"),
        ("Intervals", "Coverage of the 90 % interval"),
        ("What matters", "which cannot be told from none"),
        ("What if", "Change something above"),
        ("Model", "not registered"),
    ],
)
def test_every_view_is_drawn(digest: str, made: tuple[Forecast, str], view: str, words: str) -> None:
    app = shown(digest, made[1], view)
    assert not app.error
    assert words in texts(app)
    assert "perfect weather forecast" in texts(app)


def test_one_entity_is_shown_as_in_the_result(digest: str, made: tuple[Forecast, str], small: Dataset) -> None:
    app = shown(digest, made[1], "Forecast")
    table = next(frame.value for frame in app.dataframe if "assumed" in frame.value)
    np.testing.assert_allclose(table["forecast"], made[0].rows.groupby("time")["forecast"].sum(), atol=1)
    widget(app, "selectbox", "ahead-entity").set_value(small.entities[0]).run()
    table = next(frame.value for frame in app.dataframe if "assumed" in frame.value)
    own = made[0].rows[made[0].rows["entity"] == small.entities[0]]
    np.testing.assert_allclose(table["forecast"], own["forecast"], atol=1)


def test_moments_of_the_day_are_shown_and_judged_by_the_hour(at: Workspace, small: Dataset, digest: str) -> None:
    spec = ForecastSpec(forecasters()["seasonal-naive"](), horizon=2, resolution="hour")
    found, run = forecast(spec, small, workspace=at, actor=BOB)
    app = shown(digest, run.id, "Forecast")
    table = next(frame.value for frame in app.dataframe if "assumed" in frame.value)
    assert len(table) == 2 * 24
    np.testing.assert_allclose(table["forecast"], found.rows.groupby("time")["forecast"].sum(), atol=1)
    for view, key in (("Errors", "errors-by"), ("Intervals", "coverage-by")):
        app = shown(digest, run.id, view)
        widget(app, "segmented_control", key).set_value("hour").run()
        assert not app.exception
        assert not app.error


def test_recalibrating_is_a_new_run_with_the_same_forecasts(
    at: Workspace, digest: str, made: tuple[Forecast, str]
) -> None:
    app = clicked(shown(digest, made[1], "Intervals"), "recalibrate")
    assert not app.exception
    assert not app.error
    assert app.query_params["run"] != made[1]
    assert app.query_params["drivers"] == made[0].covariate_digest, "the address keeps the covariates"
    again = Forecast.load(_folder(at, app.query_params["run"]))
    np.testing.assert_allclose(again.rows["forecast"], made[0].rows["forecast"])


def test_what_if_it_were_colder(digest: str, made: tuple[Forecast, str]) -> None:
    app = shown(digest, made[1], "What if")
    assert widget(app, "number_input", "if-wind").disabled
    assert "has not learnt Wind" in widget(app, "number_input", "if-wind").help
    assert not widget(app, "number_input", "if-temperature_min").disabled
    widget(app, "slider", "if-warmer").set_value(-6.0).run()
    assert not app.error
    given, changed = (metric for metric in app.metric if metric.label in ("As given, all days", "As changed"))
    assert amount(changed.value) > amount(given.value)
    table = next(frame.value for frame in app.dataframe if "changed" in frame.value)
    assert (table["share"] > 0).all()


def test_what_if_checks_that_the_minimum_is_below_the_maximum(digest: str, made: tuple[Forecast, str]) -> None:
    app = shown(digest, made[1], "What if")
    widget(app, "number_input", "if-temperature_min").set_value(20.0)
    widget(app, "number_input", "if-temperature_max").set_value(10.0).run()
    assert "lies above the maximum" in errors(app)
    widget(app, "number_input", "if-temperature_max").set_value(24.0).run()
    assert not app.error
    assert {"As given, all days", "As changed"} <= {metric.label for metric in app.metric}


def test_what_if_applies_to_the_days_and_entities_that_are_chosen(
    digest: str, made: tuple[Forecast, str], small: Dataset
) -> None:
    app = shown(digest, made[1], "What if")
    widget(app, "multiselect", "if-entities").set_value([small.entities[0]])
    widget(app, "slider", "if-warmer").set_value(-6.0).run()
    assert differences(app, small.entities[1]).eq(0).all()
    every_day = differences(app, small.entities[0])
    assert every_day.gt(0).all()
    widget(app, "multiselect", "if-days").set_value([str(made[0].rows["time"].max())[:10]]).run()
    last_day = differences(app, small.entities[0])
    assert last_day.iloc[-1] > 0
    assert (last_day != every_day).all(), "the day before is colder only in the morning hours that end its gas day"


def differences(app: AppTest, entity: str) -> pd.Series:
    """Select an entity. Return its differences by time, in the unit of the data."""
    widget(app, "selectbox", "if-entity").set_value(entity).run()
    assert not app.error
    return next(frame.value for frame in app.dataframe if "changed" in frame.value).set_index("time")["difference"]


def amount(value: str) -> float:
    return float(value.split()[0].replace(",", ""))


def test_the_model_is_registered_promoted_and_applied(at: Workspace, digest: str, made: tuple[Forecast, str]) -> None:
    app = clicked(shown(digest, made[1], "Model"), "register")
    assert not app.exception
    assert not app.error
    app = clicked(app, "promote")
    assert not app.error
    assert "is the champion" in texts(app)
    versions = next(frame.value for frame in app.dataframe if "role" in frame.value)
    assert versions["role"].tolist() == ["champion"]
    app = opened(PAGE, dataset=digest, drivers=made[0].covariate_digest)
    widget(app, "segmented_control", "forecast-mode").set_value(1).run()
    assert widget(app, "selectbox", "forecast-model-run").value == "forecast@champion"
    app = answered(clicked(app, "forecast-ask"))
    assert not errors(app)
    spec = Forecast.load(_folder(at, app.query_params["run"])).spec
    assert isinstance(spec, ForecastApplySpec)
    assert spec.model == made[1]


def test_a_refused_promotion_says_why_and_takes_a_reason(
    at: Workspace, digest: str, small: Dataset, made: tuple[Forecast, str]
) -> None:
    _, worse = forecast(ForecastSpec(forecasters()["seasonal-naive"](), horizon=2), small, workspace=at, actor=BOB)
    app = clicked(shown(digest, worse.id, "Model"), "register")
    app = clicked(app, "promote")
    assert "is worse than champion" in errors(app)
    widget(app, "toggle", "promote-force").set_value(True).run()
    assert "needs a reason" in errors(clicked(app, "promote"))
    widget(app, "text_input", "promote-reason").set_value("a trial").run()
    app = clicked(app, "promote")
    assert not app.error
    assert "is the champion" in texts(app)
