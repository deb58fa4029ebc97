"""What persons do about incidents: every step in every state."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.errors import OptionError
from core.watches.incident import MAX_COMMENT_CHARS, Incident
from core.watches.lifecycle import acknowledge, assign, mute, reopen, resolve
from tests.core.watches.judged_tables import START, STEP, WATCH

NOW = START + timedelta(days=1)
OPEN = Incident(watch=WATCH.name, entity="paris", start=START, end=START + STEP, peak_at=START, rows=2)
ACKNOWLEDGED = acknowledge(OPEN, "ada", START)
RESOLVED = resolve(OPEN, "ada", "true_alarm", "cut cable", START)
BACK = OPEN.model_copy(update={"kind": "no data", "state": "resolved", "resolved_at": START})
WITHDRAWN = OPEN.model_copy(update={"state": "resolved", "resolved_at": START, "rows": 0})
MERGED = OPEN.model_copy(update={"state": "resolved", "resolved_at": START, "merged_into": "a" * 32})
STATES = {
    "open": OPEN,
    "acknowledged": ACKNOWLEDGED,
    "resolved": RESOLVED,
    "back": BACK,
    "withdrawn": WITHDRAWN,
    "merged": MERGED,
}
STEPS: dict[str, Callable[[Incident, str], Incident]] = {
    "acknowledge": lambda incident, user: acknowledge(incident, user, NOW),
    "assign": lambda incident, user: assign(incident, "carl", NOW),
    "mute": lambda incident, user: mute(incident, NOW + STEP, NOW),
    "resolve": lambda incident, user: resolve(incident, user, "true_alarm", "cut cable", NOW),
    "reopen": lambda incident, user: reopen(incident, NOW),
}
DONE, SAME, RESOLVED_BY_ADA, RESOLVED_ALREADY = "", "same", "ada has resolved", "is resolved already"
PART, NO_ALARM = "part of the incident aaaaaaaaaaaa", "no alarm any more"
TABLE = {
    "acknowledge": (DONE, "ada has acknowledged", RESOLVED_BY_ADA, RESOLVED_ALREADY, RESOLVED_ALREADY, PART),
    "assign": (DONE, DONE, RESOLVED_BY_ADA, RESOLVED_ALREADY, RESOLVED_ALREADY, PART),
    "mute": (DONE, DONE, RESOLVED_BY_ADA, RESOLVED_ALREADY, RESOLVED_ALREADY, PART),
    "resolve": (DONE, DONE, RESOLVED_BY_ADA, RESOLVED_ALREADY, RESOLVED_ALREADY, PART),
    "reopen": (SAME, SAME, DONE, DONE, NO_ALARM, PART),
}
CASES = [(step, state, outcome) for step, row in TABLE.items() for state, outcome in zip(STATES, row, strict=True)]


@pytest.mark.parametrize(("step", "state", "outcome"), CASES)
def test_steps_in_every_state(step: str, state: str, outcome: str) -> None:
    """The step of somebody other than the user who was first."""
    incident = STATES[state]
    if outcome in (DONE, SAME):
        changed = STEPS[step](incident, "bob")
        assert (changed == incident) == (outcome == SAME)
        assert changed.changed_at == (incident.changed_at if outcome == SAME else NOW)
    else:
        with pytest.raises(OptionError, match=outcome):
            STEPS[step](incident, "bob")


@pytest.mark.parametrize("step", ["acknowledge", "resolve", "assign"])
def test_steps_that_are_repeated_change_nothing(step: str) -> None:
    once = STEPS[step](OPEN, "ada")
    assert STEPS[step](once, "ada") == once


def test_another_verdict_of_the_same_user_needs_reopening() -> None:
    with pytest.raises(OptionError, match="ada has resolved"):
        resolve(RESOLVED, "ada", "false_alarm", "cut cable", NOW)
    again = resolve(reopen(RESOLVED, NOW), "ada", "false_alarm", "", NOW)
    assert (again.verdict, again.reopenings) == ("false_alarm", 1)


def test_somebody_without_a_name_is_told_in_words() -> None:
    with pytest.raises(OptionError, match="This incident is acknowledged already"):
        acknowledge(acknowledge(OPEN, "", START), "ada", NOW)


def test_reopened_incident_is_judged_anew() -> None:
    again = reopen(resolve(ACKNOWLEDGED, "bob", "true_alarm", "", START), NOW)
    assert (again.state, again.verdict, again.resolved_by, again.acknowledged_by) == ("open", None, "", "")
    assert again.resolved_at is None


def test_mute_ends_and_is_limited() -> None:
    assert mute(mute(OPEN, NOW + STEP, NOW), None, NOW).muted_until is None
    for until in (NOW, NOW + timedelta(days=367)):
        with pytest.raises(OptionError, match="can be muted"):
            mute(OPEN, until, NOW)


def test_resolving_takes_accepted_verdicts_and_comments() -> None:
    with pytest.raises(OptionError, match="true_alarm, false_alarm, unsure"):
        resolve(OPEN, "ada", "yes", "", NOW)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=f"maximum is {MAX_COMMENT_CHARS:,}"):
        resolve(OPEN, "ada", None, "x" * (MAX_COMMENT_CHARS + 1), NOW)
    assert resolve(OPEN, "ada", None, "  cut cable \n", NOW).comment == "cut cable"


def test_assignee_has_limited_name() -> None:
    with pytest.raises(OptionError, match=r"maximum is 1,000"):
        assign(OPEN, "x" * 1001, NOW)
    assert assign(assign(OPEN, "bob", NOW), "", NOW).assignee == ""
