"""Search the runs on record, set them beside each other, and weigh their accuracy against their emissions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import NotFoundError, ServiceUnavailableError
from core.messages import N_
from core.runs.stored_runs import call_mlflow
from core.spec.metric import STEP
from core.spec.task import find_task, get_metric
from core.workspace import Workspace
from mlflow_utils import runs as mlflow_runs
from mlflow_utils import search
from mlflow_utils.run_record import Record
from mlflow_utils.search import ALL_RUNS, RunListItem
from mlflow_utils.search import RunFilter as RunFilter
from mlflow_utils.search import RunPage as RunPage

MAX_COMPARED = 5
LIST_COLUMNS = (
    "run",
    "began",
    "task",
    "model",
    "files",
    "dataset",
    "user",
    "figure",
    "value",
    "seconds",
    "emissions_g",
    "status",
    "waits",
)
COST_COLUMNS = ("run", "name", "model", "files", "dataset", "accuracy", "emissions_g")


def search_runs(
    workspace: Workspace, run_filter: RunFilter = ALL_RUNS, limit: int = 50, token: str = ""
) -> tuple[RunPage, str]:
    """Return the runs that pass a filter, newest first, and why MLflow did not answer.

    Where it did not, the runs are those that began on this machine. Waits at most two seconds for MLflow. `token` is
    that of the page before.
    """
    try:
        return call_mlflow(workspace, lambda: search.search(workspace.tracking, run_filter, limit, token)), ""
    except ServiceUnavailableError as error:
        return search.search_local(workspace.tracking, run_filter, limit, token), str(error)


def load_records(run_ids: Sequence[str], workspace: Workspace) -> list[Record]:
    """Return the records of runs by their ids, without their files.

    Raises NotFoundError for one that is not there, ServiceUnavailableError where MLflow does not answer.
    """
    return [_load_record(run_id, workspace) for run_id in run_ids]


def _load_record(run_id: str, workspace: Workspace) -> Record:
    """Return the record of a run. What began here is on record without MLflow."""
    record = workspace.tracking.spool.find(run_id) or call_mlflow(
        workspace, lambda: mlflow_runs.load_record(workspace.tracking, run_id)
    )
    if record is None:
        raise NotFoundError(N_("No run {run} is on record."), run=run_id[:12])
    return record


def experiment_url(task: str, workspace: Workspace) -> str:
    """Return the page of a task, or of all tasks (""), in the MLflow UI.

    Returns "" where there is no server or it does not answer.
    """
    try:
        return call_mlflow(
            workspace,
            lambda: mlflow_runs.experiment_url(workspace.tracking, task, workspace.settings.mlflow_public_uri),
        )
    except ServiceUnavailableError:
        return ""


def record_url(record: Record, workspace: Workspace) -> str:
    """Return the page of a run in the MLflow UI; "" where there is none, as `experiment_url`."""
    try:
        return call_mlflow(
            workspace, lambda: mlflow_runs.run_url(workspace.tracking, record, workspace.settings.mlflow_public_uri)
        )
    except ServiceUnavailableError:
        return ""


def has_data(record: Record, workspace: Workspace) -> bool:
    """Tell whether the dataset of a run is stored here."""
    digest = record.tags.get("dataset.digest", "")
    return digest.isalnum() and (workspace.datasets.folder / digest).is_dir()


def has_model(record: Record) -> bool:
    """Tell whether a run kept a model that can be registered."""
    task = find_task(record.experiment)
    keeps_model = task is not None and task.keeps_model
    return record.status == "completed" and keeps_model and "model_run" not in record.params


# ---- as a table -----------------------------------------------------------------------------------------------------


def list_to_frame(runs: Sequence[RunListItem]) -> pd.DataFrame:
    """Return a row per run with LIST_COLUMNS: `began` in UTC, `figure` and `value` of the task's headline."""
    return pd.DataFrame([_list_row(run) for run in runs], columns=LIST_COLUMNS)


def _list_row(item: RunListItem) -> dict[str, object]:
    record = item.record
    metrics, tags = record.metrics, record.tags
    figure = task.headline if (task := find_task(record.experiment)) else ""
    kg = metrics.get("emissions_kg")
    return {
        "run": record.id,
        "began": pd.Timestamp(record.started_ms, unit="ms", tz="UTC"),
        "task": record.experiment,
        "model": tags.get("model_name", ""),
        "files": tags.get("dataset.files", ""),
        "dataset": tags.get("dataset.digest", ""),
        "user": tags.get("user", ""),
        "figure": figure,
        "value": metrics.get(figure),
        "seconds": metrics.get("seconds"),
        "emissions_g": None if kg is None else 1000 * kg,
        "status": item.status,
        "waits": item.waits,
    }


