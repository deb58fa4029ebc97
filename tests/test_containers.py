"""Dockerfile and compose.yaml: every path, command, port, variable and name in them exists.

The tests need no Docker engine. They parse the files, copy the content of the image by the rules of the Dockerfile and
.dockerignore, and start it.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ROOT, Settings
from core.storage.job import WorkerHeartbeat
from core.storage.jobs import JobStore

SETTING_NAMES = {name.upper() for name in Settings.model_fields}
THIRD_PARTY_VARIABLES = {
    # Python and numerical libraries
    "PATH",
    "HOME",
    "PYTHONUNBUFFERED",
    "OMP_NUM_THREADS",
    # MLflow: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_AUTH_CONFIG_PATH",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    # uvicorn; a version of PostgreSQL, a purpose of addresses and a placeholder in the spelling of gcloud
    "FORWARDED_ALLOW_IPS",
    "POSTGRES_17",
    "VPC_PEERING",
    "PROJECT_NUMBER",
    # folder of the data of a user: https://specifications.freedesktop.org/basedir-spec/latest/
    "XDG_DATA_HOME",
    # Google's storage library
    "MLFLOW_S3_ENDPOINT_URL",
    "STORAGE_EMULATOR_HOST",
    "GOOGLE_CLOUD_PROJECT",
    # the images of PostgreSQL, SeaweedFS, Elasticsearch and Kibana
    "POSTGRES_USER",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "S3_BUCKET",
    "discovery.type",
    "xpack.security.enabled",
    "ES_JAVA_OPTS",
    "ELASTICSEARCH_HOSTS",
    "TELEMETRY_OPTIN",
    # compose.yaml and arguments of the Dockerfile
    "APP_MEMORY",
    "WORKER_MEMORY",
    "PYTHON_IMAGE",
    "TORCH_INDEX",
    "ALLOW_CUDA",
    # deploy/haproxy.cfg
    "PROXY_BIND",
    "APP_ONE",
    "APP_TWO",
}
MAKE_VARIABLES = {"PORT", "MLFLOW_PORT"}
COMPOSE_VARIABLES = {"APP_MEMORY", "WORKER_MEMORY", "POSTGRES_PASSWORD"}
"""Variables of compose.yaml that are no settings of the product."""
PUBLISHED_PORTS = {"app": 8501, "proxy": 8080, "mlflow": 5000, "kibana": 5601}
PUBLIC_PORT = "443:8443"
"""Port of the proxy with TLS, the only one that other machines reach."""
TEMPORARY_FOLDER = "/tmp"
UNNAMED_VOLUMES = {TEMPORARY_FOLDER, "./certificates:/certificates:ro"}
PROFILE_BY_SERVICE = {
    "s3": "operations",
    "elasticsearch": "elastic",
    "kibana": "elastic",
    "app-two": "processes",
    "proxy": "processes",
    "proxy-tls": "tls",
}


# ---- reading the files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One `FROM` of the Dockerfile with its instructions."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]

    def list_arguments(self, word: str) -> list[str]:
        return [rest for step, rest in self.steps if step == word]

    def get_last_argument(self, word: str) -> str:
        return self.list_arguments(word)[-1]

    def parse_command(self) -> list[str]:
        parts = json.loads(self.get_last_argument("CMD"))
        assert all(isinstance(part, str) for part in parts)
        return parts

    def parse_healthcheck(self) -> list[str]:
        return json.loads(self.get_last_argument("HEALTHCHECK").partition("CMD ")[2])

    def parse_environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for rest in self.list_arguments("ENV") for pair in shlex.split(rest))


@cache
def read_stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    steps = [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    starts = [number for number, step in enumerate(steps) if step[0] == "FROM"]
    stage_by_name = {}
    for start, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        image, _, name = steps[start][1].partition(" AS ")
        stage_by_name[name] = Stage(name, image, tuple((word, rest.strip()) for word, rest in steps[start + 1 : end]))
    return stage_by_name


def iter_copied_paths(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield source and destination of every path copied from the checkout."""
    for rest in stage.list_arguments("COPY"):
        *sources, destination = [part for part in shlex.split(rest) if not part.startswith("--")]
        if "--from=" not in rest:
            yield from ((source, destination) for source in sources)


