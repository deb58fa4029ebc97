"""Drift: PSI and KS against their definitions and SciPy, and new data against the training data of a model."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from core import queries
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, NotFoundError
from core.evaluation.drift import (
    BIN_COUNT,
    adjust_p_values,
    classify_psi,
    compute_chance_psi,
    compute_ks,
    compute_ks_p_values,
    compute_psi,
)
from core.operations.drift import (
    ALL_ENTITIES,
    DriftSpec,
    compare_datasets,
    compare_with_training,
    load_compared_rows,
    load_training_data,
    sample_values,
)
from core.operations.queries import COMPARE_DRIFT
from core.progress import Progress
from core.spec.spec import ApplySpec
from core.tasks.anomalies.run import apply_model, detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace

ADA = Actor("ada", "tests")
finite_floats = st.floats(-1e6, 1e6, allow_nan=False, width=32)
samples = arrays(np.float64, st.integers(1, 60), elements=finite_floats)
larger_samples = arrays(
    np.float64, st.integers(4, 60), elements=finite_floats
)  # SciPy divides by zero with fewer values
samples_with_gaps = arrays(np.float64, st.integers(1, 60), elements=finite_floats | st.just(float("nan")))


# ---- PSI and KS ----------------------------------------------------------------------------------------------------


@given(samples_with_gaps, samples_with_gaps)
def test_psi_is_never_negative(then: np.ndarray, now: np.ndarray) -> None:
    assert compute_psi(then, now) >= 0


@given(samples_with_gaps, st.randoms())
def test_psi_of_shuffled_values_is_zero(then: np.ndarray, chance: np.random.Generator) -> None:
    now = then.tolist()
    chance.shuffle(now)
    assert compute_psi(then, np.array(now)) == pytest.approx(0)


@given(samples, samples)
def test_psi_and_ks_ignore_increasing_transformations(then: np.ndarray, now: np.ndarray) -> None:
    ranks = {value: rank**2 + 3.0 for rank, value in enumerate(np.unique(np.concatenate([then, now])))}
    transformed = [np.array([ranks[value] for value in values]) for values in (then, now)]
    assert compute_psi(*transformed) == pytest.approx(compute_psi(then, now))
    assert compute_ks(*transformed) == pytest.approx(compute_ks(then, now))


@given(larger_samples, larger_samples)
def test_ks_matches_scipy(then: np.ndarray, now: np.ndarray) -> None:
    expected = stats.ks_2samp(then, now, method="asymp")
    assert compute_ks(then, now) == pytest.approx(expected.statistic)
    [p] = compute_ks_p_values(np.array([compute_ks(then, now)]), [len(then)], [len(now)])
    assert p == pytest.approx(expected.pvalue, abs=1e-9)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)))
def test_p_value_adjustment_matches_benjamini_hochberg(p_values: np.ndarray) -> None:
    assert adjust_p_values(p_values) == pytest.approx(stats.false_discovery_control(p_values, method="bh"))
    assert adjust_p_values(np.append(p_values, np.nan))[:-1] == pytest.approx(adjust_p_values(p_values))


def test_psi_matches_manual_calculation() -> None:
    """Half of the lower values move to the upper half: (0.75 − 0.5) ln 1.5 + (0.25 − 0.5) ln 0.5."""
    then, now = np.arange(100.0), np.concatenate([np.arange(25.0), np.arange(50.0, 100), np.arange(50.0, 75)])
    assert compute_psi(then, now, bins=2) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


def test_psi_limit_holds_for_chance_alone() -> None:
    rng = np.random.default_rng(0)
    psi_values = np.array([compute_psi(rng.normal(size=400), rng.normal(size=300)) for _ in range(2000)])
    assert (psi_values > compute_chance_psi(400, 300)).mean() == pytest.approx(0.05, abs=0.02)
    assert compute_chance_psi(400, 300) == pytest.approx(stats.chi2.ppf(0.95, BIN_COUNT - 1) * (1 / 400 + 1 / 300))


def test_psi_limit_grows_for_small_samples() -> None:
    assert classify_psi(0.4, compute_chance_psi(1000, 30)) == "stable"
    assert classify_psi(0.4, compute_chance_psi(1000, 1000)) == "major"
    assert classify_psi(0.2, 0.01) == "moderate"
    assert classify_psi(0.05, 0.0) == classify_psi(float("nan"), 0.0) == "stable"


def test_psi_detects_silent_sensor() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    silent = np.where(np.arange(1000) % 2, values, np.nan)
    assert classify_psi(compute_psi(values, silent), compute_chance_psi(1000, 1000)) == "major"
    assert np.isnan(compute_ks(values, np.full(3, np.nan)))
    assert np.isnan(compute_psi(values, np.empty(0)))


# ---- datasets ------------------------------------------------------------------------------------------------------


def make_dataset(
    days: int = 200, shift: float = 0.0, entities: tuple[str, ...] = ("north", "south"), **changes: object
) -> Dataset:
    rng = np.random.default_rng(7)
    index = pd.MultiIndex.from_product([entities, pd.date_range("2025-01-01", periods=days)], names=["entity", "time"])
    values = rng.normal(50, 5, (len(index), 2))
    values[index.get_level_values("entity") == "south", 1] += shift
    return Dataset(
        pd.DataFrame(values, index, columns=["load", "flow"]), "tidy_series", files=("a.csv",), unit="MWh"
    ).replace(**changes)


def test_compare_datasets_ranks_changed_column_first() -> None:
    comparison = compare_datasets(make_dataset(), make_dataset(shift=10.0))
    worst = comparison.table.iloc[0]
    assert (worst["entity"], worst["column"], worst["level"]) == ("south", "flow", "major")
    assert worst["q"] < 0.001
    assert worst["median_now"] - worst["median_then"] == pytest.approx(10, abs=0.5)
    assert set(comparison.table["level"].iloc[1:]) == {"stable"}
    then, now = sample_values(
        (comparison.reference, comparison.current), *comparison.table.loc[0, ["entity", "column"]]
    )
    assert compute_psi(then, now) == worst["psi"]
    assert len(comparison.table) == 4


def test_compare_datasets_reports_unmatched_entities() -> None:
    comparison = compare_datasets(make_dataset(), make_dataset(entities=("south", "west")))
    assert (comparison.new_entities, comparison.missing_entities, comparison.is_combined) == (
        ("west",),
        ("north",),
        False,
    )
    assert set(comparison.table["entity"]) == {"south"}


def test_compare_datasets_pools_rows_without_common_entities() -> None:
    comparison = compare_datasets(make_dataset(), make_dataset(entities=("west",)))
    assert comparison.is_combined
    assert set(comparison.table["entity"]) == {ALL_ENTITIES}
    assert comparison.table["rows_then"].tolist() == [400, 400]


def test_compare_datasets_pools_entities_above_pair_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.operations.drift.MAX_PAIRS", 3)
    assert compare_datasets(make_dataset(), make_dataset()).is_combined


def test_compare_datasets_rejects_incompatible_data() -> None:
    changed_dataset = make_dataset()
    with pytest.raises(DataError, match=r"the columns flow are missing"):
        compare_datasets(make_dataset(), changed_dataset.replace(frame=changed_dataset.frame[["load"]]))
    with pytest.raises(DataError, match="its unit is kWh, and theirs is MWh"):
        compare_datasets(make_dataset(), changed_dataset.replace(unit="kWh"))


def test_compare_with_training_uses_training_rows(workspace: Workspace) -> None:
    dataset = make_dataset()
    workspace.datasets.save(dataset)
    spec = DetectionSpec(baseline="entity", entities=("south",), end="2025-05-01")
    _, run = detect(spec, dataset, workspace=workspace, actor=ADA)
    training_data = load_training_data(run.id, workspace)
    assert (training_data.entities, training_data.time.max()) == (["south"], pd.Timestamp("2025-05-01"))
    _, applied = apply_model(ApplySpec(run.id, entities=("south",)), dataset, workspace=workspace, actor=ADA)
    assert len(load_training_data(applied.id, workspace)) == len(training_data), (
        "a run that applies a model has the training data of that model"
    )

    comparison = compare_with_training(run.id, make_dataset(shift=10.0), workspace=workspace, actor=ADA)
    assert comparison.table.iloc[0]["column"] == "flow"
    event = workspace.events.read_events()[-1]
    assert (event.event, event.status, event.details.inputs["run"]) == ("drift_check", "completed", run.id)
    assert event.details.inputs["levels"] == {"major": 1, "stable": 1}


def test_load_training_data_of_clustering_uses_selection(workspace: Workspace, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec

    workspace.datasets.save(sample)
    _, run = cluster(ClusteringSpec(entities=(sample.entities[0],)), sample, workspace=workspace, actor=ADA)
    assert load_training_data(run.id, workspace).entities == [sample.entities[0]]


def test_load_training_data_excludes_held_out_rows(workspace: Workspace) -> None:
    """The spec selects the training rows of the model."""
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors

    dataset = make_dataset()
    workspace.datasets.save(dataset)
    spec = SequenceSpec(list_detectors()["pca-residual"](), until="2025-05-01")
    _, run = train(spec, dataset, workspace=workspace, actor=ADA)
    assert load_training_data(run.id, workspace).time.max() <= pd.Timestamp("2025-05-01")


def test_compare_with_training_reports_missing_data(workspace: Workspace) -> None:
    dataset = make_dataset()
    _, run = detect(DetectionSpec(baseline="entity"), dataset, workspace=workspace, actor=ADA)
    with pytest.raises(NotFoundError, match=r"\(a\.csv\) are no longer stored here"):
        compare_with_training(run.id, make_dataset(), workspace=workspace, actor=ADA)
    assert workspace.events.read_events()[-1].status == "failed"
    with pytest.raises(NotFoundError):
        load_training_data("0" * 32, workspace)


def test_stored_drift_equals_computed_one(workspace: Workspace) -> None:
    dataset, changed = make_dataset(), make_dataset(shift=10.0, entities=("south", "west"))
    workspace.datasets.save(dataset)
    _, run = detect(DetectionSpec(baseline="entity"), dataset, workspace=workspace, actor=ADA)
    spec = DriftSpec(run.id, workspace.datasets.save(changed))
    queries.answer_question(COMPARE_DRIFT, spec, workspace=workspace, actor=ADA, progress=Progress())
    answer = queries.load_answer(COMPARE_DRIFT, spec, workspace)
    assert answer is not None
    report = compare_datasets(dataset, changed)
    pd.testing.assert_frame_equal(answer.table, report.table)
    assert (answer.new_entities, answer.missing_entities) == (report.new_entities, report.missing_entities)
    assert (answer.reference, answer.current) == (report.reference.summary, report.current.summary)
    rows = load_compared_rows(spec, workspace)
    for entity, column in zip(report.table["entity"], report.table["column"], strict=True):
        expected = sample_values((report.reference, report.current), entity, column)
        for values, expected_values in zip(sample_values(rows, entity, column), expected, strict=True):
            np.testing.assert_array_equal(values, expected_values)
