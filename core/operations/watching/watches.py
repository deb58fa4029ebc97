"""Watches: suggest, add, change, pause and remove them; each change is checked, and recorded as one event."""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pandas as pd

from core.actor import Actor
from core.data.dataset import DAY, Dataset
from core.data.nameless import strip_extensions
from core.errors import NotFoundError, OptionError, VigieError
from core.messages import N_
from core.operations.reading import find_files
from core.operations.watching.incident_events import check_event_choices
from core.operations.watching.judges import find_judge_entry, load_judge
from core.operations.watching.reading import build_read_options, pin_reading
from core.runs.promotion import list_versions
from core.runs.stored_runs import load_model_spec, load_run
from core.runs.tracked_run import record_event
from core.spec.spec import DataSpec
from core.storage.channels.sending import check_recipient
from core.storage.sources import check_source, describe_source
from core.storage.sources.places import INBOX_FOLDER
from core.storage.watches.watch_store import WatchState
from core.watches.schedule import parse_schedule
from core.watches.source import FolderSource, Source
from core.watches.watch import Recipient, Watch
from core.workspace import Workspace
from mlflow_utils.registry import CHAMPION

HISTORY_DAYS, LONG_HISTORY_DAYS = 92, 400  # suggested, the second for rows of an hour or more
SILENT_STEPS, MIN_SILENCE_MINUTES, MAX_SILENCE_MINUTES = 5, 60, 60 * 24 * 31
MAX_NAME_CHARS = 50
MINUTES_PER_DAY = 24 * 60


def suggest_watch(run_id: str, workspace: Workspace, source: Source | None = None) -> Watch:
    """Return a watch that asks the question of a run again: its model, its reading, a schedule of its step.

    Without a `source`, it reads the folder `inbox` of the data folder. Raises NotFoundError for an unknown run or a run
    without a model, OptionError for a run whose task or data cannot be watched, and the errors of the judge.
    """
    record = load_run(run_id, workspace).record
    find_judge_entry(record.experiment)
    model_run = _find_model_run(run_id, workspace)
    source = source or FolderSource(path=str(workspace.folder / INBOX_FOLDER))
    draft = Watch(name="draft", task=record.experiment, model=model_run, source=source, schedule="1 hour")
    template = _check_template(load_judge(draft, workspace)[1].template)
    minutes = _measure_step_minutes(template)
    has_long_steps = minutes >= 60
    suggested: dict[str, Any] = {
        "name": _suggest_name(record.experiment, template, workspace),
        "model": _find_address(model_run, workspace),
        "reading": _suggest_reading(model_run, template, workspace),
        "schedule": _format_schedule(minutes),
        "zone": template.zone if template.zone in available_timezones() else "UTC",
        "max_silence_minutes": min(max(SILENT_STEPS * minutes, MIN_SILENCE_MINUTES), MAX_SILENCE_MINUTES),
        "history_days": LONG_HISTORY_DAYS if has_long_steps else HISTORY_DAYS,
    }
    return draft.model_copy(update=suggested)


def check_watch(watch: Watch, workspace: Workspace, *, reads_source: bool = True) -> None:
    """Make sure that a watch can be asked: its task and model, its reading, schedule, known events, and its source.

    Raises OptionError, NotFoundError, and the errors of `check_source` unless `reads_source` is False.
    """
    Watch.model_validate(watch.model_dump())
    parse_schedule(watch.schedule, watch.zone)
    if watch.refit:
        parse_schedule(watch.refit, watch.zone)
    build_read_options(watch.reading)
    check_event_choices(watch, workspace)
    _check_template(load_judge(watch, workspace)[1].template)
    if reads_source:
        _make_inbox(watch.source, workspace)
        check_source(watch.source, workspace.settings)


def add_watch(watch: Watch, workspace: Workspace, actor: Actor) -> Watch:
    """Store a new watch of the actor, whose first tick is due at once, and return it.

    Raises the errors of `check_watch`, OptionError for a name that is taken and for an unknown recipient.
    """
    owned = watch.model_copy(update={"owner": actor.user, "created_at": datetime.now(UTC)})
    with record_event("watch_add", actor, workspace, **_describe_inputs(owned)):
        check_watch(owned, workspace)
        workspace.watches.watches.add_watch(owned, datetime.now(UTC))
    return owned


def change_watch(watch: Watch, workspace: Workspace, actor: Actor) -> Watch:
    """Replace the watch of this name; its owner stays. Return it.

    Raises the errors of `check_watch`, NotFoundError for an unknown name, OptionError for an unknown recipient.
    """
    with record_event("watch_change", actor, workspace, **_describe_inputs(watch)):
        stored = workspace.watches.watches.load_watch(watch.name)
        changed = watch.model_copy(update={"owner": stored.owner, "created_at": stored.created_at})
        check_watch(changed, workspace, reads_source=changed.source != stored.source)
        next_tick = parse_schedule(changed.schedule, changed.zone).find_next_tick(datetime.now(UTC))
        workspace.watches.watches.change_watch(changed, next_tick)
    return changed


