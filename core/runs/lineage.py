"""Origin of a run: the run whose model it uses, what differs from it, its ranges of time and its input files."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from core.runs.visibility import may_read
from core.workspace import Workspace
from mlflow_utils import runs
from mlflow_utils.run_record import InputData, Record

PARENT_TAG, CHANGE_TAG = "vigie.parent_run", "vigie.changed"
PARENT_PARAMS = ("model_run", "source_run")
"""Parameters that name the run whose model, threshold or intervals a run starts from."""
MISSING_TEXT = "–"
MAX_VALUE_CHARACTERS = 80
DIGEST_CHARACTERS = 12
logger = logging.getLogger(__name__)


class Table(Protocol):
    """Table of covariates of one file."""

    @property
    def file(self) -> str:
        """Name of the file."""

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""


def find_parent(params: Mapping[str, Any]) -> str:
    """Return the id of the run that a run with these parameters starts from; "" for a run that fits a model.

    Example:
        >>> find_parent({"threshold_value": 0.7, "source_run": "1f2e"}), find_parent({"horizon": 7})
        ('1f2e', '')
    """
    return next((str(params[name]) for name in PARENT_PARAMS if params.get(name)), "")


def load_parent(run_id: str, workspace: Workspace) -> Record | None:
    """Return the record of a parent; None without one, or where MLflow does not answer. It never stops a run."""
    if not run_id:
        return None
    try:
        parent = workspace.tracking.spool.find_run(run_id) or runs.load_record(workspace.tracking, run_id)
    except Exception:
        logger.warning("what differs from run %s could not be found out", run_id, exc_info=True)
        return None
    return parent if parent is not None and may_read(parent, workspace) else None


def find_model_version(parent: Record, workspace: Workspace) -> str:
    """Return NAME/NUMBER of the newest registered version of a run's model, else the id of the run.

    The id is returned where MLflow does not answer, too. It never stops a run.
    """
    try:
        return runs.find_registered_version(workspace.tracking, parent) or parent.id
    except Exception:
        logger.warning("the registered version of run %s could not be found out", parent.id, exc_info=True)
        return parent.id


def name_model(run: Record, workspace: Workspace) -> str:
    """Return the model that a stored run used, as `find_model_version` names it: its own, or that of its parent."""
    parent = find_parent(run.params)
    record = load_parent(parent, workspace) if parent else run
    return parent if record is None else find_model_version(record, workspace)


def describe_changes(parent: Record, record: Record) -> str:
    """Return what differs from the parent: the dataset, and every parameter of `record` with another value.

    Example:
        >>> old = Record("anomalies", "old", params={"spread": 2, "threshold": 0.5}, tags={"dataset.files": "may.csv"})
        >>> new = Record("anomalies", "new", params={"spread": "2", "threshold": 0.7, "model_run": "1f2e"},
        ...              tags={"dataset.files": "june.csv", "dataset.digest": "9a"})
        >>> describe_changes(old, new)
        'dataset: may.csv → june.csv; threshold: 0.5 → 0.7'
    """
    changes = []
    if parent.tags.get("dataset.digest") != record.tags.get("dataset.digest"):
        changes.append(_format_change("dataset", *(item.tags.get("dataset.files", "") for item in (parent, record))))
    for name, value in record.params.items():
        old = parent.params.get(name, "")
        if name not in PARENT_PARAMS and str(old) != str(value):
            changes.append(_format_change(name, old, value))
    return "; ".join(changes)


def _format_change(name: str, old: object, new: object) -> str:
    return f"{name}: {_shorten(old)} → {_shorten(new)}"


def _shorten(value: object) -> str:
    text = str(value)
    return (text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}…") or MISSING_TEXT


# ---- parameters -----------------------------------------------------------------------------------------------------


def describe_range(name: str, times: "pd.Index | Sequence[Any]") -> dict[str, str]:
    """Return the parameters `name`_from and `name`_until of a range of times; none for an empty range.

    Example:
        >>> describe_range("fit", pd.to_datetime(["2024-05-02", "2024-05-01"]))
        {'fit_from': '2024-05-01', 'fit_until': '2024-05-02'}
    """
    index = pd.Index(times)
    if not len(index):
        return {}
    return {
        f"{name}_{end}": str(value).removesuffix(" 00:00:00")
        for end, value in (("from", index.min()), ("until", index.max()))
    }


def describe_covariates(tables: Iterable[Table]) -> dict[str, str]:
    """Return the parameter with the covariate files and the first digits of their digests; none without files."""
    text = ", ".join(f"{table.file} ({table.digest[:DIGEST_CHARACTERS]})" for table in tables)
    return {"covariate_files": text} if text else {}


def list_covariate_inputs(tables: Iterable[Table]) -> list[InputData]:
    """Return the covariate files as inputs of a run."""
    return [InputData(table.file, table.digest, "covariates", tuple(table.columns)) for table in tables]
