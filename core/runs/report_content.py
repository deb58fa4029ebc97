"""Content of a report that a task gives: words, key figures, events, figures and tables, in no language yet.

A text is a `Message`; the writer of the report translates it and formats its values. Names of files, entities and
columns are values of messages, which the writer escapes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.data.nameless import SERIES
from core.language import Language
from core.messages import N_, Message
from core.phrases import to_span

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_EVENTS = 12
Cell = Message | str | int | float | None
"""A value to show; a float is rounded to four digits, None is missing."""


@dataclass(frozen=True)
class KeyFigure:
    """A figure of the result, and what it is compared with: a baseline, a promise or a total."""

    label: Message
    value: Cell
    baseline: Message | None = None


@dataclass(frozen=True)
class ReportEvent:
    """An incident, an event or the like in words; a title that the sentences contain is None, no severity is ""."""

    title: Message | None
    sentences: tuple[Message, ...]
    severity: str = ""


@dataclass(frozen=True)
class EventList:
    """The worst events, worst first, of `total` ones.

    empty  what is said where there are none
    """

    heading: Message
    events: tuple[ReportEvent, ...]
    total: int
    empty: Message


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its title; `draw` draws it in the language of the reader."""

    title: Message
    draw: Callable[[Language], "go.Figure"]
    note: Message | None = None


@dataclass(frozen=True)
class ReportTable:
    """A small table; its first column names the rows."""

    title: Message
    head: tuple[Message, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: Message | None = None


@dataclass(frozen=True)
class Gallery:
    """Small pictures: caption and address, which contains the picture, of each."""

    title: Message
    pictures: tuple[tuple[Message, str], ...]


@dataclass(frozen=True)
class ReportContent:
    """Sections of a report that a task fills; an empty one is left out.

    summary      what was seen first, in sentences
    key_figures  the figures that a reader looks at first
    tables       what the result is compared with, or consists of
    events       what was found, in words
    figures      figures
    galleries    small pictures
    certainty    how sure the result is, in addition to its threshold and its intervals
    tells_threshold  True where `certainty` tells the threshold in words of its own
    notes        what was not possible, and other limits
    line_labels  name of a detector or baseline in the score card → its label
    """

    summary: tuple[Message, ...] = ()
    key_figures: tuple[KeyFigure, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    events: EventList | None = None
    figures: tuple[ReportFigure, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    certainty: tuple[Message, ...] = ()
    tells_threshold: bool = False
    notes: tuple[Message, ...] = ()
    line_labels: Mapping[str, str] = field(default_factory=dict)


# ---- words of several tasks -----------------------------------------------------------------------------------------


def name_entity(entity: object) -> Message:
    """Return the name of an entity in a sentence; words for the only series of a file without names.

    Example:
        >>> str(name_entity("Paris")), str(name_entity(SERIES))
        ('Paris', 'the series')
    """
    return Message(N_("the series")) if entity == SERIES else Message("{entity}", {"entity": str(entity)})


def name_event(entity: object, start: object, end: object) -> Message:
    """Return where and when something was, as the title of an event."""
    return Message("{entity}, {when}", {"entity": name_entity(entity), "when": to_span(start, end)})
