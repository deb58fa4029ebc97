"""Loading of files into one dataset: read, detect the layout, concatenate, drop duplicate rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from core.data.columns import ColumnReading, Roles
from core.data.dataset import Dataset, format_timestamp
from core.data.ingest import layouts
from core.data.ingest.clock_columns import find_incomplete_day
from core.data.ingest.column_facts import describe_column
from core.data.ingest.concatenation import concat_datasets, drop_duplicate_rows, mark_repeated_hours
from core.data.ingest.files import SkippedFile, Source, open_sources
from core.data.ingest.layouts.base import Layout, has_time
from core.data.ingest.layouts.general import GeneralLayout
from core.data.ingest.readers import ProgressCallback, RawTable, group_files, ignore_progress, read_group, read_table
from core.data.ingest.role_inference import infer_roles
from core.data.ingest.units import parse_unit
from core.data.quality.findings import Finding
from core.data.read_options import DATE_ORDERS, DECIMAL_MARKS, DETECT_ALL, ReadOptions
from core.errors import InputError, UnknownLayoutError
from core.messages import N_, Message
from core.spec.plugins import discover_classes

FileInput = Path | tuple[Path, str]
"""Path, or path and file name shown to the user."""

FIRST_ROWS, MAX_SHOWN_COLUMNS, MAX_CELL_CHARACTERS = 5, 200, 40


@dataclass(frozen=True)
class Preview:
    """Readings of the columns of a file, and its detected layout, "" if no layout fits."""

    name: str
    layout: str
    columns: tuple[ColumnReading, ...]

    @property
    def roles(self) -> Roles:
        """Role of every column."""
        return {column.name: column.role for column in self.columns}


def list_layouts() -> list[Layout]:
    """Return all layouts, the most specific first."""
    return sorted((cls() for cls in discover_classes(layouts, Layout).values()), key=lambda layout: layout.order)


def load(
    files: Sequence[FileInput],
    options: ReadOptions = DETECT_ALL,
    *,
    progress: ProgressCallback = ignore_progress,
    skipped: list[SkippedFile] | None = None,
) -> Dataset:
    """Load one dataset from one or more files, or folders of files, of the same layout.

    Rows keep the order of the files. Exact duplicates of a row are dropped and counted. `options` replace what is
    detected. `progress` receives the completed share 0–1. Unreadable windows, NetMob23 files and files of an
    unsupported type are added to `skipped`; without this list, they raise UnreadableFileError. Other unreadable files
    always raise it.

    Raises InputError without files, UnknownLayoutError for tables without a fitting layout or with different columns,
    and OptionError for an option that is not accepted.
    """
    if not files:
        raise InputError(N_("No file was given."))
    options.check()
    with open_sources(list(files), skipped, options) as sources:
        datasets = _build_datasets(group_files(sources), options, progress, skipped)
    dataset = mark_repeated_hours(concat_datasets(datasets))
    progress(1.0)
    return _note_single_row(drop_duplicate_rows(dataset.replace(read_options=options)))


def load_preview(files: Sequence[FileInput], options: ReadOptions = DETECT_ALL) -> Preview:
    """Return how the columns of the first of `files` are read, for the editor of column roles."""
    with open_sources(list(files), options=options) as sources:
        table = read_table(sources[0])
    layout, columns = _read_columns(table)
    return Preview(table.name, layout, add_first_cells(table.frame, columns))


def pin_marks(file: FileInput, options: ReadOptions = DETECT_ALL) -> ReadOptions:
    """Return the options with the decimal mark and the order of the dates that a file determines, if it does.

    Raises the errors of `load`.
    """
    with open_sources([file], options=options) as sources:
        table = read_table(sources[0])
        _build_dataset(table, options)
    order_by_value = {value: name for name, value in DATE_ORDERS.items()}
    mark_by_value = {value: name for name, value in DECIMAL_MARKS.items()}
    return replace(
        options,
        date_order=options.date_order or order_by_value.get(table.date_order, ""),
        decimal_mark=options.decimal_mark or mark_by_value.get(table.decimal_mark, ""),
    )


def _scale_progress(progress: ProgressCallback, number: int, count: int) -> ProgressCallback:
    return lambda share: progress((number + share) / count)


def _build_datasets(
    groups: list[list[Source]], options: ReadOptions, progress: ProgressCallback, skipped: list[SkippedFile] | None
) -> list[Dataset]:
    """Return the dataset of each group of files.

    Where one file leaves the order of its dates or its decimal mark open and the other files decide it, the file is
    read again as the others are.
    """
    datasets: list[Dataset] = []
    date_orders, decimal_marks = set(), set()
    for number, group in enumerate(groups):
        table = read_group(group, _scale_progress(progress, number, len(groups)), skipped)
        datasets.append(_build_dataset(table, options))
        date_orders.add(table.date_order)
        decimal_marks.add(table.decimal_mark)
    for number, group in enumerate(groups):
        kinds = {note.kind for note in datasets[number].notes}
        decided = options
        if "ambiguous_dates" in kinds:
            decided = replace(decided, date_order=_decide_by_others(date_orders, DATE_ORDERS))
        if "ambiguous_numbers" in kinds:
            decided = replace(decided, decimal_mark=_decide_by_others(decimal_marks, DECIMAL_MARKS))
        if decided != options:
            table = read_group([replace(source, options=decided) for source in group], ignore_progress, skipped)
            datasets[number] = _build_dataset(table, decided)
    return datasets


def _decide_by_others(values: set[str], value_by_choice: Mapping[str, str]) -> str:
    """Return the choice on which all files that decide it agree, or ""."""
    decided = values - {""}
    return next((choice for choice, value in value_by_choice.items() if decided == {value}), "")


def _build_dataset(table: RawTable, options: ReadOptions) -> Dataset:
    layout_by_name = {layout.name: layout for layout in list_layouts()}
    if options.layout and options.layout not in layout_by_name:
        raise UnknownLayoutError(
            N_("The layout {name!r} does not exist. Accepted: {accepted}."),
            name=options.layout,
            accepted=", ".join(layout_by_name),
        )
    if not options.layout and not options.roles:
        _reject_incomplete_day(table)
    detected_layout, detected = _read_columns(table)
    columns = _change_roles(table, detected, options.role_by_column)
    layout_name = options.layout or _choose_layout(detected_layout, columns, is_changed=bool(options.roles))
    if not layout_name:
        raise UnknownLayoutError(
            N_(
                "{file}: no layout fits. Columns were read as: {columns}. Layouts tried: {accepted}. Assign a role to "
                "each column."
            ),
            file=table.name,
            columns=_describe_columns(table),
            accepted=", ".join(layout_by_name),
        )
    _note_uncertain_columns(table, columns)
    readings = add_first_cells(table.frame, columns)
    roles = {column.name: column.role for column in columns}
    return layout_by_name[layout_name].build(table, roles, options.unit).replace(readings=readings)


def _read_columns(table: RawTable) -> tuple[str, tuple[ColumnReading, ...]]:
    """Return the name of the detected layout, "" if none fits, and the reading of every column."""
    for layout in list_layouts():
        roles = None if isinstance(layout, GeneralLayout) else layout.detect_roles(table.frame)
        if roles is not None:
            reason = Message(N_("by its name"))
            return layout.name, tuple(
                ColumnReading(column, role, reason, parse_unit(column) if role == "measure" else "")
                for column, role in roles.items()
            )
    reading = infer_roles(table.frame)
    if reading.other_layout and not table.options.layout:
        table.add_note(
            "uncertain_layout",
            sum(column.role == "measure" for column in reading.columns),
            N_(
                "{file}: {count} numbered columns were read as measurements of one entity. If each is an entity, "
                "choose the layout {layout}."
            ),
            layout=reading.other_layout,
        )
    return reading.layout, reading.columns


def _change_roles(table: RawTable, columns: tuple[ColumnReading, ...], changes: Roles) -> tuple[ColumnReading, ...]:
    """Return the columns with the roles that a person decided."""
    _require_columns(changes, table)
    chosen = Message(N_("your choice"))
    return tuple(
        ColumnReading(column.name, changes[column.name], chosen, column.unit)
        if changes.get(column.name, column.role) != column.role
        else column
        if column.name not in changes
        else replace(column, is_certain=True)
        for column in columns
    )


def _choose_layout(detected: str, columns: tuple[ColumnReading, ...], is_changed: bool) -> str:
    """Return the layout of a table: the detected one, unless it is general and a person changed the roles."""
    specific_layouts = [layout.name for layout in list_layouts() if not isinstance(layout, GeneralLayout)]
    if not is_changed or detected in specific_layouts:
        return detected
    roles = {column.name: column.role for column in columns}
    if not has_time(roles):
        return "kpi_matrix"
    if "variable" in roles.values():
        return "long_series"
    return "wide_series" if detected == "wide_series" and "entity" not in roles.values() else "tidy_series"


def add_first_cells(frame: pd.DataFrame, columns: tuple[ColumnReading, ...]) -> tuple[ColumnReading, ...]:
    """Return the readings with the first cells of the first columns, as text."""
    head = frame.head(FIRST_ROWS)
    texts = {
        column.name: tuple(map(_format_cell, head[column.name]))
        for column in columns[:MAX_SHOWN_COLUMNS]
        if column.name in head
    }
    return tuple(replace(column, first_cells=texts.get(column.name, ())) for column in columns)


def _describe_columns(table: RawTable) -> str:
    """Return the first 15 columns with their kind: "date (dates), name (text)"."""
    columns = [describe_column(table.frame[name], str(name)) for name in list(table.frame)[:15]]
    return ", ".join(f"{column.name[:40]} ({column.kind})" for column in columns)


def _format_cell(cell: Any) -> str:
    """Return a cell as text: whole numbers without decimals, days without a time of day, "" for a missing one."""
    if pd.isna(cell):
        return ""
    is_whole = isinstance(cell, float) and cell.is_integer()
    return (str(int(cell)) if is_whole else format_timestamp(cell))[:MAX_CELL_CHARACTERS]


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


def _require_columns(roles: Roles, table: RawTable) -> None:
    """Raise UnknownLayoutError for a column with a role that the table does not have."""
    for column, role in roles.items():
        if role != "ignore" and column not in table.frame.columns:
            raise UnknownLayoutError(
                N_("{file}: the column {column!r} with the role {role} was not found. Columns found: {columns}."),
                file=table.name,
                column=column,
                role=role,
                columns=_format_columns(table),
            )


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


def _note_single_row(dataset: Dataset) -> Dataset:
    """Add a note to a dataset of a single row: one row cannot be compared with anything."""
    if len(dataset) > 1:
        return dataset
    message = Message(N_("{file} contains a single row. No comparison is possible."), {"file": dataset.files[0]})
    return dataset.replace(notes=(*dataset.notes, Finding("single_row", 1, message)))
