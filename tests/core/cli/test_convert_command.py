"""The command `python -m core convert` in its own process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.data.ingest.loading import load
from tests.conftest import Command
from tests.support.commands import read_json_output
from tests.support.netmob_samples import make_days, make_traffic, write_official_files, write_tile_files


def test_convert_command_tiles_to_windows(vigie: Command, tmp_path: Path) -> None:
    values = make_traffic(3, 77)
    write_tile_files(tmp_path / "NetMob23", "Netflix", values)
    write_tile_files(tmp_path / "NetMob23", "Spotify", values)
    out = tmp_path / "windows"
    summary = read_json_output(
        vigie(
            "convert",
            "netmob",
            "--input_path",
            tmp_path / "NetMob23",
            "--output_path",
            out,
            "--app",
            "netflix",
            "--json",
        )
    )
    assert (summary["files"], summary["entities"], summary["rows"], summary["windows"]) == (3, 3, 231, 3 * 58)
    assert summary["skipped"] == []
    assert {path.name for path in out.iterdir()} == {f"{number}.seq" for number in range(1, 175)}
    first = torch.load(out / "59.seq", weights_only=False)  # the first window of the second tile
    np.testing.assert_array_equal(first["value"][:, 0, :, 0], values[1, :20])
    assert list(first["ts"][:, 0, 0]) == [int(f"{day:%Y%m%d}000000") for day in make_days(20)]
    dataset = load([out])
    assert dataset.entities == ["Netflix · DL · 100", "Netflix · DL · 101", "Netflix · DL · 102"]
    np.testing.assert_array_equal(dataset.values, values.reshape(-1, 96))


def test_convert_command_official_tile_to_windows(vigie: Command, tmp_path: Path) -> None:
    values = make_traffic(3, 30)
    write_official_files(tmp_path / "NetMob23", "Lyon", "Netflix", values)
    out = tmp_path / "windows"
    summary = read_json_output(
        vigie(
            "convert",
            "netmob",
            "--input-path",
            tmp_path / "NetMob23",
            "--output-path",
            out,
            "--app",
            "Netflix",
            "--tile",
            101,
            "--direction",
            "UL",
            "--window",
            7,
            "--json",
        )
    )
    assert (summary["files"], summary["entities"], summary["rows"], summary["windows"]) == (30, 1, 30, 24)
    dataset = load([out])
    assert dataset.entities == ["Lyon · Netflix · UL · 101"]
    np.testing.assert_allclose(dataset.values, values[1] * 0.1, rtol=1e-12)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    "layout",
    [write_tile_files, lambda folder, app, values: write_official_files(folder, "Lyon", app, values)],
    ids=["tiles", "city"],
)
def test_convert_command_netmob_to_table(
    vigie: Command, tmp_path: Path, form: str, layout: Callable[..., list[Path]]
) -> None:
    paths = layout(tmp_path / "NetMob23", "Netflix", make_traffic(2, 20))
    out = tmp_path / f"netflix.{form}"
    summary = read_json_output(
        vigie(
            "convert",
            "netmob",
            "--input-path",
            tmp_path / "NetMob23",
            "--output-path",
            out,
            "--app",
            "Netflix",
            "--format",
            form,
            "--json",
        )
    )
    direct, reread = load(list(paths)), load([out])
    assert (summary["rows"], summary["entities"], summary["windows"]) == (len(direct), len(direct.entities), 0)
    assert reread.layout == "netmob"
    pd.testing.assert_frame_equal(reread.frame.sort_index(), direct.frame.sort_index())


def test_convert_command_lists_skipped_files(vigie: Command, tmp_path: Path) -> None:
    paths = write_tile_files(tmp_path / "NetMob23", "Netflix", make_traffic(4, 30))
    lines = paths[1].read_text().splitlines()
    lines[4] = lines[4].rpartition(" ")[0]
    paths[1].write_text("\n".join(lines))
    paths[2].write_text("\n".join(paths[2].read_text().splitlines()[:12]))
    paths[3].write_bytes(b"")
    out = tmp_path / "windows"
    command = ("convert", "netmob", "--input-path", tmp_path / "NetMob23", "--output-path", out, "--app", "Netflix")
    summary = read_json_output(vigie(*command, "--json"))
    assert summary["windows"] == 11
    reasons = {entry["file"]: entry["reason"] for entry in summary["skipped"]}
    assert set(reasons) == {paths[1].name, paths[3].name, "Netflix · DL · 102"}
    assert "line 5" in reasons[paths[1].name]
    assert "empty" in reasons[paths[3].name]
    assert "12" in reasons["Netflix · DL · 102"]
    second_run = vigie(*command)  # the folder already holds windows
    assert second_run.returncode == 2
    assert "already contains windows (.seq)" in second_run.stderr
    text_run = vigie(*command[:5], tmp_path / "other", *command[6:])
    assert (text_run.returncode, text_run.stderr.count("  skipped: ")) == (0, 3)


def test_convert_command_windows_to_table(vigie: Command, tmp_path: Path) -> None:
    values = make_traffic(2, 30)
    write_tile_files(tmp_path / "NetMob23", "Netflix", values)
    windows = tmp_path / "windows"
    read_json_output(
        vigie(
            "convert",
            "netmob",
            "--input-path",
            tmp_path / "NetMob23",
            "--output-path",
            windows,
            "--app",
            "Netflix",
            "--json",
        )
    )
    (windows / "5.seq").write_bytes((windows / "5.seq").read_bytes()[:900])
    (windows / "readme.md").write_text("windows of two tiles")
    out = tmp_path / "all.parquet"
    summary = read_json_output(vigie("convert", "seq", "--input-path", windows, "--output-path", out, "--json"))
    assert (summary["files"], summary["entities"], summary["rows"], summary["windows"]) == (21, 2, 60, 21)
    assert {entry["file"] for entry in summary["skipped"]} == {"5.seq", "readme.md"}
    np.testing.assert_array_equal(load([out]).values, values.reshape(-1, 96))
    refused = vigie("convert", "seq", "--input-path", windows, "--output-path", tmp_path / "all.npz")
    assert refused.returncode == 2
    assert "one series, not 2" in refused.stderr


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".csv"])
@pytest.mark.parametrize("moments", [20190316000000, 500])
def test_convert_command_writes_every_format(vigie: Command, tmp_path: Path, ending: str, moments: int) -> None:
    values = np.random.default_rng(2).normal(size=(24, 38))
    (tmp_path / "windows").mkdir()
    for start in range(5):
        content = {
            "value": torch.from_numpy(values[start : start + 20].reshape(20, 1, 38, 1).copy()),
            "label": torch.tensor([int(start + row == 21) for row in range(20)]).reshape(20, 1, 1),
            "ts": torch.tensor([moments + start + row for row in range(20)]).reshape(20, 1, 1),
        }
        torch.save(content, tmp_path / "windows" / f"{start + 1}.seq")
    out = tmp_path / f"series{ending}"
    summary = read_json_output(
        vigie("convert", "seq", "--input-path", tmp_path / "windows", "--output-path", out, "--json")
    )
    assert (summary["rows"], summary["windows"]) == (24, 5)
    dataset = load([out])
    np.testing.assert_allclose(dataset.values, values, rtol=1e-12)
    assert dataset.labels is not None
    assert list(np.flatnonzero(dataset.labels)) == [21]
    assert dataset.has_dates == (moments > 1000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["netmob", "--input-path", "NETMOB", "--output-path", "OUT", "--app", "Waze"], "Netflix"),
        (["netmob", "--input-path", "NETMOB", "--output-path", "OUT", "--app", "Netflix", "--tile", "7"], "Netflix"),
        (["netmob", "--input-path", "NETMOB", "--output-path", "OUT", "--app", "Netflix", "--window", "31"], "31"),
        (["netmob", "--input-path", "ABSENT", "--output-path", "OUT", "--app", "Netflix"], "absent"),
        (["seq", "--input-path", "ABSENT", "--output-path", "OUT.npz"], "absent"),
        (["seq", "--input-path", "NETMOB", "--output-path", "OUT.npz"], "not a window"),
        (["seq", "--input-path", "NETMOB", "--output-path", "OUT.xls"], "--output-path"),
    ],
)
def test_convert_command_reports_invalid_input_in_one_line(
    vigie: Command, tmp_path: Path, arguments: list[str], words: str
) -> None:
    write_tile_files(tmp_path / "NetMob23", "Netflix", make_traffic(1, 30))
    paths = {"NETMOB": tmp_path / "NetMob23", "ABSENT": tmp_path / "absent", "OUT": tmp_path / "out"}
    process = vigie(
        "convert",
        *[
            paths.get(argument, argument if not argument.startswith("OUT.") else tmp_path / argument)
            for argument in arguments
        ],
    )
    assert process.returncode == 2
    assert words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert "Traceback" not in process.stderr


def test_doctor_command_accepts_folders(vigie: Command, tmp_path: Path) -> None:
    write_tile_files(tmp_path / "NetMob23", "Netflix", make_traffic(2, 40))
    summary = read_json_output(vigie("doctor", tmp_path / "NetMob23", "--json"))
    assert (summary["rows"], summary["entities"], summary["layout"]) == (80, 2, "netmob")
