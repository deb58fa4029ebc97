"""Exact clusters of DBSCAN, numbered like scikit-learn's, without all pairs of rows in memory.

Rows are rotated to their principal axes, which keeps distances, and split into cells of about 64 neighbouring rows.
Two boxes farther apart than eps contain no pair to compare. In a dense cell most rows find enough neighbours at once.
Clusters are the connected components of core rows, numbered by their lowest row. A border row gets the lowest cluster
among the core rows within eps. Ester, Kriegel, Sander, Xu: A density-based algorithm for discovering clusters, KDD
1996.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

Positions = NDArray[np.intp]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)

MAX_CELL_ROWS = 64  # rows of a cell, at most
SPLIT_AXES = 6  # leading axes along which cells are split
BOX_AXES = 3  # leading axes of the first comparison of boxes
BATCH_CELLS = 64  # cells in a batch: their distances fit into the cache of the processor
ROUNDING_SHARE = 1e-11  # share of the squared size: distances this near to eps are computed again without rotation
ROTATION_ERROR_SHARE = 1e-14  # share of the largest coordinate: error of the rotation
MAX_DISTANCES = 2 * 10**10  # distances: about 90 s of one processor


class TooManyPairsError(Exception):
    """Error for rows so many and so scattered that their neighbours cannot be counted."""


@dataclass(frozen=True)
class CellGrid:
    """Rows split into cells.

    rows     (rows, columns)
    rotated  (cells, width, columns), NaN in an empty slot
    slots    (cells, width), index of the row in every slot; -1 in an empty slot
    low      (cells, columns), lower corner of the box of every cell, rotated
    high     (cells, columns), upper corner
    slack    error of a distance that the rotation can cause
    """

    rows: Floats
    rotated: Floats
    slots: Positions
    low: Floats
    high: Floats
    eps: float
    slack: float

    @classmethod
    def from_rows(cls, rows: Floats, eps: float) -> "CellGrid":
        """Split `rows` (rows, columns) into cells along their principal axes."""
        rotated_rows = (rows - rows.mean(axis=0)) @ compute_rotation_axes(rows)
        slots = _split_into_cells(rotated_rows[:, :SPLIT_AXES].copy())
        rotated = rotated_rows[slots]
        rotated[slots < 0] = np.nan
        low, high = (np.asfortranarray(edge(rotated, axis=1)) for edge in (np.nanmin, np.nanmax))
        extent = max(float(np.abs(low).max()), float(np.abs(high).max()))
        return cls(rows, rotated, slots, low, high, eps, ROUNDING_SHARE * eps + ROTATION_ERROR_SHARE * extent)

    @property
    def width(self) -> int:
        """Number of slots of a cell."""
        return self.slots.shape[1]

    def find_near_cells(self, box_rows: Floats, candidates: Positions) -> Positions:
        """Return the cells of `candidates` whose box lies within eps of the box of `box_rows`, nearest first."""
        low, high = box_rows.min(axis=0), box_rows.max(axis=0)
        first_axis_gap = np.maximum(self.low[:, 0][candidates] - high[0], low[0] - self.high[:, 0][candidates])
        candidates = candidates[first_axis_gap <= self.eps + self.slack]
        for axes in (slice(BOX_AXES), slice(None)):
            gap = np.maximum(self.low[candidates, axes] - high[axes], low[axes] - self.high[candidates, axes]).clip(
                min=0.0
            )
            squared_distance = np.einsum("ij,ij->i", gap, gap)
            near = squared_distance <= (self.eps + self.slack) ** 2
            candidates, squared_distance = candidates[near], squared_distance[near]
        return candidates[np.argsort(squared_distance, kind="stable")]

    def compare_slots(self, ours: Positions, theirs: Positions) -> Mask:
        """Return a mask of the pairs of slots within eps, (…, p, q); False for an empty slot.

        Both arguments, of shape (…, p) and (…, q), are indices over the slots of all cells.
        """
        flat = self.rotated.reshape(-1, self.rotated.shape[2])
        our_rows, their_rows = flat[ours], flat[theirs]
        origin = our_rows[..., :1, :]
        our_rows, their_rows = our_rows - origin, their_rows - origin
        our_squares, their_squares = (
            np.einsum("...i,...i", our_rows, our_rows),
            np.einsum("...i,...i", their_rows, their_rows),
        )
        ones = np.ones((*our_squares.shape, 1)), np.ones((*their_squares.shape, 1))
        left_factor = np.concatenate([our_rows, our_squares[..., None], ones[0]], axis=-1)
        right_factor = np.concatenate([-2.0 * their_rows, ones[1], their_squares[..., None] - self.eps**2], axis=-1)
        excess = left_factor @ right_factor.swapaxes(-1, -2)  # squared distance − eps², in one matrix product
        tolerance = ROUNDING_SHARE * (np.nanmax(our_squares) + np.nanmax(their_squares)) + 2 * self.eps * self.slack
        near: Mask = excess <= tolerance
        is_certain = excess < -tolerance
        if np.count_nonzero(near) > np.count_nonzero(is_certain):
            uncertain_pairs = np.nonzero(near ^ is_certain)
            differences = (
                self.rows[self._get_rows(ours, uncertain_pairs[:-1])]
                - self.rows[self._get_rows(theirs, (*uncertain_pairs[:-2], uncertain_pairs[-1]))]
            )
            near[uncertain_pairs] = np.einsum("ij,ij->i", differences, differences) <= self.eps**2
        return near

    def _get_rows(self, slots: Positions, index: tuple[Positions, ...]) -> Positions:
        return self.slots.ravel()[slots[index]]

    def to_row_order(self, slot_values: NDArray[T]) -> NDArray[T]:
        """Return the values of all slots in the order of the rows."""
        slots = self.slots.ravel()
        ordered = np.empty(len(self.rows), dtype=slot_values.dtype)
        ordered[slots[slots >= 0]] = slot_values[slots >= 0]
        return ordered

    def iter_batches(self) -> Iterator[tuple[slice, Positions]]:
        """Yield a few cells at a time: their slice, and the indices of their slots over all cells (cells, width)."""
        all_slots = np.arange(self.slots.size).reshape(self.slots.shape)
        for first in range(0, len(all_slots), BATCH_CELLS):
            batch = slice(first, first + BATCH_CELLS)
            yield batch, all_slots[batch]


def compute_rotation_axes(rows: Floats) -> Floats:
    """Return the principal axes of the rows, widest first: an orthogonal matrix (columns, columns).

    Example:
        >>> compute_rotation_axes(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])).round(2)[:, 0].tolist()
        [0.71, 0.71]
    """
    centred = rows - rows.mean(axis=0)
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1].copy()


def _split_into_cells(points: Floats) -> Positions:
    """Return the row of every slot, (cells, width): rows are halved repeatedly along the widest axis of each half."""
    count = len(points)
    order = np.arange(count)
    bounds = [0, count]
    while bounds[1] > MAX_CELL_ROWS:
        halves = []
        for first, last in pairwise(bounds):
            part = order[first:last]
            block = points[part]
            widest = int(np.argmax(np.ptp(block, axis=0)))
            order[first:last] = part[np.argpartition(block[:, widest], len(part) // 2)]
            halves += [first, first + len(part) // 2]
        bounds = [*halves, count]
    sizes = np.diff(bounds)
    slots = np.full((len(sizes), int(sizes.max())), -1)
    slots[np.arange(slots.shape[1]) < sizes[:, None]] = order
    return slots


def find_clusters(rows: Floats, eps: float, min_samples: int) -> tuple[Positions, Mask]:
    """Return the cluster of every row (-1 for noise), and a mask of the core rows, both (rows,).

    `rows` is (rows, columns) without missing values. Raises TooManyPairsError if more than `MAX_DISTANCES` distances
    are needed.

    Example:
        >>> labels, is_core = find_clusters(np.array([[0.0], [0.1], [0.2], [9.0]]), 0.15, 3)
        >>> labels.tolist(), is_core.tolist()  # a core row with two border rows, and noise
        ([0, 0, 0, -1], [False, True, False, False])
    """
    cells = CellGrid.from_rows(rows, eps)
    is_core = _find_core_slots(cells, min_samples)
    labels = _number_clusters(cells, is_core, _find_components(cells, is_core))
    _assign_border_slots(cells, is_core, labels)
    return cells.to_row_order(labels), cells.to_row_order(is_core)


def sample_core_rows(
    rows: Floats, eps: float, min_samples: int, generator: np.random.Generator
) -> tuple[Positions, Positions]:
    """Return core rows among rows drawn at random, and their clusters.

    For more rows than `find_clusters` can compare. The sample has `MAX_DISTANCES` / rows rows; their neighbours are
    counted among all rows. Jang, Jiang: DBSCAN++, ICML 2019.
    """
    is_sampled = np.zeros(len(rows), dtype=bool)
    is_sampled[generator.choice(len(rows), min(MAX_DISTANCES // len(rows), len(rows)), replace=False)] = True
    cells = CellGrid.from_rows(rows, eps)
    core_positions = np.flatnonzero(
        cells.to_row_order(_find_core_slots(cells, min_samples, is_sampled[cells.slots])) & is_sampled
    )
    if not len(core_positions):
        return core_positions, core_positions
    return core_positions, find_clusters(rows[core_positions], eps, 1)[0]


def _find_core_slots(cells: CellGrid, min_samples: int, candidates: Mask | None = None) -> Mask:
    """Return a mask of the slots with at least `min_samples` rows within eps, themselves included.

    With `candidates`, only those slots are checked fully. Without it, raises TooManyPairsError if too many distances
    are needed.
    """
    count = np.zeros(cells.slots.shape, dtype=np.intp)
    for batch, slots in cells.iter_batches():
        count[batch] = cells.compare_slots(slots, slots).sum(axis=-1)
    is_undecided = (count < min_samples) & (cells.slots >= 0)
    if candidates is None:
        _check_pairs(cells, is_undecided)
    else:
        is_undecided &= candidates
    all_cells = np.arange(len(cells.slots))
    for cell in np.flatnonzero(is_undecided.any(axis=1)):
        own_slots = cell * cells.width + np.flatnonzero(is_undecided[cell])
        neighbour_counts = count.ravel()[own_slots]
        for near_slots in _iter_near_slots(cells, own_slots, all_cells[all_cells != cell]):
            below_min = neighbour_counts < min_samples
            neighbour_counts[below_min] += cells.compare_slots(own_slots[below_min], near_slots).sum(axis=-1)
            if (neighbour_counts >= min_samples).all():
                break
        count.ravel()[own_slots] = neighbour_counts
    return (count >= min_samples).ravel()


def _check_pairs(cells: CellGrid, is_undecided: Mask) -> None:
    """Raise TooManyPairsError if the slots of `is_undecided` need more than `MAX_DISTANCES` distances.

    The number of distances is estimated from about 100 cells.
    """
    undecided_cells = np.flatnonzero(is_undecided.any(axis=1))
    sample_cells = undecided_cells[:: max(len(undecided_cells) // 100, 1)]
    all_cells = np.arange(len(cells.slots))
    distance_count = sum(
        int(is_undecided[cell].sum())
        * len(cells.find_near_cells(cells.rotated[cell][is_undecided[cell]], all_cells))
        * cells.width
        for cell in sample_cells
    )
    if distance_count * len(undecided_cells) > MAX_DISTANCES * max(len(sample_cells), 1):
        raise TooManyPairsError


def _iter_near_slots(
    cells: CellGrid, own_slots: Positions, candidates: Positions, slot_mask: Mask | None = None
) -> Iterator[Positions]:
    """Yield the slots of the cells `candidates` that can lie within eps of `own_slots`, a few cells at a time."""
    flat = cells.rotated.reshape(-1, cells.rotated.shape[2])
    near_cells = cells.find_near_cells(flat[own_slots], candidates)
    for first in range(0, len(near_cells), BATCH_CELLS):
        slots = (near_cells[first : first + BATCH_CELLS, None] * cells.width + np.arange(cells.width)).ravel()
        is_candidate = cells.slots.ravel()[slots] >= 0 if slot_mask is None else slot_mask[slots]
        if is_candidate.any():
            yield slots[is_candidate]


def _find_components(cells: CellGrid, is_core: Mask) -> Positions:
    """Return the lowest slot of the connected component of every core slot; -1 for the other slots."""
    parent = np.where(is_core, _connect_within_cells(cells, is_core), -1)
    grid = parent.reshape(cells.slots.shape)
    single_component = np.where(
        (grid == grid.max(axis=1, keepdims=True)) | (grid < 0), grid.max(axis=1, keepdims=True), -2
    ).min(axis=1)
    # `single_component`: the only component of a cell; -1 without a core row, -2 with several components
    for cell in np.flatnonzero(single_component != -1):
        own_slots = cell * cells.width + np.flatnonzero(grid[cell] >= 0)
        own_roots = _find_roots(parent, own_slots)
        later_cells = np.arange(cell + 1, len(single_component))
        later_cells = later_cells[single_component[later_cells] != -1]
        if (own_roots == own_roots[0]).all():
            has_one_component = single_component[later_cells] >= 0
            is_joined = has_one_component.copy()
            is_joined[has_one_component] = (
                _find_roots(parent, single_component[later_cells[has_one_component]]) == own_roots[0]
            )
            later_cells = later_cells[~is_joined]
        if len(later_cells):
            for near_slots in _iter_near_slots(cells, own_slots, later_cells, is_core):
                _unite_components(cells, parent, own_slots, near_slots)
    parent[is_core] = _find_roots(parent, np.flatnonzero(is_core))
    return parent


def _connect_within_cells(cells: CellGrid, is_core: Mask) -> Positions:
    """Return, for every slot, the lowest slot connected to it by core slots of its own cell."""
    components = np.empty(cells.slots.shape, dtype=np.intp)
    for batch, slots in cells.iter_batches():
        batch_is_core = is_core[slots]
        near = cells.compare_slots(slots, slots) & batch_is_core[:, :, None] & batch_is_core[:, None, :]
        lowest = slots.copy()
        while True:
            reachable = np.where(near, lowest[:, None, :], slots.max() + 1).min(axis=-1)
            reachable = np.minimum(reachable, lowest)
            if np.array_equal(reachable, lowest):
                break
            lowest = reachable
        components[batch] = lowest
    return components.ravel()


def _find_roots(parent: Positions, slots: Positions) -> Positions:
    """Return the root of the component of each of `slots`; shortens the paths to it (union-find)."""
    root = parent[slots]
    while not np.array_equal(grandparent := parent[root], root):
        root = grandparent
    parent[slots] = root
    return root


def _unite_components(cells: CellGrid, parent: Positions, own_slots: Positions, near_slots: Positions) -> None:
    """Unite the components of core slots within eps of each other."""
    own_roots, near_roots = _find_roots(parent, own_slots), _find_roots(parent, near_slots)
    if (own_roots == own_roots[0]).all():
        is_separate = near_roots != own_roots[0]
        near_slots, near_roots = near_slots[is_separate], near_roots[is_separate]
        if not len(near_slots):
            return
    near = cells.compare_slots(own_slots, near_slots)
    for root in np.unique(own_roots):
        touched_roots = np.unique(near_roots[near[own_roots == root].any(axis=0)])
        united_roots = np.unique(_find_roots(parent, np.append(touched_roots, root)))
        parent[united_roots] = united_roots[0]


def _number_clusters(cells: CellGrid, is_core: Mask, components: Positions) -> Positions:
    """Return clusters 0, 1, … of the core slots, by the lowest row of each; -1 for the other slots."""
    labels = np.full(is_core.shape, -1)
    slots = np.flatnonzero(is_core)
    slots = slots[np.argsort(cells.slots.ravel()[slots])]
    _, first_slots, cluster_indices = np.unique(components[slots], return_index=True, return_inverse=True)
    labels[slots] = np.argsort(np.argsort(first_slots))[cluster_indices]
    return labels


def _assign_border_slots(cells: CellGrid, is_core: Mask, labels: Positions) -> None:
    """Give each border slot the lowest cluster among the core slots within eps."""
    is_filled = cells.slots.ravel() >= 0
    is_border = (is_filled & ~is_core).reshape(cells.slots.shape)
    core_cells = np.flatnonzero(is_core.reshape(cells.slots.shape).any(axis=1))
    no_cluster = labels.max(initial=-1) + 1
    for cell in np.flatnonzero(is_border.any(axis=1)):
        own_slots = cell * cells.width + np.flatnonzero(is_border[cell])
        lowest_cluster = np.full(len(own_slots), no_cluster)
        for near_slots in _iter_near_slots(cells, own_slots, core_cells, is_core):
            near_cluster = np.where(cells.compare_slots(own_slots, near_slots), labels[near_slots], no_cluster).min(
                axis=-1
            )
            lowest_cluster = np.minimum(lowest_cluster, near_cluster)
        labels[own_slots] = np.where(lowest_cluster < no_cluster, lowest_cluster, -1)
