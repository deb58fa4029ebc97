"""Registration, promotion and loading of models by alias, on SQLite and on a real MLflow server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.errors import DataError, NotFoundError, OptionError, UnreadableFileError, VigieError
from core.operations.feedback import FeedbackInput, submit_feedback
from core.runs.model_files import save_model
from core.runs.promotion import get_version, list_versions, load_by_alias, promote, register
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.spec.task import list_tasks
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from mlflow_utils.model_io import MODEL_FILE
from mlflow_utils.registry import ModelVersion, PromotionMetric, compare_versions
from mlflow_utils.tracking import Tracking
from tests.conftest import StartServer, assert_no_hang, create_workspace, find_free_port, kill_process_tree
from tests.support.sample_tables import make_input_table

ALICE = Actor("alice", "tests")
BACKTEST_PARAMS = {
    "backtest_from": "2023-01-01",
    "backtest_until": "2023-12-31",
    "horizon": 5,
    "entities": "all",
    "resolution": "day",
    "weather": "measured",
}
MODEL_NAME = "gas-forecast"


@pytest.fixture(scope="session")
def model(sample: Dataset) -> RowModel:
    return RowModel(list_detectors()["isolation-forest"](n_estimators=10), BASELINE_CLASSES["entity"]()).fit(sample)


@pytest.fixture
def create_backtest_run(model: RowModel, sample: Dataset, workspace: Workspace) -> Callable[..., str]:
    """Function that creates a forecast run with the given WAPE of the backtest and returns its id."""

    def run(wape: float | None, workspace: Workspace = workspace, dataset: Dataset = sample, **params: Any) -> str:
        with track_run("forecast", "Ridge", BACKTEST_PARAMS | params, dataset, ALICE, workspace) as run:
            save_model(run.folder / "model", model, make_input_table(sample, 5))
            run.metrics = {} if wape is None else {"wape": wape, "coverage": 0.9}
        return run.id

    return run


def list_aliases(workspace: Workspace, name: str = MODEL_NAME) -> dict[int, tuple[str, ...]]:
    return {version.number: version.aliases for version in list_versions(workspace, name)}


# ---- register, alias, load ------------------------------------------------------------------------------------------


def test_registry_registers_promotes_and_loads_by_alias(
    create_backtest_run: Callable[..., str], model: RowModel, sample: Dataset, workspace: Workspace
) -> None:
    run = create_backtest_run(0.08)
    version = register(run, MODEL_NAME, workspace=workspace, actor=ALICE)
    assert (version.number, version.aliases, version.run_id) == (1, ("challenger",), run)
    assert version.figures["wape"] == 0.08
    assert version.test == {name: str(value) for name, value in BACKTEST_PARAMS.items()} | {
        "dataset.digest": sample.digest
    }
    assert (
        version.tags
        | {
            "task": "forecast",
            "registered.by": "alice",
            "dataset.digest": sample.digest,
            "model_name": "Ridge",
            "vigie.key": load_run(run, workspace).record.key,
            "metric": "wape, lower is better",
        }
        == version.tags
    )
    champion, comparison = promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    assert (champion.aliases, comparison) == (("champion",), None)
    loaded = load_by_alias(MODEL_NAME, workspace=workspace, kind=RowModel)
    assert np.array_equal(loaded.score(loaded.prepare_rows(sample)), model.score(model.prepare_rows(sample)))

    events = [
        (event.event, event.status, event.details.inputs.get("version")) for event in workspace.events.read_events()[1:]
    ]
    assert events == [("model_registration", "completed", 1), ("model_promotion", "completed", 1)]


@pytest.fixture
def mlflow_address(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow's global tracking address, which child processes inherit; reset after the test."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workspace.tracking.uri)
    mlflow.set_tracking_uri(workspace.tracking.uri)
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.usefixtures("mlflow_address")
def test_mlflow_loads_registered_model_by_alias(
    create_backtest_run: Callable[..., str], model: RowModel, sample: Dataset, workspace: Workspace
) -> None:
    register(create_backtest_run(0.08), MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    served_model = mlflow.pyfunc.load_model(f"models:/{MODEL_NAME}@champion")
    assert served_model.predict(make_input_table(sample)).equals(model.predict(make_input_table(sample)))
    assert "entity" in {column.name for column in served_model.metadata.signature.inputs}


def test_registry_loads_model_on_another_machine(
    create_backtest_run: Callable[..., str], model: RowModel, sample: Dataset, workspace: Workspace, tmp_path: Path
) -> None:
    register(create_backtest_run(0.08), MODEL_NAME, workspace=workspace, actor=ALICE)
    other_workspace = replace(workspace, tracking=Tracking(workspace.tracking.uri, None, tmp_path / "elsewhere"))
    loaded = load_by_alias(MODEL_NAME, "challenger", workspace=other_workspace, kind=RowModel)
    assert loaded.predict(make_input_table(sample)).equals(model.predict(make_input_table(sample)))


def damage_model(run: str, workspace: Workspace) -> None:
    """Damage the model of a run, and remove the artifacts of MLflow, which would repair it."""
    (load_run(run, workspace).files / "model" / MODEL_FILE).write_bytes(b"not a model")
    rmtree(workspace.folder / "mlartifacts")


def test_registry_rejects_changed_model_file(create_backtest_run: Callable[..., str], workspace: Workspace) -> None:
    run = create_backtest_run(0.08)
    register(run, MODEL_NAME, workspace=workspace, actor=ALICE)
    damage_model(run, workspace)
    with pytest.raises(UnreadableFileError, match="SHA-256"):
        load_by_alias(MODEL_NAME, "challenger", workspace=workspace)


def test_registry_registers_run_once_per_name(create_backtest_run: Callable[..., str], workspace: Workspace) -> None:
    run = create_backtest_run(0.08)
    assert register(run, MODEL_NAME, workspace=workspace, actor=ALICE) == register(
        run, MODEL_NAME, workspace=workspace, actor=ALICE
    )
    assert register(run, workspace=workspace, actor=ALICE).name == "forecast"
    assert [(version.name, version.number) for version in list_versions(workspace)] == [
        ("forecast", 1),
        (MODEL_NAME, 1),
    ]


# ---- promotion ------------------------------------------------------------------------------------------------------


def test_promote_better_model_keeps_previous(create_backtest_run: Callable[..., str], workspace: Workspace) -> None:
    for wape in (0.08, 0.07):
        register(create_backtest_run(wape), MODEL_NAME, workspace=workspace, actor=ALICE)
        champion, comparison = promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    assert comparison is not None
    assert comparison.figures == (0.08, 0.07)
    assert list_aliases(workspace) == {2: ("champion",), 1: ("previous",)}
    assert champion.tags["promoted.by"] == "alice"
    assert champion.tags["promoted.over"] == "1"
    assert champion.tags["promoted.figures"] == "wape: 0.08 → 0.07"
    register(create_backtest_run(0.07), MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)  # an equal model is not worse
    assert list_aliases(workspace) == {3: ("champion",), 2: ("previous",), 1: ()}
    assert promote(MODEL_NAME, 3, workspace=workspace, actor=ALICE)[0].number == 3
    assert list_aliases(workspace) == {3: ("champion",), 2: ("previous",), 1: ()}


def test_promote_rejects_worse_model_unless_forced(
    create_backtest_run: Callable[..., str], workspace: Workspace
) -> None:
    register(create_backtest_run(0.07), MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    register(create_backtest_run(0.09), MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match=r"version 2 is worse than champion version 1: wape is 0\.09 instead of 0\.07"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(OptionError, match="reason"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE, force=True, reason=" ")
    assert list_aliases(workspace) == {2: ("challenger",), 1: ("champion",)}
    assert workspace.events.read_events()[-1].status == "failed"

    champion, _ = promote(
        MODEL_NAME, workspace=workspace, actor=Actor("bob", "tests"), force=True, reason="needs no temperature"
    )
    assert list_aliases(workspace) == {2: ("champion",), 1: ("previous",)}
    promoted = {
        tag: text for tag, text in champion.tags.items() if tag.startswith("promoted.") and tag != "promoted.at"
    }
    assert promoted == {
        "promoted.by": "bob",
        "promoted.over": "1",
        "promoted.forced": "true",
        "promoted.reason": "needs no temperature",
        "promoted.figures": "wape: 0.07 → 0.09",
    }
    promote(MODEL_NAME, 1, workspace=workspace, actor=ALICE)  # and back, because the first one is better
    assert list_aliases(workspace) == {2: ("previous",), 1: ("champion",)}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"horizon": 14}, "horizon: 14 ≠ 5"),
        ({"backtest_until": "2024-12-31"}, "backtest_until: 2024-12-31 ≠ 2023-12-31"),
        ({"weather": "none"}, "weather: none ≠ measured"),
        ({"entities": "GRTgaz"}, "entities: GRTgaz ≠ all"),
        ({"resolution": ""}, "resolution: - ≠ day"),
        ({"measure": "pressure"}, "measure: pressure ≠ -"),
        ({"dataset": load_sample("daily_profile")}, "dataset.digest: "),
        ({"wape": None}, "wape: - ≠ 0.07"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_promote_rejects_different_backtests(
    create_backtest_run: Callable[..., str], workspace: Workspace, params: dict[str, Any], words: str
) -> None:
    register(create_backtest_run(0.07), MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    register(create_backtest_run(**{"wape": 0.01} | params), MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="Run both on the same backtest, or force the promotion with a") as error:
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    assert words in str(error.value)
    assert str(error.value).count("≠") == 1
    assert list_aliases(workspace) == {2: ("challenger",), 1: ("champion",)}
    promote(MODEL_NAME, workspace=workspace, actor=ALICE, force=True, reason="another year")
    assert list_aliases(workspace) == {2: ("champion",), 1: ("previous",)}


def test_promote_rejects_backtest_without_parameters(model: RowModel, sample: Dataset, workspace: Workspace) -> None:
    for wape in (0.07, 0.06):
        with track_run("forecast", "Ridge", {}, sample, ALICE, workspace) as run:
            save_model(run.folder / "model", model, make_input_table(sample, 5))
            run.metrics = {"wape": wape}
        version = register(run.id, MODEL_NAME, workspace=workspace, actor=ALICE).number
        if version == 1:
            promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="horizon: - ≠ -"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)


def test_promote_first_model_of_every_task_needs_no_force(
    model: RowModel, sample: Dataset, workspace: Workspace
) -> None:
    for task in [task for task in list_tasks() if task.saves_model]:
        register_model(task.name, {}, model, sample, workspace)
        champion, comparison = promote(task.name, workspace=workspace, actor=ALICE)
        assert (champion.aliases, comparison, champion.tags["promoted.forced"]) == (("champion",), None, "false")


def register_model(
    task: str, metrics: dict[str, float], model: RowModel, dataset: Dataset, workspace: Workspace, **params: str
) -> str:
    """Record a run of `task` with these metrics, register its model under the name of the task, and return the run."""
    with track_run(task, "Detector", params, dataset, ALICE, workspace) as run:
        save_model(run.folder / "model", model, make_input_table(dataset, 5))
        run.metrics = metrics
    register(run.id, task, workspace=workspace, actor=ALICE)
    return run.id


def submit_verdicts(run: str, true_alarms: int, false_alarms: int, workspace: Workspace) -> None:
    for number in range(true_alarms + false_alarms):
        verdict = "true_alarm" if number < true_alarms else "false_alarm"
        row: dict[str, str | float] = {"entity": f"e{number}", "time": "2024-01-01"}
        submit_feedback(FeedbackInput("anomalies", run, row, verdict), workspace=workspace, actor=ALICE)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["anomalies", "sequences"])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"promise_kept": 0.0, "planted_recall": 0.9}, {"promise_kept": 1.0, "planted_recall": 0.1}, ""),
        (
            {"promise_kept": 1.0, "planted_recall": 0.1},
            {"promise_kept": 0.0, "planted_recall": 0.9},
            "promise_kept is 0 instead of 1",
        ),
        ({"promise_kept": 1.0, "planted_recall": 0.5}, {"promise_kept": 1.0, "planted_recall": 0.6}, ""),
        ({"promise_kept": 1.0, "planted_recall": 0.5}, {"planted_recall": 0.5}, ""),
        ({"planted_recall": 0.5}, {"planted_recall": 0.4}, "planted_recall is 0.4 instead of 0.5"),
        ({"promise_kept": 1.0}, {"promise_kept": 1.0}, "planted_recall: - ≠ -"),
        ({"planted_recall": 0.5}, {}, "planted_recall: - ≠ 0.5"),
        ({}, {}, "planted_recall: - ≠ -"),
    ],
)
def test_promote_alarm_model_by_promise_then_planted_recall(
    model: RowModel,
    sample: Dataset,
    workspace: Workspace,
    task: str,
    old: dict[str, float],
    new: dict[str, float],
    words: str,
) -> None:
    register_model(task, old, model, sample, workspace)
    promote(task, workspace=workspace, actor=ALICE)
    register_model(task, new, model, sample, workspace)
    if words:
        with pytest.raises(DataError) as error:
            promote(task, workspace=workspace, actor=ALICE)
        assert words in str(error.value)
        promote(task, workspace=workspace, actor=ALICE, force=True, reason="looked at both")
    else:
        promote(task, workspace=workspace, actor=ALICE)
    assert list_aliases(workspace, task) == {2: ("champion",), 1: ("previous",)}


def test_promote_compares_planted_recall_on_same_rows_only(
    model: RowModel, sample: Dataset, workspace: Workspace
) -> None:
    register_model("anomalies", {"planted_recall": 0.5}, model, sample, workspace)
    promote("anomalies", workspace=workspace, actor=ALICE)
    register_model("anomalies", {"planted_recall": 0.9}, model, sample, workspace, start="2024-01-01")
    with pytest.raises(DataError, match="start: 2024-01-01 ≠ -"):
        promote("anomalies", workspace=workspace, actor=ALICE)


def test_promote_alarm_model_by_ten_verdicts_before_planted_recall(
    model: RowModel, sample: Dataset, workspace: Workspace
) -> None:
    """Verdicts on a run that applied the model count too; with nine verdicts the planted faults decide."""
    old = register_model("anomalies", {"planted_recall": 0.9}, model, sample, workspace)
    promote("anomalies", workspace=workspace, actor=ALICE)
    new = register_model("anomalies", {"planted_recall": 0.5}, model, sample, workspace)
    submit_verdicts(old, 5, 7, workspace)
    submit_verdicts(new, 4, 2, workspace)
    with track_run("anomalies", "Detector", {"model_run": new}, sample, ALICE, workspace) as applied:
        applied.metrics = {}
    submit_verdicts(applied.id, 3, 0, workspace)
    with pytest.raises(DataError, match=r"planted_recall is 0\.5 instead of 0\.9"):
        promote("anomalies", workspace=workspace, actor=ALICE)
    submit_feedback(
        FeedbackInput("anomalies", applied.id, {"entity": "f", "time": "2024-01-02"}, "true_alarm"),
        workspace=workspace,
        actor=ALICE,
    )
    champion, comparison = promote("anomalies", workspace=workspace, actor=ALICE)
    assert comparison is not None
    assert (comparison.metric, comparison.figures) == ("verdict_precision", (5 / 12, 0.8))
    assert champion.run_id == new


def test_promote_rejects_other_metric_definition(create_backtest_run: Callable[..., str], workspace: Workspace) -> None:
    register(create_backtest_run(0.07), MODEL_NAME, workspace=workspace, actor=ALICE)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    register(create_backtest_run(0.06), MODEL_NAME, workspace=workspace, actor=ALICE)
    MlflowClient(workspace.tracking.uri).set_model_version_tag(MODEL_NAME, "1", "metric", "mase, lower is better")
    with pytest.raises(DataError, match="metric: wape, lower is better ≠ mase, lower is better"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)


@pytest.mark.parametrize(("lower", "worse"), [(True, True), (False, False)])
def test_compare_versions_uses_metric_direction(lower: bool, worse: bool) -> None:
    metric = PromotionMetric("ari", lower_is_better=lower)
    old, new = (
        ModelVersion(MODEL_NAME, number, "", 0, tags={"metric": metric.definition, "figure.ari": figure})
        for number, figure in ((1, "0.4"), (2, "0.5"))
    )
    assert compare_versions(old, new, metric).is_worse is worse
    assert compare_versions(old, new, metric).is_accepted is not worse


def test_register_rejects_name_of_other_task(
    create_backtest_run: Callable[..., str], sample: Dataset, workspace: Workspace
) -> None:
    register(create_backtest_run(0.07), MODEL_NAME, workspace=workspace, actor=ALICE)
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=workspace, actor=ALICE)
    with pytest.raises(OptionError, match=r"task forecast\. This model is of the task anomalies"):
        register(run.id, MODEL_NAME, workspace=workspace, actor=ALICE)


# ---- missing models and servers -------------------------------------------------------------------------------------


def test_registry_rejects_invalid_names(
    create_backtest_run: Callable[..., str], workspace: Workspace, sample: Dataset
) -> None:
    run = create_backtest_run(0.07)
    for name in ("a/b", "x' OR name != '", "..", "a" * 101, "é"):
        with pytest.raises(OptionError, match="not accepted"):
            register(run, name, workspace=workspace, actor=ALICE)
        with pytest.raises(OptionError, match="not accepted"):
            promote(name, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match=r"f{12}"):
        register("f" * 32, MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="The model nothing is not registered"):
        promote("nothing", workspace=workspace, actor=ALICE)
    register(run, MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="gas-forecast 7"):
        promote(MODEL_NAME, 7, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="gas-forecast@champion"):
        load_by_alias(MODEL_NAME, workspace=workspace)
    promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="gas-forecast@challenger"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)


def test_register_rejects_unloadable_run(
    create_backtest_run: Callable[..., str], sample: Dataset, workspace: Workspace
) -> None:
    with track_run("forecast", "Ridge", {}, sample, ALICE, workspace) as run:
        (run.folder / "note.txt").touch()
    with pytest.raises(NotFoundError, match="has no saved model"):
        register(run.id, MODEL_NAME, workspace=workspace, actor=ALICE)
    with suppress(ZeroDivisionError), track_run("forecast", "Ridge", {}, sample, ALICE, workspace) as run:
        (run.folder / "note.txt").touch()
        1 / 0
    with pytest.raises(DataError, match="failed"):
        register(run.id, MODEL_NAME, workspace=workspace, actor=ALICE)
    damaged_run = create_backtest_run(0.07)
    damage_model(damaged_run, workspace)
    with pytest.raises(NotFoundError, match="no intact copy"):
        register(damaged_run, MODEL_NAME, workspace=workspace, actor=ALICE)
    assert list_versions(workspace) == []


def test_registry_reports_unreachable_server(
    create_backtest_run: Callable[..., str], model: RowModel, tmp_path: Path, empty_store: Path
) -> None:
    workspace = create_workspace(tmp_path / "client", empty_store, f"http://127.0.0.1:{find_free_port()}")
    run = create_backtest_run(0.07, workspace)
    for call in (
        lambda: list_versions(workspace),
        lambda: load_by_alias(MODEL_NAME, workspace=workspace),
        lambda: promote(MODEL_NAME, workspace=workspace, actor=ALICE),
        lambda: register("f" * 32, MODEL_NAME, workspace=workspace, actor=ALICE),
    ):
        workspace.tracking.reset()
        with assert_no_hang(), pytest.raises(VigieError, match="does not answer"):
            call()
    with pytest.raises(DataError, match="is waiting for delivery"):
        register(run, MODEL_NAME, workspace=workspace, actor=ALICE)


# ---- concurrent calls -----------------------------------------------------------------------------------------------


def test_register_concurrently_creates_one_version_per_run(
    create_backtest_run: Callable[..., str], workspace: Workspace
) -> None:
    runs = [create_backtest_run(0.08), create_backtest_run(0.07)]
    numbers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda run=run: numbers.append(register(run, MODEL_NAME, workspace=workspace, actor=ALICE).number)
        )
        for run in (*runs, *runs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(numbers) == [1, 1, 2, 2]
    assert list_aliases(workspace) == {2: ("challenger",), 1: ()}


# ---- a real server --------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_registry_on_real_server(
    create_backtest_run: Callable[..., str],
    model: RowModel,
    sample: Dataset,
    tmp_path: Path,
    empty_store: Path,
    mlflow_server: tuple[str, StartServer],
) -> None:
    uri, start = mlflow_server
    server = start()
    workspace = create_workspace(tmp_path / "client", empty_store, uri)
    for wape in (0.08, 0.07):
        register(create_backtest_run(wape, workspace), MODEL_NAME, workspace=workspace, actor=ALICE)
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    register(create_backtest_run(0.09, workspace), MODEL_NAME, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="worse"):
        promote(MODEL_NAME, workspace=workspace, actor=ALICE)
    assert list_aliases(workspace) == {3: ("challenger",), 2: ("champion",), 1: ("previous",)}
    assert MlflowClient(uri).get_model_version_by_alias(MODEL_NAME, "champion").version == "2"
    other_workspace = create_workspace(tmp_path / "other", empty_store, uri)
    loaded = load_by_alias(MODEL_NAME, workspace=other_workspace, kind=RowModel)
    assert np.array_equal(loaded.score(loaded.prepare_rows(sample)), model.score(model.prepare_rows(sample)))
    kill_process_tree(server)
    workspace.tracking.reset()
    with assert_no_hang(), pytest.raises(VigieError, match="does not answer"):
        get_version(MODEL_NAME, workspace=workspace)
