"""Runs as a table, with the facts, parameters and metrics that a reader chooses."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from core.messages import N_
from core.runs.run_names import translate_run_name
from core.spec.metric import HORIZON_SUFFIX
from core.spec.task import find_task
from mlflow_utils.search import RunListItem

FACTS = {
    "name": N_("Name"),
    "began": N_("Started"),
    "status": N_("Status"),
    "task": N_("Task"),
    "model": N_("Model"),
    "figure": N_("Result"),
    "files": N_("Data"),
    "user": N_("User"),
    "seconds": N_("Seconds"),
    "emissions_g": N_("g CO₂"),
    "dataset": N_("Data digest"),
    "run": N_("Run id"),
}
"""Columns that every run has."""
DEFAULT_COLUMNS = ("name", "status", "began", "figure", "seconds", "emissions_g")
PARAMETER_PREFIX, METRIC_PREFIX = "params.", "metrics."
LIST_COLUMNS = (
    "run",
    "name",
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


def list_columns(runs: Sequence[RunListItem]) -> list[str]:
    """Return the columns that these runs can fill: facts, then `params.<name>` and `metrics.<name>` by name.

    Metrics of baselines and of single horizons come last.
    """
    parameters = {name for run in runs for name in run.record.params}
    metrics = {name for run in runs for name in run.record.metrics}
    ordered_metrics = sorted(metrics, key=lambda name: ("." in name, bool(HORIZON_SUFFIX.search(name)), name))
    return [
        *FACTS,
        *(PARAMETER_PREFIX + name for name in sorted(parameters)),
        *(METRIC_PREFIX + name for name in ordered_metrics),
    ]


def is_column(name: str) -> bool:
    """Tell whether a name can be that of a column."""
    return name in FACTS or name.startswith((PARAMETER_PREFIX, METRIC_PREFIX))


def runs_to_frame(runs: Sequence[RunListItem], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Return a row per run with LIST_COLUMNS and the named parameters and metrics.

    `began` is in UTC; `figure` and `value` are the headline metric. A parameter is text, "" where a run lacks it.
    """
    more_columns = [name for name in columns if name not in FACTS]
    rows = [_build_row(run) | {name: _get_value(run, name) for name in more_columns} for run in runs]
    return pd.DataFrame(rows, columns=[*LIST_COLUMNS, *more_columns])


def sort_runs(
    runs: Sequence[RunListItem], column: str, *, is_ascending: bool, translate: Callable[[str], str] = str
) -> list[RunListItem]:
    """Return runs in the order of a column; equal ones keep their order, and those without a value come last.

    Results are sorted within the runs of the same metric. `translate` translates the labels of tasks.
    """
    table = runs_to_frame(runs, [column])
    table["key"] = _list_sort_keys(table, column, translate)
    names = ["figure", "key"] if column == "figure" else ["key"]
    directions = [True, is_ascending][-len(names) :]
    return [runs[place] for place in table.sort_values(names, ascending=directions, kind="stable").index]


def _list_sort_keys(table: pd.DataFrame, column: str, translate: Callable[[str], str]) -> pd.Series:
    """Return the values to sort by, missing where there is none; parameters that are all numbers as numbers."""
    if column == "figure":
        return table["value"].astype(float)
    values: pd.Series = table[column]
    if column == "name":
        tasks = zip(values, table["task"], strict=True)
        values = pd.Series([translate_run_name(name, task, translate) for name, task in tasks])
    if column == "task":
        values = pd.Series([translate(task.label) if (task := find_task(name)) else name for name in values])
    if values.dtype != object:
        return values
    texts = values.replace("", None)
    numbers = pd.to_numeric(texts, errors="coerce") if column.startswith((PARAMETER_PREFIX, METRIC_PREFIX)) else None
    if numbers is not None and numbers.notna().equals(texts.notna()):
        return numbers
    return texts.str.casefold()


def _build_row(item: RunListItem) -> dict[str, object]:
    record = item.record
    metrics, tags = record.metrics, record.tags
    figure = task.headline if (task := find_task(record.experiment)) else ""
    kg = metrics.get("emissions_kg")
    return {
        "run": record.id,
        "name": record.name,
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
        "waits": item.is_pending,
    }


def _get_value(item: RunListItem, column: str) -> object:
    if column.startswith(PARAMETER_PREFIX):
        return str(item.record.params.get(column.removeprefix(PARAMETER_PREFIX), ""))
    return item.record.metrics.get(column.removeprefix(METRIC_PREFIX))
