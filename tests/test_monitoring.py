"""Monitoring: figures of hand-written events, Elasticsearch compared with the event files, the page."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.operations import monitoring
from core.operations import monitoring_figures as figures
from core.operations.monitoring import observed
from core.runs.tracked_run import tracked_run
from core.storage.events.arrow import of_events, of_log
from core.storage.events.elasticsearch import EventStream
from core.storage.events.log import Details, EntityCount, Event, Events
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import free_port
from tests.servers import Running, elasticsearch
from tests.test_pages import at, opened, texts  # noqa: F401

PAGE = "operations/monitoring.py"
NOW = datetime.now(UTC).replace(microsecond=0)


def event(
    minutes: float, model: str | None = None, status: str = "completed", seconds: float = 1.0, **given: Any
) -> Event:
    """Return an event that happened this many minutes ago."""
    levels = {"completed": "INFO", "failed": "ERROR", "interrupted": "WARNING"}
    values: dict[str, Any] = {
        "timestamp": NOW - timedelta(minutes=minutes),
        "event": "model_execution" if model else "data_load",
        "model_name": model,
        "model_version": "0.1" if model else None,
        "status": status,
        "log_level": levels[status],
        "response_time": seconds,
        "application_name": "Vigie page anomalies" if model else "Vigie page data",
        "user": "ada",
        "cpu_usage": 10 * seconds,
        "memory_usage": 50.0,
        "emissions_kg": 1e-6 * seconds if model else None,
    }
    return Event(**values | given)


def found_in(*entities: tuple[str, int]) -> Details:
    return Details(anomalies_by_entity=[EntityCount(entity=entity, count=count) for entity, count in entities])


EVENTS = [
    event(10, "Forest", seconds=1.0, details=found_in(("north", 3), ("south", 1))),
    event(20, "Forest", seconds=2.0, user="bob", details=found_in(("north", 2))),
    event(30, "Forest", "failed", seconds=3.0, error_type="DataError", error_message="no rows"),
    event(40, "KMeans", "interrupted", seconds=10.0, application_name="Vigie page clusters", model_version="0.2"),
    event(50, status="failed", seconds=0.5, user=None, error_type="UnreadableFileError", error_message="no zip"),
    event(3 * 24 * 60, "Forest", seconds=4.5),
    event(60 * 24 * 60, "KMeans", seconds=5.0),
]


def workspace_with(events: list[Event], folder: Path) -> Workspace:
    workspace = Workspace.in_folder(folder, Tracking("sqlite://", None, folder / "runs"))
    for each in reversed(events):
        workspace.events.add(each)
    return workspace


@pytest.fixture
def used(tmp_path: Path) -> Workspace:
    return workspace_with(EVENTS, tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    server = elasticsearch(tmp_path_factory.mktemp("elastic") / "server")
    yield server.start()
    server.kill()


# ---- figures of hand-written events --------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "count"), [("hour", 5), ("day", 5), ("week", 6), ("month", 6), ("all", 7)])
def test_periods(tmp_path: Path, period: str, count: int) -> None:
    """The events are shifted to the time of this test, because NOW may be many minutes old in a long suite."""
    delay = datetime.now(UTC) - NOW
    events = [each.model_copy(update={"timestamp": each.timestamp + delay}) for each in EVENTS]
    assert len(observed(workspace_with(events, tmp_path), period).table) == count


def test_what_is_told_first(used: Workspace) -> None:
    told = monitoring.figures(observed(used, "day").table)
    assert (told.actions, told.failed, told.users) == (5, 0.4, 2)
    assert (told.p50, told.p95) == (2.0, pytest.approx(np.quantile([0.5, 1, 2, 3, 10], 0.95)))


def test_runs_per_model(used: Workspace) -> None:
    table = monitoring.per_model(observed(used, "day").table)
    assert table.to_dict("records") == [
        {
            "application": "Vigie page anomalies",
            "model": "Forest",
            "runs": 3,
            "completed": 2,
            "failed": 1,
            "interrupted": 0,
            "p50": 2.0,
            "p95": pytest.approx(2.9),
            "cpu": 20.0,
            "memory": 50.0,
            "versions": 1,
        },
        {
            "application": "Vigie page clusters",
            "model": "KMeans",
            "runs": 1,
            "completed": 0,
            "failed": 0,
            "interrupted": 1,
            "p50": 10.0,
            "p95": 10.0,
            "cpu": 100.0,
            "memory": 50.0,
            "versions": 1,
        },
    ]


def test_over_time(used: Workspace) -> None:
    steps = monitoring.over_time(observed(used, "day").table)
    assert (steps["actions"].sum(), steps["failed"].sum()) == (5, 2)
    assert len(steps) == 5, "one step every ten minutes"
    assert steps["cpu"].tolist() == [5.0, 100.0, 30.0, 20.0, 10.0]
    assert len(monitoring.over_time(observed(used, "all").table)) <= monitoring.MOST_STEPS


def test_anomalies_per_entity(used: Workspace) -> None:
    table = monitoring.anomalies_per_entity(observed(used, "all"))
    assert table.to_dict("records") == [
        {"entity": "north", "model": "Forest", "runs": 2, "anomalies": 5},
        {"entity": "south", "model": "Forest", "runs": 1, "anomalies": 1},
    ]


def test_errors_are_newest_first(used: Workspace) -> None:
    table = monitoring.errors(observed(used, "day").table)
    assert table["error"].tolist() == ["no rows", "no zip"]
    assert table["time"].iloc[0] == pd.Timestamp(NOW - timedelta(minutes=30)).tz_localize(None)


def test_emissions(used: Workspace) -> None:
    table = monitoring.emissions(observed(used, "all").table).set_index("model")
    assert table.loc["Forest", "kg"] == pytest.approx(10.5e-6)
    assert table.loc["KMeans", ["runs", "hours", "kg", "grams_per_run"]].tolist() == pytest.approx(
        [2, 15 / 3600, 15e-6, 7.5e-3]
    )


def test_filters(used: Workspace) -> None:
    found = observed(used, "all")
    assert len(monitoring.filtered(found).table) == 7
    some = monitoring.filtered(found, model=["Forest"], status=["completed", "failed"], application=[])
    assert len(some.table) == 4
    assert monitoring.anomalies_per_entity(some)["anomalies"].tolist() == [5, 1]
    assert monitoring.anomalies_per_entity(monitoring.filtered(found, model=["KMeans"])).empty


# ---- both sources --------------------------------------------------------------------------------------------------


def test_elasticsearch_and_files_say_the_same(used: Workspace, server: Running) -> None:
    stream = EventStream(used.events.folder, server.url)
    stream.deliver_pending()
    stream._client().indices.refresh(index="vigie-events")
    for period in monitoring.PERIODS:
        here, there = observed(used, period), observed(replace(used, event_stream=stream), period)
        assert (here.source, there.source, there.why) == ("files", "elasticsearch", None)
        for each in (monitoring.per_model, monitoring.over_time, monitoring.errors, monitoring.emissions):
            pd.testing.assert_frame_equal(each(here.table), each(there.table), check_categorical=False)
        pd.testing.assert_frame_equal(
            monitoring.anomalies_per_entity(here), monitoring.anomalies_per_entity(there), check_categorical=False
        )
        assert monitoring.figures(here.table) == monitoring.figures(there.table)


def test_a_dead_elasticsearch_is_replaced_by_the_files(used: Workspace) -> None:
    dead = EventStream(used.events.folder, f"http://127.0.0.1:{free_port()}")
    dead.pending_count()
    began = time.monotonic()
    found = observed(replace(used, event_stream=dead), "all")
    assert time.monotonic() - began < 10
    assert (found.source, len(found.table)) == ("files", 7)
    assert "Elasticsearch does not answer" in str(found.why)


# ---- the files as columns ------------------------------------------------------------------------------------------


def test_columns_are_the_events(used: Workspace) -> None:
    columns, capped = of_log(used.events)
    assert columns.to_pylist() == of_events(used.events.read()).to_pylist()
    assert not capped


def test_a_bad_line_costs_itself_alone(used: Workspace) -> None:
    path = used.events.files()[-1]
    whole = len(observed(used, "all").table)
    for bad in ("{", '{"timestamp": "2026-11-', "[1]", '{"response_time": "fast"}', "\x00", ""):
        with path.open("a") as file:
            file.write(bad + "\n")
        assert len(observed(used, "all").table) == whole, bad


def test_lines_that_are_json_and_no_events_are_left_out(used: Workspace) -> None:
    whole = len(observed(used, "all").table)
    with used.events.files()[-1].open("a") as file:
        for change in ({"status": "odd"}, {"timestamp": "yesterday"}, {"response_time": None}):
            file.write(json.dumps(json.loads(EVENTS[0].line()) | change) + "\n")
    assert len(observed(used, "all").table) == whole


def test_lines_of_earlier_versions_count(tmp_path: Path) -> None:
    log = Events(tmp_path)
    old = {
        name: value
        for name, value in json.loads(EVENTS[0].line()).items()
        if name not in ("user", "emissions_kg", "details")
    }
    (tmp_path / "events-2026-11.jsonl").write_text(json.dumps(old) + "\n")
    found = monitoring.tables(of_log(log)[0])
    assert (len(found.table), len(found.entities), found.table["user"].isna().all()) == (1, 0, True)


def test_only_the_newest_are_kept(used: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.events.arrow.BLOCK", 600)
    columns, capped = of_log(used.events, most=3)
    assert capped
    assert columns["timestamp"].to_pylist() == [json.loads(each.line())["timestamp"] for each in reversed(EVENTS[:3])]


def test_months_of_files_are_passed_over(used: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (used.events.folder / "events-2020-01.jsonl").mkdir()  # a folder: opening it as a file fails
    assert len(observed(used, "week").table) == 6
    assert len(used.events.read(NOW - timedelta(minutes=35))) == 3


def test_a_hundred_thousand_events_are_quick(tmp_path: Path) -> None:
    """Limit in processor seconds, because the test machines are shared; measured: 0.6 s."""
    chance = random.Random(0)
    lines = [each.line() for each in EVENTS]
    (tmp_path / "events-2026-11.jsonl").write_text("".join(chance.choice(lines) for _ in range(100_000)))
    began = time.process_time()
    found = monitoring.tables(of_log(Events(tmp_path))[0])
    monitoring.per_model(found.table)
    monitoring.over_time(found.table)
    assert time.process_time() - began < 3
    assert len(found.table) == 100_000


# ---- events of runs ------------------------------------------------------------------------------------------------


def test_a_run_tells_emissions_and_entities(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    from tests.conftest import workplace_in

    here = workplace_in(tmp_path, empty_store)
    with tracked_run("anomalies", "Forest", {}, sample, Actor("ada"), here) as run:
        run.anomalies_by_entity = {f"site {number:02}": number for number in range(60)}
    [written] = here.events.read()
    assert written.emissions_kg == run.emissions_kg
    named = written.details.anomalies_by_entity
    assert named is not None
    assert [(each.entity, each.count) for each in named][:2] == [("site 59", 59), ("site 58", 58)]
    assert len(named) == 50


# ---- figures and page ----------------------------------------------------------------------------------------------


def test_figures_draw_what_the_tables_say(used: Workspace) -> None:
    found = observed(used, "all")
    bars = figures.runs_per_model(monitoring.per_model(found.table))
    assert {bar.name: sum(bar.x) for bar in bars.data} == {"completed": 4, "failed": 1, "interrupted": 1}
    steps = monitoring.over_time(found.table)
    assert [len(line.x) for line in figures.seconds_over_time(steps).data] == [len(steps)] * 2
    assert sum(figures.anomalies_per_entity(monitoring.anomalies_per_entity(found)).data[0].x) == 6
    assert sum(figures.emissions_per_model(monitoring.emissions(found.table)).data[0].x) == pytest.approx(25.5e-3)
    then, now = np.array([1.0, np.nan, 3.0]), np.array([2.0, 2.0])
    assert sum(figures.both_histograms(then, now, "MWh").data[1].y) == pytest.approx(100)
    assert len(figures.then_and_now(then, np.full(2, np.nan), "MWh").data) == 0


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def view(app: AppTest, name: str) -> AppTest:
    app.session_state["monitoring-view"] = name
    return app.run()


def test_the_empty_page_says_what_will_be_seen(at: Workspace) -> None:  # noqa: F811
    app = opened(PAGE)
    assert not app.exception
    assert "Nothing has been recorded in this period" in texts(app)
    app.session_state["monitoring-period"] = "all"
    assert "Every file loaded and every model run leaves one line here" in texts(app.run())


def test_the_page_shows_figures_and_views(at: Workspace) -> None:  # noqa: F811
    for each in reversed(EVENTS):
        at.events.add(each)
    app = opened(PAGE)
    assert not app.exception
    assert metrics(app) == {
        "Actions": "6",
        "Failed": "33.33%",
        "Response time p50": "2.5 s",
        "Response time p95": "8.62 s",
        "Users": "2",
    }
    assert "no Elasticsearch is named" in texts(app)
    for name in ("Runs", "Response time", "Processor and memory", "Anomalies", "Errors", "Emissions"):
        app = view(app, name)
        assert not app.exception, name
        assert len(app.dataframe) == 1, name
    assert metrics(app)["g CO₂ together"] == "0.0205"
    assert "not for accounts" in texts(app)


def test_filters_of_the_page(at: Workspace) -> None:  # noqa: F811
    for each in EVENTS:
        at.events.add(each)
    app = opened(PAGE)
    models = next(each for each in app.multiselect if each.key == "monitoring-model")
    assert metrics(models.set_value(["KMeans"]).run())["Actions"] == "1"
    statuses = next(each for each in app.multiselect if each.key == "monitoring-status")
    app = statuses.set_value(["failed"]).run()
    assert "No action has these properties" in texts(app)


def test_refresh_sees_what_came_meanwhile(at: Workspace) -> None:  # noqa: F811
    at.events.add(EVENTS[0])
    app = opened(PAGE)
    at.events.add(EVENTS[1])
    assert metrics(app.run())["Actions"] == "1", "the page caches the events"
    button = next(each for each in app.button if each.key == "monitoring-refresh")
    assert metrics(button.click().run())["Actions"] == "2"


def test_the_page_falls_back_and_says_why(at: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    dead = replace(at, event_stream=EventStream(at.events.folder, f"http://127.0.0.1:{free_port()}"))
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: dead)
    at.events.add(EVENTS[0])
    app = opened(PAGE)
    assert not app.exception
    assert "From the event files of this machine: Elasticsearch does not answer" in texts(app)
    assert metrics(app)["Actions"] == "1"


def test_drift_on_the_page(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    detect(DetectionSpec(compare_with="entity"), sample, workspace=at, actor=Actor("ada", "tests"))
    at.datasets.save(sample)
    shifted = sample.replace(frame=sample.frame.copy())
    shifted.frame.iloc[:, 3] *= 4
    at.datasets.save(shifted)
    st.cache_data.clear()
    app = view(opened(PAGE), "Drift")
    assert not app.exception
    chosen = next(each for each in app.selectbox if each.key == "drift-dataset")
    app = chosen.set_value(next(each for each in at.datasets.recent() if each.digest == shifted.digest)).run()
    app = next(each for each in app.button if each.key == "drift-compare").click().run()
    assert not app.exception
    assert not app.error
    told = {metric.label: metric.value for metric in app.metric}
    assert told["Major"] == str(len(sample.entities))
    assert sample.columns[3] in [header.value.rpartition(" · ")[2] for header in app.subheader]
    assert at.events.read()[-1].event == "drift_check"
