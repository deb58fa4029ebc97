"""Check of spikes and dips: a few values that jump away from their neighbours and back, unlike on other days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality import checks
from core.data.quality.checks import CellIndex, Rows, concat_cells
from core.data.quality.fills import find_other_cells
from core.data.quality.runs import clear_runs, pick_quantile
from core.data.quality.sentinels import find_sentinels
from core.data.quality.time_grid import iter_grids

MAX_SPIKE_STEPS = 4
MIN_SPIKE_SIZE = 0.3  # times the level beside the spike
MAX_RETURN_RATIO = 2.0  # of the larger to the smaller of the jump and the jump back
MIN_LEVEL = 0.2  # times the width (5 % to 95 % quantile) of the series: the least level a spike is compared with
MIN_JUMPS = 60  # known jumps of a series below which its noise is unknown
TAIL_SHARES = (0.85, 0.97)  # quantiles of the jumps that give the tail of their noise
MAX_LESSER_SPIKES = 5  # more of half the limit than of the limit: sizes without a gap are the bursts of the series
MAX_SPIKE_SHARE = 0.005  # of the known values of a series, above which spikes are usual
MAX_NOISE_LIMIT = 2.0  # times the level: the spikes of a noisier series are its nature
SAMPLE_STRIDE, SAMPLE_STEPS = 7, 4000  # a power of the stride, so that a sample holds all times of the day
EXPECTED_NOISE = 2.0  # spikes of noise over the limit if its tail were a power law; real tails are shorter
YEAR_JUMPS = 4000  # jumps and jumps back in a year of hourly values; a shorter series gets the limit of a year


def find_spikes_and_dips(dataset: Dataset) -> CellIndex:
    """Return cells of spikes and dips of at most four values that no other check reports."""

    def find_cells(dataset: Dataset) -> CellIndex:
        return concat_cells(
            [grid.locate_cells(mark_spikes(clear_runs(grid), grid.lags)) for grid in iter_grids(dataset)]
        )

    return find_other_cells(
        dataset,
        find_cells,
        find_sentinels,
        checks.find_gross_outliers,
        checks.find_isolated_spikes,
        checks.find_zero_hours,
        checks.find_collapsed_hours,
        checks.find_double_hours,
    )


def mark_spikes(values: Floats, lags: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of the spikes and dips of `values`, shape (series, steps).

    A spike is a jump and the jump back within `MAX_SPIKE_STEPS` steps. Its size is the smaller of both, each the lesser
    of two measures: the jump beyond that at the same time of other days (`lags`, in steps), and twice the jump itself.
    It is divided by the level beside the spike. It counts above `MIN_SPIKE_SIZE` and above the noise of the series.

    The noise has a power-law tail through two quantiles of its sizes (Weissman, 1978, doi 10.2307/2286285), so the
    limit of a series with bursts is high. A series has no spikes if there are many, or more of half the limit.

    Example:
        >>> values = 50 + np.random.default_rng(0).normal(size=(1, 400))
        >>> values[0, 200] *= 1.4
        >>> np.flatnonzero(mark_spikes(values, (24, 168))).tolist()
        [200]
    """
    is_spike = np.zeros(values.shape, dtype=bool)
    if values.shape[1] <= MAX_SPIKE_STEPS:
        return is_spike
    jumps = np.full(values.shape, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(values[:, 1:], values[:, :-1], out=jumps[:, 1:])
    excess = Excess(jumps, lags)
    min_level = MIN_LEVEL * _compute_width(values)
    known_counts = (~np.isnan(values)).sum(axis=1)
    is_jump = _mark_jumps(values, jumps, min_level, MIN_SPIKE_SIZE)
    limits = np.full(len(values), MIN_SPIKE_SIZE)
    large_counts, lesser_counts = np.zeros(len(values), np.intp), np.zeros(len(values), np.intp)
    for length in range(1, MAX_SPIKE_STEPS + 1):
        series, steps = np.nonzero(is_jump[:, :-length] & is_jump[:, length:])
        sizes = _measure_spikes(values, jumps, excess, length, min_level, MIN_SPIKE_SIZE, series, steps)
        members = np.unique(series[sizes > MIN_SPIKE_SIZE])
        if not len(members):
            continue
        is_weak_jump = _mark_jumps(values[members], jumps[members], min_level[members], MIN_SPIKE_SIZE / 2)
        series, steps = np.nonzero(is_weak_jump[:, :-length] & is_weak_jump[:, length:])
        series = members[series]
        sizes = _measure_spikes(values, jumps, excess, length, min_level, MIN_SPIKE_SIZE / 2, series, steps)
        # A longer spike has at least the limit of a shorter one.
        limits[members] = np.maximum(
            limits[members], _estimate_noise_limits(values, excess, length, min_level, members)
        )
        is_large = sizes > limits[series]
        large_counts += np.bincount(series[is_large], minlength=len(values))
        lesser_counts += np.bincount(series[~is_large & (sizes > limits[series] / 2)], minlength=len(values))
        for offset in range(length):
            is_spike[series[is_large], steps[is_large] + offset] = True
    is_spike[lesser_counts > large_counts + MAX_LESSER_SPIKES] = False
    is_spike[is_spike.sum(axis=1) > np.fmax(MAX_SPIKE_STEPS, MAX_SPIKE_SHARE * known_counts)] = False
    return is_spike


def _mark_jumps(values: Floats, jumps: Floats, min_level: Floats, min_size: float) -> NDArray[np.bool_]:
    """Return a mask of the jumps that can begin or end a spike of at least `min_size`, a quick first choice."""
    is_jump = np.zeros(values.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        is_signed = (values < 0).any(axis=1, keepdims=True)
        level = np.where(is_signed, 0.0, np.minimum(values[:, 1:], values[:, :-1]) / 2)
        is_jump[:, 1:] = np.abs(jumps[:, 1:]) > min_size / 2 * np.maximum(level, min_level[:, None])
    return is_jump


@dataclass(frozen=True)
class Excess:
    """Jumps beyond those at the same time of other days.

    jumps  shape (series, steps)
    lags   steps to other days; () without a usual day: the excess is then the jump itself
    """

    jumps: Floats
    lags: tuple[int, ...]

    def measure(self, series: Rows, steps: Rows) -> Floats:
        """Return the excess at places of the grid; NaN beyond its ends, and where no other day is known.

        The usual jump is the median of the jumps one lag before and after, short and long. Where a day is unknown, the
        day at twice the lag on the other side replaces it.
        """
        jumps = self._take(series, steps)
        if not self.lags or not len(jumps):
            return jumps
        others = []
        for lag in (sign * lag for lag in self.lags for sign in (-1, 1)):
            other, farther = self._take(series, steps + lag), self._take(series, steps - 2 * lag)
            others.append(np.where(np.isnan(other), farther, other))
        ordered = np.sort(others, axis=0)  # NaN last
        known_count = (~np.isnan(ordered)).sum(axis=0)
        low, high = (
            np.take_along_axis(ordered, np.maximum(known_count - offset, 0)[None] // 2, axis=0)[0] for offset in (1, 0)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            return jumps - np.where(known_count % 2, low, (low + high) / 2)

    def _take(self, series: Rows, steps: Rows) -> Floats:
        count = self.jumps.shape[1]
        return np.where((steps >= 0) & (steps < count), self.jumps[series, np.clip(steps, 0, count - 1)], np.nan)


def _compute_width(values: Floats) -> Floats:
    """Return the distance between the 5 % and the 95 % quantile of every series, from about 5,000 of its values."""
    ordered = np.sort(values[:, :: max(1, values.shape[1] // 5_000)], axis=1)
    counts = (~np.isnan(ordered)).sum(axis=1)
    return pick_quantile(ordered, counts, 0.95) - pick_quantile(ordered, counts, 0.05)


def _get_level(values: Floats, min_level: Floats, series: Rows, steps: Rows, length: int) -> Floats:
    """Return the level beside the `length` values that begin at each place."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.maximum(np.abs(values[series, steps - 1] + values[series, steps + length]) / 2, min_level[series])


def _measure_spikes(
    values: Floats,
    jumps: Floats,
    excess: Excess,
    length: int,
    min_level: Floats,
    min_size: float,
    series: Rows,
    steps: Rows,
) -> Floats:
    """Return the size of the spike of `length` values that begins at each place; 0 where it is below `min_size`.

    The usual values between two spikes of one value are no dip.
    """
    sizes = np.zeros(len(steps))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        level = _get_level(values, min_level, series, steps, length)
        jump, jump_back = jumps[series, steps], jumps[series, steps + length]
        smallest_jump = np.where(
            np.sign(jump) * np.sign(jump_back) < 0, np.minimum(np.abs(jump), np.abs(jump_back)), 0.0
        )
        places = np.flatnonzero(2 * smallest_jump > min_size * level)
        series, steps, ends, sign = series[places], steps[places], steps[places] + length, np.sign(jump[places])
        out, back = sign * excess.measure(series, steps), -sign * excess.measure(series, ends)
        smaller = np.minimum(out, back)
        is_between = (
            np.minimum(-sign * excess.measure(series, steps - 1), sign * excess.measure(series, ends + 1)) > smaller / 2
        )
        is_spike = (smaller > 0) & (np.maximum(out, back) <= MAX_RETURN_RATIO * smaller) & ~is_between
        sizes[places] = np.where(is_spike, np.minimum(smaller, 2 * smallest_jump[places]) / level[places], 0.0)
    return sizes


def _estimate_noise_limits(values: Floats, excess: Excess, length: int, min_level: Floats, members: Rows) -> Floats:
    """Return the size of a spike of `length` values that noise exceeds `EXPECTED_NOISE` times in each of `members`.

    The size of noise is that of every jump and jump back beyond those of other days; a long series is sampled. The
    limit is infinite for a few jumps and for a very noisy series; a short series gets that of a year.
    """
    count = values.shape[1] - length - 1
    if count < MIN_JUMPS or not len(members):
        return np.full(len(members), np.inf)
    stride = SAMPLE_STRIDE ** max(0, int(np.log(count / SAMPLE_STEPS) / np.log(SAMPLE_STRIDE)))
    steps = np.arange(1, count + 1, stride)
    shape = (len(members), len(steps))
    series, steps = np.repeat(members, len(steps)), np.tile(steps, len(members))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        out, back = excess.measure(series, steps), excess.measure(series, steps + length)
        sizes = np.minimum(np.abs(out), np.abs(back)) / _get_level(values, min_level, series, steps, length)
        sizes[~((np.sign(out) * np.sign(back) < 0) & np.isfinite(sizes))] = np.nan
        sizes = np.sort(sizes.reshape(shape), axis=1)
        counts = (~np.isnan(sizes)).sum(axis=1)
        low, high = (pick_quantile(sizes, counts, share) for share in TAIL_SHARES)
        exponent = np.log(high / low) / np.log((1 - TAIL_SHARES[0]) / (1 - TAIL_SHARES[1]))
        noise_count = np.fmax(counts * stride, YEAR_JUMPS) * (1 - TAIL_SHARES[1])
        limits = high * (noise_count / EXPECTED_NOISE) ** exponent
    return np.where((counts >= MIN_JUMPS) & (limits <= MAX_NOISE_LIMIT), limits, np.inf)
