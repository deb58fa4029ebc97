"""The judge of series: its scores are those of the whole series, and do not depend on the split into ticks."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import OptionError
from core.spec.spec import ApplySpec
from core.spec.task import get_task, load_entry_point
from core.tasks.sequences.judge import SeriesJudge, load_judge
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.run import apply_model, train
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.watches.judgement import Judgement
from core.workspace import Workspace
from tests.conftest import create_workspace
from tests.support.sample_sequences import make_series

ALICE = Actor("alice", "tests")
STREAMS = {
    "sub-pca": {"centred": False, "window": 7},
    "moving-mean": {"centred": False},
    "pca-residual": {},
    "sgmvrnn": {"scoring": "streaming", "steps": 5, "batch_size": 16},
}
FIRST_WATCHED_ROW, ROWS = 180, 300


@pytest.fixture(scope="module", params=STREAMS)
def series_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> tuple[SeriesJudge, Dataset, SequenceDetection]:
    """The judge of a model that looks back only, a whole series, and what the page says about it."""
    workspace = create_workspace(tmp_path_factory.mktemp("judge"), empty_store)
    series = make_series(entities=2, rows=ROWS)
    workspace.datasets.save(series)
    detector = list_detectors()[request.param](**STREAMS[request.param])
    _, run = train(SequenceSpec(detector), series, workspace=workspace, actor=ALICE)
    detection, _ = apply_model(ApplySpec(model=run.id), series, workspace=workspace, actor=ALICE)
    return load_judge(run.id, workspace), series, detection


def judge_in_ticks(judge: SeriesJudge, series: Dataset, cuts: list[int]) -> pd.DataFrame:
    """Judge the rows from the first watched one on in ticks, each with as many rows before it as the judge wants."""
    borders = [FIRST_WATCHED_ROW, *sorted(set(cuts)), ROWS]
    judgements: list[Judgement] = []
    row = np.tile(np.arange(ROWS), 2)
    for first, last in itertools.pairwise(borders):
        part = series.take_rows((row >= first - judge.past_rows) & (row < last))
        is_new = row[(row >= first - judge.past_rows) & (row < last)] >= first
        judgements.append(judge.judge_rows(part, is_new))
    rows = pd.concat([judgement.rows for judgement in judgements])
    return rows.set_index(["entity", "instant"]).sort_index()


@settings(max_examples=6)
@given(cuts=st.lists(st.integers(FIRST_WATCHED_ROW + 1, ROWS - 1), max_size=5))
def test_split_into_ticks_changes_no_score(
    series_case: tuple[SeriesJudge, Dataset, SequenceDetection], cuts: list[int]
) -> None:
    judge, series, _ = series_case
    whole, parts = judge_in_ticks(judge, series, []), judge_in_ticks(judge, series, cuts)
    assert whole["is_anomalous"].any()
    assert (parts["is_anomalous"] == whole["is_anomalous"]).all()
    np.testing.assert_allclose(parts["score"], whole["score"], rtol=1e-4, atol=1e-6)
    assert parts["column"].tolist() == whole["column"].tolist()
    assert parts["causes"].tolist() == whole["causes"].tolist()
    for name in ("measured", "expected", "low", "high"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4, atol=1e-6)


def test_scores_are_those_of_whole_series(series_case: tuple[SeriesJudge, Dataset, SequenceDetection]) -> None:
    judge, series, detection = series_case
    rows = judge_in_ticks(judge, series, [200, 201])
    page = detection.rows.assign(entity=detection.rows["entity"].astype(str), instant=detection.rows["time"])
    page = page.set_index(["entity", "instant"]).loc[rows.index]
    tolerance = 0.02 if judge.model.detector.carries_state else 1e-4  # the state begins later
    np.testing.assert_allclose(rows["score"], page["score"], rtol=tolerance, atol=1e-6)
    assert (rows["is_anomalous"] == page["anomaly"]).mean() > 0.99


def test_later_rows_change_no_earlier_score(series_case: tuple[SeriesJudge, Dataset, SequenceDetection]) -> None:
    judge, series, _ = series_case
    row = np.tile(np.arange(ROWS), 2)
    changed = series.replace(frame=series.frame.mask(np.repeat(row >= 250, 2).reshape(-1, 2), 100.0))
    before, after = (judge_in_ticks(judge, data, []) for data in (series, changed))
    early = before.index.get_level_values("instant") < pd.DatetimeIndex(series.time)[250]
    np.testing.assert_allclose(after["score"][early], before["score"][early], rtol=1e-5)
    assert not np.allclose(after["score"][~early], before["score"][~early])


def test_task_sequences_declares_its_judge() -> None:
    assert load_entry_point(get_task("sequences").judge) is load_judge


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SequenceSpec(list_detectors()["sub-pca"]()), "sub-pca scores a row by later rows"),
        (SequenceSpec(list_detectors()["seasonal-residual"]()), "seasonal-residual scores a row by later rows"),
        (SequenceSpec(list_detectors()["pca-residual"](), adaptive=True), "follows the scores"),
    ],
    ids=["centred window", "later level", "adaptive threshold"],
)
def test_models_that_need_the_future_are_refused(spec: SequenceSpec, reason: str, workspace: Workspace) -> None:
    series = make_series(entities=1, rows=200)
    _, run = train(spec, series, workspace=workspace, actor=ALICE)
    with pytest.raises(OptionError, match=reason):
        load_judge(run.id, workspace)
