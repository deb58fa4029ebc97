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
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset
from core.runs.renderings import draw_once, tabulate_once
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


def draw_title(*arguments: object) -> go.Figure:
    return go.Figure(layout={"title": {"text": repr(arguments)}})


def draw_line(length: int) -> go.Figure:
    times = pd.date_range("2024-01-01", periods=length, freq="h")
    return go.Figure(go.Scatter(x=times, y=np.arange(length, dtype=np.float32)))


def read_parts(figure: go.Figure) -> Any:
    return json.loads(figure.to_json(validate=False))


def count_rows(rows: Dataset) -> go.Figure:
    return draw_title(len(rows), str(rows.time.min()), sorted(set(rows.entity)))


def build_table(start: int) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=3)
    return pd.DataFrame({"time": times, "value": [1.5, np.nan, 3.0], "text": ["a", "é", None]}, index=[start, 7, 9])


def test_kept_figures_equal_those_just_drawn(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
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
        for _ in range(2):
            kept, fresh = draw_once(store, RUN, "en", draw, arguments), draw(*arguments)
            for figure in (kept, fresh):  # as pages change them
                figure.update_layout(dragmode="select", separators=", ")
                figure.update_xaxes(range=["2024-01-01", "2024-02-01"])
                figure.add_scatter(x=["2024-01-05"], y=np.array([1.0]), mode="markers")
            assert read_parts(kept) == read_parts(fresh)
    assert len(list(store.folder.iterdir())) == len(drawings)


def test_kept_figure_has_times_and_numbers_as_arrays(store: RenderingStore) -> None:
    figure = draw_once(store, RUN, "en", draw_line, (4,))
    line = draw_line(4).data[0]
    assert (figure.data[0].x == line.x).all()
    assert (figure.data[0].y == line.y).all()


def test_kept_table_equals_the_built_one(store: RenderingStore) -> None:
    for _ in range(2):
        pd.testing.assert_frame_equal(tabulate_once(store, RUN, "en", build_table, (5,)), build_table(5))


@given(first=plain_values, second=plain_values)
def test_figures_of_other_arguments_are_told_apart(first: object, second: object) -> None:
    with TemporaryDirectory() as name:
        store = RenderingStore(Path(name), "1")
        for arguments in ((first,), (second,), (first, second), ([first, second],)):
            figure = draw_once(store, RUN, "en", draw_title, arguments)
            shown = repr(arguments).encode("utf-8", "replace").decode()
            assert figure.layout.title.text == shown


def test_figures_of_other_rows_are_told_apart(sample: Dataset, store: RenderingStore) -> None:
    halves = [sample.filter_rows([name]) for name in sample.entities[:2]]
    years = [sample.filter_rows(end=sample.time.min() + pd.Timedelta(days=days)) for days in (30, 31)]
    for rows in (sample, *halves, *years):
        assert read_parts(draw_once(store, RUN, "en", count_rows, (rows,))) == read_parts(count_rows(rows))


def test_figures_of_other_tables_and_languages_are_told_apart(store: RenderingStore) -> None:
    for table in (build_table(1), build_table(2), build_table(1).assign(value=0.0)):
        assert draw_once(store, RUN, "en", draw_title, (table,)).layout.title.text == repr((table,))
    assert len(list(store.folder.iterdir())) == 3
    draw_once(store, RUN, "fr", draw_title, (build_table(1),))
    assert len(list(store.folder.iterdir())) == 4


@pytest.mark.parametrize(
    "argument", [lambda: 0, object(), {1, 2}, np.zeros(3)], ids=["lambda", "object", "set", "array"]
)
def test_figure_of_an_unknown_kind_of_argument_is_refused(store: RenderingStore, argument: object) -> None:
    with pytest.raises(TypeError, match="cannot depend"):
        draw_once(store, RUN, "en", draw_title, (argument,))


def test_figure_of_a_part_of_a_result_is_refused(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
    """The run does not tell such a part, nor a result that is not stored."""
    detection = store_detection(DetectionSpec(), sample, workspace)[0]
    for part in (replace(detection, threshold=0.0), replace(detection, rows=detection.rows.head(3))):
        with pytest.raises(TypeError, match="cannot depend on a Detection"):
            draw_once(store, RUN, "en", figures.draw_counts_per_entity, (part,))


def test_detection_is_told_by_its_run(workspace: Workspace, sample: Dataset, store: RenderingStore) -> None:
    """Two runs on the same rows with another threshold show other counts."""
    for spec in (DetectionSpec(contamination=0.01), DetectionSpec(contamination=0.05)):
        detection, run_id = store_detection(spec, sample, workspace)
        kept = draw_once(store, run_id, "en", figures.draw_counts_per_entity, (detection,))
        assert read_parts(kept) == read_parts(figures.draw_counts_per_entity(detection))
