"""New parts of files: whatever a writer does between two ticks, no row is lost, and none is torn."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.ingest.loading import load
from core.errors import UnreadableFileError
from core.storage.sources import file_records, new_parts
from core.storage.sources.file_records import FileChangedError, FileState, ListedFile
from core.storage.sources.new_parts import FORMAT_WAIT_S, LAST_ROW_WAIT_S, take_new_parts

HEADER = ["time", "place", "MW"]
MAX_FILE_BYTES = 10_000
WINDOW_BYTES = 64


@dataclass
class WrittenFiles:
    """Files in memory, as a writer leaves them, and what ticks took of them."""

    contents: dict[str, bytes] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    state: Any = field(default_factory=dict)
    parts: list[tuple[str, bytes]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def write(self, name: str, content: bytes) -> None:
        if self.contents.get(name) != content:
            self.changes += 1
            self.contents[name], self.stamps[name] = content, self.changes

    def rename(self, name: str, target: str) -> None:
        self.contents[target], self.stamps[target] = self.contents.pop(name), self.stamps.pop(name)

    def tick(self, age_s: float = 0.0, max_bytes: int = 100_000, window_bytes: int = 0, is_sure: bool = True) -> int:
        """Take what is new; return the number of calls until nothing more was waiting."""
        self.waits.clear()
        for number in range(1, 1000):
            with TemporaryDirectory() as folder:
                portion = take_new_parts(
                    list(self.list_files(age_s, is_sure)),
                    FileState.parse(self.state),
                    Path(folder),
                    max_bytes,
                    MAX_FILE_BYTES,
                    window_bytes,
                )
                self.parts += [(name, path.read_bytes()) for path, name in portion.files]
            self.state = portion.state
            self.waits += [str(note) for note in portion.notes]
            if not portion.has_more:
                return number
        raise AssertionError("there is always more")

    def list_files(self, age_s: float, is_sure: bool) -> Iterator[ListedFile]:
        for name, content in self.contents.items():
            stamp = self.stamps[name]
            yield ListedFile(name, len(content), str(stamp) if is_sure else "", stamp, age_s, self.open(name, content))

    def open(self, name: str, content: bytes) -> Any:
        def read(start: int, stop: int) -> Iterator[bytes]:
            for first in range(start, stop, 7):
                yield content[first : min(first + 7, stop)]

        return read

    def take_text(self) -> list[bytes]:
        """Return the parts since the last call."""
        texts = [text for _, text in self.parts]
        self.parts.clear()
        return texts


def format_rows(rows: Sequence[Sequence[str]], line_end: str = "\n") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=line_end).writerows(rows)
    return buffer.getvalue().encode()


def parse_rows(text: bytes) -> list[tuple[str, ...]]:
    """Return the rows of a part below its header."""
    rows = [tuple(row) for row in csv.reader(io.StringIO(text.decode(), newline="")) if row]
    assert rows[0] == tuple(HEADER)
    return rows[1:]


places = st.text(st.sampled_from('aé😀 ,"\n;'), min_size=1, max_size=6).map(lambda text: f"n{text}n")


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Return rows with distinct times; some cells have quotes, commas, line breaks and letters of several bytes."""
    count = draw(st.integers(2, 12))
    return [
        [f"2024-01-01 {number:02}:00", draw(places), str(draw(st.integers(100, 99_999)) / 100)]
        for number in range(count)
    ]


class Steps:
    """Choice of what a writer does between two ticks."""

    steps = st.lists(
        st.tuples(
            st.sampled_from(["write", "write", "write", "rotate", "correct", "copy", "repeat"]),
            st.floats(0, 1),
            st.integers(60, 400),
        ),
        max_size=8,
    )


