"""Pictures for the screen: strips of images, panels side by side, heat maps over images, images per class."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.figures.style import NEUTRAL_COLOUR, PALETTE, Translate, apply_layout
from core.messages import N_

Pixels = NDArray[np.uint8]

BACKGROUND = 255
HEAT_COLOUR = np.array([213, 94, 0], np.float32)  # the highlight colour of the figures
BAR_HEIGHT_PX, MIN_HEIGHT_PX = 26, 160


def join_strip(pixels: Pixels, gap: int = 1) -> Pixels:
    """Return images side by side, (height, width, channels), with `gap` white columns in between.

    Example:
        >>> join_strip(np.zeros((3, 8, 8, 1), np.uint8)).shape
        (8, 26, 1)
    """
    padded = np.pad(pixels, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=BACKGROUND)
    count, height, width, channels = padded.shape
    strip = padded.transpose(1, 0, 2, 3).reshape(height, count * width, channels)
    return np.ascontiguousarray(strip[:, : count * width - gap])


def join_panels(panels: list[Pixels]) -> Pixels:
    """Return one picture per image with its panels side by side, (images, height, width, 3).

    Every panel is (images, height, width, channels); grey panels become colour.

    Example:
        >>> image = np.zeros((2, 8, 8, 1), np.uint8)
        >>> join_panels([image, np.zeros((2, 8, 8, 3), np.uint8)]).shape
        (2, 8, 17, 3)
    """
    colour = [_to_colour(panel) for panel in panels]
    return np.stack([join_strip(np.stack(views)) for views in zip(*colour, strict=True)])


def overlay_heat(pixels: Pixels, heat: NDArray[np.floating]) -> Pixels:
    """Return the images in grey with their abnormality in orange, (images, height, width, 3).

    `heat` is (images, height, width), not negative; the highest value of all images is full colour, so that images of
    one call can be compared.

    Example:
        >>> overlay_heat(np.zeros((1, 1, 2, 1), np.uint8), np.array([[[0.0, 4.0]]])).tolist()
        [[[[0, 0, 0], [213, 94, 0]]]]
    """
    top = float(heat.max(initial=0.0))
    share = (heat / top if top > 0 else np.zeros_like(heat)).astype(np.float32)[..., None]
    grey = pixels.mean(axis=3, keepdims=True, dtype=np.float32)
    return ((1 - share) * grey + share * HEAT_COLOUR).round().clip(0, BACKGROUND).astype(np.uint8)


def draw_class_counts(counts: Mapping[str, tuple[int, int]], translate: Translate = str) -> go.Figure:
    """Draw the images per class as bars. `counts` maps a class to its numbers outside and in the test part."""
    names, figure = list(counts), go.Figure()
    has_test = any(test for _, test in counts.values())
    parts = [(0, translate(N_("training")), PALETTE[0]), (1, translate(N_("test")), NEUTRAL_COLOUR)]
    for number, name, colour in parts if has_test else [(0, translate(N_("images")), PALETTE[0])]:
        figure.add_bar(
            y=names,
            x=[pair[number] for pair in counts.values()],
            name=name,
            orientation="h",
            marker={"color": colour},
            hovertemplate="%{y} · %{x:,}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25, showlegend=has_test)
    figure.update_yaxes(autorange="reversed", type="category")
    height = max(MIN_HEIGHT_PX, 60 + BAR_HEIGHT_PX * len(names))
    return apply_layout(figure, translate, x=translate(N_("Images")), height=height)


def _to_colour(panel: Pixels) -> Pixels:
    return np.repeat(panel, 3, axis=3) if panel.shape[3] == 1 else panel