# ---- side by side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side, a column each, named by their ids.

    parameters  as text; a row per parameter, "" where a run has it not; those that differ come first
    metrics     a row per metric, NaN where a run has it not
    """

    records: tuple[Record, ...]
    parameters: pd.DataFrame
    metrics: pd.DataFrame

    @property
    def same_data(self) -> bool:
        """Tell whether all runs are on the same dataset."""
        return len({record.tags.get("dataset.digest") for record in self.records}) == 1

    @property
    def same_task(self) -> bool:
        """Tell whether all runs are of the same task."""
        return len({record.experiment for record in self.records}) == 1

    def differing(self) -> pd.Series:
        """Return True for the parameters that are not alike in all runs."""
        return self.parameters.nunique(axis=1) > 1

    def best(self) -> pd.DataFrame:
        """Return True where a run has the best value of a metric of known direction, where not all are alike."""
        task = self.records[0].experiment
        direction = np.array([get_metric(str(name), task).direction for name in self.metrics.index])[:, None]
        values = self.metrics.to_numpy(dtype=float) * np.where(direction == 0, np.nan, direction)
        highest = np.where(np.isnan(values), -np.inf, values).max(axis=1, keepdims=True)
        lowest = np.where(np.isnan(values), np.inf, values).min(axis=1, keepdims=True)
        best = (values == highest) & (highest > lowest)
        return pd.DataFrame(best, index=self.metrics.index, columns=self.metrics.columns)

    def to_frame(self) -> pd.DataFrame:
        """Return what the runs are, their parameters and their metrics as one table to export."""
        about = pd.DataFrame(
            {
                record.id: [record.experiment, record.name, record.tags.get("dataset.digest", "")]
                for record in self.records
            },
            index=["task", "name", "dataset"],
        )
        tables = {"about": about, "parameter": self.parameters, "metric": self.metrics}
        return pd.concat(tables, names=["kind", "name"]).reset_index()


def compare_runs(run_ids: Sequence[str], workspace: Workspace) -> RunComparison:
    """Return runs side by side. Raises as `load_records`."""
    records = load_records(run_ids, workspace)
    texts = {record.id: {name: str(value) for name, value in record.params.items()} for record in records}
    parameters = pd.DataFrame({run_id: pd.Series(params, dtype=object) for run_id, params in texts.items()})
    parameters = parameters.fillna("").sort_index()
    differing = parameters.nunique(axis=1) > 1
    metrics = pd.DataFrame({record.id: pd.Series(record.metrics, dtype=float) for record in records})
    overall_first = sorted(metrics.index, key=lambda name: ("." in name, bool(STEP.search(name))))
    return RunComparison(
        tuple(records),
        pd.concat([parameters[differing], parameters[~differing]]),
        metrics.loc[overall_first],  # those of baselines and of single days ahead come last
    )


# ---- accuracy and emissions -----------------------------------------------------------------------------------------


def accuracy_cost_table(runs: Sequence[RunListItem], task: str) -> pd.DataFrame:
    """Return what accuracy cost: COST_COLUMNS and `front`, a row per completed run that has both figures.

    `front` is True where no other run on the same data is as good for less, or better for as little (Pareto).
    """
    metric = known.accuracy if (known := find_task(task)) else ""
    records = [run.record for run in runs if run.record.experiment == task and run.status == "completed"]
    rows = [
        _cost_row(record, metric)
        for record in records
        if metric in record.metrics and "emissions_kg" in record.metrics and "model_run" not in record.params
    ]
    table = pd.DataFrame(rows, columns=COST_COLUMNS)
    table["front"] = _on_front(table, table["accuracy"] * get_metric(metric, task).direction)
    return table


def _cost_row(record: Record, metric: str) -> dict[str, object]:
    return {
        "run": record.id,
        "name": record.name,
        "model": record.tags.get("model_name", ""),
        "files": record.tags.get("dataset.files", ""),
        "dataset": record.tags.get("dataset.digest", ""),
        "accuracy": record.metrics[metric],
        "emissions_g": 1000 * record.metrics["emissions_kg"],
    }


def _on_front(table: pd.DataFrame, goodness: pd.Series) -> list[bool]:
    return [
        not (
            (table["dataset"] == row.dataset)
            & (goodness >= goodness[number])
            & (table["emissions_g"] <= row.emissions_g)
            & ((goodness > goodness[number]) | (table["emissions_g"] < row.emissions_g))
        ).any()
        for number, row in enumerate(table.itertuples())
    ]
