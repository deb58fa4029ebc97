"""Results of tasks: frozen dataclasses stored as Parquet files (data frames) and one JSON file (other fields)."""

import json
import typing
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import pandas as pd

from core.errors import NotFoundError, OptionError
from core.evaluation.threshold_views import ScoredRows
from core.messages import N_
from core.spec.codec import CLASS_KEY, decode, encode
from core.spec.spec import Spec
from core.spec.task import Task, load_entry_point

RESULT_FILE = "result.json"
RESULT_FOLDER = "result"  # below the files of a run


@dataclass(frozen=True)
class Result:
    """Result of a task for `spec`. Subclasses narrow the type of `spec` and add their tables and values."""

    spec: Spec

    def metrics(self) -> dict[str, float]:
        """Return name → value of the metrics that the run records."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """Return the result as a table for export."""
        raise NotImplementedError

    def select(self, dataset: Any) -> Any:
        """Return the rows of `dataset` that the spec of the result selects."""
        spec: Any = self.spec
        return spec.select(dataset)

    @property
    def made_dataset(self) -> str:
        """Digest of the dataset that the run made, with which the reader goes on; "" where it made none."""
        return ""

    @property
    def is_stored(self) -> bool:
        """True for a result as its run holds it; False for a new one, and for a part that `replace` made of one."""
        return "_is_stored" in vars(self)

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tables = {name: value for name, value in values.items() if isinstance(value, pd.DataFrame)}
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)
        other_values = {name: encode(value) for name, value in values.items() if name not in tables}
        (folder / RESULT_FILE).write_text(json.dumps(other_values, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the result that `save` wrote. Raises NotFoundError where `folder` holds no such result.

        A field that an earlier version did not have gets its default.
        """
        field_types = typing.get_type_hints(cls)
        try:
            values_by_field = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
            values: dict[str, Any] = {
                field.name: pd.read_parquet(folder / f"{field.name}.parquet")
                if field_types[field.name] is pd.DataFrame
                else decode(field_types[field.name], values_by_field[field.name])
                for field in fields(cls)
                if _is_required(field) or field.name in values_by_field or (folder / f"{field.name}.parquet").exists()
            }
            return cls(**values)
        except (OSError, KeyError, TypeError, ValueError, AttributeError, OptionError) as error:
            raise NotFoundError(N_("This run has no result to show.")) from error


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


R = TypeVar("R", bound=Result)


def load_mode_result(task: Task, folder: Path) -> Result:
    """Read the result of a run of `task`; its spec tells the mode. Raises NotFoundError where there is no result."""
    try:
        spec_name = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))["spec"][CLASS_KEY]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise NotFoundError(N_("This run has no result to show.")) from error
    return load_stored_result(load_entry_point(task.get_result_entry(spec_name)), folder)


def load_stored_result(kind: type[R], folder: Path) -> R:
    """Read a result of class `kind` as `kind.load` does, and mark it as that of a run, see `Result.is_stored`."""
    result = kind.load(folder)
    vars(result)["_is_stored"] = True
    return result


class AlarmResult(Protocol):
    """A result with alarms and a threshold that users can move: any result of a task with a `ThresholdSpec`."""

    @property
    def spec(self) -> Any:
        """Parameters of the task."""

    @property
    def threshold(self) -> float:
        """Score above which a row is an alarm."""

    @property
    def rows(self) -> pd.DataFrame:
        """One line per row: entity, time and score. An alarm with an end covers all rows from its time to its end."""

    def list_alarms(self) -> pd.DataFrame:
        """Return the alarms to review: entity, time, end (only where alarms span several rows) and score."""
        ...

    def list_scored_rows(self) -> ScoredRows:
        """Return the rows that are compared with the threshold, with labels where the result has some."""
        ...
