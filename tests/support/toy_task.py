"""The task of `docs/how-to/add-a-task.md`: rows beyond a limit. Registered by `register_task(TASK)` alone."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.dataset import Dataset
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.runs.tracked_run import Run, track_run
from core.spec.hyperparameters import hyperparameter
from core.spec.metric import Metric
from core.spec.spec import PartSpec
from core.spec.task import Mode, Task
from core.workspace import Workspace


@dataclass(frozen=True)
class LimitSpec(PartSpec):
    """Find the rows whose mean lies beyond a limit."""

    limit: float = hyperparameter(
        2.0, low=0, high=1_000_000, label=N_("Limit"), help=N_("The mean of a row that is still usual.")
    )
    side: str = hyperparameter(
        "above",
        choices=("above", "below"),
        words={"above": N_("above it"), "below": N_("below it")},
        label=N_("Unusual is what lies"),
        help=N_("On which side of the limit rows are unusual."),
    )
    parts: int = hyperparameter(
        4, low=1, high=10_000, label=N_("Parts"), help=N_("So many parts are looked at one after the other.")
    )


@dataclass(frozen=True)
class LimitResult(Result):
    """The rows beyond the limit: entity, time and mean."""

    spec: LimitSpec
    rows: pd.DataFrame

    def metrics(self) -> dict[str, float]:
        """Return what the run logs."""
        return {"beyond": len(self.rows), "furthest": float((self.rows["mean"] - self.spec.limit).abs().max())}

    def to_frame(self) -> pd.DataFrame:
        """Return the table to export."""
        return self.rows


def find_beyond(
    spec: LimitSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[LimitResult, Run]:
    """Return the rows beyond the limit. Raises OptionError for a value that is not accepted."""
    spec.check()
    spec, progress = replace(spec, dataset=dataset.digest), progress or Progress()
    with track_run("limit", "Limit", spec.to_params(), dataset, actor, workspace) as run:
        part = spec.select(dataset)
        means = []
        for number, values in enumerate(np.array_split(part.values, spec.parts)):
            progress.report(number / spec.parts, N_("Looking at the rows"))
            means.append(np.nanmean(values, axis=1) if len(values) else np.zeros(0))
        table = part.frame.index.to_frame(index=False).assign(mean=np.concatenate(means))
        beyond = table["mean"] > spec.limit if spec.side == "above" else table["mean"] < spec.limit
        result = LimitResult(spec, table[beyond].reset_index(drop=True))
        run.add_result(result, "limit")
    return result, run


TASK = Task(
    name="limit",
    label=N_("Limit"),
    modes=(Mode(LimitSpec, "tests.support.toy_task:find_beyond", "limit"),),
    result="tests.support.toy_task:LimitResult",
    action=N_("Look"),
    headline="beyond",
    accuracy="furthest",
    metrics=(Metric("beyond", N_("rows beyond it")), Metric("furthest", N_("furthest"), higher_is_better=False)),
)
