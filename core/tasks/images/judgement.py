"""Judgement of a detector of images: fitted on the normal class, calibrated, and measured on the test part."""

import time
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.images.image_set import ImageSet, Pixels
from core.data.images.one_class_split import OneClassSplit
from core.detectors.base import Floats32
from core.detectors.images.base import HeatMapper, Reconstructor, WeightedDetector
from core.detectors.images.image_model import ImageModel
from core.errors import OptionError
from core.evaluation.one_class import (
    Collapse,
    build_roc_table,
    classify_severity,
    fit_normal_threshold,
    measure_area_error,
    measure_areas,
    measure_collapse,
)
from core.evaluation.thresholds import Threshold
from core.messages import N_
from core.progress import Progress
from core.tasks.images.diagnosis import (
    MAX_POINTS,
    MOMENT_COLUMNS,
    POINT_COLUMNS,
    ValidationMonitor,
    build_history,
    build_moments,
    build_points,
    draw_sample,
    embed_sample,
)
from core.tasks.images.division import choose_validation, count_intruders, divide_images
from core.tasks.images.model_result import HELD_OUT, TEST, UNLABELLED, Counts, ImageFacts, ImageModelResult
from core.tasks.images.notes import list_fit_notes
from core.tasks.images.spec import LINE_TO_BEAT, ImagesFitSpec, list_detectors

COLLAPSE_IMAGES = 500  # whose embeddings a fit without diagnosis looks at
MAX_LINE_BYTES = 100_000_000  # training pixels up to which the line to beat is measured beside a fit


@dataclass(frozen=True)
class ScoredParts:
    """Scored images of all parts, the highest score first, with the threshold; None without held-out images."""

    rows: pd.DataFrame
    threshold: Threshold | None
    images_per_second: float


def judge_detector(
    spec: ImagesFitSpec, images: ImageSet, progress: Progress, *, with_diagnosis: bool = False
) -> tuple[ImageModel, ImageModelResult]:
    """Return the fitted model and its judgement, for a spec with its defaults filled.

    The diagnosis adds the embeddings in the plane, their moments, and the area of the line to beat. Raises the errors
    of `split_one_class` and of the detector, and Cancelled.
    """
    split = divide_images(spec, images)
    model = ImageModel(copy(spec.detector), spec.normal_class)
    seed = spec.seed or 0
    progress.report(0.0, N_("Training the detector"))
    monitor = ValidationMonitor.build(choose_validation(split, images, spec.normal_class, seed), images, progress)
    abnormal = images.pixels[split.abnormal] if len(split.abnormal) else None
    began = time.perf_counter()
    model.fit(images.pixels[split.training], progress.create_part(0, 2), abnormal=abnormal, monitor=monitor)
    fit_seconds = time.perf_counter() - began
    progress.report(0.5, N_("Scoring the images"))
    scored = _score_parts(model, _list_parts(split, images), spec, images, progress.create_part(2, 4))
    progress.report(0.8, N_("Computing the embeddings"))
    test = scored.rows[scored.rows["part"] == TEST]
    sample = draw_sample(test, MAX_POINTS if with_diagnosis else COLLAPSE_IMAGES, seed)
    embeddings = embed_sample(model.detector, images.pixels, sample)
    collapse = measure_collapse(test["score"], embeddings) if len(sample) > 1 else Collapse(float("nan"), float("nan"))
    intruder_count = count_intruders(split, images, spec.normal_class)
    result = ImageModelResult(
        spec,
        ImageFacts.from_images(images),
        Counts(len(split.training), intruder_count, len(split.held_out), len(split.abnormal)),
        None,
        None,
        scored.rows,
        pd.DataFrame(),
        pd.DataFrame(columns=POINT_COLUMNS),
        pd.DataFrame(columns=MOMENT_COLUMNS),
        build_history(model.detector, monitor, progress),
        collapse.kind,
        {
            "fit_seconds": fit_seconds,
            "images_per_second": scored.images_per_second,
            "latent_spread": collapse.latent_spread,
        },
    )
    result = _add_scores(result, scored)
    if with_diagnosis and len(sample):
        sample = sample.iloc[: len(embeddings)]
        result = replace(
            result,
            points=build_points(sample, embeddings, seed),
            moments=build_moments(embeddings, sample["is_abnormal"].to_numpy(bool)),
            measurements=result.measurements | _measure_line(spec, split, images),
        )
    notes = list_fit_notes(result, model, scored.threshold.note if scored.threshold else None)
    return model, replace(result, notes=notes)


def _list_parts(split: OneClassSplit, images: ImageSet) -> pd.DataFrame:
    """Return position, part and is_abnormal of the images to score: held out, of the test part, without a class."""
    parts = {HELD_OUT: split.held_out, TEST: split.test, UNLABELLED: np.flatnonzero(images.labels < 0)}
    is_abnormal = [split.is_abnormal if part == TEST else np.zeros(len(parts[part]), bool) for part in parts]
    return pd.DataFrame(
        {
            "position": np.concatenate(list(parts.values())).astype(np.int64),
            "part": np.repeat(list(parts), [len(positions) for positions in parts.values()]),
            "is_abnormal": np.concatenate(is_abnormal),
        }
    )


