"""Intervals page in Streamlit's test harness: form, events, their picture and verdict, what is outside now, quality."""

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
from core.data.dataset import Dataset
from core.forecasters.seasonal_naive import SeasonalNaive
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.folder_run import judge_folder
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsFolderSpec, IntervalsSpec
from core.workspace import Workspace
from pages.components.results import intervals as intervals_view
from tests.conftest import create_workspace, run_worker, wait_for_job
from tests.support.app_pages import click_button, open_form, open_page, read_page_text
from tests.support.sample_calls import make_call_dataset, make_calls

PAGE = "analysis/intervals.py"
BOB = Actor("bob", "tests")
HOUR = pd.Timedelta(hours=1)


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
def calls() -> Dataset:
    """Four weeks of two trunks per hour with total and ccr: an outage of T1, a missing end of T2."""
    values = make_calls(4, 2, HOUR)
    values[-60:-54, 0] = 0
    values[-3:, 1] = np.nan
    ratios = np.random.default_rng(0).beta(90, 10, values.shape)
    ratios[-40:-34, 1] = 0.3
    return make_call_dataset(values, step=HOUR, ccr=np.where(values > 0, ratios, np.nan))


@pytest.fixture(scope="module")
def digest(module_workspace: Workspace, calls: Dataset) -> str:
    return module_workspace.datasets.save(calls)


@pytest.fixture(scope="module")
def saved_result(module_workspace: Workspace, calls: Dataset, digest: str) -> tuple[Intervals, str]:
    """Intervals of both measures a day ahead, and the id of the run."""
    spec = IntervalsSpec(value=("total", "ccr"), forecaster=SeasonalNaive(), horizon=24)
    result, run = judge_points(spec, calls, workspace=module_workspace, actor=BOB)
    return result, run.id


def open_result(digest: str, run: str, view: str = "", **state: Any) -> AppTest:
    """Open the page with a result, on one of its views, with the values of some widgets."""
    app = open_page(PAGE, dataset=digest, run=run)
    if changes := ({"intervals-view": view} if view else {}) | state:
        for key, value in changes.items():
            app.session_state[key] = value
        app.run()
    assert not app.exception
    return app


def get_widget(app: AppTest, kind: str, key: str) -> Any:
    return next(element for element in getattr(app, kind) if element.key == key)


# ---- form -----------------------------------------------------------------------------------------------------------


def test_page_without_data_says_what_to_load() -> None:
    app = open_page(PAGE)
    assert not app.exception
    text = read_page_text(app)
    assert "No data are loaded" in text
    assert "counts of calls per quarter-hour" in text


def test_page_refuses_data_without_dates(page_workspace: Workspace, calls: Dataset) -> None:
    frame = calls.filter_rows(["T1"]).frame.reset_index()
    frame["time"] = np.arange(len(frame))
    undated = Dataset(frame.set_index(["entity", "time"]), "tidy_series", files=("rows.csv",))
    app = open_page(PAGE, dataset=page_workspace.datasets.save(undated))
    assert not app.exception
    assert "this analysis needs them" in read_page_text(app)
    assert "intervals-ask" not in [button.key for button in app.button]


def test_page_runs_intervals(page_workspace: Workspace, digest: str) -> None:
    app = open_page(PAGE, dataset=digest)
    assert not app.exception
    measures = get_widget(app, "multiselect", "intervals-value")
    assert (measures.options, measures.value) == (["total", "ccr"], ["total"])
    assert not get_widget(app, "selectbox", "intervals-attempts").disabled
    measures.set_value(["total", "ccr"]).run()
    assert get_widget(app, "selectbox", "intervals-attempts").disabled
    get_widget(app, "selectbox", "intervals-forecaster").set_value("seasonal-naive").run()
    get_widget(app, "checkbox", "intervals-horizon-wanted").set_value(True).run()
    get_widget(app, "select_slider", "intervals-horizon").set_value(24).run()
    get_widget(app, "selectbox", "intervals-spike_threshold").set_value("number").run()
    get_widget(app, "number_input", "intervals-spike_distance").set_value(5000.0).run()
    before = len(list(page_workspace.events.read_events()))
    app = wait_for_job(click_button(app, "intervals-ask"))
    assert not app.exception
    assert not app.error
    [event] = list(page_workspace.events.read_events())[before:]
    assert app.query_params["run"] == event.run_id
    assert event.application_name == "Vigie page intervals"
    assert "should be outside the interval" in read_page_text(app)


