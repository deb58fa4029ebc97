"""Reader of .seq files: windows of a series saved by torch, one per file, merged into the original series.

A file is a dictionary of tensors or arrays: "value" (T, 1, n, 1) or (T, n), "label" (T, 1, 1) and "ts" (T, 1, 1), for T
rows and n columns. An optional "entity" names the series. Only tensors and arrays of numbers are loaded, so no code of
a file can run.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.ingest.files import SkippedFile, Source, natural_sort_key, skip_or_raise
from core.data.ingest.readers.base import ProgressCallback, RawTable
from core.data.ingest.readers.netmob import name_sources
from core.data.ingest.readers.window_merge import WindowMerger
from core.errors import InputError, UnreadableFileError
from core.messages import N_

if TYPE_CHECKING:
    import torch

Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """Window of a series: values (rows, columns), labels and timestamps (rows,) or None, and series name or ""."""

    values: Floats
    labels: Stamps | None
    stamps: Stamps | None
    entity: str


def read_seq(
    sources: Sequence[Source], progress: ProgressCallback, skipped: list[SkippedFile] | None = None
) -> RawTable:
    """Read the windows in `sources` and merge them into one table.

    Its columns are ts, column_1 … column_n (or the quarter-hours of days), label (if a window has labels), and entity
    for named or several series. One window at a time is in memory. An unreadable file is added to `skipped`; without
    this list, it raises UnreadableFileError.
    """
    ordered = sorted(sources, key=lambda source: natural_sort_key(source.name))
    merger = WindowMerger(name_sources(ordered))
    for number, source in enumerate(ordered, start=1):
        try:
            window = read_window(source)
            merger.add(source.name, window.values, window.labels, window.stamps, window.entity)
        except InputError as error:
            skip_or_raise(skipped, source.name, error)
        progress(number / len(ordered))
    return merger.build_table()


def read_window(source: Source) -> Window:
    """Read one window. Raises UnreadableFileError with the file, the key and the content found."""
    content = _load_content(source)
    if not isinstance(content, dict) or "value" not in content:
        description = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise UnreadableFileError(
            N_("{file}: a window contains value, label and ts. Found: {found}."),
            file=source.name,
            found=description[:200],
        )
    values = _read_values(source, content["value"])
    labels, stamps = (_read_row_numbers(source, content, key, len(values)) for key in ("label", "ts"))
    return Window(values, labels, stamps, str(content.get("entity", "")).strip()[:200])


def _load_content(source: Source) -> Any:
    """Load the content of a torch file; only types that hold numbers are allowed."""
    import torch

    _allow_arrays()
    try:
        return torch.load(source.path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of many types for damaged files
        refused_type = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused_type:
            raise UnreadableFileError(
                N_("{file}: the file contains {value}, which could run code. It was not opened."),
                file=source.name,
                value=refused_type[1],
            ) from error
        raise UnreadableFileError(
            N_("{file}: damaged window ({reason})."),
            file=source.name,
            reason=(str(error) or type(error).__name__).splitlines()[0][:200],
        ) from error


@cache
def _allow_arrays() -> None:
    """Allow torch to load NumPy arrays of numbers.

    Their constructor has two names: numpy.core in NumPy 1, numpy._core in NumPy 2.
    """
    import torch
    from numpy._core.multiarray import _reconstruct

    type_codes = "?bBhilqfd"
    classes: set[Any] = {np.ndarray, np.dtype, *(type(np.dtype(type_code)) for type_code in type_codes)}
    constructors = [(_reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    torch.serialization.add_safe_globals([*constructors, *classes])


def _to_array(source: Source, key: str, value: object) -> NDArray[Any]:
    """Return a tensor or array of numbers as array. Raises UnreadableFileError for other content.

    The array may have at most 8 times the bytes of the file: a few bytes can declare a million values.
    """
    import torch

    if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_quantized:
        array = _tensor_to_array(value)
    else:
        array = value if isinstance(value, np.ndarray) else None
    if array is None or array.dtype.kind not in "biuf" or array.nbytes > source.path.stat().st_size * 8:
        description = f"{type(value).__name__} {tuple(getattr(value, 'shape', ()))}"
        raise UnreadableFileError(
            N_("{file}, {key!r}: found {found}. Accepted: a tensor or array of numbers."),
            file=source.name,
            key=key,
            found=description,
        )
    return array


def _tensor_to_array(tensor: "torch.Tensor") -> NDArray[Any] | None:
    """Return a tensor as array, without a copy if possible; bfloat16, unknown to NumPy, becomes float32."""
    import torch

    if tensor.dtype.is_complex or tensor.device.type != "cpu":
        return None
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return array


def _read_values(source: Source, value: object) -> Floats:
    array = _to_array(source, "value", value)
    if array.ndim == 4 and array.shape[1] == array.shape[3] == 1:
        array = array[:, 0, :, 0]
    if array.ndim != 2 or not array.size:
        raise UnreadableFileError(
            N_("{file}, 'value': the shape is {value}. Accepted: (T, 1, n, 1) or (T, n)."),
            file=source.name,
            value=str(array.shape),
        )
    return array.astype(np.float64)


def _read_row_numbers(source: Source, content: dict[str, Any], key: str, rows: int) -> Stamps | None:
    """Return the whole numbers under `key`, one per row of the window, or None without this key."""
    if content.get(key) is None:
        return None
    array = _to_array(source, key, content[key])
    if array.size != rows or not np.equal(array, np.trunc(array)).all():
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the shape is {value} and the type {found}. Accepted: a whole "
                "number for each of the {count} rows."
            ),
            file=source.name,
            key=key,
            value=str(array.shape),
            found=str(array.dtype),
            count=rows,
        )
    return array.reshape(-1).astype(np.int64)
