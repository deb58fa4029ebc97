"""Runs that were: found again by their id, with what they left behind."""

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY, Tracking


@dataclass(frozen=True)
class StoredRun:
    """A run on record: its id in MLflow ("" while it waits to be delivered), and its files on this machine."""

    record: Record
    files: Path


def find(tracking: Tracking, run: str) -> StoredRun | None:
    """The run with this MLflow id or key: from this machine where it began here, else from MLflow.

    None where no such run exists; raises what MLflow raises where it cannot be asked.
    """
    record = tracking.spool.find(run)
    here = None if record is None else StoredRun(record, tracking.spool.files(record.key))
    if here is not None and _filled(here.files):
        return here
    return _downloaded(tracking, run) or here  # a run that failed at once left no files anywhere


def about(tracking: Tracking, run: str) -> Record | None:
    """The record of a run, without its files; else as `find`."""
    record = tracking.spool.find(run)
    if record is not None:
        return record
    client, found = _asked(tracking, run)
    return None if found is None else record_of(found, _experiment(client, found))


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _plausible(run: str) -> bool:
    return len(run) == 32 and all(letter in "0123456789abcdef" for letter in run)


def _asked(tracking: Tracking, run: str) -> tuple[Any, Any]:
    """MLflow's client, and the run as MLflow has it; None where it has not, or does not answer."""
    if not _plausible(run) or not tracking.reachable():
        return None, None
    from mlflow.exceptions import MlflowException

    client = tracking.client()
    try:
        return client, client.get_run(run)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return client, _with_key(client, run)


def _downloaded(tracking: Tracking, run: str) -> StoredRun | None:
    client, found = _asked(tracking, run)
    if found is None:
        return None
    folder = tracking.spool.files(found.data.tags.get(KEY, run))
    if not _filled(folder):
        folder.mkdir(parents=True, exist_ok=True)
        client.download_artifacts(found.info.run_id, "", str(folder))
    return StoredRun(record_of(found, _experiment(client, found)), folder)


def _with_key(client: Any, key: str) -> Any:
    """The run that was waiting when somebody noted its address."""
    experiments = [each.experiment_id for each in client.search_experiments()]
    found = client.search_runs(experiments, f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0] if found else None


def find_completed(tracking: Tracking, tag: str, value: str) -> Record | None:
    """Return a completed run with this tag: from this machine where it began here, else from MLflow.

    None where there is none or MLflow does not answer in time; raises what MLflow raises.
    """
    record = tracking.spool.find_completed(tag, value)
    if record is not None or not tracking.reachable():
        return record
    client = tracking.client()
    experiments = client.search_experiments()
    query = f"tags.`{tag}` = '{value}' AND tags.`vigie.status` = 'completed'"
    completed = client.search_runs([each.experiment_id for each in experiments], query, max_results=1)
    return record_of(completed[0], _experiment(client, completed[0])) if completed else None


def waits(tracking: Tracking, run: str) -> bool:
    """Does the run wait on this machine for MLflow to answer?"""
    return any(run in (record.key, record.run_id) for record in tracking.spool.waiting())


def record_of(run: Any, experiment: str) -> Record:
    """MLflow's run of the task `experiment` as a record."""
    data, info = run.data, run.info
    return Record(
        experiment=experiment,
        name=info.run_name or "",
        key=data.tags.get(KEY, info.run_id),
        run_id=info.run_id,
        status=data.tags.get("vigie.status", "interrupted"),
        started_ms=info.start_time,
        ended_ms=info.end_time or 0,
        params=dict(data.params),
        metrics=dict(data.metrics),
        tags={name: value for name, value in data.tags.items() if not name.startswith("mlflow.")},
    )


def _experiment(client: Any, run: Any) -> str:
    """The name of a run's experiment: the task."""
    return str(client.get_experiment(run.info.experiment_id).name)


def recent(tracking: Tracking, experiment: str, limit: int = 20) -> list[Record]:
    """The newest runs of an experiment, newest first; empty where there are none or MLflow does not answer."""
    if not tracking.reachable():
        return []
    client = tracking.client()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return []
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"], max_results=limit)
    return [record_of(run, experiment) for run in runs]


def link(tracking: Tracking, record: Record, public_uri: str = "") -> str:
    """The page of the run in the MLflow UI; "" where there is no server or the run has not reached it."""
    base = public_uri or tracking.uri
    if not base.startswith("http") or not record.run_id or not tracking.reachable():
        return ""
    client = tracking.client()
    experiment = client.get_run(record.run_id).info.experiment_id
    return f"{base.rstrip('/')}/#/experiments/{urllib.parse.quote(experiment)}/runs/{record.run_id}"


def front(tracking: Tracking, experiment: str = "", public_uri: str = "") -> str:
    """Return the page of an experiment, or of all, in the MLflow UI; "" where no server answers."""
    base = public_uri or tracking.uri
    if not base.startswith("http") or not tracking.reachable():
        return ""
    found = tracking.client().get_experiment_by_name(experiment) if experiment else None
    page = f"experiments/{urllib.parse.quote(found.experiment_id)}" if found else "experiments"
    return f"{base.rstrip('/')}/#/{page}"
