"""Repairs: named changes to a dataset in a fixed order, stored as a recipe that applies to other files too.

A repair searches for its issue again each time it is applied, so the same recipe serves next month's file. To undo a
repair, apply the recipe without it to the dataset as it was read (`Dataset.source`).
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
    """Return `dataset` after the repairs of `recipe`, in the order of `REPAIRS`.

    The result stores the recipe and the digest of the original dataset. Raises OptionError for an unknown repair.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 3, pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-03"]))
        >>> dataset = Dataset(pd.DataFrame({"gas": [1.0, 2.0, 6.0]}, index), "tidy_series", step=pd.Timedelta(days=1))
        >>> repaired = apply([Repair("insert_missing"), Repair("drop_duplicates", {"keep": "first"})], dataset)
        >>> repaired.frame["gas"].tolist()
        [1.0, 6.0, nan]
        >>> [repair.kind for repair in repaired.recipe]
        ['drop_duplicates', 'insert_missing']
    """
    chosen = sorted(recipe, key=lambda repair: _known(repair))
    repaired = dataset
    for repair in chosen:
        repaired = REPAIRS[repair.kind][0](repaired, **repair.settings)
    if not chosen:
        return dataset
    return repaired.replace(recipe=(*dataset.recipe, *chosen), source=dataset.source or dataset.digest)


def _known(repair: Repair) -> int:
    """Return the position of `repair` in `REPAIRS`; raise OptionError for an unknown one."""
    if repair.kind not in REPAIRS:
        raise OptionError(
            N_("No repair {name!r}; there are: {accepted}."), name=repair.kind, accepted=", ".join(REPAIRS)
        )
    return list(REPAIRS).index(repair.kind)


def recipe_from_json(written: Any) -> tuple[Repair, ...]:
    """Return the repairs of a recipe file: a list of {"kind", "settings"}.

    Raises OptionError for anything else.

    Example:
        >>> recipe_from_json([{"kind": "drop_duplicates", "settings": {"keep": "last"}}])
        (Repair(kind='drop_duplicates', settings={'keep': 'last'}),)
    """
    if not isinstance(written, list) or not all(isinstance(each, Mapping) and "kind" in each for each in written):
        raise OptionError(N_('A recipe is a list of repairs, [{{"kind": …, "settings": {{…}}}}].'))
    return tuple(Repair(str(each["kind"]), dict(each.get("settings", {}))) for each in written)


def differences(before: Dataset, after: Dataset) -> pd.DataFrame:
    """Return the cells that differ, also of added and dropped rows.

    The columns of the result are entity, time, column, before, after.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> before = Dataset(pd.DataFrame({"gas": [5.0, float("nan"), 7.0]}, index), "tidy_series")
        >>> differences(before, impute_incomplete(before))[["column", "before", "after"]].values.tolist()
        [['gas', nan, 6.0]]
    """
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
    """Rotate the hours of shifted rows back, so that every column holds the hour of its name."""
    per_row, _ = checks.shifted_hours(dataset)
    values = dataset.values.copy()
    for shift in np.unique(per_row[per_row != 0]):
        rows = per_row == shift
        values[rows] = np.roll(values[rows], -shift, axis=1)
    return _with(dataset, values)


def rescale_units(dataset: Dataset) -> Dataset:
    """Divide the values of months in another unit (kWh instead of MWh) by their factor."""
    factor, _ = checks.scaled_months(dataset)
    return _with(dataset, dataset.values / factor[:, None])


def align_times(dataset: Dataset) -> Dataset:
    """Round timestamps down to the usual step.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 2, pd.to_datetime(["2024-01-01 00:00", "2024-01-01 01:03"]))
        >>> dataset = Dataset(pd.DataFrame({"load": [1.0, 2.0]}, index), "tidy_series", step=pd.Timedelta(hours=1))
        >>> align_times(dataset).time[1]
        Timestamp('2024-01-01 01:00:00')
    """
    if dataset.step is None:
        return dataset
    index = keyed(dataset.entity, pd.DatetimeIndex(dataset.time).floor(dataset.step))
    return _reindexed(dataset, dataset.frame.set_axis(index, axis=0))


def drop_duplicates(dataset: Dataset, keep: str = "last") -> Dataset:
    """Keep one row per entity and timestamp: the first or the last of the file.

    Raises OptionError for another value of `keep`.
    """
    if keep not in ("first", "last"):
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="keep",
            value=keep,
            accepted="first, last",
        )
    return dataset.rows(~dataset.frame.index.duplicated(keep=keep)) if dataset.dated else dataset


def insert_missing(dataset: Dataset) -> Dataset:
    """Insert absent timestamps as rows of missing values.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 2, pd.to_datetime(["2024-01-01", "2024-01-03"]))
        >>> dataset = Dataset(pd.DataFrame({"gas": [1.0, 3.0]}, index), "tidy_series", step=pd.Timedelta(days=1))
        >>> insert_missing(dataset).values.ravel().tolist()
        [1.0, 3.0, nan]
    """
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
    """Replace gross outliers by the mean of their neighbours, or by the residual of the declared total.

    The residual is used for the only outlier of a row, if it is positive and below `SENSIBLE` times that mean.
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


