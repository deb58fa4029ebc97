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
from mlflow_utils.runs import record_of
from mlflow_utils.tracking import STATUS, Tracking

SCANNED = 200  # runs asked for at a time
REMEMBERED = 5000  # of this machine's runs, where MLflow does not answer
SEARCHING = 0.6  # seconds after which nothing more is asked for: a search answers with what it has, and where to go on
NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .:/-]+")
DIGEST = re.compile(r"[0-9a-f]{8,64}")
MILLISECONDS = re.compile(r"[0-9]{1,15}")
LONGEST = 200  # characters of a text that MLflow is asked for
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
    """At most `limit` runs of MLflow and of those that wait here, from where `token` of the page before says.

    A search that matches few of many runs answers within about a second with what it has. Raises what MLflow raises.
    """
    waiting = [RunListItem(record, record.status, waits=True) for record in tracking.spool.waiting()]
    known = {each.record.key for each in waiting}
    delivered = (
        each for each in _delivered(tracking.client(), wanted, _place(token), limit) if each.record.key not in known
    )
    return _page(heapq.merge(sorted(waiting, key=_order), delivered, key=_order), wanted, limit, _place(token))


def search_local(tracking: Tracking, wanted: RunFilter = ALL_RUNS, limit: int = 50, token: str = "") -> RunPage:
    """As `search`, but only the runs that began on this machine, without asking MLflow."""
    waiting = {record.key for record in tracking.spool.waiting()}
    known = (RunListItem(record, record.status, record.key in waiting) for record in tracking.spool.newest(REMEMBERED))
    return _page(sorted(known, key=_order), wanted, limit, _place(token))


def matches(listed: RunListItem, wanted: RunFilter) -> bool:
    """Is it a run that is looked for?"""
    record = listed.record
    return (
        wanted.task in ("", record.experiment)
        and wanted.status in ("", listed.status)
        and record.started_ms >= wanted.since_ms
        and (not wanted.until_ms or record.started_ms < wanted.until_ms)
        and _within(wanted.model, record.tags.get("model_name", ""))
        and _within(wanted.user, record.tags.get("user", ""))
        and _of_data(record, wanted.data)
        and _within(
            wanted.text,
            "\n".join(map(str, [record.name, record.id, record.tags.get("error", ""), *record.params.values()])),
        )
    )


def _within(part: str, whole: str) -> bool:
    return part.casefold() in whole.casefold()


def _of_data(record: Record, data: str) -> bool:
    if DIGEST.fullmatch(data):
        return record.tags.get("dataset.digest", "").startswith(data)
    return _within(data, record.tags.get("dataset.files", ""))


# ---- pages ----------------------------------------------------------------------------------------------------------


Place = tuple[int, str]
"""Where a run stands in the list: the newest first, then by id."""


def _order(listed: RunListItem) -> Place:
    return -listed.record.started_ms, listed.record.id


def _place(token: str) -> Place | None:
    """The place that a token names; None for the beginning, and for what is no token."""
    began, _, run = token.partition("-")
    return (-int(began), run) if MILLISECONDS.fullmatch(began) and run else None


def _page(listed: Iterable[RunListItem], wanted: RunFilter, limit: int, after: Place | None) -> RunPage:
    """The first runs after a place that are wanted."""
    found: list[RunListItem] = []
    last: Place | None = None  # every page comes further than the one before, however slow it is
    until = time.monotonic() + SEARCHING
    for number, each in enumerate(listed, 1):
        if after is not None and _order(each) <= after:
            continue
        fits, late = matches(each, wanted), number % SCANNED == 0 and time.monotonic() > until
        if last is not None and (late or (fits and len(found) == limit)):
            return RunPage(tuple(found), f"{-last[0]}-{last[1]}")
        found += [each] if fits else []
        last = _order(each)
    return RunPage(tuple(found))


# ---- MLflow ---------------------------------------------------------------------------------------------------------


def _delivered(client: Any, wanted: RunFilter, after: Place | None, limit: int) -> Iterator[RunListItem]:
    """The runs of MLflow that may be wanted, in the order of the list."""
    names = {each.experiment_id: each.name for each in client.search_experiments()}
    asked = [each for each, name in names.items() if wanted.task in ("", name)]
    token = "" if asked else None
    while token is not None:
        runs = client.search_runs(
            asked,
            " and ".join(_clauses(wanted, after)),
            max_results=SCANNED if wanted.text else limit + 1,
            page_token=token or None,
            order_by=["attributes.start_time DESC", "attributes.run_id ASC"],
        )
        yield from (RunListItem(record_of(run, names[run.info.experiment_id]), _status(run)) for run in runs)
        token = runs.token or None


def _clauses(wanted: RunFilter, after: Place | None) -> Iterator[str]:
    """A filter that every wanted run passes."""
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
        pattern = f"%{NOT_PLAIN.sub('%', part[:LONGEST])}%"
        if pattern.strip("%"):
            yield f"tags.`{tag}` ILIKE '{pattern}'"


def _status(run: Any) -> str:
    """How Vigie says it ended; runs of other programs as MLflow says it."""
    if run.info.status == STATES[RUNNING]:
        return RUNNING
    ended = {theirs: ours for ours, theirs in STATUS.items()}
    return str(run.data.tags.get("vigie.status") or ended.get(run.info.status, "interrupted"))
