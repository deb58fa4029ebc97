"""Reader of JSON: a list of records, an object with one such list, or one record per line."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from core.data.ingest.files import Source, detect_encoding
from core.data.ingest.readers.base import ProgressCallback, RawTable, check_columns
from core.errors import UnreadableFileError
from core.messages import N_

INDEX_COLUMN = "index"


def read_json(source: Source, progress: ProgressCallback) -> RawTable:
    """Read a JSON file of flat records, also below other keys, and the forms in which pandas writes a table.

    Raises UnreadableFileError for nested values, for several tables in one file and for invalid JSON.
    """
    text = source.path.read_text(encoding=detect_encoding(source).encoding)
    try:
        document = _parse_records(text, source.name)
        tables = {name: table for name, table in _find_tables(document) if len(table)}
    except RecursionError as error:
        raise UnreadableFileError(N_("{file}: the JSON is nested too deep."), file=source.name) from error
    if isinstance(document, dict) and not tables and document and not any(map(_is_nested, document.values())):
        tables = {"": pd.DataFrame.from_records([document])}
    if document == [] or document == {}:
        return RawTable(source.name, pd.DataFrame())
    if len(tables) > 1:
        raise UnreadableFileError(
            N_("{file}: the JSON contains several tables: {names}. Save one of them in a file of its own."),
            file=source.name,
            names=", ".join(tables)[:200],
        )
    if not tables:
        raise UnreadableFileError(
            N_("{file}: the JSON is not a list of flat records. Accepted: [{{…}}, {{…}}]."), file=source.name
        )
    [(name, frame)] = tables.items()
    table = RawTable(source.name, frame)
    if name:
        table.add_note("nested_records", 1, N_("{file}: the records below the key {key!r} were read."), key=name)
    return table


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _find_tables(value: Any, name: str = "") -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables below a JSON value with their path: lists of flat records, and the forms written by pandas."""
    if isinstance(value, list):
        is_table = all(isinstance(record, dict) for record in value)
        if value and is_table and not any(_is_nested(cell) for record in value for cell in record.values()):
            yield name, pd.DataFrame.from_records(value)
        return
    if not isinstance(value, dict) or not value:
        return
    if {"columns", "data"} <= set(value) <= {"columns", "data", "index"}:
        yield name, _read_split_form(value)
        return
    if all(isinstance(column, dict) and column for column in value.values()):
        keys = [list(column) for column in value.values()]
        if all(key == keys[0] for key in keys) and not any(
            _is_nested(cell) for column in value.values() for cell in column.values()
        ):
            yield name, _read_column_form(value)
            return
    for key, child in value.items():
        yield from _find_tables(child, f"{name}.{key}".lstrip("."))


def _read_split_form(value: dict[str, Any]) -> pd.DataFrame:
    """Return the table of `DataFrame.to_json(orient="split")`; an index that does not count the rows is a column."""
    frame = pd.DataFrame(value["data"], columns=[str(column) for column in value["columns"]])
    return _add_index(frame, value.get("index", []))


def _read_column_form(value: dict[str, Any]) -> pd.DataFrame:
    """Return the table of `DataFrame.to_json()`: column → row → value, or row → column → value."""
    rows = list(next(iter(value.values())))
    is_by_row = not all(map(_is_row_key, rows)) and all(map(_is_row_key, value))
    columns = (
        {name: [row[name] for row in value.values()] for name in rows}
        if is_by_row
        else {name: list(column.values()) for name, column in value.items()}
    )
    return _add_index(pd.DataFrame(columns), list(value) if is_by_row else rows)


def _is_row_key(key: str) -> bool:
    return key.lstrip("-").isdigit() or key[:4].isdigit()


def _add_index(frame: pd.DataFrame, index: list[Any]) -> pd.DataFrame:
    if len(index) == len(frame) and list(map(str, index)) != list(map(str, range(len(frame)))):
        numbers = pd.to_numeric(pd.Series(index), errors="coerce")
        frame.insert(0, INDEX_COLUMN, numbers if numbers.notna().all() else index)
    return frame


def _parse_records(text: str, file: str) -> Any:
    """Parse the text as one JSON document, or as one document per line."""

    def build_record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            check_columns([name for name, _ in pairs], file)
        return record

    try:
        return json.loads(text, object_pairs_hook=build_record)
    except ValueError as error:
        line, reason = getattr(error, "lineno", 1), getattr(error, "msg", str(error))
    records = []
    for number, json_line in enumerate(text.split("\n"), start=1):
        try:
            if json_line.strip():
                records.append(json.loads(json_line, object_pairs_hook=build_record))
        except ValueError as error:
            line, reason = (number, getattr(error, "msg", str(error))) if records else (line, reason)
            raise UnreadableFileError(
                N_("{file}, line {line}: not valid JSON ({reason})."), file=file, line=line, reason=reason
            ) from error
    return records
