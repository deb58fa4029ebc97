"""Options of the sequences task: detector, training rows, and accepted number of false alarms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from core.data.dataset import Dataset
from core.detectors import sequences
from core.detectors.base import SequenceDetector
from core.detectors.scaling import SCALING_METHODS, ScalingMethod
from core.errors import OptionError
from core.evaluation.alarm_rates import convert_alarms_to_rate
from core.evaluation.thresholds import check_contamination
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import PartSpec
from core.tasks.sequences.split import build_training_mask, compute_sampling_seconds, find_default_split

FAST_DETECTORS = ("sub-pca", "matrix-profile", "kmeans-ad", "moving-mean", "pca-residual", "seasonal-residual")
"""Fast detectors that few others beat on some of the benchmark datasets, the default first."""

PER_1000_ROWS: Final = "1000 rows"
ThresholdKind = Literal["alarms", "pot", "contamination", "best_f1"]
Period = Literal["", "hour", "day", "week", "month", "1000 rows"]
THRESHOLD_LABELS: Mapping[str, str] = {
    "alarms": N_("Maximum number of false alarms"),
    "pot": N_("Share of normal rows (tail of the scores)"),
    "contamination": N_("Fixed share of the rows"),
    "best_f1": N_("Best F1 for the labels (oracle)"),
}
PERIOD_LABELS: Mapping[str, str] = {
    "hour": N_("per hour"),
    "day": N_("per day"),
    "week": N_("per week"),
    "month": N_("per month"),
    PER_1000_ROWS: N_("per 1,000 rows"),
}

# Fields shared by all specs that fit a detector of series.
UNTIL_FIELD: dict[str, Any] = {
    "help": N_(
        "First test row. The detector is trained on the rows before it (default: end of the training part, "
        "or half of the rows)."
    ),
    "label": N_("Train on the rows before"),
    "metavar": "MOMENT|ROW",
}
SCALING_FIELD: dict[str, Any] = {
    "help": N_("Scaling of the columns. It is learnt from the training rows and saved with the model."),
    "label": N_("Scaling of the columns"),
    "choices": ("minmax", *(method for method in SCALING_METHODS if method != "minmax")),
    "words": {
        "minmax": N_("minimum and maximum"),
        "standard": N_("mean and standard deviation"),
        "robust": N_("median and quartiles"),
    },
}
COUNTS_FIELD: dict[str, Any] = {
    "help": N_("Take log(1 + value) before scaling. Use it for counts that span several powers of ten."),
    "label": N_("Columns are counts"),
}


def list_detectors() -> dict[str, type[SequenceDetector]]:
    """Return the classes of all detectors of series, by name, those of `FAST_DETECTORS` first."""
    classes = discover_classes(sequences, SequenceDetector)
    fast_names = [name for name in FAST_DETECTORS if name in classes]
    return {name: classes[name] for name in (*fast_names, *sorted(set(classes) - set(fast_names)))}


@dataclass(frozen=True)
class SequenceSpec(PartSpec):
    """Fit a detector on series, score every row and flag rows above a threshold.

    until      first test row: a timestamp, a row number, or "train" for the end of the training part that the files
               declare; "" for that part, or half of the rows
    threshold  "alarms": at most `amount` false alarms `per` period, over all entities together; "pot": the share
               `amount` of normal rows exceeds it (peaks over threshold); "contamination": the share `amount` of the
               test rows is flagged; "best_f1": the best F1 for the labels, an oracle
    per        period, or 1,000 rows, in which alarms are counted; "" for a week (dated "alarms"), else 1,000 rows
    scaling, counts  options of `Scaling`
    adaptive   the threshold follows the scores ("alarms" only), see `adapt_threshold`

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import Dataset, make_index
        >>> index = make_index(["north"] * 4, pd.date_range("2024-01-01", periods=4, freq="h"))
        >>> frame = pd.DataFrame({"power": [1.0, 2.0, 1.0, 9.0]}, index)
        >>> dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1))
        >>> spec = SequenceSpec(amount=2.0).fill_defaults(dataset)
        >>> spec.until, spec.per  # half of the rows; alarms per week, because the rows have dates
        ('2024-01-01 02:00:00', 'week')
        >>> round(spec.compute_target_rate(dataset), 4)  # 2 alarms in 168 hourly rows
        0.0119
    """

    detector: SequenceDetector = algorithm(
        list_detectors, FAST_DETECTORS[0], help=N_("Name of the detector."), label=N_("Detector")
    )
    until: str = hyperparameter("", **UNTIL_FIELD)
    scaling: ScalingMethod = hyperparameter("minmax", **SCALING_FIELD)
    threshold: ThresholdKind = hyperparameter(
        "alarms",
        help=N_(
            "How the threshold is chosen: by a number of false alarms, the tail of the scores, a share of "
            "rows, or the labels."
        ),
        label=N_("Threshold"),
        choices=tuple(THRESHOLD_LABELS),
        words=THRESHOLD_LABELS,
    )
    amount: float = hyperparameter(
        2.0,
        help=N_("Accepted number of false alarms, or share of rows."),
        label=N_("False alarms"),
        low=0,
        high=1_000_000,
    )
    per: Period = hyperparameter(
        "",
        help=N_("Period in which alarms are counted (default: week, or 1000-rows without dates)."),
        label=N_("Period"),
        choices=("", *PERIOD_LABELS),
        words=PERIOD_LABELS,
    )
    counts: bool = hyperparameter(False, **COUNTS_FIELD)
    adaptive: bool = hyperparameter(
        False,
        help=N_(
            "Let the threshold follow the scores of the test rows, so that the number of alarms stays near the maximum "
            "although the data drift. A long event raises it for later events."
        ),
        label=N_("Adapt the threshold to drift"),
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted; a contamination share is at most 0.5."""
        super().check()
        if self.threshold == "contamination":
            check_contamination(self.amount)

    @classmethod
    def list_choices(cls, name: str, dataset: Dataset) -> tuple[Any, ...]:
        """Return the choices of a field, without thresholds and periods that `dataset` has no labels or dates for."""
        if name == "threshold":
            return tuple(kind for kind in THRESHOLD_LABELS if kind != "best_f1" or dataset.labels is not None)
        if name == "per":
            return (PER_1000_ROWS,) if compute_sampling_seconds(dataset) is None else tuple(PERIOD_LABELS)
        return super().list_choices(name, dataset)

    def fill_defaults(self, dataset: Dataset) -> "SequenceSpec":
        """Return the spec with the digest of `dataset`, and the default split and period filled in.

        Raises OptionError for an impossible threshold or split, DataError for a split without training or test rows.
        """
        part = self.select(dataset)
        is_weekly = self.threshold == "alarms" and compute_sampling_seconds(part) is not None
        spec = replace(
            self,
            dataset=dataset.digest,
            until=self.until or find_default_split(part),
            per=self.per or ("week" if is_weekly else PER_1000_ROWS),
            amount=0.0 if self.threshold == "best_f1" else self.amount,
        )
        spec._check_threshold(part)
        build_training_mask(part, spec.until)
        return spec

    def select_training_rows(self, dataset: Dataset) -> Dataset:
        """Return the rows before the split. Raises OptionError or DataError for an impossible split."""
        part = self.select(dataset)
        return part.take_rows(build_training_mask(part, self.until or find_default_split(part)))

    def compute_target_rate(self, part: Dataset) -> float:
        """Return the largest accepted share of flagged rows, 0–1."""
        if self.threshold != "alarms":
            return self.amount
        seconds = compute_sampling_seconds(part)
        if self.per == PER_1000_ROWS or seconds is None:
            return self.amount / 1000
        return convert_alarms_to_rate(self.amount, self.per, seconds, len(part.entities))

    def _check_threshold(self, part: Dataset) -> None:
        files = ", ".join(part.files)
        if self.threshold == "alarms" and self.per != PER_1000_ROWS and compute_sampling_seconds(part) is None:
            raise OptionError(N_("{file} has no dates. Set the number of alarms per 1,000 rows."), file=files)
        if self.threshold == "best_f1":
            if part.labels is None:
                raise OptionError(N_("The best-F1 threshold requires labels. {file} has no labels."), file=files)
        elif not 0 < (rate := self.compute_target_rate(part)) < 1:
            raise OptionError(
                N_("The target share of rows above the threshold is {value}. It must be above 0 and below 1."),
                value=rate,
            )
