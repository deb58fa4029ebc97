"""Files of recent datasets, and remembered choices about reading."""

from pathlib import Path

import pytest

from core.data.read_options import DETECT_ALL, ReadOptions
from core.storage.read_choices import ReadChoices
from core.storage.uploads import MAX_UPLOADS, UploadStore


def write_upload(folder: Path, text: str = "a,b\n1,2\n") -> Path:
    path = folder / "upload-0"
    path.write_text(text)
    return path


def test_uploads_are_kept_with_their_names(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    source = write_upload(tmp_path)
    store.save("ab" * 32, [(source, "années.csv")])
    store.save("ab" * 32, [(source, "années.csv")])  # a second session reads the same file
    source.unlink()
    [(path, name)] = store.find("ab" * 32)
    assert (path.read_text(), name) == ("a,b\n1,2\n", "années.csv")
    assert store.find("cd" * 32) == []
    path.unlink()
    assert store.find("ab" * 32) == []


def test_uploads_of_old_datasets_are_deleted(tmp_path: Path) -> None:
    store = UploadStore(tmp_path / "uploads")
    digests = [f"{number:064x}" for number in range(MAX_UPLOADS + 3)]
    for digest in digests:
        upload = write_upload(tmp_path, digest)
        store.save(digest, [(upload, "a.csv")])
        upload.unlink()  # shares its bytes with the stored file
    stored = [digest for digest in digests if store.find(digest)]
    assert len(stored) == MAX_UPLOADS
    assert store.find(digests[-1])


def test_upload_that_cannot_be_kept_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "uploads").write_text("a file where the folder should be")
    store = UploadStore(tmp_path / "uploads")
    store.save("ab" * 32, [(write_upload(tmp_path), "a.csv")])
    assert store.find("ab" * 32) == []
    assert "were not kept" in caplog.text


def test_choices_are_found_for_the_same_columns_and_user(tmp_path: Path) -> None:
    choices = ReadChoices(tmp_path)
    options = ReadOptions(roles=("meter=measure",), decimal_mark="comma")
    choices.save(["date", "meter"], options, "ada")
    assert choices.find(["date", "meter"], "ada") == options
    assert choices.find(["date", "meter"]) == choices.find(["date"], "ada") == DETECT_ALL
    next(tmp_path.iterdir()).write_text("{")  # a crash while writing
    assert choices.find(["date", "meter"], "ada") == DETECT_ALL
    choices.save(["date", "meter"], options, "ada")
    choices.save(["date", "meter"], DETECT_ALL, "ada")
    assert choices.find(["date", "meter"], "ada") == DETECT_ALL
