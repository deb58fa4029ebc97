"""Experiments of MLflow are marked as those with models, so that its pages open a run as a run."""

import pytest
from mlflow import MlflowClient

from core.workspace import Workspace
from mlflow_utils.experiments import KIND_TAG, MODEL_KIND, get_or_create_experiment


@pytest.mark.parametrize(
    ("kind", "expected_kind"),
    [
        (None, MODEL_KIND),
        ("no_inferred_type", MODEL_KIND),
        ("genai_development_inferred", MODEL_KIND),
        ("custom_model_development_inferred", MODEL_KIND),
        ("genai_development", "genai_development"),
    ],
)
def test_experiment_of_unknown_kind_is_marked(workspace: Workspace, kind: str | None, expected_kind: str) -> None:
    client = MlflowClient(workspace.tracking.uri)
    experiment = client.create_experiment("anomalies", tags={KIND_TAG: kind} if kind else None)
    assert get_or_create_experiment(client, "anomalies", None) == experiment
    assert client.get_experiment(experiment).tags[KIND_TAG] == expected_kind


def test_new_experiment_is_marked(workspace: Workspace) -> None:
    client = MlflowClient(workspace.tracking.uri)
    experiment = workspace.tracking.get_experiment_id(client, "forecast")
    assert client.get_experiment(experiment).tags[KIND_TAG] == MODEL_KIND
