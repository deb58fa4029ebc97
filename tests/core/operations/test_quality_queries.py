"""Checks and repairs as queries: the same report and effect after storing, one event, undo."""

import numpy as np
import pandas as pd
import pytest

from core import queries
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.quality.changes import trace_repairs
from core.data.quality.doctor import run_checks
from core.data.quality.findings import Repair
from core.data.quality.repairs import apply_repairs, diff_datasets
from core.data.samples import SAMPLES, load_sample
from core.errors import NotFoundError, OptionError
from core.operations import quality
from core.operations.quality import RepairOrder, RepairSpec, is_quickly_checked
from core.operations.queries import CHECK_QUALITY, PREVIEW_REPAIRS, REPAIR_DATASET
from core.progress import Progress
from core.spec.spec import DataSpec, Spec
from core.workspace import Workspace

ALICE = Actor("alice", "tests")


def answer(name: str, spec: Spec, workspace: Workspace) -> str:
    return queries.answer_question(name, spec, workspace=workspace, actor=ALICE, progress=Progress())


def choose_repairs(dataset: Dataset) -> tuple[Repair, ...]:
    return tuple(finding.repairs[0] for finding in run_checks(dataset).findings if finding.repairs)


@pytest.mark.parametrize("name", list(SAMPLES))
def test_stored_report_and_effect_equal_computed_ones(name: str, workspace: Workspace) -> None:
    dataset = load_sample(name)
    digest = workspace.datasets.save(dataset)
    question = DataSpec(dataset=digest)
    answer(CHECK_QUALITY, question, workspace)
    assert queries.load_answer(CHECK_QUALITY, question, workspace).report == run_checks(dataset)  # type: ignore[union-attr]
    spec = RepairSpec(dataset=digest, repairs=choose_repairs(dataset))
    answer(PREVIEW_REPAIRS, spec, workspace)
    effect = queries.load_answer(PREVIEW_REPAIRS, spec, workspace)
    assert effect is not None
    expected = trace_repairs(spec.repairs, dataset)
    trace = effect.build_trace(dataset)
    assert trace.after.digest == expected.after.digest
    assert np.array_equal(trace.origins, expected.origins)
    assert trace.count_changes() == expected.count_changes()
    cells = diff_datasets(dataset, expected.after)
    pd.testing.assert_frame_equal(effect.changed_cells, cells, check_dtype=False, check_categorical=False)
    assert [info.digest for info in workspace.datasets.list_recent()] == [digest], "a preview adds no dataset"
    assert workspace.events.read_events() == []


def test_repairing_stores_dataset_of_its_owner_and_one_event(workspace: Workspace) -> None:
    dataset = load_sample("gas_daily")
    digest, repairs = workspace.datasets.save(dataset), choose_repairs(dataset)
    repaired = answer(REPAIR_DATASET, RepairOrder(dataset=digest, repairs=repairs, owner="alice"), workspace)
    assert repaired == apply_repairs(repairs, dataset).digest
    assert [info.digest for info in workspace.datasets.list_recent(user="alice")] == [repaired]
    undo = RepairOrder(dataset=digest, repairs=(), undone=repairs[0].kind)
    assert answer(REPAIR_DATASET, undo, workspace) == digest
    first, second = workspace.events.read_events()
    assert first.details.inputs["repairs"] == [repair.kind for repair in repairs]
    assert second.details.inputs["undone"] == repairs[0].kind


def test_unknown_repair_and_dataset_are_refused(workspace: Workspace) -> None:
    digest = workspace.datasets.save(load_sample("tidy_series"))
    for name in (PREVIEW_REPAIRS, REPAIR_DATASET):
        with pytest.raises(NotFoundError, match="is not stored here"):
            answer(name, RepairOrder(dataset="0" * 64) if name == REPAIR_DATASET else RepairSpec(), workspace)
        kind = RepairOrder if name == REPAIR_DATASET else RepairSpec
        with pytest.raises(OptionError, match="does not exist"):
            answer(name, kind(dataset=digest, repairs=(Repair("burn"),)), workspace)


def test_damaged_effect_is_computed_again(workspace: Workspace) -> None:
    dataset = load_sample("tidy_series")
    spec = RepairSpec(dataset=workspace.datasets.save(dataset), repairs=choose_repairs(dataset))
    key = answer(PREVIEW_REPAIRS, spec, workspace)
    folder = workspace.answers.find_answer(key)
    assert folder is not None
    [rows] = folder.rglob("dataset.json")
    rows.unlink()
    rows.parent.rename(rows.parent.with_name("elsewhere"))
    assert queries.load_answer(PREVIEW_REPAIRS, spec, workspace) is None
    answer(PREVIEW_REPAIRS, spec, workspace)
    assert queries.load_answer(PREVIEW_REPAIRS, spec, workspace) is not None


def test_large_data_are_not_quickly_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_sample("tidy_series")
    assert is_quickly_checked(dataset)
    monkeypatch.setattr(quality, "SHORT_CELLS", dataset.frame.size - 1)
    assert not is_quickly_checked(dataset)
