"""Loading of files into one dataset: read, detect the layout, concatenate, drop duplicate rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, when
from core.data.ingest import layouts
from core.data.ingest.files import Skipped, unpacked
from core.data.ingest.layouts.base import Layout, Role, Roles, broken_day, stem
from core.data.ingest.readers import Progress, Table, bundles, no_progress, read_bundle, read_table
from core.data.quality.findings import Finding
from core.errors import InputError, OptionError, UnknownLayoutError
from core.messages import N_, Text
from core.spec.plugins import members

File = Path | tuple[Path, str]
"""Path, or path and file name shown to the user."""


@dataclass(frozen=True)
class Preview:
    """First rows of a file, its detected layout (None if no layout fits) and the roles of its columns."""

    name: str
    head: pd.DataFrame
    layout: str | None
    roles: Roles


def known_layouts() -> list[Layout]:
    """Return all layouts, the most specific first."""
    return sorted((cls() for cls in members(layouts, Layout).values()), key=lambda each: each.order)


def load(
    files: Sequence[File],
    *,
    layout: str | None = None,
    roles: Roles | None = None,
    unit: str = "",
    progress: Progress = no_progress,
    skipped: list[Skipped] | None = None,
) -> Dataset:
    """Load one dataset from one or more files, or folders of files, of the same layout.

    Rows keep the order of the files. Exact duplicates of a row are dropped and counted. The arguments for layout and
    roles replace the detected ones; `unit` replaces the unit in the file. `progress` receives the completed share 0–1.
    Unreadable windows, NetMob23 files and files of an unsupported type are added to `skipped`; without this list, they
    raise UnreadableFileError. Other unreadable files always raise it.

    Raises InputError without files, UnknownLayoutError for tables without a fitting layout or with different columns,
    and OptionError for an unknown role.
    """
    if not files:
        raise InputError(N_("No file was given."))
    parts: list[Dataset] = []
    with unpacked(list(files), skipped) as sources:
        groups = bundles(sources)
        for number, group in enumerate(groups):
            share = _slice(progress, number, len(groups))
            parts.append(_dataset(read_bundle(group, share, skipped), layout, roles, unit))
    dataset = _joined(parts)
    progress(1.0)
    return _alone(without_repeats(dataset))


def preview(files: Sequence[File]) -> Preview:
    """Return a preview of the first of `files` for the editor of column roles."""
    with unpacked(list(files)) as sources:
        table = read_table(sources[0])
    found = _recognised(table.frame)
    unknown: dict[str, Role] = dict.fromkeys(map(str, table.frame.columns), "ignore")
    roles = found[1] if found else unknown
    return Preview(table.name, table.frame.head(20), found[0].name if found else None, roles)


def _slice(progress: Progress, number: int, of: int) -> Progress:
    return lambda share: progress((number + share) / of)


def _dataset(table: Table, name: str | None, roles: Roles | None, unit: str) -> Dataset:
    by_name = {each.name: each for each in known_layouts()}
    if name is not None and name not in by_name:
        raise UnknownLayoutError(
            N_("No layout {name!r}; there are: {accepted}."), name=name, accepted=", ".join(by_name)
        )
    if name is not None and roles is not None:
        return by_name[name].build(table, _checked(roles, table), unit)
    if name is None:
        _refuse_broken_day(table)
    found = _recognised(table.frame) if name is None else (by_name[name], by_name[name].roles(table.frame))
    if found is None or found[1] is None:
        raise UnknownLayoutError(
            N_("{file}: no layout fits the columns {columns}. Accepted: {accepted}. Give the columns their roles."),
            file=table.name,
            columns=_shown(table),
            accepted=name or ", ".join(by_name),
        )
    return found[0].build(table, found[1] if roles is None else _checked(roles, table), unit)


def _checked(roles: Roles, table: Table) -> Roles:
    """Return the roles of the columns that exist in the table.

    Raises OptionError for an unknown role and UnknownLayoutError for a missing column.
    """
    for column, role in roles.items():
        if role not in get_args(Role):
            raise OptionError(
                N_("The role {value!r} of column {column!r} does not exist; there are: {accepted}."),
                value=role,
                column=column,
                accepted=", ".join(get_args(Role)),
            )
        if role != "ignore" and column not in table.frame.columns:
            raise UnknownLayoutError(
                N_("{file}: column {column!r}, meant as {role}, was not found. Columns found: {columns}."),
                file=table.name,
                column=column,
                role=role,
                columns=_shown(table),
            )
    return {column: role for column, role in roles.items() if column in table.frame.columns}


def _shown(table: Table) -> str:
    """Return the names of the first 15 columns as text for a message."""
    return ", ".join(str(column)[:40] for column in list(table.frame)[:15])


def _refuse_broken_day(table: Table) -> None:
    """Raise UnknownLayoutError for a daily profile with missing or repeated times.

    Otherwise, a profile without one hour would be read as a series of 23 measurements.
    """
    broken = broken_day(list(table.frame.columns))
    if broken:
        missing, twice = broken
        raise UnknownLayoutError(
            N_(
                "{file}: the columns name times of the day, but not those of one whole day. Missing: "
                "{missing}; twice: {twice}."
            ),
            file=table.name,
            missing=", ".join(missing[:10]) or "–",
            twice=", ".join(twice[:10]) or "–",
        )


def _recognised(table: pd.DataFrame) -> tuple[Layout, Roles] | None:
    for layout in known_layouts():
        roles = layout.roles(table)
        if roles is not None:
            return layout, roles
    return None


def _joined(parts: list[Dataset]) -> Dataset:
    first = parts[0]
    if len(parts) == 1:
        return first
    for part in parts[1:]:
        if (part.layout, part.columns, part.unit) != (first.layout, first.columns, first.unit):
            raise UnknownLayoutError(
                N_("{file} does not match {other}: files loaded together need the same layout, columns and unit."),
                file=part.files[0],
                other=first.files[0],
            )

    parts = _one_series(parts)

    def stacked(name: str) -> "pd.DataFrame | None":
        tables = [getattr(part, name) for part in parts]
        return None if all(table is None for table in tables) else pd.concat([t for t in tables if t is not None])

    frame = stacked("frame")
    labels = stacked("labels")
    kept = {name: _reindexed(stacked(name), frame) for name in ("drivers", "context")}
    lost = [name for name, table in kept.items() if table is None and stacked(name) is not None]
    notes = [note for part in parts for note in part.notes]
    if lost:
        text = Text(N_("{columns}: not in every file, left out."), {"columns": ", ".join(lost)})
        notes.append(Finding("ignored_columns", len(lost), text))
    return first.replace(
        frame=frame,
        **kept,
        step=next((part.step for part in parts if part.step is not None), None),
        labels=labels if labels is not None and len(labels) == len(frame) else None,  # type: ignore[arg-type]
        files=tuple(name for part in parts for name in part.files),
        notes=tuple(notes),
    )


def _one_series(parts: list[Dataset]) -> list[Dataset]:
    """Give files with one nameless series each a common entity if their periods do not overlap.

    Example: january.csv and february.csv become one series with the name of the first file.
    """
    nameless = all(part.dated and part.entities == [stem(part.files[0])] for part in parts)
    if not nameless:
        return parts
    spans = sorted((part.time.min(), part.time.max()) for part in parts)
    if any(following[0] <= before[1] for before, following in pairwise(spans)):
        return parts
    name = parts[0].entities[0]
    return [part.replace(frame=part.frame.rename(index={part.entities[0]: name}, level="entity")) for part in parts]


def _reindexed(table: pd.DataFrame | None, frame: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the table of covariates or context if every file has it, else None."""
    return table if table is not None and frame is not None and len(table) == len(frame) else None


