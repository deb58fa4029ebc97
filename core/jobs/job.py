"""A job as it stands on record: what is asked, by whom, how far it has come, how it ended."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import StringConstraints, TypeAdapter

from core import errors
from core.errors import VigieError
from core.messages import N_

T = TypeVar("T")
Status = Literal["waiting", "running", "completed", "failed", "cancelled"]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]  # it names a folder

SILENT = 10.0  # seconds without a heartbeat after which a worker is taken for dead
ATTEMPTS = 3


class JobFailedError(Exception):
    """What nobody foresaw, raised again where the job was asked for; the worker's log has the rest under `number`."""


@dataclass(frozen=True)
class Job:
    """One question that a worker answers with a run. Times are seconds since 1970.

    key        the question and who asks it; the folder of its checkpoints is named after it
    verb       the module of core.analyses whose `carry_out` does it
    arguments  plain JSON, for `carry_out`
    share      how much is done, 0 to 1; `doing` says what goes on
    curves     name → [[step, value], …], while it goes on
    error      what was raised, as `described` has it
    stopping   has somebody asked to cancel it?
    heartbeat  when its worker last gave a sign; when it was offered, while it waits
    attempt    1, and one more for every worker that died over it
    offered    how often it was put into the queue
    """

    key: Key
    verb: str
    arguments: dict[str, Any]
    user: str
    application: str
    submitted: float
    status: Status = "waiting"
    share: float = 0.0
    doing: str = ""
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    run_id: str = ""
    error: dict[str, Any] | None = None
    stopping: bool = False
    heartbeat: float = 0.0
    ended: float | None = None
    attempt: int = 1
    offered: int = 1

    @property
    def over(self) -> bool:
        return self.ended is not None

    @property
    def silent(self) -> bool:
        """Has nothing been heard of it for so long that its worker, or its message, must be gone?"""
        return not self.over and time.time() - self.heartbeat > SILENT

    @property
    def ticket(self) -> str:
        """Names this offer of the job: only one worker gets to take it."""
        return f"{self.submitted}-{self.offered}"

    @property
    def record(self) -> str:
        """The name of its note."""
        return f"job/{self.key}"

    @property
    def claim(self) -> str:
        """The name of the note that whoever takes this offer writes."""
        return f"claim/{self.key}/{self.ticket}"

    @property
    def stop(self) -> str:
        """The name of the note that asks to cancel it."""
        return f"stop/{self.key}"

    def told(self, share: float, doing: str, curves: dict[str, list[tuple[float, float]]]) -> "Job":
        """With what its worker says now."""
        return replace(self, share=share, doing=doing, curves=curves, heartbeat=time.time())

    def begun(self) -> "Job":
        return replace(self, status="running").told(0.0, "", {})

    def offered_again(self, *, died: bool) -> "Job":
        """Back in the queue, after its worker was told to end, or after it `died`."""
        again = replace(self, status="waiting", offered=self.offered + 1, attempt=self.attempt + died)
        return again.told(0.0, "", {})

    def finished(self, status: Status, *, run_id: str = "", error: dict[str, Any] | None = None) -> "Job":
        return replace(self, status=status, run_id=run_id, error=error, curves={}, ended=time.time())

    def raise_error(self) -> None:
        """Raise what was raised in the worker, if anything was."""
        if self.error is not None:
            raise restored(self.error)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Living:
    """A worker that gives signs of life; `beside` an app that started it."""

    name: str
    pid: int
    folder: str
    beside: bool
    heartbeat: float

    @property
    def silent(self) -> bool:
        return time.time() - self.heartbeat > SILENT

    @property
    def record(self) -> str:
        """The name of its note."""
        return f"worker/{self.name}"


JOB, LIVING = TypeAdapter(Job), TypeAdapter(Living)


def read_note(kind: TypeAdapter[T], note: Mapping[str, Any] | None) -> T | None:
    """A JOB or LIVING from its note; None without one, and for one that somebody else wrote."""
    try:
        return None if note is None else kind.validate_python(dict(note))
    except ValueError:
        return None


# ---- errors on their way to the page --------------------------------------------------------------------------------


def described(error: BaseException, number: str) -> dict[str, Any]:
    """An error as JSON: a sentence with its values where it is one of Vigie's, else the log's `number` for it."""
    if isinstance(error, VigieError):
        values = {name: _plain(value) for name, value in error.text.values.items()}
        return {"kind": type(error).__name__, "template": error.text.template, "values": values}
    return {"kind": "", "number": number, "name": type(error).__name__}


def restored(found: Mapping[str, Any]) -> Exception:
    """The error again, of the same class and with the same sentence."""
    if not found.get("kind"):
        return JobFailedError(f"{found.get('name')} in a job; the worker's log has it as {found.get('number')}")
    kind = getattr(errors, str(found["kind"]), VigieError)
    known = isinstance(kind, type) and issubclass(kind, VigieError)
    return (kind if known else VigieError)(
        found["template"], **{name: _value(each) for name, each in found["values"].items()}
    )


def worn_out(job: Job) -> dict[str, Any]:
    """The error of a job whose workers died every time."""
    return described(
        VigieError(
            N_(
                "This work was begun {count} times, and each time its process was killed, most likely because "
                "memory ran out. Fewer rows or a smaller model may fit."
            ),
            count=job.attempt,
        ),
        "",
    )


def _plain(value: object) -> Any:
    """`value` as JSON; days and moments marked, because they are written differently in every language."""
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if hasattr(value, "item"):  # NumPy's numbers
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _value(found: Any) -> object:
    if isinstance(found, dict):
        kind, text = next(iter(found.items()))
        return datetime.fromisoformat(text) if kind == "moment" else date.fromisoformat(text)
    return found
