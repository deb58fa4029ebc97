"""Time zones: local clocks of instants, and the hours that a clock change repeats or skips.

A dataset keeps its timestamps on the local clock. In the hour that the autumn clock change repeats, `fold` is True for
the second pass, as in Python's datetime (PEP 495).
"""

from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import OptionError
from core.messages import N_

USUAL_ZONES = (
    *("Europe/Paris", "Europe/London", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "America/Halifax", "America/St_Johns", "America/Santiago", "Australia/Sydney"),
    *("Australia/Adelaide", "Pacific/Auckland", "Asia/Jerusalem", "America/Sao_Paulo"),
)
"""Zones with clock changes, the first of which is chosen among zones with the same clock."""

MAX_SAMPLE_TIMES = 2_000
HOUR = pd.Timedelta(hours=1)
MIN_REPEAT_SHARE = 0.5  # of the repeated keys, that lie in hours which the clock repeats

Fold = NDArray[np.bool_]


@dataclass(frozen=True)
class ClockChange:
    """Local times from `start` up to `end`, which the clock repeats (autumn) or skips (spring)."""

    start: pd.Timestamp
    end: pd.Timestamp
    is_repeated: bool


def check_zone(name: str) -> None:
    """Raise OptionError for a name that is no time zone.

    Example:
        >>> check_zone("Mars/Olympus")
        Traceback (most recent call last):
        core.errors.OptionError: zone = 'Mars/Olympus' is not accepted. Accepted: Europe/Paris, America/New_York, UTC.
    """
    if name not in available_timezones():
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="zone",
            value=name,
            accepted="Europe/Paris, America/New_York, UTC",
        )


def has_clock_changes(zone: str) -> bool:
    """Tell whether a zone has a name, such as Europe/Paris; UTC and fixed offsets never change."""
    return "/" in zone and zone[0].isalpha()


def to_local_times(instants: pd.DatetimeIndex, zone: str) -> tuple[pd.DatetimeIndex, Fold]:
    """Return UTC instants on the clock of `zone`, and True for the second pass of a repeated hour.

    Example:
        >>> instants = pd.to_datetime(["2024-10-27 00:30", "2024-10-27 01:30"])
        >>> times, fold = to_local_times(instants, "Europe/Paris")
        >>> times.strftime("%H:%M").tolist(), fold.tolist()
        (['02:30', '02:30'], [False, True])
    """
    local_times = instants.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return local_times, mark_second_pass(local_times, instants, zone)


def mark_second_pass(local_times: pd.DatetimeIndex, instants: pd.DatetimeIndex, zone: str) -> Fold:
    """Return True for local times that are the second pass of a repeated hour at these UTC instants."""
    return np.asarray(to_instants(local_times, np.zeros(len(local_times), dtype=bool), zone) != instants)


def to_instants(local_times: pd.DatetimeIndex, fold: Fold, zone: str) -> pd.DatetimeIndex:
    """Return the UTC instants of local times; a skipped time counts as the end of the skipped hour."""
    zoned = local_times.tz_localize(zone, ambiguous=~fold, nonexistent="shift_forward")
    return zoned.tz_convert("UTC").tz_localize(None)


