"""Results of call records: the import, KPIs over time and per trunk, and every change of a cleaning."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.data.cleaning import CLEANED, IS_IMPUTED, IS_SPIKE
from core.data.dataset import Dataset
from core.operations.quality import is_quickly_checked
from core.spec.spec import Spec
from core.tasks.call_records import figures, kpis
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.clean_spec import CleanSpec
from core.tasks.call_records.import_result import ImportResult
from pages.components import answers, downloads
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_message
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_record
from pages.components.term_help import explain

MAX_SHOWN_CHANGES = 1_000
LENGTHS = {"": None, "1h": pd.Timedelta("1h"), "1D": pd.Timedelta("1D")}


def name_column(column: str) -> str:
    """Return the label of a column of counts; its name where it has none."""
    return _(figures.KPI_LABELS.get(column, column))


# ---- import ---------------------------------------------------------------------------------------------------------


def show_import(result: ImportResult, run: str) -> None:
    """Show what was counted and what was not, the record of the run, and the downloads of the counts."""
    metrics = result.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Records"), format_value(result.records), border=True)
        st.metric(_("Calls"), format_value(int(metrics["calls"])), border=True)
        if result.spec.by_trunk:
            st.metric(_("Trunks"), format_value(result.trunks), border=True)
        st.metric(_("Intervals"), format_value(result.intervals), border=True)
        show_cost(run)
    for note in result.notes:
        st.warning(translate_message(note), icon=":material/info:")
    st.caption(_("Numbers and names of customers are not part of the counts. Uploaded files are deleted."))
    show_record(run)
    show_downloads(lambda: _as_text(result.to_frame(), "trunk"), "call-counts", _("All counts ({kind})"))


# ---- KPIs -----------------------------------------------------------------------------------------------------------


def show_kpis(dataset: Dataset) -> None:
    """Show totals, KPIs over time with view options, and the table of trunks."""
    if not kpis.has_call_counts(dataset):
        st.info(
            _(
                "These data are not call counts (columns answered, null_duration, total). Cleaning works "
                "on every regular series."
            ),
            icon=":material/call:",
        )
        return
    notes = [note for note in dataset.notes if note.kind == "call_records"]
    if notes:
        st.caption(" ".join(translate_message(note.message) for note in notes))
    trunks = _summarise(dataset.digest, dataset)
    _show_totals(trunks)
    _show_lines(dataset)
    _show_trunks(trunks)


@st.cache_data(max_entries=16, show_spinner=False)
def _summarise(digest: str, _dataset: Dataset) -> pd.DataFrame:
    return kpis.summarise_trunks(_dataset)


@st.cache_data(max_entries=32, show_spinner=False)
def _sum_counts(
    digest: str, _dataset: Dataset, length: pd.Timedelta | None, trunks: tuple[str, ...], per_trunk: bool
) -> pd.DataFrame:
    return kpis.sum_counts(_dataset, length, trunks, per_trunk)


def _show_totals(trunks: pd.DataFrame) -> None:
    total, answered = int(trunks["total"].sum()), int(trunks["answered"].sum())
    with st.container(horizontal=True, key="call-totals"):
        st.metric(_("Calls"), format_value(total), border=True)
        st.metric(_("Answered"), format_value(answered), border=True)
        st.metric(_("Zero duration"), format_value(int(trunks["null_duration"].sum())), border=True)
        st.metric(
            _("CCR"),
            format_percent(answered / total) if total else _("undefined"),
            border=True,
            help=explain("ccr", _("Call completion ratio: answered calls over attempts. Undefined without attempts.")),
        )
        if "mean_erlang" in trunks:
            st.metric(
                _("Mean Erlang"),
                format_value(round(float(trunks["mean_erlang"].sum()), 1)),
                border=True,
                help=explain("erlang", _("Mean number of calls at the same time, over all trunks.")),
            )
        if trunks["trunk"].tolist() != [kpis.ALL]:
            st.metric(_("Trunks"), format_value(len(trunks)), border=True)


def _show_lines(dataset: Dataset) -> None:
    """Show one KPI over time, of all trunks together or of each, with the view options."""
    causes = kpis.list_causes(dataset)
    views = {
        "calls": (_("Calls"), list(kpis.COUNTS)),
        **({"erlang": ("Erlang", [kpis.ERLANG])} if kpis.ERLANG in dataset.columns else {}),
        "ccr": (_("CCR"), [kpis.CCR]),
        **({"causes": (_("Failed (KO) calls by cause"), causes)} if causes else {}),
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = st.segmented_control(
            _("KPI"),
            list(views),
            default="calls",
            format_func=lambda name: views[name][0],
            key="calls-kpi",
            required=True,
        )
        step_label = _("as imported")
        length = st.segmented_control(
            _("Interval"),
            list(LENGTHS),
            default="",
            format_func=lambda name: {"": step_label, "1h": "1 h", "1D": _("1 d")}[name],
            key="calls-length",
            required=True,
        )
        is_logarithmic = st.toggle(
            _("Log scale"),
            key="calls-log",
            disabled=view == "ccr",
            help=_("On a logarithmic scale, zeros are shown as gaps."),
        )
    label, columns = views[view]
    trunks, per_trunk = _ask_trunks(dataset, can_split=view != "causes")
    if per_trunk and view == "calls":
        columns = ["total"]
    table = _sum_counts(dataset.digest, dataset, LENGTHS[length], trunks, per_trunk)
    if table[columns].isna().all().all():
        st.info(_("There is no value to draw: CCR is undefined without attempts."), icon=":material/call:")
        return
    show_chart(
        figures.draw_kpis(table, columns, is_logarithmic and view != "ccr", _),
        f"calls-{view}",
        _("{kpi} over time").format(kpi=label),
    )
    captions = []
    if view == "ccr":
        captions.append(_("CCR is undefined where there are no attempts: the line has a gap there."))
    if per_trunk and table["entity"].nunique() > figures.MAX_LINES:
        captions.append(_("The {count} largest trunks are drawn.").format(count=figures.MAX_LINES))
    if captions:
        st.caption(" ".join(captions))
    with st.container(horizontal=True):
        downloads.show_table_buttons(partial(_as_text, table, "entity"), "call-kpis", _("These KPIs ({kind})"))


def _ask_trunks(dataset: Dataset, can_split: bool) -> tuple[tuple[str, ...], bool]:
    """Return the chosen trunks, and whether each has its own line."""
    if len(dataset.entities) < 2:
        return (), False
    trunk_column, split_column = st.columns([3, 1], vertical_alignment="bottom")
    trunks = trunk_column.multiselect(_("Trunks"), dataset.entities, placeholder=_("All"), key="calls-trunks")
    per_trunk = split_column.toggle(_("One line per trunk"), key="calls-split", disabled=not can_split)
    return tuple(trunks), per_trunk and can_split


def _show_trunks(trunks: pd.DataFrame) -> None:
    st.header(_("Trunks"))
    st.dataframe(
        trunks,
        hide_index=True,
        width="stretch",
        key="trunk-table",
        alt=_("Calls, completion and traffic of every trunk"),
        column_config={
            "trunk": st.column_config.TextColumn(_("Trunk"), pinned=True),
            "answered": st.column_config.NumberColumn(_("Answered"), format="localized"),
            "null_duration": st.column_config.NumberColumn(_("Zero duration"), format="localized"),
            "total": st.column_config.NumberColumn(_("Calls"), format="localized"),
            "ccr": st.column_config.NumberColumn(_("CCR"), format="percent", help=_("Empty: undefined, no attempts.")),
            "mean_erlang": st.column_config.NumberColumn(_("Mean Erlang"), format="localized"),
            "peak_erlang": st.column_config.NumberColumn(_("Peak Erlang"), format="localized"),
            "silent": st.column_config.NumberColumn(
                _("Intervals with zeros only"), help=_("Intervals without a call."), format="localized"
            ),
            "cause": st.column_config.TextColumn(_("Main cause of failed calls")),
        },
    )
    with st.container(horizontal=True):
        downloads.show_table_buttons(lambda: trunks, "trunks", _("All trunks ({kind})"))


# ---- cleaning -------------------------------------------------------------------------------------------------------


def show_preview(spec: Spec, dataset: Dataset) -> None:
    """Show what the cleaning of the form would change; nothing is stored."""
    if not isinstance(spec, CleanSpec):
        return
    result = answers.ask("preview_cleaning", spec, place="cleaning", is_short=is_quickly_checked(dataset))
    if result is not None:
        _show_changes(result, "preview")


def show_cleaning(result: CleaningResult, run: str) -> None:
    """Show every change of a cleaning, the record of the run, and the downloads."""
    _show_changes(result, "cleaning")
    show_record(run)
    show_downloads(lambda: _as_text(result.to_frame(), "trunk"), "cleaned-counts", _("Cleaned values ({kind})"))


def _show_changes(result: CleaningResult, key: str) -> None:
    """Show the numbers of changes, one entity before and after, and the table of changes."""
    metrics = result.metrics()
    with st.container(horizontal=True, key=f"{key}-figures"):
        st.metric(_("Spikes"), format_value(int(metrics["spikes"])), border=True)
        st.metric(_("Filled values"), format_value(int(metrics["imputed"])), border=True)
        st.metric(_("Still missing"), format_value(int(metrics["still_missing"])), border=True)
        st.metric(_("Level shifts (kept)"), format_value(int(metrics["level_shifts"])), border=True)
        st.metric(_("Threshold"), _format_thresholds(result), border=True)
    for note in result.notes:
        st.caption(translate_message(note))
    changes = result.list_changes()
    if changes.empty:
        st.success(_("Nothing to clean: no spike and no hole."), icon=":material/check_circle:")
    entity = _choose_entity(result, key)
    with st.container(horizontal=True):
        is_logarithmic = st.toggle(_("Log scale"), key=f"{key}-log")
    show_chart(
        figures.draw_cleaning(
            result.rows[result.rows["entity"] == entity],
            result.data.unit or name_column(result.measure),
            is_logarithmic,
            _,
        ),
        f"{key}-chart",
        _("Original and cleaned values, with a mark on every change"),
    )
    if not changes.empty:
        _show_change_table(changes, key, several=len(result.entities) > 1)


def _format_thresholds(result: CleaningResult) -> str:
    thresholds = result.entities["threshold"].dropna()
    if thresholds.empty:
        return "–"
    low, high = (format_value(float(f"{value:.4g}")) for value in (thresholds.min(), thresholds.max()))
    return low if low == high else f"{low} – {high}"


def _choose_entity(result: CleaningResult, key: str) -> str:
    """Return the entity to draw: that with most changes at first."""
    changes = result.entities[["spikes", "imputed", "shifts"]].sum(axis=1).to_numpy()
    entities = [str(name) for name in result.entities["entity"].iloc[np.argsort(-changes, kind="stable")]]
    if len(entities) == 1:
        return entities[0]
    return st.selectbox(_("Trunk"), entities, key=f"{key}-entity")


def _show_change_table(changes: pd.DataFrame, key: str, several: bool) -> None:
    kinds = np.select(
        [changes[IS_SPIKE], changes[IS_IMPUTED] & (changes["weeks_back"] > 0), changes[IS_IMPUTED]],
        [_("spike"), _("filled from an earlier week"), _("filled by a straight line")],
        _("level shift, kept"),
    )
    table = changes[["time", "original", CLEANED, "weeks_back"]].assign(kind=kinds)
    if several:
        table.insert(0, "entity", changes["entity"].astype(str))
    order = np.argsort(~changes[IS_SPIKE].to_numpy(), kind="stable")  # spikes first: holes are long
    with st.expander(_("All changes ({count})").format(count=format_value(len(table))), icon=":material/table_rows:"):
        if len(table) > MAX_SHOWN_CHANGES:
            st.caption(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_CHANGES)))
        st.dataframe(
            table.iloc[order[:MAX_SHOWN_CHANGES]],
            hide_index=True,
            width="stretch",
            key=f"{key}-changes",
            alt=_("Every value that changes"),
            column_config={
                "entity": st.column_config.TextColumn(_("Trunk")),
                "time": st.column_config.DatetimeColumn(_("Time"), format=get_date_format() + " HH:mm"),
                "original": st.column_config.NumberColumn(_("Original"), format="localized"),
                "cleaned": st.column_config.NumberColumn(_("Cleaned"), format="localized"),
                "weeks_back": st.column_config.NumberColumn(_("Weeks back")),
                "kind": st.column_config.TextColumn(_("Change")),
            },
        )


def _as_text(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the table with a column of names as plain text."""
    return table.assign(**{column: table[column].astype(str)}) if column in table else table
