"""Words for a row: its most deviating value, the level of its day, what would have been usual.

All functions return messages, so that pages translate them and format their numbers.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from core.messages import N_, Message
from core.tasks.anomalies import counterfactual

MAX_PERCENT = 1000  # a larger change of the level is told by its amounts
Values = Mapping[Hashable, Any]  # columns of one row of `Detection.rows` or `Detection.cells`


def describe_value(row: Values, unit: str, columns: int) -> Message:
    """Return the value that deviates most and its usual range; or that no single value is unusual.

    `columns` is the number of measurements of a row.

    Example:
        >>> row = {"column": "14:00", "value": 3712.0, "low": 1502.4, "high": 2703.1, "deviation": 5.3}
        >>> str(describe_value(row, "MWh", columns=24))
        '14:00: 3,700 MWh, usually 1,500–2,700'
        >>> row = {"column": None, "jump_column": "06:00", "jump": 312.0, "jump_high": 140.4}
        >>> str(describe_value(row, "MW", columns=24))
        'No single value is unusual. The jump at 06:00 is: 310 MW from the mean of its neighbours, usually at most 140.'
    """
    if not isinstance(row["column"], str):
        if columns == 1:
            return Message(N_("The expected value was not computed for this row."))
        if not isinstance(row["jump_column"], str):
            if describe_patterns(row):
                return Message(N_("No single value is unusual."))
            return Message(N_("No single value is unusual. The combination of the values is."))
        jump, _, highest = round_for_display(row["jump"], 0.0, row["jump_high"])
        return Message(
            N_(
                "No single value is unusual. The jump at {column} is: {jump} from the mean of its neighbours, usually "
                "at most {highest}."
            ),
            {"column": row["jump_column"], "jump": add_unit(jump, unit), "highest": highest},
        )
    value, low, high = round_for_display(row["value"], row["low"], row["high"])
    template = N_("{column}: {value}, usually {range}")
    if row["low"] <= row["value"] <= row["high"]:
        template = N_("{column}: {value}, inside the usual range {range}")
    return Message(
        template, {"column": row["column"], "value": add_unit(value, unit), "range": describe_range(low, high)}
    )


def describe_level(row: Values, unit: str) -> Message | None:
    """Return how far the level of the whole day is from the usual one; None for a usual level.

    Example:
        >>> str(describe_level({"level": 69.0, "expected_level": 100.0}, "MWh"))
        'Whole day 31 % below usual'
    """
    if np.isnan(row["level"]):
        return None
    level, expected = float(row["level"]), float(row["expected_level"])
    percent = round(100 * abs(level / expected - 1)) if expected > 0 else MAX_PERCENT + 1
    if level < 0 or not 1 <= percent <= MAX_PERCENT:
        values = round_digits((level, expected), abs(level - expected) / 10)
        amounts = {"value": add_unit(values[0], unit), "expected": add_unit(values[1], unit)}
        return Message(N_("Whole day: level {value}, usually {expected}"), amounts)
    template = N_("Whole day {percent} % above usual") if level > expected else N_("Whole day {percent} % below usual")
    return Message(template, {"percent": percent})


def describe_patterns(row: Values) -> tuple[Message, ...]:
    """Return the unusual patterns of a day in words: values that repeat, hours that lie too early or too late.

    Example:
        >>> row = {"repeats": 7.0, "repeats_high": 2.0, "shift_gain": 0.8}
        >>> [str(text) for text in describe_patterns(row)]
        ['7 values in a row are equal, usually at most 2.', 'Moved by up to 3 hours, the day fits 80 % better.']
    """
    repeats, gain = float(row.get("repeats", np.nan)), float(row.get("shift_gain", np.nan))
    messages = []
    if not np.isnan(repeats):
        counts = {"count": round(repeats), "highest": round(row["repeats_high"])}
        messages.append(Message(N_("{count} values in a row are equal, usually at most {highest}."), counts))
    if not np.isnan(gain):
        messages.append(
            Message(N_("Moved by up to 3 hours, the day fits {percent} % better."), {"percent": round(100 * gain)})
        )
    return tuple(messages)


def describe_parts(cell: Values, unit: str) -> Message | None:
    """Return how much of the deviation of a cell comes from the level of the day, and how much from its shape.

    None where the baseline does not tell the two apart, and for a value inside its band.

    Example:
        >>> cell = {"column": "14:00", "value": 3700.0, "expected": 2100.0, "low": 1500.0, "high": 2700.0,
        ...         "level_shift": 200.0}
        >>> str(describe_parts(cell, "MWh"))
        '14:00 is 1,600 MWh above its expected value: 200 MWh from the level of the day, 1,400 MWh from its shape.'
    """
    if not isinstance(cell["column"], str) or np.isnan(cell["level_shift"]):
        return None
    if cell["low"] <= cell["value"] <= cell["high"]:
        return None
    difference = float(cell["value"]) - float(cell["expected"])
    level = float(cell["level_shift"])
    sign = 1 if difference >= 0 else -1
    total, from_level = round_digits((abs(difference), sign * level), max(abs(difference), abs(level)) / 10)
    above = N_(
        "{column} is {difference} above its expected value: {level} from the level of the day, {shape} from its shape."
    )
    below = N_(
        "{column} is {difference} below its expected value: {level} from the level of the day, {shape} from its shape."
    )
    from_shape = round_digits((total - from_level,), max(abs(difference), abs(level)) / 10)[0]
    return Message(
        above if sign > 0 else below,
        {
            "column": str(cell["column"]),
            "difference": add_unit(total, unit),
            "level": add_unit(from_level, unit),
            "shape": add_unit(from_shape, unit),
        },
    )


def describe_counterfactual(kind: str, intervals: Sequence[Values], unit: str) -> tuple[Message, ...]:
    """Return what would not have been flagged, for a kind of `Counterfactuals`; empty where it was not computed.

    `intervals` are the cells of the row with an interval.

    Example:
        >>> cell = {"column": "14:00", "unflagged_low": 1450.0, "unflagged_high": 2890.0}
        >>> [str(text) for text in describe_counterfactual("column", [cell], "MWh")]
        ['With 14:00 between 1,450 and 2,890 MWh, the row would not have been flagged.']
    """
    if kind != counterfactual.COLUMN:
        template = KIND_TEMPLATES.get(kind)
        return (Message(template),) if template else ()
    messages = []
    for cell in intervals:
        low, high = round_interval(cell["unflagged_low"], cell["unflagged_high"])
        messages.append(
            Message(
                N_("With {column} between {low} and {high}, the row would not have been flagged."),
                {"column": str(cell["column"]), "low": low, "high": add_unit(high, unit)},
            )
        )
    return tuple(messages)


KIND_TEMPLATES = {
    counterfactual.LEVEL: N_(
        "No single column explains the alarm. With the whole day at its usual level, the row would not have been "
        "flagged."
    ),
    counterfactual.NAMED: N_(
        "No single column explains the alarm. With all named columns at their expected values, the row would not have "
        "been flagged."
    ),
    counterfactual.OUTSIDE: N_(
        "No single column explains the alarm. With all columns outside their ranges at their expected values, the row "
        "would not have been flagged."
    ),
    counterfactual.NONE: N_(
        "No single column explains the alarm. The row would be flagged even with all columns outside their ranges at "
        "their expected values."
    ),
}


def describe_range(low: float, high: float) -> Message:
    """Return a range as text; with a word between the numbers where one is negative."""
    template = N_("{low} to {high}") if low < 0 else N_("{low}–{high}")
    return Message(template, {"low": low, "high": high})


def add_unit(value: float, unit: str) -> Message | float:
    """Return a value with its unit; the value alone without a unit."""
    return Message("{value} {unit}", {"value": value, "unit": unit}) if unit else value


def round_for_display(value: float, low: float, high: float) -> tuple[float, float, float]:
    """Return a value and its range with few digits, as many as keep a value outside the range outside.

    Example:
        >>> round_for_display(3712.0, 1502.4, 2703.1)
        (3700, 1500, 2700)
        >>> round_for_display(2704.2, 1502.4, 2703.1)
        (2704, 1502, 2703)
    """
    outside = max(value - high, low - value)
    resolution = min((high - low) / 10, outside) if outside > 0 else (high - low) / 10
    rounded = round_digits((value, low, high), resolution)
    return rounded[0], rounded[1], rounded[2]


def round_interval(low: float, high: float) -> tuple[float, float]:
    """Return an interval with about three significant digits of its width, rounded inward.

    Example:
        >>> round_interval(1450.2, 2897.9)
        (1460, 2890)
    """
    resolution = (high - low) / 100
    step = 10.0 ** np.floor(np.log10(resolution)) if resolution > 0 else 0.0
    if step == 0.0:
        return low, high
    tolerance = 1e-6  # of a step: multiples of the step stay, whatever their binary rounding
    inner_low = float(np.ceil(low / step - tolerance) * step)
    inner_high = float(np.floor(high / step + tolerance) * step)
    rounded = round_digits((inner_low, inner_high), resolution)
    return rounded[0], rounded[1]


def round_digits(values: tuple[float, ...], resolution: float) -> tuple[float, ...]:
    """Return the values as multiples of the power of ten at or below `resolution`; as integers where that is 1 or more.

    Example:
        >>> round_digits((1234.56, -0.04), 30.0), round_digits((1234.56, -0.04), 0.5)
        ((1230, 0), (1234.6, 0.0))
    """
    digits = -int(np.floor(np.log10(resolution))) if resolution > 0 and np.isfinite(resolution) else 6
    digits = int(np.clip(digits, -300, 15))
    if digits <= 0:
        step = 10.0**-digits
        return tuple(int(np.floor(value / step + 0.5) * step) for value in values)
    return tuple(float(np.round(value, digits)) + 0.0 for value in values)
