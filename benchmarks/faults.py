"""Services that crash and hang on a random schedule: lost and duplicate records, and the waits of users.

MLflow on PostgreSQL and gs://, S3 and Elasticsearch are real servers. They are killed, frozen, started and resumed
while two users work, and while a second process delivers in parallel.
"""

import json
import os
import random
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fault_workload import TASK
from benchmarks.report import ResultLine
from core.storage.events.elasticsearch import EventStream
from core.storage.feedback import FeedbackStore
from mlflow_utils.spool import Spool
from tests.conftest import kill_process_tree
from tests.support import servers
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.servers import S3_SECRET, S3_USER, ServerProcess

ACTIONS, SEED = 200, 5
MAX_WAIT_S = 2.0  # seconds
SCHEDULE_TIMEOUT_S = 3600.0  # seconds; timeout of all actions
SETTLE_TIMEOUT_S = 180.0  # seconds; timeout of the last delivery, when all services run again
BUCKET = "vigie"


@dataclass(frozen=True)
class Outcome:
    """Records on the servers after the schedule, and the waits of the users.

    runs, events, feedback  number of an action → number of its records
    of_runs, of_feedback    seconds, sorted
    seconds                 duration of the actions
    settled                 seconds until the last delivery
    """

    runs: Counter[int]
    events: Counter[int]
    feedback: Counter[int]
    run_waits: list[float]
    feedback_waits: list[float]
    faults: Counter[str]
    seconds: float
    settle_seconds: float
    files: int = 0
    unfinished: list[int] = field(default_factory=list)


