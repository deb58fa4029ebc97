"""Loader of saved models for MLflow. It is copied with every model, so it imports only the reader of the file."""

from pathlib import Path
from typing import Any

from mlflow_utils.model_code import CODE_FOLDER, extend_packages
from mlflow_utils.model_io import list_types, read_model

OWN_PACKAGE = "core."
SKLEARN_TYPES = (  # skops checks the types of these trees and forests, not that their indices are valid
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "quantile_forest._quantile_forest.RandomForestQuantileRegressor",
    "quantile_forest._quantile_forest_fast.QuantileForest",
)
PYOD_TYPES = ("pyod.models.hbos.HBOS",)  # its compiled loop does not check the shapes of its histograms either
OTHER_TYPES = (*SKLEARN_TYPES, *PYOD_TYPES)
"""Classes of libraries that a model may contain."""


def _load_pyfunc(path: str) -> Any:
    """Read the model file at `path`; MLflow calls this function by its name, after the code of the model is in reach.

    Whoever loads a model in this way executes its code, so all own classes in the file are accepted. The product uses
    `core.runs.model_files.load_model`, which executes none. Raises UntrustedModelError for a class of another package.
    """
    model_path = Path(path)
    extend_packages(model_path.parent.parent / CODE_FOLDER)
    own_types = [name for name in list_types(model_path) if name.startswith(OWN_PACKAGE)]
    return read_model(model_path, (*own_types, *OTHER_TYPES))
