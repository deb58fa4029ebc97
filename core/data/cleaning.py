"""Cleaning of regular series: spikes by a trailing rolling median, holes from the week before. Every change is marked.

A spike is a value farther than a threshold from the median of the `window` values that end with it, as on the call
counts of an operator's voice network. The original values stay: faults are judged on them, never on replaced ones.

A cleaned dataset holds the cleaned values of a column `total` under its own name. Its context holds `total_original`,
`total_is_spike` and `total_is_imputed` (`name_columns`). A file of cleaned counts holds `total` as measured, `cleaned`,
`is_spike` (or `is_outlier`, which is read as labels) and `is_imputed`. `CleanedSeries.from_dataset` reads both forms.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.frequencies import WEEK
from core.data.regular_series import RegularSeries
from core.errors import OptionError
from core.messages import N_

FILL_LABELS = {
    "previous-week": N_("from the week before"),
    "interpolate": N_("by straight lines"),
    "none": N_("not at all"),
}
FILL_SOURCES = tuple(FILL_LABELS)
SILENCES = ("missing", "zero")
MIN_WINDOW = 3  # values; the median of fewer follows every spike
SHORT_GAP_STEPS = 4  # missing values in a row that are interpolated, not taken from another week
MAX_WEEKS_BACK = 4  # weeks before a hole in which its values are looked for
MIN_BUSY_SHARE = 0.5  # of the steps one week before or after a silent day, that have values above 0

MAD_RATIO = 6.0  # deviations of one time of the day, in robust standard deviations from their median, that are usual
SIGMA_PER_MAD = 1.4826  # of a normal distribution, per median absolute deviation
SIGMA_PER_MEAN = 1.2533  # the same per mean absolute deviation
MIN_SLOT_VALUES = 5  # deviations at one time of the day, below which all deviations are taken together
MIN_DEVIATIONS = 20  # below which no threshold is learnt
MAX_SPIKE_SHARE = 0.01  # of the values; a rule that marks more describes the pattern of the data

CLEANED, IS_SPIKE, IS_IMPUTED = "cleaned", "is_spike", "is_imputed"
"""Columns of a file of cleaned counts, beside the time and the measured values."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CleanedSeries:
    """A series without spikes and holes, beside its original.

    original      the series as it was measured
    values        cleaned values, shape (steps, entities); NaN where a hole stays
    is_spike      mask of the replaced values
    is_imputed    mask of the holes that were filled: no measurement, so no anomaly
    is_shift      mask of the values beyond the threshold that were kept, because the level stays
    weeks_back    number of weeks before the step from which a value was taken; 0 for every other value
    is_silent     mask of the zeros that were taken as missing, because every entity was 0 for a day or longer
    is_missing    mask of the holes that stay, between the first and the last value of an entity
    thresholds    per entity; NaN where the data are too few to learn one
    """

    original: RegularSeries
    values: Floats
    is_spike: Mask
    is_imputed: Mask
    is_shift: Mask
    weeks_back: NDArray[np.intp]
    is_silent: Mask
    is_missing: Mask
    thresholds: Floats

    @classmethod
    def from_dataset(cls, dataset: Dataset, measure: str = "", attempts: str = "") -> "CleanedSeries":
        """Read the cleaned and the original values of a column; without a cleaning, both are the same.

        What only the cleaning itself knows is empty: shifts, weeks back, thresholds. Arguments and errors are those of
        `RegularSeries.from_dataset`.
        """
        measure = measure or dataset.columns[0]
        series = RegularSeries.from_dataset(dataset, measure, attempts)
        parts = _collect_parts(dataset, measure)
        nowhere = np.zeros(series.values.shape, dtype=bool)
        original, values, is_spike, is_imputed = series.values, series.values, nowhere, nowhere
        if parts is not None:
            grids = dataset.replace(frame=parts.astype(float))
            original, values, spikes, imputed = (
                RegularSeries.from_dataset(grids, name).values for name in parts.columns
            )
            is_spike, is_imputed = spikes == 1, imputed == 1
        return cls(
            original=series.with_values(original),
            values=values,
            is_spike=is_spike,
            is_imputed=is_imputed,
            is_shift=nowhere,
            weeks_back=np.zeros(series.values.shape, np.intp),
            is_silent=nowhere,
            is_missing=_mark_holes(values),
            thresholds=np.full(len(series.entities), np.nan),
        )

    @property
    def series(self) -> RegularSeries:
        """The cleaned series."""
        return self.original.with_values(self.values)


