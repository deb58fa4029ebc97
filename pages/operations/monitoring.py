"""Page of monitoring: usage, errors, response times, emissions, and drift of new data."""

from collections.abc import Callable

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.exports import as_csv
from core.operations import monitoring
from core.operations import monitoring_figures as figures
from core.operations.monitoring import PERIODS, STATUSES, Observed
from pages.components import cache
from pages.components.i18n import _, percent, say, shown
from pages.components.results import drift
from pages.components.results.run_widgets import chart

REMEMBERED = 30  # seconds that loaded events are cached
SHOWN_ERRORS = 1000


def page() -> None:
    """Show the filters, figures and views of the events of a period."""
    st.title(_("Monitoring"))
    period = _period()
    found = _observed(period, str(cache.get_workspace().events.folder))
    _source(found)
    if found.table.empty:
        _nothing(period)
        return
    chosen = _filtered(found)
    if chosen.table.empty:
        st.info(_("No action has these properties; choose fewer of them."), icon=":material/filter_alt_off:")
        return
    _figures(chosen)
    _views(chosen)


@st.cache_data(ttl=REMEMBERED, max_entries=8, show_spinner=False)
def _observed(period: str, folder: str) -> Observed:
    """Load the events of a period, at most twice a minute for all sessions; `folder` separates two workspaces."""
    return monitoring.observed(cache.get_workspace(), period)


def _period() -> str:
    names = {"hour": _("1 hour"), "day": _("1 day"), "week": _("1 week"), "month": _("30 days"), "all": _("All")}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = st.segmented_control(
            _("Period"),
            list(PERIODS),
            default="week",
            format_func=names.__getitem__,
            key="monitoring-period",
            required=True,
        )
        if st.button(_("Refresh"), icon=":material/refresh:", key="monitoring-refresh"):
            _observed.clear()
    return str(period)


def _source(found: Observed) -> None:
    """Show the source of the events, and the number of those left out."""
    if found.source == "elasticsearch":
        notes = [_("From Elasticsearch.")]
    elif found.why is not None:
        notes = [_("From the event files of this machine: {reason}").format(reason=say(found.why))]
    else:
        notes = [_("From the event files of this machine; no Elasticsearch is named in the settings.")]
    if found.capped:
        notes.append(_("There are more: these are the newest {count}.").format(count=shown(len(found.table))))
    if found.skipped:
        notes.append(_("Documents that are no events were left out: {count}.").format(count=shown(found.skipped)))
    st.caption(" ".join(notes))


def _nothing(period: str) -> None:
    st.info(
        _("Nothing has been recorded in this period.")
        if period != "all"
        else _(
            "Nothing has been recorded yet. Every file loaded and every model run leaves one "
            "line here: who, how long, how it"
            " ended, what it found and what it cost."
        ),
        icon=":material/monitoring:",
    )


def _filtered(found: Observed) -> Observed:
    applications, models, statuses = st.columns([3, 3, 2])
    return monitoring.filtered(
        found,
        application=applications.multiselect(
            _("Page or command"), _known(found, "application"), placeholder=_("All"), key="monitoring-application"
        ),
        model=models.multiselect(_("Model"), _known(found, "model"), placeholder=_("All"), key="monitoring-model"),
        status=statuses.multiselect(
            _("Status"),
            STATUSES,
            placeholder=_("All"),
            key="monitoring-status",
            format_func=lambda each: _(figures.STATUS[each][0]),
        ),
    )


def _known(found: Observed, column: str) -> list[str]:
    return sorted(str(name) for name in found.table[column].dropna().unique())


def _figures(found: Observed) -> None:
    told = monitoring.figures(found.table)
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Actions"), shown(told.actions), border=True)
        st.metric(_("Failed"), percent(round(told.failed, 4)), border=True)
        st.metric(
            _("Response time p50"),
            f"{shown(round(told.p50, 2))} s",
            border=True,
            help=_("Half of the actions took no longer."),
        )
        st.metric(
            _("Response time p95"),
            f"{shown(round(told.p95, 2))} s",
            border=True,
            help=_("95 of 100 actions took no longer."),
        )
        st.metric(_("Users"), shown(told.users), border=True)


def _views(found: Observed) -> None:
    views: dict[str, Callable[[Observed], None]] = {
        _("Runs"): _runs,
        _("Response time"): _seconds,
        _("Processor and memory"): _load,
        _("Anomalies"): _anomalies,
        _("Errors"): _errors,
        _("Emissions"): _emissions,
        _("Drift"): lambda _found: drift.section(),
    }
    tabs = st.tabs(list(views), on_change="rerun", key="monitoring-view")
    for tab, view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                view(found)


