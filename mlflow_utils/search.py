"""Search of runs in MLflow and of the pending runs of this machine, newest first, page by page.

User input is never inserted into the filter of MLflow unchanged: characters other than letters, digits, blanks and
".:/-" become the wildcard %. MLflow then returns a superset of the matching runs, which `matches` filters.
"""

import heapq
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import Any

from mlflow_utils.run_record import Record
from mlflow_utils.runs import to_record
from mlflow_utils.tracking import MLFLOW_STATUS, Tracking

BATCH_SIZE = 200  # runs per request to MLflow
MAX_LOCAL_RUNS = 5000  # searched on this machine where MLflow does not answer
SEARCH_BUDGET_S = 0.6  # after that a search returns what it has, with a token for the next page
NON_PLAIN = re.compile(r"[^A-Za-z0-9 .:/-]+")
DIGEST = re.compile(r"[0-9a-f]{8,64}")
MILLISECONDS = re.compile(r"[0-9]{1,15}")
MAX_PATTERN_LENGTH = 200  # characters of user input in a filter of MLflow
WORD_ATTRIBUTES = ("attributes.run_name", "tags.`dataset.files`", "tags.`user`")
"""Attributes of a run in MLflow that the words of a search are looked for in, besides the label of its task."""
MAX_FILTERED_WORDS = 2  # words that MLflow looks for; runs with them are searched here for the others
RUNNING = "running"
MLFLOW_STATES = {**MLFLOW_STATUS, RUNNING: "RUNNING"}


@dataclass(frozen=True)
class RunFilter:
    """Filter of a search. Empty fields are ignored. Upper and lower case are equal.

    task                name of the experiment
    model, user         part of the name of the model or user
    data                start of the digest of the dataset (at least 8 digits), or part of the name of a file
    status              completed, failed, interrupted or running
    since_ms, until_ms  start time in milliseconds since 1970: from (included), and before (excluded)
    text                part of the name, id, error, or of the value of a parameter
    stored_text         the same text in the words of stored names, where those on screen are translated; "" for none
    owner               the user of the runs, exactly; None for runs of all users
    words               each of them is part of the name, of the name of a file or user, or of the label of the task
    labels              name of a task → its label for the reader; runs of other tasks are left out; {} for all tasks
    """

    task: str = ""
    model: str = ""
    user: str = ""
    data: str = ""
    status: str = ""
    since_ms: int = 0
    until_ms: int = 0
    text: str = ""
    stored_text: str = ""
    owner: str | None = None
    words: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


ALL_RUNS = RunFilter()


@dataclass(frozen=True)
class RunListItem:
    """A run in a list. `is_pending` is True before its delivery; `status` may also be "running"."""

    record: Record
    status: str
    is_pending: bool = False


@dataclass(frozen=True)
class RunPage:
    """A page of runs, newest first; `token` is the start of the next page, "" at the end."""

    runs: tuple[RunListItem, ...]
    token: str = ""


