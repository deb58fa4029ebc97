"""Steps of persons about incidents, and the states that allow them.

| step        | open | acknowledged        | resolved                            |
|-------------|------|---------------------|-------------------------------------|
| acknowledge | yes  | by the same user    | no                                  |
| assign      | yes  | yes                 | no                                  |
| mute        | yes  | yes                 | no                                  |
| resolve     | yes  | yes                 | the same user with the same verdict |
| reopen      | no change | no change      | yes, unless merged or withdrawn     |

A step that a user repeats, as by a double click, changes nothing. Of two persons the second is told who was first.
"""

from datetime import datetime, timedelta
from typing import get_args

from core.errors import OptionError
from core.messages import N_
from core.watches.incident import MAX_COMMENT_CHARS, Incident, Verdict

MAX_MUTE = timedelta(days=366)
MAX_USER_CHARS = 1000


def acknowledge(incident: Incident, user: str, now: datetime) -> Incident:
    """Return the incident, acknowledged by `user`. Raises OptionError where somebody else was first."""
    _require_unresolved(incident)
    if incident.state == "acknowledged":
        if incident.acknowledged_by == user:
            return incident
        if incident.acknowledged_by:
            raise OptionError(N_("{user} has acknowledged this incident already."), user=incident.acknowledged_by)
        raise OptionError(N_("This incident is acknowledged already."))
    return incident.model_copy(update={"state": "acknowledged", "acknowledged_by": user, "changed_at": now})


def assign(incident: Incident, assignee: str, now: datetime) -> Incident:
    """Return the incident with the user who looks after it; "" for nobody. Raises OptionError for a resolved one."""
    _require_unresolved(incident)
    if len(assignee) > MAX_USER_CHARS:
        raise OptionError(
            N_("The name of the user has {count} characters. The maximum is {accepted}."),
            count=len(assignee),
            accepted=MAX_USER_CHARS,
        )
    if assignee == incident.assignee:
        return incident
    return incident.model_copy(update={"assignee": assignee, "changed_at": now})


def mute(incident: Incident, until: datetime | None, now: datetime) -> Incident:
    """Return the incident, silent until an instant; None ends the silence.

    Raises OptionError for a resolved one, and for an instant that has passed or is more than a year ahead.
    """
    _require_unresolved(incident)
    if until is not None and not now < until <= now + MAX_MUTE:
        raise OptionError(
            N_("An incident can be muted until a time after {first} and up to {last}, not until {value}."),
            first=now.replace(microsecond=0),
            last=(now + MAX_MUTE).replace(microsecond=0),
            value=until,
        )
    return incident.model_copy(update={"muted_until": until, "changed_at": now})


def resolve(incident: Incident, user: str, verdict: Verdict | None, comment: str, now: datetime) -> Incident:
    """Return the resolved incident.

    Raises OptionError where somebody else was first, for an unknown verdict, and for a long comment.
    """
    if verdict is not None and verdict not in get_args(Verdict):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="verdict",
            value=str(verdict)[:80],
            accepted=", ".join(get_args(Verdict)),
        )
    text = comment.strip()
    if len(text) > MAX_COMMENT_CHARS:
        raise OptionError(
            N_("The comment has {count} characters. The maximum is {accepted}."),
            count=len(text),
            accepted=MAX_COMMENT_CHARS,
        )
    is_same = (incident.resolved_by, incident.verdict, incident.comment) == (user, verdict, text)
    if not incident.is_open and is_same and not incident.merged_into:
        return incident
    _require_unresolved(incident)
    values = {"state": "resolved", "verdict": verdict, "comment": text, "resolved_by": user}
    return incident.model_copy(update={**values, "resolved_at": now, "muted_until": None, "changed_at": now})


def reopen(incident: Incident, now: datetime) -> Incident:
    """Return the incident, open again and looked after by nobody but its assignee; its verdict is taken back.

    Raises OptionError for one that was merged into another, and for one whose alarms were withdrawn.
    """
    _require_separate(incident)
    if incident.is_withdrawn:
        raise OptionError(N_("This incident has no alarm any more, because its values were corrected."))
    if incident.is_open:
        return incident
    values = {"state": "open", "resolved_at": None, "resolved_by": "", "acknowledged_by": "", "verdict": None}
    return incident.model_copy(update={**values, "reopenings": incident.reopenings + 1, "changed_at": now})


def _require_unresolved(incident: Incident) -> None:
    _require_separate(incident)
    if incident.is_open:
        return
    if incident.resolved_by:
        raise OptionError(
            N_("{user} has resolved this incident already. Reopen it to change it."), user=incident.resolved_by
        )
    raise OptionError(N_("This incident is resolved already. Reopen it to change it."))


def _require_separate(incident: Incident) -> None:
    if incident.merged_into:
        raise OptionError(N_("This incident is part of the incident {id} now."), id=incident.merged_into[:12])
