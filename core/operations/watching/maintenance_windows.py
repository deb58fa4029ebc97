"""Maintenance windows, as operators add and remove them; each change is recorded as one event."""

from core.actor import Actor
from core.runs.tracked_run import record_event
from core.watches.maintenance import MaintenanceWindow
from core.workspace import Workspace


def list_windows(workspace: Workspace) -> list[MaintenanceWindow]:
    """Return all maintenance windows, oldest first."""
    return workspace.watches.maintenance.list_windows()


def add_window(window: MaintenanceWindow, workspace: Workspace, actor: Actor) -> MaintenanceWindow:
    """Store a maintenance window of the actor, and return it."""
    owned = window.model_copy(update={"author": actor.user})
    with record_event("maintenance_add", actor, workspace, window=owned.id, watch=owned.watch):
        workspace.watches.maintenance.save_window(owned)
    return owned


def remove_window(window_id: str, workspace: Workspace, actor: Actor) -> None:
    """Delete a maintenance window. Raises NotFoundError for an unknown id."""
    with record_event("maintenance_remove", actor, workspace, window=window_id):
        workspace.watches.maintenance.delete_window(window_id)
