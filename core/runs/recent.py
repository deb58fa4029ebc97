"""Recent results: the newest completed runs that have a page, those of the user first, and a search among them."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.runs.card_data import describe_result, read_result
from core.runs.card_model import Picture
from core.runs.comparison import RunFilter, search_runs
from core.runs.visibility import may_read
from core.spec.task import Task, find_task
from core.workspace import Workspace
from mlflow_utils.run_record import Record

SEARCHED_RUNS = 200
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

    has_more    True where older runs were not searched
    is_partial  True where MLflow did not answer, so that runs of other machines are missing
    """

    results: tuple[RecentResult, ...]
    has_more: bool
    is_partial: bool


def find_recent_results(
    words: str, user: str, workspace: Workspace, translate: Callable[[str], str] = str
) -> RecentResults:
    """Return the results whose name, file, task or user has all the `words`, newest first, those of `user` first.

    `translate` translates the labels of tasks. Searches the newest `SEARCHED_RUNS` runs.
    """
    page, outage_reason = search_runs(workspace, RunFilter(status="completed"), SEARCHED_RUNS)
    tasks = [(item.record, find_task(item.record.experiment)) for item in page.runs]
    results = [RecentResult(record, task) for record, task in tasks if task is not None and task.page]
    matching = [
        result
        for result in results
        if has_words(words, (result.record.name, result.files, translate(result.task.label), result.user))
    ]
    own_first = sorted(matching, key=lambda result: result.user != user)
    return RecentResults(tuple(own_first), bool(page.token), bool(outage_reason))


def has_words(words: str, texts: Iterable[str]) -> bool:
    """Tell whether each of the `words` is part of one of the texts, in upper or lower case.

    Example:
        >>> has_words("gas ANNA", ("sample_gas.csv", "anna")), has_words("gas bob", ("sample_gas.csv", "anna"))
        (True, False)
    """
    joined = "\n".join(texts).casefold()
    return all(word in joined for word in words.casefold().split())


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