@dataclass
class Services:
    """The servers of a schedule."""

    mlflow: ServerProcess
    s3: ServerProcess
    elasticsearch: ServerProcess
    gcs: ServerProcess
    postgres: ServerProcess

    @property
    def failing_servers(self) -> dict[str, ServerProcess]:
        """The servers that fail, by name."""
        return {"MLflow": self.mlflow, "S3": self.s3, "Elasticsearch": self.elasticsearch}

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment variables of a client of these servers."""
        return os.environ | {
            "VIGIE_DATA_DIR": str(folder),
            "OMP_NUM_THREADS": "1",
            "MLFLOW_TRACKING_URI": self.mlflow.url,
            "S3_ENDPOINT_URL": self.s3.url,
            "S3_BUCKET_NAME": BUCKET,
            "S3_REGION_NAME": "eu-west-3",
            "AWS_ACCESS_KEY": S3_USER,
            "AWS_SECRET_KEY": S3_SECRET,
            "ELASTIC_DEPLOYMENT_ENDPOINT": self.elasticsearch.url,
        }


@contextmanager
def start_services(folder: Path) -> Iterator[Services]:
    """Start all servers, and kill them at the end."""
    started: list[ServerProcess] = []
    try:
        for make in (
            servers.make_postgres_server,
            servers.make_gcs_server,
            servers.make_s3_server,
            servers.make_elasticsearch_server,
        ):
            started.append(make(folder / make.__name__).start())
        postgres, gcs, s3, elasticsearch = started
        started.append(servers.make_mlflow_server(folder / "mlflow", postgres.url, gcs.url).start())
        yield Services(started[-1], s3, elasticsearch, gcs, postgres)
    finally:
        for server in started:
            server.kill()


# ---- schedule -------------------------------------------------------------------------------------------------------


class Schedule:
    """Random failures: each server alternates between running and being killed or frozen, until the end."""

    # The stub of Elasticsearch keeps the last second in memory only. Elasticsearch itself writes to disk before it
    # responds. Therefore the stub is stopped, which saves everything, and not killed.
    STOPPED_SERVERS = ("Elasticsearch",)

    def __init__(
        self, running: dict[str, ServerProcess], seed: int, max_up_s: float = 4.0, max_down_s: float = 6.0
    ) -> None:
        self.running, self.seed, self.max_up_s, self.max_down_s = running, seed, max_up_s, max_down_s
        self.faults: Counter[str] = Counter()
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_failures, args=(name,), name=f"faults of {name}") for name in running
        ]

    def __enter__(self) -> "Schedule":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the failures; all servers run again afterwards."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run_failures(self, name: str) -> None:
        server, chance = self.running[name], random.Random(f"{self.seed} {name}")
        while not self._ending.wait(chance.uniform(0, self.max_up_s)):
            fault = chance.choice(("kill", "freeze"))
            down, up = (server.freeze, server.thaw) if fault == "freeze" else (server.kill, server.start)
            if fault == "kill" and name in self.STOPPED_SERVERS:
                down, fault = server.stop, "end"
            self.faults[f"{name}: {fault}"] += 1
            down()
            self._ending.wait(chance.uniform(0.5, self.max_down_s))
            up()


def run_schedule(running: Services, folder: Path, actions: int, seed: int) -> Outcome:
    """Run `actions` of two users while services fail; return the records on the servers after the last delivery."""
    journal, data, earlier_files = folder / "journal", folder / "data", count_files(running)
    environment = running.environment(data)
    with run_client(environment, folder / "deliverer.log"):
        began = time.monotonic()
        with (
            Schedule(running.failing_servers, seed) as schedule,
            run_client(environment, folder / "client.log", journal, 0, actions) as users,
        ):
            users.wait(SCHEDULE_TIMEOUT_S)
        seconds, until = time.monotonic() - began, time.monotonic() + SETTLE_TIMEOUT_S
        with run_client(environment, folder / "second.log"):
            while count_pending(data) and time.monotonic() < until:
                time.sleep(1)
        return Outcome(
            count_runs(running),
            count_events(running),
            count_feedback(running),
            *list_waits(journal),
            schedule.faults,
            seconds,
            time.monotonic() - began - seconds,
            count_files(running) - earlier_files,
            list_unfinished(journal),
        )


@contextmanager
def run_client(environment: dict[str, str], log: Path, *arguments: object) -> Iterator[ForkedProcess]:
    """Run a client that acts, or only delivers; kill it at the end."""
    process = get_command_server().start(
        "benchmarks.fault_workload", *map(str, arguments), environment=environment, output=log
    )
    try:
        yield process
    finally:
        kill_process_tree(process)


# ---- records on the servers -----------------------------------------------------------------------------------------


def count_pending(data: Path) -> int:
    """Return the number of records that are pending, or possibly delivered twice."""
    spool, stream = Spool(data / "runs"), EventStream(data / "events", "")
    return (
        len(spool.list_pending())
        + len(spool.list_possible_duplicates())
        + stream.count_pending()
        + FeedbackStore(data / "feedback").count_pending()
    )


def count_runs(running: Services) -> Counter[int]:
    """Return action number → number of runs in MLflow."""
    return Counter(int(run.data.params["number"]) for run in _list_runs(running))


def count_files(running: Services) -> int:
    """Return the number of runs with their file in the bucket."""
    folder = running.gcs.folder / "storage" / BUCKET
    return len({path.parent for path in folder.rglob("note.txt")})


def _list_runs(running: Services) -> list[object]:
    from mlflow import MlflowClient

    client, runs, token = MlflowClient(running.mlflow.url), [], None
    experiment = client.get_experiment_by_name(TASK)
    while experiment is not None:
        page = client.search_runs([experiment.experiment_id], page_token=token)
        runs, token = [*runs, *page], page.token
        if not token:
            break
    return runs


def count_events(running: Services) -> Counter[int]:
    """Return action number → number of events in Elasticsearch."""
    _request(f"{running.elasticsearch.url}/vigie*/_refresh", {})
    query = {"size": 10_000, "query": {"match_all": {}}}
    hits = _request(f"{running.elasticsearch.url}/vigie*/_search", query)["hits"]["hits"]
    return Counter(
        int(hit["_source"]["details"]["inputs"]["number"])
        for hit in hits
        if hit["_source"].get("model_name") == "Nothing"
    )


def count_feedback(running: Services) -> Counter[int]:
    """Return action number → number of feedback records in S3."""
    client = servers.make_s3_client(running.s3.url)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="feedback/v1/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return Counter(int(json.loads(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())["comment"]) for key in keys)


def _request(url: str, body: object) -> dict:  # type: ignore[type-arg]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _read_journal(journal: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def list_waits(journal: Path) -> tuple[list[float], list[float]]:
    """Return the seconds that each action waited for its run, and for its feedback, both sorted."""
    ended = [entry for entry in _read_journal(journal) if entry["state"] == "ended"]
    return sorted(entry["of_run"] for entry in ended), sorted(entry["of_feedback"] for entry in ended)


def list_unfinished(journal: Path) -> list[int]:
    """Return the actions that started and did not end."""
    entries = _read_journal(journal)
    ended = {entry["number"] for entry in entries if entry["state"] == "ended"}
    return sorted({int(entry["number"]) for entry in entries} - {int(number) for number in ended})


def main() -> list[ResultLine]:
    """Run the schedule, and return its results."""
    with TemporaryDirectory(prefix="vigie-faults-") as folder, start_services(Path(folder)) as running:
        return build_lines(run_schedule(running, Path(folder), ACTIONS, SEED), ACTIONS)


def build_lines(outcome: Outcome, actions: int) -> list[ResultLine]:
    """Return the lines of the result table."""
    table = []
    for name, where, counts in (
        ("runs", "MLflow", outcome.runs),
        ("events", "Elasticsearch", outcome.events),
        ("feedback records", "S3", outcome.feedback),
    ):
        lost, twice = actions - len(counts), sum(counts.values()) - len(counts)
        is_complete = not lost and not twice
        table.append(
            ResultLine(
                f"{name} in {where}",
                f"{sum(counts.values())}",
                f"{lost} lost, {twice} twice",
                f"{actions} actions",
                f"{actions}",
                "met" if is_complete else "MISSED",
            )
        )
    table.append(
        ResultLine(
            "runs with their file in gs://",
            f"{outcome.files}",
            "",
            f"{actions} actions",
            f"{actions}",
            "met" if outcome.files == actions else "MISSED",
        )
    )
    for what, waits in (("a run", outcome.run_waits), ("a feedback record", outcome.feedback_waits)):
        spread = f"median {waits[len(waits) // 2]:.2f}, p95 {waits[int(0.95 * len(waits))]:.2f}"
        verdict = "met" if waits[-1] <= MAX_WAIT_S else "MISSED"
        table.append(
            ResultLine(
                f"longest wait of a person for {what}",
                f"{waits[-1]:.2f} s",
                spread,
                "its own computation not counted",
                f"≤ {MAX_WAIT_S:.0f} s",
                verdict,
            )
        )
    table.append(
        ResultLine(
            "the actions took",
            f"{outcome.seconds:.0f} s",
            "",
            f"all delivered and looked for twice {outcome.settle_seconds:.0f} s later",
        )
    )
    return table + [
        ResultLine(f"faults, {name}", str(count), "", f"seed {SEED}") for name, count in sorted(outcome.faults.items())
    ]
