"""The page of runs, in Streamlit's own test harness: found, opened, compared, and what it says when MLflow is
silent.
"""

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
from tests.conftest import free_port, workplace_in
from tests.test_pages import open_page, page_workspace, read_page_text  # noqa: F401

PAGE = "operations/tracking.py"
BY = Actor("alice", "tests")


def recorded(dataset: Dataset, at: Workspace, task: str = "forecast", wape: float = 0.1, **params: object) -> str:
    with track_run(task, "Ridge", {"horizon": 7, **params}, dataset, BY, at) as run:
        run.metrics |= {"wape": wape}
        (run.folder / "note.txt").write_text("x")
    return run.id


def listed(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def labels(app: AppTest) -> set[str]:
    return {str(each.proto.label) for kind in ("download_button", "page_link", "link_button") for each in app.get(kind)}


def filled(app: AppTest, key: str, value: str) -> AppTest:
    return next(each for each in (*app.text_input, *app.selectbox) if each.key == key).set_value(value).run()


def test_without_runs_it_says_so(page_workspace: Workspace) -> None:  # noqa: F811
    app = open_page(PAGE)
    assert not app.exception
    assert "There are no runs yet" in read_page_text(app)


def test_runs_are_listed_and_filtered(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    recorded(sample, page_workspace, wape=0.0612)
    recorded(sample, page_workspace, task="clusters")
    app = open_page(PAGE)
    assert not app.exception
    assert listed(app)["task"].tolist() == ["Clusters", "Forecast"]
    assert listed(app)["figure"].tolist() == ["–", "WAPE 6.12%"]
    app = filled(app, "tracking-task", "forecast")
    assert listed(app)["task"].tolist() == ["Forecast"]
    assert "Lower wape is better" in read_page_text(app)
    app = filled(app, "tracking-model", "' OR '1'='1")
    assert not app.exception
    assert not app.dataframe
    assert "No run matches these filters" in read_page_text(app)


def test_one_run_is_opened_with_the_way_to_its_result(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=page_workspace, actor=BY)
    app = open_page(PAGE, runs=run.id)
    assert not app.exception
    assert "are not stored here" in read_page_text(app)
    page_workspace.datasets.save(sample)
    app = open_page(PAGE, runs=run.id)
    assert {"Open the result", "Run card", "Run card (JSON)"} <= labels(app)
    [link] = app.get("page_link")
    assert link.proto.page == "anomalies"
    assert (sample.digest in link.proto.query_string, run.id in link.proto.query_string) == (True, True)
    assert "Model" in {each.label for each in app.expander}
    assert {"Run card", "Run card (JSON)"} <= labels(
        open_page("analysis/anomalies.py", dataset=sample.digest, run=run.id)
    )


def test_a_failed_run_says_why(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    with pytest.raises(DataError), track_run("anomalies", "Forest", {}, sample, BY, page_workspace) as run:
        raise DataError("Too few rows in {file}.", file="x.csv")
    app = open_page(PAGE, runs=run.id)
    assert "Too few rows in x.csv" in read_page_text(app)
    assert "Open the result" not in labels(app)


def test_runs_are_compared_from_the_address(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    chosen = [recorded(sample, page_workspace, wape=wape, alpha=wape) for wape in (0.3, 0.1)]
    app = open_page(PAGE, runs=",".join(chosen))
    assert not app.exception
    parameters, metrics = app.dataframe[1].value, app.dataframe[2].value
    assert parameters["Parameter"].tolist() == ["alpha"], "only what differs"
    assert parameters["≠"].tolist() == ["≠"]
    wape = metrics[metrics["Metric"] == "wape"].iloc[0].tolist()[1:]
    assert wape == ["0.3", "★ 0.1"]
    assert app.query_params["runs"] == ",".join(chosen)
    assert "Comparison (CSV)" in labels(app)


def test_other_data_are_not_ranked(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    chosen = [
        recorded(sample, page_workspace),
        recorded(sample.filter_rows(sample.entities[:1]), page_workspace, wape=0.01),
    ]
    app = open_page(PAGE, runs=",".join(chosen))
    assert "different data" in read_page_text(app)
    assert not app.dataframe[2].value.astype(str).apply(lambda column: column.str.contains("★")).any(axis=None)


@pytest.mark.parametrize(
    ("address", "words"), [("f" * 32, "No run ffff"), ("../../etc,x", "No run"), (",".join("abcdef"), "at most 5")]
)
def test_an_address_that_leads_nowhere_is_a_message(
    page_workspace: Workspace, sample: Dataset, address: str, words: str
) -> None:
    recorded(sample, page_workspace)
    app = open_page(PAGE, runs=address)
    assert not app.exception
    assert words in read_page_text(app)
    assert len(listed(app)) == 1, "the list is there all the same"


def test_hostile_names_are_text(page_workspace: Workspace, sample: Dataset) -> None:  # noqa: F811
    run = recorded(sample.replace(files=("<script>alert(1)</script>.csv",)), page_workspace)
    app = open_page(PAGE, runs=run)
    assert not app.exception
    assert "<script>alert(1)</script>.csv" in listed(app)["files"].tolist()


def test_a_dead_mlflow_costs_less_than_two_seconds(
    tmp_path: Path,
    empty_store: Path,
    sample: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    page_workspace: Workspace,  # noqa: F811
) -> None:
    folder = tmp_path / "dead"
    folder.mkdir()
    dead = workplace_in(folder, empty_store, f"http://127.0.0.1:{free_port()}")
    run = recorded(sample, dead)
    open_page(PAGE)  # what is imported once is not the server's fault
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: dead)
    app = open_page(PAGE, runs=run)
    dead.tracking.reset()
    began = time.perf_counter()
    app = app.run()
    assert time.perf_counter() - began < 2.0
    assert not app.exception
    assert "MLflow does not answer" in read_page_text(app)
    assert "waiting for delivery to MLflow" in listed(app)["status"].iloc[0]


def test_french(page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    run = recorded(sample, page_workspace)
    app = open_page(PAGE, runs=run)
    assert not app.exception
    assert listed(app)["figure"].iloc[0].startswith("WAPE 10\u202f%")
