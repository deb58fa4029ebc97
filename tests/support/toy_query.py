"""A query for tests: it counts slowly and logs every step. Registered by `register_task(COUNTING_TASK)`."""

import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.actor import Actor
from core.errors import DataError
from core.progress import Progress
from core.runs.result import Result
from core.spec.hyperparameters import hyperparameter
from core.spec.query import Query
from core.spec.spec import Spec
from core.spec.task import Task
from core.workspace import Workspace

STEP_S = 0.05
UNLUCKY = 13


@dataclass(frozen=True)
class CountSpec(Spec):
    """Count to `until`, and log every step in the file `log`."""

    until: int = hyperparameter(3, help="The last number.", low=0)
    log: str = hyperparameter("", help="File of the log.")


@dataclass(frozen=True)
class Count(Result):
    """The numbers, and the user who counted them."""

    spec: CountSpec
    numbers: pd.DataFrame
    user: str


def count_numbers(spec: CountSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> Count:
    """Count. Raises DataError where there is nothing to count, and ZeroDivisionError for `UNLUCKY`."""
    if not spec.until:
        raise DataError("{file} has no dates.", file="a.csv")
    if spec.until == UNLUCKY:
        raise ZeroDivisionError("a secret of the machine")
    for step in range(1, spec.until + 1):
        progress.report(step / spec.until, "counting")
        with Path(spec.log).open("a") as log:
            log.write(f"{actor.user} {step}\n")
        time.sleep(STEP_S)
    return Count(spec, pd.DataFrame({"number": range(1, spec.until + 1)}), actor.user)


def read_counted_steps(spec: CountSpec) -> list[str]:
    """Return the user and the number of every step."""
    path = Path(spec.log)
    return path.read_text().splitlines() if path.exists() else []


COUNTING_TASK = Task(
    name="counting",
    label="Counting",
    modes=(),
    result="",
    queries=(
        Query(
            "count_numbers",
            "tests.support.toy_query:CountSpec",
            "tests.support.toy_query:count_numbers",
            "tests.support.toy_query:Count",
        ),
    ),
)
