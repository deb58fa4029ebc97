"""Data doctor: figures of the dataset, data-quality issues, and repairs to choose, apply and undo."""

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.data.quality.doctor import QualityReport, QualitySummary, run_checks
from core.data.quality.findings import Finding, Repair
from core.data.quality.repairs import REPAIRS, apply_repairs, diff_datasets
from core.exports import to_csv_bytes, to_parquet_bytes
from core.figures import repairs as figures
from core.runs.tracked_run import record_event
from pages.components import auth, cache, url_state
from pages.components.i18n import _, format_value, localise_figure, translate_message

MAX_SHOWN_LOCATIONS = 200
MAX_EXPORT_CELLS = 20_000_000


def show(dataset: Dataset) -> None:
    """Show the figures of `dataset`, its issues, repairs and downloads."""
    report = _run_checks(dataset.digest)
    _show_summary(report.summary, dataset)
    if dataset.recipe:
        _show_recipe(dataset)
    _show_findings(dataset, report)
    _show_downloads(dataset)


@st.cache_data(max_entries=16, show_spinner=False)
def _run_checks(digest: str) -> QualityReport:
    dataset = cache.load_dataset()
    assert dataset is not None
    assert dataset.digest == digest
    with st.spinner(_("Checking the data …")):
        return run_checks(dataset)


def count_open_proposals(dataset: Dataset) -> int:
    """Return the number of issues that have a proposed repair."""
    return sum(bool(finding.repairs) for finding in _run_checks(dataset.digest).findings)


def _show_summary(summary: QualitySummary, dataset: Dataset) -> None:
    with st.container(horizontal=True, key="dataset-figures"):
        st.metric(_("Rows"), format_value(summary.rows), border=True)
        st.metric(_("Entities"), format_value(summary.entities), border=True)
        if dataset.has_dates:
            st.metric(_("Dates"), format_value(summary.dates), border=True)
        st.metric(_("Incomplete rows"), format_value(summary.incomplete_rows), border=True)
        st.metric(_("Unit"), summary.unit or "–", border=True)
    period = (
        f"{format_value(pd.Timestamp(summary.start))} – {format_value(pd.Timestamp(summary.end))}"
        if summary.start
        else ""
    )
    covariates = [
        _("{name}: {dates} dates, {rows} rows").format(
            name=name, dates=format_value(counts["dates"]), rows=format_value(counts["rows"])
        )
        for name, counts in summary.covariates.items()
    ]
    st.caption(" · ".join(filter(None, [period, *covariates])))


# ---- findings -------------------------------------------------------------------------------------------------------


def _show_findings(dataset: Dataset, report: QualityReport) -> None:
    if not report.findings:
        st.success(_("The data doctor found no data-quality issues."), icon=":material/check_circle:")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("Data-quality issues"))
        first_choices = {f"repair-{finding.kind}": 0 for finding in report.findings if finding.repairs}
        if len(first_choices) > 1:
            st.button(
                _("Select all proposed repairs"),
                key="choose-all",
                type="tertiary",
                icon=":material/healing:",
                on_click=url_state.set_widget_values,
                args=(first_choices,),
            )
    chosen_repairs: list[Repair] = []
    for finding in report.findings:
        with st.container(border=True, key=f"finding-{finding.kind}"):
            count, text, choice = st.columns([1, 5, 4], vertical_alignment="center")
            count.markdown(f"**{format_value(finding.count)}**")
            with text:
                st.markdown(translate_message(finding.message))
                _show_locations(finding)
            with choice:
                repair = _choose_repair(finding)
            if repair is not None and repair not in chosen_repairs:
                chosen_repairs.append(repair)
    if chosen_repairs:
        _show_preview(dataset, chosen_repairs)


def _choose_repair(finding: Finding) -> Repair | None:
    """Return the chosen repair of an issue; None to leave the data as they are."""
    if not finding.repairs:
        st.caption(_("For information only. No repair is proposed."))
        return None
    labels = [_(REPAIRS[repair.kind][1]) + _format_settings(repair) for repair in finding.repairs]
    choice = st.selectbox(
        _("Repair"),
        range(-1, len(labels)),
        label_visibility="collapsed",
        key=f"repair-{finding.kind}",
        format_func=lambda number: _("No repair") if number < 0 else labels[number],
    )
    return finding.repairs[choice] if choice >= 0 else None


def _format_settings(repair: Repair) -> str:
    words = {
        "last": _("the last"),
        "first": _("the first"),
        "missing": _("by missing values"),
        "neighbours": _("from the values before and after"),
        "usual_day": _("from the usual day of the entity"),
    }
    return "".join(f" ({words.get(str(value), value)})" for value in repair.settings.values())


def _show_locations(finding: Finding) -> None:
    """Show the location of an issue: one location as text, several in a table that opens."""
    if not finding.locations or finding.locations[0].keys() == {"column"}:  # the message names the columns
        return
    location = ", ".join(format_value(value) for value in finding.locations[0].values())
    if finding.count == 1:
        st.caption(location)
        return
    with st.popover(_("Where?"), type="tertiary", icon=":material/location_on:"):
        table = pd.DataFrame([dict(location) for location in finding.locations[:MAX_SHOWN_LOCATIONS]])
        st.dataframe(table, hide_index=True, key=f"places-{finding.kind}")
        if len(finding.locations) > len(table):
            st.caption(_("Only the first {count} are shown.").format(count=format_value(len(table))))


# ---- repairs --------------------------------------------------------------------------------------------------------


