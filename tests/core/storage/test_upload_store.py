"""Uploaded files: stored once, whole or not at all, found by dataset, deleted when nothing needs them."""

import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.storage import uploads
from core.storage.uploads import MAX_AGE_S, MAX_DATASETS, UploadStore, merge_former_stores


def save(store: UploadStore, **contents: bytes) -> str:
    """Store files that were uploaded elsewhere and are deleted there."""
    return save_files(store, [(f"{name}.csv", content) for name, content in contents.items()])


def save_files(store: UploadStore, files: list[tuple[str, bytes]]) -> str:
    source_folder = store.folder.parent / "sources"
    source_folder.mkdir(parents=True)
    sources = [source_folder / str(number) for number in range(len(files))]
    for source, (_name, content) in zip(sources, files, strict=True):
        source.write_bytes(content)
    digest = store.save([(source, name) for source, (name, _content) in zip(sources, files, strict=True)])
    shutil.rmtree(source_folder)
    return digest


def read(store: UploadStore, digest: str) -> dict[str, bytes]:
    return {name: path.read_bytes() for path, name in store.find(digest)}


def age(store: UploadStore, digest: str, age_s: float) -> None:
    os.utime(store.folder / digest, (time.time() - age_s,) * 2)


names = st.text(min_size=1, max_size=20) | st.sampled_from(["../../etc/passwd", "..", ".hidden", "a/b.csv", "né.csv"])


@given(files=st.lists(st.tuples(names, st.binary(max_size=100)), min_size=1, max_size=3))
def test_uploads_are_found_under_any_name(
    files: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = UploadStore(tmp_path_factory.mktemp("data") / "uploads")
    digest = save_files(store, files)
    assert [(name, path.read_bytes()) for path, name in store.find(digest)] == files
    assert all(path.resolve().is_relative_to(store.folder) for path, _name in store.find(digest))


def test_uploads_of_equal_content_are_stored_once(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    first, again = save(store, a=b"1", b=b"2"), save(store, a=b"1", b=b"2")
    others = {save(store, a=b"12", b=b""), save(store, a=b"2", b=b"1"), save(store, b=b"1", a=b"2")}
    assert first == again
    assert len(others | {first}) == 4
    assert len(list(store.folder.iterdir())) == 4


def test_uploads_appear_only_when_complete(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    (tmp_path / "a").write_text("1")
    with pytest.raises(FileNotFoundError):
        store.save([(tmp_path / "a", "a"), (tmp_path / "b", "b")])
    assert not list(tmp_path.glob("uploads/*"))


def test_damaged_upload_is_none_and_is_stored_anew(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    digest = save(store, a=b"1")
    (store.folder / digest / "0").write_bytes(b"2")
    assert store.find(digest) == []
    assert save(store, a=b"1") == digest
    assert read(store, digest) == {"a.csv": b"1"}


@pytest.mark.parametrize("digest", ["", "..", "../datasets", "0" * 64, "/etc", ".datasets"])
def test_uploads_of_unknown_digest_are_none(digest: str, tmp_path: Path) -> None:
    assert UploadStore(tmp_path / "uploads").find(digest) == []


# ---- datasets -------------------------------------------------------------------------------------------------------


def test_uploads_are_found_by_the_datasets_that_were_read_from_them(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    digest = save(store, a=b"1")
    store.record_dataset("ab" * 32, digest)
    store.record_dataset("cd" * 32, "ab" * 32)  # read again from the files of the first
    assert read(store, "ab" * 32) == read(store, "cd" * 32) == {"a.csv": b"1"}
    assert store.find("ef" * 32) == []


def test_dataset_whose_files_cannot_be_recorded_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "uploads").write_text("a file where the folder should be")
    UploadStore(tmp_path / "uploads").record_dataset("ab" * 32, "cd" * 32)
    assert "are deleted in a day" in caplog.text


# ---- deletion -------------------------------------------------------------------------------------------------------


def test_uploads_are_deleted_after_a_day_or_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = UploadStore(tmp_path / "uploads")
    old, recent = save(store, a=b"1" * 100), save(store, b=b"2" * 1000)
    age(store, old, MAX_AGE_S + 60)
    age(store, recent, 60)
    new = save(store, c=b"3")
    assert [bool(store.find(digest)) for digest in (old, recent, new)] == [False, True, True]
    monkeypatch.setattr(uploads, "MAX_TOTAL_BYTES", 900)
    save(store, d=b"4")
    assert [bool(store.find(digest)) for digest in (recent, new)] == [False, True]


def test_uploads_of_recent_datasets_outlive_the_day(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    digests = [save(store, a=str(number).encode()) for number in range(MAX_DATASETS + 3)]
    for number, digest in enumerate(digests):
        store.record_dataset(f"{number:064x}", digest)
        os.utime(store.folder / uploads.SOURCES_FOLDER / f"{number:064x}", (number,) * 2)
        age(store, digest, MAX_AGE_S + 60)
    save(store, new=b"")
    assert [bool(store.find(f"{number:064x}")) for number in range(len(digests))] == [False] * 3 + [True] * MAX_DATASETS


def test_drafts_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    for name, age_s in ((f".{'a' * 64}-1", MAX_AGE_S + 60), (f".{'a' * 64}-2", 60)):
        (store.folder / name).mkdir(parents=True)
        age(store, name, age_s)
    save(store, a=b"1")
    assert [path.name for path in store.folder.glob(".a*")] == [f".{'a' * 64}-2"]


def test_uploads_of_an_earlier_version_are_found(tmp_path: Path) -> None:
    """There, waiting files were in a folder of their own, and those of a dataset under the digest of the dataset."""
    former, store = UploadStore(tmp_path / uploads.FORMER_FOLDER), UploadStore(tmp_path / "uploads")
    waiting, source = save(former, a=b"1"), save(store, b=b"2")
    dataset = "ab" * 32
    (store.folder / source).rename(store.folder / dataset)
    for _ in range(2):  # a step may be repeated after a crash
        merge_former_stores(tmp_path)
    age(store, dataset, MAX_AGE_S + 60)
    save(store, c=b"3")
    assert (read(store, waiting), read(store, dataset)) == ({"a.csv": b"1"}, {"b.csv": b"2"})
    assert not former.folder.exists()
