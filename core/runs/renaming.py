"""Names that people give to runs."""

from core.actor import Actor
from core.errors import AccessDeniedError, OptionError
from core.messages import N_
from core.runs.comparison import load_records
from core.runs.tracked_run import record_event
from core.workspace import Workspace
from mlflow_utils.run_record import Record

MAX_NAME_LENGTH = 120


def may_rename(record: Record, user: str, manages_all: bool) -> bool:
    """Tell whether a user may rename a run: its owner, and who manages the runs of all."""
    return manages_all or record.tags.get("user") == user


def rename_run(
    run_id: str, name: str, *, workspace: Workspace, actor: Actor, manages_all: bool = False
) -> tuple[Record, bool]:
    """Give a run a new name, here and in MLflow. Return its record, and False where MLflow gets the name later.

    manages_all  True for a user who manages the runs of all: an operator, or the only user of a machine

    Raises OptionError for a name that is empty or too long, AccessDeniedError for the run of another user, and the
    errors of `load_records`.
    """
    clean_name = clean_run_name(name)
    [record] = load_records([run_id], workspace)
    if not may_rename(record, actor.user, manages_all):
        raise AccessDeniedError(N_("Only the user who started a run, or an operator, can rename it."))
    if clean_name == record.name:
        return record, True
    with record_event("run_rename", actor, workspace, run=record.id, name=clean_name):
        is_delivered = workspace.tracking.rename_run(record, clean_name)
    record.name = clean_name
    return record, is_delivered


def clean_run_name(name: str) -> str:
    r"""Return a name in the form that is stored: one line, without surrounding or double spaces.

    Raises OptionError for a name that is empty or too long.

    Example:
        >>> clean_run_name("  gas, winter\n2024 ")
        'gas, winter 2024'
    """
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise OptionError(
            N_("The name of a run has 1 to {most} characters, and this one has {count}."),
            most=MAX_NAME_LENGTH,
            count=len(text),
        )
    return text
