"""Run record: plain data that are stored locally first and delivered to MLflow later."""

import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["interrupted", "completed", "failed"]


def now_ms() -> int:
    """Return the milliseconds since 1970, the time format of MLflow."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class InputData:
    """Data that a run read: the dataset, or a file of covariates.

    context  role of the data: "data", "covariates"
    """

    name: str
    digest: str
    context: str
    columns: tuple[str, ...] = ()


@dataclass
class Record:
    """Record of a run. The initial status is `interrupted`, which remains if the process is killed.

    key         permanent id of the run; a tag of the MLflow run, which prevents duplicates
    run_id      id of the MLflow run; "" before it exists
    started_ms  start time in milliseconds since 1970
    ended_ms    end time in milliseconds since 1970; 0 while the run lasts
    """

    experiment: str
    name: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    run_id: str = ""
    status: Status = "interrupted"
    started_ms: int = field(default_factory=now_ms)
    ended_ms: int = 0
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    inputs: list[InputData] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Id of the run in URLs and messages: the id of MLflow, or the key before delivery."""
        return self.run_id or self.key

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read the JSON text of `to_json`."""
        values = json.loads(text)
        inputs = [InputData(**{**item, "columns": tuple(item["columns"])}) for item in values.pop("inputs", [])]
        return cls(**values, inputs=inputs)
