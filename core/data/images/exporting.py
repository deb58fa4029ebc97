"""Images as PNG files for pages and reports: one image, or a sheet of many."""

import base64
import io
import math

import numpy as np
from PIL import Image

from core.data.images.image_set import Pixels

WHITE = 255


def encode_png(image: Pixels) -> bytes:
    """Return one image, (height, width, channels), as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return file.getvalue()


def to_data_url(image: Pixels, zoom: int = 1) -> str:
    """Return one image as the address of a PNG that is contained in it; each pixel becomes `zoom` × `zoom` pixels.

    Example:
        >>> to_data_url(np.zeros((8, 8, 1), np.uint8))[:32]
        'data:image/png;base64,iVBORw0KGg'
    """
    enlarged = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return "data:image/png;base64," + base64.b64encode(encode_png(enlarged)).decode()


def make_contact_sheet(images: Pixels, columns: int = 10, gap: int = 1) -> Pixels:
    """Return one image with all `images` in rows of `columns`, `gap` white pixels apart.

    Example:
        >>> make_contact_sheet(np.zeros((12, 8, 8, 1), np.uint8), columns=5).shape
        (26, 44, 1)
    """
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height + gap, width + gap, channels), WHITE, np.uint8)
    cells[:count, :height, :width] = images
    sheet = cells.reshape(rows, columns, height + gap, width + gap, channels).swapaxes(1, 2)
    return sheet.reshape(rows * (height + gap), columns * (width + gap), channels)[: -gap or None, : -gap or None]
