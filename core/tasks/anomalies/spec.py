"""Options of the anomalies task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.detectors import tables
from core.detectors.base import Detector
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import IncompletePolicy
from core.evaluation.thresholds import check_contamination
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import PartSpec

if TYPE_CHECKING:
    from core.data.dataset import Dataset

SHARE_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RISK_STEPS = (0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001)
INCOMPLETE_POLICIES: Mapping[str, str] = {"drop": N_("leave out"), "impute": N_("fill from the same entity")}

# Fields shared by the specs that score rows.
BASELINE_FIELD: dict[str, Any] = {
    "help": N_(
        "Baseline that each row is compared with (default: day for daily profiles, calendar for other rows with dates, "
        "else entity)."
    ),
    "label": N_("Compared with"),
    "choices": ("", *BASELINE_CLASSES),
    "words": {name: baseline_class.label for name, baseline_class in BASELINE_CLASSES.items()},
    "captions": {name: baseline_class.help for name, baseline_class in BASELINE_CLASSES.items()},
}
INCOMPLETE_FIELD: dict[str, Any] = {
    "help": N_("Treatment of rows with missing values."),
    "label": N_("Rows with missing values"),
    "choices": tuple(INCOMPLETE_POLICIES),
    "words": INCOMPLETE_POLICIES,
}


def list_detectors() -> dict[str, type[Detector]]:
    """Return the classes of all detectors of rows, by name."""
    return discover_classes(tables, Detector)


@dataclass(frozen=True)
class DetectionSpec(PartSpec):
    """Fit a detector on rows and flag those with the highest scores.

    baseline       baseline that each row is compared with; "" for the default of the dataset
    contamination  share of rows to flag, above 0, at most 0.5
    risk           share of normal rows above the threshold (peaks over threshold); replaces `contamination` unless None
    incomplete     policy for rows with missing values: leave them out ("drop") or fill them ("impute")

    Example:
        >>> from core.tasks.anomalies.spec import DetectionSpec, list_detectors
        >>> spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=50), contamination=0.02)
        >>> {name: spec.to_params()[name] for name in ("detector", "n_estimators", "contamination", "incomplete")}
        {'detector': 'isolation-forest', 'n_estimators': 50, 'contamination': 0.02, 'incomplete': 'drop'}
    """

    detector: Detector = algorithm(list_detectors, "knn", help=N_("Name of the detector."), label=N_("Detector"))
    baseline: str = hyperparameter("", **BASELINE_FIELD)
    contamination: float = hyperparameter(
        0.01,
        help=N_(
            "Share of rows to flag, above 0 and at most 0.5. The rows with the highest scores are "
            "flagged, even if these scores are low."
        ),
        label=N_("Share of rows to flag"),
        low=0,
        high=0.5,
        steps=SHARE_STEPS,
        format="percent",
    )
    risk: float | None = hyperparameter(
        None,
        help=N_(
            "Target share of normal rows above the threshold (peaks over threshold), instead "
            "of a share of rows to flag. No row is flagged if none stands out."
        ),
        label=N_("Use the tail of the scores instead"),
        low=0,
        high=0.5,
        steps=RISK_STEPS,
        format="one in",
    )
    incomplete: IncompletePolicy = hyperparameter("drop", **INCOMPLETE_FIELD)

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted; `contamination` must be above 0."""
        super().check()
        check_contamination(self.contamination)

    @classmethod
    def list_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the choices of a field, without the baselines that need dates or days if `dataset` has none."""
        if name != "baseline":
            return super().list_choices(name, dataset)
        return tuple(
            name
            for name, baseline_class in BASELINE_CLASSES.items()
            if (dataset.has_dates or not baseline_class.needs_dates)
            and (dataset.profile or not baseline_class.needs_profile)
        )

    def fill_defaults(self, dataset: "Dataset") -> "DetectionSpec":
        """Return the spec with the digest of `dataset` and the default baseline filled in."""
        return replace(self, dataset=dataset.digest, baseline=self.baseline or find_default_baseline(dataset))


def find_default_baseline(dataset: "Dataset") -> str:
    """Return the name of the default baseline: day for dated profiles, calendar for other dates, else entity."""
    if not dataset.has_dates:
        return "entity"
    return "day" if dataset.profile else "calendar"
