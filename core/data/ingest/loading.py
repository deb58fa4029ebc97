"""Loading of files into one dataset: read, detect the layout, concatenate, drop duplicate rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, format_timestamp
from core.data.ingest import layouts
from core.data.ingest.clock_columns import find_incomplete_day
from core.data.ingest.column_facts import describe_column
from core.data.ingest.files import SkippedFile, open_sources
from core.data.ingest.layouts.base import Layout, Role, Roles, has_time, strip_extensions
from core.data.ingest.layouts.general import GeneralLayout
from core.data.ingest.readers import ProgressCallback, RawTable, group_files, ignore_progress, read_group, read_table
from core.data.ingest.role_inference import ColumnReading, infer_roles
from core.data.quality.findings import Finding
from core.errors import InputError, OptionError, UnknownLayoutError
from core.messages import N_, Message
from core.spec.plugins import discover_classes

FileInput = Path | tuple[Path, str]
"""Path, or path and file name shown to the user."""


@dataclass(frozen=True)
class Preview:
    """First rows of a file, its detected layout (None if no layout fits), and the roles of its columns.

    `readings` gives the reason and the unit of each column; it is empty for a layout that is recognised by the names of
    its columns.
    """

    name: str
    head: pd.DataFrame
    layout: str | None
    roles: Roles
    readings: Mapping[str, ColumnReading]


def list_layouts() -> list[Layout]:
    """Return all layouts, the most specific first."""
    return sorted((cls() for cls in discover_classes(layouts, Layout).values()), key=lambda layout: layout.order)


def load(
    files: Sequence[FileInput],
    *,
    layout: str | None = None,
    roles: Roles | None = None,
    role_changes: Roles | None = None,
    unit: str = "",
    progress: ProgressCallback = ignore_progress,
    skipped: list[SkippedFile] | None = None,
) -> Dataset:
    """Load one dataset from one or more files, or folders of files, of the same layout.

    Rows keep the order of the files. Exact duplicates of a row are dropped and counted. `layout`, `roles` and `unit`
    replace the detected ones; `role_changes` replaces the roles of some columns only. `progress` receives the completed
    share 0–1. Unreadable windows, NetMob23 files and files of an unsupported type are added to `skipped`; without this
    list, they raise UnreadableFileError. Other unreadable files always raise it.

    Raises InputError without files, UnknownLayoutError for tables without a fitting layout or with different columns,
    and OptionError for an unknown role.
    """
    if not files:
        raise InputError(N_("No file was given."))
    datasets: list[Dataset] = []
    with open_sources(list(files), skipped) as sources:
        groups = group_files(sources)
        for number, group in enumerate(groups):
            group_progress = _scale_progress(progress, number, len(groups))
            datasets.append(
                _build_dataset(read_group(group, group_progress, skipped), layout, roles, unit, role_changes)
            )
    dataset = _concat_datasets(datasets)
    progress(1.0)
    return _note_single_row(drop_duplicate_rows(dataset))


def load_preview(files: Sequence[FileInput]) -> Preview:
    """Return a preview of the first of `files` for the editor of column roles."""
    with open_sources(list(files)) as sources:
        table = read_table(sources[0])
    match = _detect_layout(table.frame)
    columns = match[2] if match else infer_roles(table.frame).columns
    roles = match[1] if match else {column.name: column.role for column in columns}
    readings = {column.name: column for column in columns}
    return Preview(table.name, table.frame.head(20), match[0].name if match else None, roles, readings)


def _scale_progress(progress: ProgressCallback, number: int, count: int) -> ProgressCallback:
    return lambda share: progress((number + share) / count)


def _build_dataset(
    table: RawTable, layout_name: str | None, roles: Roles | None, unit: str, role_changes: Roles | None = None
) -> Dataset:
    if role_changes and roles is None:
        layout_name, roles = _change_roles(table, role_changes, layout_name)
    layout_by_name = {layout.name: layout for layout in list_layouts()}
    if layout_name is not None and layout_name not in layout_by_name:
        raise UnknownLayoutError(
            N_("The layout {name!r} does not exist. Accepted: {accepted}."),
            name=layout_name,
            accepted=", ".join(layout_by_name),
        )
    if layout_name is not None and roles is not None:
        return layout_by_name[layout_name].build(table, _validate_roles(roles, table), unit)
    if layout_name is None:
        _reject_incomplete_day(table)
    layout_match = (
        _detect_layout(table.frame)
        if layout_name is None
        else (layout_by_name[layout_name], _detect_roles(layout_by_name[layout_name], table.frame), ())
    )
    if layout_match is None or layout_match[1] is None:
        raise UnknownLayoutError(
            N_(
                "{file}: no layout fits. Columns were read as: {columns}. Layouts tried: {accepted}. Assign a role to "
                "each column."
            ),
            file=table.name,
            columns=_describe_columns(table),
            accepted=layout_name or ", ".join(layout_by_name),
        )
    if roles is not None:
        return layout_match[0].build(table, _validate_roles(roles, table), unit)
    _note_uncertain_columns(table, layout_match[2])
    return layout_match[0].build(table, layout_match[1], unit)


def _describe_columns(table: RawTable) -> str:
    """Return the first 15 columns with their kind: "date (dates), name (text)"."""
    columns = [describe_column(table.frame[name], str(name)) for name in list(table.frame)[:15]]
    return ", ".join(f"{column.name[:40]} ({column.kind})" for column in columns)


def _change_roles(table: RawTable, role_changes: Roles, layout_name: str | None) -> tuple[str, Roles]:
    """Return the layout, and the detected roles with the changes of a person."""
    match = _detect_layout(table.frame)
    roles = {**(match[1] if match else infer_roles(table.frame).roles), **_validate_roles(role_changes, table)}
    if layout_name is None:
        detected = match[0] if match else None
        is_timeless = not has_time(roles)
        general_name = "kpi_matrix" if is_timeless else "tidy_series"
        keeps_layout = detected is not None and not (detected.name == "kpi_matrix" and not is_timeless)
        layout_name = detected.name if detected is not None and keeps_layout else general_name
    return layout_name, roles


def _detect_roles(layout: Layout, table: pd.DataFrame) -> Roles | None:
    """Return the roles of a table for a layout that a person has chosen."""
    return infer_roles(table).roles if isinstance(layout, GeneralLayout) else layout.detect_roles(table)


def _note_uncertain_columns(table: RawTable, columns: tuple[ColumnReading, ...]) -> None:
    """Add a note for each column that could have another role: a key of whole numbers."""
    for column in columns:
        if not column.is_certain:
            table.add_note(
                "uncertain_role",
                1,
                N_(
                    "{file}: the whole numbers of the column {column!r} tell rows with the same time apart. The column "
                    "was read as {role}. Assign another role if this is wrong."
                ),
                column=column.name,
                role=column.role,
            )


def _validate_roles(roles: Roles, table: RawTable) -> Roles:
    """Return the roles of the columns that exist in the table.

    Raises OptionError for an unknown role and UnknownLayoutError for a missing column.
    """
    for column, role in roles.items():
        if role not in get_args(Role):
            raise OptionError(
                N_("The role {value!r} of column {column!r} does not exist. Accepted: {accepted}."),
                value=role,
                column=column,
                accepted=", ".join(get_args(Role)),
            )
        if role != "ignore" and column not in table.frame.columns:
            raise UnknownLayoutError(
                N_("{file}: the column {column!r} with the role {role} was not found. Columns found: {columns}."),
                file=table.name,
                column=column,
                role=role,
                columns=_format_columns(table),
            )
    return {column: role for column, role in roles.items() if column in table.frame.columns}


def _format_columns(table: RawTable) -> str:
    """Return the names of the first 15 columns as text for a message."""
    return ", ".join(str(column)[:40] for column in list(table.frame)[:15])


def _reject_incomplete_day(table: RawTable) -> None:
    """Raise UnknownLayoutError for a daily profile with missing or repeated times.

    Otherwise, a profile without one hour would be read as a series of 23 measurements.
    """
    incomplete_day = find_incomplete_day(list(table.frame.columns))
    if incomplete_day:
        missing, repeated = incomplete_day
        raise UnknownLayoutError(
            N_(
                "{file}: the columns name times of the day, but not each time of one day "
                "exactly once. Missing: {missing}. Repeated: {twice}."
            ),
            file=table.name,
            missing=", ".join(missing[:10]) or "–",
            twice=", ".join(repeated[:10]) or "–",
        )


def _detect_layout(table: pd.DataFrame) -> tuple[Layout, Roles, tuple[ColumnReading, ...]] | None:
    """Return the layout of a table, the roles of its columns, and how the columns of a general table were read."""
    for layout in list_layouts():
        roles = None if isinstance(layout, GeneralLayout) else layout.detect_roles(table)
        if roles is not None:
            return layout, roles, ()
    reading = infer_roles(table)
    layout_by_name = {layout.name: layout for layout in list_layouts()}
    return (layout_by_name[reading.layout], reading.roles, reading.columns) if reading.layout else None


def _concat_datasets(datasets: list[Dataset]) -> Dataset:
    first = datasets[0]
    if len(datasets) == 1:
        return first
    for dataset in datasets[1:]:
        if (dataset.layout, dataset.columns, dataset.unit) != (first.layout, first.columns, first.unit):
            raise UnknownLayoutError(
                N_("{file} does not match {other}. Files loaded together must have the same layout, columns and unit."),
                file=dataset.files[0],
                other=first.files[0],
            )

    datasets = _merge_nameless_series(datasets)

    def concat_tables(name: str) -> "pd.DataFrame | None":
        tables = [getattr(dataset, name) for dataset in datasets]
        return None if all(table is None for table in tables) else pd.concat([t for t in tables if t is not None])

    frame = concat_tables("frame")
    labels = concat_tables("labels")
    optional_tables = {name: _keep_if_complete(concat_tables(name), frame) for name in ("covariates", "context")}
    missing_names = [
        name for name, table in optional_tables.items() if table is None and concat_tables(name) is not None
    ]
    notes = [note for dataset in datasets for note in dataset.notes]
    if missing_names:
        message = Message(
            N_("Columns ignored because some files do not have them: {columns}."), {"columns": ", ".join(missing_names)}
        )
        notes.append(Finding("ignored_columns", len(missing_names), message))
    return first.replace(
        frame=frame,
        **optional_tables,
        step=next((dataset.step for dataset in datasets if dataset.step is not None), None),
        labels=labels if labels is not None and len(labels) == len(frame) else None,  # type: ignore[arg-type]
        files=tuple(name for dataset in datasets for name in dataset.files),
        notes=tuple(notes),
    )


def _merge_nameless_series(datasets: list[Dataset]) -> list[Dataset]:
    """Give files with one nameless series each a common entity if their periods do not overlap.

    Example: january.csv and february.csv become one series with the name of the first file.
    """
    all_nameless = all(
        dataset.has_dates and dataset.entities == [strip_extensions(dataset.files[0])] for dataset in datasets
    )
    if not all_nameless:
        return datasets
    spans = sorted((dataset.time.min(), dataset.time.max()) for dataset in datasets)
    if any(later[0] <= earlier[1] for earlier, later in pairwise(spans)):
        return datasets
    name = datasets[0].entities[0]
    return [
        dataset.replace(frame=dataset.frame.rename(index={dataset.entities[0]: name}, level="entity"))
        for dataset in datasets
    ]


def _keep_if_complete(table: pd.DataFrame | None, frame: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the table of covariates or context if every file has it, else None."""
    return table if table is not None and frame is not None and len(table) == len(frame) else None


