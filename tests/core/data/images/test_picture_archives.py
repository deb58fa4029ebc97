"""Zip archives and folders of pictures: classes and parts from folders, hostile archives, uploads."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.images import archive as archive_module
from core.data.images import image_block
from core.data.images.class_folders import infer_folder_labels
from core.data.images.image_set import ImageSet
from core.data.images.reading import read_image_set
from core.errors import InputError, UnreadableFileError
from core.progress import CancelledError
from tests.support.written_images import encode_idx, encode_picture, make_noise, write_folder, write_zip

PICTURE = encode_picture(make_noise())


def read_both(folder: Path, names: list[str], others: dict[str, bytes] | None = None) -> ImageSet:
    """Read the same files from an archive and from a folder, and compare them."""
    members = {name: encode_picture(make_noise(seed=seed)) for seed, name in enumerate(names)} | (others or {})
    from_zip = read_image_set([write_zip(folder / "set.zip", members)])
    from_folder = read_image_set([write_folder(folder / "set", members)])
    assert from_zip.digest == from_folder.digest
    for name, position in zip(from_zip.image_names, range(len(from_zip)), strict=True):
        np.testing.assert_array_equal(from_zip.pixels[position], make_noise(seed=names.index(name)))
    return from_zip


def list_classes(images: ImageSet) -> list[str]:
    return [images.classes[label] if label >= 0 else "" for label in images.labels]


def join_notes(images: ImageSet) -> str:
    return " ".join(map(str, images.notes))


LAYOUTS = {  # paths → class and part of each
    "a folder per class": {"cat/1.png": ("cat", ""), "dog/1.png": ("dog", ""), "dog/10.png": ("dog", "")},
    "numbers": {"2/a.png": ("2", ""), "10/a.png": ("10", "")},
    "an outer folder": {"pets/cat/1.png": ("cat", ""), "pets/dog/1.png": ("dog", "")},
    "parts": {
        "train/cat/1.png": ("cat", "training"),
        "train/dog/1.png": ("dog", "training"),
        "test/cat/1.png": ("cat", "test"),
    },
    "a validation part": {"Train/cat/1.png": ("cat", "training"), "Val/dog/1.png": ("dog", "validation")},
    "parts below classes": {
        "cat/train/1.png": ("cat", "training"),
        "cat/test/1.png": ("cat", "test"),
        "dog/train/1.png": ("dog", "training"),
    },
    "MVTec": {
        "bottle/train/good/0.png": ("good", "training"),
        "bottle/test/good/0.png": ("good", "test"),
        "bottle/test/crack/0.png": ("crack", "test"),
    },
    "two categories of MVTec": {
        "bottle/train/good/0.png": ("bottle/good", "training"),
        "cable/test/bent/0.png": ("cable/bent", "test"),
    },
    "normal and the rest": {"normal/1.png": ("normal", ""), "2.png": ("", ""), "3.png": ("", "")},
    "normal alone": {"set/normal/1.png": ("normal", ""), "set/normal/2.png": ("normal", "")},
    "normal and others": {"good/1.png": ("good", ""), "scratch/2.png": ("scratch", ""), "3.png": ("", "")},
    "to be inspected": {"ok/1.png": ("ok", ""), "inspect/2.png": ("", "")},
    "a flat folder": {"1.png": ("", ""), "2.png": ("", "")},
    "one folder that is no class": {"holiday/1.png": ("", ""), "holiday/2.png": ("", "")},
    "flat parts": {"train/1.png": ("", "training"), "test/2.png": ("", "test")},
    "trains": {"train/1.png": ("train", ""), "bus/1.png": ("bus", ""), "car/1.png": ("car", "")},
    "parts and a class beside": {
        "train/cat/1.png": ("cat", "training"),
        "test/cat/2.png": ("cat", "test"),
        "dog/3.png": ("dog", ""),
    },
    "folders of images": {"train/cat/images/1.png": ("cat", "training"), "val/images/1.png": ("", "validation")},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_give_classes_and_parts(layout: str) -> None:
    paths = list(LAYOUTS[layout])
    labels = infer_folder_labels(paths)
    answers = dict(zip(paths, zip(labels.class_names.tolist(), labels.parts.tolist(), strict=True), strict=True))
    assert answers == LAYOUTS[layout]


@given(st.lists(st.lists(st.sampled_from(["train", "test", "good", "..", "a", "b", ""]), max_size=4), min_size=1))
def test_any_folders_give_one_answer_per_picture(folders: list[list[str]]) -> None:
    paths = ["/".join([*names, f"{number}.png"]) for number, names in enumerate(folders)]
    labels = infer_folder_labels(paths)
    assert len(labels.class_names) == len(labels.parts) == len(paths)
    order = list(reversed(range(len(paths))))
    again = infer_folder_labels([paths[number] for number in order])
    assert again.class_names.tolist() == labels.class_names[order].tolist()
    assert again.parts.tolist() == labels.parts[order].tolist()


def test_archive_and_folder_give_same_set(tmp_path: Path) -> None:
    images = read_both(tmp_path, ["train/2/1.png", "train/2/10.png", "train/10/3.png", "test/2/4.png", "test/5.png"])
    assert images.classes == ("2", "10")
    by_name = dict(
        zip(images.image_names, zip(list_classes(images), images.is_test.tolist(), strict=True), strict=True)
    )
    assert by_name == {
        "train/2/1.png": ("2", False),
        "train/2/10.png": ("2", False),
        "train/10/3.png": ("10", False),
        "test/2/4.png": ("2", True),
        "test/5.png": ("", True),
    }
    assert "1 of 5 images has no class" in join_notes(images)


def test_validation_part_takes_place_of_test_part(tmp_path: Path) -> None:
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
    images = read_both(tmp_path / "without", ["train/cat/1.png", "val/cat/2.png"])
    assert images.is_test.tolist() == [False, True]
    assert "1 images of the validation part take its place" in join_notes(images)
    images = read_both(tmp_path / "with", ["train/cat/1.png", "val/cat/2.png", "test/cat/3.png"])
    assert dict(zip(images.image_names, images.is_test.tolist(), strict=True))["test/cat/3.png"]
    assert images.is_test.sum() == 1
    assert "validation part was added to the training part" in join_notes(images)


def test_masks_archives_and_other_files_are_left_out_and_told(tmp_path: Path) -> None:
    others = {
        "bottle/ground_truth/crack/0_mask.png": PICTURE,
        "bottle/license.txt": b"free",
        "bottle/more.zip": b"PK\x03\x04",
        "bottle/test/crack/.hidden.png": PICTURE,
        "__MACOSX/bottle/._0.png": b"\0\0",
    }
    images = read_both(
        tmp_path, ["bottle/train/good/0.png", "bottle/test/good/0.png", "bottle/test/crack/0.png"], others
    )
    assert len(images) == 3
    for words in ("1 mask in folders ground_truth", "1 archive in it was not opened: bottle/more.zip", "license.txt"):
        assert words in join_notes(images)
    assert "hidden" not in join_notes(images)


def test_pictures_are_recognised_by_their_bytes(tmp_path: Path) -> None:
    images = read_image_set([write_zip(tmp_path / "set", {"a/1.dat": PICTURE, "b/2": PICTURE, "b/notes.csv": b"1;2"})])
    assert images.image_names == ("a/1.dat", "b/2")


def test_names_in_archive_are_only_names(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    names = {"../../escape/1.png": PICTURE, "/etc/2.png": PICTURE, "C:\\temp\\3.png": PICTURE, "a\x07\n/4.png": PICTURE}
    images = read_image_set([write_zip(inside / "set.zip", names)])
    assert len(images) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in inside.iterdir()] == ["set.zip"]
    assert all(name.isprintable() for name in (*images.image_names, *images.classes))


def test_links_out_of_folder_are_not_followed(tmp_path: Path) -> None:
    write_folder(tmp_path / "secret", {"1.png": PICTURE})
    folder = write_folder(tmp_path / "set", {"a/1.png": PICTURE, "b/2.png": PICTURE})
    (folder / "a" / "3.png").symlink_to(tmp_path / "secret" / "1.png")
    (folder / "c").symlink_to(tmp_path / "secret")
    (folder / "b" / "4.png").symlink_to(folder / "a" / "1.png")
    os.mkfifo(folder / "b" / "5.png")
    images = read_image_set([folder])
    assert images.image_names == ("a/1.png", "b/2.png", "b/4.png")
    assert "2 links to other folders were not followed" in join_notes(images)


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {"a/1.png": PICTURE})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"set\.zip: the archive is encrypted"):
        read_image_set([path])


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="times its size"):
        read_image_set([write_zip(tmp_path / "zeros.zip", {f"{number}.bmp": bytes(2**23) for number in range(8)})])


def test_declared_size_of_member_bounds_what_is_read(tmp_path: Path) -> None:
    """A header that declares less than the member unpacks to makes the picture unreadable, and no more is unpacked."""
    path = write_zip(
        tmp_path / "lie.zip", {"a/1.bmp": encode_picture(np.zeros((2000, 1000), np.uint8), "BMP"), "b/2.png": PICTURE}
    )
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start + 24 : start + 28] = (5000).to_bytes(4, "little")
    path.write_bytes(content)
    images = read_image_set([path])
    assert images.image_names == ("b/2.png",)
    assert "a/1.bmp" in join_notes(images)


def test_too_many_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "set.zip", {f"{number}.png": PICTURE for number in range(12)})
    monkeypatch.setattr(image_block, "MAX_IMAGES", 10)
    with pytest.raises(UnreadableFileError, match=r"set\.zip: the file holds 12 images\. At most 10"):
        read_image_set([path])
    monkeypatch.setattr(archive_module, "MAX_FILES", 11)
    with pytest.raises(UnreadableFileError, match="more than 11 files"):
        read_image_set([path])


def test_decoded_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "set.zip", {f"{number}.png": PICTURE for number in range(10)})
    monkeypatch.setattr(image_block, "MAX_BYTES", 1000)
    with pytest.raises(UnreadableFileError, match=r"set\.zip: the images take"):
        read_image_set([path])


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = write_zip(tmp_path / "set.zip", {f"{number}.png": PICTURE for number in range(5)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFileError, match=r"set\.zip"):
        read_image_set([path])


def test_damaged_member_is_left_out_by_name(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "set.zip", {f"{number}.png": encode_picture(make_noise(60, 60, seed=number)) for number in range(3)}
    )
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x03\x04", 10) + 500] ^= 0xFF  # inside the second member
    path.write_bytes(content)
    images = read_image_set([path])
    assert images.image_names == ("0.png", "2.png")
    assert "1.png" in join_notes(images)


@pytest.mark.parametrize(
    ("members", "words"),
    [({}, "it contains no image"), ({"a.txt": b"1"}, r"Found: a\.txt"), ({"x.zip": b"PK\x03\x04"}, r"Found: x\.zip")],
)
def test_archive_without_pictures_is_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        read_image_set([write_zip(tmp_path / "set.zip", members)])


def test_folder_of_arrays_is_read(tmp_path: Path) -> None:
    pixels, labels = np.stack([make_noise(seed=seed)[..., 0] for seed in range(3)]), np.array([1, 0, 1])
    members = {"train-images-idx3-ubyte": encode_idx(pixels), "train-labels-idx1-ubyte": encode_idx(labels)}
    images = read_image_set([write_folder(tmp_path / "set", members)])
    np.testing.assert_array_equal(images.pixels[..., 0], pixels)
    assert list_classes(images) == ["1", "0", "1"]


def test_uploads_are_called_by_their_names(tmp_path: Path) -> None:
    write_zip(tmp_path / "0", {"cat/1.png": PICTURE, "dog/2.png": b"no"})
    (tmp_path / "1").write_bytes(PICTURE)
    images = read_image_set([(tmp_path / "0", "pets.zip"), (tmp_path / "1", "rex.png")], source="upload")
    assert images.files == ("pets.zip", "rex.png")
    assert images.source == "upload"
    assert images.image_names == ("pets.zip: cat/1.png", "rex.png: rex.png")
    assert "pets.zip: 1 of 2 images could not be read" in join_notes(images)
    (tmp_path / "2").write_bytes(b"%PDF-1.7 ...")
    with pytest.raises(UnreadableFileError, match=r"report\.pdf: this is not a file of images .*NPZ.*PNG"):
        read_image_set([(tmp_path / "2", "report.pdf")])


def test_several_pictures_are_one_unlabelled_set(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {f"{number}.png": encode_picture(make_noise(seed=number)) for number in range(3)})
    images = read_image_set([folder / f"{number}.png" for number in range(3)])
    assert images.image_names == ("0.png", "1.png", "2.png")
    assert images.classes == ()
    assert "no image has a class" in join_notes(images)


def test_files_of_different_sizes_are_refused(tmp_path: Path) -> None:
    first = write_zip(tmp_path / "a.zip", {"cat/1.png": PICTURE})
    second = write_zip(tmp_path / "b.zip", {"cat/1.png": encode_picture(make_noise(20, 20))})
    with pytest.raises(
        UnreadableFileError, match=r"b\.zip: the images have 20 × 20 pixels, but those of a\.zip have 10 × 12"
    ):
        read_image_set([first, second])


def test_grey_and_colour_files_are_joined(tmp_path: Path) -> None:
    colour = make_noise(channels=3)
    first = write_zip(tmp_path / "a.zip", {"cat/1.png": PICTURE, "dog/2.png": PICTURE})
    second = write_zip(tmp_path / "b.zip", {"dog/1.png": encode_picture(colour), "eel/2.png": encode_picture(colour)})
    images = read_image_set([first, second])
    grey = np.repeat(make_noise(), 3, axis=2)
    np.testing.assert_array_equal(images.pixels, np.stack([grey, grey, colour, colour]))
    assert list_classes(images) == ["cat", "dog", "dog", "eel"]


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "nothing").mkdir()
    for name, words in (("absent.zip", "no such file"), ("empty.png", "empty"), ("nothing", "no image")):
        with pytest.raises(UnreadableFileError, match=f"{name}.*{words}"):
            read_image_set([tmp_path / name])
    with pytest.raises(InputError):
        read_image_set([])


def test_reading_reports_progress_and_can_be_cancelled(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", {f"{number}.png": PICTURE for number in range(600)})
    single = write_folder(tmp_path / "single", {f"{number}.png": PICTURE for number in range(300)})
    for paths in ([path], [path, *single.iterdir()], list(single.iterdir())):
        shares: list[float] = []
        read_image_set(paths, progress=shares.append)
        assert shares == sorted(shares)
        assert len(shares) > 2
        assert shares[0] < 0.9
        assert shares[-1] == 1

    def cancel(share: float) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        read_image_set([path], progress=cancel)


def test_repeated_name_in_archive_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.png", PICTURE)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/1.png", PICTURE)
    assert len(read_image_set([path])) == 1
