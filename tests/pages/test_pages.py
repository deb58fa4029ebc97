"""Pages in Streamlit's test harness: without data, with data, and after errors."""

from dataclasses import replace

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.jobs.worker import Worker
from core.runs import promotion
from core.settings import ROOT
from core.spec.spec import ApplySpec
from core.spec.task import get_task, list_tasks
from core.tasks.anomalies.run import detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from pages.components import i18n
from pages.navigation import SECTIONS
from tests.conftest import find_free_port, wait_for_job
from tests.support.app_pages import choose_saved_model, click_button, open_page, promote_first_model, read_page_text


def test_load_page_offers_samples(page_workspace: Workspace) -> None:
    app = open_page()
    assert not app.exception
    assert {
        f"sample-{name}" for name in ("gas_daily", "daily_profile", "tidy_series", "trunk_calls", "kpi_matrix")
    } <= {button.key for button in app.button}


@pytest.mark.parametrize("name", ["gas_daily", "daily_profile", "tidy_series", "trunk_calls", "kpi_matrix"])
def test_load_page_opens_sample_with_findings(page_workspace: Workspace, name: str) -> None:
    app = click_button(open_page(), f"sample-{name}")
    assert not app.exception
    assert not app.error
    [stored] = page_workspace.datasets.list_recent()
    assert app.query_params["dataset"] == stored.digest
    assert "sample_" + name in read_page_text(app)
    assert [event.event for event in page_workspace.events.read_events()] == ["data_load"]


def test_load_page_applies_and_undoes_repairs(page_workspace: Workspace) -> None:
    app = click_button(open_page(), "sample-gas_daily")
    before = app.query_params["dataset"]
    choice = next(box for box in app.selectbox if box.key == "repair-incomplete_rows")
    app = choice.set_value(0).run()
    assert not app.exception
    assert "What the repairs change" in read_page_text(app)
    app = click_button(app, "make-repairs")
    assert app.query_params["dataset"] != before
    assert "Repaired" in read_page_text(app)
    app = click_button(app, "undo-0")
    assert app.query_params["dataset"] == before
    assert [event.event for event in page_workspace.events.read_events()] == ["data_load", "data_repair", "data_repair"]


def test_anomalies_page_without_data_shows_hint(page_workspace: Workspace) -> None:
    app = open_page("analysis/anomalies.py")
    assert not app.exception
    assert "No data are loaded" in read_page_text(app)


def test_anomalies_page_runs_detection(page_workspace: Workspace, sample: Dataset, worker: Worker) -> None:
    digest = page_workspace.datasets.save(sample)
    app = open_page("analysis/anomalies.py", dataset=digest)
    app = wait_for_job(click_button(app, "anomalies-ask"))
    assert not app.exception
    assert not app.error
    [event] = page_workspace.events.read_events()
    assert app.query_params["run"] == event.run_id
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Flagged rows"] == str(event.details.anomalies_count)
    assert "Incidents, worst first" in read_page_text(app)
    reopened = open_page("analysis/anomalies.py", dataset=digest, run=str(event.run_id))
    assert {metric.label: metric.value for metric in reopened.metric} == metrics
    assert len(page_workspace.events.read_events()) == 1, "opening the result again starts no run"


def test_anomalies_page_opens_shared_link(page_workspace: Workspace, sample: Dataset) -> None:
    digest = page_workspace.datasets.save(sample)
    detection, run = detect(
        DetectionSpec(baseline="entity"), sample, workspace=page_workspace, actor=Actor("bob", "tests")
    )
    app = open_page("analysis/anomalies.py", dataset=digest, run=run.id)
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Flagged rows"] == str(len(detection.anomalies))
    without_data = open_page("analysis/anomalies.py", run=run.id)
    assert "No data are loaded" not in read_page_text(without_data)
    assert without_data.query_params["dataset"] == digest


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"dataset": "0" * 64}, "is not stored here"),
        ({"dataset": "../../etc"}, "is not stored here"),
        ({"dataset": "SAMPLE", "run": "f" * 32}, "was not found"),
        ({"dataset": "SAMPLE", "run": "../../../etc/passwd"}, "was not found"),
    ],
)
def test_pages_explain_invalid_address(
    page_workspace: Workspace, sample: Dataset, address: dict[str, str], words: str
) -> None:
    digest = page_workspace.datasets.save(sample)
    page = "analysis/anomalies.py" if "run" in address else "data/load.py"
    app = open_page(page, **{name: digest if value == "SAMPLE" else value for name, value in address.items()})
    assert not app.exception
    assert words in "\n".join(str(error.value) for error in app.error)


PAGE_BY_TASK = {task.name: f"analysis/{task.page}.py" for task in list_tasks() if task.has_page}


def make_forest_spec() -> DetectionSpec:
    return DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")


