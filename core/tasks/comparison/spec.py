"""What can be asked when detectors are compared."""

from dataclasses import dataclass, replace

from core.data.dataset import Dataset
from core.detectors.scaling import Method
from core.spec.hyperparameters import hyperparameter
from core.spec.spec import DataSpec
from core.tasks.sequences.spec import COUNTS, SCALING, UNTIL
from core.tasks.sequences.split import default_split, training_mask


@dataclass(frozen=True)
class ComparisonSpec(DataSpec):
    """Compare the quick detectors on one series, by its labels or by anomalies injected into it.

    until            the first row that is not learnt from, see `SequenceSpec`
    scaling, counts  as `Scaling` has them
    """

    until: str = hyperparameter("", **UNTIL)
    scaling: Method = hyperparameter("minmax", **SCALING)
    counts: bool = hyperparameter(False, **COUNTS)

    def completed_for(self, dataset: Dataset) -> "ComparisonSpec":
        """Return the spec as it is answered for `dataset`: its digest noted, the split chosen.

        Raises OptionError or DataError for a split that these rows cannot have.
        """
        part = self.select(dataset)
        until = self.until or default_split(part)
        training_mask(part, until)
        return replace(self, dataset=dataset.digest, until=until)