@given(tables(), st.sampled_from(["\n", "\r\n"]), st.booleans(), Steps.steps, st.booleans(), st.sampled_from([0, 64]))
def test_no_row_is_lost_or_torn(
    rows: list[list[str]],
    line_end: str,
    has_last_end: bool,
    steps: list[tuple[str, float, int]],
    is_sure: bool,
    window_bytes: int,
) -> None:
    """Cut anywhere, renamed, copied, corrected: the rows of the parts are the rows that were ever written."""
    files, rows = WrittenFiles(), [list(row) for row in rows]
    header, written, first = format_rows([HEADER], line_end), set(map(tuple, rows)), 0
    for kind, share, max_bytes in steps:
        text = header + format_rows(rows[first:], line_end)
        if kind == "write":
            end = max(int(share * len(text)), len(files.contents.get("log", b"")))
            files.write("log", text[:end])
        elif kind == "rotate" and "log" in files.contents:
            files.write("log", text)
            files.rename("log", f"log.{files.changes}")
            rows, first = [*rows, ["2024-01-02", f"{files.changes}", "1"]], len(rows)
            written.add(tuple(rows[-1]))
        elif kind == "correct":
            rows[first][2] = str(files.changes + 0.5)
            written.add(tuple(rows[first]))
            files.write("log", header + format_rows(rows[first:], line_end))
        elif kind == "copy" and "log" in files.contents:
            files.write("copy", files.contents["log"])
        if window_bytes and kind == "correct":  # of a bucket, a correction between two windows is a known limit
            continue
        files.tick(0.0, max_bytes, window_bytes, is_sure)
    final = header + format_rows(rows[first:], line_end)
    files.write("log", final if has_last_end else final.removesuffix(line_end.encode()))
    files.contents.pop("copy", None)  # it may be cut within a row, which counts as its last one after an hour
    files.tick(math.inf, window_bytes=window_bytes)
    found = {row for text in files.take_text() for row in parse_rows(text)}
    assert set(map(tuple, rows)) <= found <= written
    assert files.tick(math.inf, window_bytes=window_bytes) == 1
    assert not files.parts


@given(tables(), st.sampled_from(["\n", "\r\n"]), st.lists(st.floats(0, 1), max_size=8), st.integers(60, 400))
def test_rows_of_growing_file_come_once(
    rows: list[list[str]], line_end: str, shares: list[float], max_bytes: int
) -> None:
    files, text = WrittenFiles(), format_rows([HEADER, *rows], line_end)
    for share in [*sorted(shares), 1.0]:
        files.write("log", text[: int(share * len(text))])
        files.tick(0.0, max_bytes)
    parts = files.take_text()
    assert [row for part in parts for row in parse_rows(part)] == list(map(tuple, rows))


@given(st.lists(st.integers(0, 99), min_size=1, max_size=8), st.lists(st.floats(0, 1), max_size=8))
def test_records_of_growing_json_come_once(values: list[int], shares: list[float]) -> None:
    lines = [f'{{"time": "2024-01-01 {number:02}:00", "name": "a\\"b", "MW": {v}}}' for number, v in enumerate(values)]
    files, text = WrittenFiles(), "\n".join(lines).encode()
    for share in [*sorted(shares), 1.0]:
        files.write("log", text[: int(share * len(text))])
        files.tick(0.0)
    found = [line for part in files.take_text() for line in part.decode().split("\n") if line]
    assert found == lines
    assert not files.waits


def test_part_is_read_as_the_whole_is(tmp_path: Path) -> None:
    """Lines above the header, units below it: the reader of files finds the same columns in a part."""
    above = "Station;Nord\nMesures horaires\n\ndate;Puissance;Vent\n;MW;m/s\n"
    rows = [f"{day:02}/01/2024;{day},5;{day}\n" for day in range(13, 29)]
    files = WrittenFiles()
    frames = []
    for count in (2, 3, 16):
        files.write("log", (above + "".join(rows[:count])).encode())
        files.tick()
    for number, text in enumerate(files.take_text()):
        (tmp_path / str(number)).write_bytes(text)
        frames.append(load([(tmp_path / str(number), "log")]))
    (tmp_path / "whole").write_text(above + "".join(rows))
    whole = load([(tmp_path / "whole", "log")])
    assert [len(frame) for frame in frames] == [2, 1, 13]
    assert all(list(frame.frame.columns) == list(whole.frame.columns) for frame in frames)
    assert [
        value for frame in frames for value in frame.frame.to_numpy().ravel()
    ] == whole.frame.to_numpy().ravel().tolist()


