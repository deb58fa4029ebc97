"""Answers to the questions of pages: computed once, by a worker or at once, and kept for all sessions.

The registry of queries holds those of the tasks and those about data. The same question has the same answer for every
user: it names its data by their digests. A later version of the product computes it again.
"""

import hashlib
import json
import logging
from typing import Any

from core import __version__
from core.actor import Actor
from core.errors import NotFoundError, OptionError
from core.messages import N_
from core.operations.queries import QUERIES
from core.progress import Progress
from core.runs.result import Result
from core.spec import task as tasks
from core.spec.codec import decode, encode
from core.spec.query import Query
from core.spec.spec import Spec
from core.spec.task import list_tasks, load_entry_point
from core.storage.job import Queue
from core.workspace import Workspace

KEY_DIGITS = 32
logger = logging.getLogger(__name__)


def list_queries() -> list[Query]:
    """Return all queries: those about data, then those of each task."""
    return [*QUERIES, *(query for task in list_tasks() for query in task.queries)]


def get_queues() -> tuple[Queue, Queue]:
    """Return the queue of the tasks and that of the questions; a worker takes a question where no task waits."""
    names = frozenset(query.name for query in list_queries())
    return Queue("tasks", names, is_others=True), Queue("questions", names)


def find_query(name: str) -> Query | None:
    """Return the query `name`; None for an unknown name, such as the name of a task."""
    return next((query for query in list_queries() if query.name == name), None)


def get_query(name: str) -> Query:
    """Return the query `name`. Raises NotFoundError for an unknown name."""
    query = find_query(name)
    if query is None:
        raise NotFoundError(N_("The query {name} does not exist."), name=name[:80])
    return query


def compute_answer_key(name: str, spec: Spec) -> str:
    """Return the key of the answer to `spec` in this version of the product, as hexadecimal digits."""
    text = json.dumps([name, encode(spec), __version__], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def save_question(name: str, spec: Spec, workspace: Workspace) -> str:
    """Keep a question, so that its key leads back to it, and return the key."""
    key = compute_answer_key(name, spec)
    workspace.answers.save_question(key, {"query": name, "spec": encode(spec)})
    return key


def load_question(name: str, key: str, workspace: Workspace) -> Spec | None:
    """Return the question to the query `name` that has this key; None where it is not, or no longer, known."""
    stored = workspace.answers.load_question(key)
    try:
        if stored is None or stored["query"] != name:
            return None
        spec = _decode_spec(get_query(name), stored["spec"])
    except (LookupError, TypeError, ValueError, AttributeError, OptionError):
        return None
    return spec if compute_answer_key(name, spec) == key else None


def load_answer(name: str, spec: Spec, workspace: Workspace) -> Any | None:
    """Return the answer to `spec`; None where it is not, or no longer, stored."""
    folder = workspace.answers.find_answer(compute_answer_key(name, spec))
    if folder is None:
        return None
    answer_class: type[Result] = load_entry_point(get_query(name).answer)
    try:
        return answer_class.load(folder)
    except NotFoundError:  # of another form, or damaged: it is computed again
        return None


def answer_at_once(name: str, spec: Spec, *, workspace: Workspace, actor: Actor) -> Any:
    """Return the stored answer to `spec`, else compute it. Where it cannot be kept, a warning is logged.

    Raises as `answer_question`.
    """
    answer = load_answer(name, spec, workspace)
    if answer is None:
        answer = _run_query(get_query(name), spec, workspace=workspace, actor=actor, progress=Progress())
        try:
            _keep_answer(name, spec, answer, workspace)
        except OSError:
            logger.warning("the answer to %s was not kept", name, exc_info=True)
    return answer


def answer_question(name: str, spec: Spec, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Answer `spec` and keep the answer, unless it is stored already. Return its key, or the digest of what was made.

    Raises NotFoundError for an unknown query, OptionError for a value that is not accepted, and the errors of the
    query.
    """
    query = get_query(name)
    if query.answer and load_answer(name, spec, workspace) is not None:
        return compute_answer_key(name, spec)
    answer = _run_query(query, spec, workspace=workspace, actor=actor, progress=progress)
    return _keep_answer(name, spec, answer, workspace) if query.answer else str(answer)


def run_job(task: str, arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Run a job: a task or a query, with the JSON `arguments` of its spec.

    Return the id of the run, or what `answer_question` returns. Raises the errors of both.
    """
    query = find_query(task)
    if query is None:
        return tasks.run_job(task, arguments, workspace=workspace, actor=actor, progress=progress)
    spec = _decode_spec(query, arguments)
    return answer_question(task, spec, workspace=workspace, actor=actor, progress=progress)


def _run_query(query: Query, spec: Spec, **context: Any) -> Any:
    spec.check()
    return load_entry_point(query.run)(spec, **context)


def _keep_answer(name: str, spec: Spec, answer: Result, workspace: Workspace) -> str:
    key = save_question(name, spec, workspace)
    workspace.answers.save_answer(key, answer.save)
    return key


def _decode_spec(query: Query, data: dict[str, Any]) -> Spec:
    spec_class: type[Spec] = load_entry_point(query.spec)
    return decode(spec_class, data)
