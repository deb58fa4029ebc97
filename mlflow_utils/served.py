"""A model as MLflow calls it. A module of its own, because importing MLflow's base class takes two seconds."""

from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel


class Served(PythonModel):  # type: ignore[misc]
    """Wraps anything that has `predict(table)`."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        return self.model.predict(model_input)