def search(tracking: Tracking, run_filter: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> RunPage:
    """Return at most `limit` runs of MLflow and pending runs, from the `token` of the page before.

    A search with few matches among many runs returns a shorter page after about a second. Raises the errors of MLflow.
    """
    pending = [RunListItem(record, record.status, is_pending=True) for record in tracking.spool.list_pending()]
    keys = {item.record.key for item in pending}
    after = _parse_cursor(token)
    given_names = tracking.spool.list_given_names()
    names = {waiting.key: waiting.name for waiting in tracking.spool.list_waiting_names()}
    delivered = (
        _rename(item, names)
        for item in _search_mlflow(tracking.open_client(), run_filter, after, limit)
        if item.record.key not in keys
    )
    page = _paginate(
        heapq.merge(sorted(pending, key=_make_cursor), delivered, key=_make_cursor), run_filter, limit, after
    )
    with suppress(OSError):  # the disk is full: names that others changed are taken over later
        listed_names = {item.record.key: item.record.name for item in page.runs if not item.is_pending}
        tracking.spool.follow_names(listed_names, given_names)
    return page


def _rename(item: RunListItem, names: Mapping[str, str]) -> RunListItem:
    """Return a run of MLflow with its new name, where that still waits for MLflow."""
    item.record.name = names.get(item.record.key, item.record.name)
    return item


def search_local(tracking: Tracking, run_filter: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> RunPage:
    """Return a page of the runs that started on this machine, without MLflow."""
    pending = {record.key for record in tracking.spool.list_pending()}
    items = (
        RunListItem(record, record.status, record.key in pending)
        for record in tracking.spool.list_newest(MAX_LOCAL_RUNS)
    )
    return _paginate(sorted(items, key=_make_cursor), run_filter, limit, _parse_cursor(token))


def matches(item: RunListItem, run_filter: RunFilter) -> bool:
    """Tell whether a run passes the filter."""
    record = item.record
    return (
        run_filter.task in ("", record.experiment)
        and run_filter.status in ("", item.status)
        and record.started_ms >= run_filter.since_ms
        and (not run_filter.until_ms or record.started_ms < run_filter.until_ms)
        and _contains(record.tags.get("model_name", ""), run_filter.model)
        and _contains(record.tags.get("user", ""), run_filter.user)
        and run_filter.owner in (None, record.tags.get("user", ""))
        and _digest_matches(record, run_filter.data)
        and _has_text(record, run_filter)
        and (not run_filter.labels or record.experiment in run_filter.labels)
        and has_words(run_filter.words, _list_texts(record, run_filter))
    )


def has_words(words: Iterable[str], texts: Iterable[str]) -> bool:
    """Tell whether each of the `words` is part of one of the texts, in upper or lower case.

    Example:
        >>> texts = ("sample_gas.csv", "anna")
        >>> has_words(["gas", "ANNA"], texts), has_words(["gas", "bob"], texts)
        (True, False)
    """
    joined = "\n".join(texts).casefold()
    return all(word.casefold() in joined for word in words)


def _list_texts(record: Record, run_filter: RunFilter) -> list[str]:
    label = run_filter.labels.get(record.experiment, record.experiment)
    return [record.name, record.tags.get("dataset.files", ""), record.tags.get("user", ""), label]


def _has_text(record: Record, run_filter: RunFilter) -> bool:
    values = "\n".join(map(str, [record.name, record.id, record.tags.get("error", ""), *record.params.values()]))
    return any(_contains(values, text) for text in (run_filter.text, run_filter.stored_text or run_filter.text))


def _contains(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


def _digest_matches(record: Record, data: str) -> bool:
    if DIGEST.fullmatch(data):
        return record.tags.get("dataset.digest", "").startswith(data)
    return _contains(record.tags.get("dataset.files", ""), data)


# ---- pages ----------------------------------------------------------------------------------------------------------


Cursor = tuple[int, str]
"""Position of a run in the list, sorted by start time (newest first), then by id."""


def _make_cursor(item: RunListItem) -> Cursor:
    return -item.record.started_ms, item.record.id


def _parse_cursor(token: str) -> Cursor | None:
    """Convert a token to a position; None for the first page and for an invalid token."""
    started_ms, _, run = token.partition("-")
    return (-int(started_ms), run) if MILLISECONDS.fullmatch(started_ms) and run else None


def _paginate(items: Iterable[RunListItem], run_filter: RunFilter, limit: int, after: Cursor | None) -> RunPage:
    """Return the page of the first matching runs after a position."""
    page: list[RunListItem] = []
    last: Cursor | None = None  # every page advances, even after the time budget
    deadline = time.monotonic() + SEARCH_BUDGET_S
    for number, item in enumerate(items, 1):
        if after is not None and _make_cursor(item) <= after:
            continue
        is_match, is_late = matches(item, run_filter), number % BATCH_SIZE == 0 and time.monotonic() > deadline
        if last is not None and (is_late or (is_match and len(page) == limit)):
            return RunPage(tuple(page), f"{-last[0]}-{last[1]}")
        page += [item] if is_match else []
        last = _make_cursor(item)
    return RunPage(tuple(page))


# ---- MLflow ---------------------------------------------------------------------------------------------------------


def _search_mlflow(client: Any, run_filter: RunFilter, after: Cursor | None, limit: int) -> Iterator[RunListItem]:
    """Yield the runs of MLflow that may match, in the order of the list."""
    names = {
        experiment.experiment_id: experiment.name
        for experiment in client.search_experiments()
        if run_filter.task in ("", experiment.name) and (not run_filter.labels or experiment.name in run_filter.labels)
    }
    page_size = BATCH_SIZE if run_filter.text or len(run_filter.words) > MAX_FILTERED_WORDS else limit + 1
    clauses = tuple(_build_filter(run_filter, after))
    queries = [
        _iter_runs(client, query, names, page_size)
        for query in _plan_queries(client, MlflowQuery(tuple(names), clauses), run_filter, names)
    ]
    for _cursor, equal_runs in groupby(heapq.merge(*queries, key=_make_cursor), key=_make_cursor):
        yield next(equal_runs)


@dataclass(frozen=True)
class MlflowQuery:
    """Ids of experiments, and clauses that all runs in the answer pass."""

    experiments: tuple[str, ...]
    clauses: tuple[str, ...]

    def intersect(self, other: "MlflowQuery") -> "MlflowQuery":
        """Return the query for the runs that both find."""
        shared = tuple(number for number in self.experiments if number in other.experiments)
        return MlflowQuery(shared, (*self.clauses, *other.clauses))


def _plan_queries(
    client: Any, base: MlflowQuery, run_filter: RunFilter, names: Mapping[str, str]
) -> Iterator[MlflowQuery]:
    """Yield the queries that find all runs with the words of a filter; `base` alone without words.

    A filter of MLflow has no OR. So one query is needed for each attribute in which a word may stand. Only attributes
    that have the word in some run count.
    """
    words = sorted(set(run_filter.words), key=len, reverse=True)[:MAX_FILTERED_WORDS]
    for parts in product(*(_list_word_queries(client, base, word, run_filter.labels, names) for word in words)):
        query = base
        for part in parts:
            query = query.intersect(part)
        if query.experiments:
            yield query


def _list_word_queries(
    client: Any, base: MlflowQuery, word: str, labels: Mapping[str, str], names: Mapping[str, str]
) -> list[MlflowQuery]:
    """Return a query for the tasks whose label has a word, and one for each attribute that has it in other tasks."""
    labelled = tuple(
        number for number in base.experiments if has_words([word], [labels.get(names[number], names[number])])
    )
    others = tuple(number for number in base.experiments if number not in labelled)
    queries = [MlflowQuery(others, (f"{name} ILIKE '{_build_pattern(word)}'",)) for name in WORD_ATTRIBUTES]
    return [MlflowQuery(labelled, ()), *(query for query in queries if _has_runs(client, base.intersect(query)))]


def _has_runs(client: Any, query: MlflowQuery) -> bool:
    return bool(query.experiments) and bool(_fetch_runs(client, query, 1))


def _iter_runs(client: Any, query: MlflowQuery, names: Mapping[str, str], page_size: int) -> Iterator[RunListItem]:
    """Yield the runs that a query finds, in the order of the list."""
    token = "" if query.experiments else None
    while token is not None:
        runs = _fetch_runs(client, query, page_size, token)
        yield from (RunListItem(to_record(run, names[run.info.experiment_id]), _get_status(run)) for run in runs)
        token = runs.token or None


def _fetch_runs(client: Any, query: MlflowQuery, limit: int, token: str = "") -> Any:
    return client.search_runs(
        list(query.experiments),
        " and ".join(query.clauses),
        max_results=limit,
        page_token=token or None,
        order_by=["attributes.start_time DESC", "attributes.run_id ASC"],
    )


def _build_filter(run_filter: RunFilter, after: Cursor | None) -> Iterator[str]:
    """Yield the clauses of an MLflow filter that every matching run passes."""
    if run_filter.status:
        yield f"attributes.status = '{MLFLOW_STATES.get(run_filter.status, 'NONE')}'"
    if run_filter.since_ms:
        yield f"attributes.start_time >= {int(run_filter.since_ms)}"
    if run_filter.until_ms:
        yield f"attributes.start_time < {int(run_filter.until_ms)}"
    if after is not None:
        yield f"attributes.start_time <= {-after[0]}"
    data = "dataset.digest" if DIGEST.fullmatch(run_filter.data) else "dataset.files"
    users = (("user", run_filter.user), ("user", run_filter.owner or ""))
    for tag, part in (("model_name", run_filter.model), *users, (data, run_filter.data)):
        pattern = _build_pattern(part)
        if pattern.strip("%"):
            yield f"tags.`{tag}` ILIKE '{pattern}'"


def _build_pattern(text: str) -> str:
    """Return the pattern of an MLflow filter that every value with this text in it fits."""
    return f"%{NON_PLAIN.sub('%', text[:MAX_PATTERN_LENGTH])}%"


def _get_status(run: Any) -> str:
    """Return the status recorded by Vigie, or that of MLflow for runs of other programs."""
    if run.info.status == MLFLOW_STATES[RUNNING]:
        return RUNNING
    status_by_mlflow = {mlflow_status: status for status, mlflow_status in MLFLOW_STATUS.items()}
    return str(run.data.tags.get("vigie.status") or status_by_mlflow.get(run.info.status, "interrupted"))
