"""SEQ files, the windows of a series saved by torch: reading, writing, and no execution of their code."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.conversion import NetmobFilter, convert_netmob
from core.data.dataset import Dataset, make_index
from core.data.ingest.files import SkippedFile
from core.data.ingest.loading import load
from core.data.seq_writer import write_seq
from core.errors import DataError, InputError, UnreadableFileError
from core.exports import format_likelihoods, read_likelihoods
from tests.support.netmob_samples import make_traffic, write_tile_files

quick = settings(max_examples=20)
TIMESTAMPS = pd.date_range("2019-03-16", periods=60, freq="15min")
VALUES = np.random.default_rng(3).normal(size=(60, 5))


def make_series(values: np.ndarray = VALUES, times: pd.Index = TIMESTAMPS, entity: str = "a") -> Dataset:  # type: ignore[type-arg]
    """Make a dataset in which every seventh row is labelled as abnormal."""
    index = make_index([entity] * len(values), times[: len(values)])
    names = [f"column_{number}" for number in range(1, values.shape[1] + 1)]
    labels = pd.Series(np.arange(len(values)) % 7 == 0, index=index)
    return Dataset(pd.DataFrame(values, index=index, columns=names), "kpi_matrix", labels=labels)


def write_window(
    folder: Path, name: str, values: np.ndarray, stamps: object, label: object = None, dtype: object = np.float64
) -> Path:  # type: ignore[type-arg]
    """Write a file as the original does, with a tensor and arrays."""
    rows = len(values)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "value": torch.from_numpy(values.astype(dtype).reshape(rows, 1, -1, 1).copy()),
        "label": np.zeros((rows, 1, 1), np.int64) if label is None else label,
        "ts": np.asarray(stamps, dtype=np.int64).reshape(rows, 1, 1)
        if not isinstance(stamps, torch.Tensor)
        else stamps,
    }
    torch.save(content, folder / name)
    return folder / name


def write_windows(
    folder: Path,
    values: np.ndarray = VALUES,
    length: int = 20,
    with_timestamps: bool = True,
    name_pattern: str = "{}.seq",
) -> list[Path]:  # type: ignore[type-arg]
    """Write every window of `values`. Its timestamps are the numbers of its rows, or zeros."""
    return [
        write_window(
            folder,
            name_pattern.format(start + 1),
            values[start : start + length],
            np.arange(start, start + length) * with_timestamps,
        )
        for start in range(len(values) - length + 1)
    ]


def assert_values(dataset: Dataset, values: np.ndarray = VALUES) -> None:  # type: ignore[type-arg]
    np.testing.assert_array_equal(dataset.values, values)


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["folder", "files", "reversed", "zip"])
def test_seq_reader_joins_windows(tmp_path: Path, container: str) -> None:
    paths = write_windows(tmp_path / "train")
    inputs: list[Path] = {"folder": [tmp_path / "train"], "files": paths, "reversed": paths[::-1]}.get(
        container, [tmp_path / "t.zip"]
    )
    if container == "zip":
        with zipfile.ZipFile(inputs[0], "w") as archive:
            for path in paths:
                archive.write(path, f"train/{path.name}")
    dataset = load(list(inputs))
    assert_values(dataset)
    assert (dataset.layout, dataset.has_dates, dataset.notes) == ("seq", False, ())
    assert list(dataset.time) == list(range(60))
    assert dataset.entities == ["series"]
    assert dataset.labels is not None
    assert not dataset.labels.any()


def test_seq_reader_orders_by_timestamp(tmp_path: Path) -> None:
    """The order follows from the timestamps, not from the names of the files."""
    order = np.random.default_rng(1).permutation(41)
    for number, start in enumerate(order):
        stamps = [int(time.strftime("%Y%m%d%H%M%S")) for time in TIMESTAMPS[start : start + 20]]
        write_window(tmp_path / "train", f"export-{number:03d}.pt", VALUES[start : start + 20], stamps)
    dataset = load([tmp_path / "train"])
    assert_values(dataset)
    assert (dataset.time == TIMESTAMPS).all()
    assert dataset.step == pd.Timedelta(minutes=15)
    assert dataset.entities == ["series"]


@pytest.mark.parametrize("kind", ["array", "tensor"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64])
def test_seq_reader_accepts_array_and_tensor_labels(tmp_path: Path, kind: str, dtype: type) -> None:
    label = np.zeros((20, 1, 1), np.int64)
    label[7:9] = 1
    stamps = np.arange(20).reshape(20, 1, 1)
    values = np.arange(100).reshape(20, 5) / (2 if np.issubdtype(dtype, np.floating) else 1)
    convert = torch.from_numpy if kind == "tensor" else np.asarray
    write_window(
        tmp_path, "1.seq", values, torch.from_numpy(stamps) if kind == "tensor" else stamps, convert(label), dtype
    )
    dataset = load([tmp_path / "1.seq"])
    np.testing.assert_array_equal(dataset.values, values)
    assert dataset.labels is not None
    assert list(np.flatnonzero(dataset.labels)) == [7, 8]
    assert dataset.entities == ["series"]


def test_seq_reader_accepts_numpy_1_and_2(tmp_path: Path) -> None:
    """Files written with NumPy 1 name `numpy.core`, those of NumPy 2 `numpy._core`."""
    new = write_window(tmp_path, "new.seq", VALUES[:20], np.arange(20))
    old = tmp_path / "old.seq"
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for member in source.infolist():
            content = source.read(member)
            assert not member.filename.endswith("data.pkl") or b"numpy._core" in content
            target.writestr(member, content.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray"))
    assert_values(load([old]), VALUES[:20])


def test_seq_reader_notes_differing_windows(tmp_path: Path) -> None:
    write_windows(tmp_path)
    changed = VALUES[10:30].copy()
    changed[3:5] += 1
    write_window(tmp_path, "11.seq", changed, np.arange(10, 30))
    dataset = load([tmp_path])
    assert_values(dataset)  # the value of the first window is kept
    [note] = dataset.notes
    assert (note.kind, note.count) == ("differing_windows", 2)


def test_seq_reader_accepts_equal_missing_values(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[::4, 2] = np.nan
    write_windows(tmp_path, values)
    dataset = load([tmp_path])
    assert_values(dataset, values)
    assert dataset.notes == ()


@pytest.mark.parametrize("step", [1, 3, 20])
def test_seq_reader_joins_windows_without_timestamps(tmp_path: Path, step: int) -> None:
    """Each window is joined where it agrees with the previous one; 10.seq follows 9.seq."""
    for number, start in enumerate(range(0, 41, step), start=1):
        write_window(tmp_path, f"{number}.seq", VALUES[start : start + 20], np.zeros(20))
    dataset = load([tmp_path])
    last = (40 // step) * step + 20
    assert_values(dataset, VALUES[:last])
    assert list(dataset.time) == list(range(last))
    kinds = {note.kind: note.count for note in dataset.notes}
    assert kinds["windows_without_moments"] == 40 // step + 1
    assert ("broken_windows" in kinds) == (step == 20)


def test_seq_reader_joins_constant_windows_without_timestamps(tmp_path: Path) -> None:
    write_windows(tmp_path, np.ones((30, 2)), with_timestamps=False)
    assert_values(load([tmp_path]), np.ones((30, 2)))


def test_seq_reader_splits_series_in_one_folder(tmp_path: Path) -> None:
    """The tiles of one application follow each other; a repeated first timestamp starts the next series."""
    other_values = VALUES + 5
    for start in range(41):
        write_window(tmp_path / "w", f"{start + 1}.seq", VALUES[start : start + 20], np.arange(start, start + 20))
        write_window(
            tmp_path / "w", f"{start + 42}.seq", other_values[start : start + 20], np.arange(start, start + 20)
        )
    dataset = load([tmp_path / "w"])
    assert dataset.entities == ["w · 1", "w · 2"]
    np.testing.assert_array_equal(dataset.values, np.vstack([VALUES, other_values]))


def test_seq_reader_keeps_one_window_of_each_tile(tmp_path: Path) -> None:
    """A folder may hold one window per tile, named by the tile, all of the same days."""
    for tile in (100023, 453162, 7):
        write_window(tmp_path / "w", f"{tile}.seq", VALUES[:20] + tile, np.arange(20))
    write_window(tmp_path / "w", "453163.seq", VALUES[:20] + 453162, np.arange(20))  # a copy is no other tile
    dataset = load([tmp_path / "w"])
    assert dataset.notes == ()
    assert [len(dataset.filter_rows(entities=[entity])) for entity in dataset.entities] == [20, 20, 20]
    np.testing.assert_array_equal(dataset.values, np.vstack([VALUES[:20] + tile for tile in (7, 100023, 453162)]))


def test_seq_reader_reads_subfolders(tmp_path: Path) -> None:
    write_windows(tmp_path / "set" / "train")
    write_windows(tmp_path / "set" / "test", VALUES * 2)
    dataset = load([tmp_path / "set"])
    assert dataset.entities == ["test", "train"]
    np.testing.assert_array_equal(dataset.frame.xs("test", level="entity").to_numpy(), VALUES * 2)


def test_seq_reader_reads_large_zip(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(size=(1103, 2))
    assert write_seq(make_series(values, pd.RangeIndex(1103), entity="long"), tmp_path / "w", window=3) == 1101
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        for path in (tmp_path / "w").iterdir():
            archive.write(path, path.name)
    shares: list[float] = []
    dataset = load([tmp_path / "w.zip"], progress=shares.append)
    assert_values(dataset, values)
    assert dataset.entities == ["long"]
    assert shares == sorted(shares)
    assert (len(shares) > 1000, shares[-1]) == (True, 1.0)


# ---- refused files --------------------------------------------------------------------------------------------------


class Trap:
    """Object that runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:  # type: ignore[type-arg]
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("where", ["value", "label", "extra", "whole", "inside an array"])
def test_seq_reader_executes_no_code(tmp_path: Path, where: str) -> None:
    marker, trap = tmp_path / "executed", Trap(tmp_path / "executed")
    content: object = {"value": torch.zeros(20, 1, 5, 1), "label": np.zeros((20, 1, 1)), "ts": np.arange(20)}
    match where:
        case "whole":
            content = trap
        case "inside an array":
            content["label"] = np.array([trap] * 20, dtype=object)  # type: ignore[index]
        case _:
            content[where] = trap  # type: ignore[index]
    path = tmp_path / "12.seq"
    torch.save(content, path)
    with pytest.raises(UnreadableFileError, match=r"12\.seq"):
        load([path])
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the trap works
    assert marker.exists()


