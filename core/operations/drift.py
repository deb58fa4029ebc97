"""Drift between the training data of a model and new data, per entity and column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, NotFoundError
from core.evaluation import drift
from core.messages import N_
from core.runs.stored_runs import load_model_spec, load_run
from core.runs.tracked_run import recorded
from core.spec.spec import DataSpec
from core.workspace import Workspace

Floats = NDArray[np.float64]

ALL = ""
"""Name of the entity that combines the rows of all entities."""
MOST_PAIRS = 5000
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Drift:
    """Comparison of training data with new data.

    table      one row per entity and column, highest psi first: psi, by_chance (psi expected without drift), level,
               ks, p, q (p adjusted for the number of tests); number of rows, median and share of missing values (0–1),
               in the training data (`_then`) and in the new data (`_now`)
    reference  training rows; of the shared entities where there are any
    current    new rows, of the same entities
    new        entities of the new data only
    gone       entities of the training data only
    together   True where all entities were compared as one, because there are too many, or none in common
    """

    table: pd.DataFrame
    reference: Dataset
    current: Dataset
    new: tuple[str, ...]
    gone: tuple[str, ...]
    together: bool

    def values(self, row: int) -> tuple[Floats, Floats]:
        """Return the training values and the new values of one row of the table."""
        found = self.table.loc[row]
        return tuple(_values(part, found["entity"], found["column"]) for part in (self.reference, self.current))  # type: ignore[return-value]


def compare_with_training(run_id: str, dataset: Dataset, *, workspace: Workspace, actor: Actor) -> Drift:
    """Compare `dataset` with the training data of the model of a run, and record one event.

    Raises NotFoundError where the run or its data are not stored here, DataError where columns or units differ.
    """
    with recorded(
        "drift_check", actor, workspace, run=run_id, dataset=dataset.digest, file_names=list(dataset.files)
    ) as inputs:
        found = compare_datasets(load_training_data(run_id, workspace), dataset)
        inputs["levels"] = found.table["level"].value_counts().to_dict()
    return found


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
            N_(
                "The data that the run {run} learnt from ({files}) are not stored here any more; load the "
                "same files again."
            ),
            run=run_id[:12],
            files=record.tags.get("dataset.files", "?"),
        ) from error
    spec = load_model_spec(run_id, workspace)
    return spec.training_rows(dataset) if isinstance(spec, DataSpec) else dataset


def compare_datasets(reference: Dataset, current: Dataset) -> Drift:
    """Compare every column of the shared entities, or of all entities together where none is shared or too many are.

    Raises DataError where columns or units differ.
    """
    _check_same_columns(reference, current)
    shared = sorted(set(reference.entities) & set(current.entities))
    new, gone = (
        tuple(sorted(set(one.entities) - set(other.entities)))
        for one, other in ((current, reference), (reference, current))
    )
    together = not shared or len(shared) * len(reference.columns) > MOST_PAIRS
    if shared:
        reference, current = reference.select(shared), current.select(shared)
    table = pd.DataFrame(
        [
            _row(reference, current, entity, column)
            for entity in ([ALL] if together else shared)
            for column in reference.columns
        ]
    )
    table["p"] = drift.ks_p_values(table["ks"].to_numpy(), table["known_then"], table["known_now"])
    table["q"] = drift.adjusted(table["p"].to_numpy())
    table = table.drop(columns=["known_then", "known_now"]).sort_values(
        "psi", ascending=False, kind="stable", ignore_index=True
    )
    return Drift(table, reference, current, new, gone, together)


def _check_same_columns(reference: Dataset, current: Dataset) -> None:
    missing = [column for column in reference.columns if column not in set(current.columns)]
    if missing:
        raise DataError(
            N_("{file} cannot be compared: the model learnt from columns that it has not ({missing})."),
            file=", ".join(current.files),
            missing=", ".join(missing[:5]),
        )
    if reference.unit != current.unit:
        raise DataError(
            N_("{file} cannot be compared: it is in {value}, and the model learnt from {accepted}."),
            file=", ".join(current.files),
            value=current.unit or "?",
            accepted=reference.unit or "?",
        )


def _row(reference: Dataset, current: Dataset, entity: str, column: str) -> dict[str, Any]:
    then, now = _values(reference, entity, column), _values(current, entity, column)
    index, by_chance = drift.psi(then, now), drift.psi_by_chance(len(then), len(now))
    known = [values[~np.isnan(values)] for values in (then, now)]
    return {
        "entity": entity,
        "column": column,
        "level": drift.level(index, by_chance),
        "psi": index,
        "by_chance": by_chance,
        "ks": drift.ks(then, now),
        "rows_then": len(then),
        "rows_now": len(now),
        "median_then": _median(known[0]),
        "median_now": _median(known[1]),
        "missing_then": 1 - len(known[0]) / len(then),
        "missing_now": 1 - len(known[1]) / len(now),
        "known_then": len(known[0]),
        "known_now": len(known[1]),
    }


def _values(dataset: Dataset, entity: str, column: str) -> Floats:
    """Return the values of a column, at most `MOST_ROWS` of them at even intervals."""
    values = dataset.frame[column].to_numpy()
    if entity != ALL:
        values = values[dataset.entity_codes == dataset.entities.index(entity)]
    return values[:: -(-len(values) // MOST_ROWS) or 1]


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")