@cache
def read_compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def read_services() -> dict[str, dict[str, Any]]:
    return read_compose()["services"]


def is_in_build_context(path: str) -> bool:
    """Tell whether .dockerignore lets the path into the build: the last rule that matches it or a parent decides."""
    is_included = True
    parts = path.split("/")
    prefixes = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip().removeprefix("!")
        if rule and not rule.startswith("#") and any(_matches_rule(prefix, rule) for prefix in prefixes):
            is_included = line.startswith("!")
    return is_included


def _matches_rule(path: str, rule: str) -> bool:
    if rule.startswith("**/"):
        return fnmatch(path.rpartition("/")[2], rule[3:])
    return path.count("/") == rule.count("/") and fnmatch(path, rule)


def list_build_files(source: str) -> list[str]:
    """List the files below `source` that are part of the build context."""
    root = ROOT / source
    paths = [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    names = (path.relative_to(ROOT).as_posix() for path in paths)
    return [name for name in names if is_in_build_context(name)]


# ---- the Dockerfile ------------------------------------------------------------------------------------------------


def test_dockerfile_has_build_mlflow_and_app_stages() -> None:
    assert list(read_stages()) == ["build", "mlflow", "app"], "`docker build .` builds the last stage"
    assert {stage.image for stage in read_stages().values()} == {"${PYTHON_IMAGE}"}


def test_base_image_is_pinned_by_patch_version_and_digest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    [image] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", image)
    assert text.index("ARG PYTHON_IMAGE") < text.index("FROM"), (
        "only an argument before the first stage is known to FROM"
    )


def test_dockerfile_copies_existing_unignored_paths() -> None:
    missing = [
        source
        for stage in read_stages().values()
        for source, _ in iter_copied_paths(stage)
        if not (ROOT / source).exists()
    ]
    assert not missing
    ignored = [
        source
        for stage in read_stages().values()
        for source, _ in iter_copied_paths(stage)
        if not is_in_build_context(source)
    ]
    assert not ignored


def test_dockerfile_copies_every_package() -> None:
    sources = {source for source, _ in iter_copied_paths(read_stages()["app"])}
    code = {path.parent.name for path in ROOT.glob("*/*.py")} | {path.name for path in ROOT.glob("*.py")}
    assert code - {"tests", "benchmarks"} <= sources
    assert {"locales", "styles.css", ".streamlit/config.toml"} <= sources


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.production",
        ".env.example",
        "core/.env",
        ".git/config",
        ".venv/bin/python",
        ".vigie/mlflow.db",
        ".streamlit/secrets.toml",
        "core/secrets.toml",
        "tests/conftest.py",
        "benchmarks/__main__.py",
        "docs/design.md",
        "core/__pycache__/run.cpython-311.pyc",
        "core/old.pyc",
        ".ruff_cache/x",
        ".pytest_cache/x",
        "key.json",
    ],
)
def test_dockerignore_excludes_private_path(path: str) -> None:
    assert not is_in_build_context(path)


def test_dockerfile_contains_no_secret() -> None:
    arguments = [
        rest for stage in read_stages().values() for word in ("ENV", "ARG") for rest in stage.list_arguments(word)
    ]
    assert not [rest for rest in arguments if re.search(r"password|secret|token|credential|_key", rest, re.IGNORECASE)]


@pytest.mark.parametrize("name", ["app", "mlflow"])
def test_image_runs_as_unprivileged_user(name: str) -> None:
    stage = read_stages()[name]
    assert stage.get_last_argument("USER") == "vigie"
    assert any(re.search(r"useradd .*--uid \d{4,} vigie", step) for step in stage.list_arguments("RUN"))
    assert [word for word, _ in stage.steps].index("USER") > max(
        number for number, (word, _) in enumerate(stage.steps) if word == "RUN"
    )


