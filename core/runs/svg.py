"""Small figures as SVG shapes in pixels, for files without scripts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.figures.style import PALETTE
from core.messages import N_, Translator
from core.runs.card_model import Picture

WIDTH, HEIGHT = 640, 220
LEFT, TOP, BOTTOM = 8, 12, 24
LINE_STYLES = (("", N_("solid")), ("7 4", N_("dashed")), ("2 3", N_("dotted")), ("9 3 2 3", N_("dash-dotted")))


@dataclass(frozen=True)
class Bar:
    """A bar, with its upper left corner at (`x`, `y`)."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class PolyLine:
    """A line, with `points` in SVG syntax. Lines differ in colour and in `dash`, which `look` describes in words."""

    name: str
    points: str
    colour: str
    dash: str
    look: str


@dataclass(frozen=True)
class TextLabel:
    """A text at (`x`, `y`); `anchor` is the SVG text-anchor."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Shapes:
    """Shapes of a figure; `mark` is the x position of a vertical line, None without one."""

    title: str
    bars: tuple[Bar, ...] = ()
    lines: tuple[PolyLine, ...] = ()
    labels: tuple[TextLabel, ...] = ()
    mark: float | None = None
    width: int = WIDTH
    height: int = HEIGHT


def draw_picture(picture: Picture, translate: Translator, format_value: Callable[[object], str]) -> Shapes:
    """Convert a picture to shapes; `translate` translates, `format_value` formats numbers."""
    title = picture.title.render(translate, format_value)
    if picture.kind == "lines":
        return _draw_lines(picture, title, translate, format_value)
    return _draw_bars(picture, title, format_value)


def _draw_bars(picture: Picture, title: str, format_value: Callable[[object], str]) -> Shapes:
    """Draw bars from zero. A histogram has touching bins and labels at both ends; other bars have their names."""
    values = [value or 0.0 for value in next(iter(picture.series.values()), ())]
    top, slot_width = max([*values, 1e-12]), (WIDTH - 2 * LEFT) / max(len(values), 1)
    gap = 1.0 if picture.kind == "histogram" else 0.2 * slot_width
    bars = tuple(
        Bar(
            _round_pixels(LEFT + position * slot_width + gap / 2),
            _round_pixels(_to_y_pixels(value, 0.0, top)),
            _round_pixels(slot_width - gap),
            _round_pixels(HEIGHT - BOTTOM - _to_y_pixels(value, 0.0, top)),
        )
        for position, value in enumerate(values)
    )
    if picture.kind == "histogram" and picture.x:
        low, high = float(picture.x[0]), float(picture.x[-1])
        mark = (
            None
            if picture.mark is None
            else _round_pixels(LEFT + (WIDTH - 2 * LEFT) * _to_share(picture.mark, low, high))
        )
        return Shapes(
            title,
            bars,
            labels=(_label_end(LEFT, low, format_value, "start"), _label_end(WIDTH - LEFT, high, format_value, "end")),
            mark=mark,
        )
    has_few_bars = len(values) <= 12
    labels = tuple(
        TextLabel(_round_pixels(LEFT + (position + 0.5) * slot_width), HEIGHT - 8, str(name))
        for position, name in enumerate(picture.x)
        if has_few_bars
    )
    return Shapes(title, bars, labels=labels)


def _draw_lines(picture: Picture, title: str, translate: Translator, format_value: Callable[[object], str]) -> Shapes:
    all_values = [value for series in picture.series.values() for value in series if value is not None]
    x_values = [float(x) for x in picture.x]
    if not all_values or not x_values:
        return Shapes(title)
    top = max(max(all_values), 1e-12)
    lines = tuple(
        PolyLine(
            name,
            _format_points(x_values, values, top),
            PALETTE[number % len(PALETTE)],
            LINE_STYLES[number % len(LINE_STYLES)][0],
            translate(LINE_STYLES[number % len(LINE_STYLES)][1]),
        )
        for number, (name, values) in enumerate(picture.series.items())
    )
    end_labels = (
        _label_end(LEFT, x_values[0], format_value, "start"),
        _label_end(WIDTH - LEFT, x_values[-1], format_value, "end"),
    )
    return Shapes(
        title, lines=lines, labels=(*end_labels, TextLabel(LEFT, TOP, format_value(float(f"{top:.3g}")), "start"))
    )


def _format_points(x_values: Sequence[float], values: Sequence[float | None], top: float) -> str:
    span = (x_values[0], x_values[-1])
    return " ".join(
        f"{_round_pixels(LEFT + (WIDTH - 2 * LEFT) * _to_share(x, *span))},"
        f"{_round_pixels(_to_y_pixels(value, 0.0, top))}"
        for x, value in zip(x_values, values, strict=True)
        if value is not None
    )


def _label_end(x: float, value: float, format_value: Callable[[object], str], anchor: str) -> TextLabel:
    return TextLabel(x, HEIGHT - 8, format_value(float(f"{value:.3g}")), anchor)


def _to_y_pixels(value: float, low: float, high: float) -> float:
    """Return the y position of a value, in pixels from the top."""
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP - 8) * _to_share(value, low, high)


def _to_share(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _round_pixels(value: float) -> float:
    return round(value, 2)
