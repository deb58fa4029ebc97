"""The contract of all tasks, and toy tasks and algorithms that need no edit except their registration."""

import inspect
import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from core.__main__ import build_app
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.errors import OptionError, VigieError
from core.jobs.worker import Worker
from core.language import load_catalogue
from core.progress import Progress
from core.runs.card import build_run_card
from core.runs.result import Result
from core.runs.stored_runs import load_result
from core.settings import ROOT
from core.spec.codec import decode, encode
from core.spec.command_line import reproduce_command
from core.spec.hyperparameters import get_hyperparameters
from core.spec.spec import DataSpec, Spec
from core.spec.task import Mode, Task, get_metric, get_task, list_tasks, load_entry_point, register_task
from core.workspace import Workspace
from pages.components.spec_form import SELECTION_FIELDS
from tests.conftest import wait_for_job
from tests.support import toy_algorithms, toy_task
from tests.support.app_pages import click_button, open_form, open_page, read_page_text
from tests.support.commands import run_module
from tests.support.spec_strategies import parse_command_line, specs

TASKS = [*list_tasks(), toy_task.TASK]
MODES = [(task, mode) for task in TASKS for mode in task.modes]
EVERY_TASK = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
EVERY_MODE = pytest.mark.parametrize(("task", "mode"), MODES, ids=[mode.spec.__name__ for _, mode in MODES])


@pytest.fixture(autouse=True)
def toy() -> Iterator[Task]:
    """The toy task, registered during the test."""
    with register_task(toy_task.TASK) as task:
        yield task


@pytest.fixture(scope="module")
def daily_dataset() -> Dataset:
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
    result = CliRunner().invoke(build_app(), list(words))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


# ---- a registered toy task ------------------------------------------------------------------------------------------


def page() -> None:
    """The page that a newcomer writes."""
    import streamlit as st

    from pages.components import task_page

    task, dataset = task_page.open_page("limit")
    if dataset is not None:
        task_page.ask_and_show(task, dataset, lambda result, part, run: st.dataframe(result.rows))


