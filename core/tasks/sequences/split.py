"""Split of series into training and test rows, and their sampling interval."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.errors import DataError, OptionError
from core.messages import N_

PART_COLUMN, TRAIN_PART = (
    "part",
    "train",
)  # context column that declares the training part, and its value for training rows


def find_default_split(dataset: Dataset) -> str:
    """Return the end of the training part that the files declare, else the median timestamp or row number."""
    if has_train_part(dataset):
        return TRAIN_PART
    times = np.sort(dataset.time.to_numpy())
    middle = times[len(times) // 2]
    return str(pd.Timestamp(middle)) if dataset.has_dates else str(int(middle))


def build_training_mask(dataset: Dataset, until: str) -> NDArray[np.bool_]:
    """Return True for training rows, (rows,): those before `until`, or the training part for `until` = "train".

    Raises OptionError for a value that is neither a timestamp nor a row number, DataError if no row or every row is
    before it.
    """
    if until == TRAIN_PART and has_train_part(dataset):
        assert dataset.context is not None
        mask = (dataset.context[PART_COLUMN].astype(str) == TRAIN_PART).to_numpy()
    else:
        mask = np.asarray(dataset.time < _parse_split(dataset, until))
    if mask.all() or not mask.any():
        raise DataError(
            N_(
                "{name} = {value}: {count} of {rows} rows are training rows. At least one "
                "training row and one test row are required."
            ),
            name="until",
            value=until,
            count=int(mask.sum()),
            rows=len(dataset),
        )
    return mask


def has_train_part(dataset: Dataset) -> bool:
    """Tell whether the files declare a training part."""
    return (
        dataset.context is not None
        and PART_COLUMN in dataset.context
        and bool((dataset.context[PART_COLUMN].astype(str) == TRAIN_PART).any())
    )


def compute_sampling_seconds(dataset: Dataset) -> float | None:
    """Return the seconds from one row of an entity to the next, measured on the entity with most rows.

    Return None for rows without dates, or with one timestamp only.
    """
    if not dataset.has_dates or not len(dataset):
        return None
    if dataset.profile:
        return DAY.total_seconds()
    if dataset.step is not None:
        return dataset.step.total_seconds()
    entity_code = np.bincount(dataset.entity_codes).argmax()
    steps = np.diff(np.unique(dataset.time[dataset.entity_codes == entity_code].to_numpy()))
    return float(np.median(steps) / np.timedelta64(1, "s")) if len(steps) else None


def _parse_split(dataset: Dataset, until: str) -> object:
    split: object = (
        pd.to_datetime(until, errors="coerce") if dataset.has_dates else pd.to_numeric(until, errors="coerce")
    )
    if pd.isna(split) or getattr(split, "tz", None) is not None:
        accepted = f"{dataset.time.min()} … {dataset.time.max()}"
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="until",
            value=until,
            accepted=accepted,
        )
    return split
