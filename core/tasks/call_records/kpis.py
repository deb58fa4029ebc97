"""KPIs of call counts: per trunk or of all trunks together, at a coarser step of time."""

import numpy as np
import pandas as pd

from core.data.cleaning import is_cleaned, name_columns
from core.data.dataset import Dataset

COUNTS = ("answered", "null_duration", "total")
ERLANG, CCR, CAUSE_PREFIX = "erlang", "ccr", "ko_"
ALL = "all"


def has_call_counts(dataset: Dataset) -> bool:
    """Tell whether `dataset` holds call counts, as an import makes them."""
    return dataset.has_dates and not dataset.profile and set(COUNTS) <= set(dataset.columns)


def list_causes(dataset: Dataset) -> list[str]:
    """Return the columns of KO calls by group of causes."""
    return [name for name in dataset.columns if name.startswith(CAUSE_PREFIX)]


def sum_counts(
    dataset: Dataset, length: pd.Timedelta | None = None, trunks: tuple[str, ...] = (), per_trunk: bool = False
) -> pd.DataFrame:
    """Return the KPIs per interval of `length` (None: as they are) and trunk, with the columns of the counts.

    Counts are summed. Erlang is summed over trunks and averaged over time. CCR is computed again from the calls, and is
    NaN without attempts. Cleaned columns are replaced by their original values. `trunks` selects some of them, "all"
    stands for their sum. The clock is that of the dataset.

    Example:
        >>> from core.data.dataset import make_index
        >>> times = pd.to_datetime(["2020-08-30 22:30", "2020-08-30 22:45"])
        >>> calls = {"answered": [9.0, 0.0], "null_duration": [1.0, 0.0], "total": [10.0, 0.0], "erlang": [2.0, 1.0]}
        >>> dataset = Dataset(pd.DataFrame(calls, make_index(["T1", "T1"], times)), "tidy_series")
        >>> sum_counts(dataset, pd.Timedelta("1h"))[["total", "erlang", "ccr"]].values.tolist()
        [[10.0, 1.5, 0.9]]
    """
    columns = [*COUNTS, *([ERLANG] if ERLANG in dataset.columns else []), *list_causes(dataset)]
    table = _read_originals(dataset, columns).reset_index()
    table["entity"] = table["entity"].astype(str)
    if trunks:
        table = table[table["entity"].isin(trunks)]
    if not per_trunk:
        table = table.drop(columns="entity").groupby("time", as_index=False).sum(min_count=1).assign(entity=ALL)
    if length is not None:
        table["time"] = pd.DatetimeIndex(table["time"]).floor(length)
    groups = table.groupby(["entity", "time"])
    kpis = groups[columns].sum(min_count=1)
    if ERLANG in columns:
        kpis[ERLANG] = groups[ERLANG].mean()
    kpis[CCR] = _divide(kpis["answered"], kpis["total"])
    return kpis.reset_index()


def summarise_trunks(dataset: Dataset) -> pd.DataFrame:
    """Return one row per trunk, most calls first: trunk, counts, CCR, mean and peak Erlang, silent intervals, cause.

    `silent` is the number of intervals without a call, `cause` the most frequent group of causes ("" without KO calls).
    """
    kpis = sum_counts(dataset, per_trunk=True)
    groups = kpis.groupby("entity")
    table = groups[list(COUNTS)].sum()
    table[CCR] = _divide(table["answered"], table["total"])
    if ERLANG in kpis:
        table["mean_erlang"], table["peak_erlang"] = groups[ERLANG].mean(), groups[ERLANG].max()
    table["silent"] = (kpis["total"] == 0).groupby(kpis["entity"]).sum()
    causes = list_causes(dataset)
    if causes:
        by_cause = groups[causes].sum()
        names = by_cause.idxmax(axis=1).str.removeprefix(CAUSE_PREFIX).str.replace("_", " ")
        table["cause"] = names.where(by_cause.max(axis=1) > 0, "")
    return table.sort_values("total", ascending=False, kind="stable").reset_index(names="trunk")


def _read_originals(dataset: Dataset, columns: list[str]) -> pd.DataFrame:
    """Return columns of `dataset`, the cleaned ones with their original values."""
    frame = dataset.frame[columns]
    originals = {
        name: dataset.context[name_columns(name)[0]]
        for name in columns
        if dataset.context is not None and is_cleaned(dataset, name)
    }
    return frame.assign(**originals)


def _divide(answered: pd.Series, total: pd.Series) -> pd.Series:
    """Return the call completion ratio; NaN where there is no attempt."""
    return answered.div(total.where(total > 0, np.nan))
