"""The command `python -m core sequences` in a process of its own."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.errors import OptionError
from core.exports import read_likelihoods
from core.tasks.sequences.command import TRAIN_OPTIONS
from tests.conftest import Command
from tests.support.commands import assert_one_line_error, run_vigie
from tests.support.netmob_samples import make_traffic, write_tile_files


@pytest.fixture(scope="module")
def server_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert run_vigie(folder, "sample", "server_kpis", "--out", folder / "server.csv").returncode == 0
    return folder / "server.csv"


@pytest.fixture
def archive_folder(tmp_path: Path) -> Path:
    """Folder with one archive: two correlated columns, and one labelled stretch in which they differ."""
    random = np.random.default_rng(0)
    base = np.sin(np.arange(1200) / 15)[:, None] + random.normal(0, 0.05, (1200, 2))
    test, label = base[600:].copy(), np.zeros(600, dtype=int)
    test[300:320, 1] += 2
    label[300:320] = 1
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.savez(folder / "machine.npz", train=base[:600], test=test, label=label)
    return folder


def test_sequences_command_trains_and_scores(vigie: Command, server_file: Path, tmp_path: Path) -> None:
    process = vigie("sequences", "train", server_file, "--alarms-per-week", 2, "--set", "variance=0.8", "--json")
    assert process.returncode == 0, process.stderr
    first = json.loads(process.stdout)
    assert first["metrics"]["events"] > 3
    asked, promised = 2 / 10_080, first["metrics"]["target_rate"]
    assert asked < promised < 0.1, "two days of minutes do not support two alarms a week"
    assert f"The requested share {100 * asked:.3g}% needs more training rows." in first["notes"][0]
    assert first["recorded"]
    assert first["metrics"]["vus_pr"] > first["metrics"]["random.vus_pr"]
    out, scores = tmp_path / "scores.csv", tmp_path / "loglik.txt"
    process = vigie(
        "sequences", "score", server_file, "--model", first["run_id"], "--out", out, "--scores-file", scores, "--json"
    )
    assert process.returncode == 0, process.stderr
    table = pd.read_csv(out)
    assert len(table) == json.loads(process.stdout)["metrics"]["rows_scored"] == 5760
    timestamps, values, words = read_likelihoods(scores)
    assert timestamps[0] == "20240304001900"  # the end of the first window of 20 rows
    assert np.allclose(values, table["score"][19:], rtol=1e-5)
    assert (words == table["anomaly"][19:]).all()


def test_sequences_command_accepts_predecessor_options(vigie: Command, archive_folder: Path, tmp_path: Path) -> None:
    process = vigie(
        "sequences",
        "train",
        "--dataset_path",
        archive_folder,
        "--detector",
        "kmeans-ad",
        "--seed",
        3,
        "--gpu_id",
        0,
        "--epochs",
        3,
        "--batch_size",
        16,
        "--n",
        2,
        "--num_workers",
        4,
        "--enc_dec",
        "CNN",
        "--log_path",
        tmp_path / "log",
        "--checkpoints_path",
        tmp_path / "points",
        "--contamination",
        0.03,
    )
    assert process.returncode == 0, process.stderr
    assert "kmeans-ad has no setting device: cuda:0 is left out" in process.stderr
    assert "--num_workers, --enc_dec: left out" in process.stderr
    assert "kmeans-ad has no setting batch_size" in process.stderr
    assert "does not learn in epochs" in process.stderr
    assert "events" in process.stdout
    assert (tmp_path / "log" / "training.csv").is_file()


def test_sequences_command_trains_sgmvrnn_with_predecessor_options(
    vigie: Command, archive_folder: Path, tmp_path: Path
) -> None:
    process = vigie(
        "sequences",
        "train",
        "--dataset_path",
        archive_folder,
        "--epochs",
        2,
        "--batch_size",
        64,
        "--n",
        2,
        "--alarms-per-1000",
        5,
        "--checkpoints_path",
        tmp_path / "points",
        "--log_path",
        tmp_path / "log",
        "--seed",
        1,
        "--json",
    )
    assert process.returncode == 0, process.stderr
    assert "2 epochs of 480 rows are 16 steps of 64 windows" in process.stderr
    assert json.loads(process.stdout)["metrics"]["rows_scored"] == 600
    assert len(pd.read_csv(tmp_path / "log" / "training.csv")) > 0


@pytest.fixture
def netmob_folder(tmp_path: Path) -> Path:
    """Folder of two tiles with 77 days, without missing values."""
    traffic = np.nan_to_num(make_traffic(2, 77), nan=1000.0)
    write_tile_files(tmp_path / "Dataset NetMob23", "Netflix", traffic)
    return tmp_path / "Dataset NetMob23" / "Netflix" / "DL"


def test_command_lines_of_the_sgmvrnn_programs_work_without_graphics_card(
    vigie: Command, netmob_folder: Path, tmp_path: Path
) -> None:
    windows, model = tmp_path / "processed" / "train", tmp_path / "model" / "small"
    process = vigie(
        *("convert", "netmob", "--input_path", netmob_folder, "--output_path", windows, "--app", "netflix", "--json")
    )
    assert json.loads(process.stdout)["windows"] == 116, process.stderr
    same_options = ("--dataset_path", windows, "--gpu_id", 0, "--checkpoints_path", model, "--n", 96)
    process = vigie(
        *("sequences", "train", *same_options, "--log_path", tmp_path / "log_trainer", "--epochs", 3),
        *("--batch_size", 128, "--scores-file", tmp_path / "trained" / "scores.txt", "--json"),
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert process.stderr.count("The device cuda:0 is missing. The CPU replaces it.") == 1
    assert "The device cuda:0 is missing. The CPU replaces it." in answer["notes"]
    params = json.loads(vigie("runs", "show", answer["run_id"], "--json").stdout)["model"]["parameters"]
    assert (params["device"], params["device_used"]) == ("cuda:0", "cpu")
    assert (tmp_path / "log_trainer" / "training.csv").is_file()

    process = vigie("sequences", "score", *same_options, "--log_path", tmp_path / "log_tester", "--json")
    assert process.returncode == 0, process.stderr
    names = ["scores_Netflix_DL_100.txt", "scores_Netflix_DL_101.txt"]
    assert f"one file of scores per entity: {', '.join(names)}" in process.stderr
    for name in names:
        text = (tmp_path / "log_tester" / name).read_text()
        assert len(text.splitlines()) == 58
        assert text == (tmp_path / "trained" / name).read_text()


def test_sequences_command_needs_a_trained_model_in_the_checkpoints(
    vigie: Command, archive_folder: Path, tmp_path: Path
) -> None:
    process = vigie("sequences", "score", "--dataset_path", archive_folder, "--checkpoints_path", tmp_path / "none")
    assert_one_line_error(process, 2, "contains no trained model")


def test_sequences_command_evaluates_archive(vigie: Command, archive_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    process = vigie(
        "sequences",
        "evaluate",
        "--data",
        archive_folder / "machine.npz",
        "--detector",
        "pca-residual",
        "--out",
        out,
        "--json",
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert answer["metrics"]["f1"] > 0.9 > answer["random"]["f1"]
    assert (
        {"f1", "auc_pr", "auc_roc", "vus_pr", "event_f1"}
        <= set(answer["metrics"])
        <= set(answer["mean_distance"]) | set(answer["pca"])
    )
    table = pd.read_csv(out)
    assert list(table) == ["row", "score"]
    assert table["row"].tolist() == list(range(600))
    assert 295 <= table["score"].idxmax() <= 325
    assert "sub-pca" in vigie("sequences", "evaluate", "--data", archive_folder / "machine.npz").stdout


def test_sequences_command_compares_detectors(vigie: Command, server_file: Path, tmp_path: Path) -> None:
    process = vigie(
        "sequences", "compare", server_file, "--until", "2024-03-07", "--out", tmp_path / "card.csv", "--json"
    )
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    card = pd.read_csv(tmp_path / "card.csv")
    assert answer["winner"] == card["line"].iloc[0]
    assert answer["metrics"]["random.vus_pr"] < answer["metrics"][f"{answer['winner']}.vus_pr"]
    repeated = pd.read_csv(repeat_run(vigie, answer["run_id"], tmp_path))
    pd.testing.assert_frame_equal(repeated.drop(columns="seconds"), card.drop(columns="seconds"))
    printed = vigie("sequences", "compare", server_file).stdout
    assert "(given labels)" in printed
    assert all(name in printed for name in card["line"])


def test_sequences_command_repeats_run_from_card(vigie: Command, server_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    process = vigie("sequences", "train", server_file, "--risk", 0.002, "--counts", "--out", out, "--json")
    assert process.returncode == 0, process.stderr
    repeated = pd.read_csv(repeat_run(vigie, json.loads(process.stdout)["run_id"], tmp_path))
    pd.testing.assert_frame_equal(repeated, pd.read_csv(out))


def repeat_run(vigie: Command, run_id: str, folder: Path) -> Path:
    """Run the command of the run's card and return the path of the table that it writes."""
    assert vigie("runs", "card", run_id, "--json", folder / "card.json").returncode == 0
    arguments = shlex.split(json.loads((folder / "card.json").read_text())["repeat"]["command"])
    process = vigie(*arguments[3:], "--out", folder / "again.csv")
    assert process.returncode == 0, process.stderr
    return folder / "again.csv"


