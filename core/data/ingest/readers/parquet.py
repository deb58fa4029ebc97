"""Reader of Parquet files."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from core.data.ingest.files import Source
from core.data.ingest.readers.base import MAX_CELLS, ProgressCallback, RawTable
from core.errors import UnreadableFileError
from core.messages import N_


def read_parquet(source: Source, progress: ProgressCallback) -> RawTable:
    """Read a Parquet file. Raises UnreadableFileError for nested columns, damaged files and too many cells."""
    try:
        schema = pyarrow.parquet.read_schema(source.path)
        _reject_nested_columns(schema, source.name)
        text_columns = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        with pyarrow.parquet.ParquetFile(source.path, read_dictionary=text_columns) as file:
            if file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS:
                raise UnreadableFileError(
                    N_("{file}: the table has {count} cells. At most {accepted} are accepted."),
                    file=source.name,
                    count=file.metadata.num_rows * file.metadata.num_columns,
                    accepted=MAX_CELLS,
                )
            frame: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(
            N_("{file}: damaged Parquet file ({reason})."), file=source.name, reason=error
        ) from error
    return RawTable(source.name, frame)


def _reject_nested_columns(schema: pa.Schema, file: str) -> None:
    for field in schema:
        if pa.types.is_nested(field.type):
            raise UnreadableFileError(
                N_("{file}, column {column!r}: the values are nested ({value}). Accepted: numbers, dates or text."),
                file=file,
                column=field.name,
                value=str(field.type)[:80],
            )
