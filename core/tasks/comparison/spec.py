"""Options of the comparison task."""

from dataclasses import dataclass, replace

from core.data.dataset import Dataset
from core.detectors.scaling import Method
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import PartSpec
from core.tasks.sequences.spec import COUNTS, SCALING, UNTIL
from core.tasks.sequences.split import default_split, training_mask


@dataclass(frozen=True)
class ComparisonSpec(PartSpec):
    """Options to compare the fast detectors on one series, by its labels or by injected anomalies.

    until            first test row, see `SequenceSpec`
    scaling, counts  options of `Scaling`
    """

    until: str = hyperparameter("", **UNTIL)
    scaling: Method = hyperparameter("minmax", **SCALING)
    counts: bool = hyperparameter(False, **COUNTS)

    def completed_for(self, dataset: Dataset) -> "ComparisonSpec":
        """Return the spec with the digest of `dataset` and the default split filled in.

        Raises OptionError or DataError for an impossible split.
        """
        part = self.select(dataset)
        until = self.until or default_split(part)
        training_mask(part, until)
        return replace(self, dataset=dataset.digest, until=until)
