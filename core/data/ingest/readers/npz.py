"""Reader of NumPy archives of KPI matrices: train, test and label, or one matrix; no pickle is loaded."""

import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.ingest.archives import translate_archive_errors
from core.data.ingest.files import Source
from core.data.ingest.npy_arrays import read_npy_array, read_npy_header
from core.data.ingest.readers.base import MAX_CELLS, ProgressCallback, RawTable, check_columns
from core.data.timestamp_format import parse_stamps
from core.errors import UnreadableFileError
from core.messages import N_

PART_KEYS = ("train", "test")
SINGLE_KEYS = ("x", "data")
LABEL_KEYS = ("label", "labels")
ACCEPTED_KEYS = "train, test, label; x or data; columns, time"


@dataclass(frozen=True)
class _Archive:
    """Open .npz file: its name for the user, and the members and declared shapes of its arrays by lower-case key."""

    zip_file: zipfile.ZipFile
    name: str
    member_by_key: dict[str, str]
    shape_by_key: dict[str, tuple[int, ...]]

    def describe_arrays(self) -> str:
        return ", ".join(f"{key} {self.shape_by_key[key]}" for key in list(self.shape_by_key)[:15])


def read_npz(source: Source, progress: ProgressCallback) -> RawTable:
    """Read a table with one row per timestamp and one column per KPI.

    Arrays of the file: one or two matrices of shape (rows, columns) or (rows,); optional "label" with the length of the
    test matrix (or of the only one), "time" with the length of all rows, and "columns" with the column names. The
    columns part (train or test), label and time are added if the file has them.
    Raises UnreadableFileError with the key and the content found.
    """
    with translate_archive_errors(source.name), zipfile.ZipFile(source.path) as zip_file:
        archive = _open_archive(zip_file, source.name)
        keys = _find_matrix_keys(archive)
        matrices = [_read_matrix(archive, key) for key in keys]
        table = _build_table(archive, keys, matrices)
        lengths = dict(zip(keys, map(len, matrices), strict=True))
        if "test" in lengths:
            lengths.pop("train", None)
        _add_labels(archive, table, lengths)
        _add_times(archive, table)
    progress(1.0)
    return table


def _open_archive(zip_file: zipfile.ZipFile, name: str) -> _Archive:
    member_by_key = {member_name.removesuffix(".npy").lower(): member_name for member_name in zip_file.namelist()}
    shape_by_key = {}
    for key, member in member_by_key.items():
        with zip_file.open(member) as stream:
            shape_by_key[key] = read_npy_header(stream, name, key)[0]
    return _Archive(zip_file, name, member_by_key, shape_by_key)


def _read_array(archive: _Archive, key: str) -> NDArray[np.generic]:
    """Read the array `key`. Raises UnreadableFileError for Python objects and for arrays larger than the file."""
    member = archive.member_by_key[key]
    stored_bytes = archive.zip_file.getinfo(member).file_size
    return read_npy_array(lambda: archive.zip_file.open(member), stored_bytes, archive.name, key)


def _find_matrix_keys(archive: _Archive) -> list[str]:
    """Return the keys of the matrices of measurements. Raises UnreadableFileError if several keys are possible."""
    part_keys = [key for key in PART_KEYS if key in archive.shape_by_key]
    matrix_keys = [key for key, shape in archive.shape_by_key.items() if len(shape) == 2 and key not in LABEL_KEYS]
    keys = part_keys or [key for key in SINGLE_KEYS if key in archive.shape_by_key][:1] or matrix_keys
    if part_keys or len(keys) == 1:
        return keys
    raise UnreadableFileError(
        N_(
            "{file}: no array could be identified as the measurements. Found: {value}. "
            "Accepted: {accepted}, or a single matrix (rows, columns)."
        ),
        file=archive.name,
        value=archive.describe_arrays(),
        accepted=ACCEPTED_KEYS,
    )


