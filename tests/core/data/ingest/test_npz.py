"""KPI matrices in NumPy archives, and files of root causes."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.ingest.loading import load
from core.data.quality.doctor import run_checks
from core.data.root_causes import read_root_causes
from core.errors import UnreadableFileError
from core.evaluation.explanation import RootCause
from core.storage.datasets import DatasetStore

RANDOM = np.random.default_rng(5)
TRAIN, TEST = RANDOM.random((40, 6)).astype(np.float32), RANDOM.random((30, 6)).astype(np.float32)
LABEL = np.arange(30) > 25


def save_archive(folder: Path, name: str = "machine.npz", **content: object) -> Path:
    np.savez_compressed(folder / name, **content)  # type: ignore[arg-type]
    return folder / name


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint8]),
        st.tuples(st.integers(2, 30), st.integers(1, 12)),
        elements={"min_value": 0, "max_value": 100},
    ),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_npz_reads_train_test_and_label(tmp_path: Path, test: np.ndarray, rows: int, seed: int) -> None:  # type: ignore[type-arg]
    random = np.random.default_rng(seed)
    train = random.random((rows, test.shape[1]))
    label = random.integers(0, 2, len(test))
    dataset = load([save_archive(tmp_path, "machine-7.npz", train=train, test=test, label=label)])
    np.testing.assert_array_equal(dataset.values, np.vstack([train, test.astype(float)]))
    assert (dataset.layout, dataset.entities, dataset.has_dates) == ("kpi_matrix", ["series"], False)
    assert list(dataset.time) == list(range(rows + len(test)))
    assert dataset.labels is not None
    assert list(dataset.labels) == [False] * rows + list(label > 0)
    assert dataset.context is not None
    assert list(dataset.context["part"].cat.categories) == ["train", "test"]
    assert list(dataset.context["part"]) == ["train"] * rows + ["test"] * len(test)
    assert dataset.columns[0] == "column_1"


@pytest.mark.parametrize("key", ["x", "X", "data", "anything"])
def test_npz_reads_single_matrix(tmp_path: Path, key: str) -> None:
    dataset = load([save_archive(tmp_path, **{key: TEST, "label": LABEL})])
    assert len(dataset) == 30
    assert dataset.context is None
    assert dataset.labels is not None
    assert list(dataset.labels) == list(LABEL)


def test_npz_reads_single_series(tmp_path: Path) -> None:
    assert load([save_archive(tmp_path, x=np.arange(9.0))]).values.shape == (9, 1)


def test_npz_reads_names_and_dates(tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=70, freq="min")
    names = np.array(list("abcdef"))
    for time in (
        times.to_numpy(),
        times.strftime("%Y-%m-%dT%H:%M:%S").to_numpy(dtype=str),
        times.strftime("%Y%m%d%H%M%S").to_numpy(dtype=np.int64),
    ):
        dataset = load([save_archive(tmp_path, train=TRAIN, test=TEST, label=LABEL, columns=names, time=time)])
        assert dataset.columns == list("abcdef")
        assert (dataset.time == times).all()
        assert dataset.entities == ["series"]
        assert dataset.step == pd.Timedelta(minutes=1)


def test_npz_reports_times_without_dates(tmp_path: Path) -> None:
    dataset = load([save_archive(tmp_path, x=TEST, time=np.linspace(0, 1, 30))])
    assert not dataset.has_dates
    assert [note.kind for note in dataset.notes] == ["ignored_columns"]


def test_npz_keeps_missing_and_reports_infinite_values(tmp_path: Path) -> None:
    test = TEST.copy()
    test[3], test[5, 2], test[6, 2] = np.nan, np.inf, -np.inf
    dataset = load([save_archive(tmp_path, x=test)])
    assert len(dataset) == 30  # a row without any value still counts as a row
    assert np.isnan(dataset.values[3]).all()
    assert [(note.kind, note.count) for note in dataset.notes] == [("unreadable_cells", 2)]


INVALID_ARCHIVES = {
    "labels one short": ({"train": TRAIN, "test": TEST, "label": LABEL[:-1]}, ("'label'", "(29,)", "30", "'test'")),
    "labels for all rows": ({"train": TRAIN, "test": TEST, "label": np.zeros(70)}, ("'label'", "(70,)", "30")),
    "labels per kpi": ({"test": TEST, "label": np.zeros((30, 6))}, ("'label'", "(30, 6)")),
    "words for labels": ({"test": TEST, "label": np.array(["no"] * 30)}, ("'label'", "<U2")),
    "another width": ({"train": TRAIN[:, :4], "test": TEST}, ("'test'", "6", "'train'", "4")),
    "images": ({"x_train": np.zeros((9, 2, 2)), "y_train": np.zeros(9)}, ("x_train (9, 2, 2)", "train, test, label")),
    "three axes": ({"x": np.zeros((9, 2, 2))}, ("'x'", "(9, 2, 2)")),
    "two matrices": ({"a": TEST, "b": TEST}, ("a (30, 6), b (30, 6)",)),
    "no rows": ({"x": np.zeros((0, 4))}, ("'x'", "(0, 4)")),
    "words": ({"x": np.array([["a", "b"]])}, ("'x'", "<U1")),
    "complex": ({"x": TEST.astype(complex)}, ("'x'", "complex128")),
    "too few names": ({"x": TEST, "columns": np.array(["a", "b"])}, ("'columns'", "2", "6")),
    "names twice": ({"x": TEST, "columns": np.array(list("aabcde"))}, ("'a'",)),
    "a name that is taken": ({"x": TEST, "columns": np.array(["label", *"abcde"])}, ("'label'",)),
    "moments one short": ({"x": TEST, "time": np.arange(29)}, ("'time'", "29", "30")),
    "too wide": ({"x": np.zeros((2, 5001))}, ("5,00",)),
}


@pytest.mark.parametrize("name", INVALID_ARCHIVES)
def test_npz_rejects_invalid_array(tmp_path: Path, name: str) -> None:
    content, words = INVALID_ARCHIVES[name]
    with pytest.raises(UnreadableFileError) as caught:
        load([save_archive(tmp_path, **content)])
    for word in ("machine.npz", *words):
        assert word in str(caught.value)


class UnpickleTrap:
    """Object that creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:  # type: ignore[type-arg]
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("key", ["x", "train", "columns", "label", "time"])
def test_npz_never_unpickles_objects(tmp_path: Path, key: str) -> None:
    marker = tmp_path / "executed"
    content = {"test": TEST, "label": LABEL} | {key: np.array([UnpickleTrap(marker)] * 30, dtype=object)}
    if key in ("x", "train"):
        content = {key: content[key]}
    path = save_archive(tmp_path, **content)
    with pytest.raises(UnreadableFileError, match=key):
        load([path])
    assert not marker.exists()
    with zipfile.ZipFile(path) as archive:  # unpickling does create the file
        stream = io.BytesIO(archive.read(f"{key}.npy"))
    np.lib.format.read_array(stream, allow_pickle=True)
    assert marker.exists()


