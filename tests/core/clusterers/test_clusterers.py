"""The contract of all clusterers, and DBSCAN compared with that of scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import cluster as reference

from core.clusterers import exact_dbscan
from core.clusterers.base import Clusterer
from core.clusterers.dbscan import DBSCAN
from core.clusterers.kmeans import KMeans
from core.clusterers.model_selection import compute_neighbour_distances, suggest_parameters
from core.data.dataset import Dataset
from core.errors import DataError
from core.evaluation import cluster_metrics
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.tasks.clusters.spec import list_clusterers

EVERY_CLUSTERER = pytest.mark.parametrize("cls", list_clusterers().values(), ids=list_clusterers().keys())
CENTRES = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, 6.0, 0.0], [6.0, 6.0, 6.0]])


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Four dense groups of 150, 120, 90 and 60 rows, and one row far from all."""
    random = np.random.default_rng(0)
    groups = [centre + 0.15 * random.normal(size=(150 - 30 * number, 3)) for number, centre in enumerate(CENTRES)]
    return np.concatenate([*groups, [[30.0, 30.0, 30.0]]])[random.permutation(421)]


# ---- contract of all clusterers -------------------------------------------------------------------------------------


def test_clusterer_registry_lists_folder() -> None:
    assert set(list_clusterers()) == {"kmeans", "dbscan"}


@EVERY_CLUSTERER
def test_clusterer_labels_are_consecutive_or_noise(cls: type[Clusterer], features: np.ndarray) -> None:
    labels = cls().fit(features).labels_
    assert labels.shape == (len(features),)
    assert set(labels) - {-1} == set(range(labels.max() + 1))
    assert labels.max() >= 3


@EVERY_CLUSTERER
def test_clusterer_is_deterministic_with_seed(cls: type[Clusterer], features: np.ndarray) -> None:
    assert np.array_equal(cls().fit(features).labels_, cls().fit(features).labels_)


@EVERY_CLUSTERER
def test_clusterer_does_not_modify_features(cls: type[Clusterer], features: np.ndarray) -> None:
    before = features.copy()
    fitted = cls().fit(features)
    fitted.assign(features)
    fitted.compute_distance(features)
    assert np.array_equal(features, before)


@EVERY_CLUSTERER
def test_clusterer_assigns_fitted_rows_to_their_cluster(cls: type[Clusterer], features: np.ndarray) -> None:
    fitted = cls().fit(features)
    assert np.array_equal(fitted.assign(features), fitted.labels_)


@EVERY_CLUSTERER
def test_clusterer_assigns_single_rows_as_in_batch(cls: type[Clusterer], features: np.ndarray) -> None:
    fitted = cls().fit(features)
    new_rows = np.random.default_rng(1).uniform(-2, 8, (60, 3))
    labels, distances = fitted.assign(new_rows), fitted.compute_distance(new_rows)
    for row in range(len(new_rows)):
        assert fitted.assign(new_rows[[row]])[0] == labels[row]
        assert fitted.compute_distance(new_rows[[row]])[0] == pytest.approx(distances[row])


@EVERY_CLUSTERER
def test_clusterer_distance_grows_away_from_clusters(cls: type[Clusterer], features: np.ndarray) -> None:
    fitted = cls().fit(features)
    assert np.isfinite(fitted.compute_distance(features)).all()
    near, far = fitted.compute_distance(np.array([[0.0, 0.0, 0.0], [0.0, -50.0, 0.0]]))
    assert near < 1 < far


@EVERY_CLUSTERER
def test_clusterer_hyperparameters_have_help_and_valid_default(cls: type[Clusterer]) -> None:
    assert all(field.metadata["help"] for field in get_hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())
    assert cls.label
    assert cls.sampling_note


@EVERY_CLUSTERER
def test_clusterer_fitted_attributes_end_with_underscore(cls: type[Clusterer], features: np.ndarray) -> None:
    fitted_attributes = vars(cls().fit(features)).keys() - get_hyperparameters(cls).keys()
    assert {"labels_", "sampled_"} <= fitted_attributes
    assert all(name.endswith("_") for name in fitted_attributes)


# ---- KMeans ---------------------------------------------------------------------------------------------------------


def test_kmeans_numbers_clusters_by_size(features: np.ndarray) -> None:
    labels = KMeans(n_clusters=5).fit(features).labels_
    assert np.bincount(labels).tolist() == [150, 120, 90, 60, 1]


