"""The contract of all tasks, and toy tasks and algorithms that need no edit except their registration."""

import inspect
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from core.__main__ import build_app
from core.data.dataset import Dataset
from core.errors import OptionError
from core.jobs.worker import Worker
from core.progress import Progress
from core.runs.card import run_card
from core.runs.result import Result
from core.runs.stored_runs import load_result
from core.spec.codec import decode, encode
from core.spec.command_line import command_line
from core.spec.hyperparameters import hyperparameters
from core.spec.spec import DataSpec, Spec
from core.spec.task import Mode, Task, added_task, get_metric, get_task, list_tasks, load_entry
from core.workspace import Workspace
from pages.components.i18n import catalogue
from pages.components.spec_form import SELECTION
from tests import toy_algorithms, toy_task
from tests.conftest import ROOT, answered
from tests.spec_strategies import parse, specs
from tests.test_pages import at, clicked, opened, texts  # noqa: F401

TASKS = [*list_tasks(), toy_task.TASK]
MODES = [(task, mode) for task in TASKS for mode in task.modes]
EVERY_TASK = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
EVERY_MODE = pytest.mark.parametrize(("task", "mode"), MODES, ids=[mode.spec.__name__ for _, mode in MODES])


@pytest.fixture(autouse=True)
def toy() -> Iterator[Task]:
    """The toy task, registered during the test."""
    with added_task(toy_task.TASK) as task:
        yield task


@pytest.fixture(scope="module")
def days() -> Dataset:
    """Daily values of two entities over 500 days, without data-quality issues."""
    index = pd.MultiIndex.from_product(
        [["north", "south"], pd.date_range("2024-01-01", periods=500)], names=["entity", "time"]
    )
    values = np.random.default_rng(3).normal(2, 1, (len(index), 3))
    frame = pd.DataFrame(values, index, columns=["a", "b", "c"])
    return Dataset(frame, "tidy_series", files=("days.csv",), unit="MWh", step=pd.Timedelta(days=1))


