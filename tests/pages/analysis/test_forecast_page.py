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
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, list_forecasters
from core.workspace import Workspace
from tests.conftest import create_workspace, run_worker, wait_for_answers, wait_for_job
from tests.support.app_pages import click_button, open_form, open_page, read_page_text

PAGE = "analysis/forecast.py"
BOB = Actor("bob", "tests")


@pytest.fixture(scope="module")
def module_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace of all tests in this file, so that one test can show what another one computed."""
    return create_workspace(tmp_path_factory.mktemp("place"), empty_store)


@pytest.fixture(scope="module", autouse=True)
def job_worker(module_workspace: Workspace) -> Iterator[None]:
    """Worker that executes the jobs of the page."""
    with run_worker(module_workspace):
        yield


@pytest.fixture(autouse=True)
def page_workspace(module_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: module_workspace)
    monkeypatch.setattr("core.lifespan.start_preload", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield module_workspace
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def small_dataset(sample: Dataset) -> Dataset:
    """The gas sample with two entities."""
    return sample.filter_rows(sample.entities[:2])


@pytest.fixture(scope="module")
def weather(small_dataset: Dataset) -> CovariateTable:
    """National temperatures up to 30 days after the data. Consumption is higher on colder days."""
    amounts = Panel.from_dataset(small_dataset).amounts.sum(axis=1)
    typical = pd.Series(amounts).rolling(7, center=True, min_periods=1).median()
    temperature = (
        22 - 12 * (typical / typical.mean()).to_numpy() + np.random.default_rng(0).normal(0, 1.5, len(typical))
    )
    temperature = np.append(temperature, np.full(30, temperature[-1]))
    days = pd.date_range(small_dataset.time.min(), periods=len(temperature), name="day")
    index = pd.MultiIndex.from_product([[""], days], names=["place", "day"])
    frame = pd.DataFrame(
        {"temperature": temperature, "temperature_min": temperature - 4, "temperature_max": temperature + 4},
        index=index,
    )
    return CovariateTable("weather", frame, "weather.csv")


@pytest.fixture(scope="module")
def digest(module_workspace: Workspace, small_dataset: Dataset) -> str:
    return module_workspace.datasets.save(small_dataset)


@pytest.fixture(scope="module")
def saved_forecast(
    module_workspace: Workspace, small_dataset: Dataset, weather: CovariateTable, digest: str
) -> tuple[Forecast, str]:
    """A Ridge forecast of two days with weather and many alarms, and the id of its run."""
    covariates = module_workspace.covariates.save([weather])
    spec = ForecastSpec(list_forecasters()["ridge"](), horizon=2, covariates=covariates, alarm_level=0.9)
    result, run = forecast(spec, small_dataset, workspace=module_workspace, actor=BOB)
    return result, run.id


def open_result(digest: str, run: str, view: str = "") -> AppTest:
    """Open the page with a result, on one of its views."""
    app = open_page(PAGE, dataset=digest, run=run)
    if view:
        app.session_state["forecast-view"] = view
        app.run()
    assert not app.exception
    return app


def get_widget(app: AppTest, kind: str, key: str) -> Any:
    return next(element for element in getattr(app, kind) if element.key == key)


def read_errors(app: AppTest) -> str:
    return "\n".join(str(error.value) for error in app.error)


# ---- form -----------------------------------------------------------------------------------------------------------


def test_forecast_page_without_data_shows_hint() -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No data are loaded" in read_page_text(app)


def test_form_names_the_guessed_calendar_and_accepts_another(page_workspace: Workspace, digest: str) -> None:
    app = open_page(PAGE, dataset=digest)
    calendar = get_widget(app, "selectbox", "forecast-calendar")
    assert calendar.value == ""
    assert calendar.options[0] == "from the data: none"
    assert {"Germany (DE)", "France (FR)"} <= set(calendar.options)
    assert "No public holidays are used" in calendar.help
    get_widget(app, "selectbox", "forecast-forecaster").set_value("seasonal-naive")
    get_widget(app, "selectbox", "forecast-calendar").set_value("DE").run()
    app = wait_for_job(click_button(app, "forecast-ask"))
    assert not app.exception
    record = load_run(app.query_params["run"], page_workspace).record
    assert record.params["calendar"] == "DE"
    assert "Public holidays of Germany (DE), as chosen" in read_page_text(app)


def test_form_asks_for_places_that_no_name_matches(
    page_workspace: Workspace, weather: CovariateTable, digest: str
) -> None:
    national = weather.frame.xs("", level="place")
    frame = pd.concat({"Ohio": national, "Texas": national}, names=["place", "day"])
    tables = page_workspace.covariates.save([CovariateTable("weather", frame, "states.csv")])
    app = open_page(PAGE, dataset=digest, covariates=tables)
    assert not app.exception
    assert "Places of the entities" in read_page_text(app)
    assert "states.csv is not used: none of its places (Ohio, Texas) matches" in read_page_text(app)


def test_forecast_page_runs_forecast(page_workspace: Workspace, digest: str) -> None:
    app = open_page(PAGE, dataset=digest)
    assert not app.exception
    assert get_widget(app, "selectbox", "forecast-forecaster").value == "automatic"
    assert get_widget(app, "selectbox", "forecast-resolution").label == "Amounts"
    assert get_widget(app, "segmented_control", "forecast-quantiles").label == "Prediction interval"
    get_widget(app, "selectbox", "forecast-forecaster").set_value("seasonal-naive")
    assert get_widget(app, "text_input", "forecast-horizon").placeholder == "7"  # the default of days
    get_widget(app, "text_input", "forecast-horizon").set_value("2").run()
    before = len(list(page_workspace.events.read_events()))
    app = wait_for_job(click_button(app, "forecast-ask"))
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    [event] = list(page_workspace.events.read_events())[before:]
    assert app.query_params["run"] == event.run_id
    assert event.application_name == "Vigie page forecast"
    metrics = {metric.label: metric for metric in app.metric}
    assert {"WAPE, day 1", "WAPE, day 2", "Coverage", "Entities", "Seconds", "g CO₂"} == set(metrics)
    assert "naive" in metrics["WAPE, day 1"].delta
    assert metrics["Coverage"].delta == "nominal 90%"
    assert metrics["Entities"].value == "2"
    assert "Backtest from" in read_page_text(app)


def test_forecast_page_shows_job_error(page_workspace: Workspace, small_dataset: Dataset) -> None:
    short = small_dataset.filter_rows(end=small_dataset.time.min())
    app = open_page(PAGE, dataset=page_workspace.datasets.save(short))
    get_widget(app, "selectbox", "forecast-forecaster").set_value("seasonal-naive").run()
    app = wait_for_job(click_button(app, "forecast-ask"))
    assert not app.exception
    assert "needs at least 48 values" in read_errors(app)
    assert get_widget(app, "button", "forecast-ask")
    assert "run" not in app.query_params


def test_forecast_page_applies_saved_model(
    page_workspace: Workspace, digest: str, saved_forecast: tuple[Forecast, str], weather: CovariateTable
) -> None:
    app = open_page(PAGE, dataset=digest, covariates=page_workspace.covariates.save([weather]))
    get_widget(app, "segmented_control", "forecast-mode").set_value(1).run()
    get_widget(app, "selectbox", "forecast-model-run").set_value(saved_forecast[1]).run()
    app = wait_for_job(click_button(app, "forecast-ask"))
    assert not app.error
    assert app.query_params["run"] != saved_forecast[1]
    result = Forecast.load(_get_result_folder(page_workspace, app.query_params["run"]))
    assert isinstance(result.spec, ForecastApplySpec)
    assert result.spec.model == saved_forecast[1]
    np.testing.assert_allclose(result.rows["forecast"], saved_forecast[0].rows["forecast"])


def _get_result_folder(workspace: Workspace, run: str) -> Path:
    return load_run(run, workspace).files / "result"


# ---- address --------------------------------------------------------------------------------------------------------


def test_forecast_page_warns_about_result_of_other_data(
    page_workspace: Workspace, sample: Dataset, saved_forecast: tuple[Forecast, str]
) -> None:
    app = open_result(page_workspace.datasets.save(sample.filter_rows(sample.entities[2:])), saved_forecast[1])
    assert "This result belongs to other data than the loaded data" in read_page_text(app)
    assert {metric.label for metric in app.metric} >= {"Coverage"}
    app = open_result(
        page_workspace.datasets.save(sample.filter_rows(sample.entities[2:])), saved_forecast[1], "Scenarios"
    )
    assert "not loaded" in read_page_text(app)


# ---- covariates -----------------------------------------------------------------------------------------------------


def test_forecast_page_stores_and_reports_covariates(page_workspace: Workspace, digest: str) -> None:
    days = pd.date_range("2022-10-01", "2024-10-14")
    file = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "TMin": 3.0, "TMax": 9.0, "colour": "blue"}).to_csv(
        index=False
    )
    app = open_page(PAGE, dataset=digest)
    get_widget(app, "file_uploader", "covariate-files-0").set_value([("météo.csv", file.encode(), "text/csv")]).run()
    assert not app.exception
    assert not app.error
    [table] = page_workspace.covariates.load(app.query_params["covariates"])
    assert (table.file, table.kind) == ("météo.csv", "weather")
    report = read_join_report(app)
    assert report.loc["météo.csv", "matched"] == "2 / 2"
    assert report.loc["météo.csv", "covered"] == "100%"
    assert report.loc["météo.csv", "columns"] == "temperature, temperature_min, temperature_max"
    assert "colour" in read_page_text(app), "ignored columns are reported"
    refreshed = open_page(PAGE, dataset=digest, covariates=app.query_params["covariates"])
    assert read_join_report(refreshed).equals(report)
    app = click_button(refreshed, "forget-covariates")
    assert "covariates" not in app.query_params


def test_forecast_page_warns_of_covariates_with_two_readings(page_workspace: Workspace, digest: str) -> None:
    lines = ["date,temp_f", *(f"{day:02d}/04/2023,{40 + day}" for day in range(1, 10))]
    app = open_page(PAGE, dataset=digest)
    uploader = get_widget(app, "file_uploader", "covariate-files-0")
    uploader.set_value([("weather.csv", "\n".join(lines).encode(), "text/csv")]).run()
    assert not app.exception
    assert "day or the month first" in " ".join(warning.value for warning in app.warning)
    assert "°F was converted to °C" in read_page_text(app)
    click_button(app, "forget-covariates")


def read_join_report(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "matched" in frame.value).set_index("file")


def test_forecast_page_adds_sample_weather(page_workspace: Workspace, digest: str, weather: CovariateTable) -> None:
    app = open_page(PAGE, dataset=digest, covariates=page_workspace.covariates.save([weather]))
    app = click_button(app, "sample-weather")
    assert not app.exception
    assert not app.error
    assert [table.file for table in page_workspace.covariates.load(app.query_params["covariates"])] == [
        "weather.csv",
        "sample_gas_weather.csv",
    ]
    assert read_join_report(app).loc["sample_gas_weather.csv", "covered"] == "100%"
    assert "sample-weather" not in {button.key for button in app.button}
    refreshed = open_page(PAGE, dataset=digest, covariates=app.query_params["covariates"])
    assert read_join_report(refreshed).equals(read_join_report(app))


def test_forecast_page_hides_sample_weather_for_other_data(page_workspace: Workspace, small_dataset: Dataset) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(replace(small_dataset, files=("mine.csv",))))
    assert not app.exception
    assert "sample-weather" not in {button.key for button in app.button}


def test_forecast_page_rejects_invalid_covariate_file(digest: str) -> None:
    app = open_page(PAGE, dataset=digest)
    file = b"date,temperature\n2024-01-01,a\n2024-01-02,b\n"
    get_widget(app, "file_uploader", "covariate-files-0").set_value([("words.csv", file, "text/csv")]).run()
    assert not app.exception
    assert "words.csv" in read_errors(app)
    assert get_widget(app, "button", "forecast-ask")


def test_forecast_page_keeps_places_while_form_is_closed(
    page_workspace: Workspace, digest: str, small_dataset: Dataset, weather: CovariateTable
) -> None:
    """An edited table has no memory of its own, so the form gives it the last choice as its first content."""
    frames = [weather.frame.rename(index={"": name}, level="place") for name in ("Hill", "Valley")]
    table = replace(weather, frame=pd.concat(frames))
    app = open_page(PAGE, dataset=digest, covariates=page_workspace.covariates.save([table]))
    app.session_state["forecast-settings--"] = False
    app.run()
    chosen = (f"{small_dataset.entities[0]}=Valley",)
    app.session_state["covariate-places"] = chosen
    app = open_form(app, "forecast")
    assert not app.exception
    assert app.session_state["covariate-places"] == chosen


def test_forecast_page_loads_covariates_of_shared_result(digest: str, saved_forecast: tuple[Forecast, str]) -> None:
    app = open_result(digest, saved_forecast[1])
    assert app.query_params["covariates"] == saved_forecast[0].covariate_digest
    assert "weather.csv" in read_join_report(open_form(app, "forecast")).index


# ---- views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("Forecast", "(of 2)"),
        ("Alarms", "Verdict on this alarm"),
        ("Backtest", "By entity"),
        ("Errors", "Boxes contain"),
        ("Intervals", "Coverage of the 90 % interval"),
        ("Influences", ") and not significant"),
        ("Scenarios", "Change a setting above to compare a new forecast with the"),
        ("Model", "not registered"),
    ],
)
def test_forecast_page_draws_every_view(
    digest: str, saved_forecast: tuple[Forecast, str], view: str, words: str
) -> None:
    app = open_result(digest, saved_forecast[1], view)
    assert not app.error
    assert words in read_page_text(app)
    assert "The backtest uses the observed weather, as if every weather" in read_page_text(app)


def test_forecast_page_shows_forecast_of_one_entity(
    digest: str, saved_forecast: tuple[Forecast, str], small_dataset: Dataset
) -> None:
    app = open_result(digest, saved_forecast[1], "Forecast")
    table = next(frame.value for frame in app.dataframe if "naive7" in frame.value)
    np.testing.assert_allclose(table["forecast"], saved_forecast[0].rows.groupby("time")["forecast"].sum(), atol=1)
    get_widget(app, "selectbox", "ahead-entity").set_value(small_dataset.entities[0]).run()
    table = next(frame.value for frame in app.dataframe if "naive7" in frame.value)
    entity_rows = saved_forecast[0].rows[saved_forecast[0].rows["entity"] == small_dataset.entities[0]]
    np.testing.assert_allclose(table["forecast"], entity_rows["forecast"], atol=1)


def test_forecast_page_shows_hourly_forecast(page_workspace: Workspace, small_dataset: Dataset, digest: str) -> None:
    spec = ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=2, resolution="hour")
    result, run = forecast(spec, small_dataset, workspace=page_workspace, actor=BOB)
    app = open_result(digest, run.id, "Forecast")
    table = next(frame.value for frame in app.dataframe if "naive7" in frame.value)
    assert len(table) == 2 * 24
    np.testing.assert_allclose(table["forecast"], result.rows.groupby("time")["forecast"].sum(), atol=1)
    for view, key in (("Errors", "errors-by"), ("Intervals", "coverage-by")):
        app = open_result(digest, run.id, view)
        get_widget(app, "segmented_control", key).set_value("hour").run()
        assert not app.exception
        assert not app.error


def test_forecast_page_lists_alarms_and_keeps_verdicts(
    page_workspace: Workspace, digest: str, saved_forecast: tuple[Forecast, str]
) -> None:
    result, run = saved_forecast
    app = open_result(digest, run, "Alarms")
    table = next(element.value for element in app.dataframe if "words" in element.value.columns)
    assert len(table) == len(result.alarms)
    assert table["entity"].tolist() == result.alarms["entity"].astype(str).tolist()
    assert table["words"].iloc[0].startswith(str(result.alarms["entity"][0]))
    assert f"{len(result.alarms)} alarms, worst first" in read_page_text(app)
    get_widget_like(app, "segmented_control", "verdict-choice-").set_value("true_alarm").run()
    app = get_widget_like(app, "button", "verdict-save-").click().run()
    assert not app.exception
    record = page_workspace.feedback.read_records()[-1]
    assert (record.page, record.run_id, record.verdict) == ("forecast", run, "true_alarm")
    table = next(element.value for element in app.dataframe if "words" in element.value.columns)
    assert table["verdict"].tolist()[0] == "✓ true alarm"
    severity = result.alarms["severity"].iloc[-1]
    app = get_widget(app, "button_group", "alarm-severity").set_value([severity]).run()
    assert not app.exception
    table = next(element.value for element in app.dataframe if "words" in element.value.columns)
    assert len(table) == (result.alarms["severity"] == severity).sum()


def get_widget_like(app: AppTest, kind: str, start: str) -> Any:
    return next(element for element in getattr(app, kind) if (element.key or "").startswith(start))


@pytest.mark.parametrize(
    ("is_judged", "text"), [(True, "Nothing left its interval"), (False, "No measured value was compared")]
)
def test_forecast_page_without_alarms_says_why(
    is_judged: bool, text: str, digest: str, saved_forecast: tuple[Forecast, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, run = saved_forecast
    calm = replace(result, alarms=result.alarms.iloc[:0])
    if not is_judged:
        calm = replace(calm, judged=pd.DataFrame(), alarm_counts=type(result.alarm_counts)())
    monkeypatch.setattr("pages.components.cache.load_result", lambda *_: calm)
    app = open_result(digest, run, "Alarms")
    assert text in read_page_text(app)
    assert "Verdict on this alarm" not in read_page_text(app)


def test_forecast_page_recalibrates_as_new_run(
    page_workspace: Workspace, digest: str, saved_forecast: tuple[Forecast, str]
) -> None:
    app = click_button(open_result(digest, saved_forecast[1], "Intervals"), "recalibrate")
    assert "work" in app.query_params, "a worker recalibrates"
    app = wait_for_job(app)
    assert not app.exception
    assert not read_errors(app)
    assert app.query_params["run"] != saved_forecast[1]
    assert app.query_params["covariates"] == saved_forecast[0].covariate_digest, "the address keeps the covariates"
    result = Forecast.load(_get_result_folder(page_workspace, app.query_params["run"]))
    np.testing.assert_allclose(result.rows["forecast"], saved_forecast[0].rows["forecast"])


def test_forecast_page_scenario_with_colder_weather(digest: str, saved_forecast: tuple[Forecast, str]) -> None:
    app = open_result(digest, saved_forecast[1], "Scenarios")
    assert get_widget(app, "number_input", "if-wind").disabled
    assert "does not use Wind" in get_widget(app, "number_input", "if-wind").help
    assert not get_widget(app, "number_input", "if-temperature_min").disabled
    wait_for_answers(get_widget(app, "slider", "if-warmer").set_value(-6.0).run())
    assert not app.error
    original_metric, changed_metric = (
        metric for metric in app.metric if metric.label in ("Original, all days", "Changed")
    )
    assert parse_amount(changed_metric.value) > parse_amount(original_metric.value)
    table = next(frame.value for frame in app.dataframe if "changed" in frame.value)
    assert (table["share"] > 0).all()


def test_forecast_page_scenario_is_in_the_address(
    page_workspace: Workspace, digest: str, saved_forecast: tuple[Forecast, str], small_dataset: Dataset
) -> None:
    """A refresh, and the link of a colleague, show the form and the answer again, and compute nothing."""
    app = open_result(digest, saved_forecast[1], "Scenarios")
    get_widget(app, "multiselect", "if-entities").set_value([small_dataset.entities[0]])
    wait_for_answers(get_widget(app, "slider", "if-warmer").set_value(-4.0).run())
    metrics = {metric.label: metric.value for metric in app.metric}
    count = len(page_workspace.events.read_events())
    refreshed = open_page(PAGE, **{name: app.query_params[name] for name in ("dataset", "run", "scenario")})
    assert not refreshed.exception
    assert {metric.label: metric.value for metric in refreshed.metric} == metrics
    assert get_widget(refreshed, "slider", "if-warmer").value == -4.0
    assert get_widget(refreshed, "multiselect", "if-entities").value == [small_dataset.entities[0]]
    assert len(page_workspace.events.read_events()) == count
    get_widget(refreshed, "slider", "if-warmer").set_value(0.0).run()
    assert "scenario" not in refreshed.query_params
    assert "Change a setting above" in read_page_text(refreshed)


def test_forecast_page_scenario_checks_temperature_order(digest: str, saved_forecast: tuple[Forecast, str]) -> None:
    app = open_result(digest, saved_forecast[1], "Scenarios")
    get_widget(app, "number_input", "if-temperature_min").set_value(20.0)
    get_widget(app, "number_input", "if-temperature_max").set_value(10.0).run()
    assert "°C is above the maximum temperature" in read_errors(app)
    wait_for_answers(get_widget(app, "number_input", "if-temperature_max").set_value(24.0).run())
    assert not app.error
    assert {"Original, all days", "Changed"} <= {metric.label for metric in app.metric}


def test_forecast_page_scenario_applies_to_selection(
    digest: str, saved_forecast: tuple[Forecast, str], small_dataset: Dataset
) -> None:
    app = open_result(digest, saved_forecast[1], "Scenarios")
    get_widget(app, "multiselect", "if-entities").set_value([small_dataset.entities[0]])
    wait_for_answers(get_widget(app, "slider", "if-warmer").set_value(-6.0).run())
    assert read_differences(app, small_dataset.entities[1]).eq(0).all()
    every_day = read_differences(app, small_dataset.entities[0])
    assert every_day.gt(0).all()
    last = str(saved_forecast[0].rows["time"].max())[:10]
    wait_for_answers(get_widget(app, "multiselect", "if-days").set_value([last]).run())
    last_day = read_differences(app, small_dataset.entities[0])
    assert last_day.iloc[-1] > 0
    assert (last_day != every_day).all(), "the day before is colder only in the morning hours that end its gas day"


def read_differences(app: AppTest, entity: str) -> pd.Series:
    """Select an entity. Return its differences by time, in the unit of the data."""
    get_widget(app, "selectbox", "if-entity").set_value(entity).run()
    assert not app.error
    return next(frame.value for frame in app.dataframe if "changed" in frame.value).set_index("time")["difference"]


def parse_amount(value: str) -> float:
    return float(value.split()[0].replace(",", ""))


def test_forecast_page_registers_and_promotes_model(
    page_workspace: Workspace, digest: str, saved_forecast: tuple[Forecast, str]
) -> None:
    app = click_button(open_result(digest, saved_forecast[1], "Model"), "register")
    assert not app.exception
    assert not app.error
    app = click_button(app, "promote")
    assert not app.error
    assert "is the champion" in read_page_text(app)
    versions = next(frame.value for frame in app.dataframe if "role" in frame.value)
    assert versions["role"].tolist() == ["champion"]
    app = open_page(PAGE, dataset=digest, covariates=saved_forecast[0].covariate_digest)
    get_widget(app, "segmented_control", "forecast-mode").set_value(1).run()
    assert get_widget(app, "selectbox", "forecast-model-run").value == "forecast@champion"
    app = wait_for_job(click_button(app, "forecast-ask"))
    assert not read_errors(app)
    spec = Forecast.load(_get_result_folder(page_workspace, app.query_params["run"])).spec
    assert isinstance(spec, ForecastApplySpec)
    assert spec.model == saved_forecast[1]


def test_forecast_page_forced_promotion_needs_reason(
    page_workspace: Workspace, digest: str, small_dataset: Dataset, saved_forecast: tuple[Forecast, str]
) -> None:
    _, worse = forecast(
        ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=2),
        small_dataset,
        workspace=page_workspace,
        actor=BOB,
    )
    app = click_button(open_result(digest, worse.id, "Model"), "register")
    app = click_button(app, "promote")
    assert "is worse than champion" in read_errors(app)
    get_widget(app, "toggle", "promote-force").set_value(True).run()
    assert "needs a reason" in read_errors(click_button(app, "promote"))
    get_widget(app, "text_input", "promote-reason").set_value("a trial").run()
    app = click_button(app, "promote")
    assert not app.error
    assert "is the champion" in read_page_text(app)