INVALID_CONTENTS: dict[str, tuple[object, tuple[str, ...]]] = {
    "no value": ({"label": np.zeros(20)}, ("value", "label")),
    "a list": ([1, 2, 3], ("list",)),
    "a tensor": (torch.zeros(3), ("Tensor",)),
    "words": ({"value": "twenty"}, ("'value'", "str")),
    "three axes": ({"value": torch.zeros(20, 2, 5, 1)}, ("'value'", "(20, 2, 5, 1)")),
    "wide": ({"value": torch.zeros(20, 1, 5, 2)}, ("'value'", "(20, 1, 5, 2)")),
    "no rows": ({"value": torch.zeros(0, 1, 5, 1)}, ("'value'", "(0, ")),
    "complex": ({"value": torch.zeros(20, 1, 5, 1, dtype=torch.complex64)}, ("'value'",)),
    "sparse": ({"value": torch.zeros(20, 5).to_sparse()}, ("'value'",)),
    "out of thin air": ({"value": torch.zeros(1).expand(10**6, 10**4)}, ("'value'", "(1000000, 10000)")),
    "short labels": ({"value": torch.zeros(20, 1, 5, 1), "label": np.zeros(19)}, ("'label'", "(19,)", "20")),
    "half labels": ({"value": torch.zeros(20, 1, 5, 1), "label": np.full(20, 0.5)}, ("'label'",)),
    "short ts": ({"value": torch.zeros(20, 1, 5, 1), "ts": torch.zeros(3)}, ("'ts'", "(3,)")),
}


