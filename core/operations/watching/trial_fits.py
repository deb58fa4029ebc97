"""Fits that leave nothing behind: models of a replay, in a workspace that is deleted afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from core.actor import Actor
from core.data.dataset import Dataset
from core.progress import Progress
from core.spec.spec import DataSpec
from core.spec.task import get_task, load_entry_point, run_task
from core.watches.judgement import Judge
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import Tracking

TRIAL_ACTOR = Actor("replay")
LAST_ROWS_THRESHOLDS = ("contamination", "best_f1")
"""Thresholds of series that are computed from the rows after the training part, which these fits then keep."""


class UnsentTracking(Tracking):
    """Runs that MLflow never hears of."""

    @override
    def is_reachable(self, timeout_s: float = 0.0) -> bool:
        return False

    @override
    def start_run(self, record: Record, event: str = "") -> None:
        self.spool.add_run(record, event)

    @override
    def deliver_run(self, record: Record) -> bool:
        return False


@contextmanager
def open_trial_workspace() -> Iterator[Workspace]:
    """Yield an empty workspace whose runs are delivered nowhere; it is deleted when the block ends."""
    with tempfile.TemporaryDirectory(prefix="vigie-replay-") as name:
        folder = Path(name)
        yield Workspace.in_folder(folder, UnsentTracking(f"sqlite:///{folder / 'mlflow.db'}", None, folder / "runs"))


def prepare_fit_spec(spec: DataSpec, dataset: Dataset) -> DataSpec:
    """Return the spec of a fit with the same settings on all rows of `dataset`.

    Entities that the dataset lacks are no longer asked for. Series are trained up to the last time, not up to half,
    unless their threshold needs rows after the training part.
    """
    values: dict[str, Any] = {"dataset": dataset.digest}
    names = {field.name for field in fields(spec)}
    values |= {name: "" for name in ("start", "end") if name in names}
    if "entities" in names:
        values["entities"] = tuple(entity for entity in getattr(spec, "entities") if entity in set(dataset.entities))  # noqa: B009
    if "until" in names:
        keeps_rows = getattr(spec, "threshold", "") in LAST_ROWS_THRESHOLDS
        values["until"] = "" if keeps_rows else str(dataset.time.max())
    return replace(spec, **values)


def fit_trial(task: str, spec: DataSpec, dataset: Dataset, workspace: Workspace, progress: Progress) -> Judge:
    """Fit a model with the settings of `spec` on all rows of `dataset`, and return its judge.

    Raises the errors of the task, such as DataError for too few rows.
    """
    workspace.datasets.save(dataset)
    fit_spec = prepare_fit_spec(spec, dataset)
    run = run_task(task, fit_spec, workspace=workspace, actor=TRIAL_ACTOR, progress=progress, dataset=dataset)[1]
    judge: Judge = load_entry_point(get_task(task).judge)(run.id, workspace)
    return judge
