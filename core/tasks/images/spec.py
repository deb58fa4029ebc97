"""Options of the task images: fit one detector, compare several, apply a saved one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from core.data.images.image_set import ImageSet
from core.detectors import images as detectors
from core.detectors.images.base import ImageDetector
from core.errors import DataError, OptionError
from core.messages import N_
from core.spec.hyperparameters import algorithm, get_hyperparameters, hyperparameter, require_choice
from core.spec.plugins import discover_classes
from core.spec.spec import Spec

LINE_TO_BEAT = "knn-pixels"
"""Detector that learns nothing: every comparison contains it."""

QUICK_DETECTORS = (LINE_TO_BEAT, "gradient-knn", "pca-pixels", "isolation-forest-pixels", "oc-nn", "vae")
"""Detectors of a comparison that names none."""

COLOUR_DETECTORS = ("transformation-ensemble",)
"""Detectors that such a comparison of colour images has in addition: on photographs only learning pays."""

NORMAL_NAMES = ("normal", "good", "ok")
"""Class names that mean normal, in the order of preference."""

MAX_CONTAMINATION, MAX_ABNORMAL, MAX_SEEDS, MAX_SECONDS = 0.4, 100_000, 100, 1_000_000
MAX_HELD_OUT = 0.5
RATE_STEPS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
CONTAMINATION_STEPS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4)


def list_detectors() -> dict[str, type[ImageDetector]]:
    """Return the classes of all detectors of images, by name."""
    return discover_classes(detectors, ImageDetector)


def list_comparable(abnormal_count: int) -> dict[str, type[ImageDetector]]:
    """Return the detectors that can be compared, by name: supervised ones only with labelled abnormal images."""
    return {name: cls for name, cls in list_detectors().items() if abnormal_count or not cls.needs_abnormal}


def choose_quick_detectors(images: ImageSet) -> tuple[str, ...]:
    """Return the detectors of a comparison that names none.

    Example:
        >>> import numpy as np
        >>> choose_quick_detectors(ImageSet(np.zeros((1, 8, 8, 3), np.uint8), ("1",)))[-1]
        'transformation-ensemble'
    """
    return (*QUICK_DETECTORS, *COLOUR_DETECTORS) if images.is_colour else QUICK_DETECTORS


def choose_normal_class(images: ImageSet, name: str = "") -> str:
    """Return the class `name`; without a name the class called normal, good or ok, else the first.

    Raises DataError for images without classes, OptionError for an unknown class.

    Example:
        >>> import numpy as np
        >>> images = ImageSet(np.zeros((2, 8, 8, 1), np.uint8), ("1", "2"), ("crack", "Good"), np.array([0, 1]))
        >>> choose_normal_class(images), choose_normal_class(images, "crack")
        ('Good', 'crack')
    """
    if not images.classes:
        raise DataError(
            N_(
                "The images have no classes. Put the normal ones into a folder named “normal”, or load "
                "labels with them."
            )
        )
    if name:
        require_choice("normal_class", name, images.classes)
        return name
    names_by_word = {class_name.lower(): class_name for class_name in reversed(images.classes)}
    return next((names_by_word[word] for word in NORMAL_NAMES if word in names_by_word), images.classes[0])


def declare_contamination() -> Any:
    """Declare the share of other classes among the training images."""
    return hyperparameter(
        0.0,
        help=N_("Share of abnormal images to mix into the training images, to test the robustness of the detectors."),
        label=N_("Abnormal images in the training"),
        low=0,
        high=MAX_CONTAMINATION,
        steps=CONTAMINATION_STEPS,
        format="percent",
    )


def declare_abnormal_count() -> Any:
    """Declare the number of labelled abnormal images that a supervised detector sees."""
    return hyperparameter(
        0,
        help=N_("Number of labelled abnormal images that a supervised detector learns from."),
        label=N_("Labelled abnormal images"),
        low=0,
        high=MAX_ABNORMAL,
    )


@dataclass(frozen=True)
class ImagesSpec(Spec):
    """Work on a stored set of images; `images` is its digest."""

    images: str = hyperparameter(
        "",
        help=N_("Images: an npz or idx file, a zip, or a folder."),
        label=N_("Images"),
        files="image_sets",
        flag="--data",
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters of the run; the digest of the images is a tag."""
        return {name: value for name, value in super().to_params().items() if name != "images"}


