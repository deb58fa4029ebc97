"""Which days, and which entities, are alike."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from core import clusterers as algorithms
from core.actor import Actor
from core.clusterers.base import Clusterer, Floats, Labels
from core.clusterers.choosing import Advice, advised
from core.clusterers.cluster_model import ClusterModel, Incomplete
from core.clusterers.points import Look, Of, Points, daily
from core.data.dataset import Dataset
from core.errors import DataError, OptionError
from core.evaluation import clusterings
from core.exports import written_csv
from core.messages import N_, Text
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.spec.hyperparameters import build_from_settings, get_params
from core.spec.plugins import members
from core.tasks.clusters import figures as figures
from core.tasks.clusters.result import Clustering, Question, profiles, table
from core.tasks.selection import EVERYTHING, Selection
from core.workspace import Workspace

TASK = "clusters"
EXAMPLE_ROWS = 5
EXPORTED_ROWS = 10_000
MUCH_NOISE = 0.9

REFITS = 3  # on 90 % of the points each, for the stability
REFIT_POINTS = 50_000
COMPARED_POINTS = 5000

FOREST_POINTS = 50_000  # whose scores set the threshold
FOREST_SHARE = 0.01  # where the share of noise is no contamination


def clusterers() -> dict[str, type[Clusterer]]:
    """Name → class of every clusterer."""
    return members(algorithms, Clusterer)


def cluster(
    dataset: Dataset,
    clusterer: Clusterer,
    *,
    workspace: Workspace,
    actor: Actor,
    of: Of = "days",
    look: Look = "level",
    incomplete: Incomplete = "drop",
    components: int = 0,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> tuple[Clustering, Run]:
    """Group the selected rows (or entities) that are alike: missing hours, scale, optional PCA and `clusterer` as one
    model.

    Raises DataError where the rows cannot answer, OptionError for a word that is not accepted, Cancelled where
    `progress`
    was
    told to stop.
    """
    model = ClusterModel(clusterer, of, look, incomplete, components)
    check(model)
    progress = progress or Progress()
    with tracked_run(TASK, type(clusterer).__name__, _params(model), dataset, actor, workspace) as run:
        progress.tell(0.0, N_("Grouping what is alike"))
        part = daily(selection.of(dataset))
        points, features, labels = model.fit(part)
        progress.tell(0.4, N_("Judging the clusters"))
        found = _clustering(model, dataset, selection, part, (points, features, labels))
        again = _stability(model.clusterer, features, labels)
        progress.tell(0.8, N_("Figures and the record"))
        found = replace(found, quality=found.quality | again, notes=(*found.notes, *_fit_notes(model, found)))
        _keep(run, found, part)
        _keep_model(run, model, part)
    return found, run


def apply_model(
    dataset: Dataset, run_id: str, *, workspace: Workspace, actor: Actor, selection: Selection = EVERYTHING
) -> tuple[Clustering, Run]:
    """Assign the selected rows (or entities) to the clusters of an earlier run.

    Raises as `load_model` for a run without a model, DataError where the dataset is not one the model knows.
    """
    model = load_model(run_id, ClusterModel, workspace)
    asked = {**_params(model), "model_run": run_id}
    with tracked_run(TASK, type(model.clusterer).__name__, asked, dataset, actor, workspace) as run:
        part = daily(selection.of(dataset))
        points, features = model.features(part)
        labels = model.clusterer.assign(features)
        found = _clustering(model, dataset, selection, part, (points, features, labels))
        found = replace(found, question=replace(found.question, fitted_by=run_id))
        _keep(run, found, part)
    return found, run


def clustering_of(run_id: str, workspace: Workspace) -> Clustering:
    """The clustering that a run kept. Raises NotFoundError where there is none."""
    return Clustering.load(load_run(run_id, workspace).files / "result")


def check(model: ClusterModel) -> None:
    """Raises OptionError for a word that is not accepted."""
    for name, value, accepted in (
        ("of", model.of, ("days", "entities")),
        ("look", model.look, ("level", "shape")),
        ("incomplete", model.incomplete, ("drop", "impute", "column-mean")),
    ):
        if value not in accepted:
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."),
                name=name,
                value=value,
                accepted=", ".join(accepted),
            )
    if model.components < 0:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="components",
            value=model.components,
            accepted="≥ 0",
        )


def advice(
    dataset: Dataset,
    *,
    of: Of,
    look: Look,
    incomplete: Incomplete,
    min_samples: int = 5,
    selection: Selection = EVERYTHING,
) -> Advice:
    """Figures that help to choose k and eps for one question. Raises as `cluster`; nothing is recorded."""
    from core.clusterers.kmeans import KMeans

    probe = ClusterModel(KMeans(n_clusters=2), of, look, incomplete)
    check(probe)
    return advised(probe.prepared(daily(selection.of(dataset))), min_samples)


# ---- the parts of a result ------------------------------------------------------------------------------------------


def _clustering(
    model: ClusterModel, dataset: Dataset, selection: Selection, part: Dataset, found: tuple[Points, Floats, Labels]
) -> Clustering:
    points, features, labels = found
    question = Question(
        clusterer=model.clusterer.name,
        settings=get_params(model.clusterer),
        of=model.of,
        look=model.look,
        incomplete=model.incomplete,
        components=model.components,
        dataset=dataset.digest,
        files=dataset.files,
        unit=dataset.unit,
        columns=tuple(part.columns),
        rows_left_out=int((~part.complete).sum()) if model.incomplete == "drop" else 0,
        flat_points=model.flat_,
        entities=selection.entities,
        start=str(selection.start or ""),
        end=str(selection.end or ""),
    )
    isolated, notes = _isolated(features, labels)
    quality = clusterings.quality(features, labels)
    if (labels < 0).any():
        quality["isolated_noise_points"] = int(isolated.sum())
    rows = table(points, labels, model.map_.transform(features), model.clusterer.distance(features), isolated)
    explained = tuple(float(share) for share in model.map_.explained_variance_ratio_)
    return Clustering(
        question, rows, profiles(points, labels), quality, explained, (*_notes(question, quality, len(points)), *notes)
    )


def _notes(question: Question, quality: dict[str, float], count: int) -> list[Text]:
    """What was left out, and what was found from a part."""
    notes = []
    if question.rows_left_out:
        notes.append(Text(N_("{count} incomplete rows were left out."), {"count": question.rows_left_out}))
    if question.flat_points:
        notes.append(
            Text(
                N_("{count} points were left out: their mean is next to nothing, so they have no shape."),
                {"count": question.flat_points},
            )
        )
    if question.incomplete == "column-mean":
        notes.append(
            Text(
                N_(
                    "Missing values were filled with the mean of their column over all entities: for "
                    "comparison with older results only."
                )
            )
        )
    if quality.get("silhouette_rows", count) == clusterings.SILHOUETTE_ROWS:
        notes.append(
            Text(
                N_("The silhouette was found from {count} points drawn at random."),
                {"count": int(quality["silhouette_rows"])},
            )
        )
    return notes


def _fit_notes(model: ClusterModel, found: Clustering) -> list[Text]:
    """What a person should know of the clusters themselves."""
    notes, metrics = [], found.metrics()
    if not found.sizes:
        notes.append(
            Text(N_("No cluster was found: every point is noise. Take a larger eps or a smaller min_samples."))
        )
    elif metrics["noise_ratio"] >= MUCH_NOISE:
        notes.append(
            Text(
                N_("{share} % of the points are noise: take a larger eps or a smaller min_samples."),
                {"share": round(100 * metrics["noise_ratio"], 1)},
            )
        )
    if len(found.sizes) == 1:
        notes.append(Text(N_("Only one cluster was found: this groups nothing. Take a smaller eps, or KMeans.")))
    if model.clusterer.sampled_:
        notes.append(Text(model.clusterer.sampling, {"count": model.clusterer.sampled_}))
    return notes


def _isolated(features: Floats, labels: Labels) -> tuple[Any, list[Text]]:
    """Which noise points Isolation Forest flags too, with its default settings on the same features.

    Its contamination is the share of noise, or 1 % where more than half is noise; the threshold is found from at most
    50,000 points.
    """
    from core.detectors.tables.isolation_forest import IsolationForest

    noise = labels < 0
    flagged = np.zeros(len(labels), dtype=bool)
    if not noise.any():
        return flagged, []
    share = float(noise.mean()) if noise.mean() <= 0.5 else FOREST_SHARE
    forest = IsolationForest().fit(features)
    usual = forest.score(features[clusterings.drawn(len(features), FOREST_POINTS)])
    flagged[noise] = forest.score(features[noise]) > np.quantile(usual, 1 - share)
    note = Text(
        N_(
            "Isolation Forest (default settings, contamination {share} %) also flags {count} of the {noise} "
            "noise points."
        ),
        {"share": round(100 * share, 2), "count": int(flagged.sum()), "noise": int(noise.sum())},
    )
    return flagged, [note]


def _stability(clusterer: Clusterer, features: Floats, labels: Labels) -> dict[str, float]:
    """Mean adjusted Rand index with three fits on 90 % of the points (at most 50,000), each with a seed of its own.

    Left out where the points are too few to fit again, or where a thinner sample would have other clusters.
    """
    few = len(features) > REFIT_POINTS
    if few and clusterer.by_density:
        return {}
    compared = clusterings.drawn(len(features), COMPARED_POINTS)
    others = []
    for seed in range(REFITS):
        some = clusterings.drawn(len(features), min(int(0.9 * len(features)), REFIT_POINTS), seed)
        try:
            again = replace(clusterer, random_state=seed).fit(features[some])  # type: ignore[type-var]
        except DataError:
            return {}
        others.append(again.assign(features[compared]))
    return {"stability": clusterings.agreement(labels[compared], others)}


def _params(model: ClusterModel) -> dict[str, Any]:
    """Everything the answer depends on, as the run's parameters."""
    return {
        **get_params(model.clusterer),
        "clusterer": model.clusterer.name,
        "of": model.of,
        "look": model.look,
        "incomplete": model.incomplete,
        "components": model.components,
    }


