"""Results of tasks: frozen dataclasses whose data frames are Parquet files and whose other fields are one JSON file."""

import json
import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import NotFoundError, OptionError
from core.messages import N_
from core.spec.codec import decode, encode
from core.spec.spec import Spec

RESULT_FILE = "result.json"
RESULT_FOLDER = "result"  # below the files of a run


@dataclass(frozen=True)
class Result:
    """The answer to `spec`. Subclasses narrow its type and add their tables and figures."""

    spec: Spec

    def metrics(self) -> dict[str, float]:
        """Return what the run logs."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """Return the answer as a table to export."""
        raise NotImplementedError

    def select(self, dataset: Any) -> Any:
        """Return the rows of `dataset` that the result is about: those that its spec asks about."""
        spec: Any = self.spec
        return spec.select(dataset)

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tables = {name: value for name, value in values.items() if isinstance(value, pd.DataFrame)}
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)
        rest = {name: encode(value) for name, value in values.items() if name not in tables}
        (folder / RESULT_FILE).write_text(json.dumps(rest, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises NotFoundError where `folder` holds no such result."""
        kinds = typing.get_type_hints(cls)
        try:
            rest = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
            values: dict[str, Any] = {
                field.name: pd.read_parquet(folder / f"{field.name}.parquet")
                if kinds[field.name] is pd.DataFrame
                else decode(kinds[field.name], rest[field.name])
                for field in fields(cls)
            }
            return cls(**values)
        except (OSError, KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
            raise NotFoundError(N_("This run holds no result that could be shown.")) from error


class AlarmResult(Protocol):
    """A result whose alarms people judge: that of a task with a `ThresholdSpec` is one."""

    @property
    def spec(self) -> Any:
        """What was asked."""

    @property
    def threshold(self) -> float:
        """What lies above it is an alarm."""

    @property
    def rows(self) -> pd.DataFrame:
        """Entity, time and score, a line per row; an alarm from a time to an end spans those in between."""

    def alarm_rows(self) -> pd.DataFrame:
        """Return what can be judged: entity, time, end (only where alarms span several rows) and score."""
        ...

    def judged_scores(self) -> NDArray[np.float64]:
        """Return the scores that the threshold divides, (rows,)."""
        ...
