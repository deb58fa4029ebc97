"""Output of `python -m core sequences compare`."""

from collections.abc import Iterator
from typing import Any

from core.runs.card_data import finite
from core.runs.tracked_run import Run
from core.spec.metric import SCORE_CARD
from core.tasks.comparison.result import DetectorComparison
from core.tasks.sequences.command import score_card_lines


def to_lines(comparison: DetectorComparison, run: Run) -> Iterator[str]:
    """Yield a summary of the comparison, then a line for every detector and baseline, the best first."""
    labels = f"{comparison.injected:,} injected anomalies" if comparison.injected else "given labels"
    yield (
        f"{comparison.entity}: learnt from {comparison.train_rows:,} rows, judged on {comparison.test_rows:,} "
        f"({labels}), {run.summary}"
    )
    lines = comparison.card.set_index("line")
    yield from score_card_lines(
        {str(name): {metric: finite(lines.loc[name, metric]) for metric in SCORE_CARD} for name in lines.index}
    )


def to_answer(comparison: DetectorComparison, run: Run) -> dict[str, Any]:
    """Return the fields that `--json` adds to the metrics: the series and the best detector."""
    return {"entity": comparison.entity, "winner": comparison.winner}
