"""Effect of every finding on the measurements, which decides the order of the findings.

The proposed repair is tried on the data, or on a sample of large data. What it changes at the locations of the finding
is added up. A replaced value counts as its change, in units of the scale of the entity: the larger of the absolute
median and the distance between the 5 % and the 95 % quantile. A value set to missing counts as its distance to the
median, at least 1. A filled value, and every value of a removed, added or moved row, counts as 1. The sum over the
number of all cells is the effect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.quality.changes import Trace, trace_repairs
from core.data.quality.findings import QUESTION_KINDS, Finding

Rows = NDArray[np.intp]

MAX_SAMPLE_CELLS = 1_000_000  # larger data are sampled around the first location
ENTITY_CELLS = 1000  # cells that take as long to repair as one more entity
SPAN_KEYS = (("time", "time"), ("from", "to"), ("after", "before"))
"""Keys of the first and the last timestamp of a location."""


def order_findings(findings: Iterable[Finding], dataset: Dataset) -> tuple[Finding, ...]:
    """Return the findings with their effect: questions first, then those with a repair, then information.

    Within each group the largest effect comes first, then the largest number; equal ones keep their order.
    """
    measured = [replace(finding, effect=measure_effect(finding, dataset)) for finding in findings]
    return tuple(
        sorted(
            measured,
            key=lambda finding: (
                finding.kind not in QUESTION_KINDS,
                not finding.repairs,
                -finding.effect,
                -finding.count,
            ),
        )
    )


def measure_effect(finding: Finding, dataset: Dataset) -> float:
    """Return the mean change of a cell of `dataset` by the proposed repair at the locations of `finding`.

    The effect is 0 without a repair, and for a repair that changes no measurement. It is an estimate if `dataset` is
    sampled, or if the finding does not list all of its locations.

    Example:
        >>> from core.data.dataset import make_index
        >>> from core.data.quality.findings import Repair
        >>> index = make_index(["north"] * 5, pd.date_range("2024-01-01", periods=5))
        >>> dataset = Dataset(pd.DataFrame({"gas": [10.0, 10.0, 60.0, 10.0, 10.0]}, index), "tidy_series")
        >>> location = {"entity": "north", "time": "2024-01-03", "column": "gas"}
        >>> finding = Finding("isolated_spikes", 1, "A spike", (location,), (Repair("smooth_spikes"),))
        >>> round(measure_effect(finding, dataset), 4)  # 50, over a scale of 40, over 5 cells
        0.25
    """
    if not finding.repairs or not dataset.frame.size:
        return 0.0
    sample = take_sample(finding, dataset)
    trace = trace_repairs(finding.repairs[:1], sample)
    if sample is not dataset and not trace.count_changes().list_counts():
        return finding.count / dataset.frame.size  # the sample does not show the issue: each one counts as 1
    locations = finding.locations or ({},)
    rows_by_location = locate_rows(locations, sample)
    sizes = measure_sizes(trace, dataset)
    located_sum = float(sizes[mark_cells(locations, rows_by_location, trace)].sum())
    added_rows = min(int((trace.origins < 0).sum()) * len(dataset) / len(sample), finding.count)
    if len(locations) >= Finding.MAX_LOCATIONS:
        factor = finding.count / max(sum(map(len, rows_by_location)), 1)
    else:
        factor = len(locations) / max(sum(len(rows) > 0 for rows in rows_by_location), 1)
    return float((located_sum * factor + added_rows * len(trace.columns)) / dataset.frame.size)


def take_sample(finding: Finding, dataset: Dataset) -> Dataset:
    """Return `dataset`; of large data about `MAX_SAMPLE_CELLS`, around the first location.

    The entities of all locations come first. Other entities fill the sample, so that a rare issue stays rare in it.
    """
    share = MAX_SAMPLE_CELLS / max(dataset.frame.size + ENTITY_CELLS * len(dataset.entities), 1)
    if share >= 1:
        return dataset
    size = max(int(share * len(dataset)), 1)
    names = {str(location["entity"]) for location in finding.locations if "entity" in location}
    is_named = np.asarray(dataset.entity.isin(names)) if names else np.ones(len(dataset), dtype=bool)
    order = np.lexsort((dataset.time.to_numpy(), dataset.entity_codes))
    rows, other_rows = order[is_named[order]], order[~is_named[order]]
    first_rows = locate_rows(finding.locations[:1], dataset)[:1]
    centre = int(np.argmax(rows == first_rows[0][0])) if len(rows) and first_rows and len(first_rows[0]) else 0
    start = min(max(centre - size // 2, 0), max(len(rows) - size, 0))
    rows = rows[start : start + size]
    return dataset.take_rows(np.sort(np.append(rows, other_rows[: size - len(rows)])))


# ---- locations ------------------------------------------------------------------------------------------------------


def locate_rows(locations: Iterable[Mapping[str, Any]], dataset: Dataset) -> list[Rows]:
    """Return the rows of every location: those of its entity, from its first to its last timestamp.

    A location without an entity is in all of them; one without a timestamp is at all times.
    """
    times = dataset.time.to_numpy()
    order = np.lexsort((times, dataset.entity_codes))
    ordered_times = times[order]
    starts = np.searchsorted(dataset.entity_codes[order], np.arange(len(dataset.entities) + 1))
    code_by_entity = {entity: code for code, entity in enumerate(dataset.entities)}
    rows_by_location = []
    for location in locations:
        span = parse_span(location, dataset)
        if "entity" not in location and span is None:
            rows_by_location.append(order)
            continue
        code = code_by_entity.get(str(location.get("entity")), -1)
        codes = range(len(code_by_entity)) if "entity" not in location else [code] if code >= 0 else []
        parts = []
        for first, last in ((starts[code], starts[code + 1]) for code in codes):
            low, high = 0, last - first
            if span is not None:
                low = np.searchsorted(ordered_times[first:last], span[0], side="left")
                high = np.searchsorted(ordered_times[first:last], span[1], side="right")
            parts.append(order[first + low : first + high])
        rows_by_location.append(np.concatenate(parts) if parts else np.zeros(0, np.intp))
    return rows_by_location


def parse_span(location: Mapping[str, Any], dataset: Dataset) -> tuple[Any, Any] | None:
    """Return the first and the last timestamp of a location as values of the index of `dataset`; None without one."""
    for keys in SPAN_KEYS:
        if keys[0] in location and keys[1] in location:
            first, last = (
                np.datetime64(pd.Timestamp(location[key])) if dataset.has_dates else int(location[key]) for key in keys
            )
            return first, last
    return None


def mark_cells(
    locations: Iterable[Mapping[str, Any]], rows_by_location: Iterable[Rows], trace: Trace
) -> NDArray[np.bool_]:
    """Return the mask of the cells of all locations, shape (rows before, columns)."""
    mask = np.zeros((len(trace.before), len(trace.columns)), dtype=bool)
    position_by_column = {column: position for position, column in enumerate(trace.columns)}
    for location, rows in zip(locations, rows_by_location, strict=True):
        column = position_by_column.get(location.get("column", ""))
        if column is None:
            mask[rows] = True
        else:
            mask[rows, column] = True
    return mask


def measure_sizes(trace: Trace, dataset: Dataset) -> Floats:
    """Return the size of the change of every cell, shape (rows before, columns), in scales of its entity in `dataset`.

    The module says how a change is measured.
    """
    sizes = np.zeros((len(trace.before), len(trace.columns)))
    sizes[trace.is_removed | trace.is_moved] = 1.0
    rows, columns, old, new = trace.changed_cells
    if not len(rows):
        return sizes
    codes = np.searchsorted(np.array(dataset.entities), np.array(trace.before.entities))[
        trace.before.entity_codes[rows]
    ]
    range_columns = (
        np.zeros_like(columns)
        if dataset.profile
        else np.array([dataset.columns.index(column) for column in trace.columns])[columns]
    )
    median, width = (amounts[codes, range_columns] for amounts in dataset.entity_range)
    with np.errstate(all="ignore"):
        distance = np.abs(old - np.where(np.isnan(new), median, new)) / np.fmax(np.abs(median), width)
    distance = np.where(np.isfinite(distance), distance, 1.0)
    sizes[rows, columns] = np.where(np.isnan(new), np.maximum(distance, 1.0), distance)
    return sizes
