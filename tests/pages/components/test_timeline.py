"""Period, known events and notes of result pages, in Streamlit's test harness."""

import json
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.operations.notes import NoteInput, add_note, read_notes
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.anomalies.spec import list_detectors as list_row_detectors
from core.tasks.sequences.run import load_sequences, train
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.workspace import Workspace
from tests.support.app_pages import open_page, read_page_text

BOB = Actor("bob", "tests")


@pytest.fixture
def hours() -> Dataset:
    """Three years of two entities at six hours, with two faults."""
    times = pd.date_range("2021-01-01", periods=4 * 1095, freq="6h")
    values = 10 + np.sin(times.hour.to_numpy() / 4) + np.random.default_rng(0).normal(0, 0.1, len(times))
    values[[2500, 4360]] += 9
    index = make_index(["Bretagne"] * len(times) + ["Normandie"] * len(times), times.append(times))
    return Dataset(
        pd.DataFrame({"load": np.tile(values, 2)}, index), "demo", step=pd.Timedelta(hours=6), zone="Europe/Paris"
    )


@pytest.fixture
def sequence_page(page_workspace: Workspace, hours: Dataset) -> dict[str, str]:
    """Address of a result of *Sequences*."""
    digest = page_workspace.datasets.save(hours)
    run = train(SequenceSpec(list_detectors()["moving-mean"]()), hours, workspace=page_workspace, actor=BOB)[1]
    return {"page": "analysis/sequences.py", "dataset": digest, "run": run.id}


def find_widget(app: AppTest, kind: str, key: str) -> Any:
    return next(element for element in app.get(kind) if (element.key or "").startswith(key))


def read_period(app: AppTest) -> str:
    value = app.query_params["period"]
    return value if isinstance(value, str) else value[0]


def read_axis_ranges(app: AppTest) -> list[list[str]]:
    """Return the range of the time axis of every chart."""
    layouts = [json.loads(chart.proto.spec)["layout"] for chart in app.get("plotly_chart")]
    return [layout["xaxis"]["range"] for layout in layouts if "range" in layout.get("xaxis", {})]


def read_trace_names(app: AppTest) -> list[str]:
    """Return the names of the traces of all charts."""
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return [trace.get("name", "") for spec in specs for trace in spec["data"]]


def list_starts(app: AppTest) -> list[pd.Timestamp]:
    return next(list(table.value["start"]) for table in app.dataframe if "start" in table.value)


def test_period_of_address_moves_charts_and_lists(sequence_page: dict[str, str], page_workspace: Workspace) -> None:
    events = load_sequences(sequence_page["run"], page_workspace).events
    app = open_page(**sequence_page)
    assert not app.exception
    assert set(list_starts(app)) == set(events["start"])
    assert "known events are not drawn" in read_page_text(app)
    app = find_widget(app, "button_group", "period-chip").set_value("30d").run()
    assert read_period(app) == "30d"
    shown = [starts for starts in events["start"] if starts >= pd.Timestamp("2023-12-02")]
    assert sorted(list_starts(app)) == sorted(shown)
    assert 0 < len(shown) < len(events)
    ranges = read_axis_ranges(app)
    assert len(ranges) >= 2
    assert {(start[:10], end[:10]) for start, end in ranges[:2]} == {("2023-12-02", "2024-01-01")}
    assert "school break" in read_trace_names(app)
    assert "known events are not drawn" not in read_page_text(app)
    again = open_page(**sequence_page, period="winter-2022")
    assert find_widget(again, "selectbox", "period-named").value == "winter-2022"
    assert "1 Dec 2022 to 28 Feb 2023" in read_page_text(again)
    outside = open_page(**sequence_page, period="1950-01-01..1950-02-01")
    assert "outside these data" in read_page_text(outside)
    assert set(list_starts(outside)) == set(events["start"])


def test_own_period_is_asked_by_days(sequence_page: dict[str, str]) -> None:
    app = open_page(**sequence_page, period="2023-02-01T06:00..2023-02-20T12:00")
    days = find_widget(app, "date_input", "period-days")
    assert days.value == (date(2023, 2, 1), date(2023, 2, 20))
    app = days.set_value((date(2023, 2, 3), date(2023, 2, 4))).run()
    assert read_period(app) == "2023-02-03..2023-02-04"
    app = find_widget(app, "button_group", "period-chip").set_value("").run()
    assert "period" not in app.query_params


