"""Page of monitoring: usage, errors, response times, emissions, and drift of new data."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.column_types import ColumnConfig

from core.operations import monitoring
from core.operations import monitoring_figures as figures
from core.operations.monitoring import PERIODS, STATUSES, EventTables
from pages.components import cache, clock, downloads, saved_views, url_state
from pages.components.address_tabs import show_tabs
from pages.components.i18n import _, format_percent, format_value, translate_message
from pages.components.page_state import AddressField, make_choice_field, make_list_field
from pages.components.results import drift
from pages.components.results.feedback_table import get_subject_label
from pages.components.results.run_widgets import show_chart
from pages.components.run_name import SHORT_ID_LENGTH
from pages.components.task_links import link_first_steps

CACHE_TTL_S = 30  # seconds that loaded events are cached
MAX_SHOWN_ERRORS = 1000
PAGE, DEFAULT_PERIOD = "monitoring", "week"
PERIOD = make_choice_field("period", "monitoring-period", PERIODS, DEFAULT_PERIOD)
FILTERS = {
    "application": make_list_field("application", "monitoring-application", bool),
    "model": make_list_field("model", "monitoring-model", bool),
    "status": make_list_field("status", "monitoring-status", STATUSES.__contains__),
}
LABELS: dict[str, Callable[[str], str]] = {
    "application": get_subject_label,
    "event": lambda name: _(monitoring.ACTION_LABELS.get(name, name)),
    "status": lambda status: _(figures.STATUS_STYLES[status][0]),
}
"""Filter or column → its values for the reader; the others stay as they are."""
LOAD_COLUMNS = ["actions", "cpu", "memory"]
VIEW_PARAM = "view"
VIEW_FIELDS = (PERIOD.parameter, *FILTERS, VIEW_PARAM)


def page() -> None:
    """Show the filters, figures and views of the events of a period."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="monitoring-header"):
        st.title(_("Monitoring"))
        saved_views.show(PAGE, VIEW_FIELDS)
    period = _ask_period()
    events = _load_events(period, str(cache.get_workspace().events.folder))
    _show_source(events)
    if events.table.empty:
        _show_nothing(period)
        return
    filtered_events = _filter_events(events)
    if filtered_events.table.empty:
        st.info(_("No action matches these filters. Remove some of them."), icon=":material/filter_alt_off:")
        return
    _show_figures(filtered_events)
    _show_views(filtered_events)


@st.cache_data(ttl=CACHE_TTL_S, max_entries=8, show_spinner=False)
def _load_events(period: str, folder: str) -> EventTables:
    """Load the events of a period, at most twice a minute for all sessions; `folder` separates two workspaces."""
    return monitoring.load_events(cache.get_workspace(), period)


def _ask_period() -> str:
    names = {"hour": _("1 hour"), "day": _("1 day"), "week": _("1 week"), "month": _("30 days"), "all": _("All")}
    PERIOD.load()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = st.segmented_control(
            _("Period"),
            list(PERIODS),
            format_func=names.__getitem__,
            key=PERIOD.key,
            on_change=PERIOD.store,
            required=True,
        )
        if st.button(_("Refresh"), icon=":material/refresh:", key="monitoring-refresh"):
            _load_events.clear()
    return str(period)


def _show_source(events: EventTables) -> None:
    """Show the source of the events, and the number of those left out."""
    if events.source == "elasticsearch":
        notes = [_("Source: Elasticsearch.")]
    elif events.fallback_reason is not None:
        notes = [
            _("Source: event files of this machine. {reason}").format(reason=translate_message(events.fallback_reason))
        ]
    else:
        notes = [_("Source: event files of this machine. Elasticsearch is not configured.")]
    if events.is_truncated:
        notes.append(_("Only the newest {count} events are used.").format(count=format_value(len(events.table))))
    if events.skipped_count:
        notes.append(
            _("Ignored documents that are not events: {count}.").format(count=format_value(events.skipped_count))
        )
    notes.append(clock.describe_zone())
    st.caption(" ".join(notes))


def _show_nothing(period: str) -> None:
    st.info(
        _("There are no events in this period. Choose a longer one.")
        if period != "all"
        else _(
            "There are no events yet. Each loaded file and each run of a model is recorded "
            "here, with user, duration, status, result and cost."
        ),
        icon=":material/monitoring:",
    )
    link_first_steps()


