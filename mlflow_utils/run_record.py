"""A run as plain data: what is written down here first, and delivered to MLflow afterwards."""

import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["interrupted", "completed", "failed"]


def now_ms() -> int:
    """Milliseconds since 1970, MLflow's clock."""
    return int(time.time() * 1000)


@dataclass
class Record:
    """One run. `status` begins as interrupted: what is killed has never said otherwise.

    key       names the run for ever, wherever it is; a tag of the MLflow run, so that none is ever made twice
    run_id    the MLflow run, once there is one
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

    @property
    def id(self) -> str:
        """What addresses and messages call the run: MLflow's id, or the key while MLflow has not heard of it."""
        return self.run_id or self.key

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
