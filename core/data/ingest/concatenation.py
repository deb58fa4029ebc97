"""Concatenation of the datasets of several files, duplicate rows, and hours that clock changes repeat."""

from itertools import pairwise

import numpy as np
import pandas as pd

from core.data.dataset import DAY, Dataset, format_timestamp, make_index
from core.data.nameless import SERIES, name_by_file
from core.data.quality.findings import Finding
from core.data.time_zones import find_zone, has_clock_changes, infer_zone, mark_in_changes, to_local_times
from core.errors import UnknownLayoutError
from core.messages import N_, Message


def concat_datasets(datasets: list[Dataset]) -> Dataset:
    """Return the rows of all datasets, in their order. Raises UnknownLayoutError for other columns or another unit."""
    first = datasets[0]
    if len(datasets) == 1:
        return first
    for dataset in datasets[1:]:
        if (dataset.layout, dataset.columns, dataset.unit) != (first.layout, first.columns, first.unit):
            raise UnknownLayoutError(
                N_("{file} does not match {other}. Files loaded together must have the same layout, columns and unit."),
                file=dataset.files[0],
                other=first.files[0],
            )

    datasets = _name_series(_merge_zones(datasets))

    def concat_tables(name: str) -> "pd.DataFrame | None":
        tables = [getattr(dataset, name) for dataset in datasets]
        return None if all(table is None for table in tables) else pd.concat([t for t in tables if t is not None])

    frame = concat_tables("frame")
    labels = concat_tables("labels")
    folds = [pd.Series(dataset.is_second_pass, dataset.frame.index, name="fold") for dataset in datasets]
    optional_tables = {name: _keep_if_complete(concat_tables(name), frame) for name in ("covariates", "context")}
    missing_names = [
        name for name, table in optional_tables.items() if table is None and concat_tables(name) is not None
    ]
    notes = [note for dataset in datasets for note in dataset.notes]
    if missing_names:
        message = Message(
            N_("Columns ignored because some files do not have them: {columns}."), {"columns": ", ".join(missing_names)}
        )
        notes.append(Finding("ignored_columns", len(missing_names), message))
    return first.replace(
        frame=frame,
        **optional_tables,
        step=next((dataset.step for dataset in datasets if dataset.step is not None), None),
        labels=labels if labels is not None and len(labels) == len(frame) else None,  # type: ignore[arg-type]
        zone=datasets[0].zone,
        fold=pd.concat(folds) if any(dataset.fold is not None for dataset in datasets) else None,
        files=tuple(name for dataset in datasets for name in dataset.files),
        notes=tuple(notes),
    )


def _merge_zones(datasets: list[Dataset]) -> list[Dataset]:
    """Put the timestamps of all files on one clock: that of a zone with all their offsets, else UTC.

    Files of days, and files of which one has no known offset, keep their timestamps.
    """
    zones = {dataset.zone for dataset in datasets}
    if len(zones) == 1:
        return datasets
    if "" in zones or any(dataset.profile or dataset.step is None or dataset.step >= DAY for dataset in datasets):
        return [dataset.replace(zone="") for dataset in datasets]
    instants = [dataset.compute_instants() for dataset in datasets]
    local_times = [pd.DatetimeIndex(dataset.time) for dataset in datasets]
    zone = find_zone(local_times[0].append(local_times[1:]), instants[0].append(instants[1:])) or "UTC"
    moved = [to_local_times(times, zone) for times in instants]
    note = Finding(
        "time_zone",
        sum(map(len, datasets)),
        Message(
            N_("The files have different offsets from UTC. All timestamps are on the clock of {zone}."), {"zone": zone}
        ),
    )
    return [
        dataset.replace(
            frame=dataset.frame.set_axis(make_index(dataset.entity, times), axis=0),
            zone=zone,
            fold=pd.Series(fold, make_index(dataset.entity, times), name="fold") if fold.any() else None,
            notes=(*dataset.notes, *([note] if number == 0 else [])),
        )
        for number, (dataset, (times, fold)) in enumerate(zip(datasets, moved, strict=True))
    ]


def _name_series(datasets: list[Dataset]) -> list[Dataset]:
    """Name the nameless series of several files by their files, unless they are parts of one series.

    Example: january.csv and february.csv, whose periods do not overlap, become one series.
    """
    if all(dataset.has_dates and dataset.entities == [SERIES] for dataset in datasets):
        spans = sorted((dataset.time.min(), dataset.time.max()) for dataset in datasets)
        if all(later[0] > earlier[1] for earlier, later in pairwise(spans)):
            return datasets
    return [name_by_file(dataset) for dataset in datasets]


def _keep_if_complete(table: pd.DataFrame | None, frame: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the table of covariates or context if every file has it, else None."""
    return table if table is not None and frame is not None and len(table) == len(frame) else None


def drop_duplicate_rows(dataset: Dataset) -> Dataset:
    """Drop rows that equal an earlier row in entity, time and every measurement.

    Rows with the same entity and time but other measurements stay; the data doctor reports them. The two passes of an
    hour that the autumn clock change repeats stay as well.
    """
    candidate_rows = np.flatnonzero(dataset.mark_duplicates(keep=False))
    if not len(candidate_rows):
        return dataset
    rows = dataset.frame.iloc[candidate_rows].reset_index().assign(fold=dataset.is_second_pass[candidate_rows])
    dropped_rows = candidate_rows[rows.duplicated().to_numpy()]
    if not len(dropped_rows):
        return dataset
    kept_mask = np.ones(len(dataset), dtype=bool)
    kept_mask[dropped_rows] = False
    note = Finding(
        "repeated_rows",
        len(dropped_rows),
        Message(N_("Exact duplicate rows in the files (one copy of each was kept)")),
        tuple(
            {"entity": dataset.entity[row], "time": format_timestamp(dataset.time[row])}
            for row in dropped_rows[: Finding.MAX_LOCATIONS]
        ),
    )
    return dataset.take_rows(kept_mask).replace(notes=(*dataset.notes, note))


def mark_repeated_hours(dataset: Dataset) -> Dataset:
    """Recognise the clock changes of timestamps without offsets: the hours that occur twice, or never.

    The later of two rows in a repeated hour is the second pass. A note tells the zone that explains the rows.
    """
    if not dataset.has_dates or dataset.profile or dataset.step is None or dataset.step >= DAY:
        return dataset
    if dataset.fold is not None or (dataset.zone and not has_clock_changes(dataset.zone)):
        return dataset
    repeated = dataset.mark_duplicates(keep=False)
    times = pd.DatetimeIndex(dataset.time)
    repeated_times = times[repeated].unique()
    zone = dataset.zone or infer_zone(times.unique().sort_values(), repeated_times)
    if not zone:
        return dataset
    fold = dataset.mark_duplicates() & mark_in_changes(times, zone, is_repeated=True)
    is_new = not dataset.zone
    dataset = dataset.replace(
        zone=zone, fold=pd.Series(fold, index=dataset.frame.index, name="fold") if fold.any() else None
    )
    template = N_("{file}: the clock changes as in {zone}. Rows in the second pass of a repeated hour: {count}.")
    message = Message(template, {"file": dataset.files[0], "zone": zone, "count": int(fold.sum())})
    note = Finding("clock_changes", int(fold.sum()), message)
    return dataset.replace(notes=(*dataset.notes, note)) if is_new else dataset
