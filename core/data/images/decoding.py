"""Decoding of one picture into pixels: orientation, transparency, palettes, 16 bits, and the size that is stored."""

import io
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.data.images.image_block import MAX_SIDE_PIXELS, MIN_SIDE_PIXELS
from core.errors import UnreadableFileError
from core.messages import N_

# Pillow warns of damaged tags of readable pictures; the filter is set once, because threads share it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP")
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".tif", ".tiff", ".gif", ".webp"}
PICTURE_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"GIF87a", b"GIF89a")
MAGIC_BYTES = 16
MAX_PICTURE_BYTES = 64 * 2**20
MAX_PICTURE_PIXELS = 50_000_000
MAX_DEEP_VALUE = 65_535
DECODING_ERRORS = (  # errors of Pillow; they depend on the damaged byte
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    UnidentifiedImageError,
    Warning,  # where a test makes errors of warnings
)
SIZE_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)  # Pillow's own limit
ORIENTATION_TAG = 0x0112  # of EXIF
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Value of the EXIF orientation → how the picture is turned to stand upright."""
LYING_ORIENTATIONS = {5, 6, 7, 8}

AnyPixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class DecodedPicture:
    """Decoded picture.

    pixels       (height, width, channels) uint8 with 1 or 3 channels, or (height, width, 1) uint16 for 16 bits
    size         width and height of the upright picture before it was reduced
    conversions  what was changed while decoding: "rotated", "transparent", "frames", "ink"
    """

    pixels: AnyPixels
    size: tuple[int, int]
    conversions: frozenset[str] = frozenset()


def is_picture(head: bytes) -> bool:
    """Tell whether a file begins like a picture of an accepted format."""
    return head.startswith(PICTURE_MAGICS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode_picture(content: bytes, name: str) -> DecodedPicture:
    """Return the picture in the bytes of a file, upright and at most 256 × 256 pixels large.

    Transparent parts become white. A picture whose three channels are equal becomes grey. Raises UnreadableFileError
    with `name` for a damaged picture, and for one that is too small or too large; its size is checked before decoding.
    """
    try:
        with Image.open(io.BytesIO(content), formats=PICTURE_FORMATS) as image:
            _check_size(image.size, name)
            size = image.size
            image.draft(None, (2 * MAX_SIDE_PIXELS, 2 * MAX_SIDE_PIXELS))  # a large JPEG is decoded at a smaller scale
            is_turned_by_pillow = image.format == "TIFF" and _read_orientation(image) in TRANSPOSITIONS
            image.load()
            return _convert_picture(image, size, name, is_turned_by_pillow)
    except SIZE_ERRORS as error:
        raise UnreadableFileError(
            N_("{file}: the image is too large ({reason}). Accepted: at most {accepted} million pixels."),
            file=name,
            reason=str(error)[:200],
            accepted=MAX_PICTURE_PIXELS // 10**6,
        ) from error
    except UnidentifiedImageError as error:
        raise UnreadableFileError(
            N_("{file}: this image cannot be read. Accepted: {accepted}."),
            file=name,
            accepted=", ".join(PICTURE_FORMATS),
        ) from error
    except DECODING_ERRORS as error:
        raise UnreadableFileError(
            N_("{file}: the image is damaged or of another type than its name says ({reason})."),
            file=name,
            reason=str(error)[:200] or type(error).__name__,
        ) from error


def bound_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height at which a picture is stored: in proportion, 8 to 256 pixels a side.

    Example:
        >>> bound_size((640, 480)), bound_size((28, 28)), bound_size((5000, 20))
        ((256, 192), (28, 28), (256, 8))
    """
    scale = min(1.0, MAX_SIDE_PIXELS / max(size))
    return max(MIN_SIDE_PIXELS, round(size[0] * scale)), max(MIN_SIDE_PIXELS, round(size[1] * scale))


def fit_pixels(pixels: AnyPixels, size: tuple[int, int]) -> AnyPixels:
    """Return one picture scaled to fit into (width, height); its proportions are kept and its borders continued."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    scale = min(size[0] / width, size[1] / height)
    inner = min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale)))
    is_deep = pixels.dtype == np.uint16
    values: NDArray[Any] = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    image = Image.fromarray(values.astype(np.float32) if is_deep else values)
    resized = np.asarray(image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=3.0))
    scaled = np.rint(resized).astype(np.uint16) if is_deep else resized
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    margins = ((top, size[1] - inner[1] - top), (left, size[0] - inner[0] - left), (0, 0))
    return np.pad(scaled.reshape(inner[1], inner[0], -1), margins, mode="edge")


def _check_size(size: tuple[int, int], name: str) -> None:
    if min(size) < MIN_SIDE_PIXELS or size[0] * size[1] > MAX_PICTURE_PIXELS:
        raise UnreadableFileError(
            N_(
                "{file}: the image has {width} × {height} pixels. Accepted: at least {low} a side, and at "
                "most {accepted} million in all."
            ),
            file=name,
            width=size[0],
            height=size[1],
            low=MIN_SIDE_PIXELS,
            accepted=MAX_PICTURE_PIXELS // 10**6,
        )


def _convert_picture(image: Image.Image, size: tuple[int, int], name: str, is_turned: bool) -> DecodedPicture:
    """Return the pixels of a loaded picture whose file states `size`; `is_turned` if loading has turned it upright."""
    conversions = {"rotated"} if is_turned else set()
    if getattr(image, "is_animated", False):
        conversions.add("frames")
    if image.mode == "CMYK":
        conversions.add("ink")
    orientation = _read_orientation(image)
    if image.has_transparency_data and not image.mode.startswith("I"):
        image, is_transparent = _put_on_white(image)
        conversions |= {"transparent"} if is_transparent else set()
    if orientation in TRANSPOSITIONS:
        conversions.add("rotated")
        image = image.transpose(TRANSPOSITIONS[orientation])
        size = size[::-1] if orientation in LYING_ORIENTATIONS else size
    pixels: AnyPixels = fit_pixels(_extract_pixels(image, name), bound_size(size))
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return DecodedPicture(pixels.copy(), size, frozenset(conversions))


def _read_orientation(image: Image.Image) -> int:
    """Return the orientation in the EXIF data; 1, upright, where there is none or it is damaged."""
    with suppress(*DECODING_ERRORS):
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    return 1


def _put_on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture on a white ground, and whether any part of it was transparent."""
    layered = image.convert("RGBA")
    lowest, _ = layered.getchannel("A").getextrema()
    ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layered).convert("RGB"), lowest != 255


def _extract_pixels(image: Image.Image, name: str) -> AnyPixels:
    """Return the pixels, (height, width, channels). Raises UnreadableFileError for values that are no grey levels."""
    if image.mode == "F":
        raise UnreadableFileError(
            N_("{file}: the image holds floating-point values. Accepted: whole numbers of 8 or 16 bits."), file=name
        )
    if not image.mode.startswith("I"):
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")).reshape(*image.size[::-1], -1)
    values = np.asarray(image)
    if values.min() < 0 or values.max() > MAX_DEEP_VALUE:
        raise UnreadableFileError(
            N_("{file}: the image holds values from {low} to {high}. Accepted: whole numbers of 8 or 16 bits."),
            file=name,
            low=int(values.min()),
            high=int(values.max()),
        )
    return values.astype(np.uint16)[..., None]
