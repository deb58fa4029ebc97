"""Result of the comparison task: metrics and duration per detector, on labelled or injected anomalies."""

from dataclasses import dataclass

import pandas as pd

from core.data.dataset import DataSummary
from core.runs.result import Result
from core.tasks.comparison.spec import ComparisonSpec

HEADLINE_METRIC = "vus_pr"


@dataclass(frozen=True)
class DetectorComparison(Result):
    """Metrics of detectors with default settings, and of baselines, on one series.

    spec        spec of this run
    data        files, unit and columns of the dataset
    entity      the compared series: the one with most labelled rows, else the longest
    train_rows  number of training rows
    test_rows   number of test rows
    injected    number of injected anomalies, in all copies of the test rows together; 0 for real labels
    copies      number of copies of the test rows
    card        one row per detector or baseline, the best VUS-PR first: line (its name), the metrics of `score_card`,
                seconds of fitting and scoring, and with injected anomalies hit_100, the share of the changed columns
                that the detector ranks first
    """

    spec: ComparisonSpec
    data: DataSummary
    entity: str
    train_rows: int
    test_rows: int
    injected_count: int
    copy_count: int
    card: pd.DataFrame

    @property
    def winner(self) -> str:
        """Name of the best detector or baseline."""
        return str(self.card["line"].iloc[0])

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log, named line.metric."""
        card_by_name = self.card.set_index("line")
        metrics = {
            f"{line_name}.{name}": float(card_by_name.loc[line_name, name])
            for line_name in card_by_name.index
            for name in card_by_name.columns
        }
        counts = {"rows_fitted": self.train_rows, "rows_scored": self.test_rows, "injected": self.injected_count}
        return {name: value for name, value in {**counts, **metrics}.items() if value == value}

    def to_frame(self) -> pd.DataFrame:
        """Return the card as a table to export."""
        return self.card
