"""The structure of the product: allowed imports and the size of modules, read from the source code."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.spec.task import list_task_names

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "mlflow_utils", "pages")

# The subpackages of core by layer, from the top. A module imports from lower layers or from its own subpackage.
LAYERS = (
    ("__main__",),
    ("lifespan", "cli"),
    ("queries",),
    ("operations",),
    ("jobs", "outbox"),
    ("tasks",),
    ("runs", "batch"),
    ("workspace",),
    ("accounts",),
    ("storage",),
    ("watches",),
    ("detectors", "clusterers", "forecasters"),
    ("data",),
    ("glossary",),
    ("evaluation", "exports", "figures"),
    ("spec",),
    ("circuit_breaker",),
    ("errors", "redaction", "language", "phrases"),
    ("settings", "messages", "progress", "lazy_import", "actor", "array_types", "collector", "process_groups"),
    ("",),  # core itself: its version
)
LAYER_BY_SUBPACKAGE = {subpackage: number for number, subpackages in enumerate(LAYERS) for subpackage in subpackages}

TASK_MODULE_PREFIXES = (
    "core.tasks.",
    "pages.analysis.",
    "pages.components.results.",
)  # the folder, page and result of a task

SETTINGS_READERS = {
    "core.workspace",
    "core.cli.worker_check",  # reads the queue alone, because it must be quick
}

TRACKING_LIBRARIES = {"mlflow", "codecarbon"}
SERVICE_LIBRARIES = {"boto3", "botocore", "elasticsearch", "sqlalchemy", "alembic", "google"}
MESSAGE_FORMAT = "google.protobuf."  # of Streamlit; no service
IDENTITY_LIBRARIES = ("google.auth.", "google.oauth2.")  # tokens in requests to MLflow; no service
ALGORITHM_LIBRARIES = {
    "sklearn",
    "torch",
    "gluonts",
    "scipy",
    "lightning",
    "statsforecast",
    "quantile_forest",
    "fracast",
}
HEAVY_LIBRARIES = {"torch", "mlflow", "sklearn"}

IRREGULAR_PARTICIPLES = {
    *("found", "told", "kept", "said", "made", "held", "drawn", "begun", "shown", "known", "written", "sent", "spoken"),
    *("given", "seen", "heard", "learnt", "taken", "gone", "lost", "left", "met", "bent", "laid", "worn"),
}
PREPOSITIONS = {"of", "by", "at", "about", "when", "there", "here", "beside", "for", "until", "without"}
VERBS_IN_ED = {"embed", "feed", "seed", "exceed", "proceed", "need", "shed"}
QUESTION_WORDS = {
    *("what", "who", "whoever", "whatever", "how", "whether", "where", "when", "why", "which", "that", "those"),
    *("is", "are", "does", "do", "has", "have", "can"),
}
MAX_SENTENCE_WORDS = 35


@dataclass(frozen=True)
class Import:
    """An imported module and its line; `is_eager` is true if importing the importer imports it too."""

    module: str
    line: int
    is_eager: bool

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
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def subpackage(self) -> str:
        """The subpackage of core that holds the module."""
        return _get_subpackage(self.name)

    def list_imports(self) -> list[Import]:
        return list(_find_imports(self.tree, is_eager=True))

    def describe_import(self, imported: Import) -> str:
        return f"{self.path.relative_to(ROOT)}:{imported.line} imports {imported.module}"


def _get_subpackage(name: str) -> str:
    """Return the subpackage of core that holds `name`: "data" for core.data.dataset, "" for core itself."""
    return [*name.split("."), ""][1]


@cache
def modules() -> dict[str, Module]:
    """Return the Python files of the product by their dotted names."""
    return {name: _parse_module(name, path) for name, path in find_files().items()}


def find_files() -> dict[str, Path]:
    """Return the paths of these files by the dotted names of their modules."""
    paths = [ROOT / "app.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return dict(zip(names, paths, strict=True))


def _parse_module(name: str, path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(name, path, ast.parse(text), len(text.splitlines()))


def _find_imports(node: ast.AST, is_eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, is_eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield from (Import(f"{child.module}.{alias.name}", child.lineno, is_eager) for alias in child.names)
        else:
            is_deferred = isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
            ) or _is_type_checking_block(child)
            yield from _find_imports(child, is_eager and not is_deferred)


def _is_type_checking_block(node: ast.AST) -> bool:
    """Tell whether the node is `if TYPE_CHECKING:`, whose imports never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _resolve_target(imported: Import) -> str:
    """Return the imported module of the product: core.data.dataset for `from core.data import dataset`."""
    return imported.module if imported.module in modules() else imported.module.rpartition(".")[0]


