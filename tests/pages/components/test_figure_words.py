"""Words and table of the figures of pages, in Streamlit's test harness."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.samples import load_sample
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from tests.support.app_pages import open_page

ALICE = Actor("alice", "tests")


@pytest.fixture
def result_address(page_workspace: Workspace) -> dict[str, str]:
    dataset = load_sample("daily_profile")
    digest = page_workspace.datasets.save(dataset)
    run = detect(DetectionSpec(), dataset, workspace=page_workspace, actor=ALICE)[1]
    return {"page": "analysis/anomalies.py", "dataset": digest, "run": run.id}


def show_small_chart() -> None:
    import plotly.graph_objects as go

    from pages.components.results.run_widgets import show_chart

    figure = go.Figure().add_bar(x=["Mon", "Tue"], y=[3.5, 1200.5], name="alarms")
    show_chart(figure, "small", "Alarms of each weekday")


def list_alts(app: AppTest) -> list[str]:
    return [chart.proto.alt for chart in app.get("plotly_chart")]


def test_figure_is_told_in_words() -> None:
    app = AppTest.from_function(show_small_chart, default_timeout=60).run()
    assert list_alts(app) == ["Alarms of each weekday. Shown: alarms. Values: 3.5 to 1,200, the highest at Tue."]
    assert not app.dataframe


@pytest.mark.parametrize("language", ["en", "fr"])
def test_table_of_figure_opens_on_demand(language: str) -> None:
    app = AppTest.from_function(show_small_chart, default_timeout=60)
    app.session_state["language"] = language
    app.session_state["figure-table-small"] = True
    app.run()
    assert not app.exception
    [table] = app.dataframe
    assert table.value.iloc[:, 1].tolist() == [3.5, 1200.5]
    assert [button.key for button in app.get("download_button")] == ["figure-csv-small"]


def test_figures_of_result_have_words_and_tables_with_their_numbers(result_address: dict[str, str]) -> None:
    app = open_page(**result_address)
    assert not app.exception
    assert len(list_alts(app)) >= 3
    assert all(len(alt.split(". ")) >= 2 for alt in list_alts(app))
    for key in ("incident", "profile", "timeline"):
        app.session_state[f"figure-table-{key}"] = True
    app.run()
    assert not app.exception
    incident, profile, timeline = (table.value for table in app.dataframe if table.proto.alt == "Table of the figure")
    drawn = read_heights(app, "profile", "measured")
    assert profile.filter(like="measured").iloc[:, 0].round(3).tolist() == drawn.round(3).tolist()
    assert {"usual ± 2σ, lower edge", "usual ± 2σ, upper edge"} <= {name.partition(" (")[0] for name in profile}
    assert {"MW per day", "MW: usual", "MW: outside the band"} <= set(incident)
    assert pd.api.types.is_datetime64_any_dtype(timeline["Time"])


def read_heights(app: AppTest, key: str, name: str) -> NDArray[np.float64]:
    """Return the heights of a line of a chart, which are sent as bytes."""
    [spec] = [chart.proto.spec for chart in app.get("plotly_chart") if chart.proto.id.endswith(f"-{key}")]
    [heights] = [trace["y"] for trace in json.loads(spec)["data"] if trace.get("name") == name]
    return np.frombuffer(base64.b64decode(heights["bdata"]), heights["dtype"]).astype(np.float64)
