"""Dockerfile, compose.yaml and the documents: every path, command, port, variable and name in them exists.

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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ROOT, Settings

SETTINGS = {name.upper() for name in Settings.model_fields}
OF_OTHERS = {
    # Python and numerical libraries
    "PATH",
    "PYTHONUNBUFFERED",
    "OMP_NUM_THREADS",
    # MLflow: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_AUTH_CONFIG_PATH",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    # uvicorn, and a version of PostgreSQL in the spelling of gcloud
    "FORWARDED_ALLOW_IPS",
    "POSTGRES_17",
    # Google's storage library
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
}
MAKE_VARIABLES = {"PORT", "MLFLOW_PORT"}
PUBLISHED = {"app": 8501, "mlflow": 5000, "kibana": 5601}
PROFILES = {"s3": "operations", "elasticsearch": "elastic", "kibana": "elastic"}


# ---- reading the files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One `FROM` of the Dockerfile with its instructions."""

    name: str
    image: str
    steps: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        return [rest for step, rest in self.steps if step == word]

    def last(self, word: str) -> str:
        return self.all(word)[-1]

    def command(self) -> list[str]:
        found = json.loads(self.last("CMD"))
        assert all(isinstance(part, str) for part in found)
        return found

    def health(self) -> list[str]:
        return json.loads(self.last("HEALTHCHECK").partition("CMD ")[2])

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for rest in self.all("ENV") for pair in shlex.split(rest))


