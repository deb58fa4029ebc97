"""Figures and tables of a run that are kept: equal to those just made, and told apart by all that they depend on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plotly.io import to_json

from core.actor import Actor
from core.data.dataset import Dataset
from core.figures.chart import Chart, SentFigure, finish_chart
from core.language import Language
from core.runs.renderings import Drawing, finish_once, tabulate_once
from core.runs.stored_runs import load_result
from core.storage.renderings import RenderingStore
from core.tasks.anomalies import figures
from core.tasks.anomalies.calendar_figure import draw_calendar_map
from core.tasks.anomalies.incident_figure import draw_incident
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.anomalies.timeline import draw_timeline
from core.workspace import Workspace

RUN = "0" * 32
MONTHS = list("JFMAMJJASOND")
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.tuples(children, children),
    max_leaves=5,
)


@pytest.fixture
def store(tmp_path: Path) -> RenderingStore:
    return RenderingStore(tmp_path / "renderings", "1")


def store_detection(spec: DetectionSpec, dataset: Dataset, workspace: Workspace) -> tuple[Detection, str]:
    _, run = detect(spec, dataset, workspace=workspace, actor=Actor("ana", "test"))
    return load_result(run.id, Detection, workspace), run.id


def finish(store: RenderingStore, drawing: Drawing, language: str = "en") -> Chart:
    return finish_once(store, language, drawing, finish_chart, (Language(language),))


def read_title(store: RenderingStore, draw: Callable[..., go.Figure], *arguments: object, language: str = "en") -> str:
    return str(finish(store, Drawing(RUN, draw, arguments), language).figure["layout"]["title"]["text"])


def draw_title(*arguments: object) -> go.Figure:
    return go.Figure(layout={"title": {"text": repr(arguments)}})


def draw_line(length: int) -> go.Figure:
    times = pd.date_range("2024-01-01", periods=length, freq="h")
    return go.Figure(go.Scatter(x=times, y=np.arange(length, dtype=np.float32)))


def count_rows(rows: Dataset) -> go.Figure:
    return draw_title(len(rows), str(rows.time.min()), sorted(set(rows.entity)))


def build_table(start: int) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=3)
    return pd.DataFrame({"time": times, "value": [1.5, np.nan, 3.0], "text": ["a", "é", None]}, index=[start, 7, 9])


def test_kept_charts_equal_those_just_drawn(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
    detection = store_detection(DetectionSpec(), sample, workspace)[0]
    drawings: list[tuple[Callable[..., go.Figure], tuple[Any, ...]]] = [
        (draw_timeline, (sample, detection, str, str, list(sample.entities[:2]))),
        (draw_incident, (sample, detection, 1, str, str)),
        (figures.draw_row_profile, (detection.select_cells(1), "MWh", str)),
        (figures.draw_counts_per_entity, (detection, str)),
        (figures.draw_counts_per_month, (detection, str, MONTHS)),
        (draw_calendar_map, (detection, str, list("MTWTFSS"), MONTHS)),
    ]
    for draw, arguments in drawings:
        charts = [finish(store, Drawing(RUN, draw, arguments)) for _ in range(2)]
        assert charts == [finish_chart(draw(*arguments), Language("en"))] * 2
    assert len(list(store.folder.iterdir())) == len(drawings)


def test_chart_is_sent_as_plotly_writes_it() -> None:
    figure = draw_line(4)
    sent = json.loads(to_json(SentFigure(finish_chart(figure, Language("fr"))), validate=False))
    assert sent == json.loads(figure.to_json(validate=False))
    assert sent["layout"]["separators"].startswith(",")
    assert sent["data"][0]["x"] == [f"2024-01-01T0{hour}:00" for hour in range(4)]


def test_kept_table_equals_the_built_one(store: RenderingStore) -> None:
    for _ in range(2):
        pd.testing.assert_frame_equal(tabulate_once(store, RUN, "en", build_table, (5,)), build_table(5))


@given(first=plain_values, second=plain_values)
@example(first=[None], second=(None,))
def test_figures_of_other_arguments_are_told_apart(first: object, second: object) -> None:
    with TemporaryDirectory() as name:
        store = RenderingStore(Path(name), "1")
        for arguments in ((first,), (second,), (first, second), ([first, second],)):
            shown = repr(arguments).encode("utf-8", "replace").decode()
            assert read_title(store, draw_title, *arguments) == shown


def test_figures_of_other_rows_are_told_apart(sample: Dataset, store: RenderingStore) -> None:
    halves = [sample.filter_rows([name]) for name in sample.entities[:2]]
    years = [sample.filter_rows(end=sample.time.min() + pd.Timedelta(days=days)) for days in (30, 31)]
    for rows in (sample, *halves, *years):
        assert read_title(store, count_rows, rows) == count_rows(rows).layout.title.text


def test_figures_of_other_tables_and_languages_are_told_apart(store: RenderingStore) -> None:
    for table in (build_table(1), build_table(2), build_table(1).assign(value=0.0)):
        assert read_title(store, draw_title, table) == repr((table,))
    assert len(list(store.folder.iterdir())) == 3
    read_title(store, draw_title, build_table(1), language="fr")
    assert len(list(store.folder.iterdir())) == 4


@pytest.mark.parametrize(
    "argument", [lambda: 0, object(), {1, 2}, np.zeros(3)], ids=["lambda", "object", "set", "array"]
)
def test_figure_of_an_unknown_kind_of_argument_is_refused(store: RenderingStore, argument: object) -> None:
    with pytest.raises(TypeError, match="cannot depend"):
        finish(store, Drawing(RUN, draw_title, (argument,)))


def test_figure_of_a_part_of_a_result_is_refused(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
    """The run does not tell such a part, nor a result that is not stored."""
    detection = store_detection(DetectionSpec(), sample, workspace)[0]
    for part in (replace(detection, threshold=0.0), replace(detection, rows=detection.rows.head(3))):
        with pytest.raises(TypeError, match="cannot depend on a Detection"):
            finish(store, Drawing(RUN, figures.draw_counts_per_entity, (part,)))


def test_detection_is_told_by_its_run(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
    """Two runs on the same rows with another threshold show other counts."""
    for spec in (DetectionSpec(contamination=0.01), DetectionSpec(contamination=0.05)):
        detection, run_id = store_detection(spec, sample, workspace)
        kept = finish(store, Drawing(run_id, figures.draw_counts_per_entity, (detection,)))
        assert kept == finish_chart(figures.draw_counts_per_entity(detection), Language("en"))