def open_toy_page(dataset: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params["dataset"] = dataset
    return app.run()


def set_widget(app: AppTest, key: str, value: object) -> AppTest:
    widgets = [*app.number_input, *app.selectbox, *app.multiselect]
    return next(widget for widget in widgets if widget.key == key).set_value(value).run()


def test_toy_task_has_command_run_and_card(
    workspace: Workspace, daily_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = workspace.datasets.save(daily_dataset)
    arguments = [digest, "--limit", "2.5", "--side=below", "--entity", "north", "--json"]
    answer = json.loads(invoke(workspace, monkeypatch, "limit", *arguments))
    means = daily_dataset.filter_rows(["north"]).values.mean(axis=1)
    assert answer["metrics"] == {"beyond": (means < 2.5).sum(), "furthest": pytest.approx(2.5 - means.min())}
    assert set(answer) == {"run_id", "recorded", "metrics", "seconds", "emissions_kg"}

    client = MlflowClient(workspace.tracking.uri)
    run = client.get_run(answer["run_id"])
    assert client.get_experiment(run.info.experiment_id).name == "limit"
    assert run.data.params == {"limit": "2.5", "side": "below", "parts": "4", "entities": "north"}
    assert run.data.metrics["beyond"] == answer["metrics"]["beyond"]
    assert load_result(answer["run_id"], toy_task.LimitResult, workspace).rows["mean"].max() < 2.5

    card = build_run_card(answer["run_id"], workspace)
    assert str(card.about.title) == "Limit"
    assert card.counts == answer["metrics"]
    words = shlex.split(card.repeat.command)
    assert words[:5] == ["python", "-m", "core", "limit", digest]
    repeated = json.loads(invoke(workspace, monkeypatch, *words[3:], "--json"))
    assert repeated["metrics"] == answer["metrics"]
    assert repeated["run_id"] != answer["run_id"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--limit", "-1"], "0 to 1,000,000"), (["--side", "beside"], "above"), (["--entity", "west"], "north, south")],
)
def test_toy_task_command_names_invalid_value(
    workspace: Workspace, daily_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr("core.cli.task_commands.get_workspace", lambda: workspace)
    result = CliRunner().invoke(build_app(), ["limit", workspace.datasets.save(daily_dataset), *words])
    assert result.exit_code == 2
    assert said in result.output
    assert result.stdout == ""


def test_toy_task_command_prints_and_writes_output(
    workspace: Workspace, daily_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    out = tmp_path / "beyond.csv"
    output = invoke(workspace, monkeypatch, "limit", workspace.datasets.save(daily_dataset), "--out", str(out))
    assert "g CO2" in output
    assert (pd.read_csv(out)["mean"] > 2).all()
    help_ = " ".join(invoke(workspace, monkeypatch, "limit", "--help").replace("│", " ").split())
    assert "Find the rows whose mean lies beyond a limit." in help_
    assert "The mean of a row that is still usual." in help_


def test_toy_task_form_submits_job(page_workspace: Workspace, daily_dataset: Dataset, worker: Worker) -> None:
    app = open_toy_page(page_workspace.datasets.save(daily_dataset))
    assert not app.exception
    assert app.title[0].value == "Limit"
    labels = {widget.label for widget in (*app.number_input, *app.selectbox)}
    assert {"Limit", "Unusual is what lies", "Parts"} <= labels
    app = set_widget(set_widget(app, "limit-limit", 3.0), "limit-entities", ["south"])
    app = wait_for_job(click_button(app, "limit-ask"))
    assert not app.exception
    assert not app.error
    result = load_result(app.query_params["run"], toy_task.LimitResult, page_workspace)
    assert (result.spec.limit, result.spec.entities) == (3.0, ("south",))
    assert len(app.dataframe[0].value) == len(result.rows)
    assert len(page_workspace.events.read_events()) == 1
    app = open_form(app, "limit")
    chosen = {widget.key: widget.value for widget in (*app.number_input, *app.multiselect)}
    assert (chosen["limit-limit"], chosen["limit-entities"]) == (3.0, ["south"]), "a closed form keeps what was chosen"


def test_toy_task_job_shows_progress_and_cancels(
    page_workspace: Workspace, daily_dataset: Dataset, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    original_tell = Progress.report

    def tell(progress: Progress, share: float, doing: str = "") -> None:
        original_tell(progress, share, doing)
        time.sleep(0.02)

    monkeypatch.setattr(Progress, "report", tell)
    app = set_widget(open_toy_page(page_workspace.datasets.save(daily_dataset)), "limit-parts", 5000)
    app = click_button(app, "limit-ask")
    deadline = time.monotonic() + 30
    while not app.get("progress") or "Looking at the rows" not in app.get("progress")[0].proto.text:
        assert time.monotonic() < deadline, "no progress was shown"
        time.sleep(0.1)
        app = app.run()
    assert "limit-ask" not in [button.key for button in app.button], "the form is closed while the job runs"
    assert next(button for button in open_form(app, "limit").button if button.key == "limit-ask").disabled
    app = wait_for_job(click_button(app, "cancel-work"))
    assert "The job is cancelled" in read_page_text(app)
    assert "run" not in app.query_params
    assert not next(button for button in app.button if button.key == "limit-ask").disabled
    assert [event.status for event in page_workspace.events.read_events()] == ["interrupted"]


def test_toy_task_appears_on_tracking_page(page_workspace: Workspace, daily_dataset: Dataset) -> None:
    page_workspace.datasets.save(daily_dataset)
    run_ids = [run_toy_task(page_workspace, daily_dataset, limit) for limit in (2.0, 3.0)]
    app = open_page("operations/tracking.py", runs=",".join(run_ids), columns="task,figure")
    assert not app.exception
    table = app.dataframe[0].value
    assert table["task"].tolist() == ["Limit", "Limit"]
    assert table["figure"].str.startswith("rows beyond it: ").all()
    metrics = app.dataframe[2].value.set_index("Metric")
    assert metrics.loc["furthest"].str.startswith("★").sum() == 1, "the task declares which direction is better"
    assert not metrics.loc["rows beyond it (beyond)"].str.startswith("★").any()
    tasks = next(box for box in app.selectbox if box.key == "tracking-task")
    app = tasks.set_value("limit").run()
    assert "Lower furthest is better" in read_page_text(app)


def run_toy_task(workspace: Workspace, dataset: Dataset, limit: float) -> str:
    from core.actor import Actor

    spec = toy_task.LimitSpec(limit=limit, parts=1)
    return toy_task.find_beyond(spec, dataset, workspace=workspace, actor=Actor("bob", "tests"))[1].id


def test_documented_task_code_matches_toy_task() -> None:
    """The code blocks of the documents are the tested code."""
    text = (ROOT / "docs" / "how-to" / "add-a-task.md").read_text(encoding="utf-8")
    section = text.partition("## Add a task")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    source = (ROOT / "tests" / "support" / "toy_task.py").read_text(encoding="utf-8") + inspect.getsource(page)
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
def test_toy_algorithm_appears_on_form(
    page_workspace: Workspace, daily_dataset: Dataset, task: str, field: str, setting: str
) -> None:
    with toy_algorithms.registered():
        app = open_page(f"analysis/{task}.py", dataset=page_workspace.datasets.save(daily_dataset))
        selectbox = next(box for box in app.selectbox if box.key == f"{task}-{field}")
        assert any(option.startswith("Toy ") for option in selectbox.options)
        app = selectbox.set_value("toy").run()
        assert not app.exception
        assert f"{task}-{field}-toy.{setting}" in {number.key for number in app.number_input}


@EVERY_ALGORITHM
def test_toy_algorithm_works_on_command_line(
    workspace: Workspace, daily_dataset: Dataset, monkeypatch: pytest.MonkeyPatch, task: str, field: str, setting: str
) -> None:
    """Its settings are parameters of the run, and its model is loaded from the file."""
    digest = workspace.datasets.save(daily_dataset.replace(frame=daily_dataset.frame[["a"]]))
    fit, *_ = get_task(task).modes
    with toy_algorithms.registered():
        words = [*fit.command.split(), digest, f"--{field}=toy", f"--set={setting}=1.5", "--json"]
        run_id = json.loads(invoke(workspace, monkeypatch, *words))["run_id"]
        params = MlflowClient(workspace.tracking.uri).get_run(run_id).data.params
        assert (params[field], params[setting]) == ("toy", "1.5")
        apply_ = next(mode for mode in get_task(task).modes if mode.spec.selector_field == "model")
        words = [*apply_.command.split(), digest, f"--model={run_id}", "--json"]
        assert json.loads(invoke(workspace, monkeypatch, *words))["run_id"] != run_id


def test_toy_algorithm_joins_contract_tests() -> None:
    """The contract tests read the registry, so every registered algorithm is tested."""
    files = [f"tests/core/{kind}/test_{kind}.py" for kind in ("detectors", "clusterers", "forecasters")]
    options = ("-p", "tests.support.toy_algorithms", "-k", "toy", "-rA", "--show-capture=no")
    in_fork = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of plugins that the process has imported before
    process = run_module("pytest", *options, *in_fork, *files)
    assert process.returncode == 0, process.stdout
    passed = re.findall(r"^PASSED (tests/[\w/]+\.py)::", process.stdout, re.MULTILINE)
    assert min(passed.count(file) for file in files) >= 7


# ---- contract of all tasks ------------------------------------------------------------------------------------------


@EVERY_TASK
def test_task_entries_resolve(task: Task) -> None:
    for entry in (task.card, task.json_fields, task.lines, *(mode.options for mode in task.modes)):
        assert not entry or load_entry_point(entry) is not None
    result = load_entry_point(task.result)
    assert issubclass(result, Result)
    assert "spec" in inspect.signature(result).parameters
    assert task.name == task.name.lower()
    assert not task.page or (ROOT / "pages" / "analysis" / f"{task.page}.py").is_file()


@EVERY_MODE
def test_mode_function_has_required_signature(task: Task, mode: Mode) -> None:
    parameters = inspect.signature(load_entry_point(mode.run)).parameters
    positional = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    keywords = {name: parameter.default for name, parameter in parameters.items() if name not in positional}
    assert positional == (["spec", "dataset"] if issubclass(mode.spec, DataSpec) else ["spec"])
    assert keywords == {"workspace": inspect.Parameter.empty, "actor": inspect.Parameter.empty, "progress": None}
    assert task.get_mode(mode.spec()) is mode


@EVERY_MODE
def test_spec_field_has_help_and_label(task: Task, mode: Mode) -> None:
    """Each field of a form has a label, or the page has its own widget for it."""
    for name, field in get_hyperparameters(mode.spec).items():
        assert field.metadata["help"], name
        if name in (*SELECTION_FIELDS, "model") or not _is_on_form(task, mode):
            continue
        script = ROOT / "pages" / "analysis" / f"{task.page}.py"
        has_own_widget = task.page and f'"{name}"' in script.read_text(encoding="utf-8")
        assert field.metadata["label"] or has_own_widget, name


def _is_on_form(task: Task, mode: Mode) -> bool:
    return bool(task.action) and (bool(mode.label) or mode is task.modes[0])


@pytest.mark.parametrize("task", list_tasks(), ids=lambda task: task.name)
def test_task_texts_have_french_translation(task: Task) -> None:
    translations = load_catalogue("fr")._catalog  # type: ignore[attr-defined]
    messages = {
        task.label,
        task.action,
        *(metric.label for metric in task.metrics),
        *(mode.label for mode in task.modes),
    }
    for mode in task.modes:
        for field in get_hyperparameters(mode.spec).values():
            metadata = field.metadata
            messages |= {
                metadata["label"],
                metadata["help"],
                *metadata["words"].values(),
                *metadata["captions"].values(),
            }
    assert not {text for text in messages if text and text not in translations}


@EVERY_TASK
def test_task_metrics_are_declared(task: Task) -> None:
    for name in filter(None, [task.headline, task.accuracy, task.promotion.metric if task.promotion else ""]):
        assert get_metric(name, task.name).label
    assert not task.accuracy or get_metric(task.accuracy, task.name).direction, "the metric has no direction"
    if task.promotion is not None:
        assert task.promotion.lower_is_better == (get_metric(task.promotion.metric, task.name).direction < 0)


# ---- round trips of specs -------------------------------------------------------------------------------------------


@EVERY_MODE
def test_spec_round_trips_through_json(task: Task, mode: Mode) -> None:
    @given(specs(mode.spec))
    def check(spec: Spec) -> None:
        encoded = json.loads(json.dumps(encode(spec)))
        assert decode(type(spec), encoded) == spec
        assert task.decode_spec(encoded) == spec

    check()


@EVERY_MODE
def test_spec_round_trips_through_command_line(task: Task, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    if not mode.command:
        assert reproduce_command(task, mode.spec()) == ""
        return

    @given(specs(mode.spec))
    def check(spec: Spec) -> None:
        assert parse_command_line(task, spec, monkeypatch) == spec

    check()


@EVERY_MODE
def test_spec_from_json_rejects_unknown_fields(task: Task, mode: Mode) -> None:
    encoded = encode(mode.spec())
    with pytest.raises(TypeError, match="elsewhere"):
        task.decode_spec({**encoded, "elsewhere": 1})
    with pytest.raises((LookupError, TypeError, ValueError, OptionError)):
        task.decode_spec({**encoded, next(iter(get_hyperparameters(mode.spec))): {"no": "value"}})


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_spec_check_rejects_number_outside_bounds(limit: float) -> None:
    spec = replace(toy_task.LimitSpec(), limit=limit)
    if 0 <= limit <= 1_000_000:
        spec.check()
    else:
        with pytest.raises(OptionError, match="limit"):
            spec.check()


@pytest.mark.parametrize("name", ["gas_daily", "server_kpis"])
def test_form_begins_with_defaults_of_command(name: str) -> None:
    """A field without a default value shows its first choice; it is the value that the command fills in."""
    dataset, checked = load_sample(name), set()
    for task in list_tasks():
        for mode in task.form_modes:
            spec_class: Any = mode.spec
            if not issubclass(spec_class, DataSpec) or not hasattr(spec_class, "fill_defaults"):
                continue
            try:
                filled = spec_class().fill_defaults(dataset)
            except (TypeError, VigieError):  # needs an argument, or other data
                continue
            for field in fields(spec_class):
                choices = spec_class.list_choices(field.name, dataset) if field.metadata.get("choices") else ()
                if (task.name, field.name) == ("sequences", "per"):  # the page chooses its start itself
                    continue
                if choices and field.default == "" and "" not in choices:
                    assert choices[0] == getattr(filled, field.name), (task.name, field.name)
                    checked.add((task.name, field.name))
    assert ("anomalies", "baseline") in checked
