"""Words for an alarm of a forecast: when, how much, how far from what the influences of the model explain.

All functions return messages, so that pages translate them and format their numbers.
"""

import datetime
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.messages import N_, Message
from core.tasks.forecast.result import Forecast

Alarm = Mapping[Hashable, Any]  # columns of one row of `Forecast.alarms`

MAX_PERCENT = 1000  # a larger difference is told as an amount
DIGITS, MAX_DIGITS = 4, 9  # significant ones of an amount alone, and of any amount
MIN_SPARED_SHARE = 0.01  # growth of the error from which on a group of features is named; less may be chance
CAUSE_LABELS = {
    "past": N_("past amounts"),
    "calendar": N_("calendar"),
    "weather": N_("weather"),
    "strike": N_("strikes"),
    "strike_rate": N_("strikes"),
    "holiday": N_("public holidays"),
    "school_break": N_("school breaks"),
}
SENTENCES = {
    (True, True): N_("{entity}, {when}: {measured}, {change} above what is explained by {causes} ({usual})"),
    (False, True): N_("{entity}, {when}: {measured}, {change} below what is explained by {causes} ({usual})"),
    (True, False): N_("{entity}, {when}: {measured}, {change} above the forecast ({usual})"),
    (False, False): N_("{entity}, {when}: {measured}, {change} below the forecast ({usual})"),
}
"""(is above, has causes) → sentence."""
PERIOD_NAMES = {True: N_("mean per day"), False: N_("mean per step")}
"""Is a period a day? → what the amounts of a lasting alarm are."""


def describe_alarm(alarm: Alarm, forecast: Forecast) -> Message:
    """Return an alarm as one sentence.

    Example:
        >>> from core.data.dataset import DataSummary
        >>> from core.tasks.forecast.spec import ForecastSpec
        >>> spec, empty = ForecastSpec(), pd.DataFrame()
        >>> groups = ["weather", "strike", "calendar"]
        >>> importance = pd.DataFrame({"group": groups, "step": 1, "spared": [0.5, 0.0, 0.2]})
        >>> data = DataSummary(("load.csv",), "MWh", False, ("load",))
        >>> forecast = Forecast(
        ...     spec, spec, data, "2024-04-09", ("day",), (), (), {}, (), empty, empty, empty, empty, importance
        ... )
        >>> day = pd.Timestamp("2024-03-12")
        >>> alarm = {"entity": "Bretagne", "kind": "high", "start": day, "end": day, "peak": day, "peak_end": day,
        ...          "measured": 1240.0, "expected": 1050.0, "low": 981.0, "high": 1122.0, "percent": 18.1}
        >>> sentence = describe_alarm(alarm, forecast)
        >>> str(sentence).split(" (")[0]
        'Bretagne, 2024-03-12: 1,240 MWh, 18 % above what is explained by weather and calendar'
        >>> str(sentence.values["usual"])
        'expected 1,050, usual 980–1,120'
    """
    causes = list_causes(forecast.importance)
    amounts = tuple(float(alarm[name]) for name in ("measured", "expected", "low", "high"))
    outside = max(amounts[0] - amounts[3], amounts[2] - amounts[0], 0.0)
    measured, expected, low, high = round_amounts(amounts, outside)
    usual = Message(
        N_("expected {expected}, usual {low} to {high}") if low < 0 else N_("expected {expected}, usual {low}–{high}"),
        {"expected": expected, "low": low, "high": high},
    )
    values = {
        "entity": str(alarm["entity"]),
        "when": _describe_time(
            alarm, len(forecast.slots) > 1, PERIOD_NAMES[forecast.model_spec.resolution in ("day", "hour")]
        ),
        "measured": _add_unit(measured, forecast.data.unit),
        "change": _describe_change(alarm, forecast.data.unit),
        "causes": join_words([Message(CAUSE_LABELS.get(cause, cause)) for cause in causes]),
        "usual": usual,
    }
    return Message(SENTENCES[alarm["measured"] >= alarm["expected"], bool(causes)], values)


