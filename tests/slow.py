"""Slow detector, and batch scoring with it.

`python -m tests.slow FOLDER OUT LOG` scores a folder. Tests kill this process.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from core.batch.executors import Executor
from core.batch.file_inventory import Folder
from core.batch.job_spec import JobSpec
from core.batch.output import MODEL
from core.batch.score_folder import BatchConfig, BatchProgress, score_folder
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.detectors.base import Floats32, Scored, SequenceDetector
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.progress import Progress

SLOW = 0.15  # for each batch
OURS = tuple(f"core.detectors.{name}" for name in ("scaling.Scaling", "sequence_model.SequenceModel"))
HERE = Executor()


@dataclass
class Slow(SequenceDetector):
    """Detector whose score is the sum of a row.

    It appends the process id and the number of series of each call to the file `log`.
    """

    name = "slow"
    label = "slow"

    log: str = ""
    deadly: float = 1e30  # a series whose first value exceeds this ends the process

    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        return self

    def score(self, series: Floats32) -> Scored:
        if series[0, 0] > self.deadly:
            os._exit(1)
        return Scored(np.nansum(series, axis=1), np.zeros_like(series))

    def score_many(self, series: Sequence[Floats32]) -> list[Scored]:
        time.sleep(SLOW)
        found = [self.score(each) for each in series]
        if self.log:
            with Path(self.log).open("a") as log:
                log.write(f"{os.getpid()} {len(series)}\n")
        return found


def fitted(detector: SequenceDetector, dataset: Dataset) -> SequenceModel:
    """Fit a model whose threshold is the 90 % quantile of the held-out scores."""
    model = SequenceModel(detector, Scaling(clamp=1e9)).fit(dataset)
    model.threshold_ = float(np.quantile(model.calibration_, 0.9))
    return model


def job_for(model: SequenceModel, folder: Path, out: Path, trusted: tuple[str, ...] = OURS) -> JobSpec:
    """Save the model in the output folder. Return the job that scores `folder` with it."""
    import skops.io

    out.mkdir(exist_ok=True)
    skops.io.dump(model, out / MODEL)
    return JobSpec(folder, out, "made", (*trusted, "tests.slow.Slow"))


def scored(
    job: JobSpec, rows: int, executor: Executor = HERE, progress: Progress | None = None, pattern: str = ""
) -> BatchProgress:
    """Score the folder of a job in batches of `rows` rows."""
    folder = Folder(job.folder, pattern)
    return score_folder(job, folder, folder.inventory(), BatchConfig(rows), executor, progress or Progress())


def score_slowly(folder: Path, out: Path, log: Path) -> BatchProgress:
    """Fit a slow model and score a folder in batches of 20 rows, one file each."""
    from tests.slow import Slow  # not `__main__.Slow`: a saved model stores the name of its class

    model = fitted(Slow(str(log)), load([folder / "site_1.csv"]))
    return scored(job_for(model, folder, out), 20)


if __name__ == "__main__":
    score_slowly(*map(Path, sys.argv[1:]))
