"""Data doctor: checks a dataset and reports each kind of issue with its number, locations and repairs."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, when
from core.data.ingest.readers import Progress, no_progress
from core.data.quality import checks
from core.data.quality.checks import Cells, Stretch
from core.data.quality.findings import Finding, Repair
from core.messages import N_, Text


@dataclass(frozen=True)
class Summary:
    """Facts about a dataset in a few numbers.

    dates            number of distinct days
    start, end       first and last timestamp, empty for data without dates
    incomplete_rows  number of rows with a missing measurement
    covariates       per covariate that is 0 or 1, the number of rows and of days on which it is 1
    """

    rows: int
    columns: int
    entities: int
    dates: int
    start: str
    end: str
    incomplete_rows: int
    unit: str
    layout: str
    drivers: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Report:
    """Summary of a dataset and the findings about it: those of reading the files, then those of `CHECKS`."""

    summary: Summary
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Return one flat object: the summary, `<covariate>_rows` and `<covariate>_dates`, and the findings."""
        summary = asdict(self.summary)
        drivers = summary.pop("drivers")
        counts = {f"{name}_{key}": count for name, each in drivers.items() for key, count in each.items()}
        return {**summary, **counts, "findings": [finding.to_json() for finding in self.findings]}


def examine(dataset: Dataset, progress: Progress = no_progress) -> Report:
    """Run every check on `dataset`; findings of reading the files come first."""
    findings = list(dataset.notes)
    for number, check in enumerate(CHECKS):
        finding = check(dataset)
        if finding is not None:
            findings.append(finding)
        progress((number + 1) / len(CHECKS))
    return Report(summarised(dataset), tuple(findings))


def summarised(dataset: Dataset) -> Summary:
    """Return the facts about a dataset in a few numbers."""
    days = pd.DatetimeIndex(dataset.time).normalize() if dataset.dated else None
    return Summary(
        rows=len(dataset),
        columns=len(dataset.columns),
        entities=len(dataset.entities),
        dates=0 if days is None else days.nunique(),
        start="" if days is None or not len(days) else when(dataset.time.min()),
        end="" if days is None or not len(days) else when(dataset.time.max()),
        incomplete_rows=int((~dataset.complete).sum()),
        unit=dataset.unit,
        layout=dataset.layout,
        drivers=_driver_counts(dataset, days),
    )


def _driver_counts(dataset: Dataset, days: pd.DatetimeIndex | None) -> dict[str, dict[str, int]]:
    if dataset.drivers is None or days is None:
        return {}
    counts = {}
    for name in dataset.drivers.columns:
        on = dataset.drivers[name].to_numpy(dtype=float) > 0
        if np.isin(dataset.drivers[name].dropna().unique(), (0.0, 1.0)).all():
            counts[str(name)] = {"rows": int(on.sum()), "dates": int(days[on].nunique())}
    return counts


# ---- checks ---------------------------------------------------------------------------------------------------------


def hour_shift(dataset: Dataset) -> Finding | None:
    """Find periods whose hour labels are shifted."""
    _, stretches = checks.shifted_hours(dataset)
    if not stretches:
        return None
    rows = sum(stretch.rows for stretch in stretches)
    shift = int(stretches[0].amount) * 24 // len(dataset.columns)
    text = Text(
        N_("Rows whose hour labels are shifted by {shift} h against the last twelve months"), {"shift": f"{shift:+d}"}
    )
    return Finding("shifted_hours", rows, text, _periods(stretches, "shift_hours"), (Repair("undo_hour_shift"),))


def mixed_units(dataset: Dataset) -> Finding | None:
    """Find months in another unit than the others."""
    _, stretches = checks.scaled_months(dataset)
    if not stretches:
        return None
    rows = sum(stretch.rows for stretch in stretches)
    text = Text(
        N_("Rows in months that differ from the rest by a factor of {factor}: probably another unit"),
        {"factor": stretches[0].amount},
    )
    return Finding("mixed_units", rows, text, _periods(stretches, "factor"), (Repair("rescale_units"),))


def mixed_steps(dataset: Dataset) -> Finding | None:
    """Find times off the usual step."""
    rows = checks.off_grid(dataset)
    text = Text(N_("Times off the usual step ({step})"), {"step": _duration(dataset.step)})
    return _of_rows("mixed_steps", dataset, rows, text, Repair("align_times"))


def _duration(step: pd.Timedelta | None) -> str:
    """Return a step as text: 15 min, 1 h, 1 d."""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if step is not None and step.total_seconds() % seconds == 0:
            return f"{step.total_seconds() / seconds:.0f} {unit}"
    return str(step)


def duplicate_keys(dataset: Dataset) -> Finding | None:
    """Find rows that repeat entity and time with other values."""
    rows = checks.duplicates(dataset)
    text = Text(N_("Rows that repeat the entity and time of another row with other values"))
    return _of_rows(
        "duplicate_keys",
        dataset,
        rows,
        text,
        Repair("drop_duplicates", {"keep": "last"}),
        Repair("drop_duplicates", {"keep": "first"}),
    )


