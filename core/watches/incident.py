"""Incidents: what went wrong with one entity during one stretch of time, and what persons did about it."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.watches.watch import Severity

IncidentKind = Literal["anomaly", "lasting change", "no data"]
IncidentState = Literal["open", "acknowledged", "resolved"]
Verdict = Literal["true_alarm", "false_alarm", "unsure"]
ChangeKind = Literal["opened", "grown", "worse", "ended", "resolved", "reopened"]
MAX_COMMENT_CHARS = 2000
ID_PATTERN = r"^[0-9a-f]{32}$"


class Incident(BaseModel):
    """Alarms of one entity that touch in time.

    entity       "" for the whole watch, of the kind "no data"
    start, end   instants of the first and the last alarm; equal for one row
    peak_at, peak  instant and score of the worst row
    severity     largest severity of its rows, 0–3
    rows         number of its alarms
    column, measured, expected, low, high, causes  of the worst row, see `Judgement`
    known_events  known events during the incident, as text
    merged_into  id of the older incident that took this one in; "" for none
    is_lasting_from  instant from which the level has changed; None for other kinds
    assignee     user who looks after it
    muted_until  it announces nothing until then
    verdict      verdict of the person who resolved it; None without one
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: uuid4().hex, pattern=ID_PATTERN)
    watch: str
    entity: Annotated[str, Field(max_length=1000)]
    kind: IncidentKind = "anomaly"
    state: IncidentState = "open"
    start: AwareDatetime
    end: AwareDatetime
    peak_at: AwareDatetime
    peak: float = 0.0
    severity: Severity = 0
    rows: Annotated[int, Field(ge=0)] = 1
    column: str = ""
    measured: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    causes: tuple[str, ...] = ()
    known_events: tuple[str, ...] = ()
    run: str = ""
    merged_into: str = ""
    is_lasting_from: AwareDatetime | None = None
    opened_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    changed_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    resolved_at: AwareDatetime | None = None
    acknowledged_by: str = ""
    assignee: str = ""
    muted_until: AwareDatetime | None = None
    verdict: Verdict | None = None
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""

    @property
    def is_open(self) -> bool:
        """True until a person, or the return of the data, has resolved it."""
        return self.state != "resolved"


class IncidentChange(BaseModel):
    """A change of an incident that may be announced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ChangeKind
    incident: Incident
