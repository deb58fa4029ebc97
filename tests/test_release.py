"""Papers of a release: one version everywhere, a lock file that can be installed, hooks and continuous integration."""

import re
import tomllib

import pytest
import yaml

from core import __version__
from core.settings import ROOT
from tests.test_containers import read_services

PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==(\S+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
LOCK_FILE = ROOT / "requirements.lock"
CUDA_LIBRARY = re.compile(r"nvidia-(?!ml-py).*")  # nvidia-ml-py only asks the driver; codecarbon needs it


def read_pins(text: str) -> dict[str, str]:
    """Return the versions of the libraries of a list by their names, as package indexes compare them."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = [PIN.match(line) for line in lines]
    return {re.sub(r"[-_.]+", "-", pin[1]).lower(): pin[2].partition(";")[0] for pin in found if pin}


def list_lock_faults(lock: str, requirements: str) -> list[str]:
    """List what is wrong with a lock file: addresses, paths, libraries without a hash, and those that are missing."""
    entries = [entry for entry in re.sub(r"#.*", "", lock).replace("\\\n", " ").splitlines() if entry.strip()]
    faults = [
        entry for entry in entries if not PIN.match(entry) or not HASH.search(entry) or re.search(r"://|/", entry)
    ]
    locked, wanted = read_pins(lock), read_pins(requirements)
    faults += [name for name, version in wanted.items() if name != "torch" and locked.get(name) != version]
    return faults + [name for name in locked if name in ("torch", "triton") or CUDA_LIBRARY.fullmatch(name)]


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("lock", "faults"),
    [
        (f"a-b==1.0 \\\n    --hash=sha256:{DIGEST} \\\n    --hash=sha256:{DIGEST}\n    # via -r requirements.txt\n", 0),
        (f"A_b==1.0 ; python_version < '4' \\\n    --hash=sha256:{DIGEST}\n", 0),
        ("a-b==1.0\n", 1),
        (f"a-b==1.1 --hash=sha256:{DIGEST}\n", 1),
        (f"a-b>=1.0 --hash=sha256:{DIGEST}\n", 2),
        (f"--index-url https://example.org/simple\na-b==1.0 --hash=sha256:{DIGEST}\n", 1),
        (f"a-b==1.0 --hash=sha256:{DIGEST}\nc @ file:///home/c.whl --hash=sha256:{DIGEST}\n", 1),
        (f"a-b==1.0 --hash=sha256:{DIGEST}\nnvidia-nccl==2 --hash=sha256:{DIGEST}\n", 1),
        (f"a-b==1.0 --hash=sha256:{DIGEST}\ntorch==2.0 --hash=sha256:{DIGEST}\n", 1),
        ("", 1),
    ],
)
def test_faults_of_lock_files_are_found(lock: str, faults: int) -> None:
    assert len(list_lock_faults(lock, "# Code\na-b==1.0\ntorch==2.0\n")) == faults


def test_lock_file_holds_requirements_with_hashes() -> None:
    if not LOCK_FILE.exists():
        pytest.skip("no requirements.lock: `make lock` writes it for a release")
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not list_lock_faults(LOCK_FILE.read_text(encoding="utf-8"), requirements)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-release.txt"])
def test_requirements_have_exact_versions(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line and not line.startswith("#") and not PIN.fullmatch(line)]


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    images = {service["image"].rpartition(":")[2] for service in read_services().values() if "build" in service}
    assert {project["version"], *images} == {__version__}
    assert f"## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_workflow_runs_the_script_of_continuous_integration() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    [job] = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run"]
    assert (ROOT / ".ci" / "run").is_file()
    assert workflow["permissions"] == {"contents": "read"}


def test_versions_of_python_are_those_of_the_workflow() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    named = [name.rpartition(" ")[2] for name in project["classifiers"] if "Python :: 3." in name]
    assert named == versions
    first, last = (tuple(map(int, version.split("."))) for version in (versions[0], versions[-1]))
    assert project["requires-python"] == f">={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"{first} <= sys.version_info < {(last[0], last[1] + 1)}" in makefile


def test_hooks_before_a_commit_start_tools_of_the_tests() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    tools = read_pins((ROOT / "requirements-dev.txt").read_text(encoding="utf-8"))
    for hook in repository["hooks"]:
        program, *words = hook["entry"].split()
        tool = words[words.index("-m") + 1] if "-m" in words else program.removeprefix(".venv/bin/")
        assert tool in tools
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
