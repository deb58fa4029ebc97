"""The command `python -m core convert` in its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.data.ingest.loading import load
from tests.conftest import ROOT
from tests.twins import days, official, per_tile, traffic

Vigie = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def vigie(tmp_path: Path) -> Vigie:
    """Runner of `python -m core …` with its own data folder."""
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def answer(ran: "subprocess.CompletedProcess[str]") -> dict:  # type: ignore[type-arg]
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def test_tiles_to_windows(vigie: Vigie, tmp_path: Path) -> None:
    values = traffic(3, 77)
    per_tile(tmp_path / "NetMob23", "Netflix", values)
    per_tile(tmp_path / "NetMob23", "Spotify", values)
    out = tmp_path / "windows"
    found = answer(
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
    assert (found["files"], found["entities"], found["rows"], found["windows"]) == (3, 3, 231, 3 * 58)
    assert found["skipped"] == []
    assert {path.name for path in out.iterdir()} == {f"{number}.seq" for number in range(1, 175)}
    first = torch.load(out / "59.seq", weights_only=False)  # the first window of the second tile
    np.testing.assert_array_equal(first["value"][:, 0, :, 0], values[1, :20])
    assert list(first["ts"][:, 0, 0]) == [int(f"{day:%Y%m%d}000000") for day in days(20)]
    dataset = load([out])
    assert dataset.entities == ["Netflix · DL · 100", "Netflix · DL · 101", "Netflix · DL · 102"]
    np.testing.assert_array_equal(dataset.values, values.reshape(-1, 96))


def test_a_tile_of_the_official_layout(vigie: Vigie, tmp_path: Path) -> None:
    values = traffic(3, 30)
    official(tmp_path / "NetMob23", "Lyon", "Netflix", values)
    out = tmp_path / "windows"
    found = answer(
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
    assert (found["files"], found["entities"], found["rows"], found["windows"]) == (30, 1, 30, 24)
    dataset = load([out])
    assert dataset.entities == ["Lyon · Netflix · UL · 101"]
    np.testing.assert_allclose(dataset.values, values[1] * 0.1, rtol=1e-12)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    "layout", [per_tile, lambda folder, app, values: official(folder, "Lyon", app, values)], ids=["tiles", "city"]
)
def test_to_one_table(vigie: Vigie, tmp_path: Path, form: str, layout: Callable[..., list[Path]]) -> None:
    paths = layout(tmp_path / "NetMob23", "Netflix", traffic(2, 20))
    out = tmp_path / f"netflix.{form}"
    found = answer(
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
    direct, again = load(list(paths)), load([out])
    assert (found["rows"], found["entities"], found["windows"]) == (len(direct), len(direct.entities), 0)
    assert again.layout == "netmob"
    pd.testing.assert_frame_equal(again.frame.sort_index(), direct.frame.sort_index())


def test_bad_files_are_listed_and_left_out(vigie: Vigie, tmp_path: Path) -> None:
    paths = per_tile(tmp_path / "NetMob23", "Netflix", traffic(4, 30))
    lines = paths[1].read_text().splitlines()
    lines[4] = lines[4].rpartition(" ")[0]
    paths[1].write_text("\n".join(lines))
    paths[2].write_text("\n".join(paths[2].read_text().splitlines()[:12]))
    paths[3].write_bytes(b"")
    out = tmp_path / "windows"
    command = ("convert", "netmob", "--input-path", tmp_path / "NetMob23", "--output-path", out, "--app", "Netflix")
    found = answer(vigie(*command, "--json"))
    assert found["windows"] == 11
    reasons = {each["file"]: each["reason"] for each in found["skipped"]}
    assert set(reasons) == {paths[1].name, paths[3].name, "Netflix · DL · 102"}
    assert "line 5" in reasons[paths[1].name]
    assert "empty" in reasons[paths[3].name]
    assert "12" in reasons["Netflix · DL · 102"]
    again = vigie(*command)  # the folder already holds windows
    assert again.returncode == 2
    assert "already holds windows" in again.stderr
    told = vigie(*command[:5], tmp_path / "other", *command[6:])
    assert (told.returncode, told.stderr.count("left out")) == (0, 3)


def test_windows_to_one_table(vigie: Vigie, tmp_path: Path) -> None:
    values = traffic(2, 30)
    per_tile(tmp_path / "NetMob23", "Netflix", values)
    windows = tmp_path / "windows"
    answer(
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
    found = answer(vigie("convert", "seq", "--input-path", windows, "--output-path", out, "--json"))
    assert (found["files"], found["entities"], found["rows"], found["windows"]) == (21, 2, 60, 21)
    assert {each["file"] for each in found["skipped"]} == {"5.seq", "readme.md"}
    np.testing.assert_array_equal(load([out]).values, values.reshape(-1, 96))
    refused = vigie("convert", "seq", "--input-path", windows, "--output-path", tmp_path / "all.npz")
    assert refused.returncode == 2
    assert "2 series" in refused.stderr


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".csv"])
@pytest.mark.parametrize("moments", [20190316000000, 500])
def test_one_series_in_every_form(vigie: Vigie, tmp_path: Path, ending: str, moments: int) -> None:
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
    found = answer(vigie("convert", "seq", "--input-path", tmp_path / "windows", "--output-path", out, "--json"))
    assert (found["rows"], found["windows"]) == (24, 5)
    dataset = load([out])
    np.testing.assert_allclose(dataset.values, values, rtol=1e-12)
    assert dataset.labels is not None
    assert list(np.flatnonzero(dataset.labels)) == [21]
    assert dataset.dated == (moments > 1000)


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
def test_bad_input_is_one_line_and_exit_code_2(vigie: Vigie, tmp_path: Path, arguments: list[str], words: str) -> None:
    per_tile(tmp_path / "NetMob23", "Netflix", traffic(1, 30))
    places = {"NETMOB": tmp_path / "NetMob23", "ABSENT": tmp_path / "absent", "OUT": tmp_path / "out"}
    ran = vigie(
        "convert", *[places.get(each, each if not each.startswith("OUT.") else tmp_path / each) for each in arguments]
    )
    assert ran.returncode == 2
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stderr


def test_the_doctor_takes_folders(vigie: Vigie, tmp_path: Path) -> None:
    per_tile(tmp_path / "NetMob23", "Netflix", traffic(2, 40))
    found = answer(vigie("doctor", tmp_path / "NetMob23", "--json"))
    assert (found["rows"], found["entities"], found["layout"]) == (80, 2, "netmob")
