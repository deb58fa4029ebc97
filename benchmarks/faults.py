"""Services that crash and hang on a random schedule: lost and duplicate records, and the waits of users.

MLflow on PostgreSQL and gs://, S3 and Elasticsearch are real servers. They are killed, frozen, started and resumed
while two users work, and while a second process delivers in parallel.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults_client import TASK
from benchmarks.lines import Line
from core.storage.events.elasticsearch import EventStream
from core.storage.feedback import FeedbackStore
from mlflow_utils.spool import Spool
from tests import servers
from tests.conftest import ROOT, stop
from tests.servers import S3_SECRET, S3_USER, Running

ACTIONS, SEED = 200, 5
LONGEST_WAIT = 2.0  # seconds
SETTLING = 180.0  # seconds; timeout of the last delivery, when all services run again
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
    of_runs: list[float]
    of_feedback: list[float]
    faults: Counter[str]
    seconds: float
    settled: float
    files: int = 0
    unfinished: list[int] = field(default_factory=list)


@dataclass
class Services:
    """The servers of a schedule."""

    mlflow: Running
    s3: Running
    elasticsearch: Running
    gcs: Running
    postgres: Running

    @property
    def all(self) -> dict[str, Running]:
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
def services(folder: Path) -> Iterator[Services]:
    """Start all servers, and kill them at the end."""
    started: list[Running] = []
    try:
        for make in (servers.postgres, servers.gcs, servers.s3, servers.elasticsearch):
            started.append(make(folder / make.__name__).start())
        postgres, gcs, s3, elasticsearch = started
        started.append(servers.mlflow(folder / "mlflow", postgres.url, gcs.url).start())
        yield Services(started[-1], s3, elasticsearch, gcs, postgres)
    finally:
        for server in started:
            server.kill()


# ---- schedule -------------------------------------------------------------------------------------------------------


class Schedule:
    """Random failures: each server alternates between running and being killed or frozen, until the end."""

    # The stub of Elasticsearch keeps the last second in memory only. Elasticsearch itself writes to disk before it
    # responds. Therefore the stub is stopped, which saves everything, and not killed.
    SAVES = ("Elasticsearch",)

    def __init__(self, of: dict[str, Running], seed: int, well: float = 4.0, ill: float = 6.0) -> None:
        self.of, self.seed, self.well, self.ill = of, seed, well, ill
        self.faults: Counter[str] = Counter()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._play, args=(name,), name=f"faults of {name}") for name in of]

    def __enter__(self) -> "Schedule":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the failures; all servers run again afterwards."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _play(self, name: str) -> None:
        server, chance = self.of[name], random.Random(f"{self.seed} {name}")
        while not self._ending.wait(chance.uniform(0, self.well)):
            fault = chance.choice(("kill", "freeze"))
            down, up = (server.freeze, server.thaw) if fault == "freeze" else (server.kill, server.start)
            if fault == "kill" and name in self.SAVES:
                down, fault = server.end, "end"
            self.faults[f"{name}: {fault}"] += 1
            down()
            self._ending.wait(chance.uniform(0.5, self.ill))
            up()


def played(folder: Path, actions: int, seed: int) -> Outcome:
    """Run `actions` of two users while services fail; return the records on the servers after the last delivery."""
    journal, data, began = folder / "journal", folder / "data", time.monotonic()
    with services(folder) as of:
        environment = of.environment(data)
        with client(environment, folder / "deliverer.log"):
            began = time.monotonic()
            with (
                Schedule(of.all, seed) as schedule,
                client(environment, folder / "client.log", journal, 0, actions) as people,
            ):
                people.wait()
            seconds, until = time.monotonic() - began, time.monotonic() + SETTLING
            with client(environment, folder / "second.log"):
                while waiting(data) and time.monotonic() < until:
                    time.sleep(1)
            return Outcome(
                runs_of(of),
                events_of(of),
                feedback_of(of),
                *waits_of(journal),
                schedule.faults,
                seconds,
                time.monotonic() - began - seconds,
                files_of(of),
                unfinished(journal),
            )


@contextmanager
def client(environment: dict[str, str], log: Path, *arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a client that acts, or only delivers; kill it at the end."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.faults_client", *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


# ---- records on the servers -----------------------------------------------------------------------------------------


def waiting(data: Path) -> int:
    """Return the number of records that are pending, or possibly delivered twice."""
    spool, stream = Spool(data / "runs"), EventStream(data / "events", "")
    return (
        len(spool.pending())
        + len(spool.possibly_duplicated())
        + stream.pending_count()
        + FeedbackStore(data / "feedback").pending_count()
    )


def runs_of(of: Services) -> Counter[int]:
    """Return action number → number of runs in MLflow."""
    return Counter(int(run.data.params["number"]) for run in _runs(of))


def files_of(of: Services) -> int:
    """Return the number of runs with their file in the bucket."""
    folder = of.gcs.folder / "storage" / BUCKET
    return len({path.parent for path in folder.rglob("note.txt")})


def _runs(of: Services) -> list[object]:
    from mlflow import MlflowClient

    client, found, token = MlflowClient(of.mlflow.url), [], None
    experiment = client.get_experiment_by_name(TASK)
    while experiment is not None:
        page = client.search_runs([experiment.experiment_id], page_token=token)
        found, token = [*found, *page], page.token
        if not token:
            break
    return found


def events_of(of: Services) -> Counter[int]:
    """Return action number → number of events in Elasticsearch."""
    _asked(f"{of.elasticsearch.url}/vigie*/_refresh", {})
    asked = {"size": 10_000, "query": {"match_all": {}}}
    found = _asked(f"{of.elasticsearch.url}/vigie*/_search", asked)["hits"]["hits"]
    return Counter(
        int(each["_source"]["details"]["inputs"]["number"])
        for each in found
        if each["_source"].get("model_name") == "Nothing"
    )


def feedback_of(of: Services) -> Counter[int]:
    """Return action number → number of feedback records in S3."""
    client = servers.s3_client(of.s3.url)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="feedback/v1/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return Counter(int(json.loads(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())["comment"]) for key in keys)


def _asked(url: str, body: object) -> dict:  # type: ignore[type-arg]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _journal(journal: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def waits_of(journal: Path) -> tuple[list[float], list[float]]:
    """Return the seconds that each action waited for its run, and for its feedback, both sorted."""
    ended = [each for each in _journal(journal) if each["state"] == "ended"]
    return sorted(each["of_run"] for each in ended), sorted(each["of_feedback"] for each in ended)


def unfinished(journal: Path) -> list[int]:
    """Return the actions that started and did not end."""
    told = _journal(journal)
    ended = {each["number"] for each in told if each["state"] == "ended"}
    return sorted({int(each["number"]) for each in told} - {int(number) for number in ended})


def main() -> list[Line]:
    """Run the schedule, and return its results."""
    with TemporaryDirectory(prefix="vigie-faults-") as folder:
        return lines(played(Path(folder), ACTIONS, SEED), ACTIONS)


def lines(found: Outcome, actions: int) -> list[Line]:
    """Return the lines of the result table."""
    table = []
    for name, where, counted in (
        ("runs", "MLflow", found.runs),
        ("events", "Elasticsearch", found.events),
        ("feedback records", "S3", found.feedback),
    ):
        lost, twice = actions - len(counted), sum(counted.values()) - len(counted)
        right = not lost and not twice
        table.append(
            Line(
                f"{name} in {where}",
                f"{sum(counted.values())}",
                f"{lost} lost, {twice} twice",
                f"{actions} actions",
                f"{actions}",
                "met" if right else "MISSED",
            )
        )
    table.append(
        Line(
            "runs with their file in gs://",
            f"{found.files}",
            "",
            f"{actions} actions",
            f"{actions}",
            "met" if found.files == actions else "MISSED",
        )
    )
    for what, waits in (("a run", found.of_runs), ("a feedback record", found.of_feedback)):
        spread = f"median {waits[len(waits) // 2]:.2f}, p95 {waits[int(0.95 * len(waits))]:.2f}"
        met = "met" if waits[-1] <= LONGEST_WAIT else "MISSED"
        table.append(
            Line(
                f"longest wait of a person for {what}",
                f"{waits[-1]:.2f} s",
                spread,
                "its own computation not counted",
                f"≤ {LONGEST_WAIT:.0f} s",
                met,
            )
        )
    table.append(
        Line(
            "the actions took",
            f"{found.seconds:.0f} s",
            "",
            f"all delivered and looked for twice {found.settled:.0f} s later",
        )
    )
    return table + [
        Line(f"faults, {name}", str(count), "", f"seed {SEED}") for name, count in sorted(found.faults.items())
    ]
