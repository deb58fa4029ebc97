"""The NetMob reader: mobile traffic per application and tile, in the tile and the city layout."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_clock_labels
from core.data.ingest.files import SkippedFile
from core.data.ingest.loading import load, load_preview
from core.data.quality.doctor import run_checks
from core.errors import UnreadableFileError
from tests.support.netmob_samples import (
    CLOCK_CHANGE_DAY,
    format_line,
    make_days,
    make_traffic,
    write_official_files,
    write_tile_files,
)

few_examples = settings(max_examples=15)


def select_entity(dataset: Dataset, entity: str) -> pd.DataFrame:
    """Return the rows of an entity in the order of time."""
    return dataset.frame.xs(entity, level="entity").sort_index()


def test_netmob_reader_reads_tile_layout(tmp_path: Path) -> None:
    values = make_traffic(3, 40)
    dataset = load(list(write_tile_files(tmp_path, "Netflix", values)))
    assert (dataset.layout, dataset.profile, dataset.unit, len(dataset)) == ("netmob", True, "", 120)
    assert dataset.columns == make_clock_labels(96)
    assert dataset.step == pd.Timedelta(minutes=15)
    assert dataset.entities == ["Netflix · DL · 100", "Netflix · DL · 101", "Netflix · DL · 102"]
    for number, entity in enumerate(dataset.entities):
        np.testing.assert_array_equal(select_entity(dataset, entity).to_numpy(), values[number])
        assert (select_entity(dataset, entity).index == make_days(40)).all()
    assert not pd.Index(dataset.time[:40]).is_monotonic_increasing  # rows stay in the order of the file
    forward = dataset.values[dataset.time == CLOCK_CHANGE_DAY]
    assert np.isnan(forward[:, 8:12]).all()
    assert forward.shape == (3, 96)
    assert not np.isnan(forward[:, [7, 12]]).all()


def test_netmob_reader_reads_city_layout(tmp_path: Path) -> None:
    values = make_traffic(4, 20)
    dataset = load(list(write_official_files(tmp_path, "Saint-Etienne", "Apple_Video", values)))
    assert (dataset.layout, dataset.profile, len(dataset)) == ("netmob", True, 160)
    assert dataset.entities[:2] == ["Saint-Etienne · Apple_Video · DL · 100", "Saint-Etienne · Apple_Video · DL · 101"]
    for number in range(4):
        for direction, factor in (("DL", 1.0), ("UL", 0.1)):
            rows = select_entity(dataset, f"Saint-Etienne · Apple_Video · {direction} · {100 + number}")
            np.testing.assert_allclose(rows.to_numpy(), values[number] * factor, rtol=1e-12)


@pytest.mark.parametrize("container", ["folder", "zip", "gz"])
def test_netmob_reader_reads_folders_and_archives(tmp_path: Path, container: str) -> None:
    """The GeoJSON map next to the files is ignored; files of several folders are one dataset."""
    root = tmp_path / "NetMob23"
    values = make_traffic(2, 17)
    paths = write_official_files(root, "Lyon", "Netflix", values)
    inputs: list[Path] = [root]
    if container == "zip":
        inputs = [tmp_path / "netmob.zip"]
        with zipfile.ZipFile(inputs[0], "w") as archive:
            for path in (*paths, root / "Lyon.geojson"):
                archive.write(path, path.relative_to(tmp_path))
    if container == "gz":
        inputs = []
        for path in paths:
            inputs.append(tmp_path / f"{path.name}.gz")
            inputs[-1].write_bytes(gzip.compress(path.read_bytes()))
    dataset = load(list(inputs))
    assert len(dataset) == 2 * 2 * 17
    np.testing.assert_array_equal(select_entity(dataset, "Lyon · Netflix · DL · 101").to_numpy(), values[1])


def test_netmob_reader_joins_both_layouts(tmp_path: Path) -> None:
    paths = [
        *write_tile_files(tmp_path, "Netflix", make_traffic(1, 17)),
        *write_official_files(tmp_path, "Lyon", "Netflix", make_traffic(1, 17)),
    ]
    assert load(list(paths)).entities == [
        "Lyon · Netflix · DL · 100",
        "Lyon · Netflix · UL · 100",
        "Netflix · DL · 100",
    ]


@few_examples
@given(st.integers(1, 3), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_netmob_generated_files_round_trip(
    tmp_path_factory: pytest.TempPathFactory, tiles: int, count: int, seed: int
) -> None:
    values = make_traffic(tiles, count, seed)
    dataset = load(list(write_tile_files(tmp_path_factory.mktemp("twin"), "Web_Adult", values, seed)))
    for number in range(tiles):
        np.testing.assert_array_equal(
            select_entity(dataset, f"Web_Adult · DL · {100 + number}").to_numpy(), values[number]
        )


def test_netmob_doctor_and_preview(tmp_path: Path) -> None:
    paths = write_tile_files(tmp_path, "Spotify", make_traffic(1, 77))
    report = run_checks(load(list(paths)))
    assert (report.summary.rows, report.summary.dates) == (77, 77)
    assert "incomplete_rows" in {finding.kind for finding in report.findings}
    assert load_preview(list(paths)).layout == "netmob"


DAY_VALUES = np.arange(1.0, 97)


def make_tile(*lines: str) -> str:
    return "\n".join([format_line("20190316", DAY_VALUES, False), *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (make_tile(format_line("20190317", DAY_VALUES[:-1], False)), ("line 2", "95", "2019-03-17", "96")),
        (make_tile(format_line("20190317", DAY_VALUES, True)), ("line 2", "92", "2019-03-17")),
        (make_tile(format_line("20190331", DAY_VALUES[:-1], False)), ("line 2", "95")),
        (make_tile(format_line("20190317", np.append(DAY_VALUES, DAY_VALUES), False)), ("line 2", "192")),
        (make_tile("20190317"), ("line 2", "0 quarter-hours")),
        (make_tile(format_line("20190231", DAY_VALUES, False)), ("line 2", "20190231")),
        (make_tile(format_line("17", DAY_VALUES, False)), ("line 2", "'17'")),
        (make_tile(format_line("20190317", DAY_VALUES, False).replace(" 7.0 ", " seven ")), ("line 2", "seven")),
        (
            make_tile(format_line("20190317", DAY_VALUES, False).replace(" 7.0 ", " 20190531 ")),
            ("line 2", "20190531", "date"),
        ),
        (
            make_tile(
                format_line("20190317", DAY_VALUES, False).replace(" 1.0 ", " nan ").replace(" 7.0 ", " 20190531.0 ")
            ),
            ("line 2", "date"),
        ),
        ("20190316 1 2 3\n", ("line 1", "3 quarter-hours")),
    ],
)
def test_netmob_reader_rejects_with_file_and_line(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    good = write_tile_files(tmp_path, "Netflix", make_traffic(1, 5))
    path = tmp_path / "Netflix_DL_Tile_7.txt"
    path.write_text(text)
    with pytest.raises(UnreadableFileError) as caught:
        load([*good, path])
    for word in ("Netflix_DL_Tile_7.txt", *words):
        assert word in str(caught.value)
    skipped: list[SkippedFile] = []
    dataset = load([*good, path], skipped=skipped)
    assert [skipped_file.file for skipped_file in skipped] == ["Netflix_DL_Tile_7.txt"]
    assert (dataset.entities, len(dataset)) == (["Netflix · DL · 100"], 5)  # no rows of the bad file


def test_netmob_reader_keeps_large_values_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "Netflix_DL_Tile_7.txt"
    path.write_text(
        format_line("20190316", DAY_VALUES * 1e7 + 0.5, False) + "\n" + format_line("20190317", DAY_VALUES, False)
    )
    assert load([path]).values[0, 1] == 2e7 + 0.5


def test_netmob_reader_reports_infinities(tmp_path: Path) -> None:
    path = tmp_path / "Netflix_DL_Tile_7.txt"
    path.write_text(make_tile(format_line("20190317", DAY_VALUES, False).replace(" 7.0 ", " inf ")))
    dataset = load([path])
    assert np.isnan(dataset.values[1, 6])
    assert [note.kind for note in dataset.notes] == ["unreadable_cells"]


def test_netmob_reader_reports_repeated_day(tmp_path: Path) -> None:
    path = tmp_path / "Netflix_DL_Tile_7.txt"
    path.write_text(
        make_tile(
            format_line("20190316", DAY_VALUES, False),
            format_line("20190317", DAY_VALUES, False),
            format_line("20190317", DAY_VALUES * 2, False),
        )
    )
    dataset = load([path])
    assert len(dataset) == 3
    kinds = {finding.kind: finding.count for finding in run_checks(dataset).findings}
    assert (kinds["repeated_rows"], kinds["duplicate_keys"]) == (1, 1)


def test_netmob_reader_requires_day_in_name(tmp_path: Path) -> None:
    path = tmp_path / "tiles.txt"
    path.write_text(format_line(100, DAY_VALUES, False) + "\n")
    with pytest.raises(UnreadableFileError, match="does not give the day"):
        load([path])
    path.write_text(
        format_line("20190316", DAY_VALUES, False) + "\n" + format_line("20190317", DAY_VALUES, False) + "\n"
    )
    assert load([path]).entities == ["tiles"]


def test_netmob_reader_ignores_other_number_files(tmp_path: Path) -> None:
    """A file of numbers without a day in each line has another layout."""
    path = tmp_path / "kpis.csv"
    path.write_text("\n".join(",".join(str(number + row) for number in range(97)) for row in range(5)))
    assert load([path]).layout == "kpi_matrix"