def name_columns(measure: str) -> tuple[str, str, str]:
    """Return the columns of the context that hold the original values, the spikes and the imputed values.

    Example:
        >>> name_columns("total")
        ('total_original', 'total_is_spike', 'total_is_imputed')
    """
    return f"{measure}_original", f"{measure}_is_spike", f"{measure}_is_imputed"


def is_cleaned(dataset: Dataset, measure: str = "") -> bool:
    """Tell whether a column of `dataset` (default: the first) was cleaned."""
    names = set(name_columns(measure or dataset.columns[0]))
    return dataset.context is not None and names <= set(dataset.context.columns)


def _collect_parts(dataset: Dataset, measure: str) -> pd.DataFrame | None:
    """Return the original and the cleaned values of a column, the spikes and the imputed values, by row.

    Returns None for a column that was not cleaned.
    """
    if is_cleaned(dataset, measure):
        assert dataset.context is not None
        marks = dataset.context[list(name_columns(measure))]
        parts = [marks.iloc[:, 0], dataset.frame[measure], marks.iloc[:, 1], marks.iloc[:, 2]]
    elif measure != CLEANED and {CLEANED, IS_IMPUTED} <= set(dataset.columns):
        spikes = dataset.frame[IS_SPIKE] if IS_SPIKE in dataset.columns else dataset.labels
        if spikes is None:
            return None
        parts = [dataset.frame[measure], dataset.frame[CLEANED], spikes, dataset.frame[IS_IMPUTED]]
    else:
        return None
    return pd.concat(parts, axis=1, keys=["original", CLEANED, IS_SPIKE, IS_IMPUTED])


def clean_series(
    series: RegularSeries,
    spike_window: int = 5,
    spike_threshold: float | None = None,
    fill_from: str = "previous-week",
    short_gap_steps: int = SHORT_GAP_STEPS,
    silent_days: str = "missing",
) -> CleanedSeries:
    """Replace spikes by linear interpolation, then fill holes; every entity on its own.

    Args:
        series: values of several entities at even steps.
        spike_window: number of values of the rolling median, itself included.
        spike_threshold: distance from the median beyond which a value is a spike; None: see `learn_thresholds`.
        fill_from: "previous-week" fills a hole with the values at the same clock one week before, or up to
            `MAX_WEEKS_BACK` weeks where those are missing too; never with replaced or imputed values. "interpolate"
            fills every hole linearly. "none" leaves holes.
        short_gap_steps: longest hole that is interpolated although `fill_from` is "previous-week".
        silent_days: "missing" takes zeros of all entities at once as missing, if they last a day or longer unlike in
            other weeks: counts of events are 0 where their records are missing. "zero" takes them as measured.

    A hole ends with a value, so nothing is added before an entity appears or after it ends. Raises OptionError for a
    value that is not accepted.

    Example:
        >>> times = pd.date_range("2020-08-31 06:00", periods=6, freq="15min")
        >>> calls = np.array([[12000.0], [14621.0], [17761.0], [21014.0], [26387.0], [22866.0]])
        >>> series = RegularSeries(times, ("all",), calls, pd.Timedelta(minutes=15))
        >>> clean_series(series, spike_threshold=7000).values.ravel().tolist()
        [12000.0, 14621.0, 17761.0, 21014.0, 21940.0, 22866.0]
    """
    _check_options(spike_window, spike_threshold, fill_from, short_gap_steps, silent_days)
    is_silent = _mark_silence(series) if silent_days == "missing" else np.zeros(series.values.shape, dtype=bool)
    measured = np.where(is_silent, np.nan, series.values)
    deviations = compute_deviations(measured, spike_window)
    if spike_threshold is None:
        thresholds = learn_thresholds(deviations, series.day_steps)
    else:
        thresholds = np.full(len(series.entities), float(spike_threshold))
    is_spike, is_shift = _split_shifts(measured, mark_beyond(deviations, thresholds), spike_window)
    known = np.where(is_spike, np.nan, measured)
    values, weeks_back = _fill_holes(series.with_values(known), is_spike, fill_from, short_gap_steps)
    return CleanedSeries(
        original=series,
        values=values,
        is_spike=is_spike,
        is_imputed=np.isnan(measured) & ~np.isnan(values),
        is_shift=is_shift,
        weeks_back=weeks_back,
        is_silent=is_silent,
        is_missing=_mark_holes(values) | (np.isnan(values) & is_spike),
        thresholds=thresholds,
    )


