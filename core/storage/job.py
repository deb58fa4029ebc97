"""A job and a worker as the job store knows them."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["waiting", "running", "completed", "failed", "cancelled"]
Signal = Literal["continue", "cancel", "lost"]
"""What the holder of a job learns: go on, somebody asked to cancel it, or it is another worker's now."""
Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Job:
    """One question that a worker answers with a run. Times are seconds since 1970 by the clock of the database.

    id                 names this submission of the question for ever; a tag of the run that answers it
    task, arguments    what is asked; plain JSON
    user, application  who asks, and through which page
    claims             how often a worker took it; whoever holds it has the latest number
    attempt            1, and one more for every worker that died over it
    lease_until        until then the job belongs to its `worker`, which extends the lease as long as it lives
    share, stage       how much is done, 0 to 1, and what goes on
    curves             name → [(step, value), …], while it goes on
    run_id             the run that answers it, once it is completed
    error              why it failed, as `core.jobs.job_error` has it
    read_at            when the rest of this was read
    """

    id: str
    task: str
    arguments: dict[str, Any]
    user: str
    application: str
    submitted: float = 0.0
    status: Status = "waiting"
    claims: int = 0
    attempt: int = 1
    worker: str = ""
    lease_until: float = 0.0
    cancel_requested: bool = False
    share: float = 0.0
    stage: str = ""
    curves: Curves = field(default_factory=dict)
    run_id: str = ""
    error: dict[str, Any] | None = None
    ended: float | None = None
    read_at: float = 0.0

    @property
    def key(self) -> str:
        """Who asks what: the same for every submission of one question. It names the folder of checkpoints."""
        return question_key(self.user, self.task, self.arguments)

    def to_row(self) -> dict[str, Any]:
        """Return what the job table holds of it."""
        row = asdict(self) | {"key": self.key}
        del row["read_at"]
        return row

    @property
    def is_finished(self) -> bool:
        """Has it completed, failed, or been cancelled?"""
        return self.ended is not None

    @property
    def is_stale(self) -> bool:
        """Has its worker fallen silent?"""
        return self.status == "running" and self.lease_until < self.read_at


@dataclass(frozen=True)
class WorkerHeartbeat:
    """A worker that lives; `embedded` where an app started it."""

    name: str
    host: str
    pid: int
    embedded: bool


def question_key(user: str, task: str, arguments: dict[str, Any]) -> str:
    """Return 24 hexadecimal digits that name this question of this user."""
    question = json.dumps([user, task, arguments], sort_keys=True)
    return hashlib.sha256(question.encode()).hexdigest()[:24]
