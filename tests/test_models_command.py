"""Command `python -m core models`, run in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.detectors.comparisons import COMPARISONS
from core.detectors.row_model import RowModel
from core.runs.model_files import save_model
from core.runs.promotion import get_version, promote, register
from core.runs.tracked_run import tracked_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, detectors
from core.workspace import Workspace
from tests.conftest import ROOT, Command, free_port
from tests.test_model_files import table

BY = Actor("alice", "tests")
BACKTEST = {
    "backtest_from": "2023-01-01",
    "backtest_until": "2023-12-31",
    "horizon": 5,
    "entities": "all",
    "resolution": "day",
    "weather": "measured",
}


@pytest.fixture
def models(tmp_path: Path, place: Workspace) -> Command:
    """Function that runs `python -m core models …` on the data folder of `place`."""
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path), "MLFLOW_TRACKING_URI": "", "OMP_NUM_THREADS": "1"}

    def run(*arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", "models", *map(str, arguments)]
        return subprocess.run(
            command, cwd=ROOT, env=environment | settings, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def forecast_run(wape: float, sample: Dataset, at: Workspace) -> str:
    fitted = RowModel(detectors()["isolation-forest"](n_estimators=10), COMPARISONS["entity"]()).fit(sample)
    with tracked_run("forecast", "Ridge", BACKTEST, sample, BY, at) as run:
        save_model(run.folder / "model", fitted, table(sample, 5))
        run.metrics = {"wape": wape}
    return run.id


def answer(ran: "subprocess.CompletedProcess[str]") -> Any:
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def one_line(ran: "subprocess.CompletedProcess[str]", code: int, words: str) -> None:
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_from_a_run_to_a_champion(models: Command, sample: Dataset, place: Workspace) -> None:
    register(forecast_run(0.08, sample, place), "gas-forecast", workspace=place, actor=BY)
    promote("gas-forecast", workspace=place, actor=BY)
    run = forecast_run(0.07, sample, place)

    made = answer(models("register", run, "--name", "gas-forecast", "--json"))
    assert (made["version"], made["aliases"], made["run_id"], made["task"]) == (2, ["challenger"], run, "forecast")
    assert (made["metrics"]["wape"], made["backtest"]["horizon"], made["dataset"]) == (0.07, "5", sample.digest)
    champion = answer(models("promote", "gas-forecast", "--json"))
    assert (champion["version"], champion["aliases"]) == (2, ["champion"])
    assert champion["comparison"] == {"metric": "wape", "before": 0.08, "after": 0.07, "worse": False, "differs": {}}
    known = answer(models("list", "--json"))["models"]
    assert [(each["version"], each["aliases"]) for each in known] == [(2, ["champion"]), (1, ["previous"])]
    said = models("list", "--name", "gas-forecast").stdout.splitlines()
    assert len(said) == 2
    assert "champion" in said[0]
    assert "wape 0.0700" in said[0]
    events = [(event.event, event.application_name) for event in place.events.read()][-2:]
    assert events == [
        ("model_registration", "Vigie command models register"),
        ("model_promotion", "Vigie command models promote"),
    ]


def test_what_is_refused_and_what_is_forced(models: Command, sample: Dataset, place: Workspace) -> None:
    for wape in (0.07, 0.08):
        register(forecast_run(wape, sample, place), "gas-forecast", workspace=place, actor=BY)
        if wape == 0.07:
            promote("gas-forecast", workspace=place, actor=BY)
    one_line(models("promote", "gas-forecast"), 2, "wape 0.08 against 0.07")
    one_line(models("promote", "gas-forecast", "--force"), 2, "needs a reason")
    forced = answer(models("promote", "gas-forecast", "--version", 2, "--force", "--reason", "runs on less", "--json"))
    assert forced["promoted"]["reason"] == "runs on less"
    assert forced["comparison"]["worse"] is True
    assert get_version("gas-forecast", workspace=place).number == 2


def test_a_detector_is_promoted_by_force_only(models: Command, sample: Dataset, place: Workspace) -> None:
    spec = DetectionSpec(detectors()["isolation-forest"](n_estimators=10), compare_with="entity")
    _, run = detect(spec, sample, workspace=place, actor=BY)
    assert "anomalies" in models("register", run.id).stdout
    one_line(models("promote", "anomalies"), 2, "no labels")


def test_bad_input_is_one_line(models: Command, place: Workspace) -> None:
    assert models("list").stdout == "no model is registered\n"
    one_line(models("register", "f" * 32), 1, "knows no")
    one_line(models("register", "f" * 32, "--name", "a/b"), 2, "'a/b' is not accepted")
    one_line(models("promote", "nothing"), 1, "No model nothing")
    one_line(models("list", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}"), 1, "does not answer")
