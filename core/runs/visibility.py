"""Runs that the user of a workspace may read. Every module that reads runs asks here."""

from collections.abc import Iterable

from core.workspace import Workspace
from mlflow_utils.run_record import Record


def may_read(record: Record, workspace: Workspace) -> bool:
    """Tell whether the user for whom `workspace` reads runs may read this one."""
    return workspace.viewer is None or workspace.viewer.may_read(record.tags.get("user", ""))


def select_readable(records: Iterable[Record], workspace: Workspace) -> list[Record]:
    """Return the runs that the user for whom `workspace` reads runs may read."""
    return [record for record in records if may_read(record, workspace)]


def get_owner_filter(workspace: Workspace) -> str | None:
    """Return the only user whose runs a search may find; None where it may find those of all."""
    return None if workspace.viewer is None or workspace.viewer.sees_all else workspace.viewer.user
