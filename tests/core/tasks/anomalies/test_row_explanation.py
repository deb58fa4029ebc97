"""One explanation per row: names, bands, words, incidents and counterfactuals agree with each other and with scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.detectors.baselines import BASELINE_CLASSES
from core.evaluation.counterfactual import CHECKED_VALUES, find_unflagged_intervals, space_values
from core.runs.card import build_run_card
from core.tasks.anomalies import command, figures
from core.tasks.anomalies.incidents import build_incidents, number_incidents
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.tasks.anomalies.words import describe_level, describe_value, round_for_display, round_interval
from core.workspace import Workspace
from tests.support.explained_profiles import explain, make_profiles

ALICE = Actor("alice", "tests")


# ---- names and bands ------------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(make_profiles(), st.sampled_from(list(BASELINE_CLASSES)))
def test_named_columns_lie_outside_band_in_named_direction(dataset: Dataset, baseline: str) -> None:
    """Table, causes and picture name the same columns: all outside the drawn band, on the side that the sign tells."""
    detection, _, _ = explain(dataset, baseline, 0.1)
    for row in range(len(detection.anomalies)):
        cells, line = detection.select_cells(row).set_index("column"), detection.rows.loc[row]
        outside = cells[(cells["value"] > cells["high"]) | (cells["value"] < cells["low"])]
        causes = [cause.rsplit(" ", 1) for cause in line["causes"].split(", ") if cause]
        for name, deviation in causes:
            cell = cells.loc[name]
            assert cell["value"] > cell["high"] if deviation.startswith("+") else cell["value"] < cell["low"]
            assert (cell["value"] - cell["expected"]) * (1 if deviation.startswith("+") else -1) > 0
        assert len(causes) == min(3, len(outside))
        assert [line["column"]] == [causes[0][0]] if causes else pd.isna(line["column"])
        marks = next(
            trace
            for trace in figures.draw_row_profile(detection.select_cells(row), "MW").data
            if trace.name == "largest deviations"
        )
        assert list(marks.x) == [name for name, _ in causes]
        sentence = str(detection.describe_values([row])[0])
        assert sentence.startswith(f"{causes[0][0]}: ") if causes else sentence.startswith("No single value is unusual")


@settings(max_examples=8)
@given(make_profiles(), st.sampled_from(list(BASELINE_CLASSES)))
def test_deviations_use_spread_of_band(dataset: Dataset, baseline: str) -> None:
    """The upper edge of the band is two spreads above the expected value; a deviation is in the same spreads."""
    detection, _, _ = explain(dataset, baseline, 0.1)
    cells = detection.cells
    spread = (cells["high"].astype(float) - cells["expected"]) / 2
    difference = cells["value"].astype(float) - cells["expected"]
    scale = cells[["value", "expected"]].abs().max(axis=1) + 1
    assert (np.abs(cells["deviation"] * spread - difference) <= 1e-5 * (1 + np.abs(cells["deviation"])) * scale).all()


def test_jumpy_day_without_unusual_value_is_told_by_its_jumps(sample: Dataset) -> None:
    """A day whose hours alternate inside the band has no named value; the sentence names a jump that is there."""
    complete = sample.take_rows(sample.is_complete)
    expected, spread = BASELINE_CLASSES["calendar"]().fit(complete).predict_values(complete)
    position = int((spread / expected).mean(axis=1).argmax())
    values = expected[position] + 1.2 * spread[position] * np.where(np.arange(len(complete.columns)) % 2, 1, -1)
    changed = complete.frame.copy()
    changed.iloc[position] = values
    detection, _, _ = explain(complete.replace(frame=changed), "calendar", 0.02, trees=50)
    keys = list(zip(detection.rows["entity"].astype(str), detection.rows["time"], strict=True))
    row = keys.index((complete.entity[position], complete.time[position]))
    line = detection.rows.loc[row]
    assert line["anomaly"]
    assert line["causes"] == ""
    column = list(complete.columns).index(line["jump_column"])
    assert line["jump"] == pytest.approx(abs(values[column] - (values[column - 1] + values[column + 1]) / 2))
    assert line["jump"] > line["jump_high"]
    assert f"The jump at {line['jump_column']} is:" in str(detection.describe_values([row])[0])


def test_level_of_day_is_told_apart_from_its_shape() -> None:
    """A day at 69 % is told as a whole; of one doubled hour, the shape causes nearly all, the level nothing."""
    sample = load_sample("gas_daily")
    complete = sample.take_rows(sample.is_complete)
    days = np.flatnonzero(complete.time.month == 1)[[40, 90]]
    values = BASELINE_CLASSES["calendar"]().fit(complete).predict_values(complete.take_rows(days))[0]
    values[0] *= 0.25
    values[1, 12] *= 4
    changed = complete.frame.copy()
    changed.iloc[days] = values
    detection, _, _ = explain(complete.replace(frame=changed), "calendar", 0.02, trees=50)
    keys = list(zip(detection.rows["entity"].astype(str), detection.rows["time"], strict=True))
    low_day, spike = (keys.index(key) for key in zip(complete.entity[days], complete.time[days], strict=True))
    low_level, spike_level = detection.describe_levels([low_day, spike])
    assert str(low_level) in {f"Whole day {percent} % below usual" for percent in (74, 75, 76)}
    assert spike_level is None
    cell = detection.rows.loc[spike]
    assert cell["column"] == "12:00"
    assert abs(cell["level_shift"]) < 0.05 * (cell["value"] - cell["expected"])
    parts = next(str(text) for text in detection.describe_row(spike) if "level of the day" in str(text))
    assert parts.startswith("12:00 is ")


# ---- words ----------------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_rounded_value_stays_outside_rounded_range(low: float, width: float, value: float) -> None:
    high = low + width
    shown = round_for_display(value, low, high)
    tolerance = 1e-9 * max(abs(value), abs(low), abs(high))
    if value > high + tolerance + 1e-9:
        assert shown[0] > shown[2]
    elif value < low - tolerance - 1e-9:
        assert shown[0] < shown[1]
    assert shown[1] <= shown[2]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_rounded_interval_stays_inside(low: float, width: float) -> None:
    rounded_low, rounded_high = round_interval(low, low + width)
    step = 1e-7 * width + 1e-9 * abs(low)
    assert low - step <= rounded_low <= rounded_high <= low + width + step


def test_words_follow_number_of_columns_and_sign_of_level() -> None:
    inside = {"column": "load", "value": 5.0, "low": 4.0, "high": 6.0}
    assert str(describe_value(inside, "kW", columns=1)) == "load: 5 kW, inside the usual range 4–6"
    below_zero = {"column": "load", "value": 9.0, "low": -4.0, "high": 6.0}
    assert str(describe_value(below_zero, "", columns=1)) == "load: 9, usually -4 to 6"
    assert str(describe_level({"level": -2.0, "expected_level": -9.0}, "kW")) == "Whole day: level -2 kW, usually -9 kW"
    assert describe_level({"level": np.nan, "expected_level": np.nan}, "kW") is None


# ---- incidents ------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.floats(0, 1)),
        max_size=40,
        unique_by=lambda row: row[:2],
    )
)
def test_incident_is_unbroken_run_of_flagged_rows(lines: list[tuple[str, int, float]]) -> None:
    """Two neighbours in time of one entity share an incident exactly if both are flagged and at most one step apart."""
    rows = pd.DataFrame(lines, columns=["entity", "hour", "score"]).sort_values("score", ascending=False)
    rows = rows.reset_index(drop=True).assign(severity=np.int8(0))
    rows["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows["hour"].astype(int), unit="h")
    rows["anomaly"] = rows["score"] > 0.4
    rows["incident"] = number_incidents(rows, 3600.0)
    assert ((rows["incident"] >= 0) == rows["anomaly"]).all()
    for _, group in rows.groupby("entity"):
        ordered = group.sort_values("hour")
        for (_, first), (_, second) in zip(list(ordered.iterrows()), list(ordered.iterrows())[1:], strict=False):
            is_joined = first["incident"] == second["incident"] and first["incident"] >= 0
            is_near = second["hour"] - first["hour"] <= 2
            assert is_joined == (first["anomaly"] and second["anomaly"] and is_near)
    incidents = build_incidents(rows)
    assert incidents["rows"].sum() == rows["anomaly"].sum()
    assert incidents["peak"].is_monotonic_decreasing
    assert (rows.loc[incidents["row"], "score"].to_numpy() == incidents["peak"].to_numpy()).all()


# ---- counterfactuals ------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(0.01, 30)), min_size=1, max_size=5),
    st.lists(st.floats(-100, 100), min_size=1, max_size=4),
)
def test_unflagged_interval_avoids_islands_of_flagged_values(
    islands: list[tuple[float, float]], usual: list[float]
) -> None:
    """Every claimed interval holds its usual value, and none of its checked values is in an island of flags."""

    def is_flagged(cases: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.any([(values >= start) & (values <= start + width) for start, width in islands], axis=0)

    centers = np.array(usual)
    limits = np.column_stack([centers - 150, centers + 150])
    intervals = find_unflagged_intervals(is_flagged, centers, limits)
    is_claimed = ~np.isnan(intervals[:, 0])
    assert not is_claimed[is_flagged(np.arange(len(centers)), centers)].any()
    low, high = intervals[is_claimed].T
    values = space_values(low, high)
    assert values.shape == (is_claimed.sum(), CHECKED_VALUES)
    assert not is_flagged(np.zeros(0), values.ravel()).any()
    assert ((low <= centers[is_claimed]) & (centers[is_claimed] <= high)).all()


@pytest.mark.parametrize("baseline", list(BASELINE_CLASSES))
def test_claimed_counterfactuals_hold_when_scored_again(baseline: str, sample: Dataset) -> None:
    """Each claim is scored again: the interval of a column, the usual level, all columns outside their bands."""
    detection, model, complete_rows = explain(sample, baseline, 0.02, trees=30)
    flagged = detection.anomalies
    positions = {key: position for position, key in enumerate(complete_rows.frame.index)}
    columns = list(complete_rows.columns)
    checked = 0

    def is_flagged(position: int, values: np.ndarray) -> np.ndarray:
        rows = complete_rows.take_rows(np.full(len(values), position))
        return model.score(rows.replace(frame=pd.DataFrame(values, rows.frame.index, columns))) > detection.threshold

    for row, line in flagged.iterrows():
        position = positions[(str(line["entity"]), line["time"])]
        values, cells = complete_rows.values[position], detection.select_cells(int(str(row)))
        claimed = cells[cells["unflagged_low"].notna()]
        assert set(claimed["column"]) <= {cause.rsplit(" ", 1)[0] for cause in line["causes"].split(", ")}
        assert (len(claimed) > 0) == (line["counterfactual"] == "column")
        for cell in claimed.itertuples():
            changed = np.tile(values, (CHECKED_VALUES, 1))
            changed[:, columns.index(cell.column)] = space_values(
                np.array([cell.unflagged_low]), np.array([cell.unflagged_high])
            )[0]
            assert not is_flagged(position, changed).any()
            assert not cell.unflagged_low <= cell.value <= cell.unflagged_high
            checked += 1
        row_data = complete_rows.take_rows(np.array([position]))
        levels, expected = model.baseline.predict_levels(row_data), model.baseline.predict_values(row_data)[0]
        outside = ((cells["value"] > cells["high"]) | (cells["value"] < cells["low"])).to_numpy()
        usual_row = np.where(outside, expected, values)
        if line["counterfactual"] == "level":
            assert levels is not None
            assert not is_flagged(position, values - levels.cell_shift)[0]
        elif line["counterfactual"] == "outside":
            assert not is_flagged(position, usual_row)[0]
        elif line["counterfactual"] == "none":
            assert is_flagged(position, usual_row)[0]
    assert checked > 0 or baseline in ("entity", "everything")
    assert (flagged["counterfactual"] != "").all()


# ---- stored results, exports, card ----------------------------------------------------------------------------------


def test_detection_of_earlier_version_loads_with_incidents_and_names(sample: Dataset, tmp_path: Path) -> None:
    """Tables without the new columns are upgraded: the stored band gives the deviations and the named columns."""
    detection, _, _ = explain(sample, "calendar", 0.01)
    old_rows = detection.rows[["entity", "time", "score", "severity", "anomaly", "amount", "causes"]].assign(
        expected=detection.rows["expected_amount"], causes="level +3.0σ, 07:00 -2.0σ"
    )
    old_cells = detection.cells[["row", "column", "value", "expected", "low", "high", "deviation"]].assign(
        deviation=np.float32(-7.0)
    )
    replace(detection, rows=old_rows, cells=old_cells).save(tmp_path)
    loaded = Detection.load(tmp_path)
    assert loaded.incidents["rows"].sum() == len(detection.anomalies)
    assert "level" not in "".join(loaded.rows["causes"])
    has_band = detection.rows["column"].notna() & detection.rows["low"].gt(0)
    assert has_band.sum() > 10
    assert (loaded.rows.loc[has_band, "causes"] == detection.rows.loc[has_band, "causes"]).mean() > 0.95
    assert loaded.describe_row(0)
    assert loaded.metrics() == detection.metrics()
    assert len(loaded.to_frame()) == len(detection.rows)


def test_export_card_and_json_say_the_same_words(sample: Dataset, workspace: Workspace) -> None:
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=20), baseline="calendar")
    detection, run = detect(spec, sample, workspace=workspace, actor=ALICE)
    worst = detection.incidents.iloc[0]
    headline = str(detection.describe_values([worst["row"]])[0])
    export, answer = detection.to_frame(), command.to_answer(detection, run)
    assert export["explanation"].iloc[int(worst["row"])].startswith(headline.rstrip("."))
    assert answer["incidents"][0]["explanation"][0] == headline
    assert headline in "\n".join(map(str, build_run_card(run.id, workspace).notes))
    assert headline in "\n".join(command.to_lines(detection, run))
    assert run.metrics["incidents"] == len(detection.incidents) == export["incident"].max()
    assert run.metrics["flagged_share"] == export["anomaly"].mean()
    assert (export["incident"].notna() == export["anomaly"]).all()
    assert {"amount", "expected_amount", "unflagged_low", "unflagged_high"} <= set(export.columns)
    assert detection.step_seconds == 86_400
