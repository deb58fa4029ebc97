"""Uploaded files that wait to be read: stored once, whole or not at all, deleted after a day."""

import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.storage import incoming_files
from core.storage.incoming_files import MAX_AGE_S, IncomingFiles


def save(store: IncomingFiles, **contents: bytes) -> str:
    return store.save([(f"{name}.csv", io.BytesIO(content)) for name, content in contents.items()])


def read(store: IncomingFiles, digest: str) -> dict[str, bytes]:
    return {name: path.read_bytes() for path, name in store.find(digest)}


names = st.text(min_size=1, max_size=20) | st.sampled_from(["../../etc/passwd", "..", ".hidden", "a/b.csv", "né.csv"])


@given(files=st.lists(st.tuples(names, st.binary(max_size=100)), min_size=1, max_size=3))
def test_incoming_files_are_found_under_any_name(
    files: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = IncomingFiles(tmp_path_factory.getbasetemp() / "incoming")
    digest = store.save([(name, io.BytesIO(content)) for name, content in files])
    assert [(name, path.read_bytes()) for path, name in store.find(digest)] == files
    assert all(path.resolve().is_relative_to(store.folder) for path, _name in store.find(digest))


def test_incoming_files_of_equal_content_are_stored_once(tmp_path: Path) -> None:
    store = IncomingFiles(tmp_path / "incoming")
    first, again = save(store, a=b"1", b=b"2"), save(store, a=b"1", b=b"2")
    others = {save(store, a=b"12", b=b""), save(store, a=b"2", b=b"1"), save(store, b=b"1", a=b"2")}
    assert first == again
    assert len(others | {first}) == 4
    assert len(list(store.folder.iterdir())) == 4


def test_incoming_file_is_read_from_its_start(tmp_path: Path) -> None:
    store = IncomingFiles(tmp_path / "incoming")
    file = io.BytesIO(b"abc" * incoming_files.CHUNK_BYTES)
    file.read(5)
    assert read(store, store.save([("a", file)])) == {"a": file.getvalue()}


def test_incoming_files_appear_only_when_complete(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the connection is lost")

    store = IncomingFiles(tmp_path / "incoming")
    with pytest.raises(OSError, match="lost"):
        store.save([("a", io.BytesIO(b"1")), ("b", Broken())])
    assert not list(store.folder.iterdir())


def test_incoming_files_are_deleted_after_a_day_or_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = IncomingFiles(tmp_path / "incoming")
    old, recent = save(store, a=b"1" * 100), save(store, b=b"2" * 100)
    for digest, age_s in ((old, MAX_AGE_S + 60), (recent, 60)):
        os.utime(store.folder / digest, (time.time() - age_s,) * 2)
    new = save(store, c=b"3")
    assert [bool(store.find(digest)) for digest in (old, recent, new)] == [False, True, True]
    monkeypatch.setattr(incoming_files, "MAX_TOTAL_BYTES", 60)
    save(store, d=b"4")
    assert [bool(store.find(digest)) for digest in (recent, new)] == [False, True]


@pytest.mark.parametrize("digest", ["", "..", "../datasets", "0" * 64, "/etc"])
def test_incoming_files_of_unknown_digest_are_none(digest: str, tmp_path: Path) -> None:
    assert IncomingFiles(tmp_path / "incoming").find(digest) == []


@pytest.mark.parametrize(
    "damage", [lambda folder: (folder / "0").unlink(), lambda folder: (folder / "names.json").write_text("[")]
)
def test_damaged_incoming_files_are_none(damage: object, tmp_path: Path) -> None:
    store = IncomingFiles(tmp_path / "incoming")
    digest = save(store, a=b"1")
    damage(store.folder / digest)  # type: ignore[operator]
    assert store.find(digest) == []
