"""Models as files: MLflow model folders without pickles.

A folder holds one skops file. Loading constructs only the classes that the caller trusts, and those that skops treats
as safe: scikit-learn estimators, NumPy arrays, plain Python values. The file is checked before anything is imported or
built. The source of the modules that the model needs lies beside it, for MLflow in an environment without the product.
The product itself never loads this code.
"""

import hashlib
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_utils.model_code import CODE_FOLDER, ModelCode, collect_code, find_distributions, pin_distributions

_read_lock = (
    threading.Lock()
)  # NumPy parses headers of arrays with `ast`, which may fail in concurrent threads of Python 3.11
MODEL_FILE = Path("data") / "model.skops"
PICKLE_FILE = "python_model.pkl"


class UntrustedModelError(Exception):
    """A model that is not saved or not loaded, with the reason."""


@dataclass(frozen=True)
class ModelPolicy:
    """Conditions for saving a model.

    trusted_types  full names of the classes that a model may contain
    loader_module  module with `_load_pyfunc(path)`, for MLflow
    libraries      distributions that are recorded with the model, beside those that its code imports
    source         folder of the source code that is copied with the model
    algorithm_packages  packages whose functions import libraries that a fitted model needs
    """

    trusted_types: Collection[str]
    loader_module: str
    libraries: tuple[str, ...]
    source: Path
    algorithm_packages: tuple[str, ...]


def save_model(folder: Path, model: Any, example: Any, prediction: Any, policy: ModelPolicy) -> None:
    """Write `model`, which needs `predict(table)`, as an MLflow pyfunc model with signature below `folder`.

    The signature is inferred from the input `example` and the prediction `prediction`. Raises UntrustedModelError for a
    model that `load_model` would not load.
    """
    with tempfile.TemporaryDirectory() as temp_folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an input example would run the model once more, in a child process
        model_path = Path(temp_folder) / MODEL_FILE.name
        names = _dump_model(model, model_path, policy.trusted_types)
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        code, type_libraries = _collect_code(names, policy)
        mlflow.pyfunc.save_model(
            folder,
            loader_module=policy.loader_module,
            data_path=str(model_path),
            signature=infer_signature(example, prediction),
            code_paths=code.copy(Path(temp_folder) / CODE_FOLDER),
            pip_requirements=pin_distributions({*policy.libraries, *type_libraries, *code.distributions}),
        )


def load_model(folder: Path, trusted_types: Collection[str]) -> Any:
    """Load the model that `save_model` wrote to `folder`. Raises UntrustedModelError as `read_model` does."""
    if not (folder / MODEL_FILE).is_file():
        has_pickle = (folder / PICKLE_FILE).exists()
        raise UntrustedModelError("a pickle, which could run any code" if has_pickle else f"no {MODEL_FILE.name} in it")
    return read_model(folder / MODEL_FILE, trusted_types)


def list_types(path: Path) -> list[str]:
    """Return the full names of the classes in a skops file, without those that skops treats as safe."""
    import skops.io  # type: ignore[import-untyped]

    return sorted(set(skops.io.get_untrusted_types(file=path)))


def read_model(path: Path, trusted_types: Collection[str]) -> Any:
    """Read the model of a skops file.

    Raises UntrustedModelError, before anything is built, for a class that is not in `trusted_types`.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException  # type: ignore[import-untyped]

    try:
        with _read_lock:
            return skops.io.load(path, trusted=list(trusted_types))
    except UntrustedTypesFoundException as error:
        raise UntrustedModelError(_join_untrusted_types(list_types(path), trusted_types)) from error
    except Exception as error:
        raise UntrustedModelError(f"{type(error).__name__}: {error}") from error


def compute_digest(folder: Path) -> str:
    """Return the SHA-256 of the model in `folder`. Raises UntrustedModelError where there is none."""
    try:
        with (folder / MODEL_FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UntrustedModelError(f"no {MODEL_FILE.name} in it") from error


def _collect_code(names: Sequence[str], policy: ModelPolicy) -> tuple[ModelCode, tuple[str, ...]]:
    """Return the code of the loader and of the classes `names`, and the distributions of those of other packages."""
    code = collect_code(policy.source, [policy.loader_module, *names], policy.algorithm_packages)
    others = {name.partition(".")[0] for name in names if name.partition(".")[0] not in code.modules}
    return code, find_distributions(others)


def _dump_model(model: Any, path: Path, trusted_types: Collection[str]) -> list[str]:
    """Write the file of a model and return its classes, as `list_types` does."""
    import skops.io

    try:
        skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except Exception as error:
        raise UntrustedModelError(f"{type(error).__name__}: {error}") from error
    names = list_types(path)
    if untrusted_types := _join_untrusted_types(names, trusted_types):
        raise UntrustedModelError(untrusted_types)
    return names


def _join_untrusted_types(names: Collection[str], trusted_types: Collection[str]) -> str:
    """Return those of the classes that are not trusted, as text; "" for none."""
    return ", ".join(sorted(set(names) - set(trusted_types)))
