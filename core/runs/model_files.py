"""Models as files of runs: saving, loading, and the trusted classes."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from core.errors import NotFoundError, UnreadableFileError
from core.messages import N_
from core.runs import model_loader
from core.runs.model_attributes import complete_model
from core.runs.model_loader import OTHER_TYPES
from core.runs.stored_runs import check_files, load_run
from core.settings import ROOT
from core.spec.plugins import list_external_classes
from core.workspace import Workspace
from mlflow_utils import model_io
from mlflow_utils.model_io import ModelPolicy, UntrustedModelError, read_model

T = TypeVar("T")

MODEL_PACKAGES = ("core.detectors", "core.clusterers", "core.forecasters", "core.evaluation")
LIBRARIES = ("scikit-learn", "pandas", "numpy", "skops")


def save_model(folder: Path, model: Any, example: pd.DataFrame, *, libraries: tuple[str, ...] = ()) -> None:
    """Write a fitted `model` below `folder`, with its signature on `example`.

    The model needs `predict(table)`. It may hold models of Vigie and scikit-learn, NumPy arrays and plain values.
    The versions of `libraries` are recorded in addition to LIBRARIES. Raises UntrustedModelError for another class.
    """
    policy = ModelPolicy(
        list_trusted_types(), model_loader.__name__, (*LIBRARIES, *libraries), ROOT, (*MODEL_PACKAGES, "mlflow_utils")
    )
    model_io.save_model(folder, model, example, model.predict(example), policy)


def load_model(run_id: str, kind: type[T], workspace: Workspace) -> T:
    """Load the model of class `kind` of a run. No code in its file is executed.

    Raises NotFoundError for a run without a model, or with a damaged one. Raises UnreadableFileError for a pickle, a
    model of another class than `kind`, a file with a class that is not trusted, or a model of an earlier version that
    this one cannot use.
    """
    run = load_run(run_id, workspace)
    folder = run.files / "model"
    if not folder.is_dir():
        raise NotFoundError(N_("The run {run} has no saved model."), run=run_id[:12])
    check_files(run, folder.name)
    try:
        model = model_io.load_model(folder, list_trusted_types())
        if not isinstance(model, kind):
            raise UntrustedModelError(f"{type(model).__name__}, not {kind.__name__}")
    except UntrustedModelError as error:
        raise UnreadableFileError(
            N_(
                "The model of the run {run} cannot be loaded ({reason}). Accepted are models "
                "saved by Vigie, with its own classes."
            ),
            run=run_id[:12],
            reason=error,
        ) from error
    if missing := complete_model(model):
        raise UnreadableFileError(
            N_(
                "The model of the run {run} was fitted by version {version} of Vigie. This version cannot use it, "
                "because it lacks {attributes}. Fit the model again."
            ),
            run=run_id[:12],
            version=_describe_version(run.record.tags),
            attributes=", ".join(missing),
        )
    return model


def _describe_version(tags: Mapping[str, str]) -> str:
    """Return the version and the revision of the code of a run."""
    return " ".join(filter(None, (tags.get("code.version", ""), tags.get("code.revision", "")[:8]))) or "?"


def list_trusted_types() -> tuple[str, ...]:
    """Return the full names of the classes that a model may contain: Vigie's, and a few of scikit-learn and PyOD."""
    return (*_list_own_types(), *map(_get_full_name, list_external_classes()), *OTHER_TYPES)


@cache
def _list_own_types() -> tuple[str, ...]:
    from core.data.quality.baseline import GroupMedian
    from core.detectors.baselines import BASELINE_CLASSES

    classes: list[type] = [GroupMedian, *BASELINE_CLASSES.values()]
    classes += [cls for package_name in MODEL_PACKAGES for cls in _iter_dataclasses(package_name)]
    return tuple(sorted(set(map(_get_full_name, classes))))


def _get_full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _iter_dataclasses(package_name: str) -> Iterator[type]:
    """Yield the concrete dataclasses that the modules of the package `package_name` define."""
    package = importlib.import_module(package_name)
    for module_info in pkgutil.walk_packages(package.__path__, f"{package_name}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            if dataclasses.is_dataclass(value) and not inspect.isabstract(value):
                yield value


def _load_pyfunc(path: str) -> Any:
    """Read the model file at `path`; MLflow calls this function by its name for models that were saved without code."""
    return read_model(Path(path), list_trusted_types())
