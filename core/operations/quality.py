"""Checks and repairs of a dataset as queries of the pages: the report, the effect of repairs, the repaired dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.quality.changes import Trace, trace_repairs
from core.data.quality.doctor import QualityReport, QualitySummary, run_checks
from core.data.quality.findings import Finding, Repair
from core.data.quality.repairs import apply_repairs, diff_datasets
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.runs.tracked_run import record_event
from core.spec.spec import DataSpec
from core.storage.datasets import DatasetStore
from core.workspace import Workspace

SHORT_CELLS = 1_000_000  # so many measurements are checked in less than two seconds
REPAIRED_FOLDER = "repaired"


def is_quickly_checked(dataset: Dataset) -> bool:
    """Tell whether the checks and repairs of `dataset` take less than two seconds."""
    return bool(dataset.frame.size <= SHORT_CELLS)


# ---- checks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QualityAnswer(Result):
    """The stored report of the data doctor; the fields are those of `QualityReport`."""

    spec: DataSpec
    summary: QualitySummary
    findings: tuple[Finding, ...]

    @property
    def report(self) -> QualityReport:
        """The report."""
        return QualityReport(self.summary, self.findings)


def check_quality(spec: DataSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> QualityAnswer:
    """Run every check on a stored dataset. Raises NotFoundError for a dataset that is not stored."""
    progress.report(0.0, N_("Checking the data"))
    report = run_checks(workspace.datasets.load(spec.dataset), progress.report)
    return QualityAnswer(spec, report.summary, report.findings)


# ---- repairs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RepairSpec(DataSpec):
    """Question about what repairs change in a dataset."""

    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class RepairOrder(RepairSpec):
    """Order to apply repairs to a dataset.

    owner   user whom the repaired dataset is listed for; "" for all
    undone  kind of the repair that is left out, where the others are applied again
    """

    owner: str = ""
    undone: str = ""


@dataclass(frozen=True)
class _ChangedRows(Result):
    """Tables of a `RepairEffect`: row before the repairs of every row after them, and the changed cells."""

    spec: RepairSpec
    digest: str
    origins: pd.DataFrame
    changed_cells: pd.DataFrame


@dataclass(frozen=True)
class RepairEffect:
    """A dataset after repairs, the row before them of every row (−1 for an added one), and the changed cells."""

    spec: RepairSpec
    after: Dataset
    origins: NDArray[np.intp]
    changed_cells: pd.DataFrame

    def build_trace(self, before: Dataset) -> Trace:
        """Return what became of every row of the dataset `before` the repairs."""
        return Trace(before, self.after, self.origins)

    def save(self, folder: Path) -> None:
        """Write the effect below `folder`; `load` reads it back."""
        DatasetStore(folder / REPAIRED_FOLDER).save(self.after)
        origins = pd.DataFrame({"origin": self.origins})
        _ChangedRows(self.spec, self.after.digest, origins, self.changed_cells).save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the effect that `save` wrote. Raises NotFoundError where `folder` holds none."""
        rows = _ChangedRows.load(folder)
        after = DatasetStore(folder / REPAIRED_FOLDER).load(rows.digest)
        return cls(rows.spec, after, rows.origins["origin"].to_numpy(dtype=np.intp), rows.changed_cells)


def preview_repairs(spec: RepairSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> RepairEffect:
    """Return what the repairs change; no dataset is added to the list. Raises the errors of `apply_repairs`."""
    progress.report(0.0, N_("Computing the effect of the repairs"))
    dataset = workspace.datasets.load(spec.dataset)
    trace = trace_repairs(spec.repairs, dataset)
    progress.report(0.8)
    return RepairEffect(spec, trace.after, trace.origins, diff_datasets(dataset, trace.after))


def repair_dataset(spec: RepairOrder, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Apply the repairs, store the repaired dataset, and return its digest. One event is recorded.

    Raises the errors of `apply_repairs`, and NotFoundError for a dataset that is not stored.
    """
    progress.report(0.0, N_("Repairing the data"))
    dataset = workspace.datasets.load(spec.dataset)
    inputs = {"undone": spec.undone} if spec.undone else {"repairs": [repair.kind for repair in spec.repairs]}
    with record_event("data_repair", actor, workspace, source=dataset.source or dataset.digest, **inputs) as event:
        repaired = apply_repairs(spec.repairs, dataset)
        progress.report(0.8)
        event["dataset"] = workspace.datasets.save(repaired, spec.owner)
    return repaired.digest
