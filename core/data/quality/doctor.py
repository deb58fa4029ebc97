"""Data doctor: checks a dataset and reports each kind of issue with its number, locations and repairs."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.data.cleaning import name_columns
from core.data.dataset import Dataset, format_timestamp
from core.data.ingest.readers import ProgressCallback, ignore_progress
from core.data.quality import checks, row_keys
from core.data.quality.checks import CellIndex, IssuePeriod
from core.data.quality.cleaned_columns import can_clean
from core.data.quality.effects import order_findings
from core.data.quality.findings import Finding, Repair
from core.data.quality.level_jumps import find_level_jumps
from core.data.quality.runs import find_stuck_values, find_unexpected_zeros
from core.data.quality.sentinels import find_sentinels
from core.data.quality.spikes import find_spikes_and_dips
from core.messages import N_, Message

MAX_DUPLICATE_ROWS = 10
MAX_DUPLICATE_SHARE = 0.02  # of the rows; more repeated keys are no mistake of the file


@dataclass(frozen=True)
class QualitySummary:
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
    covariates: dict[str, dict[str, int]]


@dataclass(frozen=True)
class QualityReport:
    """Summary of a dataset and the findings about it, in the order of `effects.order_findings`."""

    summary: QualitySummary
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Return one flat object: the summary, `<covariate>_rows` and `<covariate>_dates`, and the findings."""
        summary = asdict(self.summary)
        covariates = summary.pop("covariates")
        counts = {
            f"{name}_{key}": count
            for name, covariate_counts in covariates.items()
            for key, count in covariate_counts.items()
        }
        return {**summary, **counts, "findings": [finding.to_json() for finding in self.findings]}


def run_checks(dataset: Dataset, progress: ProgressCallback = ignore_progress) -> QualityReport:
    """Run every check on `dataset`, and return these findings and those of reading the files, worst first."""
    findings = list(dataset.notes)
    for number, check in enumerate(CHECKS):
        finding = check(dataset)
        if finding is not None:
            findings.append(finding)
        progress((number + 1) / len(CHECKS))
    return QualityReport(summarise_dataset(dataset), order_findings(findings, dataset))


def summarise_dataset(dataset: Dataset) -> QualitySummary:
    """Return the facts about a dataset in a few numbers."""
    days = pd.DatetimeIndex(dataset.time).normalize() if dataset.has_dates else None
    return QualitySummary(
        rows=len(dataset),
        columns=len(dataset.columns),
        entities=len(dataset.entities),
        dates=0 if days is None else days.nunique(),
        start="" if days is None or not len(days) else format_timestamp(dataset.time.min()),
        end="" if days is None or not len(days) else format_timestamp(dataset.time.max()),
        incomplete_rows=int((~dataset.is_complete).sum()),
        unit=dataset.unit,
        layout=dataset.layout,
        covariates=_count_covariates(dataset, days),
    )


def _count_covariates(dataset: Dataset, days: pd.DatetimeIndex | None) -> dict[str, dict[str, int]]:
    if dataset.covariates is None or days is None:
        return {}
    counts = {}
    for name in dataset.covariates.columns:
        is_set = dataset.covariates[name].to_numpy(dtype=float) > 0
        if np.isin(dataset.covariates[name].dropna().unique(), (0.0, 1.0)).all():
            counts[str(name)] = {"rows": int(is_set.sum()), "dates": int(days[is_set].nunique())}
    return counts


# ---- checks ---------------------------------------------------------------------------------------------------------


def check_hour_shift(dataset: Dataset) -> Finding | None:
    """Find periods whose hour labels are shifted."""
    _, periods = checks.find_shifted_hours(dataset)
    if not periods:
        return None
    rows = sum(period.rows for period in periods)
    shift = int(periods[0].amount) * 24 // len(dataset.columns)
    message = Message(
        N_("Rows with hours shifted by {shift} h compared with the last twelve months"), {"shift": f"{shift:+d}"}
    )
    return Finding(
        "shifted_hours", rows, message, _describe_periods(periods, "shift_hours"), (Repair("undo_hour_shift"),)
    )


def check_mixed_units(dataset: Dataset) -> Finding | None:
    """Find months in another unit than the others."""
    _, periods = checks.find_scaled_months(dataset)
    if not periods:
        return None
    rows = sum(period.rows for period in periods)
    message = Message(
        N_("Rows of months that differ from the other months by a factor of {factor} (probably another unit)"),
        {"factor": periods[0].amount},
    )
    return Finding("mixed_units", rows, message, _describe_periods(periods, "factor"), (Repair("rescale_units"),))


def check_mixed_steps(dataset: Dataset) -> Finding | None:
    """Find times off the usual step."""
    rows = row_keys.find_irregular_rows(dataset)
    message = Message(
        N_("Timestamps that do not match the usual time step ({step})"), {"step": _format_duration(dataset.step)}
    )
    return _build_row_finding("mixed_steps", dataset, rows, message, Repair("align_times"))


