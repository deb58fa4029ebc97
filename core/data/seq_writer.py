"""Writer of windows: one .seq file each, as the original program of SGmVRNN reads them."""

from pathlib import Path

import numpy as np

from core.data.dataset import Dataset
from core.data.ingest.readers import ProgressCallback, ignore_progress
from core.data.series import EntitySeries, split_by_entity
from core.data.timestamp_format import format_stamps
from core.errors import DataError, InputError
from core.messages import N_

WINDOW_ROWS = 20


def write_seq(
    dataset: Dataset,
    folder: Path,
    window: int = WINDOW_ROWS,
    first_number: int = 1,
    progress: ProgressCallback = ignore_progress,
) -> int:
    """Write every window of `window` rows of every entity, and return their number.

    The files are named by numbers without a gap, from `first_number`.seq on. A file holds the tensors `value` float64
    (T, 1, n, 1), `label` int64 (T, 1, 1), `ts` int64 (T, 1, 1) as YYYYMMDDHHMMSS or row number, and `entity`, which
    separates several series in one folder. A plain `torch.load` reads it. A series of L rows has L − T + 1 windows.
    Raises DataError if no series is that long, InputError for a folder that already holds windows and for a window
    without rows.
    """
    if window < 1:
        raise InputError(N_("The window length is {value} rows. It must be at least 1 row."), value=window)
    long_series = [series for series in split_by_entity(dataset) if len(series.row_positions) >= window]
    if not long_series:
        raise DataError(
            N_("{file}: no series has at least {count} rows, the length of a window."),
            file=", ".join(dataset.files),
            count=window,
        )
    folder.mkdir(parents=True, exist_ok=True)
    if first_number == 1 and next(folder.glob("*.seq"), None) is not None:
        raise InputError(N_("{folder} already contains windows (.seq). Choose an empty folder."), folder=folder.name)
    window_count = 0
    for number, series in enumerate(long_series, start=1):
        window_count += _write_windows(dataset, series, folder, window, first_number + window_count)
        progress(number / len(long_series))
    return window_count


def _write_windows(dataset: Dataset, series: EntitySeries, folder: Path, window: int, first_number: int) -> int:
    """Write the windows of one series, numbered from `first_number`, and return their number."""
    import torch

    stamps = format_stamps(dataset.time[series.row_positions])
    labels = np.zeros(len(stamps), np.int64)
    if dataset.labels is not None:
        labels = dataset.labels.to_numpy()[series.row_positions].astype(np.int64)
    count = len(stamps) - window + 1
    for start in range(count):
        rows = slice(start, start + window)
        content = {
            "value": torch.tensor(
                series.values[rows, None, :, None], dtype=torch.float64
            ),  # a copy; a view would save the whole series
            "label": torch.tensor(labels[rows, None, None]),
            "ts": torch.tensor(stamps[rows, None, None]),
            "entity": series.entity,
        }
        torch.save(content, folder / f"{first_number + start}.seq")
    return count
