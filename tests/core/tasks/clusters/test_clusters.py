"""The command `cluster` on the real gas files and on samples: reference values, runs, stored results."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.clusterers.base import Clusterer
from core.clusterers.points import make_points, to_daily_profiles
from core.data.dataset import Dataset, make_clock_labels, make_index
from core.data.samples import load_sample
from core.errors import DataError, NotFoundError, OptionError
from core.runs.promotion import runs_with_model
from core.spec.spec import ApplySpec
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.tasks.clusters import figures
from core.tasks.clusters.result import Clustering
from core.tasks.clusters.run import apply_model, cluster, load_clustering, suggest_parameters
from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
from core.tasks.clusters.summary import describe_clusters
from core.workspace import Workspace
from tests.conftest import Command

ALICE = Actor("alice", "tests")


def make_kmeans(k: int = 4) -> Clusterer:
    return list_clusterers()["kmeans"](n_clusters=k)


def make_dbscan(eps: float = 0.5, min_samples: int = 5) -> Clusterer:
    return list_clusterers()["dbscan"](eps=eps, min_samples=min_samples)


def make_profiles(days: int = 60, entities: tuple[str, ...] = ("flat", "peak")) -> Dataset:
    """Return daily profiles of two shapes at many levels: the first entity is constant, the second peaks at noon."""
    random = np.random.default_rng(0)
    hours = np.arange(24)
    shapes = {"flat": np.ones(24), "peak": 1 + 2 * np.exp(-(((hours - 12) / 2) ** 2))}
    values = [
        random.uniform(1, 100) * shapes[entity.split()[0]] * random.normal(1, 0.01, 24)
        for entity in entities
        for _ in range(days)
    ]
    times = np.tile(pd.date_range("2023-01-01", periods=days).to_numpy(), len(entities))
    index = make_index(pd.Categorical(np.repeat(entities, days)), times)
    frame = pd.DataFrame(np.array(values), index=index, columns=make_clock_labels(24))
    return Dataset(frame, layout="daily_profile", profile=True, step=pd.Timedelta(hours=1), files=("profiles.csv",))


# ---- reference values -----------------------------------------------------------------------------------------------


def test_dbscan_matches_reference_on_gas_files(gas: Dataset, workspace: Workspace) -> None:
    """Reference values of the predecessor (energy): 11 clusters, 1,684 of 33,720 points are noise."""
    clustering, run = cluster(
        ClusteringSpec(make_dbscan(), incomplete="column-mean"), gas, workspace=workspace, actor=ALICE
    )
    assert (run.metrics["clusters"], run.metrics["noise_points"]) == (11, 1684)
    assert run.metrics["noise_ratio"] == pytest.approx(0.0499407, abs=1e-7)
    assert (len(clustering.rows), sum(clustering.sizes)) == (33_720, 33_720 - 1684)
    assert clustering.sizes[0] == 31_969
    assert 0 < run.metrics["isolated_noise_points"] == clustering.noise["isolated"].sum() < 1684
    assert clustering.explained_shares[0] == pytest.approx(0.9364, abs=1e-4)
    assert run.metrics["stability"] > 0.9
    notes = " ".join(map(str, clustering.notes))
    assert "contamination 4.99 %" in notes
    assert "older results only" in notes


def test_kmeans_matches_reference_on_gas_files(gas: Dataset, workspace: Workspace) -> None:
    """Reference values of the predecessor (energy): StandardScaler, k = 4, inertia 122,989 and these sizes."""
    clustering, run = cluster(
        ClusteringSpec(make_kmeans(), incomplete="column-mean"), gas, workspace=workspace, actor=ALICE
    )
    assert clustering.sizes == [20_857, 9_443, 2_751, 669]
    assert run.metrics["inertia"] == pytest.approx(122_989, abs=1)
    assert run.metrics["silhouette"] == pytest.approx(0.58, abs=0.01)
    assert run.metrics["stability"] > 0.99
    assert clustering.count_by_entity().to_numpy().sum() == 33_720
    assert clustering.count_by_season().loc["winter"].idxmin() == 3
    assert clustering.count_by_season()[3].idxmax() == "winter"


def test_clustering_groups_gas_regions_by_shape(gas: Dataset, workspace: Workspace) -> None:
    clustering, _ = cluster(
        ClusteringSpec(make_kmeans(3), of="entities", look="shape"), gas, workspace=workspace, actor=ALICE
    )
    assert len(clustering.rows) == 15
    assert set(clustering.rows["cluster"]) == {0, 1, 2}
    assert "time" not in clustering.rows
    assert clustering.count_by_season().empty
    assert figures.has_french_regions(clustering)
    assert set(clustering.profiles["panel"]) == {"working day", "Saturday", "Sunday", "month"}
    with pytest.raises(DataError, match="Too few points for 15 clusters: 15"):
        cluster(ClusteringSpec(make_kmeans(15), of="entities"), gas, workspace=workspace, actor=ALICE)


def test_entity_profile_is_robust_to_outlier(gas: Dataset) -> None:
    """One hour in Pays de la Loire has 1,045,440 MWh; the usual hours have some hundreds to thousands of MWh."""
    name = "GRTgaz · pays de la loire"
    region = gas.filter_rows([name])
    typical = make_points(region.take_rows(region.is_complete), "entities").values[0]
    assert np.nanmax(region.values) > 1_000_000
    assert typical.max() < 10_000


# ---- shape and level ------------------------------------------------------------------------------------------------


def test_clustering_by_shape_ignores_level(workspace: Workspace) -> None:
    dataset = make_profiles()
    by_shape, _ = cluster(ClusteringSpec(make_kmeans(2), look="shape"), dataset, workspace=workspace, actor=ALICE)
    by_level, _ = cluster(ClusteringSpec(make_kmeans(2), look="level"), dataset, workspace=workspace, actor=ALICE)
    assert sorted(by_shape.count_by_entity().to_numpy().ravel().tolist()) == [0, 0, 60, 60]
    assert (by_level.count_by_entity().to_numpy() > 0).all()
    assert by_shape.profiles["mean"].groupby(by_shape.profiles["cluster"]).mean().round(6).tolist() == [1.0, 1.0]


def make_seasons(days: int = 365, levels: tuple[float, ...] = (1.0, 50.0, 4000.0)) -> Dataset:
    """Return daily profiles of entities of different sizes, twice as high in December as in June."""
    random = np.random.default_rng(1)
    times = pd.date_range("2023-01-01", periods=days)
    season = 1.5 + 0.5 * np.cos(2 * np.pi * times.dayofyear / 365)
    rows = [level * height * random.normal(1, 0.02, 24) for level in levels for height in season]
    names = [f"entity {number}" for number in range(len(levels)) for _ in range(days)]
    index = make_index(pd.Categorical(names), np.tile(times.to_numpy(), len(levels)))
    frame = pd.DataFrame(np.array(rows), index=index, columns=make_clock_labels(24))
    return Dataset(frame, layout="daily_profile", profile=True, step=pd.Timedelta(hours=1), files=("seasons.csv",))


def test_clustering_by_default_takes_size_of_entity_out(workspace: Workspace) -> None:
    dataset = make_seasons()
    by_default, _ = cluster(ClusteringSpec(make_kmeans(2)), dataset, workspace=workspace, actor=ALICE)
    by_level, _ = cluster(ClusteringSpec(make_kmeans(2), look="level"), dataset, workspace=workspace, actor=ALICE)
    assert by_default.model_spec.look == "relative"
    shares = by_default.count_by_entity().div(365)
    assert (shares.max() - shares.min()).max() < 0.03, "every entity has its days of winter and of summer"
    assert (by_level.count_by_entity() == 0).to_numpy().any(), "by level the large entity is a cluster"


def test_clustering_relative_to_entity_uses_level_of_fit(workspace: Workspace) -> None:
    dataset = make_seasons()
    clustering, run = cluster(ClusteringSpec(make_kmeans(2)), dataset, workspace=workspace, actor=ALICE)
    applied, _ = apply_model(
        ApplySpec(run.id, start="2023-06-01", end="2023-06-30"), dataset, workspace=workspace, actor=ALICE
    )
    fitted = clustering.rows.set_index(["entity", "time"])["cluster"]
    june = applied.rows.set_index(["entity", "time"])["cluster"]
    assert (june == fitted.loc[june.index]).all(), "June alone has another mean"


def test_clustering_leaves_out_entity_without_level(workspace: Workspace) -> None:
    dataset = make_seasons()
    values = dataset.values.copy()
    values[:365] = np.tile([1.0, -1.0], 12)
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    clustering, _ = cluster(ClusteringSpec(make_kmeans(2)), dataset, workspace=workspace, actor=ALICE)
    assert len(clustering.rows) == 730
    assert "they have no shape (mean close to 0): 365" in " ".join(map(str, clustering.notes))


def test_clusters_are_described_in_words(workspace: Workspace) -> None:
    by_day, _ = cluster(ClusteringSpec(make_kmeans(2)), make_seasons(), workspace=workspace, actor=ALICE)
    texts = sorted(map(str, describe_clusters(by_day)))
    assert len(texts) == 2
    assert any(
        "% of them in winter (25 % of all points)" in text and "Farthest above the mean of all" in text
        for text in texts
    )
    assert any(
        "% of them in summer (25 % of all points)" in text and "Farthest below the mean of all" in text
        for text in texts
    )
    by_entity, _ = cluster(
        ClusteringSpec(make_kmeans(2), of="entities"),
        make_profiles(entities=("flat", "flat 2", "peak", "peak 2")),
        workspace=workspace,
        actor=ALICE,
    )
    assert all("2 of 4 entities: " in str(message) for message in describe_clusters(by_entity))
    assert any("12:00 (+" in str(message) for message in describe_clusters(by_entity))


def test_cluster_of_many_entities_names_first_ones(workspace: Workspace) -> None:
    clustering, _ = cluster(
        ClusteringSpec(make_kmeans(2), of="entities", look="level"),
        make_seasons(levels=(*range(1, 9), 900)),
        workspace=workspace,
        actor=ALICE,
    )
    texts = list(map(str, describe_clusters(clustering)))
    assert "8 of 9 entities: entity 0, entity 1, entity 2, entity 3, entity 4, entity 5 and 2 more." in texts[0]
    assert "1 of 9 entities: entity 8." in texts[1]


def test_clustering_by_shape_leaves_out_flat_rows(workspace: Workspace) -> None:
    dataset = make_profiles()
    values = dataset.values.copy()
    values[:7] = 0.0
    values[7] = np.tile([1.0, -1.0], 12)
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    clustering, run = cluster(ClusteringSpec(make_kmeans(2), look="shape"), dataset, workspace=workspace, actor=ALICE)
    assert run.metrics["flat_points_left_out"] == 8
    assert len(clustering.rows) == 112
    assert "they have no shape (mean close to 0): 8" in " ".join(map(str, clustering.notes))


# ---- missing values and other layouts -------------------------------------------------------------------------------


def test_clustering_drops_or_fills_incomplete_rows(sample: Dataset, workspace: Workspace) -> None:
    missing = int((~sample.is_complete).sum())
    assert missing > 0
    sizes = {}
    for incomplete in ("drop", "impute", "column-mean"):
        clustering, run = cluster(
            ClusteringSpec(make_kmeans(), incomplete=incomplete), sample, workspace=workspace, actor=ALICE
        )  # type: ignore[arg-type]
        sizes[incomplete] = len(clustering.rows)
        assert run.metrics["rows_left_out"] == (missing if incomplete == "drop" else 0)
    assert sizes == {"drop": len(sample) - missing, "impute": len(sample), "column-mean": len(sample)}


def test_clustering_groups_series_by_day(workspace: Workspace) -> None:
    series = load_sample("tidy_series")
    clustering, _ = cluster(ClusteringSpec(make_kmeans(3)), series, workspace=workspace, actor=ALICE)
    assert (
        len(clustering.rows)
        == len(to_daily_profiles(series).take_rows(to_daily_profiles(series).is_complete))
        < len(series) / 20
    )
    assert list(clustering.profiles["column"].unique()) == make_clock_labels(24)


def test_clustering_groups_undated_measurements_by_level(workspace: Workspace) -> None:
    kpis = load_sample("kpi_matrix")
    clustering, run = cluster(ClusteringSpec(make_kmeans(3)), kpis, workspace=workspace, actor=ALICE)
    assert len(clustering.rows) == len(kpis)
    assert not clustering.has_dates
    assert clustering.count_by_season().empty
    with pytest.raises(DataError, match="different measurements"):
        cluster(ClusteringSpec(make_kmeans(3), look="shape"), kpis, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="Too few complete points to compare: 1"):
        cluster(ClusteringSpec(make_kmeans(3), of="entities"), kpis, workspace=workspace, actor=ALICE)
    applied, _ = apply_model(ApplySpec(run.id), kpis, workspace=workspace, actor=ALICE)
    assert np.array_equal(applied.rows["cluster"], clustering.rows["cluster"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values[:1], "Too few complete points to compare: 1"),
        (lambda values: values[:4], "Too few points for 4 clusters: 4"),
        (lambda values: values * 0 + 5.0, "Too few distinct points"),
        (lambda values: values * np.nan, "Every row has missing measurements"),
    ],
)
def test_clustering_rejects_too_little_data(workspace: Workspace, change: Any, words: str) -> None:
    dataset = make_profiles()
    values = change(dataset.values)
    frame = pd.DataFrame(values, index=dataset.frame.index[: len(values)], columns=dataset.columns)
    with pytest.raises(DataError, match=words):
        cluster(ClusteringSpec(make_kmeans()), dataset.replace(frame=frame), workspace=workspace, actor=ALICE)
    [event] = workspace.events.read_events()
    assert (event.status, event.error_type) == ("failed", "DataError")


def test_clustering_rejects_column_without_values(workspace: Workspace) -> None:
    dataset = make_profiles()
    frame = dataset.frame.assign(**{"05:00": np.nan})
    with pytest.raises(DataError, match="05:00"):
        cluster(
            ClusteringSpec(make_kmeans(), incomplete="column-mean"),
            dataset.replace(frame=frame),
            workspace=workspace,
            actor=ALICE,
        )


def test_clustering_accepts_constant_column(workspace: Workspace) -> None:
    dataset = make_profiles()
    constant = dataset.replace(frame=dataset.frame.assign(**{"05:00": 3.0}))
    clustering, _ = cluster(ClusteringSpec(make_kmeans(2)), constant, workspace=workspace, actor=ALICE)
    assert np.isfinite(clustering.rows[["pc1", "pc2", "distance"]]).all(axis=None)


@pytest.mark.parametrize("wrong", [{"of": "weeks"}, {"look": "colour"}, {"incomplete": "guess"}, {"components": -1}])
def test_clustering_rejects_unknown_option_value(sample: Dataset, workspace: Workspace, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        cluster(ClusteringSpec(make_kmeans(), **wrong), sample, workspace=workspace, actor=ALICE)
    assert workspace.events.read_events() == []


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_clustering_writes_one_run_and_one_event(sample: Dataset, workspace: Workspace) -> None:
    clustering, run = cluster(ClusteringSpec(make_dbscan()), sample, workspace=workspace, actor=ALICE)
    client = MlflowClient(workspace.tracking.uri)
    [stored_run] = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    [event] = workspace.events.read_events()
    artifacts = {file.path for file in client.list_artifacts(run.id)}
    assert stored_run.info.run_id == run.id == event.run_id
    assert {
        "of": "days",
        "look": "relative",
        "eps": "0.5",
        "clusterer": "dbscan",
    }.items() <= stored_run.data.params.items()
    assert stored_run.data.metrics["noise_points"] == len(clustering.noise) == event.details.noise_points_count
    assert stored_run.data.metrics["clusters"] == event.details.clusters_count == 1
    assert event.details.successful_predictions == len(clustering.rows)
    assert artifacts == {"checksums.json", "clusters.csv", "model", "result"}


@pytest.mark.parametrize(("of", "look"), [("days", "level"), ("entities", "shape")])
def test_clustering_is_loaded_from_run(sample: Dataset, workspace: Workspace, of: Any, look: Any) -> None:
    clustering, run = cluster(
        ClusteringSpec(make_kmeans(2), of=of, look=look, components=2), sample, workspace=workspace, actor=ALICE
    )
    loaded = load_clustering(run.id, workspace)
    assert isinstance(loaded, Clustering)
    assert (loaded.spec, loaded.model_spec, loaded.data, loaded.quality, loaded.explained_shares, loaded.notes) == (
        clustering.spec,
        clustering.model_spec,
        clustering.data,
        clustering.quality,
        clustering.explained_shares,
        clustering.notes,
    )
    pd.testing.assert_frame_equal(loaded.rows, clustering.rows)
    pd.testing.assert_frame_equal(loaded.profiles, clustering.profiles)


def test_load_clustering_rejects_other_runs(sample: Dataset, workspace: Workspace) -> None:
    forest = list_detectors()["isolation-forest"](n_estimators=20)
    _, run = detect(DetectionSpec(forest, baseline="entity"), sample, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="has no result to show"):
        load_clustering(run.id, workspace)
    with pytest.raises(NotFoundError, match="was not found"):
        load_clustering("f" * 32, workspace)


@pytest.mark.parametrize(
    "settings", [{"of": "days"}, {"of": "days", "look": "shape", "incomplete": "impute", "components": 3}]
)
@pytest.mark.parametrize("name", ["kmeans", "dbscan"])
def test_clustering_model_assigns_later_days(
    sample: Dataset, workspace: Workspace, name: str, settings: dict[str, Any]
) -> None:
    clustering, run = cluster(
        ClusteringSpec(list_clusterers()[name](), **settings), sample, workspace=workspace, actor=ALICE
    )
    applied, second = apply_model(ApplySpec(run.id, start="2024-01-01"), sample, workspace=workspace, actor=ALICE)
    old = clustering.rows.set_index(["entity", "time"])["cluster"]
    new = applied.rows.set_index(["entity", "time"])["cluster"]
    assert (new.index.get_level_values("time") >= "2024-01-01").all()
    moved = new[new != old.loc[new.index]]
    assert len(moved) <= (0.05 * len(new) if name == "dbscan" else 0), (
        "only rows at the border of two clusters change cluster"
    )
    assert (moved >= 0).all()
    assert applied.spec == ApplySpec(run.id, dataset=sample.digest, start="2024-01-01")
    assert applied.model_spec == clustering.model_spec
    params = MlflowClient(workspace.tracking.uri).get_run(second.id).data.params
    assert {"clusterer": name, "start": "2024-01-01", "model_run": run.id}.items() <= params.items()
    assert "model" not in params
    assert [model.id for model in runs_with_model("clusters", workspace)] == [run.id]
    with pytest.raises(NotFoundError, match="has no saved model"):
        apply_model(ApplySpec(second.id), sample, workspace=workspace, actor=ALICE)


def test_clustering_model_allows_empty_cluster(workspace: Workspace) -> None:
    dataset = make_profiles()
    _, run = cluster(ClusteringSpec(make_kmeans(2), look="shape"), dataset, workspace=workspace, actor=ALICE)
    clusterings = [
        apply_model(ApplySpec(run.id, entities=(name,)), dataset, workspace=workspace, actor=ALICE)[0]
        for name in dataset.entities
    ]
    assert sorted(clustering.sizes for clustering in clusterings) == [[0, 60], [60]]
    for clustering in clusterings:
        assert clustering.metrics()["clusters"] == 1
        assert clustering.profiles["cluster"].nunique() == 1
        assert len(figures.draw_profiles(clustering).data) >= 3


def test_clustering_model_assigns_entities_by_later_profile(gas: Dataset, workspace: Workspace) -> None:
    clustering, run = cluster(
        ClusteringSpec(make_kmeans(3), of="entities", look="level"), gas, workspace=workspace, actor=ALICE
    )
    later, _ = apply_model(ApplySpec(run.id, start="2022-06-01"), gas, workspace=workspace, actor=ALICE)
    assert (later.rows["cluster"] == clustering.rows["cluster"]).mean() >= 0.8


def test_clustering_model_rejects_other_columns_and_units(sample: Dataset, workspace: Workspace) -> None:
    _, run = cluster(ClusteringSpec(make_kmeans()), sample, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="trained on data in MWh"):
        apply_model(ApplySpec(run.id), sample.replace(unit="kWh"), workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="trained on the columns"):
        apply_model(ApplySpec(run.id), load_sample("daily_profile"), workspace=workspace, actor=ALICE)


def test_clustering_model_predicts_through_mlflow(sample: Dataset, workspace: Workspace) -> None:
    import mlflow

    clustering, run = cluster(ClusteringSpec(make_kmeans()), sample, workspace=workspace, actor=ALICE)
    mlflow.set_tracking_uri(workspace.tracking.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run.id}/model")
    table = sample.take_rows(sample.is_complete).frame.head(20).reset_index()
    table["entity"] = table["entity"].astype(str)
    labels = model.predict(table).set_index(["entity", "time"])["cluster"]
    assert np.array_equal(labels, clustering.rows.set_index(["entity", "time"])["cluster"].loc[labels.index])


# ---- notes about poor clusters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eps", "min_samples", "words"), [(500.0, 5, "Only one cluster"), (0.01, 10_000, "Every point is noise")]
)
def test_dbscan_notes_single_or_no_cluster(
    sample: Dataset, workspace: Workspace, eps: float, min_samples: int, words: str
) -> None:
    clustering, _ = cluster(ClusteringSpec(make_dbscan(eps, min_samples)), sample, workspace=workspace, actor=ALICE)
    assert words in " ".join(map(str, clustering.notes))
    assert load_clustering(_get_newest_run_id(workspace), workspace) is not None


def test_dbscan_notes_high_noise_share(workspace: Workspace) -> None:
    dataset = make_profiles()
    values = dataset.values.copy()
    values[:5], values[60:65] = values[0], values[60]
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    clustering, _ = cluster(ClusteringSpec(make_dbscan(0.001)), dataset, workspace=workspace, actor=ALICE)
    assert clustering.sizes == [5, 5]
    assert "91.7 % of the points are noise" in " ".join(map(str, clustering.notes))


def _get_newest_run_id(workspace: Workspace) -> str:
    return str(workspace.events.read_events()[-1].run_id)


def test_suggest_parameters_writes_no_event(sample: Dataset, workspace: Workspace) -> None:
    suggestions = suggest_parameters(ClusteringSpec(look="shape"), sample)
    assert suggestions.kmeans_scores["k"].tolist() == list(range(2, 11))
    assert suggestions.kmeans_scores["silhouette"].between(-1, 1).all()
    assert 0 < suggestions.eps <= suggestions.curve.max()
    entity_suggestions = suggest_parameters(ClusteringSpec(of="entities"), sample)
    assert entity_suggestions.kmeans_scores["k"].max() == len(sample.entities) - 1
    assert workspace.events.read_events() == []


# ---- figures --------------------------------------------------------------------------------------------------------


def test_cluster_map_is_small_and_clips_outliers(gas: Dataset, workspace: Workspace) -> None:
    clustering, _ = cluster(ClusteringSpec(make_dbscan(), look="level"), gas, workspace=workspace, actor=ALICE)
    figure = figures.draw_pca_map(clustering)
    assert len(figure.to_json()) < 500_000
    assert sum(len(trace.x) for trace in figure.data) < 5000
    assert len(figure.data) == len(clustering.sizes) + 1
    marker_styles = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(marker_styles) == len(figure.data), "two clusters share color and symbol"
    assert figure.layout.yaxis.range[1] < 0.5 * clustering.rows["pc2"].abs().max()
    assert figures.count_outside_map(clustering) > 0


def test_cluster_figures_draw_all_data(gas: Dataset, workspace: Workspace) -> None:
    clustering, _ = cluster(ClusteringSpec(make_kmeans(3), of="entities"), gas, workspace=workspace, actor=ALICE)
    france_map = figures.draw_france_map(clustering)
    assert len(france_map.data) == 15, "one label per entity with data; Corsica has no data"
    assert len(france_map.layout.annotations) == 13
    assert len(figures.draw_profiles(clustering).data) == 3 * 3 * 4
    assert figures.draw_crosstab(clustering.count_by_entity()).data[0].z.shape == (15, 3)
    suggestions = suggest_parameters(ClusteringSpec(of="entities"), gas)
    assert len(figures.draw_elbow(suggestions).data) == 2
    assert len(figures.draw_neighbour_distances(suggestions).data) == 1


def test_france_map_has_one_tile_per_region() -> None:
    from core.data.regions import CURRENT_REGIONS

    assert set(figures.REGION_TILES) == set(CURRENT_REGIONS)
    assert len(set(figures.REGION_TILES.values())) == 13


# ---- the command ----------------------------------------------------------------------------------------------------


def test_cluster_command_on_gas_files(vigie: Command, gas_files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "clusters.csv"
    process = vigie(
        "cluster",
        *gas_files,
        "--clusterer",
        "dbscan",
        "--set",
        "eps=0.5",
        "--set",
        "min_samples=5",
        "--incomplete",
        "column-mean",
        "--out",
        out,
        "--json",
    )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    metrics = result["metrics"]
    assert (metrics["clusters"], metrics["noise_points"]) == (11, 1684)
    assert metrics["noise_ratio"] == pytest.approx(0.0499407, abs=1e-7)
    assert {"inertia", "silhouette"} <= metrics.keys()
    assert metrics["sizes"] == [31969, 17, 6, 5, 5, 4, 3, 4, 8, 10, 5]
    assert result["recorded"] is True
    table = pd.read_csv(out)
    assert len(table) == 33_720
    assert (table["cluster"] == -1).sum() == 1684


def test_cluster_command_applies_saved_model(vigie: Command, tmp_path: Path) -> None:
    path = tmp_path / "gas.csv"
    assert vigie("sample", "gas_daily", "--out", path).returncode == 0
    first = json.loads(vigie("cluster", path, "--set", "n_clusters=3", "--look", "shape", "--json").stdout)
    second = vigie("cluster", path, "--model", first["run_id"])
    assert second.returncode == 0, second.stderr
    assert f"3 clusters of {first['metrics']['points']:,} points" in second.stdout
    single_cluster = json.loads(vigie("cluster", path, "--clusterer", "dbscan", "--set", "eps=500", "--json").stdout)
    assert single_cluster["metrics"]["silhouette"] is None
    assert any("Only one cluster" in note for note in single_cluster["notes"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clusterer", "stars"], "dbscan, kmeans"),
        (["--set", "eps=1"], "n_clusters"),
        (["--set", "n_clusters=1"], "2 to 100"),
        (["--of", "entities", "--set", "n_clusters=4"], "Too few"),
        (["--of", "weeks"], "days, entities"),
        (["--model", "champion", "--look", "shape"], "--look cannot be combined with --model"),
    ],
)
def test_cluster_command_rejects_bad_input(vigie: Command, tmp_path: Path, arguments: list[str], words: str) -> None:
    path = tmp_path / "gas.csv"
    assert vigie("sample", "gas_daily", "--out", path).returncode == 0
    process = vigie("cluster", path, *arguments)
    assert process.returncode == 2
    assert words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1


# ---- the default answer ---------------------------------------------------------------------------------------------


def test_default_clustering_of_gas_files_tells_regions_apart(gas: Dataset, workspace: Workspace) -> None:
    clustering, run = cluster(ClusteringSpec(), gas, workspace=workspace, actor=ALICE)
    assert (run.params["of"], run.params["look"], run.params["n_clusters"]) == ("entities", "shape", 2)
    groups = clustering.rows.groupby("cluster")["entity"].apply(lambda names: {name.split(" ")[0] for name in names})
    assert groups.tolist() == [{"GRTgaz"}, {"Teréga"}], "the regions of one operator have the same shape"
    assert clustering.quality["silhouette"] > 0.5
    assert "k = 2 was chosen" in str(clustering.notes[0])
    repeated, _ = cluster(clustering.model_spec, gas, workspace=workspace, actor=ALICE)
    assert repeated.rows["cluster"].equals(clustering.rows["cluster"])


def test_clustering_that_tells_no_entities_apart_says_what_to_try(sample: Dataset, workspace: Workspace) -> None:
    same = sample.filter_rows(sample.entities[:1])
    copies = pd.concat([same.frame.rename({same.entities[0]: name}, level=0) for name in ("a", "b")])
    index = make_index(copies.index.get_level_values(0).astype(str), copies.index.get_level_values(1))
    twins = same.replace(frame=copies.set_axis(index, axis=0), covariates=None, context=None, labels=None, fold=None)
    for look, points in (("level", "separate large points"), ("relative", "are points with high and with low values")):
        by_day, _ = cluster(
            ClusteringSpec(make_kmeans(2), look=look),  # type: ignore[arg-type]
            twins,
            workspace=workspace,
            actor=ALICE,
        )
        text = " ".join(map(str, by_day.notes))
        assert "is the most frequent one of every entity" in text
        assert f"% of the differences lie on one axis: the clusters {points}" in text
    by_shape, _ = cluster(ClusteringSpec(make_kmeans(2), look="shape"), twins, workspace=workspace, actor=ALICE)
    assert "lie on one axis" not in " ".join(map(str, by_shape.notes))


def test_clustering_with_one_giant_cluster_says_so(workspace: Workspace) -> None:
    values = np.concatenate([np.random.default_rng(0).normal(size=(200, 2)), [[90.0, 90.0]]])
    frame = pd.DataFrame(values, index=make_index(["a"] * 201, list(range(201))), columns=["x", "y"])
    clustering, _ = cluster(
        ClusteringSpec(make_kmeans(2)), Dataset(frame, layout="demo"), workspace=workspace, actor=ALICE
    )
    assert "One cluster holds 99.5 % of the points" in " ".join(map(str, clustering.notes))


def test_clustering_rejects_one_cluster(sample: Dataset, workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="2 to 100"):
        cluster(ClusteringSpec(make_kmeans(1)), sample, workspace=workspace, actor=ALICE)
