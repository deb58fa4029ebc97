"""One-class models and classifiers of vectors against plain computations, and on degenerate data."""

import numpy as np
import pytest

from core.detectors.base import Detector
from core.detectors.pca import fit_pca_axes
from core.detectors.vectors.classifiers import BoostingClassifier, DenseClassifier, ForestClassifier, VectorClassifier
from core.detectors.vectors.distances import compute_squared_distances, find_nearest, sample_rows
from core.detectors.vectors.kernel_density import KernelDensity, fit_squared_bandwidth
from core.detectors.vectors.nearest_neighbours import NearestNeighbours
from core.detectors.vectors.one_class_svm import OneClassSVM
from core.detectors.vectors.pca_subspace import PcaSubspace

MODELS = [NearestNeighbours, OneClassSVM, KernelDensity, PcaSubspace]
CLASSIFIERS = [ForestClassifier(50, 0), BoostingClassifier(30, 0.1, 0), DenseClassifier(50, 0)]
EVERY_MODEL = pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.name)
EVERY_CLASSIFIER = pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda value: type(value).__name__)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Rows (300, 6) on a plane of three dimensions with a little noise."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)) + 0.05 * rng.normal(size=(300, 6))


@EVERY_MODEL
def test_vector_model_scores_far_row_highest(cls: type[Detector], rows: np.ndarray) -> None:
    far = np.full((1, 6), 30.0) * [1, -1, 1, -1, 1, -1]
    scores = cls().fit(rows).score(np.concatenate([rows[:50], far]))
    assert int(scores.argmax()) == 50


@EVERY_MODEL
def test_vector_model_scores_single_row_as_in_batch(cls: type[Detector], rows: np.ndarray) -> None:
    model = cls().fit(rows)
    batch = model.score(rows)
    assert np.allclose(batch[[3, 77]], [model.score(rows[[number]])[0] for number in (3, 77)], rtol=1e-6, atol=1e-9)


@EVERY_MODEL
def test_vector_model_tells_equal_training_rows_from_others(cls: type[Detector]) -> None:
    """Training rows that do not differ leave no variance and no bandwidth; another row still scores higher."""
    model = cls().fit(np.full((5, 4), 0.3))
    scores = model.score(np.array([[0.3, 0.3, 0.3, 0.3], [0.3, 0.9, 0.1, 0.3]]))
    assert np.isfinite(scores).all()
    assert scores[1] > scores[0]


@EVERY_MODEL
def test_vector_model_fits_two_rows_of_many_columns(cls: type[Detector]) -> None:
    pair = np.random.default_rng(1).random((2, 500))
    scores = cls().fit(pair).score(np.concatenate([pair, 1 - pair]))
    assert np.isfinite(scores).all()
    assert scores[:2].max() < scores[2:].min()


@EVERY_MODEL
def test_vector_model_scores_no_rows(cls: type[Detector], rows: np.ndarray) -> None:
    assert cls().fit(rows).score(rows[:0]).shape == (0,)


def test_nearest_neighbours_equal_double_loop(rows: np.ndarray) -> None:
    train, test = rows[:100], rows[100:130]
    expected = [np.mean(sorted(np.linalg.norm(row - other) for other in train)[:2]) for row in test]
    assert np.allclose(NearestNeighbours(2).fit(train).score(test), expected, rtol=1e-5)


def test_nearest_neighbours_of_equal_row_have_distance_zero() -> None:
    """Also far from the origin, where |a|² + |b|² − 2 a·b in float32 would not be 0."""
    rows = (1000 + np.random.default_rng(0).random((50, 20))).astype(np.float32)
    distances, positions = find_nearest(rows, rows, count=1)
    assert distances.max() == 0
    assert positions[:, 0].tolist() == list(range(50))


def test_squared_distances_equal_differences(rows: np.ndarray) -> None:
    expected = np.square(rows[:7, None] - rows[None, 5:20]).sum(axis=2)
    assert np.allclose(compute_squared_distances(rows[:7], rows[5:20]), expected)


def test_sample_of_rows_is_bounded_ordered_and_seeded() -> None:
    rows = np.arange(5000.0)[:, None]
    sample = sample_rows(rows, seed=3)
    assert len(sample) == 3000
    assert (np.diff(sample[:, 0]) > 0).all()
    assert np.array_equal(sample, sample_rows(rows, seed=3))
    assert not np.array_equal(sample, sample_rows(rows, seed=4))


