"""Output of `python -m core sequences compare`."""

from collections.abc import Iterator
from typing import Any

from core.runs.card_data import to_finite
from core.runs.tracked_run import Run
from core.spec.metric import SCORE_CARD_METRICS
from core.tasks.comparison.result import DetectorComparison
from core.tasks.sequences.command import format_score_card


def to_lines(comparison: DetectorComparison, run: Run) -> Iterator[str]:
    """Yield a summary of the comparison, then a line for every detector and baseline, the best first."""
    labels = f"{comparison.injected_count:,} injected anomalies" if comparison.injected_count else "given labels"
    yield (
        f"{comparison.entity}: learnt from {comparison.train_rows:,} rows, judged on {comparison.test_rows:,} "
        f"({labels}), {run.summary}"
    )
    card_by_name = comparison.card.set_index("line")
    yield from format_score_card(
        {
            str(name): {metric: to_finite(card_by_name.loc[name, metric]) for metric in SCORE_CARD_METRICS}
            for name in card_by_name.index
        }
    )


def to_answer(comparison: DetectorComparison, run: Run) -> dict[str, Any]:
    """Return the fields that `--json` adds to the metrics: the series and the best detector."""
    return {"entity": comparison.entity, "winner": comparison.winner}
