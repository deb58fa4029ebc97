"""Pictures, archives and arrays written for the tests of the intake of images."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def make_noise(height: int = 12, width: int = 10, channels: int = 1, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Return one random image, (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def encode_picture(pixels: np.ndarray, format: str = "PNG", **options: Any) -> bytes:  # type: ignore[type-arg]
    """Return pixels, (height, width, channels) or (height, width), as a file."""
    file = io.BytesIO()
    values = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(values).save(file, format, **options)
    return file.getvalue()


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip archive and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write files into a folder and return its path."""
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def encode_idx(values: np.ndarray) -> bytes:  # type: ignore[type-arg]
    """Return an array of bytes as an IDX file."""
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    return head + values.astype(np.uint8).tobytes()


def make_hostile_png(width: int, height: int) -> bytes:
    """Return a small PNG file whose header declares `width` × `height` pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
