"""The structure of the product: allowed imports and the size of modules, read from the source code."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from core.spec.task import task_names

ROOT = Path(__file__).resolve().parent.parent
HOUSES = ("core", "mlflow_utils", "pages")

# The subpackages of core by layer, from the top. A module imports from lower layers or from its own subpackage.
FLOORS = (
    ("__main__",),
    ("lifespan", "cli"),
    ("job_handlers",),
    ("operations",),
    ("jobs", "outbox"),
    ("tasks",),
    ("runs", "batch"),
    ("workspace",),
    ("accounts",),
    ("storage",),
    ("detectors", "clusterers", "forecasters"),
    ("data",),
    ("evaluation", "exports", "figures"),
    ("spec",),
    ("circuit_breaker",),
    ("errors", "redaction"),
    ("settings", "messages", "progress", "lazy_import", "actor"),
    ("",),  # core itself: its version
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

TASKS_LIVE_IN = ("core.tasks.", "pages.analysis.", "pages.components.results.")  # the folder, page and result of a task

ENTRANCES = {"core.workspace", "core.cli.serve"}  # `serve` starts the processes that build a workspace

EXPERIMENTS = {"mlflow", "codecarbon"}
SERVICES = {"boto3", "botocore", "elasticsearch", "sqlalchemy", "alembic", "google"}
ALGORITHMS = {"sklearn", "torch", "gluonts", "scipy", "lightning"}
HEAVY = {"torch", "mlflow", "sklearn"}


@dataclass(frozen=True)
class Import:
    """An imported module and its line; `at_once` is true if importing the importer imports it too."""

    module: str
    line: int
    at_once: bool

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """A file of the product with its dotted name."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def house(self) -> str:
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        """The subpackage of core that holds the module."""
        return _room(self.name)

    def imports(self) -> list[Import]:
        return list(_imports(self.tree, at_once=True))

    def where(self, found: Import) -> str:
        return f"{self.path.relative_to(ROOT)}:{found.line} imports {found.module}"


def _room(name: str) -> str:
    """Return the subpackage of core that holds `name`: "data" for core.data.dataset, "" for core itself."""
    return [*name.split("."), ""][1]


@cache
def modules() -> dict[str, Module]:
    """Return the Python files of the product by their dotted names."""
    paths = [ROOT / "app.py", *(path for house in HOUSES for path in sorted((ROOT / house).rglob("*.py")))]
    return {module.name: module for module in map(_module, paths)}


def _module(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, path, ast.parse(text), len(text.splitlines()))


def _imports(node: ast.AST, at_once: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_once) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (Import(f"{child.module}.{alias.name}", child.lineno, at_once) for alias in child.names)
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_types(child)
            yield from _imports(child, at_once and not later)


