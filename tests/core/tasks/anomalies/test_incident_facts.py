"""Incidents in figures and in one sentence: the part that deviates, its amounts, and who is alike."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.detectors.baselines import BASELINE_CLASSES
from core.tasks.anomalies.incident_facts import count_alike
from core.tasks.anomalies.incident_words import describe_incident, describe_part
from core.tasks.anomalies.result import Detection
from tests.support.explained_profiles import HOURS, explain, make_profiles


def plant(days: int, entities: list[str], change: dict[tuple[str, int], tuple[slice, float]]) -> Dataset:
    """Return calm daily profiles in which some hours of some days are multiplied."""
    random = np.random.default_rng(0)
    values = (100 + 10 * np.sin(np.arange(24)))[None, :] * random.normal(1, 0.01, (len(entities) * days, 24))
    for (entity, day), (hours, factor) in change.items():
        values[entities.index(entity) * days + day, hours] *= factor
    times = np.tile(pd.date_range("2024-01-01", periods=days), len(entities))
    columns = [f"{hour:02d}:00" for hour in range(24)]
    frame = pd.DataFrame(values, make_index(np.repeat(entities, days), pd.DatetimeIndex(times)), columns)
    return Dataset(frame, "demo", profile=True, step=pd.Timedelta(hours=1), unit="MWh")


def find_planted_row(detection: Detection, entity: str, day: int) -> int:
    rows = detection.rows
    is_planted = (rows["entity"] == entity) & (rows["time"] == pd.Timestamp("2024-01-01") + pd.Timedelta(days=day))
    return int(rows.index[is_planted][0])


def describe_planted(dataset: Dataset, entity: str, day: int) -> str:
    """Return the sentence of the incident of a planted day, whatever its rank."""
    detection = explain(dataset, "entity", 0.02)[0]
    row = find_planted_row(detection, entity, day)
    number = detection.rows.at[row, "incident"]
    if number >= 0:
        return str(detection.describe_incidents([number])[0])
    return str(describe_incident(detection.list_row_incidents([row]).iloc[0].to_dict(), "MWh"))


@pytest.mark.parametrize(
    ("hours", "factor", "text"),
    [
        (slice(6, 11), 2.0, "% above the usual"),
        (slice(6, 11), 0.2, "% below the usual"),
        (slice(6, 7), 3.0, "at 06:00"),
        (slice(6, 11), 2.0, "from 06:00 to 10:00"),
        (slice(0, 24), 1.5, "over the whole day"),
        (slice(6, 11), 0.0, "0 MWh instead of the usual"),
        (slice(6, 11), 50.0, "MWh instead of the usual"),
    ],
)
def test_incident_sentence_names_planted_hours(hours: slice, factor: float, text: str) -> None:
    """The sentence of a planted fault tells where, when, how far, and in which hours."""
    faults = {("Bretagne", 50): (hours, factor)}
    sentence = describe_planted(plant(200, ["Bretagne", "Normandie"], faults), "Bretagne", 50)
    assert sentence.startswith("Bretagne, 2024-02-20: ")
    assert text in sentence
    assert "alike" not in sentence


def test_incident_sentence_counts_entities_that_deviate_alike() -> None:
    """Entities that deviate in the other direction, or on another day, do not count."""
    change = {("a", 50): 2.0, ("b", 50): 2.0, ("c", 50): 2.0, ("d", 50): 0.0, ("e", 90): 2.0}
    faults = {key: (slice(6, 11), factor) for key, factor in change.items()}
    detection = explain(plant(200, list("abcde"), faults), "entity", 0.02, trees=200)[0]
    rows = [find_planted_row(detection, entity, day) for entity, day in change]
    assert detection.rows.loc[rows, "anomaly"].all()
    lines = detection.list_row_incidents(rows).to_dict("records")
    assert [line["alike"] for line in lines] == [2, 2, 2, 0, 0]
    assert str(describe_incident(lines[0], "MWh")).endswith("; likewise in 2 other entities")
    assert "alike" not in str(describe_incident(lines[4], "MWh"))


def test_incident_of_several_days_tells_its_period_and_worst_day() -> None:
    faults = {("a", day): (slice(6, 11), 2.0 + (day == 51)) for day in (50, 51, 52)}
    sentence = describe_planted(plant(200, ["a"], faults), "a", 51)
    assert sentence.startswith("a, 2024-02-20 to 2024-02-22: at its worst on 2024-02-21, ")


def test_nameless_series_is_not_named_in_sentence() -> None:
    sentence = describe_planted(plant(200, ["series"], {("series", 50): (slice(6, 11), 2.0)}), "series", 50)
    assert sentence.startswith("2024-02-20: ")


@settings(max_examples=10)
@given(make_profiles(), st.sampled_from(list(BASELINE_CLASSES)))
def test_facts_follow_from_cells(dataset: Dataset, baseline: str) -> None:
    """The named hours are all outside their band on one side, and the amounts are the means of their cells."""
    detection, _, _ = explain(dataset, baseline, 0.1)
    facts = detection.measure_rows(detection.rows.index)
    for row, line in facts.iterrows():
        cells = detection.select_cells(row)
        assert str(describe_part(line.to_dict(), "MW"))
        if line["part"] not in {"hours", "day"}:
            continue
        first, last = HOURS.index(line["first"]), HOURS.index(line["last"])
        named = cells.iloc[first : last + 1].astype({"value": float, "expected": float})
        if line["part"] == "day":
            assert (first, last) == (0, len(HOURS) - 1)
            assert line["measured"] == pytest.approx(named["value"].sum())
            continue
        assert line["measured"] == pytest.approx(named["value"].mean())
        assert line["expected"] == pytest.approx(named["expected"].mean())
        is_outside = (named["value"] > named["high"]) | (named["value"] < named["low"])
        assert is_outside.all()
        assert (np.sign(named["deviation"]) == np.sign(line["spreads"])).all()
        assert abs(line["spreads"]) == pytest.approx(named["deviation"].abs().max())


@settings(max_examples=10)
@given(st.data())
def test_count_alike_equals_direct_count(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 30))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    flagged = pd.DataFrame(
        {
            "entity": random.choice(list("abcd"), size),
            "time": random.integers(0, 8, size),
            "direction": random.choice(["above", "below", "jump", ""], size),
        }
    )
    incidents = flagged.assign(start=flagged["time"], end=flagged["time"] + random.integers(0, 3, size))
    expected = [
        flagged[
            (flagged["time"] >= line.start)
            & (flagged["time"] <= line.end)
            & (flagged["direction"] == line.direction)
            & (flagged["entity"] != line.entity)
            & (line.direction != "")
        ]["entity"].nunique()
        for line in incidents.itertuples()
    ]
    assert count_alike(incidents, flagged).tolist() == expected


def test_incident_without_saved_values_still_has_sentence() -> None:
    """Rows that are not explained say so, and never a wrong amount."""
    detection = explain(plant(200, ["a"], {("a", 50): (slice(6, 11), 2.0)}), "entity", 1 / 200)[0]
    bare = pd.DataFrame(columns=detection.cells.columns)
    line = type(detection)(
        detection.spec, detection.model_spec, detection.data, detection.threshold, 0, detection.rows, bare
    ).measured_incidents.iloc[0]
    assert line["part"] == "unknown"
    assert str(describe_incident(line.to_dict(), "MWh")) == "a, 2024-02-20: expected values are not saved"
