"""Drift: PSI and KS against their definitions and SciPy, and new data against the training data of a model."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, NotFoundError
from core.evaluation.drift import BINS, adjusted, ks, ks_p_values, level, psi, psi_by_chance
from core.operations.drift import ALL, compare_datasets, compare_with_training, load_training_data
from core.spec.spec import ApplySpec
from core.tasks.anomalies.run import apply_model, detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace

BY = Actor("ada", "tests")
FEW = settings(max_examples=60, deadline=None)
numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)
samples = arrays(np.float64, st.integers(1, 60), elements=numbers)
several = arrays(np.float64, st.integers(4, 60), elements=numbers)  # SciPy divides by zero with fewer values
gappy = arrays(np.float64, st.integers(1, 60), elements=numbers | st.just(float("nan")))


# ---- PSI and KS ----------------------------------------------------------------------------------------------------


@FEW
@given(gappy, gappy)
def test_psi_is_never_negative(then: np.ndarray, now: np.ndarray) -> None:
    assert psi(then, now) >= 0


@FEW
@given(gappy, st.randoms())
def test_psi_of_the_same_values_in_any_order_is_nothing(then: np.ndarray, chance: np.random.Generator) -> None:
    now = then.tolist()
    chance.shuffle(now)
    assert psi(then, np.array(now)) == pytest.approx(0)


@FEW
@given(samples, samples)
def test_increasing_transformations_change_nothing(then: np.ndarray, now: np.ndarray) -> None:
    ranks = {value: place**2 + 3.0 for place, value in enumerate(np.unique(np.concatenate([then, now])))}
    other = [np.array([ranks[value] for value in values]) for values in (then, now)]
    assert psi(*other) == pytest.approx(psi(then, now))
    assert ks(*other) == pytest.approx(ks(then, now))


@FEW
@given(several, several)
def test_ks_is_scipys(then: np.ndarray, now: np.ndarray) -> None:
    theirs = stats.ks_2samp(then, now, method="asymp")
    assert ks(then, now) == pytest.approx(theirs.statistic)
    [p] = ks_p_values(np.array([ks(then, now)]), [len(then)], [len(now)])
    assert p == pytest.approx(theirs.pvalue, abs=1e-9)


@FEW
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)))
def test_adjustment_is_benjamini_and_hochbergs(p_values: np.ndarray) -> None:
    assert adjusted(p_values) == pytest.approx(stats.false_discovery_control(p_values, method="bh"))
    assert adjusted(np.append(p_values, np.nan))[:-1] == pytest.approx(adjusted(p_values))


def test_psi_by_hand() -> None:
    """Half of the lower values move to the upper half: (0.75 − 0.5) ln 1.5 + (0.25 − 0.5) ln 0.5."""
    then, now = np.arange(100.0), np.concatenate([np.arange(25.0), np.arange(50.0, 100), np.arange(50.0, 75)])
    assert psi(then, now, bins=2) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


def test_chance_alone_stays_below_its_limit() -> None:
    chance = np.random.default_rng(0)
    drawn = np.array([psi(chance.normal(size=400), chance.normal(size=300)) for _ in range(2000)])
    assert (drawn > psi_by_chance(400, 300)).mean() == pytest.approx(0.05, abs=0.02)
    assert psi_by_chance(400, 300) == pytest.approx(stats.chi2.ppf(0.95, BINS - 1) * (1 / 400 + 1 / 300))


def test_few_rows_do_not_cry_wolf() -> None:
    assert level(0.4, psi_by_chance(1000, 30)) == "stable"
    assert level(0.4, psi_by_chance(1000, 1000)) == "major"
    assert level(0.2, 0.01) == "moderate"
    assert level(0.05, 0.0) == level(float("nan"), 0.0) == "stable"


def test_a_sensor_that_falls_silent_is_drift() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    silent = np.where(np.arange(1000) % 2, values, np.nan)
    assert level(psi(values, silent), psi_by_chance(1000, 1000)) == "major"
    assert np.isnan(ks(values, np.full(3, np.nan)))
    assert np.isnan(psi(values, np.empty(0)))


# ---- datasets ------------------------------------------------------------------------------------------------------


def dataset(
    days: int = 200, shift: float = 0.0, entities: tuple[str, ...] = ("north", "south"), **given: object
) -> Dataset:
    chance = np.random.default_rng(7)
    index = pd.MultiIndex.from_product([entities, pd.date_range("2025-01-01", periods=days)], names=["entity", "time"])
    values = chance.normal(50, 5, (len(index), 2))
    values[index.get_level_values("entity") == "south", 1] += shift
    return Dataset(
        pd.DataFrame(values, index, columns=["load", "flow"]), "tidy_series", files=("a.csv",), unit="MWh"
    ).replace(**given)


def test_the_column_that_changed_comes_first() -> None:
    found = compare_datasets(dataset(), dataset(shift=10.0))
    worst = found.table.iloc[0]
    assert (worst["entity"], worst["column"], worst["level"]) == ("south", "flow", "major")
    assert worst["q"] < 0.001
    assert worst["median_now"] - worst["median_then"] == pytest.approx(10, abs=0.5)
    assert set(found.table["level"].iloc[1:]) == {"stable"}
    then, now = found.values(0)
    assert psi(then, now) == worst["psi"]
    assert len(found.table) == 4


def test_entities_that_only_one_side_has_are_told() -> None:
    found = compare_datasets(dataset(), dataset(entities=("south", "west")))
    assert (found.new, found.gone, found.together) == (("west",), ("north",), False)
    assert set(found.table["entity"]) == {"south"}


def test_without_common_entities_all_rows_are_compared() -> None:
    found = compare_datasets(dataset(), dataset(entities=("west",)))
    assert found.together
    assert set(found.table["entity"]) == {ALL}
    assert found.table["rows_then"].tolist() == [400, 400]


def test_too_many_pairs_are_compared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.operations.drift.MOST_PAIRS", 3)
    assert compare_datasets(dataset(), dataset()).together


def test_what_cannot_be_compared_says_why() -> None:
    other = dataset()
    with pytest.raises(DataError, match=r"columns that it has not \(flow\)"):
        compare_datasets(dataset(), other.replace(frame=other.frame[["load"]]))
    with pytest.raises(DataError, match="it is in kWh, and the model learnt from MWh"):
        compare_datasets(dataset(), other.replace(unit="kWh"))


def test_a_model_is_compared_with_the_rows_it_learnt_from(place: Workspace) -> None:
    fitted = dataset()
    place.datasets.save(fitted)
    spec = DetectionSpec(compare_with="entity", entities=("south",), end="2025-05-01")
    _, run = detect(spec, fitted, workspace=place, actor=BY)
    learnt = load_training_data(run.id, place)
    assert (learnt.entities, learnt.time.max()) == (["south"], pd.Timestamp("2025-05-01"))
    _, applied = apply_model(ApplySpec(run.id, entities=("south",)), fitted, workspace=place, actor=BY)
    assert len(load_training_data(applied.id, place)) == len(learnt), (
        "a run that applies a model has the training data of that model"
    )

    found = compare_with_training(run.id, dataset(shift=10.0), workspace=place, actor=BY)
    assert found.table.iloc[0]["column"] == "flow"
    event = place.events.read()[-1]
    assert (event.event, event.status, event.details.inputs["run"]) == ("drift_check", "completed", run.id)
    assert event.details.inputs["levels"] == {"major": 1, "stable": 1}


def test_clusters_learnt_from_their_selection(place: Workspace, sample: Dataset) -> None:
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec

    place.datasets.save(sample)
    _, run = cluster(ClusteringSpec(entities=(sample.entities[0],)), sample, workspace=place, actor=BY)
    assert load_training_data(run.id, place).entities == [sample.entities[0]]


def test_what_was_held_out_was_not_learnt_from(place: Workspace) -> None:
    """The spec selects the training rows of the model."""
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, detectors

    fitted = dataset()
    place.datasets.save(fitted)
    spec = SequenceSpec(detectors()["pca-residual"](), until="2025-05-01")
    _, run = train(spec, fitted, workspace=place, actor=BY)
    assert load_training_data(run.id, place).time.max() <= pd.Timestamp("2025-05-01")


def test_data_that_are_gone_say_so(place: Workspace) -> None:
    fitted = dataset()
    _, run = detect(DetectionSpec(compare_with="entity"), fitted, workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match=r"learnt from \(a\.csv\) are not stored here any more"):
        compare_with_training(run.id, dataset(), workspace=place, actor=BY)
    assert place.events.read()[-1].status == "failed"
    with pytest.raises(NotFoundError):
        load_training_data("0" * 32, place)
