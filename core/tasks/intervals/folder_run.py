"""Run intervals on a folder: judge every series of its files in batches, and rank the events of all of them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from core.actor import Actor
from core.batch.executors import Executor
from core.batch.file_inventory import FileList, Inventory
from core.batch.job_spec import JobSpec
from core.batch.output import MANIFEST_FILE, atomic_write, lock_output
from core.batch.score_folder import SKIPPED_FILE, BatchConfig, BatchProgress, score_folder
from core.evaluation.interval_events import SEVERITIES
from core.exports import write_csv
from core.progress import Progress
from core.runs.tracked_run import Run, track_run
from core.spec.codec import encode
from core.spec.hyperparameters import get_hyperparameters
from core.tasks.intervals.folder_notes import list_folder_notes
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.folder_scorer import EVENTS, MODELS, IntervalsScorer
from core.tasks.intervals.run import TASK
from core.tasks.intervals.spec import IntervalsFolderSpec, JudgingSpec
from core.workspace import Workspace

MAX_EVENTS = 1000  # in the result; the output folder has all
MAX_SKIPPED = 5  # skipped files in the result
EVENT_ORDER = [("score", "descending"), *((name, "ascending") for name in ("file", "entity", "measure", "start"))]


def judge_folder(
    spec: IntervalsFolderSpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[FolderIntervals, Run]:
    """Judge every series in the folder that was not judged yet; an interrupted run resumes.

    Raises the errors of `lock_output`, and UnreadableFileError for a folder without files. Raises OptionError for a
    value that is not accepted, DataError if no file can be judged, Cancelled if `progress` is cancelled.
    """
    spec.check()
    spec = spec.fill_defaults()
    folder, out = spec.find_input(), Path(spec.out)
    config, progress = BatchConfig(spec.batch_rows), progress or Progress()
    executor = Executor(spec.workers, "" if spec.workers else workspace.settings.dask_scheduler_address)
    inventory = folder.build_inventory()
    files = FileList(inventory.digest, (f"{folder.name} ({inventory.files} files)",))
    with lock_output(out, build_manifest(spec, inventory)) as manifest:
        job = JobSpec(folder.root, out, manifest, (), scorer=IntervalsScorer(spec))
        params = spec.to_params() | {"executor": executor.description}
        with track_run(TASK, type(spec.forecaster).__name__, params, files, actor, workspace) as run:
            counts = score_folder(job, folder, inventory, config, executor, progress)
            events = rank_events(out)
            result = _build_result(spec, files, counts, events)
            _save_result(run, result, events)
    return result, run


def build_manifest(spec: IntervalsFolderSpec, inventory: Inventory) -> dict[str, Any]:
    """Return the settings and inputs that the tables depend on."""
    names = get_hyperparameters(JudgingSpec)
    return spec.build_manifest(inventory, {name: value for name, value in encode(spec).items() if name in names})


def rank_events(out: Path) -> pa.Table:
    """Return the events of all batches, worst first and numbered from 1, and write them as Parquet and CSV.

    The events are held in memory, about 200 bytes each; the points are not.
    """
    path = out / f"{EVENTS}.parquet"
    events = pyarrow.parquet.read_table(path).sort_by(EVENT_ORDER)
    events = events.add_column(0, "event", pa.array(range(1, len(events) + 1), pa.int64()))
    with atomic_write(path) as draft:
        pyarrow.parquet.write_table(events, draft, compression="zstd")
    with atomic_write(out / f"{EVENTS}.csv") as draft:
        write_csv(events.to_pandas(), draft)
    return events


def _build_result(
    spec: IntervalsFolderSpec, files: FileList, counts: BatchProgress, events: pa.Table
) -> FolderIntervals:
    result = FolderIntervals(
        spec,
        files,
        series=counts.series,
        rows=counts.rows,
        anomalies=counts.anomalies,
        severities=dict.fromkeys(SEVERITIES, 0) | _count_words(events["severity"]),
        batches=counts.batches,
        batches_resumed=counts.resumed_batches,
        files_skipped=counts.files_skipped,
        series_per_second=counts.series_per_second,
        seconds=counts.seconds,
        skipped=tuple(counts.skipped[:MAX_SKIPPED]),
        notes=(),
        events=events.slice(0, MAX_EVENTS).to_pandas(),
    )
    models = pd.read_parquet(Path(spec.out) / f"{MODELS}.parquet")
    rows = pyarrow.parquet.read_table(Path(spec.out) / "summary.parquet", columns=["rows"])["rows"]
    unjudged = int(pc.sum(pc.equal(rows, 0)).as_py() or 0)
    return replace(result, notes=tuple(list_folder_notes(result, models, unjudged)))


def _count_words(words: pa.ChunkedArray) -> dict[str, int]:
    """Return word → number of rows."""
    return {count["values"]: count["counts"] for count in pc.value_counts(words).to_pylist()}


def _save_result(run: Run, result: FolderIntervals, events: pa.Table) -> None:
    """Save the result, the manifest and the list of skipped files with the run; tables stay in the output folder."""
    run.add_result(result, EVENTS)
    run.details = {
        "anomalies_count": result.anomalies,
        "successful_predictions": result.rows,
        "failed_predictions": result.files_skipped,
    }
    points = events.group_by("entity").aggregate([("points", "sum")]).to_pylist()
    run.anomalies_by_entity = {group["entity"]: group["points_sum"] for group in points}
    for name in (MANIFEST_FILE, SKIPPED_FILE):
        shutil.copyfile(Path(result.spec.out) / name, run.folder / name)
