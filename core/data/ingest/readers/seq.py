"""Windows of a series, one file each, as torch saves them: overlapping windows are joined back into the series.

A file is a dictionary: `value` (T, 1, n, 1) or (T, n), `label` (T, 1, 1) and `ts` (T, 1, 1), tensors or arrays;
`entity` names the series where it is there. They are opened without the power to run code: only tensors and arrays of
numbers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.data.ingest.files import Skipped, Source, natural, skip
from core.data.ingest.readers.base import Progress, Table
from core.data.ingest.readers.joining import Joined
from core.data.ingest.readers.netmob import called
from core.errors import InputError, UnreadableFileError
from core.messages import N_

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """Values (T, n), labels (T,) and moments (T,), as far as the file has them; the name of the series, or ""."""

    values: Floats
    labels: Stamps | None
    stamps: Stamps | None
    entity: str


def read_seq(sources: Sequence[Source], progress: Progress, skipped: list[Skipped] | None = None) -> Table:
    """Read the series whose windows are in `sources`.

    Its columns are `ts`, column_1 … column_n, `label`, and `entity` where there are several. One window is in memory
    at a time. A file that holds something else raises UnreadableFileError, or joins `skipped` where such a list is
    given.
    """
    ordered = sorted(sources, key=lambda source: natural(source.name))
    joined = Joined(called(ordered))
    for number, source in enumerate(ordered, start=1):
        try:
            window = read_window(source)
            joined.add(source.name, window.values, window.labels, window.stamps, window.entity)
        except InputError as error:
            skip(skipped, source.name, error)
        progress(number / len(ordered))
    return joined.table()


def read_window(source: Source) -> Window:
    """Raises UnreadableFileError naming the file, the key and what was found."""
    content = _opened(source)
    if not isinstance(content, dict) or "value" not in content:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise UnreadableFileError(
            N_("{file}: a window holds value, label and ts; found: {found}."), file=source.name, found=found[:200]
        )
    values = _values(source, content["value"])
    labels, stamps = (_per_row(source, content, key, len(values)) for key in ("label", "ts"))
    return Window(values, labels, stamps, str(content.get("entity", "")).strip()[:200])


def _opened(source: Source) -> Any:
    """What torch saved, read with the list of types that hold numbers and nothing else."""
    import torch

    _allow_arrays()
    try:
        return torch.load(source.path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the wrong byte makes it raise
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise UnreadableFileError(
                N_("{file}: holds {value}, which could run code, beside numbers; nothing of it was opened."),
                file=source.name,
                value=refused[1],
            ) from error
        raise UnreadableFileError(
            N_("{file}: damaged window ({reason})."),
            file=source.name,
            reason=(str(error) or type(error).__name__).splitlines()[0][:200],
        ) from error


@cache
def _allow_arrays() -> None:
    """NumPy arrays of numbers are harmless; torch does not know it. Both of NumPy's names for their maker are met."""
    import torch
    from numpy._core.multiarray import _reconstruct

    kinds = "?bBhilqfd"
    classes: set[Any] = {np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in kinds)}
    makers = [(_reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    torch.serialization.add_safe_globals([*makers, *classes])


def _array(source: Source, key: str, found: object) -> NDArray[Any]:
    """A tensor or array of numbers, none of them invented: a few bytes may claim to be a million values."""
    import torch

    if isinstance(found, torch.Tensor) and found.layout == torch.strided and not found.is_quantized:
        plain = _plain(found)
    else:
        plain = found if isinstance(found, np.ndarray) else None
    if plain is None or plain.dtype.kind not in "biuf" or plain.nbytes > source.path.stat().st_size * 8:
        kind = f"{type(found).__name__} {tuple(getattr(found, 'shape', ()))}"
        raise UnreadableFileError(
            N_("{file}, {key!r}: {found}; a tensor or array of numbers is accepted."),
            file=source.name,
            key=key,
            found=kind,
        )
    return plain


def _plain(tensor: "torch.Tensor") -> NDArray[Any] | None:
    """A tensor as array without a copy; half precision, which NumPy knows in one form only, in single."""
    import torch

    if tensor.dtype.is_complex or tensor.device.type != "cpu":
        return None
    plain: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()
    return plain


def _values(source: Source, found: object) -> Floats:
    array = _array(source, "value", found)
    if array.ndim == 4 and array.shape[1] == array.shape[3] == 1:
        array = array[:, 0, :, 0]
    if array.ndim != 2 or not array.size:
        raise UnreadableFileError(
            N_("{file}, 'value': shape {value}; (T, 1, n, 1) is accepted."), file=source.name, value=str(array.shape)
        )
    return array.astype(np.float64)


def _per_row(source: Source, content: dict[str, Any], key: str, rows: int) -> Stamps | None:
    """The numbers under `key`, one for each row of the window; None where there is no such key."""
    if content.get(key) is None:
        return None
    array = _array(source, key, content[key])
    if array.size != rows or not np.equal(array, np.trunc(array)).all():
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: shape {value}, type {found}; a whole number for each of the {count} rows is accepted."
            ),
            file=source.name,
            key=key,
            value=str(array.shape),
            found=str(array.dtype),
            count=rows,
        )
    return array.reshape(-1).astype(np.int64)
