"""Renderings of runs: made once for all sessions and processes, bounded in bytes, made again where damaged."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.storage.renderings import RenderingStore

RUN = "0" * 32


class Maker:
    """Maker of a rendering that counts its calls."""

    def __init__(self, body: bytes = b"figure") -> None:
        self.body, self.calls = body, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.body


def open_store(folder: Path, version: str = "1", **limits: int) -> RenderingStore:
    return RenderingStore(folder / "renderings", version, **limits)


def test_rendering_is_made_once_for_all_sessions_and_processes(tmp_path: Path) -> None:
    store, make = open_store(tmp_path), Maker()
    bodies = [store.get_or_make(RUN, "timeline", make) for _ in range(3)]
    bodies.append(open_store(tmp_path).get_or_make(RUN, "timeline", make))  # another process, or after a restart
    assert bodies == [b"figure"] * 4
    assert make.calls == 1


def test_rendering_belongs_to_its_run_key_and_version(tmp_path: Path) -> None:
    open_store(tmp_path).get_or_make(RUN, "timeline", Maker(b"first"))
    for version, run_id, key in (("2", RUN, "timeline"), ("1", "1" * 32, "timeline"), ("1", RUN, "timeline 2")):
        assert open_store(tmp_path, version).get_or_make(run_id, key, Maker(b"second")) == b"second"


def test_sessions_that_ask_at_once_wait_for_one_rendering(tmp_path: Path) -> None:
    store, barrier, make = open_store(tmp_path), threading.Barrier(8), Maker()

    def ask(_: int) -> bytes:
        barrier.wait()
        return store.get_or_make(RUN, "timeline", make)

    with ThreadPoolExecutor(8) as sessions:
        assert set(sessions.map(ask, range(8))) == {b"figure"}
    assert make.calls == 1


def test_error_of_a_rendering_reaches_the_page_and_is_not_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def fail() -> bytes:
        raise ValueError("no rows")

    for _ in range(2):
        with pytest.raises(ValueError, match="no rows"):
            store.get_or_make(RUN, "timeline", fail)
    assert store.get_or_make(RUN, "timeline", Maker()) == b"figure"


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3000)), max_size=60))
def test_renderings_stay_below_their_limits(requests: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as name:
        store = open_store(Path(name), max_memory_bytes=4000, max_disk_bytes=8000)
        for key, size in requests:
            body = random.Random(key).randbytes(size)
            assert store.get_or_make(RUN, f"{key} {size}", Maker(body)) == body
            assert store.memory_bytes <= 4000
            assert sum(path.stat().st_size for path in store.folder.iterdir()) <= 8000 * 17 / 16


@given(st.data())
def test_damaged_file_is_made_again(data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        body = b"a figure with its values " * 20
        open_store(Path(name)).get_or_make(RUN, "timeline", Maker(body))
        [path] = (Path(name) / "renderings").iterdir()
        content = bytearray(path.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content = content[:position]
        else:
            content[position] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
        for _ in range(2):
            assert open_store(Path(name)).get_or_make(RUN, "timeline", Maker(body)) == body


def test_rendering_is_shown_where_the_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "renderings").write_text("a file where the folder would be")
    store, make = open_store(tmp_path), Maker()
    assert [store.get_or_make(RUN, "timeline", make) for _ in range(2)] == [b"figure"] * 2
    assert make.calls == 1


def test_longest_unused_renderings_go_first(tmp_path: Path) -> None:
    store = open_store(tmp_path, max_memory_bytes=0, max_disk_bytes=2500)
    bodies = {number: random.Random(number).randbytes(1000) for number in range(4)}
    for number in (0, 1, 0, 2, 0, 3):
        store.get_or_make(RUN, str(number), Maker(bodies[number]))
    kept, dropped = Maker(bodies[0]), Maker(bodies[1])
    store.get_or_make(RUN, "0", kept)
    store.get_or_make(RUN, "1", dropped)
    assert (kept.calls, dropped.calls) == (0, 1)
