"""Images in the size and channels of a model."""

import numpy as np

from core.data.images.image_set import ImageSet
from core.data.images.matching import match_images
from tests.support.written_images import make_noise


def make_set(height: int, width: int, channels: int) -> ImageSet:
    pixels = np.stack([make_noise(height, width, channels, seed) for seed in range(3)])
    return ImageSet(pixels, ("a", "b", "c"), ("x",), np.array([0, -1, 0]), files=("set.zip",))


def test_images_that_match_stay_the_same() -> None:
    images = make_set(12, 10, 3)
    assert match_images(images, 12, 10, is_colour=True) is images


def test_images_get_size_of_model_and_keep_the_rest() -> None:
    images = make_set(12, 10, 1)
    matched = match_images(images, 24, 20, is_colour=False)
    assert matched.pixels.shape == (3, 24, 20, 1)
    np.testing.assert_allclose(matched.pixels.mean(axis=(1, 2, 3)), images.pixels.mean(axis=(1, 2, 3)), atol=2)
    assert (matched.image_names, matched.labels.tolist()) == (images.image_names, [0, -1, 0])
    assert "10 × 12 pixels were scaled to 20 × 24" in str(matched.notes[-1])
    assert images.notes == ()


def test_channels_are_those_of_model() -> None:
    grey = make_set(12, 10, 1)
    colour = match_images(grey, 12, 10, is_colour=True)
    assert (colour.pixels == grey.pixels).all()
    assert "three channels" in str(colour.notes[-1])
    back = match_images(colour, 12, 10, is_colour=False)
    np.testing.assert_array_equal(back.pixels, grey.pixels)
    red = ImageSet(np.full((1, 8, 8, 3), [255, 0, 0], np.uint8), ("red",))
    assert (match_images(red, 8, 8, is_colour=False).pixels == 76).all()
