"""Models as files of runs: saving, loading, the trusted classes, and the loader for MLflow serving."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from core.errors import NotFoundError, UnreadableFileError
from core.messages import N_
from core.runs.stored_runs import load_run
from core.spec.plugins import list_added_classes
from core.workspace import Workspace
from mlflow_utils import model_io
from mlflow_utils.model_io import Terms, UntrustedModelError, read_model

T = TypeVar("T")

HOMES = ("core.detectors", "core.clusterers", "core.forecasters")
LIBRARIES = ("scikit-learn", "pandas", "numpy", "skops")
OF_OTHERS = (  # skops checks the types of these trees, not that their node indices are valid
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def save_model(folder: Path, model: Any, example: pd.DataFrame, *, libraries: tuple[str, ...] = ()) -> None:
    """Write a fitted `model` below `folder`, with its signature on `example`.

    The model needs `predict(table)`. It may hold models of Vigie and scikit-learn, NumPy arrays and plain values.
    The versions of `libraries` are recorded in addition to LIBRARIES. Raises UntrustedModelError for another class.
    """
    terms = Terms(trusted_types(), __name__, (*LIBRARIES, *libraries))
    model_io.save_model(folder, model, example, model.predict(example), terms)


def load_model(run_id: str, kind: type[T], workspace: Workspace) -> T:
    """Load the model of class `kind` of a run. No code in its file is executed.

    Raises NotFoundError for a run without a model. Raises UnreadableFileError for a pickle, a damaged file, another
    class than `kind`, or a file with a class that is not trusted.
    """
    folder = load_run(run_id, workspace).files / "model"
    if not folder.is_dir():
        raise NotFoundError(N_("The run {run} holds no model."), run=run_id[:12])
    try:
        model = model_io.load_model(folder, trusted_types())
        if not isinstance(model, kind):
            raise UntrustedModelError(f"{type(model).__name__}, not {kind.__name__}")
    except UntrustedModelError as error:
        raise UnreadableFileError(
            N_(
                "The model of the run {run} is not loaded ({reason}); only models written by Vigie, with its "
                "own classes, are."
            ),
            run=run_id[:12],
            reason=error,
        ) from error
    return model


def trusted_types() -> tuple[str, ...]:
    """Return the full names of the classes that a model may contain: those of Vigie, and a few of scikit-learn."""
    return (*_own_types(), *map(_full_name, list_added_classes()), *OF_OTHERS)


@cache
def _own_types() -> tuple[str, ...]:
    from core.data.quality.expectation import Expectation
    from core.detectors.comparisons import COMPARISONS
    from core.evaluation.intervals import Calibration, Errors

    ours: list[type] = [Expectation, Errors, Calibration, *COMPARISONS.values()]
    ours += [each for home in HOMES for each in _dataclasses(home)]
    return tuple(sorted(set(map(_full_name, ours))))


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _dataclasses(home: str) -> Iterator[type]:
    """Yield the concrete dataclasses that the modules of the package `home` define."""
    package = importlib.import_module(home)
    for module_info in pkgutil.walk_packages(package.__path__, f"{home}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            if dataclasses.is_dataclass(value) and not inspect.isabstract(value):
                yield value


def _load_pyfunc(path: str) -> Any:
    """Read the model file at `path`; MLflow calls this function by its name."""
    return read_model(Path(path), trusted_types())
