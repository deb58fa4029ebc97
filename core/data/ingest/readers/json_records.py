"""Reader of JSON: a list of records, an object with one such list, or one record per line."""

import json
from typing import Any

import pandas as pd

from core.data.ingest.files import Source, detect_encoding
from core.data.ingest.readers.base import ProgressCallback, RawTable, check_columns
from core.errors import UnreadableFileError
from core.messages import N_


def read_json(source: Source, progress: ProgressCallback) -> RawTable:
    """Read a JSON file of flat records. Raises UnreadableFileError for nested values and invalid JSON."""
    text = source.path.read_text(encoding=detect_encoding(source).encoding)
    try:
        records = _parse_records(text, source.name)
    except RecursionError as error:
        raise UnreadableFileError(N_("{file}: the JSON is nested too deep."), file=source.name) from error
    if isinstance(records, dict):
        lists = [value for value in records.values() if isinstance(value, list)]
        records = lists[0] if len(lists) == 1 else [records]
    is_flat = isinstance(records, list) and all(isinstance(record, dict) for record in records)
    if not is_flat or any(isinstance(value, dict | list) for record in records for value in record.values()):
        raise UnreadableFileError(
            N_("{file}: the JSON is not a list of flat records. Accepted: [{{…}}, {{…}}]."), file=source.name
        )
    return RawTable(source.name, pd.DataFrame.from_records(records))


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
