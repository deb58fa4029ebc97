"""Samples of images, and images as PNG files."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from core.data.images.exporting import encode_png, make_contact_sheet, to_data_url
from core.data.images.samples import IMAGE_SAMPLES, load_image_sample
from core.errors import OptionError
from tests.support.written_images import make_noise


def test_digits_have_classes_and_a_fifth_for_testing() -> None:
    images = load_image_sample("digits")
    assert images.pixels.shape == (1797, 8, 8, 1)
    assert images.pixels.max() == 255
    assert images.classes == tuple("0123456789")
    for label in range(10):
        members = images.labels == label
        assert images.is_test[members].sum() == members.sum() // 5


def test_defects_are_planted_in_colour_textures() -> None:
    load_image_sample("digits")
    start_s = time.process_time()
    images = load_image_sample("defects")
    assert time.process_time() - start_s < 1
    assert images.is_colour
    normal = images.labels == images.classes.index("normal")
    assert images.count_classes() == {"hole": 40, "normal": 400, "scratch": 40, "spot": 40, "stain": 40}
    assert images.is_test[~normal].all()
    assert images.is_test[normal].sum() == 80
    usual = np.median(images.pixels[normal & ~images.is_test].astype(float), axis=0)
    distance = np.abs(images.pixels - usual).mean(axis=(1, 2, 3))
    spread = np.quantile(np.abs(images.pixels[normal] - usual).max(axis=(1, 2, 3)), 0.5)
    assert distance[normal].std() > 0  # no two textures are equal
    strongest = np.abs(images.pixels - usual).max(axis=(1, 2, 3))
    for name in ("hole", "scratch", "spot"):
        assert np.median(strongest[images.labels == images.classes.index(name)]) > spread


@pytest.mark.parametrize("name", IMAGE_SAMPLES)
def test_image_samples_are_the_same_at_every_call(name: str) -> None:
    assert load_image_sample(name).digest == load_image_sample(name).digest


def test_unknown_image_sample_is_refused() -> None:
    with pytest.raises(OptionError, match=r"cats.*digits, defects"):
        load_image_sample("cats")


@pytest.mark.parametrize("channels", [1, 3])
def test_data_url_holds_the_pixels(channels: int) -> None:
    image = make_noise(channels=channels)
    content = base64.b64decode(to_data_url(image, zoom=3).removeprefix("data:image/png;base64,"))
    decoded = np.asarray(Image.open(io.BytesIO(content))).reshape(36, 30, channels)
    np.testing.assert_array_equal(decoded[1::3, 1::3], image)
    assert content == encode_png(image.repeat(3, axis=0).repeat(3, axis=1))


@pytest.mark.parametrize(("count", "columns", "gap"), [(1, 10, 1), (7, 3, 2), (6, 3, 0), (3, 5, 1)])
def test_contact_sheet_holds_every_image_in_order(count: int, columns: int, gap: int) -> None:
    images = np.stack([make_noise(9, 11, 3, seed) for seed in range(count)])
    sheet = make_contact_sheet(images, columns, gap)
    used = min(columns, count)
    assert sheet.shape == (-(-count // used) * (9 + gap) - gap, used * (11 + gap) - gap, 3)
    for number, image in enumerate(images):
        top, left = number // used * (9 + gap), number % used * (11 + gap)
        np.testing.assert_array_equal(sheet[top : top + 9, left : left + 11], image)
