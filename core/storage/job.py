"""Records of the job store: jobs and workers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["waiting", "running", "completed", "failed", "cancelled"]
Signal = Literal["continue", "cancel", "lost"]
"""Answer to a heartbeat: continue, stop because a user cancelled, or stop because another worker has the job."""
Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Job:
    """A task or a query with arguments, which a worker turns into a run or an answer.

    Times are seconds since 1970 by the clock of the database.

    id                 unique per submission; also a tag of the resulting run
    task, arguments    name of the task and its arguments as plain JSON
    user, application  the submitting user and page
    claims             number of claims by workers; the holder of the job has the latest number
    attempt            1, plus 1 for every worker that died while it held the job
    lease_until        end of the lease of `worker`, which extends it while it lives
    share, stage       completed share (0–1) and current stage
    curves             name → [(step, value), …], while the job is running
    run_id             the resulting run, once the job is completed; of a query, the key of its answer or what it stored
    error              the error of a failed job, in the format of `core.jobs.job_error`
    read_at            time at which this record was read
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
        """Hash of user, task and arguments: equal for equal submissions. It names the folder of checkpoints."""
        return compute_job_key(self.user, self.task, self.arguments)

    def to_row(self) -> dict[str, Any]:
        """Return the job as a row of the job table."""
        row = asdict(self) | {"key": self.key}
        del row["read_at"]
        return row

    @property
    def is_finished(self) -> bool:
        """True for a job that is completed, failed or cancelled."""
        return self.ended is not None

    @property
    def is_stale(self) -> bool:
        """True for a running job whose lease has expired."""
        return self.status == "running" and self.lease_until < self.read_at


@dataclass(frozen=True)
class Queue:
    """Jobs among which users are served in turn; one queue does not wait for another.

    name       name under which the turns of the users are stored
    tasks      names of tasks and queries
    is_others  True for the jobs of all other tasks and queries
    """

    name: str
    tasks: frozenset[str] = frozenset()
    is_others: bool = False

    def accepts(self, task: str) -> bool:
        """Tell whether a job of this task or query belongs to the queue."""
        return (task in self.tasks) != self.is_others


ALL_JOBS = Queue("all", is_others=True)


@dataclass(frozen=True)
class QueuePlace:
    """Place of a waiting job in its queue, as it is now: later jobs of people who waited longer may go first.

    number  1 for the next job
    others  number of jobs of other users that go first
    """

    number: int
    others: int


@dataclass(frozen=True)
class WorkerHeartbeat:
    """A living worker; `embedded` is True if an app started it."""

    name: str
    host: str
    pid: int
    embedded: bool


def find_place(job: Job, order: Sequence[Job]) -> QueuePlace | None:
    """Return the place of `job` among the waiting jobs in their order; None for one that does not wait any more."""
    ids = [waiting.id for waiting in order]
    if job.id not in ids:
        return None
    index = ids.index(job.id)
    return QueuePlace(index + 1, sum(waiting.user != job.user for waiting in order[:index]))


def compute_job_key(user: str, task: str, arguments: dict[str, Any]) -> str:
    """Return a hash of user, task and arguments as 24 hexadecimal digits."""
    payload = json.dumps([user, task, arguments], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:24]
