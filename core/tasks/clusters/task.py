"""Declaration of the task clusters for the registry of tasks."""

from core.messages import N_
from core.spec.query import Query
from core.spec.spec import ApplySpec
from core.spec.task import Mode, Task
from core.tasks.clusters.spec import ClusteringSpec

TASK = Task(
    name="clusters",
    label=N_("Clusters"),
    modes=(
        Mode(ClusteringSpec, "core.tasks.clusters.run:cluster", "cluster", label=N_("Train on these rows")),
        Mode(ApplySpec, "core.tasks.clusters.run:apply_model", "cluster", label=N_("Apply a saved model")),
    ),
    result="core.tasks.clusters.result:Clustering",
    card="core.tasks.clusters.card:describe",
    report="core.tasks.clusters.report:describe_report",
    json_fields="core.tasks.clusters.command:to_answer",
    lines="core.tasks.clusters.command:to_lines",
    page="clusters",
    action=N_("Find clusters"),
    icon="bubble_chart",
    headline="clusters",
    accuracy="silhouette",
    saves_model=True,
    queries=(
        Query(
            "cluster_settings",
            "core.tasks.clusters.spec:ClusteringSpec",
            "core.tasks.clusters.settings:compare_settings",
            "core.tasks.clusters.settings:SettingsComparison",
        ),
    ),
)
