"""Answers of the JSON door: watches with their last tick, and incidents. Their models are the published schema."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.storage.watches.ticks import TickRecord
from core.storage.watches.watch_store import WatchState
from core.watches.incident import Incident
from core.watches.watch import NAME_PATTERN
from core.workspace import Workspace

MAX_INCIDENTS, DEFAULT_INCIDENTS, MAX_OFFSET = 500, 100, 10_000


class _DoorModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IncidentQuery(_DoorModel):
    """Parameters of the address of the list of incidents."""

    open: bool | None = Field(None, description="true: open ones only; false: resolved ones only. Default: both.")
    watch: str = Field("", pattern=rf"{NAME_PATTERN}|^$", description="Name of a watch. Default: all watches.")
    since: AwareDatetime | None = Field(
        None, description="Only incidents whose last alarm is at this instant, such as 2026-01-31T13:00:00Z, or later."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_INCIDENTS)] = Field(
        DEFAULT_INCIDENTS, description="Largest number of incidents in the answer."
    )
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = Field(
        0, description="Number of incidents to leave out: `next_offset` of the answer before."
    )


class IncidentsAnswer(_DoorModel):
    """Incidents, the worst first: open ones, then by severity and peak."""

    incidents: tuple[Incident, ...]
    next_offset: int | None = Field(description="`offset` of the next part of the list; null at its end.")


class TickAnswer(_DoorModel):
    """One time that a watch was asked: how many rows came, and what they were."""

    id: str
    due: AwareDatetime
    started: AwareDatetime
    ended: AwareDatetime
    state: Literal["completed", "failed"]
    rows_new: int
    rows_corrected: int
    rows_known: int
    rows_late: int
    rows_left_out: int
    alarms: int
    incidents_opened: int
    problem: str = Field(description='Why it failed, or what was left out; "" without a problem.')
    drift: float | None = Field(description="Largest population stability index of a column; null if unknown.")
    drift_column: str
    model_run: str = Field(description="Id of the run whose model judged the rows.")


class WatchAnswer(_DoorModel):
    """A watch and its state. Its source is not told, because an address may hold a secret."""

    name: str
    task: str
    model: str
    schedule: str
    zone: str
    is_paused: bool
    is_running: bool
    failures: int = Field(description="Number of ticks in a row that failed.")
    next_tick: AwareDatetime | None
    last_row_at: AwareDatetime | None
    last_tick: TickAnswer | None


class WatchesAnswer(_DoorModel):
    """All watches, by name."""

    watches: tuple[WatchAnswer, ...]


class RefusalAnswer(_DoorModel):
    """Reason of a refusal."""

    error: str


def read_incidents(query: IncidentQuery, workspace: Workspace) -> IncidentsAnswer:
    """Return a part of the list of incidents. Raises NotFoundError for an unknown watch."""
    if query.watch:
        workspace.watches.watches.load_watch(query.watch)
    end = query.offset + query.limit
    incidents = workspace.watches.incidents.list_incidents(
        watch=query.watch, is_open=query.open, since=query.since, limit=end + 1
    )
    return IncidentsAnswer(
        incidents=tuple(incident.spell_events_out() for incident in incidents[query.offset : end]),
        next_offset=end if len(incidents) > end else None,
    )


def read_watches(workspace: Workspace) -> WatchesAnswer:
    """Return all watches with their last ticks."""
    return WatchesAnswer(watches=tuple(map(describe_watch, workspace.watches.watches.list_states())))


def describe_watch(state: WatchState) -> WatchAnswer:
    """Return what is told of a watch."""
    watch = state.watch
    return WatchAnswer(
        name=watch.name,
        task=watch.task,
        model=watch.model,
        schedule=watch.schedule,
        zone=watch.zone,
        is_paused=watch.is_paused,
        is_running=state.is_running,
        failures=state.failures,
        next_tick=state.next_tick,
        last_row_at=state.last_row_at,
        last_tick=None if state.last_tick is None else describe_tick(state.last_tick),
    )


def describe_tick(tick: TickRecord) -> TickAnswer:
    """Return what is told of a tick; its problem in English."""
    values = {name: getattr(tick, name) for name in TickAnswer.model_fields}
    return TickAnswer(**values | {"problem": str(tick.problem or "")})
