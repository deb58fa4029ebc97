"""Maintenance windows: times at which alarms are expected, so that nobody is told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Self
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from core.errors import OptionError
from core.messages import N_
from core.watches.incident import ID_PATTERN
from core.watches.schedule import Schedule, parse_schedule

MAX_MINUTES = 7 * 24 * 60


class MaintenanceWindow(BaseModel):
    """A time of planned work: once from `start` up to `end`, or for `minutes` after every instant of `cron`.

    watch    name of the watch; "" for all
    entity   "" for all entities
    start, end  limits; a recurring window may have them too
    cron     five fields, see `parse_schedule`; "" for a window that does not recur
    zone     time zone of `cron`
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    id: str = Field(default_factory=lambda: uuid4().hex, pattern=ID_PATTERN)
    watch: Annotated[str, Field(max_length=60)] = ""
    entity: Annotated[str, Field(max_length=1000)] = ""
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    cron: Annotated[str, Field(max_length=200)] = ""
    minutes: Annotated[int, Field(ge=0, le=MAX_MINUTES)] = 0
    zone: Annotated[str, Field(max_length=100)] = "UTC"
    reason: Annotated[str, Field(max_length=500)] = ""
    author: Annotated[str, Field(max_length=1000)] = ""
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def check_times(self) -> Self:
        """Raise OptionError for a window without times, and for an end that is not after its start."""
        if self.cron:
            self.build_schedule()
            if not self.minutes:
                raise OptionError(N_("A maintenance window that recurs needs its length in minutes."))
        elif self.start is None or self.end is None:
            raise OptionError(N_("A maintenance window needs a start and an end, or a cron line and its length."))
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise OptionError(
                N_("The maintenance window ends at {end}, before it starts at {start}."), start=self.start, end=self.end
            )
        return self

    def build_schedule(self) -> Schedule:
        """Return the instants at which a recurring window begins. Raises OptionError for a line not accepted."""
        return parse_schedule(self.cron, self.zone)

    def covers(self, watch: str, entity: str, instant: datetime) -> bool:
        """Tell whether an instant of an entity of a watch lies in the window; its end does not."""
        if self.watch not in ("", watch) or self.entity not in ("", entity):
            return False
        if (self.start is not None and instant < self.start) or (self.end is not None and instant >= self.end):
            return False
        if not self.cron:
            return True
        latest = _find_latest_begin(self.cron, self.zone, instant)
        return latest is not None and instant - latest < timedelta(minutes=self.minutes)


@lru_cache(maxsize=10_000)
def _find_latest_begin(cron: str, zone: str, instant: datetime) -> datetime | None:
    """Return the last begin of a recurring window; kept, because a thousand incidents may begin at once."""
    return parse_schedule(cron, zone).find_latest_tick(instant)


def is_in_maintenance(windows: Iterable[MaintenanceWindow], watch: str, entity: str, instant: datetime) -> bool:
    """Tell whether any window covers an instant of an entity of a watch."""
    return any(window.covers(watch, entity, instant) for window in windows)
