"""Charts and tables of a stored result, made once per run, arguments and language.

Results are frozen, and figures leave the colours of the theme to the browser. Therefore a rendering depends on its run,
on what was chosen, on the language, and on the version of the code.
"""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import date
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from core.data.dataset import Dataset
from core.runs.result import Result
from core.storage.renderings import RenderingStore

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from core.figures.chart import Chart


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn when somebody needs it: `draw(*arguments)`.

    `subject` is the id of the run whose result is drawn, or the digest of a dataset. `arguments` may hold the stored
    result of the run and rows of its dataset, small tables, functions that translate, and plain values.
    """

    subject: str
    draw: "Callable[..., go.Figure]"
    arguments: tuple[Any, ...] = ()

    def make_figure(self) -> "go.Figure":
        """Return the figure, just drawn."""
        return self.draw(*self.arguments)


def finish_once(
    store: RenderingStore, language: str, drawing: Drawing, finish: "Callable[..., Chart]", arguments: tuple[Any, ...]
) -> "Chart":
    """Return the chart `finish(figure, *arguments)` of a drawing, made once for a language.

    Raises TypeError for an argument, also of the drawing, whose content could not be told from another one, such as a
    part of a result.
    """
    from core.figures.chart import Chart

    def make() -> bytes:
        return json.dumps(asdict(finish(drawing.make_figure(), *arguments)), separators=(",", ":")).encode()

    key = _build_key(language, finish, (drawing.draw, drawing.arguments, arguments))
    return Chart(**json.loads(store.get_or_make(drawing.subject, key, make)))


def tabulate_once(
    store: RenderingStore, subject: str, language: str, build: Callable[..., pd.DataFrame], arguments: tuple[Any, ...]
) -> pd.DataFrame:
    """Return the table `build(*arguments)` of a run or dataset, built once for a language, as `finish_once` does."""

    def make() -> bytes:
        buffer = io.BytesIO()
        build(*arguments).to_parquet(buffer, compression=None)
        return buffer.getvalue()

    body = store.get_or_make(subject, _build_key(language, build, arguments), make)
    return pd.read_parquet(io.BytesIO(body))


# ---- keys -----------------------------------------------------------------------------------------------------------


def _build_key(language: str, make: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    return "\n".join([language, _describe_argument(make), *map(_describe_argument, arguments)])


def _describe_argument(value: Any) -> str:
    """Return a text that differs between arguments of one run that differ. Raises TypeError for another kind."""
    if value is None or isinstance(value, str | Number | date | pd.Timedelta):
        return repr(value)
    if isinstance(value, Result) and value.is_stored:
        return type(value).__qualname__  # the run tells its content
    if isinstance(value, Dataset):
        return _describe_rows(value)
    if isinstance(value, pd.DataFrame):
        return _describe_table(value)
    if isinstance(value, BaseModel):
        return f"{type(value).__qualname__}{value.model_dump_json()}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}[{', '.join(map(_describe_argument, value))}]"
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
