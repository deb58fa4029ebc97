"""An incident in one sentence: where, when, how far from what is usual, in which part of the day, who is alike.

All functions return messages, so that pages translate them and format their numbers.
"""

from collections.abc import Hashable, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from core.data.nameless import SERIES
from core.messages import N_, Message
from core.tasks.anomalies.words import MAX_PERCENT, add_unit, describe_level, round_digits

Facts = Mapping[Hashable, Any]  # a line of `Detection.measured_incidents`, or facts of a row with its entity and time


def describe_incident(incident: Facts, unit: str) -> Message:
    """Return an incident in one sentence; `incident` is a line of `Detection.measured_incidents`.

    Example:
        >>> incident = {"entity": "Bretagne", "start": pd.Timestamp("2022-03-12"), "end": pd.Timestamp("2022-03-12"),
        ...             "rows": 1, "time": pd.Timestamp("2022-03-12"), "part": "hours", "first": "06:00",
        ...             "last": "10:00", "measured": 3081.0, "expected": 1902.0, "level": float("nan"), "alike": 3}
        >>> str(describe_incident(incident, "MWh"))
        'Bretagne, 2022-03-12: 62 % above the usual 1,900 MWh from 06:00 to 10:00; likewise in 3 other entities'
    """
    head = Message(N_("{entity}, {period}"), {"entity": str(incident["entity"]), "period": describe_period(incident)})
    if str(incident["entity"]) == SERIES:
        head = describe_period(incident)
    return Message(N_("{incident}: {cause}"), {"incident": head, "cause": describe_deviation(incident, unit)})


def describe_deviation(incident: Facts, unit: str) -> Message:
    """Return an incident without its entity and period: when it was worst, how far, and how many others are alike."""
    sentence = describe_cause(incident, unit)
    if incident["rows"] > 1:
        sentence = Message(
            N_("at its worst on {time}, {cause}"), {"time": to_moment(incident["time"]), "cause": sentence}
        )
    return _add_alike(sentence, int(incident["alike"]))


def describe_part(facts: Facts, unit: str) -> Message:
    """Return what deviates, and who is alike, for a table that has the measured and the expected value beside it.

    Example:
        >>> facts = {"part": "hours", "first": "06:00", "last": "10:00", "level": 31.0, "expected_level": 50.0}
        >>> str(describe_part({**facts, "alike": 3}, "MWh"))
        '06:00 to 10:00 · Whole day 38 % below usual; likewise in 3 other entities'
    """
    part, level = _name_part(facts), describe_level(facts, unit)
    if part == "pattern":
        sentence = _describe_pattern(facts)
    elif part == "level" and level is not None:
        sentence = level
    else:
        sentence = Message(PART_NAMES[part], {"first": facts["first"], "last": facts.get("last", "")})
        if level is not None and part != "day":
            sentence = Message("{part} · {level}", {"part": sentence, "level": level})
    return _add_alike(sentence, int(facts.get("alike", 0)))


PART_NAMES = {
    "value": N_("the value"),
    "column": "{first}",
    "hour": "{first}",
    "hours": N_("{first} to {last}"),
    "day": N_("the whole day"),
    "jump": N_("jump at {first}"),
    "combination": N_("unusual combination of values"),
    "unknown": N_("expected values are not saved"),
}


def describe_cause(facts: Facts, unit: str) -> Message:
    """Return how far which part of a row is from what is usual; and the level of its day where that is unusual.

    Example:
        >>> facts = {"part": "column", "first": "load", "measured": 97.0, "expected": 42.0, "level": float("nan")}
        >>> str(describe_cause(facts, "MW"))
        'load: 131 % above the usual 42 MW'
    """
    part = _name_part(facts)
    level = describe_level(facts, unit)
    if part == "level" and level is not None:
        return level
    if part == "pattern":
        return _describe_pattern(facts)
    if part == "jump":
        return _describe_jump(facts, unit)
    values = {"first": facts["first"], "last": facts.get("last"), "distance": _describe_distance(facts, unit)}
    cause = Message(PART_TEMPLATES[part], values)
    return cause if level is None or part == "day" else Message("{cause} · {level}", {"cause": cause, "level": level})


PART_TEMPLATES = {
    "value": "{distance}",
    "column": N_("{first}: {distance}"),
    "hour": N_("{distance} at {first}"),
    "hours": N_("{distance} from {first} to {last}"),
    "day": N_("{distance} over the whole day"),
    "combination": N_("unusual combination of values"),
    "unknown": N_("expected values are not saved"),
}