def test_pca_axes_of_few_rows_equal_those_of_covariance() -> None:
    """15 rows of 20 columns take the way over the products between rows; repeated 2 times they do not."""
    rows = np.random.default_rng(0).normal(size=(15, 20)).astype(np.float32)
    (mean, axes), (other_mean, other_axes) = fit_pca_axes(rows, 0.8), fit_pca_axes(np.repeat(rows, 2, axis=0), 0.8)
    assert axes.shape == other_axes.shape
    assert np.allclose(mean, other_mean, atol=1e-6)
    assert np.allclose(axes @ axes.T, other_axes @ other_axes.T, atol=1e-5)
    assert np.allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-5)


def test_pca_residual_of_row_on_plane_is_zero() -> None:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(2, 8))
    model = PcaSubspace(0.999).fit(rng.normal(size=(60, 2)) @ basis)
    scores = model.score(np.concatenate([rng.normal(size=(5, 2)) @ basis, rng.normal(size=(1, 8))]))
    assert scores[:5].max() < 1e-10
    assert scores[5] > 0.1


def test_bandwidth_has_the_largest_leave_one_out_likelihood(rows: np.ndarray) -> None:
    distances = compute_squared_distances(rows, rows)

    def compute_likelihood(squared: float) -> float:
        kernels = np.exp(-distances / (2 * squared))
        np.fill_diagonal(kernels, 0)
        return float(np.log(kernels.sum(axis=1)).sum() - len(rows) * rows.shape[1] / 2 * np.log(squared))

    best = fit_squared_bandwidth(distances, rows.shape[1])
    assert compute_likelihood(best) > max(compute_likelihood(best * factor) for factor in (0.7, 1.4))


def test_kernel_density_equals_mean_of_kernels(rows: np.ndarray) -> None:
    """With all components the reduced rows have the distances of the rows; `scipy` gives the same density."""
    from scipy.stats import multivariate_normal  # type: ignore[import-untyped]

    model = KernelDensity(0.999).fit(rows[:50])
    kernel = multivariate_normal(np.zeros(6), np.eye(6) * model.squared_bandwidth_)
    constant = 3 * np.log(2 * np.pi * model.squared_bandwidth_)
    reduced = model.reduce(rows)
    padded = np.pad(reduced, ((0, 0), (0, 6 - reduced.shape[1])))
    expected = [-np.log(np.mean(kernel.pdf(row - padded[:50]))) - constant for row in padded[:60]]
    assert np.allclose(model.score(rows[:60]), expected, atol=1e-3)


def test_one_class_svm_equals_scikit_learn(rows: np.ndarray) -> None:
    from sklearn import svm

    model = OneClassSVM(nu=0.2, gamma="scale").fit(rows)
    reference = svm.OneClassSVM(nu=0.2, gamma="scale").fit(rows)
    assert np.allclose(model.score(rows), -reference.decision_function(rows), atol=0.01)


# ---- classifiers ----------------------------------------------------------------------------------------------------


@EVERY_CLASSIFIER
def test_classifier_finds_few_abnormal_rows(classifier: VectorClassifier) -> None:
    """10 abnormal rows among 500 normal ones: equal weights put the boundary, log-odds 0, between the classes."""
    rng = np.random.default_rng(0)
    normal, abnormal = rng.normal(size=(600, 4)), rng.normal([4, 0, 0, 0], size=(110, 4))
    scores = classifier.fit(normal[:500], abnormal[:10]).score(np.concatenate([normal[500:], abnormal[10:]]))
    assert np.isfinite(scores).all()
    assert (scores[:100] < 0).mean() > 0.9
    assert (scores[100:] > 0).mean() > 0.7


@EVERY_CLASSIFIER
def test_classifier_fits_one_abnormal_row(classifier: VectorClassifier) -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(60, 4))
    scores = classifier.fit(normal, np.full((1, 4), 6.0)).score(np.array([[0.0] * 4, [6.0] * 4]))
    assert scores[1] > scores[0]


@EVERY_CLASSIFIER
def test_classifier_scores_are_reproducible_by_seed(classifier: VectorClassifier, rows: np.ndarray) -> None:
    first = classifier.fit(rows[:200], rows[200:]).score(rows)
    assert np.array_equal(first, classifier.fit(rows[:200], rows[200:]).score(rows))


def test_dense_classifier_equals_network_of_scikit_learn(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn import neural_network

    networks: list[neural_network.MLPClassifier] = []
    fit = neural_network.MLPClassifier.fit

    def record(network: neural_network.MLPClassifier, *args: object, **options: object) -> object:
        networks.append(network)
        return fit(network, *args, **options)

    monkeypatch.setattr(neural_network.MLPClassifier, "fit", record)
    classifier = DenseClassifier(10, 0).fit(rows[:200], rows[200:] + 1)
    probability = networks[0].predict_proba((rows - classifier.mean_) / classifier.width_)[:, 1]
    assert np.allclose(1 / (1 + np.exp(-classifier.score(rows))), probability)
