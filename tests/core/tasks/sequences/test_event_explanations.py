"""Explanations of events: measured and usual values, counterfactuals that are scored again, and older stored runs."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actor import Actor
from core.data.samples import load_sample
from core.data.series import split_by_entity
from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.evaluation.events import EventSpan, ScoreLevels, find_events
from core.progress import Progress
from core.runs.model_files import load_model
from core.tasks.sequences import events, figures
from core.tasks.sequences.counterfactual import Bounds, Rescorer, Sides, clip_rows
from core.tasks.sequences.explanations import SeriesExplainer
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.run import train
from core.tasks.sequences.spec import FAST_DETECTORS, SequenceSpec, list_detectors
from core.tasks.sequences.usual_range import UsualRange, choose_usual_range
from core.workspace import Workspace
from tests.support.sample_sequences import make_series

ALICE = Actor("alice", "tests")


def make_rate_spec(name: str, amount: float = 0.002) -> SequenceSpec:
    """Make a spec that accepts this share of flagged normal rows."""
    return SequenceSpec(list_detectors()[name](), threshold="pot", amount=amount)


# ---- counterfactuals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAST_DETECTORS)
def test_clipped_event_is_not_flagged_when_scored_again(name: str, workspace: Workspace) -> None:
    """The ranges of the stored table, applied to the data: the whole series has no flagged row in the event."""
    dataset = load_sample("server_kpis")
    detection, run = train(make_rate_spec(name), dataset, workspace=workspace, actor=ALICE)
    model = load_model(run.id, SequenceModel, workspace)
    [series] = split_by_entity(dataset)
    explained = detection.events[detection.events["unflagged_by"] == "one column"]
    assert len(explained) >= len(detection.events) // 3
    for event in explained.itertuples():
        bounds = Bounds(detection.data.columns.index(event.unflagged_column), event.unflagged_low, event.unflagged_high)
        rows = slice(event.first, event.last + 1)
        [scores] = model.score_series([clip_rows(series.values, rows, [bounds])])
        assert (scores.score[rows].astype(float) <= detection.threshold).all()
        assert event.unflagged == f"{event.unflagged_column} {event.unflagged_low:.10g} … {event.unflagged_high:.10g}"


@given(st.integers(0, 2**32 - 1), st.sampled_from(["pca-residual", "moving-mean", "sub-pca"]))
def test_ranges_of_random_faults_hold_and_exclude_the_fault(seed: int, name: str) -> None:
    random = np.random.default_rng(seed)
    load = np.sin(np.arange(600) / 15)
    values = np.column_stack([load, 2 * load, -load]) + random.normal(0, 0.1, (600, 3))
    column, start, length = random.integers(3), 400 + random.integers(150), 1 + random.integers(8)
    model = SequenceModel(list_detectors()[name](), Scaling()).fit_series([values[:300]])
    model.threshold_ = float(model.calibration_.max()) * 1.2
    values[start : start + length, column] += random.choice([-6.0, 6.0])
    explainer = make_explainer(model, values)
    faults = find_faults(explainer, start, start + length)
    assert faults
    for span in faults:
        bounds, rows = explainer.find_counterfactual(span), slice(span.first, span.last + 1)
        if not bounds:
            continue
        [scores] = model.score_series([clip_rows(values, rows, bounds)])
        assert (scores.score[rows] <= model.threshold_).all()
        assert any(
            ((values[rows, number] < low) | (values[rows, number] > high)).any() for number, low, high in bounds
        ), "a range that holds all values changes nothing"


def make_explainer(model: SequenceModel, values: np.ndarray) -> SeriesExplainer:
    """Make an explainer of a series that the model has not seen."""
    [scores] = model.score_series([values])
    anomaly = scores.score > model.threshold_
    levels = ScoreLevels.from_calibration(model.calibration_, model.threshold_)
    spans = find_events(scores.score.astype(float), anomaly, levels)
    return SeriesExplainer(model, ["a", "b", "c"], values, scores, anomaly, spans)


def find_faults(explainer: SeriesExplainer, start: int, stop: int) -> list[EventSpan]:
    """Return the anomalies that share rows with the rows `start` to before `stop`."""
    return [span for span in explainer.weights if span.first < stop and span.last >= start and span.kind == "anomaly"]


class FarLookingDetector(SequenceDetector):
    """Scores a row by its value and that of the row 300 rows earlier."""

    name, label = "far", "far"

    def fit(self, series: Sequence[Floats32], progress: Progress) -> "FarLookingDetector":
        progress.report(1.0)
        self.columns_ = series[0].shape[1]
        return self

    def score(self, series: Floats32) -> SequenceScores:
        earlier = np.concatenate([np.zeros((300, 1)), series[:-300]]) if len(series) > 300 else np.zeros_like(series)
        shares = np.abs(series - earlier).astype(np.float32)
        return SequenceScores(shares.sum(axis=1), shares)


def test_stretch_grows_until_scores_are_those_of_whole_series() -> None:
    values = np.random.default_rng(0).normal(size=(2000, 1))
    model = SequenceModel(FarLookingDetector(), Scaling()).fit_series([values])
    model.threshold_ = 100.0
    scores = model.score_series([values])[0].score.astype(float)
    stretch = Rescorer(model, values, scores, scores > 100).cut_stretch(1000, 1000)
    assert stretch.can_answer
    assert stretch.rows.start <= 700
    assert stretch.rows.stop - stretch.rows.start < 2000


def test_search_for_ranges_ends_with_its_time(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "COUNTERFACTUAL_SECONDS", -1.0)
    detection, _ = train(make_rate_spec("pca-residual"), load_sample("server_kpis"), workspace=workspace, actor=ALICE)
    assert set(detection.events["unflagged_by"]) == {""}
    assert detection.events["unflagged_low"].isna().all()


@given(st.floats(-10, 10), st.floats(0, 5), st.floats(0, 5), st.floats(-20, 20), st.floats(0, 20), st.floats(0, 1))
def test_wider_part_gives_wider_bounds(
    centre: float, below: float, above: float, lowest: float, spread: float, part: float
) -> None:
    sides = Sides(0, centre, centre - below, centre + above, lowest, lowest + spread)
    narrow, bounds, wide = (sides.make_bounds(size) for size in (0.0, part, 1.0))
    assert wide.low - 1e-9 <= bounds.low <= narrow.low + 1e-9
    assert narrow.high - 1e-9 <= bounds.high <= wide.high + 1e-9
    assert bounds.low <= centre <= bounds.high


# ---- measured and usual ---------------------------------------------------------------------------------------------


def test_usual_range_comes_from_neighbours_unless_value_is_among_them() -> None:
    values, inside = np.array([[5.0], [9.0]]), np.array([False, True])
    model_range = UsualRange(np.full((2, 1), 8.0), np.full((2, 1), 7.0), np.full((2, 1), 8.5))
    around = np.linspace(0, 6, 101)[:, None]
    assert choose_usual_range(values, model_range, around, inside).high.ravel() == pytest.approx([5.7, 5.7])
    assert choose_usual_range(values, model_range, 2 * around, inside).high.ravel().tolist() == [8.5, 8.5]
    assert choose_usual_range(values, model_range, around[:5], inside).high.ravel().tolist() == [8.5, 8.5]
    assert choose_usual_range(values, None, 2 * around, inside).high.ravel() == pytest.approx([11.4, 11.4])
    assert np.isnan(choose_usual_range(values, None, around[:0], inside).high).all()


@pytest.mark.parametrize("name", FAST_DETECTORS)
def test_table_and_picture_of_event_agree(name: str, workspace: Workspace) -> None:
    """The first cause, its measured value and its usual range are those of the cells, and it lies outside the band."""
    detection, _ = train(make_rate_spec(name), load_sample("server_kpis"), workspace=workspace, actor=ALICE)
    for number, event in detection.events.iterrows():
        cells = detection.cells[(detection.cells["event"] == number) & detection.cells["inside"]]
        order = cells.drop_duplicates("column").sort_values("rank")["column"].tolist()
        named = [cause.rsplit(" ", 2)[0] for cause in event["causes"].split(", ")]
        assert order[: len(named)] == named
        assert event["column"] == named[0]
        first = cells[cells["column"] == event["column"]]
        at_peak = first[np.isclose(first["value"], event["measured"], rtol=1e-6)].iloc[0]
        assert [at_peak["low"], at_peak["high"]] == pytest.approx([event["usual_low"], event["usual_high"]], rel=1e-5)
    outside = (detection.events["measured"] < detection.events["usual_low"]) | (
        detection.events["measured"] > detection.events["usual_high"]
    )
    assert outside.mean() >= 0.75


def test_lasting_change_has_no_counterfactual(workspace: Workspace) -> None:
    dataset = make_series(1)
    values = dataset.values.copy()
    values[250:390, 1] += 5
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns)
    detection, _ = train(
        SequenceSpec(list_detectors()["pca-residual"](variance=0.5), threshold="pot", amount=0.002),
        dataset.replace(frame=frame, labels=pd.Series(np.arange(400) == 260, index=frame.index)),
        workspace=workspace,
        actor=ALICE,
    )
    lasting = detection.events[detection.events["kind"] == "lasting change"].iloc[0]
    assert (lasting["first"], lasting["last"]) == (250, 389)
    assert lasting["unflagged_by"] == ""
    assert not lasting["known"], "one labelled row of 140 does not make a lasting change a true alarm"
    assert lasting["column"] == "b"
    timeline = figures.draw_timeline(detection, "s0")
    assert "lasting change" in {trace.name for trace in timeline.data}
    figures.draw_event(detection, int(lasting.name)).to_json()


# ---- runs of earlier versions ---------------------------------------------------------------------------------------


def test_detection_of_earlier_version_is_loaded(workspace: Workspace, tmp_path: Path) -> None:
    """Earlier versions stored two rankings, and no usual values."""
    detection, _ = train(make_rate_spec("pca-residual"), load_sample("server_kpis"), workspace=workspace, actor=ALICE)
    detection.save(tmp_path)
    new_columns = ["kind", "column", "measured", "usual_low", "usual_high"]
    unflagged = [name for name in detection.events if name.startswith("unflagged")]
    old_events = detection.events.drop(columns=[*new_columns, *unflagged]).assign(ranked="errors, latency")
    old_events.to_parquet(tmp_path / "events.parquet", index=False)
    old_cells = detection.cells.rename(columns={"rank": "by_distance"}).assign(by_share=0)
    old_cells.to_parquet(tmp_path / "cells.parquet", index=False)
    loaded = SequenceDetection.load(tmp_path)
    assert set(loaded.events) == set(detection.events)
    assert set(loaded.events["causes"]) == {"errors, latency"}
    assert set(loaded.events["column"]) == {"errors"}
    assert list(loaded.cells["rank"]) == list(detection.cells["rank"])
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
