"""Entities that a model knows: some models cannot judge the rows of an entity that they were not trained on."""

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.errors import DataError
from core.watches.judgement import Judge


def mark_known_rows(judge: Judge, dataset: Dataset) -> NDArray[np.bool_]:
    """Return True for the rows of entities that a judge accepts, (rows,).

    One row of each entity is tried. Raises the DataError of the judge where it accepts none, as for other columns.
    """
    codes = dataset.entity_codes
    order = np.argsort(~dataset.is_complete, kind="stable")  # complete rows first: others may be left out unseen
    firsts = order[np.unique(codes[order], return_index=True)[1]]
    try:
        _try_rows(judge, dataset.take_rows(firsts))
    except DataError:
        known = [code for code, position in enumerate(firsts) if _accepts(judge, dataset.take_rows(firsts[[code]]))]
        if not known:
            raise
        return np.isin(codes, known)
    return np.ones(len(dataset), dtype=bool)


def _accepts(judge: Judge, row: Dataset) -> bool:
    try:
        _try_rows(judge, row)
    except DataError:
        return False
    return True


def _try_rows(judge: Judge, rows: Dataset) -> None:
    judge.judge_rows(rows, np.ones(len(rows), dtype=bool))