def test_header_below_other_lines_stays_in_long_file() -> None:
    """Once a hundred lines are read, the header is not looked for again."""
    above, header = b"Station;Nord\nMesures horaires\n\n", b"date;Puissance;Vent\n;MW;m/s\n"
    rows = [b"2024-01-01 %02d:%02d;5;7\n" % divmod(minute, 60) for minute in range(200)]
    files = WrittenFiles()
    for count in (20, 150, 151, 152):
        files.write("log", above + header + b"".join(rows[:count]))
        files.tick()
    parts = files.take_text()
    assert parts[0].startswith(above)
    assert parts[1:] == [header + b"".join(new) for new in (rows[20:150], rows[150:151], rows[151:152])]


def test_last_row_without_end_waits_and_comes_alone() -> None:
    files = WrittenFiles()
    files.write("log", b"time,MW\n2024-01-01,5\n2024-01-02,6")
    files.tick(LAST_ROW_WAIT_S - 1)
    assert files.take_text() == [b"time,MW\n2024-01-01,5\n"]
    assert files.waits == ["The last row of log is not complete. It is read once it is."]
    files.tick(LAST_ROW_WAIT_S)
    assert files.take_text() == [b"time,MW\n2024-01-02,6"]
    files.tick(LAST_ROW_WAIT_S)
    assert not files.parts
    files.write("log", b"time,MW\n2024-01-01,5\n2024-01-02,61\n2024-01-03,7\n")
    files.tick()
    assert files.take_text() == [b"time,MW\n2024-01-02,61\n2024-01-03,7\n"]


def test_torn_last_row_never_comes() -> None:
    """A writer that was killed inside a row must not stop the watch with a row of too few cells."""
    files = WrittenFiles()
    files.write("log", b"time,place,MW\n2024-01-01,a,5\n2024-01-02,a")
    files.tick(math.inf)
    assert files.take_text() == [b"time,place,MW\n2024-01-01,a,5\n"]
    assert files.waits


def test_header_alone_waits() -> None:
    files = WrittenFiles()
    files.write("log", b"time,MW\n")
    files.tick(math.inf)
    assert not files.parts
    assert files.waits == ["log has no complete row yet. It is read once it has one."]


def test_single_quotation_mark_holds_nothing_back() -> None:
    """The mark of an inch would otherwise join all later rows to one that never ends."""
    rows = "".join(f"2024-01-01 00:{number % 60:02},pipe,{number}\n" for number in range(500))
    files = WrittenFiles()
    files.write("log", b'time,place,MW\n2024-01-01,5" pipe,5\n' + rows.encode())
    files.tick()
    [text] = files.take_text()
    assert text == files.contents["log"]


def test_rewritten_file_is_read_again() -> None:
    files = WrittenFiles()
    for content in (b"time,MW\n2024-01-01,5\n", b"time,MW\n2024-01-01,7\n2024-01-02,8\n", b"time,MW\n2024-01-02,8\n"):
        files.write("log", content)
        files.tick()
        assert files.take_text() == [content]


def test_renamed_file_continues_where_it_was() -> None:
    files = WrittenFiles()
    files.write("log", b"time,MW\n2024-01-01,5\n")
    files.tick()
    files.take_text()
    files.write("log", b"time,MW\n2024-01-01,5\n2024-01-02,6\n")
    files.rename("log", "log.1")
    files.write("log", b"time,MW\n2024-01-03,7\n")
    files.tick()
    assert files.take_text() == [b"time,MW\n2024-01-02,6\n", b"time,MW\n2024-01-03,7\n"]
    files.rename("log.1", "log.2")
    files.rename("log", "log.1")
    files.tick()
    assert not files.parts