def _score_parts(
    model: ImageModel, parts: pd.DataFrame, spec: ImagesFitSpec, images: ImageSet, progress: Progress
) -> ScoredParts:
    """Score the images of the parts, and calibrate the model with those that are held out."""
    began = time.perf_counter()
    scores = model.score(images.pixels, parts["position"].to_numpy(np.intp), progress)
    speed = len(parts) / max(time.perf_counter() - began, 1e-9)
    is_held_out = (parts["part"] == HELD_OUT).to_numpy()
    threshold = None
    if is_held_out.any():
        model.calibration_ = np.sort(scores[is_held_out])
        threshold = fit_normal_threshold(model.calibration_, spec.false_alarm_rate)
        model.threshold_ = threshold.value
    p_values = np.full(len(parts), np.nan)  # an image that calibrates has none
    p_values[~is_held_out] = model.compute_p_values(scores[~is_held_out])
    return ScoredParts(rank_rows(parts, images, scores, p_values, model.threshold_), threshold, speed)


def _add_scores(result: ImageModelResult, scored: ScoredParts) -> ImageModelResult:
    """Return a result with scored rows and what follows from them: threshold, ROC curve and areas."""
    test, threshold = scored.rows[scored.rows["part"] == TEST], scored.threshold
    auc_roc = error = auc_pr = float("nan")
    if len(test):
        auc_roc, auc_pr = measure_areas(test["is_abnormal"], test["score"])
        error = measure_area_error(test["is_abnormal"], test["score"])
    return replace(
        result,
        threshold=threshold.value if threshold else None,
        promised_rate=threshold.target_rate if threshold else None,
        rows=scored.rows,
        roc=build_roc_table(test["is_abnormal"], test["score"]) if len(test) else pd.DataFrame(),
        measurements=result.measurements | {"auc_roc": auc_roc, "auc_roc_error": error, "auc_pr": auc_pr},
    )


def change_weight(
    model: ImageModel, result: ImageModelResult, images: ImageSet, weight: float
) -> tuple[ImageModel, ImageModelResult]:
    """Return the model with another weight between its losses, calibrated again, and its scores; nothing is trained.

    The notes of the result are those of the fit. Raises OptionError for a detector that was trained for one weight.
    """
    if not isinstance(model.detector, WeightedDetector):
        raise OptionError(N_("The detector {name} was trained for one weight only."), name=model.detector.name)
    changed = copy(model)
    changed.detector = model.detector.with_weight(weight)
    parts = result.rows[["position", "part", "is_abnormal"]]
    return changed, _add_scores(result, _score_parts(changed, parts, result.spec, images, Progress()))


@dataclass(frozen=True)
class Explanation:
    """Images as a model expects them (0–255), and how abnormal each pixel is; None for a detector that cannot tell."""

    reconstructions: Floats32 | None
    heat_maps: Floats32 | None


def explain_images(model: ImageModel, pixels: Pixels) -> Explanation:
    """Return reconstructions and heat maps of a few images of the model's size."""
    detector = model.detector
    return Explanation(
        detector.reconstruct(pixels) if isinstance(detector, Reconstructor) else None,
        detector.heat_map(pixels) if isinstance(detector, HeatMapper) else None,
    )


def rank_rows(rows: pd.DataFrame, images: ImageSet, scores: Floats, p_values: Floats, threshold: float) -> pd.DataFrame:
    """Return rows with a `position` by descending score, with image, class, score, p_value, anomaly and severity.

    A name that occurs several times is followed by the number of the image, so that a verdict belongs to one image.
    """
    positions = rows["position"].to_numpy(np.intp)
    names = pd.Series(images.image_names, dtype=str)
    numbers = pd.Series(np.arange(len(names)).astype(str))
    names = names.where(~names.duplicated(keep=False), names + " #" + numbers)
    classes = np.asarray([*images.classes, ""], dtype=object)  # the label −1 is the last one
    table = rows.assign(
        image=names.to_numpy()[positions],
        **{"class": classes[images.labels[positions]]},
        score=scores,
        p_value=p_values,
        anomaly=scores > threshold,
        severity=classify_severity(p_values),
    )
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _measure_line(spec: ImagesFitSpec, split: OneClassSplit, images: ImageSet) -> dict[str, float]:
    """Return the area of the line to beat on the same division; nothing for that detector itself or for large data."""
    pixels = images.pixels[split.training]
    if spec.detector.name == LINE_TO_BEAT or pixels.nbytes > MAX_LINE_BYTES:
        return {}
    line = ImageModel(list_detectors()[LINE_TO_BEAT](), spec.normal_class).fit(pixels, Progress())
    return {"line_auc_roc": measure_areas(split.is_abnormal, line.score(images.pixels, split.test))[0]}
