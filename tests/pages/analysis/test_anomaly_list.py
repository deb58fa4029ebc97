"""Page of the anomalies: incidents first, words of a row, the other rows of an incident, numbers for the reader."""

import re

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
from tests.support.app_pages import open_page, read_page_text

PAGE = "analysis/anomalies.py"


@pytest.fixture
def saved_detection(page_workspace: Workspace, sample: Dataset) -> tuple[Detection, dict[str, str]]:
    """Detection with cold spells of several days and values above 1,000, and its address."""
    dataset = sample.replace(frame=sample.frame * 100)
    spec = DetectionSpec(list_detectors()["isolation-forest"](), baseline="entity", contamination=0.03)
    detection, run = detect(spec, dataset, workspace=page_workspace, actor=Actor("eve", "tests"))
    return detection, {"dataset": page_workspace.datasets.save(dataset), "run": run.id}


def read_list(app: AppTest) -> pd.DataFrame:
    return next(element.value for element in app.dataframe if "part" in element.value.columns)


def read_sentences(app: AppTest) -> list[str]:
    return [line for element in app.text for line in element.value.splitlines()]


def test_anomalies_page_lists_incidents_and_their_rows(saved_detection: tuple[Detection, dict[str, str]]) -> None:
    """The first incident opens at its worst row; another row of it can be chosen, and all flagged rows listed."""
    detection, address = saved_detection
    incident = detection.incidents.iloc[0]
    assert incident["rows"] > 1
    app = open_page(PAGE, **address)
    assert not app.exception
    table = read_list(app)
    assert len(table) == len(detection.incidents) < len(detection.anomalies)
    assert list(table.columns)[:7] == ["severity", "entity", "time", "measured", "expected", "share", "part"]
    assert str(detection.describe_incidents([0])[0]).split(":")[0].split(",")[0] in read_page_text(app)
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


def test_anomalies_page_lists_amounts_of_stored_cells_in_reader_language(
    saved_detection: tuple[Detection, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listed amounts are those of the stored cells, and the cards have the words and digits of the language."""
    detection, address = saved_detection
    worst = detection.measured_incidents.reset_index(drop=True)
    app = open_page(PAGE, **address)
    table = read_list(app).reset_index(drop=True)
    is_known = worst["expected"].notna()
    assert is_known.any()
    for name in ("measured", "expected"):
        assert table[name][is_known].to_numpy() == pytest.approx(worst[name][is_known].to_numpy(), rel=0.1)
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    french = open_page(PAGE, **address)
    assert not french.exception
    cards, french_cards = (
        next(radio for radio in page.radio if radio.key == "incident-cards").proto.captions for page in (app, french)
    )
    thousands = [number for number, card in enumerate(cards) if re.search(r"\d,\d{3} MWh", card)]
    assert thousands
    assert all(re.search("\\d\u202f\\d{3} MWh", french_cards[number]) for number in thousands)


def test_anomalies_page_opens_entry_of_address(saved_detection: tuple[Detection, dict[str, str]]) -> None:
    """An incident, a flagged row or any row in the address is open after a refresh."""
    detection, address = saved_detection
    app = open_page(PAGE, **address, incident="3")
    assert str(detection.describe_row(detection.incidents.loc[2, "row"])[0]) in read_sentences(app)
    for row in (1, len(detection.anomalies) - 1, len(detection.anomalies) + 5):
        app = open_page(PAGE, **address, row=str(row + 1))
        assert not app.exception
        assert str(detection.describe_row(row)[0]) in read_sentences(app)