def test_pages_ignore_run_of_other_page(page_workspace: Workspace, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, list_forecasters

    subset = sample.filter_rows(sample.entities[:2])
    digest, bob = page_workspace.datasets.save(subset), Actor("bob", "tests")
    kmeans = ClusteringSpec(list_clusterers()["kmeans"](n_clusters=2))
    naive = ForecastSpec(list_forecasters()["seasonal-naive"](), horizon=2)
    runs = {
        "anomalies": detect(make_forest_spec(), subset, workspace=page_workspace, actor=bob)[1].id,
        "clusters": cluster(kmeans, subset, workspace=page_workspace, actor=bob)[1].id,
        "forecast": forecast(naive, subset, workspace=page_workspace, actor=bob)[1].id,
    }
    for name, page in PAGE_BY_TASK.items():
        for task, run in runs.items():
            app = open_page(page, dataset=digest, run=run)
            assert not app.exception
            assert not app.error, (name, task)
            assert bool(app.metric) == (task == name), (name, task)
            if get_task(name).form_modes[0].needs_data:  # else the form is in another section of the page
                is_open = f"{name}-ask" in [button.key for button in app.button]
                assert is_open == (task != name), "the form is closed below its own result"
        missing = open_page(page, dataset=digest, run="f" * 32)
        assert "was not found" in missing.error[0].value
        assert not missing.exception


def test_pages_report_failed_run_on_own_page(page_workspace: Workspace, sample: Dataset) -> None:
    row = sample.filter_rows(sample.entities[:1], end=sample.time.min())
    with pytest.raises(DataError):
        detect(DetectionSpec(baseline="entity"), row, workspace=page_workspace, actor=Actor("bob", "tests"))
    [event], digest = page_workspace.events.read_events(), page_workspace.datasets.save(sample)
    run = str(event.run_id)
    for name, page in PAGE_BY_TASK.items():
        app = open_page(page, dataset=digest, run=run)
        assert not app.exception
        assert not app.metric
        assert ("This run has no result to show" in read_page_text(app)) == bool(app.error) == (name == "anomalies")


def test_anomalies_page_promotes_and_applies_model(page_workspace: Workspace, sample: Dataset, worker: Worker) -> None:
    _, run = detect(make_forest_spec(), sample, workspace=page_workspace, actor=Actor("bob", "tests"))
    promote_first_model(
        open_page("analysis/anomalies.py", dataset=page_workspace.datasets.save(sample), run=run.id), "anomalies"
    )
    app = open_page("analysis/anomalies.py", dataset=page_workspace.datasets.save(sample))
    choose_saved_model(app, "anomalies")
    model_box = next(box for box in app.selectbox if box.key == "anomalies-model-run")
    assert model_box.options[0] == "anomalies@champion · version 1"
    assert len(model_box.options) == 2
    assert "isolation-forest" in model_box.options[1]
    app = wait_for_job(click_button(app, "anomalies-ask"))
    assert not app.error
    applied = load_detection(app.query_params["run"], page_workspace).spec
    assert isinstance(applied, ApplySpec)
    assert applied.model == run.id


def test_clusters_page_hides_models_of_other_pages(page_workspace: Workspace, sample: Dataset) -> None:
    _, run = detect(make_forest_spec(), sample, workspace=page_workspace, actor=Actor("bob", "tests"))
    promotion.register(run.id, "mine", workspace=page_workspace, actor=Actor("bob", "tests"))
    app = open_page("analysis/clusters.py", dataset=page_workspace.datasets.save(sample))
    choose_saved_model(app, "clusters")
    assert "No model is saved yet" in read_page_text(app)


def test_anomalies_page_without_mlflow_offers_no_model(
    page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline_workspace = replace(
        page_workspace,
        tracking=Tracking(f"http://127.0.0.1:{find_free_port()}", None, page_workspace.tracking.spool.folder.parent),
    )
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: offline_workspace)
    app = open_page("analysis/anomalies.py", dataset=page_workspace.datasets.save(sample))
    choose_saved_model(app, "anomalies")
    assert not app.exception
    assert not app.error
    assert "No model is saved yet" in read_page_text(app)


def test_pages_show_number_of_unexpected_error(
    page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raise_error(digest: str) -> Dataset:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("pages.components.cache.load_dataset_by_digest", raise_error)
    app = open_page(dataset="0" * 64)
    assert not app.exception
    assert "Give the error number" in app.error[0].value
    assert "a fault of ours" not in app.error[0].value
    assert "a fault of ours" in caplog.text


def test_anomalies_page_in_french(page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    digest = page_workspace.datasets.save(sample)
    app = open_page("analysis/anomalies.py", dataset=digest)
    assert app.title[0].value == "Anomalies"
    assert [radio.label.replace("\xa0", " ") for radio in app.main.radio] == ["Comparaison avec"]
    assert i18n.format_value(33720).replace("\u202f", " ").replace("\xa0", " ") == "33 720"


def test_load_page_keeps_sessions_separate(page_workspace: Workspace, sample: Dataset) -> None:
    digest = page_workspace.datasets.save(sample)
    first, second = open_page(dataset=digest), open_page()
    assert "sample_gas_daily" in read_page_text(first)
    assert "sample_gas_daily" not in read_page_text(second)


def test_every_page_has_a_test() -> None:
    """Some test file contains the script of every page of the navigation."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    missing = [
        page_spec.script
        for page_specs in SECTIONS.values()
        for page_spec in page_specs
        if page_spec.script not in sources
    ]
    assert not missing