def tabulate_alarms(forecast: Forecast) -> pd.DataFrame:
    """Return the alarms as a table to export, worst first, numbered from 1, each with its sentence in English."""
    if forecast.alarms.empty:
        return forecast.alarms
    sentences = [str(describe_alarm(alarm, forecast)) for alarm in forecast.alarms.to_dict("records")]
    alarms = forecast.alarms.assign(entity=forecast.alarms["entity"].astype(str), alarm=forecast.alarms["alarm"] + 1)
    return alarms.assign(unit=forecast.data.unit, text=sentences)


def list_causes(importance: pd.DataFrame) -> list[str]:
    """Return the groups of features that the forecast one period ahead uses, the most important first.

    A group counts if the error grows by 1 % when its features are shuffled, see `Forecast.importance`. Empty for a
    forecaster without features.
    """
    if importance.empty:
        return []
    first = importance[(importance["step"] == importance["step"].min()) & (importance["spared"] >= MIN_SPARED_SHARE)]
    groups = first.sort_values("spared", ascending=False, kind="stable")["group"].astype(str)
    labels = {CAUSE_LABELS.get(group, group): group for group in reversed(groups.tolist())}  # one group of each label
    return list(reversed(labels.values()))


def join_words(words: Sequence[Message]) -> Message | str:
    """Return words as a list in a sentence.

    Example:
        >>> str(join_words([Message("weather"), Message("calendar"), Message("strikes")]))
        'weather, calendar and strikes'
    """
    if len(words) < 2:
        return words[0] if words else ""
    start = words[0]
    for word in words[1:-1]:
        start = Message("{start}, {word}", {"start": start, "word": word})
    return Message(N_("{start} and {word}"), {"start": start, "word": words[-1]})


def round_amounts(amounts: tuple[float, ...], outside: float = 0.0) -> tuple[float, ...]:
    """Return the amounts with one number of decimals, as few as tell a tenth of their spread; integers from 1 on.

    An amount that is `outside` by so much stays outside.

    Example:
        >>> round_amounts((1240.3, 1050.2, 981.4, 1122.0), outside=118.3), round_amounts((0.31, 0.2, 0.15, 0.25))
        ((1240, 1050, 980, 1120), (0.31, 0.2, 0.15, 0.25))
        >>> round_amounts((26012.0, 39000.0, 26240.0, 52000.0), outside=228.0)
        (26000, 39000, 26200, 52000)
    """
    spread = max(amounts) - min(amounts)
    largest = max(map(abs, amounts))
    resolution = spread / 20 if spread else largest * 10.0**-DIGITS
    if outside > 0:
        resolution = min(resolution, outside / 2)
    resolution = max(resolution, largest * 10.0**-MAX_DIGITS)
    if not resolution > 0:
        return amounts
    digits = int(np.clip(-np.floor(np.log10(resolution)), -300, 15))
    if digits > 0:
        return tuple(float(np.round(amount, digits)) for amount in amounts)
    step = 10**-digits
    return tuple(round(amount / step) * step for amount in amounts)


def _describe_time(alarm: Alarm, has_times: bool, period: str) -> Message:
    start, end, peak, peak_end = (_to_date(alarm[name], has_times) for name in ("start", "end", "peak", "peak_end"))
    values = {"start": start, "end": end, "peak": peak, "peak_end": peak_end, "mean": Message(period)}
    if start == end:
        return Message("{start}", values)
    if alarm["kind"] != "lasting":
        return Message(N_("{start} – {end}, worst {peak}"), values)
    if (start, end) == (peak, peak_end):
        return Message("{start} – {end}, {mean}", values)
    return Message(N_("{start} – {end}, {mean} from {peak} to {peak_end}"), values)


def _to_date(time: pd.Timestamp, has_times: bool) -> datetime.date:
    """Return a time as a date where the days have no times, so that it is written without one."""
    stamp = time.to_pydatetime()
    return stamp if has_times or stamp != stamp.replace(hour=0, minute=0, second=0) else stamp.date()


def _describe_change(alarm: Alarm, unit: str) -> Message | float:
    percent = abs(float(alarm["percent"]))
    if np.isfinite(percent) and percent < MAX_PERCENT:
        return Message("{percent} %", {"percent": round(percent) if percent >= 10 else round(percent, 1)})
    return _add_unit(round_amounts((abs(float(alarm["measured"]) - float(alarm["expected"])),))[0], unit)


def _add_unit(value: float, unit: str) -> Message | float:
    return Message("{value} {unit}", {"value": value, "unit": unit}) if unit else value