@pytest.mark.parametrize(
    ("option", "fields"),
    [
        ({"alarms_per_week": 3.0}, {"threshold": "alarms", "amount": 3.0, "per": "week"}),
        ({"alarms_per_day": 3.0}, {"threshold": "alarms", "amount": 3.0, "per": "day"}),
        ({"alarms_per_hour": 3.0}, {"threshold": "alarms", "amount": 3.0, "per": "hour"}),
        ({"alarms_per_month": 3.0}, {"threshold": "alarms", "amount": 3.0, "per": "month"}),
        ({"alarms_per_1000": 3.0}, {"threshold": "alarms", "amount": 3.0, "per": "1000-rows"}),
        ({"risk": 0.01}, {"threshold": "pot", "amount": 0.01, "per": "1000-rows"}),
        ({"contamination": 0.01}, {"threshold": "contamination", "amount": 0.01, "per": "1000-rows"}),
        ({"best_f1": True}, {"threshold": "best_f1", "amount": 0.0, "per": "1000-rows"}),
    ],
)
def test_sequences_command_threshold_options(option: dict[str, Any], fields: dict[str, Any]) -> None:
    assert TRAIN_OPTIONS.to_fields(option, {}) == {"detector": "sub-pca", "settings": [], **fields}
    for conflicting in ({"threshold": "pot"}, {"amount": 1.0}, {"per": "day"}):
        with pytest.raises(OptionError, match="Use only one of"):
            TRAIN_OPTIONS.to_fields(option, conflicting)


