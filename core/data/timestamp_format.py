"""Timestamps as whole numbers, 20190331 or 20190331141500, as files of windows hold them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FORMAT_BY_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
YEAR_RANGE = (1900, 2200)


def parse_stamps(stamps: NDArray[np.int64]) -> pd.DatetimeIndex | None:
    """Return `stamps` as dates, or None unless all of them are dates with the same number of digits."""
    digits = len(str(int(stamps[0]))) if len(stamps) else 0
    scale = 10 ** (digits - 4)
    if digits not in FORMAT_BY_DIGITS or stamps.min() < YEAR_RANGE[0] * scale or stamps.max() >= YEAR_RANGE[1] * scale:
        return None
    dates = pd.DatetimeIndex(
        pd.to_datetime(pd.Series(stamps.astype(str)), format=FORMAT_BY_DIGITS[digits], errors="coerce")
    )
    return None if dates.hasnans else dates


def format_stamps(times: pd.Index) -> NDArray[np.int64]:
    """Return timestamps as numbers of 14 digits; row numbers stay unchanged."""
    if not isinstance(times, pd.DatetimeIndex):
        return times.to_numpy(dtype=np.int64)
    stamps = np.zeros(len(times), dtype=np.int64)
    for component in (times.year, times.month, times.day, times.hour, times.minute, times.second):
        stamps = stamps * 100 + component.to_numpy(dtype=np.int64)
    return stamps