@pytest.mark.parametrize(
    ("rows", "words"), [(np.zeros((4, 2)), "Too few"), (np.ones((1, 2)), "Too few"), (np.ones((50, 2)), "distinct")]
)
def test_kmeans_refuses_too_few_rows(rows: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        KMeans(n_clusters=4).fit(rows)


def test_kmeans_fits_large_data_on_sample(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    unsampled = KMeans(n_clusters=4).fit(features)
    monkeypatch.setattr("core.clusterers.kmeans.MAX_START_ROWS", 200)
    sampled = KMeans(n_clusters=4).fit(features)
    assert (unsampled.sampled_, sampled.sampled_) == (0, 200)
    assert cluster_metrics.compute_mean_ari(unsampled.labels_, [sampled.labels_]) == pytest.approx(1.0)
    assert len(sampled.labels_) == len(features)


# ---- DBSCAN ---------------------------------------------------------------------------------------------------------


def assert_matches_scikit_learn(rows: np.ndarray, eps: float, min_samples: int) -> None:
    labels, core = exact_dbscan.find_clusters(rows, eps, min_samples)
    expected = reference.DBSCAN(eps=eps, min_samples=min_samples, algorithm="kd_tree").fit(rows)
    assert np.array_equal(labels, expected.labels_)
    assert np.array_equal(np.flatnonzero(core), expected.core_sample_indices_)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.integers(-4, 4)),
    st.sampled_from([1.0, 1.5, 2.0, 3.0]),
    st.integers(1, 8),
    st.sampled_from([2, 5, 64]),
)
def test_dbscan_matches_scikit_learn_on_duplicates_and_ties(
    rows: np.ndarray, eps: float, min_samples: int, cell: int
) -> None:
    """Integers give many equal rows and many pairs at exactly eps; cells of two rows exercise every join."""
    default_cell = exact_dbscan.MAX_CELL_ROWS
    exact_dbscan.MAX_CELL_ROWS = cell
    try:
        assert_matches_scikit_learn(rows.astype(float), eps, min_samples)
    finally:
        exact_dbscan.MAX_CELL_ROWS = default_cell


@given(st.integers(0, 2**31), st.integers(1, 700), st.integers(1, 30), st.floats(0.05, 3.0), st.integers(1, 12))
def test_dbscan_matches_scikit_learn_on_random_rows(
    seed: int, count: int, columns: int, eps: float, min_samples: int
) -> None:
    """The rows lie around five centres with small and large spreads."""
    random = np.random.default_rng(seed)
    centres = 2 * random.normal(size=(5, columns))
    rows = centres[random.integers(5, size=count)] + random.normal(size=(count, columns)) * random.exponential(
        0.4, (count, 1)
    )
    assert_matches_scikit_learn(rows, eps, min_samples)


@given(st.integers(0, 2**31), st.sampled_from([1e3, 1e7]), st.sampled_from([0.5, 1.0, 2.0]))
def test_dbscan_matches_scikit_learn_with_far_row(seed: int, far: float, eps: float) -> None:
    """The rows lie far from the mean of all rows: rounding in the rotation must not decide a tie."""
    rows = np.random.default_rng(seed).integers(-5, 6, (150, 3)) + far
    assert_matches_scikit_learn(np.concatenate([rows, -far * np.ones((100, 3)), [[0.0, 17 * far, 0.0]]]), eps, 4)


def test_dbscan_with_constant_column() -> None:
    rows = np.column_stack([np.random.default_rng(0).normal(size=300), np.zeros(300)])
    assert_matches_scikit_learn(rows, 0.1, 4)


@pytest.mark.parametrize("count", [1, 500])
def test_dbscan_of_equal_rows(count: int) -> None:
    assert_matches_scikit_learn(np.ones((count, 3)), 0.5, 5)


def test_dbscan_matches_scikit_learn_on_gas_files(gas: Dataset) -> None:
    values = np.where(np.isnan(gas.values), np.nanmean(gas.values, axis=0), gas.values)
    rows = (values - values.mean(axis=0)) / values.std(axis=0)
    labels, _ = exact_dbscan.find_clusters(rows, 0.5, 5)
    assert np.array_equal(labels, reference.DBSCAN(eps=0.5, min_samples=5).fit(rows).labels_)