@cache
def stages() -> dict[str, Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    steps = [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    starts = [number for number, step in enumerate(steps) if step[0] == "FROM"]
    found = {}
    for start, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        image, _, name = steps[start][1].partition(" AS ")
        found[name] = Stage(name, image, tuple((word, rest.strip()) for word, rest in steps[start + 1 : end]))
    return found


def copied(stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield source and destination of every path copied from the checkout."""
    for rest in stage.all("COPY"):
        *sources, destination = [part for part in shlex.split(rest) if not part.startswith("--")]
        if "--from=" not in rest:
            yield from ((source, destination) for source in sources)


@cache
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def services() -> dict[str, dict[str, Any]]:
    return compose()["services"]


def reaches_the_build(path: str) -> bool:
    """Tell whether .dockerignore lets the path into the build: the last rule that matches it or a parent decides."""
    kept = True
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip().removeprefix("!")
        if rule and not rule.startswith("#") and any(_fits(each, rule) for each in above):
            kept = line.startswith("!")
    return kept


def _fits(path: str, rule: str) -> bool:
    if rule.startswith("**/"):
        return fnmatch(path.rpartition("/")[2], rule[3:])
    return path.count("/") == rule.count("/") and fnmatch(path, rule)


def files_of(source: str) -> list[str]:
    """List the files below `source` that are part of the build context."""
    place = ROOT / source
    found = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    names = (path.relative_to(ROOT).as_posix() for path in found)
    return [name for name in names if reaches_the_build(name)]


# ---- the Dockerfile ------------------------------------------------------------------------------------------------


def test_stages() -> None:
    assert list(stages()) == ["build", "mlflow", "app"], "`docker build .` builds the last stage"
    assert {stage.image for stage in stages().values()} == {"python:3.11-slim"}


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    missing = [source for stage in stages().values() for source, _ in copied(stage) if not (ROOT / source).exists()]
    assert not missing
    ignored = [source for stage in stages().values() for source, _ in copied(stage) if not reaches_the_build(source)]
    assert not ignored


def test_every_room_of_the_product_is_copied() -> None:
    sources = {source for source, _ in copied(stages()["app"])}
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
def test_never_in_an_image(path: str) -> None:
    assert not reaches_the_build(path)


def test_no_secret_in_the_dockerfile() -> None:
    given = [rest for stage in stages().values() for word in ("ENV", "ARG") for rest in stage.all(word)]
    assert not [rest for rest in given if re.search(r"password|secret|token|credential|_key", rest, re.IGNORECASE)]


@pytest.mark.parametrize("name", ["app", "mlflow"])
def test_runs_as_a_plain_user(name: str) -> None:
    stage = stages()[name]
    assert stage.last("USER") == "vigie"
    assert any(re.search(r"useradd .*--uid \d{4,} vigie", step) for step in stage.all("RUN"))
    assert [word for word, _ in stage.steps].index("USER") > max(
        number for number, (word, _) in enumerate(stage.steps) if word == "RUN"
    )


def test_data_folder_is_a_volume_of_that_user() -> None:
    stage = stages()["app"]
    assert stage.environment()["VIGIE_DATA_DIR"] == stage.last("VOLUME") == "/data"
    assert any("mkdir /data && chown vigie:vigie /data" in step for step in stage.all("RUN"))


def test_command_of_the_app() -> None:
    command = stages()["app"].command()
    assert command[:2] == ["streamlit", "run"]
    assert (ROOT / command[2]).is_file()
    assert stages()["app"].environment()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("name", "port", "path"), [("app", 8501, "/_stcore/health"), ("mlflow", 5000, "/health")])
def test_ports_of_an_image(name: str, port: int, path: str) -> None:
    stage = stages()[name]
    assert stage.last("EXPOSE") == str(port)
    assert any(part.endswith(f"port={port}") for part in stage.command())
    program, flag, code = stage.health()
    assert (program, flag) == ("python", "-c")
    assert f"'http://127.0.0.1:{port}{path}'" in code
    compile(code, "HEALTHCHECK", "exec")


def test_streamlit_knows_the_options() -> None:
    from streamlit import config

    for option in stages()["app"].command()[3:]:
        name = option.removeprefix("--").partition("=")[0]
        assert name in config._config_options_template


def test_torch_comes_as_in_the_makefile() -> None:
    makefile, stage = (ROOT / "Makefile").read_text(encoding="utf-8"), stages()["build"]
    (index,) = re.findall(r"^TORCH_INDEX \?= (\S+)$", makefile, re.MULTILINE)
    assert stage.last("ARG") == f"TORCH_INDEX={index}"
    torch = next(number for number, step in enumerate(stage.all("RUN")) if "^torch==" in step)
    rest = next(number for number, step in enumerate(stage.all("RUN")) if "-r requirements.txt" in step)
    assert torch < rest


def test_the_mlflow_image_installs_pinned_packages() -> None:
    (install,) = [step for step in stages()["mlflow"].all("RUN") if "pip install" in step]
    (pattern,) = re.findall(r"grep -E '([^']+)'", install)
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if re.search(pattern, line)]
    assert [pin.partition("==")[0] for pin in pins] == ["mlflow", "google-cloud-storage", "psycopg[binary]"]
    assert re.search(r'"Flask-WTF==\d+\.\d+\.\d+"', install), "the sign-in of MLflow needs Flask-WTF"


# ---- the files of the image, without a Docker engine ---------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of /app of the image, by the rules of the Dockerfile and .dockerignore."""
    folder = tmp_path_factory.mktemp("image")
    for source, destination in copied(stages()["app"]):
        for name in files_of(source):
            inside = Path(destination) / (
                Path(name).name if (ROOT / source).is_file() else Path(name).relative_to(source)
            )
            target = folder / (destination if Path(destination).suffix else inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return folder


def within(image: Path, data: Path) -> dict[str, Any]:
    """Return folder and environment of a process in the image, without access to the checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS | {"PYTHONPATH"}}
    given = {"OMP_NUM_THREADS": "1", "VIGIE_DATA_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    return {"cwd": image, "env": environment | given}


@contextmanager
def running(command: list[str], **where: Any) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **where)
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


def test_the_image_holds_what_the_code_needs(image: Path, tmp_path: Path) -> None:
    names = [
        path.relative_to(image).with_suffix("")
        for house in ("core", "mlflow_utils")
        for path in (image / house).rglob("*.py")
    ]
    modules = [".".join(name.parts) for name in names if name.name != "__main__" and "migrations" not in name.parts]
    code = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-c", code], **within(image, tmp_path), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_first_page_comes_from_the_image(image: Path, tmp_path: Path) -> None:
    code = """from streamlit.testing.v1 import AppTest
page = AppTest.from_file("pages/navigation.py", default_timeout=60).run()
assert page.title and not page.exception and not page.error, (page.exception, page.error)"""
    done = subprocess.run(
        [sys.executable, "-c", code], **within(image, tmp_path), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.server
def test_the_app_starts_from_the_image_and_is_healthy(image: Path, tmp_path: Path) -> None:
    port = str(free_port())
    command = [
        sys.executable,
        "-m",
        *(part.replace("8501", port).replace("0.0.0.0", "127.0.0.1") for part in stages()["app"].command()),
    ]
    health = [sys.executable, *(part.replace("8501", port) for part in stages()["app"].health()[1:])]
    with running(command, **within(image, tmp_path)) as process:
        until = time.monotonic() + 60
        while (
            asked := subprocess.run(health, capture_output=True, check=False)
        ).returncode and time.monotonic() < until:
            assert process.poll() is None, "the app stopped during startup"
            time.sleep(0.3)
        assert asked.returncode == 0, asked.stderr.decode()
    assert subprocess.run(health, capture_output=True, check=False).returncode != 0, (
        "the health check passes after the app stopped"
    )


def test_the_worker_looks_once(image: Path, tmp_path: Path) -> None:
    command = [sys.executable, *services()["worker"]["command"][1:], "--once"]
    done = subprocess.run(command, **within(image, tmp_path), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---- compose.yaml --------------------------------------------------------------------------------------------------


def test_services_and_profiles() -> None:
    assert set(services()) == {"app", "worker", "mlflow", "postgres", "gcs", *PROFILES}
    assert {name: service.get("profiles") for name, service in services().items() if "profiles" in service} == {
        name: [profile] for name, profile in PROFILES.items()
    }


@pytest.mark.parametrize("name", sorted(services()))
def test_image_is_built_here_or_pinned(name: str) -> None:
    service = services()[name]
    _, colon, tag = service["image"].rpartition(":")
    assert colon
    assert re.match(r"\d+\.\d+", tag), f"{service['image']}: pin a version"
    if "build" in service:
        assert service["build"]["target"] in stages()
        assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()


@pytest.mark.parametrize("name", sorted(services()))
def test_ports_are_few_and_of_this_machine_only(name: str) -> None:
    port = PUBLISHED.get(name)
    assert services()[name].get("ports", []) == ([f"127.0.0.1:{port}:{port}"] if port else [])


def test_published_ports_are_those_of_the_images() -> None:
    for name in ("app", "mlflow"):
        assert stages()[services()[name]["build"]["target"]].last("EXPOSE") == str(PUBLISHED[name])


@pytest.mark.parametrize("name", sorted(services()))
def test_health_is_watched(name: str) -> None:
    service = services()[name]
    if "build" in service:
        assert "healthcheck" not in service or service["healthcheck"] == {"disable": True}
        assert "HEALTHCHECK" in dict(stages()[service["build"]["target"]].steps)
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


def test_only_the_worker_has_no_health_of_its_own() -> None:
    assert [name for name, service in services().items() if service.get("healthcheck") == {"disable": True}] == [
        "worker"
    ]


@pytest.mark.parametrize("name", sorted(services()))
def test_starts_after_what_it_needs(name: str) -> None:
    for other, how in services()[name].get("depends_on", {}).items():
        assert how["condition"] == "service_healthy"
        assert services()[other].get("healthcheck") != {"disable": True}
        assert PROFILES.get(other) in (None, PROFILES.get(name)), (
            "a service without profile cannot wait for a service with one"
        )


@pytest.mark.parametrize("name", sorted(services()))
def test_addresses_name_services(name: str) -> None:
    service = services()[name]
    seen_by_services = {k: v for k, v in service.get("environment", {}).items() if k != "MLFLOW_PUBLIC_URI"}
    texts = [*map(str, seen_by_services.values()), *service.get("command", [])]
    for host in (host for text in texts for host in re.findall(r"(?:://|@)([a-z][a-z0-9]*):\d+", text)):
        assert host in services()


@pytest.mark.parametrize("name", sorted(services()))
def test_volumes_are_named(name: str) -> None:
    for volume in services()[name].get("volumes", []):
        assert volume.partition(":")[0] in compose()["volumes"]


def test_every_volume_is_used_and_data_is_kept() -> None:
    used = {volume.partition(":")[0] for service in services().values() for volume in service.get("volumes", [])}
    assert used == set(compose()["volumes"])
    assert services()["app"]["volumes"] == services()["worker"]["volumes"] == [f"data:{stages()['app'].last('VOLUME')}"]


@pytest.mark.parametrize("name", sorted(services()))
def test_variables_are_known(name: str) -> None:
    service = services()[name]
    assert set(service.get("environment", {})) <= SETTINGS | OF_OTHERS
    assert set(re.findall(r"\$\{(\w+)", json.dumps(service))) <= SETTINGS | {"POSTGRES_PASSWORD"}


def test_variables_of_the_dockerfile_are_known() -> None:
    assert {name for stage in stages().values() for name in stage.environment()} <= SETTINGS | OF_OTHERS


def test_everything_starts_without_a_single_setting() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert all(default for default in re.findall(r"\$\{\w+(?::-([^}]*))?\}", text))
    assert services()["app"]["env_file"] == services()["worker"]["env_file"] == [{"path": ".env", "required": False}]


def test_app_and_worker_are_one_image_with_one_set_of_settings() -> None:
    app, worker = services()["app"], services()["worker"]
    assert (app["image"], app["build"], app["environment"]) == (worker["image"], worker["build"], worker["environment"])
    assert app["environment"]["VIGIE_DATA_DIR"] == stages()["app"].environment()["VIGIE_DATA_DIR"]
    assert "command" not in app


def test_everybody_signs_in_and_accounts_have_a_database_of_their_own() -> None:
    app, postgres = services()["app"], services()["postgres"]
    assert stages()["app"].environment()["VIGIE_REQUIRE_SIGN_IN"] == "true"
    assert app["environment"]["VIGIE_REQUIRE_SIGN_IN"] == "${VIGIE_REQUIRE_SIGN_IN:-true}"
    assert app["environment"]["DATABASE_URL"].endswith("@postgres:5432/accounts}")
    assert postgres["environment"]["POSTGRES_DB"] != "accounts", (
        "MLflow and the accounts use the same name for their migration table"
    )
    [script] = postgres["configs"]
    assert script["target"].startswith("/docker-entrypoint-initdb.d/")
    assert compose()["configs"][script["source"]]["content"] == "CREATE DATABASE accounts;"


def test_the_mlflow_server() -> None:
    service = services()["mlflow"]
    options = dict(part.removeprefix("--").partition("=")[::2] for part in service["command"][2:])
    assert options["artifacts-destination"] == "gs://vigie"
    assert services()["gcs"]["volumes"] == ["artefacts:/storage/vigie"], "the emulator serves each folder as a bucket"
    assert {"mlflow:5000", "localhost:*"} <= set(options["allowed-hosts"].split(","))
    assert service["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert service["environment"]["MLFLOW_BACKEND_STORE_URI"].startswith("postgresql+psycopg://")
    assert services()["app"]["environment"]["MLFLOW_TRACKING_URI"].endswith(f"http://mlflow:{options['port']}}}")


def test_mlflow_knows_the_options() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "mlflow", "server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in (part.partition("=")[0] for part in services()["mlflow"]["command"][2:]):
        assert re.search(rf"^\s+(?:-\w, )?{option}\b", text, re.MULTILINE), option


# ---- the documents -------------------------------------------------------------------------------------------------


@cache
def documents() -> dict[str, str]:
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()}


@cache
def commands() -> set[str]:
    """List the subcommands of the command line."""
    from typer.main import get_command

    from core.__main__ import build_app

    return set(get_command(build_app()).commands)  # type: ignore[attr-defined]


def code(text: str) -> list[str]:
    """Return inline code and the lines of code blocks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


def test_commands_in_use_exist() -> None:
    assert services()["worker"]["command"][:3] == ["python", "-m", "core"]
    assert services()["worker"]["command"][3] in commands()


@pytest.mark.parametrize("name", sorted(documents()))
def test_commands_in_a_document_exist(name: str) -> None:
    verbs = {verb for text in code(documents()[name]) for verb in re.findall(r"python -m core ([a-z][a-z-]*)", text)}
    assert verbs <= commands()


@pytest.mark.parametrize("name", sorted(documents()))
def test_make_targets_in_a_document_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    lines = [text for text in code(documents()[name]) if text.startswith("make ")]
    words = {word for line in lines for word in shlex.split(line, comments=True)[1:]}
    assert {word for word in words if "=" not in word} <= targets
    assert {word.partition("=")[0] for word in words if "=" in word} <= MAKE_VARIABLES


@pytest.mark.parametrize("name", sorted(set(documents()) - {"design.md"}))  # it also names planned variables
def test_variables_in_a_document_exist(name: str) -> None:
    named = {word for text in code(documents()[name]) for word in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text)}
    assert named <= SETTINGS | OF_OTHERS | MAKE_VARIABLES


@pytest.mark.parametrize("name", sorted(documents()))
def test_links_of_a_document_lead_somewhere(name: str) -> None:
    place = ROOT if name == "README.md" else ROOT / "docs"
    targets = re.findall(r"\]\(([^)#\s]+)", documents()[name])
    assert not [target for target in targets if not target.startswith("http") and not (place / target).exists()]


def test_profiles_in_the_deployment_guide_exist() -> None:
    text = documents()["deployment.md"]
    assert set(re.findall(r"--profile (\w+)", text)) == set(PROFILES.values())
    assert all(str(port) in text for port in PUBLISHED.values())
