"""Saved views of pages: one list per user and page."""

import threading
from pathlib import Path

import pytest

from core.errors import NotFoundError, OptionError
from core.storage.saved_views import MAX_NAME_LENGTH, MAX_VIEWS, SavedView, SavedViews


@pytest.fixture
def views(tmp_path: Path) -> SavedViews:
    return SavedViews(tmp_path / "views")


def list_names(views: SavedViews, user: str = "ada", page: str = "tracking") -> list[str]:
    return [view.name for view in views.list_views(page, user)]


def test_views_belong_to_one_user_and_page(views: SavedViews) -> None:
    views.save("tracking", "ada", SavedView(" gas  runs ", {"text": "gas", "user": ""}))
    assert views.list_views("tracking", "ada") == [SavedView("gas runs", {"text": "gas"})]
    assert list_names(views, "bob") == list_names(views, "") == list_names(views, page="monitoring") == []


def test_view_of_same_name_is_replaced(views: SavedViews) -> None:
    for text in ("gas", "water"):
        views.save("tracking", "ada", SavedView("mine", {"text": text}))
    assert views.list_views("tracking", "ada") == [SavedView("mine", {"text": "water"})]


def test_views_are_renamed_and_deleted(views: SavedViews) -> None:
    for name in ("b", "a"):
        views.save("tracking", "ada", SavedView(name, {"text": name}))
    with pytest.raises(OptionError, match="with the name a already"):
        views.rename("tracking", "ada", "b", "a")
    views.rename("tracking", "ada", "b", " c ")
    assert views.list_views("tracking", "ada") == [SavedView("a", {"text": "a"}), SavedView("c", {"text": "b"})]
    views.delete("tracking", "ada", "a")
    assert list_names(views) == ["c"]
    for work in (lambda: views.delete("tracking", "ada", "a"), lambda: views.rename("tracking", "ada", "a", "d")):
        with pytest.raises(NotFoundError, match="The view a does not exist"):
            work()


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME_LENGTH + 1)])
def test_view_name_has_limits(views: SavedViews, name: str) -> None:
    with pytest.raises(OptionError, match="1 to 60 characters"):
        views.save("tracking", "ada", SavedView(name, {}))
    assert list_names(views) == []


def test_number_of_views_has_a_limit(views: SavedViews) -> None:
    for number in range(MAX_VIEWS):
        views.save("tracking", "ada", SavedView(str(number), {}))
    with pytest.raises(OptionError, match="Delete one of them"):
        views.save("tracking", "ada", SavedView("one more", {}))
    views.save("tracking", "ada", SavedView("7", {"text": "again"}))
    assert len(list_names(views)) == MAX_VIEWS


def test_views_saved_at_once_are_all_kept(views: SavedViews) -> None:
    threads = [
        threading.Thread(target=views.save, args=("tracking", "ada", SavedView(f"view {number}", {})))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_names(views)) == 8


@pytest.mark.parametrize("content", ["{", "[1]", '[{"name": "a"}]', '{"name": 1}', "null", "\x00"])
def test_damaged_file_of_views_counts_as_empty(views: SavedViews, content: str) -> None:
    user = "../../ada"
    views.save("tracking", user, SavedView("a", {}))
    [path] = views.folder.glob("*.json")
    path.write_text(content)
    assert list_names(views, user) == []
    views.save("tracking", user, SavedView("b", {}))
    assert list_names(views, user) == ["b"]
