"""Runs on record: looked for, set beside each other, and where the page is that shows the result of one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import NotFoundError, ServiceUnavailableError
from core.messages import N_
from core.runs.stored_runs import call_mlflow
from core.workspace import Workspace
from mlflow_utils import runs as history
from mlflow_utils import search as searching
from mlflow_utils.run_record import Record
from mlflow_utils.search import ALL_RUNS, RunFilter, RunListItem, RunPage

STEP = re.compile(r"_\d+$")  # a number of days ahead

MOST = 5  # runs that are compared at a time
LOWER = {
    "mae",
    "wape",
    "rmse",
    "mase",
    "quantile_loss",
    "davies_bouldin",
    "delay",
    "seconds",
    "emissions_kg",
    "energy_kwh",
}
HIGHER = {
    "r2",
    "skill_naive1",
    "skill_naive7",
    "silhouette",
    "calinski_harabasz",
    "stability",
    "f1",
    "auc_pr",
    "vus_pr",
    "auc_roc",
    "vus_roc",
    "event_f1",
    "affiliation_f1",
    "rows_per_second",
    "series_per_second",
}


@dataclass(frozen=True)
class Task:
    """What the runs of a task have in common.

    page      where their results are shown: the address of a page, "" where no page shows them
    figure    the metric that says most of what was found
    accuracy  the metric that says how good it is, by labels, by what came, or by the groups themselves; "" for none
    """

    label: str
    page: str
    figure: str
    accuracy: str = ""


TASKS = {
    "anomalies": Task(N_("Anomalies"), "anomalies", "anomalies"),
    "clusters": Task(N_("Clusters"), "clusters", "clusters", "silhouette"),
    "forecast": Task(N_("Forecast"), "forecast", "wape", "wape"),
    "sequences": Task(N_("Sequences"), "sequences", "events", "vus_pr"),
    "sequence-comparison": Task(N_("Detectors compared"), "sequences", "rows_judged"),
    "scale": Task(N_("Many series"), "", "series"),
}
WITH_MODEL = ("anomalies", "clusters", "forecast", "sequences")


def search(workspace: Workspace, wanted: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> tuple[RunPage, str]:
    """The runs that are wanted, newest first, and why MLflow did not answer: then they are those that began on this
    machine.

    Waits at most two seconds for MLflow. `token` is that of the page before.
    """
    try:
        return call_mlflow(workspace, lambda: searching.search(workspace.tracking, wanted, limit, token)), ""
    except ServiceUnavailableError as error:
        return searching.search_local(workspace.tracking, wanted, limit, token), str(error)


def look_up(runs: Sequence[str], workspace: Workspace) -> list[Record]:
    """The records of runs by their ids, without their files. Raises NotFoundError for one that is not there,
    ServiceUnavailableError.
    """
    return [_looked_up(run, workspace) for run in runs]


def _looked_up(run: str, workspace: Workspace) -> Record:
    """What began here is on record without MLflow."""
    found = workspace.tracking.spool.find(run) or call_mlflow(
        workspace, lambda: history.load_record(workspace.tracking, run)
    )
    if found is None:
        raise NotFoundError(N_("No run {run} is on record."), run=run[:12])
    return found


def mlflow_front(task: str, workspace: Workspace) -> str:
    """The page of a task, or of all ("") in the MLflow UI; "" where there is no server or it does not answer."""
    try:
        return call_mlflow(
            workspace, lambda: history.experiment_url(workspace.tracking, task, workspace.settings.mlflow_public_uri)
        )
    except ServiceUnavailableError:
        return ""


def mlflow_page(record: Record, workspace: Workspace) -> str:
    """The page of a run in the MLflow UI; "" where there is none, as `mlflow_front`."""
    try:
        return call_mlflow(
            workspace, lambda: history.run_url(workspace.tracking, record, workspace.settings.mlflow_public_uri)
        )
    except ServiceUnavailableError:
        return ""


def has_data(record: Record, workspace: Workspace) -> bool:
    """Is its dataset stored here?"""
    digest = record.tags.get("dataset.digest", "")
    return digest.isalnum() and (workspace.datasets.folder / digest).is_dir()


def has_model(record: Record) -> bool:
    """Did the run keep a model that can be registered?"""
    return record.status == "completed" and record.experiment in WITH_MODEL and "model_run" not in record.params


# ---- as tables ------------------------------------------------------------------------------------------------------


def table(runs: Sequence[RunListItem]) -> pd.DataFrame:
    """A line per run: run, began (UTC), task, model, files, dataset, user, figure and value, seconds, emissions_g,
    status, waits.
    """
    lines = [_line(each) for each in runs]
    return pd.DataFrame(
        lines,
        columns=[
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
        ],
    )


def _line(listed: RunListItem) -> dict[str, object]:
    record = listed.record
    metrics, tags = record.metrics, record.tags
    figure = TASKS[record.experiment].figure if record.experiment in TASKS else ""
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
        "status": listed.status,
        "waits": listed.waits,
    }


@dataclass(frozen=True)
class Compared:
    """Runs side by side, a column each, named by their ids.

    parameters  as text; a line per parameter, "" where a run has it not; those that differ come first
    metrics     a line per metric, NaN where a run has it not
    """

    records: tuple[Record, ...]
    parameters: pd.DataFrame
    metrics: pd.DataFrame

    @property
    def same_data(self) -> bool:
        return len({record.tags.get("dataset.digest") for record in self.records}) == 1

    @property
    def same_task(self) -> bool:
        return len({record.experiment for record in self.records}) == 1

    def differing(self) -> pd.Series:
        """True for the parameters that are not alike in all runs."""
        return self.parameters.nunique(axis=1) > 1

    def best(self) -> pd.DataFrame:
        """True where a run has the best value of a metric of known direction; nowhere in a line where all are alike."""
        way = np.array([direction(str(name)) for name in self.metrics.index])[:, None]
        values = self.metrics.to_numpy(dtype=float) * np.where(way == 0, np.nan, way)
        known = np.where(np.isnan(values), -np.inf, values)
        top = known.max(axis=1, keepdims=True)
        least = np.where(np.isnan(values), np.inf, values).min(axis=1, keepdims=True)
        return pd.DataFrame((values == top) & (top > least), index=self.metrics.index, columns=self.metrics.columns)

    def to_frame(self) -> pd.DataFrame:
        """Both tables as one to export."""
        about = pd.DataFrame(
            {
                record.id: [record.experiment, record.name, record.tags.get("dataset.digest", "")]
                for record in self.records
            }
        )
        parts = {
            "about": about.set_axis(["task", "name", "dataset"], axis=0),
            "parameter": self.parameters,
            "metric": self.metrics,
        }
        return pd.concat(parts, names=["kind", "name"]).reset_index()


def compared(runs: Sequence[str], workspace: Workspace) -> Compared:
    """Runs side by side. Raises NotFoundError for one that is not there."""
    records = look_up(runs, workspace)
    parameters = pd.DataFrame(
        {
            record.id: pd.Series({name: str(value) for name, value in record.params.items()}, dtype=object)
            for record in records
        }
    )
    parameters = parameters.fillna("").sort_index()
    differing = parameters.nunique(axis=1) > 1
    metrics = pd.DataFrame({record.id: pd.Series(record.metrics, dtype=float) for record in records})
    overall = sorted(
        metrics.index, key=lambda name: ("." in name, bool(STEP.search(name)))
    )  # baselines, and single steps, come last
    return Compared(tuple(records), pd.concat([parameters[differing], parameters[~differing]]), metrics.loc[overall])


def direction(metric: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where that is not so simple. `wape_7` is as `wape`."""
    name = metric if metric in LOWER | HIGHER else STEP.sub("", metric)
    if metric.startswith("hit_"):
        return 1
    return 1 if name in HIGHER else -1 if name in LOWER else 0


