"""Private runs: what the user of a workspace may read, at every function that reads runs."""

from collections.abc import Callable
from typing import Any

import pytest

from core import jobs
from core.actor import NOBODY, Actor, Viewer
from core.errors import NotFoundError
from core.jobs.queue import submit
from core.runs import comparison, lineage, promotion, recent, stored_runs
from core.runs.card import build_run_card
from core.runs.renaming import rename_run
from core.runs.report import build_report
from core.runs.verdicts import find_record
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.search import RunFilter

ANA, OTTO = Actor("ana", "tests"), Actor("otto", "tests")
VIEWERS = {"ana": Viewer("ana"), "otto": Viewer("otto"), "operator": Viewer("ada", sees_all=True), "nobody": NOBODY}

READERS: dict[str, Callable[[str, Workspace], Any]] = {
    "load_run": stored_runs.load_run,
    "load_task_result": stored_runs.load_task_result,
    "load_model_spec": stored_runs.load_model_spec,
    "get_run_cost": stored_runs.get_run_cost,
    "load_records": lambda run, workspace: comparison.load_records([run], workspace),
    "compare_runs": lambda run, workspace: comparison.compare_runs([run], workspace),
    "build_run_card": build_run_card,
    "build_report": build_report,
    "register": lambda run, workspace: promotion.register(run, workspace=workspace, actor=OTTO),
    "rename_run": lambda run, workspace: rename_run(run, "x", workspace=workspace, actor=OTTO, manages_all=True),
    "submit a job with its model": lambda run, workspace: submit(
        "anomalies", {"model": run}, workspace=workspace, actor=OTTO
    ),
    "submit a job with its result": lambda run, workspace: submit(
        "anomalies", {"run": run}, workspace=workspace, actor=OTTO
    ),
}
SEARCHES: dict[str, Callable[[str, Workspace], bool]] = {
    "search_runs": lambda run, workspace: _has_run(run, comparison.search_runs(workspace)[0].runs),
    "search by name": lambda run, workspace: _has_run(
        run, comparison.search_runs(workspace, RunFilter(user="a"))[0].runs
    ),
    "recent results": lambda run, workspace: _has_run(run, recent.find_recent_results("", "", workspace).results),
    "picture": lambda run, workspace: recent.load_picture(run, workspace) is not None,
    "models": lambda run, workspace: run in {record.id for record in promotion.runs_with_model("anomalies", workspace)},
    "parent": lambda run, workspace: lineage.load_parent(run, workspace) is not None,
    "verdicts": lambda run, workspace: find_record(run, workspace) is not None,
}


def _has_run(run: str, items: Any) -> bool:
    return run in {item.record.id for item in items}


@pytest.fixture
def run(workspace: Workspace, sample: Any) -> str:
    """A run of ana."""
    workspace.datasets.save(sample)
    return str(detect(DetectionSpec(), sample, workspace=workspace, actor=ANA)[1].id)


def test_runs_of_others_are_not_found(workspace: Workspace, run: str) -> None:
    for viewer in ("otto", "nobody"):
        restricted = workspace.restrict_to(VIEWERS[viewer])
        for name, read in READERS.items():
            with pytest.raises(NotFoundError, match=r"not found|could not be loaded"):
                pytest.fail(f"{viewer} reads with {name}: {read(run, restricted)}")
        assert not [name for name, finds in SEARCHES.items() if finds(run, restricted)]


def test_runs_are_found_by_their_user_and_operators(workspace: Workspace, run: str) -> None:
    for viewer in ("ana", "operator"):
        restricted = workspace.restrict_to(VIEWERS[viewer])
        assert stored_runs.load_run(run, restricted).record.tags["user"] == "ana"
        found = {name for name, finds in SEARCHES.items() if finds(run, restricted)}
        assert found == {name for name, finds in SEARCHES.items() if finds(run, workspace)}
        assert found >= {"search_runs", "recent results", "parent", "verdicts"}


def test_restricted_workspace_shares_its_stores(workspace: Workspace) -> None:
    restricted = workspace.restrict_to(VIEWERS["ana"])
    assert restricted.accounts is workspace.accounts
    assert restricted.jobs is workspace.jobs
    assert restricted.tracking is workspace.tracking
    assert not jobs.list_unfinished("ana", restricted)
