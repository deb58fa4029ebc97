"""Schedules: when a watch is asked, as a length of time or a cron line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from core.data.time_zones import check_zone
from core.errors import OptionError
from core.messages import N_, Message

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MAX_INTERVAL = timedelta(days=366)
UNITS = {
    **dict.fromkeys(("min", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours", "heure", "heures"), HOUR),
    **dict.fromkeys(("d", "day", "days", "j", "jour", "jours"), DAY),
    **dict.fromkeys(("w", "week", "weeks", "semaine", "semaines"), 7 * DAY),
}
UNIT_TEXTS = (
    (DAY, N_("every day", "every {count} days")),
    (HOUR, N_("every hour", "every {count} hours")),
    (MINUTE, N_("every minute", "every {count} minutes")),
)
INTERVAL_FORM = re.compile(r"(?:(?:every|tou(?:te)?s les)\s+)?(?:(\d{1,6})\s*)?([a-z]+)")
CRON_FIELDS = 5
EXAMPLES = "15 minutes, 1 hour, 2 days, 30 6 * * MON-FRI"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)  # a tick of a cron line is looked for from here, to check the line
LOOK_BACKS = (timedelta(minutes=10), DAY, 40 * DAY, 9 * 366 * DAY)
"""How far the latest tick of a cron line is looked for; the last is longer than between two 29 February."""
COMPARED_TICKS = 300  # of a cron line, to find its shortest interval


@dataclass(frozen=True)
class Schedule:
    """Instants at which something is asked, on the clock of `zone`.

    interval  time between two ticks; None for a cron line
    cron      five fields: minute, hour, day of the month, month, day of the week; "" for an interval

    An interval that divides a day counts from midnight, whole days from midnight of the zone, a week from Monday. It is
    the time that passes: a day of 23 hours has 23 hourly ticks. A cron line follows the clock as in Debian: a fixed
    time in the hour that the clock skips comes right after it, one in the repeated hour comes once.
    """

    zone: str
    interval: timedelta | None = None
    cron: str = ""

    @property
    def shortest_interval(self) -> timedelta:
        """Shortest time between two ticks, of a cron line between the first hundreds of one year."""
        if self.interval is not None:
            return self.interval
        ticks = list(islice(CronSim(self.cron, REFERENCE), COMPARED_TICKS))
        return min((after - before for before, after in pairwise(ticks)), default=MAX_INTERVAL)

    def find_next_tick(self, after: datetime) -> datetime:
        """Return the first tick after an instant, in UTC."""
        if self.interval is None:
            return next(self._iter_cron_ticks(after))
        if not self._counts_from_midnight:
            return EPOCH + ((after - EPOCH) // self.interval + 1) * self.interval
        day = after.astimezone(ZoneInfo(self.zone)).date()
        if self.interval < DAY:
            midnight = self._find_midnight(day)
            following = midnight + ((after - midnight) // self.interval + 1) * self.interval
            return min(following, self._find_midnight(day + DAY))
        return self._find_midnight(day + self.interval - self._measure_days(day))

    def find_latest_tick(self, now: datetime) -> datetime | None:
        """Return the last tick up to `now`, in UTC; None for a cron line without one in the last nine years."""
        if self.interval is None:
            return self._find_latest_cron_tick(now)
        if not self._counts_from_midnight:
            return EPOCH + ((now - EPOCH) // self.interval) * self.interval
        day = now.astimezone(ZoneInfo(self.zone)).date()
        if self.interval < DAY:
            midnight = self._find_midnight(day)
            return midnight + ((now - midnight) // self.interval) * self.interval
        return self._find_midnight(day - self._measure_days(day))

    def find_due_tick(self, last: datetime, now: datetime) -> datetime | None:
        """Return the tick to make up: the latest one after `last` up to `now`; None without one.

        However many ticks an outage took, one is made up.
        """
        latest = self.find_latest_tick(now)
        return latest if latest is not None and latest > last else None

    def describe(self) -> Message:
        """Return the schedule in words."""
        if self.interval is None:
            return Message(N_("at the times “{cron}” ({zone})"), {"cron": self.cron, "zone": self.zone})
        unit, text = next((unit, text) for unit, text in UNIT_TEXTS if not self.interval % unit)
        return Message(text, {"count": self.interval // unit})

    @property
    def _counts_from_midnight(self) -> bool:
        assert self.interval is not None
        return not DAY % self.interval or not self.interval % DAY

    def _measure_days(self, day: date) -> timedelta:
        """Return the days since the last day that has a tick; the first day of all is a Monday."""
        assert self.interval is not None
        return timedelta(days=(day.toordinal() - 1) % self.interval.days)

    def _find_midnight(self, day: date) -> datetime:
        """Return the first instant of a day; where the clock skips midnight, that of the change."""
        return datetime.combine(day, time(), tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def _iter_cron_ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks after an instant. In a repeated hour, cronsim starts with those of the first pass."""
        ticks = CronSim(self.cron, after.astimezone(ZoneInfo(self.zone)))
        return (tick.astimezone(UTC) for tick in ticks if tick.astimezone(UTC) > after)

    def _find_latest_cron_tick(self, now: datetime) -> datetime | None:
        for length in LOOK_BACKS:
            latest = None
            for tick in self._iter_cron_ticks(now - length):
                if tick > now:
                    break
                latest = tick
            if latest is not None:
                return latest
        return None


@lru_cache(maxsize=1000)
def parse_schedule(text: str, zone: str = "UTC") -> Schedule:
    """Return the schedule of a text: a length of time in English or French, or a cron line of five fields.

    Raises OptionError, which names the accepted forms, for any other text, for less than a minute or more than a year,
    for a cron line that never happens, and for an unknown time zone.

    Example:
        >>> parse_schedule("every 15 minutes").find_next_tick(datetime(2024, 5, 1, 10, 7, tzinfo=UTC)).isoformat()
        '2024-05-01T10:15:00+00:00'
        >>> str(parse_schedule("30 6 * * mon-fri", "Europe/Paris").describe())
        'at the times “30 6 * * MON-FRI” (Europe/Paris)'
        >>> parse_schedule("soon")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        core.errors.OptionError: schedule = 'soon' is not accepted. Accepted: 15 minutes, 1 hour, 2 days, 30 6 * * ...
    """
    check_zone(zone)
    match = INTERVAL_FORM.fullmatch(" ".join(text.split()).casefold())
    if match and match[2] in UNITS:
        interval = int(match[1] or 1) * UNITS[match[2]]
        if not MINUTE <= interval <= MAX_INTERVAL:
            raise OptionError(
                N_("schedule = {value!r} is not accepted. Accepted: 1 minute to 366 days."), value=text[:200]
            )
        return Schedule(zone, interval)
    fields = text.upper().split()
    if len(fields) == CRON_FIELDS and _happens(" ".join(fields)):
        return Schedule(zone, cron=" ".join(fields))
    raise OptionError(
        N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
        name="schedule",
        value=text[:200],
        accepted=EXAMPLES,
    )


def _happens(cron: str) -> bool:
    """Tell whether a cron line can be read, and has a tick."""
    try:
        tick = next(CronSim(cron, REFERENCE), None)
    except (CronSimError, ValueError):
        return False
    return tick is not None and tick - REFERENCE < LOOK_BACKS[-1]
