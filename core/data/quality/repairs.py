"""Repairs: named changes to a dataset, made in a fixed order, kept as a recipe that can be replayed on another file.

A repair looks for its fault again where it is applied, so the same recipe serves next month's file. Undoing one means
applying the recipe without it to the dataset as it was read (`Dataset.source`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, keyed
from core.data.quality import checks
from core.data.quality.checks import Cells
from core.data.quality.expectation import Expectation
from core.data.quality.findings import Repair
from core.errors import OptionError
from core.messages import N_


def apply(recipe: Iterable[Repair], dataset: Dataset) -> Dataset:
    """`dataset` after the repairs of `recipe`; it remembers them and the dataset it was made from.

    Raises OptionError for a repair that does not exist.
    """
    chosen = sorted(recipe, key=lambda repair: _known(repair))
    repaired = dataset
    for repair in chosen:
        repaired = REPAIRS[repair.kind][0](repaired, **repair.settings)
    if not chosen:
        return dataset
    return repaired.replace(recipe=(*dataset.recipe, *chosen), source=dataset.source or dataset.digest)


def _known(repair: Repair) -> int:
    if repair.kind not in REPAIRS:
        raise OptionError(
            N_("No repair {name!r}; there are: {accepted}."), name=repair.kind, accepted=", ".join(REPAIRS)
        )
    return list(REPAIRS).index(repair.kind)


def recipe_from_json(written: Any) -> tuple[Repair, ...]:
    """The repairs in a recipe file: a list of {"kind", "settings"}. Raises OptionError for anything else."""
    if not isinstance(written, list) or not all(isinstance(each, Mapping) and "kind" in each for each in written):
        raise OptionError(N_('A recipe is a list of repairs, [{{"kind": …, "settings": {{…}}}}].'))
    return tuple(Repair(str(each["kind"]), dict(each.get("settings", {}))) for each in written)


def differences(before: Dataset, after: Dataset) -> pd.DataFrame:
    """Cells that a repair changed, with the columns entity, time, column, before, after; rows added or gone as well."""
    old, new = before.frame, after.frame
    if not old.index.equals(new.index):
        old, new = (frame[~frame.index.duplicated()] for frame in (old, new))
        old, new = old.align(new, join="outer")
    else:
        old, new = old.align(new, join="outer", axis=1)
    left, right = old.to_numpy(), new.to_numpy()
    rows, columns = np.nonzero(~((left == right) | (np.isnan(left) & np.isnan(right))))
    index = old.index[rows]
    return pd.DataFrame(
        {
            "entity": index.get_level_values(0),
            "time": index.get_level_values(1),
            "column": np.asarray(old.columns)[columns],
            "before": left[rows, columns],
            "after": right[rows, columns],
        }
    )


# ---- the repairs ----------------------------------------------------------------------------------------------------


def undo_hour_shift(dataset: Dataset) -> Dataset:
    """Turn the hours of shifted rows back within their row, so that every column is the hour it says."""
    per_row, _ = checks.shifted_hours(dataset)
    values = dataset.values.copy()
    for shift in np.unique(per_row[per_row != 0]):
        rows = per_row == shift
        values[rows] = np.roll(values[rows], -shift, axis=1)
    return _with(dataset, values)


def rescale_units(dataset: Dataset) -> Dataset:
    """Divide months written in another unit (kWh for MWh) by the factor that sets them apart."""
    factor, _ = checks.scaled_months(dataset)
    return _with(dataset, dataset.values / factor[:, None])


def align_times(dataset: Dataset) -> Dataset:
    """Round moments down to the usual step."""
    if dataset.step is None:
        return dataset
    index = keyed(dataset.entity, pd.DatetimeIndex(dataset.time).floor(dataset.step))
    return _reindexed(dataset, dataset.frame.set_axis(index, axis=0))


def drop_duplicates(dataset: Dataset, keep: str = "last") -> Dataset:
    """One row per entity and time: the `first` or the `last` of the file."""
    if keep not in ("first", "last"):
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="keep",
            value=keep,
            accepted="first, last",
        )
    return dataset.rows(~dataset.frame.index.duplicated(keep=keep)) if dataset.dated else dataset


def insert_missing(dataset: Dataset) -> Dataset:
    """Add the absent moments as rows without values."""
    step = checks.row_step(dataset)
    absent = [
        (gap.entity, time)
        for gap in checks.gaps(dataset)
        for time in pd.date_range(gap.after, gap.before, freq=step, inclusive="neither")
    ]
    if not absent:
        return dataset
    rows = pd.MultiIndex.from_tuples(absent, names=["entity", "time"])
    frame = pd.concat([dataset.frame, pd.DataFrame(np.nan, index=rows, columns=dataset.frame.columns)])

    def longer(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return (
            None
            if table is None
            else (table.reset_index(drop=True).reindex(range(len(frame))).set_axis(frame.index, axis=0))
        )

    labels = (
        None
        if dataset.labels is None
        else pd.Series(np.append(dataset.labels.to_numpy(), np.zeros(len(rows), bool)), index=frame.index, name="label")
    )
    return dataset.replace(frame=frame, drivers=longer(dataset.drivers), context=longer(dataset.context), labels=labels)


def mend_outliers(dataset: Dataset) -> Dataset:
    """Replace gross outliers.

    The declared total says what is left for the cell where that is plausible, else the mean of the neighbours counts.
    """
    cells = checks.gross_outliers(dataset)
    mended = _between_neighbours(dataset, cells)
    if not dataset.profile or dataset.context is None or "total" not in dataset.context or not len(cells.rows):
        return mended
    values = mended.values
    left = _left_by_total(dataset, cells)
    near = np.isfinite(left) & (left > 0) & (left < SENSIBLE * values[cells.rows, cells.columns])
    values[cells.rows[near], cells.columns[near]] = left[near]
    return mended


SENSIBLE = 3  # what a total leaves for a cell is believed up to this many times its neighbours


def _left_by_total(dataset: Dataset, cells: Cells) -> checks.Floats:
    """Declared total minus the other columns of the row; NaN for rows with more than one cell to mend."""
    assert dataset.context is not None
    total = dataset.context["total"].to_numpy()[cells.rows]
    rows, times = np.unique(cells.rows, return_counts=True)
    several = np.isin(cells.rows, rows[times > 1])
    others = dataset.values[cells.rows].copy()
    others[np.arange(len(cells.rows)), cells.columns] = 0.0
    return np.where(several, np.nan, total - others.sum(axis=1))


def smooth_spikes(dataset: Dataset) -> Dataset:
    """Replace isolated spikes by the mean of their neighbours."""
    return _between_neighbours(dataset, checks.isolated_spikes(dataset))


def fill_clock_changes(dataset: Dataset) -> Dataset:
    """Replace the empty, collapsed and doubled hours of clock-change days by the mean of their neighbours."""
    found = [fault(dataset) for fault in (checks.zero_hours, checks.collapsed_hours, checks.double_hours)]
    return _between_neighbours(dataset, checks.joined(found))


def impute_incomplete(dataset: Dataset) -> Dataset:
    """Fill missing measurements from the entity itself.

    Its usual row of that month and kind of day is brought to the level of what the row does say.
    """
    return _with(dataset, imputed(dataset, Expectation().fit(dataset)))


def imputed(dataset: Dataset, expectation: Expectation) -> checks.Floats:
    """The measurements with gaps filled from `expectation`, never from another entity."""
    rows = np.flatnonzero(~dataset.complete)
    values = dataset.values.copy()
    if not len(rows):
        return values
    usual, _ = expectation.of(dataset.rows(rows))
    known = values[rows]
    if dataset.profile:
        with np.errstate(all="ignore"):
            level = np.nansum(known, axis=1) / np.where(np.isnan(known), 0.0, usual).sum(axis=1)
        usual = usual * np.where(np.isfinite(level) & (level > 0), level, 1.0)[:, None]
    values[rows] = np.where(np.isnan(known), usual, known)
    return values


def drop_incomplete(dataset: Dataset) -> Dataset:
    """Leave out rows with a missing measurement."""
    return dataset.rows(dataset.complete)


def recompute_totals(dataset: Dataset) -> Dataset:
    """Set the declared total of contradicting rows to the sum of their columns."""
    rows = checks.contradicting_totals(dataset)
    if dataset.context is None or not len(rows):
        return dataset
    total = dataset.context["total"].to_numpy(copy=True)
    total[rows] = dataset.values[rows].sum(axis=1)
    return dataset.replace(context=dataset.context.assign(total=total))


def drop_constant(dataset: Dataset) -> Dataset:
    """Leave out measurements that never change; never the last one, never an hour of a profile."""
    if dataset.profile:
        return dataset
    changing = [column for column in dataset.columns if dataset.frame[column].nunique() > 1]
    return dataset.replace(frame=dataset.frame[changing or dataset.columns[:1]])


def _between_neighbours(dataset: Dataset, cells: Cells) -> Dataset:
    """Cells replaced by the mean of the nearest sound values before and after them."""
    values = dataset.values.copy()
    values[cells.rows, cells.columns] = np.nan
    if dataset.profile:
        rows = np.unique(cells.rows)
        filled = pd.DataFrame(values[rows]).interpolate(axis=1, limit_direction="both").to_numpy()
        place = np.searchsorted(rows, cells.rows)
        values[cells.rows, cells.columns] = filled[place, cells.columns]
    elif len(cells.rows):
        order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
        sound = pd.DataFrame(values[order]).groupby(dataset.entity_codes[order])
        filled = np.empty_like(values)
        filled[order] = sound.transform(lambda column: column.interpolate(limit_direction="both")).to_numpy()
        values[cells.rows, cells.columns] = filled[cells.rows, cells.columns]
    return _with(dataset, values)


def _with(dataset: Dataset, values: checks.Floats) -> Dataset:
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.frame.columns, copy=False)
    return dataset.replace(frame=frame)


def _reindexed(dataset: Dataset, frame: pd.DataFrame) -> Dataset:
    """`frame` has the same rows under a new index; drivers, context and labels follow."""

    def follow(table: "pd.DataFrame | pd.Series | None") -> "pd.DataFrame | pd.Series | None":
        return None if table is None else table.set_axis(frame.index, axis=0)

    return dataset.replace(
        frame=frame, drivers=follow(dataset.drivers), context=follow(dataset.context), labels=follow(dataset.labels)
    )


Change = Callable[..., Dataset]

REPAIRS: dict[str, tuple[Change, str]] = {
    "align_times": (align_times, N_("Round times down to the usual step")),
    "drop_duplicates": (drop_duplicates, N_("Keep one row per entity and time")),
    "rescale_units": (rescale_units, N_("Bring all months to the same unit")),
    "undo_hour_shift": (undo_hour_shift, N_("Move shifted hours back")),
    "mend_outliers": (mend_outliers, N_("Replace outliers (total, neighbours)")),
    "smooth_spikes": (smooth_spikes, N_("Replace spikes using neighbours")),
    "fill_clock_changes": (fill_clock_changes, N_("Fill clock changes from neighbours")),
    "insert_missing": (insert_missing, N_("Add rows for missing moments")),
    "impute_incomplete": (impute_incomplete, N_("Fill from the entity's usual day")),
    "drop_incomplete": (drop_incomplete, N_("Leave incomplete rows out")),
    "recompute_totals": (recompute_totals, N_("Set the total to the sum")),
    "drop_constant": (drop_constant, N_("Leave constant columns out")),
}
"""Kind → (change, what the user reads), in the order in which they are made."""
