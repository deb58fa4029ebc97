"""What `python -m core sequences compare` prints."""

from collections.abc import Iterator
from typing import Any

from core.runs.card_data import finite
from core.runs.tracked_run import Run
from core.spec.metric import SCORE_CARD
from core.tasks.comparison.result import DetectorComparison
from core.tasks.sequences.command import score_card_lines


def to_lines(comparison: DetectorComparison, run: Run) -> Iterator[str]:
    """Yield what was compared on what, then a line for every detector and baseline, the best one first."""
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
    """Return what `--json` has beside the metrics: the series, and the detector that comes first."""
    return {"entity": comparison.entity, "winner": comparison.winner}