def _show_preview(dataset: Dataset, chosen_repairs: list[Repair]) -> None:
    """Show the effect of the chosen repairs before they are applied."""
    st.subheader(_("Effect of the repairs"))
    repaired, changed_cells = _apply_recipe(dataset.digest, json.dumps([repair.to_json() for repair in chosen_repairs]))
    rows = changed_cells[["entity", "time"]].drop_duplicates()
    st.write(
        _("Changed cells: {cells}. Changed rows: {rows}. Rows after the repair: {total}.").format(
            cells=format_value(len(changed_cells)), rows=format_value(len(rows)), total=format_value(len(repaired))
        )
    )
    if len(changed_cells):
        _show_example(dataset, repaired, changed_cells)
    if st.button(_("Apply these repairs"), type="primary", key="make-repairs"):
        _save_repairs(repaired, chosen_repairs)


@st.cache_resource(max_entries=4, show_spinner=False)
def _apply_recipe(digest: str, recipe: str) -> tuple[Dataset, pd.DataFrame]:
    dataset = cache.load_dataset()
    assert dataset is not None
    repaired = apply_repairs([Repair(entry["kind"], entry["settings"]) for entry in json.loads(recipe)], dataset)
    return repaired, diff_datasets(dataset, repaired)


def _show_example(dataset: Dataset, repaired: Dataset, changed_cells: pd.DataFrame) -> None:
    """Show the changed cells in a table, and one changed row before and after."""
    size = (changed_cells["after"] - changed_cells["before"]).abs().fillna(np.inf)
    ranked_changes = (
        changed_cells.assign(size=size).sort_values("size", ascending=False, kind="stable").drop(columns="size")
    )
    examples = ranked_changes[["entity", "time"]].drop_duplicates().head(50).reset_index(drop=True)
    number = st.selectbox(
        _("Example"),
        range(len(examples)),
        key="repair-example",
        format_func=lambda position: (
            f"{examples['entity'][position]} · {format_value(pd.Timestamp(examples['time'][position]))}"
            if dataset.has_dates
            else str(examples["time"][position])
        ),
    )
    entity, time = examples.iloc[number]
    before, after = (_select_surroundings(data, entity, time) for data in (dataset, repaired))
    figure = localise_figure(
        figures.draw_before_after(before, after, dataset.unit, _), has_time_axis=not dataset.profile
    )
    st.plotly_chart(figure, key="before-after", alt=_("Values before and after the repair"))
    with st.expander(_("All changes")):
        st.dataframe(ranked_changes.head(1000), hide_index=True, width="stretch", key="changes")


def _select_surroundings(dataset: Dataset, entity: str, time: object) -> pd.Series:
    """Return a profile's row by hour, or the values of a series around a timestamp."""
    if dataset.profile:
        rows = dataset.frame[(dataset.entity == entity) & (dataset.time == time)]
        return rows.iloc[0] if len(rows) else pd.Series(dtype=float)
    return dataset.get_neighbourhood(entity, time)


def _save_repairs(repaired: Dataset, chosen_repairs: list[Repair]) -> None:
    workspace = cache.get_workspace()
    kinds = [repair.kind for repair in chosen_repairs]
    with record_event(
        "data_repair", auth.current_actor("data"), workspace, repairs=kinds, source=repaired.source
    ) as inputs:
        inputs["dataset"] = workspace.datasets.save(repaired, auth.dataset_owner())
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _show_recipe(dataset: Dataset) -> None:
    """Show the repairs that made this dataset, each with a button to undo it."""
    with st.container(border=True, key="recipe"):
        title = _("Repaired")
        st.markdown(f"**{title}**")
        for number, repair in enumerate(dataset.recipe):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"✓ {_(REPAIRS[repair.kind][1])}{_format_settings(repair)}")
                if st.button(_("Undo"), key=f"undo-{number}", type="tertiary", icon=":material/undo:"):
                    _undo_repair(dataset, number)
        st.download_button(
            _("Recipe (JSON)"),
            json.dumps([repair.to_json() for repair in dataset.recipe], indent=2),
            "recipe.json",
            "application/json",
            key="recipe-json",
            icon=":material/download:",
        )


def _undo_repair(dataset: Dataset, number: int) -> None:
    """Apply the other repairs again, to the original data."""
    workspace = cache.get_workspace()
    rest = [repair for position, repair in enumerate(dataset.recipe) if position != number]
    with record_event(
        "data_repair", auth.current_actor("data"), workspace, undone=dataset.recipe[number].kind
    ) as inputs:
        inputs["dataset"] = workspace.datasets.save(
            apply_repairs(rest, workspace.datasets.load(dataset.source)), auth.dataset_owner()
        )
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _show_downloads(dataset: Dataset) -> None:
    if dataset.frame.size > MAX_EXPORT_CELLS:
        st.caption(
            _(
                "The data are too large to download here. Use the command line: python -m core "
                "doctor FILE --out CLEAN.parquet"
            )
        )
        return
    with st.expander(_("Download the data")), st.container(horizontal=True):
        for name, writer in (("CSV", to_csv_bytes), ("Parquet", to_parquet_bytes)):
            st.download_button(
                name,
                partial(_export_dataset, writer, dataset),
                f"data.{name.lower()}",
                key=f"data-{name}",
                icon=":material/download:",
                on_click="ignore",
            )


def _export_dataset(writer: Callable[[pd.DataFrame], bytes], dataset: Dataset) -> bytes:
    table = dataset.frame.reset_index()
    table["entity"] = table["entity"].astype(str)
    return writer(table)