def test_npz_rejects_false_header(tmp_path: Path) -> None:
    valid_file = io.BytesIO()
    np.save(valid_file, TEST)
    false_header = valid_file.getvalue().replace(b"(30, 6), }        ", b"(30000000000, 6), }")[
        : len(valid_file.getvalue())
    ]
    assert false_header != valid_file.getvalue()
    with zipfile.ZipFile(tmp_path / "machine.npz", "w") as archive:
        archive.writestr("x.npy", false_header)
    with pytest.raises(UnreadableFileError, match=r"machine\.npz"):
        load([tmp_path / "machine.npz"])


def test_npz_decompression_bomb_is_rejected(tmp_path: Path) -> None:
    path = save_archive(tmp_path, x=np.zeros((4_000_000, 10)))
    with pytest.raises(UnreadableFileError, match="times its size"):
        load([path])


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_npz_rejects_truncated_file(tmp_path: Path, share: float) -> None:
    path = save_archive(tmp_path, train=TRAIN, test=TEST, label=LABEL)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableFileError, match=r"machine\.npz"):
        load([path])


def test_npz_rejects_damaged_values(tmp_path: Path) -> None:
    content = bytearray(save_archive(tmp_path, x=RANDOM.random((400, 6))).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "machine.npz").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"machine\.npz"):
        load([tmp_path / "machine.npz"])


def test_npz_machines_round_trip_through_store(tmp_path: Path) -> None:
    paths = [save_archive(tmp_path, f"machine-{number}.npz", train=TRAIN, test=TEST, label=LABEL) for number in (1, 2)]
    dataset = load(list(paths))
    assert (dataset.entities, len(dataset)) == (["machine-1", "machine-2"], 140)
    store = DatasetStore(tmp_path / "store")
    loaded = store.load(store.save(dataset))
    assert loaded.digest == dataset.digest
    assert loaded.context is not None
    assert (loaded.context["part"] == "train").sum() == 80


def test_npz_matches_csv_and_parquet(tmp_path: Path) -> None:
    """Headerless CSV, a label column in Parquet, and an archive give the same measurements."""
    frame = pd.DataFrame(TEST.astype(float))
    frame.to_csv(tmp_path / "a.csv", header=False, index=False)
    frame.set_axis([f"column_{number}" for number in range(1, 7)], axis=1).assign(label=LABEL.astype(int)).to_parquet(
        tmp_path / "b.parquet"
    )
    csv, parquet, archive = (
        load([path])
        for path in (tmp_path / "a.csv", tmp_path / "b.parquet", save_archive(tmp_path, x=TEST, label=LABEL))
    )
    for dataset in (csv, parquet, archive):
        assert (dataset.layout, dataset.columns) == ("kpi_matrix", archive.columns)
        np.testing.assert_allclose(dataset.values, TEST, rtol=1e-6)
    assert parquet.labels is not None
    assert list(parquet.labels) == list(LABEL)