def _format_duration(step: pd.Timedelta | None) -> str:
    """Return a step as text: 15 min, 1 h, 1 d."""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if step is not None and step.total_seconds() % seconds == 0:
            return f"{step.total_seconds() / seconds:.0f} {unit}"
    return str(step)


def check_duplicate_keys(dataset: Dataset) -> Finding | None:
    """Find rows that repeat entity and time with other values.

    More than a handful are no mistake of the file: a column tells them apart, and no repair is proposed.
    """
    rows = row_keys.find_duplicates(dataset)
    if len(rows) > max(MAX_DUPLICATE_ROWS, MAX_DUPLICATE_SHARE * len(dataset)):
        columns = row_keys.find_distinguishing_columns(dataset)
        message = Message(
            N_(
                "Rows with the entity and timestamp of another row. They are too many to be mistakes: a "
                "column probably tells them apart (candidates: {columns}). Give it the role of entity."
            ),
            {"columns": ", ".join(columns) or "–"},
        )
        return _build_row_finding("doubtful_keys", dataset, rows, message)
    message = Message(N_("Rows with the entity and timestamp of another row, but other values"))
    return _build_row_finding(
        "duplicate_keys",
        dataset,
        rows,
        message,
        Repair("drop_duplicates", {"keep": "last"}),
        Repair("drop_duplicates", {"keep": "first"}),
    )


def check_missing_dates(dataset: Dataset) -> Finding | None:
    """Find timestamps that are absent between the first and the last row of an entity."""
    gaps = checks.find_gaps(dataset)
    if not gaps:
        return None
    count = sum(gap.missing for gap in gaps)
    message = Message(N_("Missing timestamps (gaps: {gaps})"), {"gaps": len(gaps)})
    locations = tuple(
        {
            "entity": gap.entity,
            "after": format_timestamp(gap.after),
            "before": format_timestamp(gap.before),
            "missing": gap.missing,
        }
        for gap in gaps[: Finding.MAX_LOCATIONS]
    )
    repairs = (Repair("insert_missing"), *((Repair("clean_columns"),) if can_clean(dataset) else ()))
    return Finding("missing_dates", count, message, locations, repairs)


def check_incomplete_rows(dataset: Dataset) -> Finding | None:
    """Find rows with missing measurements."""
    rows = np.flatnonzero(~dataset.is_complete)
    if not len(rows):
        return None
    missing_counts = np.isnan(dataset.values[rows]).sum(axis=1)
    message = Message(N_("Rows with missing values (cells: {cells})"), {"cells": int(missing_counts.sum())})
    locations = tuple(
        {"entity": dataset.entity[row], "time": format_timestamp(dataset.time[row]), "missing": int(number)}
        for row, number in zip(rows[: Finding.MAX_LOCATIONS], missing_counts, strict=False)
    )
    return Finding(
        "incomplete_rows", len(rows), message, locations, (Repair("impute_incomplete"), Repair("drop_incomplete"))
    )


def check_totals(dataset: Dataset) -> Finding | None:
    """Find rows that do not add up to the declared total."""
    rows = checks.find_contradicting_totals(dataset)
    message = Message(N_("Rows whose sum differs from the declared total"))
    finding = _build_row_finding("contradicting_totals", dataset, rows, message, Repair("recompute_totals"))
    if finding is None or dataset.context is None:
        return None
    declared = dataset.context["total"].to_numpy()
    locations = tuple(
        {**location, "sum": float(dataset.values[row].sum()), "total": float(declared[row])}
        for location, row in zip(finding.locations, rows, strict=False)
    )
    return Finding(finding.kind, finding.count, finding.message, locations, finding.repairs)


def check_constant_columns(dataset: Dataset) -> Finding | None:
    """Find measurements and context columns that never change."""
    own_names = {"total"}.union(*map(name_columns, dataset.columns))  # marks of a cleaning are often all False
    constant = [] if len(dataset) < 2 else checks.find_constant_columns(dataset)
    constant_context = (
        []
        if dataset.context is None
        else [
            str(name)
            for name in dataset.context.columns
            if name not in own_names and dataset.context[name].nunique() == 1 and dataset.context[name].notna().all()
        ]
    )
    names = constant + constant_context
    if not names:
        return None
    message = Message(N_("Constant columns: {columns}"), {"columns": ", ".join(names[:10])})
    repairs = (Repair("drop_constant"),) if constant and not dataset.profile else ()
    return Finding("constant_columns", len(names), message, tuple({"column": name} for name in names), repairs)


