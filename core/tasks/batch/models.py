"""Models of the batch task: one saved model for all files, or one fitted per group of files."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.batch.batches import Grouping
from core.batch.job_spec import FitConfig, JobSpec
from core.batch.output import MODEL_FILE
from core.detectors.base import SequenceDetector
from core.detectors.devices import describe_missing
from core.detectors.sequence_model import SequenceModel
from core.messages import N_, Message
from core.runs.model_files import load_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_run
from core.tasks.batch.spec import BatchApplySpec, BatchSpec
from core.workspace import Workspace
from mlflow_utils import model_io

DEFAULT_ALARMS_PER_1000 = 2.0  # of models that are fitted per group


@dataclass(frozen=True)
class RunModel:
    """Saved model of a run, with its file and the SHA-256 of the file. `spec` holds the run id, not an alias."""

    spec: BatchApplySpec
    file: Path
    digest: str
    model: SequenceModel
    grouping: Grouping = ""

    @property
    def detector(self) -> SequenceDetector:
        """Detector of the model."""
        return self.model.detector

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the model was fitted on."""
        return tuple(self.model.columns_)

    def build_manifest(self) -> dict[str, Any]:
        """Return the settings, in addition to the detector and the common options, that the scores depend on."""
        return {"model": self.digest, "fit_per": ""}

    def prepare_job(self, job: JobSpec) -> JobSpec:
        """Copy the model into the output folder, where workers can read it, and return the job with its threshold."""
        shutil.copyfile(self.file, job.out / MODEL_FILE)
        if self.spec.alarms_per_1000 is None:
            return job
        return replace(job, threshold=self.model.fit_promise(self.spec.alarms_per_1000 / 1000).value)

    def list_notes(self) -> Iterator[Message]:
        """Yield the limits of the scores, to show with the result."""
        if self.spec.alarms_per_1000 is not None:
            yield self.model.fit_promise(self.spec.alarms_per_1000 / 1000).note
        if not self.spec.as_trained and getattr(self.detector, "scoring", "streaming") != "streaming":
            yield Message(
                N_(
                    "The threshold was computed from scores of windows, but the rows are "
                    "scored one by one. Compare the share of flagged rows with the target "
                    "false-alarm rate."
                )
            )


@dataclass(frozen=True)
class GroupModels:
    """Models that workers fit, one per group of files."""

    spec: BatchSpec
    columns: tuple[str, ...] = ()  # each group has its own

    @property
    def grouping(self) -> Grouping:
        """Grouping of the files: one model per folder or per file name prefix."""
        return self.spec.fit_per

    @property
    def detector(self) -> SequenceDetector:
        """Detector to fit."""
        return self.spec.detector

    def build_manifest(self) -> dict[str, Any]:
        """Return the settings, in addition to the detector and the common options, that the scores depend on."""
        return {"model": "", "fit_per": self.grouping, "scaling": self.spec.scaling, "counts": self.spec.counts}

    def prepare_job(self, job: JobSpec) -> JobSpec:
        """Return the job with the configuration of the fits."""
        target_rate = (self.spec.alarms_per_1000 or DEFAULT_ALARMS_PER_1000) / 1000
        return replace(job, fit=FitConfig(self.detector, self.spec.scaling, self.spec.counts, target_rate))

    def list_notes(self) -> Iterator[Message]:
        """Yield the limits of the scores, to show with the result."""
        yield Message(
            N_(
                "The model of each group was trained on rows that it scores. A deviation that occurs in "
                "most of these rows is not flagged."
            )
        )
        yield from describe_missing(self.detector)


def load_models(spec: BatchSpec | BatchApplySpec, workspace: Workspace) -> RunModel | GroupModels:
    """Return the models that `spec` names. Raises the errors of `load_model`."""
    if isinstance(spec, BatchSpec):
        return GroupModels(spec)
    run_id = resolve_run(spec.model, workspace)
    model = load_model(run_id, SequenceModel, workspace)
    folder = load_run(run_id, workspace).files / "model"
    return RunModel(replace(spec, model=run_id), folder / model_io.MODEL_FILE, model_io.compute_digest(folder), model)
