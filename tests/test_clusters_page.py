"""Clusters page in Streamlit's test harness."""

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.spec.spec import ApplySpec
from core.tasks.clusters.run import cluster, load_clustering
from core.tasks.clusters.spec import ClusteringSpec, clusterers
from core.workspace import Workspace
from pages.components import i18n
from tests.conftest import answered, working
from tests.test_pages import at, clicked, opened, promoted_by_force, texts  # noqa: F401

BY = Actor("bob", "tests")
PAGE = "analysis/clusters.py"


@pytest.fixture(autouse=True)
def hands(at: Workspace) -> Iterator[None]:  # noqa: F811
    """Worker that executes the jobs of the page."""
    with working(at):
        yield


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def labels(app: AppTest) -> set[str]:
    return {tab.label for tab in app.tabs}


def found_by(app: AppTest) -> AppTest:
    """Submit the form. Rerun the page until the job has ended."""
    return answered(clicked(app, "clusters-ask"))


def chosen(app: AppTest, kind: str, key: str, value: Any) -> AppTest:
    return next(widget for widget in app.get(kind) if widget.key == key).set_value(value).run()


def widget(app: AppTest, key: str) -> Any:
    return next(each for each in app.selectbox if each.key == key)


def test_without_data_it_says_what_to_do(at: Workspace) -> None:  # noqa: F811
    app = opened(PAGE)
    assert not app.exception
    assert "There is no data yet" in texts(app)


def test_clusters_are_found_and_kept(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    digest = at.datasets.save(sample)
    app = found_by(opened(PAGE, dataset=digest))
    assert not app.exception
    assert not app.error
    [event] = at.events.read()
    assert app.query_params["run"] == event.run_id
    assert figures(app)["Clusters"] == "4"
    assert {"Map", "Profiles", "Where and when", "Noise"} <= labels(app)
    assert "France" not in labels(app)
    assert "every point belongs to a cluster" in texts(app)
    again = opened(PAGE, dataset=digest, run=str(event.run_id))
    assert figures(again) == figures(app)
    assert len(at.events.read()) == 1, "opening the result again starts no run"


def test_the_settings_change_with_the_clusterer(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(sample))
    assert {"n_clusters", "n_init"} <= {number.label for number in app.number_input}
    app = chosen(app, "selectbox", "clusters-clusterer", "dbscan")
    assert {"eps", "min_samples"} <= {number.label for number in app.number_input}
    app = found_by(app)
    assert not app.exception
    [event] = at.events.read()
    assert event.model_name == "DBSCAN"
    assert "Isolation Forest flags" in texts(app)


def test_entities_by_shape(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(sample))
    app = chosen(chosen(app, "radio", "clusters-of", "entities"), "radio", "clusters-look", "shape")
    app = found_by(app)
    assert "4 points are too few for 4 clusters" in app.error[0].value
    number = next(each for each in app.number_input if each.label == "n_clusters")
    app = found_by(number.set_value(2).run())
    assert not app.exception
    assert not app.error
    assert figures(app)["Clusters"] == "2"


def test_help_to_choose_is_computed_when_asked_for(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(sample))
    assert "the bend suggests" not in texts(app)
    app = chosen(app, "toggle", "clusters-help", True)
    assert not app.exception
    assert "The silhouette is highest for k" in texts(app)
    assert "the bend suggests eps" in texts(app)
    assert at.events.read() == []


def test_the_tiles_of_france(at: Workspace, gas: Dataset) -> None:  # noqa: F811
    digest = at.datasets.save(gas)
    _, run = cluster(
        ClusteringSpec(clusterers()["kmeans"](n_clusters=3), of="entities", look="shape"), gas, workspace=at, actor=BY
    )
    app = opened(PAGE, dataset=digest, run=run.id)
    assert not app.exception
    assert "France" in labels(app)
    assert figures(app)["Clusters"] == "3"


@pytest.mark.parametrize("eps", [500.0, 0.002])
def test_poor_clusters_are_shown_with_their_note(at: Workspace, sample: Dataset, eps: float) -> None:  # noqa: F811
    digest = at.datasets.save(sample)
    found, run = cluster(ClusteringSpec(clusterers()["dbscan"](eps=eps)), sample, workspace=at, actor=BY)
    app = opened(PAGE, dataset=digest, run=run.id)
    assert not app.exception
    assert figures(app)["Silhouette"] == "–"
    assert str(found.notes[-1]) in texts(app)


def test_measurements_without_dates(at: Workspace) -> None:  # noqa: F811
    kpis = load_sample("kpi_matrix")
    app = found_by(opened(PAGE, dataset=at.datasets.save(kpis)))
    assert not app.exception
    assert not app.error
    assert figures(app)["Clusters"] == "4"


def test_a_saved_model_is_applied(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    _, first = cluster(ClusteringSpec(clusterers()["kmeans"](n_clusters=3)), sample, workspace=at, actor=BY)
    app = opened(PAGE, dataset=at.datasets.save(sample))
    app = found_by(chosen(app, "button_group", "clusters-mode", 1))
    assert not app.exception
    assert not app.error
    assert figures(app)["Clusters"] == "3"
    assert app.query_params["run"] != first.id


def test_the_model_is_registered_and_promoted_by_force(at: Workspace, sample: Dataset) -> None:  # noqa: F811
    _, run = cluster(ClusteringSpec(clusterers()["kmeans"](n_clusters=3)), sample, workspace=at, actor=BY)
    promoted_by_force(opened(PAGE, dataset=at.datasets.save(sample), run=run.id), "clusters")
    app = chosen(opened(PAGE, dataset=at.datasets.save(sample)), "button_group", "clusters-mode", 1)
    assert widget(app, "clusters-model-run").value == "clusters@champion"
    app = found_by(app)
    assert not app.error
    found = load_clustering(app.query_params["run"], at)
    assert isinstance(found.spec, ApplySpec)
    assert found.spec.model == run.id


def test_french(at: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    app = opened(PAGE, dataset=at.datasets.save(sample))
    assert not app.exception
    assert app.title[0].value == i18n.catalogue("fr").gettext("Clusters")
