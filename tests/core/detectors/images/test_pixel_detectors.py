"""What is special to the classical detectors on pixels; the contract of all image detectors is tested elsewhere."""

import numpy as np
import pytest

from core.detectors.images.base import ImageDetector
from core.detectors.images.isolation_forest import IsolationForestPixels
from core.detectors.images.kde import KernelDensityPixels
from core.detectors.images.knn import NearestNeighboursPixels
from core.detectors.images.one_class_svm import OneClassSVMPixels
from core.detectors.images.pca import PcaPixels
from core.detectors.images.pixel_features import flatten_images, restore_images, shrink_images
from core.errors import DataError
from core.progress import Progress

DETECTORS = [IsolationForestPixels, OneClassSVMPixels, KernelDensityPixels, PcaPixels, NearestNeighboursPixels]
EVERY_DETECTOR = pytest.mark.parametrize("cls", DETECTORS, ids=lambda cls: cls.name)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Digits (1797, 8, 8, 1) as 0–255, and the digit of each."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images * 255 / 16).astype(np.uint8)[..., None], data.target


def make_noise(count: int, height: int = 8, width: int = 8, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return random images."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


# ---- pixels as vectors ----------------------------------------------------------------------------------------------


def test_unit_scale_ignores_brightness() -> None:
    images = make_noise(5) // 2
    bright, dark = (flatten_images(part, "unit", 32).vectors for part in (images * 2, images))
    assert np.allclose(bright, dark, atol=1e-6)
    assert np.allclose(np.linalg.norm(bright, axis=1), 1)


def test_standard_scale_ignores_brightness_and_contrast() -> None:
    images = make_noise(5) // 4
    vectors = flatten_images(images, "standard", 32).vectors
    assert np.allclose(vectors, flatten_images(images * 2 + 60, "standard", 32).vectors, atol=1e-5)
    assert np.allclose(vectors.mean(axis=1), 0, atol=1e-6)
    assert np.allclose(vectors.std(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_black_and_even_images_have_finite_vectors(scale: str) -> None:
    images = np.stack([np.full((9, 7, 3), value, np.uint8) for value in (0, 77, 255)])
    assert np.isfinite(flatten_images(images, scale, 32).vectors).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_scaling_is_undone_by_its_centre_and_width(scale: str) -> None:
    images = make_noise(4, 9, 13, 3)
    parts = flatten_images(images, scale, 32)  # type: ignore[arg-type]
    values = restore_images((parts.vectors * parts.width + parts.centre) * 255, images.shape[1:], 32)
    assert np.allclose(values, images, atol=0.01)


def test_shrunk_images_are_means_of_squares() -> None:
    images = make_noise(2, 12, 20, 3)
    small = shrink_images(images, side=10)
    assert small.shape == (2, 6, 10, 3)
    assert np.allclose(small[1, 2, 3], images[1, 4:6, 6:8].mean(axis=(0, 1)))
    restored = restore_images(small.reshape(2, -1), (12, 20, 3), side=10)
    assert restored.shape == images.shape
    assert np.array_equal(restored[:, 4:6, 6:8], np.broadcast_to(small[:, 2:3, 3:4], (2, 2, 2, 3)))


def test_shrunk_odd_sizes_repeat_the_edge() -> None:
    images = make_noise(1, 33, 35, 1)
    small = shrink_images(images, side=32)
    assert small.shape == (1, 17, 18, 1)
    assert small[0, 16, 17, 0] == images[0, 32, 34, 0]
    assert restore_images(small.reshape(1, -1), (33, 35, 1), side=32).shape == images.shape


# ---- detectors ------------------------------------------------------------------------------------------------------


@EVERY_DETECTOR
def test_pixel_detector_tells_digits_apart(cls: type[ImageDetector], digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Fitted on half of the zeros; an AUROC of 0.95 is a floor for each of them on this digit."""
    images, numbers = digits
    zeros = images[numbers == 0]
    detector = cls().fit(zeros[:90], Progress())
    normal, abnormal = detector.score(zeros[90:]), detector.score(images[numbers != 0])
    assert (abnormal[:, None] > normal).mean() > 0.95


@EVERY_DETECTOR
@pytest.mark.parametrize("scale", ["unit", "standard", "none"])
def test_pixel_detector_fits_two_images(cls: type[ImageDetector], scale: str) -> None:
    """Also with a black image among the scored ones."""
    detector = cls(scale=scale).fit(make_noise(2, 11, 9, 3), Progress())  # type: ignore[call-arg]
    scores = detector.score(np.concatenate([make_noise(3, 11, 9, 3, seed=1), np.zeros((1, 11, 9, 3), np.uint8)]))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@EVERY_DETECTOR
@pytest.mark.parametrize("value", [0, 90])
def test_pixel_detector_fits_constant_images(cls: type[ImageDetector], value: int) -> None:
    detector = cls().fit(np.full((6, 8, 8, 1), value, np.uint8), Progress())
    assert np.isfinite(detector.score(make_noise(4))).all()


@EVERY_DETECTOR
def test_pixel_detector_names_other_size(cls: type[ImageDetector]) -> None:
    detector = cls().fit(make_noise(5), Progress())
    with pytest.raises(DataError, match=r"9 × 8 × 1.*8 × 8 × 1"):
        detector.score(make_noise(1, 9, 8))


@EVERY_DETECTOR
def test_pixel_detector_refuses_one_image(cls: type[ImageDetector]) -> None:
    with pytest.raises(DataError, match="At least 2"):
        cls().fit(make_noise(1), Progress())


@EVERY_DETECTOR
def test_pixel_detector_calls_monitor_with_its_scores(cls: type[ImageDetector]) -> None:
    images, scores = make_noise(6), []
    detector = cls().fit(images, Progress(), monitor=lambda epoch, score: scores.append((epoch, score(images))))
    assert len(scores) == 1
    assert np.array_equal(scores[0][1], detector.score(images))


def test_large_images_are_scored_in_bounded_vectors() -> None:
    detector = PcaPixels().fit(make_noise(4, 100, 130, 3), Progress())
    images = make_noise(2, 100, 130, 3, seed=1)
    assert detector.embed(images).shape == (2, 20 * 26 * 3)
    assert detector.reconstruct(images).shape == images.shape
    assert detector.heat_map(images).shape == images.shape[:3]


def test_nearest_pixels_ignore_brightness(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images = digits[0][:60] // 2
    detector = NearestNeighboursPixels(neighbours=1).fit(images, Progress())
    assert detector.score(images * 2).max() < 1e-6
    assert NearestNeighboursPixels(scale="none", neighbours=1).fit(images, Progress()).score(images * 2).min() > 0.1


def test_nearest_pixels_map_the_defect() -> None:
    image = np.full((1, 16, 16, 1), 120, np.uint8)
    detector = NearestNeighboursPixels(scale="none").fit(np.concatenate([image, image // 2]), Progress())
    defect = image.copy()
    defect[0, 4:6, 9:12] = 250
    heat = detector.heat_map(defect)[0]
    assert np.array_equal(heat > 0, defect[0, :, :, 0] == 250)
    assert np.isclose(heat.max(), (130 / 255) ** 2)


def test_pca_pixels_draw_images_of_their_space() -> None:
    """Sums of two patterns: the reconstruction is the image and the heat map 0; a spot is neither drawn nor missed."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 80, (2, 12, 12, 1))
    weights = rng.integers(0, 2, (40, 2)) + 1
    images = np.tensordot(weights, patterns, axes=1).astype(np.uint8) // 2 * 2
    detector = PcaPixels(scale="none", variance=0.99).fit(images, Progress())
    assert np.abs(detector.reconstruct(images) - images).mean() < 2
    spotted = images[:1].copy()
    spotted[0, 3, 7] = 255
    heat = detector.heat_map(spotted)[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == (3, 7)
    assert detector.score(spotted)[0] > 10 * detector.score(images).max()
    assert np.isclose(heat.sum(), detector.score(spotted)[0], rtol=1e-4)