def drop_duplicate_rows(dataset: Dataset) -> Dataset:
    """Drop rows that equal an earlier row in entity, time and every measurement.

    Rows with the same entity and time but other measurements stay; the data doctor reports them.
    """
    if not dataset.has_dates:
        return dataset
    repeated_key = dataset.frame.index.duplicated(keep=False)
    if not repeated_key.any():
        return dataset
    candidate_rows = np.flatnonzero(repeated_key)
    rows = dataset.frame.iloc[candidate_rows].reset_index()
    dropped_rows = candidate_rows[rows.duplicated().to_numpy()]
    if not len(dropped_rows):
        return dataset
    kept_mask = np.ones(len(dataset), dtype=bool)
    kept_mask[dropped_rows] = False
    note = Finding(
        "repeated_rows",
        len(dropped_rows),
        Message(N_("Exact duplicate rows in the files (one copy of each was kept)")),
        tuple(
            {"entity": dataset.entity[row], "time": format_timestamp(dataset.time[row])}
            for row in dropped_rows[: Finding.MAX_LOCATIONS]
        ),
    )
    return dataset.take_rows(kept_mask).replace(notes=(*dataset.notes, note))


def _note_single_row(dataset: Dataset) -> Dataset:
    """Add a note to a dataset of a single row: one row cannot be compared with anything."""
    if len(dataset) > 1:
        return dataset
    message = Message(N_("{file} contains a single row. No comparison is possible."), {"file": dataset.files[0]})
    return dataset.replace(notes=(*dataset.notes, Finding("single_row", 1, message)))
