"""Published areas under the ROC curve of one class against the rest, for sets that are recognised.

Source of the table: Ruff et al., Deep One-Class Classification, ICML 2018, Table 1, in percent, means of 10 seeds.
OC-SVM and KDE were tuned on a tenth of the labelled test set. The last column was checked cell by cell in a second
source. AGAD quotes later figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.images.image_set import ImageSet
from core.messages import N_, Message

DIGITS = tuple("0123456789")
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_ALIASES: Mapping[str, str] = {"plane": "airplane", "car": "automobile"}
MEAN_IMAGES = 2_000  # that the mean brightness is taken of
PUBLISHED_COLUMNS = ["model", "normal_class", "auc_roc", "sd", "source", "is_checked"]

RUFF, AGAD = "Ruff et al. 2018, Table 1", "AGAD, table 1"
MNIST_ROWS: Mapping[tuple[str, str, bool], tuple[float, ...]] = {
    ("OC-SVM", RUFF, False): (98.6, 99.5, 82.5, 88.1, 94.9, 77.1, 96.5, 93.7, 88.9, 93.1),
    ("KDE", RUFF, False): (97.1, 98.9, 79.0, 86.2, 87.9, 73.8, 87.6, 91.4, 79.2, 88.2),
    ("isolation forest", RUFF, False): (98.0, 97.3, 88.6, 89.9, 92.7, 85.5, 95.6, 92.0, 89.9, 93.5),
    ("DCAE", RUFF, False): (97.6, 98.3, 85.4, 86.7, 86.5, 78.2, 94.6, 92.3, 86.5, 90.4),
    ("AnoGAN", RUFF, False): (96.6, 99.2, 85.0, 88.7, 89.4, 88.3, 94.7, 93.5, 84.9, 92.4),
    ("soft-boundary Deep SVDD", RUFF, False): (97.8, 99.6, 89.5, 90.3, 93.8, 85.8, 98.0, 92.7, 92.9, 94.9),
    ("Deep SVDD", RUFF, True): (98.0, 99.7, 91.7, 91.9, 94.9, 88.5, 98.3, 94.6, 93.9, 96.5),
    ("OCGAN", AGAD, True): (99.8, 99.9, 94.2, 96.3, 97.5, 98.0, 99.1, 98.1, 93.9, 98.1),
}
CIFAR_ROWS: Mapping[tuple[str, str, bool], tuple[float, ...]] = {
    ("OC-SVM", RUFF, False): (61.6, 63.8, 50.0, 55.9, 66.0, 62.4, 74.7, 62.6, 74.9, 75.9),
    ("KDE", RUFF, False): (61.2, 64.0, 50.1, 56.4, 66.2, 62.4, 74.9, 62.6, 75.1, 76.0),
    ("isolation forest", RUFF, False): (60.1, 50.8, 49.2, 55.1, 49.8, 58.5, 42.9, 55.1, 74.2, 58.9),
    ("DCAE", RUFF, False): (59.1, 57.4, 48.9, 58.4, 54.0, 62.2, 51.2, 58.6, 76.8, 67.3),
    ("AnoGAN", RUFF, False): (67.1, 54.7, 52.9, 54.5, 65.1, 60.3, 58.5, 62.5, 75.8, 66.5),
    ("soft-boundary Deep SVDD", RUFF, False): (61.7, 64.8, 49.5, 56.0, 59.1, 62.1, 67.8, 65.2, 75.6, 71.0),
    ("Deep SVDD", RUFF, True): (61.7, 65.9, 50.8, 59.1, 60.9, 65.7, 67.7, 67.3, 75.9, 73.1),
    ("OCGAN", AGAD, True): (75.7, 53.0, 64.0, 62.0, 72.3, 62.0, 72.3, 57.5, 82.0, 55.4),
    ("GEOM (rotations and shifts)", AGAD, True): (74.7, 95.7, 78.1, 72.4, 87.8, 87.8, 83.4, 95.5, 93.3, 91.3),
    ("ARNet", AGAD, True): (78.5, 89.8, 86.1, 77.4, 90.5, 84.5, 89.2, 92.9, 92.0, 85.5),
}
DEEP_SVDD_SD: Mapping[str, tuple[float, ...]] = {
    "MNIST": (0.7, 0.1, 0.8, 1.5, 0.8, 0.9, 0.5, 0.9, 1.6, 0.3),
    "CIFAR-10": (4.1, 2.1, 0.8, 1.4, 1.1, 2.5, 2.6, 0.9, 1.2, 1.2),
}
DEEP_SVDD = "Deep SVDD"

PUBLISHED_NOTE = N_(
    "The images were recognised as {name}, by their size, classes and mean brightness. The published rows "
    "are valid for its usual division into training and test part only."
)


@dataclass(frozen=True)
class PublishedSet:
    """A set of images with published figures: what it is recognised by, and its rows.

    mean, tolerance  mean of each channel (0–255), and how far that of the images may be from it
    """

    name: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    tolerance: float
    rows: Mapping[tuple[str, str, bool], tuple[float, ...]]

    def map_classes(self, images: ImageSet) -> dict[str, str]:
        """Return class of the images → published class; empty unless the images are this set.

        The mean brightness tells MNIST from other sets of ten classes of 28 × 28 grey pixels, such as Fashion-MNIST,
        and CIFAR-10 from SVHN.
        """
        if images.pixels.shape[1:] != self.shape or not self._has_mean(images):
            return {}
        names = [CIFAR_ALIASES.get(name.lower(), name.lower()) for name in images.classes]
        if sorted(names) == sorted(self.classes):
            return dict(zip(images.classes, names, strict=True))
        return dict(zip(DIGITS, self.classes, strict=True)) if sorted(names) == sorted(DIGITS) else {}

    def _has_mean(self, images: ImageSet) -> bool:
        step = max(len(images) // MEAN_IMAGES, 1)
        mean = images.pixels[::step].mean(axis=(0, 1, 2))
        return bool((np.abs(mean - np.asarray(self.mean)) <= self.tolerance).all())


PUBLISHED_SETS = (
    PublishedSet("MNIST", (28, 28, 1), DIGITS, (33.3,), 4.0, MNIST_ROWS),  # 0.1307 of 255
    PublishedSet("CIFAR-10", (32, 32, 3), CIFAR_CLASSES, (125.3, 123.0, 113.9), 5.0, CIFAR_ROWS),
)


def list_published(images: ImageSet, classes: tuple[str, ...]) -> tuple[pd.DataFrame, tuple[Message, ...]]:
    """Return the published rows of normal `classes`, as in `ImageComparison.published`, and the note on them.

    The table is empty and there is no note unless the images are a set with published figures.
    """
    for candidate in PUBLISHED_SETS:
        names = candidate.map_classes(images)
        if names:
            note = Message(PUBLISHED_NOTE, {"name": candidate.name})
            return _tabulate(candidate, {name: names[name] for name in classes}), (note,)
    return pd.DataFrame(columns=PUBLISHED_COLUMNS), ()


def _tabulate(candidate: PublishedSet, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the published rows for class → published class, areas and deviations as shares 0–1."""
    lines = []
    for (model, source, is_checked), percents in candidate.rows.items():
        deviations = DEEP_SVDD_SD[candidate.name] if model == DEEP_SVDD else (float("nan"),) * len(percents)
        for name, published_name in names.items():
            number = candidate.classes.index(published_name)
            lines.append((model, name, percents[number] / 100, deviations[number] / 100, source, is_checked))
    return pd.DataFrame(lines, columns=PUBLISHED_COLUMNS)
