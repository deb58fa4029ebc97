"""Damping of a regression that was trained on little: the share of its change that was right, before and since."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats

EARLY_SHARE = 0.75  # of the training periods, on which the trial is fitted
MARGIN = 0.5  # of the mean absolute change, for one period
SHARES = np.linspace(0, 1, 5)
TRUST_PERIODS, MIN_TRUST_PERIODS = 28, 5  # last known errors that tell whether the change is still right
FULL_TRUST, NO_TRUST = 0.8, 1.1  # error of a forecast as a share of that of its base


@dataclass
class DampingTrial:
    """Errors of a trial on the last quarter of the training periods, by the share of its change that is applied.

    Every entity counts equally, whatever its level. A larger share has to win by more than chance: errors are compared
    with a margin that is that of the mean of as many periods.

    Example:
        >>> trial = DampingTrial()
        >>> changes = np.array([[10.0], [-10.0], [10.0], [-10.0]])
        >>> trial.add_errors(changes, changes * 2, np.ones((4, 1), dtype=bool))  # twice the true change
        >>> trial.choose_share()
        0.5
    """

    errors: list[Floats] = field(default_factory=list)
    max_periods: int = 0

    def add_errors(self, changes: Floats, predictions: Floats, is_late: NDArray[np.bool_]) -> None:
        """Add true and predicted changes (periods, entities) in the rows of `is_late`."""
        is_known = is_late & np.isfinite(predictions) & np.isfinite(changes)
        errors = np.abs(changes - SHARES[:, None, None] * predictions)
        sums = np.where(is_known, errors, 0.0).sum(axis=1)  # (shares, entities)
        scale = np.where(is_known, np.abs(changes), 0.0).sum(axis=0)
        self.errors.append(sums[:, scale > 0] / scale[scale > 0])
        self.max_periods = max(self.max_periods, int(is_known.any(axis=1).sum()))

    def choose_share(self) -> float:
        """Return the share of the change with the smallest error; 1 without a trial."""
        errors = np.concatenate(self.errors, axis=1) if self.errors else np.empty((len(SHARES), 0))
        if not errors.size:
            return 1.0
        margin = SHARES * MARGIN / np.sqrt(self.max_periods)
        return float(SHARES[np.argmin(errors.mean(axis=1) + margin)])


def mark_late_rows(is_row: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask of the last quarter of the training periods, (periods, 1).

    Example:
        >>> mark_late_rows(np.array([[False], [True], [True], [True], [True]])).ravel().tolist()
        [False, False, False, False, True]
    """
    rows = np.flatnonzero(is_row.any(axis=1))
    is_late = np.zeros((len(is_row), 1), dtype=bool)
    is_late[rows[int(len(rows) * EARLY_SHARE) :]] = True
    return is_late


def compute_trust(forecasts: Floats, base: Floats, amounts: Floats, step: int) -> Floats:
    """Return the share of the change from `base` that counts in every period, from 1 to 0, (periods, entities).

    It falls where the forecasts `step` periods ahead, as far as their errors were known then, erred as much as their
    base. So a regression that meets a season it has not seen returns to its base.

    Example:
        >>> amounts, base = np.full((60, 1), 10.0), np.full((60, 1), 11.0)
        >>> forecasts = np.where(np.arange(60) < 30, 10.1, 13.0)[:, None]  # good at first, then worse than the base
        >>> compute_trust(forecasts, base, amounts, 1)[[29, 59]].ravel().tolist()
        [1.0, 0.0]
    """
    is_known = np.isfinite(forecasts) & np.isfinite(base)
    means = []
    for each in (forecasts, base):
        errors = pd.DataFrame(np.where(is_known, np.abs(each - amounts), np.nan)).shift(step)
        means.append(errors.rolling(TRUST_PERIODS, min_periods=MIN_TRUST_PERIODS).mean().to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        trust = (NO_TRUST - means[0] / means[1]) / (NO_TRUST - FULL_TRUST)
    return np.where(np.isfinite(trust), np.clip(trust, 0.0, 1.0), 1.0)