def pause_watch(name: str, is_paused: bool, workspace: Workspace, actor: Actor) -> None:
    """Pause a watch, or let it go on, which makes up one missed tick. Raises NotFoundError for an unknown name."""
    with record_event("watch_pause" if is_paused else "watch_resume", actor, workspace, watch=name):
        workspace.watches.watches.set_paused(name, is_paused, None if is_paused else datetime.now(UTC))


def remove_watch(name: str, workspace: Workspace, actor: Actor) -> None:
    """Delete a watch with its ticks, rows and incidents. Raises NotFoundError for an unknown name."""
    with record_event("watch_remove", actor, workspace, watch=name):
        workspace.watches.watches.delete_watch(name)


def list_watches(workspace: Workspace) -> list[WatchState]:
    """Return all watches with their last and next tick, by name."""
    return workspace.watches.watches.list_states()


# ---- recipients -----------------------------------------------------------------------------------------------------


def add_recipient(recipient: Recipient, workspace: Workspace, actor: Actor) -> Recipient:
    """Store a recipient, or replace the one of this name. Raises OptionError for an address that is not accepted."""
    inputs = {"recipient": recipient.name, "channel": recipient.channel}
    with record_event("recipient_save", actor, workspace, **inputs):
        check_recipient(recipient, workspace.settings)
        workspace.watches.recipients.save_recipient(recipient)
    return recipient


def remove_recipient(name: str, workspace: Workspace, actor: Actor) -> None:
    """Delete a recipient. Raises NotFoundError for an unknown name, OptionError while a watch names it."""
    with record_event("recipient_remove", actor, workspace, recipient=name):
        workspace.watches.recipients.delete_recipient(name)


def list_recipients(workspace: Workspace) -> Sequence[Recipient]:
    """Return all recipients, by name."""
    return workspace.watches.recipients.list_recipients()


# ---- parts of a suggestion ------------------------------------------------------------------------------------------


def _find_model_run(run_id: str, workspace: Workspace) -> str:
    """Return the run whose model a run has applied, or saved itself. Raises NotFoundError for a run without one."""
    stored = load_run(run_id, workspace)
    if (stored.files / "model").is_dir():
        return stored.record.id
    source_run = str(stored.record.params.get("model_run", ""))
    if not source_run:
        raise NotFoundError(N_("The run {run} has no saved model."), run=run_id[:12])
    return load_run(source_run, workspace).record.id


def _find_address(model_run: str, workspace: Workspace) -> str:
    """Return NAME@champion where the model of a run is the champion of a name, else the id of the run."""
    try:
        versions = list_versions(workspace)
    except VigieError:
        return model_run  # MLflow does not answer
    names = [version.name for version in versions if version.run_id == model_run and CHAMPION in version.aliases]
    return f"{names[0]}@{CHAMPION}" if names else model_run


def _make_inbox(source: Source, workspace: Workspace) -> None:
    """Create the folder that is suggested, so that a watch can start before its first file; no other folder."""
    inbox = workspace.folder / INBOX_FOLDER
    if isinstance(source, FolderSource) and Path(source.path) == inbox:
        inbox.mkdir(exist_ok=True)


def _suggest_reading(model_run: str, template: Dataset, workspace: Workspace) -> dict[str, Any]:
    spec = load_model_spec(model_run, workspace)
    digest = spec.dataset if isinstance(spec, DataSpec) else ""
    source = digest
    with suppress(NotFoundError):  # the files may still be there
        source = workspace.datasets.load(digest).source or digest
    return pin_reading(template, find_files(digest, workspace) or find_files(source, workspace))


def _suggest_name(task: str, template: Dataset, workspace: Workspace) -> str:
    """Return a free name made of the task and the first file."""
    words = f"{task} {strip_extensions(template.files[0]) if template.files else ''}"
    letters = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:MAX_NAME_CHARS].strip("-")
    taken = {state.watch.name for state in workspace.watches.watches.list_states()}
    numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in numbered if name not in taken)


def _check_template(template: Dataset) -> Dataset:
    """Return the template of a model. Raises OptionError for data without dates or without a regular step."""
    if not template.has_dates or (template.step is None and not template.profile):
        raise OptionError(N_("The model was trained on data without dates at regular steps. A watch needs both."))
    return template


def _measure_step_minutes(template: Dataset) -> int:
    """Return the minutes from one row of an entity to the next, at least one."""
    step = DAY if template.profile or template.step is None else template.step
    return max(int(step / pd.Timedelta(minutes=1)), 1)


def _format_schedule(minutes: int) -> str:
    """Return the schedule of a step; a day for longer steps.

    Example:
        >>> _format_schedule(15), _format_schedule(60), _format_schedule(43_200)
        ('15 minutes', '1 hour', '1 day')
    """
    if minutes >= MINUTES_PER_DAY:
        return "1 day"
    return "1 hour" if minutes == 60 else f"{minutes} minutes"


def _describe_inputs(watch: Watch) -> dict[str, Any]:
    """Return what the event of a watch tells, without secrets."""
    return {
        "watch": watch.name,
        "task": watch.task,
        "model": watch.model,
        "source": describe_source(watch.source),
        "schedule": watch.schedule,
        "recipients": list(watch.recipients),
    }