def invoke(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """Run a command in this process and return what it prints."""
    monkeypatch.setattr("core.cli.task_commands.get_workspace", lambda: workspace)
    ran = CliRunner().invoke(build_app(), list(words))
    assert ran.exit_code == 0, ran.output
    return str(ran.stdout)


# ---- a registered toy task ------------------------------------------------------------------------------------------


def page() -> None:
    """The page that a newcomer writes."""
    import streamlit as st

    from pages.components import task_page

    task, dataset = task_page.open_page("limit")
    if dataset is not None:
        task_page.ask_and_show(task, dataset, lambda result, part, run: st.dataframe(result.rows))


def toy_page(dataset: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params["dataset"] = dataset
    return app.run()


def filled(app: AppTest, key: str, value: object) -> AppTest:
    widgets = [*app.number_input, *app.selectbox, *app.multiselect]
    return next(widget for widget in widgets if widget.key == key).set_value(value).run()


def test_the_toy_has_a_command_a_run_and_a_card_that_repeats_it(
    place: Workspace, days: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = place.datasets.save(days)
    asked = [digest, "--limit", "2.5", "--side=below", "--entity", "north", "--json"]
    answer = json.loads(invoke(place, monkeypatch, "limit", *asked))
    means = days.select(["north"]).values.mean(axis=1)
    assert answer["metrics"] == {"beyond": (means < 2.5).sum(), "furthest": pytest.approx(2.5 - means.min())}
    assert set(answer) == {"run_id", "recorded", "metrics", "seconds", "emissions_kg"}

    client = MlflowClient(place.tracking.uri)
    run = client.get_run(answer["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "limit"
    assert run.data.params == {"limit": "2.5", "side": "below", "parts": "4", "entities": "north"}
    assert run.data.metrics["beyond"] == answer["metrics"]["beyond"]
    assert load_result(answer["run_id"], toy_task.LimitResult, place).rows["mean"].max() < 2.5

    card = run_card(answer["run_id"], place)
    assert str(card.about.title) == "Limit"
    assert card.counts == answer["metrics"]
    words = shlex.split(card.repeat.command)
    assert words[:5] == ["python", "-m", "core", "limit", digest]
    again = json.loads(invoke(place, monkeypatch, *words[3:], "--json"))
    assert again["metrics"] == answer["metrics"]
    assert again["run_id"] != answer["run_id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--limit", "-1"], "0 to 1,000,000"), (["--side", "beside"], "above"), (["--entity", "west"], "north, south")],
)
def test_the_command_of_the_toy_refuses_by_name(
    place: Workspace, days: Dataset, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr("core.cli.task_commands.get_workspace", lambda: place)
    ran = CliRunner().invoke(build_app(), ["limit", place.datasets.save(days), *words])
    assert ran.exit_code == 2
    assert said in ran.output
    assert ran.stdout == ""


def test_the_toy_prints_and_writes_what_every_command_does(
    place: Workspace, days: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    out = tmp_path / "beyond.csv"
    printed = invoke(place, monkeypatch, "limit", place.datasets.save(days), "--out", str(out))
    assert "g CO2" in printed
    assert (pd.read_csv(out)["mean"] > 2).all()
    help_ = " ".join(invoke(place, monkeypatch, "limit", "--help").replace("│", " ").split())
    assert "Find the rows whose mean lies beyond a limit." in help_
    assert "The mean of a row that is still usual." in help_


def test_the_toy_has_a_form_whose_answer_is_a_job(at: Workspace, days: Dataset, worker: Worker) -> None:  # noqa: F811
    app = toy_page(at.datasets.save(days))
    assert not app.exception
    assert app.title[0].value == "Limit"
    labels = {widget.label for widget in (*app.number_input, *app.selectbox)}
    assert {"Limit", "Unusual is what lies", "Parts"} <= labels
    app = filled(filled(app, "limit-limit", 3.0), "limit-entities", ["south"])
    app = answered(clicked(app, "limit-ask"))
    assert not app.exception
    assert not app.error
    result = load_result(app.query_params["run"], toy_task.LimitResult, at)
    assert (result.spec.limit, result.spec.entities) == (3.0, ("south",))
    assert len(app.dataframe[0].value) == len(result.rows)
    assert len(at.events.read()) == 1


def test_the_job_of_the_toy_is_watched_and_cancelled(
    at: Workspace,  # noqa: F811
    days: Dataset,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = Progress.tell

    def tell(progress: Progress, share: float, doing: str = "") -> None:
        quick(progress, share, doing)
        time.sleep(0.02)

    monkeypatch.setattr(Progress, "tell", tell)
    app = filled(toy_page(at.datasets.save(days)), "limit-parts", 5000)
    app = clicked(app, "limit-ask")
    until = time.monotonic() + 30
    while not app.get("progress") or "Looking at the rows" not in app.get("progress")[0].proto.text:
        assert time.monotonic() < until, "no progress was shown"
        time.sleep(0.1)
        app = app.run()
    assert next(button for button in app.button if button.key == "limit-ask").disabled
    app = answered(clicked(app, "cancel-work"))
    assert "Cancelled: nothing was kept" in texts(app)
    assert "run" not in app.query_params
    assert not next(button for button in app.button if button.key == "limit-ask").disabled
    assert [event.status for event in at.events.read()] == ["interrupted"]


def test_the_toy_has_its_row_on_tracking(at: Workspace, days: Dataset) -> None:  # noqa: F811
    at.datasets.save(days)
    with_metrics = [run_of(at, days, limit) for limit in (2.0, 3.0)]
    app = opened("operations/tracking.py", runs=",".join(with_metrics))
    assert not app.exception
    listed = app.dataframe[0].value
    assert listed["task"].tolist() == ["Limit", "Limit"]
    assert listed["figure"].str.startswith("rows beyond it: ").all()
    metrics = app.dataframe[2].value.set_index("Metric")
    assert metrics.loc["furthest"].str.startswith("★").sum() == 1, "the task declares which direction is better"
    assert not metrics.loc["beyond"].str.startswith("★").any()
    tasks = next(box for box in app.selectbox if box.key == "tracking-task")
    app = tasks.set_value("limit").run()
    assert "Lower furthest is better" in texts(app)


def run_of(workspace: Workspace, dataset: Dataset, limit: float) -> str:
    from core.actor import Actor

    spec = toy_task.LimitSpec(limit=limit, parts=1)
    return toy_task.find_beyond(spec, dataset, workspace=workspace, actor=Actor("bob", "tests"))[1].id


def test_the_documents_show_the_toy() -> None:
    """The code blocks of the documents are the tested code."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    section = text.partition("## Add a task")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    source = (ROOT / "tests" / "toy_task.py").read_text(encoding="utf-8") + inspect.getsource(page)
    assert len(blocks) >= 4
    for block in blocks:
        for part in re.split(r"\n{2,}", re.sub(r"^(?:from|import|#) ?.*\n", "", block, flags=re.MULTILINE).strip()):
            assert part in source, part


# ---- registered toy algorithms --------------------------------------------------------------------------------------

ALGORITHMS = [
    ("anomalies", "detector", "power"),
    ("clusters", "clusterer", "width"),
    ("forecast", "forecaster", "factor"),
    ("sequences", "detector", "scale"),
]
EVERY_ALGORITHM = pytest.mark.parametrize(("task", "field", "setting"), ALGORITHMS, ids=[row[0] for row in ALGORITHMS])


@EVERY_ALGORITHM
def test_a_toy_algorithm_is_on_the_form_with_its_settings(
    at: Workspace,  # noqa: F811
    days: Dataset,
    task: str,
    field: str,
    setting: str,
) -> None:
    with toy_algorithms.registered():
        app = opened(f"analysis/{task}.py", dataset=at.datasets.save(days))
        chosen = next(box for box in app.selectbox if box.key == f"{task}-{field}")
        assert any(option.startswith("Toy ") for option in chosen.options)
        app = chosen.set_value("toy").run()
        assert not app.exception
        assert f"{task}-{field}-toy.{setting}" in {number.key for number in app.number_input}


@EVERY_ALGORITHM
def test_a_toy_algorithm_is_an_option_and_its_model_is_kept(
    place: Workspace, days: Dataset, monkeypatch: pytest.MonkeyPatch, task: str, field: str, setting: str
) -> None:
    """Its settings are parameters of the run, and its model is loaded from the file."""
    digest = place.datasets.save(days.replace(frame=days.frame[["a"]]))
    fit, *_ = get_task(task).modes
    with toy_algorithms.registered():
        words = [*fit.command.split(), digest, f"--{field}=toy", f"--set={setting}=1.5", "--json"]
        run_id = json.loads(invoke(place, monkeypatch, *words))["run_id"]
        params = MlflowClient(place.tracking.uri).get_run(run_id).data.params
        assert (params[field], params[setting]) == ("toy", "1.5")
        apply_ = next(mode for mode in get_task(task).modes if mode.spec.chosen_by == "model")
        words = [*apply_.command.split(), digest, f"--model={run_id}", "--json"]
        assert json.loads(invoke(place, monkeypatch, *words))["run_id"] != run_id


def test_toy_algorithms_are_in_the_contract_tests() -> None:
    """The contract tests read the registry, so every registered algorithm is tested."""
    files = [f"tests/test_{kind}.py" for kind in ("detectors", "clusterers", "forecasters")]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.toy_algorithms", "-k", "toy", "-rA", "--show-capture=no", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    passed = re.findall(r"^PASSED (tests/\w+\.py)::", ran.stdout, re.MULTILINE)
    assert min(passed.count(file) for file in files) >= 7


# ---- contract of all tasks ------------------------------------------------------------------------------------------


@EVERY_TASK
def test_entries_of_a_task_resolve(task: Task) -> None:
    for entry in (task.card, task.answer, task.lines, *(mode.options for mode in task.modes)):
        assert not entry or load_entry(entry) is not None
    result = load_entry(task.result)
    assert issubclass(result, Result)
    assert "spec" in inspect.signature(result).parameters
    assert task.name == task.name.lower()
    assert not task.page or (ROOT / "pages" / "analysis" / f"{task.page}.py").is_file()


@EVERY_MODE
def test_what_runs_a_mode_has_the_signature(task: Task, mode: Mode) -> None:
    parameters = inspect.signature(load_entry(mode.run)).parameters
    positional = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    keywords = {name: parameter.default for name, parameter in parameters.items() if name not in positional}
    assert positional == (["spec", "dataset"] if issubclass(mode.spec, DataSpec) else ["spec"])
    assert keywords == {"workspace": inspect.Parameter.empty, "actor": inspect.Parameter.empty, "progress": None}
    assert task.mode_of(mode.spec()) is mode


@EVERY_MODE
def test_every_field_explains_itself(task: Task, mode: Mode) -> None:
    """Each field of a form has a label, or the page has its own widget for it."""
    for name, field in hyperparameters(mode.spec).items():
        assert field.metadata["help"], name
        if name in (*SELECTION, "model") or not _is_on_form(task, mode):
            continue
        script = ROOT / "pages" / "analysis" / f"{task.page}.py"
        asked_by_page = task.page and f'"{name}"' in script.read_text(encoding="utf-8")
        assert field.metadata["label"] or asked_by_page, name


def _is_on_form(task: Task, mode: Mode) -> bool:
    return bool(task.action) and (bool(mode.label) or mode is task.modes[0])


@pytest.mark.parametrize("task", list_tasks(), ids=lambda task: task.name)
def test_what_a_task_says_is_in_french(task: Task) -> None:
    known = catalogue("fr")._catalog  # type: ignore[attr-defined]
    said = {task.label, task.action, *(metric.label for metric in task.metrics), *(mode.label for mode in task.modes)}
    for mode in task.modes:
        for field in hyperparameters(mode.spec).values():
            metadata = field.metadata
            said |= {metadata["label"], metadata["help"], *metadata["words"].values(), *metadata["captions"].values()}
    assert not {text for text in said if text and text not in known}


@EVERY_TASK
def test_metrics_that_a_task_names_are_known(task: Task) -> None:
    for name in filter(None, [task.headline, task.accuracy, task.promotion.metric if task.promotion else ""]):
        assert get_metric(name, task.name).label
    assert not task.accuracy or get_metric(task.accuracy, task.name).direction, "the metric has no direction"
    if task.promotion is not None:
        assert task.promotion.lower_is_better == (get_metric(task.promotion.metric, task.name).direction < 0)


# ---- round trips of specs -------------------------------------------------------------------------------------------

QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@EVERY_MODE
def test_specs_come_back_from_json(task: Task, mode: Mode) -> None:
    @QUICK
    @given(specs(mode.spec))
    def check(spec: Spec) -> None:
        written = json.loads(json.dumps(encode(spec)))
        assert decode(type(spec), written) == spec
        assert task.spec_from_json(written) == spec

    check()


@EVERY_MODE
def test_specs_come_back_from_the_command_line(task: Task, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    if not mode.command:
        assert command_line(task, mode.spec()) == ""
        return

    @QUICK
    @given(specs(mode.spec))
    def check(spec: Spec) -> None:
        assert parse(task, spec, monkeypatch) == spec

    check()


@EVERY_MODE
def test_names_that_a_spec_has_not_are_refused(task: Task, mode: Mode) -> None:
    written = encode(mode.spec())
    with pytest.raises(TypeError, match="elsewhere"):
        task.spec_from_json({**written, "elsewhere": 1})
    with pytest.raises((LookupError, TypeError, ValueError, OptionError)):
        task.spec_from_json({**written, next(iter(hyperparameters(mode.spec))): {"no": "value"}})


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_outside_its_bounds_is_refused(limit: float) -> None:
    spec = replace(toy_task.LimitSpec(), limit=limit)
    if 0 <= limit <= 1_000_000:
        spec.check()
    else:
        with pytest.raises(OptionError, match="limit"):
            spec.check()
