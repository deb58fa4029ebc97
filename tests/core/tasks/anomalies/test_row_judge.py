"""The judge of rows: it says what the page says for the same rows, however they are split into ticks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.data.read_options import ReadOptions
from core.errors import DataError
from core.spec.spec import ApplySpec
from core.spec.task import get_task, load_entry_point
from core.tasks.anomalies.judge import RowJudge, load_judge
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import apply_model, detect
from core.tasks.anomalies.spec import DetectionSpec
from tests.conftest import create_workspace

ALICE = Actor("alice", "tests")
ZONE = "Europe/Paris"


def make_power(start: str, days: int, seed: int, faults: int = 0) -> Dataset:
    """Return hourly power and voltage of three entities, with some faults and one incomplete row."""
    times = pd.date_range(start, periods=24 * days, freq="h")
    random = np.random.default_rng(seed)
    day = 10 + 3 * np.sin(2 * np.pi * times.hour / 24)
    values = np.concatenate([np.column_stack([day, 230 + 0 * day]) * scale for scale in (1.0, 2.0, 5.0)])
    values = values * random.normal(1, 0.01, values.shape)
    for row in random.choice(len(values), faults, replace=False):
        values[row, row % 2] *= 1.6
    values[5, 0] = np.nan
    index = make_index(np.repeat(["lyon", "paris", "rennes"], len(times)), np.tile(times, 3))
    frame = pd.DataFrame(values, index=index, columns=["power", "voltage"])
    options = ReadOptions(zone=ZONE)
    return Dataset(
        frame,
        "tidy_series",
        step=pd.Timedelta(hours=1),
        unit="MW",
        zone=ZONE,
        files=("power.csv",),
        read_options=options,
    )


@pytest.fixture(scope="module")
def row_case(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[RowJudge, Dataset, Detection]:
    """The judge of a model, rows that came later, and what the page says about them."""
    workspace = create_workspace(tmp_path_factory.mktemp("judge"), empty_store)
    history, later = make_power("2024-01-01", 40, 0), make_power("2024-02-20", 6, 1, faults=14)
    workspace.datasets.save(history)
    _, run = detect(DetectionSpec(), history, workspace=workspace, actor=ALICE)
    detection, _ = apply_model(ApplySpec(model=run.id), later, workspace=workspace, actor=ALICE)
    return load_judge(run.id, workspace), later, detection


def test_task_anomalies_declares_its_judge() -> None:
    assert load_entry_point(get_task("anomalies").judge) is load_judge


def test_template_has_form_of_training_data(row_case: tuple[RowJudge, Dataset, Detection]) -> None:
    template = row_case[0].template
    assert (len(template), template.columns, template.zone, template.step) == (
        0,
        ["power", "voltage"],
        ZONE,
        pd.Timedelta(hours=1),
    )


@given(cuts=st.lists(st.integers(1, 431), max_size=6), seed=st.integers(0, 5))
def test_any_split_into_ticks_says_what_page_says(
    row_case: tuple[RowJudge, Dataset, Detection], cuts: list[int], seed: int
) -> None:
    judge, later, detection = row_case
    order = np.random.default_rng(seed).permutation(len(later))
    parts = [part for part in np.split(order, sorted(set(cuts))) if len(part)]
    judgements = [judge.judge_rows(later.take_rows(part), np.ones(len(part), dtype=bool)) for part in parts]
    rows = pd.concat([judgement.rows for judgement in judgements]).set_index(["entity", "instant"]).sort_index()

    page = detection.rows.assign(
        entity=detection.rows["entity"].astype(str),
        instant=pd.DatetimeIndex(detection.rows["time"]).tz_localize(ZONE).tz_convert("UTC").tz_localize(None),
    )
    page = page.set_index(["entity", "instant"]).sort_index()
    flagged = page["anomaly"]
    assert sum(judgement.left_out for judgement in judgements) == detection.rows_left_out == 1
    assert flagged.sum() >= 8
    assert rows.index.equals(page.index)
    np.testing.assert_allclose(rows["score"], page["score"], rtol=1e-9)
    assert (rows["is_anomalous"] == flagged).all()
    assert (rows["threshold"] == detection.threshold).all()
    assert rows.loc[flagged, "severity"].tolist() == page.loc[flagged, "severity"].tolist()
    for ours, theirs in (("measured", "value"), ("expected", "expected"), ("low", "low"), ("high", "high")):
        np.testing.assert_allclose(rows.loc[flagged, ours], page.loc[flagged, theirs].astype(float), rtol=1e-6)
    page = page.astype({"column": object}).fillna({"column": ""})
    assert rows.loc[flagged, "column"].tolist() == page.loc[flagged, "column"].tolist()
    assert [", ".join(causes) for causes in rows.loc[flagged, "causes"]] == page.loc[flagged, "causes"].tolist()
    assert rows.loc[~flagged, "column"].eq("").all()
    assert judgements[0].target_rate == detection.target_rate


def test_past_rows_are_not_judged_again(row_case: tuple[RowJudge, Dataset, Detection]) -> None:
    judge, later, _ = row_case
    is_new = np.arange(len(later)) % 3 == 2
    judgement = judge.judge_rows(later, is_new)
    assert len(judgement.rows) + judgement.left_out == is_new.sum()


def test_rows_of_other_columns_are_refused(row_case: tuple[RowJudge, Dataset, Detection]) -> None:
    judge, later, _ = row_case
    other = later.replace(frame=later.frame.rename(columns={"power": "load"}))
    with pytest.raises(DataError, match=r"power\.csv has the columns load, voltage\. .* power, voltage"):
        judge.judge_rows(other, np.ones(len(other), dtype=bool))
