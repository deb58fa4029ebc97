"""Page of call records in Streamlit's test harness: import without data, KPIs, cleaning, undo."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.data.call_records.simulator import CallSimulator
from core.data.cleaning import is_cleaned
from core.data.dataset import Dataset
from core.spec.codec import encode
from core.tasks.call_records.import_spec import ImportSpec
from core.workspace import Workspace
from pages.components import i18n
from tests.conftest import run_worker, wait_for_answers, wait_for_job
from tests.core.tasks.call_records.test_clean import make_counts
from tests.support.app_pages import click_button, open_page, read_page_text

PAGE = "analysis/call_records.py"


@pytest.fixture(autouse=True)
def job_worker(page_workspace: Workspace) -> Iterator[None]:
    """Worker that executes the jobs of the page."""
    with run_worker(page_workspace):
        yield


def read_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def choose_section(app: AppTest, section: str) -> AppTest:
    return next(choice for choice in app.segmented_control if choice.key == "calls-section").set_value(section).run()


def write_records(folder: Path, count: int = 2) -> Path:
    """Write generated records of some trunks and one day; return the path."""
    path = folder / "records.parquet"
    CallSimulator(trunks=count, days=1, calls_per_hour=60).write_parquet(path)
    return path


def test_page_without_data_offers_import_and_sample(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No data are loaded" not in read_page_text(app)
    app = click_button(app, "call_records-ask")
    assert "Drop files with call records first" in read_page_text(app)
    app = click_button(app, "calls-sample")
    assert not app.exception
    assert read_metrics(app)["Trunks"] == "4"


def test_uploaded_records_are_counted_and_deleted(
    page_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = write_records(tmp_path_factory.mktemp("records"))
    app = open_page(PAGE)
    uploader = next(widget for widget in app.get("file_uploader") if widget.key == "calls-files")
    uploader.set_value((records.name, records.read_bytes(), "application/octet-stream"))
    next(box for box in app.selectbox if box.key == "call_records-by").set_value("trunk")
    app = wait_for_job(click_button(app.run(), "call_records-ask"))
    assert not app.exception
    assert not app.error
    assert read_metrics(app)["Trunks"] == "2"
    [event] = [event for event in page_workspace.events.read_events() if event.event == "model_execution"]
    assert app.query_params["run"] == event.run_id
    assert not list((page_workspace.raw_uploads.folder).rglob("*.parquet"))
    app = choose_section(app, "import")
    assert not app.exception
    assert "Records" in read_metrics(app)
    assert "Customer" not in read_page_text(app)


def test_uploaded_records_are_deleted_after_a_failed_import(page_workspace: Workspace) -> None:
    paths = page_workspace.raw_uploads.save([("../broken.csv", lambda path: path.write_text("a,b\n1,2\n"))])
    assert Path(paths[0]).is_relative_to(page_workspace.raw_uploads.folder)
    from core import jobs
    from core.actor import Actor

    job = jobs.submit(
        "call_records", encode(ImportSpec(records=paths)), workspace=page_workspace, actor=Actor("bob", "tests")
    )
    app = wait_for_job(open_page(PAGE, work=job.key))
    assert app.error
    assert not Path(paths[0]).exists()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_kpis_of_every_view(page_workspace: Workspace, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: language)
    digest = page_workspace.datasets.save(make_counts())
    app = open_page(PAGE, dataset=digest)
    assert not app.exception
    for kpi in ("erlang", "ccr", "causes", "calls"):
        next(choice for choice in app.segmented_control if choice.key == "calls-kpi").set_value(kpi)
        app = app.run()
        assert not app.exception
    next(toggle for toggle in app.toggle if toggle.key == "calls-split").set_value(True)
    next(toggle for toggle in app.toggle if toggle.key == "calls-log").set_value(True)
    next(choice for choice in app.segmented_control if choice.key == "calls-length").set_value("1D")
    assert not app.run().exception


def test_ccr_without_attempts_is_undefined(page_workspace: Workspace) -> None:
    dataset = make_counts(trunks=1)
    zeros = dataset.frame * 0
    empty = dataset.replace(frame=zeros.assign(ccr=np.nan))
    app = open_page(PAGE, dataset=page_workspace.datasets.save(empty))
    assert not app.exception
    assert read_metrics(app)["CCR"] == "undefined"


def test_other_series_have_no_kpis_but_can_be_cleaned(page_workspace: Workspace) -> None:
    counts = make_counts(trunks=1)
    other = Dataset(counts.frame[["total"]].rename(columns={"total": "load"}), "tidy_series", step=counts.step)
    app = open_page(PAGE, dataset=page_workspace.datasets.save(other))
    assert "not call counts" in read_page_text(app)
    app = choose_section(app, "cleaning")
    assert not app.exception
    assert read_metrics(app)["Spikes"] == "1"


def test_cleaning_is_previewed_used_and_undone(page_workspace: Workspace) -> None:
    digest = page_workspace.datasets.save(make_counts())
    app = choose_section(open_page(PAGE, dataset=digest), "cleaning")
    assert read_metrics(app)["Spikes"] == "1"
    assert page_workspace.events.read_events() == [], "a preview is no run"
    assert app.query_params["dataset"] == digest
    app = wait_for_job(click_button(app, "call_records-ask"))
    assert not app.exception
    assert not app.error
    cleaned = app.query_params["dataset"]
    assert cleaned != digest
    assert is_cleaned(page_workspace.datasets.load(cleaned), "total")
    assert read_metrics(app)["Filled values"] == "1,344"
    app = click_button(app, "undo-0")
    assert not app.exception
    assert app.query_params["dataset"] == digest
    assert "run" not in app.query_params


def test_cleaning_of_large_data_is_previewed_by_a_job(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.operations.quality.SHORT_CELLS", 0)
    monkeypatch.setattr("core.queries.answer_at_once", None)
    app = choose_section(open_page(PAGE, dataset=page_workspace.datasets.save(make_counts())), "cleaning")
    app = wait_for_answers(app)
    assert not app.exception
    assert read_metrics(app)["Spikes"] == "1"
    assert read_metrics(app)["Filled values"] == "1,344"
    assert page_workspace.events.read_events() == []


def test_typed_threshold(page_workspace: Workspace) -> None:
    digest = page_workspace.datasets.save(make_counts())
    app = choose_section(open_page(PAGE, dataset=digest), "cleaning")
    next(box for box in app.checkbox if box.key == "call_records-auto").set_value(False)
    app = app.run()
    assert read_metrics(app)["Threshold"] == "7,000"
    assert read_metrics(app)["Spikes"] == "0"
