"""The ensemble of transformations, vectors and edges."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from core.data.images.image_set import Pixels
from core.detectors.images.transformation_ensemble import TransformationEnsemble
from core.progress import Progress


def _load_digits() -> tuple[Pixels, np.ndarray]:
    digits = load_digits()
    return (digits.images * 15)[..., None].astype(np.uint8), digits.target


@pytest.fixture(scope="module")
def detector() -> TransformationEnsemble:
    images, labels = _load_digits()
    return TransformationEnsemble(width=8, epochs=3).fit(images[labels == 3][:120], Progress())


def test_the_ensemble_tells_digits_apart(detector: TransformationEnsemble) -> None:
    images, labels = _load_digits()
    test = np.concatenate([images[labels == 3][120:], images[labels != 3][:300]])
    is_other = np.arange(len(test)) >= (labels == 3).sum() - 120
    assert roc_auc_score(is_other, detector.score(test)) > 0.9


def test_each_view_counts_alike_on_normal_images(detector: TransformationEnsemble) -> None:
    images, labels = _load_digits()
    views = (detector._score_views(images[labels == 3][120:]) - detector.centres_) / detector.spreads_
    assert views.shape[1] == 3
    assert np.abs(views.mean(axis=0)).max() < 2
    np.testing.assert_allclose(detector.score(images[labels == 3][120:]), views.mean(axis=1), rtol=1e-3, atol=1e-3)


def test_the_ensemble_does_not_depend_on_other_images_and_two_images_suffice(detector: TransformationEnsemble) -> None:
    images, _ = _load_digits()
    np.testing.assert_allclose(detector.score(images[7:8]), detector.score(images[:20])[7:8], rtol=1e-3)
    pair = TransformationEnsemble(width=4, epochs=1).fit(images[:2], Progress())
    assert np.isfinite(pair.score(images[:30])).all()
