"""Reading of arrived files as the data of a model were read, so that a file of one row is read like one of a year."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import numpy as np
import pandas as pd

from core.data.columns import TIME_PARTS, Role
from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load, pin_marks
from core.data.nameless import SERIES, name_by_file
from core.data.read_options import DECIMAL_MARKS, ReadOptions, format_roles
from core.errors import DataError, InputError, OptionError, UnreadableFileError, VigieError
from core.messages import N_, Message
from core.spec.hyperparameters import build_from_settings

MAX_PINNED_BYTES = 20_000_000  # of a first file that is read again to find its decimal mark and order of dates
MAX_NAMED = 5  # columns in a message
PINNED_ROLES: tuple[Role, ...] = ("time", *TIME_PARTS, "entity", "variable", "measure", "ignore")
OPEN_DATES = N_("{file}: the order of day, month and year is open. Set the order of dates of the watch.")
OPEN_MARK = N_("{file}: the decimal mark is open. Set the decimal mark of the watch.")


@dataclass(frozen=True)
class RefusedFile:
    """File that cannot be read as the data of the model, and why."""

    name: str
    reason: Message


@dataclass(frozen=True)
class ArrivedRows:
    """Rows of arrived files.

    dataset   rows with the form of the template, each entity and instant once; None without rows
    repeated  number of rows that a later row of the same entity and instant replaced
    refused   files that could not be read
    """

    dataset: Dataset | None
    repeated: int = 0
    refused: tuple[RefusedFile, ...] = ()


def pin_reading(dataset: Dataset, files: Sequence[tuple[Path, str]] = ()) -> dict[str, Any]:
    """Return the choices with which other files are read as `dataset` was: the field `reading` of a watch.

    `files` are those that it was read from; the first one tells the decimal mark and the order of the dates.
    """
    chosen = asdict(dataset.read_options)
    roles = {reading.name: reading.role for reading in dataset.readings if reading.role in PINNED_ROLES}
    pinned = {
        "layout": dataset.layout,
        "roles": format_roles(roles),
        "unit": dataset.unit,
        "zone": dataset.zone if dataset.zone in available_timezones() else "",
        **_find_marks(dataset.read_options, files),
    }
    merged = {name: chosen[name] or pinned.get(name, chosen[name]) for name in chosen}
    merged["roles"] = pinned["roles"] or chosen["roles"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in merged.items() if value}


def build_read_options(reading: Mapping[str, Any]) -> ReadOptions:
    """Return the choices of the field `reading` of a watch. Raises OptionError for one that is not accepted."""
    unknown = sorted(set(reading) - set(asdict(ReadOptions())))
    if unknown:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="reading",
            value=", ".join(unknown)[:200],
            accepted=", ".join(asdict(ReadOptions())),
        )
    options = build_from_settings(ReadOptions, {**reading, "roles": tuple(reading.get("roles", ()))})
    options.check()
    return options


def read_rows(files: Sequence[tuple[Path, str]], options: ReadOptions, template: Dataset) -> ArrivedRows:
    """Read files into rows of the form of `template`.

    A file that cannot be read, or does not fit, is among the refused ones, and the others are read. Of several rows of
    one entity and instant the last one counts.
    """
    parts, refused = [], []
    for path, name in files:
        try:
            part = read_file(path, name, options, template)
        except VigieError as error:
            refused.append(RefusedFile(name, error.message))
            continue
        if part is not None:
            parts.append(part)
    if not parts:
        return ArrivedRows(None, refused=tuple(refused))
    dataset = join_rows(parts, template)
    is_last = ~pd.MultiIndex.from_arrays([dataset.entity.astype(str), dataset.compute_instants()]).duplicated("last")
    return ArrivedRows(dataset.take_rows(is_last), int((~is_last).sum()), tuple(refused))


def read_file(path: Path, name: str, options: ReadOptions, template: Dataset) -> Dataset | None:
    """Return the rows of one file in the form of `template`; None for a file with a heading and no rows.

    Raises InputError, which names the file, for a file that cannot be read, for other columns, and for dates or numbers
    with two readings.
    """
    try:
        dataset = load([(path, name)], options)
    except UnreadableFileError:
        if _has_only_heading(path):
            return None
        raise
    kinds = {note.kind for note in dataset.notes}
    if "ambiguous_numbers" in kinds:
        dataset = _find_fractions(path, name, options, template)
    if "ambiguous_dates" in kinds:
        raise InputError(OPEN_DATES, file=name)
    if not dataset.has_dates:
        raise DataError(N_("{file} has no dates. A watch needs dates."), file=name)
    return shape_rows(_name_entity(dataset, template), template)


def shape_rows(dataset: Dataset, template: Dataset) -> Dataset:
    """Return the rows with the columns, step, zone and kind of rows of `template`, without covariates and labels.

    Raises DataError for other columns or another unit.
    """
    files = ", ".join(dataset.files)
    missing = [name for name in template.columns if name not in dataset.columns]
    unknown = [name for name in dataset.columns if name not in template.columns]
    if missing or unknown or dataset.profile != template.profile:
        raise DataError(
            N_("{file}: the columns are {value}. The model needs the columns {accepted}. Missing: {missing}."),
            file=files,
            value=_format_names(dataset.columns),
            accepted=_format_names(template.columns),
            missing=_format_names(missing) or "–",
        )
    if template.unit and dataset.unit != template.unit:
        raise DataError(
            N_("{file} has the unit {value}. The model was trained on data in {accepted}."),
            file=files,
            value=dataset.unit or "?",
            accepted=template.unit,
        )
    return dataset.replace(
        frame=dataset.frame[template.columns],
        step=template.step or dataset.step,
        zone=template.zone or dataset.zone,
        unit=template.unit,
        day_start=template.day_start if template.layout else dataset.day_start,
        covariates=None,
        context=None,
        labels=None,
        notes=(),
        readings=(),
    )


def join_rows(parts: Sequence[Dataset], template: Dataset) -> Dataset:
    """Return the rows of several datasets of one form, in their order."""
    entity = np.concatenate([np.asarray(part.entity.astype(str), dtype=object) for part in parts])
    time = np.concatenate([part.time.to_numpy().astype("datetime64[ns]") for part in parts])
    index = make_index(entity, pd.DatetimeIndex(time))
    fold = np.concatenate([part.is_second_pass for part in parts])
    frame = pd.DataFrame(np.concatenate([part.values for part in parts]), index=index, columns=template.columns)
    files = tuple(dict.fromkeys(name for part in parts for name in part.files))
    return parts[0].replace(
        frame=frame, fold=pd.Series(fold, index=index, name="fold") if fold.any() else None, files=files
    )


def _find_marks(options: ReadOptions, files: Sequence[tuple[Path, str]]) -> dict[str, str]:
    """Return the decimal mark and the order of the dates of the first file, as choices; none where it is open."""
    if not files or files[0][0].stat().st_size > MAX_PINNED_BYTES:
        return {}
    try:
        marks = pin_marks(files[0], options)
    except (InputError, OSError):
        return {}
    return {"decimal_mark": marks.decimal_mark, "date_order": marks.date_order}


def _find_fractions(path: Path, name: str, options: ReadOptions, template: Dataset) -> Dataset:
    """Return the rows of a file with an open decimal mark, where the training data decide it: they have fractions.

    "1.234" is 1234 or has a fraction. Raises InputError where the training data do not decide it.
    """
    measures = [reading for reading in template.readings if reading.role == "measure"]
    has_fractions = any("." in cell for reading in measures for cell in reading.first_cells)
    readings = [load([(path, name)], replace(options, decimal_mark=mark)) for mark in DECIMAL_MARKS]
    fitting = [dataset for dataset in readings if (np.nan_to_num(dataset.values) % 1 != 0).any()]
    if not has_fractions or len(fitting) != 1:
        raise InputError(OPEN_MARK, file=name)
    return fitting[0]


def _name_entity(dataset: Dataset, template: Dataset) -> Dataset:
    """Return a series without a name under that of its file, where the model knows several series by their files."""
    trained_entities = [str(name) for name in template.frame.index.levels[0]]
    is_named_by_file = len(trained_entities) > 1 and SERIES not in trained_entities
    return name_by_file(dataset) if is_named_by_file else dataset


def _has_only_heading(path: Path) -> bool:
    """Tell whether a text file has one line, or none."""
    with path.open("rb") as file:
        head = file.read(1_000_000)
    return len(head) < 1_000_000 and len(head.strip().splitlines()) <= 1 and b"\0" not in head


def _format_names(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (f" … ({len(names)})" if len(names) > MAX_NAMED else "")