def without_repeats(dataset: Dataset) -> Dataset:
    """Drop rows that equal an earlier row in entity, time and every measurement.

    Rows with the same entity and time but other measurements stay; the data doctor reports them.
    """
    if not dataset.dated:
        return dataset
    repeated_key = dataset.frame.index.duplicated(keep=False)
    if not repeated_key.any():
        return dataset
    suspects = np.flatnonzero(repeated_key)
    rows = dataset.frame.iloc[suspects].reset_index()
    dropped = suspects[rows.duplicated().to_numpy()]
    if not len(dropped):
        return dataset
    keep = np.ones(len(dataset), dtype=bool)
    keep[dropped] = False
    note = Finding(
        "repeated_rows",
        len(dropped),
        Text(N_("Rows that stood in the files more than once; one of each was kept")),
        tuple({"entity": dataset.entity[row], "time": when(dataset.time[row])} for row in dropped[: Finding.PLACES]),
    )
    return dataset.rows(keep).replace(notes=(*dataset.notes, note))


def _alone(dataset: Dataset) -> Dataset:
    """Add a note to a dataset of a single row: one row cannot be compared with anything."""
    if len(dataset) > 1:
        return dataset
    text = Text(N_("{file} holds a single row; nothing can be compared."), {"file": dataset.files[0]})
    return dataset.replace(notes=(*dataset.notes, Finding("single_row", 1, text)))
