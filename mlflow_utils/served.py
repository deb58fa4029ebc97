"""A model as MLflow calls it. A module of its own, because importing MLflow's base class takes two seconds."""

from typing import Any

from mlflow.pyfunc import PythonModel


class Served(PythonModel):  # type: ignore[misc]
    """Wraps anything that has `predict(table)`."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # hints would be read as a schema
        return self.model.predict(model_input)
