"""Recent results: the newest completed runs that have a page, those of the user first, and a search among all."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.runs.card_data import describe_result, read_result
from core.runs.card_model import Picture
from core.runs.comparison import RunFilter, search_runs
from core.runs.visibility import may_read
from core.spec.task import Task, find_task, list_tasks
from core.workspace import Workspace
from mlflow_utils.run_record import Record
from mlflow_utils.search import has_words as has_words

MAX_RESULTS = 24
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecentResult:
    """A completed run and its task, which has a page."""

    record: Record
    task: Task

    @property
    def files(self) -> str:
        """Names of the files of the data."""
        return self.record.tags.get("dataset.files", "")

    @property
    def user(self) -> str:
        """User who asked for the run."""
        return self.record.tags.get("user", "")


@dataclass(frozen=True)
class RecentResults:
    """Recent results, those of the user first.

    has_more     True where there are more results than these
    is_complete  False where the search took too long, so that older runs were not searched
    is_partial   True where MLflow did not answer, so that runs of other machines are missing
    """

    results: tuple[RecentResult, ...]
    has_more: bool
    is_complete: bool
    is_partial: bool


def find_recent_results(
    words: str, user: str, workspace: Workspace, translate: Callable[[str], str] = str, limit: int = MAX_RESULTS
) -> RecentResults:
    """Return at most `limit` results whose name, file, task or user has all the `words`: own first, newest first.

    `translate` translates the labels of tasks.
    """
    labels = {task.name: translate(task.label) for task in list_tasks() if task.page}
    run_filter = RunFilter(status="completed", words=tuple(words.split()), labels=labels)
    own_page, own_outage = search_runs(workspace, replace(run_filter, owner=user), limit)
    is_full = len(own_page.runs) == limit and bool(own_page.token)
    page, outage = (own_page, own_outage) if is_full else search_runs(workspace, run_filter, limit)
    records = {item.record.key: item.record for item in (*own_page.runs, *page.runs)}
    tasks = [(record, find_task(record.experiment)) for record in records.values()]
    results = [RecentResult(record, task) for record, task in tasks if task is not None]
    return RecentResults(
        tuple(results[:limit]),
        has_more=bool(page.token) or len(results) > limit,
        is_complete=len(results) >= limit or not (own_page.token or page.token),
        is_partial=bool(own_outage or outage),
    )


def load_picture(run_id: str, workspace: Workspace) -> Picture | None:
    """Return the picture of the run card of a run that started here; None for another run or without a picture."""
    record = workspace.tracking.spool.find_run(run_id)
    if record is None or not may_read(record, workspace):
        return None
    try:
        result = read_result(record.experiment, workspace.tracking.spool.artifact_dir(record.key))
        return None if result is None else describe_result(record.experiment, result).picture
    except Exception:  # a list of results must not fail because of one of them
        logger.warning("no picture of run %s", run_id, exc_info=True)
        return None
