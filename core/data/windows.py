"""Writer of windows: one .seq file each, as the original program of SGmVRNN reads them."""

from pathlib import Path

import numpy as np

from core.data.dataset import Dataset
from core.data.ingest.readers import Progress, no_progress
from core.data.series import Series, series_of
from core.data.stamps import stamps_of
from core.errors import DataError, InputError
from core.messages import N_

WINDOW = 20


def write_seq(
    dataset: Dataset, folder: Path, window: int = WINDOW, first: int = 1, progress: Progress = no_progress
) -> int:
    """Write every window of `window` rows of every entity, and return their number.

    The files are named by numbers without a gap, from `first`.seq on. A file holds `value` float64 (T, 1, n, 1),
    `label` int64 (T, 1, 1), `ts` int64 (T, 1, 1) as YYYYMMDDHHMMSS or row number, and `entity`, which separates several
    series in one folder. A series of L rows has L − T + 1 windows. Raises DataError if no series is that long,
    InputError for a folder that already holds windows and for a window without rows.
    """
    if window < 1:
        raise InputError(N_("A window has at least one row; {value} were asked for."), value=window)
    long = [series for series in series_of(dataset) if len(series.places) >= window]
    if not long:
        raise DataError(
            N_("{file}: no series has the {count} rows of a window."), file=", ".join(dataset.files), count=window
        )
    folder.mkdir(parents=True, exist_ok=True)
    if first == 1 and next(folder.glob("*.seq"), None) is not None:
        raise InputError(N_("{folder} already holds windows (.seq); choose an empty folder."), folder=folder.name)
    written = 0
    for number, series in enumerate(long, start=1):
        written += _write(dataset, series, folder, window, first + written)
        progress(number / len(long))
    return written


def _write(dataset: Dataset, series: Series, folder: Path, window: int, first: int) -> int:
    """Write the windows of one series, numbered from `first`, and return their number."""
    import torch

    stamps = stamps_of(dataset.time[series.places])
    labels = np.zeros(len(stamps), np.int64)
    if dataset.labels is not None:
        labels = dataset.labels.to_numpy()[series.places].astype(np.int64)
    count = len(stamps) - window + 1
    for start in range(count):
        rows = slice(start, start + window)
        content = {
            "value": torch.tensor(
                series.values[rows, None, :, None], dtype=torch.float64
            ),  # a copy; a view would save the whole series
            "label": labels[rows, None, None].copy(),
            "ts": stamps[rows, None, None].copy(),
            "entity": series.entity,
        }
        torch.save(content, folder / f"{first + start}.seq")
    return count
