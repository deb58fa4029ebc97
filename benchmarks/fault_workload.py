"""Two users of the benchmark of faults: `python -m benchmarks.fault_workload JOURNAL FIRST LAST`.

Each action is a run with a file, its event, and a feedback record, in the workspace of the environment variables. The
journal has one line for the start of an action and one for its end, with the seconds it waited in addition to its own
computation. Without arguments, the process only delivers pending records.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.outbox import start_delivery_threads
from core.runs.tracked_run import track_run
from core.storage.feedback import Feedback
from core.workspace import get_workspace
from mlflow_utils import emissions

TASK = "faults"
COMPUTATION_S = 0.6  # seconds
DELIVERY_INTERVAL_S = 1.0  # seconds
USERS = ("alice", "bob")
_journal_lock = threading.Lock()


def main(journal: Path, first: int, last: int) -> None:
    """Run the actions `first` to `last` - 1, as two users in parallel."""
    dataset = load_sample("gas_daily")
    get_workspace().tracking.preload()
    emissions.preload(get_workspace().settings.country_iso_code)
    with ThreadPoolExecutor(len(USERS)) as executor:
        for _ in executor.map(lambda number: _run_action(number, dataset, journal), range(first, last)):
            pass


def _run_action(number: int, dataset: Dataset, journal: Path) -> None:
    workspace, actor = get_workspace(), Actor(USERS[number % len(USERS)], "benchmark of faults")
    _write_journal(journal, number=number, state="began")
    began = time.perf_counter()
    with track_run(TASK, "Nothing", {"number": number}, dataset, actor, workspace) as run:
        computing = time.perf_counter()
        time.sleep(COMPUTATION_S)
        run.metrics["number"] = number
        (run.folder / "note.txt").write_text(str(number), encoding="utf-8")
        computed = time.perf_counter() - computing
    recorded = time.perf_counter()
    workspace.feedback.add_record(
        Feedback(user=actor.user, page="faults", run_id=run.id, verdict="unsure", comment=str(number))
    )
    ended = time.perf_counter()
    _write_journal(
        journal, number=number, state="ended", of_run=recorded - began - computed, of_feedback=ended - recorded
    )


def _write_journal(journal: Path, **entry: object) -> None:
    with _journal_lock, journal.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    start_delivery_threads(get_workspace(), DELIVERY_INTERVAL_S, threading.Event())
    if sys.argv[1:]:
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    else:
        threading.Event().wait()
