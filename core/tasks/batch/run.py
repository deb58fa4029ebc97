"""Score all series in a folder with one model, or with one fitted per group of files, as one run."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet

from core.actor import Actor
from core.batch.executors import Executor
from core.batch.file_inventory import FileList, Folder, Inventory
from core.batch.job_spec import JobSpec
from core.batch.output import MANIFEST_FILE, lock_output
from core.batch.score_batch import SUMMARY_FILE
from core.batch.score_folder import SKIPPED_FILE, BatchConfig, BatchProgress, score_folder
from core.progress import Progress
from core.runs.model_files import list_trusted_types
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.spec.hyperparameters import get_params
from core.tasks.batch.models import GroupModels, RunModel, load_models
from core.tasks.batch.result import BatchScoringResult
from core.tasks.batch.spec import BatchApplySpec, BatchSpec
from core.workspace import Workspace

TASK = "batch"
MAX_SKIPPED = 5  # skipped files listed in the result


def score_files(
    spec: BatchSpec | BatchApplySpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[BatchScoringResult, Run]:
    """Score every series in the folder that has no score yet; an interrupted run resumes.

    Raises the errors of `load_model` and `lock_output`, and UnreadableFileError for a folder without files. Raises
    OptionError for a value that is not accepted, DataError if no file can be scored, Cancelled if `progress` is
    cancelled.
    """
    spec.check()
    spec = spec.fill_defaults()
    folder = spec.find_input()
    models = load_models(spec, workspace)
    executor = Executor(spec.workers, "" if spec.workers else workspace.settings.dask_scheduler_address)
    inventory = folder.build_inventory()
    files = FileList(inventory.digest, (f"{folder.name} ({inventory.files} files)",), models.columns)
    config = BatchConfig(spec.batch_rows, models.grouping)
    with lock_output(Path(spec.out), _build_manifest(models, inventory)) as manifest:
        job = _build_job(models, folder, manifest)
        name, params = type(models.detector).__name__, _build_params(models, executor)
        with track_run(TASK, name, params, files, actor, workspace) as run:
            batch_progress = score_folder(job, folder, inventory, config, executor, progress or Progress())
            result = _build_result(models, files, batch_progress)
            _save_result(run, result)
    return result, run


def load_batch_result(run_id: str, workspace: Workspace) -> BatchScoringResult:
    """Load the batch result of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, BatchScoringResult, workspace)


def _build_manifest(models: RunModel | GroupModels, inventory: Inventory) -> dict[str, Any]:
    """Return the settings and inputs that the scores depend on."""
    spec = models.spec
    settings = {
        "detector": models.detector.name,
        "settings": get_params(models.detector),
        **models.build_manifest(),
        "alarms_per_1000": spec.alarms_per_1000,
        "streaming": not spec.as_trained,
    }
    return spec.build_manifest(inventory, settings)


def _build_params(models: RunModel | GroupModels, executor: Executor) -> dict[str, Any]:
    """Return the parameters of the run, including those of the detector."""
    detector = {**get_params(models.detector), "detector": models.detector.name}
    return {**models.spec.to_params(), **detector, "executor": executor.description}


def _build_job(models: RunModel | GroupModels, folder: Folder, manifest: str) -> JobSpec:
    spec = models.spec
    job = JobSpec(folder.root, Path(spec.out), manifest, list_trusted_types(), streaming=not spec.as_trained)
    return models.prepare_job(job)


def _build_result(models: RunModel | GroupModels, files: FileList, batch_progress: BatchProgress) -> BatchScoringResult:
    return BatchScoringResult(
        models.spec,
        files,
        series=batch_progress.series,
        rows=batch_progress.rows,
        anomalies=batch_progress.anomalies,
        batches=batch_progress.batches,
        batches_resumed=batch_progress.resumed_batches,
        files_skipped=batch_progress.files_skipped,
        series_per_second=batch_progress.series_per_second,
        seconds=batch_progress.seconds,
        skipped=tuple(batch_progress.skipped[:MAX_SKIPPED]),
        notes=tuple(models.list_notes()),
    )


def _save_result(run: Run, result: BatchScoringResult) -> None:
    """Save the result, the manifest and the list of skipped files with the run; scores stay in the output folder."""
    run.add_result(result, TASK)
    run.details = {
        "anomalies_count": result.anomalies,
        "successful_predictions": result.rows,
        "failed_predictions": result.files_skipped,
    }
    run.anomalies_by_entity = _count_anomalies(Path(result.spec.out) / SUMMARY_FILE)
    for name in (MANIFEST_FILE, SKIPPED_FILE):
        shutil.copyfile(Path(result.spec.out) / name, run.folder / name)


def _count_anomalies(summary: Path) -> dict[str, int]:
    """Return entity → number of anomalous rows in all its files, for the entities that have some."""
    series = pyarrow.parquet.read_table(summary, columns=["entity", "anomalies"])
    counts = series.filter(pc.field("anomalies") > 0).group_by("entity").aggregate([("anomalies", "sum")])
    return dict(zip(counts["entity"].to_pylist(), counts["anomalies_sum"].to_pylist(), strict=True))
