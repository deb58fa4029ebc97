"""Run a clustering: group similar days or entities, or apply a saved model."""

from dataclasses import dataclass, replace

import numpy as np

from core.actor import Actor
from core.array_types import Floats
from core.clusterers import model_selection
from core.clusterers.base import Labels
from core.clusterers.cluster_model import ClusterModel
from core.clusterers.kmeans import MAX_CHOSEN_CLUSTERS, KMeans
from core.clusterers.model_selection import ClusterSuggestion
from core.clusterers.points import Points, to_daily_profiles
from core.data.dataset import Dataset
from core.evaluation import cluster_metrics
from core.messages import N_, Message
from core.progress import Progress
from core.runs.lineage import describe_range
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.spec.spec import ApplySpec
from core.tasks.clusters.notes import describe_data, describe_fit, describe_noise
from core.tasks.clusters.quality import flag_isolated_noise, measure_stability
from core.tasks.clusters.result import Clustering, average_profiles, tabulate_points
from core.tasks.clusters.spec import ClusteringSpec
from core.workspace import Workspace

TASK = "clusters"
EXAMPLE_ROWS = 5
DEFAULT_MIN_SAMPLES = 5  # of the distance curve, for a clusterer without this setting


@dataclass(frozen=True)
class Assignment:
    """Points with their features and clusters.

    features  (points, columns), as seen by the clusterer
    labels    (points,), -1 for noise
    """

    points: Points
    features: Floats
    labels: Labels


def cluster(
    spec: ClusteringSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Clustering, Run]:
    """Group similar rows or entities: missing values, scale, optional principal components and clusterer as one model.

    Raises DataError for data that cannot be clustered, OptionError for a value that is not accepted, Cancelled if
    `progress` was cancelled.
    """
    spec.check()
    spec, progress = spec.fill_defaults(dataset), progress or Progress()
    model = _build_model(spec)
    with track_run(TASK, type(spec.clusterer).__name__, spec.to_params(), dataset, actor, workspace) as run:
        progress.report(0.0, N_("Grouping similar points"))
        selected_rows = to_daily_profiles(spec.select(dataset))
        run.params |= describe_range("fit", selected_rows.time)
        assignment = Assignment(*model.fit(selected_rows))
        spec, choice_notes = _fix_cluster_count(spec, model)
        run.params |= spec.to_params()
        progress.report(0.4, N_("Evaluating the clusters"))
        clustering = _build_result(spec, spec, dataset, selected_rows, model, assignment)
        stability = measure_stability(model.clusterer, assignment.features, assignment.labels)
        progress.report(0.8, N_("Saving metrics and results"))
        notes = (*choice_notes, *clustering.notes, *describe_fit(clustering, model.clusterer))
        clustering = replace(clustering, quality=clustering.quality | stability, notes=notes)
        _save_result(run, clustering)
        _save_model(run, model, selected_rows)
    return clustering, run


def apply_model(
    spec: ApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Clustering, Run]:
    """Assign the selected rows or entities to the clusters of an earlier run.

    Raises the errors of `load_model`, and DataError for a dataset that does not fit the model.
    """
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model_spec = load_clustering(spec.model, workspace).model_spec
    model = load_model(spec.model, ClusterModel, workspace)
    selected_spec = replace(model_spec, entities=spec.entities, start=spec.start, end=spec.end)
    params = selected_spec.to_params() | spec.to_params()
    with track_run(TASK, type(model.clusterer).__name__, params, dataset, actor, workspace) as run:
        (progress or Progress()).report(0.0, N_("Assigning points to the clusters of the model"))
        selected_rows = to_daily_profiles(spec.select(dataset))
        run.params |= describe_range("scored", selected_rows.time)
        points, features = model.transform(selected_rows)
        assignment = Assignment(points, features, model.clusterer.assign(features))
        clustering = _build_result(spec, model_spec, dataset, selected_rows, model, assignment)
        _save_result(run, clustering)
    return clustering, run


