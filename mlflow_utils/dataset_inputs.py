"""Inputs of a run for MLflow: the dataset and the files of covariates, by name and digest."""

import json
from collections.abc import Sequence
from typing import Any

from mlflow_utils.run_record import InputData

CONTEXT_TAG = "mlflow.data.context"
MAX_DIGEST_CHARACTERS = 36  # limits of MLflow
MAX_NAME_CHARACTERS = 500
MAX_SCHEMA_COLUMNS = 200
SOURCE_TYPE = "vigie"


def build_dataset_inputs(inputs: Sequence[InputData]) -> list[Any]:
    """Return the inputs as MLflow logs them. MLflow stores a name with a digest once per experiment.

    The digest is cut to what MLflow accepts; the source holds the whole one, under which the data are stored.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=(item.name or item.digest)[:MAX_NAME_CHARACTERS],
                digest=item.digest[:MAX_DIGEST_CHARACTERS],
                source_type=SOURCE_TYPE,
                source=json.dumps({"sha256": item.digest, "files": item.name}),
                schema=_build_schema(item.columns),
            ),
            tags=[InputTag(CONTEXT_TAG, item.context)],
        )
        for item in inputs
        if item.digest
    ]


def _build_schema(columns: Sequence[str]) -> str:
    """Return the columns in the form that the page of a run in MLflow lists; all of them are numbers."""
    fields = [{"name": column, "type": "double", "required": False} for column in columns[:MAX_SCHEMA_COLUMNS]]
    return json.dumps({"mlflow_colspec": fields})
