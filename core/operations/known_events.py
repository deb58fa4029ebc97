"""Known events of a dataset as one table: calendar, covariates, clock, and the notes of users."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from core.data.dataset import DAY, Dataset
from core.data.known_events import build_event_table, list_calendar_events
from core.messages import Message
from core.operations.notes import read_notes
from core.storage.notes import Note
from core.workspace import Workspace


@dataclass(frozen=True)
class EventSource:
    """Sources of events besides the data.

    covariates  digest of the stored covariate tables; "" without
    calendar    "FR", "DE-BY" …, "none"; "" for the one that the data point to
    places      places of entities, such as "AEP=Ohio"
    until       last moment, where a picture goes beyond the data
    """

    covariates: str = ""
    calendar: str = ""
    places: tuple[str, ...] = ()
    until: pd.Timestamp | None = None


def list_known_events(
    dataset: Dataset, workspace: Workspace, source: EventSource = EventSource(), language: str = "en"
) -> pd.DataFrame:
    """Return all known events of a dataset, with the columns of `EVENT_COLUMNS`.

    Raises as `load_calendar_events`.
    """
    return add_notes(
        load_calendar_events(dataset, workspace, source, language), read_notes(dataset, workspace), dataset
    )


def load_calendar_events(
    dataset: Dataset, workspace: Workspace, source: EventSource, language: str = "en"
) -> pd.DataFrame:
    """Return the known events without notes.

    Raises NotFoundError for covariates that are not stored here, DataError as `list_calendar_events`.
    """
    tables = workspace.covariates.load(source.covariates) if source.covariates else ()
    return list_calendar_events(dataset, tables, source.calendar, source.places, source.until, language)


def add_notes(events: pd.DataFrame, notes: Iterable[Note], dataset: Dataset) -> pd.DataFrame:
    """Return the events with one event per note. In data of whole days, a note counts for its days."""
    length = DAY if has_whole_days(dataset) else pd.Timedelta(0)
    rows = [
        {
            "start": pd.Timestamp(note.start),
            "end": pd.Timestamp(note.end) + length,
            "kind": "note",
            "label": Message("{text} ({author})", {"text": note.text, "author": note.author}),
            "entities": (note.entity,) if note.entity else (),
        }
        for note in notes
    ]
    return build_event_table([*events.to_dict("records"), *rows])


def has_whole_days(dataset: Dataset) -> bool:
    """Tell whether the data have one row a day or fewer, so that a moment is a day."""
    return dataset.profile or dataset.step is None or dataset.step >= DAY
