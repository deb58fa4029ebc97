"""Hybrids: codes of a VAE judged by classical models; the contract of all image detectors is tested elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from core.detectors.images.hybrid_dense import HybridDense
from core.detectors.images.hybrid_detector import CodeDetector, HybridDetector
from core.detectors.images.hybrid_gradient_boosting import HybridGradientBoosting
from core.detectors.images.hybrid_isolation_forest import HybridIsolationForest
from core.detectors.images.hybrid_knn import HybridNearestNeighbours
from core.detectors.images.hybrid_one_class_svm import HybridOneClassSVM
from core.detectors.images.hybrid_pca import HybridPca
from core.detectors.images.hybrid_random_forest import HybridRandomForest
from core.detectors.images.supervised_hybrid import SupervisedHybrid
from core.detectors.vectors.nearest_neighbours import NearestNeighbours
from core.errors import DataError
from core.progress import Progress
from core.spec.hyperparameters import get_hyperparameters

UNSUPERVISED = [HybridIsolationForest, HybridOneClassSVM, HybridNearestNeighbours, HybridPca]
SUPERVISED = [HybridRandomForest, HybridGradientBoosting, HybridDense]
EVERY_HYBRID = pytest.mark.parametrize("cls", [*UNSUPERVISED, *SUPERVISED], ids=lambda cls: cls.name)
EVERY_UNSUPERVISED = pytest.mark.parametrize("cls", UNSUPERVISED, ids=lambda cls: cls.name)
EVERY_SUPERVISED = pytest.mark.parametrize("cls", SUPERVISED, ids=lambda cls: cls.name)
SHORT = {"epochs": 2, "width": 4, "latent": 8}


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    """Zeros (178, 8, 8, 1) and ones (182, 8, 8, 1) of the digits, as 0–255."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = (data.images * 255 / 16).astype(np.uint8)[..., None]
    return images[data.target == 0], images[data.target == 1]


def build(cls: type[CodeDetector], **settings: object) -> CodeDetector:
    """Return a detector of few epochs and few trees."""
    trees = {"trees": 20} if "trees" in get_hyperparameters(cls) else {}
    return cls(**(SHORT | trees | settings))  # type: ignore[arg-type]


@EVERY_UNSUPERVISED
def test_hybrid_tells_zeros_from_ones(cls: type[HybridDetector], parts: tuple[np.ndarray, np.ndarray]) -> None:
    zeros, ones = parts
    detector = build(cls, epochs=15).fit(zeros[:120], Progress())
    assert (detector.score(ones)[:, None] > detector.score(zeros[120:])).mean() > 0.8


@EVERY_SUPERVISED
def test_supervised_hybrid_learns_from_few_abnormal_images(
    cls: type[SupervisedHybrid], parts: tuple[np.ndarray, np.ndarray]
) -> None:
    zeros, ones = parts
    detector = build(cls, epochs=15).fit(zeros[:120], Progress(), abnormal=ones[:15])
    normal, abnormal = detector.score(zeros[120:]), detector.score(ones[15:])
    assert (abnormal[:, None] > normal).mean() > 0.95
    assert np.median(normal) < 0 < np.median(abnormal)
    assert "abnormal_" not in vars(detector)


@EVERY_SUPERVISED
@pytest.mark.parametrize("abnormal", [None, np.zeros((0, 8, 8, 1), np.uint8)], ids=["none", "empty"])
def test_supervised_hybrid_refuses_without_abnormal_images(
    cls: type[SupervisedHybrid], abnormal: np.ndarray | None, parts: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(DataError, match=f"{cls.name} needs labelled abnormal images"):
        build(cls).fit(parts[0], Progress(), abnormal=abnormal)


@EVERY_HYBRID
def test_hybrid_monitor_sees_scores_of_the_whole_model(
    cls: type[CodeDetector], parts: tuple[np.ndarray, np.ndarray]
) -> None:
    """After each epoch the model of codes is fitted too; watching changes nothing."""
    zeros, ones = parts
    scores: list[np.ndarray] = []
    detector = build(cls).fit(zeros, Progress(), abnormal=ones, monitor=lambda epoch, score: scores.append(score(ones)))
    assert len(scores) == SHORT["epochs"]
    assert all(np.isfinite(part).all() for part in scores)
    assert not np.array_equal(scores[0], scores[-1])
    assert np.array_equal(detector.score(ones), build(cls).fit(zeros, Progress(), abnormal=ones).score(ones))


def test_hybrid_scores_the_codes(parts: tuple[np.ndarray, np.ndarray]) -> None:
    zeros, ones = parts
    detector = build(HybridNearestNeighbours).fit(zeros, Progress())
    codes = detector.embed(zeros)
    assert np.allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)
    expected = NearestNeighbours(2).fit(codes.astype(float)).score(detector.embed(ones).astype(float))
    assert np.allclose(detector.score(ones), expected, rtol=1e-5)


def test_hybrid_without_scaling_keeps_length_of_codes(parts: tuple[np.ndarray, np.ndarray]) -> None:
    zeros, _ = parts
    scaled, raw = (build(HybridPca, code_scale=scale).fit(zeros, Progress()).embed(zeros) for scale in ("unit", "none"))
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert lengths.std() > 0
    assert np.allclose(raw / lengths, scaled, atol=1e-5)


@EVERY_HYBRID
def test_hybrid_shows_no_setting_without_effect(cls: type[CodeDetector]) -> None:
    assert "score_with_kl" not in get_hyperparameters(cls)


@EVERY_HYBRID
def test_hybrid_can_be_saved(cls: type[CodeDetector], parts: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    import skops.io  # type: ignore[import-untyped]

    from core.runs.model_files import list_trusted_types

    zeros, ones = parts
    detector = build(cls).fit(zeros, Progress(), abnormal=ones)
    skops.io.dump(detector, tmp_path / "model.skops")
    loaded = skops.io.load(tmp_path / "model.skops", trusted=list(list_trusted_types()))
    assert np.array_equal(loaded.score(ones), detector.score(ones))
