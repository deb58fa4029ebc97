"""Run a cleaning of counts, and store the cleaned dataset."""

from dataclasses import replace

from core.actor import Actor
from core.data.cleaning import CleanedSeries, clean_series
from core.data.dataset import Dataset
from core.data.quality.repairs import apply_repairs
from core.messages import N_
from core.progress import Progress
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.call_records.clean_result import CleaningResult, describe_cleaning, tabulate_entities, tabulate_rows
from core.tasks.call_records.clean_spec import AUTO, CleanSpec
from core.workspace import Workspace

TASK = "call_records"


def clean(
    spec: CleanSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[CleaningResult, Run]:
    """Clean one column of the selected rows, as the repair `clean_columns` does, and store the cleaned dataset.

    Raises OptionError for a value that is not accepted, and DataError for data that are no regular series.
    """
    spec.check()
    spec, progress = replace(spec, dataset=dataset.digest), progress or Progress()
    measure = spec.choose_measure(dataset)
    with track_run(TASK, N_("Cleaning"), {**spec.to_params(), "value": measure}, dataset, actor, workspace) as run:
        progress.report(0.0, N_("Looking for spikes and holes"))
        part = spec.select(dataset)
        cleaned = preview(spec, part)
        progress.report(0.6, N_("Saving the cleaned data"))
        workspace.datasets.save(part)  # an undo starts from it
        cleaned_dataset = workspace.datasets.save(apply_repairs([spec.to_repair(measure)], part))
        result = _build_result(spec, dataset, cleaned, cleaned_dataset)
        run.add_result(result, "cleaned")
    return result, run


def preview(spec: CleanSpec, part: Dataset) -> CleanedSeries:
    """Return the cleaned series of the selected rows `part`; nothing is stored. Raises the errors of `clean`."""
    spec.check()
    original = CleanedSeries.from_dataset(part, spec.choose_measure(part)).original
    return clean_series(
        original,
        spec.spike_window,
        None if spec.spike_threshold == AUTO else float(spec.spike_threshold),
        spec.fill_from,
        spec.short_gap_steps,
        spec.silent_days,
    )


def preview_cleaning(spec: CleanSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> CleaningResult:
    """Return the result of a cleaning without a cleaned dataset. Raises the errors of `clean`; makes no run."""
    progress.report(0.0, N_("Looking for spikes and holes"))
    dataset = workspace.datasets.load(spec.dataset)
    return _build_result(spec, dataset, preview(spec, spec.select(dataset)), "")


def _build_result(spec: CleanSpec, dataset: Dataset, cleaned: CleanedSeries, cleaned_dataset: str) -> CleaningResult:
    entities = tabulate_entities(cleaned)
    return CleaningResult(
        spec,
        dataset.summary,
        spec.choose_measure(dataset),
        cleaned_dataset,
        tabulate_rows(cleaned, dataset.zone),
        entities,
        describe_cleaning(cleaned, entities, spec.fill_from),
    )


def load_cleaning(run_id: str, workspace: Workspace) -> CleaningResult:
    """Return the stored cleaning of a run. Raises NotFoundError for an unknown run, or a run of an import."""
    return load_result(run_id, CleaningResult, workspace)
