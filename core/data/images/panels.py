"""Views of scored images: the image, its reconstruction and its heat map side by side."""

import numpy as np
from numpy.typing import NDArray

from core.data.images.image_set import Pixels

WHITE = 255
GAP_PIXELS = 1
BRIGHTNESS = 0.6  # of the grey image below a heat map, so that orange stands out on white
HEAT_COLOUR = np.array([213, 94, 0], np.float32)  # the highlight colour of the figures


def join_panels(
    pixels: Pixels, reconstructions: NDArray[np.floating] | None, heat: NDArray[np.floating] | None
) -> Pixels:
    """Return one picture per image: image, reconstruction (0–255) and heat map side by side, as far as they exist.

    `pixels` is (images, height, width, channels); the pictures are (images, height, panels of the width, 3).

    Example:
        >>> join_panels(np.zeros((2, 8, 8, 1), np.uint8), None, np.zeros((2, 8, 8))).shape
        (2, 8, 17, 3)
    """
    panels = [_to_colour(pixels)]
    if reconstructions is not None:
        panels.append(_to_colour(np.rint(reconstructions).clip(0, WHITE).astype(np.uint8)))
    if heat is not None:
        panels.append(overlay_heat(pixels, heat))
    gap = np.full((*pixels.shape[:2], GAP_PIXELS, 3), WHITE, np.uint8)
    return np.concatenate([part for panel in panels for part in (gap, panel)][1:], axis=2)


def overlay_heat(pixels: Pixels, heat: NDArray[np.floating]) -> Pixels:
    """Return the images in dark grey with their abnormality in orange, (images, height, width, 3).

    `heat` is (images, height, width), not negative; the highest value of all images is full colour, so that images of
    one call can be compared.

    Example:
        >>> overlay_heat(np.zeros((1, 1, 2, 1), np.uint8), np.array([[[0.0, 4.0]]])).tolist()
        [[[[0, 0, 0], [213, 94, 0]]]]
    """
    top = float(heat.max(initial=0.0))
    share = (heat / top if top > 0 else np.zeros_like(heat)).astype(np.float32)[..., None]
    grey = BRIGHTNESS * pixels.mean(axis=3, keepdims=True, dtype=np.float32)
    return np.rint((1 - share) * grey + share * HEAT_COLOUR).clip(0, WHITE).astype(np.uint8)


def _to_colour(panel: Pixels) -> Pixels:
    return np.broadcast_to(panel, (*panel.shape[:3], 3))
