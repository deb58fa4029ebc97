"""Maintenance windows: times of planned work, in which nobody is told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pandas as pd
import streamlit as st

from core.operations.watching.maintenance_windows import add_window, list_windows, remove_window
from core.watches.maintenance import MAX_MINUTES, MaintenanceWindow
from pages.components import cache, clock
from pages.components.choices import label_uniquely
from pages.components.i18n import _, get_date_format
from pages.components.watch.changes import build_checked, get_actor, make_change

MAX_REASON_CHARS, DEFAULT_MINUTES = 500, 60
ONCE, RECURRING = "once", "recurring"


def show(watch_names: Sequence[str]) -> None:
    """Show the maintenance windows, and the form that adds one."""
    st.header(_("Maintenance windows"))
    st.caption(_("In a maintenance window incidents are listed here, and announced to nobody."))
    windows = list_windows(cache.get_workspace())
    if windows:
        _show_table(windows)
        _show_removal(windows)
    _show_form(watch_names)


def _show_table(windows: Sequence[MaintenanceWindow]) -> None:
    text = st.column_config.TextColumn
    table = pd.DataFrame(
        {
            "watch": [window.watch or _("all watches") for window in windows],
            "entity": [window.entity or _("all entities") for window in windows],
            "time": [_describe_time(window) for window in windows],
            "reason": [window.reason for window in windows],
            "author": [window.author for window in windows],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="maintenance",
        alt=_("Maintenance windows"),
        column_config={
            "watch": text(_("Watch")),
            "entity": text(_("Entity")),
            "time": text(_("Time"), width=260),
            "reason": text(_("Reason")),
            "author": text(_("Added by")),
        },
    )


def _describe_time(window: MaintenanceWindow) -> str:
    if window.cron:
        return _("{cron} ({zone}), {minutes} minutes each time").format(
            cron=window.cron, zone=window.zone, minutes=window.minutes
        )
    start, end = (clock.format_instant(instant) if instant else "" for instant in (window.start, window.end))
    return f"{start} – {end}"


def _show_removal(windows: Sequence[MaintenanceWindow]) -> None:
    by_id = {window.id: window for window in windows}
    label = label_uniquely(
        list(by_id), lambda key: f"{by_id[key].watch or _('all watches')} · {_describe_time(by_id[key])}"
    )
    with st.container(horizontal=True, vertical_alignment="bottom", key="maintenance-actions"):
        chosen = str(st.selectbox(_("Maintenance window"), list(by_id), format_func=label, key="maintenance-choice"))
        if st.button(_("Remove"), icon=":material/delete:", key="maintenance-remove"):
            workspace, actor = cache.get_workspace(), get_actor()
            make_change(
                f"remove maintenance {chosen}",
                lambda: remove_window(chosen, workspace, actor),
                _("The maintenance window is removed."),
            )


def _show_form(watch_names: Sequence[str]) -> None:
    with st.expander(_("Add a maintenance window"), icon=":material/build:", key="maintenance-new"):
        labels = {ONCE: _("once"), RECURRING: _("again and again")}
        kind = st.segmented_control(
            _("It happens"),
            [ONCE, RECURRING],
            default=ONCE,
            required=True,
            format_func=labels.__getitem__,
            key="maintenance-kind",
        )
        left, right = st.columns(2)
        watch = left.selectbox(
            _("Watch"), ["", *watch_names], format_func=lambda name: name or _("all watches"), key="maintenance-watch"
        )
        entity = right.text_input(_("Entity, empty for all"), key="maintenance-entity", max_chars=1000)
        times = _ask_recurring_times() if kind == RECURRING else _ask_one_time()
        reason = st.text_input(_("Reason"), key="maintenance-reason", max_chars=MAX_REASON_CHARS)
        if st.button(_("Add the window"), type="primary", icon=":material/add:", key="maintenance-add"):
            workspace, actor = cache.get_workspace(), get_actor()
            values = {"watch": watch or "", "entity": entity.strip(), "reason": reason.strip(), **times}
            make_change(
                f"add maintenance {values}",
                lambda: add_window(build_checked(MaintenanceWindow, **values), workspace, actor),
                _("The maintenance window is added."),
            )


def _ask_one_time() -> dict[str, object]:
    """Ask for a start and an end in the zone of the browser."""
    zone = clock.get_zone_name()
    now = clock.to_browser_time(datetime.now(UTC)).replace(second=0, microsecond=0)
    left, right = st.columns(2)
    start = left.datetime_input(_("Start"), now, format=get_date_format(), step=60, key="maintenance-start")
    end = right.datetime_input(
        _("End"), now + timedelta(hours=1), format=get_date_format(), step=60, key="maintenance-end"
    )
    return {
        name: None if moment is None else clock.from_data_time(moment, zone)
        for name, moment in (("start", start), ("end", end))
    }


def _ask_recurring_times() -> dict[str, object]:
    zones, zone = sorted(available_timezones()), clock.get_zone_name()
    left, middle, right = st.columns(3)
    cron = left.text_input(
        _("Begins at (cron line)"),
        key="maintenance-cron",
        placeholder="0 2 * * SUN",
        help=_("Five fields: minute, hour, day of the month, month, day of the week."),
    )
    minutes = middle.number_input(_("Minutes"), 1, MAX_MINUTES, DEFAULT_MINUTES, key="maintenance-minutes")
    chosen = right.selectbox(
        _("Time zone"), zones, zones.index(zone) if zone in zones else None, key="maintenance-zone"
    )
    return {"cron": cron.strip(), "minutes": minutes, "zone": chosen or "UTC"}
