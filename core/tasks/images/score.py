"""Score images with a saved model and its threshold."""

from dataclasses import replace

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.detectors.images.image_model import ImageModel
from core.evaluation.one_class import measure_areas
from core.messages import N_, Message
from core.progress import Progress
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.images.fit import TASK, load_fitted_model, load_images, load_model_result
from core.tasks.images.judgement import rank_rows
from core.tasks.images.model_result import ImageFacts, ImageModelResult, ImageScores
from core.tasks.images.spec import ImagesScoreSpec
from core.workspace import Workspace


def apply_model(
    spec: ImagesScoreSpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[ImageScores, Run]:
    """Score images with the model of an earlier run, after a change of size and colour where they differ.

    Raises NotFoundError for unknown images or a run without a model, the errors of `load_model`, and Cancelled.
    """
    spec.check()
    progress = progress or Progress()
    images = load_images(spec.images, workspace)
    spec = replace(spec, images=images.digest, model=resolve_run(spec.model, workspace))
    model, source = load_fitted_model(spec.model, workspace), load_model_result(spec.model, workspace)
    params = source.spec.to_params() | spec.to_params()
    with track_run(TASK, type(model.detector).__name__, params, images, actor, workspace) as run:
        result = score_images(spec, model, source, images, progress)
        run.add_result(result, TASK)
        run.details = {
            "anomalies_count": len(result.anomalies),
            "successful_predictions": len(result.rows),
            "failed_predictions": 0,
        }
    return result, run


def score_images(
    spec: ImagesScoreSpec, model: ImageModel, source: ImageModelResult, images: ImageSet, progress: Progress
) -> ImageScores:
    """Return the scores of images by a fitted model, whose judgement is `source`."""
    progress.report(0.0, N_("Scoring the images"))
    pixels, notes = model.adapt(images.pixels, ", ".join(images.files))
    scores = model.score(pixels, progress=progress)
    rows = pd.DataFrame({"position": np.arange(len(images))})
    return ImageScores(
        spec,
        source.spec,
        ImageFacts.from_images(images),
        source.threshold,
        source.promised_rate,
        len(model.calibration_),
        rank_rows(rows, images, scores, model.compute_p_values(scores), model.threshold_),
        _measure(model, images, scores),
        (*notes, *_list_notes(source, images)),
    )


def _measure(
    model: ImageModel, images: ImageSet, scores: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> dict[str, float]:
    """Return the areas where the images have the normal class and another one; nothing else is known to be right."""
    if model.normal_class not in images.classes:
        return {}
    is_labelled = images.labels >= 0
    is_abnormal = images.labels[is_labelled] != images.classes.index(model.normal_class)
    if is_abnormal.all() or not is_abnormal.any():
        return {}
    return dict(zip(("auc_roc", "auc_pr"), measure_areas(is_abnormal, scores[is_labelled]), strict=True))


def _list_notes(source: ImageModelResult, images: ImageSet) -> list[Message]:
    notes = []
    if source.is_collapsed:
        notes.append(Message(N_("The model has collapsed, so these scores do not distinguish images.")))
    if source.threshold is None:
        notes.append(Message(N_("The model has no threshold: the images are only ranked.")))
    if images.digest == source.data.digest:
        notes.append(
            Message(N_("The model was trained on images of this set: their scores are lower than those of new ones."))
        )
    return notes


def load_scores(run_id: str, workspace: Workspace) -> ImageScores:
    """Load the scores of a run. Raises NotFoundError for a run without them."""
    return load_result(run_id, ImageScores, workspace)
