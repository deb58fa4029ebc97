"""Jobs with real worker processes: progress, cancel, killed and terminated workers, errors, outages."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from core.jobs import Job, JobFailedError
from core.jobs.job_error import MAX_ATTEMPTS, error_from_json, error_to_json
from core.jobs.worker import MAX_CURVE_POINTS, thin_out_points
from core.runs.stored_runs import find_job_run, load_run
from core.runs.tracked_run import JOB_TAG, track_run
from core.spec.codec import encode
from core.tasks.clusters.spec import ClusteringSpec, list_clusterers
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import run_worker
from tests.core.storage.test_job_store import expire_leases
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.concurrency import wait_until
from tests.support.counting_job import read_steps, run_test_job
from tests.support.databases import create_database, wait_for_abandoned_calls
from tests.support.servers import ServerProcess

BOB, ALICE = Actor("bob", "tests"), Actor("alice", "tests")
TIMEOUT_S = 60.0
LEASE_S = "1.5"  # of the workers that a test kills


def load_job(job: Job, workspace: Workspace) -> Job:
    loaded = jobs.find(job.key, workspace)
    assert loaded is not None
    return loaded


def wait_until_finished(job: Job, workspace: Workspace, timeout_s: float = TIMEOUT_S) -> Job:
    finished: Job = wait_until(lambda: (loaded := load_job(job, workspace)).is_finished and loaded, timeout_s)
    return finished


def build_environment(workspace: Workspace) -> dict[str, str]:
    variables = {
        "VIGIE_DATA_DIR": str(workspace.datasets.folder.parent),
        "MLFLOW_TRACKING_URI": "",
        "VIGIE_MLFLOW_ADDRESS": "off",
        "OMP_NUM_THREADS": "1",
        "VIGIE_WORKERS": "1",
    }
    return os.environ | variables | {"DATABASE_URL": workspace.settings.database_url.get_secret_value()}


@contextmanager
def start_process(workspace: Workspace, module: str, *words: str, **settings: str) -> Iterator[ForkedProcess]:
    """Run `python -m MODULE …` on the data folder of `workspace`, and kill it at the end."""
    started = get_command_server().start(module, *words, environment=build_environment(workspace) | settings)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def start_counting(workspace: Workspace, *lease_s: str) -> AbstractContextManager[ForkedProcess]:
    """Run a worker for the test jobs on the data folder of `workspace`, and kill it at the end."""
    return start_process(workspace, "tests.support.counting_job", *lease_s)


def submit(task: str, workspace: Workspace, actor: Actor = BOB, **arguments: Any) -> tuple[Job, Path]:
    """Submit a job for the test task `task`; return the job and the file with its steps."""
    log = workspace.datasets.folder.parent / f"{actor.user}.log"
    return jobs.submit(task, {"log": str(log), **arguments}, workspace=workspace, actor=actor), log


def submit_count(workspace: Workspace, length: int = 20, actor: Actor = BOB) -> tuple[Job, Path]:
    """Submit a job of `length` steps."""
    return submit("count", workspace, actor, until=length)


def get_checkpoint_folder(job: Job, workspace: Workspace) -> Path:
    return workspace.jobs.checkpoint_folder(job)


@pytest.fixture
def on_postgresql(postgres_server: ServerProcess, workspace: Workspace) -> Iterator[Workspace]:
    """Workspace whose jobs are in PostgreSQL."""
    with create_database(postgres_server) as url:
        postgres_workspace = replace(
            workspace, settings=workspace.settings.model_copy(update={"database_url": SecretStr(url)})
        )
        yield postgres_workspace
        wait_for_abandoned_calls()
        postgres_workspace.jobs.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def job_workspace(request: pytest.FixtureRequest) -> Workspace:
    """Workspace whose jobs are in SQLite or in PostgreSQL."""
    return request.getfixturevalue("workspace" if request.param == "sqlite" else "on_postgresql")


# ---- whole jobs -----------------------------------------------------------------------------------------------------


def test_worker_command_runs_analysis(workspace: Workspace, sample: Dataset) -> None:
    arguments = encode(
        ClusteringSpec(list_clusterers()["kmeans"](n_clusters=4), dataset=workspace.datasets.save(sample))
    )
    job = jobs.submit("clusters", arguments, workspace=workspace, actor=Actor("bob", "Vigie page clusters"))
    assert (job.status, job.is_finished) == ("waiting", False)
    with start_process(workspace, "core", "worker") as worker:
        done = wait_until_finished(job, workspace)
        assert (done.status, done.share) == ("completed", 1.0), done.error
        [living] = jobs.list_workers(workspace)
        assert (living.pid, living.embedded) == (worker.pid, False)
        worker.terminate()
        assert worker.wait(10) == 0
    assert jobs.list_workers(workspace) == []
    record = load_run(done.run_id, workspace).record
    assert (record.status, record.tags["user"], record.tags["mlflow.source.name"]) == (
        "completed",
        "bob",
        "Vigie page clusters",
    )
    assert not (get_checkpoint_folder(job, workspace)).exists()
    [event] = workspace.events.read_events()
    assert (event.run_id, event.status) == (done.run_id, "completed")


def test_worker_reports_progress_and_curves(workspace: Workspace) -> None:
    job, log = submit_count(workspace, 60)
    with start_counting(workspace):
        seen = wait_until(lambda: (loaded := load_job(job, workspace)) and 0.2 < loaded.share < 1 and loaded)
        assert (seen.status, seen.stage) == ("running", "counting")
        assert len(seen.curves["loss"]) > 3
        assert [value for step, value in seen.curves["loss"]] == [1 / step for step, value in seen.curves["loss"]]
        assert (get_checkpoint_folder(job, workspace) / "step").exists()
        extended = wait_until(lambda: (loaded := load_job(job, workspace)).share > seen.share and loaded)
        assert extended.lease_until > seen.lease_until
        done = wait_until_finished(job, workspace)
    assert (done.status, done.run_id, done.curves) == ("completed", "run-of-bob", {})
    assert [step for _, step in read_steps(log)] == list(range(1, 61))


def test_worker_once_runs_pending_jobs_and_ends(workspace: Workspace) -> None:
    waiting = [
        jobs.submit("clusters", encode(ClusteringSpec(dataset=digest * 64)), workspace=workspace, actor=BOB)
        for digest in "01"
    ]
    with start_process(workspace, "core", "worker", "--once") as worker:
        assert worker.wait(TIMEOUT_S) == 0
    for job in waiting:
        with pytest.raises(NotFoundError, match="is not stored here"):
            jobs.raise_error(load_job(job, workspace))


# ---- one request, one job, one worker -------------------------------------------------------------------------------


def test_jobs_double_click_is_one_job(workspace: Workspace) -> None:
    first, log = submit_count(workspace, 5)
    assert submit_count(workspace, 5)[0].id == first.id
    with run_worker(workspace, run_test_job):
        done = wait_until_finished(first, workspace)
        again, _ = submit_count(workspace, 5)
    assert replace(again, read_at=0) == replace(done, read_at=0), (
        "a second click just after the end returns the finished job"
    )
    assert [step for _, step in read_steps(log)] == [1, 2, 3, 4, 5]


def test_workers_run_each_job_once(job_workspace: Workspace) -> None:
    folder = job_workspace.datasets.folder.parent
    submitted = [
        submit("count", job_workspace, until=2, step_s=0.0, log=f"{folder}/{number}.log")[0] for number in range(8)
    ]
    workspaces = [replace(job_workspace) for _ in range(3)]  # with their own connections, as in other processes
    with ExitStack() as workers:
        for workspace in workspaces:
            workers.enter_context(run_worker(workspace, run_test_job))
        done = [wait_until_finished(job, job_workspace) for job in submitted]
    wait_for_abandoned_calls()
    for workspace in workspaces:
        workspace.jobs.close()
    assert {job.status for job in done} == {"completed"}  # a claim whose answer is lost is made again
    steps = [[step for _, step in read_steps(folder / f"{number}.log")] for number in range(8)]
    assert steps == [[1, 2]] * 8


def test_jobs_of_two_workspaces_stay_apart(tmp_path: Path, workspace: Workspace) -> None:
    other_workspace = Workspace.in_folder(tmp_path / "other", workspace.tracking)
    job, log = submit_count(workspace, 2)
    assert jobs.find(job.key, other_workspace) is None
    with run_worker(other_workspace, run_test_job) as worker:
        other_job, _ = submit_count(other_workspace, 2)
        wait_until_finished(other_job, other_workspace)
        assert jobs.list_workers(other_workspace) == [worker.identity]
        assert jobs.list_workers(workspace) == []
    assert (load_job(job, workspace).status, read_steps(log)) == ("waiting", [])


def test_worker_without_lease_stops_and_continues_with_next(workspace: Workspace) -> None:
    job, log = submit_count(workspace, 1000)
    other_store = replace(workspace).jobs
    with run_worker(workspace, run_test_job):
        wait_until(lambda: load_job(job, workspace).share > 0)
        stolen = wait_until(lambda: expire_leases(workspace.jobs) or other_store.claim("thief"))
        next_job, _ = submit_count(workspace, 2, ALICE)
        wait_until_finished(next_job, workspace)
    after = load_job(job, workspace)
    assert (after.status, after.worker, after.claims) == ("running", "thief", stolen.claims)
    assert len(read_steps(log)) < 1000
    assert get_checkpoint_folder(job, workspace).exists(), "the checkpoints belong to the new worker"
    other_store.close()


# ---- cancel ---------------------------------------------------------------------------------------------------------


def test_job_can_restart_after_cancel(job_workspace: Workspace) -> None:
    job, log = submit_count(job_workspace, 1000)
    with start_counting(job_workspace):
        wait_until(lambda: load_job(job, job_workspace).share > 0)
        jobs.cancel(job.key, job_workspace)
        assert load_job(job, job_workspace).cancel_requested
        assert wait_until_finished(job, job_workspace, 5).status == "cancelled"
        assert not get_checkpoint_folder(job, job_workspace).exists()
        again, _ = submit_count(job_workspace, 1000)
        wait_until(lambda: load_job(again, job_workspace).share > 0)
        assert not load_job(again, job_workspace).cancel_requested
        jobs.cancel(job.key, job_workspace)
        wait_until_finished(again, job_workspace, 5)
    assert [step for _, step in read_steps(log)].count(1) == 2


def test_jobs_cancel_waiting_job_at_once(workspace: Workspace) -> None:
    job, log = submit_count(workspace)
    jobs.cancel(job.key, workspace)
    assert load_job(job, workspace).status == "cancelled"
    later, _ = submit_count(workspace, 1, ALICE)
    with run_worker(workspace, run_test_job):
        wait_until_finished(later, workspace)  # the worker takes the oldest job first
    assert not read_steps(log)
    assert load_job(job, workspace).status == "cancelled"


def test_job_cancelled_under_dead_worker_does_not_restart(workspace: Workspace) -> None:
    job, log = submit_count(workspace)
    workspace.jobs.claim("dead")
    jobs.cancel(job.key, workspace)
    assert load_job(job, workspace).status == "running", "its worker may still be alive"
    expire_leases(workspace.jobs)
    with run_worker(workspace, run_test_job):
        assert wait_until_finished(job, workspace).status == "cancelled"
    assert not read_steps(log)


# ---- workers that end or lose the database --------------------------------------------------------------------------


def test_job_of_killed_worker_continues_from_checkpoint(job_workspace: Workspace) -> None:
    job, log = submit_count(job_workspace, 60)
    with start_counting(job_workspace, LEASE_S) as first:
        wait_until(lambda: load_job(job, job_workspace).share > 0.3)
        first.send_signal(signal.SIGKILL)
        first.wait()
    step_count = len(read_steps(log))
    assert load_job(job, job_workspace).status == "running", "the lease has not expired yet"
    with start_counting(job_workspace):
        done = wait_until_finished(job, job_workspace)
    assert (done.status, done.attempt) == ("completed", 2)
    assert step_count > 15
    pids, numbers = zip(*read_steps(log), strict=True)
    assert len(set(pids)) == 2
    assert set(numbers) == set(range(1, 61))
    assert len(numbers) <= 61, "only the interrupted step may be repeated"


def test_killed_worker_among_several_leaves_its_job_to_another(job_workspace: Workspace) -> None:
    folder, length = job_workspace.datasets.folder.parent, 40
    users = [Actor(name, "tests") for name in ("ana", "bob", "carl", "dora")]
    with start_counting(job_workspace, LEASE_S) as victim, ExitStack() as others:
        for _ in range(2):
            others.enter_context(start_counting(job_workspace, LEASE_S))
        submitted = [submit_count(job_workspace, length, user)[0] for user in users]
        logs = [folder / f"{user.user}.log" for user in users]
        interrupted = wait_until(lambda: [number for number, log in enumerate(logs) if has_step(log, victim.pid)])[0]
        victim.kill()
        done = [wait_until_finished(job, job_workspace) for job in submitted]
    assert {job.status for job in done} == {"completed"}
    assert [job.attempt for job in done] == [2 if number == interrupted else 1 for number in range(len(done))]
    for number, log in enumerate(logs):
        pids, steps = zip(*read_steps(log), strict=True)
        assert set(steps) == set(range(1, length + 1))
        assert len(steps) <= length + (number == interrupted), "only the interrupted step may be repeated"
        assert len(set(pids)) == (2 if number == interrupted else 1)


def has_step(log: Path, pid: int) -> bool:
    """Tell whether a process has done some steps of a job, and not all."""
    return [step_pid for step_pid, _ in read_steps(log)].count(pid) in range(3, 30)


def test_job_that_kills_workers_fails(workspace: Workspace) -> None:
    job, log = submit_count(workspace)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = workspace.jobs.claim("dying")
        assert claimed is not None
        assert claimed.attempt == attempt
        expire_leases(workspace.jobs)
    with run_worker(workspace, run_test_job):
        failed = wait_until_finished(job, workspace)
    assert failed.status == "failed"
    assert not read_steps(log)
    with pytest.raises(VigieError, match="was started 3 times"):
        jobs.raise_error(failed)


def test_worker_returns_job_when_terminated(job_workspace: Workspace) -> None:
    job, log = submit_count(job_workspace, 60)
    with start_counting(job_workspace) as first:
        wait_until(lambda: load_job(job, job_workspace).share > 0.2)
        first.terminate()
        assert first.wait(10) == 0
    requeued = load_job(job, job_workspace)
    assert (requeued.status, requeued.attempt) == ("waiting", 1)
    assert jobs.list_workers(job_workspace) == []
    with start_counting(job_workspace):
        assert wait_until_finished(job, job_workspace).status == "completed"
    assert [step for _, step in read_steps(log)] == list(range(1, 61))


def test_worker_returns_job_that_does_not_stop(workspace: Workspace) -> None:
    job = jobs.submit("never_stop", {}, workspace=workspace, actor=BOB)
    with start_counting(workspace) as worker:
        wait_until(lambda: load_job(job, workspace).status == "running")
        worker.terminate()
        assert worker.wait(15) == 1
    assert load_job(job, workspace).status == "waiting"


def test_worker_survives_database_outage(postgres_server: ServerProcess, on_postgresql: Workspace) -> None:
    """The outage starts during the job, ends after its last step, and is longer than the lease."""
    workspace = on_postgresql
    job, log = submit_count(workspace, 160)
    lease_s = "6"  # a worker retries the database after 5 s
    with start_counting(workspace, lease_s), start_counting(workspace, lease_s):
        wait_until(lambda: load_job(job, workspace).share > 0.1)
        postgres_server.kill()
        try:
            with pytest.raises(ServiceUnavailableError):
                load_job(job, workspace)
            wait_until(lambda: 160 in [step for _, step in read_steps(log)])
        finally:
            postgres_server.start()
        workspace.jobs.reset()
        done = wait_until_finished(job, workspace)
    assert (done.status, done.attempt, done.claims) == ("completed", 1, 1)
    assert [step for _, step in read_steps(log)] == list(range(1, 161))


# ---- a run is stored, but its job is not finished -------------------------------------------------------------------


def test_worker_killed_after_run_makes_no_second_run(workspace: Workspace) -> None:
    job, log = submit("record", workspace)
    with start_counting(workspace, LEASE_S) as first:
        assert first.wait(TIMEOUT_S) == -signal.SIGKILL
    assert load_job(job, workspace).status == "running"
    with start_counting(workspace):
        done = wait_until_finished(job, workspace)
    assert (done.status, done.attempt, len(read_steps(log))) == ("completed", 2, 1)
    [record] = workspace.tracking.spool.list_newest(10)
    assert (record.id, record.status, record.tags[JOB_TAG]) == (done.run_id, "completed", job.id)
    assert load_run(done.run_id, workspace).record.status == "completed"


def test_run_has_job_tag_before_work(workspace: Workspace, sample: Dataset) -> None:
    with track_run("tests", "Nothing", {}, sample, Actor("bob", "tests", "a-job"), workspace):
        [record] = workspace.tracking.spool.list_newest(10)
        assert (record.tags[JOB_TAG], record.status) == ("a-job", "interrupted")
        assert find_job_run("a-job", workspace) == "", "the run is not completed yet"
    assert find_job_run("a-job", workspace) != ""
    assert find_job_run("another", workspace) == ""


def test_worker_finds_run_of_other_machine_in_mlflow(workspace: Workspace, sample: Dataset, tmp_path: Path) -> None:
    job, log = submit_count(workspace)
    claimed = workspace.jobs.claim("of another machine")
    assert claimed is not None
    with track_run("tests", "Nothing", {}, sample, Actor("bob", "tests", job.id), workspace) as run:
        pass
    assert run.delivered
    expire_leases(workspace.jobs)
    tracking = Tracking(
        workspace.tracking.uri, workspace.tracking.artefacts_location, tmp_path / "runs of this machine"
    )
    local_workspace = replace(workspace, tracking=tracking)
    assert local_workspace.tracking.spool.list_newest(10) == []
    with run_worker(local_workspace, run_test_job):
        done = wait_until_finished(job, local_workspace)
    assert (done.status, done.run_id, read_steps(log)) == ("completed", run.id, [])


def test_worker_repeats_job_if_run_is_unknown(workspace: Workspace, tmp_path: Path) -> None:
    offline_workspace = replace(workspace, tracking=Tracking("http://127.0.0.1:9", None, tmp_path / "other runs"))
    job, log = submit_count(offline_workspace, 2)
    offline_workspace.jobs.claim("dead")
    expire_leases(offline_workspace.jobs)
    with run_worker(offline_workspace, run_test_job):
        assert wait_until_finished(job, offline_workspace).attempt == 2
    assert len(read_steps(log)) == 2


# ---- embedded workers of the app ------------------------------------------------------------------------------------


def start_app_server(workspace: Workspace, **settings: str) -> AbstractContextManager[ForkedProcess]:
    return start_process(workspace, "tests.support.app_lifespan", **settings)


def list_embedded_workers(workspace: Workspace) -> list[int]:
    return [worker.pid for worker in jobs.list_workers(workspace) if worker.embedded]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_app_starts_and_stops_embedded_workers(workspace: Workspace) -> None:
    with start_app_server(workspace, VIGIE_WORKERS="2") as app:
        two = wait_until(lambda: len(pids := list_embedded_workers(workspace)) == 2 and pids)
        for pid in two:
            assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
        os.kill(two[0], signal.SIGKILL)
        third = wait_until(lambda: [pid for pid in list_embedded_workers(workspace) if pid not in two])[0]
        assert is_alive(two[1]), "the other one goes on"
        app.terminate()
        app.wait(15)
        assert not is_alive(two[1])
        assert not is_alive(third)


def test_worker_ends_with_killed_app(workspace: Workspace) -> None:
    with start_app_server(workspace) as app:
        [pid] = wait_until(lambda: list_embedded_workers(workspace))
        app.kill()
        app.wait()
        wait_until(lambda: not is_alive(pid), 10)


def test_app_yields_to_worker_service(workspace: Workspace) -> None:
    with start_app_server(workspace):
        [pid] = wait_until(lambda: list_embedded_workers(workspace))
        with start_counting(workspace):
            wait_until(lambda: not is_alive(pid), 30)
            assert list_embedded_workers(workspace) == []


def test_worker_command_starts_several_workers(workspace: Workspace) -> None:
    with start_process(workspace, "core", "worker", VIGIE_WORKERS="2") as parent:
        two = wait_until(lambda: len(jobs.list_workers(workspace)) == 2 and jobs.list_workers(workspace))
        parent.terminate()
        assert parent.wait(15) == 0
    assert not [worker for worker in two if is_alive(worker.pid)]


# ---- unknown tasks and keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["os", "..storage.jobs", "selection", "", "clusters.cluster"])
def test_jobs_reject_unknown_task(workspace: Workspace, task: str) -> None:
    job = jobs.submit(task, {"dataset": "x"}, workspace=workspace, actor=BOB)
    with run_worker(workspace):
        failed = wait_until_finished(job, workspace)
    assert failed.status == "failed"
    with pytest.raises(NotFoundError, match="The task"):
        jobs.raise_error(failed)


@pytest.mark.parametrize("key", ["", "x", "0" * 25, "../..", "\x00", "' OR 1=1"])
def test_jobs_invalid_key_finds_nothing(job_workspace: Workspace, key: str) -> None:
    assert jobs.find(key, job_workspace) is None
    jobs.cancel(key, job_workspace)
    assert jobs.list_workers(job_workspace) == [], "the query still works"


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_job_error_keeps_message(workspace: Workspace) -> None:
    job = jobs.submit("refused", {}, workspace=workspace, actor=BOB)
    with run_worker(workspace, run_test_job):
        failed = wait_until_finished(job, workspace)
    with pytest.raises(DataError, match=r"^a\.csv has no dates\.$") as raised:
        jobs.raise_error(failed)
    assert (raised.value.message.template, raised.value.message.values) == ("{file} has no dates.", {"file": "a.csv"})


def test_job_error_hides_unexpected_error_behind_number(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    job = jobs.submit("broken", {}, workspace=workspace, actor=BOB)
    with run_worker(workspace, run_test_job):
        failed = wait_until_finished(job, workspace)
    assert failed.error is not None
    assert failed.error["number"] in caplog.text
    assert "a secret of the machine" in caplog.text
    with pytest.raises(JobFailedError, match=failed.error["number"]) as raised:
        jobs.raise_error(failed)
    assert "secret" not in str(raised.value)


def test_job_on_a_full_disk_says_so_instead_of_a_number(workspace: Workspace) -> None:
    job = jobs.submit("full_disk", {}, workspace=workspace, actor=BOB)
    with run_worker(workspace, run_test_job):
        failed = wait_until_finished(job, workspace)
    with pytest.raises(VigieError, match=r"The disk of the data folder .+ is full.+ Free some space"):
        jobs.raise_error(failed)


def test_job_error_values_round_trip() -> None:
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
    again = error_from_json(json.loads(json.dumps(error_to_json(error, ""))))
    assert isinstance(again, UnknownLayoutError)
    assert str(again) == str(error)
    assert again.message.values["moment"] == values["moment"]
    assert isinstance(again.message.values["count"], int)


@pytest.mark.parametrize("kind", ["Exception", "Text", "N_", "os", "NoSuchError"])
def test_job_error_creates_only_own_classes(kind: str) -> None:
    assert type(error_from_json({"kind": kind, "template": "x", "values": {}})) is VigieError


def test_job_curves_are_thinned_to_last_point() -> None:
    points = [(float(step), 0.0) for step in range(10_000)]
    assert len(thin_out_points(points)) <= MAX_CURVE_POINTS
    assert thin_out_points(points)[-1] == points[-1]
    assert thin_out_points(points[:5]) == points[:5]
    assert thin_out_points([]) == []
