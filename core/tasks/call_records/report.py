"""Report of call records: an import with its KPIs, or the changes of a cleaning."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from core.data.cleaning import IS_IMPUTED, IS_SPIKE
from core.data.dataset import Dataset
from core.messages import N_, Message
from core.phrases import to_percent
from core.runs.report_content import (
    MAX_EVENTS,
    Cell,
    EventList,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    ReportTable,
    name_entity,
    name_event,
)
from core.tasks.call_records import figures, kpis
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.import_result import ImportResult

MAX_TABLE_TRUNKS = 20


def describe_report(result: ImportResult | CleaningResult, rows: Dataset | None) -> ReportContent:
    """Return the sections of the report; `rows` are the counts of an import, or the rows before a cleaning."""
    if isinstance(result, CleaningResult):
        return _describe_cleaning(result)
    return _describe_import(result, rows)


# ---- import ---------------------------------------------------------------------------------------------------------


def _describe_import(result: ImportResult, counts: Dataset | None) -> ReportContent:
    metrics = result.metrics()
    rejected = int(metrics["rejected"])
    values = {"calls": int(metrics["calls"]), "trunks": result.trunks, "records": result.records}
    return ReportContent(
        summary=(Message(N_("Calls counted: {calls}, from {records} records. Trunks: {trunks}."), values),),
        key_figures=(
            KeyFigure(
                Message(N_("Calls")),
                int(metrics["calls"]),
                Message(N_("of {records} records"), {"records": result.records}),
            ),
            KeyFigure(Message(N_("Call completion ratio (CCR)")), to_percent(metrics.get("ccr", float("nan")))),
            KeyFigure(Message(N_("Trunks")), result.trunks),
            KeyFigure(Message(N_("Intervals")), result.intervals),
            KeyFigure(Message(N_("Records that do not count")), rejected),
            KeyFigure(Message(N_("Records outside the period")), result.outside),
        ),
        tables=() if counts is None else (_tabulate_trunks(counts),),
        figures=() if counts is None else tuple(_list_kpi_figures(counts)),
        notes=(
            *result.notes,
            Message(N_("Numbers and names of customers are not part of the counts. Uploaded files are deleted.")),
        ),
    )


def _tabulate_trunks(counts: Dataset) -> ReportTable:
    trunks = kpis.summarise_trunks(counts)
    rows: list[tuple[Cell, ...]] = [
        (
            str(trunk["trunk"]),
            int(trunk["total"]),
            int(trunk["answered"]),
            to_percent(float(trunk["ccr"]), 1),
            int(trunk["silent"]),
        )
        for trunk in trunks.head(MAX_TABLE_TRUNKS).to_dict("records")
    ]
    head = (N_("Trunk"), N_("Calls"), N_("Answered"), N_("CCR"), N_("Intervals with zeros only"))
    more = len(trunks) - len(rows)
    note = Message(N_("{count} more trunks are not listed here."), {"count": more}) if more > 0 else None
    return ReportTable(Message(N_("Trunks, most calls first")), tuple(map(Message, head)), tuple(rows), note)


def _list_kpi_figures(counts: Dataset) -> Iterator[ReportFigure]:
    table = kpis.sum_counts(counts)
    yield ReportFigure(
        Message(N_("Calls over time")),
        lambda language: figures.draw_kpis(table, list(kpis.COUNTS), False, language.translate),
    )
    if table[kpis.CCR].notna().any():
        yield ReportFigure(
            Message(N_("Call completion ratio over time")),
            lambda language: figures.draw_kpis(table, [kpis.CCR], False, language.translate),
        )
    causes = kpis.list_causes(counts)
    if causes:
        yield ReportFigure(
            Message(N_("Failed (KO) calls by cause")),
            lambda language: figures.draw_kpis(table, causes, False, language.translate),
        )


# ---- cleaning -------------------------------------------------------------------------------------------------------


def _describe_cleaning(result: CleaningResult) -> ReportContent:
    metrics = result.metrics()
    spike_count, filled_count = int(metrics["spikes"]), int(metrics["imputed"])
    values = {"spikes": spike_count, "filled": filled_count, "measure": result.measure}
    spikes = result.rows[result.rows[IS_SPIKE]]
    ranked = spikes.assign(size=(spikes["original"] - spikes["cleaned"]).abs()).sort_values("size", ascending=False)
    return ReportContent(
        summary=(
            Message(N_("Column {measure}: spikes that were replaced: {spikes}; values filled: {filled}."), values),
        ),
        key_figures=(
            KeyFigure(Message(N_("Spikes")), spike_count, Message(N_("of {rows} values"), {"rows": len(result.rows)})),
            KeyFigure(Message(N_("Filled values")), filled_count),
            KeyFigure(Message(N_("Still missing")), int(metrics["still_missing"])),
            KeyFigure(Message(N_("Level shifts kept")), int(metrics["level_shifts"])),
        ),
        events=EventList(
            Message(N_("Spikes, largest change first")),
            tuple(_describe_spike(row, result.data.unit) for row in ranked.head(MAX_EVENTS).to_dict("records")),
            len(spikes),
            Message(N_("No spike was found.")),
        ),
        figures=tuple(_list_cleaning_figures(result)),
        notes=result.notes,
    )


def _describe_spike(row: Mapping[Hashable, Any], unit: str) -> ReportEvent:
    title = name_event(row["entity"], row["time"], row["time"])
    values = {"original": _round(row["original"]), "cleaned": _round(row["cleaned"]), "unit": unit}
    text = N_("{original} {unit} was replaced by {cleaned}.") if unit else N_("{original} was replaced by {cleaned}.")
    if row["cleaned"] != row["cleaned"]:
        text = N_("{original} was removed; no value replaces it.")
    return ReportEvent(title, (Message(text, values),))


def _round(value: float) -> float:
    return float(f"{value:.5g}")


def _list_cleaning_figures(result: CleaningResult) -> Iterator[ReportFigure]:
    """Yield the entity with the most changes, before and after."""
    changed = result.rows[IS_SPIKE] | result.rows[IS_IMPUTED]
    if result.rows.empty:
        return
    counts: pd.Series = changed.groupby(result.rows["entity"], observed=True).sum()
    entity = counts.idxmax()
    rows = result.rows[result.rows["entity"] == entity].reset_index(drop=True)
    yield ReportFigure(
        Message(N_("Values before and after the cleaning: {entity}"), {"entity": name_entity(entity)}),
        lambda language: figures.draw_cleaning(rows, result.data.unit, False, language.translate),
    )
