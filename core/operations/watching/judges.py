"""Judges of watches: found by the model of a watch, and kept by each process for its next ticks."""

import logging
import threading
from collections import OrderedDict
from pathlib import Path

from core.errors import NotFoundError, OptionError, VigieError
from core.messages import N_
from core.runs.promotion import get_version, resolve_run
from core.runs.stored_runs import load_run
from core.spec.task import find_task, list_tasks, load_entry_point
from core.watches.judgement import Judge
from core.watches.watch import Watch
from core.workspace import Workspace

MAX_JUDGES = 8  # models in the memory of a process

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_judges: OrderedDict[tuple[Path, str, str], Judge] = OrderedDict()
_last_runs: dict[tuple[Path, str], str] = {}


def load_judge(watch: Watch, workspace: Workspace) -> tuple[str, Judge]:
    """Return the id of the run of the model of a watch now, and its judge.

    An alias is looked up each time, a model is loaded once. Where MLflow does not answer, the last known model judges.
    Raises OptionError for a task that cannot be watched, NotFoundError for an unknown model, and the errors of the
    judge.
    """
    entry = find_judge_entry(watch.task)
    run_id = _find_run(watch, workspace)
    if workspace.viewer is not None:
        load_run(run_id, workspace)  # raises for a user who may not read it
    key = (workspace.folder, watch.task, run_id)
    with _lock:
        if key in _judges:
            _judges.move_to_end(key)
            return run_id, _judges[key]
    resolve_run(watch.model, workspace)  # compares the file of a registered model with its registration
    judge: Judge = load_entry_point(entry)(run_id, workspace)
    with _lock:
        _judges[key] = judge
        while len(_judges) > MAX_JUDGES:
            _judges.popitem(last=False)
    return run_id, judge


def find_judge_entry(task: str) -> str:
    """Return the `module:function` that loads the judge of a task. Raises OptionError where there is none."""
    known_task = find_task(task)
    if known_task is None or not known_task.judge:
        raise OptionError(
            N_("Results of the task {task} cannot be watched. Accepted: {accepted}."),
            task=task[:80],
            accepted=", ".join(each.name for each in list_tasks() if each.judge),
        )
    return known_task.judge


def _find_run(watch: Watch, workspace: Workspace) -> str:
    """Return the id of the run of the model; of an alias, the last known one where MLflow does not answer."""
    name, separator, alias = watch.model.partition("@")
    if not separator:
        return watch.model
    key = (workspace.folder, watch.model)
    try:
        run_id = get_version(name, alias, workspace=workspace).run_id
    except (NotFoundError, OptionError):
        raise
    except VigieError:
        if key not in _last_runs:
            raise
        logger.warning("the model %s is not known to be current, because MLflow does not answer", watch.model)
        return _last_runs[key]
    _last_runs[key] = run_id
    return run_id
