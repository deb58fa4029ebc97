"""Monitoring: figures of hand-written events, Elasticsearch compared with the event files, the page."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.accounts.passwords import check_password
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import OptionError
from core.operations import monitoring
from core.operations import monitoring_figures as figures
from core.operations.monitoring import load_events
from core.runs.tracked_run import record_event, track_run
from core.storage.events.arrow import events_to_table, log_to_table
from core.storage.events.elasticsearch import EventStream
from core.storage.events.log import Details, EntityCount, Event, EventLog
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import assert_no_hang, find_free_port, run_worker, wait_for_answers
from tests.support.app_pages import open_page, read_page_text
from tests.support.servers import ServerProcess, make_elasticsearch_server

PAGE = "operations/monitoring.py"
NOW = datetime.now(UTC).replace(microsecond=0)


def make_event(
    minutes_ago: float, model: str | None = None, status: str = "completed", seconds: float = 1.0, **overrides: Any
) -> Event:
    """Return an event that happened this many minutes ago."""
    levels = {"completed": "INFO", "failed": "ERROR", "interrupted": "WARNING"}
    values: dict[str, Any] = {
        "timestamp": NOW - timedelta(minutes=minutes_ago),
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
    return Event(**values | overrides)


def make_anomaly_details(*counts: tuple[str, int]) -> Details:
    return Details(anomalies_by_entity=[EntityCount(entity=entity, count=count) for entity, count in counts])


EVENTS = [
    make_event(10, "Forest", seconds=1.0, details=make_anomaly_details(("north", 3), ("south", 1))),
    make_event(20, "Forest", seconds=2.0, user="bob", details=make_anomaly_details(("north", 2))),
    make_event(30, "Forest", "failed", seconds=3.0, error_type="DataError", error_message="no rows"),
    make_event(40, "KMeans", "interrupted", seconds=10.0, application_name="Vigie page clusters", model_version="0.2"),
    make_event(50, status="failed", seconds=0.5, user=None, error_type="UnreadableFileError", error_message="no zip"),
    make_event(3 * 24 * 60, "Forest", seconds=4.5),
    make_event(60 * 24 * 60, "KMeans", seconds=5.0),
]


def make_workspace(events: list[Event], folder: Path) -> Workspace:
    workspace = Workspace.in_folder(folder, Tracking("sqlite://", None, folder / "runs"))
    for event in reversed(events):
        workspace.events.add(event)
    return workspace


@pytest.fixture
def used_workspace(tmp_path: Path) -> Workspace:
    return make_workspace(EVENTS, tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = make_elasticsearch_server(tmp_path_factory.mktemp("elastic") / "server")
    yield server.start()
    server.kill()


# ---- figures of hand-written events --------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "count"), [("hour", 5), ("day", 5), ("week", 6), ("month", 6), ("all", 7)])
def test_monitoring_filters_by_period(tmp_path: Path, period: str, count: int) -> None:
    """The events are shifted to the time of this test, because NOW may be many minutes old in a long suite."""
    delay = datetime.now(UTC) - NOW
    events = [event.model_copy(update={"timestamp": event.timestamp + delay}) for event in EVENTS]
    assert len(load_events(make_workspace(events, tmp_path), period).table) == count


def test_monitoring_summarises_usage(used_workspace: Workspace) -> None:
    summary = monitoring.summarise_usage(load_events(used_workspace, "day").table)
    assert (summary.actions, summary.failed_share, summary.users) == (5, 0.4, 2)
    assert (summary.p50, summary.p95) == (2.0, pytest.approx(np.quantile([0.5, 1, 2, 3, 10], 0.95)))


def test_monitoring_counts_refused_passwords(tmp_path: Path) -> None:
    workspace, passwords = make_workspace(EVENTS, tmp_path), ["14/07/1989", "qsdfghjklm", "short"]
    for password in passwords:
        with (
            suppress(OptionError),
            record_event("account_change", Actor("ada", "Vigie page account"), workspace, change="own password"),
        ):
            check_password(password, "ada")
    events = load_events(workspace, "all")
    assert monitoring.summarise_usage(events.table).weak_passwords == 3
    reasons = monitoring.list_errors(events.table)["error"].astype(str).tolist()
    assert [reason.partition(". ")[2] for reason in reasons[:3]] == [
        "Accepted are 10 to 200 characters.",
        "It consists mostly of neighbouring keys.",
        "It consists mostly of a date or a year.",
    ]
    log = "".join(path.read_text() for path in workspace.events.list_files())
    assert not [password for password in passwords if f'"{password}"' in log]


def test_monitoring_counts_runs_per_model(used_workspace: Workspace) -> None:
    table = monitoring.summarise_per_model(load_events(used_workspace, "day").table)
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


def test_monitoring_aggregates_over_time(used_workspace: Workspace) -> None:
    steps = monitoring.summarise_over_time(load_events(used_workspace, "day").table)
    assert (steps["actions"].sum(), steps["failed"].sum()) == (5, 2)
    assert len(steps) == 5, "one step every ten minutes"
    assert steps["cpu"].tolist() == [5.0, 100.0, 30.0, 20.0, 10.0]
    assert len(monitoring.summarise_over_time(load_events(used_workspace, "all").table)) <= monitoring.MAX_BINS


def test_monitoring_counts_anomalies_per_entity(used_workspace: Workspace) -> None:
    table = monitoring.count_anomalies_per_entity(load_events(used_workspace, "all"))
    assert table.to_dict("records") == [
        {"entity": "north", "model": "Forest", "runs": 2, "anomalies": 5},
        {"entity": "south", "model": "Forest", "runs": 1, "anomalies": 1},
    ]


def test_monitoring_lists_newest_errors_first(used_workspace: Workspace) -> None:
    table = monitoring.list_errors(load_events(used_workspace, "day").table)
    assert table["error"].tolist() == ["no rows", "no zip"]
    assert table["time"].iloc[0] == pd.Timestamp(NOW - timedelta(minutes=30))


def test_monitoring_sums_emissions_per_model(used_workspace: Workspace) -> None:
    table = monitoring.sum_emissions(load_events(used_workspace, "all").table).set_index("model")
    assert table.loc["Forest", "kg"] == pytest.approx(10.5e-6)
    assert table.loc["KMeans", ["runs", "hours", "kg", "grams_per_run"]].tolist() == pytest.approx(
        [2, 15 / 3600, 15e-6, 7.5e-3]
    )


def test_monitoring_filters_by_model_and_status(used_workspace: Workspace) -> None:
    all_events = load_events(used_workspace, "all")
    assert len(monitoring.filter_events(all_events).table) == 7
    filtered_events = monitoring.filter_events(
        all_events, model=["Forest"], status=["completed", "failed"], application=[]
    )
    assert len(filtered_events.table) == 4
    assert monitoring.count_anomalies_per_entity(filtered_events)["anomalies"].tolist() == [5, 1]
    assert monitoring.count_anomalies_per_entity(monitoring.filter_events(all_events, model=["KMeans"])).empty


# ---- both sources --------------------------------------------------------------------------------------------------


def test_monitoring_elasticsearch_matches_files(used_workspace: Workspace, server: ServerProcess) -> None:
    stream = EventStream(used_workspace.events.folder, server.url)
    stream.deliver_pending()
    stream._get_client().indices.refresh(index="vigie-events")
    for period in monitoring.PERIODS:
        from_files, from_elasticsearch = (
            load_events(used_workspace, period),
            load_events(replace(used_workspace, event_stream=stream), period),
        )
        assert (from_files.source, from_elasticsearch.source, from_elasticsearch.fallback_reason) == (
            "files",
            "elasticsearch",
            None,
        )
        for aggregate in (
            monitoring.summarise_per_model,
            monitoring.summarise_over_time,
            monitoring.list_errors,
            monitoring.sum_emissions,
        ):
            pd.testing.assert_frame_equal(
                aggregate(from_files.table), aggregate(from_elasticsearch.table), check_categorical=False
            )
        pd.testing.assert_frame_equal(
            monitoring.count_anomalies_per_entity(from_files),
            monitoring.count_anomalies_per_entity(from_elasticsearch),
            check_categorical=False,
        )
        assert monitoring.summarise_usage(from_files.table) == monitoring.summarise_usage(from_elasticsearch.table)


def test_monitoring_falls_back_to_files(used_workspace: Workspace) -> None:
    dead_stream = EventStream(used_workspace.events.folder, f"http://127.0.0.1:{find_free_port()}")
    dead_stream.count_pending()
    with assert_no_hang():
        all_events = load_events(replace(used_workspace, event_stream=dead_stream), "all")
    assert (all_events.source, len(all_events.table)) == ("files", 7)
    assert "Elasticsearch does not answer" in str(all_events.fallback_reason)


# ---- the files as columns ------------------------------------------------------------------------------------------


def test_event_columns_match_events(used_workspace: Workspace) -> None:
    columns, capped = log_to_table(used_workspace.events)
    assert columns.to_pylist() == events_to_table(used_workspace.events.read_events()).to_pylist()
    assert not capped


def test_event_columns_skip_invalid_line(used_workspace: Workspace) -> None:
    path = used_workspace.events.list_files()[-1]
    count = len(load_events(used_workspace, "all").table)
    for invalid_line in ("{", '{"timestamp": "2026-11-', "[1]", '{"response_time": "fast"}', "\x00", ""):
        with path.open("a") as file:
            file.write(invalid_line + "\n")
        assert len(load_events(used_workspace, "all").table) == count, invalid_line


def test_event_columns_skip_json_without_event(used_workspace: Workspace) -> None:
    count = len(load_events(used_workspace, "all").table)
    with used_workspace.events.list_files()[-1].open("a") as file:
        for change in ({"status": "odd"}, {"timestamp": "yesterday"}, {"response_time": None}):
            file.write(json.dumps(json.loads(EVENTS[0].to_json_line()) | change) + "\n")
    assert len(load_events(used_workspace, "all").table) == count


def test_event_columns_accept_earlier_versions(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    old_event = {
        name: value
        for name, value in json.loads(EVENTS[0].to_json_line()).items()
        if name not in ("user", "emissions_kg", "details")
    }
    (tmp_path / "events-2026-11.jsonl").write_text(json.dumps(old_event) + "\n")
    events = monitoring.build_tables(log_to_table(log)[0])
    assert (len(events.table), len(events.entities), events.table["user"].isna().all()) == (1, 0, True)


def test_event_columns_keep_newest_events(used_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.events.arrow.BLOCK_BYTES", 600)
    columns, capped = log_to_table(used_workspace.events, max_events=3)
    assert capped
    assert columns["timestamp"].to_pylist() == [
        json.loads(event.to_json_line())["timestamp"] for event in reversed(EVENTS[:3])
    ]


def test_event_log_skips_files_before_period(used_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (used_workspace.events.folder / "events-2020-01.jsonl").mkdir()  # a folder: opening it as a file fails
    assert len(load_events(used_workspace, "week").table) == 6
    assert len(used_workspace.events.read_events(NOW - timedelta(minutes=35))) == 3


def test_monitoring_reads_100000_events_quickly(tmp_path: Path) -> None:
    """Limit in processor seconds, because the test machines are shared; measured: 0.6 s."""
    rng = random.Random(0)
    lines = [event.to_json_line() for event in EVENTS]
    (tmp_path / "events-2026-11.jsonl").write_text("".join(rng.choice(lines) for _ in range(100_000)))
    start = time.process_time()
    events = monitoring.build_tables(log_to_table(EventLog(tmp_path))[0])
    monitoring.summarise_per_model(events.table)
    monitoring.summarise_over_time(events.table)
    assert time.process_time() - start < 3
    assert len(events.table) == 100_000


# ---- events of runs ------------------------------------------------------------------------------------------------


def test_tracked_run_event_has_emissions_and_entities(tmp_path: Path, empty_store: Path, sample: Dataset) -> None:
    from tests.conftest import create_workspace

    workspace = create_workspace(tmp_path, empty_store)
    with track_run("anomalies", "Forest", {}, sample, Actor("ada"), workspace) as run:
        run.anomalies_by_entity = {f"site {number:02}": number for number in range(60)}
    [event] = workspace.events.read_events()
    assert event.emissions_kg == run.emissions_kg
    counts = event.details.anomalies_by_entity
    assert counts is not None
    assert [(entity_count.entity, entity_count.count) for entity_count in counts][:2] == [
        ("site 59", 59),
        ("site 58", 58),
    ]
    assert len(counts) == 50


# ---- figures and page ----------------------------------------------------------------------------------------------


def test_monitoring_figures_match_tables(used_workspace: Workspace) -> None:
    all_events = load_events(used_workspace, "all")
    bars = figures.draw_runs_per_model(monitoring.summarise_per_model(all_events.table))
    assert {bar.name: sum(bar.x) for bar in bars.data} == {"completed": 4, "failed": 1, "interrupted": 1}
    steps = monitoring.summarise_over_time(all_events.table)
    assert [len(line.x) for line in figures.draw_seconds_over_time(steps).data] == [len(steps)] * 2
    assert sum(figures.draw_anomalies_per_entity(monitoring.count_anomalies_per_entity(all_events)).data[0].x) == 6
    assert sum(figures.draw_emissions_per_model(monitoring.sum_emissions(all_events.table)).data[0].x) == pytest.approx(
        25.5e-3
    )
    reference, current = np.array([1.0, np.nan, 3.0]), np.array([2.0, 2.0])
    assert sum(figures.draw_value_histograms(reference, current, "MWh").data[1].y) == pytest.approx(100)
    assert len(figures.draw_quantile_comparison(reference, np.full(2, np.nan), "MWh").data) == 0


def read_metrics(app: AppTest) -> dict[str, str]:
    return {tile.label: tile.value for tile in app.metric}


def open_view(app: AppTest, name: str) -> AppTest:
    app.query_params["view"] = name
    return app.run()


def test_monitoring_page_without_events_explains_itself(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "There are no events in this period" in read_page_text(app)
    app.query_params["period"] = "all"
    assert "Each loaded file and each run of a model is recorded here" in read_page_text(app.run())


def test_monitoring_page_shows_figures_and_views(page_workspace: Workspace) -> None:
    for event in reversed(EVENTS):
        page_workspace.events.add(event)
    app = open_page(PAGE)
    assert not app.exception
    assert read_metrics(app) == {
        "Actions": "6",
        "Failed": "33.33%",
        "Median response time": "2.5 s",
        "95 % of response times": "8.62 s",
        "Users": "2",
        "Refused passwords": "0",
    }
    assert "Elasticsearch is not configured" in read_page_text(app)
    for name in ("runs", "seconds", "load", "anomalies", "errors", "emissions"):
        app = open_view(app, name)
        assert not app.exception, name
        assert len(app.dataframe) == 1, name
    assert read_metrics(app)["g CO₂ in total"] == "0.0205"
    assert "Use the estimate to compare models, not for carbon" in read_page_text(app)


def test_monitoring_page_filters_actions(page_workspace: Workspace) -> None:
    for widget in EVENTS:
        page_workspace.events.add(widget)
    app = open_page(PAGE)
    models = next(widget for widget in app.multiselect if widget.key == "monitoring-model")
    assert read_metrics(models.set_value(["KMeans"]).run())["Actions"] == "1"
    statuses = next(widget for widget in app.multiselect if widget.key == "monitoring-status")
    app = statuses.set_value(["failed"]).run()
    assert "No action matches these filters" in read_page_text(app)


def test_monitoring_page_refresh_shows_new_events(page_workspace: Workspace) -> None:
    page_workspace.events.add(EVENTS[0])
    app = open_page(PAGE)
    page_workspace.events.add(EVENTS[1])
    assert read_metrics(app.run())["Actions"] == "1", "the page caches the events"
    button = next(widget for widget in app.button if widget.key == "monitoring-refresh")
    assert read_metrics(button.click().run())["Actions"] == "2"


def test_monitoring_page_states_reason_of_fallback(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    offline_workspace = replace(
        page_workspace, event_stream=EventStream(page_workspace.events.folder, f"http://127.0.0.1:{find_free_port()}")
    )
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: offline_workspace)
    page_workspace.events.add(EVENTS[0])
    app = open_page(PAGE)
    assert not app.exception
    assert "Source: event files of this machine. Elasticsearch does not answer" in read_page_text(app)
    assert read_metrics(app)["Actions"] == "1"


def test_monitoring_page_compares_drift(page_workspace: Workspace, sample: Dataset) -> None:
    detect(DetectionSpec(baseline="entity"), sample, workspace=page_workspace, actor=Actor("ada", "tests"))
    page_workspace.datasets.save(sample)
    shifted = sample.replace(frame=sample.frame.copy())
    shifted.frame.iloc[:, 3] *= 4
    page_workspace.datasets.save(shifted)
    st.cache_data.clear()
    app = open_view(open_page(PAGE), "drift")
    assert not app.exception
    dataset_box = next(candidate for candidate in app.selectbox if candidate.key == "drift-dataset")
    app = dataset_box.set_value(
        next(candidate for candidate in page_workspace.datasets.list_recent() if candidate.digest == shifted.digest)
    ).run()
    with run_worker(page_workspace):
        app = wait_for_answers(next(button for button in app.button if button.key == "drift-compare").click().run())
    assert not app.exception
    assert not app.error
    tiles = {metric.label: metric.value for metric in app.metric}
    assert tiles["Major"] == str(len(sample.entities))
    assert sample.columns[3] in [header.value.rpartition(" · ")[2] for header in app.header]
    assert page_workspace.events.read_events()[-1].event == "drift_check"
