"""Values for cells of a dataset: missing, from the neighbours in time, or from the usual day of the entity."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality.baseline import GroupMedian
from core.data.quality.checks import CellIndex, concat_cells
from core.errors import OptionError
from core.messages import N_

FILLS = ("missing", "neighbours", "usual_day")


def fill_cells(dataset: Dataset, cells: CellIndex, fill: str) -> Dataset:
    """Replace cells by missing values, by their neighbours in time, or by the usual day of the entity.

    Raises OptionError for another value of `fill`.

    Example:
        >>> from core.data.dataset import make_index
        >>> index = make_index(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> dataset = Dataset(pd.DataFrame({"gas": [10.0, 0.0, 14.0]}, index), "tidy_series")
        >>> cells = CellIndex(np.array([1]), np.array([0]))
        >>> [fill_cells(dataset, cells, fill).values[1, 0].item() for fill in FILLS]
        [nan, 12.0, 12.0]
    """
    if fill not in FILLS:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="fill",
            value=fill,
            accepted=", ".join(FILLS),
        )
    if fill == "neighbours":
        return interpolate_cells(dataset, cells)
    values = dataset.values.copy()
    values[cells.rows, cells.columns] = np.nan
    cleared = replace_values(dataset, values)
    if fill == "missing" or not len(cells.rows):
        return cleared
    filled = values.copy()
    filled[cells.rows, cells.columns] = impute(cleared, GroupMedian().fit(cleared))[cells.rows, cells.columns]
    return replace_values(dataset, filled)


def find_other_cells(
    dataset: Dataset, find_cells: Callable[[Dataset], CellIndex], *find_reported: Callable[[Dataset], CellIndex]
) -> CellIndex:
    """Return the cells that `find_cells` finds where the cells of other checks, already reported, are missing.

    The other checks run only if there is something to find.
    """
    cells = find_cells(dataset)
    if not len(cells.rows):
        return cells
    reported = concat_cells([find(dataset) for find in find_reported])
    return find_cells(fill_cells(dataset, reported, "missing")) if len(reported.rows) else cells


def impute(dataset: Dataset, expectation: GroupMedian) -> Floats:
    """Return the measurements with missing values imputed from `expectation`, never from another entity."""
    rows = np.flatnonzero(~dataset.is_complete)
    values = dataset.values.copy()
    if not len(rows):
        return values
    expected, _ = expectation.predict(dataset.take_rows(rows))
    measured = values[rows]
    if dataset.profile:
        with np.errstate(all="ignore"):
            level = np.nansum(measured, axis=1) / np.where(np.isnan(measured), 0.0, expected).sum(axis=1)
        expected = expected * np.where(np.isfinite(level) & (level > 0), level, 1.0)[:, None]
    values[rows] = np.where(np.isnan(measured), expected, measured)
    return values


def interpolate_cells(dataset: Dataset, cells: CellIndex) -> Dataset:
    """Replace cells by interpolation between the nearest valid values before and after them."""
    values = dataset.values.copy()
    values[cells.rows, cells.columns] = np.nan
    if dataset.profile:
        rows = np.unique(cells.rows)
        filled = pd.DataFrame(values[rows]).interpolate(axis=1, limit_direction="both").to_numpy()
        row_positions = np.searchsorted(rows, cells.rows)
        values[cells.rows, cells.columns] = filled[row_positions, cells.columns]
    elif len(cells.rows):
        order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
        grouped = pd.DataFrame(values[order]).groupby(dataset.entity_codes[order])
        filled = np.empty_like(values)
        filled[order] = grouped.transform(lambda column: column.interpolate(limit_direction="both")).to_numpy()
        values[cells.rows, cells.columns] = filled[cells.rows, cells.columns]
    return replace_values(dataset, values)


def replace_values(dataset: Dataset, values: Floats) -> Dataset:
    """Return `dataset` with other measurements, shape (rows, columns)."""
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.frame.columns, copy=False)
    return dataset.replace(frame=frame)


def append_rows(dataset: Dataset, rows: pd.MultiIndex, is_second_pass: NDArray[np.bool_] | None = None) -> Dataset:
    """Append rows of missing values with the index `rows`; some may be in the second pass of a repeated hour."""
    frame = pd.concat([dataset.frame, pd.DataFrame(np.nan, index=rows, columns=dataset.frame.columns)])
    new_pass = np.zeros(len(rows), dtype=bool) if is_second_pass is None else is_second_pass

    def extend_table(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return (
            None
            if table is None
            else (table.reset_index(drop=True).reindex(range(len(frame))).set_axis(frame.index, axis=0))
        )

    def extend_mask(mask: NDArray[np.bool_], new: NDArray[np.bool_], name: object) -> pd.Series:
        return pd.Series(np.append(mask, new), index=frame.index, name=name)

    labels, has_fold = dataset.labels, dataset.fold is not None or new_pass.any()
    return dataset.replace(
        frame=frame,
        covariates=extend_table(dataset.covariates),
        context=extend_table(dataset.context),
        labels=None if labels is None else extend_mask(labels.to_numpy(), np.zeros(len(rows), bool), labels.name),
        fold=extend_mask(dataset.is_second_pass, new_pass, "fold") if has_fold else None,
    )
