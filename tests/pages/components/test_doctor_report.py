"""The report of the data doctor on the page: groups and their order, pictures, numbers, translated tables."""

import json

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.data.dataset import Dataset, make_index
from core.data.quality.doctor import run_checks
from core.data.quality.findings import Finding
from core.messages import Message
from core.workspace import Workspace
from tests.support.app_pages import open_page, read_page_text

ROWS = 400


def make_dataset(values: np.ndarray, notes: tuple[Finding, ...] = ()) -> Dataset:
    index = make_index(["north"] * len(values), pd.date_range("2024-03-01", periods=len(values), freq="h"))
    frame = pd.DataFrame({"load": values}, index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MW", files=("load.csv",), notes=notes)


def make_faulty_dataset() -> Dataset:
    """Make hours with one outlier, which is an isolated spike too, and six missing values."""
    values = np.resize([10.0, 20.0, 20.0, 30.0], ROWS)
    values[101] = 2020.0
    values[[50, 51, 52, 200, 201, 300]] = np.nan
    return make_dataset(
        values,
        (
            Finding("skipped_lines", 2, Message("a.csv: lines were skipped")),
            Finding("skipped_lines", 3, Message("b.csv: lines were skipped")),
            Finding("ambiguous_dates", 1, Message("day or month first?")),
        ),
    )


@pytest.fixture
def faulty_page(page_workspace: Workspace) -> AppTest:
    app = open_page(dataset=page_workspace.datasets.save(make_faulty_dataset()))
    assert not app.exception
    return app


def test_page_lists_questions_then_issues_then_information(faulty_page: AppTest) -> None:
    assert [title.value for title in faulty_page.header] == ["Decisions for you", "Data-quality issues"]
    kinds = [finding.kind for finding in run_checks(make_faulty_dataset()).findings if finding.repairs]
    assert kinds == ["gross_outliers", "isolated_spikes", "incomplete_rows"]
    assert [box.key for box in faulty_page.selectbox] == [f"repair-{kind}" for kind in kinds]
    [notes] = [expander for expander in faulty_page.expander if expander.label == "For your information (2)"]
    assert not notes.proto.expanded
    assert [text.value for text in notes.markdown] == ["b.csv: lines were skipped", "a.csv: lines were skipped"]
    text = read_page_text(faulty_page)
    assert text.index("day or month first?") < text.index("far from all other values")


def test_page_shows_picture_and_numbers_of_every_repair(faulty_page: AppTest) -> None:
    text = read_page_text(faulty_page)
    charts = [chart.proto for chart in faulty_page.get("plotly_chart") if "place-" in chart.proto.id]
    assert len(charts) == 3
    assert text.count("Largest change: north, 5 Mar 2024 05:00") == 2
    assert "Largest change: north, 3 Mar 2024 02:00" in text
    assert "Fill missing values from the usual day of the entity. Missing values filled: 6" in text
    [figure] = [json.loads(chart.spec) for chart in charts if "place-gross_outliers" in chart.id]
    names = [trace["name"] for trace in figure["data"]]
    assert names == ["before", "after", "replaced value", "new value"], "the markers lie above the lines"


def test_page_describes_chosen_repair(faulty_page: AppTest) -> None:
    choice = next(box for box in faulty_page.selectbox if box.key == "repair-incomplete_rows")
    app = choice.set_value(1).run()
    assert not app.exception
    text = read_page_text(app)
    assert "Remove incomplete rows. Rows removed: 6" in text
    assert f"Rows removed: 6 · Rows after the repair: {ROWS - 6}" in text
    assert "Every repair can be undone later" in text


def test_page_translates_location_table(page_workspace: Workspace) -> None:
    digest = page_workspace.datasets.save(make_faulty_dataset())
    app = open_page(dataset=digest)
    app.session_state["language"] = "fr"
    app.run()
    assert not app.exception
    [columns] = [columns for table in app.dataframe if "missing" in (columns := json.loads(table.proto.columns))]
    assert {name: columns[name]["label"] for name in ("entity", "time", "missing")} == {
        "entity": "Entité",
        "time": "Date",
        "missing": "Manquants",
    }
    assert columns["time"]["type_config"]["format"] == "DD/MM/YYYY HH:mm"
    assert "north, 5 mars 2024 05:00" in read_page_text(app)
    assert "2 020" in read_page_text(app).replace("\u202f", " ")


def test_page_says_what_was_checked(page_workspace: Workspace) -> None:
    dataset = make_dataset(np.resize([10.0, 20.0, 20.0, 30.0], ROWS))
    app = open_page(dataset=page_workspace.datasets.save(dataset))
    [answer] = app.success
    assert "found nothing to repair. It checked 400 rows for: placeholder numbers, outliers" in answer.value
    assert "missing timestamps" in answer.value
    assert "clock changes" not in answer.value, "they are looked for in daily profiles only"
    assert not app.header


def test_page_lists_places_at_midnight_and_at_other_hours(page_workspace: Workspace) -> None:
    values = 100 + np.resize([10.0, 20.0, 25.0, 30.0, 22.0], ROWS)
    values[140:180] = 0.0
    app = open_page(dataset=page_workspace.datasets.save(make_dataset(values)))
    assert not app.exception
    assert "repair-unexpected_zeros" in [box.key for box in app.selectbox]
    places = next(frame.value for frame in app.dataframe if "entity" in frame.value and len(frame.value) == 40)
    assert places["time"].tolist() == list(pd.date_range("2024-03-06 20:00", periods=40, freq="h"))