# ---- views ----------------------------------------------------------------------------------------------------------


def _runs(found: Observed) -> None:
    table = monitoring.per_model(found.table)
    if table.empty:
        st.info(_("No model has run in this period."))
        return
    chart(figures.runs_per_model(table, _), "monitoring-runs", _("Runs of each model, by how they ended"), dated=False)
    _table(table, "runs")


def _seconds(found: Observed) -> None:
    steps, table = monitoring.over_time(found.table), monitoring.per_model(found.table)
    chart(figures.seconds_over_time(steps, _), "monitoring-seconds", _("Median and 95 % quantile of the response time"))
    if not table.empty:
        chart(
            figures.seconds_per_model(table, _),
            "monitoring-seconds-model",
            _("Response time of each model"),
            dated=False,
        )
    _table(steps.reset_index(), "seconds")


def _load(found: Observed) -> None:
    steps = monitoring.over_time(found.table)
    st.caption(_("Of the whole machine, whoever used it, while an action ran (processor) and at its end (memory)."))
    chart(figures.load_over_time(steps, _), "monitoring-load", _("Use of processor and memory"))
    _table(steps[["actions", "cpu", "memory"]].reset_index(), "load")


def _anomalies(found: Observed) -> None:
    table = monitoring.anomalies_per_entity(found)
    if table.empty:
        st.info(_("No run of this period tells which entities its anomalies are in."))
        return
    st.caption(_("A row that two runs flag counts twice; each run names at most 50 entities."))
    chart(figures.anomalies_per_entity(table, _), "monitoring-anomalies", _("Anomalies of each entity"), dated=False)
    _table(table, "anomalies")


def _errors(found: Observed) -> None:
    table = monitoring.errors(found.table)
    if table.empty:
        st.success(_("Nothing has failed in this period."), icon=":material/check_circle:")
        return
    if len(table) > SHOWN_ERRORS:
        st.caption(
            _("The newest {count} of {all}; the download has them all.").format(
                count=shown(SHOWN_ERRORS), all=shown(len(table))
            )
        )
    _table(table, "errors", SHOWN_ERRORS)


def _emissions(found: Observed) -> None:
    table = monitoring.emissions(found.table)
    if table.empty:
        st.info(_("No run of this period tells its emissions."))
        return
    total = float(table["kg"].sum())
    st.metric(_("g CO₂ together"), shown(float(f"{1000 * total:.3g}")), border=True, width=240)
    st.caption(
        _(
            "Estimated by CodeCarbon: without a power meter it takes a constant per "
            "processor core and memory module, and of runs"
            " at the same time each counts the whole machine. Good for comparing models, not for accounts."
        )
    )
    chart(figures.emissions_per_model(table, _), "monitoring-emissions", _("Grams of CO₂ of each model"), dated=False)
    _table(table, "emissions")


def _table(table: pd.DataFrame, name: str, most: int = 0) -> None:
    """Show the table of a view, and its download; `most` limits the displayed rows."""
    st.dataframe(
        table.head(most) if most else table,
        hide_index=True,
        width="stretch",
        key=f"monitoring-{name}-table",
        column_config=_columns(),
        alt=_("The figures as a table"),
    )
    st.download_button(
        _("Download as CSV"),
        lambda: as_csv(table),
        f"monitoring-{name}.csv",
        key=f"monitoring-{name}-csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _columns() -> dict[str, ColumnConfig | str]:
    number = st.column_config.NumberColumn
    return {
        "time": st.column_config.DatetimeColumn(_("Time (UTC)"), format="YYYY-MM-DD HH:mm:ss"),
        "application": _("Page or command"),
        "model": _("Model"),
        "event": _("Action"),
        "run": _("Run"),
        "error_type": _("Kind of error"),
        "error": st.column_config.TextColumn(_("Message"), width="large"),
        "entity": _("Entity"),
        "runs": number(_("Runs"), format="localized"),
        "actions": number(_("Actions"), format="localized"),
        "completed": number(_("Completed"), format="localized"),
        "failed": number(_("Failed"), format="localized"),
        "interrupted": number(_("Interrupted"), format="localized"),
        "anomalies": number(_("Anomalies"), format="localized"),
        "p50": number(_("p50 (s)"), format="%.2f"),
        "p95": number(_("p95 (s)"), format="%.2f"),
        "cpu": number(_("Processor (%)"), format="%.0f"),
        "memory": number(_("Memory (%)"), format="%.0f"),
        "versions": number(_("Versions")),
        "hours": number(_("Hours"), format="%.2f"),
        "kg": number(_("kg CO₂"), format="%.3g"),
        "grams_per_run": number(_("g CO₂ per run"), format="%.3g"),
    }


page()
