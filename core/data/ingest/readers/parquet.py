"""Reader of Parquet files."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from core.data.ingest.files import Source
from core.data.ingest.readers.base import MAX_CELLS, Progress, Table
from core.errors import UnreadableFileError
from core.messages import N_


def read_parquet(source: Source, progress: Progress) -> Table:
    """Read a Parquet file. Raises UnreadableFileError for nested columns, damaged files and too many cells."""
    try:
        schema = pyarrow.parquet.read_schema(source.path)
        _refuse_nested(schema, source.name)
        words = [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]
        with pyarrow.parquet.ParquetFile(source.path, read_dictionary=words) as file:
            if file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS:
                raise UnreadableFileError(
                    N_("{file}: {count} cells; at most {accepted} are read."),
                    file=source.name,
                    count=file.metadata.num_rows * file.metadata.num_columns,
                    accepted=MAX_CELLS,
                )
            frame: pd.DataFrame = file.read().to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(N_("{file}: damaged Parquet ({reason})."), file=source.name, reason=error) from error
    return Table(source.name, frame)


def _refuse_nested(schema: pa.Schema, file: str) -> None:
    for each in schema:
        if pa.types.is_nested(each.type):
            raise UnreadableFileError(
                N_("{file}, column {column!r}: nested values ({value}); a column holds numbers, dates or words."),
                file=file,
                column=each.name,
                value=str(each.type)[:80],
            )
