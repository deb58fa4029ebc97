"""Drift between the training data of a model and a stored dataset, by column."""

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import VigieError
from core.exports import as_csv
from core.messages import N_
from core.operations import drift
from core.operations import monitoring_figures as figures
from core.operations.drift import Drift
from core.spec.task import list_tasks
from core.storage.datasets import Stored
from pages.components import auth, cache, model_picker, selection_form, url_state
from pages.components.i18n import _, shown
from pages.components.results.run_widgets import chart
from pages.components.task_links import task_label

LEVELS = {"stable": N_("stable"), "moderate": N_("moderate"), "major": N_("major")}


def section() -> None:
    """Show the form, and the result once it is computed."""
    st.caption(
        _(
            "Do new data still look like those a model was fitted on? Where they do not, its "
            "answers need a second look or a new fit."
        )
    )
    _ask()
    measured = url_state.get_state("drift")
    if measured is not None:
        _show_drift(measured)


def _ask() -> None:
    stored = cache.get_workspace().datasets.recent()
    if not stored:
        selection_form.no_data()
        return
    with_model = [task.name for task in list_tasks() if task.keeps_model]
    task = st.segmented_control(
        _("Model of"), with_model, default=with_model[0], format_func=task_label, key="drift-task", required=True
    )
    address = model_picker.pick_model(str(task), lambda run: run.tags.get("user", ""))
    chosen = st.selectbox(_("New data"), stored, format_func=_describe_dataset, key="drift-dataset")
    if st.button(_("Compare"), type="primary", icon=":material/compare:", key="drift-compare", disabled=not address):
        with st.spinner(_("Comparing …")):
            try:
                url_state.set_state(
                    "drift",
                    cache.submit_once(f"drift {address} {chosen.digest}", lambda: _compare(address, chosen.digest)),
                )
            except VigieError:
                url_state.set_state("drift", None)
                raise


def _compare(address: str, digest: str) -> Drift:
    from core.runs.promotion import resolve_run

    workspace, actor = cache.get_workspace(), auth.current_actor("monitoring")
    dataset = workspace.datasets.load(digest)
    return drift.compare_with_training(resolve_run(address, workspace), dataset, workspace=workspace, actor=actor)


def _describe_dataset(info: Stored) -> str:
    """Return a label that ends with the digest, so that two datasets of the same files differ."""
    return _("{files} · rows: {rows} · repairs: {repairs} · {digest}").format(
        files=", ".join(info.files)[:60], rows=shown(info.rows), repairs=info.repairs, digest=info.digest[:8]
    )


def _show_drift(measured: Drift) -> None:
    counts = measured.table["level"].value_counts()
    with st.container(horizontal=True, key="drift-figures"):
        for level, name in LEVELS.items():
            st.metric(_(name).capitalize(), shown(int(counts.get(level, 0))), border=True)
    for note in _notes(measured):
        st.caption(note)
    st.caption(
        _(
            "PSI is how much a column has changed: above 0.1 moderate, above 0.25 major, and "
            "never below what so few rows reach by"
            " chance alone. KS is the largest distance between the two distributions; q is "
            "its p value adjusted for the number of"
            " columns (Benjamini–Hochberg). With many rows q is tiny for trifles, and rows "
            "that follow each other in time make"
            " it smaller than it should be: read PSI first. A season that the training data do not hold is drift, too."
        )
    )
    picked = st.dataframe(
        measured.table.assign(
            entity=measured.table["entity"].replace(drift.ALL, _("all together")),
            level=measured.table["level"].map(lambda level: _(LEVELS[level])),
        ),
        hide_index=True,
        width="stretch",
        key="drift-table",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_columns(),
        alt=_("Columns, the most changed first"),
    ).selection.rows
    st.download_button(
        _("Download as CSV"),
        lambda: as_csv(measured.table),
        "drift.csv",
        key="drift-csv",
        icon=":material/download:",
        on_click="ignore",
    )
    _show_column(measured, picked[0] if picked else 0)


def _notes(measured: Drift) -> list[str]:
    files = _("Training data: {then}. New data: {now}.").format(
        then=", ".join(measured.reference.files), now=", ".join(measured.current.files)
    )
    notes = [files]
    if measured.new:
        notes.append(_("Entities the model has never seen: {entities}.").format(entities=", ".join(measured.new[:10])))
    if measured.gone:
        notes.append(
            _("Entities that the new data have not: {entities}.").format(entities=", ".join(measured.gone[:10]))
        )
    if measured.together:
        notes.append(_("All entities are compared together: they are too many, or none is in both."))
    return notes


def _show_column(measured: Drift, row: int) -> None:
    chosen = measured.table.loc[row]
    then, now = measured.values(row)
    st.subheader(" · ".join(filter(None, [str(chosen["entity"]), str(chosen["column"])])))
    left, right = st.columns(2)
    with left:
        chart(
            figures.both_histograms(then, now, measured.reference.unit, _),
            "drift-histograms",
            _("How often values were and are"),
            dated=False,
        )
    with right:
        chart(
            figures.then_and_now(then, now, measured.reference.unit, _),
            "drift-quantiles",
            _("Quantiles then and now"),
            dated=False,
        )


def _columns() -> dict[str, ColumnConfig | str]:
    number = st.column_config.NumberColumn
    return {
        "entity": _("Entity"),
        "column": _("Column"),
        "level": _("Change"),
        "psi": number("PSI", format="%.3f"),
        "by_chance": number(
            _("by chance"), format="%.3f", help=_("What PSI stays below in 95 of 100 cases without any change.")
        ),
        "ks": number("KS", format="%.3f"),
        "p": number("p", format="%.2g"),
        "q": number("q", format="%.2g"),
        "rows_then": number(_("rows then"), format="localized"),
        "rows_now": number(_("rows now"), format="localized"),
        "median_then": number(_("median then"), format="%.4g"),
        "median_now": number(_("median now"), format="%.4g"),
        "missing_then": number(_("missing then"), format="percent"),
        "missing_now": number(_("missing now"), format="percent"),
    }
