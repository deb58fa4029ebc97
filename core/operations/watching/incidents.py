"""Steps of persons about incidents: list, acknowledge, assign, mute, resolve and reopen them, accept a new level.

Each step is one event. Of two persons who take the same step at once, the second is told who was first.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pandas as pd

from core.actor import Actor
from core.data.time_zones import to_local_times
from core.errors import OptionError, VigieError
from core.messages import N_
from core.operations.feedback import FeedbackInput, serialise_row, submit_feedback
from core.runs.tracked_run import record_event
from core.runs.verdicts import WATCH_COLUMN
from core.watches.announcing import Announcement, plan_announcements
from core.watches.incident import ChangeKind, Incident, IncidentChange, Verdict
from core.watches.lifecycle import acknowledge, assign, mute, reopen, resolve
from core.watches.watch import NewNormal, Watch
from core.workspace import Workspace

MAX_NEW_NORMALS = 1000  # of a watch

logger = logging.getLogger(__name__)


def list_open_incidents(workspace: Workspace, watch: str = "") -> list[Incident]:
    """Return the unresolved incidents, worst first; of one watch, or of all for ""."""
    return workspace.watches.incidents.list_incidents(watch=watch, is_open=True)


def acknowledge_incident(incident_id: str, workspace: Workspace, actor: Actor) -> Incident:
    """Record that a person has seen an incident.

    Raises NotFoundError, OptionError for a resolved one and where somebody else was first.
    """
    return _change(
        "incident_acknowledge",
        incident_id,
        lambda incident, now: acknowledge(incident, actor.user, now),
        workspace,
        actor,
    )


def assign_incident(incident_id: str, assignee: str, workspace: Workspace, actor: Actor) -> Incident:
    """Record who looks after an incident; "" for nobody. Raises NotFoundError, OptionError for a resolved one."""
    return _change(
        "incident_assign", incident_id, lambda incident, now: assign(incident, assignee.strip(), now), workspace, actor
    )


def mute_incident(incident_id: str, until: datetime | None, workspace: Workspace, actor: Actor) -> Incident:
    """Announce nothing about an incident until an instant; None ends that.

    Raises NotFoundError, OptionError for a resolved one, and for an instant that is past or more than a year ahead.
    """
    return _change("incident_mute", incident_id, lambda incident, now: mute(incident, until, now), workspace, actor)


def resolve_incident(
    incident_id: str, verdict: Verdict | None, comment: str, workspace: Workspace, actor: Actor
) -> Incident:
    """Close an incident; a verdict becomes feedback on the model that judged its worst row.

    Raises NotFoundError, OptionError where somebody else was first, for an unknown verdict and a long comment.
    """
    before = workspace.watches.incidents.load_incident(incident_id)
    resolved = _change(
        "incident_resolve",
        before.id,
        lambda incident, now: resolve(incident, actor.user, verdict, comment, now),
        workspace,
        actor,
        "resolved",
    )
    if verdict is not None and resolved != before:
        _submit_verdict(resolved, workspace, actor)
    return resolved


def reopen_incident(incident_id: str, workspace: Workspace, actor: Actor) -> Incident:
    """Open a resolved incident again.

    Raises NotFoundError, OptionError for one that was merged into another, and for one whose alarms were withdrawn.
    """
    return _change("incident_reopen", incident_id, reopen, workspace, actor, "reopened")


def accept_level(incident_id: str, since: datetime | None, workspace: Workspace, actor: Actor) -> Incident:
    """Make the level of an entity the new normal from `since`, by default from where it changed; resolve the incident.

    Rows of the entity before that no longer belong to its past, and are left out when the model is fitted again. The
    verdict is that the alarm was true. Raises NotFoundError, OptionError for an incident that is resolved or about
    missing data, for a time after it, and for too many accepted levels.
    """
    stores = workspace.watches
    incident = stores.incidents.load_incident(incident_id)
    begin = since or incident.is_lasting_from or incident.start
    if incident.kind == "no data":
        raise OptionError(N_("An incident about missing data has no level that could become the new normal."))
    if begin > incident.end:
        raise OptionError(
            N_("The new normal begins at {value}, after the incident has ended at {end}."),
            value=begin,
            end=incident.end,
        )
    resolve(incident, actor.user, "true_alarm", "", datetime.now(UTC))  # raises before the watch is changed
    level = NewNormal(entity=incident.entity, since=begin)
    with record_event("incident_accept", actor, workspace, incident=incident.id, watch=incident.watch):
        stores.watches.edit_watch(incident.watch, lambda watch: _add_new_normal(watch, level))
    return resolve_incident(incident.id, "true_alarm", "", workspace, actor)


def _add_new_normal(watch: Watch, level: NewNormal) -> Watch:
    """Return the watch with an accepted level, which replaces an earlier one of the entity."""
    others = tuple(normal for normal in watch.new_normals if normal.entity != level.entity)
    if len(others) >= MAX_NEW_NORMALS:
        raise OptionError(
            N_("The watch {name} has {count} accepted levels already. Train its model again."),
            name=watch.name,
            count=len(others),
        )
    return watch.model_copy(update={"new_normals": (*others, level)})


def _change(
    event: str,
    incident_id: str,
    step: Callable[[Incident, datetime], Incident],
    workspace: Workspace,
    actor: Actor,
    kind: ChangeKind | None = None,
) -> Incident:
    """Take a step about an incident, announce it as a change of `kind`, and record one event."""
    now = datetime.now(UTC)
    stores = workspace.watches
    incident = stores.incidents.load_incident(incident_id)
    watch = stores.watches.load_watch(incident.watch)
    recipients, windows = stores.recipients.list_recipients(), stores.maintenance.list_windows()
    before: list[Incident] = []

    def take_step(stored: Incident) -> Incident:
        before[:] = [stored]
        return step(stored, now)

    def announce(changed: Incident) -> Sequence[Announcement]:
        if kind is None or changed == before[0]:
            return ()
        change = IncidentChange(kind=kind, incident=changed)
        return plan_announcements(watch, [change], recipients, windows, now)

    with record_event(event, actor, workspace, incident=incident.id, watch=incident.watch):
        return stores.incidents.change_incident(incident.id, take_step, announce)


def _submit_verdict(incident: Incident, workspace: Workspace, actor: Actor) -> None:
    """Record the verdict on the worst row of an incident as feedback on the run that judged it.

    The incident is resolved even where the disk cannot store the feedback; the log tells.
    """
    if incident.kind == "no data" or not incident.run:
        return
    watch = workspace.watches.watches.load_watch(incident.watch)
    values = {"entity": incident.entity, "time": _find_local_time(incident), "score": incident.peak}
    row = serialise_row({**values, WATCH_COLUMN: watch.name})
    feedback = FeedbackInput(watch.task, incident.run, row, incident.verdict, None, incident.comment)
    try:
        submit_feedback(feedback, workspace=workspace, actor=actor)
    except (OSError, VigieError):
        logger.exception("the verdict on the incident %s is no feedback", incident.id)


def _find_local_time(incident: Incident) -> pd.Timestamp:
    """Return the time of the worst row on the clock of the data, as results have it."""
    instants = pd.to_datetime([incident.peak_at], utc=True).tz_localize(None)
    local: pd.Timestamp = (to_local_times(instants, incident.zone)[0] if incident.zone else instants)[0]
    return local
