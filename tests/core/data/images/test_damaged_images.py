"""Random and damaged bytes: reading gives a set of images or an error of Vigie, never another error."""

import gzip
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.data.images.reading import read_image_set
from core.errors import VigieError
from tests.core.data.ingest.test_random_bytes import damaged_bytes
from tests.support.written_images import encode_idx, encode_picture, make_noise


def _make_files() -> dict[str, bytes]:
    colour = make_noise(20, 16, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    arrays, archive = io.BytesIO(), io.BytesIO()
    np.savez_compressed(arrays, x_train=make_noise(9, 8, 4), y_train=np.arange(9))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/1.png", encode_picture(colour))
        file.writestr("b/2.jpg", encode_picture(colour, "JPEG"))
    palette = io.BytesIO()
    Image.fromarray(colour).quantize(8).save(palette, "PNG", transparency=1)
    npy = io.BytesIO()
    np.save(npy, make_noise(9, 8, 8))
    return {
        "png": encode_picture(colour),
        "palette.png": palette.getvalue(),
        "deep.png": encode_picture(np.arange(320, dtype=np.uint16).reshape(20, 16) * 200),
        "jpg": encode_picture(colour, "JPEG", exif=exif),
        "progressive.jpg": encode_picture(colour, "JPEG", progressive=True),
        "bmp": encode_picture(colour, "BMP"),
        "tif": encode_picture(colour, "TIFF"),
        "lzw.tif": encode_picture(colour, "TIFF", compression="tiff_lzw", exif=exif),
        "gif": encode_picture(colour[..., :1], "GIF"),
        "webp": encode_picture(colour, "WEBP"),
        "npz": arrays.getvalue(),
        "npy": npy.getvalue(),
        "zip": archive.getvalue(),
        "idx": encode_idx(make_noise(9, 8, 8)),
        "gz": gzip.compress(encode_idx(make_noise(9, 8, 8))),
    }


FILES = _make_files()


def read_or_refuse(path: Path) -> None:
    with suppress(VigieError):
        images = read_image_set([path])
        assert len(images)
        assert min(images.height, images.width) >= 8
        assert max(images.height, images.width) <= 256


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("ending", FILES)
@given(data=st.data())
def test_damaged_images_give_set_or_error_of_vigie(tmp_path: Path, ending: str, data: st.DataObject) -> None:
    path = tmp_path / f"file.{ending}"
    path.write_bytes(data.draw(damaged_bytes(FILES[ending])))
    read_or_refuse(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(
    st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"\0\0\x08\x03",
            b"\x93NUMPY\1\0",
            b"BM",
            b"II*\0",
            b"GIF89a",
        ]
    ),
    st.binary(max_size=500),
)
def test_random_bytes_give_images_or_error_of_vigie(tmp_path: Path, head: bytes, content: bytes) -> None:
    (tmp_path / "file").write_bytes(head + content)
    read_or_refuse(tmp_path / "file")
