"""Reader of NumPy archives of KPI matrices: train, test and label, or one matrix; no pickle is loaded."""

import zipfile
from dataclasses import dataclass
from typing import IO

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.data.ingest.archives import damage_named
from core.data.ingest.files import Source
from core.data.ingest.readers.base import MAX_CELLS, Progress, Table, check_columns
from core.data.stamps import dates_of
from core.errors import UnreadableFileError
from core.messages import N_

PARTS = ("train", "test")
ALONE = ("x", "data")
LABELS = ("label", "labels")
ACCEPTED = "train, test, label; x or data; columns, time"


@dataclass(frozen=True)
class _Archive:
    """Open .npz file: its name for the user, and the members and declared shapes of its arrays by lower-case key."""

    opened: zipfile.ZipFile
    name: str
    members: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    def described(self) -> str:
        return ", ".join(f"{key} {self.shapes[key]}" for key in list(self.shapes)[:15])


def read_npz(source: Source, progress: Progress) -> Table:
    """Read a table with one row per timestamp and one column per KPI.

    Arrays of the file: one or two matrices of shape (rows, columns) or (rows,); optional "label" with the length of the
    test matrix (or of the only one), "time" with the length of all rows, and "columns" with the column names. The
    columns part (train or test), label and time are added if the file has them.
    Raises UnreadableFileError with the key and the content found.
    """
    with damage_named(source.name), zipfile.ZipFile(source.path) as opened:
        archive = _archive(opened, source.name)
        keys = _matrices(archive)
        matrices = [_matrix(archive, key) for key in keys]
        table = _table(archive, keys, matrices)
        lengths = dict(zip(keys, map(len, matrices), strict=True))
        if "test" in lengths:
            lengths.pop("train", None)
        _add_labels(archive, table, lengths)
        _add_times(archive, table)
    progress(1.0)
    return table


def _archive(opened: zipfile.ZipFile, name: str) -> _Archive:
    members = {each.removesuffix(".npy").lower(): each for each in opened.namelist()}
    shapes = {}
    for key, member in members.items():
        with opened.open(member) as stream:
            shapes[key] = _declared(stream, name, key)[0]
    return _Archive(opened, name, members, shapes)


