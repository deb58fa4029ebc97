"""Source code that a model needs: the modules it imports, copied beside it, and the libraries they import.

A model with its code is loaded by MLflow in an environment that has the libraries but not the product. Imports are read
from the source, so that nothing depends on what this process has imported before.
"""

import ast
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

read_version = cache(version)  # of a distribution; each time, the library reads a file
CODE_FOLDER = "code"  # below the folder of the model; the name is MLflow's
NAMED_IMPORTS = ("import_module", "LazyModule")  # calls that import the module with the name they are given


@dataclass(frozen=True)
class ModelCode:
    """Modules that a model needs, and the distributions of the libraries that they import.

    modules  full name → source file
    """

    modules: dict[str, Path]
    distributions: tuple[str, ...]

    def copy(self, folder: Path) -> list[str]:
        """Copy the modules below `folder`, and return the folders of the top packages for MLflow's `code_paths`."""
        for name, path in self.modules.items():
            target = folder.joinpath(*name.split("."))
            target = target / path.name if path.name == "__init__.py" else target.with_suffix(".py")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        return [str(path) for path in sorted(folder.iterdir())]


def collect_code(root: Path, modules: Collection[str], algorithm_packages: Collection[str]) -> ModelCode:
    r"""Return what `modules` of the source folder `root` import, directly or through other modules of `root`.

    A library that a function imports counts where the module is in `algorithm_packages`. Elsewhere such an import is
    for a work that no fitted model does, such as reading a file format.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> _ = (root / "one.py").write_text("import numpy\nfrom two import three")
        >>> _ = (root / "two.py").write_text("def read():\n    import pandas")
        >>> code = collect_code(root, ["one"], [])
        >>> sorted(code.modules), code.distributions
        (['one', 'two'], ('numpy',))
    """
    files: dict[str, Path] = {}
    libraries: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _find_file(root, name)
        if path is None and "." in name:  # a class or a function of a module
            waiting.append(name.rpartition(".")[0])
        if name in files or path is None:
            continue
        files[name] = path
        waiting += [name.rpartition(".")[0]] if "." in name else []
        is_algorithm = any(name == package or name.startswith(f"{package}.") for package in algorithm_packages)
        for imported, is_lazy in _list_imports(path):
            top = imported.partition(".")[0]
            if _find_file(root, top) is not None:
                waiting.append(imported)
            elif is_algorithm or not is_lazy:
                libraries.add(top)
    return ModelCode(dict(sorted(files.items())), find_distributions(libraries))


def find_distributions(libraries: Collection[str]) -> tuple[str, ...]:
    """Return the distributions that provide import packages, sorted; none for the standard library."""
    names = {name for library in libraries for name in _map_distributions().get(library, ())[:1]}
    return tuple(sorted(names, key=str.casefold))


def pin_distributions(names: Collection[str]) -> list[str]:
    """Return "name==installed version" of distributions, without a local part that no index has.

    Example:
        >>> [pin] = pin_distributions(["numpy"])
        >>> pin.startswith("numpy==")
        True
    """
    return [f"{name}=={read_version(name).partition('+')[0]}" for name in sorted(set(names), key=str.casefold)]


def extend_packages(folder: Path) -> None:
    """Let the loaded packages find further modules in `folder`.

    Two models with code may be loaded by one process. The second needs modules that the first did not bring.
    """
    for name, module in list(sys.modules.items()):
        package_folder = folder.joinpath(*name.split("."))
        paths = getattr(module, "__path__", None)
        if isinstance(paths, list) and package_folder.is_dir() and str(package_folder) not in paths:
            paths.append(str(package_folder))


@cache
def _find_file(root: Path, name: str) -> Path | None:
    path = root.joinpath(*name.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@cache
def _map_distributions() -> dict[str, list[str]]:
    return {library: sorted(set(names)) for library, names in packages_distributions().items()}


@cache
def _list_imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Return the names that a file imports, and whether a function does so; not those for type checks only."""
    return tuple(_iter_imports(ast.parse(path.read_bytes()), is_lazy=False))


def _iter_imports(node: ast.AST, is_lazy: bool) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, is_lazy) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((f"{node.module}.{alias.name}", is_lazy) for alias in node.names)
    elif name := _find_named_import(node):
        yield name, True
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    is_type_check = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    for child in node.orelse if isinstance(node, ast.If) and is_type_check else ast.iter_child_nodes(node):
        yield from _iter_imports(child, is_lazy or is_function)


def _find_named_import(node: ast.AST) -> str:
    """Return the module that a call imports by its name, such as `LazyModule("torch")`; "" for another node."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return ""
    function = ast.unparse(node.func).rpartition(".")[2]
    return str(node.args[0].value) if function in NAMED_IMPORTS else ""