def test_page_shows_job_error(page_workspace: Workspace, calls: Dataset) -> None:
    short = page_workspace.datasets.save(calls.filter_rows(end=calls.time.min() + pd.Timedelta(days=1)))
    app = wait_for_job(click_button(open_page(PAGE, dataset=short), "intervals-ask"))
    assert not app.exception
    assert "too few" in app.error[0].value


# ---- result ---------------------------------------------------------------------------------------------------------


def test_result_counts_events_and_states_promise(digest: str, saved_result: tuple[Intervals, str]) -> None:
    result, run = saved_result
    app = open_result(digest, run)
    metrics = {metric.label: metric for metric in app.metric}
    assert list(metrics) == ["Events", "Points outside", "Skill", "Seconds", "g CO₂"]
    assert int(metrics["Events"].value) == len(result.events)
    critical = int((result.events["severity"] == "critical").sum())
    assert metrics["Events"].delta.startswith(f"★ critical {critical}")
    assert get_widget(app, "button_group", "interval-severity").options[0] == f"★ critical ({critical})"
    assert metrics["Points outside"].delta == "expected 5%"
    assert metrics["Skill"].value == "–"
    assert "**5% of usual points should be outside the interval; " in read_page_text(app)


def test_result_lists_worst_event_first_and_describes_it(digest: str, saved_result: tuple[Intervals, str]) -> None:
    result, run = saved_result
    app = open_result(digest, run)
    table = app.dataframe[0].value
    assert len(table) == len(result.events)
    worst = result.events.iloc[0]
    assert table["entity"].iloc[0] == worst["entity"]
    assert list(table)[:5] == ["severity", "entity", "measure", "start", "y"]
    text = read_page_text(app)
    assert f"**#1 · ★ critical · {worst['entity']} · {worst['measure']} · " in text
    assert get_widget(app, "selectbox", "interval-entity").value == worst["entity"]
    assert get_widget(app, "selectbox", "interval-measure").value == worst["measure"]
    downloads = [button.label for button in app.get("download_button")]
    assert {"Events (CSV)", "Events (Parquet)", "Points (CSV)", "Points (Parquet)"} <= set(downloads)


def test_result_filters_events(digest: str, saved_result: tuple[Intervals, str]) -> None:
    result, run = saved_result
    app = open_result(digest, run)
    get_widget(app, "button_group", "interval-kind").set_value(["low"]).run()
    assert not app.exception
    assert len(app.dataframe[0].value) == (result.events["kind"] == "low").sum()
    assert (app.dataframe[0].value["kind"] == "▼ too low").all()


@pytest.mark.parametrize("resolution", ["step", "day"])
def test_result_shows_other_series_and_resolution(
    digest: str, saved_result: tuple[Intervals, str], resolution: str
) -> None:
    app = open_result(digest, saved_result[1])
    get_widget(app, "selectbox", "interval-entity").set_value("T2").run()
    get_widget(app, "toggle", "interval-log").set_value(True).run()
    get_widget(app, "segmented_control", "interval-resolution").set_value(resolution).run()
    assert not app.exception
    assert get_widget(app, "selectbox", "interval-entity").value == "T2"
    assert ("have no interval here" in read_page_text(app)) == (resolution == "day")


def test_verdict_is_saved_and_shown(
    page_workspace: Workspace, digest: str, saved_result: tuple[Intervals, str]
) -> None:
    result, run = saved_result
    app = open_result(digest, run)
    choice = next(group for group in app.segmented_control if str(group.key).startswith("verdict-choice"))
    choice.set_value("true_alarm").run()
    key = next(str(button.key) for button in app.button if str(button.key).startswith("verdict-save"))
    app = click_button(app, key)
    assert not app.exception
    [record] = page_workspace.feedback.read_records()
    worst = result.events.iloc[0]
    assert record.row is not None
    assert (record.verdict, record.row["measure"], record.row["entity"]) == (
        "true_alarm",
        worst["measure"],
        worst["entity"],
    )
    assert app.dataframe[0].value["verdict"].iloc[0] == "✓ true alarm"
    assert (app.dataframe[0].value["verdict"] != "").sum() == 1


def test_now_lists_every_series_worst_first(digest: str, saved_result: tuple[Intervals, str]) -> None:
    app = open_result(digest, saved_result[1], "Outside now")
    table = app.dataframe[0].value
    assert len(table) == 4
    text = read_page_text(app)
    assert "of 4 series are outside their interval" in text
    assert "Series without a value at that time: 2" in text


