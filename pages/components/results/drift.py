"""Drift on screen: a model and a stored dataset are chosen, what has changed is ranked, and one column is looked at."""

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import VigieError
from core.exports import as_csv
from core.messages import N_
from core.operations import drift
from core.operations import monitoring_figures as figures
from core.operations.drift import Drift
from core.runs.comparison import TASKS, WITH_MODEL
from core.storage.datasets import Stored
from pages.components import auth, cache, model_picker, selection_form, url_state
from pages.components.i18n import _, shown
from pages.components.results.run_widgets import chart

LEVELS = {"stable": N_("stable"), "moderate": N_("moderate"), "major": N_("major")}


def section() -> None:
    """The question and, once it was asked, its answer."""
    st.caption(
        _(
            "Do new data still look like those a model was fitted on? Where they do not, its "
            "answers need a second look or a new fit."
        )
    )
    _ask()
    found = url_state.get_state("drift")
    if found is not None:
        _answer(found)


def _ask() -> None:
    here = cache.get_workspace()
    stored = here.datasets.recent()
    if not stored:
        selection_form.no_data()
        return
    task = st.segmented_control(
        _("Model of"),
        WITH_MODEL,
        default=WITH_MODEL[0],
        format_func=lambda name: _(TASKS[name].label),
        key="drift-task",
        required=True,
    )
    address = model_picker.choose(str(task), lambda run: run.tags.get("user", ""))
    chosen = st.selectbox(_("New data"), stored, format_func=_described, key="drift-dataset")
    if st.button(_("Compare"), type="primary", icon=":material/compare:", key="drift-compare", disabled=not address):
        with st.spinner(_("Comparing …")):
            try:
                url_state.set_state(
                    "drift",
                    cache.submit_once(f"drift {address} {chosen.digest}", lambda: _compared(address, chosen.digest)),
                )
            except VigieError:
                url_state.set_state("drift", None)
                raise


def _compared(address: str, digest: str) -> Drift:
    here = cache.get_workspace()
    run = model_picker.run_of(address, here)
    return drift.compare(run, here.datasets.load(digest), workspace=here, actor=auth.current_actor("monitoring"))


def _described(each: Stored) -> str:
    """Ends with the digest: two datasets of the same files must not read the same."""
    return _("{files} · rows: {rows} · repairs: {repairs} · {digest}").format(
        files=", ".join(each.files)[:60], rows=shown(each.rows), repairs=each.repairs, digest=each.digest[:8]
    )


def _answer(found: Drift) -> None:
    counts = found.table["level"].value_counts()
    with st.container(horizontal=True, key="drift-figures"):
        for level, name in LEVELS.items():
            st.metric(_(name).capitalize(), shown(int(counts.get(level, 0))), border=True)
    for note in _notes(found):
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
        found.table.assign(
            entity=found.table["entity"].replace(drift.ALL, _("all together")),
            level=found.table["level"].map(lambda each: _(LEVELS[each])),
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
        lambda: as_csv(found.table),
        "drift.csv",
        key="drift-csv",
        icon=":material/download:",
        on_click="ignore",
    )
    _looked_at(found, picked[0] if picked else 0)


def _notes(found: Drift) -> list[str]:
    files = _("Training data: {then}. New data: {now}.").format(
        then=", ".join(found.reference.files), now=", ".join(found.current.files)
    )
    notes = [files]
    if found.new:
        notes.append(_("Entities the model has never seen: {entities}.").format(entities=", ".join(found.new[:10])))
    if found.gone:
        notes.append(_("Entities that the new data have not: {entities}.").format(entities=", ".join(found.gone[:10])))
    if found.together:
        notes.append(_("All entities are compared together: they are too many, or none is in both."))
    return notes


def _looked_at(found: Drift, row: int) -> None:
    chosen = found.table.loc[row]
    then, now = found.values(row)
    st.subheader(" · ".join(filter(None, [str(chosen["entity"]), str(chosen["column"])])))
    left, right = st.columns(2)
    with left:
        chart(
            figures.both_histograms(then, now, found.reference.unit, _),
            "drift-histograms",
            _("How often values were and are"),
            dated=False,
        )
    with right:
        chart(
            figures.then_and_now(then, now, found.reference.unit, _),
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
