"""Damaged files in the stores: never shown as data, named, skipped in lists, and repaired by the same source."""

import ast
import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.covariates import CovariateTable
from core.data.dataset import Dataset
from core.data.read_options import DETECT_ALL, ReadOptions
from core.data.samples import load_sample
from core.errors import NotFoundError
from core.settings import ROOT
from core.storage.covariates import CovariateStore
from core.storage.datasets import DatasetStore
from core.storage.digest_folders import DigestFolders
from core.storage.durable_files import CHECKSUMS_FILE, find_damage, seal_folder, write_folder
from core.storage.image_sets import ImageSetStore
from core.storage.notes import Note, NoteStore
from core.storage.read_choices import ReadChoices
from core.storage.saved_views import SavedView, SavedViews
from core.storage.uploads import UploadStore
from tests.core.storage.test_image_sets import make_images
from tests.support.damage import KINDS, damage_file, damages

SAMPLE = load_sample("kpi_matrix")


@dataclass(frozen=True)
class StoreCase:
    """A store of digests and a content for it."""

    store: type[DigestFolders[Any]]
    save: Callable[[Any], str]


CASES = {
    "datasets": StoreCase(DatasetStore, lambda store: store.save(SAMPLE, "ada")),
    "images": StoreCase(ImageSetStore, lambda store: store.save(make_images(), "ada")),
}


@pytest.mark.parametrize("name", CASES)
@given(draw=st.data(), damage=damages)
def test_damaged_content_is_named_skipped_and_repaired(
    name: str, draw: st.DataObject, damage: tuple[str, float]
) -> None:
    with TemporaryDirectory() as folder:
        case = CASES[name]
        store: Any = case.store(Path(folder))
        digest = case.save(store)
        files = sorted(path.name for path in (store.folder / digest).iterdir())
        file = draw.draw(st.sampled_from(files))
        damage_file(store.folder / digest / file, *damage)
        if file == CHECKSUMS_FILE and damage[0] == "deleted":  # as an earlier version left it
            assert store.load(digest).digest == digest
        else:
            with pytest.raises(NotFoundError, match="damaged"):
                store.load(digest)
        assert case.save(store) == digest
        assert store.load(digest).digest == digest
        assert [info.digest for info in store.list_recent(user="ada")] == [digest]
        assert store.list_damaged() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "file"), [("datasets", "dataset.json"), ("images", "image_set.json")])
def test_list_leaves_out_the_damaged_one_alone(name: str, file: str, kind: str, tmp_path: Path) -> None:
    store: Any = CASES[name].store(tmp_path)
    digest = CASES[name].save(store)
    intact = store.folder / ("e" * 64)
    shutil.copytree(store.folder / digest, intact)
    damage_file(store.folder / digest / file, kind)
    assert [info.digest for info in store.list_recent()] == [intact.name]
    assert store.list_damaged() == [str(store.folder / digest)]
    assert store.find_info(digest) is None


@pytest.mark.parametrize("file", ["rows.parquet", "dataset.json"])
@pytest.mark.parametrize("kind", ["cut", "emptied", "replaced", "deleted"])
def test_damaged_dataset_of_earlier_version_is_named_and_repaired(file: str, kind: str, tmp_path: Path) -> None:
    store = DatasetStore(tmp_path)
    digest = store.save(SAMPLE)
    (tmp_path / digest / CHECKSUMS_FILE).unlink()
    assert store.load(digest).digest == digest
    damage_file(tmp_path / digest / file, kind)
    with pytest.raises(NotFoundError, match="damaged"):
        store.load(digest)
    store.save(SAMPLE)
    assert store.load(digest).digest == digest


def test_dataset_that_changes_after_its_check_is_checked_again(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path)
    digest = store.save(SAMPLE)
    assert store.load(digest).digest == digest
    damage_file(tmp_path / digest / "rows.parquet", "flipped")
    with pytest.raises(NotFoundError, match="damaged"):
        store.load(digest)
    with pytest.raises(NotFoundError, match="damaged"):
        store.load_outline(digest)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_covariates_are_repaired(kind: str, tmp_path: Path, holidays: CovariateTable) -> None:
    store = CovariateStore(tmp_path)
    digest = store.save([holidays])
    damage_file(tmp_path / digest / "0.parquet", kind)
    with pytest.raises(NotFoundError, match="damaged"):
        store.load(digest)
    assert store.list_damaged() in ([], [str(tmp_path / digest)])  # a large file is only measured for the list
    assert store.save([holidays]) == digest
    assert [table.digest for table in store.load(digest)] == [holidays.digest]


@pytest.fixture
def holidays() -> CovariateTable:
    index = pd.MultiIndex.from_product([["France"], pd.date_range("2026-01-01", periods=400)], names=["place", "day"])
    return CovariateTable("holidays", pd.DataFrame({"holiday": 1.0}, index=index), "holidays.csv", ())


