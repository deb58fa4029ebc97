"""Jobs, with real worker processes: progress, cancel, double clicks, workers that die, messages of strangers,
errors.
"""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, NotFoundError, ServiceUnavailableError, UnknownLayoutError, VigieError
from core.jobs.job import ATTEMPTS, SILENT, Job, JobFailedError, described, restored
from core.jobs.worker import POINTS, Worker, _thinned
from core.runs.stored_runs import load_run
from core.settings import Settings
from core.storage.queue import Queue
from core.tasks.clusters.run import clusterers, question_of
from core.workspace import Workspace
from tests.conftest import ROOT, free_port, working
from tests.counting import VERBS, steps

BOB, ALICE = Actor("bob", "tests"), Actor("alice", "tests")
PATIENCE = 60.0  # seconds


def until(true: Callable[[], Any], patience: float = PATIENCE) -> Any:
    limit = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.02)
    return found


def found(job: Job, at: Workspace) -> Job:
    known = jobs.find(job.key, at)
    assert known is not None
    return known


def over(job: Job, at: Workspace, patience: float = PATIENCE) -> Job:
    until(lambda: found(job, at).over, patience)
    return found(job, at)


def environment(at: Workspace) -> dict[str, str]:
    place = {"VIGIE_DATA_DIR": str(at.datasets.folder.parent), "MLFLOW_TRACKING_URI": "", "OMP_NUM_THREADS": "1"}
    return os.environ | place | {"JOBS_URL": jobs.settings().jobs_url.get_secret_value()}


