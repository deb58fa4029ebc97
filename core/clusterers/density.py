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

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)

CELL = 64  # rows of a cell, at most
CUT = 6  # leading axes along which cells are split
BOXED = 3  # leading axes of the first comparison of boxes
AT_ONCE = 64  # cells in a batch: their distances fit into the cache of the processor
ROUNDING = 1e-11  # share of the squared size: distances this near to eps are computed again without rotation
ROTATION = 1e-14  # share of the largest coordinate: error of the rotation
PAIRS = 2 * 10**10  # distances: about 90 s of one processor


class TooManyPairsError(Exception):
    """Error for rows so many and so scattered that their neighbours cannot be counted."""


@dataclass(frozen=True)
class Cells:
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
    slots: Places
    low: Floats
    high: Floats
    eps: float
    slack: float

    @classmethod
    def of(cls, rows: Floats, eps: float) -> "Cells":
        """Split `rows` (rows, columns) into cells along their principal axes."""
        turned = (rows - rows.mean(axis=0)) @ principal_axes(rows)
        slots = _cut(turned[:, :CUT].copy())
        rotated = turned[slots]
        rotated[slots < 0] = np.nan
        low, high = (np.asfortranarray(edge(rotated, axis=1)) for edge in (np.nanmin, np.nanmax))
        extent = max(float(np.abs(low).max()), float(np.abs(high).max()))
        return cls(rows, rotated, slots, low, high, eps, ROUNDING * eps + ROTATION * extent)

    @property
    def width(self) -> int:
        """Number of slots of a cell."""
        return self.slots.shape[1]

    def beside(self, one: Floats, among: Places) -> Places:
        """Return the cells of `among` whose box lies within eps of the box of `box_rows`, nearest first."""
        low, high = one.min(axis=0), one.max(axis=0)
        first = np.maximum(self.low[:, 0][among] - high[0], low[0] - self.high[:, 0][among])
        among = among[first <= self.eps + self.slack]
        for axes in (slice(BOXED), slice(None)):
            gap = np.maximum(self.low[among, axes] - high[axes], low[axes] - self.high[among, axes]).clip(min=0.0)
            apart = np.einsum("ij,ij->i", gap, gap)
            near = apart <= (self.eps + self.slack) ** 2
            among, apart = among[near], apart[near]
        return among[np.argsort(apart, kind="stable")]

    def close(self, ours: Places, theirs: Places) -> Mask:
        """Return a mask of the pairs of slots within eps, (…, p, q); False for an empty slot.

        Both arguments, of shape (…, p) and (…, q), are indices over the slots of all cells.
        """
        flat = self.rotated.reshape(-1, self.rotated.shape[2])
        one, other = flat[ours], flat[theirs]
        origin = one[..., :1, :]
        one, other = one - origin, other - origin
        ours2, theirs2 = np.einsum("...i,...i", one, one), np.einsum("...i,...i", other, other)
        ones = np.ones((*ours2.shape, 1)), np.ones((*theirs2.shape, 1))
        left = np.concatenate([one, ours2[..., None], ones[0]], axis=-1)
        right = np.concatenate([-2.0 * other, ones[1], theirs2[..., None] - self.eps**2], axis=-1)
        beyond = left @ right.swapaxes(-1, -2)  # squared distance − eps², in one matrix product
        doubt = ROUNDING * (np.nanmax(ours2) + np.nanmax(theirs2)) + 2 * self.eps * self.slack
        near: Mask = beyond <= doubt
        sure = beyond < -doubt
        if np.count_nonzero(near) > np.count_nonzero(sure):
            unsure = np.nonzero(near ^ sure)
            apart = self.rows[self._row(ours, unsure[:-1])] - self.rows[self._row(theirs, (*unsure[:-2], unsure[-1]))]
            near[unsure] = np.einsum("ij,ij->i", apart, apart) <= self.eps**2
        return near

    def _row(self, slots: Places, place: tuple[Places, ...]) -> Places:
        return self.slots.ravel()[slots[place]]

    def by_row(self, found: NDArray[T]) -> NDArray[T]:
        """Return the values of all slots in the order of the rows."""
        slots = self.slots.ravel()
        ordered = np.empty(len(self.rows), dtype=found.dtype)
        ordered[slots[slots >= 0]] = found[slots >= 0]
        return ordered

    def batches(self) -> Iterator[tuple[slice, Places]]:
        """Yield a few cells at a time: their slice, and the indices of their slots over all cells (cells, width)."""
        every = np.arange(self.slots.size).reshape(self.slots.shape)
        for first in range(0, len(every), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            yield some, every[some]


def principal_axes(rows: Floats) -> Floats:
    """Return the principal axes of the rows, widest first: an orthogonal matrix (columns, columns).

    Example:
        >>> principal_axes(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])).round(2)[:, 0].tolist()
        [0.71, 0.71]
    """
    centred = rows - rows.mean(axis=0)
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1].copy()


