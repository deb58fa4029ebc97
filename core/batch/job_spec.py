"""Settings shared by all tasks of a batch run: plain values that are sent to every worker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.batch.output import MODEL
from core.detectors.base import SequenceDetector
from core.detectors.scaling import Method

READABLE_LETTERS = 60  # letters of the group in the name of its model file


@dataclass(frozen=True)
class FitConfig:
    """Settings to fit the model of a group; `rate` is the target false-alarm rate, a share of rows."""

    detector: SequenceDetector
    scaling: Method = "minmax"
    counts: bool = False
    rate: float = 0.002


@dataclass(frozen=True)
class JobSpec:
    """Input, output and model of a batch run; `folder` and `out` must be the same paths on every worker.

    manifest   digest of the settings that the results depend on, see `lock_output`
    trusted    full names of the classes that a model may contain
    threshold  rows with a higher score are anomalies; None: the threshold of the model
    streaming  score row by row, with memory between rows, if the detector supports it
    fit        settings of the fits; None: one model for all files, out / MODEL
    """

    folder: Path
    out: Path
    manifest: str
    trusted: tuple[str, ...]
    threshold: float | None = None
    streaming: bool = True
    fit: FitConfig | None = None

    def model_path(self, group: str) -> Path:
        """Return the model file of a group."""
        if self.fit is None:
            return self.out / MODEL
        readable = "".join(letter if letter.isalnum() else "-" for letter in group)[:READABLE_LETTERS]
        digest = hashlib.sha256(group.encode(errors="surrogateescape")).hexdigest()[:8]
        return self.out / "models" / f"{readable}-{digest}.skops"

    def batch_folder(self, number: int) -> Path:
        """Return the output folder of a batch."""
        return self.out / f"part={number:06d}"
