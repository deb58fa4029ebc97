"""Files → one dataset: read, recognise the layout, join several files, remove what is there twice."""

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
"""A path, or a path with the name the user knows the file by."""


@dataclass(frozen=True)
class Preview:
    """The first rows of a file, the layout found for it (None: none fits) and the roles of its columns."""

    name: str
    head: pd.DataFrame
    layout: str | None
    roles: Roles


def known_layouts() -> list[Layout]:
    """Every layout, the most specific first."""
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
    """One dataset from one or more files (or folders of files) of the same layout, rows in the order of the files.

    Rows that repeat another one entirely are dropped and counted; `layout` and `roles` replace what is recognised.
    Raises UnreadableFileError, UnknownLayoutError; with a list `skipped`, windows and tiles that cannot be read
    join it instead.
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
    """What the first of `files` looks like, for the mapping editor."""
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
    """The roles of columns that are there.

    Raises OptionError for a role that does not exist, UnknownLayoutError for a column.
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
    """The first columns, for a message."""
    return ", ".join(str(column)[:40] for column in list(table.frame)[:15])


def _refuse_broken_day(table: Table) -> None:
    """A profile that lacks an hour must not pass for a series of 23 measurements."""
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
    """Join files that each hold one nameless series, one after the other in time: january.csv, february.csv."""
    nameless = all(part.dated and part.entities == [stem(part.files[0])] for part in parts)
    if not nameless:
        return parts
    spans = sorted((part.time.min(), part.time.max()) for part in parts)
    if any(following[0] <= before[1] for before, following in pairwise(spans)):
        return parts
    name = parts[0].entities[0]
    return [part.replace(frame=part.frame.rename(index={part.entities[0]: name}, level="entity")) for part in parts]


def _reindexed(table: pd.DataFrame | None, frame: pd.DataFrame | None) -> pd.DataFrame | None:
    """Drivers and context count only where every file has them."""
    return table if table is not None and frame is not None and len(table) == len(frame) else None


def without_repeats(dataset: Dataset) -> Dataset:
    """Rows equal in key and every measurement to an earlier row are dropped; rows that differ stay for the doctor."""
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
    """A single row is read, but nothing can be learnt from it, and that is said."""
    if len(dataset) > 1:
        return dataset
    text = Text(N_("{file} holds a single row; nothing can be compared."), {"file": dataset.files[0]})
    return dataset.replace(notes=(*dataset.notes, Finding("single_row", 1, text)))
