"""Options of the anomalies task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.detectors import tables
from core.detectors.base import Detector
from core.detectors.comparisons import COMPARISONS
from core.detectors.row_model import Incomplete
from core.evaluation.thresholds import check_contamination
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import members
from core.spec.spec import PartSpec

if TYPE_CHECKING:
    from core.data.dataset import Dataset

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RISKS = (0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00001)
INCOMPLETE: Mapping[str, str] = {"drop": N_("leave out"), "impute": N_("fill from the same entity")}


def detectors() -> dict[str, type[Detector]]:
    """Return the classes of all detectors of rows, by name."""
    return members(tables, Detector)


@dataclass(frozen=True)
class DetectionSpec(PartSpec):
    """Options to fit a detector on rows and flag those with the highest scores.

    compare_with   baseline that each row is compared with; "" for the calendar, or the entity if rows have no dates
    contamination  share of rows to flag, above 0, at most 0.5
    risk           share of normal rows above the threshold (peaks over threshold); replaces `contamination` unless None
    incomplete     policy for rows with missing values: leave them out ("drop") or fill them ("impute")

    Example:
        >>> from core.tasks.anomalies.spec import DetectionSpec, detectors
        >>> spec = DetectionSpec(detectors()["isolation-forest"](n_estimators=50), contamination=0.02)
        >>> {name: spec.params()[name] for name in ("detector", "n_estimators", "contamination", "incomplete")}
        {'detector': 'isolation-forest', 'n_estimators': 50, 'contamination': 0.02, 'incomplete': 'drop'}
    """

    detector: Detector = algorithm(
        detectors, "isolation-forest", help=N_("Name of the detector."), label=N_("Detector")
    )
    compare_with: str = hyperparameter(
        "",
        help=N_("What a row is compared with (default: calendar; entity where there are no dates)."),
        label=N_("Compared with what?"),
        choices=("", *COMPARISONS),
        words={name: comparison.label for name, comparison in COMPARISONS.items()},
        captions={name: comparison.help for name, comparison in COMPARISONS.items()},
    )
    contamination: float = hyperparameter(
        0.01,
        help=N_("Share of rows to flag, above 0, at most 0.5: those with the highest scores, whatever the scores are."),
        label=N_("Share of rows to flag"),
        low=0,
        high=0.5,
        steps=SHARES,
        format="percent",
    )
    risk: float | None = hyperparameter(
        None,
        help=N_(
            "Instead: share of normal rows above the threshold, by peaks over threshold."
            " Flags nothing where nothing stands out."
        ),
        label=N_("By the tail of the scores instead"),
        low=0,
        high=0.5,
        steps=RISKS,
        format="one in",
    )
    incomplete: Incomplete = hyperparameter(
        "drop",
        help=N_("Rows with missing measurements."),
        label=N_("Rows with missing measurements"),
        choices=tuple(INCOMPLETE),
        words=INCOMPLETE,
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted; `contamination` must be above 0."""
        super().check()
        check_contamination(self.contamination)

    @classmethod
    def accepted_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the choices of a field, without the baselines that need dates if `dataset` has none."""
        if name != "compare_with":
            return super().accepted_choices(name, dataset)
        return tuple(name for name, comparison in COMPARISONS.items() if dataset.dated or not comparison.needs_dates)

    def completed_for(self, dataset: "Dataset") -> "DetectionSpec":
        """Return the spec with the digest of `dataset` and the default baseline filled in."""
        compare_with = self.compare_with or ("calendar" if dataset.dated else "entity")
        return replace(self, dataset=dataset.digest, compare_with=compare_with)