def _list_forbidden_imports(packages: tuple[str, ...], forbidden: set[str]) -> list[str]:
    selected = (module for module in modules().values() if module.package in packages)
    return [
        module.describe_import(imported)
        for module in selected
        for imported in module.list_imports()
        if imported.package in forbidden and not _proves_identity_to_mlflow(module.name, imported.module)
    ]


def _proves_identity_to_mlflow(importer: str, imported: str) -> bool:
    return importer == "mlflow_utils.google_identity" and imported.startswith(IDENTITY_LIBRARIES)


def test_structure_finds_all_packages() -> None:
    assert {module.package for module in modules().values()} == {"app", *PACKAGES}


def test_core_does_not_import_pages() -> None:
    assert not _list_forbidden_imports(("core",), {"streamlit", "pages", "app"})


def test_core_does_not_print() -> None:
    calls = (
        f"{module.path.relative_to(ROOT)}:{node.lineno}"
        for module in modules().values()
        if module.package in ("core", "mlflow_utils")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )
    assert not list(calls)


def test_only_mlflow_utils_imports_mlflow_and_codecarbon() -> None:
    assert not _list_forbidden_imports(("app", "core", "pages"), TRACKING_LIBRARIES)


def test_mlflow_utils_imports_neither_core_nor_pages() -> None:
    assert not _list_forbidden_imports(
        ("mlflow_utils",), {"core", "pages", "app", "streamlit"} | SERVICE_LIBRARIES | ALGORITHM_LIBRARIES
    )


def test_only_stores_import_service_libraries() -> None:
    outside = (module for module in modules().values() if not module.name.startswith(("core.storage", "core.accounts")))
    assert not [
        module.describe_import(imported)
        for module in outside
        for imported in module.list_imports()
        if imported.package in SERVICE_LIBRARIES
        and not imported.module.startswith(MESSAGE_FORMAT)
        and not _proves_identity_to_mlflow(module.name, imported.module)
    ]


def test_only_workspace_reads_settings() -> None:
    """All other modules use `workspace.settings`, because two workspaces of one process may differ."""
    readers = {
        name
        for name, module in modules().items()
        if name != "core.settings"
        and any(imported.module == "core.settings.get_settings" for imported in module.list_imports())
    }
    assert readers <= SETTINGS_READERS


def test_pages_do_not_import_algorithm_libraries() -> None:
    assert not _list_forbidden_imports(("app", "pages"), TRACKING_LIBRARIES | ALGORITHM_LIBRARIES | {"mlflow_utils"})


def test_only_clock_converts_times() -> None:
    """Stored times pass through the clock of the pages, so that all of them are in one time zone."""
    conversions = re.compile(r"\b(astimezone|fromtimestamp|tz_convert|ZoneInfo|context\.timezone)\b")
    assert not [
        name
        for name, module in modules().items()
        if name.startswith("pages.")
        and name != "pages.components.clock"
        and conversions.search(module.path.read_text(encoding="utf-8"))
    ]


def test_one_function_shows_figures() -> None:
    """Every figure passes through `show_chart`, which gives it its words and its table; running curves have words."""
    places = {
        (name, node.func.attr)
        for name, module in modules().items()
        if name.startswith("pages.")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and re.fullmatch(r"\w+_chart|pyplot", node.func.attr)
        and not node.func.attr.endswith(("show_chart", "explain_chart"))
    }
    assert places == {
        ("pages.components.results.run_widgets", "plotly_chart"),
        ("pages.components.job_progress", "line_chart"),
    }


def test_number_columns_follow_language_of_page() -> None:
    """Formats such as "%.2f" have a decimal point in every language. Fields for numbers have no others but `%g`."""
    formats = {
        (name, found)
        for name, module in modules().items()
        if name.startswith("pages.")
        for found in re.findall(r'format="(%[-+.,\d][^"]*)"', module.path.read_text(encoding="utf-8"))
    }
    assert not formats