@given(damage=damages)
def test_damaged_upload_is_not_read_again(damage: tuple[str, float]) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder) / "source.csv"
        source.write_text("time,value\n2026-01-01,1\n")
        store = UploadStore(Path(folder) / "uploads")
        digest = store.save([(source, "gas.csv")])
        source.unlink()  # shares its bytes with the stored file
        damage_file(store.folder / digest / "0", *damage)
        assert store.find(digest) == []


def make_note(text: str) -> Note:
    moment = datetime(2026, 1, 1)
    return Note(dataset="a" * 64, start=moment, end=moment, author="ada", text=text)


@given(damage=damages)
def test_damaged_note_is_named_and_others_are_read(damage: tuple[str, float]) -> None:
    with TemporaryDirectory() as folder:
        store = NoteStore(Path(folder))
        note, other = make_note("Frost, and a strike"), make_note("Intact")
        store.save(note)
        store.save(other)
        path = store.folder / note.dataset / f"{note.id}.json"
        before = path.read_bytes()
        damage_file(path, *damage)
        is_whole = path.exists() and path.read_bytes().startswith(before.partition(b"\n")[0])
        if is_whole or not path.exists():  # cut behind the note, or deleted: nothing says that there was one
            return
        assert store.read_notes(note.dataset) == [other]
        assert store.list_damaged() == [str(path)]


@given(damage=damages)
def test_damaged_views_are_moved_aside_and_never_overwritten(damage: tuple[str, float]) -> None:
    with TemporaryDirectory() as folder:
        views = SavedViews(Path(folder))
        views.save("tracking", "ada", SavedView("winter", {"months": "12,1,2"}))
        [path] = views.folder.glob("*.json")
        damage_file(path, *damage)
        damaged = path.read_bytes() if path.exists() else b""
        is_readable = bool(views.list_views("tracking", "ada"))
        views.save("tracking", "ada", SavedView("summer", {"months": "7"}))
        names = [view.name for view in views.list_views("tracking", "ada")]
        assert names == (["summer", "winter"] if is_readable else ["summer"])
        assert views.list_damaged() == []
        if path.exists() and damage[0] != "deleted" and not is_readable:
            [aside] = views.folder.glob("*.moved-*")
            assert aside.read_bytes() == damaged


@given(damage=damages)
def test_damaged_choice_about_reading_is_forgotten(damage: tuple[str, float]) -> None:
    with TemporaryDirectory() as folder:
        choices, chosen = ReadChoices(Path(folder)), ReadOptions(layout="long")
        choices.save(["a", "b"], chosen)
        [path] = choices.folder.glob("*.json")
        damage_file(path, *damage)
        assert choices.find(["a", "b"]) in (DETECT_ALL, chosen)
        choices.save(["a", "b"], chosen)
        assert choices.find(["a", "b"]) == chosen


# ---- folders that are written once ----------------------------------------------------------------------------------


def test_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "content"
    write_folder(folder, lambda draft: (draft / "a").write_text("1"))

    def fail_half_way(draft: Path) -> None:
        (draft / "a").write_text("2")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_folder(folder, fail_half_way)
    assert (folder / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["content"]
    write_folder(folder, lambda draft: (draft / "a").write_text("3"))
    assert (folder / "a").read_text() == "3"
    assert [path.name for path in tmp_path.iterdir()] == ["content"]


def test_checksums_name_files_of_subfolders(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "é.json").write_text("1")
    (tmp_path / "recipe.json").write_text("2")
    seal_folder(tmp_path)
    assert set(json.loads((tmp_path / CHECKSUMS_FILE).read_text())) == {"recipe.json", "result/é.json"}
    damage_file(tmp_path / "result" / "é.json", "flipped")
    assert find_damage(tmp_path) == find_damage(tmp_path, "result") == "result/é.json"
    assert find_damage(tmp_path, "recipe.json") == find_damage(tmp_path, "res") == ""


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"a": 1}', '{"a": {"bytes": "x", "sha256": 1}}', "\x00"])
def test_damaged_list_of_checksums_is_damage(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / CHECKSUMS_FILE).write_text(text)
    assert find_damage(tmp_path) == CHECKSUMS_FILE


def test_dataset_is_repaired_by_many_at_once(tmp_path: Path, sample: Dataset) -> None:
    store, failures = DatasetStore(tmp_path), []
    digest = store.save(sample)
    damage_file(tmp_path / digest / "rows.parquet", "cut")

    def save() -> None:
        try:
            DatasetStore(tmp_path).save(sample)
        except Exception as error:  # noqa: BLE001 told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=save) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert store.load(digest).digest == digest
    assert [path.name for path in tmp_path.iterdir()] == [digest]


def test_only_durable_files_replaces_files_of_stores() -> None:
    """A second way to write atomically would be one that forgets to flush to disk."""
    calls = (
        f"{path.name}:{node.lineno}"
        for path in sorted((ROOT / "core" / "storage").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and path.name != "durable_files.py"
        if node.func.attr == "rename" or (node.func.attr in ("replace", "move") and len(node.args) == 1)
    )
    assert not list(calls)