def _read_matrix(archive: _Archive, key: str) -> NDArray[np.generic]:
    shape = archive.shape_by_key[key]
    if len(shape) not in (1, 2) or 0 in shape:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the array has the shape {value}. Measurements have the shape "
                "(rows, columns). Found: {found}."
            ),
            file=archive.name,
            key=key,
            value=str(shape),
            found=archive.describe_arrays(),
        )
    if int(np.prod(shape, dtype=object)) > MAX_CELLS:
        raise UnreadableFileError(
            N_("{file}: the table has {count} cells. At most {accepted} are accepted."),
            file=archive.name,
            count=int(np.prod(shape, dtype=object)),
            accepted=MAX_CELLS,
        )
    matrix = _read_array(archive, key)
    if matrix.dtype.kind not in "biuf":
        raise UnreadableFileError(
            N_("{file}, {key!r}: the values have the type {value}. Measurements must be numbers."),
            file=archive.name,
            key=key,
            value=str(matrix.dtype),
        )
    return matrix.reshape(len(matrix), -1)


def _build_table(archive: _Archive, keys: list[str], matrices: list[NDArray[np.generic]]) -> RawTable:
    """Stack the matrices into one table; the column "part" holds the key of each row's matrix."""
    width = matrices[0].shape[1]
    for key, matrix in zip(keys, matrices, strict=True):
        if matrix.shape[1] != width:
            raise UnreadableFileError(
                N_("{file}, {key!r}: the array has {count} columns but {other!r} has {accepted}."),
                file=archive.name,
                key=key,
                count=matrix.shape[1],
                other=keys[0],
                accepted=width,
            )
    names = _read_column_names(archive, width)
    values = np.empty((sum(map(len, matrices)), width))
    np.concatenate(matrices, out=values, casting="unsafe")
    frame = pd.DataFrame(values, columns=pd.Index(names), copy=False)
    if keys[0] in PART_KEYS:
        codes = np.repeat([PART_KEYS.index(key) for key in keys], list(map(len, matrices)))
        frame["part"] = pd.Categorical.from_codes(codes, categories=list(PART_KEYS))
    return RawTable(archive.name, frame)


def _read_column_names(archive: _Archive, width: int) -> list[str]:
    """Return the names in the array "columns", else column_1 … column_n."""
    if "columns" not in archive.shape_by_key:
        names = [f"column_{number}" for number in range(1, width + 1)]
    else:
        names = [str(name).strip() for name in _read_array(archive, "columns").ravel()]
        if len(names) != width:
            raise UnreadableFileError(
                N_("{file}, {key!r}: {count} names for {accepted} columns."),
                file=archive.name,
                key="columns",
                count=len(names),
                accepted=width,
            )
        names = [name or f"column_{number}" for number, name in enumerate(names, start=1)]
    check_columns([*names, "part", "label", "time"], archive.name)
    return names


def _add_labels(archive: _Archive, table: RawTable, lengths: dict[str, int]) -> None:
    """Add the column "label": labels of the last matrix; the rows of an earlier matrix are normal."""
    key = next((key for key in LABEL_KEYS if key in archive.shape_by_key), None)
    if key is None:
        return
    labels = _read_array(archive, key)
    labelled_key, rows = next(iter(lengths.items()), ("test", 0))
    if labels.size != rows or labels.dtype.kind not in "biuf" or len(labels) != labels.size:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the array has the shape {value} and the type {found}. "
                "Accepted: one number for each of the {count} rows of {other!r}."
            ),
            file=archive.name,
            key=key,
            value=str(labels.shape),
            found=str(labels.dtype),
            count=rows,
            other=labelled_key,
        )
    column = np.zeros(len(table.frame))
    column[len(column) - rows :] = labels.ravel()
    table.frame["label"] = column


def _add_times(archive: _Archive, table: RawTable) -> None:
    """Add the column "time" as dates or text; numbers that are not dates are left out, and noted."""
    if "time" not in archive.shape_by_key:
        return
    times = _read_array(archive, "time").ravel()
    if len(times) != len(table.frame):
        raise UnreadableFileError(
            N_("{file}, {key!r}: {count} timestamps for {accepted} rows."),
            file=archive.name,
            key="time",
            count=len(times),
            accepted=len(table.frame),
        )
    dates = parse_stamps(times.astype(np.int64)) if times.dtype.kind in "iu" else None
    if times.dtype.kind in "MUS":
        table.frame.insert(0, "time", times.astype(str) if times.dtype.kind == "S" else times)
    elif dates is not None:
        table.frame.insert(0, "time", dates)
    else:
        table.add_note(
            "ignored_columns",
            1,
            N_("{file}: 'time' contains numbers that are not dates. The rows are numbered instead."),
        )
