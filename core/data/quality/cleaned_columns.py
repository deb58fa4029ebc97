"""Cleaning of the columns of a dataset: spikes and holes replaced, the original values and the marks in the context."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.cleaning import SHORT_GAP_STEPS, CleanedSeries, clean_series, name_columns
from core.data.dataset import DAY, Dataset, make_index
from core.data.quality.fills import append_rows
from core.data.quality.row_keys import compute_step_remainders
from core.data.regular_series import RegularSeries
from core.data.time_zones import to_local_times
from core.errors import DataError
from core.messages import N_


def can_clean(dataset: Dataset) -> bool:
    """Tell whether `dataset` has series at even steps below a day, with one row per entity and timestamp."""
    return (
        not dataset.profile
        and dataset.has_dates
        and dataset.step is not None
        and dataset.step < DAY
        and not dataset.mark_duplicates().any()
        and not compute_step_remainders(dataset).any()
    )


def clean_columns(
    dataset: Dataset,
    columns: Sequence[str] = (),
    spike_window: int = 5,
    spike_threshold: float | None = None,
    fill_from: str = "previous-week",
    short_gap_steps: int = SHORT_GAP_STEPS,
    silent_days: str = "missing",
) -> Dataset:
    """Replace spikes and fill holes of `columns`, by default of all; the context holds originals and marks.

    The options are those of `clean_series`. Rows are added for the timestamps that get a value. A column that was
    cleaned before is cleaned again from its original values. Raises DataError for daily profiles and for data that
    are no regular series.

    Example:
        >>> index = make_index(["all"] * 7, pd.date_range("2020-08-31", periods=7, freq="15min"))
        >>> frame = pd.DataFrame({"total": [10.0, 11.0, 10.0, 12.0, 90.0, 10.0, 11.0]}, index)
        >>> cleaned = clean_columns(Dataset(frame, "tidy_series", step=pd.Timedelta("15min")), spike_threshold=50)
        >>> cleaned.frame["total"].tolist()
        [10.0, 11.0, 10.0, 12.0, 11.0, 10.0, 11.0]
        >>> cleaned.context["total_original"].tolist()
        [10.0, 11.0, 10.0, 12.0, 90.0, 10.0, 11.0]
    """
    if dataset.profile:
        raise DataError(
            N_("{file} holds daily profiles. Only series with one row per timestamp can be cleaned."),
            file=", ".join(dataset.files) or "?",
        )
    cleaned_columns = {
        column: clean_series(
            CleanedSeries.from_dataset(dataset, column).original,
            spike_window,
            spike_threshold,
            fill_from,
            short_gap_steps,
            silent_days,
        )
        for column in columns or dataset.columns
    }
    for cleaned in cleaned_columns.values():
        dataset = _add_imputed_rows(dataset, cleaned)
    for column, cleaned in cleaned_columns.items():
        dataset = _write_column(dataset, column, cleaned)
    return dataset


def _locate_rows(dataset: Dataset, series: RegularSeries) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the step and the entity of `series` for every row of `dataset`."""
    steps = (dataset.compute_instants() - series.times[0]) // series.step
    return np.asarray(steps, dtype=np.intp), dataset.entity_codes


def _add_imputed_rows(dataset: Dataset, cleaned: CleanedSeries) -> Dataset:
    """Add the rows of the imputed values that have none."""
    series = cleaned.original
    has_row = np.zeros(series.values.shape, dtype=bool)
    has_row[_locate_rows(dataset, series)] = True
    steps, entities = np.nonzero(cleaned.is_imputed & ~has_row)
    if not len(steps):
        return dataset
    times, is_second_pass = series.times[steps], None
    if not dataset.compute_instants().equals(pd.DatetimeIndex(dataset.time)):  # the instants are on another clock
        times, is_second_pass = to_local_times(times, dataset.zone)
    return append_rows(dataset, make_index(np.array(series.entities)[entities], times), is_second_pass)


def _write_column(dataset: Dataset, column: str, cleaned: CleanedSeries) -> Dataset:
    """Return `dataset` with the cleaned values of a column, and its original values and marks as context."""
    places = _locate_rows(dataset, cleaned.original)
    original_name, spike_name, imputed_name = name_columns(column)
    values: Floats = cleaned.values[places]
    context = pd.DataFrame(index=dataset.frame.index) if dataset.context is None else dataset.context
    marks = {
        original_name: cleaned.original.values[places],
        spike_name: cleaned.is_spike[places],
        imputed_name: cleaned.is_imputed[places],
    }
    return dataset.replace(frame=dataset.frame.assign(**{column: values}), context=context.assign(**marks))
