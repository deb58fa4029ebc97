"""Sets of images for the first minute: real digits, and generated textures with defects at known places."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.images.image_set import ImageSet
from core.errors import OptionError
from core.messages import N_

SEED = 20260301
DIGIT_LEVELS = 16  # grey levels of scikit-learn's digits
TEST_EVERY = 5  # every fifth image of a class is in the test part
TEXTURE_SIDE_PIXELS = 32
TEXTURE_COUNTS = {"normal": 400, "hole": 40, "scratch": 40, "spot": 40, "stain": 40}

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class ImageSample:
    """Set of images with its label and summary."""

    name: str
    label: str
    summary: str
    make_images: Callable[[], ImageSet]


def load_image_sample(name: str) -> ImageSet:
    """Return the images of the sample `name`, the same at every call. Raises OptionError for an unknown name."""
    if name not in IMAGE_SAMPLES:
        raise OptionError(
            N_("The sample {name!r} does not exist. Available samples: {accepted}."),
            name=name,
            accepted=", ".join(IMAGE_SAMPLES),
        )
    return IMAGE_SAMPLES[name].make_images()


def _load_digits() -> ImageSet:
    """Return the 1,797 digits of scikit-learn, 8 × 8 pixels, with a class per digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / DIGIT_LEVELS)).astype(np.uint8)[..., None]
    classes = tuple(map(str, digits.target_names))
    names = tuple(f"digit {number}" for number in range(len(pixels)))
    is_test = _mark_every_fifth(digits.target)
    return ImageSet(pixels, names, classes, digits.target, is_test, ("digits",), "sample")


def _mark_every_fifth(labels: NDArray[np.integer]) -> Masks:
    """Return True for every fifth image of each class, (images,)."""
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        is_test[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return is_test


# ---- textures -------------------------------------------------------------------------------------------------------


def _make_textures() -> ImageSet:
    """Return woven colour textures; four kinds of defects are in the test part, with a fifth of the normal images."""
    random = np.random.default_rng(SEED)
    classes = tuple(sorted(TEXTURE_COUNTS))
    labels = np.repeat(np.arange(len(classes)), [TEXTURE_COUNTS[name] for name in classes])
    cloth = _weave(random, len(labels))
    for number, name in enumerate(classes):
        if name in _DEFECTS:
            rows = labels == number
            cloth[rows] = _DEFECTS[name](random, cloth[rows])
    pixels = np.clip(np.rint(cloth), 0, 255).astype(np.uint8)
    is_test = (labels != classes.index("normal")) | _mark_every_fifth(labels)
    numbers = np.concatenate([np.arange(TEXTURE_COUNTS[name]) for name in classes])
    names = tuple(f"{classes[label]} {number}" for label, number in zip(labels, numbers, strict=True))
    return ImageSet(pixels, names, classes, labels, is_test, ("defects",), "sample")


def _weave(random: np.random.Generator, count: int) -> Floats:
    """Return textures of crossing threads, (count, height, width, 3): phase, brightness and threads vary a little."""
    grid = np.arange(TEXTURE_SIDE_PIXELS)
    phases = random.uniform(0, 2 * np.pi, (2, count, 1))
    periods = random.normal(6.0, 0.15, (2, count, 1))
    warp, weft = np.sin(2 * np.pi * grid / periods + phases)  # each (count, side)
    threads = 0.5 * (warp[:, None, :] + weft[:, :, None]) + 0.35 * warp[:, None, :] * weft[:, :, None]
    brightness = random.normal(1.0, 0.04, (count, 1, 1, 1))
    colour = np.array([150.0, 110.0, 70.0]) + threads[..., None] * np.array([38.0, 30.0, 20.0])
    return colour * brightness + random.normal(0, 5, (count, TEXTURE_SIDE_PIXELS, TEXTURE_SIDE_PIXELS, 3))


def _draw_discs(random: np.random.Generator, count: int, low: float, high: float) -> Masks:
    """Return one disc per image with a radius of `low` to `high` pixels, (count, height, width)."""
    rows, columns = np.mgrid[:TEXTURE_SIDE_PIXELS, :TEXTURE_SIDE_PIXELS]
    centre = random.uniform(high, TEXTURE_SIDE_PIXELS - high, (2, count, 1, 1))
    radius = random.uniform(low, high, (count, 1, 1))
    return np.hypot(rows - centre[0], columns - centre[1]) < radius


def _cut_hole(random: np.random.Generator, cloth: Floats) -> Floats:
    """Return the textures with a dark hole of 2 to 4 pixels radius."""
    mask = _draw_discs(random, len(cloth), 2, 4)[..., None]
    return np.where(mask, random.normal(25, 4, cloth.shape), cloth)


def _draw_scratch(random: np.random.Generator, cloth: Floats) -> Floats:
    """Return the textures with a bright line of 14 to 22 pixels."""
    rows, columns = np.mgrid[:TEXTURE_SIDE_PIXELS, :TEXTURE_SIDE_PIXELS]
    centre = random.uniform(10, TEXTURE_SIDE_PIXELS - 10, (2, len(cloth), 1, 1))
    angle = random.uniform(0, np.pi, (len(cloth), 1, 1))
    half_length = random.uniform(7, 11, (len(cloth), 1, 1))
    along = (rows - centre[0]) * np.sin(angle) + (columns - centre[1]) * np.cos(angle)
    across = (rows - centre[0]) * np.cos(angle) - (columns - centre[1]) * np.sin(angle)
    mask = (np.abs(along) < half_length) & (np.abs(across) < 0.9)
    return np.where(mask[..., None], cloth + 75, cloth)


def _print_spot(random: np.random.Generator, cloth: Floats) -> Floats:
    """Return the textures with a blue spot of 1.5 to 3 pixels radius."""
    mask = _draw_discs(random, len(cloth), 1.5, 3)[..., None]
    return np.where(mask, cloth[..., ::-1], cloth)


def _spill_stain(random: np.random.Generator, cloth: Floats) -> Floats:
    """Return the textures with a wide stain through which the threads remain visible."""
    mask = _draw_discs(random, len(cloth), 5, 8)[..., None]
    return np.where(mask, cloth * 0.78, cloth)


_DEFECTS: dict[str, Callable[[np.random.Generator, Floats], Floats]] = {
    "hole": _cut_hole,
    "scratch": _draw_scratch,
    "spot": _print_spot,
    "stain": _spill_stain,
}

IMAGE_SAMPLES: dict[str, ImageSample] = {
    sample.name: sample
    for sample in (
        ImageSample(
            "digits", N_("Digits"), N_("1,797 handwritten digits of 8 × 8 pixels in ten classes."), _load_digits
        ),
        ImageSample(
            "defects",
            N_("Textures with defects"),
            N_("400 generated colour textures without defects, and 160 with a hole, scratch, spot or stain."),
            _make_textures,
        ),
    )
}