def test_app_image_data_folder_is_user_volume() -> None:
    stage = read_stages()["app"]
    assert stage.parse_environment()["VIGIE_DATA_DIR"] == stage.get_last_argument("VOLUME") == "/data"
    assert any("mkdir /data && chown vigie:vigie /data" in step for step in stage.list_arguments("RUN"))


@pytest.mark.parametrize("name", ["app", "mlflow"])
def test_image_keeps_temporary_files_and_home_in_one_folder(name: str) -> None:
    assert read_stages()[name].parse_environment()["HOME"] == TEMPORARY_FOLDER


def test_app_image_starts_streamlit() -> None:
    command = read_stages()["app"].parse_command()
    assert command[:2] == ["streamlit", "run"]
    assert (ROOT / command[2]).is_file()
    assert read_stages()["app"].parse_environment()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("name", "port", "path"), [("app", 8501, "/_stcore/health"), ("mlflow", 5000, "/health")])
def test_image_exposes_port_with_healthcheck(name: str, port: int, path: str) -> None:
    stage = read_stages()[name]
    assert stage.get_last_argument("EXPOSE") == str(port)
    assert any(part.endswith(f"port={port}") for part in stage.parse_command())
    program, flag, code = stage.parse_healthcheck()
    assert (program, flag) == ("python", "-c")
    assert f"'http://127.0.0.1:{port}{path}'" in code
    compile(code, "HEALTHCHECK", "exec")


def test_app_image_uses_existing_streamlit_options() -> None:
    from streamlit import config

    for option in read_stages()["app"].parse_command()[3:]:
        name = option.removeprefix("--").partition("=")[0]
        assert name in config._config_options_template


def test_dockerfile_installs_torch_like_makefile() -> None:
    makefile, stage = (ROOT / "Makefile").read_text(encoding="utf-8"), read_stages()["build"]
    (index,) = re.findall(r"^TORCH_INDEX \?= (\S+)$", makefile, re.MULTILINE)
    assert stage.list_arguments("ARG") == [f"TORCH_INDEX={index}", "ALLOW_CUDA="]
    torch = next(number for number, step in enumerate(stage.list_arguments("RUN")) if "^torch==" in step)
    requirements = next(
        number for number, step in enumerate(stage.list_arguments("RUN")) if "-r requirements.txt" in step
    )
    assert torch < requirements


def test_image_takes_torch_from_no_index_but_that_of_the_cpu_build(tmp_path: Path) -> None:
    """Where it is not reachable, the build fails, and PyPI is not asked."""
    [install] = [step for step in read_stages()["build"].list_arguments("RUN") if "^torch==" in step]
    command = install.replace("/venv/bin/pip", f"{sys.executable} -m pip --retries 0 --isolated")
    command = command.replace(" install ", f" install --target {tmp_path / 'target'} ")
    options = {"TORCH_INDEX": "http://127.0.0.1:9/simple"}
    process = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=os.environ | options, capture_output=True, text=True, check=False
    )
    assert process.returncode != 0
    assert "torch" in process.stderr
    assert not list(tmp_path.glob("target/torch*"))


@pytest.mark.parametrize(("cuda", "allowed", "code"), [("None", "", 0), ("'13.0'", "", 1), ("'13.0'", "1", 0)])
def test_image_refuses_torch_for_cuda_unless_it_is_allowed(tmp_path: Path, cuda: str, allowed: str, code: int) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        f"import types\n__version__ = '2.13.0'\nversion = types.SimpleNamespace(cuda={cuda})\n", encoding="utf-8"
    )
    [check] = [step for step in read_stages()["build"].list_arguments("RUN") if "torch.version.cuda" in step]
    process = subprocess.run(
        ["sh", "-c", check.replace("/venv/bin/python", sys.executable)],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "ALLOW_CUDA": allowed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code
    assert ("--build-arg ALLOW_CUDA=1" in process.stderr) == bool(code)


def test_mlflow_image_installs_pinned_packages() -> None:
    (install,) = [step for step in read_stages()["mlflow"].list_arguments("RUN") if "pip install" in step]
    (pattern,) = re.findall(r"grep -E '([^']+)'", install)
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if re.search(pattern, line)]
    assert [pin.partition("==")[0] for pin in pins] == ["mlflow", "google-cloud-storage", "psycopg[binary]"]
    assert re.search(r'"Flask-WTF==\d+\.\d+\.\d+"', install), "the sign-in of MLflow needs Flask-WTF"