def _keep(run: Run, found: Clustering, part: Dataset) -> None:
    """The figures of the run, and what a page needs to show the result again."""
    run.metrics = found.metrics()
    run.details = {
        "noise_points_count": int(run.metrics["noise_points"]),
        "successful_predictions": len(found.rows),
        "failed_predictions": found.question.rows_left_out,
    }
    found.save(run.folder / "result")
    written_csv(found.to_frame().head(EXPORTED_ROWS), run.folder / "clusters.csv")
    (run.folder / "recipe.json").write_text(json.dumps([repair.to_json() for repair in part.recipe]), encoding="utf-8")
    figures.pca_map(found).write_html(run.folder / "map.html", include_plotlyjs="cdn")


def _keep_model(run: Run, model: ClusterModel, part: Dataset) -> None:
    level = np.nan_to_num(np.abs(part.values.mean(axis=1)))  # the highest rows surely have a shape
    example = part.rows(np.argsort(-level, kind="stable")[:EXAMPLE_ROWS]).frame.reset_index()
    example["entity"] = example["entity"].astype(str)
    save_model(run.folder / "model", model, example)


# ---- as a job -------------------------------------------------------------------------------------------------------


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """The id of the run that answers the question `arguments` (see `question_of`). Raises as `cluster` and
    `apply_model`.
    """
    dataset = workspace.datasets.load(arguments["dataset"])
    selection = Selection.from_json(arguments)
    if arguments.get("model_run"):
        from core.runs.promotion import resolve_run

        progress.tell(0.0, N_("Assigning to the clusters of the model"))
        return apply_model(
            dataset,
            resolve_run(arguments["model_run"], workspace),
            selection=selection,
            workspace=workspace,
            actor=actor,
        )[1].id
    clusterer = build_from_settings(clusterers()[arguments["clusterer"]], arguments["settings"])
    alike = {name: arguments[name] for name in ("of", "look", "incomplete")}
    return cluster(
        dataset, clusterer, **alike, selection=selection, workspace=workspace, actor=actor, progress=progress
    )[1].id


def question_of(
    dataset: str,
    clusterer: Clusterer | None = None,
    *,
    of: Of = "days",
    look: Look = "level",
    incomplete: Incomplete = "drop",
    selection: Selection = EVERYTHING,
    model_run: str = "",
) -> dict[str, Any]:
    """What `carry_out` answers, as plain JSON: a clusterer for the dataset of this digest, or the run whose model is
    applied.
    """
    asked_about = {"dataset": dataset, **selection.to_json()}
    if clusterer is None:
        return {**asked_about, "model_run": model_run}
    alike = {"of": of, "look": look, "incomplete": incomplete}
    return {**asked_about, "clusterer": clusterer.name, "settings": get_params(clusterer), **alike}
