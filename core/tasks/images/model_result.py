"""Results of one model of images: judged on the test part of its images, or applied to other images."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.images.image_set import ImageSet
from core.evaluation.one_class import Confusion, compute_alarm_band, count_confusion
from core.messages import N_, Message
from core.runs.result import Result
from core.tasks.images.spec import ImagesFitSpec, ImagesScoreSpec

TEST, HELD_OUT, UNLABELLED = "test", "held-out", "unlabelled"
"""Parts of images that are scored."""

PART_LABELS = {TEST: N_("test"), HELD_OUT: N_("held out for the threshold"), UNLABELLED: N_("without a class")}
COLLAPSE_LABELS = {"scores": N_("all scores are equal"), "latent": N_("all embeddings are equal")}
ALARM_COLUMNS = ["entity", "score"]


@dataclass(frozen=True)
class ImageFacts:
    """Facts about a set of images, kept with a result.

    digest   of the set
    files    names of its files
    count    number of images
    classes  names of its classes
    """

    digest: str
    files: tuple[str, ...]
    count: int
    height: int
    width: int
    channels: int
    classes: tuple[str, ...] = ()

    @classmethod
    def from_images(cls, images: ImageSet) -> "ImageFacts":
        """Return the facts about `images`."""
        _, height, width, channels = images.pixels.shape
        return cls(images.digest, images.files, len(images), height, width, channels, images.classes)


@dataclass(frozen=True)
class Counts:
    """Numbers of images by use: training (intruders included), intruders, held out, labelled abnormal."""

    training: int
    intruders: int
    held_out: int
    abnormal: int


class ScoredImages(Result):
    """Result whose `rows` are scored images, the most abnormal first; the column `image` names them."""

    rows: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the scored images as a table to export, the most abnormal first."""
        return self.rows

    @override
    def select(self, dataset: ImageSet) -> ImageSet:
        return dataset

    def list_alarms(self) -> pd.DataFrame:
        """Return the images to review, the most abnormal first: entity (name of the image) and score."""
        return self.rows.rename(columns={"image": "entity"})[ALARM_COLUMNS]


@dataclass(frozen=True)
class ImageModelResult(ScoredImages):
    """A detector of images fitted on one normal class, and its judgement on the test part.

    data           facts about the set of images
    counts         numbers of images that the model was fitted on and calibrated with
    threshold      score above which an image is an alarm; None without held-out images
    promised_rate  largest share of normal images above the threshold; None without a threshold
    rows           position (in the set), image (its name, unique), class ("" without), part, is_abnormal (not of the
                   normal class), score, p_value (NaN for held-out images), anomaly, severity (0 … 3); the highest score
                   first. Images without a class are scored too; their is_abnormal is False.
    roc            ROC curve of the test part, see `build_roc_table`; empty without abnormal or normal test images
    points         position, image, class, is_abnormal, score, pca_1, pca_2, tsne_1, tsne_2 of test images; empty in
                   the cell of a comparison
    moments        dimension, mean, sd, skew and kurtosis of the embedding of normal and of abnormal test images
    history        curve, step, value: losses, gradient norms, AUC and precision per epoch
    collapse       "scores" or "latent" for a model that no longer distinguishes images; "" for none
    measurements   auc_roc, auc_pr, fit_seconds, images_per_second, latent_spread …
    notes          what a reader has to know
    """

    spec: ImagesFitSpec
    data: ImageFacts
    counts: Counts
    threshold: float | None
    promised_rate: float | None
    rows: pd.DataFrame
    roc: pd.DataFrame
    points: pd.DataFrame
    moments: pd.DataFrame
    history: pd.DataFrame
    collapse: str
    measurements: dict[str, float]
    notes: tuple[Message, ...] = ()

    @property
    def test_rows(self) -> pd.DataFrame:
        """Rows of the test part."""
        return self.rows[self.rows["part"] == TEST]

    @property
    def normal_test_rows(self) -> pd.DataFrame:
        """Rows of the test part that are of the normal class."""
        return self.test_rows[~self.test_rows["is_abnormal"]]

    @property
    def has_abnormal(self) -> bool:
        """True where the test part has images of other classes, so that ROC and sensitivity are known."""
        return bool(self.test_rows["is_abnormal"].any())

    @property
    def is_collapsed(self) -> bool:
        """True for a model that no longer distinguishes images."""
        return bool(self.collapse)

    @property
    def alarm_rate(self) -> float:
        """Measured share of normal test images above the threshold; NaN without a threshold or without such images."""
        rows = self.normal_test_rows
        return float(rows["anomaly"].mean()) if self.threshold is not None and len(rows) else float("nan")

    @property
    def alarm_band(self) -> tuple[float, float]:
        """95 % range of the measured alarm rate if the promise is kept; (0, 1) without a threshold."""
        if self.promised_rate is None:
            return 0.0, 1.0
        return compute_alarm_band(self.counts.held_out, self.promised_rate, len(self.normal_test_rows))

    def count_confusion(self, threshold: float | None = None) -> Confusion:
        """Return the confusion of the test part at a threshold, by default that of the model.

        Without any threshold no image is an alarm.
        """
        value = self.threshold if threshold is None else threshold
        rows = self.test_rows
        return count_confusion(rows["is_abnormal"], rows["score"], float("inf") if value is None else value)

    def rank_images(self, count: int, part: str = TEST, *, least: bool = False) -> pd.DataFrame:
        """Return the most (or least) abnormal images of a part, the extreme one first."""
        rows = self.rows[self.rows["part"] == part]
        return rows.iloc[::-1].head(count) if least else rows.head(count)

    def metrics(self) -> dict[str, float]:
        """Return the measurements, and what the threshold does on the test part."""
        values = {
            "rows": self.data.count,
            "rows_fitted": self.counts.training,
            "rows_scored": len(self.rows),
            "collapsed": float(self.is_collapsed),
            **self.measurements,
        }
        if self.threshold is not None and self.promised_rate is not None:
            confusion = self.count_confusion() if len(self.test_rows) else Confusion(0, 0, 0, 0)
            values |= {
                "threshold": self.threshold,
                "promised_rate": self.promised_rate,
                "alarm_rate": self.alarm_rate,
                "anomalies": int(self.rows["anomaly"].sum()),
                "sensitivity": confusion.sensitivity,
                "specificity": confusion.specificity,
            }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}


@dataclass(frozen=True)
class ImageScores(ScoredImages):
    """Images scored with a saved model, the most abnormal first.

    spec             spec of this run; `model` is the id of the run of the model
    model_spec       spec of the run that fitted the model
    data             facts about the set of images, before any change of size
    threshold        that of the model; None without
    promised_rate    largest share of normal images above it; None without a threshold
    held_out_count   number of normal images that the p-values come from
    rows             position, image, class ("" without), score, p_value (NaN without held-out images), anomaly,
                     severity (0 … 3)
    """

    spec: ImagesScoreSpec
    model_spec: ImagesFitSpec
    data: ImageFacts
    threshold: float | None
    promised_rate: float | None
    held_out_count: int
    rows: pd.DataFrame
    measurements: dict[str, float]
    notes: tuple[Message, ...] = ()

    @property
    def anomalies(self) -> pd.DataFrame:
        """Images above the threshold."""
        return self.rows[self.rows["anomaly"]]

    def metrics(self) -> dict[str, float]:
        """Return the counts, the highest score, and the areas where the images have classes."""
        values = {
            "rows": len(self.rows),
            "rows_scored": len(self.rows),
            "anomalies": len(self.anomalies),
            "highest_score": float(self.rows["score"].max()),
            **self.measurements,
        }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}
