"""One Parquet file with many entities: divided between batches, and read in parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from core.data.dataset import Dataset
from core.data.ingest.layouts.base import having
from core.data.ingest.loading import load, preview
from core.errors import InputError

MANY_BYTES = 10**6  # a smaller file is read whole
BLOCK = 65_536
BETWEEN = "\x1f"  # the values of several columns that name an entity together


@dataclass(frozen=True)
class Part:
    """Some entities, the number of their rows, and the first and last row group that they are in."""

    entities: tuple[str, ...]
    rows: int
    groups: tuple[int, int]


def entity_parts(path: Path, rows: int) -> list[Part]:
    """Parts of about `rows` rows, entities in the order in which they come.

    Empty for a file that is small enough, names no entities, or cannot be read (which is told by whoever reads it).
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = _entity_columns(file, path.name) if file.metadata.num_rows > rows else []
            return list(_divided(_places(file, names), rows)) if names else []
    except (OSError, pa.ArrowException, InputError):
        return []


def read_part(path: Path, wanted: tuple[str, ...], groups: tuple[int, int]) -> Dataset:
    """The rows of the entities `wanted`, as `load` reads them. Raises as `load`, OSError and ArrowException."""
    with pyarrow.parquet.ParquetFile(path) as file:
        names, kept = _entity_columns(file, path.name), pa.array(wanted)
        found = [
            part
            for batch in file.iter_batches(BLOCK, row_groups=list(range(groups[0], groups[1] + 1)))
            if len(part := batch.filter(pc.is_in(_keys(batch, names), kept)))
        ]
        return _loaded(pa.Table.from_batches(found, file.schema_arrow), path.name)


def _loaded(table: pa.Table, name: str) -> Dataset:
    with TemporaryDirectory(prefix="vigie-") as room:
        pyarrow.parquet.write_table(table, Path(room) / name, compression="none")
        return load([(Path(room) / name, name)])


def _entity_columns(file: pyarrow.parquet.ParquetFile, name: str) -> list[str]:
    """The columns that name an entity, by the first rows."""
    with TemporaryDirectory(prefix="vigie-") as room:
        head = next(file.iter_batches(1000))
        pyarrow.parquet.write_table(pa.Table.from_batches([head]), Path(room) / name)
        return having(preview([(Path(room) / name, name)]).roles, "entity")


def _keys(batch: pa.RecordBatch, names: list[str]) -> pa.Array:
    """The entity of every row, as text."""
    texts = [batch.column(name).cast(pa.string()) for name in names]
    return pc.binary_join_element_wise(*texts, BETWEEN, null_handling="replace", null_replacement="?")


@dataclass
class _Place:
    rows: int
    first: int
    last: int


def _places(file: pyarrow.parquet.ParquetFile, names: list[str]) -> dict[str, _Place]:
    found: dict[str, _Place] = {}
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(BLOCK, row_groups=[group], columns=names):
            for each in pc.value_counts(_keys(batch, names)).to_pylist():
                place = found.setdefault(each["values"], _Place(0, group, group))
                place.rows, place.last = place.rows + each["counts"], group
    return found


def _divided(places: dict[str, _Place], rows: int) -> Iterator[Part]:
    entities, count, first, last = list[str](), 0, 0, 0
    for entity, place in places.items():
        if entities and count + place.rows > rows:
            yield Part(tuple(entities), count, (first, last))
            entities, count = [], 0
        first, last = (place.first, place.last) if not entities else (min(first, place.first), max(last, place.last))
        entities.append(entity)
        count += place.rows
    if entities:
        yield Part(tuple(entities), count, (first, last))
