"""A model's life after its run, on SQLite and on a real MLflow server."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
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
from core.runs.model_files import save_model
from core.runs.promotion import get_version, list_versions, load_by_alias, promote, register
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from mlflow_utils.model_io import MODEL_FILE
from mlflow_utils.registry import ModelVersion, PromotionMetric, compare_versions
from mlflow_utils.tracking import Tracking
from tests.conftest import Server, free_port, stop, workplace_in
from tests.test_model_files import make_input_table

BY = Actor("alice", "tests")
BACKTEST = {
    "backtest_from": "2023-01-01",
    "backtest_until": "2023-12-31",
    "horizon": 5,
    "entities": "all",
    "resolution": "day",
    "weather": "measured",
}
NAME = "gas-forecast"


@pytest.fixture(scope="session")
def model(sample: Dataset) -> RowModel:
    return RowModel(list_detectors()["isolation-forest"](n_estimators=10), BASELINE_CLASSES["entity"]()).fit(sample)


@pytest.fixture
def tested(model: RowModel, sample: Dataset, place: Workspace) -> Callable[..., str]:
    """A run of the task forecast whose back-test came out at `wape`; its id."""

    def run(wape: float | None, at: Workspace = place, dataset: Dataset = sample, **params: Any) -> str:
        with track_run("forecast", "Ridge", BACKTEST | params, dataset, BY, at) as run:
            save_model(run.folder / "model", model, make_input_table(sample, 5))
            run.metrics = {} if wape is None else {"wape": wape, "coverage": 0.9}
        return run.id

    return run


def aliases(at: Workspace, name: str = NAME) -> dict[int, tuple[str, ...]]:
    return {version.number: version.aliases for version in list_versions(at, name)}


# ---- register, alias, load ------------------------------------------------------------------------------------------


def test_registered_promoted_and_loaded_by_alias(
    tested: Callable[..., str], model: RowModel, sample: Dataset, place: Workspace
) -> None:
    run = tested(0.08)
    version = register(run, NAME, workspace=place, actor=BY)
    assert (version.number, version.aliases, version.run_id) == (1, ("challenger",), run)
    assert version.figures["wape"] == 0.08
    assert version.test == {name: str(value) for name, value in BACKTEST.items()} | {"dataset.digest": sample.digest}
    assert (
        version.tags
        | {
            "task": "forecast",
            "registered.by": "alice",
            "dataset.digest": sample.digest,
            "model_name": "Ridge",
            "vigie.key": load_run(run, place).record.key,
            "metric": "wape, lower is better",
        }
        == version.tags
    )
    champion, comparison = promote(NAME, workspace=place, actor=BY)
    assert (champion.aliases, comparison) == (("champion",), None)
    loaded = load_by_alias(NAME, workspace=place, kind=RowModel)
    assert np.array_equal(loaded.score(loaded.prepare_rows(sample)), model.score(model.prepare_rows(sample)))

    events = [
        (event.event, event.status, event.details.inputs.get("version")) for event in place.events.read_events()[1:]
    ]
    assert events == [("model_registration", "completed", 1), ("model_promotion", "completed", 1)]


@pytest.fixture
def mlflow_at(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow's own idea of where it keeps things, which it hands on to child processes; put back afterwards."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.tracking.uri)
    mlflow.set_tracking_uri(place.tracking.uri)
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.usefixtures("mlflow_at")
def test_mlflow_loads_it_by_alias(
    tested: Callable[..., str], model: RowModel, sample: Dataset, place: Workspace
) -> None:
    register(tested(0.08), NAME, workspace=place, actor=BY)
    promote(NAME, workspace=place, actor=BY)
    served = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    assert served.predict(make_input_table(sample)).equals(model.predict(make_input_table(sample)))
    assert "entity" in {column.name for column in served.metadata.signature.inputs}


def test_another_machine_loads_it_by_alias(
    tested: Callable[..., str], model: RowModel, sample: Dataset, place: Workspace, tmp_path: Path
) -> None:
    register(tested(0.08), NAME, workspace=place, actor=BY)
    elsewhere = replace(place, tracking=Tracking(place.tracking.uri, None, tmp_path / "elsewhere"))
    loaded = load_by_alias(NAME, "challenger", workspace=elsewhere, kind=RowModel)
    assert loaded.predict(make_input_table(sample)).equals(model.predict(make_input_table(sample)))


def test_a_file_that_is_not_the_registered_one_is_refused(tested: Callable[..., str], place: Workspace) -> None:
    run = tested(0.08)
    register(run, NAME, workspace=place, actor=BY)
    with (load_run(run, place).files / "model" / MODEL_FILE).open("ab") as file:
        file.write(b" ")
    with pytest.raises(UnreadableFileError, match="SHA-256"):
        load_by_alias(NAME, "challenger", workspace=place)


def test_a_run_is_registered_once_under_a_name(tested: Callable[..., str], place: Workspace) -> None:
    run = tested(0.08)
    assert register(run, NAME, workspace=place, actor=BY) == register(run, NAME, workspace=place, actor=BY)
    assert register(run, workspace=place, actor=BY).name == "forecast"
    assert [(version.name, version.number) for version in list_versions(place)] == [("forecast", 1), (NAME, 1)]


# ---- promotion ------------------------------------------------------------------------------------------------------


def test_the_better_one_is_promoted_and_the_old_one_kept(tested: Callable[..., str], place: Workspace) -> None:
    for wape in (0.08, 0.07):
        register(tested(wape), NAME, workspace=place, actor=BY)
        champion, comparison = promote(NAME, workspace=place, actor=BY)
    assert comparison is not None
    assert comparison.figures == (0.08, 0.07)
    assert aliases(place) == {2: ("champion",), 1: ("previous",)}
    assert champion.tags["promoted.by"] == "alice"
    assert champion.tags["promoted.over"] == "1"
    assert champion.tags["promoted.figures"] == "wape: 0.08 → 0.07"
    register(tested(0.07), NAME, workspace=place, actor=BY)
    promote(NAME, workspace=place, actor=BY)  # as good is not worse
    assert aliases(place) == {3: ("champion",), 2: ("previous",), 1: ()}
    assert promote(NAME, 3, workspace=place, actor=BY)[0].number == 3
    assert aliases(place) == {3: ("champion",), 2: ("previous",), 1: ()}


def test_the_worse_one_is_refused_unless_forced_with_a_reason(tested: Callable[..., str], place: Workspace) -> None:
    register(tested(0.07), NAME, workspace=place, actor=BY)
    promote(NAME, workspace=place, actor=BY)
    register(tested(0.09), NAME, workspace=place, actor=BY)
    with pytest.raises(DataError, match=r"version 2 is worse than champion version 1: wape 0\.09 against 0\.07"):
        promote(NAME, workspace=place, actor=BY)
    with pytest.raises(OptionError, match="reason"):
        promote(NAME, workspace=place, actor=BY, force=True, reason=" ")
    assert aliases(place) == {2: ("challenger",), 1: ("champion",)}
    assert place.events.read_events()[-1].status == "failed"

    champion, _ = promote(NAME, workspace=place, actor=Actor("bob", "tests"), force=True, reason="needs no temperature")
    assert aliases(place) == {2: ("champion",), 1: ("previous",)}
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
    promote(NAME, 1, workspace=place, actor=BY)  # and back, because the first one is better
    assert aliases(place) == {2: ("previous",), 1: ("champion",)}


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
def test_what_was_tested_otherwise_is_not_compared(
    tested: Callable[..., str], place: Workspace, params: dict[str, Any], words: str
) -> None:
    register(tested(0.07), NAME, workspace=place, actor=BY)
    promote(NAME, workspace=place, actor=BY)
    register(tested(**{"wape": 0.01} | params), NAME, workspace=place, actor=BY)
    with pytest.raises(DataError, match="Run both on the same backtest, or force the promotion with a") as refused:
        promote(NAME, workspace=place, actor=BY)
    assert words in str(refused.value)
    assert str(refused.value).count("≠") == 1
    assert aliases(place) == {2: ("challenger",), 1: ("champion",)}
    promote(NAME, workspace=place, actor=BY, force=True, reason="another year")
    assert aliases(place) == {2: ("champion",), 1: ("previous",)}


def test_a_back_test_that_says_nothing_of_itself_is_compared_with_nothing(
    model: RowModel, sample: Dataset, place: Workspace
) -> None:
    for wape in (0.07, 0.06):
        with track_run("forecast", "Ridge", {}, sample, BY, place) as run:
            save_model(run.folder / "model", model, make_input_table(sample, 5))
            run.metrics = {"wape": wape}
        version = register(run.id, NAME, workspace=place, actor=BY).number
        if version == 1:
            promote(NAME, workspace=place, actor=BY)
    with pytest.raises(DataError, match="horizon: - ≠ -"):
        promote(NAME, workspace=place, actor=BY)


def test_a_detector_becomes_champion_by_force_only(sample: Dataset, place: Workspace) -> None:
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=place, actor=BY)
    assert register(run.id, workspace=place, actor=BY).name == "anomalies"
    with pytest.raises(DataError, match="no labels"):
        promote("anomalies", workspace=place, actor=BY)
    promote("anomalies", workspace=place, actor=BY, force=True, reason="found the planted faults")
    assert get_version("anomalies", workspace=place).number == 1


def test_another_definition_of_the_metric_is_not_compared(tested: Callable[..., str], place: Workspace) -> None:
    register(tested(0.07), NAME, workspace=place, actor=BY)
    promote(NAME, workspace=place, actor=BY)
    register(tested(0.06), NAME, workspace=place, actor=BY)
    MlflowClient(place.tracking.uri).set_model_version_tag(NAME, "1", "metric", "mase, lower is better")
    with pytest.raises(DataError, match="metric: wape, lower is better ≠ mase, lower is better"):
        promote(NAME, workspace=place, actor=BY)


@pytest.mark.parametrize(("lower", "worse"), [(True, True), (False, False)])
def test_the_yardstick_says_which_way_is_better(lower: bool, worse: bool) -> None:
    yardstick = PromotionMetric("ari", lower_is_better=lower)
    old, new = (
        ModelVersion(NAME, number, "", 0, tags={"metric": yardstick.definition, "figure.ari": figure})
        for number, figure in ((1, "0.4"), (2, "0.5"))
    )
    assert compare_versions(old, new, yardstick).is_worse is worse
    assert compare_versions(old, new, yardstick).is_accepted is not worse


def test_a_name_is_for_one_task(tested: Callable[..., str], sample: Dataset, place: Workspace) -> None:
    register(tested(0.07), NAME, workspace=place, actor=BY)
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=place, actor=BY)
    with pytest.raises(OptionError, match="task forecast; this one is of anomalies"):
        register(run.id, NAME, workspace=place, actor=BY)


# ---- what is not there ----------------------------------------------------------------------------------------------


def test_wrong_names_are_refused(tested: Callable[..., str], place: Workspace, sample: Dataset) -> None:
    run = tested(0.07)
    for name in ("a/b", "x' OR name != '", "..", "a" * 101, "é"):
        with pytest.raises(OptionError, match="not accepted"):
            register(run, name, workspace=place, actor=BY)
        with pytest.raises(OptionError, match="not accepted"):
            promote(name, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match=r"f{12}"):
        register("f" * 32, NAME, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="No model nothing"):
        promote("nothing", workspace=place, actor=BY)
    register(run, NAME, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="gas-forecast 7"):
        promote(NAME, 7, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="gas-forecast@champion"):
        load_by_alias(NAME, workspace=place)
    promote(NAME, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="gas-forecast@challenger"):
        promote(NAME, workspace=place, actor=BY)


def test_a_run_that_cannot_be_loaded_again_is_not_registered(
    tested: Callable[..., str], sample: Dataset, place: Workspace
) -> None:
    with track_run("forecast", "Ridge", {}, sample, BY, place) as run:
        (run.folder / "note.txt").touch()
    with pytest.raises(NotFoundError, match="no model"):
        register(run.id, NAME, workspace=place, actor=BY)
    with suppress(ZeroDivisionError), track_run("forecast", "Ridge", {}, sample, BY, place) as run:
        (run.folder / "note.txt").touch()
        1 / 0
    with pytest.raises(DataError, match="failed"):
        register(run.id, NAME, workspace=place, actor=BY)
    planted = tested(0.07)
    (load_run(planted, place).files / "model" / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(UnreadableFileError, match="BadZipFile"):
        register(planted, NAME, workspace=place, actor=BY)
    assert list_versions(place) == []


def test_a_silent_server_says_so_in_time(
    tested: Callable[..., str], model: RowModel, tmp_path: Path, empty_store: Path
) -> None:
    at = workplace_in(tmp_path / "client", empty_store, f"http://127.0.0.1:{free_port()}")
    run = tested(0.07, at)
    for ask in (
        lambda: list_versions(at),
        lambda: load_by_alias(NAME, workspace=at),
        lambda: promote(NAME, workspace=at, actor=BY),
        lambda: register("f" * 32, NAME, workspace=at, actor=BY),
    ):
        at.tracking.reset()
        began = time.perf_counter()
        with pytest.raises(VigieError, match="does not answer"):
            ask()
        assert time.perf_counter() - began < 2
    with pytest.raises(DataError, match="waits to be delivered"):
        register(run, NAME, workspace=at, actor=BY)


# ---- several at once ------------------------------------------------------------------------------------------------


def test_two_registrations_at_once(tested: Callable[..., str], place: Workspace) -> None:
    runs = [tested(0.08), tested(0.07)]
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda run=run: got.append(register(run, NAME, workspace=place, actor=BY).number))
        for run in (*runs, *runs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == [1, 1, 2, 2]
    assert aliases(place) == {2: ("challenger",), 1: ()}


# ---- a real server --------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_on_a_real_server(
    tested: Callable[..., str],
    model: RowModel,
    sample: Dataset,
    tmp_path: Path,
    empty_store: Path,
    mlflow_server: tuple[str, Server],
) -> None:
    uri, start = mlflow_server
    server = start()
    at = workplace_in(tmp_path / "client", empty_store, uri)
    for wape in (0.08, 0.07):
        register(tested(wape, at), NAME, workspace=at, actor=BY)
        promote(NAME, workspace=at, actor=BY)
    register(tested(0.09, at), NAME, workspace=at, actor=BY)
    with pytest.raises(DataError, match="worse"):
        promote(NAME, workspace=at, actor=BY)
    assert aliases(at) == {3: ("challenger",), 2: ("champion",), 1: ("previous",)}
    assert MlflowClient(uri).get_model_version_by_alias(NAME, "champion").version == "2"
    other = workplace_in(tmp_path / "other", empty_store, uri)
    loaded = load_by_alias(NAME, workspace=other, kind=RowModel)
    assert np.array_equal(loaded.score(loaded.prepare_rows(sample)), model.score(model.prepare_rows(sample)))
    stop(server)
    at.tracking.reset()
    began = time.perf_counter()
    with pytest.raises(VigieError, match="does not answer"):
        get_version(NAME, workspace=at)
    assert time.perf_counter() - began < 2
