"""What all tasks of one command share: plain values that travel to every worker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.batch.output import MODEL
from core.detectors.base import SequenceDetector
from core.detectors.scaling import Method

READABLE_LETTERS = 60  # of a group's name, in the name of its model's file


@dataclass(frozen=True)
class FitConfig:
    """How the model of a group is fitted: detector, preparation, and the share of rows that may be false alarms."""

    detector: SequenceDetector
    scaling: Method = "minmax"
    counts: bool = False
    rate: float = 0.002


@dataclass(frozen=True)
class JobSpec:
    """What is scored with what; `folder` and `out` have to be the same places on every worker.

    manifest   digest of what the results depend on (see `lock_output`)
    trusted    full names of the classes that may be in a model
    threshold  a row with a higher score is an anomaly; None: the model's own
    streaming  score with a memory carried from row to row, where the detector can
    fit        None: all is scored with the model in out / MODEL
    """

    folder: Path
    out: Path
    manifest: str
    trusted: tuple[str, ...]
    threshold: float | None = None
    streaming: bool = True
    fit: FitConfig | None = None

    def model_path(self, group: str) -> Path:
        """Return the file of the model that scores a group."""
        if self.fit is None:
            return self.out / MODEL
        readable = "".join(letter if letter.isalnum() else "-" for letter in group)[:READABLE_LETTERS]
        digest = hashlib.sha256(group.encode(errors="surrogateescape")).hexdigest()[:8]
        return self.out / "models" / f"{readable}-{digest}.skops"

    def batch_folder(self, number: int) -> Path:
        """Return the folder of a batch."""
        return self.out / f"part={number:06d}"
