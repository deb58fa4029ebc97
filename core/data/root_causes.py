"""Reader of root-cause labels: the columns to blame for each event, in lines `start-end:column,column,…`."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from core.errors import UnreadableFileError
from core.evaluation.explanation import RootCause
from core.evaluation.validation import Flags
from core.messages import N_

EVENT_LINE = re.compile(r"(\d{1,12})-(\d{1,12})\s*:\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)")


def read_root_causes(path: Path, labels: ArrayLike | None = None, columns: int | None = None) -> list[RootCause]:
    """Read the events of the file `path`, in the order of time.

    The file counts columns from 1, and rows of the test part from 0. Some files give the row after an event as its end
    (Server Machine Dataset), others its last row (Application Server Dataset). The end counts as a row of the event,
    unless `labels` mark it as normal and the row before it as abnormal. `labels` are True for the abnormal rows of the
    test part.

    Raises UnreadableFileError with the line for any other content, for a row beyond `labels`, and for a column beyond
    `columns`.
    """
    is_abnormal = None if labels is None else np.asarray(labels).astype(bool)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    events = [
        _parse_event(path.name, number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    for event in events:
        _check_range(path.name, event, len(is_abnormal) if is_abnormal is not None else None, columns)
    if is_abnormal is not None:
        events = [_trim_normal_end(event, is_abnormal) for event in events]
    return sorted(events, key=lambda event: (event.start, event.stop))


def _parse_event(file: str, number: int, line: str) -> RootCause:
    match = EVENT_LINE.fullmatch(line)
    columns = tuple(int(column) - 1 for column in match[3].split(",")) if match else ()
    if match is None or int(match[2]) < int(match[1]) or min(columns) < 0:
        raise UnreadableFileError(
            N_(
                "{file}, line {line}: {value!r} is not accepted. Accepted format: "
                "start-end:column,column,… with columns counted from 1."
            ),
            file=file,
            line=number,
            value=line[:60],
        )
    return RootCause(int(match[1]), int(match[2]) + 1, tuple(sorted(set(columns))))


def _check_range(file: str, event: RootCause, rows: int | None, columns: int | None) -> None:
    if rows is not None and event.start >= rows:
        raise UnreadableFileError(
            N_("{file}: an event starts at row {value}, but the test part has {accepted} rows."),
            file=file,
            value=event.start,
            accepted=rows,
        )
    if columns is not None and event.columns[-1] >= columns:
        raise UnreadableFileError(
            N_("{file}: an event names column {value}, but the data have {accepted} columns."),
            file=file,
            value=event.columns[-1] + 1,
            accepted=columns,
        )


def _trim_normal_end(event: RootCause, is_abnormal: Flags) -> RootCause:
    """Return the event without its last row if that row is normal and the row before it is abnormal."""
    stop = min(event.stop, len(is_abnormal))
    ends_normal = stop - event.start > 1 and not is_abnormal[stop - 1] and is_abnormal[stop - 2]
    return RootCause(event.start, stop - int(ends_normal), event.columns)
