"""Notes of a result of intervals: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np

from core.messages import N_, Message
from core.phrases import to_percent
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.tables import MeasureData
from core.tasks.intervals.windows import WindowPlan

MAX_ENTITY_NOTES = 20
MAX_COVERAGE_GAP = 0.03  # of a coverage below the promised one


def list_data_notes(data: MeasureData, plan: WindowPlan, needed_steps: int) -> Iterator[Message]:
    """Yield what the cleaning changed, and the entities whose values do not allow a forecast."""
    cleaned = data.cleaned
    counts = (int(marks.sum()) for marks in (cleaned.is_spike, cleaned.is_imputed, cleaned.is_silent))
    yield from describe_cleaning(data.measure, *counts)
    yield from list(_list_entity_notes(data, plan, needed_steps))[:MAX_ENTITY_NOTES]


def describe_cleaning(measure: str, spikes: int, imputed: int, silent: int) -> Iterator[Message]:
    """Yield how many values of a measure the cleaning replaced, filled, and took as missing."""
    if spikes or imputed:
        yield Message(
            N_(
                "{measure}: before the forecast, spikes were replaced ({spikes}) and missing values filled "
                "({imputed}). Points are judged by their original values, and filled points are never "
                "anomalies."
            ),
            {"measure": measure, "spikes": spikes, "imputed": imputed},
        )
    if silent:
        yield Message(
            N_(
                "{measure}: {count} zero was taken as a missing record, because nothing was counted for a "
                "day or longer. It is not judged.",
                "{measure}: {count} zeros were taken as missing records, because nothing was counted for a "
                "day or longer. They are not judged.",
            ),
            {"measure": measure, "count": silent},
        )


def _list_entity_notes(data: MeasureData, plan: WindowPlan, needed_steps: int) -> Iterator[Message]:
    is_known = np.isfinite(data.history.values)
    for place, entity in enumerate(data.history.entities):
        known = np.flatnonzero(is_known[:, place])
        names = {"measure": data.measure, "entity": entity}
        if not len(known):
            yield Message(N_("{entity} has no value of {measure}."), names)
        elif known[-1] < plan.test_start:
            time = str(data.history.local_times[known[-1]])
            yield Message(
                N_("{entity} has no value of {measure} after {time}, so none is judged."), names | {"time": time}
            )
        elif plan.test_start - known[0] < needed_steps:
            yield Message(
                N_(
                    "{entity}: {measure} begins {count} step before the judged period. It is judged from "
                    "the first horizon that has {needed} steps before it.",
                    "{entity}: {measure} begins {count} steps before the judged period. It is judged from "
                    "the first horizon that has {needed} steps before it.",
                ),
                names | {"count": max(plan.test_start - int(known[0]), 0), "needed": needed_steps},
            )


def list_result_notes(result: Intervals) -> Iterator[Message]:
    """Yield how the intervals were made, whether they kept their promise, and how the forecaster did."""
    judged = result.judged_rows
    if not len(judged):
        yield Message(N_("No point was judged: no forecast was possible, or no value is known in the judged period."))
        return
    yield Message(
        N_(
            "The forecasting method was trained once, on the steps before the held-out horizons. The "
            "interval of a judged point uses the values until the step before; that of the future is as "
            "wide as a full horizon ahead requires."
        )
    )
    yield from list_promise_notes(result)
    for measure in result.measures:
        yield from _list_future_notes(result, measure)
        lines = result.get_scores(measure).to_dict("records")
        if len(lines) == 2 and lines[0]["mwql"] > lines[1]["mwql"]:
            yield Message(
                N_(
                    "{measure}: {model} is worse than seasonal naive on the judged points (mean weighted quantile loss "
                    "{loss} against {naive}). Use seasonal naive, or other settings."
                ),
                {
                    "measure": measure,
                    "model": lines[0]["model"],
                    "loss": round(float(lines[0]["mwql"]), 3),
                    "naive": round(float(lines[1]["mwql"]), 3),
                },
            )


def _list_future_notes(result: Intervals, measure: str) -> Iterator[Message]:
    """Yield whether intervals a horizon ahead, as those of the future, contained fewer values than promised."""
    ahead = result.get_scores(measure)["coverage_ahead"].iloc[0]
    if ahead < result.level - MAX_COVERAGE_GAP:
        yield Message(
            N_(
                "{measure}: at the full horizon, without newer values, the interval contained {share} of "
                "the judged values ({promised} expected). Keep this in mind for the interval of the future."
            ),
            {"measure": measure, "share": to_percent(ahead, 1), "promised": to_percent(result.level, 1)},
        )


def list_promise_notes(result: Intervals | FolderIntervals) -> Iterator[Message]:
    """Yield whether more or fewer judged points are outside than promised and possible by chance."""
    low, high = result.alarm_band
    values = {
        "rate": to_percent(result.alarm_rate, 1),
        "promised": to_percent(result.promised_rate, 1),
        "low": to_percent(low, 1),
        "high": to_percent(high, 1),
    }
    if result.alarm_rate > high:
        yield Message(
            N_(
                "{rate} of the judged points are outside, more than the expected {promised} (by chance "
                "{low} to {high}). Either the period has real faults, or the forecast is too confident."
            ),
            values,
        )
    elif result.alarm_rate < low:
        yield Message(
            N_(
                "{rate} of the judged points are outside, fewer than the expected {promised} (by chance "
                "{low} to {high}). The interval is wider than necessary."
            ),
            values,
        )