def test_pictures_have_text_alternatives() -> None:
    calls = [
        (f"{module.path.relative_to(ROOT)}:{node.lineno}", {keyword.arg for keyword in node.keywords})
        for name, module in modules().items()
        if name.startswith("pages.")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("image", "plotly_chart", "line_chart")
    ]
    assert calls
    assert not [place for place, names in calls if "alt" not in names]


def test_pages_import_core() -> None:
    scripts = [module for module in modules().values() if module.name.startswith(("pages.data.", "pages.analysis."))]
    assert scripts
    assert not [
        module.name for module in scripts if "core" not in {imported.package for imported in module.list_imports()}
    ]


def test_core_imports_lower_layers_only() -> None:
    upwards = []
    for module in (module for module in modules().values() if module.package == "core"):
        for imported in (imported for imported in module.list_imports() if imported.package == "core"):
            subpackage = _get_subpackage(_resolve_target(imported))
            assert {subpackage, module.subpackage} <= set(LAYER_BY_SUBPACKAGE), (
                f"{module.describe_import(imported)}: give the new room a floor in FLOORS"
            )
            if (
                subpackage != module.subpackage
                and LAYER_BY_SUBPACKAGE[subpackage] <= LAYER_BY_SUBPACKAGE[module.subpackage]
            ):
                upwards.append(module.describe_import(imported))
    assert not upwards


def test_runs_and_specs_import_no_task() -> None:
    """They read the registry, so a new task needs no edit there. `sequences evaluate` is a command of its own."""
    subpackages = ("runs", "spec", "jobs", "outbox", "operations", "cli", "storage", "data")
    core = (module for module in modules().values() if module.package == "core" and module.subpackage in subpackages)
    selected = [module for module in core if module.name != "core.cli.sequences"]
    assert not [
        module.describe_import(imported)
        for module in selected
        for imported in module.list_imports()
        if _is_task_module(_resolve_target(imported))
    ]


def _is_task_module(name: str) -> bool:
    return name.startswith("core.tasks.")


def test_task_names_stay_in_task_folders() -> None:
    """Two task names in one literal are a table; a comparison with a name is an `if` that a new task needs too."""
    names = set(list_task_names())
    lines = [
        f"{module.path.relative_to(ROOT)}:{node.lineno}"
        for module in modules().values()
        if not module.name.startswith(TASK_MODULE_PREFIXES)
        for node in ast.walk(module.tree)
        if _is_table(node, names) or _is_comparison(node, names)
    ]
    assert not lines


def _is_table(node: ast.AST, names: set[str]) -> bool:
    """Tell whether a literal has two names of tasks among its elements or keys."""
    parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    return len({part.value for part in parts if isinstance(part, ast.Constant) and part.value in names}) > 1


def _is_comparison(node: ast.AST, names: set[str]) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    return any(isinstance(side, ast.Constant) and side.value in names for side in (node.left, *node.comparators))


def test_imports_form_no_cycle() -> None:
    """Imports inside functions do not count."""
    targets_by_module = {
        name: {_resolve_target(imported) for imported in module.list_imports() if imported.is_eager}
        & set(modules()) - {name}
        for name, module in modules().items()
    }
    while ends := {
        name
        for name in targets_by_module
        if not targets_by_module[name] or name not in set().union(*targets_by_module.values())
    }:
        targets_by_module = {name: targets - ends for name, targets in targets_by_module.items() if name not in ends}
    assert not targets_by_module, f"in a circle: {sorted(targets_by_module)}"


def test_modules_have_docstring_name_and_limited_length() -> None:
    """Each module has a docstring, fewer than 400 lines, and a name that says what it holds."""
    empty_names = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert not [name for name, module in modules().items() if not ast.get_docstring(module.tree)]
    assert not [(name, module.lines) for name, module in modules().items() if module.lines >= 400]
    assert not [name for name in modules() if empty_names & set(name.split("."))]