def check_level_jumps(dataset: Dataset) -> Finding | None:
    """Find changes of the level of an entity that last. A new level may be real, so no repair is proposed."""
    jumps = find_level_jumps(dataset)
    if not jumps:
        return None
    message = Message(N_("Level jumps: the level changes at once by a large factor and stays (new meter, other unit)"))
    locations = tuple(
        {
            "entity": dataset.entity[jump.row],
            "time": format_timestamp(dataset.time[jump.row]),
            **({"column": jump.column} if jump.column else {}),
            "level_before": jump.before,
            "level_after": jump.after,
        }
        for jump in jumps[: Finding.MAX_LOCATIONS]
    )
    return Finding("level_jumps", len(jumps), message, locations)


Check = Callable[[Dataset], Finding | None]


def make_cell_check(kind: str, find_cells: Callable[[Dataset], CellIndex], template: str, *repairs: Repair) -> Check:
    """Return a check that reports every cell returned by `find_cells`."""

    def check(dataset: Dataset) -> Finding | None:
        return _build_cell_finding(kind, dataset, find_cells(dataset), Message(template), *repairs)

    return check


def _propose_fills(kind: str, *fills: str) -> tuple[Repair, ...]:
    return tuple(Repair(kind, {"fill": fill}) for fill in fills)


CHECKS: tuple[Check, ...] = (
    make_cell_check(
        "sentinels",
        find_sentinels,
        N_("Placeholder numbers, such as -999 or 9999, that stand for missing values"),
        Repair("clear_sentinels"),
    ),
    make_cell_check(
        "gross_outliers",
        checks.find_gross_outliers,
        N_("Outliers: values far from all other values of the entity"),
        Repair("mend_outliers"),
    ),
    check_hour_shift,
    check_mixed_units,
    make_cell_check(
        "isolated_spikes",
        checks.find_isolated_spikes,
        N_("Isolated spikes: more than 2.5 times the values before and after"),
        Repair("smooth_spikes"),
    ),
    make_cell_check(
        "clock_change_zeros",
        checks.find_zero_hours,
        N_("Hours close to zero at the spring clock change (this hour did not exist)"),
        Repair("fill_clock_changes"),
    ),
    make_cell_check(
        "clock_change_lows",
        checks.find_collapsed_hours,
        N_("Hours at the spring clock change below half of the hours before and after"),
        Repair("fill_clock_changes"),
    ),
    make_cell_check(
        "clock_change_doubles",
        checks.find_double_hours,
        N_("High values at the autumn clock change (25 hours were stored in 24 columns)"),
        Repair("fill_clock_changes"),
    ),
    make_cell_check(
        "unexpected_zeros",
        find_unexpected_zeros,
        N_("Zeros in a measurement that is otherwise far from zero"),
        *_propose_fills("mend_zeros", "missing", "usual_day"),
    ),
    make_cell_check(
        "stuck_values",
        find_stuck_values,
        N_("Stuck values: one value repeated for much longer than usual"),
        *_propose_fills("mend_stuck_values", "missing", "usual_day"),
    ),
    make_cell_check(
        "spikes_and_dips",
        find_spikes_and_dips,
        N_("Spikes and dips: values that jump away from their neighbours and back, unlike on other days"),
        *_propose_fills("mend_spikes_and_dips", "missing", "neighbours"),
    ),
    check_level_jumps,
    check_totals,
    check_incomplete_rows,
    check_missing_dates,
    check_duplicate_keys,
    check_mixed_steps,
    check_constant_columns,
)


# ---- locations ------------------------------------------------------------------------------------------------------


def _build_row_finding(
    kind: str, dataset: Dataset, rows: checks.Rows, message: Message, *repairs: Repair
) -> Finding | None:
    if not len(rows):
        return None
    locations = tuple(
        {"entity": dataset.entity[row], "time": format_timestamp(dataset.time[row])}
        for row in rows[: Finding.MAX_LOCATIONS]
    )
    return Finding(kind, len(rows), message, locations, repairs)


def _build_cell_finding(
    kind: str, dataset: Dataset, cells: CellIndex, message: Message, *repairs: Repair
) -> Finding | None:
    if not len(cells.rows):
        return None
    locations = tuple(
        {
            "entity": dataset.entity[row],
            "time": format_timestamp(dataset.time[row]),
            "column": dataset.columns[column],
            "value": float(dataset.values[row, column]),
        }
        for row, column in zip(cells.rows[: Finding.MAX_LOCATIONS], cells.columns, strict=False)
    )
    return Finding(kind, len(cells.rows), message, locations, repairs)


def _describe_periods(periods: Iterable[IssuePeriod], amount_key: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "entity": period.entity,
            "from": format_timestamp(period.start),
            "to": format_timestamp(period.end),
            "rows": period.rows,
            amount_key: period.amount,
        }
        for period in periods
    )[: Finding.MAX_LOCATIONS]
