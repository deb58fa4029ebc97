"""Pages in Streamlit's test harness: without data, with data, and after errors."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.jobs.worker import Worker
from core.runs import promotion
from core.spec.spec import ApplySpec
from core.spec.task import list_tasks
from core.tasks.anomalies.run import detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, detectors
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from pages.components import i18n
from pages.navigation import SECTIONS
from tests.conftest import ROOT, answered, free_port

SCRIPT = str(ROOT / "pages" / "navigation.py")


@pytest.fixture
def at(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Workspace that the pages use. Nothing is preloaded in the background."""
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: place)
    monkeypatch.setattr("core.lifespan.warm", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield place
    st.cache_data.clear()
    st.cache_resource.clear()


def opened(page: str = "data/load.py", **address: str) -> AppTest:
    """Open the app on one of its pages."""
    app = AppTest.from_file(SCRIPT, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    return app if page == "data/load.py" else app.switch_page(str(ROOT / "pages" / page)).run()


def texts(app: AppTest) -> str:
    """Return all text that the page shows."""
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(part.value) for part in parts)


def clicked(app: AppTest, key: str) -> AppTest:
    return next(button for button in app.button if button.key == key).click().run()


def test_the_first_page_offers_samples(at: Workspace) -> None:
    app = opened()
    assert not app.exception
    assert {f"sample-{name}" for name in ("gas_daily", "daily_profile", "tidy_series", "kpi_matrix")} <= {
        button.key for button in app.button
    }


@pytest.mark.parametrize("name", ["gas_daily", "daily_profile", "tidy_series", "kpi_matrix"])
def test_a_sample_opens_with_its_findings(at: Workspace, name: str) -> None:
    app = clicked(opened(), f"sample-{name}")
    assert not app.exception
    assert not app.error
    [stored] = at.datasets.recent()
    assert app.query_params["dataset"] == stored.digest
    assert "sample_" + name in texts(app)
    assert [event.event for event in at.events.read()] == ["data_load"]


def test_repairs_are_shown_made_and_undone(at: Workspace) -> None:
    app = clicked(opened(), "sample-gas_daily")
    before = app.query_params["dataset"]
    choice = next(box for box in app.selectbox if box.key == "repair-incomplete_rows")
    app = choice.set_value(0).run()
    assert not app.exception
    assert "What the repairs change" in texts(app)
    app = clicked(app, "make-repairs")
    assert app.query_params["dataset"] != before
    assert "Repaired" in texts(app)
    app = clicked(app, "undo-0")
    assert app.query_params["dataset"] == before
    assert [event.event for event in at.events.read()] == ["data_load", "data_repair", "data_repair"]


def test_anomalies_without_data_says_what_to_do(at: Workspace) -> None:
    app = opened("analysis/anomalies.py")
    assert not app.exception
    assert "There is no data yet" in texts(app)


def test_anomalies_are_found_and_kept(at: Workspace, sample: Dataset, worker: Worker) -> None:
    digest = at.datasets.save(sample)
    app = opened("analysis/anomalies.py", dataset=digest)
    app = answered(clicked(app, "anomalies-ask"))
    assert not app.exception
    assert not app.error
    [event] = at.events.read()
    assert app.query_params["run"] == event.run_id
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Anomalies"] == str(event.details.anomalies_count)
    assert "Ranked rows" in texts(app)
    again = opened("analysis/anomalies.py", dataset=digest, run=str(event.run_id))
    assert {metric.label: metric.value for metric in again.metric} == figures
    assert len(at.events.read()) == 1, "opening the result again starts no run"


def test_a_shared_link_shows_the_same_in_another_session(at: Workspace, sample: Dataset) -> None:
    digest = at.datasets.save(sample)
    found, run = detect(DetectionSpec(compare_with="entity"), sample, workspace=at, actor=Actor("bob", "tests"))
    app = opened("analysis/anomalies.py", dataset=digest, run=run.id)
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Anomalies"] == str(len(found.anomalies))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"dataset": "0" * 64}, "is not stored here"),
        ({"dataset": "../../etc"}, "is not stored here"),
        ({"dataset": "SAMPLE", "run": "f" * 32}, "No run"),
        ({"dataset": "SAMPLE", "run": "../../../etc/passwd"}, "No run"),
    ],
)
def test_an_address_that_leads_nowhere_is_a_message(
    at: Workspace, sample: Dataset, address: dict[str, str], words: str
) -> None:
    digest = at.datasets.save(sample)
    page = "analysis/anomalies.py" if "run" in address else "data/load.py"
    app = opened(page, **{name: digest if value == "SAMPLE" else value for name, value in address.items()})
    assert not app.exception
    assert words in "\n".join(str(error.value) for error in app.error)


PAGES = {task.name: f"analysis/{task.page}.py" for task in list_tasks() if task.has_page}


def forest() -> DetectionSpec:
    return DetectionSpec(detectors()["isolation-forest"](n_estimators=10), compare_with="entity")