def test_dbscan_assigns_to_nearest_core_row() -> None:
    """The data are two dense lines 1.6 apart; eps is 1."""
    line = np.column_stack([np.arange(0, 5, 0.2), np.zeros(25)])
    fitted = DBSCAN(eps=1.0, min_samples=3).fit(np.concatenate([line, line + np.array([0, 1.6])]))
    queries = np.array([[2.0, 0.7], [2.0, 0.9], [2.0, -0.99], [2.0, -1.01], [2.0, 40.0]])
    assert fitted.assign(queries).tolist() == [0, 1, 0, -1, -1]
    assert fitted.compute_distance(queries).round(6).tolist() == [0.7, 0.7, 0.99, 1.01, 38.4]


def test_dbscan_assigns_core_and_noise_rows_as_fitted() -> None:
    rows = np.random.default_rng(3).normal(size=(800, 2))
    fitted = DBSCAN(eps=0.15, min_samples=6).fit(rows)
    _, core = exact_dbscan.find_clusters(rows, 0.15, 6)
    is_unambiguous = core | (fitted.labels_ == -1)
    assert 0 < (~is_unambiguous).sum() < 400
    assert np.array_equal(fitted.assign(rows)[is_unambiguous], fitted.labels_[is_unambiguous])


def test_dbscan_without_core_row() -> None:
    rows = np.arange(10.0)[:, None]
    fitted = DBSCAN(eps=0.5, min_samples=2).fit(rows)
    assert (fitted.labels_ == -1).all()
    assert (fitted.assign(rows) == -1).all()


def test_dbscan_samples_when_too_many_pairs(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a low limit of pairs, core rows are searched in a sample; the clusters stay the same."""
    unsampled = DBSCAN(eps=1.0, min_samples=140).fit(features)
    monkeypatch.setattr(exact_dbscan, "MAX_CELL_ROWS", 4)
    monkeypatch.setattr(exact_dbscan, "MAX_DISTANCES", 80 * len(features))
    sampled = DBSCAN(eps=1.0, min_samples=140).fit(features)
    assert (unsampled.sampled_, sampled.sampled_) == (0, 80)
    assert unsampled.labels_.max() == 0
    assert np.array_equal(sampled.labels_, unsampled.labels_)


# ---- quality metrics ------------------------------------------------------------------------------------------------


def test_silhouette_ranks_good_above_bad_clustering(features: np.ndarray) -> None:
    good = cluster_metrics.compute_cluster_metrics(features, DBSCAN().fit(features).labels_)
    bad = cluster_metrics.compute_cluster_metrics(features, np.random.default_rng(0).integers(4, size=len(features)))
    assert good["silhouette"] > 0.9 > 0.1 > bad["silhouette"]
    assert good["davies_bouldin"] < bad["davies_bouldin"]
    assert good["calinski_harabasz"] > bad["calinski_harabasz"]


def test_clustering_quality_without_comparable_clusters() -> None:
    rows = np.random.default_rng(0).normal(size=(10, 2))
    assert cluster_metrics.compute_cluster_metrics(rows, np.full(10, -1)) == {}
    assert set(cluster_metrics.compute_cluster_metrics(rows, np.zeros(10, int))) == {"inertia"}
    assert set(cluster_metrics.compute_cluster_metrics(rows, np.arange(10))) == {"inertia"}


def test_inertia_matches_scikit_learn(features: np.ndarray) -> None:
    fitted = reference.KMeans(4, random_state=0, tol=0).fit(features)
    assert cluster_metrics.compute_inertia(features, fitted.labels_) == pytest.approx(fitted.inertia_)


def test_knee_of_curve() -> None:
    curve = np.concatenate([np.linspace(0, 1, 90), np.linspace(1, 20, 10)])
    assert 85 <= cluster_metrics.find_knee(curve) <= 91
    assert cluster_metrics.find_knee(np.ones(5)) == 4
    assert cluster_metrics.find_knee(np.array([0.3])) == 0


def test_suggest_parameters_finds_groups(features: np.ndarray) -> None:
    inside = features[:, 0] < 20
    advice = suggest_parameters(features[inside], 5)
    assert advice.k == 4
    assert advice.kmeans_scores["inertia"].is_monotonic_decreasing
    assert DBSCAN(eps=advice.eps).fit(features[inside]).labels_.max() == 3


def test_neighbour_distances_count_row_itself() -> None:
    assert compute_neighbour_distances(np.arange(5.0)[:, None], 2).tolist() == [1.0] * 5
    assert compute_neighbour_distances(np.arange(2.0)[:, None], 5).tolist() == [1.0] * 2
