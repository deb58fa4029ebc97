"""Stored runs, loaded by id with their files."""

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY_TAG, MlflowUnavailableError, Tracking

MODEL_PAGES = "?workflowType=machine_learning"
"""Without it MLflow opens a run on the pages about language models, in a browser that has not chosen the others."""


@dataclass(frozen=True)
class StoredRun:
    """A stored run: its record, and the folder of its files on this machine."""

    record: Record
    files: Path


def load_run(tracking: Tracking, run: str) -> StoredRun | None:
    """Load the run with this MLflow id or key, from this machine where it started here, else from MLflow.

    Returns None where no such run exists. Raises the errors of MLflow.
    """
    record = tracking.spool.find_run(run)
    local = None if record is None else StoredRun(record, tracking.spool.artifact_dir(record.key))
    if local is not None and _has_files(local.files):
        return local
    downloaded = _download_run(tracking, record.id if record else run)
    if local is None or downloaded is None:
        return downloaded or local  # a run that failed at its start has no files
    return StoredRun(local.record, downloaded.files)  # MLflow makes text of all parameters


def load_record(tracking: Tracking, run: str) -> Record | None:
    """Load the record of a run as `load_run` does, without its files."""
    record = tracking.spool.find_run(run)
    if record is not None:
        return record
    client, stored = fetch_run(tracking, run)
    return None if stored is None else _read_record(tracking, client, stored)


def find_completed_run(tracking: Tracking, tag: str, value: str) -> Record | None:
    """Return a completed run with this tag, from this machine where it started here, else from MLflow.

    Returns None where there is none or MLflow does not answer in time. Raises the errors of MLflow.
    """
    record = tracking.spool.find_completed_run(tag, value)
    if record is not None or not tracking.is_reachable():
        return record
    client = tracking.open_client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.`{tag}` = '{value}' AND tags.`vigie.status` = 'completed'"
    completed = client.search_runs(experiments, query, max_results=1)
    return to_record(completed[0], _get_experiment_name(client, completed[0])) if completed else None


def find_registered_version(tracking: Tracking, run: Record) -> str:
    """Return NAME/NUMBER of the newest registered version of a run's model.

    Returns "" where there is none or MLflow does not answer in time. Raises the errors of MLflow.
    """
    if not run.run_id:
        return ""
    try:
        versions = tracking.query(lambda: tracking.open_client().search_model_versions(f"run_id = '{run.run_id}'"))
    except MlflowUnavailableError:
        return ""
    newest = max(versions, key=lambda version: version.creation_timestamp, default=None)
    return f"{newest.name}/{newest.version}" if newest else ""


def fetch_files(tracking: Tracking, stored: StoredRun) -> None:
    """Replace the files of a run by those that MLflow has. Does nothing where MLflow does not have it or not answer.

    Raises the errors of MLflow and OSError.
    """
    client, mlflow_run = fetch_run(tracking, stored.record.run_id)
    if mlflow_run is not None and not is_pending(tracking, stored.record.key):
        _download_files(client, mlflow_run.info.run_id, stored.files)


def is_pending(tracking: Tracking, run: str) -> bool:
    """Tell whether the run waits on this machine for its delivery to MLflow."""
    return any(run in (record.key, record.run_id) for record in tracking.spool.list_pending())


def list_latest_runs(tracking: Tracking, experiment: str, limit: int = 20, query: str = "") -> list[Record]:
    """List the newest runs of an experiment, newest first; empty where MLflow does not answer.

    `query` is a filter of MLflow, such as "tags.`vigie.model` = 'saved'".
    """
    if not tracking.is_reachable():
        return []
    client = tracking.open_client()
    stored_experiment = client.get_experiment_by_name(experiment)
    if stored_experiment is None:
        return []
    runs = client.search_runs(
        [stored_experiment.experiment_id], query, order_by=["attributes.start_time DESC"], max_results=limit
    )
    return [to_record(run, experiment) for run in runs]


