"""Actions on an incident: acknowledge, assign, mute, resolve and reopen it, accept a new level."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args

import streamlit as st

from core.operations.watching import incidents as operations
from core.watches.incident import MAX_COMMENT_CHARS, Incident, Verdict
from pages.components import cache, clock
from pages.components.feedback_form import format_verdict
from pages.components.i18n import _, get_date_format
from pages.components.markdown import escape_markdown
from pages.components.watch.changes import get_actor, make_change
from pages.components.watch.words import name_entity

MUTE_HOURS = (1, 4, 24, 168)
MAX_USER_CHARS = 200
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def show_history(incident: Incident) -> None:
    """Show who looks after an incident, and what persons said about it."""
    facts = []
    if incident.acknowledged_by:
        facts.append(_("Acknowledged by {user}.").format(user=escape_markdown(incident.acknowledged_by)))
    if incident.assignee:
        facts.append(_("Assigned to {user}.").format(user=escape_markdown(incident.assignee)))
    if incident.muted_until is not None and incident.muted_until > datetime.now(UTC):
        facts.append(_("Muted until {time}.").format(time=clock.format_instant(incident.muted_until)))
    if incident.resolved_at is not None and not incident.is_open:
        facts.append(_("Resolved {time}.").format(time=clock.format_instant(incident.resolved_at)))
    if incident.verdict is not None:
        facts.append(_("Verdict: {verdict}.").format(verdict=format_verdict(incident.verdict)))
    if facts:
        st.markdown(" ".join(facts))
    if incident.comment:
        st.text(incident.comment)


def show(incident: Incident) -> None:
    """Show the buttons and forms that the state of an incident allows."""
    key = f"{incident.id}-{incident.changed_at.timestamp():.6f}"  # a change closes the forms
    with st.container(horizontal=True, key="incident-actions"):
        if not incident.is_open:
            _show_button(
                incident, "reopen", _("Reopen"), "replay", operations.reopen_incident, _("The incident is open again.")
            )
            return
        if incident.state == "open":
            _show_button(
                incident,
                "acknowledge",
                _("Acknowledge"),
                "done",
                operations.acknowledge_incident,
                _("The incident is acknowledged."),
            )
        with st.popover(_("Resolve"), icon=":material/task_alt:", key=f"resolve-{key}"):
            _ask_verdict(incident)
        with st.popover(_("Assign"), icon=":material/person:", key=f"assign-{key}"):
            _ask_assignee(incident)
        with st.popover(_("Mute"), icon=":material/notifications_paused:", key=f"mute-{key}"):
            _ask_mute(incident)
        if incident.kind != "no data":
            with st.popover(_("New normal"), icon=":material/moving:", key=f"normal-{key}"):
                _ask_new_normal(incident)


def _show_button(
    incident: Incident, name: str, label: str, icon: str, operation: Callable[..., object], receipt: str
) -> None:
    if st.button(label, icon=f":material/{icon}:", key=f"incident-{name}"):
        workspace, actor = cache.get_workspace(), get_actor()
        make_change(f"{name} {incident.id}", lambda: operation(incident.id, workspace, actor), receipt)


def _ask_verdict(incident: Incident) -> None:
    verdict = st.segmented_control(
        _("Is this a true alarm?"),
        VERDICTS,
        format_func=format_verdict,
        key=f"incident-verdict-{incident.id}",
        help=_("Verdicts give the precision of the watch, and a proposal for the threshold of its model."),
    )
    comment = st.text_area(
        _("Comment"),
        max_chars=MAX_COMMENT_CHARS,
        key=f"incident-comment-{incident.id}",
        placeholder=_("What happened, or why it is normal"),
    )
    if st.button(_("Resolve the incident"), type="primary", icon=":material/task_alt:", key="incident-resolve"):
        workspace, actor = cache.get_workspace(), get_actor()
        make_change(
            f"resolve {incident.id} {verdict} {comment}",
            lambda: operations.resolve_incident(incident.id, verdict, (comment or "").strip(), workspace, actor),
            _("The incident is resolved."),
        )


def _ask_assignee(incident: Incident) -> None:
    workspace, actor = cache.get_workspace(), get_actor()
    name = st.text_input(
        _("Who looks after it"),
        incident.assignee or actor.user,
        max_chars=MAX_USER_CHARS,
        key=f"incident-assignee-{incident.id}",
        help=_("Empty: nobody."),
    )
    if st.button(_("Assign the incident"), type="primary", icon=":material/person:", key="incident-assign"):
        make_change(
            f"assign {incident.id} {name}",
            lambda: operations.assign_incident(incident.id, name.strip(), workspace, actor),
            _("The incident is assigned."),
        )


def _ask_mute(incident: Incident) -> None:
    labels = {1: _("1 hour"), 4: _("4 hours"), 24: _("1 day"), 168: _("1 week")}
    hours = st.radio(
        _("Announce nothing about it for"),
        MUTE_HOURS,
        format_func=labels.__getitem__,
        key=f"incident-mute-hours-{incident.id}",
    )
    workspace, actor = cache.get_workspace(), get_actor()
    if st.button(_("Mute the incident"), type="primary", icon=":material/notifications_off:", key="incident-mute"):
        until = datetime.now(UTC) + timedelta(hours=hours)
        make_change(
            f"mute {incident.id} {hours}",
            lambda: operations.mute_incident(incident.id, until, workspace, actor),
            _("The incident is muted."),
        )
    is_muted = incident.muted_until is not None and incident.muted_until > datetime.now(UTC)
    if is_muted and st.button(_("Announce it again"), icon=":material/notifications:", key="incident-unmute"):
        make_change(
            f"unmute {incident.id}",
            lambda: operations.mute_incident(incident.id, None, workspace, actor),
            _("The incident is announced again."),
        )


def _ask_new_normal(incident: Incident) -> None:
    st.caption(
        _(
            "The level of {entity} from this time on is normal. Rows before it are left out when the model is trained "
            "again, and the incident is resolved."
        ).format(entity=escape_markdown(name_entity(incident)))
    )
    first = clock.to_data_time(incident.is_lasting_from or incident.start, incident.zone)
    since = st.datetime_input(
        _("Normal from"), first, format=get_date_format(), step=60, key=f"incident-since-{incident.id}"
    )
    if st.button(
        _("Make this the new normal"),
        type="primary",
        icon=":material/moving:",
        key="incident-normal",
        disabled=since is None,
    ):
        workspace, actor = cache.get_workspace(), get_actor()
        instant = clock.from_data_time(since, incident.zone)
        make_change(
            f"accept {incident.id} {instant.isoformat()}",
            lambda: operations.accept_level(incident.id, instant, workspace, actor),
            _("The new level is accepted."),
        )
