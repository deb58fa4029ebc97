"""Result of the comparison of detectors of rows: metrics and duration per detector."""

from dataclasses import dataclass

from core.tasks.comparison.result import DetectorComparison
from core.tasks.row_comparison.spec import RowComparisonSpec


@dataclass(frozen=True)
class RowComparison(DetectorComparison):
    """Metrics of detectors with default settings, of the distance to the mean and of random scores, on the same rows.

    The fields are those of `DetectorComparison`; `entity` names the first compared entities. Every detector is
    fitted on the rows that it scores.
    """

    spec: RowComparisonSpec  # type: ignore[assignment]