def to_record(run: Any, experiment: str) -> Record:
    """Convert a run of MLflow in `experiment` to a record."""
    data, info = run.data, run.info
    return Record(
        experiment=experiment,
        name=info.run_name or "",
        key=data.tags.get(KEY_TAG, info.run_id),
        run_id=info.run_id,
        status=data.tags.get("vigie.status", "interrupted"),
        started_ms=info.start_time,
        ended_ms=info.end_time or 0,
        params=dict(data.params),
        metrics=dict(data.metrics),
        tags={name: value for name, value in data.tags.items() if not name.startswith("mlflow.")},
    )


def get_run_url(tracking: Tracking, record: Record, base: str) -> str:
    """Return the URL of a run in the MLflow UI at `base`; "" without a server or an answer, or before delivery."""
    if not base or not record.run_id or not tracking.is_reachable():
        return ""
    experiment = tracking.open_client().get_run(record.run_id).info.experiment_id
    return f"{base.rstrip('/')}/#/experiments/{urllib.parse.quote(experiment)}/runs/{record.run_id}{MODEL_PAGES}"


def get_experiment_url(tracking: Tracking, experiment: str, base: str) -> str:
    """Return the URL of an experiment, or of all (""), in the MLflow UI at `base`; "" without a server or an answer."""
    if not base or not tracking.is_reachable():
        return ""
    stored_experiment = tracking.open_client().get_experiment_by_name(experiment) if experiment else None
    page = (
        f"experiments/{urllib.parse.quote(stored_experiment.experiment_id)}/runs"
        if stored_experiment
        else "experiments"
    )
    return f"{base.rstrip('/')}/#/{page}{MODEL_PAGES}"


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_run_id(run: str) -> bool:
    return len(run) == 32 and all(letter in "0123456789abcdef" for letter in run)


def fetch_run(tracking: Tracking, run: str) -> tuple[Any, Any]:
    """Return a client of MLflow and its run; None for an unknown run, or where MLflow does not answer."""
    if not _is_run_id(run) or not tracking.is_reachable():
        return None, None
    from mlflow.exceptions import MlflowException

    client = tracking.open_client()
    try:
        return client, client.get_run(run)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return client, _find_by_key(client, run)


def _find_by_key(client: Any, key: str) -> Any:
    """Find the MLflow run with a key, for URLs that were saved before the delivery of the run."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    return runs[0] if runs else None


def _download_run(tracking: Tracking, run: str) -> StoredRun | None:
    client, stored = fetch_run(tracking, run)
    if stored is None:
        return None
    folder = tracking.spool.artifact_dir(stored.data.tags.get(KEY_TAG, run))
    if not _has_files(folder):
        _download_files(client, stored.info.run_id, folder)
    return StoredRun(_read_record(tracking, client, stored), folder)


def _download_files(client: Any, run_id: str, folder: Path) -> None:
    """Replace `folder` by the files that MLflow has of a run; a killed process leaves no partial folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as temp_folder:
        draft, former = Path(temp_folder) / "draft", Path(temp_folder) / "former"
        draft.mkdir()
        client.download_artifacts(run_id, "", str(draft))
        if not any(draft.iterdir()):  # its files are lost there, or it has none
            folder.mkdir(exist_ok=True)
            return
        if folder.exists():
            folder.rename(former)
        draft.rename(folder)


def _read_record(tracking: Tracking, client: Any, stored: Any) -> Record:
    """Return the record of a run of MLflow, with its new name where that still waits for MLflow."""
    record = to_record(stored, _get_experiment_name(client, stored))
    waiting_names = {waiting.key: waiting.name for waiting in tracking.spool.list_waiting_names()}
    record.name = waiting_names.get(record.key, record.name)
    return record


def _get_experiment_name(client: Any, run: Any) -> str:
    return str(client.get_experiment(run.info.experiment_id).name)