def _filter_events(events: EventTables) -> EventTables:
    applications, models, statuses = st.columns([3, 3, 2])
    labels = {"application": _("Page or command"), "model": _("Model"), "status": _("Status")}
    choices = {
        name: _ask_values(column, labels[name], FILTERS[name], events)
        for name, column in zip(FILTERS, (applications, models, statuses), strict=True)
    }
    return monitoring.filter_events(events, **choices)


def _ask_values(column: DeltaGenerator, label: str, field: AddressField, events: EventTables) -> list[str]:
    """Ask for values of a column. Values of the address stay, also where the period has no such event."""
    field.load()
    known_values = STATUSES if field is FILTERS["status"] else _list_values(events, field.parameter)
    return column.multiselect(
        label,
        list(dict.fromkeys([*url_state.get_state(field.key), *known_values])),
        placeholder=_("All"),
        key=field.key,
        on_change=field.store,
        format_func=LABELS.get(field.parameter, str),
    )


def _list_values(events: EventTables, column: str) -> list[str]:
    return sorted(str(name) for name in events.table[column].dropna().unique())


def _show_figures(events: EventTables) -> None:
    summary = monitoring.summarise_usage(events.table)
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Actions"), format_value(summary.actions), border=True)
        st.metric(_("Failed"), format_percent(round(summary.failed_share, 4)), border=True)
        st.metric(
            _("Median response time"),
            f"{format_value(round(summary.p50, 2))} s",
            border=True,
            help=_("Half of the actions took this time or less."),
        )
        st.metric(
            _("95 % of response times"),
            f"{format_value(round(summary.p95, 2))} s",
            border=True,
            help=_("95 % of the actions took this time or less."),
        )
        st.metric(_("Users"), format_value(summary.users), border=True)
        st.metric(
            _("Refused passwords"),
            format_value(summary.weak_passwords),
            border=True,
            help=_("New passwords that were too short or too easy to guess. Errors tells the reason of each."),
        )


def _show_views(events: EventTables) -> None:
    views: dict[str, tuple[str, Callable[[EventTables], None]]] = {
        "runs": (_("Runs"), _show_runs),
        "seconds": (_("Response time"), _show_response_times),
        "load": (_("Processor and memory"), _show_load),
        "anomalies": (_("Anomalies"), _show_anomalies),
        "errors": (_("Errors"), _show_errors),
        "emissions": (_("Emissions"), _show_emissions),
        "drift": (_("Drift"), lambda _events: drift.show_section()),
    }
    shown_views = {name: (label, partial(show_view, events)) for name, (label, show_view) in views.items()}
    show_tabs(VIEW_PARAM, "monitoring-view", shown_views)


# ---- views ----------------------------------------------------------------------------------------------------------


def _show_runs(events: EventTables) -> None:
    table = monitoring.summarise_per_model(events.table)
    if table.empty:
        st.info(_("No model has run in this period."))
        return
    show_chart(figures.draw_runs_per_model(table, _), "monitoring-runs", _("Runs of each model, by status"))
    _show_table(table, "runs")


def _show_response_times(events: EventTables) -> None:
    buckets, table = _summarise_local_times(events), monitoring.summarise_per_model(events.table)
    show_chart(
        figures.draw_seconds_over_time(buckets, _),
        "monitoring-seconds",
        _("Median and 95 % quantile of the response time"),
    )
    if not table.empty:
        show_chart(
            figures.draw_seconds_per_model(_name_values(table), _),
            "monitoring-seconds-model",
            _("Response time of each model"),
        )
    _show_table(buckets.reset_index(), "seconds", lambda: monitoring.summarise_over_time(events.table).reset_index())


def _show_load(events: EventTables) -> None:
    buckets = _summarise_local_times(events)
    st.caption(_("Use of the whole machine by all processes: processor during an action, memory at its end."))
    show_chart(figures.draw_load_over_time(buckets, _), "monitoring-load", _("Use of processor and memory"))
    _show_table(
        buckets[LOAD_COLUMNS].reset_index(),
        "load",
        lambda: monitoring.summarise_over_time(events.table)[LOAD_COLUMNS].reset_index(),
    )


