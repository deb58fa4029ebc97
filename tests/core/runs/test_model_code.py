"""Code of models: every class that a model may hold can be imported from the modules that are copied with it."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.runs import model_loader
from core.runs.model_files import MODEL_PACKAGES, list_trusted_types
from core.runs.model_loader import OWN_PACKAGE
from core.settings import ROOT
from mlflow_utils.model_code import collect_code, extend_packages, find_distributions, pin_distributions

PROGRAM = """
import json, os, sys, importlib, warnings
warnings.simplefilter("ignore")
for name in json.loads(sys.argv[1]):  # once, and not in each fork
    importlib.import_module(name)
failures = {}
for name, folder in json.loads(sys.stdin.read()).items():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        sys.path.insert(0, folder)
        message = ""
        try:
            module, _, cls = name.rpartition(".")
            getattr(importlib.import_module(module), cls)
            importlib.import_module("core.runs.model_loader")
        except BaseException as error:
            message = repr(error)
        os.write(write, message.encode()[:4000])
        os._exit(0)
    os.close(write)
    if message := os.read(read, 4000).decode():
        failures[name] = message
    os.close(read)
    os.waitpid(pid, 0)
print(json.dumps(failures))
"""
"""Program that imports each class in a fork of its own, from the folder with its code."""
LIBRARIES = ("pandas", "scipy.stats", "sklearn.ensemble", "skops.io", "torch")


def test_every_model_class_is_importable_from_its_code(tmp_path: Path) -> None:
    """Imports are read from the source, so a module that is imported by name at run time would be missing here."""
    folders: dict[str, str] = {}
    names = [name for name in list_trusted_types() if name.startswith(OWN_PACKAGE)]
    by_module = {name.rpartition(".")[0]: name for name in names}
    for number, (module, name) in enumerate(by_module.items()):
        code = collect_code(ROOT, [model_loader.__name__, module], MODEL_PACKAGES)
        code.copy(tmp_path / str(number))
        folders[name] = str(tmp_path / str(number))
    assert len(folders) > 30
    process = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, json.dumps(LIBRARIES)],
        input=json.dumps(folders),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert json.loads(process.stdout) == {}


def test_code_has_no_higher_layer() -> None:
    """A model needs neither tasks nor stores nor pages, whatever it is."""
    names = [name for name in list_trusted_types() if name.startswith(OWN_PACKAGE)]
    modules = collect_code(ROOT, [model_loader.__name__, *names], MODEL_PACKAGES).modules
    rooms = {name.split(".")[1] for name in modules if name.startswith("core.")}
    assert not rooms & {"tasks", "jobs", "cli", "accounts", "storage", "operations", "outbox", "workspace", "lifespan"}
    assert not {name for name in modules if name.split(".")[0] not in ("core", "mlflow_utils")}


def test_lazy_imports_of_readers_are_no_requirement() -> None:
    """A forecaster without a network does not require torch, which a reader of files imports in a function."""
    ridge = collect_code(ROOT, ["core.forecasters.forecast_model", "core.forecasters.ridge"], MODEL_PACKAGES)
    network = collect_code(ROOT, ["core.detectors.sequences.sgmvrnn_detector"], MODEL_PACKAGES)
    assert "torch" not in ridge.distributions
    assert "torch" in network.distributions


def test_distributions_are_pinned_without_local_part(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_distributions(["sklearn", "json", "not_installed"]) == ("scikit-learn",)
    monkeypatch.setattr("mlflow_utils.model_code.read_version", lambda name: "2.9.1+cpu")
    assert pin_distributions(["torch", "torch"]) == ["torch==2.9.1"]


def test_second_folder_of_code_extends_loaded_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, module in (("first", "one"), ("second", "two")):
        (tmp_path / folder / "pack").mkdir(parents=True)
        (tmp_path / folder / "pack" / "__init__.py").write_text("")
        (tmp_path / folder / "pack" / f"{module}.py").write_text(f"NAME = {module!r}")
    monkeypatch.syspath_prepend(tmp_path / "first")
    assert importlib.import_module("pack.one").NAME == "one"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pack.two")
    extend_packages(tmp_path / "second")
    importlib.invalidate_caches()
    assert importlib.import_module("pack.two").NAME == "two"
    extend_packages(tmp_path / "second")
    assert sys.modules["pack"].__path__.count(str(tmp_path / "second" / "pack")) == 1