# ---- the files of the image, without a Docker engine ---------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of /app of the image, by the rules of the Dockerfile and .dockerignore."""
    return copy_image_files(tmp_path_factory.mktemp("image"))


def copy_image_files(folder: Path) -> Path:
    for source, destination in iter_copied_paths(read_stages()["app"]):
        for name in list_build_files(source):
            inside = Path(destination) / (
                Path(name).name if (ROOT / source).is_file() else Path(name).relative_to(source)
            )
            target = folder / (destination if Path(destination).suffix else inside)
            _copy_file(ROOT / name, target)
            compiled = Path(cache_from_source(str(ROOT / name))) if name.endswith(".py") else None
            if compiled and compiled.exists():  # by the tests; otherwise every process of the image would compile it
                _copy_file(compiled, Path(cache_from_source(str(target))))
    return folder


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def build_process_options(image: Path, data: Path) -> dict[str, Any]:
    """Return folder and environment of a process in the image, without access to the checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTING_NAMES | {"PYTHONPATH"}}
    overrides = {"OMP_NUM_THREADS": "1", "VIGIE_DATA_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    return {"cwd": image, "env": environment | overrides | {"VIGIE_MLFLOW_ADDRESS": "off"}}


MOUNT_SCRIPT = (
    'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount --bind "$2" "$2" && mount --bind "$3" "$3"'
    ' && mount -o remount,bind,ro / && shift 3 && exec "$@"'
)


def build_read_only_prefix(image: Path, *writable_folders: Path) -> list[str]:
    """Return the words that start a command where only two folders are writable; none if mounting is not allowed."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return []
    return ["unshare", "--mount", "sh", "-c", MOUNT_SCRIPT, "sh", *map(str, (image, *writable_folders))]


