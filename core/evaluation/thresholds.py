"""Thresholds: functions from scores to one number, usable with every detector. Rows above it are anomalies."""

import numpy as np
from numpy.typing import NDArray

from core.errors import BadData, BadOption
from core.text import N_


def check_contamination(contamination: float) -> None:
    """Raises BadOption for a share outside 0 to 0.5."""
    if not 0 < contamination <= 0.5:
        raise BadOption(
            N_("{name} = {value} is outside {low} to {high}."), name="contamination", value=contamination, low=0, high=0.5
        )


def contamination_threshold(scores: NDArray[np.float64], contamination: float) -> float:
    """The score that the share `contamination` of `scores` lies above.

    Raises BadOption for a share outside 0 to 0.5, BadData where all scores are equal and nothing can stand out.
    """
    check_contamination(contamination)
    if not len(scores) or scores.min() == scores.max():
        raise BadData(N_("All {count} rows have the same score: nothing stands out from the rest."), count=len(scores))
    return float(np.quantile(scores, 1 - contamination))