def test_notes_are_added_edited_and_deleted(
    sequence_page: dict[str, str], page_workspace: Workspace, hours: Dataset
) -> None:
    colleague = NoteInput("**not** _Markdown_ <b>", datetime(2023, 12, 24, 12))
    add_note(colleague, hours, workspace=page_workspace, actor=Actor("colleague", "tests"))
    app = open_page(**sequence_page, period="30d")
    assert "**not** _Markdown_ <b>" in [text.value for text in app.text]
    assert not [button for button in app.button if (button.key or "").startswith(("note-edit", "note-delete"))]
    app = find_widget(app, "text_area", "note-text").set_value("meter replaced").run()
    app = find_widget(app, "selectbox", "note-entity").set_value("Bretagne").run()
    app = find_widget(app, "button", "note-save").click().run()
    assert "The note was saved." in read_page_text(app)
    [_, own] = read_notes(hours, page_workspace)
    assert (own.text, own.entity, own.author) == ("meter replaced", "Bretagne", "anonymous")
    assert own.start == hours.time.max().to_pydatetime()
    assert "note" in read_trace_names(app)
    app = find_widget(app, "button", f"note-edit-{own.id}").click().run()
    app = find_widget(app, "text_area", f"note-text-{own.id}").set_value("meter replaced twice").run()
    app = find_widget(app, "button", f"note-save-{own.id}").click().run()
    assert read_notes(hours, page_workspace)[1].text == "meter replaced twice"
    app = find_widget(app, "button", f"note-delete-{own.id}").click().run()
    assert [note.author for note in read_notes(hours, page_workspace)] == ["colleague"]
    assert [event.event for event in page_workspace.events.read_events()][-3:] == [
        "note_add",
        "note_edit",
        "note_remove",
    ]


def test_anomalies_page_says_that_lists_show_everything(page_workspace: Workspace, sample: Dataset) -> None:
    part = sample.filter_rows(sample.entities[:2])
    digest = page_workspace.datasets.save(part)
    spec = DetectionSpec(list_row_detectors()["isolation-forest"](n_estimators=10), contamination=0.01)
    run = detect(spec, part, workspace=page_workspace, actor=BOB)[1]
    app = open_page("analysis/anomalies.py", dataset=digest, run=run.id, period="90d")
    assert not app.exception
    assert not app.error
    assert "Lists and all other figures count the whole result" in read_page_text(app)
    starts = [pd.Timestamp(start) for start, _ in read_axis_ranges(app)]
    assert part.time.max() - pd.Timedelta(days=89) in starts, "the chart of all anomalies, after that of one incident"


def test_chart_of_incident_shows_known_events(page_workspace: Workspace, sample: Dataset) -> None:
    """Those of its entity, also outside the chosen period, and the view stays around the incident."""
    part = sample.filter_rows(sample.entities[:2])
    digest = page_workspace.datasets.save(part)
    spec = DetectionSpec(list_row_detectors()["isolation-forest"](n_estimators=10), contamination=0.01)
    detection, run = detect(spec, part, workspace=page_workspace, actor=BOB)
    incident = detection.measured_incidents.iloc[0]
    other = next(name for name in part.entities if name != incident["entity"])
    for entity, text in ((str(incident["entity"]), "meter *replaced*"), (other, "elsewhere")):
        note = NoteInput(text, pd.Timestamp(incident["start"]).to_pydatetime(), entity=entity)
        add_note(note, part, workspace=page_workspace, actor=BOB)
    app = open_page("analysis/anomalies.py", dataset=digest, run=run.id, period="30d")
    assert not app.exception
    traces = {trace.get("name"): trace for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"]}
    told = " ".join(traces["note"]["customdata"])
    assert "meter *replaced*" in told, "a chart obeys no Markdown"
    assert "elsewhere" not in told
    start, end = map(pd.Timestamp, read_axis_ranges(app)[0])
    assert start < pd.Timestamp(incident["start"]) < end
    assert "note 1" in app.get("plotly_chart")[0].proto.alt