def format_csv(**options: object) -> bytes:
    frame = pd.DataFrame(np.random.default_rng(8).random((30, 38)))
    return frame.to_csv(**options).encode()  # type: ignore[arg-type, call-overload]


@pytest.mark.parametrize(
    "content",
    [
        format_csv(header=False, index=False),
        format_csv(index=False),
        format_csv(),
        format_csv(index=False, header=[""] * 38),
        format_csv(index=False, header=[f"Unnamed: {number}" for number in range(38)]),
    ],
    ids=["no header", "numbers for names", "numbers for names and rows", "empty names", "unnamed"],
)
def test_kpi_csv_without_column_names(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "machine.csv").write_bytes(content)
    dataset = load([tmp_path / "machine.csv"])
    assert dataset.layout == "kpi_matrix"
    assert (dataset.columns[0], dataset.columns[-1]) == ("column_1", "column_38")
    np.testing.assert_allclose(dataset.values, np.random.default_rng(8).random((30, 38)), rtol=1e-12)


@pytest.mark.parametrize("word", [bool, int, float, lambda flag: "vrai" if flag else "faux"])
def test_kpi_csv_reads_text_labels(tmp_path: Path, word: Callable[[bool], object]) -> None:
    frame = pd.DataFrame(TEST).assign(label=[word(bool(flag)) for flag in LABEL])
    frame.to_csv(tmp_path / "machine.csv", index=False)
    dataset = load([tmp_path / "machine.csv"])
    assert dataset.values.shape == (30, 6)
    assert dataset.labels is not None
    assert list(dataset.labels) == list(LABEL)


@pytest.mark.parametrize(
    ("file", "rows", "columns", "abnormal"),
    [
        ("smd/machine-1-6.npz", 47_377, 38, 3_708),
        ("smd/machine-2-1.npz", 47_387, 38, 1_170),
        ("asd/omi-1.npz", 12_960, 19, 441),
    ],
)
def test_npz_reads_real_machines(shared_data: Path, file: str, rows: int, columns: int, abnormal: int) -> None:
    if not (shared_data / file).is_file():
        pytest.skip(f"no {file}")
    dataset = load([shared_data / file])
    assert dataset.values.shape == (rows, columns)
    assert dataset.labels is not None
    assert int(dataset.labels.sum()) == abnormal
    assert run_checks(dataset).summary.rows == rows


# ---- root causes ----------------------------------------------------------------------------------------------------


def test_root_causes_read_events(tmp_path: Path) -> None:
    path = tmp_path / "machine.txt"
    path.write_text("20-25:3\n\n2-5:1,2, 6\n")
    assert read_root_causes(path) == [RootCause(2, 6, (0, 1, 5)), RootCause(20, 26, (2,))]
    exclusive = np.isin(np.arange(30), [2, 3, 4, *range(20, 25)])
    assert [(event.start, event.stop) for event in read_root_causes(path, exclusive, 6)] == [(2, 5), (20, 25)]
    inclusive = np.isin(np.arange(30), [2, 3, 4, 5, *range(20, 26)])
    assert [(event.start, event.stop) for event in read_root_causes(path, inclusive, 6)] == [(2, 6), (20, 26)]


@pytest.mark.parametrize("line", ["5-2:1", "2-5", "2-5:", "2-5:0", "2-5:1;2", "a-b:1", "2-5:9", "99-100:1"])
def test_root_causes_reject_invalid_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "machine.txt"
    path.write_text(f"1-2:1\n{line}\n")
    with pytest.raises(UnreadableFileError, match=r"machine\.txt"):
        read_root_causes(path, np.ones(30, dtype=bool), 6)


@pytest.mark.parametrize("folder", ["smd", "asd"])
def test_root_causes_match_real_labels(shared_data: Path, folder: str) -> None:
    """Every event in the files covers exactly one stretch of rows labelled abnormal."""
    for path in sorted((shared_data / folder / "interpretation_label").glob("*.txt")):
        dataset = load([shared_data / folder / f"{path.stem}.npz"])
        assert dataset.context is not None
        assert dataset.labels is not None
        labels = dataset.labels.to_numpy()[(dataset.context["part"] == "test").to_numpy()]
        covered = np.zeros(len(labels), dtype=int)
        for event in read_root_causes(path, labels, len(dataset.columns)):
            covered[event.start : event.stop] += 1
        np.testing.assert_array_equal(covered, labels.astype(int))
