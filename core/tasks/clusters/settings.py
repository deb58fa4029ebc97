"""Comparison of settings of clusterers as a question of the page, and its stored answer."""

from dataclasses import dataclass, replace

import pandas as pd

from core.actor import Actor
from core.clusterers.model_selection import ClusterSuggestion
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.spec.hyperparameters import get_params
from core.tasks.clusters.run import suggest_parameters
from core.tasks.clusters.spec import ClusteringSpec
from core.workspace import Workspace


@dataclass(frozen=True)
class SettingsComparison(Result):
    """Numbers of clusters and distances to neighbours; the fields are those of `ClusterSuggestion`.

    curve  one row per point: distance
    """

    spec: ClusteringSpec
    kmeans_scores: pd.DataFrame
    k: int
    curve: pd.DataFrame
    eps: float
    points: int

    @property
    def suggestion(self) -> ClusterSuggestion:
        """The curves, and the values that they suggest."""
        distances = self.curve["distance"].to_numpy()
        return ClusterSuggestion(self.kmeans_scores, self.k, distances, self.eps, self.points)


def build_question(spec: ClusteringSpec) -> ClusteringSpec:
    """Return `spec` without the settings that the comparison does not use, so that equal questions are one."""
    used = {name: value for name, value in get_params(spec.clusterer).items() if name == "min_samples"}
    return replace(spec, clusterer=type(spec.clusterer)(**used), components=0)


def compare_settings(
    spec: ClusteringSpec, *, workspace: Workspace, actor: Actor, progress: Progress
) -> SettingsComparison:
    """Answer the question for the data and features of `spec`. Raises the errors of `suggest_parameters`."""
    progress.report(0.0, N_("Comparing settings"))
    suggestion = suggest_parameters(spec, workspace.datasets.load(spec.dataset))
    curve = pd.DataFrame({"distance": suggestion.curve})
    return SettingsComparison(spec, suggestion.kmeans_scores, suggestion.k, curve, suggestion.eps, suggestion.points)
