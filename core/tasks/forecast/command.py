"""Output of `python -m core forecast`."""

import json
from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.forecast.result import METRICS, Forecast


def to_answer(forecast: Forecast, run: Run) -> dict[str, Any]:
    """Return the metrics over the whole horizon and by days ahead; null for a metric that does not exist."""
    steps = json.loads(forecast.per_step().set_index("step").to_json(orient="index"))
    return {"metrics": {name: run.metrics.get(name) for name in METRICS} | {"steps": steps}}


def to_lines(forecast: Forecast, run: Run) -> Iterator[str]:
    """Yield the errors by days ahead, compared with the naive forecasts, and the notes."""
    yield f"{len(forecast.rows):,} values, {run.summary}"
    yield "  days ahead     MAE    WAPE  naive-1  naive-7  coverage"
    for line in forecast.per_step().itertuples():
        yield (
            f"  {line.step:>10}  {line.mae:>6,.0f}  {line.wape:>5.1%}  {line.wape_naive1:>6.1%}"
            f"  {line.wape_naive7:>6.1%}  {line.coverage:>7.1%}"
        )
    yield from (f"  {note}" for note in forecast.notes)
