"""Sparkline: the range of a series over time as a small SVG image without text."""

from collections.abc import Sequence

from core.figures.style import PALETTE

WIDTH_PX, HEIGHT_PX, MARGIN_PX = 240, 64, 3


def draw_sparkline(low: Sequence[float], high: Sequence[float]) -> str:
    """Return an SVG image of the band between `low` and `high`; "" with fewer than two values.

    Example:
        >>> draw_sparkline([0.0, 1.0], [0.0, 1.0]).count("0.0,61.0")
        2
        >>> draw_sparkline([1.0], [1.0])
        ''
    """
    if len(low) < 2:
        return ""
    least, most = min(low), max(high)
    span = (most - least) or 1.0
    width, height = WIDTH_PX / (len(low) - 1), HEIGHT_PX - 2 * MARGIN_PX

    def to_point(number: int, value: float) -> str:
        share = (value - least) / span if most > least else 0.5
        return f"{number * width:.1f},{HEIGHT_PX - MARGIN_PX - height * share:.1f}"

    points = [to_point(number, value) for number, value in enumerate(high)]
    points += [to_point(number, value) for number, value in reversed(list(enumerate(low)))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        f'width="{WIDTH_PX}" height="{HEIGHT_PX}">'
        f'<polygon points="{" ".join(points)}" fill="{PALETTE[0]}" fill-opacity="0.35" stroke="{PALETTE[0]}" '
        'stroke-width="1" stroke-linejoin="round"/></svg>'
    )