def load_clustering(run_id: str, workspace: Workspace) -> Clustering:
    """Return the stored clustering of a run. Raises NotFoundError for an unknown run."""
    return load_result(run_id, Clustering, workspace)


def suggest_parameters(spec: ClusteringSpec, dataset: Dataset) -> ClusterSuggestion:
    """Return the suggestion for k and eps on the data of `spec`. Raises the errors of `cluster`; makes no run."""
    spec.check()
    spec = spec.fill_defaults(dataset)
    model = _build_model(replace(spec, clusterer=KMeans(n_clusters=2), components=0))
    return model_selection.suggest_parameters(
        model.prepare_features(to_daily_profiles(spec.select(dataset))), get_min_samples(spec)
    )


def get_min_samples(spec: ClusteringSpec) -> int:
    """Return the number of neighbours of the distance curve: a setting of density-based clusterers."""
    return int(getattr(spec.clusterer, "min_samples", DEFAULT_MIN_SAMPLES))


# ---- parts of a result ------------------------------------------------------------------------------------------


def _build_model(spec: ClusteringSpec) -> ClusterModel:
    clusterer = replace(spec.clusterer)  # type: ignore[type-var]  # a copy: fitted attributes do not belong to the spec
    assert spec.of  # filled in, as the next one
    assert spec.look
    return ClusterModel(clusterer, spec.of, spec.look, spec.incomplete, spec.components)


def _fix_cluster_count(spec: ClusteringSpec, model: ClusterModel) -> tuple[ClusteringSpec, tuple[Message, ...]]:
    """Return the spec with the number of clusters that a fit chose, and a note; unchanged where it was given."""
    clusterer = model.clusterer
    if not isinstance(clusterer, KMeans) or clusterer.n_clusters:
        return spec, ()
    clusterer.n_clusters = len(clusterer.centers_)
    note = Message(
        N_("k = {k} was chosen: it has the highest silhouette of 2 to {most} clusters."),
        {"k": clusterer.n_clusters, "most": MAX_CHOSEN_CLUSTERS},
    )
    return replace(spec, clusterer=replace(spec.clusterer, n_clusters=clusterer.n_clusters)), (note,)  # type: ignore[type-var]


def _build_result(
    spec: ClusteringSpec | ApplySpec,
    model_spec: ClusteringSpec,
    dataset: Dataset,
    selected_rows: Dataset,
    model: ClusterModel,
    assignment: Assignment,
) -> Clustering:
    points, features, labels = assignment.points, assignment.features, assignment.labels
    isolated = flag_isolated_noise(features, labels)
    quality = cluster_metrics.compute_cluster_metrics(features, labels)
    if (labels < 0).any():
        quality["isolated_noise_points"] = int(isolated.sum())
    clustering = Clustering(
        spec,
        model_spec,
        dataset.summary,
        int((~selected_rows.is_complete).sum()) if model_spec.incomplete == "drop" else 0,
        model.flat_point_count_,
        tabulate_points(
            points, labels, model.map_pca_.transform(features), model.clusterer.compute_distance(features), isolated
        ),
        average_profiles(points, labels),
        quality,
        tuple(float(share) for share in model.map_pca_.explained_variance_ratio_),
    )
    return replace(clustering, notes=(*describe_data(clustering), *describe_noise(labels, isolated)))


def _save_result(run: Run, clustering: Clustering) -> None:
    """Save metrics and result of the run."""
    run.add_result(clustering, TASK)
    run.details = {
        "clusters_count": int(run.metrics["clusters"]),
        "noise_points_count": int(run.metrics["noise_points"]),
        "successful_predictions": len(clustering.rows),
        "failed_predictions": clustering.rows_left_out,
    }


def _save_model(run: Run, model: ClusterModel, selected_rows: Dataset) -> None:
    level = np.nan_to_num(np.abs(selected_rows.values.mean(axis=1)))  # the highest rows have a shape
    example = selected_rows.take_rows(np.argsort(-level, kind="stable")[:EXAMPLE_ROWS]).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example)
