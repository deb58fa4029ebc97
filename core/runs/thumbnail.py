"""Thumbnail of a run: the picture of its run card as a small SVG image without text."""

from core.figures.style import HIGHLIGHT_COLOUR, PALETTE
from core.runs.svg import BOTTOM, Shapes


def render_thumbnail(drawing: Shapes) -> str:
    """Return the shapes of a drawing as an SVG image.

    Example:
        >>> from core.runs.svg import Bar
        >>> render_thumbnail(Shapes("Scores", (Bar(0, 10, 5, 20),))).count("<rect")
        1
    """
    bottom = drawing.height - BOTTOM
    bars = [
        f'<rect x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}" fill="{PALETTE[0]}"/>'
        for bar in drawing.bars
    ]
    lines = [
        f'<polyline points="{line.points}" fill="none" stroke="{line.colour}" stroke-width="4" '
        f'stroke-dasharray="{line.dash}"/>'
        for line in drawing.lines
    ]
    mark = (
        []
        if drawing.mark is None
        else [
            f'<line x1="{drawing.mark}" x2="{drawing.mark}" y1="0" y2="{bottom}" stroke="{HIGHLIGHT_COLOUR}" '
            'stroke-width="4" stroke-dasharray="10 6"/>'
        ]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {bottom}" '
        f'width="{drawing.width}" height="{bottom}">{"".join([*bars, *lines, *mark])}</svg>'
    )