def test_imports_of_first_pages_load_no_heavy_library() -> None:
    """Commands start quickly, and sign-in and the first pages appear before any model library is loaded."""
    first = ("app", "pages.navigation", "pages.account.sign_in", "pages.home.home", "pages.data.load")
    scripts = [module for name, module in modules().items() if name in first or name.startswith("pages.components.")]
    imports = {_resolve_target(found) for module in scripts for found in module.list_imports() if found.is_eager}
    names = ["core.settings", "core.errors", "core.messages", "core.runs.tracked_run", "core.data.ingest.loading"]
    names += ["core.lifespan", *sorted(name for name in imports if name.startswith("core"))]
    assert len(names) > 20
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        f"    importlib.import_module(name)\n"
        f"    if loaded := {HEAVY_LIBRARIES} & set(sys.modules):\n"
        f"        sys.exit(f'{{name}} loads {{loaded}}')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


# ---- names and docstrings -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Definition:
    """A class or function of the product, with its place in the source."""

    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    qualified_name: str
    location: str

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def place(self) -> str:
        return f"{self.location} {self.qualified_name}"

    @property
    def is_public(self) -> bool:
        """True if no part of the qualified name starts with an underscore."""
        return not any(part.startswith("_") for part in self.qualified_name.split("."))

    @property
    def decorators(self) -> str:
        return " ".join(map(ast.unparse, self.node.decorator_list))

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.node) or ""


@cache
def list_definitions() -> tuple[Definition, ...]:
    """List every class, function and method of the product; functions inside functions are not listed."""
    return tuple(entry for module in modules().values() for entry in _iter_definitions(module, module.tree.body))


def _iter_definitions(module: Module, body: list[ast.stmt], parent: str = "") -> Iterator[Definition]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield Definition(node, f"{parent}{node.name}", f"{module.path.relative_to(ROOT)}:{node.lineno}")
        if isinstance(node, ast.ClassDef):
            yield from _iter_definitions(module, node.body, f"{parent}{node.name}.")


def _list_public_definitions() -> list[Definition]:
    return [entry for entry in list_definitions() if entry.is_public]


def _is_participle(word: str) -> bool:
    return word in IRREGULAR_PARTICIPLES or (word.endswith("ed") and word not in VERBS_IN_ED)


def test_class_names_are_unique() -> None:
    counts = Counter(entry.name for entry in list_definitions() if isinstance(entry.node, ast.ClassDef))
    assert not [name for name, count in counts.items() if count > 1]


def test_function_names_are_verbs() -> None:
    """No function is named by a participle or a preposition: `load_dataset`, not `loaded` or `dataset_of`."""
    functions = [entry for entry in list_definitions() if not isinstance(entry.node, ast.ClassDef)]
    words = {entry.place: entry.name.strip("_").split("_") for entry in functions if "property" not in entry.decorators}
    assert not [
        place
        for place, parts in words.items()
        if _is_participle(parts[0]) or parts[0] in PREPOSITIONS or parts[-1] in PREPOSITIONS
    ]


def test_public_definitions_have_docstrings() -> None:
    """Overriding methods have the docstring of the method that they override."""
    assert not [
        entry.place
        for entry in _list_public_definitions()
        if not entry.docstring and not {"override", "overload"} & set(re.split(r"\W+", entry.decorators))
    ]


def test_docstrings_start_with_verb_or_noun() -> None:
    """No docstring starts as a question; ruff's rule D401 rejects verbs that are not imperative."""
    docstrings = {entry.place: entry.docstring for entry in list_definitions()}
    docstrings |= {name: ast.get_docstring(module.tree) or "" for name, module in modules().items()}
    first_words = {place: re.split(r"\W+", text.lstrip("`"))[0].lower() for place, text in docstrings.items() if text}
    assert not [place for place, word in first_words.items() if word in QUESTION_WORDS]


def test_docstring_sentences_are_short() -> None:
    """Tables of fields (two spaces after a name), lists and examples are not sentences."""
    long_sentences = [
        (entry.place, sentence)
        for entry in list_definitions()
        for sentence in _split_sentences(entry.docstring)
        if len(sentence.split()) > MAX_SENTENCE_WORDS
    ]
    assert not long_sentences


def _split_sentences(docstring: str) -> list[str]:
    paragraphs = [
        paragraph
        for paragraph in docstring.split("\n\n")
        if not re.search(r"^ *(?:[\w, ]+  +\S|- |>>> |[│├└])", paragraph, re.MULTILINE)
    ]
    return [
        sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split()))
    ]


def test_test_names_are_unique() -> None:
    counts = Counter(
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )
    assert not [name for name, count in counts.items() if count > 1]