def cost_of_accuracy(runs: Sequence[RunListItem], task: str) -> pd.DataFrame:
    """What accuracy cost: run, name, model, files, dataset, accuracy, emissions_g, front, of the completed runs that
    have both figures.

    `front` is True where no other run on the same data is as good for less, or better for as little (Pareto).
    """
    metric = TASKS[task].accuracy if task in TASKS else ""
    mine = [each.record for each in runs if each.record.experiment == task and each.status == "completed"]
    lines = [
        {
            "run": record.id,
            "name": record.name,
            "model": record.tags.get("model_name", ""),
            "files": record.tags.get("dataset.files", ""),
            "dataset": record.tags.get("dataset.digest", ""),
            "accuracy": record.metrics[metric],
            "emissions_g": 1000 * record.metrics["emissions_kg"],
        }
        for record in mine
        if metric in record.metrics and "emissions_kg" in record.metrics and "model_run" not in record.params
    ]
    found = pd.DataFrame(lines, columns=["run", "name", "model", "files", "dataset", "accuracy", "emissions_g"])
    goodness = found["accuracy"] * direction(metric)
    found["front"] = [
        not (
            (found["dataset"] == line.dataset)
            & (goodness >= goodness[place])
            & (found["emissions_g"] <= line.emissions_g)
            & ((goodness > goodness[place]) | (found["emissions_g"] < line.emissions_g))
        ).any()
        for place, line in enumerate(found.itertuples())
    ]
    return found
