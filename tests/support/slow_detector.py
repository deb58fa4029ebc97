"""Slow detector, and batch scoring with it.

`python -m tests.support.slow_detector FOLDER OUT LOG` scores a folder. Tests kill this process.
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
from core.batch.output import MODEL_FILE
from core.batch.score_folder import BatchConfig, BatchProgress, score_folder
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.progress import Progress

BATCH_DELAY_S = 0.15  # for each batch
TRUSTED_TYPES = tuple(f"core.detectors.{name}" for name in ("scaling.Scaling", "sequence_model.SequenceModel"))
INLINE_EXECUTOR = Executor()


@dataclass
class SlowDetector(SequenceDetector):
    """Detector whose score is the sum of a row.

    It appends the process id and the number of series of each call to the file `log`.
    """

    name = "slow"
    label = "slow"
    calibration_fits = 1

    log: str = ""
    deadly: float = 1e30  # a series whose first value exceeds this ends the process

    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        return self

    def score(self, series: Floats32) -> SequenceScores:
        if series[0, 0] > self.deadly:
            os._exit(1)
        return SequenceScores(np.nansum(series, axis=1), np.zeros_like(series))

    def score_many(self, series: Sequence[Floats32]) -> list[SequenceScores]:
        time.sleep(BATCH_DELAY_S)
        results = [self.score(values) for values in series]
        if self.log:
            with Path(self.log).open("a") as log:
                log.write(f"{os.getpid()} {len(series)}\n")
        return results


def fit_model(detector: SequenceDetector, dataset: Dataset) -> SequenceModel:
    """Fit a model whose threshold is the 90 % quantile of the held-out scores."""
    model = SequenceModel(detector, Scaling(clamp=1e9)).fit(dataset)
    model.threshold_ = float(np.quantile(model.calibration_, 0.9))
    return model


def prepare_job(model: SequenceModel, folder: Path, out: Path, trusted: tuple[str, ...] = TRUSTED_TYPES) -> JobSpec:
    """Save the model in the output folder. Return the job that scores `folder` with it."""
    import skops.io

    out.mkdir(exist_ok=True)
    skops.io.dump(model, out / MODEL_FILE)
    return JobSpec(folder, out, "made", (*trusted, "tests.support.slow_detector.SlowDetector"))


def run_batch_job(
    job: JobSpec, rows: int, executor: Executor = INLINE_EXECUTOR, progress: Progress | None = None, pattern: str = ""
) -> BatchProgress:
    """Score the folder of a job in batches of `rows` rows."""
    folder = Folder(job.folder, pattern)
    return score_folder(job, folder, folder.build_inventory(), BatchConfig(rows), executor, progress or Progress())


def score_slowly(folder: Path, out: Path, log: Path) -> BatchProgress:
    """Fit a slow model and score a folder in batches of 20 rows, one file each."""
    from tests.support.slow_detector import (
        SlowDetector,  # not `__main__.SlowDetector`: a saved model stores the name of its class
    )

    model = fit_model(SlowDetector(str(log)), load([folder / "site_1.csv"]))
    return run_batch_job(prepare_job(model, folder, out), 20)


if __name__ == "__main__":
    score_slowly(*map(Path, sys.argv[1:]))
