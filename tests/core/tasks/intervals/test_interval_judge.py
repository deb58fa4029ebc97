"""The judge of intervals: outages are alarms, usual values are not, and the split into ticks changes no interval."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.forecasters.seasonal_naive import SeasonalNaive
from core.spec.task import get_task, load_entry_point
from core.tasks.intervals.judge import IntervalJudge, load_judge
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec, list_series_forecasters
from tests.conftest import create_workspace
from tests.support.sample_calls import make_call_dataset, make_calls

HOUR = pd.Timedelta(hours=1)
WEEK_HOURS = 168
TRAINED = 6 * WEEK_HOURS
OUTAGE = slice(TRAINED + 132, TRAINED + 136)  # four hours around noon of the sixth day


@pytest.fixture(scope="module", params=["seasonal-naive", "gradient-boosting-quantiles"])
def interval_case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> tuple[IntervalJudge, Dataset]:
    """The judge of a model of six weeks, and eight weeks of hourly calls with an outage in the seventh."""
    workspace = create_workspace(tmp_path_factory.mktemp("judge"), empty_store)
    values = make_calls(8, 2, HOUR)
    values[OUTAGE, 1] = 0
    history = make_call_dataset(values[:TRAINED], step=HOUR)
    workspace.datasets.save(history)
    forecaster = list_series_forecasters().get(request.param, SeasonalNaive)()
    spec = IntervalsSpec(forecaster=forecaster, horizon=24)
    _, run = judge_points(spec, history, workspace=workspace, actor=Actor("test"))
    return load_judge(run.id, workspace), make_call_dataset(values, step=HOUR)


def judge_in_ticks(judge: IntervalJudge, dataset: Dataset, cuts: list[int], first: int, end: int) -> pd.DataFrame:
    """Judge the steps from `first` to before `end` in ticks, each with as many rows before it as the judge wants."""
    step = ((pd.DatetimeIndex(dataset.time) - dataset.time.min()) // HOUR).to_numpy()
    borders = [first, *sorted(set(cuts)), end]
    tables = []
    for begin, stop in itertools.pairwise(borders):
        is_given = (step >= begin - judge.past_rows) & (step < stop)
        part = dataset.take_rows(is_given)
        tables.append(judge.judge_rows(part, step[is_given] >= begin).rows)
    return pd.concat(tables).set_index(["entity", "instant"]).sort_index()


@settings(max_examples=4)
@given(cuts=st.lists(st.integers(TRAINED + 121, TRAINED + 159), max_size=3))
def test_split_into_ticks_changes_no_interval(interval_case: tuple[IntervalJudge, Dataset], cuts: list[int]) -> None:
    judge, dataset = interval_case
    first, end = TRAINED + 120, TRAINED + 160
    whole, parts = (judge_in_ticks(judge, dataset, each, first, end) for each in ([], cuts))
    assert len(whole) == 2 * (end - first)
    assert (parts["is_anomalous"] == whole["is_anomalous"]).all()
    for name in ("score", "measured", "expected", "low", "high"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)


def test_outage_is_alarm_and_usual_values_are_not(interval_case: tuple[IntervalJudge, Dataset]) -> None:
    judge, dataset = interval_case
    rows = judge_in_ticks(judge, dataset, [], TRAINED, TRAINED + WEEK_HOURS)
    outage = rows.loc["T2"].iloc[OUTAGE.start - TRAINED : OUTAGE.stop - TRAINED]
    assert outage["is_anomalous"].all()
    assert (outage["severity"] >= 2).all()
    assert (outage["measured"] == 0).all()
    assert (outage["low"] > 0).all()
    assert outage["column"].eq("total").all()
    assert outage["causes"].tolist() == [("total",)] * 4
    assert rows.loc["T1", "is_anomalous"].mean() < 0.15


def test_promise_is_level_of_interval(interval_case: tuple[IntervalJudge, Dataset]) -> None:
    judge, dataset = interval_case
    judgement = judge.judge_rows(dataset, np.arange(len(dataset)) == len(dataset) - 1)
    assert judgement.target_rate == pytest.approx(0.05)
    assert (len(judgement.rows), judgement.left_out) == (1, 0)


def test_rows_without_history_or_of_other_entities_are_left_out(interval_case: tuple[IntervalJudge, Dataset]) -> None:
    judge, dataset = interval_case
    alone = dataset.take_rows(np.array([TRAINED + 5]))
    assert judge.judge_rows(alone, np.ones(1, dtype=bool)).left_out == 1
    other = make_call_dataset(np.ones((5, 2)), step=HOUR, names=["T8", "T9"])
    judgement = judge.judge_rows(other, np.ones(10, dtype=bool))
    assert (len(judgement.rows), judgement.left_out) == (0, 10)


def test_missing_measure_is_told(interval_case: tuple[IntervalJudge, Dataset]) -> None:
    judge, dataset = interval_case
    other = dataset.replace(frame=dataset.frame.rename(columns={"total": "calls"}))
    with pytest.raises(DataError, match="no column total"):
        judge.judge_rows(other, np.ones(len(other), dtype=bool))


def test_task_intervals_declares_its_judge() -> None:
    assert load_entry_point(get_task("intervals").judge) is load_judge
