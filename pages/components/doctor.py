"""Data doctor: figures of the dataset, data-quality issues, and repairs to choose, apply and undo."""

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.data.quality.doctor import Report, Summary, examine
from core.data.quality.findings import Finding, Repair
from core.data.quality.repairs import REPAIRS, apply, differences
from core.exports import as_csv, as_parquet
from core.figures import repairs as figures
from core.runs.tracked_run import recorded
from pages.components import auth, cache, url_state
from pages.components.i18n import _, localised, say, shown

SHOWN_PLACES = 200
EXPORTED_CELLS = 20_000_000


def show(dataset: Dataset) -> None:
    """Show the figures of `dataset`, its issues, repairs and downloads."""
    report = _report(dataset.digest)
    _figures(report.summary, dataset)
    if dataset.recipe:
        _made(dataset)
    _findings(dataset, report)
    _downloads(dataset)


@st.cache_data(max_entries=16, show_spinner=False)
def _report(digest: str) -> Report:
    dataset = cache.load_dataset()
    assert dataset is not None
    assert dataset.digest == digest
    with st.spinner(_("Checking the data …")):
        return examine(dataset)


def open_proposals(dataset: Dataset) -> int:
    """Return the number of issues that have a proposed repair."""
    return sum(bool(finding.repairs) for finding in _report(dataset.digest).findings)


def _figures(summary: Summary, dataset: Dataset) -> None:
    with st.container(horizontal=True, key="dataset-figures"):
        st.metric(_("Rows"), shown(summary.rows), border=True)
        st.metric(_("Entities"), shown(summary.entities), border=True)
        if dataset.dated:
            st.metric(_("Dates"), shown(summary.dates), border=True)
        st.metric(_("Incomplete rows"), shown(summary.incomplete_rows), border=True)
        st.metric(_("Unit"), summary.unit or "–", border=True)
    period = f"{shown(pd.Timestamp(summary.start))} – {shown(pd.Timestamp(summary.end))}" if summary.start else ""
    drivers = [
        _("{name}: {dates} dates, {rows} rows").format(name=name, dates=shown(each["dates"]), rows=shown(each["rows"]))
        for name, each in summary.drivers.items()
    ]
    st.caption(" · ".join(filter(None, [period, *drivers])))


# ---- findings -------------------------------------------------------------------------------------------------------


def _findings(dataset: Dataset, report: Report) -> None:
    if not report.findings:
        st.success(_("The data doctor found nothing to object to."), icon=":material/check_circle:")
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(_("The data doctor found"))
        proposed = {f"repair-{finding.kind}": 0 for finding in report.findings if finding.repairs}
        if len(proposed) > 1:
            st.button(
                _("Choose all proposed repairs"),
                key="choose-all",
                type="tertiary",
                icon=":material/healing:",
                on_click=url_state.set_widget_values,
                args=(proposed,),
            )
    chosen: list[Repair] = []
    for finding in report.findings:
        with st.container(border=True, key=f"finding-{finding.kind}"):
            count, text, choice = st.columns([1, 5, 4], vertical_alignment="center")
            count.markdown(f"**{shown(finding.count)}**")
            with text:
                st.markdown(say(finding.text))
                _places(finding)
            with choice:
                repair = _repair_choice(finding)
            if repair is not None and repair not in chosen:
                chosen.append(repair)
    if chosen:
        _preview(dataset, chosen)


def _repair_choice(finding: Finding) -> Repair | None:
    """Return the chosen repair of an issue; None to leave the data as they are."""
    if not finding.repairs:
        st.caption(_("For your information; nothing to repair."))
        return None
    labels = [_(REPAIRS[repair.kind][1]) + _setting(repair) for repair in finding.repairs]
    choice = st.selectbox(
        _("Repair"),
        range(-1, len(labels)),
        label_visibility="collapsed",
        key=f"repair-{finding.kind}",
        format_func=lambda number: _("Leave as it is") if number < 0 else labels[number],
    )
    return finding.repairs[choice] if choice >= 0 else None


def _setting(repair: Repair) -> str:
    words = {"last": _("the last"), "first": _("the first")}
    return "".join(f" ({words.get(str(value), value)})" for value in repair.settings.values())


def _places(finding: Finding) -> None:
    """Show the location of an issue: one location as text, several in a table that opens."""
    if not finding.where or finding.where[0].keys() == {"column"}:  # the message names the columns
        return
    place = ", ".join(shown(value) for value in finding.where[0].values())
    if finding.count == 1:
        st.caption(place)
        return
    with st.popover(_("Where?"), type="tertiary", icon=":material/location_on:"):
        table = pd.DataFrame([dict(place) for place in finding.where[:SHOWN_PLACES]])
        st.dataframe(table, hide_index=True, key=f"places-{finding.kind}")
        if len(finding.where) > len(table):
            st.caption(_("The first {count} are shown.").format(count=shown(len(table))))


# ---- repairs --------------------------------------------------------------------------------------------------------


