"""Models as files: an MLflow model folder that holds no code and no pickle.

It has one skops file and a list of who may be in it. Reading constructs only classes that the reader names (and those
skops itself calls safe: scikit-learn's estimators, NumPy's arrays, plain Python values); the file is audited before
anything is imported or built. MLflow serves such a folder through a module of ours that it calls by name, never
through code in the folder.
"""

import hashlib
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

_reading = (
    threading.Lock()
)  # headers of arrays are parsed by `ast`, which in Python 3.11 fails now and then in two threads at once
FILE = Path("data") / "model.skops"
PICKLE = "python_model.pkl"


class UntrustedModelError(Exception):
    """A model that is not written or not read; the text says why."""


@dataclass(frozen=True)
class Terms:
    """What a program accepts as its models.

    trusted     full names of the classes that may be in one
    loader      module whose `_load_pyfunc(path)` reads one, for `mlflow models serve`
    libraries   distributions whose versions are noted with each
    """

    trusted: Collection[str]
    loader: str
    libraries: tuple[str, ...]


def save_model(folder: Path, model: Any, example: Any, answer: Any, terms: Terms) -> None:
    """Write `model` (anything with `predict(table)`) as an MLflow pyfunc model with signature below `folder`.

    Raises UntrustedModelError where it holds what `load_model` would not read back.
    """
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an input example would run the model once more, in a child process
        written = Path(place) / FILE.name
        _dump(model, written, terms.trusted)
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        mlflow.pyfunc.save_model(
            folder,
            loader_module=terms.loader,
            data_path=str(written),
            signature=infer_signature(example, answer),
            pip_requirements=[f"{name}=={version(name)}" for name in terms.libraries],
        )


def load_model(folder: Path, trusted: Collection[str]) -> Any:
    """The model that `save_model` wrote to `folder`; raises as `read_model`."""
    if not (folder / FILE).is_file():
        old = (folder / PICKLE).exists()
        raise UntrustedModelError("a pickle, which could run any code" if old else f"no {FILE.name} in it")
    return read_model(folder / FILE, trusted)


def read_model(path: Path, trusted: Collection[str]) -> Any:
    """The model in a skops file.

    Raises UntrustedModelError, before anything is built, for a class that is not among `trusted`.
    """
    import skops.io  # type: ignore[import-untyped]
    from skops.io.exceptions import UntrustedTypesFoundException  # type: ignore[import-untyped]

    try:
        with _reading:
            return skops.io.load(path, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise UntrustedModelError(_untrusted(path, trusted)) from error
    except Exception as error:
        raise UntrustedModelError(f"{type(error).__name__}: {error}") from error


def digest(folder: Path) -> str:
    """SHA-256 of the model in `folder`. Raises UntrustedModelError where there is none."""
    try:
        with (folder / FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UntrustedModelError(f"no {FILE.name} in it") from error


def _dump(model: Any, path: Path, trusted: Collection[str]) -> None:
    import skops.io

    try:
        skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    except Exception as error:
        raise UntrustedModelError(f"{type(error).__name__}: {error}") from error
    if found := _untrusted(path, trusted):
        raise UntrustedModelError(found)


def _untrusted(path: Path, trusted: Collection[str]) -> str:
    """The classes in the file that are not trusted, as text; "" where there are none."""
    import skops.io

    return ", ".join(sorted(set(skops.io.get_untrusted_types(file=path)) - set(trusted)))
