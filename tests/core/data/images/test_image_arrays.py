"""Arrays of images in NumPy and IDX files: keys, shapes, types, ranges, labels; bombs and false headers."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.images import array_pixels, image_block
from core.data.images.image_set import ImageSet
from core.data.images.reading import read_image_set
from core.errors import UnreadableFileError
from tests.support.written_images import encode_idx

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (12, 9, 8), np.uint8)
PIXELS[0, 0, :2] = 0, 255
LABELS = np.arange(12) % 3


def read_arrays(folder: Path, name: str = "set.npz", **content: object) -> ImageSet:
    np.savez_compressed(folder / name, **content)  # type: ignore[arg-type]
    return read_image_set([folder / name])


def list_classes(images: ImageSet) -> list[str]:
    return [images.classes[label] if label >= 0 else "" for label in images.labels]


def join_notes(images: ImageSet) -> str:
    return " ".join(map(str, images.notes))


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(2, 9), st.integers(8, 40), st.integers(8, 40), st.sampled_from([1, 3]))
    ),
    st.integers(1, 5),
    st.booleans(),
)
def test_npz_gives_its_pixels_classes_and_parts(
    tmp_path: Path, test: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", count: int, has_columns: bool
) -> None:
    test[0, 0, 0] = 255
    train = RANDOM.integers(0, 256, (count, *test.shape[1:]), np.uint8)
    train_labels, test_labels = np.arange(count) % 12, np.arange(len(test)) % 7
    images = read_arrays(
        tmp_path,
        x_train=train,
        y_train=train_labels[:, None] if has_columns else train_labels,
        x_test=test,
        y_test=test_labels,
    )
    np.testing.assert_array_equal(images.pixels, np.concatenate([train, test]))
    assert list_classes(images) == [*map(str, train_labels), *map(str, test_labels)]
    assert images.classes == tuple(sorted(images.classes, key=int))
    assert images.is_test.tolist() == [False] * count + [True] * len(test)
    assert (images.source, images.files) == ("file", ("set.npz",))


def test_mnist_is_read(shared_data: Path) -> None:
    with np.load(shared_data / "images" / "mnist.npz") as content:
        images = read_image_set([shared_data / "images" / "mnist.npz"])
        np.testing.assert_array_equal(images.pixels[..., 0], np.concatenate([content["x_train"], content["x_test"]]))
        np.testing.assert_array_equal(images.labels, np.concatenate([content["y_train"], content["y_test"]]))
    assert images.classes == tuple("0123456789")
    assert images.is_test.sum() == 10_000
    assert images.notes == ()


@pytest.mark.parametrize(
    ("image_key", "label_key"),
    [("x", "y"), ("images", "labels"), ("X", "target"), ("data", "label"), ("anything", "y")],
)
def test_npz_keys_are_recognised(tmp_path: Path, image_key: str, label_key: str) -> None:
    images = read_arrays(tmp_path, **{image_key: PIXELS, label_key: LABELS})
    np.testing.assert_array_equal(images.pixels[..., 0], PIXELS)
    assert list_classes(images) == [str(label) for label in LABELS]
    assert not images.is_test.any()


def test_npz_parts_before_the_kind_are_recognised(tmp_path: Path) -> None:
    parts = {
        f"{part}_{kind}": values
        for part in ("train", "val", "test")
        for kind, values in (("images", PIXELS), ("labels", LABELS[:, None]))
    }
    images = read_arrays(tmp_path, **parts)
    assert images.is_test.tolist() == [False] * 24 + [True] * 12
    assert "12 images of the validation part were added to the training part" in join_notes(images)
    del parts["test_images"], parts["test_labels"]
    images = read_arrays(tmp_path, **parts)
    assert images.is_test.tolist() == [False] * 12 + [True] * 12
    assert "there is no test part" in join_notes(images)


def test_npz_without_labels_has_no_classes(tmp_path: Path) -> None:
    images = read_arrays(tmp_path, x=PIXELS)
    assert images.classes == ()
    assert (images.labels == -1).all()
    assert "no image has a class" in join_notes(images)


def test_unused_arrays_are_told(tmp_path: Path) -> None:
    images = read_arrays(tmp_path, images=PIXELS, data=PIXELS.reshape(12, -1), target=LABELS, frame=np.zeros(3))
    assert "these arrays were not used: data, frame" in join_notes(images)
    images = read_arrays(tmp_path, x_train=PIXELS, y_train=LABELS, y_test=LABELS)
    assert "y_test" in join_notes(images)


def test_npy_file_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", np.asfortranarray(PIXELS))
    images = read_image_set([tmp_path / "pictures.npy"])
    np.testing.assert_array_equal(images.pixels[..., 0], PIXELS)
    assert images.image_names[3] == "pictures[3]"


def test_channels_first_are_recognised_and_told(tmp_path: Path) -> None:
    colour = RANDOM.integers(0, 256, (5, 3, 12, 10), np.uint8)
    images = read_arrays(tmp_path, x=colour)
    np.testing.assert_array_equal(images.pixels, np.moveaxis(colour, 1, 3))
    assert "(5, 3, 12, 10) was read with its channels first" in join_notes(images)


TEXT_LABELS = {
    "text": (np.array(["cat", "dog", " cat "]), ["cat", "dog", "cat"]),
    "bytes": (np.array([b"cat", b"dog", "été".encode()]), ["cat", "dog", "été"]),
    "empty text": (np.array(["cat", "", "dog"]), ["cat", "", "dog"]),
    "whole floats": (np.array([1.0, 2.0, np.nan]), ["1", "2", ""]),
    "flags": (np.array([True, False, True]), ["True", "False", "True"]),
    "negative": (np.array([1, -1, 1]), ["1", "-1", "1"]),
}


@pytest.mark.parametrize("name", TEXT_LABELS)
def test_labels_become_classes(tmp_path: Path, name: str) -> None:
    labels, answer = TEXT_LABELS[name]
    assert list_classes(read_arrays(tmp_path, x=PIXELS[:3], y=labels)) == answer


RANGES = {  # values → scale to 0–255
    "floats 0–1": (PIXELS / 255, 255),
    "half floats 0–1": ((PIXELS > 99).astype(np.float16), 255),
    "floats 0–255": (PIXELS.astype(np.float32), 1),
    "whole floats 0–16": ((PIXELS // 16).astype(np.float64), 1),
    "wide integers": (PIXELS.astype(np.int64), 1),
    "big-endian": (PIXELS.astype(">u2"), 1),
    "16 bits": (PIXELS.astype(np.uint16) * 257, 255 / 65535),
    "12 bits": (PIXELS.astype(np.int32) * 16, 255 / 4095),
    "flags": (PIXELS > 99, 255),
    "0 and 1": ((PIXELS > 99).astype(np.uint8), 255),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_scaled_and_told(tmp_path: Path, name: str) -> None:
    values, scale = RANGES[name]
    images = read_arrays(tmp_path, x=values)
    np.testing.assert_allclose(images.pixels[..., 0], values.astype(float) * scale, atol=0.51)
    assert ("scaled to 0–255" in join_notes(images)) == (scale != 1)


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.int16, np.int8]),
        (3, 8, 8),
        elements={"min_value": -100, "max_value": 120},
    )
)
def test_any_values_are_read_in_order_or_refused(
    tmp_path: Path, values: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"
) -> None:
    """Brighter stays brighter, whatever the range; nothing wraps around."""
    is_refused = values.min() < -1e-3 or (1.001 < values.max() < 32 and (values != np.rint(values)).any())
    if is_refused:
        with pytest.raises(UnreadableFileError, match=r"set\.npz"):
            read_arrays(tmp_path, x=values)
        return
    images = read_arrays(tmp_path, x=values)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(images.pixels.ravel()[order].astype(int)) >= 0).all()


INVALID = {
    "negative": ({"x": PIXELS / 127.5 - 1}, ("set.npz", "-1", "1", "0–1, 0–255")),
    "too wide": ({"x": PIXELS.astype(np.int64) * 1000}, ("255,000", "0–65535")),
    "fractions up to 3": ({"x": PIXELS / 85}, ("0", "3", "0–1, 0–255")),
    "missing": ({"x": np.where(PIXELS == 255, np.nan, PIXELS)}, ("nan",)),
    "infinite": ({"x": np.where(PIXELS == 255, np.inf, PIXELS)}, ("inf",)),
    "floats of two ranges": (
        {"x_train": PIXELS / 255, "x_test": PIXELS.astype(float)},
        ("x_train 0–1", "x_test 0–255"),
    ),
    "words": ({"x": PIXELS.astype(str)}, ("'x'", "<U3")),
    "complex": ({"x": PIXELS.astype(complex)}, ("'x'", "complex128")),
    "flat rows": ({"x": PIXELS.reshape(12, -1), "y": LABELS}, ("x (12, 72)", "y (12,)", "x_train, y_train")),
    "five axes": ({"x": PIXELS[None, ..., None]}, ("'x'", "(1, 12, 9, 8, 1)")),
    "four channels": ({"x": np.zeros((2, 9, 9, 4), np.uint8)}, ("'x'", "(2, 9, 9, 4)")),
    "no images": ({"x": np.zeros((0, 9, 9), np.uint8)}, ("'x'", "(0, 9, 9)")),
    "one pixel": ({"x": np.zeros((4, 1, 1), np.uint8)}, ("'x'", "1 × 1 pixels", "at least 8")),
    "a measured matrix": ({"train": PIXELS[:, 0], "test": PIXELS[:, 1]}, ("train (12, 8)",)),
    "two names": ({"x": PIXELS, "images": PIXELS}, ("x (12, 9, 8), images (12, 9, 8)",)),
    "labels one short": ({"x": PIXELS, "y": LABELS[1:]}, ("'y'", "(11,)", "12 images")),
    "labels of fractions": ({"x": PIXELS, "y": LABELS / 7}, ("'y'", "float64")),
    "one-hot labels": ({"x": PIXELS, "y": np.eye(12)}, ("'y'", "(12, 12)")),
    "two sizes": ({"x_train": PIXELS, "x_test": PIXELS[:, :8]}, ("'x_test'", "(8, 8, 1)", "(9, 8, 1)")),
    "empty": ({}, ("set.npz",)),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_arrays_are_refused_by_name(tmp_path: Path, name: str) -> None:
    content, words = INVALID[name]
    with pytest.raises(UnreadableFileError) as caught:
        read_arrays(tmp_path, **content)
    for word in words:
        assert word in str(caught.value)


def test_large_images_are_reduced_and_told(tmp_path: Path) -> None:
    images = read_arrays(tmp_path, x=np.repeat(np.repeat(PIXELS[:2], 60, axis=1), 60, axis=2))
    assert images.pixels.shape == (2, 256, 228, 1)
    assert "480 × 540 pixels were reduced to 228 × 256" in join_notes(images)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    for content in (
        {"x": np.array([None] * 12, object).reshape(3, 2, 2)},
        {"x": PIXELS, "y": np.array([{}] * 12, object)},
    ):
        with pytest.raises(UnreadableFileError, match="pickle"):
            read_arrays(tmp_path, **content)


def test_array_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableFileError, match="times its size"):
        read_arrays(tmp_path, x=np.zeros((20_000, 40, 40), np.uint8))
    monkeypatch.setattr(image_block, "MAX_IMAGES", 11)
    with pytest.raises(UnreadableFileError, match="12 images"):
        read_arrays(tmp_path, x=PIXELS)


def test_false_headers_are_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.save(file, PIXELS)
    content = file.getvalue().replace(b"(12, 9, 8), }       ", b"(120000000, 9, 8), }"[:20])
    assert content != file.getvalue()
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("x.npy", content)
    (tmp_path / "set.npy").write_bytes(content)
    for name in ("set.npz", "set.npy"):
        with pytest.raises(UnreadableFileError, match=name):
            read_image_set([tmp_path / name])


@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_truncated_arrays_are_refused(tmp_path: Path, share: float) -> None:
    np.savez(tmp_path / "set.npz", x=PIXELS, y=LABELS)
    np.save(tmp_path / "set.npy", PIXELS)
    (tmp_path / "set-images.idx").write_bytes(encode_idx(PIXELS))
    (tmp_path / "set-images.gz").write_bytes(gzip.compress(encode_idx(PIXELS)))
    for path in list(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(UnreadableFileError, match=path.name):
            read_image_set([path])


# ---- IDX ------------------------------------------------------------------------------------------------------------


def write_idx(folder: Path, **content: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> list[Path]:
    paths = []
    for number, (name, values) in enumerate(content.items()):
        is_compressed = number % 2 == 0
        path = folder / (name.replace("_", "-") + (".gz" if is_compressed else ""))
        path.write_bytes(gzip.compress(encode_idx(values)) if is_compressed else encode_idx(values))
        paths.append(path)
    return paths


def test_idx_pairs_are_one_set(tmp_path: Path) -> None:
    paths = write_idx(
        tmp_path,
        t10k_labels_idx1_ubyte=LABELS[:4],
        train_images_idx3_ubyte=PIXELS[4:],
        t10k_images_idx3_ubyte=PIXELS[:4],
        train_labels_idx1_ubyte=LABELS[4:],
    )
    images = read_image_set(paths)
    train = ~images.is_test
    np.testing.assert_array_equal(images.pixels[train][..., 0], PIXELS[4:])
    np.testing.assert_array_equal(images.pixels[~train][..., 0], PIXELS[:4])
    assert [list_classes(images.select(mask)) for mask in (train, ~train)] == [
        [str(label) for label in LABELS[4:]],
        [str(label) for label in LABELS[:4]],
    ]


def test_single_idx_pair_may_have_any_names(tmp_path: Path) -> None:
    images = read_image_set(write_idx(tmp_path, apples=PIXELS, pears=LABELS))
    assert list_classes(images) == [str(label) for label in LABELS]
    assert read_image_set(write_idx(tmp_path, apples=PIXELS)).classes == ()


def test_idx_labels_without_their_images_are_refused(tmp_path: Path) -> None:
    paths = write_idx(tmp_path, train_images=PIXELS, t10k_images=PIXELS, other_labels=LABELS)
    with pytest.raises(UnreadableFileError, match=r"other-labels\.gz: no images .*train-images-idx3-ubyte"):
        read_image_set(paths)
    with pytest.raises(UnreadableFileError, match=r"a-labels\.gz"):
        read_image_set(write_idx(tmp_path, a_labels=LABELS))
    with pytest.raises(UnreadableFileError, match=r"a-labels.*\(11,\).*12 images"):
        read_image_set(write_idx(tmp_path, a_images=PIXELS, a_labels=LABELS[1:]))


def test_idx_bombs_and_other_gzip_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "false.idx").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12 + bytes(100))
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(encode_idx(np.zeros((20_000, 40, 40), np.uint8))))
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"a;b\n1;2\n"))
    (tmp_path / "longer.idx").write_bytes(encode_idx(PIXELS) + b"more")
    for name, words in (
        ("false.idx", "unpacks to more"),
        ("zeros.gz", "unpacks to more"),
        ("text.gz", "not an IDX file"),
        ("longer.idx", r"\(12, 9, 8\).*more"),
    ):
        with pytest.raises(UnreadableFileError, match=f"{name}.*{words}"):
            read_image_set([tmp_path / name])


def test_chunks_give_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_arrays(tmp_path, x=PIXELS / 255)
    monkeypatch.setattr(array_pixels, "CHUNK_IMAGES", 5)
    np.testing.assert_array_equal(read_arrays(tmp_path, x=PIXELS / 255).pixels, whole.pixels)
