"""Options of the comparison task."""

from dataclasses import dataclass, replace

from core.data.dataset import Dataset
from core.detectors.scaling import ScalingMethod
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import PartSpec
from core.tasks.sequences.spec import COUNTS_FIELD, SCALING_FIELD, UNTIL_FIELD
from core.tasks.sequences.split import build_training_mask, find_default_split


@dataclass(frozen=True)
class ComparisonSpec(PartSpec):
    """Compare the fast detectors on one series, by its labels or by injected anomalies.

    until            first test row, see `SequenceSpec`
    scaling, counts  options of `Scaling`
    """

    until: str = hyperparameter("", **UNTIL_FIELD)
    scaling: ScalingMethod = hyperparameter("minmax", **SCALING_FIELD)
    counts: bool = hyperparameter(False, **COUNTS_FIELD)

    def fill_defaults(self, dataset: Dataset) -> "ComparisonSpec":
        """Return the spec with the digest of `dataset` and the default split filled in.

        Raises OptionError or DataError for an impossible split.
        """
        part = self.select(dataset)
        until = self.until or find_default_split(part)
        build_training_mask(part, until)
        return replace(self, dataset=dataset.digest, until=until)