def find_zone(local_times: pd.DatetimeIndex, instants: pd.DatetimeIndex) -> str:
    """Return the zone whose clock shows `local_times` at the UTC `instants`, or "" if there is none.

    Example:
        >>> local = pd.to_datetime(["2024-03-31 01:00", "2024-03-31 03:00"])
        >>> find_zone(local, pd.to_datetime(["2024-03-31 00:00", "2024-03-31 01:00"]))
        'Europe/Paris'
    """
    offsets = (local_times - instants).asi8
    order = np.argsort(instants.asi8, kind="stable")
    changes = np.flatnonzero(np.diff(offsets[order]))
    positions = np.unique(
        np.concatenate(
            [changes, changes + 1, np.linspace(0, len(order) - 1, min(len(order), MAX_SAMPLE_TIMES)).astype(np.intp)]
        )
    )
    sample = order[positions[:: max(1, len(positions) // MAX_SAMPLE_TIMES)]]
    others = sorted(zone for zone in available_timezones() if has_clock_changes(zone) and not zone.startswith("Etc/"))
    for zone in (*USUAL_ZONES, *others):
        if _shows(zone, local_times[sample], instants[sample]) and _shows(zone, local_times, instants):
            return zone
    return ""


def _shows(zone: str, local_times: pd.DatetimeIndex, instants: pd.DatetimeIndex) -> bool:
    return bool((instants.tz_localize("UTC").tz_convert(zone).tz_localize(None) == local_times).all())


@lru_cache(maxsize=64)
def list_clock_changes(zone: str, first_year: int, last_year: int) -> tuple[ClockChange, ...]:
    """Return the clock changes of a zone in the given years.

    Example:
        >>> [str(change.start) for change in list_clock_changes("Europe/Paris", 2024, 2024)]
        ['2024-03-31 02:00:00', '2024-10-27 02:00:00']
    """
    days = pd.date_range(f"{first_year}-01-01", f"{last_year + 1}-01-02", freq="D", unit="s")
    offsets = (_show_clock(days, zone) - days).asi8
    changes = []
    for day in days[:-1][np.diff(offsets) != 0]:
        instants = pd.date_range(day, periods=49, freq="30min", unit="s")
        local_times = _show_clock(instants, zone)
        for position in np.flatnonzero(np.diff(local_times.asi8) != 1800):
            before, after = local_times[position] + pd.Timedelta(minutes=30), local_times[position + 1]
            changes.append(ClockChange(min(before, after), max(before, after), is_repeated=after < before))
    return tuple(changes)


def _show_clock(instants: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    return instants.tz_localize("UTC").tz_convert(ZoneInfo(zone)).tz_localize(None)


def mark_in_changes(times: pd.DatetimeIndex, zone: str, is_repeated: bool) -> NDArray[np.bool_]:
    """Return True for local times in hours that the clock repeats, or skips."""
    inside = np.zeros(len(times), dtype=bool)
    if not len(times):
        return inside
    for change in list_clock_changes(zone, times.min().year, times.max().year):
        if change.is_repeated == is_repeated:
            inside |= np.asarray((times >= change.start) & (times < change.end))
    return inside


def drop_skipped_hours(times: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    """Return the local times without those that a clock change skips.

    Example:
        >>> hours = pd.date_range("2024-03-31 01:00", periods=3, freq="h")
        >>> drop_skipped_hours(hours, "Europe/Paris").hour.tolist()
        [1, 3]
    """
    return times[~mark_in_changes(times, zone, is_repeated=False)] if has_clock_changes(zone) else times


def infer_zone(times: pd.DatetimeIndex, repeated_times: pd.DatetimeIndex) -> str:
    """Return the zone whose clock changes explain the repeated and the absent hours of a series, or "".

    times           distinct local times, sorted
    repeated_times  distinct local times that an entity has twice

    Most repeated times must lie in the hours that the autumn changes repeat. Without repeated times, the series must
    skip the hour of every spring change inside it.

    Example:
        >>> hours = pd.date_range("2024-03-30", "2024-04-02", freq="h")
        >>> infer_zone(hours[hours != "2024-03-31 02:00"], hours[:0]), infer_zone(hours, hours[:0])
        ('Europe/Paris', '')
    """
    if len(times) < 2:
        return ""
    fits = {zone: _measure_fit(zone, times, repeated_times) for zone in USUAL_ZONES}
    best_zone = max(fits, key=lambda zone: fits[zone])
    return best_zone if fits[best_zone] else ""


def _measure_fit(zone: str, times: pd.DatetimeIndex, repeated_times: pd.DatetimeIndex) -> float:
    """Return how well a zone explains the repeated and absent hours: 0 if it does not, at most 2."""
    skips = []
    for change in list_clock_changes(zone, times[0].year, times[-1].year):
        positions = times.searchsorted([change.start - HOUR, change.start, change.end, change.end + HOUR])
        has_hour_before, has_hour, has_hour_after = np.diff(positions) > 0
        if not change.is_repeated and has_hour_before and has_hour_after:
            skips.append(not has_hour)
    skip_share = float(np.mean(skips)) if skips else 0.0
    if not len(repeated_times):
        return float(skip_share == 1)
    repeat_share = float(mark_in_changes(repeated_times, zone, is_repeated=True).mean())
    return repeat_share + skip_share if repeat_share >= MIN_REPEAT_SHARE else 0.0
