"""Experiments of MLflow: created where they are missing, and marked as experiments with models."""

import re
from typing import Any

KIND_TAG, MODEL_KIND = "mlflow.experimentKind", "custom_model_development"
"""MLflow opens an experiment of unknown kind as one of language models, where a run has no page."""
INFERRED_KIND = re.compile(r"|no_inferred_type|.*_inferred")
"""Kinds that MLflow guesses. Any other kind is the choice of a person."""


def get_or_create_experiment(client: Any, name: str, artefacts_location: str | None) -> str:
    """Return the id of an experiment, which is created where it is missing and restored where it was deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artefacts_location, tags={KIND_TAG: MODEL_KIND}))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    if INFERRED_KIND.fullmatch(experiment.tags.get(KIND_TAG, "")):
        client.set_experiment_tag(experiment.experiment_id, KIND_TAG, MODEL_KIND)
    return str(experiment.experiment_id)