def _is_for_types(node: ast.AST) -> bool:
    """Tell whether the node is `if TYPE_CHECKING:`, whose imports never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _target(found: Import) -> str:
    """Return the imported module of the product: core.data.dataset for `from core.data import dataset`."""
    return found.module if found.module in modules() else found.module.rpartition(".")[0]


def _breaches(houses: tuple[str, ...], forbidden: set[str]) -> list[str]:
    every = (module for module in modules().values() if module.house in houses)
    return [module.where(found) for module in every for found in module.imports() if found.package in forbidden]


def test_the_product_was_found() -> None:
    assert {module.house for module in modules().values()} == {"app", *HOUSES}


def test_core_knows_no_screen() -> None:
    assert not _breaches(("core",), {"streamlit", "pages", "app"})


def test_core_never_prints() -> None:
    calls = (
        f"{module.path.relative_to(ROOT)}:{node.lineno}"
        for module in modules().values()
        if module.house in ("core", "mlflow_utils")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )
    assert not list(calls)


def test_only_mlflow_utils_knows_mlflow_and_codecarbon() -> None:
    assert not _breaches(("app", "core", "pages"), EXPERIMENTS)


def test_mlflow_utils_knows_neither_core_nor_pages() -> None:
    assert not _breaches(("mlflow_utils",), {"core", "pages", "app", "streamlit"} | SERVICES | ALGORITHMS)


def test_services_are_called_from_the_stores_alone() -> None:
    outside = (module for module in modules().values() if not module.name.startswith(("core.storage", "core.accounts")))
    assert not [module.where(found) for module in outside for found in module.imports() if found.package in SERVICES]


def test_settings_are_read_where_the_workspace_is_built_alone() -> None:
    """All other modules use `workspace.settings`, because two workspaces of one process may differ."""
    readers = {
        name
        for name, module in modules().items()
        if name != "core.settings" and any(found.module == "core.settings.settings" for found in module.imports())
    }
    assert readers <= ENTRANCES


def test_pages_know_no_algorithm_library() -> None:
    assert not _breaches(("app", "pages"), EXPERIMENTS | ALGORITHMS | {"mlflow_utils"})


def test_pages_ask_core() -> None:
    scripts = [module for module in modules().values() if module.name.startswith(("pages.data.", "pages.analysis."))]
    assert scripts
    assert not [module.name for module in scripts if "core" not in {found.package for found in module.imports()}]


def test_core_imports_downwards() -> None:
    upwards = []
    for module in (module for module in modules().values() if module.house == "core"):
        for found in (found for found in module.imports() if found.package == "core"):
            room = _room(_target(found))
            assert {room, module.room} <= set(FLOOR), f"{module.where(found)}: give the new room a floor in FLOORS"
            if room != module.room and FLOOR[room] <= FLOOR[module.room]:
                upwards.append(module.where(found))
    assert not upwards


def test_runs_and_specs_know_no_task() -> None:
    """They read the registry, so a new task needs no edit there. `sequences evaluate` is a command of its own."""
    rooms = ("runs", "spec", "jobs", "outbox", "operations", "cli", "storage", "data")
    core = (module for module in modules().values() if module.house == "core" and module.room in rooms)
    known = [module for module in core if module.name != "core.cli.sequences"]
    assert not [module.where(found) for module in known for found in module.imports() if _names_a_task(_target(found))]


def _names_a_task(name: str) -> bool:
    return name.startswith("core.tasks.")


def test_no_table_of_tasks_outside_their_folder() -> None:
    """Two task names in one literal are a table; a comparison with a name is an `if` that a new task needs too."""
    names = set(task_names())
    found = [
        f"{module.path.relative_to(ROOT)}:{node.lineno}"
        for module in modules().values()
        if not module.name.startswith(TASKS_LIVE_IN)
        for node in ast.walk(module.tree)
        if _is_table(node, names) or _is_comparison(node, names)
    ]
    assert not found


def _is_table(node: ast.AST, names: set[str]) -> bool:
    """Tell whether a literal has two names of tasks among its elements or keys."""
    parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    return len({part.value for part in parts if isinstance(part, ast.Constant) and part.value in names}) > 1


def _is_comparison(node: ast.AST, names: set[str]) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    return any(isinstance(side, ast.Constant) and side.value in names for side in (node.left, *node.comparators))


def test_imports_make_no_circle() -> None:
    """Imports inside functions do not count."""
    arrows = {
        name: {_target(found) for found in module.imports() if found.at_once} & set(modules()) - {name}
        for name, module in modules().items()
    }
    while ends := {name for name in arrows if not arrows[name] or name not in set().union(*arrows.values())}:
        arrows = {name: targets - ends for name, targets in arrows.items() if name not in ends}
    assert not arrows, f"in a circle: {sorted(arrows)}"


@pytest.mark.parametrize("name", sorted(modules()))
def test_module(name: str) -> None:
    """A module has a docstring, fewer than 400 lines, and a name that says what it holds."""
    module = modules()[name]
    assert ast.get_docstring(module.tree), f"{name} has no docstring"
    assert module.lines < 400, f"{name} has {module.lines} lines"
    assert not {"utils", "util", "helpers", "helper", "manager", "common", "misc"} & set(module.name.split("."))


def _loaded_by(names: list[str]) -> set[str]:
    """Return the heavy libraries that a fresh process has loaded after importing the modules `names`."""
    code = f"import sys, {', '.join(names)}; print(*({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "names",
    [
        ["core.settings", "core.errors", "core.messages", "core.runs.tracked_run"],
        ["core.data.ingest.loading"],
        ["core.lifespan"],
    ],
    ids=lambda names: names[-1],
)
def test_light_imports(names: list[str]) -> None:
    assert not _loaded_by(names)


def test_the_first_page_is_light() -> None:
    """Sign-in and the page *Load data* appear before any model library is loaded."""
    first = ("app", "pages.navigation", "pages.account.sign_in", "pages.data.load")
    scripts = [module for name, module in modules().items() if name in first or name.startswith("pages.components.")]
    wanted = {_target(found) for module in scripts for found in module.imports() if found.at_once}
    wanted = {name for name in wanted if name.startswith("core")}
    assert wanted
    assert not _loaded_by(sorted(wanted))
