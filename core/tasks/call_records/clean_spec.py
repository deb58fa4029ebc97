"""Spec of the cleaning of counts: spikes and holes of one column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.data.cleaning import FILL_LABELS
from core.data.quality.findings import Repair
from core.data.regular_series import choose_default_measure
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import hyperparameter, require_choice
from core.spec.spec import PartSpec

if TYPE_CHECKING:
    from core.data.dataset import Dataset

AUTO = "auto"
SILENCE_LABELS: Mapping[str, str] = {"missing": N_("missing records"), "zero": N_("measured zeros")}
MAX_WINDOW, MAX_SHORT_GAP_STEPS = 1_001, 1_000


@dataclass(frozen=True)
class CleanSpec(PartSpec):
    """Replace spikes and fill holes of counts, and keep the original values beside the cleaned ones.

    value            column to clean; "" for the total, else the first column
    spike_window     values of the trailing rolling median, itself included
    spike_threshold  distance from the median beyond which a value is a spike; "auto" learns it from the data
    fill_from        where the values of holes come from
    short_gap_steps  longest hole that is interpolated in any case, unless holes are left missing
    silent_days      what zeros of all entities that last a day or longer are
    spike_column     name of the column that marks spikes in the exported table
    """

    value: str = hyperparameter(
        "", help=N_("Column to clean (default: total, else the first column)."), label=N_("Column"), metavar="COLUMN"
    )
    spike_window: int = hyperparameter(
        5,
        help=N_("Number of values of the rolling median that a value is compared with, itself included."),
        label=N_("Values of the median"),
        low=3,
        high=MAX_WINDOW,
    )
    spike_threshold: Literal["auto"] | float = hyperparameter(
        AUTO,
        help=N_("A value farther from the median is a spike. “auto” learns the threshold from the data."),
        label=N_("Spike threshold"),
        low=0,
        metavar="7000|auto",
    )
    fill_from: str = hyperparameter(
        "previous-week",
        help=N_("Values of longer holes: those of the same time one week before, or straight lines, or none."),
        label=N_("Fill holes"),
        choices=tuple(FILL_LABELS),
        words=FILL_LABELS,
    )
    short_gap_steps: int = hyperparameter(
        4,
        help=N_("Holes of at most this many values are interpolated. Longer ones take the values of the week before."),
        label=N_("Short hole (values)"),
        low=0,
        high=MAX_SHORT_GAP_STEPS,
    )
    silent_days: str = hyperparameter(
        "missing",
        help=N_(
            "Zeros of all entities at the same time, for a day or longer and unlike in other weeks: "
            "missing records, or measured zeros."
        ),
        label=N_("Days with zeros only are"),
        choices=tuple(SILENCE_LABELS),
        words=SILENCE_LABELS,
    )
    spike_column: str = hyperparameter(
        "is_spike",
        help=N_("Name of the column of spikes in the exported table."),
        label=N_("Column of spikes"),
        choices=("is_spike", "is_outlier"),
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, also for an infinite threshold."""
        super().check()
        if self.spike_threshold == float("inf"):
            raise OptionError(
                N_("{name} = {value} is not a finite number."), name="spike_threshold", value=str(self.spike_threshold)
            )

    def choose_measure(self, dataset: "Dataset") -> str:
        """Return the column to clean. Raises OptionError for a column that `dataset` does not have."""
        if self.value:
            require_choice("--value", self.value, tuple(dataset.columns))
            return self.value
        return choose_default_measure(dataset.columns)

    def to_repair(self, measure: str) -> Repair:
        """Return the repair of the column `measure`, with the settings that differ from its defaults."""
        chosen = {
            "spike_window": self.spike_window,
            "spike_threshold": None if self.spike_threshold == AUTO else self.spike_threshold,
            "fill_from": self.fill_from,
            "short_gap_steps": self.short_gap_steps,
            "silent_days": self.silent_days,
        }
        default = CleanSpec()
        settings: dict[str, Any] = {
            name: value for name, value in chosen.items() if getattr(self, name) != getattr(default, name)
        }
        return Repair("clean_columns", {"columns": [measure], **settings})
