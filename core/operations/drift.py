"""Drift between the training data of a model and new data, per entity and column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset, DataSummary
from core.errors import DataError, NotFoundError
from core.evaluation import drift
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.runs.stored_runs import load_model_spec, load_run
from core.runs.tracked_run import record_event
from core.spec.spec import DataSpec, Spec
from core.workspace import Workspace

ALL_ENTITIES = ""
"""Name of the entity that combines the rows of all entities."""
MAX_PAIRS = 5000
MAX_SAMPLED_ROWS = 50_000


@dataclass(frozen=True)
class DriftSpec(Spec):
    """Question about the drift between the training data of the model of a run and a stored dataset."""

    run: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class DriftAnswer(Result):
    """The stored table of a comparison. The fields are those of `DriftReport`, with facts instead of the rows."""

    spec: DriftSpec
    table: pd.DataFrame
    reference: DataSummary
    current: DataSummary
    new_entities: tuple[str, ...]
    missing_entities: tuple[str, ...]
    is_combined: bool


@dataclass(frozen=True)
class DriftReport:
    """Comparison of training data with new data.

    table             one row per entity and column, highest psi first: psi, by_chance (psi expected without drift),
                      level, ks, p, q (p adjusted for the number of tests); number of rows, median and share of missing
                      values (0–1), in the training data (`_then`) and in the new data (`_now`)
    reference         training rows; of the shared entities where there are any
    current           new rows, of the same entities
    new_entities      entities of the new data only
    missing_entities  entities of the training data only
    is_combined       True where all entities were compared as one, because there are too many, or none in common
    """

    table: pd.DataFrame
    reference: Dataset
    current: Dataset
    new_entities: tuple[str, ...]
    missing_entities: tuple[str, ...]
    is_combined: bool


def answer_drift(spec: DriftSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> DriftAnswer:
    """Answer the question `spec`. Raises the errors of `compare_with_training`."""
    progress.report(0.0, N_("Comparing the data"))
    dataset = workspace.datasets.load(spec.dataset)
    report = compare_with_training(spec.run, dataset, workspace=workspace, actor=actor)
    summaries = (report.reference.summary, report.current.summary)
    return DriftAnswer(spec, report.table, *summaries, report.new_entities, report.missing_entities, report.is_combined)


def load_compared_rows(spec: DriftSpec, workspace: Workspace) -> tuple[Dataset, Dataset]:
    """Load the training rows and the new rows that a comparison used. Raises as `compare_with_training`."""
    return _select_shared(load_training_data(spec.run, workspace), workspace.datasets.load(spec.dataset))


def sample_values(rows: tuple[Dataset, Dataset], entity: str, column: str) -> tuple[Floats, Floats]:
    """Return the training values and the new values of a column of an entity, or of `ALL_ENTITIES`."""
    reference, current = rows
    return _sample_values(reference, entity, column), _sample_values(current, entity, column)


def compare_with_training(run_id: str, dataset: Dataset, *, workspace: Workspace, actor: Actor) -> DriftReport:
    """Compare `dataset` with the training data of the model of a run, and record one event.

    Raises NotFoundError where the run or its data are not stored here, DataError where columns or units differ.
    """
    with record_event(
        "drift_check", actor, workspace, run=run_id, dataset=dataset.digest, file_names=list(dataset.files)
    ) as inputs:
        report = compare_datasets(load_training_data(run_id, workspace), dataset)
        inputs["levels"] = report.table["level"].value_counts().to_dict()
    return report


def load_training_data(run_id: str, workspace: Workspace) -> Dataset:
    """Load the training rows of the model of a run. For a run that applied a model, load those of the model's own run.

    Raises NotFoundError where they are not, or no longer, stored here.
    """
    record = load_run(run_id, workspace).record
    source_run = record.params.get("model_run")
    if source_run and source_run != run_id:
        return load_training_data(source_run, workspace)
    digest = record.tags.get("dataset.digest", "")
    try:
        dataset = workspace.datasets.load(digest)
    except NotFoundError as error:
        raise NotFoundError(
            N_("The training data of the run {run} ({files}) are no longer stored here. Load the same files again."),
            run=run_id[:12],
            files=record.tags.get("dataset.files", "?"),
        ) from error
    spec = load_model_spec(run_id, workspace)
    return spec.select_training_rows(dataset) if isinstance(spec, DataSpec) else dataset


def compare_datasets(reference: Dataset, current: Dataset) -> DriftReport:
    """Compare every column of the shared entities, or of all entities together where none is shared or too many are.

    Raises DataError where columns or units differ.
    """
    _check_same_columns(reference, current)
    shared = sorted(set(reference.entities) & set(current.entities))
    new_entities, missing_entities = (
        tuple(sorted(set(dataset.entities) - set(other_dataset.entities)))
        for dataset, other_dataset in ((current, reference), (reference, current))
    )
    is_combined = not shared or len(shared) * len(reference.columns) > MAX_PAIRS
    reference, current = _select_shared(reference, current)
    table = pd.DataFrame(
        [
            _compare_column(reference, current, entity, column)
            for entity in ([ALL_ENTITIES] if is_combined else shared)
            for column in reference.columns
        ]
    )
    table["p"] = drift.compute_ks_p_values(table["ks"].to_numpy(), table["known_then"], table["known_now"])
    table["q"] = drift.adjust_p_values(table["p"].to_numpy())
    table = table.drop(columns=["known_then", "known_now"]).sort_values(
        "psi", ascending=False, kind="stable", ignore_index=True
    )
    return DriftReport(table, reference, current, new_entities, missing_entities, is_combined)


def _select_shared(reference: Dataset, current: Dataset) -> tuple[Dataset, Dataset]:
    """Return the rows of the entities that both have; all rows if they have none in common."""
    shared = sorted(set(reference.entities) & set(current.entities))
    return (reference.filter_rows(shared), current.filter_rows(shared)) if shared else (reference, current)


def _check_same_columns(reference: Dataset, current: Dataset) -> None:
    missing = [column for column in reference.columns if column not in set(current.columns)]
    if missing:
        raise DataError(
            N_("{file} cannot be compared with the training data: the columns {missing} are missing."),
            file=", ".join(current.files),
            missing=", ".join(missing[:5]),
        )
    if reference.unit != current.unit:
        raise DataError(
            N_("{file} cannot be compared with the training data: its unit is {value}, and theirs is {accepted}."),
            file=", ".join(current.files),
            value=current.unit or "?",
            accepted=reference.unit or "?",
        )


def _compare_column(reference: Dataset, current: Dataset, entity: str, column: str) -> dict[str, Any]:
    train_values, new_values = _sample_values(reference, entity, column), _sample_values(current, entity, column)
    index, by_chance = (
        drift.compute_psi(train_values, new_values),
        drift.compute_chance_psi(len(train_values), len(new_values)),
    )
    present_values = [values[~np.isnan(values)] for values in (train_values, new_values)]
    return {
        "entity": entity,
        "column": column,
        "level": drift.classify_psi(index, by_chance),
        "psi": index,
        "by_chance": by_chance,
        "ks": drift.compute_ks(train_values, new_values),
        "rows_then": len(train_values),
        "rows_now": len(new_values),
        "median_then": _compute_median(present_values[0]),
        "median_now": _compute_median(present_values[1]),
        "missing_then": 1 - len(present_values[0]) / len(train_values),
        "missing_now": 1 - len(present_values[1]) / len(new_values),
        "known_then": len(present_values[0]),
        "known_now": len(present_values[1]),
    }


def _sample_values(dataset: Dataset, entity: str, column: str) -> Floats:
    """Return the values of a column, at most `MAX_SAMPLED_ROWS` of them at even intervals."""
    values = dataset.frame[column].to_numpy()
    if entity != ALL_ENTITIES:
        values = values[dataset.entity_codes == dataset.entities.index(entity)]
    return values[:: -(-len(values) // MAX_SAMPLED_ROWS) or 1]


def _compute_median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")
