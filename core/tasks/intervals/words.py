"""Words for events of intervals and for the promised share of points outside.

All functions return messages, so that pages translate them and format their numbers.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any

from core.messages import N_, Message
from core.phrases import to_percent
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals

Event = Mapping[Hashable, Any]  # columns of one row of `list_peaks`

KIND_LABELS = {"high": N_("too high"), "low": N_("too low"), "level_shift": N_("new level")}
SIGNIFICANT_DIGITS = 4
NO_TEXT = "–"


def describe_event(event: Event, unit: str) -> tuple[Message, ...]:
    """Return an event in sentences: its peak beside the interval, how many points are outside, and how it ends.

    Example:
        >>> import pandas as pd
        >>> event = {"peak": pd.Timestamp("2024-03-12 08:00"), "y": 120.0, "yhat": 80.0, "yhat_lower": 70.0,
        ...          "yhat_upper": 100.0, "distance": 20.0, "rel_distance": 25.0, "points": 2, "steps": 3,
        ...          "kind": "high", "is_open": False}
        >>> [str(text) for text in describe_event(event, "MW")][1]
        'Points outside: 2 of 3.'
    """
    peak = N_(
        "Peak, {time}: measured **{y}**, usual {yhat}, interval {low} to {high}. That is {distance} outside ({rel})."
    )
    sentences = [
        Message(
            peak,
            {
                "time": event["peak"].to_pydatetime(),
                "y": to_amount(event["y"], unit),
                "yhat": to_amount(event["yhat"]),
                "low": to_amount(event["yhat_lower"]),
                "high": to_amount(event["yhat_upper"]),
                "distance": to_amount(abs(event["distance"])),
                "rel": to_relative(event["rel_distance"]),
            },
        ),
        Message(
            N_("Points outside: {points} of {steps}."), {"points": int(event["points"]), "steps": int(event["steps"])}
        ),
    ]
    if event["kind"] == "level_shift":
        sentences.append(Message(N_("The level moved and stayed: the forecast has followed it.")))
    if event["is_open"]:
        sentences.append(Message(N_("**It is still going on at the end of the data.**")))
    return tuple(sentences)


def describe_promise(result: Intervals | FolderIntervals, point_count: int) -> tuple[Message, ...]:
    """Return the promised and the measured share of points outside; `point_count` is that of judged ones."""
    low, high = result.alarm_band
    is_kept = low <= result.alarm_rate <= high
    looks_kept = round(low, 3) <= round(result.alarm_rate, 3) <= round(high, 3)
    digits = 1 if is_kept == looks_kept else 2  # the text must not contradict the warning
    sentence = Message(
        N_(
            "**{promised} of usual points should be outside the interval; {measured} are**, of {count} "
            "judged points. By chance alone it would be {low} to {high}."
        ),
        {
            "promised": to_percent(result.promised_rate, 1),
            "measured": to_percent(result.alarm_rate, digits),
            "count": point_count,
            "low": to_percent(low, digits),
            "high": to_percent(high, digits),
        },
    )
    return (sentence, Message(N_("The target is met."))) if is_kept else (sentence,)


def to_relative(percent: float) -> Message | str:
    """Return a relative distance in % with its sign; a dash where it is undefined, because the median is 0."""
    if not math.isfinite(percent):
        return NO_TEXT
    rounded = to_percent(percent / 100, 1)
    return Message("+{percent}", {"percent": rounded}) if percent > 0 else rounded


def to_amount(value: float, unit: str = "") -> Message | float | str:
    """Return an amount with its unit as a value of a message; a dash for a missing one."""
    if not math.isfinite(value):
        return NO_TEXT
    rounded = float(round_amount(float(value)))
    return Message("{value} {unit}", {"value": rounded, "unit": unit}) if unit else rounded


def round_amount(value: float) -> float:
    """Return an amount with four digits that count: whole numbers from 1,000 on.

    Example:
        >>> round_amount(0.921140), round_amount(26387.4)
        (0.9211, 26387.0)
    """
    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))), 0))