SENSIBLE = 3  # times the mean of the neighbours below which the residual of a total is plausible


def _left_by_total(dataset: Dataset, cells: Cells) -> checks.Floats:
    """Return the declared total minus the other columns; NaN for rows with several of `cells`."""
    assert dataset.context is not None
    total = dataset.context["total"].to_numpy()[cells.rows]
    rows, times = np.unique(cells.rows, return_counts=True)
    several = np.isin(cells.rows, rows[times > 1])
    others = dataset.values[cells.rows].copy()
    others[np.arange(len(cells.rows)), cells.columns] = 0.0
    return np.where(several, np.nan, total - others.sum(axis=1))


def smooth_spikes(dataset: Dataset) -> Dataset:
    """Replace isolated spikes by the mean of their neighbours.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 5, pd.date_range("2024-01-01", periods=5))
        >>> dataset = Dataset(pd.DataFrame({"gas": [10.0, 12.0, 99.0, 14.0, 11.0]}, index), "tidy_series")
        >>> smooth_spikes(dataset).values.ravel().tolist()
        [10.0, 12.0, 13.0, 14.0, 11.0]
    """
    return _between_neighbours(dataset, checks.isolated_spikes(dataset))


def fill_clock_changes(dataset: Dataset) -> Dataset:
    """Replace the empty, collapsed and doubled hours of clock-change days by the mean of their neighbours."""
    found = [fault(dataset) for fault in (checks.zero_hours, checks.collapsed_hours, checks.double_hours)]
    return _between_neighbours(dataset, checks.joined(found))


def impute_incomplete(dataset: Dataset) -> Dataset:
    """Impute missing measurements from the median row of the entity, for the same month and kind of day.

    The median row of a profile is scaled to the level of the known hours.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 3, pd.date_range("2024-01-01", periods=3))
        >>> dataset = Dataset(pd.DataFrame({"gas": [5.0, float("nan"), 9.0]}, index), "tidy_series")
        >>> impute_incomplete(dataset).values.ravel().tolist()
        [5.0, 7.0, 9.0]
    """
    return _with(dataset, imputed(dataset, Expectation().fit(dataset)))


def imputed(dataset: Dataset, expectation: Expectation) -> checks.Floats:
    """Return the measurements with missing values imputed from `expectation`, never from another entity."""
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
    """Drop rows with a missing measurement.

    Example:
        >>> import pandas as pd
        >>> index = keyed(["north"] * 2, pd.date_range("2024-01-01", periods=2))
        >>> len(drop_incomplete(Dataset(pd.DataFrame({"gas": [1.0, float("nan")]}, index), "tidy_series")))
        1
    """
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
    """Drop constant measurements of a series.

    One column is kept if all are constant. A profile is returned unchanged.
    """
    if dataset.profile:
        return dataset
    changing = [column for column in dataset.columns if dataset.frame[column].nunique() > 1]
    return dataset.replace(frame=dataset.frame[changing or dataset.columns[:1]])


def _between_neighbours(dataset: Dataset, cells: Cells) -> Dataset:
    """Replace cells by interpolation between the nearest valid values before and after them."""
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
    """Return `dataset` with `frame`, the same rows under a new index.

    Covariates, context and labels get this index too.
    """

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
"""Kind → (function, label), in the order of application."""