@contextmanager
def run_process(command: list[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def list_modules(image: Path) -> list[str]:
    """List the modules of the image that a program may import."""
    paths = [
        path.relative_to(image) for package in ("core", "mlflow_utils") for path in (image / package).rglob("*.py")
    ]
    names = [path.with_suffix("").parts for path in paths]
    return [".".join(parts) for parts in names if parts[-1] != "__main__" and "migrations" not in parts]


READ_ONLY_SCRIPT = """import importlib, pathlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
from core.__main__ import build_app
from core.data.samples import write_sample
from streamlit.testing.v1 import AppTest
path = pathlib.Path(sys.argv[1], "sample.csv")
write_sample("gas_daily", path)
page = AppTest.from_file("pages/navigation.py", default_timeout=300).run()
assert page.title and not page.exception and not page.error, (page.exception, page.error)
build_app()(["forecast", str(path), "--forecaster", "ridge", "--json"], standalone_mode=False)
"""


def test_app_image_works_on_read_only_file_system(image: Path, tmp_path: Path) -> None:
    """Every module, the first page and a forecast work where only /data and /tmp are writable."""
    data, temporary_folder = tmp_path / "data", tmp_path / "temporary"
    data.mkdir()
    temporary_folder.mkdir()
    options = build_process_options(image, data) | {"capture_output": True, "text": True, "timeout": 600}
    options["env"] |= {"HOME": str(temporary_folder), "TMPDIR": str(temporary_folder)}
    prefix = build_read_only_prefix(image, data, temporary_folder)
    if prefix:
        assert subprocess.run([*prefix, "touch", str(image / "new")], **options, check=False).returncode
    words = ["-c", READ_ONLY_SCRIPT, str(data), *list_modules(image)]
    process = subprocess.run([*prefix, sys.executable, *words], **options, check=False)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["run_id"]


@pytest.mark.server
def test_app_image_starts_and_is_healthy(image: Path, tmp_path: Path) -> None:
    port = str(free_port())
    command = [
        sys.executable,
        "-m",
        *(part.replace("8501", port).replace("0.0.0.0", "127.0.0.1") for part in read_stages()["app"].parse_command()),
    ]
    check_command = [
        sys.executable,
        *(part.replace("8501", port) for part in read_stages()["app"].parse_healthcheck()[1:]),
    ]
    with run_process(command, **build_process_options(image, tmp_path)) as process:
        deadline = time.monotonic() + 60
        while (
            check := subprocess.run(check_command, capture_output=True, check=False)
        ).returncode and time.monotonic() < deadline:
            assert process.poll() is None, "the app stopped during startup"
            time.sleep(0.3)
        assert check.returncode == 0, check.stderr.decode()
    assert subprocess.run(check_command, capture_output=True, check=False).returncode != 0, (
        "the health check passes after the app stopped"
    )


def test_app_image_worker_runs_once(image: Path, tmp_path: Path) -> None:
    command = [sys.executable, *read_services()["worker"]["command"][1:], "--once"]
    process = subprocess.run(
        command, **build_process_options(image, tmp_path), capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr


# ---- compose.yaml --------------------------------------------------------------------------------------------------


def test_compose_services_and_profiles() -> None:
    assert set(read_services()) == {"app", "worker", "upgrade", "mlflow", "postgres", "gcs", *PROFILE_BY_SERVICE}
    assert {name: service.get("profiles") for name, service in read_services().items() if "profiles" in service} == {
        name: [profile] for name, profile in PROFILE_BY_SERVICE.items()
    }


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_image_is_built_or_pinned(name: str) -> None:
    service = read_services()[name]
    _, colon, tag = service["image"].rpartition(":")
    assert colon
    assert re.match(r"\d+\.\d+", tag), f"{service['image']}: pin a version"
    if "build" in service:
        assert service["build"]["target"] in read_stages()
        assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_publishes_ports_on_loopback_only(name: str) -> None:
    port = PUBLISHED_PORTS.get(name)
    expected = [PUBLIC_PORT] if name == "proxy-tls" else [f"127.0.0.1:{port}:{port}"] if port else []
    assert read_services()[name].get("ports", []) == expected


def test_compose_ports_match_image_ports() -> None:
    for name in ("app", "mlflow"):
        assert read_stages()[read_services()[name]["build"]["target"]].get_last_argument("EXPOSE") == str(
            PUBLISHED_PORTS[name]
        )


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_service_has_healthcheck(name: str) -> None:
    service = read_services()[name]
    if service.get("restart") == "no":
        assert service["healthcheck"] == {"disable": True}, "a service that ends is never healthy"
    elif "healthcheck" in service:
        assert service["healthcheck"]["test"][0] == "CMD"
    else:
        assert "HEALTHCHECK" in dict(read_stages()[service["build"]["target"]].steps)


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_limits_memory_and_logs_of_service(name: str) -> None:
    service = read_services()[name]
    assert re.fullmatch(r"(\$\{\w+:-)?\d+[mg]\}?", service["mem_limit"])
    assert service["logging"]["driver"] == "json-file"
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])


def test_health_check_of_worker_tells_whether_one_of_this_host_is_alive(image: Path, tmp_path: Path) -> None:
    check = [sys.executable, *read_services()["worker"]["healthcheck"]["test"][2:]]
    options = build_process_options(image, tmp_path)

    def is_healthy() -> bool:
        return not subprocess.run(check, **options, capture_output=True, timeout=60, check=False).returncode

    jobs = JobStore(tmp_path / "jobs")
    with keep_alive(jobs, "another-host"):
        assert not is_healthy()
    with keep_alive(jobs, socket.gethostname()):
        assert is_healthy()
    assert not is_healthy()
    jobs.close()


@contextmanager
def keep_alive(jobs: JobStore, host: str) -> Iterator[None]:
    """Let a worker of `host` tell that it is alive until the context ends."""
    worker, ending = WorkerHeartbeat(host, host, 7, embedded=False), threading.Event()
    jobs.record_worker(worker)

    def beat() -> None:
        while not ending.wait(0.5):
            jobs.record_worker(worker)

    thread = threading.Thread(target=beat, name="beat")
    thread.start()
    yield
    ending.set()
    thread.join()
    jobs.delete_worker(worker.name)


def test_compose_waits_for_postgres_that_listens_to_the_network() -> None:
    words = read_services()["postgres"]["healthcheck"]["test"]
    assert words[1:4] == ["pg_isready", "-h", "127.0.0.1"]


def test_compose_sends_no_telemetry() -> None:
    assert "-master.telemetry=false" in read_services()["s3"]["command"]
    assert read_services()["mlflow"]["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert read_services()["kibana"]["environment"]["TELEMETRY_OPTIN"] == "false"


def test_compose_trusts_proxies_of_its_own_network() -> None:
    [network] = read_compose()["networks"]["default"]["ipam"]["config"]
    assert read_services()["app"]["environment"]["VIGIE_TRUSTED_PROXIES"] == (
        f"${{VIGIE_TRUSTED_PROXIES:-{network['subnet']}}}"
    )
    guide = (ROOT / "docs" / "how-to" / "run-in-containers.md").read_text(encoding="utf-8")
    assert network["subnet"] in guide


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_service_waits_for_healthy_dependencies(name: str) -> None:
    for dependency, options in read_services()[name].get("depends_on", {}).items():
        is_one_shot = read_services()[dependency].get("restart") == "no"
        assert options["condition"] == ("service_completed_successfully" if is_one_shot else "service_healthy")
        assert PROFILE_BY_SERVICE.get(dependency) in (None, PROFILE_BY_SERVICE.get(name)), (
            "a service without profile cannot wait for a service with one"
        )


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_addresses_name_existing_services(name: str) -> None:
    service = read_services()[name]
    internal_variables = {k: v for k, v in service.get("environment", {}).items() if k != "MLFLOW_PUBLIC_URI"}
    texts = [*map(str, internal_variables.values()), *service.get("command", [])]
    for host in (host for text in texts for host in re.findall(r"(?:://|@)([a-z][a-z0-9]*):\d+", text)):
        assert host in read_services()


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_configs_exist(name: str) -> None:
    for config in read_services()[name].get("configs", []):
        declared = read_compose()["configs"][config["source"]]
        assert "content" in declared or (ROOT / declared["file"]).is_file()


@pytest.mark.parametrize("name", ["proxy", "proxy-tls"])
def test_proxy_of_compose_knows_its_variables_and_both_processes(name: str) -> None:
    text = (ROOT / read_compose()["configs"]["proxy"]["file"]).read_text(encoding="utf-8")
    environment = read_services()[name]["environment"]
    assert set(re.findall(r"\$\{(\w+)(?:\[\*\])?\}", text)) == set(environment)
    targets = {str(value).partition(":")[0] for name, value in environment.items() if name.startswith("APP_")}
    assert targets == {name for name, service in read_services().items() if "app" in name and "ports" in service}
    assert read_services()["app-two"]["environment"] == read_services()["app"]["environment"]


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_volumes_are_declared(name: str) -> None:
    for volume in read_services()[name].get("volumes", []):
        assert volume in UNNAMED_VOLUMES or volume.partition(":")[0] in read_compose()["volumes"]


def test_compose_services_of_our_images_write_to_volumes_only() -> None:
    for name, service in read_services().items():
        assert service.get("read_only", False) == ("build" in service or "proxy" in name), name
        assert TEMPORARY_FOLDER in service.get("volumes", []) or "build" not in service, name


def test_compose_uses_every_declared_volume() -> None:
    volumes = [volume for service in read_services().values() for volume in service.get("volumes", [])]
    used = {volume.partition(":")[0] for volume in volumes if volume not in UNNAMED_VOLUMES}
    assert used == set(read_compose()["volumes"])
    assert (
        read_services()["app"]["volumes"]
        == read_services()["app-two"]["volumes"]
        == read_services()["worker"]["volumes"]
        == [f"data:{read_stages()['app'].get_last_argument('VOLUME')}", TEMPORARY_FOLDER]
    )


@pytest.mark.parametrize("name", sorted(read_services()))
def test_compose_variables_are_known(name: str) -> None:
    service = read_services()[name]
    assert set(service.get("environment", {})) <= SETTING_NAMES | THIRD_PARTY_VARIABLES
    assert set(re.findall(r"\$\{(\w+)", json.dumps(service))) <= SETTING_NAMES | COMPOSE_VARIABLES


def test_dockerfile_variables_are_known() -> None:
    assert {
        name for stage in read_stages().values() for name in stage.parse_environment()
    } <= SETTING_NAMES | THIRD_PARTY_VARIABLES


def test_compose_needs_no_setting() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert all(default for default in re.findall(r"\$\{\w+(?::-([^}]*))?\}", text))
    assert (
        read_services()["app"]["env_file"]
        == read_services()["worker"]["env_file"]
        == [{"path": ".env", "required": False}]
    )


def test_compose_app_and_worker_share_image_and_settings() -> None:
    app, worker = read_services()["app"], read_services()["worker"]
    assert (app["image"], app["build"], app["environment"]) == (worker["image"], worker["build"], worker["environment"])
    assert app["environment"]["VIGIE_DATA_DIR"] == read_stages()["app"].parse_environment()["VIGIE_DATA_DIR"]
    assert "command" not in app


def test_compose_requires_sign_in_with_accounts_database() -> None:
    app, postgres = read_services()["app"], read_services()["postgres"]
    assert read_stages()["app"].parse_environment()["VIGIE_REQUIRE_SIGN_IN"] == "true"
    assert app["environment"]["VIGIE_REQUIRE_SIGN_IN"] == "${VIGIE_REQUIRE_SIGN_IN:-true}"
    assert app["environment"]["DATABASE_URL"].endswith("@postgres:5432/accounts}")
    assert postgres["environment"]["POSTGRES_DB"] != "accounts", (
        "MLflow and the accounts use the same name for their migration table"
    )
    [script] = postgres["configs"]
    assert script["target"].startswith("/docker-entrypoint-initdb.d/")
    assert read_compose()["configs"][script["source"]]["content"] == "CREATE DATABASE accounts;"


def test_compose_configures_mlflow_server() -> None:
    service = read_services()["mlflow"]
    options = dict(part.removeprefix("--").partition("=")[::2] for part in service["command"][2:])
    assert options["artifacts-destination"] == "gs://vigie"
    assert read_services()["gcs"]["volumes"] == ["artefacts:/storage/vigie"], (
        "the emulator serves each folder as a bucket"
    )
    assert {"mlflow:5000", "localhost:*"} <= set(options["allowed-hosts"].split(","))
    assert service["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert service["environment"]["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg://")
    assert read_services()["app"]["environment"]["MLFLOW_TRACKING_URI"].endswith(f"http://mlflow:{options['port']}}}")


def test_compose_uses_existing_mlflow_options() -> None:
    from mlflow.cli import server

    known_options = {option for parameter in server.params for option in parameter.opts}
    assert {part.partition("=")[0] for part in read_services()["mlflow"]["command"][2:]} <= known_options


@cache
def list_commands() -> set[str]:
    """List the subcommands of the command line."""
    from typer.main import get_command

    from core.__main__ import build_app

    return set(get_command(build_app()).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["worker", "upgrade"])
def test_compose_command_exists(name: str) -> None:
    assert read_services()[name]["command"][:3] == ["python", "-m", "core"]
    assert read_services()[name]["command"][3] in list_commands()


def test_documents_start_the_container_in_one_way() -> None:
    """An app of a container is reached from its machine alone, in README as in the guide."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    commands = {command for text in texts for command in re.findall(r"docker run [^`\n]*\bvigie\b(?=`|\n|$)", text)}
    [command] = commands
    assert "-p 127.0.0.1:8501:8501" in command
    assert "--read-only" in command


def test_container_guide_profiles_and_ports_exist() -> None:
    text = (ROOT / "docs" / "how-to" / "run-in-containers.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--profile (\w+)", text)) == set(PROFILE_BY_SERVICE.values())
    assert all(str(port) in text for port in PUBLISHED_PORTS.values())
