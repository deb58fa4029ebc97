"""Copies of runs on this machine that MLflow has as well, and the texts of all runs in MLflow."""

import filecmp
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow_utils.runs import fetch_run
from mlflow_utils.tracking import MlflowUnavailableError, Tracking

PAGE_SIZE = 1000
ALL_RUNS = 3  # ViewType.ALL of MLflow: deleted runs can be restored


def has_all_files(tracking: Tracking, folder: Path) -> bool:
    """Tell whether MLflow has every file of the run that is kept in `folder`, named by its key or id.

    Files on this machine are compared byte by byte, those of a server by their sizes. Raises the errors of MLflow.
    """
    record = tracking.spool.find_run(folder.name)
    client, run = fetch_run(tracking, record.id if record else folder.name)
    if run is None or run.info.lifecycle_stage != "active":
        return False
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    place = urlsplit(run.info.artifact_uri)
    if place.scheme == "file":
        copy = Path(unquote(place.path))
        return all((copy / name).is_file() and filecmp.cmp(folder / name, copy / name, shallow=False) for name in names)
    sizes = dict(_iter_sizes(client, run.info.run_id, ""))
    return all(sizes.get(name) == (folder / name).stat().st_size for name in names)


def iter_texts(tracking: Tracking) -> Iterator[str]:
    """Yield what MLflow tells about each run and each registered version, as JSON, deleted runs included.

    Raises MlflowUnavailableError where it does not answer, and the errors of MLflow.
    """
    if not tracking.is_reachable():
        raise MlflowUnavailableError(tracking.uri)
    client = tracking.open_client()
    experiments = [
        experiment.experiment_id for experiment in _iter_pages(client.search_experiments, view_type=ALL_RUNS)
    ]
    for run in (
        _iter_pages(client.search_runs, experiment_ids=experiments, run_view_type=ALL_RUNS) if experiments else ()
    ):
        inputs = [item.dataset.source for item in run.inputs.dataset_inputs]
        yield json.dumps([run.data.params, run.data.tags, inputs])
    for version in _iter_pages(client.search_model_versions):
        yield json.dumps(version.tags)


def _iter_sizes(client: Any, run_id: str, folder: str) -> Iterator[tuple[str, int]]:
    for item in client.list_artifacts(run_id, folder or None):
        if item.is_dir:
            yield from _iter_sizes(client, run_id, item.path)
        else:
            yield item.path, item.file_size


def _iter_pages(search: Any, **parameters: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(**parameters, max_results=PAGE_SIZE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
