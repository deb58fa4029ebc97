"""Tasks: what the product can be asked, each declared once, and the registry that everything else reads.

A task is a folder below `core/tasks` with a module `task.py` that declares `TASK`. Pages, commands, jobs, run cards,
promotion and feedback find it here. What a task needs to run is named as `module:function`, so that the list of tasks
costs no import of its libraries.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import NotFoundError
from core.messages import N_
from core.spec.codec import KIND, decode
from core.spec.metric import METRICS, STEP, Metric
from core.spec.spec import DataSpec, Spec, ThresholdSpec
from mlflow_utils.registry import PromotionMetric

if TYPE_CHECKING:
    from core.actor import Actor
    from core.progress import Progress

S = TypeVar("S", bound=Spec)
PACKAGE = "core.tasks"
FOLDER = Path(__file__).parents[1] / "tasks"


@dataclass(frozen=True)
class Mode:
    """One way of asking a task: what is asked, and the function that answers it.

    spec      what is asked; its class tells the modes of a task apart
    run       `module:function`; the function takes (spec, dataset, *, workspace, actor, progress), without the dataset
              where the spec is about none, and returns (result, run)
    command   the words of the command line after `python -m core`; modes may share a command; "" for none
    label     how the form calls it beside the other modes
    options   `module:name` of `CommandOptions`: spellings and files that the command has beside the fields of the spec
    """

    spec: type[Spec]
    run: str
    command: str = ""
    label: str = ""
    options: str = ""


@dataclass(frozen=True)
class Task:
    """What the product can be asked. One name in every layer: folder, address of the page, experiment in MLflow.

    result       `module:class` of the answer, a `core.runs.result.Result`
    card         `module:function`, result → `core.runs.card_data.CardData`; "" where the run card shows figures alone
    answer       `module:function`, (result, run) → what `--json` has beside what every command prints; "" for nothing
    lines        `module:function`, (result, run) → what the command prints for a person; "" for one line
    page         the address of the page that shows results; "" where no page does
    action       what the button of the form says
    icon         of the page, a Material symbol
    headline     the metric that says most of what was found
    accuracy     the metric that says how good it is; "" for none
    metrics      its own, beside those of `METRICS`
    promotion    when a model is better than the champion; None where only a person can say
    keeps_model  does a run keep a model that can be applied and registered?
    """

    name: str
    label: str
    modes: tuple[Mode, ...]
    result: str
    card: str = ""
    answer: str = ""
    lines: str = ""
    page: str = ""
    action: str = ""
    icon: str = "science"
    headline: str = ""
    accuracy: str = ""
    metrics: tuple[Metric, ...] = field(default=())
    promotion: PromotionMetric | None = None
    keeps_model: bool = False

    @property
    def has_page(self) -> bool:
        """Has the task a page of its own? Results may also be shown on the page of another task."""
        return self.page == self.name

    @property
    def takes_verdicts(self) -> bool:
        """Do people's verdicts on its rows lead to another threshold?"""
        return self.find_spec(ThresholdSpec) is not None

    def find_spec(self, kind: type[S]) -> type[S] | None:
        """Return the class of the task's specs that is a `kind`; None where it has none."""
        return next((mode.spec for mode in self.modes if issubclass(mode.spec, kind)), None)

    def mode_of(self, spec: Spec) -> Mode:
        """Return the mode that answers `spec`. Raises LookupError for a spec of another task."""
        for mode in self.modes:
            if type(spec) is mode.spec:
                return mode
        raise LookupError(f"{type(spec).__name__} is no spec of {self.name}")

    def spec_from_json(self, data: dict[str, Any]) -> Spec:
        """Return the spec that `encode` wrote. Raises LookupError, TypeError, ValueError or OptionError otherwise."""
        for mode in self.modes:
            if mode.spec.__name__ == data.get(KIND):
                return decode(mode.spec, data)
        raise LookupError(f"{data.get(KIND)!r:.80} is no spec of {self.name}")


# ---- registry -------------------------------------------------------------------------------------------------------

_added: dict[str, Task] = {}


def task_names() -> list[str]:
    """Return the names of all tasks, those of the product first."""
    folders = [path.parent.name for path in sorted(FOLDER.glob("*/task.py"))]
    return [*folders, *_added]


def list_tasks() -> list[Task]:
    """Return all tasks."""
    return [get_task(name) for name in task_names()]


def get_task(name: str) -> Task:
    """Return the task `name`. Raises NotFoundError where there is none."""
    if name in _added:
        return _added[name]
    if name not in task_names():
        raise NotFoundError(N_("There is no task {name}."), name=name[:80])
    task: Task = importlib.import_module(f"{PACKAGE}.{name}.task").TASK
    return task


def find_task(name: str) -> Task | None:
    """Return the task `name`; None where there is none: runs of a task may outlive it."""
    return get_task(name) if name in task_names() else None


@contextmanager
def added_task(task: Task) -> Iterator[Task]:
    """Add a task that is no folder of the product, as long as the block lasts."""
    _added[task.name] = task
    try:
        yield task
    finally:
        del _added[task.name]


def get_metric(name: str, task: str = "") -> Metric:
    """Return what is known of a metric. `wape_7` is as `wape`; a metric that nobody declared has its name as label."""
    known = dict(METRICS)
    if task and (own := find_task(task)) is not None:
        known |= {metric.name: metric for metric in own.metrics}
    if metric := known.get(name) or known.get(STEP.sub("", name)):
        return metric
    return Metric(name, name)


def load_entry(entry: str) -> Any:
    """Return what `module:name` names."""
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)


# ---- asking ---------------------------------------------------------------------------------------------------------


def run_task(
    name: str, spec: Spec, *, workspace: Any, actor: "Actor", progress: "Progress", dataset: Any = None
) -> tuple[Any, Any]:
    """Answer `spec` and return the result with its run. `dataset` spares reading what the caller has already.

    Raises NotFoundError for a task or dataset that is not there, OptionError for what is not accepted, and as the task.
    """
    mode = get_task(name).mode_of(spec)
    spec.check()
    run = load_entry(mode.run)
    if isinstance(spec, DataSpec):
        data = dataset if dataset is not None else workspace.datasets.load(spec.dataset)
        answer: tuple[Any, Any] = run(spec, data, workspace=workspace, actor=actor, progress=progress)
    else:
        answer = run(spec, workspace=workspace, actor=actor, progress=progress)
    return answer


def run_job(task: str, arguments: dict[str, Any], *, workspace: Any, actor: "Actor", progress: "Progress") -> str:
    """Answer the spec that `arguments` are the JSON of, and return the id of the run. Raises as `run_task`."""
    spec = get_task(task).spec_from_json(arguments)
    return str(run_task(task, spec, workspace=workspace, actor=actor, progress=progress)[1].id)
