"""Options of the comparison of detectors of rows."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.detectors.row_model import IncompletePolicy
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import PartSpec
from core.tasks.anomalies.spec import BASELINE_FIELD, INCOMPLETE_FIELD, DetectionSpec, find_default_baseline

if TYPE_CHECKING:
    from core.data.dataset import Dataset


@dataclass(frozen=True)
class RowComparisonSpec(PartSpec):
    """Compare all detectors of rows on the selected rows, by their labels or by planted faults.

    baseline, incomplete  options of `DetectionSpec`
    """

    baseline: str = hyperparameter("", **BASELINE_FIELD)
    incomplete: IncompletePolicy = hyperparameter("drop", **INCOMPLETE_FIELD)

    @classmethod
    def list_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the choices of a field, as `DetectionSpec` does."""
        return DetectionSpec.list_choices(name, dataset)

    def fill_defaults(self, dataset: "Dataset") -> "RowComparisonSpec":
        """Return the spec with the digest of `dataset` and the default baseline filled in."""
        return replace(self, dataset=dataset.digest, baseline=self.baseline or find_default_baseline(dataset))