def _summarise_local_times(events: EventTables) -> pd.DataFrame:
    return monitoring.summarise_over_time(_localise_times(events.table))


def _localise_times(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of events with its times in the time zone of the browser."""
    return table.assign(time=clock.to_browser_times(table["time"]))


def _show_anomalies(events: EventTables) -> None:
    table = monitoring.count_anomalies_per_entity(events)
    if table.empty:
        st.info(_("No run of this period records the entities of its anomalies."))
        return
    st.caption(_("A row flagged by two runs counts twice. Each run records at most 50 entities."))
    show_chart(figures.draw_anomalies_per_entity(table, _), "monitoring-anomalies", _("Anomalies of each entity"))
    _show_table(table, "anomalies")


def _show_errors(events: EventTables) -> None:
    table = monitoring.list_errors(events.table)
    if table.empty:
        st.success(_("Nothing has failed in this period."), icon=":material/check_circle:")
        return
    if len(table) > MAX_SHOWN_ERRORS:
        st.caption(
            _("Only the newest {count} of {all} are shown. The download contains all of them.").format(
                count=format_value(MAX_SHOWN_ERRORS), all=format_value(len(table))
            )
        )
    shown = _localise_times(table.head(MAX_SHOWN_ERRORS))
    _show_table(shown.assign(run=shown["run"].str[:SHORT_ID_LENGTH]), "errors", lambda: table)


def _show_emissions(events: EventTables) -> None:
    table = monitoring.sum_emissions(events.table)
    if table.empty:
        st.info(_("No run of this period records its emissions."))
        return
    total = float(table["kg"].sum())
    st.metric(_("g CO₂ in total"), format_value(float(f"{1000 * total:.3g}")), border=True, width=240)
    st.caption(
        _(
            "Estimate of CodeCarbon. Without a power meter, it uses a constant per processor "
            "core and memory module. Each of several simultaneous runs counts the whole "
            "machine. Use the estimate to compare models, not for carbon accounting."
        )
    )
    show_chart(figures.draw_emissions_per_model(table, _), "monitoring-emissions", _("Grams of CO₂ of each model"))
    _show_table(table, "emissions")


def _show_table(table: pd.DataFrame, name: str, build_export: Callable[[], pd.DataFrame] | None = None) -> None:
    """Show the table of a view, and its download: `build_export` with times in UTC, by default the same table."""
    st.dataframe(
        _name_values(table),
        hide_index=True,
        width="stretch",
        key=f"monitoring-{name}-table",
        column_config=_build_column_config(),
        alt=_("The figures as a table"),
    )
    downloads.show_csv_button(
        _("Download as CSV (times in UTC)") if build_export else _("Download as CSV"),
        build_export or (lambda: table),
        f"monitoring-{name}.csv",
        key=f"monitoring-{name}-csv",
    )


def _name_values(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the names of pages and actions for the reader; commands keep theirs."""
    labels = {name: label for name, label in LABELS.items() if name in table and name != "status"}
    return table.assign(**{name: [label(str(value)) for value in table[name]] for name, label in labels.items()})


def _build_column_config() -> dict[str, ColumnConfig | str]:
    number = st.column_config.NumberColumn
    return {
        "time": clock.build_time_column(_("Time"), has_seconds=True),
        "application": _("Page or command"),
        "model": _("Model"),
        "event": _("Action"),
        "run": _("Run"),
        "error_type": _("Error type"),
        "error": st.column_config.TextColumn(_("Message"), width=230),
        "entity": _("Entity"),
        "runs": number(_("Runs"), format="localized"),
        "actions": number(_("Actions"), format="localized"),
        "completed": number(_("Completed"), format="localized"),
        "failed": number(_("Failed"), format="localized"),
        "interrupted": number(_("Interrupted"), format="localized"),
        "anomalies": number(_("Anomalies"), format="localized"),
        "p50": number(_("Median (s)"), format="localized"),
        "p95": number(_("95 % within (s)"), format="localized"),
        "cpu": number(_("Processor (%)"), format="localized", step=1),
        "memory": number(_("Memory (%)"), format="localized", step=1),
        "versions": number(_("Versions")),
        "hours": number(_("Hours"), format="localized"),
        "kg": number(_("kg CO₂"), format="compact"),
        "grams_per_run": number(_("g CO₂ per run"), format="compact"),
    }


page()
