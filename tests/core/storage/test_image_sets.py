"""The store of sets of images: complete or absent, one copy per digest, lists per user."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.data.images.image_set import ImageSet
from core.data.images.reading import read_image_set
from core.data.images.samples import load_image_sample
from core.errors import NotFoundError
from core.messages import Message
from core.settings import ROOT
from core.storage.datasets import DatasetStore
from core.storage.image_sets import ImageSetStore
from core.workspace import Workspace
from tests.support.written_images import encode_picture, make_noise, write_zip


@pytest.fixture
def store(tmp_path: Path) -> ImageSetStore:
    return ImageSetStore(tmp_path / "image-sets")


def make_images(count: int = 5, seed: int = 0) -> ImageSet:
    pixels = np.stack([make_noise(9, 11, 3, seed + number) for number in range(count)])
    names = tuple(f"été/{number}.png" for number in range(count))
    note = Message("{file}: {count} pictures", {"file": "a.zip", "count": 2})
    labels, is_test = np.arange(count) % 3 - 1, np.arange(count) > 2
    return ImageSet(pixels, names, ("chat", "chien"), labels, is_test, ("a.zip",), "upload", (note,))


def test_images_round_trip_through_store(store: ImageSetStore) -> None:
    images = make_images()
    loaded = store.load(store.save(images))
    assert loaded.digest == images.digest
    for name in ("pixels", "labels", "is_test"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(images, name))
    for name in ("image_names", "classes", "files", "source", "notes"):
        assert getattr(loaded, name) == getattr(images, name)


def test_notes_about_every_kind_of_broken_picture_are_stored(store: ImageSetStore, tmp_path: Path) -> None:
    members = {f"{number}.png": encode_picture(make_noise(60, 60, seed=number)) for number in range(3)}
    path = write_zip(
        tmp_path / "set.zip", {**members, "3.png": b"no picture", "4.png": encode_picture(make_noise(2, 2))}
    )
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04", 10) + 500] ^= 0xFF  # inside the second member
    path.write_bytes(content)
    images = read_image_set([path])
    assert len(images) == 2
    loaded = store.load(store.save(images))
    assert list(map(str, loaded.notes)) == list(map(str, images.notes))
    for name in ("1.png", "3.png", "4.png"):
        assert any(name in str(note) for note in loaded.notes)


def test_loaded_pixels_are_read_from_disk_and_never_written(store: ImageSetStore) -> None:
    digest = store.save(make_images())
    loaded = store.load(digest)
    base = loaded.pixels
    while not isinstance(base, np.memmap):
        base = base.base
    loaded.pixels[:] = 7  # a model that writes changes its own copy only
    assert store.load(digest).digest == digest


def test_image_sets_are_listed_per_user(store: ImageSetStore) -> None:
    first, second = make_images(), make_images(seed=50)
    for images, user in ((first, "ada"), (second, "grace"), (first, "grace")):
        store.save(images, user)
    assert [stored.digest for stored in store.list_recent(user="ada")] == [first.digest]
    assert {stored.digest for stored in store.list_recent(user="grace")} == {first.digest, second.digest}
    assert store.list_recent(user="../ada") == []
    assert len(store.list_recent()) == 2
    assert len(store.list_recent(limit=1)) == 1
    [stored] = store.list_recent(user="ada")
    assert (stored.images, stored.height, stored.width, stored.is_colour) == (5, 9, 11, True)
    assert (stored.files, stored.classes) == (("a.zip",), ("chat", "chien"))


@pytest.mark.parametrize("digest", ["0" * 64, "", "../datasets", ".users"])
def test_unknown_image_set_is_refused(store: ImageSetStore, digest: str) -> None:
    store.save(make_images(), "ada")
    with pytest.raises(NotFoundError, match="The images"):
        store.load(digest)


def test_failed_save_leaves_nothing(store: ImageSetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("core.storage.image_sets.json.dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        store.save(make_images())
    assert list(store.folder.iterdir()) == []


def test_killed_save_is_invisible_and_removed_later(store: ImageSetStore) -> None:
    """A process that is killed between two files leaves a draft, which nobody sees; a day later it is deleted."""
    code = (
        "import os, sys; from pathlib import Path; import core.storage.image_sets as module\n"
        "from tests.core.storage.test_image_sets import make_images\n"
        "module.json.dumps = lambda *_, **__: os.kill(os.getpid(), 9)\n"
        "module.ImageSetStore(Path(sys.argv[1])).save(make_images(), 'ada')"
    )
    process = subprocess.run([sys.executable, "-c", code, str(store.folder)], cwd=ROOT, timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL
    [draft] = store.folder.iterdir()
    assert {path.name for path in draft.iterdir()} >= {"pixels.npy"}
    assert store.list_recent() == store.list_recent(user="ada") == []
    images = make_images()
    with pytest.raises(NotFoundError):
        store.load(images.digest)
    assert store.load(store.save(images)).digest == images.digest
    assert draft.exists()  # its process could still be writing
    os.utime(draft, (time.time() - 90_000,) * 2)
    store.save(make_images(seed=9))
    assert not draft.exists()


def test_workspace_stores_images_beside_datasets(workspace: Workspace) -> None:
    images = load_image_sample("digits")
    assert workspace.image_sets.load(workspace.image_sets.save(images)).count_classes() == images.count_classes()
    assert workspace.image_sets.folder.parent == workspace.datasets.folder.parent
    assert isinstance(workspace.datasets, DatasetStore)
    with pytest.raises(NotFoundError):
        workspace.datasets.load(images.digest)