@dataclass(frozen=True)
class ImagesFitSpec(ImagesSpec):
    """Fit a detector of images on one normal class, and judge it on the images of a test part.

    normal_class       "" for the class named normal, good or ok, else the first
    false_alarm_rate   share of normal images that may be above the threshold
    held_out           share of the normal training images that the threshold is computed from; 0 for no threshold,
                       None for a tenth, or up to a third where a tenth is too few for the rate
    contamination      share of other classes among the training images
    abnormal_count     number of labelled abnormal images that a supervised detector sees
    seconds, seed      None for those of the detector; the seed also divides the images
    """

    normal_class: str = hyperparameter(
        "",
        help=N_("Class that is normal (default: normal, good or ok, else the first)."),
        label=N_("Normal class"),
        metavar="CLASS",
    )
    detector: ImageDetector = algorithm(
        list_detectors, LINE_TO_BEAT, help=N_("Name of the detector."), label=N_("Detector")
    )
    false_alarm_rate: float = hyperparameter(
        0.05,
        help=N_("Share of normal images that may be above the threshold."),
        label=N_("Accepted false alarms"),
        low=0.0001,
        high=0.5,
        steps=RATE_STEPS,
        format="percent",
    )
    held_out: float | None = hyperparameter(
        None,
        help=N_(
            "Share of the normal images used to compute the threshold; the model is not trained on them. "
            "By default a tenth, or up to a third where a tenth is too few for the accepted false alarms."
        ),
        label=N_("Normal images for the threshold"),
        low=0,
        high=MAX_HELD_OUT,
        steps=(0.0, 0.05, 0.1, 0.2, 0.3, 0.5),
        format="percent",
    )
    contamination: float = declare_contamination()
    abnormal_count: int = declare_abnormal_count()
    seconds: float | None = hyperparameter(
        None,
        help=N_("Time limit of the training in seconds (default: that of the detector)."),
        label=N_("Time limit (s)"),
        low=1,
        high=MAX_SECONDS,
    )
    seed: int | None = hyperparameter(
        None,
        help=N_("Seed of the division of the images and of the training (default: that of the detector)."),
        label=N_("Seed"),
        low=0,
        high=2**31 - 1,
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, and for a supervised detector that would see no label."""
        super().check()
        check_abnormal_count([type(self.detector)], self.abnormal_count)

    def fill_defaults(self, images: ImageSet) -> "ImagesFitSpec":
        """Return the spec with the normal class, and one seed and time limit for the division and the detector.

        Raises the errors of `choose_normal_class`.
        """
        detector = set_common(self.detector, seed=self.seed, seconds=self.seconds)
        return replace(
            self,
            images=images.digest,
            normal_class=choose_normal_class(images, self.normal_class),
            detector=detector,
            seed=getattr(detector, "seed", self.seed or 0),
            seconds=getattr(detector, "seconds", None),
        )


@dataclass(frozen=True)
class ImagesCompareSpec(ImagesSpec):
    """Compare detectors of images, each fitted on every normal class with several seeds.

    detectors  names, one per entry or separated by commas; () for a quick selection
    classes    normal classes, one per entry or separated by commas; () for all
    seeds      number of repetitions, with the seeds 0, 1 …

    Example:
        >>> ImagesCompareSpec(detectors=("knn-pixels, vae", "oc-nn")).split_detectors()
        ('knn-pixels', 'vae', 'oc-nn')
    """

    detectors: tuple[str, ...] = hyperparameter(
        (),
        help=N_("Names of detectors, separated by commas (default: a quick selection)."),
        label=N_("Detectors"),
        metavar="NAME,…",
    )
    classes: tuple[str, ...] = hyperparameter(
        (),
        help=N_("Classes that are normal in turn, separated by commas (default: all)."),
        label=N_("Normal classes"),
        metavar="CLASS,…",
    )
    seeds: int = hyperparameter(
        2, help=N_("Number of repetitions with other seeds."), label=N_("Seeds"), low=1, high=MAX_SEEDS
    )
    seconds_per_fit: float = hyperparameter(
        60.0,
        help=N_("Time limit of each training in seconds."),
        label=N_("Time limit per training (s)"),
        low=1,
        high=MAX_SECONDS,
    )
    contamination: float = declare_contamination()
    abnormal_count: int = declare_abnormal_count()

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, an unknown detector, or one that would see no label."""
        super().check()
        classes, names = list_detectors(), self.split_detectors()
        for name in names:
            require_choice("detectors", name, tuple(classes))
        check_abnormal_count([classes[name] for name in names], self.abnormal_count)

    def split_detectors(self) -> tuple[str, ...]:
        """Return the given names of detectors, one per entry."""
        return _split_words(self.detectors)

    def fill_defaults(self, images: ImageSet) -> "ImagesCompareSpec":
        """Return the spec with detectors and classes one per entry, the line to beat first.

        A class whose name contains a comma is recognised. Raises DataError for fewer than two classes with images,
        OptionError for an unknown class.
        """
        counts = images.count_classes()
        usable = tuple(name for name in images.classes if counts[name])
        if len(usable) < 2:
            raise DataError(
                N_("A comparison needs at least two classes with images. There are: {accepted}."),
                accepted=", ".join(usable) or "-",
            )
        classes = _split_words(self.classes, images.classes) or usable
        for name in classes:
            require_choice("classes", name, usable)
        names = self.split_detectors() or choose_quick_detectors(images)
        return replace(
            self, images=images.digest, classes=classes, detectors=tuple(dict.fromkeys((LINE_TO_BEAT, *names)))
        )


@dataclass(frozen=True)
class ImagesScoreSpec(ImagesSpec):
    """Score images with a saved model and its threshold, most abnormal first."""

    selector_field: ClassVar[str] = "model"

    model: str = hyperparameter(
        "", help=N_("Saved model to apply."), label=N_("Saved model"), metavar="RUN_ID|NAME@ALIAS"
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters, with the applied model as `model_run`."""
        params = super().to_params()
        params["model_run"] = params.pop("model", "")
        return params


def set_common(detector: ImageDetector, *, seed: int | None, seconds: float | None) -> Any:
    """Return a copy of a detector with the seed and the time limit, as far as it has them and they are given."""
    fields = get_hyperparameters(detector)
    changes = {"seed": seed, "seconds": seconds}
    instance: Any = detector
    return replace(instance, **{name: value for name, value in changes.items() if name in fields and value is not None})


def check_abnormal_count(classes: Iterable[type[ImageDetector]], abnormal_count: int) -> None:
    """Raise OptionError for a supervised detector without labelled abnormal images."""
    supervised = sorted(cls.name for cls in classes if cls.needs_abnormal)
    if supervised and not abnormal_count:
        raise OptionError(
            N_(
                "{detector} learns from labelled abnormal images. Give their number: “Labelled abnormal images” in the "
                "form, {option} on the command line."
            ),
            detector=", ".join(supervised),
            option="--abnormal-count",
        )


def _split_words(texts: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the words between commas, each once; a text that is `known` as a whole stays whole."""
    words = [word.strip() for text in texts for word in ([text] if text in known else text.split(","))]
    return tuple(dict.fromkeys(word for word in words if word))
