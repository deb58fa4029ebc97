"""Saved views: the filters and columns of a page under a name, in one JSON file per user and page."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from core.errors import NotFoundError, OptionError
from core.messages import N_
from core.storage.durable_files import move_aside, read_checked, write_checked

MAX_VIEWS = 50
MAX_NAME_LENGTH = 60
MAX_VALUE_LENGTH = 2000
LOCK_TIMEOUT_S = 5.0
READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class SavedView:
    """A view of a page; `state` holds query parameters of its address, as name → text."""

    name: str
    state: Mapping[str, str]


class SavedViews:
    """Saved views in `folder`; a view belongs to one user ("" where nobody signs in)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list_views(self, page: str, user: str) -> list[SavedView]:
        """Return the views of a user by name. A file that cannot be read counts as empty."""
        try:
            return _read_views(self._get_path(page, user))
        except READ_ERRORS:
            return []

    def list_damaged(self) -> list[str]:
        """Return the paths of the files that hold no views."""
        return [str(path) for path in self.folder.glob("*.json") if not _has_views(path)]

    def save(self, page: str, user: str, view: SavedView) -> SavedView:
        """Save a view, and replace one of the same name. Return it with its name as stored.

        Raises OptionError for a name that is empty or too long, and for one view too many.
        """
        clean_view = SavedView(
            _clean_name(view.name), {name: value[:MAX_VALUE_LENGTH] for name, value in view.state.items() if value}
        )
        with self._lock(page, user):
            others = [other for other in self.list_views(page, user) if other.name != clean_view.name]
            if len(others) >= MAX_VIEWS:
                raise OptionError(N_("You have {most} saved views of this page. Delete one of them."), most=MAX_VIEWS)
            self._write(page, user, [*others, clean_view])
        return clean_view

    def rename(self, page: str, user: str, name: str, new_name: str) -> None:
        """Rename a view. Raises NotFoundError for an unknown one, and OptionError for a name that is taken."""
        clean_name = _clean_name(new_name)
        with self._lock(page, user):
            views = {view.name: view for view in self.list_views(page, user)}
            _check_view(views, name)
            if clean_name != name and clean_name in views:
                raise OptionError(N_("You have a view with the name {name} already."), name=clean_name)
            views[name] = SavedView(clean_name, views[name].state)
            self._write(page, user, views.values())

    def delete(self, page: str, user: str, name: str) -> None:
        """Delete a view. Raises NotFoundError for an unknown one."""
        with self._lock(page, user):
            views = {view.name: view for view in self.list_views(page, user)}
            _check_view(views, name)
            self._write(page, user, [view for view in views.values() if view.name != name])

    def _lock(self, page: str, user: str) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._get_path(page, user).with_suffix(".lock"), timeout=LOCK_TIMEOUT_S)

    def _write(self, page: str, user: str, views: Iterable[SavedView]) -> None:
        """Write the views; a damaged file, which would be lost, is moved aside first."""
        path = self._get_path(page, user)
        if path.exists() and not _has_views(path):
            move_aside(path)
        write_checked(path, json.dumps([asdict(view) for view in views], ensure_ascii=False))

    def _get_path(self, page: str, user: str) -> Path:
        """Return the file of a user; a digest keeps any user name out of the file system."""
        return self.folder / f"{page}-{hashlib.sha256(user.encode()).hexdigest()}.json"


def _read_views(path: Path) -> list[SavedView]:
    """Return the views in a file by name. Raises one of READ_ERRORS."""
    views = [
        SavedView(str(view["name"]), {str(name): str(value) for name, value in view["state"].items()})
        for view in json.loads(read_checked(path))
    ]
    return sorted(views, key=lambda view: view.name.casefold())


def _has_views(path: Path) -> bool:
    try:
        _read_views(path)
    except READ_ERRORS:
        return False
    return True


def _check_view(views: Mapping[str, SavedView], name: str) -> None:
    if name not in views:
        raise NotFoundError(N_("The view {name} does not exist."), name=name[:MAX_NAME_LENGTH])


def _clean_name(name: str) -> str:
    text = " ".join(name.split())
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        raise OptionError(
            N_("The name of a view has 1 to {most} characters, and this one has {count}."),
            most=MAX_NAME_LENGTH,
            count=len(text),
        )
    return text
