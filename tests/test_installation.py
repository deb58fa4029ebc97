"""The installed package: a wheel in a new environment does its main job from an empty folder."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.data.samples import write_sample
from core.settings import ROOT
from core.storage.jobs import JobStore
from mlflow_utils.spool import Spool
from tests.support.concurrency import wait_until
from tests.support.http_client import Visitor, load_page
from tests.support.processes import find_free_port, kill_process_tree, wait_until_reachable
from tests.test_containers import SETTING_NAMES, iter_copied_paths, list_build_files, read_stages

TIMEOUT_S = 600.0  # it imports all libraries from files that no process has read yet


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    options = [
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--disable-pip-version-check",
        "--wheel-dir",
        str(folder),
    ]
    process = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(ROOT), *options], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, f"{process.stderr}\npip install -r requirements-dev.txt installs what builds"
    [path] = folder.glob("*.whl")
    return path


@dataclass(frozen=True)
class Installation:
    """A new environment with the wheel, an empty working folder and the home folder of a user."""

    environment: Path
    home: Path
    working_folder: Path

    def build_options(self, **settings: str) -> dict[str, object]:
        """Return folder and variables of a process that knows neither the checkout nor its settings."""
        variables = {name: value for name, value in os.environ.items() if name not in SETTING_NAMES | {"PYTHONPATH"}}
        # files of Python's own beside the code are no part of the comparison
        variables |= {"HOME": str(self.home), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"} | settings
        variables.pop("XDG_DATA_HOME", None)
        return {"cwd": self.working_folder, "env": variables}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.environment / "bin" / words[0]), *words[1:]],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            **self.build_options(),  # type: ignore[call-overload]
        )

    def list_files(self) -> dict[str, tuple[int, int]]:
        """Return size and time of every file of the environment by its path."""
        paths = [path for path in self.environment.rglob("*") if path.is_file() and not path.is_symlink()]
        facts = {str(path.relative_to(self.environment)): path.stat() for path in paths}
        return {name: (fact.st_size, fact.st_mtime_ns) for name, fact in facts.items()}


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel in an environment that sees the libraries of this one, inside the checkout of another project."""
    folders = [tmp_path_factory.mktemp(name) for name in ("environment", "home", "work")]
    author = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "--quiet"], [*author, "commit", "--quiet", "--allow-empty", "--message", "Begin"]):
        subprocess.run(["git", "-C", str(folders[0]), *words], check=True)
    venv.create(folders[0], with_pip=False)
    [packages] = folders[0].glob("lib/python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(folders[0]), "install", *options, str(wheel)], check=True
    )
    return Installation(*folders)


def test_wheel_has_the_files_of_the_image(wheel: Path) -> None:
    files = {name for source, _ in iter_copied_paths(read_stages()["app"]) for name in list_build_files(source)}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert archive.read("vigie.pth") == b"vigie\n"
    assert names - {"vigie.pth"} == {
        f"vigie/{name}" for name in files - {"LICENSE"} if "babel.cfg" not in name and ".pot" not in name
    }


def test_wheel_needs_the_libraries_of_the_requirements(wheel: Path) -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = archive.read(name).decode().splitlines()
    needs = {line.partition(": ")[2].replace(" ", "") for line in metadata if line.startswith("Requires-Dist:")}
    assert {need.replace("_", "-").lower() for need in needs} == {
        line.replace("_", "-").lower() for line in lines if line and not line.startswith("#")
    }


@pytest.mark.server
def test_installed_package_finds_anomalies_and_serves_pages(installation: Installation) -> None:
    """Data go to the user's folder, or to one that is named from the working folder; nothing else is written."""
    before = installation.list_files()
    write_sample("gas_daily", installation.working_folder / "gas.csv")
    assert "vigie detect" in installation.run("vigie", "detect", "--help").stdout
    process = installation.run("vigie", "detect", "gas.csv", "--json")
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)
    assert answer["metrics"]["anomalies"] > 0
    user_folder = installation.home / ".local" / "share" / "vigie"
    assert (user_folder / "format.json").is_file()
    assert installation.run("python", "-m", "core", "runs", "show", answer["run_id"]).returncode == 0
    [record] = Spool(user_folder / "runs").list_newest(1)
    assert record.tags["code.revision"] == "", (
        "the commit of the folder that holds the environment is not the product's"
    )

    app_port, mlflow_port = str(find_free_port()), str(find_free_port())
    words = [str(installation.environment / "bin" / "vigie"), "serve", "--port", app_port, "--mlflow-port", mlflow_port]
    relative_path = os.path.relpath(user_folder, installation.working_folder)
    options = installation.build_options(VIGIE_DATA_DIR=relative_path, VIGIE_WORKERS="1")
    with (installation.home / "serve.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        url = f"http://127.0.0.1:{app_port}"
        wait_until_reachable(f"{url}/_stcore/health", TIMEOUT_S)
        with Visitor(url).open_tab() as tab:
            assert "gas.csv" in load_page(tab).text
            assert "exception" not in load_page(tab, "anomalies", f"run={answer['run_id']}").kinds
        jobs = JobStore(user_folder / "jobs")
        wait_until(lambda: jobs.list_workers(), TIMEOUT_S)
    finally:
        process.terminate()
        process.wait(TIMEOUT_S)
        kill_process_tree(process)
    assert installation.list_files() == before
    assert {path.name for path in installation.working_folder.iterdir()} == {"gas.csv"}