@contextmanager
def process(at: Workspace, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m …` on the data folder of `at`."""
    started = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment(at))
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def counting(at: Workspace, length: int = 20, actor: Actor = BOB) -> tuple[Job, Path]:
    """A job of so many steps, and the file that it writes them into."""
    log = at.datasets.folder.parent / f"{actor.user}.log"
    return jobs.submit("count", {"until": length, "log": str(log)}, workspace=at, actor=actor), log


def queue_file(at: Workspace) -> Any:
    """Huey's storage, as a stranger would reach it."""
    jobs.queue_of(at).messages()
    return jobs.queue_of(at)._huey.storage


# ---- a job from end to end ------------------------------------------------------------------------------------------


def test_a_real_analysis_is_done_by_the_worker_of_the_command_line(place: Workspace, sample: Dataset) -> None:
    question = question_of(place.datasets.save(sample), clusterers()["kmeans"](n_clusters=4))
    job = jobs.submit("clusters", question, workspace=place, actor=Actor("bob", "Vigie page clusters"))
    assert (job.status, job.over) == ("waiting", False)
    with process(place, "core", "worker") as worker:
        done = over(job, place)
        assert (done.status, done.share) == ("completed", 1.0), done.error
        [living] = jobs.workers(place)
        assert (living.pid, living.beside) == (worker.pid, False)
        worker.terminate()
        assert worker.wait(10) == 0
    assert jobs.workers(place) == []
    record = load_run(done.run_id, place).record
    assert (record.status, record.tags["user"], record.tags["mlflow.source.name"]) == (
        "completed",
        "bob",
        "Vigie page clusters",
    )
    assert not (jobs.folder(place) / job.key).exists()
    [event] = place.events.read()
    assert (event.run_id, event.status) == (done.run_id, "completed")


def test_progress_and_curves_are_seen_meanwhile(place: Workspace) -> None:
    job, log = counting(place, 60)
    with process(place, "tests.counting"):
        seen = until(lambda: (each := found(job, place)) and 0.2 < each.share < 1 and each)
        assert (seen.status, seen.doing) == ("running", "counting")
        assert len(seen.curves["loss"]) > 3
        assert [value for step, value in seen.curves["loss"]] == [1 / step for step, value in seen.curves["loss"]]
        assert (jobs.folder(place) / job.key / "step").exists()
        later = until(lambda: (each := found(job, place)).share > seen.share and each)
        assert later.heartbeat > seen.heartbeat
        done = over(job, place)
    assert (done.status, done.run_id, done.curves) == ("completed", "run-of-bob", {})
    assert [step for _, step in steps(log)] == list(range(1, 61))


def test_two_users_with_the_same_question_are_two_jobs(place: Workspace) -> None:
    (one, _), (other, _) = counting(place, 3), counting(place, 3, ALICE)
    with working(place, VERBS.__getitem__):
        assert [over(each, place).run_id for each in (one, other)] == ["run-of-bob", "run-of-alice"]


def test_a_worker_that_looks_once_does_what_waits_and_ends(place: Workspace) -> None:
    waiting = [jobs.submit("clusters", question_of(digest * 64), workspace=place, actor=BOB) for digest in "01"]
    with process(place, "core", "worker", "--once") as worker:
        assert worker.wait(PATIENCE) == 0
    for job in waiting:
        with pytest.raises(NotFoundError, match="is not stored here"):
            found(job, place).raise_error()


# ---- double clicks --------------------------------------------------------------------------------------------------


def test_a_double_click_is_one_job(place: Workspace) -> None:
    clicks: list[Job] = []
    threads = [threading.Thread(target=lambda: clicks.append(counting(place, 5)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(click.key, click.submitted) for click in clicks}) == 1
    with working(place, VERBS.__getitem__):
        done = over(clicks[0], place)
        again, log = counting(place, 5)
    assert again == done, "the second click may come just after the end"
    assert [step for _, step in steps(log)] == [1, 2, 3, 4, 5]


def test_the_same_question_later_is_answered_anew(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DOUBLE_CLICK", 0.0)
    with working(place, VERBS.__getitem__):
        first = over(counting(place, 2)[0], place)
        again, log = counting(place, 2)
        assert (again.key, again.status) == (first.key, "waiting")
        assert over(again, place).status == "completed"
    assert [step for _, step in steps(log)] == [1, 2, 1, 2]


def test_many_messages_and_many_workers_do_a_job_once(place: Workspace) -> None:
    job, log = counting(place, 20)
    for _ in range(5):
        jobs.queue_of(place).push(job.key, job.ticket)
    with process(place, "tests.counting"), process(place, "tests.counting"), working(place, VERBS.__getitem__):
        over(job, place)
        until(lambda: not jobs.queue_of(place).messages())
        time.sleep(1)
    assert [step for _, step in steps(log)] == list(range(1, 21))
    assert len({pid for pid, _ in steps(log)}) == 1


def test_one_worker_alone_gets_an_offer(place: Workspace) -> None:
    """Workers of other machines, which see no lock of this one."""
    job, _ = counting(place)
    several = [Worker(place, threading.Event()) for _ in range(8)]
    taken: list[Job | None] = []
    threads = [
        threading.Thread(target=lambda each=each: taken.append(each._taken(job.key, job.ticket))) for each in several
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each for each in taken if each is not None] == [job]
    assert several[0]._taken(job.key, "1-1") is None, "an offer of before"


# ---- cancel ---------------------------------------------------------------------------------------------------------


def test_a_job_that_is_cancelled_stops_and_can_be_begun_again(place: Workspace) -> None:
    job, log = counting(place, 1000)
    with process(place, "tests.counting"):
        until(lambda: found(job, place).share > 0)
        jobs.cancel(job.key, place)
        assert found(job, place).stopping
        assert over(job, place, 5).status == "cancelled"
        assert not (jobs.folder(place) / job.key).exists()
        again, _ = counting(place, 1000)
        until(lambda: found(again, place).share > 0)
        assert not found(again, place).stopping
        jobs.cancel(job.key, place)
        over(again, place, 5)
    assert [step for _, step in steps(log)].count(1) == 2


def test_a_job_that_waits_is_cancelled_at_once(place: Workspace) -> None:
    job, log = counting(place)
    jobs.cancel(job.key, place)
    assert found(job, place).status == "cancelled"
    with working(place, VERBS.__getitem__):
        until(lambda: not jobs.queue_of(place).messages())
        time.sleep(0.5)
    assert not steps(log)
    assert found(job, place).status == "cancelled"


# ---- workers that end -----------------------------------------------------------------------------------------------


def test_a_job_whose_worker_was_killed_goes_on_from_its_checkpoint(place: Workspace) -> None:
    job, log = counting(place, 60)
    with process(place, "tests.counting") as first:
        until(lambda: found(job, place).share > 0.3)
        first.send_signal(signal.SIGKILL)
        first.wait()
    taken = len(steps(log))
    assert found(job, place).status == "running", "nobody has noticed yet"
    with process(place, "tests.counting"):
        done = over(job, place, SILENT + PATIENCE)
    assert (done.status, done.attempt) == ("completed", 2)
    assert taken > 15
    pids, numbers = zip(*steps(log), strict=True)
    assert len(set(pids)) == 2
    assert set(numbers) == set(range(1, 61))
    assert len(numbers) <= 61, "only the step that was cut off may come twice"


def test_a_job_that_kills_its_workers_fails_in_the_end(place: Workspace) -> None:
    job, _ = counting(place)
    queue = jobs.queue_of(place)
    queue.pop()
    dying = replace(job.begun(), attempt=ATTEMPTS, heartbeat=time.time() - SILENT - 1)
    queue.write(dying.record, dying.to_json())
    assert jobs.tend(place) == 0
    failed = found(job, place)
    assert failed.status == "failed"
    with pytest.raises(VigieError, match="was begun 3 times"):
        failed.raise_error()


def test_a_silent_job_that_was_to_be_cancelled_is(place: Workspace) -> None:
    job, _ = counting(place)
    queue = jobs.queue_of(place)
    queue.pop()
    silent = replace(job.begun(), heartbeat=time.time() - SILENT - 1)
    queue.write(silent.record, silent.to_json())
    jobs.cancel(job.key, place)
    assert jobs.tend(place) == 0
    assert found(job, place).status == "cancelled"


def test_a_worker_that_lives_keeps_its_job_however_long_it_is_silent(place: Workspace) -> None:
    job, _ = counting(place)
    queue = jobs.queue_of(place)
    queue.pop()
    silent = replace(job.begun(), heartbeat=time.time() - 10 * SILENT)
    queue.write(silent.record, silent.to_json())
    code = (
        "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
        "print('held', flush=True); time.sleep(60)"
    )
    lock = str(jobs.folder(place) / f"{job.key}.lock")
    holder = subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        offered = jobs.tend(place)
        holder.kill()
    assert offered == 0
    assert jobs.tend(place) == 1
    assert found(job, place).attempt == 2


def test_a_job_whose_message_was_lost_is_offered_again(place: Workspace) -> None:
    job, log = counting(place, 3)
    queue = jobs.queue_of(place)
    queue.pop()
    assert queue.claim(job.claim, {})  # and its worker died before it wrote that it had begun
    lost = replace(job, heartbeat=time.time() - SILENT - 1)
    queue.write(lost.record, lost.to_json())
    with working(place, VERBS.__getitem__):
        done = over(job, place)
    assert (done.status, done.attempt, done.offered) == ("completed", 1, 2)
    assert len(steps(log)) == 3


def test_a_worker_that_is_told_to_end_puts_its_job_back(place: Workspace) -> None:
    job, log = counting(place, 60)
    with process(place, "tests.counting") as first:
        until(lambda: found(job, place).share > 0.2)
        first.terminate()
        assert first.wait(10) == 0
    back = found(job, place)
    assert (back.status, back.attempt) == ("waiting", 1)
    assert jobs.queue_of(place).messages() == [(back.key, back.ticket)]
    with process(place, "tests.counting"):
        assert over(job, place).status == "completed"
    assert [step for _, step in steps(log)] == list(range(1, 61))


def test_a_job_that_does_not_stop_is_put_back_all_the_same(place: Workspace) -> None:
    job = jobs.submit("deaf", {}, workspace=place, actor=BOB)
    with process(place, "tests.counting") as worker:
        until(lambda: found(job, place).status == "running")
        worker.terminate()
        assert worker.wait(15) == 1
    assert found(job, place).status == "waiting"


def test_what_ended_long_ago_is_forgotten(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.submit("refused", {}, workspace=place, actor=BOB)
    with working(place, VERBS.__getitem__):
        over(job, place)
    assert (jobs.folder(place) / job.key).is_dir(), "who mends the cause goes on from there"
    monkeypatch.setattr(jobs, "KEPT", 0.0)
    jobs.tend(place)
    assert jobs.find(job.key, place) is None
    assert not list(jobs.folder(place).glob(f"{job.key}*"))


# ---- the worker of an app -------------------------------------------------------------------------------------------

SERVER = """
import asyncio, signal
from core.lifespan import lifespan

async def serve():
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with lifespan(None):
        await over.wait()

asyncio.run(serve())
"""


@contextmanager
def server(at: Workspace) -> Iterator["subprocess.Popen[bytes]"]:
    started = subprocess.Popen([sys.executable, "-c", SERVER], cwd=ROOT, env=environment(at))
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def beside(at: Workspace) -> list[int]:
    return [worker.pid for worker in jobs.workers(at) if worker.beside]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_an_app_keeps_a_worker_and_takes_it_along(place: Workspace) -> None:
    with server(place) as app:
        [first] = until(lambda: beside(place))
        assert os.getpriority(os.PRIO_PROCESS, first) == 5
        os.kill(first, signal.SIGKILL)
        second = until(lambda: [pid for pid in beside(place) if pid != first])[0]
        app.terminate()
        app.wait(15)
        assert not alive(second)


def test_a_worker_ends_when_its_app_was_killed(place: Workspace) -> None:
    with server(place) as app:
        [pid] = until(lambda: beside(place))
        app.kill()
        app.wait()
        until(lambda: not alive(pid), 10)


def test_an_app_gives_way_to_a_worker_of_its_own_service(place: Workspace) -> None:
    with server(place):
        [pid] = until(lambda: beside(place))
        with process(place, "tests.counting"):
            until(lambda: not alive(pid), 30)
            assert beside(place) == []


def test_several_workers_at_a_time(place: Workspace) -> None:
    with process(place, "core", "worker", "--workers", "2") as parent:
        two = until(lambda: len(jobs.workers(place)) == 2 and jobs.workers(place))
        parent.terminate()
        assert parent.wait(15) == 0
    assert not [worker for worker in two if alive(worker.pid)]


# ---- strangers ------------------------------------------------------------------------------------------------------


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def messages_of_strangers(mark: Path) -> list[bytes]:
    task = "core.storage.queue.job"
    return [
        pickle.dumps(Evil(mark)),
        b"",
        b"\xff\x00",
        b"[]",
        b"null",
        b'"job"',
        b"[" * 100_000,
        json.dumps({"id": "1", "name": "os.system", "args": [f"mkdir {mark}"]}).encode(),
        json.dumps({"id": "1", "name": task, "args": 5}).encode(),
        json.dumps({"id": "1", "name": task, "args": ["../../../etc", "x"]}).encode(),
        json.dumps({"id": "1", "name": task, "args": ["one"]}).encode(),
    ]


def test_messages_of_strangers_do_no_harm(place: Workspace, tmp_path: Path) -> None:
    mark = tmp_path / "harm"
    for message in messages_of_strangers(mark):
        queue_file(place).enqueue(message)
    queue_file(place).put_data("job/evil", pickle.dumps(Evil(mark)))
    queue_file(place).put_data("job/odd", b'{"key": "odd"}')
    queue_file(place).put_data("job/deep", b"[" * 100_000)
    queue_file(place).put_data("worker/odd", b'{"name": "odd", "heartbeat": "now"}')
    outside = {"key": "../..", "verb": "x", "arguments": {}, "user": "", "application": "", "submitted": 0, "ended": 1}
    queue_file(place).put_data("job/../..", json.dumps(outside).encode())
    assert jobs.tend(place) == 0
    assert jobs.workers(place) == []
    job, log = counting(place, 3)
    with working(place, VERBS.__getitem__):
        assert over(job, place).status == "completed"
    assert not mark.exists()
    assert tmp_path.is_dir(), "a folder named by a stranger is not forgotten"
    assert len(steps(log)) == 3
    assert (jobs.find("evil", place), jobs.find("odd", place)) == (None, None)


@pytest.mark.parametrize("verb", ["os", "..stores.queue", "selection", "", "clusters.cluster"])
def test_only_analyses_are_done(place: Workspace, verb: str) -> None:
    job = jobs.submit(verb, {"dataset": "x"}, workspace=place, actor=BOB)
    with working(place):
        failed = over(job, place)
    assert failed.status == "failed"
    with pytest.raises(JobFailedError):
        failed.raise_error()


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_an_error_comes_back_as_the_same_sentence(place: Workspace) -> None:
    job = jobs.submit("refused", {}, workspace=place, actor=BOB)
    with working(place, VERBS.__getitem__):
        failed = over(job, place)
    with pytest.raises(DataError, match=r"^a\.csv has no dates\.$") as raised:
        failed.raise_error()
    assert (raised.value.text.template, raised.value.text.values) == ("{file} has no dates.", {"file": "a.csv"})


def test_an_unexpected_error_is_a_number_in_the_log(place: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    job = jobs.submit("broken", {}, workspace=place, actor=BOB)
    with working(place, VERBS.__getitem__):
        failed = over(job, place)
    assert failed.error is not None
    assert failed.error["number"] in caplog.text
    assert "a secret of the machine" in caplog.text
    with pytest.raises(JobFailedError, match=failed.error["number"]) as raised:
        failed.raise_error()
    assert "secret" not in str(raised.value)


def test_values_of_an_error_survive_the_way() -> None:
    values = {
        "count": np.int64(3),
        "share": 0.25,
        "day": date(2024, 2, 29),
        "moment": datetime(2024, 2, 29, 13, 5),
        "name": "é",
        "reason": ValueError("x"),
        "flag": True,
    }
    error = UnknownLayoutError("{count} {share} {day} {moment} {name} {reason} {flag}", **values)
    again = restored(json.loads(json.dumps(described(error, ""))))
    assert isinstance(again, UnknownLayoutError)
    assert str(again) == str(error)
    assert again.text.values["moment"] == values["moment"]
    assert isinstance(again.text.values["count"], int)


@pytest.mark.parametrize("kind", ["Exception", "Text", "N_", "os", "NoSuchError"])
def test_no_other_class_is_made_from_a_note(kind: str) -> None:
    assert type(restored({"kind": kind, "template": "x", "values": {}})) is VigieError


def test_curves_are_thinned_to_their_end() -> None:
    points = [(float(step), 0.0) for step in range(10_000)]
    assert len(_thinned(points)) <= POINTS
    assert _thinned(points)[-1] == points[-1]
    assert _thinned(points[:5]) == points[:5]
    assert _thinned([]) == []


# ---- other queues ---------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file")
    queue = Queue(tmp_path / "jobs")
    for _ in range(3):
        with pytest.raises(ServiceUnavailableError, match="does not answer"):
            queue.push("a", "b")


def test_a_damaged_file_is_said(place: Workspace) -> None:
    jobs.folder(place).mkdir()
    (jobs.folder(place) / "jobs.db").write_bytes(b"no database " * 1000)
    with pytest.raises(ServiceUnavailableError):
        counting(place)


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:1/0", "redis://:hunter2@192.0.2.1:6379/0", "nonsense"])
def test_a_dead_redis_costs_less_than_two_seconds(url: str, tmp_path: Path) -> None:
    queue = Queue(tmp_path, url)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(ServiceUnavailableError) as raised:
            queue.read("job/a")
        assert "hunter2" not in str(raised.value)
    assert time.monotonic() - began < 1.5


def test_a_locked_file_costs_less_than_two_seconds(place: Workspace) -> None:
    import sqlite3

    job, _ = counting(place)
    holder = sqlite3.connect(jobs.folder(place) / "jobs.db", isolation_level=None)
    holder.execute("begin exclusive")
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError):
        jobs.cancel(job.key, place)
    with pytest.raises(ServiceUnavailableError):
        jobs.find(job.key, place)
    assert time.monotonic() - began < 1.9
    holder.execute("rollback")
    holder.close()


@pytest.fixture
def redis_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Redis server of the test's own, and the setting that names it."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine; apt-get install redis-server brings it")
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    url = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setattr(jobs, "settings", lambda: Settings(jobs_url=SecretStr(url)))
    until(lambda: _answers(url))
    yield url
    server.kill()
    server.wait()


def _answers(url: str) -> bool:
    try:
        return Queue(Path(), url).messages() == []
    except ServiceUnavailableError:
        return False


def test_redis_is_a_queue_as_well(redis_url: str, place: Workspace, tmp_path: Path) -> None:
    """A double click, strangers, a worker that is killed, cancel."""
    for message in messages_of_strangers(tmp_path / "harm"):
        queue_file(place).enqueue(message)
    job, log = counting(place, 60)
    assert counting(place, 60)[0] == job
    with process(place, "tests.counting") as first:
        until(lambda: found(job, place).share > 0.3)
        first.send_signal(signal.SIGKILL)
        first.wait()
    with process(place, "tests.counting"):
        done = over(job, place, SILENT + PATIENCE)
        assert (done.status, done.attempt) == ("completed", 2)
        other, _ = counting(place, 1000, ALICE)
        until(lambda: found(other, place).share > 0)
        jobs.cancel(other.key, place)
        assert over(other, place, 5).status == "cancelled"
    assert set(dict.fromkeys(step for _, step in steps(log))) == set(range(1, 61))
    assert not (jobs.folder(place) / "jobs.db").exists()
    assert not (tmp_path / "harm").exists()
