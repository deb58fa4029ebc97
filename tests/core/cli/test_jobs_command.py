"""The command `jobs`: places in the queue, running jobs, no worker."""

from pathlib import Path

from core.actor import Actor
from core.queries import get_queues
from core.storage.jobs import JobStore
from tests.conftest import Command
from tests.support.commands import read_json_output


def test_jobs_command_lists_places(vigie: Command, tmp_path: Path) -> None:
    store = JobStore(tmp_path / "data" / "jobs")
    for user, number in (("alice", 1), ("alice", 2), ("bob", 3)):
        store.submit("anomalies", {"number": number}, Actor(user, "tests"))
    claimed = store.claim("worker", queues=get_queues())
    assert claimed is not None
    store.heartbeat(claimed, share=0.5)
    answer = read_json_output(vigie("jobs", "--json"))
    assert answer["workers"] == 0
    places = [(job["user"], job["status"], job["place"], job["jobs_of_others_before"]) for job in answer["jobs"]]
    assert places == [("alice", "running", None, None), ("bob", "waiting", 1, 0), ("alice", "waiting", 2, 1)]
    assert answer["jobs"][0]["key"] == claimed.key
    process = vigie("jobs")
    assert process.returncode == 0
    lines = process.stdout.splitlines()
    assert [words in line for words, line in zip(("50% done", "place 1", "place 2"), lines, strict=True)] == [True] * 3
    assert "No worker process runs" in process.stderr
    for job in store.list_waiting():
        store.cancel(job.key)
    store.finish(claimed, "cancelled")
    store.close()
    assert vigie("jobs").stdout == "no job runs or waits\n"
