"""Effects of findings, the order that they give, what a repair changes, and the worst place."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.data.dataset import Dataset, make_index
from core.data.quality import effects, repairs
from core.data.quality.changes import ChangeCounts, trace_repairs
from core.data.quality.doctor import run_checks
from core.data.quality.effects import measure_effect, order_findings
from core.data.quality.findings import LOCATION_LABELS, QUESTION_KINDS, TOPICS, Finding, Repair
from core.data.quality.places import preview_repair
from core.messages import Message
from tests.core.data.quality.test_doctor import EXPECTED_FINDINGS, make_faulty_dataset


def make_flat_series(entities: int = 2, rows: int = 1000) -> Dataset:
    """Make hours of the values 10, 20, 20, 30 in turn: the median is 20, and the width 20, so the scale is 20."""
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    index = make_index(np.repeat([f"site {number}" for number in range(entities)], rows), np.tile(times, entities))
    values = np.tile(np.resize([10.0, 20.0, 20.0, 30.0], rows), entities)
    return Dataset(pd.DataFrame({"load": values}, index), "tidy_series", step=pd.Timedelta(hours=1), unit="MW")


def replace_values(dataset: Dataset, cells: dict[int, float]) -> Dataset:
    values = dataset.values.copy()
    values[list(cells), 0] = list(cells.values())
    return dataset.replace(frame=pd.DataFrame(values, dataset.frame.index, dataset.columns))


def index_effects(dataset: Dataset) -> dict[str, float]:
    return {finding.kind: finding.effect for finding in run_checks(dataset).findings}


def test_effect_of_outlier_is_its_change_in_scales() -> None:
    dataset = replace_values(make_flat_series(), {501: 2020.0})  # its neighbours are 10 and 20
    assert index_effects(dataset)["gross_outliers"] == pytest.approx((2020 - 15) / 20 / 2000)


def test_effect_of_missing_cells_is_their_share() -> None:
    dataset = replace_values(make_flat_series(), dict.fromkeys(range(100, 140), np.nan))
    assert index_effects(dataset) == {"incomplete_rows": pytest.approx(40 / 2000)}


def test_effect_of_placeholder_is_its_distance_to_median() -> None:
    dataset = replace_values(make_flat_series(), {7: -999.0, 1500: -999.0})
    assert index_effects(dataset)["sentinels"] == pytest.approx(2 * 1019 / 20 / 2000)


def test_effect_of_missing_and_repeated_rows_is_their_share() -> None:
    dataset = make_flat_series()
    gap = dataset.take_rows(np.delete(np.arange(2000), slice(200, 210)))
    assert index_effects(gap) == {"missing_dates": pytest.approx(10 / 1990)}
    repeated = dataset.replace(frame=pd.concat([dataset.frame, dataset.frame.iloc[[3, 4, 5]] * 1.5]))
    assert index_effects(repeated)["duplicate_keys"] == pytest.approx(3 / 2003)


def test_effect_counts_only_locations_of_its_finding() -> None:
    """A repair that mends more than one finding counts for each only where that finding is."""
    dataset = replace_values(make_flat_series(), dict.fromkeys((100, 400, 401), np.nan))
    finding = run_checks(dataset).findings[0]
    part = replace(finding, locations=finding.locations[1:], count=2)
    assert measure_effect(part, dataset) == pytest.approx(2 / 3 * finding.effect)


def test_findings_are_ordered_by_effect() -> None:
    cells: dict[int, float] = dict.fromkeys(range(100, 140), np.nan)
    dataset = replace_values(make_flat_series(), cells | {501: 2020.0, 900: -999.0})
    gap = dataset.take_rows(np.delete(np.arange(2000), slice(1200, 1210)))
    report = run_checks(gap)
    kinds = [finding.kind for finding in report.findings]
    # 2,020 is mended by 100 scales, −999 is 51 from the median, 40 values are filled and 10 rows added
    assert kinds == ["gross_outliers", "isolated_spikes", "sentinels", "incomplete_rows", "missing_dates"]
    assert [entry["kind"] for entry in report.to_json()["findings"]] == kinds
    listed_effects = [entry["effect"] for entry in report.to_json()["findings"]]
    assert listed_effects == sorted(listed_effects, reverse=True)
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(len(kinds))
        unordered = [report.findings[number] for number in shuffled if kinds[number] != "isolated_spikes"]
        ordered = [finding.kind for finding in order_findings(unordered, gap)]
        assert ordered == [kind for kind in kinds if kind != "isolated_spikes"]


def test_questions_come_first_and_information_last() -> None:
    dataset = replace_values(make_flat_series(), {100: np.nan})
    notes = (
        Finding("time_zone", 2000, Message("zone")),
        Finding("skipped_lines", 3, Message("lines")),
        Finding(QUESTION_KINDS[0], 1, Message("question")),
    )
    kinds = [finding.kind for finding in run_checks(dataset.replace(notes=notes)).findings]
    assert kinds == [QUESTION_KINDS[0], "incomplete_rows", "time_zone", "skipped_lines"]


def test_effect_of_sample_is_close_to_effect_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing cells in every third entity, and one outlier, in data of which a sixth is sampled."""
    dataset = make_flat_series(entities=30, rows=400)
    cells: dict[int, float] = {row: np.nan for row in range(0, 12_000, 1200) for row in range(row, row + 20)}
    dataset = replace_values(dataset, cells | {6050: 4000.0})
    exact = index_effects(dataset)
    monkeypatch.setattr(effects, "ENTITY_CELLS", 0)
    monkeypatch.setattr(effects, "MAX_SAMPLE_CELLS", 2000)
    sampled = index_effects(dataset)
    assert set(exact) == set(sampled) >= {"incomplete_rows", "gross_outliers"}
    for kind, effect in exact.items():
        assert sampled[kind] == pytest.approx(effect, rel=0.35), kind
    assert preview_repair(run_checks(dataset).findings[0], Repair("mend_outliers"), dataset).counts is None


