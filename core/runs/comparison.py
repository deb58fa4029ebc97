"""Search and comparison of runs, and their accuracy compared with their emissions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.errors import NotFoundError, ServiceUnavailableError
from core.messages import N_
from core.runs.promotion import fits_model
from core.runs.stored_runs import call_mlflow
from core.runs.visibility import get_owner_filter, may_read
from core.spec.metric import HORIZON_SUFFIX
from core.spec.task import find_task, get_metric
from core.workspace import Workspace
from mlflow_utils import runs as mlflow_runs
from mlflow_utils import search
from mlflow_utils.run_record import Record
from mlflow_utils.search import ALL_RUNS, RunListItem
from mlflow_utils.search import RunFilter as RunFilter
from mlflow_utils.search import RunPage as RunPage

MAX_COMPARED_RUNS = 5
COST_COLUMNS = ("run", "name", "model", "files", "dataset", "accuracy", "emissions_g")


def search_runs(
    workspace: Workspace, run_filter: RunFilter = ALL_RUNS, limit: int = 50, token: str = ""
) -> tuple[RunPage, str]:
    """Return a page of the runs that pass a filter, newest first, and the reason where MLflow did not answer.

    Without MLflow, the runs are those that started on this machine. Waits at most two seconds for MLflow. `token` comes
    from the page before. Where runs are private, only those that the user may read are found.
    """
    if (owner := get_owner_filter(workspace)) is not None:
        run_filter = replace(run_filter, owner=owner)
    try:
        return call_mlflow(workspace, lambda: search.search(workspace.tracking, run_filter, limit, token)), ""
    except ServiceUnavailableError as error:
        return search.search_local(workspace.tracking, run_filter, limit, token), str(error)


def load_records(run_ids: Sequence[str], workspace: Workspace) -> list[Record]:
    """Return the records of runs by id, without their files.

    Raises NotFoundError for an unknown id, ServiceUnavailableError where MLflow does not answer.
    """
    return [_load_record(run_id, workspace) for run_id in run_ids]


def find_local_record(run_id: str, workspace: Workspace) -> Record | None:
    """Return the record of a run that started on this machine and that the user may read; None for any other."""
    record = workspace.tracking.spool.find_run(run_id)
    return record if record is not None and may_read(record, workspace) else None


def _load_record(run_id: str, workspace: Workspace) -> Record:
    """Return the record of a run. A run that started on this machine is found without MLflow."""
    record = workspace.tracking.spool.find_run(run_id) or call_mlflow(
        workspace, lambda: mlflow_runs.load_record(workspace.tracking, run_id)
    )
    if record is None or not may_read(record, workspace):
        raise NotFoundError(N_("The run {run} was not found."), run=run_id[:12])
    return record


def get_experiment_url(task: str, workspace: Workspace) -> str:
    """Return the URL of a task, or of all tasks (""), in the MLflow UI.

    Returns "" without a server, or where it does not answer.
    """
    try:
        return call_mlflow(
            workspace, lambda: mlflow_runs.get_experiment_url(workspace.tracking, task, workspace.mlflow_url)
        )
    except ServiceUnavailableError:
        return ""


def get_record_url(record: Record, workspace: Workspace) -> str:
    """Return the URL of a run in the MLflow UI; "" without a server, or where it does not answer."""
    try:
        return call_mlflow(workspace, lambda: mlflow_runs.get_run_url(workspace.tracking, record, workspace.mlflow_url))
    except ServiceUnavailableError:
        return ""


def has_data(record: Record, workspace: Workspace) -> bool:
    """Tell whether the dataset of a run is stored here."""
    digest = record.tags.get("dataset.digest", "")
    return digest.isalnum() and (workspace.datasets.folder / digest).is_dir()


def has_model(record: Record) -> bool:
    """Tell whether a run saved a model that can be registered."""
    task = find_task(record.experiment)
    return task is not None and task.saves_model and fits_model(record)


# ---- side by side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side, one column per run id.

    parameters  one row per parameter, as text, "" where a run lacks it; parameters that differ come first
    metrics     one row per metric, NaN where a run lacks it
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

    def find_differences(self) -> pd.Series:
        """Return (parameters,) True for the parameters that differ between runs."""
        return self.parameters.nunique(axis=1) > 1

    def find_best(self) -> pd.DataFrame:
        """Return (metrics, runs) True for the best value of a metric with a direction, unless all values are equal."""
        task = self.records[0].experiment
        direction = np.array([get_metric(str(name), task).direction for name in self.metrics.index])[:, None]
        values = self.metrics.to_numpy(dtype=float) * np.where(direction == 0, np.nan, direction)
        highest = np.where(np.isnan(values), -np.inf, values).max(axis=1, keepdims=True)
        lowest = np.where(np.isnan(values), np.inf, values).min(axis=1, keepdims=True)
        is_best = (values == highest) & (highest > lowest)
        return pd.DataFrame(is_best, index=self.metrics.index, columns=self.metrics.columns)

    def to_frame(self) -> pd.DataFrame:
        """Return the runs, their parameters and their metrics as one table for export."""
        identity = pd.DataFrame(
            {
                record.id: [record.experiment, record.name, record.tags.get("dataset.digest", "")]
                for record in self.records
            },
            index=["task", "name", "dataset"],
        )
        tables = {"about": identity, "parameter": self.parameters, "metric": self.metrics}
        return pd.concat(tables, names=["kind", "name"]).reset_index()


def compare_runs(run_ids: Sequence[str], workspace: Workspace) -> RunComparison:
    """Return runs side by side. Raises the errors of `load_records`."""
    records = load_records(run_ids, workspace)
    params_by_run = {record.id: {name: str(value) for name, value in record.params.items()} for record in records}
    parameters = pd.DataFrame({run_id: pd.Series(params, dtype=object) for run_id, params in params_by_run.items()})
    parameters = parameters.fillna("").sort_index()
    differing = parameters.nunique(axis=1) > 1
    metrics = pd.DataFrame({record.id: pd.Series(record.metrics, dtype=float) for record in records})
    ordered_names = sorted(metrics.index, key=lambda name: ("." in name, bool(HORIZON_SUFFIX.search(name))))
    return RunComparison(
        tuple(records),
        pd.concat([parameters[differing], parameters[~differing]]),
        metrics.loc[ordered_names],  # metrics of baselines and of single horizons come last
    )


# ---- accuracy and emissions -----------------------------------------------------------------------------------------


def build_cost_table(runs: Sequence[RunListItem], task: str) -> pd.DataFrame:
    """Return accuracy and emissions: COST_COLUMNS and `front`, a row per completed run that has both metrics.

    `front` is True for the runs on the Pareto front: no other run on the same data is better in one of the two and at
    least as good in the other.
    """
    metric = known_task.accuracy if (known_task := find_task(task)) else ""
    records = [run.record for run in runs if run.record.experiment == task and run.status == "completed"]
    rows = [
        _build_cost_row(record, metric)
        for record in records
        if metric in record.metrics and "emissions_kg" in record.metrics and "model_run" not in record.params
    ]
    table = pd.DataFrame(rows, columns=COST_COLUMNS)
    table["front"] = _find_front(table, table["accuracy"] * get_metric(metric, task).direction)
    return table


def _build_cost_row(record: Record, metric: str) -> dict[str, object]:
    return {
        "run": record.id,
        "name": record.name,
        "model": record.tags.get("model_name", ""),
        "files": record.tags.get("dataset.files", ""),
        "dataset": record.tags.get("dataset.digest", ""),
        "accuracy": record.metrics[metric],
        "emissions_g": 1000 * record.metrics["emissions_kg"],
    }


def _find_front(table: pd.DataFrame, quality: pd.Series) -> list[bool]:
    return [
        not (
            (table["dataset"] == row.dataset)
            & (quality >= quality[number])
            & (table["emissions_g"] <= row.emissions_g)
            & ((quality > quality[number]) | (table["emissions_g"] < row.emissions_g))
        ).any()
        for number, row in enumerate(table.itertuples())
    ]
