"""Output of `python -m core forecast`."""

import json
from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions
from core.tasks.forecast.alarm_words import describe_alarm, tabulate_alarms
from core.tasks.forecast.period_words import get_period_words
from core.tasks.forecast.result import METRICS, Forecast
from core.tasks.intervals.records import format_alarm_rate, to_records

MAX_ALARMS = 10


def to_answer(forecast: Forecast, run: Run) -> dict[str, Any]:
    """Return the metrics over the whole horizon and by days ahead, and the alarms; null for a missing metric."""
    steps = json.loads(forecast.get_step_scores().set_index("step").to_json(orient="index"))
    low, high = forecast.alarm_counts.compute_chance_band(forecast.alarm_level)
    return {
        "metrics": {name: run.metrics.get(name) for name in METRICS} | {"steps": steps},
        "alarm_rates": {
            "promised": round(1 - forecast.alarm_level, 9),
            "measured": run.metrics.get("alarm_rate"),
            "low": low if forecast.alarm_counts.judged else None,
            "high": high if forecast.alarm_counts.judged else None,
            "judged": forecast.alarm_counts.judged,
            "outside": forecast.alarm_counts.outside,
        },
        "alarms": to_records(tabulate_alarms(forecast)),
    }


def to_lines(forecast: Forecast, run: Run) -> Iterator[str]:
    """Yield the errors by days ahead, compared with the naive forecasts, the worst alarms, and the notes."""
    yield f"{len(forecast.rows):,} values, {run.summary}"
    yield f"{get_period_words(forecast.frequency).ahead:>12}     MAE    WAPE  naive-1  naive-7  coverage    mwql"
    for row in forecast.get_step_scores().itertuples():
        yield (
            f"  {row.step:>10}  {_format_error(row.mae):>6}  {row.wape:>5.1%}  {row.wape_naive1:>6.1%}"
            f"  {row.wape_naive7:>6.1%}  {row.coverage:>7.1%}  {getattr(row, 'mwql', float('nan')):>6.2%}"
        )
    yield from _format_alarms(forecast)
    yield from (f"  {note}" for note in forecast.notes)


def _format_error(error: float) -> str:
    return f"{error:,.0f}" if error >= 100 or not error else f"{error:.3g}"


def _format_alarms(forecast: Forecast) -> Iterator[str]:
    counts, level = forecast.alarm_counts, forecast.alarm_level
    if not counts.judged:
        yield "nothing was judged for alarms"
        return
    rates = format_alarm_rate(level, 1 - level, counts.rate, counts.compute_chance_band(level))
    yield f"{len(forecast.alarms):,} alarms, {rates}"
    for alarm in forecast.alarms.head(MAX_ALARMS).to_dict("records"):
        yield f"  {alarm['severity']:8}  {describe_alarm(alarm, forecast)}"
    if forecast.alarms.empty:
        yield "  nothing left its interval"


OPTIONS = CommandOptions(cautions=lambda forecast: map(str, forecast.cautions))
"""Prints on standard error what was guessed or left out, whatever the output is."""
