"""Figures and tables of a stored result, made once per run, arguments and language.

Results are frozen, and figures leave the colours of the theme to the browser. Therefore a rendering depends on its run,
on what was chosen, on the language, and on the version of the code.
"""

import binascii
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.data.dataset import Dataset
from core.runs.result import Result
from core.storage.renderings import RenderingStore

if TYPE_CHECKING:
    import plotly.graph_objects as go

DRAWN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}")
"""An element of an array of times, as Plotly writes it."""


def draw_once(
    store: RenderingStore, run_id: str, language: str, draw: "Callable[..., go.Figure]", arguments: tuple[Any, ...]
) -> "go.Figure":
    """Return the figure `draw(*arguments)`, drawn once for a run and language; the caller may change it.

    `arguments` may hold the stored result of the run and rows of its dataset, small tables, functions that translate,
    and plain values. Raises TypeError for an argument of another kind, whose content could not be told from another
    one, such as a part of a result.
    """

    def make() -> bytes:
        return str(draw(*arguments).to_json(validate=False)).encode()

    body = store.get_or_make(run_id, _build_key(language, draw, arguments), make)
    return _restore_figure(json.loads(body))


def tabulate_once(
    store: RenderingStore, run_id: str, language: str, build: Callable[..., pd.DataFrame], arguments: tuple[Any, ...]
) -> pd.DataFrame:
    """Return the table `build(*arguments)`, built once for a run and language, as `draw_once` does."""

    def make() -> bytes:
        buffer = io.BytesIO()
        build(*arguments).to_parquet(buffer, compression=None)
        return buffer.getvalue()

    body = store.get_or_make(run_id, _build_key(language, build, arguments), make)
    return pd.read_parquet(io.BytesIO(body))


# ---- keys -----------------------------------------------------------------------------------------------------------


def _build_key(language: str, make: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    return "\n".join([language, _describe_argument(make), *map(_describe_argument, arguments)])


def _describe_argument(value: Any) -> str:
    """Return a text that differs between arguments of one run that differ. Raises TypeError for another kind."""
    if value is None or isinstance(value, str | Number | pd.Timestamp | pd.Timedelta):
        return repr(value)
    if isinstance(value, Result) and value.is_stored:
        return type(value).__qualname__  # the run tells its content
    if isinstance(value, Dataset):
        return _describe_rows(value)
    if isinstance(value, pd.DataFrame):
        return _describe_table(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_describe_argument, value))}]"
    if isinstance(value, dict):
        return _describe_argument(list(value.items()))
    if is_dataclass(value) and not isinstance(value, type | Result):
        parts = [getattr(value, field.name) for field in fields(value)]
        return f"{type(value).__qualname__}{_describe_argument(parts)}"
    if isinstance(value, partial):
        return _describe_argument([value.func, value.args, value.keywords])
    if callable(value) and "<" not in getattr(value, "__qualname__", "<"):
        return f"{value.__module__}.{value.__qualname__}"
    raise TypeError(f"a rendering cannot depend on a {type(value).__qualname__}")


def _describe_table(table: pd.DataFrame) -> str:
    hasher = hashlib.sha256(repr(table.columns.to_list()).encode())
    for column in (table.index.to_series(), *(table[name] for name in table)):
        is_plain = isinstance(column.dtype, np.dtype) and column.dtype != object
        hasher.update(f"{column.dtype}".encode())
        hasher.update(column.to_numpy().tobytes() if is_plain else repr(column.to_list()).encode())
    return f"table {hasher.hexdigest()}"


def _describe_rows(rows: Dataset) -> str:
    """Return the facts that tell rows of one dataset from other rows of it."""
    hasher = hashlib.sha256(rows.entity_codes.tobytes())
    hasher.update(np.ascontiguousarray(rows.time.to_numpy()).tobytes())
    return f"rows {len(rows)} {rows.entities} {hasher.hexdigest()}"


# ---- figures --------------------------------------------------------------------------------------------------------


def _restore_figure(parts: dict[str, Any]) -> "go.Figure":
    """Return the figure of its JSON; it was checked when it was drawn, and checking takes as long as drawing."""
    import plotly.graph_objects as go

    return go.Figure(_restore_arrays(parts), _validate=False)


def _restore_arrays(value: Any) -> Any:
    """Return JSON of Plotly with its numbers and times as arrays, as they were drawn."""
    if isinstance(value, dict):
        if value.keys() >= {"dtype", "bdata"}:
            return _restore_numbers(value)
        return {name: _restore_arrays(part) for name, part in value.items()}
    if isinstance(value, list) and value:
        if isinstance(value[0], dict | list):
            return [_restore_arrays(part) for part in value]
        if isinstance(value[0], str) and DRAWN_TIME.fullmatch(value[0]):
            return np.array(value, dtype="datetime64[ns]")
    return value


def _restore_numbers(encoded: dict[str, Any]) -> Any:
    numbers = np.frombuffer(binascii.a2b_base64(encoded["bdata"]), dtype=encoded["dtype"])
    shape = encoded.get("shape")
    return numbers.reshape([int(length) for length in str(shape).split(",")]) if shape else numbers