def _name_part(facts: Facts) -> str:
    """Return the part, and "hour" for a single value of a day."""
    return "hour" if facts["part"] == "hours" and facts["first"] == facts["last"] else str(facts["part"])


def compute_percent(measured: float, expected: float) -> float:
    """Return the deviation in percent of the expected value; NaN where that is not positive.

    Example:
        >>> compute_percent(118.0, 100.0), compute_percent(3.0, 0.0)
        (18.0, nan)
    """
    return float(100 * (measured - expected) / expected) if expected > 0 else np.nan


def _describe_distance(facts: Facts, unit: str) -> Message:
    """Return the distance to the usual value in percent; both values where percent say little."""
    measured, expected = float(facts["measured"]), float(facts["expected"])
    difference, percent = measured - expected, compute_percent(measured, expected)
    value, usual = round_amount(measured, difference), round_amount(expected, difference)
    if measured == 0 or not 1 <= abs(percent) <= MAX_PERCENT:
        return Message(
            N_("{value} instead of the usual {expected}"), {"value": add_unit(value, unit), "expected": usual}
        )
    template = N_("{percent} % above the usual {expected}")
    if difference < 0:
        template = N_("{percent} % below the usual {expected}")
    return Message(template, {"percent": abs(round(percent)), "expected": add_unit(usual, unit)})


def round_amount(value: float, difference: float) -> float:
    """Return a value with two or three digits, or as many as show a smaller difference.

    Example:
        >>> round_amount(1902.3, 1180.0), round_amount(891.2, 1e6), round_amount(52.3, 0.4)
        (1900, 890, 52.3)
    """
    return round_digits((value,), min(abs(difference), abs(value)) / 10)[0]


def _describe_jump(facts: Facts, unit: str) -> Message:
    jump, highest = (round_amount(float(facts[name]), float(facts[name])) for name in ("measured", "expected"))
    values = {"jump": add_unit(jump, unit), "column": facts["first"], "highest": highest}
    return Message(N_("jump of {jump} at {column}, usually at most {highest}"), values)


def _describe_pattern(facts: Facts) -> Message:
    """Return the pattern of a day in words: equal values, else hours that lie too early or too late."""
    if not np.isnan(facts["repeats"]):
        counts = {"count": round(facts["repeats"]), "highest": round(facts["repeats_high"])}
        return Message(N_("{count} equal values in a row, usually at most {highest}"), counts)
    percent = {"percent": round(100 * facts["shift_gain"])}
    return Message(N_("hours shifted: the day fits {percent} % better if it is moved by up to 3 hours"), percent)


def _add_alike(sentence: Message, count: int) -> Message:
    """Return a sentence that also tells how many other entities deviate alike."""
    if not count:
        return sentence
    template = N_("{sentence}; likewise in {count} other entities")
    if count == 1:
        template = N_("{sentence}; likewise in 1 other entity")
    return Message(template, {"sentence": sentence, "count": count})


# ---- time -----------------------------------------------------------------------------------------------------------


def describe_period(incident: Facts) -> Message:
    """Return the time of an incident: a day, days, a time, or times; rows without dates by their number.

    Example:
        >>> times = {"start": pd.Timestamp("2024-05-01 06:00"), "end": pd.Timestamp("2024-05-01 09:30"), "rows": 4}
        >>> str(describe_period(times))
        '2024-05-01 06:00:00 to 09:30'
    """
    start, end = to_moment(incident["start"]), to_moment(incident["end"])
    if not isinstance(start, date):
        return Message(N_("row {start}") if start == end else N_("rows {start} to {end}"), {"start": start, "end": end})
    if start == end:
        return Message("{start}", {"start": start})
    if isinstance(start, datetime) and isinstance(end, datetime) and start.date() == end.date():
        return Message(N_("{start} to {end}"), {"start": start, "end": f"{end:%H:%M}"})
    return Message(N_("{start} to {end}"), {"start": start, "end": end})


def to_moment(time: Any) -> object:
    """Return a timestamp as a date at midnight, else as a date with a time; a row number as it is.

    Example:
        >>> str(to_moment(pd.Timestamp("2024-05-01"))), to_moment(17)
        ('2024-05-01', 17)
    """
    if not isinstance(time, pd.Timestamp):
        return int(time) if isinstance(time, np.integer) else time
    return time.date() if time == time.normalize() else time.to_pydatetime().replace(second=0, microsecond=0)
