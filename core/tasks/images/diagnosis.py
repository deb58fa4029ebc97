"""Diagnosis of a model of images: its embeddings in the plane and their moments, and the curves of its training."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.images.image_set import ImageSet, Pixels
from core.detectors.base import Floats32
from core.detectors.images.base import ImageDetector
from core.evaluation.one_class import measure_areas, measure_top_precision
from core.messages import N_
from core.progress import Progress
from core.tasks.images.division import ValidationPart

MAX_POINTS = 2_000
MAX_EMBEDDING_VALUES = 50_000_000  # 200 MB of float32
MAX_DIMENSIONS = 1_024  # of the table of moments: those that vary most
TSNE_COMPONENTS, TSNE_ITERATIONS = 30, 500
MIN_TSNE_IMAGES = 10
POINT_COLUMNS = ["position", "image", "class", "is_abnormal", "score", "pca_1", "pca_2", "tsne_1", "tsne_2"]
MOMENTS = ("mean", "sd", "skew", "kurtosis")
MOMENT_COLUMNS = ["dimension", *(f"{moment}_{kind}" for kind in ("normal", "abnormal") for moment in MOMENTS)]
AUC_CURVE, PRECISION_CURVE = N_("AUC (validation)"), N_("precision (validation)")
VALIDATION_FILE = "validation.json"


# ---- embeddings -----------------------------------------------------------------------------------------------------


def draw_sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return at most `count` of the rows in random order: half normal, half abnormal, as far as there are so many."""
    rng = np.random.default_rng(seed)
    is_abnormal = rows["is_abnormal"].to_numpy(bool)
    normal, abnormal = (rng.permutation(np.flatnonzero(is_abnormal == kind)) for kind in (False, True))
    normal_count = min(len(normal), max(count - count // 2, count - len(abnormal)))
    chosen = np.concatenate([normal[:normal_count], abnormal[: count - normal_count]])
    return rows.iloc[rng.permutation(chosen)].reset_index(drop=True)


def embed_sample(detector: ImageDetector, pixels: Pixels, sample: pd.DataFrame) -> Floats32:
    """Return the embeddings of the images at the positions of a sample, (images, dimensions).

    Where they are very long, only those of the first images, as many as memory allows.
    """
    positions = sample["position"].to_numpy(np.intp)
    if not len(positions):
        return np.zeros((0, 0), np.float32)
    dimensions = int(detector.embed(pixels[positions[:1]]).shape[1])
    return detector.embed(pixels[positions[: max(MAX_EMBEDDING_VALUES // max(dimensions, 1), 2)]])


def build_points(rows: pd.DataFrame, embeddings: Floats32, seed: int) -> pd.DataFrame:
    """Return PCA and t-SNE of embeddings (images, dimensions) with the facts of their `rows`, see POINT_COLUMNS.

    t-SNE (van der Maaten, Hinton, 2008) works on 30 principal components; NaN for fewer than 10 images.
    """
    components = _project(embeddings, min(TSNE_COMPONENTS, *embeddings.shape))
    plane = np.full((len(rows), 4), np.nan, np.float32)
    plane[:, : min(2, components.shape[1])] = components[:, :2]
    if len(rows) >= MIN_TSNE_IMAGES and components.std() > 0:
        plane[:, 2:] = _run_tsne(components, seed)
    columns = dict(zip(POINT_COLUMNS[5:], plane.T, strict=True))
    return rows[POINT_COLUMNS[:5]].assign(**columns)


def _project(embeddings: Floats32, count: int) -> Floats32:
    """Return the first principal components, (images, count)."""
    from sklearn.decomposition import PCA

    if not np.ptp(embeddings, axis=0).any():
        return np.zeros((len(embeddings), count), np.float32)
    return np.asarray(PCA(count, random_state=0).fit_transform(embeddings), np.float32)


def _run_tsne(components: Floats32, seed: int) -> Floats32:
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(components) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", max_iter=TSNE_ITERATIONS, random_state=seed)
    return np.asarray(tsne.fit_transform(components), np.float32)


def build_moments(embeddings: Floats32, is_abnormal: NDArray[np.bool_]) -> pd.DataFrame:
    """Return mean, standard deviation, skewness and excess kurtosis per dimension, of normal and of abnormal images.

    Of more than 1,024 dimensions, those that vary most. NaN for a kind without images.
    """
    spreads = embeddings.std(axis=0)
    dimensions = np.sort(np.argsort(-spreads, kind="stable")[:MAX_DIMENSIONS])
    values = embeddings[:, dimensions].astype(np.float64)
    columns = [column for kind in (False, True) for column in _compute_moments(values[is_abnormal == kind])]
    return pd.DataFrame(dict(zip(MOMENT_COLUMNS, [dimensions, *columns], strict=True)))


def _compute_moments(values: Floats) -> list[Floats]:
    """Return mean, standard deviation, skewness and excess kurtosis of the columns of values (images, dimensions)."""
    if not len(values):
        return [np.full(values.shape[1], np.nan)] * len(MOMENTS)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    standard = (values - mean) / np.where(deviation > 0, deviation, 1.0)
    return [mean, deviation, (standard**3).mean(axis=0), np.where(deviation > 0, (standard**4).mean(axis=0) - 3, 0.0)]


# ---- curves ---------------------------------------------------------------------------------------------------------


@dataclass
class ValidationMonitor:
    """Monitor that measures AUC and precision on a validation part between epochs.

    Precision is that of the n highest scores, n being the number of abnormal images. The values are kept in the folder
    of the checkpoints, because a training that goes on after a kill repeats no epoch.
    """

    pixels: Pixels
    is_abnormal: NDArray[np.bool_]
    progress: Progress
    points: dict[str, dict[int, float]] = field(default_factory=dict)

    @classmethod
    def build(cls, part: ValidationPart | None, images: ImageSet, progress: Progress) -> "ValidationMonitor | None":
        """Return the monitor of a validation part with its earlier values; None without a part."""
        if part is None:
            return None
        monitor = cls(images.pixels[part.positions], part.is_abnormal, progress)
        path = monitor.path
        if path is not None and path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            monitor.points = {curve: {int(epoch): value for epoch, value in stored[curve].items()} for curve in stored}
        return monitor

    @property
    def path(self) -> Path | None:
        """File of the values; None without checkpoints."""
        return None if self.progress.folder is None else self.progress.folder / VALIDATION_FILE

    def __call__(self, epoch: int, score: Callable[[Pixels], Floats32]) -> None:
        """Measure the model after an epoch."""
        scores = np.asarray(score(self.pixels), np.float64)
        if not np.isfinite(scores).all():  # the fit itself reports it
            return
        area, _ = measure_areas(self.is_abnormal, scores)
        for curve, value in ((AUC_CURVE, area), (PRECISION_CURVE, measure_top_precision(self.is_abnormal, scores))):
            self.points.setdefault(curve, {})[epoch] = value
            self.progress.add_point(curve, epoch, value)
        if self.path is not None:
            self.path.write_text(json.dumps(self.points), encoding="utf-8")


def build_history(detector: ImageDetector, monitor: ValidationMonitor | None, progress: Progress) -> pd.DataFrame:
    """Return the curves of a training: curve, step, value.

    They are those that the detector keeps in `history_`, else those that it reported, and those of the monitor.
    """
    stored: Mapping[str, list[tuple[float, float]]] = getattr(detector, "history_", None) or progress.curves
    measured = {} if monitor is None else {curve: list(points.items()) for curve, points in monitor.points.items()}
    lines = [
        (curve, float(step), float(value))
        for curves in ({name: points for name, points in stored.items() if name not in measured}, measured)
        for curve, points in curves.items()
        for step, value in points
    ]
    return pd.DataFrame(lines, columns=["curve", "step", "value"]).astype({"step": float, "value": float})
