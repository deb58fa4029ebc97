"""Faults planted into the rows of a dataset without labels."""

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import Dataset
from core.errors import DataError
from core.evaluation.day_faults import MIN_COLUMNS, plant_day_faults
from core.evaluation.injection import MIN_ROWS, inject
from core.evaluation.validation import Flags
from core.messages import N_

FAULT_SHARE = 0.02  # share of the rows of an entity that get a fault
MIN_FAULTS = 4  # faults in the days of an entity: one of each kind


def plant_faults(dataset: Dataset, *, seed: int) -> tuple[Dataset, int]:
    """Return a copy of complete rows, in the order of entity and time, with planted faults as labels, and their number.

    Days get the faults of `plant_day_faults`, other rows those of `inject`. An entity with too few rows gets none.
    Raises DataError if no entity has enough rows.
    """
    dataset = sort_rows(dataset)
    values, labels, count = dataset.values.copy(), np.zeros(len(dataset), dtype=bool), 0
    for code in range(len(dataset.entities)):
        rows = np.flatnonzero(dataset.entity_codes == code)
        if len(rows) < MIN_ROWS or not np.ptp(values[rows], axis=0).any():
            continue
        values[rows], flags, faults = _plant_series(values[rows], is_profile=dataset.profile, seed=seed + code)
        labels[rows] = flags
        count += faults
    if not labels.any():
        raise DataError(
            N_("No entity has {least} complete rows that vary. No fault can be planted to compare detectors."),
            least=MIN_ROWS,
        )
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.frame.columns)
    return dataset.replace(frame=frame, labels=pd.Series(labels, index=frame.index)), count


def sort_rows(dataset: Dataset) -> Dataset:
    """Return the rows in the order of entity and time, so that neighbours in time are neighbours."""
    return dataset.take_rows(np.lexsort((dataset.time.to_numpy(), dataset.entity_codes)))


def _plant_series(values: Floats, *, is_profile: bool, seed: int) -> tuple[Floats, Flags, int]:
    """Return a copy of the rows of one entity with faults, their labels, and the number of faults."""
    if not is_profile or values.shape[1] < MIN_COLUMNS:
        planted, flags, events = inject(values, seed=seed, share=FAULT_SHARE)
        return planted.astype(np.float64), flags, len(events)
    days, faults = plant_day_faults(values, max(round(FAULT_SHARE * len(values)), MIN_FAULTS), seed=seed)
    flags = np.zeros(len(values), dtype=bool)
    flags[[fault.row for fault in faults]] = True
    return days, flags, len(faults)
