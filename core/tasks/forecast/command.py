"""Output of `python -m core forecast`."""

import json
from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions
from core.tasks.forecast.result import METRICS, Forecast


def to_answer(forecast: Forecast, run: Run) -> dict[str, Any]:
    """Return the metrics over the whole horizon and by days ahead; null for a metric that does not exist."""
    steps = json.loads(forecast.get_step_scores().set_index("step").to_json(orient="index"))
    return {"metrics": {name: run.metrics.get(name) for name in METRICS} | {"steps": steps}}


def to_lines(forecast: Forecast, run: Run) -> Iterator[str]:
    """Yield the errors by days ahead, compared with the naive forecasts, and the notes."""
    yield f"{len(forecast.rows):,} values, {run.summary}"
    yield "  days ahead     MAE    WAPE  naive-1  naive-7  coverage    mwql"
    for row in forecast.get_step_scores().itertuples():
        yield (
            f"  {row.step:>10}  {row.mae:>6,.0f}  {row.wape:>5.1%}  {row.wape_naive1:>6.1%}"
            f"  {row.wape_naive7:>6.1%}  {row.coverage:>7.1%}  {getattr(row, 'mwql', float('nan')):>6.2%}"
        )
    yield from (f"  {note}" for note in forecast.notes)


OPTIONS = CommandOptions(cautions=lambda forecast: map(str, forecast.cautions))
"""Prints on standard error what was guessed or left out, whatever the output is."""