@pytest.mark.parametrize(
    "content", [b'[{"time": "2024-01-01", "MW": 5}]', b"PAR1 and more", b"t\0i\0m\0e\0", b"a\rb\r"]
)
def test_other_format_is_read_as_a_whole_once_it_rests(content: bytes) -> None:
    files = WrittenFiles()
    files.write("file", content)
    files.tick(FORMAT_WAIT_S / 2)
    assert not files.parts
    files.tick(FORMAT_WAIT_S)
    files.tick(FORMAT_WAIT_S)
    assert files.take_text() == [content]
    files.write("file", content + b" ")
    files.tick(FORMAT_WAIT_S)
    assert files.take_text() == [content + b" "]


def test_too_large_file_is_told() -> None:
    files = WrittenFiles()
    files.write("file", b"PAR1" + bytes(MAX_FILE_BYTES))
    with pytest.raises(UnreadableFileError, match=r"file has 10,004 bytes.* up to 10,000 bytes"):
        files.tick(math.inf)


def test_endless_row_is_told() -> None:
    files = WrittenFiles()
    files.write("log", b"time,MW\n2024-01-01,5\n" + b"5" * 2000 + b"\n2024-01-02,6\n")
    with pytest.raises(UnreadableFileError, match="log: a row has more than 1,000 bytes"):
        files.tick(0.0, 1000)


def test_file_that_changes_while_it_is_read_waits() -> None:
    def fail(start: int, stop: int) -> Iterator[bytes]:
        yield b"time,"
        raise FileChangedError("log")

    files = WrittenFiles()
    files.write("other", b"time,MW\n2024-01-01,5\n")
    listed = [ListedFile("log", 100, "1", 0.0, math.inf, fail), *files.list_files(0.0, True)]
    with TemporaryDirectory() as folder:
        portion = take_new_parts(listed, FileState(), Path(folder), 1000, 1000)
    assert [name for _, name in portion.files] == ["other"]
    assert list(portion.state["files"]) == ["other"]


def test_state_of_many_files_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old files leave a short seal; one of them that changes is read again as a whole."""
    monkeypatch.setattr(file_records, "MAX_RECORDS", 3)
    files = WrittenFiles()
    for number in range(10):
        files.write(f"{number}", b"time,MW\n2024-01-%02d,5\n" % (number + 1))
    files.tick()
    assert len(files.take_text()) == 10
    assert (len(files.state["files"]), len(files.state["seals"])) == (3, 7)
    files.tick()
    assert not files.parts
    files.write("0", b"time,MW\n2024-01-01,5\n2024-02-01,5\n")
    files.tick()
    assert files.take_text() == [files.contents["0"]]
    del files.contents["1"]
    files.tick()
    assert (len(files.state["files"]), len(files.state["seals"])) == (3, 6)


def test_too_many_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_parts, "MAX_FILES", 2)
    files = WrittenFiles(dict.fromkeys("abc", b"time,MW\n"), dict.fromkeys("abc", 1))
    with pytest.raises(UnreadableFileError, match=r"The source has 3 files\. At most 2 are watched"):
        files.tick()


@pytest.mark.parametrize(
    "state", [{"files": 3}, {"files": {"log": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}}, {"seals": 5}, {"x": 1}]
)
def test_foreign_state_counts_as_empty(state: dict[str, Any]) -> None:
    files = WrittenFiles(state=state)
    files.write("log", b"time,MW\n2024-01-01,5\n")
    files.tick()
    assert files.take_text() == [files.contents["log"]]


def test_oldest_files_come_first() -> None:
    files = WrittenFiles()
    for name in ("b", "a10", "a9"):
        files.write(name, b"time,MW\n2024-01-01,%d\n" % len(files.contents))
    assert files.tick(0.0, 30) == 3
    assert [name for name, _ in files.parts] == ["b", "a10", "a9"]