def _preview(dataset: Dataset, chosen: list[Repair]) -> None:
    """Show the effect of the chosen repairs before they are applied."""
    st.subheader(_("What the repairs change"))
    repaired, changed = _repaired(dataset.digest, json.dumps([repair.to_json() for repair in chosen]))
    rows = changed[["entity", "time"]].drop_duplicates()
    st.write(
        _("Cells that change: {cells}, in rows: {rows}. Rows afterwards: {total}.").format(
            cells=shown(len(changed)), rows=shown(len(rows)), total=shown(len(repaired))
        )
    )
    if len(changed):
        _example(dataset, repaired, changed)
    if st.button(_("Make these repairs"), type="primary", key="make-repairs"):
        _keep(repaired, chosen)


@st.cache_resource(max_entries=4, show_spinner=False)
def _repaired(digest: str, recipe: str) -> tuple[Dataset, pd.DataFrame]:
    dataset = cache.load_dataset()
    assert dataset is not None
    repaired = apply([Repair(each["kind"], each["settings"]) for each in json.loads(recipe)], dataset)
    return repaired, differences(dataset, repaired)


def _example(dataset: Dataset, repaired: Dataset, changed: pd.DataFrame) -> None:
    """Show the changed cells in a table, and one changed row before and after."""
    size = (changed["after"] - changed["before"]).abs().fillna(np.inf)
    ranked = changed.assign(size=size).sort_values("size", ascending=False, kind="stable").drop(columns="size")
    examples = ranked[["entity", "time"]].drop_duplicates().head(50).reset_index(drop=True)
    number = st.selectbox(
        _("Example"),
        range(len(examples)),
        key="repair-example",
        format_func=lambda place: (
            f"{examples['entity'][place]} · {shown(pd.Timestamp(examples['time'][place]))}"
            if dataset.dated
            else str(examples["time"][place])
        ),
    )
    entity, time = examples.iloc[number]
    before, after = (_around(each, entity, time) for each in (dataset, repaired))
    figure = localised(figures.before_after(before, after, dataset.unit, _), dated=not dataset.profile)
    st.plotly_chart(figure, key="before-after", alt=_("Values before and after the repair"))
    with st.expander(_("All changes")):
        st.dataframe(ranked.head(1000), hide_index=True, width="stretch", key="changes")


def _around(dataset: Dataset, entity: str, time: object) -> pd.Series:
    """Return a profile's row by hour, or the values of a series around a timestamp."""
    if dataset.profile:
        rows = dataset.frame[(dataset.entity == entity) & (dataset.time == time)]
        return rows.iloc[0] if len(rows) else pd.Series(dtype=float)
    return dataset.around(entity, time)


def _keep(repaired: Dataset, chosen: list[Repair]) -> None:
    here = cache.get_workspace()
    kinds = [repair.kind for repair in chosen]
    with recorded("data_repair", auth.current_actor("data"), here, repairs=kinds, source=repaired.source) as inputs:
        inputs["dataset"] = here.datasets.save(repaired, auth.dataset_owner())
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _made(dataset: Dataset) -> None:
    """Show the repairs that made this dataset, each with a button to undo it."""
    with st.container(border=True, key="recipe"):
        title = _("Repaired")
        st.markdown(f"**{title}**")
        for number, repair in enumerate(dataset.recipe):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"✓ {_(REPAIRS[repair.kind][1])}{_setting(repair)}")
                if st.button(_("Undo"), key=f"undo-{number}", type="tertiary", icon=":material/undo:"):
                    _undo(dataset, number)
        st.download_button(
            _("Recipe (JSON)"),
            json.dumps([repair.to_json() for repair in dataset.recipe], indent=2),
            "recipe.json",
            "application/json",
            key="recipe-json",
            icon=":material/download:",
        )


def _undo(dataset: Dataset, number: int) -> None:
    """Apply the other repairs again, to the original data."""
    here = cache.get_workspace()
    rest = [repair for place, repair in enumerate(dataset.recipe) if place != number]
    with recorded("data_repair", auth.current_actor("data"), here, undone=dataset.recipe[number].kind) as inputs:
        inputs["dataset"] = here.datasets.save(apply(rest, here.datasets.load(dataset.source)), auth.dataset_owner())
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _downloads(dataset: Dataset) -> None:
    if dataset.frame.size > EXPORTED_CELLS:
        st.caption(
            _("Too large to download here; use the command line: python -m core doctor FILE --out CLEAN.parquet")
        )
        return
    with st.expander(_("Download the data")), st.container(horizontal=True):
        for name, writer in (("CSV", as_csv), ("Parquet", as_parquet)):
            st.download_button(
                name,
                partial(_exported, writer, dataset),
                f"data.{name.lower()}",
                key=f"data-{name}",
                icon=":material/download:",
                on_click="ignore",
            )


def _exported(writer: Callable[[pd.DataFrame], bytes], dataset: Dataset) -> bytes:
    table = dataset.frame.reset_index()
    table["entity"] = table["entity"].astype(str)
    return writer(table)
