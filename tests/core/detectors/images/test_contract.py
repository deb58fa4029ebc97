"""The contract of the detectors of images, for every detector of the folder."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from core.data.images.image_set import Pixels
from core.detectors import images as image_detectors
from core.detectors.images.base import HeatMapper, ImageDetector, Reconstructor
from core.errors import DataError
from core.progress import Progress
from core.runs.model_files import list_trusted_types
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.spec.plugins import discover_classes
from mlflow_utils.model_io import read_model

DETECTORS = discover_classes(image_detectors, ImageDetector)
EVERY_DETECTOR = pytest.mark.parametrize("cls", DETECTORS.values(), ids=DETECTORS.keys())
SHAPES = ((9, 13, 1), (32, 32, 3))
NORMAL_DIGITS = (0, 3, 6)
TOLERANCE = {"rtol": 1e-3, "atol": 1e-5}


def build_detector(cls: type[ImageDetector], epochs: int) -> ImageDetector:
    """Return a detector that trains for a short time."""
    short = {"epochs": epochs, "seconds": 60.0, "warm_up_epochs": 0}
    return build_from_settings(cls, {name: short[name] for name in short.keys() & get_hyperparameters(cls).keys()})


@cache
def read_digits() -> tuple[Pixels, np.ndarray]:
    digits = load_digits()
    return (digits.images * 15.9).astype(np.uint8)[..., None], digits.target


def fit_digit(cls: type[ImageDetector], digit: int, epochs: int = 12) -> ImageDetector:
    """Fit on the even images of a digit; a supervised detector sees even images of the other digits, too."""
    pixels, labels = read_digits()
    training, training_labels = pixels[::2], labels[::2]
    abnormal = training[training_labels != digit][:100] if cls.needs_abnormal else None
    return build_detector(cls, epochs).fit(training[training_labels == digit], Progress(), abnormal=abnormal)


@cache
def get_digit_detector(cls: type[ImageDetector]) -> ImageDetector:
    return fit_digit(cls, NORMAL_DIGITS[0])


def make_noise(shape: tuple[int, int, int], count: int = 24) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@cache
def get_noise_detector(cls: type[ImageDetector], shape: tuple[int, int, int]) -> ImageDetector:
    abnormal = 255 - make_noise(shape) // 2 if cls.needs_abnormal else None
    return build_detector(cls, 1).fit(make_noise(shape), Progress(), abnormal=abnormal)


def test_image_detectors_are_registered_by_folder() -> None:
    assert {"vae", "oc-vae", "oc-nn"} <= DETECTORS.keys()


@EVERY_DETECTOR
def test_detector_beats_random_on_digits(cls: type[ImageDetector]) -> None:
    pixels, labels = read_digits()
    detectors = {digit: fit_digit(cls, digit) for digit in NORMAL_DIGITS[1:]}
    detectors[NORMAL_DIGITS[0]] = get_digit_detector(cls)
    areas = [roc_auc_score(labels[1::2] != digit, fitted.score(pixels[1::2])) for digit, fitted in detectors.items()]
    assert np.mean(areas) > 0.6


@EVERY_DETECTOR
def test_seed_reproduces_the_scores(cls: type[ImageDetector]) -> None:
    pixels = read_digits()[0][:20]
    first, again = (fit_digit(cls, 1, epochs=1).score(pixels) for _ in range(2))
    assert np.array_equal(first, again)


@EVERY_DETECTOR
def test_score_of_one_image_is_its_score_in_a_batch(cls: type[ImageDetector]) -> None:
    pixels, detector = read_digits()[0][:40], get_digit_detector(cls)
    alone = [detector.score(pixels[number : number + 1])[0] for number in (0, 7, 39)]
    np.testing.assert_allclose(alone, detector.score(pixels)[[0, 7, 39]], **TOLERANCE)


@EVERY_DETECTOR
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_detector_takes_colour_and_odd_sizes_and_leaves_the_images(
    cls: type[ImageDetector], shape: tuple[int, int, int]
) -> None:
    images = make_noise(shape)
    before, detector = images.copy(), get_noise_detector(cls, shape)
    scores, vectors = detector.score(images), detector.embed(images)
    assert scores.shape == (len(images),)
    assert vectors.ndim == 2
    assert len(vectors) == len(images)
    assert vectors.shape[1] == detector.embed(images[:1]).shape[1] > 0
    assert np.isfinite(scores).all()
    assert np.isfinite(vectors).all()
    assert np.array_equal(images, before)


@EVERY_DETECTOR
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_maps_and_reconstructions_have_the_size_of_the_images(
    cls: type[ImageDetector], shape: tuple[int, int, int]
) -> None:
    images, detector = make_noise(shape)[:3], get_noise_detector(cls, shape)
    if isinstance(detector, Reconstructor):
        drawn = detector.reconstruct(images)
        assert drawn.shape == images.shape
        assert 0 <= drawn.min() <= drawn.max() <= 255
    if isinstance(detector, HeatMapper):
        heat = detector.heat_map(images)
        assert heat.shape == images.shape[:3]
        assert heat.min() >= 0
        assert np.isfinite(heat).all()


@EVERY_DETECTOR
def test_saved_detector_gives_the_same_scores(cls: type[ImageDetector], tmp_path: Path) -> None:
    import skops.io

    pixels, detector = read_digits()[0][:30], get_digit_detector(cls)
    skops.io.dump(detector, tmp_path / "model.skops")
    loaded = read_model(tmp_path / "model.skops", list_trusted_types())
    assert np.array_equal(loaded.score(pixels), detector.score(pixels))


@EVERY_DETECTOR
def test_fitted_attributes_end_in_underscore(cls: type[ImageDetector]) -> None:
    names = vars(get_digit_detector(cls)).keys() - get_hyperparameters(cls).keys()
    assert [name for name in names if not name.endswith("_")] == []


@EVERY_DETECTOR
def test_settings_have_help_and_an_accepted_default(cls: type[ImageDetector]) -> None:
    assert all(field.metadata["help"] for field in get_hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())


@EVERY_DETECTOR
def test_supervised_detector_asks_for_abnormal_images(cls: type[ImageDetector]) -> None:
    if cls.needs_abnormal:
        with pytest.raises(DataError):
            build_detector(cls, 1).fit(make_noise((8, 8, 1)), Progress())
    else:
        assert len(copy.copy(get_digit_detector(cls)).score(read_digits()[0][:2])) == 2
