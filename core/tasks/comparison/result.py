"""Detectors compared on one series: how well each sees known or injected anomalies, and how long that took."""

from dataclasses import dataclass

import pandas as pd

from core.data.dataset import DataSummary
from core.runs.result import Result
from core.tasks.comparison.spec import ComparisonSpec

HEADLINE = "vus_pr"


@dataclass(frozen=True)
class DetectorComparison(Result):
    """Every line of the card is a detector with its default settings, or a baseline; the best VUS-PR first.

    spec        what was asked
    data        the dataset's files, unit and columns
    entity      the series: the one with most labelled rows, else the longest
    train_rows  rows learnt from, and `test_rows` rows judged
    injected    anomalies that were injected, into `copies` copies of the rows judged; 0 where the labels are real
    card        line, the metrics of `score_card`, seconds of learning and scoring, and with injected anomalies hit_100:
                the share of the changed columns that the detector names first
    """

    spec: ComparisonSpec
    data: DataSummary
    entity: str
    train_rows: int
    test_rows: int
    injected: int
    copies: int
    card: pd.DataFrame

    @property
    def winner(self) -> str:
        """The line that comes first."""
        return str(self.card["line"].iloc[0])

    def metrics(self) -> dict[str, float]:
        """Return what the run logs: line.metric."""
        lines = self.card.set_index("line")
        figures = {f"{line}.{name}": float(lines.loc[line, name]) for line in lines.index for name in lines.columns}
        counts = {"rows_fitted": self.train_rows, "rows_judged": self.test_rows, "planted": self.injected}
        return {name: value for name, value in {**counts, **figures}.items() if value == value}

    def to_frame(self) -> pd.DataFrame:
        """Return the card as a table to export."""
        return self.card
