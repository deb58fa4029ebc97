"""Incidents: what went wrong with one entity during one stretch of time, and what persons did about it."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.messages import Message
from core.watches.watch import Severity

IncidentKind = Literal["anomaly", "lasting change", "no data"]
IncidentState = Literal["open", "acknowledged", "resolved"]
Verdict = Literal["true_alarm", "false_alarm", "unsure"]
ChangeKind = Literal["opened", "grown", "worse", "ended", "resolved", "reopened"]
MAX_COMMENT_CHARS, MAX_ENTITY_CHARS = 2000, 1000
ID_PATTERN = r"^[0-9a-f]{32}$"


class Incident(BaseModel):
    """Alarms of one entity that touch in time.

    entity       "" for the whole watch, of the kind "no data"
    start, end   instants of the first and the last alarm; equal for one row
    peak_at, peak  instant and score of the worst row
    severity     largest severity of its rows, 0–3
    rows         number of its alarms, of the kind "no data" of failed ticks; 0 for one that was withdrawn, because
                 corrected values are normal
    rows_above, rows_below  how many of them were measured above and below what was expected
    column, measured, expected, low, high, causes  of the worst row, see `Judgement`
    unit         unit of the values; "" if unknown
    zone         time zone of the clock of the data; "" where it is unknown, and the instants are those of this clock
    known_events  known events during the incident: stored as `Message.dump` writes them, told to programs in English
    merged_into  id of the older incident that took this one in; "" for none
    is_lasting_from  instant from which the level has changed; None for other kinds
    ended_at     time at which its entity was seen to be normal again; None while it goes on
    resolved_by  user who resolved it; "" for nobody
    reopenings   how many times it was opened again; what follows is announced afresh
    assignee     user who looks after it
    muted_until  it announces nothing until then
    verdict      verdict of the person who resolved it; None without one
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: uuid4().hex, pattern=ID_PATTERN)
    watch: str
    entity: Annotated[str, Field(max_length=MAX_ENTITY_CHARS)]
    kind: IncidentKind = "anomaly"
    state: IncidentState = "open"
    start: AwareDatetime
    end: AwareDatetime
    peak_at: AwareDatetime
    peak: float = 0.0
    severity: Severity = 0
    rows: Annotated[int, Field(ge=0)] = 1
    rows_above: Annotated[int, Field(ge=0)] = 0
    rows_below: Annotated[int, Field(ge=0)] = 0
    column: str = ""
    measured: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    causes: tuple[str, ...] = ()
    unit: Annotated[str, Field(max_length=100)] = ""
    zone: Annotated[str, Field(max_length=100)] = "UTC"
    known_events: tuple[str, ...] = ()
    run: str = ""
    merged_into: str = ""
    is_lasting_from: AwareDatetime | None = None
    opened_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    changed_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    ended_at: AwareDatetime | None = None
    resolved_at: AwareDatetime | None = None
    resolved_by: str = ""
    reopenings: Annotated[int, Field(ge=0)] = 0
    acknowledged_by: str = ""
    assignee: str = ""
    muted_until: AwareDatetime | None = None
    verdict: Verdict | None = None
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""

    @property
    def is_open(self) -> bool:
        """True until a person, or the return of the data, has resolved it."""
        return self.state != "resolved"

    @property
    def event_messages(self) -> tuple[Message, ...]:
        """Known events during the incident, such as public holidays and strikes."""
        return tuple(map(Message.load, self.known_events))

    def spell_events_out(self) -> Self:
        """Return the incident with its known events in English, as other programs read it."""
        return self.model_copy(update={"known_events": tuple(map(str, self.event_messages))})

    @property
    def is_going_on(self) -> bool:
        """True until its entity is normal again, the data return, or a person has resolved it."""
        return self.is_open and self.ended_at is None

    @property
    def is_withdrawn(self) -> bool:
        """True where corrected values took all its alarms away."""
        return self.kind != "no data" and self.rows == 0 and not self.merged_into


class IncidentChange(BaseModel):
    """A change of an incident that may be announced."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ChangeKind
    incident: Incident