def _check_options(window: int, threshold: float | None, fill_from: str, short_gap_steps: int, silence: str) -> None:
    accepted_ranges = (
        ("spike_window", window, window >= MIN_WINDOW, f"{MIN_WINDOW} …"),
        ("spike_threshold", threshold, threshold is None or threshold >= 0, "0 …"),
        ("fill_from", fill_from, fill_from in FILL_SOURCES, ", ".join(FILL_SOURCES)),
        ("short_gap_steps", short_gap_steps, short_gap_steps >= 0, "0 …"),
        ("silent_days", silence, silence in SILENCES, ", ".join(SILENCES)),
    )
    for name, value, is_accepted, accepted in accepted_ranges:
        if not is_accepted:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name=name,
                value=value,
                accepted=accepted,
            )


# ---- spikes ---------------------------------------------------------------------------------------------------------


def compute_deviations(values: Floats, window: int) -> Floats:
    """Return values minus their trailing rolling median, shape (steps, entities); NaN where the window has a hole.

    Example:
        >>> compute_deviations(np.array([[1.0], [2.0], [9.0], [3.0]]), 3).ravel().tolist()
        [nan, nan, 7.0, 0.0]
    """
    medians: Floats = pd.DataFrame(values).rolling(window, min_periods=window).median().to_numpy(np.float64)
    return values - medians


def mark_beyond(deviations: Floats, thresholds: Floats) -> Mask:
    """Return a mask of the deviations beyond the threshold of their entity, shape (steps, entities)."""
    with np.errstate(invalid="ignore"):
        return np.abs(deviations) > thresholds


def learn_thresholds(deviations: Floats, day_steps: int = 0) -> Floats:
    """Return a threshold per entity, from its deviations of shape (steps, entities); NaN with too few of them.

    A trailing median is late on a steep rise, the same every day. So the usual deviation is estimated for every time of
    the day: median plus `MAD_RATIO` robust standard deviations, from the median absolute deviation (Hampel 1974). Where
    that is 0, as in rare counts, the mean absolute deviation without the largest replaces it (Iglewicz and Hoaglin
    1993). The threshold is the largest of all times of the day, and leaves at most `MAX_SPIKE_SHARE` of the values (at
    least one) beyond it. `day_steps` is 0 for data without times of the day.
    """
    return np.array([_learn_threshold(column, day_steps) for column in deviations.T])


def _learn_threshold(deviations: Floats, day_steps: int) -> float:
    known = deviations[~np.isnan(deviations)]
    if len(known) < MIN_DEVIATIONS:
        return float("nan")
    spikes = max(1, int(MAX_SPIKE_SHARE * len(known)))
    lowest = float(np.partition(np.abs(known), len(known) - spikes - 1)[len(known) - spikes - 1])
    slots = _fold_days(deviations, day_steps)
    slots = slots[(~np.isnan(slots)).sum(axis=1) >= MIN_SLOT_VALUES]
    slots = slots if len(slots) else known[None]
    medians = np.nanmedian(slots, axis=1)
    distances = np.abs(slots - medians[:, None])
    widths = SIGMA_PER_MAD * np.nanmedian(distances, axis=1)
    largest = np.nanmax(distances, axis=1)
    counts = (~np.isnan(distances)).sum(axis=1)
    mean_widths = SIGMA_PER_MEAN * (np.nansum(distances, axis=1) - largest) / (counts - 1)
    widths = np.where(widths > 0, widths, mean_widths)
    return max(lowest, float((np.abs(medians) + MAD_RATIO * widths).max()))


def _fold_days(values: Floats, day_steps: int) -> Floats:
    """Return values as one row per time of the day, shape (day_steps, days); no row without times of the day."""
    if not day_steps:
        return np.zeros((0, 0))
    padded = np.pad(values, (0, -len(values) % day_steps), constant_values=np.nan)
    return padded.reshape(-1, day_steps).T


def _split_shifts(values: Floats, is_beyond: Mask, window: int) -> tuple[Mask, Mask]:
    """Return the masks of spikes and of shifts of the level among the values beyond the threshold.

    After a step of the level, the median needs `(window − 1) // 2` values to follow, which are all beyond. Such a run
    is a shift if the value after it is nearer to the run than to the values before it, and if no value follows.
    """
    is_shift = np.zeros(is_beyond.shape, dtype=bool)
    for entity in range(is_beyond.shape[1]):
        for start, end in _list_runs(is_beyond[:, entity]):
            column = values[:, entity]
            if end - start >= (window - 1) // 2 and _is_lasting(column, start, end, window):
                is_shift[start:end, entity] = True
    return is_beyond & ~is_shift, is_shift


