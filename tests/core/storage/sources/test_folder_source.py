"""A watched folder: what is in it, what is not, and what it may be."""

import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path

import pytest

from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.sources import Arrivals, check_source, describe_source, read_all, read_arrivals
from core.storage.sources import folder as folder_module
from core.storage.sources.places import check_place
from core.watches.source import BucketSource, DatabaseSource, FolderSource, SearchSource, Source, WebSource

ROWS = "time,MW\n2024-01-01 00:00,5\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (folder := tmp_path / "data" / "inbox").mkdir(parents=True)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_construct(vigie_data_dir=tmp_path / "data")


def write_old(path: Path, text: str = ROWS, age_s: float = 7200) -> Path:
    """Write a file that was changed some time ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    changed_s = time.time() - age_s
    os.utime(path, (changed_s, changed_s))
    return path


def take(source: Source, settings: Settings, folder: Path, cursor: str = "") -> Arrivals:
    """Read what is new into another folder at each call."""
    target = folder / f"tick-{time.monotonic_ns()}"
    target.mkdir()
    return read_arrivals(source, cursor, target, settings)


def list_texts(arrivals: Arrivals) -> dict[str, str]:
    return {name: path.read_text() for path, name in arrivals.files}


def test_new_and_grown_files_arrive(inbox: Path, settings: Settings, tmp_path: Path) -> None:
    source = FolderSource(path=str(inbox), pattern="*.csv")
    check_source(source, settings)
    write_old(inbox / "a.csv")
    write_old(inbox / "deep" / "b.csv", age_s=10)
    write_old(inbox / "other.log")
    first = take(source, settings, tmp_path)
    assert list_texts(first) == {"a.csv": ROWS, "deep/b.csv": ROWS}
    assert not take(source, settings, tmp_path, first.cursor).files
    with (inbox / "a.csv").open("a") as file:
        file.write("2024-01-01 01:00,6\n2024-01-01 02:00,")
    second = take(source, settings, tmp_path, first.cursor)
    assert list_texts(second) == {"a.csv": "time,MW\n2024-01-01 01:00,6\n"}
    assert list_texts(take(source, settings, tmp_path, first.cursor)) == list_texts(second), "a tick can be repeated"
    (inbox / "a.csv").rename(inbox / "a-2024.csv")
    assert not take(source, settings, tmp_path, second.cursor).files


def test_correction_in_place_is_seen(inbox: Path, settings: Settings, tmp_path: Path) -> None:
    """Within the step of a file system's clock a file of the same size may have the same time."""
    source = FolderSource(path=str(inbox))
    status = (inbox / "a.csv").write_text(ROWS) and (inbox / "a.csv").stat()
    first = take(source, settings, tmp_path)
    (inbox / "a.csv").write_text(ROWS.replace("5", "7"))
    os.utime(inbox / "a.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list_texts(take(source, settings, tmp_path, first.cursor)) == {"a.csv": ROWS.replace("5", "7")}


@pytest.mark.parametrize("pattern", ["deep/*.csv", "d*/b.csv"])
def test_pattern_with_slash_names_the_path(pattern: str, inbox: Path, settings: Settings, tmp_path: Path) -> None:
    write_old(inbox / "b.csv")
    write_old(inbox / "deep" / "b.csv")
    arrivals = take(FolderSource(path=str(inbox), pattern=pattern), settings, tmp_path)
    assert list(list_texts(arrivals)) == ["deep/b.csv"]


def test_everything_but_plain_files_is_left_out(
    inbox: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = write_old(tmp_path / "outside" / "secret.csv")
    (inbox / "link.csv").symlink_to(secret)
    (inbox / "folder").symlink_to(secret.parent)
    (inbox / "circle.csv").symlink_to(inbox / "circle.csv")
    (inbox / "nothing.csv").symlink_to(inbox / "absent.csv")
    os.mkfifo(inbox / "pipe.csv")
    for name in (".hidden.csv", ".git/a.csv", "a.csv.part", "a.csv.tmp", "a.csv~", "~$a.xlsx", "a.csv.crdownload"):
        write_old(inbox / name)
    write_old(inbox / "real.csv")
    (inbox / "inner.csv").symlink_to(inbox / "real.csv")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(inbox)  # the path of a socket is short
        server.bind("socket.csv")
    assert set(list_texts(take(FolderSource(path=str(inbox)), settings, tmp_path))) == {"real.csv", "inner.csv"}


def test_file_that_becomes_a_link_is_not_followed(
    inbox: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list and the reading, somebody may put a link to a file outside in the place of a file."""
    secret, path = write_old(tmp_path / "secret.csv"), write_old(inbox / "a.csv")
    listed = list(folder_module._walk(inbox.resolve()))

    def swap(root: Path) -> object:
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
        return iter(listed)

    monkeypatch.setattr(folder_module, "_walk", swap)
    assert not take(FolderSource(path=str(inbox)), settings, tmp_path).files


def test_absent_folder_is_a_dead_source(inbox: Path, settings: Settings, tmp_path: Path) -> None:
    source = FolderSource(path=str(inbox / "absent"))
    with pytest.raises(ServiceUnavailableError, match=r"absent' cannot be read \(No such file or directory\)"):
        take(source, settings, tmp_path)
    with pytest.raises(ServiceUnavailableError):
        check_source(source, settings)


@pytest.mark.parametrize(("path", "error"), [("inbox", OptionError), ("/srv\0", OptionError), ("/", AccessDeniedError)])
def test_folder_outside_is_refused(path: str, error: type[Exception], settings: Settings, tmp_path: Path) -> None:
    source = FolderSource(path=path)
    with pytest.raises(error):
        check_source(source, settings)
    with pytest.raises(error):
        take(source, settings, tmp_path)


def test_file_in_place_of_folder_is_refused(inbox: Path, settings: Settings) -> None:
    with pytest.raises(OptionError, match="is not a folder"):
        check_source(FolderSource(path=str(write_old(inbox / "a.csv"))), settings)


def test_refused_file_is_told(inbox: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, who may read everything, so the system call fails by itself."""
    write_old(inbox / "a.csv")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder_module.os, "open", refuse)
    with pytest.raises(AccessDeniedError, match=r"'a.csv' may not be read \(Permission denied\)"):
        take(FolderSource(path=str(inbox)), settings, tmp_path)


@pytest.mark.parametrize(
    ("places", "place", "is_allowed"),
    [
        ("", "{data}/inbox", True),
        ("", "{data}/inbox/deep", True),
        ("", "{data}/inbox/../datasets", False),
        ("", "{data}/inbox-2", False),
        ("", "{data}/inbox/link", False),
        ("", "s3://bucket/a", False),
        ("/srv, s3://bucket/a/", "/srv/x", True),
        ("/srv, s3://bucket/a/", "{data}/inbox", False),
        ("/srv, s3://bucket/a/", "s3://bucket/a", True),
        ("/srv, s3://bucket/a/", "s3://bucket/a/b/", True),
        ("/srv, s3://bucket/a/", "s3://bucket/ab", False),
        ("/srv, s3://bucket/a/", "gs://bucket/a", False),
        ("s3://bucket", "s3://bucket/any", True),
        ("s3://bucket", "s3://bucket-2/any", False),
        ("/", "s3://bucket", False),
    ],
)
def test_places_of_settings_decide(places: str, place: str, is_allowed: bool, inbox: Path, tmp_path: Path) -> None:
    (inbox / "link").symlink_to("/etc")
    settings = Settings.model_construct(vigie_data_dir=inbox.parent, vigie_source_places=places)
    place = place.format(data=inbox.parent)
    if is_allowed:
        check_place(place, settings)
        return
    with pytest.raises(AccessDeniedError, match="VIGIE_SOURCE_PLACES"):
        check_place(place, settings)


@pytest.mark.parametrize("cursor", ["", "{", "[]", "3", '{"source": "other", "state": {"files": {}}}', '{"state": 5}'])
def test_cursor_of_others_reads_everything(cursor: str, inbox: Path, settings: Settings, tmp_path: Path) -> None:
    write_old(inbox / "a.csv")
    assert list_texts(take(FolderSource(path=str(inbox)), settings, tmp_path, cursor)) == {"a.csv": ROWS}


def test_cursor_belongs_to_its_source(inbox: Path, settings: Settings, tmp_path: Path) -> None:
    write_old(inbox / "a.csv")
    first = take(FolderSource(path=str(inbox)), settings, tmp_path)
    other = FolderSource(path=str(inbox), pattern="a*")
    assert json.loads(first.cursor)["state"]["files"]
    assert take(other, settings, tmp_path, first.cursor).files


def test_everything_is_read_in_parts(inbox: Path, settings: Settings, tmp_path: Path) -> None:
    text = ROWS + "".join(f"2024-01-02 00:{minute:02},{minute}\n" for minute in range(60))
    write_old(inbox / "a.csv", text)
    write_old(inbox / "b.csv", ROWS)
    source = FolderSource(path=str(inbox))
    arrivals = read_all(source, tmp_path / "all", settings, since=datetime(2024, 1, 1), max_bytes=500)
    rows = [line for path, _ in arrivals.files for line in path.read_text().splitlines()[1:]]
    assert rows == [*text.splitlines()[1:], *ROWS.splitlines()[1:]]
    assert len(arrivals.files) > 3
    assert not take(source, settings, tmp_path, arrivals.cursor).files


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (FolderSource(path="/srv/data/", pattern="*.csv"), "/srv/data/*.csv"),
        (BucketSource(address="gs://bucket/a"), "gs://bucket/a/*"),
        (WebSource(url="https://ann:hunter2@a.org:8/b?key=hunter2#hunter2"), "https://a.org:8/b?…"),
        (SearchSource(), "Elasticsearch"),
        (SearchSource(index="calls-*"), "Elasticsearch: calls-*"),
        (DatabaseSource(database="plant", query="SELECT 1"), "SQL: plant, time"),
    ],
)
def test_sources_are_described_without_secrets(source: Source, text: str) -> None:
    assert describe_source(source) == text
