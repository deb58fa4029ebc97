"""Small figures as SVG shapes in pixels, for files without scripts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.figures.style import PALETTE, Say
from core.messages import N_
from core.runs.card_model import Picture

WIDTH, HEIGHT = 640, 220
LEFT, TOP, BOTTOM = 8, 12, 24
LOOKS = (("", N_("solid")), ("7 4", N_("dashed")), ("2 3", N_("dotted")), ("9 3 2 3", N_("dash-dotted")))


@dataclass(frozen=True)
class Bar:
    """A bar, with its upper left corner at (`x`, `y`)."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A line, with `points` in SVG syntax. Lines differ in colour and in `dash`, which `look` describes in words."""

    name: str
    points: str
    colour: str
    dash: str
    look: str


@dataclass(frozen=True)
class Label:
    """A text at (`x`, `y`); `anchor` is the SVG text-anchor."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Drawing:
    """Shapes of a figure; `mark` is the x position of a vertical line, None without one."""

    title: str
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
    labels: tuple[Label, ...] = ()
    mark: float | None = None
    width: int = WIDTH
    height: int = HEIGHT


def drawn(picture: Picture, say: Say, shown: Callable[[object], str]) -> Drawing:
    """Convert a picture to shapes; `say` translates, `shown` formats numbers."""
    title = picture.title.rendered(say, shown)
    if picture.kind == "lines":
        return _lines(picture, title, say, shown)
    return _bars(picture, title, shown)


def _bars(picture: Picture, title: str, shown: Callable[[object], str]) -> Drawing:
    """Draw bars from zero. A histogram has touching bins and labels at both ends; other bars have their names."""
    values = [value or 0.0 for value in next(iter(picture.series.values()), ())]
    top, room = max([*values, 1e-12]), (WIDTH - 2 * LEFT) / max(len(values), 1)
    gap = 1.0 if picture.kind == "histogram" else 0.2 * room
    bars = tuple(
        Bar(
            _round(LEFT + place * room + gap / 2),
            _round(_up(value, 0.0, top)),
            _round(room - gap),
            _round(HEIGHT - BOTTOM - _up(value, 0.0, top)),
        )
        for place, value in enumerate(values)
    )
    if picture.kind == "histogram" and picture.x:
        low, high = float(picture.x[0]), float(picture.x[-1])
        mark = None if picture.mark is None else _round(LEFT + (WIDTH - 2 * LEFT) * _share(picture.mark, low, high))
        return Drawing(
            title, bars, labels=(_label(LEFT, low, shown, "start"), _label(WIDTH - LEFT, high, shown, "end")), mark=mark
        )
    few = len(values) <= 12
    labels = tuple(
        Label(_round(LEFT + (place + 0.5) * room), HEIGHT - 8, str(name)) for place, name in enumerate(picture.x) if few
    )
    return Drawing(title, bars, labels=labels)


def _lines(picture: Picture, title: str, say: Say, shown: Callable[[object], str]) -> Drawing:
    known = [value for series in picture.series.values() for value in series if value is not None]
    places = [float(x) for x in picture.x]
    if not known or not places:
        return Drawing(title)
    top = max(max(known), 1e-12)
    lines = tuple(
        Line(
            name,
            _points(places, values, top),
            PALETTE[number % len(PALETTE)],
            LOOKS[number % len(LOOKS)][0],
            say(LOOKS[number % len(LOOKS)][1]),
        )
        for number, (name, values) in enumerate(picture.series.items())
    )
    ends = (_label(LEFT, places[0], shown, "start"), _label(WIDTH - LEFT, places[-1], shown, "end"))
    return Drawing(title, lines=lines, labels=(*ends, Label(LEFT, TOP, shown(float(f"{top:.3g}")), "start")))


def _points(places: Sequence[float], values: Sequence[float | None], top: float) -> str:
    span = (places[0], places[-1])
    return " ".join(
        f"{_round(LEFT + (WIDTH - 2 * LEFT) * _share(x, *span))},{_round(_up(value, 0.0, top))}"
        for x, value in zip(places, values, strict=True)
        if value is not None
    )


def _label(x: float, value: float, shown: Callable[[object], str], anchor: str) -> Label:
    return Label(x, HEIGHT - 8, shown(float(f"{value:.3g}")), anchor)


def _up(value: float, low: float, high: float) -> float:
    """Return the y position of a value, in pixels from the top."""
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP - 8) * _share(value, low, high)


def _share(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _round(value: float) -> float:
    return round(value, 2)