def test_effect_counts_unlisted_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = replace_values(make_flat_series(), dict.fromkeys(range(0, 200, 2), np.nan))
    finding = run_checks(dataset).findings[0]
    monkeypatch.setattr(Finding, "MAX_LOCATIONS", 25)
    listed = replace(finding, locations=finding.locations[:25])
    assert measure_effect(listed, dataset) == pytest.approx(finding.effect)


# ---- kinds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED_FINDINGS)
def test_every_kind_has_topic_and_labels(name: str) -> None:
    for finding in run_checks(make_faulty_dataset(name)).findings:
        assert finding.kind in TOPICS
        assert {key for location in finding.locations for key in location} <= set(LOCATION_LABELS)


CHANGES = {
    "missing_dates": ChangeCounts(added_rows=3),
    "missing_hours": ChangeCounts(added_rows=3),
    "duplicate_keys": ChangeCounts(removed_rows=2),
    "mixed_steps": ChangeCounts(moved_rows=6),
    "mixed_units": ChangeCounts(replaced_cells=30 * 24),
    "shifted_hours": ChangeCounts(replaced_cells=183 * 24),
    "gross_outliers": ChangeCounts(replaced_cells=1),
    "isolated_spikes": ChangeCounts(replaced_cells=1),
    "clock_change_zeros": ChangeCounts(replaced_cells=1),
    "clock_change_lows": ChangeCounts(replaced_cells=1),
    "clock_change_doubles": ChangeCounts(replaced_cells=1),
    "contradicting_totals": ChangeCounts(replaced_context=1),
    "incomplete_rows": ChangeCounts(filled_cells=9),
    "constant_columns": ChangeCounts(removed_columns=1),
}


@pytest.mark.parametrize("name", EXPECTED_FINDINGS)
def test_preview_counts_changes_and_shows_worst_place(name: str) -> None:
    dataset = make_faulty_dataset(name)
    kind, _count = EXPECTED_FINDINGS[name]
    finding = next(finding for finding in run_checks(dataset).findings if finding.kind == kind)
    preview = preview_repair(finding, finding.repairs[0], dataset)
    assert preview.counts == CHANGES[name]
    if kind in ("contradicting_totals", "constant_columns"):  # no measurement changes, a picture says nothing
        assert preview.place is None
        assert finding.effect == 0
        return
    assert finding.effect > 0
    place = preview.place
    assert place is not None
    assert place.entity in {location["entity"] for location in finding.locations}
    spans = [effects.parse_span(location, dataset) for location in finding.locations]
    assert any(span is not None and span[0] <= np.datetime64(place.time) <= span[1] for span in spans)
    assert place.before["is_changed"].any() or place.after["is_added"].any()
    assert len(place.before) <= 20 * 24
    if kind in ("gross_outliers", "isolated_spikes"):
        assert place.before["is_changed"].sum() == place.after["is_changed"].sum() == 1
        changed = place.before[place.before["is_changed"]]
        column = int(finding.locations[0]["column"][:2])
        assert changed.index[0] == place.time + pd.Timedelta(hours=column)
        assert changed["value"].item() == finding.locations[0]["value"]


@pytest.mark.parametrize("name", EXPECTED_FINDINGS)
def test_trace_gives_same_dataset_as_repairs(name: str) -> None:
    dataset = make_faulty_dataset(name)
    recipe = [finding.repairs[0] for finding in run_checks(dataset).findings]
    trace, expected = trace_repairs(recipe, dataset), repairs.apply_repairs(recipe, dataset)
    assert trace.after.digest == expected.digest
    assert (trace.after.source, trace.after.recipe) == (expected.source, expected.recipe)


def test_trace_follows_rows_through_several_repairs() -> None:
    dataset = replace_values(make_flat_series(entities=1, rows=50), {10: np.nan})
    frame = pd.concat([dataset.frame.drop(dataset.frame.index[[20, 21]]), dataset.frame.iloc[[3]] + 1])
    recipe = [Repair("drop_duplicates", {"keep": "last"}), Repair("insert_missing"), Repair("drop_incomplete")]
    trace = trace_repairs(recipe, dataset.replace(frame=frame))
    assert trace.count_changes() == ChangeCounts(removed_rows=2)  # the earlier duplicate, and the incomplete row
    assert sorted(set(range(49)) - set(trace.origins.tolist())) == [3, 10]
