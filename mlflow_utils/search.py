"""Runs looked for: those that MLflow has, and those of this machine that it has not, newest first and page by page.

What a person types is never pasted into MLflow's filter: of a text only letters, digits and blanks go there, everything
else as the wildcard %, so that MLflow answers at least the runs that are meant; which of them are is decided here.
"""

import heapq
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlflow_utils.run_record import Record
from mlflow_utils.runs import to_record
from mlflow_utils.tracking import STATUS, Tracking

BATCH_SIZE = 200  # runs that MLflow is asked for at a time
MAX_LOCAL_RUNS = 5000  # of this machine, where MLflow does not answer
SEARCH_BUDGET_S = 0.6  # then nothing more is asked for: a search answers with what it has, and where to go on
NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .:/-]+")
DIGEST = re.compile(r"[0-9a-f]{8,64}")
MILLISECONDS = re.compile(r"[0-9]{1,15}")
MAX_PATTERN_LENGTH = 200  # characters of a text that MLflow is asked for
RUNNING = "running"
STATES = {**STATUS, RUNNING: "RUNNING"}


@dataclass(frozen=True)
class RunFilter:
    """Which runs are looked for; what is empty does not count. Letters may be small or capital.

    task               the experiment
    model, user        part of the model's or of the user's name
    data               how the digest of the dataset begins (8 digits at least), or part of a file's name
    status             completed, failed, interrupted or running
    since_ms, until_ms  when it began: from, and before
    text               part of its name, id, error, or of a parameter's value
    """

    task: str = ""
    model: str = ""
    user: str = ""
    data: str = ""
    status: str = ""
    since_ms: int = 0
    until_ms: int = 0
    text: str = ""


ALL_RUNS = RunFilter()


@dataclass(frozen=True)
class RunListItem:
    """A run in a list: `waits` where MLflow has not got all of it; its status may also be "running"."""

    record: Record
    status: str
    waits: bool = False


@dataclass(frozen=True)
class RunPage:
    """Runs, newest first; `token` says where to go on, "" at the end."""

    runs: tuple[RunListItem, ...]
    token: str = ""


def search(tracking: Tracking, wanted: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> RunPage:
    """Find at most `limit` runs of MLflow and of those that wait here, from where `token` of the page before says.

    A search that matches few of many runs answers within about a second with what it has. Raises what MLflow raises.
    """
    pending = [RunListItem(record, record.status, waits=True) for record in tracking.spool.pending()]
    keys = {item.record.key for item in pending}
    after = _parse_cursor(token)
    delivered = (
        item for item in _search_mlflow(tracking.client(), wanted, after, limit) if item.record.key not in keys
    )
    return _paginate(heapq.merge(sorted(pending, key=_sort_key), delivered, key=_sort_key), wanted, limit, after)


def search_local(tracking: Tracking, wanted: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> RunPage:
    """As `search`, but only the runs that began on this machine, without MLflow."""
    pending = {record.key for record in tracking.spool.pending()}
    items = (
        RunListItem(record, record.status, record.key in pending) for record in tracking.spool.newest(MAX_LOCAL_RUNS)
    )
    return _paginate(sorted(items, key=_sort_key), wanted, limit, _parse_cursor(token))


def matches(item: RunListItem, wanted: RunFilter) -> bool:
    """Is it a run that is looked for?"""
    record = item.record
    return (
        wanted.task in ("", record.experiment)
        and wanted.status in ("", item.status)
        and record.started_ms >= wanted.since_ms
        and (not wanted.until_ms or record.started_ms < wanted.until_ms)
        and _contains(record.tags.get("model_name", ""), wanted.model)
        and _contains(record.tags.get("user", ""), wanted.user)
        and _digest_matches(record, wanted.data)
        and _contains(
            "\n".join(map(str, [record.name, record.id, record.tags.get("error", ""), *record.params.values()])),
            wanted.text,
        )
    )


def _contains(whole: str, part: str) -> bool:
    return part.casefold() in whole.casefold()


def _digest_matches(record: Record, data: str) -> bool:
    if DIGEST.fullmatch(data):
        return record.tags.get("dataset.digest", "").startswith(data)
    return _contains(record.tags.get("dataset.files", ""), data)


# ---- pages ----------------------------------------------------------------------------------------------------------


Cursor = tuple[int, str]
"""Where a run stands in the list: the newest first, then by id."""


def _sort_key(item: RunListItem) -> Cursor:
    return -item.record.started_ms, item.record.id


def _parse_cursor(token: str) -> Cursor | None:
    """Read the position that a token names; None for the beginning, and for what is no token."""
    began, _, run = token.partition("-")
    return (-int(began), run) if MILLISECONDS.fullmatch(began) and run else None


def _paginate(items: Iterable[RunListItem], wanted: RunFilter, limit: int, after: Cursor | None) -> RunPage:
    """Take the first wanted runs after a position."""
    page: list[RunListItem] = []
    last: Cursor | None = None  # every page comes further than the one before, however slow it is
    deadline = time.monotonic() + SEARCH_BUDGET_S
    for number, item in enumerate(items, 1):
        if after is not None and _sort_key(item) <= after:
            continue
        fits, late = matches(item, wanted), number % BATCH_SIZE == 0 and time.monotonic() > deadline
        if last is not None and (late or (fits and len(page) == limit)):
            return RunPage(tuple(page), f"{-last[0]}-{last[1]}")
        page += [item] if fits else []
        last = _sort_key(item)
    return RunPage(tuple(page))


# ---- MLflow ---------------------------------------------------------------------------------------------------------


def _search_mlflow(client: Any, wanted: RunFilter, after: Cursor | None, limit: int) -> Iterator[RunListItem]:
    """Iterate over the runs of MLflow that may be wanted, in the order of the list."""
    names = {experiment.experiment_id: experiment.name for experiment in client.search_experiments()}
    experiments = [number for number, name in names.items() if wanted.task in ("", name)]
    token = "" if experiments else None
    while token is not None:
        runs = client.search_runs(
            experiments,
            " and ".join(_build_filter(wanted, after)),
            max_results=BATCH_SIZE if wanted.text else limit + 1,
            page_token=token or None,
            order_by=["attributes.start_time DESC", "attributes.run_id ASC"],
        )
        yield from (RunListItem(to_record(run, names[run.info.experiment_id]), _status(run)) for run in runs)
        token = runs.token or None


def _build_filter(wanted: RunFilter, after: Cursor | None) -> Iterator[str]:
    """Make the clauses of a filter that every wanted run passes."""
    if wanted.status:
        yield f"attributes.status = '{STATES.get(wanted.status, 'NONE')}'"
    if wanted.since_ms:
        yield f"attributes.start_time >= {int(wanted.since_ms)}"
    if wanted.until_ms:
        yield f"attributes.start_time < {int(wanted.until_ms)}"
    if after is not None:
        yield f"attributes.start_time <= {-after[0]}"
    data = "dataset.digest" if DIGEST.fullmatch(wanted.data) else "dataset.files"
    for tag, part in (("model_name", wanted.model), ("user", wanted.user), (data, wanted.data)):
        pattern = f"%{NOT_PLAIN.sub('%', part[:MAX_PATTERN_LENGTH])}%"
        if pattern.strip("%"):
            yield f"tags.`{tag}` ILIKE '{pattern}'"


def _status(run: Any) -> str:
    """How Vigie says it ended; runs of other programs as MLflow says it."""
    if run.info.status == STATES[RUNNING]:
        return RUNNING
    ended = {theirs: ours for ours, theirs in STATUS.items()}
    return str(run.data.tags.get("vigie.status") or ended.get(run.info.status, "interrupted"))
