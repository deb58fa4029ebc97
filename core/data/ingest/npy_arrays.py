"""Reading of NumPy arrays (.npy) from untrusted files; no pickle is loaded, no more is allocated than is stored."""

import tokenize
from collections.abc import Callable
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from core.errors import UnreadableFileError
from core.messages import N_

HEADER_ERRORS = (  # errors of NumPy, which parses the header as a Python literal; they depend on the damaged byte
    ValueError,
    SyntaxError,
    tokenize.TokenError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)


def read_npy_header(stream: IO[bytes], file: str, key: str) -> tuple[tuple[int, ...], "np.dtype[np.generic]"]:
    """Return the shape and type that the header of an array declares.

    `file` and `key` name the array in errors. Raises UnreadableFileError for anything else than an array.
    """
    try:
        version = npy.read_magic(stream)
        header_reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header_reader(stream)
    except HEADER_ERRORS as error:
        raise UnreadableFileError(
            N_("{file}, {key!r}: this is not a NumPy array ({reason})."), file=file, key=key, reason=str(error)[:200]
        ) from error
    return shape, dtype


def read_npy_array(open_stream: Callable[[], IO[bytes]], stored_bytes: int, file: str, key: str) -> NDArray[np.generic]:
    """Read the array in a stream of `stored_bytes` bytes; it is opened twice, for the header and for the values.

    Raises UnreadableFileError for Python objects and for arrays larger than `stored_bytes`.
    """
    with open_stream() as stream:
        shape, dtype = read_npy_header(stream, file, key)
    if dtype.hasobject:
        raise UnreadableFileError(
            N_(
                "{file}, {key!r}: the array contains Python objects (a pickle). They could "
                "run code and are never opened. Save numbers or text."
            ),
            file=file,
            key=key,
        )
    declared_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if declared_bytes > stored_bytes:
        raise UnreadableFileError(
            N_("{file}, {key!r}: the array is truncated. It declares {accepted} bytes but the file has {count}."),
            file=file,
            key=key,
            accepted=declared_bytes,
            count=stored_bytes,
        )
    with open_stream() as stream:
        array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
    return array
