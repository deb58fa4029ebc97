"""Options of the anomalies task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from core.detectors import tables
from core.detectors.base import Detector
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import IncompletePolicy
from core.errors import OptionError
from core.evaluation.alarm_rates import convert_alarms_to_rate
from core.evaluation.thresholds import check_contamination
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import PartSpec

if TYPE_CHECKING:
    from core.data.dataset import Dataset

AlarmPeriod = Literal["", "day", "week", "month", "year", "1000 rows"]
PER_1000_ROWS: Final = "1000 rows"
PERIOD_LABELS: Mapping[str, str] = {
    "day": N_("a day"),
    "week": N_("a week"),
    "month": N_("a month"),
    "year": N_("a year"),
    PER_1000_ROWS: N_("in 1,000 rows"),
}
SECONDS_PER_DAY = 86_400.0
LONGEST_YEARLY_STEP_S = 28 * SECONDS_PER_DAY  # steps below it have a year as their default period
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
    """Fit a detector on rows and flag those that stand out.

    baseline       baseline that each row is compared with; "" for the default of the dataset
    alarms, per    at most so many false alarms per period and entity, or per 1,000 rows; "" for a month if rows are
                   less than a day apart, else a year, or 1,000 rows for rows without even steps
    contamination  share of rows to flag, above 0, at most 0.5, instead of those that stand out
    risk           share of normal rows above the threshold (peaks over threshold); replaces all of these unless None
    incomplete     policy for rows with missing values: leave them out ("drop") or fill them ("impute")

    Example:
        >>> from core.tasks.anomalies.spec import DetectionSpec, list_detectors
        >>> spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=50), contamination=0.02)
        >>> {name: spec.to_params()[name] for name in ("detector", "n_estimators", "contamination", "incomplete")}
        {'detector': 'isolation-forest', 'n_estimators': 50, 'contamination': 0.02, 'incomplete': 'drop'}
    """

    detector: Detector = algorithm(list_detectors, "robust-pca", help=N_("Name of the detector."), label=N_("Detector"))
    baseline: str = hyperparameter("", **BASELINE_FIELD)
    alarms: float = hyperparameter(
        1.0,
        help=N_(
            "Maximum number of false alarms per entity in a period. Rows are flagged only if they stand out from the "
            "others: none if all are alike."
        ),
        label=N_("False alarms per entity, at most"),
        low=0.001,
        high=1_000_000,
    )
    per: AlarmPeriod = hyperparameter(
        "",
        help=N_(
            "Period in which false alarms are counted (default: month for rows less than a day apart, else year; "
            "1000-rows without even steps)."
        ),
        label=N_("Period"),
        choices=("", *PERIOD_LABELS),
        words={"": N_("automatic"), **PERIOD_LABELS},
    )
    contamination: float | None = hyperparameter(
        None,
        help=N_(
            "Share of rows to flag, above 0 and at most 0.5, instead of those that stand out. The rows with the "
            "highest scores are flagged, even if these scores are low."
        ),
        label=N_("Flag a fixed share instead"),
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
        """Raise OptionError for a value that is not accepted; a `contamination` must be above 0."""
        super().check()
        if self.contamination is not None:
            check_contamination(self.contamination)

    @classmethod
    def list_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the choices of a field, without those that need dates or days if `dataset` has none.

        The default baseline of `dataset` is first.
        """
        if name == "per":
            return ("", *PERIOD_LABELS) if _find_step_seconds(dataset) else ("", PER_1000_ROWS)
        if name != "baseline":
            return super().list_choices(name, dataset)
        names = [
            name
            for name, baseline_class in BASELINE_CLASSES.items()
            if (dataset.has_dates or not baseline_class.needs_dates)
            and (dataset.profile or not baseline_class.needs_profile)
        ]
        return tuple(sorted(names, key=lambda name: name != find_default_baseline(dataset)))

    def fill_defaults(self, dataset: "Dataset") -> "DetectionSpec":
        """Return the spec with the digest of `dataset`, and the default baseline and period filled in.

        Raises OptionError for more alarms than rows, and for a period if `dataset` has no even steps.
        """
        spec = replace(self, dataset=dataset.digest, baseline=self.baseline or find_default_baseline(dataset))
        if self.risk is not None or self.contamination is not None:
            return spec
        spec = replace(spec, per=self.per or _choose_period(_find_step_seconds(dataset)))
        spec.compute_target_rate(dataset)
        return spec

    def compute_target_rate(self, dataset: "Dataset") -> float:
        """Return the accepted number of false alarms as a share of the rows of an entity, 0–1."""
        seconds = _find_step_seconds(dataset)
        per = self.per or _choose_period(seconds)
        if per != PER_1000_ROWS:
            if seconds is None:
                raise OptionError(
                    N_("{file} has no regular time step. Set the number of alarms per 1,000 rows."),
                    file=", ".join(dataset.files),
                )
            return convert_alarms_to_rate(self.alarms, per, seconds)
        if not 0 < self.alarms < 1000:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="alarms",
                value=self.alarms,
                low=0,
                high=1000,
            )
        return self.alarms / 1000


def _find_step_seconds(dataset: "Dataset") -> float | None:
    """Return the seconds from one row of an entity to the next; None without dates or even steps."""
    if not dataset.has_dates:
        return None
    if dataset.profile:
        return SECONDS_PER_DAY
    return dataset.step.total_seconds() if dataset.step else None


def _choose_period(step_seconds: float | None) -> AlarmPeriod:
    if step_seconds is None or step_seconds >= LONGEST_YEARLY_STEP_S:
        return PER_1000_ROWS
    return "month" if step_seconds < SECONDS_PER_DAY else "year"


def find_default_baseline(dataset: "Dataset") -> str:
    """Return the name of the default baseline: day for dated profiles, calendar for other dates, else entity."""
    if not dataset.has_dates:
        return "entity"
    return "day" if dataset.profile else "calendar"