@pytest.mark.parametrize("name", INVALID_CONTENTS)
def test_seq_reader_names_invalid_field(tmp_path: Path, name: str) -> None:
    content, words = INVALID_CONTENTS[name]
    torch.save(content, tmp_path / "7.seq")
    with pytest.raises(UnreadableFileError) as caught:
        load([tmp_path / "7.seq"])
    for word in ("7.seq", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_seq_reader_reports_truncated_file(tmp_path: Path, share: float) -> None:
    paths = write_windows(tmp_path)
    paths[4].write_bytes(paths[4].read_bytes()[: int(paths[4].stat().st_size * share)])
    with pytest.raises(UnreadableFileError, match=r"5\.seq"):
        load(list(paths))
    skipped: list[SkippedFile] = []
    assert_values(load(list(paths), skipped=skipped))  # the other windows hold the same rows
    assert [skipped_file.file for skipped_file in skipped] == ["5.seq"]


def test_seq_reader_rejects_changed_column_count(tmp_path: Path) -> None:
    write_windows(tmp_path)
    write_window(tmp_path, "17.seq", VALUES[:20, :3], np.arange(20))
    with pytest.raises(UnreadableFileError, match=r"17\.seq: the window has 3 columns. The previous windows have 5"):
        load([tmp_path])


def test_seq_reader_rejects_mixed_timestamps(tmp_path: Path) -> None:
    write_windows(tmp_path)
    write_window(tmp_path, "17.seq", VALUES[16:36], np.zeros(20))
    with pytest.raises(UnreadableFileError, match=r"17\.seq: 'ts'"):
        load([tmp_path])


# ---- writing --------------------------------------------------------------------------------------------------------


def test_write_seq_matches_original_format(tmp_path: Path) -> None:
    assert write_seq(make_series(), tmp_path / "out") == 41
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{number}.seq" for number in range(1, 42)}
    content = torch.load(tmp_path / "out" / "2.seq")  # as the original's loader does: no option allows other types
    assert (content["value"].shape, content["value"].dtype) == ((20, 1, 5, 1), torch.float64)
    for key in ("label", "ts"):
        assert (content[key].shape, content[key].dtype) == ((20, 1, 1), torch.int64)
    assert content["ts"][0, 0, 0] == 20190316001500
    assert torch.nonzero(content["label"].flatten()).flatten().tolist() == [6, 13]
    np.testing.assert_array_equal(content["value"][:, 0, :, 0], VALUES[1:21])
    assert (tmp_path / "out" / "1.seq").stat().st_size < 10_000  # one window, not the storage of the whole series


@quick
@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 30), st.booleans(), st.integers(0, 2**32 - 1))
def test_write_seq_round_trip(
    tmp_path_factory: pytest.TempPathFactory, columns: int, length: int, more: int, dated: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    parts = []
    for entity in ("north", "south"):
        values = random.normal(size=(length + more, columns))
        values[random.random(values.shape) < 0.05] = np.nan
        parts.append(make_series(values, TIMESTAMPS if dated else pd.RangeIndex(60), entity))
    dataset = parts[0].replace(
        frame=pd.concat([part.frame for part in parts]), labels=pd.concat([part.labels for part in parts])
    )
    folder = tmp_path_factory.mktemp("windows")
    assert write_seq(dataset, folder, length) == 2 * (more + 1)
    if np.isnan(dataset.values).all():
        return
    reread = load([folder])
    np.testing.assert_array_equal(reread.values, dataset.values)
    assert list(reread.frame.index) == list(dataset.frame.index)
    assert reread.labels is not None
    assert dataset.labels is not None
    assert list(reread.labels) == list(dataset.labels)
    assert reread.entities == ["north", "south"]


def test_written_windows_fill_batches_of_torch(tmp_path: Path) -> None:
    write_seq(make_series(), tmp_path)
    keys = ("ts", "label", "value")
    windows = [torch.load(tmp_path / f"{number}.seq") for number in range(1, 5)]
    [batch] = torch.utils.data.DataLoader([tuple(window[key] for key in keys) for window in windows], batch_size=4)
    assert [tuple(part.shape) for part in batch] == [(4, 20, 1, 1), (4, 20, 1, 1), (4, 20, 1, 5, 1)]


@settings(quick, max_examples=5)
@given(st.integers(1, 3), st.integers(20, 22), st.integers(0, 2**32 - 1))
def test_windows_of_netmob_are_the_days_of_its_files(
    tmp_path_factory: pytest.TempPathFactory, tiles: int, days: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("netmob")
    write_tile_files(folder, "Netflix", make_traffic(tiles, days, seed))
    convert_netmob(folder, folder / "windows", NetmobFilter("netflix"))
    from_windows, from_files = load([folder / "windows"]), load([folder / "Netflix"])
    assert from_windows.columns[:2] == ["00:00", "00:15"]
    assert (from_windows.profile, from_windows.step) == (True, from_files.step)
    pd.testing.assert_frame_equal(
        from_windows.frame.sort_index(), from_files.frame.sort_index(), check_index_type=False, check_column_type=False
    )


@pytest.mark.parametrize("stamps", ["row numbers", "minutes"])
def test_windows_of_96_kpis_that_are_no_days_keep_their_numbers(tmp_path: Path, stamps: str) -> None:
    times = pd.RangeIndex(60) if stamps == "row numbers" else pd.date_range("2024-01-01", periods=60, freq="min")
    write_seq(make_series(np.random.default_rng(0).normal(size=(30, 96)), times), tmp_path)
    dataset = load([tmp_path])
    assert (dataset.columns[3], dataset.profile) == ("column_4", False)


def test_write_seq_sorts_rows(tmp_path: Path) -> None:
    shuffled = make_series().take_rows(np.random.default_rng(0).permutation(60))
    write_seq(shuffled, tmp_path)
    assert_values(load([tmp_path]))


def test_write_seq_rejects_invalid_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="61"):
        write_seq(make_series(), tmp_path / "out", window=61)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError):
        write_seq(make_series(), tmp_path / "out", window=0)
    write_seq(make_series(), tmp_path / "out")
    with pytest.raises(InputError, match="already contains"):
        write_seq(make_series(), tmp_path / "out")


