"""Command `python -m core models`, run in a process of its own."""

from functools import partial
from pathlib import Path

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.runs.model_files import save_model
from core.runs.promotion import get_version, promote, register
from core.runs.tracked_run import track_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from tests.conftest import Command, find_free_port
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie
from tests.support.sample_tables import make_input_table

ALICE = Actor("alice", "tests")
BACKTEST = {
    "backtest_from": "2023-01-01",
    "backtest_until": "2023-12-31",
    "horizon": 5,
    "entities": "all",
    "resolution": "day",
    "weather": "measured",
}


@pytest.fixture
def models(tmp_path: Path, workspace: Workspace) -> Command:
    """Runner of `python -m core models …` on the data folder of `workspace`."""
    return partial(run_vigie, tmp_path, "models", MLFLOW_TRACKING_URI="")


def record_forecast_run(wape: float, sample: Dataset, workspace: Workspace) -> str:
    model = RowModel(list_detectors()["isolation-forest"](n_estimators=10), BASELINE_CLASSES["entity"]()).fit(sample)
    with track_run("forecast", "Ridge", BACKTEST, sample, ALICE, workspace) as run:
        save_model(run.folder / "model", model, make_input_table(sample, 5))
        run.metrics = {"wape": wape}
    return run.id


def test_models_command_registers_and_promotes_model(models: Command, sample: Dataset, workspace: Workspace) -> None:
    register(record_forecast_run(0.08, sample, workspace), "gas-forecast", workspace=workspace, actor=ALICE)
    promote("gas-forecast", workspace=workspace, actor=ALICE)
    run = record_forecast_run(0.07, sample, workspace)

    registered = read_json_output(models("register", run, "--name", "gas-forecast", "--json"))
    assert (registered["version"], registered["aliases"], registered["run_id"], registered["task"]) == (
        2,
        ["challenger"],
        run,
        "forecast",
    )
    assert (registered["metrics"]["wape"], registered["backtest"]["horizon"], registered["dataset"]) == (
        0.07,
        "5",
        sample.digest,
    )
    champion = read_json_output(models("promote", "gas-forecast", "--json"))
    assert (champion["version"], champion["aliases"]) == (2, ["champion"])
    assert champion["comparison"] == {"metric": "wape", "before": 0.08, "after": 0.07, "worse": False, "differs": {}}
    versions = read_json_output(models("list", "--json"))["models"]
    assert [(version["version"], version["aliases"]) for version in versions] == [(2, ["champion"]), (1, ["previous"])]
    lines = models("list", "--name", "gas-forecast").stdout.splitlines()
    assert len(lines) == 2
    assert "champion" in lines[0]
    assert "wape 0.0700" in lines[0]
    events = [(event.event, event.application_name) for event in workspace.events.read_events()][-2:]
    assert events == [
        ("model_registration", "Vigie command models register"),
        ("model_promotion", "Vigie command models promote"),
    ]


def test_models_command_promotion_needs_force_and_reason(
    models: Command, sample: Dataset, workspace: Workspace
) -> None:
    for wape in (0.07, 0.08):
        register(record_forecast_run(wape, sample, workspace), "gas-forecast", workspace=workspace, actor=ALICE)
        if wape == 0.07:
            promote("gas-forecast", workspace=workspace, actor=ALICE)
    assert_one_line_error(models("promote", "gas-forecast"), 2, "wape is 0.08 instead of 0.07")
    assert_one_line_error(models("promote", "gas-forecast", "--force"), 2, "needs a reason")
    forced = read_json_output(
        models("promote", "gas-forecast", "--version", 2, "--force", "--reason", "runs on less", "--json")
    )
    assert forced["promoted"]["reason"] == "runs on less"
    assert forced["comparison"]["worse"] is True
    assert get_version("gas-forecast", workspace=workspace).number == 2


def test_models_command_promotes_first_detector_without_force(
    models: Command, sample: Dataset, workspace: Workspace
) -> None:
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=workspace, actor=ALICE)
    assert "anomalies" in models("register", run.id).stdout
    answer = read_json_output(models("promote", "anomalies", "--json"))
    assert (answer["aliases"], answer["promoted"]["forced"], answer["comparison"]) == (["champion"], "false", None)
    assert 0 <= answer["metrics"]["planted_recall"] <= 1


def test_models_command_reports_bad_input_in_one_line(models: Command, workspace: Workspace) -> None:
    assert models("list").stdout == "no model is registered\n"
    assert_one_line_error(models("register", "f" * 32), 1, "does not contain")
    assert_one_line_error(models("register", "f" * 32, "--name", "a/b"), 2, "'a/b' is not accepted")
    assert_one_line_error(models("promote", "nothing"), 1, "The model nothing is not registered")
    assert_one_line_error(
        models("list", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{find_free_port()}"), 1, "does not answer"
    )
