"""Events of runs: stored with the run in the spool first, then written to the event log, each exactly once."""

import logging
import sqlite3

from filelock import FileLock, Timeout

from core.storage.events.log import EventLog
from mlflow_utils.spool import Spool

LOCK_TIMEOUT_S = 5.0
logger = logging.getLogger(__name__)


def write_run_events(spool: Spool, log: EventLog) -> None:
    """Write the events of ended runs that the log lacks, those of killed processes too (as `interrupted`).

    A process may have been killed after it wrote an event and before the spool knew, so the log is searched first. What
    cannot be written now is written by the next call; a failure is a warning.
    """
    try:
        log.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(log.folder / ".runs.lock", timeout=LOCK_TIMEOUT_S):
            spool.close_dead_runs()
            for key, line in spool.list_unwritten_events():
                if not log.has_line(line):
                    log.add_line(line)
                spool.confirm_event(key)
    except (OSError, sqlite3.Error, Timeout) as error:
        logger.warning("events of runs wait: %s", error)