def test_quality_compares_with_seasonal_naive(digest: str, saved_result: tuple[Intervals, str]) -> None:
    app = open_result(digest, saved_result[1], "Quality")
    text = read_page_text(app)
    assert "MASE (season of 168 steps)" in text
    assert "| 50% interval | 50% |" in text
    get_widget(app, "segmented_control", "interval-grouping").set_value("entity").run()
    assert not app.exception


def test_quality_lists_settings_tried(
    saved_result: tuple[Intervals, str], digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = pd.DataFrame({"trial": [1, 2], "epochs": [5, 20], "mwql": [0.08, 0.05], "seconds": [3.0, 9.0]})
    searched = replace(saved_result[0], trials=trials)
    monkeypatch.setattr("pages.components.task_page.load_task_result", lambda run, workspace: searched)
    app = open_result(digest, saved_result[1], "Quality")
    assert list(app.dataframe[0].value["trial"]) == [2, 1]


def test_model_worse_than_seasonal_naive_is_said(
    saved_result: tuple[Intervals, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = saved_result
    scores = result.scores
    worse = replace(result, scores=pd.concat([scores.assign(model="forest", mwql=1.5 * scores["mwql"]), scores]))
    warnings: list[str] = []
    monkeypatch.setattr(st, "warning", lambda text, **options: warnings.append(text))
    intervals_view.show_warnings(worse)
    assert "total: forest forecasts worse than seasonal naive" in warnings[0]
    assert "50% higher" in warnings[0]
    warnings.clear()
    better = replace(result, scores=pd.concat([scores.assign(model="forest", mwql=0.5 * scores["mwql"]), scores]))
    intervals_view.show_warnings(better)
    assert not [text for text in warnings if "worse" in text]


def test_result_without_its_data_is_shown(
    page_workspace: Workspace, calls: Dataset, saved_result: tuple[Intervals, str]
) -> None:
    other = page_workspace.datasets.save(calls.filter_rows(["T1"]))
    app = open_result(other, saved_result[1])
    assert "belongs to other data" in app.warning[0].value
    assert len(app.dataframe)


# ---- result of a folder ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder_run(
    module_workspace: Workspace, calls: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FolderIntervals, str]:
    """Intervals of a folder with two files, of which one cannot be judged, and the id of the run."""
    folder = tmp_path_factory.mktemp("folder")
    table = calls.frame[["total"]].reset_index().rename(columns={"entity": "trunk", "time": "timestamp"})
    table.to_csv(folder / "calls.csv", index=False)
    table.head(10).to_csv(folder / "short.csv", index=False)
    spec = IntervalsFolderSpec(str(folder), str(tmp_path_factory.mktemp("out")), forecaster=SeasonalNaive(), horizon=24)
    result, run = judge_folder(spec, workspace=module_workspace, actor=BOB)
    return result, run.id


@pytest.mark.parametrize("has_data", [False, True])
def test_folder_result_opens_by_its_address(
    digest: str, folder_run: tuple[FolderIntervals, str], has_data: bool
) -> None:
    """The run needs no data; where some are loaded, the settings can be opened."""
    result, run = folder_run
    app = open_page(PAGE, run=run, **({"dataset": digest} if has_data else {}))
    assert not app.exception
    metrics = {metric.label: metric for metric in app.metric}
    assert metrics["Series"].value == "2"
    assert metrics["Skipped files"].value == "1"
    assert metrics["Points outside"].delta == "expected 5%"
    assert int(metrics["Events"].value) == result.event_count > 0
    assert metrics["Events"].delta.startswith(("★ critical", "▲ high"))
    text = read_page_text(app)
    assert "**5% of usual points should be outside the interval; " in text
    assert "No data are loaded" not in text
    assert app.code[0].value == result.spec.out
    events = next(table.value for table in app.dataframe if "severity" in table.value)
    assert list(events["entity"]) == list(result.events["entity"])
    skipped = next(table.value for table in app.dataframe if "reason" in table.value)
    assert list(skipped["file"]) == ["short.csv"]
    assert "has its own model" in text
    assert {"Events (CSV)", "Events (Parquet)"} <= {button.label for button in app.get("download_button")}
    app = open_form(app, "intervals")
    assert ("intervals-ask" in [button.key for button in app.button]) == has_data
