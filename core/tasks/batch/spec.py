"""Options of the batch task."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from core.batch.batches import Grouping
from core.batch.folder_spec import FolderSpec
from core.detectors import sequences
from core.detectors.base import SequenceDetector
from core.detectors.scaling import SCALING_METHODS, ScalingMethod
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes

GROUPINGS = ("folder", "name")
MAX_ALARMS_PER_1000 = 1000


def list_detectors() -> dict[str, type[SequenceDetector]]:
    """Return the classes of all detectors of series, by name."""
    return discover_classes(sequences, SequenceDetector)


@dataclass(frozen=True)
class ScoringSpec(FolderSpec):
    """Options common to both modes: input, output, threshold and workers.

    alarms_per_1000  target false-alarm rate, per 1,000 rows; None: the threshold of the model, or 2 for fitted models
    as_trained       score as in training; else row by row, with memory between rows, if the detector supports it
    """

    alarms_per_1000: float | None = hyperparameter(
        None,
        help=N_("Maximum number of false alarms per 1,000 rows (default: the threshold of the model)."),
        low=0,
        high=MAX_ALARMS_PER_1000,
    )
    as_trained: bool = hyperparameter(False, help=N_("Score in the mode used in training, not row by row."))

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, including a rate outside 0–1,000."""
        super().check()
        if self.alarms_per_1000 is not None and not 0 < self.alarms_per_1000 < MAX_ALARMS_PER_1000:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="alarms_per_1000",
                value=self.alarms_per_1000,
                low=0,
                high=MAX_ALARMS_PER_1000,
            )


@dataclass(frozen=True)
class BatchSpec(ScoringSpec):
    """Score every series in a folder with one model fitted per group of files; an interrupted run resumes.

    fit_per   one model per folder ("folder"), or per folder and file name prefix ("name")
    detector  detector to fit; it scores row by row if it can, unless `as_trained` is set
    scaling   scaling of the columns
    counts    columns are counts: log(1 + value) is taken before scaling
    """

    fit_per: Grouping = hyperparameter(
        "",
        help=N_("Train one model per folder (folder), or per folder and file name prefix (name)."),
        choices=GROUPINGS,
    )
    detector: SequenceDetector = algorithm(
        list_detectors, "pca-residual", help=N_("Name of the detector to train."), label=N_("Detector")
    )
    scaling: ScalingMethod = hyperparameter(
        "minmax", help=N_("Scaling of the columns for trained models."), choices=SCALING_METHODS
    )
    counts: bool = hyperparameter(
        False, help=N_("Columns are counts: take log(1 + value) before scaling, for fitted models.")
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, or if neither a model nor a grouping is given."""
        if not self.fit_per:
            raise OptionError(
                N_("Set either --model (a run, or NAME@ALIAS) or --fit-per ({accepted})."),
                accepted=", ".join(GROUPINGS),
            )
        super().check()

    def fill_defaults(self) -> Self:
        """Return the spec with absolute paths, and a detector that scores row by row if it can."""
        spec = super().fill_defaults()
        if self.as_trained or not hasattr(self.detector, "scoring"):
            return spec
        return replace(spec, detector=replace(self.detector, scoring="streaming"))  # type: ignore[type-var]


@dataclass(frozen=True)
class BatchApplySpec(ScoringSpec):
    """Score every series in a folder with one saved model.

    model  run id, or NAME@ALIAS in the model registry
    """

    selector_field: ClassVar[str] = "model"

    model: str = hyperparameter("", help=N_("Saved model to score with."), metavar="RUN_ID|NAME@ALIAS")

    def to_params(self) -> dict[str, Any]:
        """Return the parameters of the run, with the model under `model_run`, because nothing is fitted."""
        params = super().to_params()
        params["model_run"] = params.pop("model", "")
        return params