def _cut(points: Floats) -> Places:
    """Return the row of every slot, (cells, width): rows are halved repeatedly along the widest axis of each half."""
    count = len(points)
    order = np.arange(count)
    bounds = [0, count]
    while bounds[1] > CELL:
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


def clusters(rows: Floats, eps: float, min_samples: int) -> tuple[Places, Mask]:
    """Return the cluster of every row (-1 for noise), and a mask of the core rows, both (rows,).

    `rows` is (rows, columns) without missing values. Raises TooManyPairsError if more than `PAIRS` distances are
    needed.

    Example:
        >>> labels, core = clusters(np.array([[0.0], [0.1], [0.2], [9.0]]), 0.15, 3)
        >>> labels.tolist(), core.tolist()  # a core row with two border rows, and noise
        ([0, 0, 0, -1], [False, True, False, False])
    """
    cells = Cells.of(rows, eps)
    core = _core(cells, min_samples)
    number = _numbered(cells, core, _components(cells, core))
    _take_in(cells, core, number)
    return cells.by_row(number), cells.by_row(core)


def sampled_cores(rows: Floats, eps: float, min_samples: int, random: np.random.Generator) -> tuple[Places, Places]:
    """Return core rows among rows drawn at random, and their clusters.

    For more rows than `clusters` can compare. The sample has `PAIRS` / rows rows; their neighbours are counted among
    all rows. Jang, Jiang: DBSCAN++, ICML 2019.
    """
    asked = np.zeros(len(rows), dtype=bool)
    asked[random.choice(len(rows), min(PAIRS // len(rows), len(rows)), replace=False)] = True
    cells = Cells.of(rows, eps)
    cores = np.flatnonzero(cells.by_row(_core(cells, min_samples, asked[cells.slots])) & asked)
    if not len(cores):
        return cores, cores
    return cores, clusters(rows[cores], eps, 1)[0]


def _core(cells: Cells, min_samples: int, asked: Mask | None = None) -> Mask:
    """Return a mask of the slots with at least `min_samples` rows within eps, themselves included.

    With `candidates`, only those slots are checked fully. Without it, raises TooManyPairsError if too many distances
    are needed.
    """
    count = np.zeros(cells.slots.shape, dtype=np.intp)
    for some, slots in cells.batches():
        count[some] = cells.close(slots, slots).sum(axis=-1)
    unknown = (count < min_samples) & (cells.slots >= 0)
    if asked is None:
        _check_pairs(cells, unknown)
    else:
        unknown &= asked
    others = np.arange(len(cells.slots))
    for cell in np.flatnonzero(unknown.any(axis=1)):
        mine = cell * cells.width + np.flatnonzero(unknown[cell])
        found = count.ravel()[mine]
        for theirs in _slots_beside(cells, mine, others[others != cell]):
            left = found < min_samples
            found[left] += cells.close(mine[left], theirs).sum(axis=-1)
            if (found >= min_samples).all():
                break
        count.ravel()[mine] = found
    return (count >= min_samples).ravel()


def _check_pairs(cells: Cells, unknown: Mask) -> None:
    """Raise TooManyPairsError if the slots of `unknown` need more than `PAIRS` distances.

    The number of distances is estimated from about 100 cells.
    """
    concerned = np.flatnonzero(unknown.any(axis=1))
    seen = concerned[:: max(len(concerned) // 100, 1)]
    every = np.arange(len(cells.slots))
    pairs = sum(
        int(unknown[cell].sum()) * len(cells.beside(cells.rotated[cell][unknown[cell]], every)) * cells.width
        for cell in seen
    )
    if pairs * len(concerned) > PAIRS * max(len(seen), 1):
        raise TooManyPairsError


def _slots_beside(cells: Cells, mine: Places, among: Places, wanted: Mask | None = None) -> Iterator[Places]:
    """Yield the slots of the cells `among` that can lie within eps of `own_slots`, a few cells at a time."""
    flat = cells.rotated.reshape(-1, cells.rotated.shape[2])
    near = cells.beside(flat[mine], among)
    for first in range(0, len(near), AT_ONCE):
        slots = (near[first : first + AT_ONCE, None] * cells.width + np.arange(cells.width)).ravel()
        keep = cells.slots.ravel()[slots] >= 0 if wanted is None else wanted[slots]
        if keep.any():
            yield slots[keep]


def _components(cells: Cells, core: Mask) -> Places:
    """Return the lowest slot of the connected component of every core slot; -1 for the other slots."""
    parent = np.where(core, _within_cells(cells, core), -1)
    grid = parent.reshape(cells.slots.shape)
    one = np.where((grid == grid.max(axis=1, keepdims=True)) | (grid < 0), grid.max(axis=1, keepdims=True), -2).min(
        axis=1
    )
    # `single_component`: the only component of a cell; -1 without a core row, -2 with several components
    for cell in np.flatnonzero(one != -1):
        mine = cell * cells.width + np.flatnonzero(grid[cell] >= 0)
        ours = _roots(parent, mine)
        later = np.arange(cell + 1, len(one))
        later = later[one[later] != -1]
        if (ours == ours[0]).all():
            whole = one[later] >= 0
            joined = whole.copy()
            joined[whole] = _roots(parent, one[later[whole]]) == ours[0]
            later = later[~joined]
        if len(later):
            for theirs in _slots_beside(cells, mine, later, core):
                _join(cells, parent, mine, theirs)
    parent[core] = _roots(parent, np.flatnonzero(core))
    return parent


def _within_cells(cells: Cells, core: Mask) -> Places:
    """Return, for every slot, the lowest slot connected to it by core slots of its own cell."""
    found = np.empty(cells.slots.shape, dtype=np.intp)
    for some, slots in cells.batches():
        mine = core[slots]
        near = cells.close(slots, slots) & mine[:, :, None] & mine[:, None, :]
        lowest = slots.copy()
        while True:
            reached = np.where(near, lowest[:, None, :], slots.max() + 1).min(axis=-1)
            reached = np.minimum(reached, lowest)
            if np.array_equal(reached, lowest):
                break
            lowest = reached
        found[some] = lowest
    return found.ravel()


def _roots(parent: Places, slots: Places) -> Places:
    """Return the root of the component of each of `slots`; shortens the paths to it (union-find)."""
    root = parent[slots]
    while not np.array_equal(above := parent[root], root):
        root = above
    parent[slots] = root
    return root


def _join(cells: Cells, parent: Places, mine: Places, theirs: Places) -> None:
    """Unite the components of core slots within eps of each other."""
    ours, other = _roots(parent, mine), _roots(parent, theirs)
    if (ours == ours[0]).all():
        apart = other != ours[0]
        theirs, other = theirs[apart], other[apart]
        if not len(theirs):
            return
    near = cells.close(mine, theirs)
    for root in np.unique(ours):
        touched = np.unique(other[near[ours == root].any(axis=0)])
        together = np.unique(_roots(parent, np.append(touched, root)))
        parent[together] = together[0]


def _numbered(cells: Cells, core: Mask, component: Places) -> Places:
    """Return clusters 0, 1, … of the core slots, by the lowest row of each; -1 for the other slots."""
    number = np.full(core.shape, -1)
    slots = np.flatnonzero(core)
    slots = slots[np.argsort(cells.slots.ravel()[slots])]
    _, first, place = np.unique(component[slots], return_index=True, return_inverse=True)
    number[slots] = np.argsort(np.argsort(first))[place]
    return number


def _take_in(cells: Cells, core: Mask, number: Places) -> None:
    """Give each border slot the lowest cluster among the core slots within eps."""
    filled = cells.slots.ravel() >= 0
    left = (filled & ~core).reshape(cells.slots.shape)
    homes = np.flatnonzero(core.reshape(cells.slots.shape).any(axis=1))
    nobody = number.max(initial=-1) + 1
    for cell in np.flatnonzero(left.any(axis=1)):
        mine = cell * cells.width + np.flatnonzero(left[cell])
        lowest = np.full(len(mine), nobody)
        for theirs in _slots_beside(cells, mine, homes, core):
            found = np.where(cells.close(mine, theirs), number[theirs], nobody).min(axis=-1)
            lowest = np.minimum(lowest, found)
        number[mine] = np.where(lowest < nobody, lowest, -1)