def _is_lasting(values: Floats, start: int, end: int, window: int) -> bool:
    """Return True if the level of the run `start` … `end` − 1 stays after it; True without a later value nearby."""
    later = values[end : end + window]
    later = later[~np.isnan(later)]
    if not len(later):
        return True
    before = np.median(values[max(start - window + 1, 0) : start])
    return bool(abs(later[0] - np.median(values[start:end])) < abs(later[0] - before))


def _list_runs(mask: Mask) -> list[tuple[int, int]]:
    """Return start and end (not included) of every run of True.

    Example:
        >>> _list_runs(np.array([False, True, True, False, True]))
        [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


# ---- holes ----------------------------------------------------------------------------------------------------------


def _mark_holes(values: Floats) -> Mask:
    """Return a mask of the missing values between the first and the last value of every entity."""
    is_known = ~np.isnan(values)
    return np.asarray(
        ~is_known & np.logical_or.accumulate(is_known) & np.logical_or.accumulate(is_known[::-1])[::-1], dtype=bool
    )


def _mark_silence(series: RegularSeries) -> Mask:
    """Return a mask of the zeros of the days without any value above 0, unlike one week before or after.

    A silence that does not end is none: an outage that lasts must be seen.
    """
    is_busy = np.asarray((series.values > 0).any(axis=1))
    is_quiet = ~is_busy & (series.values == 0).any(axis=1)
    is_silent = np.zeros(len(series), dtype=bool)
    for start, end in _list_runs(~is_busy) if series.day_steps else ():
        weeks = [slice(start + offset, end + offset) for offset in (-series.week_steps, series.week_steps)]
        other_weeks = [is_busy[week] for week in weeks if week.start >= 0 and week.stop <= len(series)]
        is_unusual = any(week.mean() >= MIN_BUSY_SHARE for week in other_weeks)
        if end - start >= series.day_steps and end < len(series) and is_unusual:
            is_silent[start:end] = is_quiet[start:end]
    return is_silent[:, None] & (series.values == 0)


def _fill_holes(
    series: RegularSeries, is_spike: Mask, fill_from: str, short_gap_steps: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Return the values of `series` with spikes (missing there) and holes filled, and the weeks back of each.

    Holes that consist of spikes are always interpolated. What the other weeks leave of a hole is interpolated if it is
    short: an earlier spike is no source.
    """
    holes = _mark_holes(series.values)
    is_short = _mark_runs(holes, short_gap_steps) & (fill_from == "previous-week")
    is_straight = is_short | (holes & (fill_from == "interpolate")) | _mark_runs_inside(holes, is_spike)
    values = np.where(is_straight, _interpolate(series.values), series.values)
    if fill_from != "previous-week":
        return values, np.zeros(values.shape, dtype=np.intp)
    weekly, weeks_back = _look_back(series)
    is_weekly = (holes | is_spike) & ~is_straight
    values = np.where(is_weekly, weekly, values)
    values = np.where(_mark_runs(_mark_holes(values), short_gap_steps), _interpolate(values), values)
    return values, np.where(is_weekly, weeks_back, 0)


def _interpolate(values: Floats) -> Floats:
    straight: Floats = pd.DataFrame(values).interpolate(limit_area="inside").to_numpy(np.float64)
    return straight


def _mark_runs(mask: Mask, max_steps: int) -> Mask:
    """Return the part of `mask` in runs of at most `max_steps` steps."""
    is_marked = np.zeros(mask.shape, dtype=bool)
    for entity in range(mask.shape[1]):
        for start, end in _list_runs(mask[:, entity]):
            is_marked[start:end, entity] = end - start <= max_steps
    return is_marked


def _mark_runs_inside(mask: Mask, other: Mask) -> Mask:
    """Return the part of `mask` in runs that lie in `other` entirely."""
    is_marked = np.zeros(mask.shape, dtype=bool)
    for entity in range(mask.shape[1]):
        for start, end in _list_runs(mask[:, entity]):
            is_marked[start:end, entity] = other[start:end, entity].all()
    return is_marked


def _look_back(series: RegularSeries) -> tuple[Floats, NDArray[np.intp]]:
    """Return the value at the same clock some weeks before every step, and the number of weeks, 0 without a value."""
    values = np.full(series.values.shape, np.nan)
    weeks_back = np.zeros(series.values.shape, dtype=np.intp)
    for weeks in range(1, MAX_WEEKS_BACK + 1):
        positions = series.compute_lag_positions(weeks * WEEK)
        earlier = np.where(positions[:, None] >= 0, series.values[positions], np.nan)
        is_new = np.isnan(values) & ~np.isnan(earlier)
        values[is_new], weeks_back[is_new] = earlier[is_new], weeks
    return values, weeks_back