def test_sequences_command_translates_predecessor_settings() -> None:
    """`--set` takes precedence; a detector gets only the settings it has, under its own names."""
    extra = {"dataset_path": Path("x"), "seed": 3, "gpu_id": 1, "batch_size": 16}
    fields = TRAIN_OPTIONS.to_fields(extra, {"settings": ["seed=5"]})
    assert fields == {"detector": "sgmvrnn", "settings": ["batch_size=16", "device=cuda:1", "seed=3", "seed=5"]}
    fields = TRAIN_OPTIONS.to_fields(extra, {"detector": "kmeans-ad"})
    assert fields == {"detector": "kmeans-ad", "settings": ["random_state=3"]}
    model_options = {"T": 10, "z_dims": 4, "hidden_dims": 8, "categorical_dims": 3, "learning_rate": 0.01, "l": 1}
    fields = TRAIN_OPTIONS.to_fields({**model_options, "gpu_id": -1, "device": "mps"}, {"detector": "sgmvrnn"})
    assert sorted(fields["settings"]) == [
        "categories=3",
        "device=mps",
        "latent=4",
        "learning_rate=0.01",
        "state=8",
        "window=10",
    ]
    fields = TRAIN_OPTIONS.to_fields({"gpu_id": -1}, {"detector": "sgmvrnn"})
    assert fields["settings"] == ["device=cpu"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "SERVER", "--n", "38"], "columns of measurements in server.csv is 12"),
        (["train", "SERVER", "--risk", "0.001", "--contamination", "0.1"], "Use only one of"),
        (["train", "SERVER", "--risk", "0.001", "--threshold", "pot"], "Use only one of"),
        (["train", "SERVER", "--per", "1000 rows"], "1000-rows"),
        (["train", "SERVER", "--scaling", "magic"], "minmax"),
        (["train", "SERVER", "--detector", "oracle"], "pca-residual"),
        (["train", "SERVER", "--set", "trees=3"], "trees"),
        (["train", "SERVER", "--until", "soon"], "soon"),
        (["train", "SERVER", "--device", "gpu"], "cpu, cuda, cuda:1, mps"),
        (["train", "SERVER", "--risk", "2"], "2"),
        (["train"], "No file"),
        (["train", "absent.csv"], "absent.csv"),
        (["score", "SERVER", "--model", "x", "--out", "scores.xls"], "parquet"),
        (["score", "SERVER"], "--model"),
        (["compare", "SERVER", "--until", "2050-01-01"], "2050-01-01"),
        (["evaluate", "--data", "absent.npz"], "absent.npz"),
    ],
)
def test_sequences_command_rejects_bad_input_in_one_line(
    vigie: Command, server_file: Path, arguments: list[str], words: str
) -> None:
    process = vigie("sequences", *[str(server_file) if argument == "SERVER" else argument for argument in arguments])
    assert process.returncode == 2, process.stderr
    assert process.stdout == ""
    assert words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