def test_a_run_of_another_page_is_left_alone_and_a_missing_one_is_told(at: Workspace, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec, clusterers
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, forecasters

    small = sample.select(sample.entities[:2])
    digest, bob = at.datasets.save(small), Actor("bob", "tests")
    kmeans = ClusteringSpec(clusterers()["kmeans"](n_clusters=2))
    naive = ForecastSpec(forecasters()["seasonal-naive"](), horizon=2)
    runs = {
        "anomalies": detect(forest(), small, workspace=at, actor=bob)[1].id,
        "clusters": cluster(kmeans, small, workspace=at, actor=bob)[1].id,
        "forecast": forecast(naive, small, workspace=at, actor=bob)[1].id,
    }
    for name, page in PAGES.items():
        for task, run in runs.items():
            app = opened(page, dataset=digest, run=run)
            assert not app.exception
            assert not app.error, (name, task)
            assert bool(app.metric) == (task == name), (name, task)
            assert f"{name}-ask" in [button.key for button in app.button], (name, task)
        missing = opened(page, dataset=digest, run="f" * 32)
        assert "No run" in missing.error[0].value
        assert not missing.exception


def test_a_run_that_failed_says_so_on_its_own_page_alone(at: Workspace, sample: Dataset) -> None:
    row = sample.select(sample.entities[:1], end=sample.time.min())
    with pytest.raises(DataError):
        detect(DetectionSpec(compare_with="entity"), row, workspace=at, actor=Actor("bob", "tests"))
    [event], digest = at.events.read(), at.datasets.save(sample)
    run = str(event.run_id)
    for name, page in PAGES.items():
        app = opened(page, dataset=digest, run=run)
        assert not app.exception
        assert not app.metric
        assert ("holds no result" in texts(app)) == bool(app.error) == (name == "anomalies")


def test_the_model_of_a_detection_is_registered_promoted_by_force_and_applied(
    at: Workspace, sample: Dataset, worker: Worker
) -> None:
    _, run = detect(forest(), sample, workspace=at, actor=Actor("bob", "tests"))
    promoted_by_force(opened("analysis/anomalies.py", dataset=at.datasets.save(sample), run=run.id), "anomalies")
    app = opened("analysis/anomalies.py", dataset=at.datasets.save(sample))
    chosen_to_apply(app, "anomalies")
    offered = next(box for box in app.selectbox if box.key == "anomalies-model-run")
    assert offered.options[0] == "anomalies@champion · version 1"
    assert len(offered.options) == 2
    assert "IsolationForest" in offered.options[1]
    app = answered(clicked(app, "anomalies-ask"))
    assert not app.error
    applied = load_detection(app.query_params["run"], at).spec
    assert isinstance(applied, ApplySpec)
    assert applied.model == run.id


def chosen_to_apply(app: AppTest, task: str) -> AppTest:
    """Choose the second mode of a form, which applies a saved model."""
    return next(choice for choice in app.segmented_control if choice.key == f"{task}-mode").set_value(1).run()


def promoted_by_force(app: AppTest, task: str) -> None:
    """Open the model section and register the model. Check that promotion is refused, and promote with a reason."""
    app.session_state[f"{task}-model"] = True
    app = clicked(app.run(), "register")
    assert not app.exception
    assert not app.error
    app = clicked(app, "promote")
    assert "have no figure that says which is better" in app.error[0].value
    next(toggle for toggle in app.toggle if toggle.key == "promote-force").set_value(True).run()
    next(field for field in app.text_input if field.key == "promote-reason").set_value("looked at both").run()
    app = clicked(app, "promote")
    assert not app.error
    assert "is the champion" in texts(app)


def test_a_saved_model_of_another_page_is_not_offered(at: Workspace, sample: Dataset) -> None:
    _, run = detect(forest(), sample, workspace=at, actor=Actor("bob", "tests"))
    promotion.register(run.id, "mine", workspace=at, actor=Actor("bob", "tests"))
    app = opened("analysis/clusters.py", dataset=at.datasets.save(sample))
    chosen_to_apply(app, "clusters")
    assert "No model has been saved yet" in texts(app)


def test_saved_models_without_mlflow_are_none_and_no_fault(
    at: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = replace(at, tracking=Tracking(f"http://127.0.0.1:{free_port()}", None, at.tracking.spool.folder.parent))
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: silent)
    app = opened("analysis/anomalies.py", dataset=at.datasets.save(sample))
    chosen_to_apply(app, "anomalies")
    assert not app.exception
    assert not app.error
    assert "No model has been saved yet" in texts(app)


def test_an_unexpected_fault_is_a_number_to_quote(
    at: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(digest: str) -> Dataset:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("pages.components.cache._load_dataset_by_digest", broken)
    app = opened(dataset="0" * 64)
    assert not app.exception
    assert "Quote number" in app.error[0].value
    assert "a fault of ours" not in app.error[0].value
    assert "a fault of ours" in caplog.text


def test_french(at: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    digest = at.datasets.save(sample)
    app = opened("analysis/anomalies.py", dataset=digest)
    assert app.title[0].value == "Anomalies"
    assert [radio.label.replace("\xa0", " ") for radio in app.radio] == ["Par rapport à quoi ?"]
    assert i18n.shown(33720).replace("\u202f", " ").replace("\xa0", " ") == "33 720"


def test_two_sessions_do_not_see_each_others_choice(at: Workspace, sample: Dataset) -> None:
    digest = at.datasets.save(sample)
    first, second = opened(dataset=digest), opened()
    assert "sample_gas_daily" in first.title[0].value
    assert "sample_gas_daily" not in second.title[0].value


def test_every_page_has_a_test() -> None:
    """Some test file contains the script of every page of the navigation."""
    said = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    missing = [place.script for places in SECTIONS.values() for place in places if place.script not in said]
    assert not missing
