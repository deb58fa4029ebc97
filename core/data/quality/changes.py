"""Changes that repairs make in a dataset: rows removed, added and moved, cells replaced, filled and emptied."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality.findings import Repair
from core.data.quality.repairs import apply_repairs
from core.messages import N_

ROW_NUMBER = "row number before the repairs"  # a context column follows its row through every repair


@dataclass(frozen=True)
class ChangeCounts:
    """Number of rows, cells, totals and columns that repairs change."""

    removed_rows: int = 0
    added_rows: int = 0
    moved_rows: int = 0
    replaced_cells: int = 0
    filled_cells: int = 0
    emptied_cells: int = 0
    replaced_context: int = 0
    removed_columns: int = 0

    def list_counts(self) -> list[tuple[str, int]]:
        """Return the label and the number of every kind of change that occurs.

        Example:
            >>> ChangeCounts(removed_rows=2, filled_cells=5).list_counts()
            [('Rows removed: {count}', 2), ('Missing values filled: {count}', 5)]
        """
        counts = [(CHANGE_LABELS[field.name], int(getattr(self, field.name))) for field in fields(self)]
        return [(label, count) for label, count in counts if count]


CHANGE_LABELS = {
    "removed_rows": N_("Rows removed: {count}"),
    "added_rows": N_("Rows added: {count}"),
    "moved_rows": N_("Rows with another timestamp: {count}"),
    "replaced_cells": N_("Values replaced: {count}"),
    "filled_cells": N_("Missing values filled: {count}"),
    "emptied_cells": N_("Values set to missing: {count}"),
    "replaced_context": N_("Declared totals replaced: {count}"),
    "removed_columns": N_("Columns removed: {count}"),
}


@dataclass(frozen=True)
class Trace:
    """A dataset before and after repairs, with the rows that belong together.

    origins  row in `before` of every row of `after`; −1 for an added row
    """

    before: Dataset
    after: Dataset
    origins: NDArray[np.intp]

    @cached_property
    def columns(self) -> list[str]:
        """Names of the measurements that are in both datasets."""
        return [column for column in self.before.columns if column in set(self.after.columns)]

    @cached_property
    def is_removed(self) -> NDArray[np.bool_]:
        """Mask of the removed rows of `before`."""
        mask = np.ones(len(self.before), dtype=bool)
        mask[self.origins[self.origins >= 0]] = False
        return mask

    @cached_property
    def is_moved(self) -> NDArray[np.bool_]:
        """Mask of the rows of `before` that have another timestamp in `after`."""
        mask = np.zeros(len(self.before), dtype=bool)
        after_rows, rows = self.match_rows()
        mask[rows] = self.before.time.to_numpy()[rows] != self.after.time.to_numpy()[after_rows]
        return mask

    def match_rows(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of `after` that existed before, and these rows in `before`."""
        after_rows = np.flatnonzero(self.origins >= 0)
        return after_rows, self.origins[after_rows]

    @cached_property
    def changed_cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
        """Row in `before`, position in `columns`, value before and value after of every changed cell."""
        after_rows, rows = self.match_rows()
        old, new = (dataset.frame[self.columns].to_numpy() for dataset in (self.before, self.after))
        if len(rows) < max(len(old), len(new)) or not np.array_equal(after_rows, rows):
            old, new = old[rows], new[after_rows]
        positions, columns = np.nonzero(~((old == new) | (np.isnan(old) & np.isnan(new))))
        return rows[positions], columns, old[positions, columns], new[positions, columns]

    def count_changes(self) -> ChangeCounts:
        """Return the numbers of changed rows, cells, totals and columns."""
        _, _, old, new = self.changed_cells
        return ChangeCounts(
            removed_rows=int(self.is_removed.sum()),
            added_rows=int((self.origins < 0).sum()),
            moved_rows=int(self.is_moved.sum()),
            replaced_cells=int((~np.isnan(old) & ~np.isnan(new)).sum()),
            filled_cells=int(np.isnan(old).sum()),
            emptied_cells=int(np.isnan(new).sum()),
            replaced_context=self._count_replaced_context(),
            removed_columns=len(self.before.columns) - len(self.columns),
        )

    def _count_replaced_context(self) -> int:
        if self.before.context is None or self.after.context is None:
            return 0
        after_rows, rows = self.match_rows()
        old, new = self.before.context.iloc[rows], self.after.context.iloc[after_rows]
        return sum(
            int(((old[name].to_numpy() != new[name].to_numpy()) & ~(old[name].isna() & new[name].isna())).sum())
            for name in old.columns.intersection(new.columns)
        )


def trace_repairs(recipe: Iterable[Repair], dataset: Dataset) -> Trace:
    """Apply the repairs of `recipe` as `apply_repairs` does, and return what became of every row.

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import make_index
        >>> index = make_index(["north"] * 3, pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"]))
        >>> dataset = Dataset(pd.DataFrame({"gas": [1.0, 2.0, float("nan")]}, index), "tidy_series")
        >>> trace = trace_repairs([Repair("drop_duplicates"), Repair("impute_incomplete")], dataset)
        >>> trace.origins.tolist(), trace.count_changes().list_counts()
        ([1, 2], [('Rows removed: {count}', 1), ('Missing values filled: {count}', 1)])
    """
    context = pd.DataFrame(index=dataset.frame.index) if dataset.context is None else dataset.context
    numbered = copy(dataset)  # with what was computed from the same measurements, which `replace` would drop
    vars(numbered).update(
        context=context.assign(**{ROW_NUMBER: np.arange(len(dataset), dtype=float)}),
        source=dataset.source or dataset.digest,
    )
    repaired = apply_repairs(recipe, numbered)
    assert repaired.context is not None
    numbers = repaired.context[ROW_NUMBER].to_numpy()
    after = repaired.replace(
        context=None if dataset.context is None else repaired.context.drop(columns=ROW_NUMBER),
        source=repaired.source if repaired.recipe else dataset.source,
    )
    return Trace(dataset, after, np.where(np.isnan(numbers), -1, numbers).astype(np.intp))
