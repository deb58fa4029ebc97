"""The runs page in Streamlit's test harness: search, details, comparison, and no answer from MLflow."""

import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.runs.tracked_run import track_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from pages.components import i18n
from tests.conftest import create_workspace, find_free_port
from tests.support.app_pages import open_page, read_page_text

PAGE = "operations/tracking.py"
ALICE = Actor("alice", "tests")


def record_run(
    dataset: Dataset, workspace: Workspace, task: str = "forecast", wape: float = 0.1, **params: object
) -> str:
    with track_run(task, "Ridge", {"horizon": 7, **params}, dataset, ALICE, workspace) as run:
        run.metrics |= {"wape": wape}
        (run.folder / "note.txt").write_text("x")
    return run.id


def read_run_table(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def list_link_labels(app: AppTest) -> set[str]:
    return {
        str(element.proto.label)
        for kind in ("download_button", "page_link", "link_button")
        for element in app.get(kind)
    }


def set_widget(app: AppTest, key: str, value: str) -> AppTest:
    return next(widget for widget in (*app.text_input, *app.selectbox) if widget.key == key).set_value(value).run()


def test_tracking_page_without_runs_shows_hint(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "There are no runs yet" in read_page_text(app)


def test_tracking_page_lists_and_filters_runs(page_workspace: Workspace, sample: Dataset) -> None:
    record_run(sample, page_workspace, wape=0.0612)
    record_run(sample, page_workspace, task="clusters")
    app = open_page(PAGE)
    assert not app.exception
    assert read_run_table(app)["task"].tolist() == ["Clusters", "Forecast"]
    assert read_run_table(app)["figure"].tolist() == ["–", "WAPE 6.12%"]
    app = set_widget(app, "tracking-task", "forecast")
    assert read_run_table(app)["task"].tolist() == ["Forecast"]
    assert "Lower wape is better" in read_page_text(app)
    app = set_widget(app, "tracking-model", "' OR '1'='1")
    assert not app.exception
    assert not app.dataframe
    assert "No run matches these filters" in read_page_text(app)


def test_tracking_page_links_run_to_result(page_workspace: Workspace, sample: Dataset) -> None:
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=page_workspace, actor=ALICE)
    app = open_page(PAGE, runs=run.id)
    assert not app.exception
    assert "are not stored here" in read_page_text(app)
    page_workspace.datasets.save(sample)
    app = open_page(PAGE, runs=run.id)
    assert {"Open the result", "Run card", "Run card (JSON)"} <= list_link_labels(app)
    [link] = app.get("page_link")
    assert link.proto.page == "anomalies"
    assert (sample.digest in link.proto.query_string, run.id in link.proto.query_string) == (True, True)
    assert "Model" in {expander.label for expander in app.expander}
    assert {"Run card", "Run card (JSON)"} <= list_link_labels(
        open_page("analysis/anomalies.py", dataset=sample.digest, run=run.id)
    )


def test_tracking_page_shows_reason_of_failure(page_workspace: Workspace, sample: Dataset) -> None:
    with pytest.raises(DataError), track_run("anomalies", "Forest", {}, sample, ALICE, page_workspace) as run:
        raise DataError("Too few rows in {file}.", file="x.csv")
    app = open_page(PAGE, runs=run.id)
    assert "Too few rows in x.csv" in read_page_text(app)
    assert "Open the result" not in list_link_labels(app)


def test_tracking_page_compares_runs_of_address(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [record_run(sample, page_workspace, wape=wape, alpha=wape) for wape in (0.3, 0.1)]
    app = open_page(PAGE, runs=",".join(run_ids))
    assert not app.exception
    parameters, metrics = app.dataframe[1].value, app.dataframe[2].value
    assert parameters["Parameter"].tolist() == ["alpha"], "only parameters that differ"
    assert parameters["≠"].tolist() == ["≠"]
    wape = metrics[metrics["Metric"] == "wape"].iloc[0].tolist()[1:]
    assert wape == ["0.3", "★ 0.1"]
    assert app.query_params["runs"] == ",".join(run_ids)
    assert "Comparison (CSV)" in list_link_labels(app)


def test_tracking_page_does_not_rank_other_data(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [
        record_run(sample, page_workspace),
        record_run(sample.filter_rows(sample.entities[:1]), page_workspace, wape=0.01),
    ]
    app = open_page(PAGE, runs=",".join(run_ids))
    assert "different data" in read_page_text(app)
    assert not app.dataframe[2].value.astype(str).apply(lambda column: column.str.contains("★")).any(axis=None)


@pytest.mark.parametrize(
    ("address", "words"),
    [("f" * 32, "The run ffff"), ("../../etc,x", "was not found"), (",".join("abcdef"), "At most 5")],
)
def test_tracking_page_explains_invalid_address(
    page_workspace: Workspace, sample: Dataset, address: str, words: str
) -> None:
    record_run(sample, page_workspace)
    app = open_page(PAGE, runs=address)
    assert not app.exception
    assert words in read_page_text(app)
    assert len(read_run_table(app)) == 1, "the list is still shown"


def test_tracking_page_escapes_hostile_names(page_workspace: Workspace, sample: Dataset) -> None:
    run_id = record_run(sample.replace(files=("<script>alert(1)</script>.csv",)), page_workspace)
    app = open_page(PAGE, runs=run_id)
    assert not app.exception
    assert "<script>alert(1)</script>.csv" in read_run_table(app)["files"].tolist()


def test_tracking_page_answers_quickly_without_mlflow(
    tmp_path: Path, empty_store: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch, page_workspace: Workspace
) -> None:
    folder = tmp_path / "dead"
    folder.mkdir()
    offline_workspace = create_workspace(folder, empty_store, f"http://127.0.0.1:{find_free_port()}")
    run_id = record_run(sample, offline_workspace)
    open_page(PAGE)  # imports are not part of the measured time
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: offline_workspace)
    app = open_page(PAGE, runs=run_id)
    offline_workspace.tracking.reset()
    start_time = time.perf_counter()
    app = app.run()
    assert time.perf_counter() - start_time < 2.0
    assert not app.exception
    assert "MLflow does not respond" in read_page_text(app)
    assert "waiting for delivery to MLflow" in read_run_table(app)["status"].iloc[0]


def test_tracking_page_in_french(page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    run_id = record_run(sample, page_workspace)
    app = open_page(PAGE, runs=run_id)
    assert not app.exception
    assert read_run_table(app)["figure"].iloc[0].startswith("WAPE 10\u202f%")