def _declared(stream: IO[bytes], file: str, key: str) -> tuple[tuple[int, ...], "np.dtype[np.generic]"]:
    """Return the shape and type that the header of an array declares."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(stream)
    except ValueError as error:
        raise UnreadableFileError(
            N_("{file}, {key!r}: no NumPy array ({reason})."), file=file, key=key, reason=str(error)[:200]
        ) from error
    return shape, kind


def _array(archive: _Archive, key: str) -> NDArray[np.generic]:
    """Read the array `key`. Raises UnreadableFileError for Python objects and for arrays larger than the file."""
    member = archive.members[key]
    with archive.opened.open(member) as stream:
        shape, kind = _declared(stream, archive.name, key)
        if kind.hasobject:
            raise UnreadableFileError(
                N_(
                    "{file}, {key!r}: Python objects (a pickle, which could run code); it is never opened. "
                    "Save numbers or text."
                ),
                file=archive.name,
                key=key,
            )
        needed, there = int(np.prod(shape, dtype=object)) * kind.itemsize, archive.opened.getinfo(member).file_size
        if needed > there:
            raise UnreadableFileError(
                N_("{file}, {key!r}: cut short; {accepted} bytes of values declared, {count} there."),
                file=archive.name,
                key=key,
                accepted=needed,
                count=there,
            )
    with archive.opened.open(member) as stream:
        found: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
    return found


def _matrices(archive: _Archive) -> list[str]:
    """Return the keys of the matrices of measurements. Raises UnreadableFileError if several keys are possible."""
    parts = [key for key in PARTS if key in archive.shapes]
    flat = [key for key, shape in archive.shapes.items() if len(shape) == 2 and key not in LABELS]
    found = parts or [key for key in ALONE if key in archive.shapes][:1] or flat
    if parts or len(found) == 1:
        return found
    raise UnreadableFileError(
        N_(
            "{file}: which of its arrays holds the measurements? Found: {value}. Accepted: {accepted}, or a "
            "single matrix (rows, columns)."
        ),
        file=archive.name,
        value=archive.described(),
        accepted=ACCEPTED,
    )


def _matrix(archive: _Archive, key: str) -> NDArray[np.generic]:
    shape = archive.shapes[key]
    if len(shape) not in (1, 2) or 0 in shape:
        raise UnreadableFileError(
            N_("{file}, {key!r}: an array of shape {value}; measurements are (rows, columns). Found: {found}."),
            file=archive.name,
            key=key,
            value=str(shape),
            found=archive.described(),
        )
    if int(np.prod(shape, dtype=object)) > MAX_CELLS:
        raise UnreadableFileError(
            N_("{file}: {count} cells; at most {accepted} are read."),
            file=archive.name,
            count=int(np.prod(shape, dtype=object)),
            accepted=MAX_CELLS,
        )
    found = _array(archive, key)
    if found.dtype.kind not in "biuf":
        raise UnreadableFileError(
            N_("{file}, {key!r}: values of type {value}; measurements are numbers."),
            file=archive.name,
            key=key,
            value=str(found.dtype),
        )
    return found.reshape(len(found), -1)


def _table(archive: _Archive, keys: list[str], matrices: list[NDArray[np.generic]]) -> Table:
    """Stack the matrices into one table; the column "part" holds the key of each row's matrix."""
    width = matrices[0].shape[1]
    for key, matrix in zip(keys, matrices, strict=True):
        if matrix.shape[1] != width:
            raise UnreadableFileError(
                N_("{file}, {key!r}: {count} columns where {other!r} has {accepted}."),
                file=archive.name,
                key=key,
                count=matrix.shape[1],
                other=keys[0],
                accepted=width,
            )
    names = _names(archive, width)
    values = np.empty((sum(map(len, matrices)), width))
    np.concatenate(matrices, out=values, casting="unsafe")
    frame = pd.DataFrame(values, columns=pd.Index(names), copy=False)
    if keys[0] in PARTS:
        codes = np.repeat([PARTS.index(key) for key in keys], list(map(len, matrices)))
        frame["part"] = pd.Categorical.from_codes(codes, categories=list(PARTS))
    return Table(archive.name, frame)


def _names(archive: _Archive, width: int) -> list[str]:
    """Return the names in the array "columns", else column_1 … column_n."""
    if "columns" not in archive.shapes:
        names = [f"column_{number}" for number in range(1, width + 1)]
    else:
        names = [str(name).strip() for name in _array(archive, "columns").ravel()]
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


def _add_labels(archive: _Archive, table: Table, lengths: dict[str, int]) -> None:
    """Add the column "label": labels of the last matrix; the rows of an earlier matrix are normal."""
    key = next((key for key in LABELS if key in archive.shapes), None)
    if key is None:
        return
    labels = _array(archive, key)
    judged, rows = next(iter(lengths.items()), ("test", 0))
    if labels.size != rows or labels.dtype.kind not in "biuf" or len(labels) != labels.size:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: shape {value}, type {found}; one number for each of the {count} rows of "
                "{other!r} is accepted."
            ),
            file=archive.name,
            key=key,
            value=str(labels.shape),
            found=str(labels.dtype),
            count=rows,
            other=judged,
        )
    column = np.zeros(len(table.frame))
    column[len(column) - rows :] = labels.ravel()
    table.frame["label"] = column


def _add_times(archive: _Archive, table: Table) -> None:
    """Add the column "time" as dates or text; numbers that are not dates are left out, and noted."""
    if "time" not in archive.shapes:
        return
    times = _array(archive, "time").ravel()
    if len(times) != len(table.frame):
        raise UnreadableFileError(
            N_("{file}, {key!r}: {count} moments for {accepted} rows."),
            file=archive.name,
            key="time",
            count=len(times),
            accepted=len(table.frame),
        )
    dates = dates_of(times.astype(np.int64)) if times.dtype.kind in "iu" else None
    if times.dtype.kind in "MUS":
        table.frame.insert(0, "time", times.astype(str) if times.dtype.kind == "S" else times)
    elif dates is not None:
        table.frame.insert(0, "time", dates)
    else:
        table.note(
            "ignored_columns", 1, N_("{file}: 'time' holds numbers that are no dates; rows are counted instead.")
        )
