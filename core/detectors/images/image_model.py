"""Whole model of images: size of the images, detector, scores of held-out normal images, and threshold."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.images.decoding import decode_picture
from core.data.images.exporting import encode_png
from core.data.images.image_set import ImageSet, Pixels
from core.data.images.matching import match_images
from core.detectors.images.base import ImageDetector, Monitor
from core.errors import DataError
from core.evaluation.one_class import classify_severity
from core.evaluation.thresholds import compute_p_values
from core.messages import N_, Message
from core.progress import Progress

CHUNK_BYTES = 32_000_000  # pixels that are scored between two reports of progress
IMAGE_COLUMN = "image"
DEEP_STEP = 257  # of 16-bit grey levels, per level of 8 bits
COLOUR_CHANNELS = 3


@dataclass
class ImageModel:
    """Detector of images with the size that it was fitted on, its calibration and its threshold, saved as one object.

    height, width, channels  of the images that the detector scores; 0 before `fit`
    normal_class             name of the class that it was fitted on
    calibration_             (held-out images,) scores of normal images that it was not fitted on, in increasing order
    threshold_               images with a higher score are alarms; NaN without calibration
    """

    detector: ImageDetector
    normal_class: str = ""

    height: int = field(default=0, init=False)
    width: int = field(default=0, init=False)
    channels: int = field(default=0, init=False)
    calibration_: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(
        self, images: Pixels, progress: Progress, *, abnormal: Pixels | None = None, monitor: Monitor | None = None
    ) -> Self:
        """Fit the detector on images of the normal class. Raises the errors of the detector."""
        self.height, self.width, self.channels = (int(size) for size in images.shape[1:])
        self.detector.fit(images, progress, abnormal=abnormal, monitor=monitor)
        return self

    def score(
        self, images: Pixels, positions: NDArray[np.intp] | None = None, progress: Progress | None = None
    ) -> Floats:
        """Return one score per image of the model's size, (images,), or only for those at `positions`.

        The images are scored in chunks, with a report of progress before each. Raises DataError for a score that is not
        finite.
        """
        total = len(images) if positions is None else len(positions)
        count = max(CHUNK_BYTES // max(self.height * self.width * self.channels, 1), 1)
        parts = [np.zeros(0)]
        for start in range(0, total, count):
            if progress is not None:
                progress.report(start / total)
            chunk = slice(start, start + count)
            pixels = images[chunk] if positions is None else images[positions[chunk]]
            parts.append(np.asarray(self.detector.score(pixels), np.float64))
        scores = np.concatenate(parts)
        if not np.isfinite(scores).all():
            raise DataError(
                N_(
                    "{count} of {rows} scores of the detector {detector} is not a finite number.",
                    "{count} of {rows} scores of the detector {detector} are not finite numbers.",
                ),
                count=int((~np.isfinite(scores)).sum()),
                rows=total,
                detector=self.detector.name,
            )
        return scores

    def compute_p_values(self, scores: Floats) -> Floats:
        """Return the share of held-out normal images with a score at least as high, (images,); NaN without any."""
        if not (len(self.calibration_) and len(scores)):
            return np.full(len(scores), np.nan)
        return compute_p_values(self.calibration_, scores)

    def adapt(self, pixels: Pixels, file: str = IMAGE_COLUMN) -> tuple[Pixels, tuple[Message, ...]]:
        """Return images in the size and with the channels of the model, and notes on what was changed in `file`."""
        images = ImageSet(pixels, ("",) * len(pixels), files=(file,))
        adapted = match_images(images, self.height, self.width, is_colour=self.channels == COLOUR_CHANNELS)
        return adapted.pixels, adapted.notes

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return score, p_value, anomaly and severity for a table with the column `image`; MLflow serves this.

        The column holds picture files as base64 text. Pictures of another size are scaled. Raises the errors of
        `decode_image`.
        """
        pictures = [decode_image(str(text), row) for row, text in enumerate(table[IMAGE_COLUMN], 1)]
        arrays = [self.adapt(picture[None])[0] for picture in pictures]
        pixels = np.concatenate(arrays) if arrays else np.zeros((0, self.height, self.width, self.channels), np.uint8)
        scores = self.score(pixels)
        p_values = self.compute_p_values(scores)
        return pd.DataFrame(
            {
                "score": scores,
                "p_value": p_values,
                "anomaly": scores > self.threshold_,
                "severity": classify_severity(p_values),
            }
        )


def encode_images(images: Pixels) -> pd.DataFrame:
    """Return images as the table that `predict` takes: PNG files as base64 text.

    Example:
        >>> table = encode_images(np.zeros((1, 8, 8, 1), np.uint8))
        >>> decode_image(table["image"][0]).shape
        (8, 8, 1)
    """
    return pd.DataFrame({IMAGE_COLUMN: [base64.b64encode(encode_png(image)).decode() for image in images]})


def decode_image(text: str, row: int = 1) -> Pixels:
    """Return the pixels of a picture file in base64, (height, width, channels), as they are read from files.

    Raises DataError for other text, UnreadableFileError for a picture that is damaged, too small or too large.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(
            N_("Row {row} of the column {column} is not an image file in base64 ({reason})."),
            row=row,
            column=IMAGE_COLUMN,
            reason=type(error).__name__,
        ) from error
    pixels = decode_picture(content, f"{IMAGE_COLUMN} {row}").pixels
    return (pixels // DEEP_STEP).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)
