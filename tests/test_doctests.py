"""The examples in the docstrings, run module by module."""

import doctest
import gc
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import ROOT

FOLDERS_WITH_EXAMPLES = ("clusterers", "detectors/tables", "detectors/sequences", "forecasters", "data/ingest/layouts")


def list_modules_with_examples() -> list[str]:
    """List the modules that contain at least one example."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in ("core", "mlflow_utils", "pages")
        for path in sorted((ROOT / room).rglob("*.py"))
        if ">>> " in path.read_text(encoding="utf-8")
    ]


@pytest.fixture
def suspended_collection() -> Iterator[None]:
    """Suspend the garbage collector.

    `doctest` walks the cache of source lines, and SQLAlchemy takes the lines of a generated class out of it as soon
    as the class is collected.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("suspended_collection")
@pytest.mark.parametrize("name", list_modules_with_examples())
def test_docstring_examples(name: str) -> None:
    report: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name)):
        doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False).run(example, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("folder", FOLDERS_WITH_EXAMPLES)
def test_every_algorithm_file_has_an_example(folder: str) -> None:
    modules = set(list_modules_with_examples())
    paths = [path for path in sorted((ROOT / "core" / folder).glob("*.py")) if path.name != "__init__.py"]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    public_classes = {name for name, path in names.items() if _defines_algorithm(path)}
    assert public_classes
    assert public_classes <= modules


def _defines_algorithm(path: Path) -> bool:
    """Tell whether a file defines a class with a name on the command line."""
    return '    name = "' in path.read_text(encoding="utf-8")
