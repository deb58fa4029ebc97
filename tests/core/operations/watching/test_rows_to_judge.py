"""Rows to judge: of a stored run, without rows that have a verdict, one of each incident."""

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.errors import InputError, NotFoundError
from core.operations.feedback import FeedbackInput, serialise_row, submit_feedback
from core.operations.threshold_from_feedback import load_flagged_rows
from core.operations.watching.rows_to_judge import MAX_ROWS_TO_JUDGE, choose_rows_to_judge
from core.runs.promotion import promote, register
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.clusters.run import cluster
from core.tasks.clusters.spec import ClusteringSpec
from core.workspace import Workspace

ADA = Actor("ada", "tests")


def make_dataset() -> Dataset:
    rng, hours = np.random.default_rng(0), np.arange(60 * 24)
    values = 100 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 2, len(hours))
    values[rng.choice(len(hours), 25, replace=False)] += rng.uniform(5, 40, 25)
    index = make_index(["north"] * len(hours), pd.date_range("2024-01-01", periods=len(hours), freq="h"))
    frame = pd.DataFrame({"load": values}, index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MW", files=("load.csv",))


@pytest.fixture
def flagged_run(workspace: Workspace) -> str:
    dataset = make_dataset()
    workspace.datasets.save(dataset)
    return detect(DetectionSpec(), dataset, workspace=workspace, actor=ADA)[1].id


def test_rows_lie_on_both_sides_of_the_threshold(workspace: Workspace, flagged_run: str) -> None:
    answer = choose_rows_to_judge(flagged_run, workspace)
    assert len(answer.rows) == 10
    assert set(answer.rows["is_flagged"]) == {True, False}
    assert (answer.rows["is_flagged"] == (answer.rows["score"] > answer.threshold)).all()
    assert answer.reviewed == 0
    assert answer.proposal is None
    times = pd.DatetimeIndex(answer.rows["time"]).sort_values()
    assert (np.diff(times) > np.timedelta64(2, "h")).all()  # rows that follow one another have one cause


def test_verdicts_are_not_asked_for_again(workspace: Workspace, flagged_run: str) -> None:
    first = choose_rows_to_judge(flagged_run, workspace)
    for row in first.rows.to_dict("records"):
        feedback = FeedbackInput(first.task, first.run_id, serialise_row(row), "false_alarm")  # type: ignore[arg-type]
        submit_feedback(feedback, workspace=workspace, actor=ADA)
    second = choose_rows_to_judge(flagged_run, workspace)
    assert second.reviewed == 10
    assert second.proposal is not None
    assert second.proposal.candidate.threshold > second.threshold
    assert not set(first.rows["time"]) & set(second.rows["time"])
    assert second.rows["score"].median() > first.rows["score"].median()  # all were false: the threshold is too low


def test_model_may_be_named_by_its_alias(workspace: Workspace, flagged_run: str) -> None:
    register(flagged_run, "load", workspace=workspace, actor=ADA)
    promote("load", workspace=workspace, actor=ADA)
    by_alias, by_run = (choose_rows_to_judge(name, workspace) for name in ("load@champion", flagged_run))
    pd.testing.assert_frame_equal(by_alias.rows, by_run.rows)


@pytest.mark.parametrize(("count", "expected"), [(-1, 0), (0, 0), (1, 1), (1000, MAX_ROWS_TO_JUDGE)])
def test_number_of_rows_has_limits(workspace: Workspace, flagged_run: str, count: int, expected: int) -> None:
    assert len(choose_rows_to_judge(flagged_run, workspace, count).rows) == expected


def test_asked_rows_are_rows_of_the_run(workspace: Workspace, flagged_run: str) -> None:
    flagged = load_flagged_rows(flagged_run, workspace)
    rows = choose_rows_to_judge(flagged_run, workspace).rows
    known = flagged.rows.set_index(["entity", "time"])["score"]
    assert (known[pd.MultiIndex.from_frame(rows[["entity", "time"]])].to_numpy() == rows["score"].to_numpy()).all()


def test_other_runs_are_refused(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        choose_rows_to_judge("e" * 32, workspace)
    run = cluster(ClusteringSpec(), make_dataset(), workspace=workspace, actor=ADA)[1]
    with pytest.raises(InputError, match="cannot be changed by verdicts"):
        choose_rows_to_judge(run.id, workspace)
