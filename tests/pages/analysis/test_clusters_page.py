"""Clusters page in Streamlit's test harness."""

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.language import load_catalogue
from core.spec.spec import ApplySpec
from core.tasks.clusters.run import cluster, load_clustering
from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
from core.workspace import Workspace
from pages.components import i18n
from tests.conftest import run_worker, wait_for_answers, wait_for_job
from tests.support.app_pages import click_button, open_page, promote_first_model, read_page_text

BOB = Actor("bob", "tests")
PAGE = "analysis/clusters.py"


@pytest.fixture(autouse=True)
def job_worker(page_workspace: Workspace) -> Iterator[None]:
    """Worker that executes the jobs of the page."""
    with run_worker(page_workspace):
        yield


def read_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def list_tabs(app: AppTest) -> set[str]:
    return {tab.label for tab in app.tabs}


def submit_form(app: AppTest) -> AppTest:
    """Submit the form. Rerun the page until the job has ended."""
    return wait_for_job(click_button(app, "clusters-ask"))


def set_widget(app: AppTest, kind: str, key: str, value: Any) -> AppTest:
    return next(widget for widget in app.get(kind) if widget.key == key).set_value(value).run()


def get_widget(app: AppTest, key: str) -> Any:
    return next(box for box in app.selectbox if box.key == key)


def test_clusters_page_without_data_shows_hint(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No data are loaded" in read_page_text(app)


def test_clusters_page_runs_clustering(page_workspace: Workspace, sample: Dataset) -> None:
    digest = page_workspace.datasets.save(sample)
    app = submit_form(open_page(PAGE, dataset=digest))
    assert not app.exception
    assert not app.error
    [event] = page_workspace.events.read_events()
    assert app.query_params["run"] == event.run_id
    clustering = load_clustering(str(event.run_id), page_workspace)
    assert read_metrics(app)["Clusters"] == str(len(clustering.sizes))
    assert f"k = {len(clustering.sizes)} was chosen" in read_page_text(app)
    assert {"Map", "Profiles", "By entity and season", "Noise"} <= list_tabs(app)
    assert "France" not in list_tabs(app)
    assert "Every point belongs to a cluster" in read_page_text(app)
    reopened = open_page(PAGE, dataset=digest, run=str(event.run_id))
    assert read_metrics(reopened) == read_metrics(app)
    assert len(page_workspace.events.read_events()) == 1, "opening the result again starts no run"


def test_clusters_page_adapts_settings(page_workspace: Workspace, sample: Dataset) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    assert {"Number of clusters (k)", "Number of starts"} <= {number.label for number in app.number_input}
    app = set_widget(app, "selectbox", "clusters-clusterer", "dbscan")
    assert {"Largest distance (ε)", "Neighbours of a core row"} <= {number.label for number in app.number_input}
    app = submit_form(app)
    assert not app.exception
    [event] = page_workspace.events.read_events()
    assert event.model_name == "DBSCAN"
    assert "Isolation Forest also flags" in read_page_text(app)


def test_clusters_page_clusters_entities_by_shape(page_workspace: Workspace, sample: Dataset) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    app = set_widget(set_widget(app, "radio", "clusters-of", "entities"), "radio", "clusters-look", "shape")
    number = next(element for element in app.number_input if element.label == "Number of clusters (k)")
    app = submit_form(number.set_value(4).run())
    assert "Too few points for 4 clusters: 4" in app.error[0].value
    number = next(element for element in app.number_input if element.label == "Number of clusters (k)")
    app = submit_form(number.set_value(2).run())
    assert not app.exception
    assert not app.error
    assert read_metrics(app)["Clusters"] == "2"


def test_clusters_page_suggests_parameters_on_request(page_workspace: Workspace, sample: Dataset) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    assert "The knee of the curve suggests eps =" not in read_page_text(app)
    app = wait_for_answers(set_widget(app, "toggle", "clusters-help", True))
    assert not app.exception
    assert "The silhouette is highest for k" in read_page_text(app)
    assert "The knee of the curve suggests eps =" in read_page_text(app)
    app = next(number for number in app.number_input if number.label == "Number of clusters (k)").set_value(7).run()
    assert "The knee of the curve suggests eps =" in read_page_text(app), "a setting that changes no curve asks nothing"
    assert page_workspace.events.read_events() == []


def test_clusters_page_draws_map_of_france(page_workspace: Workspace, gas: Dataset) -> None:
    digest = page_workspace.datasets.save(gas)
    _, run = cluster(
        ClusteringSpec(list_clusterers()["kmeans"](n_clusters=3), of="entities", look="shape"),
        gas,
        workspace=page_workspace,
        actor=BOB,
    )
    app = open_page(PAGE, dataset=digest, run=run.id)
    assert not app.exception
    assert "France" in list_tabs(app)
    assert read_metrics(app)["Clusters"] == "3"


@pytest.mark.parametrize("eps", [500.0, 0.002])
def test_clusters_page_explains_poor_clusters(page_workspace: Workspace, sample: Dataset, eps: float) -> None:
    digest = page_workspace.datasets.save(sample)
    clustering, run = cluster(
        ClusteringSpec(list_clusterers()["dbscan"](eps=eps)), sample, workspace=page_workspace, actor=BOB
    )
    app = open_page(PAGE, dataset=digest, run=run.id)
    assert not app.exception
    assert read_metrics(app)["Silhouette"] == "–"
    assert str(clustering.notes[-1]) in read_page_text(app)


def test_clusters_page_accepts_data_without_dates(page_workspace: Workspace) -> None:
    kpis = load_sample("kpi_matrix")
    app = submit_form(open_page(PAGE, dataset=page_workspace.datasets.save(kpis)))
    assert not app.exception
    assert not app.error
    assert int(read_metrics(app)["Clusters"]) >= 2


def test_clusters_page_applies_saved_model(page_workspace: Workspace, sample: Dataset) -> None:
    _, first = cluster(
        ClusteringSpec(list_clusterers()["kmeans"](n_clusters=3)), sample, workspace=page_workspace, actor=BOB
    )
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    app = submit_form(set_widget(app, "button_group", "clusters-mode", 1))
    assert not app.exception
    assert not app.error
    assert read_metrics(app)["Clusters"] == "3"
    assert app.query_params["run"] != first.id


def test_clusters_page_promotes_model_by_force(page_workspace: Workspace, sample: Dataset) -> None:
    _, run = cluster(
        ClusteringSpec(list_clusterers()["kmeans"](n_clusters=3)), sample, workspace=page_workspace, actor=BOB
    )
    promote_first_model(open_page(PAGE, dataset=page_workspace.datasets.save(sample), run=run.id), "clusters")
    app = set_widget(open_page(PAGE, dataset=page_workspace.datasets.save(sample)), "button_group", "clusters-mode", 1)
    assert get_widget(app, "clusters-model-run").value == "clusters@champion"
    app = submit_form(app)
    assert not app.error
    clustering = load_clustering(app.query_params["run"], page_workspace)
    assert isinstance(clustering.spec, ApplySpec)
    assert clustering.spec.model == run.id


def test_clusters_page_in_french(page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    assert not app.exception
    assert app.title[0].value == load_catalogue("fr").gettext("Clusters")