# ---- likelihood files -----------------------------------------------------------------------------------------------


def test_likelihoods_have_the_original_format() -> None:
    text = format_likelihoods([42, 43], [158.22906494140625, -2.5], [False, True], original=True)
    assert text == "42,-158.22906494140625,Normaly\n43,2.5,Anomaly\n"
    text = format_likelihoods(TIMESTAMPS[:2], [1.0, 0.1], [False, False])
    assert text == "20190316000000,-1.0,Normal\n20190316001500,-0.1,Normal\n"


@quick
@given(st.lists(st.tuples(st.floats(allow_nan=False), st.booleans()), max_size=30), st.booleans())
def test_likelihood_file_round_trip(tmp_path: Path, rows: list[tuple[float, bool]], original: bool) -> None:
    path = tmp_path / "scores.txt"
    text = format_likelihoods(
        range(len(rows)), [score for score, _ in rows], [label for _, label in rows], original=original
    )
    path.write_text(text, encoding="ascii")
    timestamps, scores, labels = read_likelihoods(path)
    assert timestamps == [str(number) for number in range(len(rows))]
    assert list(scores) == [score for score, _ in rows]
    assert list(labels) == [label for _, label in rows]


@pytest.mark.parametrize("line", ["1,2", "1,x,Normal", "1,2,Fine", "1,2,Normal,3", ""])
def test_read_likelihoods_names_invalid_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.txt"
    path.write_text(f"1,-2.0,Normaly\n{line}\n")
    with pytest.raises(UnreadableFileError, match=r"scores\.txt, line 2"):
        read_likelihoods(path)
