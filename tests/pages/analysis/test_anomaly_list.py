"""Page of the anomalies: incidents first, words of a row, the other rows of an incident, numbers for the reader."""

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from pages.components import i18n
from tests.support.app_pages import open_page

PAGE = "analysis/anomalies.py"


@pytest.fixture
def saved_detection(page_workspace: Workspace, sample: Dataset) -> tuple[Detection, dict[str, str]]:
    """Detection with cold spells of several days and values above 1,000, and its address."""
    dataset = sample.replace(frame=sample.frame * 100)
    spec = DetectionSpec(list_detectors()["isolation-forest"](), baseline="entity", contamination=0.03)
    detection, run = detect(spec, dataset, workspace=page_workspace, actor=Actor("eve", "tests"))
    return detection, {"dataset": page_workspace.datasets.save(dataset), "run": run.id}


def read_list(app: AppTest) -> pd.DataFrame:
    return next(element.value for element in app.dataframe if "causes" in element.value.columns)


def read_sentences(app: AppTest) -> list[str]:
    return [element.value for element in app.text]


def test_anomalies_page_lists_incidents_and_their_rows(saved_detection: tuple[Detection, dict[str, str]]) -> None:
    """The first incident opens at its worst row; another row of it can be chosen, and all flagged rows listed."""
    detection, address = saved_detection
    incident = detection.incidents.iloc[0]
    assert incident["rows"] > 1
    app = open_page(PAGE, **address)
    assert not app.exception
    table = read_list(app)
    assert len(table) == len(detection.incidents) < len(detection.anomalies)
    assert list(table.columns)[:6] == ["severity", "entity", "time", "value", "range", "causes"]
    assert table["rows"].tolist() == detection.incidents["rows"].tolist()
    assert str(detection.describe_row(incident["row"])[0]) in read_sentences(app)
    box = next(box for box in app.selectbox if box.key == "incident-row-0")
    assert len(box.options) == incident["rows"]
    rows = detection.rows.index[detection.rows["incident"] == 0]
    other = next(int(row) for row in rows if row != incident["row"])
    app = box.set_value(other).run()
    assert not app.exception
    assert str(detection.describe_row(other)[0]) in read_sentences(app)
    view = next(choice for choice in app.segmented_control if choice.key == "table-view")
    assert len(read_list(view.set_value("rows").run())) == len(detection.anomalies)


def test_anomalies_page_formats_words_for_reader(
    saved_detection: tuple[Detection, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listed values and ranges are those of the stored cells, with the digits of the language."""
    detection, address = saved_detection
    worst = detection.rows.loc[detection.incidents["row"]].reset_index(drop=True)
    table = read_list(open_page(PAGE, **address)).reset_index(drop=True)
    is_named = worst["column"].notna()
    assert is_named.any()
    assert table["value"][is_named].to_numpy() == pytest.approx(worst["value"][is_named].to_numpy(), rel=0.1)
    assert (table["range"][~is_named] == "").all()
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    french = open_page(PAGE, **address)
    assert not french.exception
    has_thousands = table["range"].str.contains(",") & ~table["range"].str.contains(".", regex=False)
    assert has_thousands.any()
    ranges = read_list(french)["range"].reset_index(drop=True)
    assert ranges[has_thousands].tolist() == table["range"][has_thousands].str.replace(",", "\u202f").tolist()
