"""The command `cluster` on the real gas files and on samples: reference values, runs, stored results."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.clusterers.base import Clusterer
from core.clusterers.points import daily, points
from core.data.dataset import Dataset, clock_labels, keyed
from core.data.samples import load_sample
from core.errors import DataError, NotFoundError, OptionError
from core.runs.promotion import runs_with_model
from core.spec.spec import ApplySpec
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, detectors
from core.tasks.clusters import figures
from core.tasks.clusters.result import Clustering
from core.tasks.clusters.run import apply_model, cluster, load_clustering, suggest_parameters
from core.tasks.clusters.spec import ClusteringSpec, clusterers
from core.workspace import Workspace
from tests.conftest import ROOT, Command

BY = Actor("alice", "tests")


def kmeans(k: int = 4) -> Clusterer:
    return clusterers()["kmeans"](n_clusters=k)


def dbscan(eps: float = 0.5, min_samples: int = 5) -> Clusterer:
    return clusterers()["dbscan"](eps=eps, min_samples=min_samples)


def profiles(days: int = 60, entities: tuple[str, ...] = ("flat", "peak")) -> Dataset:
    """Return daily profiles of two shapes at many levels: the first entity is constant, the second peaks at noon."""
    random = np.random.default_rng(0)
    hours = np.arange(24)
    shapes = {"flat": np.ones(24), "peak": 1 + 2 * np.exp(-(((hours - 12) / 2) ** 2))}
    values = [
        random.uniform(1, 100) * shapes[entity] * random.normal(1, 0.01, 24) for entity in entities for _ in range(days)
    ]
    times = np.tile(pd.date_range("2023-01-01", periods=days).to_numpy(), len(entities))
    index = keyed(pd.Categorical(np.repeat(entities, days)), times)
    frame = pd.DataFrame(np.array(values), index=index, columns=clock_labels(24))
    return Dataset(frame, layout="daily_profile", profile=True, step=pd.Timedelta(hours=1), files=("profiles.csv",))


# ---- reference values -----------------------------------------------------------------------------------------------


def test_dbscan_on_the_gas_files(gas: Dataset, place: Workspace) -> None:
    """Reference values of the predecessor (energy): 11 clusters, 1,684 of 33,720 points are noise."""
    found, run = cluster(ClusteringSpec(dbscan(), incomplete="column-mean"), gas, workspace=place, actor=BY)
    assert (run.metrics["clusters"], run.metrics["noise_points"]) == (11, 1684)
    assert run.metrics["noise_ratio"] == pytest.approx(0.0499407, abs=1e-7)
    assert (len(found.rows), sum(found.sizes)) == (33_720, 33_720 - 1684)
    assert found.sizes[0] == 31_969
    assert 0 < run.metrics["isolated_noise_points"] == found.noise["isolated"].sum() < 1684
    assert found.explained[0] == pytest.approx(0.9364, abs=1e-4)
    assert run.metrics["stability"] > 0.9
    said = " ".join(map(str, found.notes))
    assert "contamination 4.99 %" in said
    assert "older results only" in said


def test_kmeans_on_the_gas_files(gas: Dataset, place: Workspace) -> None:
    """Reference values of the predecessor (energy): StandardScaler, k = 4, inertia 122,989 and these sizes."""
    found, run = cluster(ClusteringSpec(kmeans(), incomplete="column-mean"), gas, workspace=place, actor=BY)
    assert found.sizes == [20_857, 9_443, 2_751, 669]
    assert run.metrics["inertia"] == pytest.approx(122_989, abs=1)
    assert run.metrics["silhouette"] == pytest.approx(0.58, abs=0.01)
    assert run.metrics["stability"] > 0.99
    assert found.by_entity().to_numpy().sum() == 33_720
    assert found.by_season().loc["winter"].idxmin() == 3
    assert found.by_season()[3].idxmax() == "winter"


def test_regions_of_the_gas_files(gas: Dataset, place: Workspace) -> None:
    found, _ = cluster(ClusteringSpec(kmeans(3), of="entities", look="shape"), gas, workspace=place, actor=BY)
    assert len(found.rows) == 15
    assert set(found.rows["cluster"]) == {0, 1, 2}
    assert "time" not in found.rows
    assert found.by_season().empty
    assert figures.in_france(found)
    assert set(found.profiles["panel"]) == {"working day", "Saturday", "Sunday", "month"}
    with pytest.raises(DataError, match="15 points are too few for 15 clusters"):
        cluster(ClusteringSpec(kmeans(15), of="entities"), gas, workspace=place, actor=BY)


def test_a_typical_profile_is_not_moved_by_one_absurd_cell(gas: Dataset) -> None:
    """One hour in Pays de la Loire has 1,045,440 MWh; the usual hours have some hundreds to thousands of MWh."""
    name = "GRTgaz · pays de la loire"
    part = gas.select([name])
    typical = points(part.rows(part.complete), "entities").values[0]
    assert np.nanmax(part.values) > 1_000_000
    assert typical.max() < 10_000


# ---- shape and level ------------------------------------------------------------------------------------------------


def test_shape_tells_apart_what_level_mixes(place: Workspace) -> None:
    dataset = profiles()
    by_shape, _ = cluster(ClusteringSpec(kmeans(2), look="shape"), dataset, workspace=place, actor=BY)
    by_level, _ = cluster(ClusteringSpec(kmeans(2), look="level"), dataset, workspace=place, actor=BY)
    assert sorted(by_shape.by_entity().to_numpy().ravel().tolist()) == [0, 0, 60, 60]
    assert (by_level.by_entity().to_numpy() > 0).all()
    assert by_shape.profiles["mean"].groupby(by_shape.profiles["cluster"]).mean().round(6).tolist() == [1.0, 1.0]


def test_rows_next_to_zero_have_no_shape(place: Workspace) -> None:
    dataset = profiles()
    values = dataset.values.copy()
    values[:7] = 0.0
    values[7] = np.tile([1.0, -1.0], 12)
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    found, run = cluster(ClusteringSpec(kmeans(2), look="shape"), dataset, workspace=place, actor=BY)
    assert run.metrics["flat_points_left_out"] == 8
    assert len(found.rows) == 112
    assert "8 points were left out" in " ".join(map(str, found.notes))


# ---- missing values and other layouts -------------------------------------------------------------------------------


def test_incomplete_rows(sample: Dataset, place: Workspace) -> None:
    missing = int((~sample.complete).sum())
    assert missing > 0
    sizes = {}
    for incomplete in ("drop", "impute", "column-mean"):
        found, run = cluster(ClusteringSpec(kmeans(), incomplete=incomplete), sample, workspace=place, actor=BY)  # type: ignore[arg-type]
        sizes[incomplete] = len(found.rows)
        assert run.metrics["rows_left_out"] == (missing if incomplete == "drop" else 0)
    assert sizes == {"drop": len(sample) - missing, "impute": len(sample), "column-mean": len(sample)}


def test_a_series_is_grouped_by_its_days(place: Workspace) -> None:
    series = load_sample("tidy_series")
    found, _ = cluster(ClusteringSpec(kmeans(3)), series, workspace=place, actor=BY)
    assert len(found.rows) == len(daily(series).rows(daily(series).complete)) < len(series) / 20
    assert list(found.profiles["column"].unique()) == clock_labels(24)


def test_measurements_without_dates_are_grouped_by_level(place: Workspace) -> None:
    kpis = load_sample("kpi_matrix")
    found, run = cluster(ClusteringSpec(kmeans(3)), kpis, workspace=place, actor=BY)
    assert len(found.rows) == len(kpis)
    assert not found.dated
    assert found.by_season().empty
    with pytest.raises(DataError, match="different measurements"):
        cluster(ClusteringSpec(kmeans(3), look="shape"), kpis, workspace=place, actor=BY)
    with pytest.raises(DataError, match="1 complete points"):
        cluster(ClusteringSpec(kmeans(3), of="entities"), kpis, workspace=place, actor=BY)
    answer, _ = apply_model(ApplySpec(run.id), kpis, workspace=place, actor=BY)
    assert np.array_equal(answer.rows["cluster"], found.rows["cluster"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values[:1], "1 complete points"),
        (lambda values: values[:4], "4 points are too few for 4 clusters"),
        (lambda values: values * 0 + 5.0, "Only 1 points differ"),
        (lambda values: values * np.nan, "No row without missing"),
    ],
)
def test_too_little_to_group(place: Workspace, change: Any, words: str) -> None:
    dataset = profiles()
    values = change(dataset.values)
    frame = pd.DataFrame(values, index=dataset.frame.index[: len(values)], columns=dataset.columns)
    with pytest.raises(DataError, match=words):
        cluster(ClusteringSpec(kmeans()), dataset.replace(frame=frame), workspace=place, actor=BY)
    [event] = place.events.read()
    assert (event.status, event.error_type) == ("failed", "DataError")


def test_a_column_without_values_has_no_mean(place: Workspace) -> None:
    dataset = profiles()
    frame = dataset.frame.assign(**{"05:00": np.nan})
    with pytest.raises(DataError, match="05:00"):
        cluster(
            ClusteringSpec(kmeans(), incomplete="column-mean"), dataset.replace(frame=frame), workspace=place, actor=BY
        )


def test_a_constant_column_changes_nothing(place: Workspace) -> None:
    dataset = profiles()
    constant = dataset.replace(frame=dataset.frame.assign(**{"05:00": 3.0}))
    found, _ = cluster(ClusteringSpec(kmeans(2)), constant, workspace=place, actor=BY)
    assert np.isfinite(found.rows[["pc1", "pc2", "distance"]]).all(axis=None)


@pytest.mark.parametrize("wrong", [{"of": "weeks"}, {"look": "colour"}, {"incomplete": "guess"}, {"components": -1}])
def test_a_wrong_word_is_refused(sample: Dataset, place: Workspace, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        cluster(ClusteringSpec(kmeans(), **wrong), sample, workspace=place, actor=BY)
    assert place.events.read() == []


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_one_action_is_one_run_and_one_event(sample: Dataset, place: Workspace) -> None:
    found, run = cluster(ClusteringSpec(dbscan()), sample, workspace=place, actor=BY)
    client = MlflowClient(place.tracking.uri)
    [kept] = client.search_runs([each.experiment_id for each in client.search_experiments()])
    [event] = place.events.read()
    artifacts = {file.path for file in client.list_artifacts(run.id)}
    assert kept.info.run_id == run.id == event.run_id
    assert {"of": "days", "look": "level", "eps": "0.5", "clusterer": "dbscan"}.items() <= kept.data.params.items()
    assert kept.data.metrics["noise_points"] == len(found.noise) == event.details.noise_points_count
    assert event.details.successful_predictions == len(found.rows)
    assert artifacts == {"clusters.csv", "map.html", "model", "result"}


@pytest.mark.parametrize(("of", "look"), [("days", "level"), ("entities", "shape")])
def test_the_result_comes_back_from_the_run(sample: Dataset, place: Workspace, of: Any, look: Any) -> None:
    found, run = cluster(ClusteringSpec(kmeans(2), of=of, look=look, components=2), sample, workspace=place, actor=BY)
    again = load_clustering(run.id, place)
    assert isinstance(again, Clustering)
    assert (again.spec, again.model_spec, again.data, again.quality, again.explained, again.notes) == (
        found.spec,
        found.model_spec,
        found.data,
        found.quality,
        found.explained,
        found.notes,
    )
    pd.testing.assert_frame_equal(again.rows, found.rows)
    pd.testing.assert_frame_equal(again.profiles, found.profiles)


def test_a_run_of_another_kind_holds_no_clusters(sample: Dataset, place: Workspace) -> None:
    forest = detectors()["isolation-forest"](n_estimators=20)
    _, run = detect(DetectionSpec(forest, compare_with="entity"), sample, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="holds no"):
        load_clustering(run.id, place)
    with pytest.raises(NotFoundError, match="No run"):
        load_clustering("f" * 32, place)


@pytest.mark.parametrize(
    "settings", [{"of": "days"}, {"of": "days", "look": "shape", "incomplete": "impute", "components": 3}]
)
@pytest.mark.parametrize("name", ["kmeans", "dbscan"])
def test_a_saved_model_assigns_later_days(
    sample: Dataset, place: Workspace, name: str, settings: dict[str, Any]
) -> None:
    found, run = cluster(ClusteringSpec(clusterers()[name](), **settings), sample, workspace=place, actor=BY)
    applied, second = apply_model(ApplySpec(run.id, start="2024-01-01"), sample, workspace=place, actor=BY)
    old = found.rows.set_index(["entity", "time"])["cluster"]
    new = applied.rows.set_index(["entity", "time"])["cluster"]
    assert (new.index.get_level_values("time") >= "2024-01-01").all()
    moved = new[new != old.loc[new.index]]
    assert len(moved) <= (0.05 * len(new) if name == "dbscan" else 0), (
        "only rows at the border of two clusters change cluster"
    )
    assert (moved >= 0).all()
    assert applied.spec == ApplySpec(run.id, dataset=sample.digest, start="2024-01-01")
    assert applied.model_spec == found.model_spec
    params = MlflowClient(place.tracking.uri).get_run(second.id).data.params
    assert {"clusterer": name, "start": "2024-01-01", "model_run": run.id}.items() <= params.items()
    assert "model" not in params
    assert [model.id for model in runs_with_model("clusters", place)] == [run.id]
    with pytest.raises(NotFoundError, match="no model"):
        apply_model(ApplySpec(second.id), sample, workspace=place, actor=BY)


def test_a_cluster_without_any_of_the_later_rows(place: Workspace) -> None:
    dataset = profiles()
    _, run = cluster(ClusteringSpec(kmeans(2), look="shape"), dataset, workspace=place, actor=BY)
    found = [
        apply_model(ApplySpec(run.id, entities=(name,)), dataset, workspace=place, actor=BY)[0]
        for name in dataset.entities
    ]
    assert sorted(each.sizes for each in found) == [[0, 60], [60]]
    for each in found:
        assert each.metrics()["clusters"] == 1
        assert each.profiles["cluster"].nunique() == 1
        assert len(figures.profiles(each).data) >= 3


def test_a_saved_model_assigns_entities_by_their_later_profile(gas: Dataset, place: Workspace) -> None:
    found, run = cluster(ClusteringSpec(kmeans(3), of="entities", look="level"), gas, workspace=place, actor=BY)
    later, _ = apply_model(ApplySpec(run.id, start="2022-06-01"), gas, workspace=place, actor=BY)
    assert (later.rows["cluster"] == found.rows["cluster"]).mean() >= 0.8


def test_other_columns_and_other_units_are_refused(sample: Dataset, place: Workspace) -> None:
    _, run = cluster(ClusteringSpec(kmeans()), sample, workspace=place, actor=BY)
    with pytest.raises(DataError, match="fitted on MWh"):
        apply_model(ApplySpec(run.id), sample.replace(unit="kWh"), workspace=place, actor=BY)
    with pytest.raises(DataError, match="fitted on the columns"):
        apply_model(ApplySpec(run.id), load_sample("daily_profile"), workspace=place, actor=BY)


def test_mlflow_serves_the_model_with_its_signature(sample: Dataset, place: Workspace) -> None:
    import mlflow

    found, run = cluster(ClusteringSpec(kmeans()), sample, workspace=place, actor=BY)
    mlflow.set_tracking_uri(place.tracking.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run.id}/model")
    table = sample.rows(sample.complete).frame.head(20).reset_index()
    table["entity"] = table["entity"].astype(str)
    answer = model.predict(table).set_index(["entity", "time"])["cluster"]
    assert np.array_equal(answer, found.rows.set_index(["entity", "time"])["cluster"].loc[answer.index])


# ---- notes about poor clusters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eps", "min_samples", "words"), [(500.0, 5, "Only one cluster"), (0.01, 10_000, "every point is noise")]
)
def test_dbscan_says_when_it_groups_nothing(
    sample: Dataset, place: Workspace, eps: float, min_samples: int, words: str
) -> None:
    found, _ = cluster(ClusteringSpec(dbscan(eps, min_samples)), sample, workspace=place, actor=BY)
    assert words in " ".join(map(str, found.notes))
    assert load_clustering(_newest(place), place) is not None


def test_dbscan_says_when_most_points_are_noise(place: Workspace) -> None:
    dataset = profiles()
    values = dataset.values.copy()
    values[:5], values[60:65] = values[0], values[60]
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    found, _ = cluster(ClusteringSpec(dbscan(0.001)), dataset, workspace=place, actor=BY)
    assert found.sizes == [5, 5]
    assert "91.7 % of the points are noise" in " ".join(map(str, found.notes))


def _newest(place: Workspace) -> str:
    return str(place.events.read()[-1].run_id)


def test_parameters_are_suggested_without_a_run(sample: Dataset, place: Workspace) -> None:
    found = suggest_parameters(ClusteringSpec(look="shape"), sample)
    assert found.by_k["k"].tolist() == list(range(2, 11))
    assert found.by_k["silhouette"].between(-1, 1).all()
    assert 0 < found.eps <= found.curve.max()
    few = suggest_parameters(ClusteringSpec(of="entities"), sample)
    assert few.by_k["k"].max() == len(sample.entities) - 1
    assert place.events.read() == []


# ---- figures --------------------------------------------------------------------------------------------------------


def test_the_map_is_light_and_one_outlier_does_not_squeeze_it(gas: Dataset, place: Workspace) -> None:
    found, _ = cluster(ClusteringSpec(dbscan()), gas, workspace=place, actor=BY)
    figure = figures.pca_map(found)
    assert len(figure.to_json()) < 500_000
    assert sum(len(trace.x) for trace in figure.data) < 5000
    assert len(figure.data) == len(found.sizes) + 1
    looks = {(trace.marker.color, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == len(figure.data), "two clusters share color and symbol"
    assert figure.layout.yaxis.range[1] < 0.5 * found.rows["pc2"].abs().max()
    assert figures.beyond_the_map(found) > 0


def test_every_figure_is_drawn(gas: Dataset, place: Workspace) -> None:
    found, _ = cluster(ClusteringSpec(kmeans(3), of="entities"), gas, workspace=place, actor=BY)
    drawn = figures.france(found)
    assert len(drawn.data) == 15, "one label per entity with data; Corsica has no data"
    assert len(drawn.layout.annotations) == 13
    assert len(figures.profiles(found).data) == 3 * 3 * 4
    assert figures.crossed(found.by_entity()).data[0].z.shape == (15, 3)
    help_ = suggest_parameters(ClusteringSpec(of="entities"), gas)
    assert len(figures.elbow(help_).data) == 2
    assert len(figures.neighbour_distances(help_).data) == 1


def test_tiles_do_not_overlap_and_are_the_thirteen_regions() -> None:
    from core.data.regions import NEW

    assert set(figures.TILES) == set(NEW)
    assert len(set(figures.TILES.values())) == 13


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def vigie(tmp_path: Path) -> Command:
    """Function that runs `python -m core …` in a separate data folder."""
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
        )

    return run


def test_the_command_on_the_gas_files(vigie: Command, gas_files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "clusters.csv"
    ran = vigie(
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
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    metrics = answer["metrics"]
    assert (metrics["clusters"], metrics["noise_points"]) == (11, 1684)
    assert metrics["noise_ratio"] == pytest.approx(0.0499407, abs=1e-7)
    assert {"inertia", "silhouette"} <= metrics.keys()
    assert metrics["sizes"] == [31969, 17, 6, 5, 5, 4, 3, 4, 8, 10, 5]
    assert answer["recorded"] is True
    table = pd.read_csv(out)
    assert len(table) == 33_720
    assert (table["cluster"] == -1).sum() == 1684


def test_the_command_applies_and_answers_in_words(vigie: Command, tmp_path: Path) -> None:
    path = tmp_path / "gas.csv"
    assert vigie("sample", "gas_daily", "--out", path).returncode == 0
    first = json.loads(vigie("cluster", path, "--set", "n_clusters=3", "--look", "shape", "--json").stdout)
    second = vigie("cluster", path, "--model", first["run_id"])
    assert second.returncode == 0, second.stderr
    assert f"3 clusters of {first['metrics']['points']:,} points" in second.stdout
    nothing = json.loads(vigie("cluster", path, "--clusterer", "dbscan", "--set", "eps=500", "--json").stdout)
    assert nothing["metrics"]["silhouette"] is None
    assert any("Only one cluster" in note for note in nothing["notes"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clusterer", "stars"], "dbscan, kmeans"),
        (["--set", "eps=1"], "n_clusters"),
        (["--set", "n_clusters=1"], "2 to 100"),
        (["--of", "entities"], "too few"),
        (["--of", "weeks"], "days, entities"),
        (["--model", "champion", "--look", "shape"], "--look does not go with --model"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    vigie: Command, tmp_path: Path, arguments: list[str], words: str
) -> None:
    path = tmp_path / "gas.csv"
    assert vigie("sample", "gas_daily", "--out", path).returncode == 0
    ran = vigie("cluster", path, *arguments)
    assert ran.returncode == 2
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