def missing_dates(dataset: Dataset) -> Finding | None:
    """Find timestamps that are absent between the first and the last row of an entity."""
    gaps = checks.gaps(dataset)
    if not gaps:
        return None
    count = sum(gap.missing for gap in gaps)
    text = Text(N_("Absent moments (gaps: {gaps})"), {"gaps": len(gaps)})
    where = tuple(
        {"entity": gap.entity, "after": when(gap.after), "before": when(gap.before), "missing": gap.missing}
        for gap in gaps[: Finding.PLACES]
    )
    return Finding("missing_dates", count, text, where, (Repair("insert_missing"),))


def incomplete_rows(dataset: Dataset) -> Finding | None:
    """Find rows with missing measurements."""
    rows = np.flatnonzero(~dataset.complete)
    if not len(rows):
        return None
    missing = np.isnan(dataset.values[rows]).sum(axis=1)
    text = Text(N_("Rows that lack measurements (cells: {cells})"), {"cells": int(missing.sum())})
    where = tuple(
        {"entity": dataset.entity[row], "time": when(dataset.time[row]), "missing": int(number)}
        for row, number in zip(rows[: Finding.PLACES], missing, strict=False)
    )
    return Finding("incomplete_rows", len(rows), text, where, (Repair("impute_incomplete"), Repair("drop_incomplete")))


def contradicting_totals(dataset: Dataset) -> Finding | None:
    """Find rows that do not add up to the declared total."""
    rows = checks.contradicting_totals(dataset)
    text = Text(N_("Rows whose columns do not add up to the declared total"))
    finding = _of_rows("contradicting_totals", dataset, rows, text, Repair("recompute_totals"))
    if finding is None or dataset.context is None:
        return None
    declared = dataset.context["total"].to_numpy()
    where = tuple(
        {**place, "sum": float(dataset.values[row].sum()), "total": float(declared[row])}
        for place, row in zip(finding.where, rows, strict=False)
    )
    return Finding(finding.kind, finding.count, finding.text, where, finding.repairs)


def constant_columns(dataset: Dataset) -> Finding | None:
    """Find measurements and context columns that never change."""
    constant = [] if len(dataset) < 2 else checks.unchanging(dataset)
    described = (
        []
        if dataset.context is None
        else [
            str(name)
            for name in dataset.context.columns
            if name != "total" and dataset.context[name].nunique() == 1 and dataset.context[name].notna().all()
        ]
    )
    names = constant + described
    if not names:
        return None
    text = Text(N_("Columns that never change: {columns}"), {"columns": ", ".join(names[:10])})
    repairs = (Repair("drop_constant"),) if constant and not dataset.profile else ()
    return Finding("constant_columns", len(names), text, tuple({"column": name} for name in names), repairs)


Check = Callable[[Dataset], Finding | None]


def cells(kind: str, fault: Callable[[Dataset], Cells], sentence: str, repair: str) -> Check:
    """Return a check that reports every cell returned by `fault`."""

    def check(dataset: Dataset) -> Finding | None:
        return _of_cells(kind, dataset, fault(dataset), Text(sentence), Repair(repair))

    return check


CHECKS: tuple[Check, ...] = (
    cells(
        "gross_outliers",
        checks.gross_outliers,
        N_("Outliers: far from every other value of the entity"),
        "mend_outliers",
    ),
    hour_shift,
    mixed_units,
    cells(
        "isolated_spikes",
        checks.isolated_spikes,
        N_("Isolated spikes: more than 2.5 times the value before and the value after"),
        "smooth_spikes",
    ),
    cells(
        "clock_change_zeros",
        checks.zero_hours,
        N_("Hours close to zero at the spring clock change: an hour that did not exist"),
        "fill_clock_changes",
    ),
    cells(
        "clock_change_lows",
        checks.collapsed_hours,
        N_("Hours at the spring clock change with less than half of their neighbours"),
        "fill_clock_changes",
    ),
    cells(
        "clock_change_doubles",
        checks.double_hours,
        N_("Hours that stand out at the autumn clock change: 25 hours were put into 24"),
        "fill_clock_changes",
    ),
    contradicting_totals,
    incomplete_rows,
    missing_dates,
    duplicate_keys,
    mixed_steps,
    constant_columns,
)


# ---- locations ------------------------------------------------------------------------------------------------------


def _of_rows(kind: str, dataset: Dataset, rows: checks.Rows, text: Text, *repairs: Repair) -> Finding | None:
    if not len(rows):
        return None
    where = tuple({"entity": dataset.entity[row], "time": when(dataset.time[row])} for row in rows[: Finding.PLACES])
    return Finding(kind, len(rows), text, where, repairs)


def _of_cells(kind: str, dataset: Dataset, found: Cells, text: Text, *repairs: Repair) -> Finding | None:
    if not len(found.rows):
        return None
    where = tuple(
        {
            "entity": dataset.entity[row],
            "time": when(dataset.time[row]),
            "column": dataset.columns[column],
            "value": float(dataset.values[row, column]),
        }
        for row, column in zip(found.rows[: Finding.PLACES], found.columns, strict=False)
    )
    return Finding(kind, len(found.rows), text, where, repairs)


def _periods(stretches: Iterable[Stretch], amount: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"entity": each.entity, "from": when(each.start), "to": when(each.end), "rows": each.rows, amount: each.amount}
        for each in stretches
    )[: Finding.PLACES]
