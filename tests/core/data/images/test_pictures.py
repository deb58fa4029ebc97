"""Pictures of every kind: orientation, palettes, transparency, 16 bits, sizes; what is damaged is named."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.data.images.decoding import TRANSPOSITIONS, decode_picture, fit_pixels
from core.data.images.image_set import ImageSet
from core.data.images.reading import read_image_set
from core.errors import UnreadableFileError
from tests.support.written_images import encode_picture, make_hostile_png, make_noise, write_zip


def read_members(folder: Path, members: dict[str, bytes]) -> ImageSet:
    return read_image_set([write_zip(folder / "set.zip", members)])


def join_notes(images: ImageSet) -> str:
    return " ".join(map(str, images.notes))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_pictures_give_their_pixels(tmp_path: Path, format: str, channels: int) -> None:
    pixels = make_noise(channels=channels) if format != "GIF" else np.repeat(make_noise(channels=1), channels, axis=2)
    options = {"lossless": True} if format == "WEBP" else {}
    path = tmp_path / "picture.dat"
    path.write_bytes(encode_picture(pixels, format, **options))
    images = read_image_set([path])
    np.testing.assert_array_equal(images.pixels[0], pixels if format != "GIF" else pixels[..., :1])
    assert images.image_names == ("picture.dat",)


def test_jpeg_is_close_to_its_pixels(tmp_path: Path) -> None:
    pixels = np.repeat(np.repeat(make_noise(4, 4, 3), 8, axis=0), 8, axis=1)
    (tmp_path / "a.jpg").write_bytes(encode_picture(pixels, "JPEG", quality=95, subsampling=0))
    images = read_image_set([tmp_path / "a.jpg"])
    assert np.abs(images.pixels[0].astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, format: str) -> None:
    upright = np.zeros((16, 24), np.uint8)
    upright[:8, :8] = 255  # the upper left corner
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    turn = TRANSPOSITIONS.get(inverse)
    stored = Image.fromarray(upright) if turn is None else Image.fromarray(upright).transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, format, exif=exif, **({"quality": 100} if format in ("JPEG", "WEBP") else {}))
    picture = decode_picture(file.getvalue(), "turned")
    assert picture.pixels.shape == (16, 24, 1)
    np.testing.assert_allclose(picture.pixels[..., 0], upright, atol=12)
    assert ("rotated" in picture.conversions) == (orientation != 1)


def test_exif_orientation_of_deep_picture_is_applied() -> None:
    values = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 100
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode_picture(encode_picture(np.rot90(values, 1).copy(), exif=exif), "turned")
    np.testing.assert_array_equal(picture.pixels[..., 0], values)


def test_orientation_of_mixed_pictures_is_told_and_sized(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    members = {
        "a.png": encode_picture(make_noise(20, 30)),
        "b.png": encode_picture(make_noise(30, 20), exif=exif),
        "c.png": encode_picture(make_noise(20, 30)),
    }
    images = read_members(tmp_path, members)
    assert images.pixels.shape == (3, 20, 30, 1)
    assert "1 image was turned upright" in join_notes(images)
    assert "resized" not in join_notes(images)


@pytest.mark.parametrize(("highest", "top"), [(200, 255), (1000, 1023), (4095, 4095), (65535, 65535)])
def test_deep_grey_is_scaled_by_bits_of_set(tmp_path: Path, highest: int, top: int) -> None:
    values = np.linspace(0, highest, 100).astype(np.uint16).reshape(10, 10)
    members = {"a.png": encode_picture(values), "b.tif": encode_picture(values // 2, "TIFF")}
    images = read_members(tmp_path, members)
    np.testing.assert_allclose(images.pixels[0, ..., 0], values * (255 / top), atol=0.51)
    np.testing.assert_allclose(images.pixels[1, ..., 0], (values // 2) * (255 / top), atol=0.51)
    assert f"2 images of 16 bits were scaled from 0–{top:,} to 0–255" in join_notes(images)


def test_palette_and_transparency_become_colours_on_white(tmp_path: Path) -> None:
    layered = np.zeros((10, 10, 4), np.uint8)
    layered[..., 0] = 200
    layered[:5, :, 3] = 255
    palette = Image.fromarray(layered[..., :3]).quantize(4)
    index = palette.getpixel((0, 0))
    file, opaque = io.BytesIO(), io.BytesIO()
    palette.save(file, "PNG", transparency=index)
    palette.save(opaque, "PNG")
    grey_alpha = encode_picture(np.dstack([np.full((10, 10), 60, np.uint8), np.full((10, 10), 255, np.uint8)]))
    members = {
        "a_alpha.png": encode_picture(layered),
        "b_transparent_palette.png": file.getvalue(),
        "c_palette.png": opaque.getvalue(),
        "d_grey_alpha.png": grey_alpha,
    }
    images = read_members(tmp_path, members)
    alpha, transparent_palette, opaque_palette, grey = images.pixels
    assert alpha[0, 0].tolist() == [200, 0, 0]
    assert alpha[9, 0].tolist() == [255, 255, 255]
    assert (transparent_palette == 255).all()
    assert opaque_palette[0, 0].tolist() == [200, 0, 0]
    assert (grey == 60).all()
    assert "transparent parts of 2 images became white" in join_notes(images)


def test_cmyk_and_bilevel_pictures_are_read(tmp_path: Path) -> None:
    ink = Image.fromarray(np.dstack([np.zeros((9, 9, 3), np.uint8), np.full((9, 9), 255, np.uint8)]), "CMYK")
    file = io.BytesIO()
    ink.save(file, "TIFF")
    bilevel = encode_picture(np.eye(9, dtype=bool))
    images = read_members(tmp_path, {"a.tiff": file.getvalue(), "b.png": bilevel})
    assert images.pixels.shape == (2, 9, 9, 1)
    assert images.pixels[0].max() < 60
    np.testing.assert_array_equal(images.pixels[1, ..., 0], np.eye(9) * 255)
    assert "converted from CMYK" in join_notes(images)


def test_first_frame_of_animation_is_read_and_told(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((10, 10), value, np.uint8)) for value in (10, 200)]
    for format, name in (("GIF", "a.gif"), ("TIFF", "b.tif"), ("WEBP", "c.webp")):
        file = io.BytesIO()
        frames[0].save(file, format, save_all=True, append_images=frames[1:])
        images = read_members(tmp_path, {name: file.getvalue()})
        assert abs(int(images.pixels.mean()) - 10) <= 2
        assert "of 1 image with several frames" in join_notes(images)


def test_grey_beside_colour_becomes_colour(tmp_path: Path) -> None:
    grey, colour = make_noise(channels=1), make_noise(channels=3, seed=1)
    images = read_members(tmp_path, {"a.png": encode_picture(grey), "b.png": encode_picture(colour)})
    np.testing.assert_array_equal(images.pixels[0], np.repeat(grey, 3, axis=2))
    np.testing.assert_array_equal(images.pixels[1], colour)
    assert "1 grey image stands beside colour ones" in join_notes(images)


def test_grey_that_is_stored_in_colour_becomes_grey(tmp_path: Path) -> None:
    grey = make_noise()
    images = read_members(tmp_path, {"a.png": encode_picture(np.repeat(grey, 3, axis=2))})
    np.testing.assert_array_equal(images.pixels[0], grey)


def test_mixed_sizes_become_most_frequent_size(tmp_path: Path) -> None:
    sizes = [(20, 30)] * 3 + [(40, 60), (10, 90), (600, 300)]
    members = {f"{number}.png": encode_picture(make_noise(*size)) for number, size in enumerate(sizes)}
    images = read_members(tmp_path, members)
    assert images.pixels.shape == (6, 20, 30, 1)
    assert "3 of 6 images were resized to 30 × 20 pixels" in join_notes(images)
    for size in ("60 × 40 (1)", "90 × 10 (1)", "300 × 600 (1)"):
        assert size in join_notes(images)
    for number in range(3):
        np.testing.assert_array_equal(images.pixels[number], make_noise(20, 30))


def test_resized_picture_keeps_proportions_and_continues_borders() -> None:
    pixels = np.zeros((10, 40, 1), np.uint8)
    pixels[:5] = 200
    resized = fit_pixels(pixels, (20, 20))
    assert resized.shape == (20, 20, 1)
    assert (resized[:9] == 200).all()
    assert (resized[11:] == 0).all()


@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from([1, 3]), st.sampled_from(["PNG", "JPEG"]))
def test_every_size_is_bounded_in_proportion(height: int, width: int, channels: int, format: str) -> None:
    picture = decode_picture(encode_picture(make_noise(height, width, channels), format), "any")
    assert picture.size == (width, height)
    stored_height, stored_width = picture.pixels.shape[:2]
    assert min(stored_height, stored_width) >= 8
    assert max(stored_height, stored_width) <= 256
    if max(height, width) <= 256:
        assert (stored_height, stored_width) == (height, width)
    else:
        assert max(stored_height, stored_width) == 256


def test_large_picture_is_reduced_and_told(tmp_path: Path) -> None:
    images = read_members(tmp_path, {"a.jpg": encode_picture(make_noise(1200, 1600, 3), "JPEG")})
    assert images.pixels.shape == (1, 192, 256, 3)
    assert "1 of 1 images was resized to 256 × 192 pixels" in join_notes(images)
    assert "1600 × 1200 (1)" in join_notes(images)


BROKEN = {
    "truncated.jpg": encode_picture(make_noise(100, 100, 3), "JPEG")[:3000],
    "truncated.png": encode_picture(make_noise(100, 100, 3))[:3000],
    "words.png": b"these are words",
    "empty.png": b"",
    "tiny.png": encode_picture(make_noise(1, 1)),
    "narrow.png": encode_picture(make_noise(300, 7)),
    "hostile.png": make_hostile_png(100_000, 100_000),
    "wide.png": make_hostile_png(10_000, 9_000),
    "float.tif": encode_picture(np.random.default_rng(0).random((10, 10), np.float32), "TIFF"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_picture_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(UnreadableFileError, match=name):
        read_image_set([tmp_path / name])


def test_refused_sizes_are_named(tmp_path: Path) -> None:
    for size, words in (((10_000, 8_000), "10,000 × 8,000 pixels"), ((100_000, 100_000), "10000000000 pixels")):
        (tmp_path / "hostile.png").write_bytes(make_hostile_png(*size))
        with pytest.raises(UnreadableFileError, match=f"{words}.* at most 50 million"):
            read_image_set([tmp_path / "hostile.png"])


def test_broken_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    whole = {f"whole_{number}.png": encode_picture(make_noise(seed=number)) for number in range(4)}
    images = read_members(tmp_path, {**BROKEN, **whole})
    assert images.image_names == tuple(whole)
    for number in range(4):
        np.testing.assert_array_equal(images.pixels[number], make_noise(seed=number))
    assert f"{len(BROKEN)} of {len(BROKEN) + 4} images could not be read" in join_notes(images)
    assert sum(name in join_notes(images) for name in BROKEN) == 5  # the first ones are named


def test_set_of_broken_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"set\.zip: none of its 9 images") as caught:
        read_members(tmp_path, BROKEN)
    assert "empty.png" in str(caught.value)


def test_single_image_is_read_and_told(tmp_path: Path) -> None:
    (tmp_path / "only.png").write_bytes(encode_picture(make_noise()))
    images = read_image_set([tmp_path / "only.png"])
    assert len(images) == 1
    assert "single image" in join_notes(images)
