"""Slices of one Parquet file with many entities, read in several batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from core.data.dataset import Dataset
from core.data.ingest.layouts.base import find_role_columns
from core.data.ingest.loading import load, load_preview
from core.errors import InputError

MIN_SLICED_BYTES = 10**6  # smaller files are not sliced
BLOCK_ROWS = 65_536
HEAD_ROWS = 1000
SEPARATOR = "\x1f"  # between the columns that name an entity together


@dataclass(frozen=True)
class ParquetSlice:
    """Some entities of a file, their number of rows, and the first and last row group that contain them."""

    entities: tuple[str, ...]
    rows: int
    row_groups: tuple[int, int]


def slice_by_entity(path: Path, rows: int) -> list[ParquetSlice]:
    """Return slices of about `rows` rows, entities in the order of the file.

    The list is empty for a small file, a file without entities, or an unreadable file, which the task that reads it
    reports.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = _find_entity_columns(file, path.name) if file.metadata.num_rows > rows else []
            return list(_iter_slices(_count_entity_rows(file, names), rows)) if names else []
    except (OSError, pa.ArrowException, InputError):
        return []


def read_slice(path: Path, entities: tuple[str, ...], row_groups: tuple[int, int]) -> Dataset:
    """Return the rows of `entities` as `load` does. Raises the errors of `load`, OSError and ArrowException."""
    with pyarrow.parquet.ParquetFile(path) as file:
        names, entity_keys = _find_entity_columns(file, path.name), pa.array(entities)
        blocks = [
            block
            for batch in file.iter_batches(BLOCK_ROWS, row_groups=list(range(row_groups[0], row_groups[1] + 1)))
            if len(block := batch.filter(pc.is_in(_build_entity_keys(batch, names), entity_keys)))
        ]
        return _load_table(pa.Table.from_batches(blocks, file.schema_arrow), path.name)


def _load_table(table: pa.Table, name: str) -> Dataset:
    with TemporaryDirectory(prefix="vigie-") as folder:
        pyarrow.parquet.write_table(table, Path(folder) / name, compression="none")
        return load([(Path(folder) / name, name)])


def _find_entity_columns(file: pyarrow.parquet.ParquetFile, name: str) -> list[str]:
    """Return the columns that name an entity, detected on the first rows."""
    with TemporaryDirectory(prefix="vigie-") as folder:
        head = next(file.iter_batches(HEAD_ROWS))
        pyarrow.parquet.write_table(pa.Table.from_batches([head]), Path(folder) / name)
        return find_role_columns(load_preview([(Path(folder) / name, name)]).roles, "entity")


def _build_entity_keys(batch: pa.RecordBatch, names: list[str]) -> pa.Array:
    """Return the entity of every row as text, (rows,)."""
    texts = [batch.column(name).cast(pa.string()) for name in names]
    return pc.binary_join_element_wise(*texts, SEPARATOR, null_handling="replace", null_replacement="?")


@dataclass
class _EntityRows:
    """Number of rows of an entity, and the first and last row group that contain them."""

    rows: int
    first: int
    last: int


def _count_entity_rows(file: pyarrow.parquet.ParquetFile, names: list[str]) -> dict[str, _EntityRows]:
    entities: dict[str, _EntityRows] = {}
    for row_group in range(file.num_row_groups):
        for batch in file.iter_batches(BLOCK_ROWS, row_groups=[row_group], columns=names):
            for value_count in pc.value_counts(_build_entity_keys(batch, names)).to_pylist():
                entity = entities.setdefault(value_count["values"], _EntityRows(0, row_group, row_group))
                entity.rows, entity.last = entity.rows + value_count["counts"], row_group
    return entities


def _iter_slices(entities: dict[str, _EntityRows], rows: int) -> Iterator[ParquetSlice]:
    names, count, first, last = list[str](), 0, 0, 0
    for name, entity in entities.items():
        if names and count + entity.rows > rows:
            yield ParquetSlice(tuple(names), count, (first, last))
            names, count = [], 0
        first, last = (min(first, entity.first), max(last, entity.last)) if names else (entity.first, entity.last)
        names.append(name)
        count += entity.rows
    if names:
        yield ParquetSlice(tuple(names), count, (first, last))
