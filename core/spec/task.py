"""Tasks of the product, each declared once, and their registry.

A task is a folder below `core/tasks` with a module `task.py` that declares `TASK`. Pages, commands, jobs, run cards,
promotion and feedback find it here. A task names its functions as `module:function`, so that the list of tasks imports
no heavy library.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import NotFoundError
from core.messages import N_
from core.spec.codec import CLASS_KEY, decode
from core.spec.metric import HORIZON_SUFFIX, METRICS, Metric
from core.spec.query import Query
from core.spec.spec import DataSpec, Spec, ThresholdSpec
from mlflow_utils.registry import PromotionMetric

if TYPE_CHECKING:
    from core.actor import Actor
    from core.progress import Progress

S = TypeVar("S", bound=Spec)
TASKS_PACKAGE = "core.tasks"
TASKS_FOLDER = Path(__file__).parents[1] / "tasks"


@dataclass(frozen=True)
class Mode:
    """A mode of a task: its spec, and the function that runs it.

    spec      class of the parameters; it identifies the mode
    run       `module:function`; the function takes (spec, dataset, *, workspace, actor, progress), without the dataset
              where the spec needs none, and returns (result, run)
    command   words of the command line after `python -m core`; modes may share a command; "" for none
    label     name of the mode in the form
    options   `module:name` of the `CommandOptions`; "" for none
    result    `module:class` of the result, where it differs from that of the task
    action    label of the button of the form, where it differs from that of the task
    """

    spec: type[Spec]
    run: str
    command: str = ""
    label: str = ""
    options: str = ""
    result: str = ""
    action: str = ""

    @property
    def needs_data(self) -> bool:
        """True where the mode works on a stored dataset."""
        return issubclass(self.spec, DataSpec)


@dataclass(frozen=True)
class Task:
    """A task of the product. It has the same name in every layer: folder, address of the page, experiment in MLflow.

    result       `module:class` of the result, a `core.runs.result.Result`
    card         `module:function`, result → `core.runs.card_data.CardData`; "" for a run card with metrics only
    report       `module:function`, (result, selected rows or None) → `core.runs.report_content.ReportContent`; "" for a
                 report with the figures of the run card
    json_fields  `module:function`, (result, run) → additional values of `--json`; "" for none
    lines        `module:function`, (result, run) → lines that the command prints; "" for one line
    page         address of the page that shows the results; "" for none
    action       label of the button of the form
    icon         Material symbol of the page
    headline     name of the main metric
    accuracy     name of the metric of quality; "" for none
    metrics      metrics of the task in addition to `METRICS`
    promotion    comparison of a model with the champion; None where only a user can decide
    saves_model  True where a run saves a model that can be applied and registered
    queries      slow work of the page of the task that makes no run
    judge        `module:function`, (run_id, workspace) → `core.watches.judgement.Judge`; "" where a watch cannot ask it
    """

    name: str
    label: str
    modes: tuple[Mode, ...]
    result: str
    card: str = ""
    report: str = ""
    json_fields: str = ""
    lines: str = ""
    page: str = ""
    action: str = ""
    icon: str = "science"
    headline: str = ""
    accuracy: str = ""
    metrics: tuple[Metric, ...] = field(default=())
    promotion: PromotionMetric | None = None
    saves_model: bool = False
    queries: tuple[Query, ...] = ()
    judge: str = ""

    @property
    def has_page(self) -> bool:
        """True where the task has its own page. Results may also be shown on the page of another task."""
        return self.page == self.name

    @property
    def form_modes(self) -> tuple[Mode, ...]:
        """Modes that the form offers: those with a label, else the first."""
        return tuple(mode for mode in self.modes if mode.label) or self.modes[:1]

    @property
    def accepts_verdicts(self) -> bool:
        """True where verdicts of users can move the threshold."""
        return self.find_spec_class(ThresholdSpec) is not None

    def find_spec_class(self, kind: type[S]) -> type[S] | None:
        """Return the spec class of the task that is a subclass of `kind`; None where it has none."""
        return next((mode.spec for mode in self.modes if issubclass(mode.spec, kind)), None)

    def get_mode(self, spec: Spec) -> Mode:
        """Return the mode of `spec`. Raises LookupError for a spec of another task."""
        for mode in self.modes:
            if type(spec) is mode.spec:
                return mode
        raise LookupError(f"{type(spec).__name__} is no spec of {self.name}")

    def get_result_entry(self, spec_name: str) -> str:
        """Return the `module:class` of the result for the spec class of this name."""
        entries = [mode.result for mode in self.modes if mode.spec.__name__ == spec_name]
        return next(filter(None, entries), self.result)

    def decode_spec(self, data: dict[str, Any]) -> Spec:
        """Return the spec of the JSON of `encode`. Raises LookupError, TypeError, ValueError or OptionError."""
        for mode in self.modes:
            if mode.spec.__name__ == data.get(CLASS_KEY):
                return decode(mode.spec, data)
        raise LookupError(f"{data.get(CLASS_KEY)!r:.80} is no spec of {self.name}")


# ---- registry -------------------------------------------------------------------------------------------------------

_registered_tasks: dict[str, Task] = {}


def list_task_names() -> list[str]:
    """Return the names of all tasks, first the built-in ones."""
    return [*_list_folders(), *_registered_tasks]


@cache
def _list_folders() -> tuple[str, ...]:
    """Return the names of the built-in tasks; read once, because a page asks hundreds of times."""
    return tuple(path.parent.name for path in sorted(TASKS_FOLDER.glob("*/task.py")))


def list_tasks() -> list[Task]:
    """Return all tasks."""
    return [get_task(name) for name in list_task_names()]


def get_task(name: str) -> Task:
    """Return the task `name`. Raises NotFoundError for an unknown name."""
    if name in _registered_tasks:
        return _registered_tasks[name]
    if name not in list_task_names():
        raise NotFoundError(N_("The task {name} does not exist."), name=name[:80])
    task: Task = importlib.import_module(f"{TASKS_PACKAGE}.{name}.task").TASK
    return task


def find_task(name: str) -> Task | None:
    """Return the task `name`, or None for an unknown name, such as the task of an old run."""
    return get_task(name) if name in list_task_names() else None


@contextmanager
def register_task(task: Task) -> Iterator[Task]:
    """Register a task that is not in a folder of the product, for the duration of the block."""
    _registered_tasks[task.name] = task
    try:
        yield task
    finally:
        del _registered_tasks[task.name]


def get_metric(name: str, task: str = "") -> Metric:
    """Return the metric `name` of a task, `wape` for `wape_7`. An undeclared metric has its name as label."""
    metrics = dict(METRICS)
    if task and (declaring_task := find_task(task)) is not None:
        metrics |= {metric.name: metric for metric in declaring_task.metrics}
    if metric := metrics.get(name) or metrics.get(HORIZON_SUFFIX.sub("", name)):
        return metric
    return Metric(name, name)


def load_entry_point(entry: str) -> Any:
    """Import and return the object `module:name`."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


# ---- running --------------------------------------------------------------------------------------------------------


def run_task(
    name: str, spec: Spec, *, workspace: Any, actor: "Actor", progress: "Progress", dataset: Any = None
) -> tuple[Any, Any]:
    """Run `spec` and return the result with its run. A given `dataset` is used instead of the stored one.

    Raises NotFoundError for an unknown task or dataset, OptionError for a value that is not accepted, and the errors of
    the task.
    """
    mode = get_task(name).get_mode(spec)
    spec.check()
    run = load_entry_point(mode.run)
    if isinstance(spec, DataSpec):
        data = dataset if dataset is not None else workspace.datasets.load(spec.dataset)
        outcome: tuple[Any, Any] = run(spec, data, workspace=workspace, actor=actor, progress=progress)
    else:
        outcome = run(spec, workspace=workspace, actor=actor, progress=progress)
    return outcome


def run_job(task: str, arguments: dict[str, Any], *, workspace: Any, actor: "Actor", progress: "Progress") -> str:
    """Run the spec of the JSON `arguments` and return the id of the run. Raises the errors of `run_task`."""
    spec = get_task(task).decode_spec(arguments)
    return str(run_task(task, spec, workspace=workspace, actor=actor, progress=progress)[1].id)
