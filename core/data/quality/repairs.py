"""Repairs: named changes to a dataset in a fixed order, stored as a recipe that applies to other files too.

A repair searches for its issue again each time it is applied, so the same recipe serves next month's file. To undo a
repair, apply the recipe without it to the dataset as it was read (`Dataset.source`).
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import Dataset, make_index
from core.data.quality import checks, row_keys
from core.data.quality.baseline import GroupMedian
from core.data.quality.checks import CellIndex
from core.data.quality.cleaned_columns import clean_columns
from core.data.quality.fills import append_rows, fill_cells, impute, interpolate_cells, replace_values
from core.data.quality.findings import Repair
from core.data.quality.runs import find_stuck_values, find_unexpected_zeros
from core.data.quality.sentinels import find_sentinels
from core.data.quality.spikes import find_spikes_and_dips
from core.data.time_zones import drop_skipped_hours
from core.errors import OptionError
from core.messages import N_, Message


def apply_repairs(recipe: Iterable[Repair], dataset: Dataset) -> Dataset:
    """Return `dataset` after the repairs of `recipe`, in the order of `REPAIRS`.

    The result stores the recipe and the digest of the original dataset. Raises OptionError for an unknown repair.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 3, pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-03"]))
        >>> dataset = Dataset(pd.DataFrame({"gas": [1.0, 2.0, 6.0]}, index), "tidy_series", step=pd.Timedelta(days=1))
        >>> repaired = apply_repairs([Repair("insert_missing"), Repair("drop_duplicates", {"keep": "first"})], dataset)
        >>> repaired.frame["gas"].tolist()
        [1.0, 6.0, nan]
        >>> [repair.kind for repair in repaired.recipe]
        ['drop_duplicates', 'insert_missing']
    """
    ordered_repairs = sorted(recipe, key=lambda repair: _find_position(repair))
    repaired = dataset
    for repair in ordered_repairs:
        repaired = REPAIRS[repair.kind][0](repaired, **repair.settings)
    if not ordered_repairs:
        return dataset
    return repaired.replace(recipe=(*dataset.recipe, *ordered_repairs), source=dataset.source or dataset.digest)


def _find_position(repair: Repair) -> int:
    """Return the position of `repair` in `REPAIRS`; raise OptionError for an unknown one."""
    if repair.kind not in REPAIRS:
        raise OptionError(
            N_("The repair {name!r} does not exist. Available repairs: {accepted}."),
            name=repair.kind,
            accepted=", ".join(REPAIRS),
        )
    return list(REPAIRS).index(repair.kind)


def diff_datasets(before: Dataset, after: Dataset) -> pd.DataFrame:
    """Return the cells that differ, also of added and dropped rows.

    The columns of the result are entity, time, column, before, after.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> before = Dataset(pd.DataFrame({"gas": [5.0, float("nan"), 7.0]}, index), "tidy_series")
        >>> diff_datasets(before, impute_incomplete(before))[["column", "before", "after"]].values.tolist()
        [['gas', nan, 6.0]]
    """
    old, new = before.frame, after.frame
    if not old.index.equals(new.index):
        old, new = (frame[~frame.index.duplicated()] for frame in (old, new))
        old, new = old.align(new, join="outer")
    else:
        old, new = old.align(new, join="outer", axis=1)
    old_values, new_values = old.to_numpy(), new.to_numpy()
    rows, columns = np.nonzero(~((old_values == new_values) | (np.isnan(old_values) & np.isnan(new_values))))
    index = old.index[rows]
    return pd.DataFrame(
        {
            "entity": index.get_level_values(0),
            "time": index.get_level_values(1),
            "column": np.asarray(old.columns)[columns],
            "before": old_values[rows, columns],
            "after": new_values[rows, columns],
        }
    )


# ---- the repairs ----------------------------------------------------------------------------------------------------


def undo_hour_shift(dataset: Dataset) -> Dataset:
    """Rotate the hours of shifted rows back, so that every column holds the hour of its name."""
    per_row, _ = checks.find_shifted_hours(dataset)
    values = dataset.values.copy()
    for shift in np.unique(per_row[per_row != 0]):
        rows = per_row == shift
        values[rows] = np.roll(values[rows], -shift, axis=1)
    return replace_values(dataset, values)


def rescale_units(dataset: Dataset) -> Dataset:
    """Divide the values of months in another unit (kWh instead of MWh) by their factor."""
    factor, _ = checks.find_scaled_months(dataset)
    return replace_values(dataset, dataset.values / factor[:, None])


def align_times(dataset: Dataset) -> Dataset:
    """Round timestamps down to the usual step of the entity.

    Example:
        >>> import pandas as pd
        >>> times = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:03", "2024-01-01 02:00"])
        >>> dataset = Dataset(pd.DataFrame({"load": 1.0}, make_index(["north"] * 3, times)), "tidy_series")
        >>> align_times(dataset.replace(step=pd.Timedelta(hours=1))).time[1]
        Timestamp('2024-01-01 01:00:00')
    """
    if dataset.step is None:
        return dataset
    remainders = pd.to_timedelta(row_keys.compute_step_remainders(dataset), unit="ns")
    index = make_index(dataset.entity, pd.DatetimeIndex(dataset.time) - remainders)
    return dataset.with_index(index)


def drop_duplicates(dataset: Dataset, keep: str = "last") -> Dataset:
    """Keep one row per entity and timestamp: the first or the last of the file.

    Raises OptionError for another value of `keep`.
    """
    if keep not in ("first", "last"):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="keep",
            value=keep,
            accepted="first, last",
        )
    return dataset.take_rows(~dataset.mark_duplicates("last" if keep == "last" else "first"))


def insert_missing(dataset: Dataset) -> Dataset:
    """Insert absent timestamps as rows of missing values.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 2, pd.to_datetime(["2024-01-01", "2024-01-03"]))
        >>> dataset = Dataset(pd.DataFrame({"gas": [1.0, 3.0]}, index), "tidy_series", step=pd.Timedelta(days=1))
        >>> insert_missing(dataset).values.ravel().tolist()
        [1.0, 3.0, nan]
    """
    step = checks.get_row_step(dataset)
    missing_keys = [
        (gap.entity, time)
        for gap in checks.find_gaps(dataset)
        for time in drop_skipped_hours(
            pd.date_range(gap.after, gap.before, freq=step, inclusive="neither"), dataset.zone
        )
    ]
    if not missing_keys:
        return dataset
    return append_rows(dataset, pd.MultiIndex.from_tuples(missing_keys, names=["entity", "time"]))


def mend_outliers(dataset: Dataset) -> Dataset:
    """Replace gross outliers by the mean of their neighbours, or by the residual of the declared total.

    The residual is used for the only outlier of a row, if it is positive and below `MAX_RESIDUAL_RATIO` times that
    mean.
    """
    cells = checks.find_gross_outliers(dataset)
    repaired = interpolate_cells(dataset, cells)
    if not dataset.profile or dataset.context is None or "total" not in dataset.context or not len(cells.rows):
        return repaired
    values = repaired.values
    residual = _compute_total_residual(dataset, cells)
    is_plausible = (
        np.isfinite(residual) & (residual > 0) & (residual < MAX_RESIDUAL_RATIO * values[cells.rows, cells.columns])
    )
    values[cells.rows[is_plausible], cells.columns[is_plausible]] = residual[is_plausible]
    return repaired


MAX_RESIDUAL_RATIO = 3  # times the mean of the neighbours below which the residual of a total is plausible


def _compute_total_residual(dataset: Dataset, cells: CellIndex) -> Floats:
    """Return the declared total minus the other columns; NaN for rows with several of `cells`."""
    assert dataset.context is not None
    total = dataset.context["total"].to_numpy()[cells.rows]
    rows, cell_counts = np.unique(cells.rows, return_counts=True)
    has_several_cells = np.isin(cells.rows, rows[cell_counts > 1])
    other_columns = dataset.values[cells.rows].copy()
    other_columns[np.arange(len(cells.rows)), cells.columns] = 0.0
    return np.where(has_several_cells, np.nan, total - other_columns.sum(axis=1))


def smooth_spikes(dataset: Dataset) -> Dataset:
    """Replace isolated spikes by the mean of their neighbours.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 5, pd.date_range("2024-01-01", periods=5))
        >>> dataset = Dataset(pd.DataFrame({"gas": [10.0, 12.0, 99.0, 14.0, 11.0]}, index), "tidy_series")
        >>> smooth_spikes(dataset).values.ravel().tolist()
        [10.0, 12.0, 13.0, 14.0, 11.0]
    """
    return interpolate_cells(dataset, checks.find_isolated_spikes(dataset))


def fill_clock_changes(dataset: Dataset) -> Dataset:
    """Replace the empty, collapsed and doubled hours of clock-change days by the mean of their neighbours."""
    cells = [
        check(dataset) for check in (checks.find_zero_hours, checks.find_collapsed_hours, checks.find_double_hours)
    ]
    return interpolate_cells(dataset, checks.concat_cells(cells))


def impute_incomplete(dataset: Dataset) -> Dataset:
    """Impute missing measurements from the median row of the entity, for the same month and kind of day.

    The median row of a profile is scaled to the level of the known hours.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> dataset = Dataset(pd.DataFrame({"gas": [5.0, float("nan"), 9.0]}, index), "tidy_series")
        >>> impute_incomplete(dataset).values.ravel().tolist()
        [5.0, 7.0, 9.0]
    """
    return replace_values(dataset, impute(dataset, GroupMedian().fit(dataset)))


def drop_incomplete(dataset: Dataset) -> Dataset:
    """Drop rows with a missing measurement.

    Example:
        >>> import pandas as pd
        >>> index = make_index(["north"] * 2, pd.date_range("2024-01-01", periods=2))
        >>> len(drop_incomplete(Dataset(pd.DataFrame({"gas": [1.0, float("nan")]}, index), "tidy_series")))
        1
    """
    return dataset.take_rows(dataset.is_complete)


def recompute_totals(dataset: Dataset) -> Dataset:
    """Set the declared total of contradicting rows to the sum of their columns."""
    rows = checks.find_contradicting_totals(dataset)
    if dataset.context is None or not len(rows):
        return dataset
    total = dataset.context["total"].to_numpy(copy=True)
    total[rows] = dataset.values[rows].sum(axis=1)
    return dataset.replace(context=dataset.context.assign(total=total))


def drop_constant(dataset: Dataset) -> Dataset:
    """Drop constant measurements of a series.

    One column is kept if all are constant. A profile is returned unchanged.
    """
    if dataset.profile:
        return dataset
    changing = [column for column in dataset.columns if dataset.frame[column].nunique() > 1]
    return dataset.replace(frame=dataset.frame[changing or dataset.columns[:1]])


def clear_sentinels(dataset: Dataset) -> Dataset:
    """Replace −999, 9999 and other placeholders by missing values."""
    return fill_cells(dataset, find_sentinels(dataset), "missing")


def mend_zeros(dataset: Dataset, fill: str = "missing") -> Dataset:
    """Replace unexpected zeros; `fill` as for `fill_cells`."""
    return fill_cells(dataset, find_unexpected_zeros(dataset), fill)


def mend_stuck_values(dataset: Dataset, fill: str = "missing") -> Dataset:
    """Replace stuck values; `fill` as for `fill_cells`."""
    return fill_cells(dataset, find_stuck_values(dataset), fill)


def mend_spikes_and_dips(dataset: Dataset, fill: str = "missing") -> Dataset:
    """Replace spikes and dips; `fill` as for `fill_cells`."""
    return fill_cells(dataset, find_spikes_and_dips(dataset), fill)


RepairFunction = Callable[..., Dataset]

REPAIRS: dict[str, tuple[RepairFunction, str]] = {
    "clear_sentinels": (clear_sentinels, N_("Replace placeholder numbers by missing values")),
    "align_times": (align_times, N_("Round timestamps down to the usual time step")),
    "drop_duplicates": (drop_duplicates, N_("Keep one row per entity and timestamp")),
    "rescale_units": (rescale_units, N_("Convert all months to the same unit")),
    "undo_hour_shift": (undo_hour_shift, N_("Move shifted hours back")),
    "mend_outliers": (mend_outliers, N_("Replace outliers (using the total or neighbours)")),
    "smooth_spikes": (smooth_spikes, N_("Replace spikes by the mean of their neighbours")),
    "fill_clock_changes": (fill_clock_changes, N_("Replace the hours of clock changes, using their neighbours")),
    "mend_zeros": (mend_zeros, N_("Replace unexpected zeros")),
    "mend_stuck_values": (mend_stuck_values, N_("Replace stuck values")),
    "mend_spikes_and_dips": (mend_spikes_and_dips, N_("Replace spikes and dips")),
    "clean_columns": (clean_columns, N_("Replace spikes and fill holes")),
    "insert_missing": (insert_missing, N_("Add rows for missing timestamps")),
    "impute_incomplete": (impute_incomplete, N_("Fill missing values from the usual day of the entity")),
    "drop_incomplete": (drop_incomplete, N_("Remove incomplete rows")),
    "recompute_totals": (recompute_totals, N_("Replace the declared total by the sum")),
    "drop_constant": (drop_constant, N_("Remove constant columns")),
}
"""Kind → (function, label), in the order of application."""

SETTING_WORDS = {
    "last": N_("the last"),
    "first": N_("the first"),
    "missing": N_("by missing values"),
    "neighbours": N_("from the values before and after"),
    "usual_day": N_("from the usual day of the entity"),
}


def describe_repair(repair: Repair) -> Message:
    """Return the label of a repair with its settings.

    Example:
        >>> str(describe_repair(Repair("drop_duplicates", {"keep": "last"})))
        'Keep one row per entity and timestamp (the last)'
    """
    label = Message(REPAIRS[repair.kind][1])
    for value in repair.settings.values():
        label = Message("{label} ({setting})", {"label": label, "setting": _describe_setting(value)})
    return label


def _describe_setting(value: object) -> object:
    """Return a setting of a repair as a value of a message: a word, a number, or names."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return Message(SETTING_WORDS[value]) if isinstance(value, str) and value in SETTING_WORDS else value
