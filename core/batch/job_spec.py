"""Settings shared by all tasks of a batch run: plain values that are sent to every worker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.batch.output import MODEL_FILE
from core.batch.scorer import BatchScorer
from core.detectors.base import SequenceDetector
from core.detectors.scaling import ScalingMethod

MAX_NAME_LETTERS = 60  # letters of the group in the name of its model file


@dataclass(frozen=True)
class FitConfig:
    """Settings to fit the model of a group; `target_rate` is the target false-alarm rate, a share of rows."""

    detector: SequenceDetector
    scaling: ScalingMethod = "minmax"
    counts: bool = False
    target_rate: float = 0.002


@dataclass(frozen=True)
class JobSpec:
    """Input, output and scorer of a batch run; `folder` and `out` must be the same paths on every worker.

    manifest   digest of the settings that the results depend on, see `lock_output`
    trusted    full names of the classes that a model may contain
    threshold  rows with a higher score are anomalies; None: the threshold of the model
    streaming  score row by row, with memory between rows, if the detector supports it
    fit        settings of the fits; None: one model for all files, out / MODEL
    scorer     scores the batches; None: the models that the other fields describe
    """

    folder: Path
    out: Path
    manifest: str
    trusted: tuple[str, ...]
    threshold: float | None = None
    streaming: bool = True
    fit: FitConfig | None = None
    scorer: BatchScorer | None = None

    def get_model_path(self, group: str) -> Path:
        """Return the model file of a group."""
        if self.fit is None:
            return self.out / MODEL_FILE
        name = "".join(letter if letter.isalnum() else "-" for letter in group)[:MAX_NAME_LETTERS]
        digest = hashlib.sha256(group.encode(errors="surrogateescape")).hexdigest()[:8]
        return self.out / "models" / f"{name}-{digest}.skops"

    def get_batch_folder(self, number: int) -> Path:
        """Return the output folder of a batch."""
        return self.out / f"part={number:06d}"
