"""The contract of detectors, baselines, contamination thresholds and hyper-parameters."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.data.dataset import Dataset
from core.detectors.base import Detector
from core.detectors.comparisons import COMPARISONS, Comparison
from core.detectors.row_model import RowModel
from core.errors import DataError, OptionError
from core.evaluation.thresholds import contamination_threshold
from core.spec.hyperparameters import build_from_settings, get_params, hyperparameters
from core.tasks.anomalies.spec import detectors
from tests.conftest import ROOT

EVERY_DETECTOR = pytest.mark.parametrize("cls", detectors().values(), ids=detectors().keys())
EVERY_COMPARISON = pytest.mark.parametrize("cls", COMPARISONS.values(), ids=COMPARISONS.keys())


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Features (500, 4) of normally distributed rows; the last row is an outlier."""
    rows = np.random.default_rng(0).normal(size=(500, 4))
    rows[-1] = 25.0
    return rows


# ---- detectors ------------------------------------------------------------------------------------------------------


def test_the_folder_is_the_registry() -> None:
    assert "isolation-forest" in detectors()


@EVERY_DETECTOR
def test_one_finite_score_per_row(cls: type[Detector], features: np.ndarray) -> None:
    scores = cls().fit(features).score(features)
    assert scores.shape == (len(features),)
    assert np.isfinite(scores).all()


@EVERY_DETECTOR
def test_the_far_row_is_on_top(cls: type[Detector], features: np.ndarray) -> None:
    assert int(np.argmax(cls().fit(features).score(features))) == len(features) - 1


@EVERY_DETECTOR
def test_the_same_seed_gives_the_same_scores(cls: type[Detector], features: np.ndarray) -> None:
    assert np.array_equal(cls().fit(features).score(features), cls().fit(features).score(features))


@EVERY_DETECTOR
def test_the_features_are_left_untouched(cls: type[Detector], features: np.ndarray) -> None:
    before = features.copy()
    cls().fit(features).score(features)
    assert np.array_equal(features, before)


@EVERY_DETECTOR
def test_a_row_alone_scores_as_in_the_batch(cls: type[Detector], features: np.ndarray) -> None:
    detector = cls().fit(features)
    batch = detector.score(features)
    assert np.array_equal(batch[[3, 77, 499]], [detector.score(features[[row]])[0] for row in (3, 77, 499)])


@EVERY_DETECTOR
def test_every_hyperparameter_has_a_sentence_and_an_accepted_default(cls: type[Detector]) -> None:
    assert all(field.metadata["help"] for field in hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())


@EVERY_DETECTOR
def test_what_is_learned_ends_in_an_underscore(cls: type[Detector], features: np.ndarray) -> None:
    learned = vars(cls().fit(features)).keys() - hyperparameters(cls).keys()
    assert learned
    assert all(name.endswith("_") for name in learned)


# ---- baselines ------------------------------------------------------------------------------------------------------


@EVERY_COMPARISON
def test_a_row_is_treated_by_itself(cls: type[Comparison], sample: Dataset) -> None:
    """Features, expected values and deviations of a row do not depend on the other rows."""
    complete = sample.rows(sample.complete)
    comparison = cls().fit(complete)
    some = np.array([0, 17, 1203, len(complete) - 1])
    alone = complete.rows(some)
    assert np.allclose(comparison.features(complete)[some], comparison.features(alone), rtol=0, atol=1e-12)
    assert np.allclose(comparison.expected(complete)[0][some], comparison.expected(alone)[0])
    assert np.allclose(comparison.deviations(complete).to_numpy()[some], comparison.deviations(alone).to_numpy())


@EVERY_COMPARISON
def test_features_are_finite_and_data_untouched(cls: type[Comparison], sample: Dataset) -> None:
    complete = sample.rows(sample.complete)
    before = complete.values.copy()
    comparison = cls().fit(complete)
    center, spread = comparison.expected(complete)
    assert np.isfinite(comparison.features(complete)).all()
    assert np.isfinite(center).all()
    assert (spread >= 0).all()
    assert comparison.label
    assert comparison.help
    assert np.array_equal(complete.values, before)


def test_the_calendar_expects_less_in_summer(sample: Dataset) -> None:
    complete = sample.rows(sample.complete)
    center, _ = COMPARISONS["calendar"]().fit(complete).expected(complete)
    month = complete.time.month
    for entity in complete.entities:
        mine = complete.entity == entity
        assert center[mine & (month == 7)].mean() < 0.5 * center[mine & (month == 1)].mean()


def test_scores_do_not_depend_on_the_unit(sample: Dataset) -> None:
    """Scores in MWh and kWh agree for every baseline except `everything`, which uses raw values."""
    scaled = sample.replace(frame=sample.frame * 1000.0)
    for name in ("calendar", "entity", "shape"):
        one, other = (
            RowModel(detectors()["isolation-forest"](), COMPARISONS[name]()).fit_score(each)[1]
            for each in (sample, scaled)
        )
        assert np.allclose(one, other, atol=0.02), name


def test_an_unknown_entity_is_refused_by_name(sample: Dataset) -> None:
    known = sample.select([sample.entities[0]])
    model = RowModel(detectors()["isolation-forest"](), COMPARISONS["calendar"]()).fit(known)
    with pytest.raises(DataError, match=sample.entities[1]):
        model.score(model.ready(sample.select([sample.entities[1]])))


def test_missing_hours_are_never_filled_from_another_entity(sample: Dataset) -> None:
    """Scaling all other entities by 1,000 does not change the filled values of one entity."""
    entity = sample.entities[0]
    other = sample.replace(frame=sample.frame.mul(np.where(sample.entity == entity, 1.0, 1000.0), axis=0))
    filled = [
        RowModel(detectors()["isolation-forest"](), COMPARISONS["entity"](), "impute").fit(each).ready(each)
        for each in (sample, other)
    ]
    mine = sample.entity == entity
    assert not np.isnan(filled[0].values).any()
    assert np.array_equal(filled[0].values[mine], filled[1].values[mine])


def test_drop_leaves_incomplete_rows_out(sample: Dataset) -> None:
    ready, scores = RowModel(detectors()["isolation-forest"](), COMPARISONS["entity"]()).fit_score(sample)
    assert len(scores) == len(ready) == int(sample.complete.sum()) < len(sample)


# ---- thresholds -----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(arrays(float, st.integers(10, 400), elements=st.floats(-1e6, 1e6), unique=True), st.floats(0.001, 0.5))
def test_contamination_flags_its_share(scores: np.ndarray, contamination: float) -> None:
    flagged = int((scores > contamination_threshold(scores, contamination)).sum())
    assert abs(flagged - contamination * len(scores)) <= 1


@pytest.mark.parametrize("scores", [np.full(7, 0.5), np.zeros(0), np.array([1.0])])
def test_constant_scores_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(DataError, match="same score"):
        contamination_threshold(scores, 0.1)


@pytest.mark.parametrize("contamination", [0.0, -0.1, 0.51, float("nan")])
def test_a_share_outside_its_bounds_is_refused(contamination: float) -> None:
    with pytest.raises(OptionError, match="contamination"):
        contamination_threshold(np.arange(10.0), contamination)


# ---- hyper-parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("512", 512), ("0.5", 0.5)])
def test_text_becomes_the_type_of_the_field(text: str, value: object) -> None:
    forest = build_from_settings(detectors()["isolation-forest"], {"max_samples": text})
    assert get_params(forest)["max_samples"] == value
    assert type(get_params(forest)["max_samples"]) is type(value)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"trees": "3"}, "trees"),
        ({"n_estimators": "many"}, "n_estimators"),
        ({"n_estimators": "1"}, "10 to 2,000"),
        ({"max_samples": "some"}, "max_samples"),
        ({"bootstrap": "perhaps"}, "bootstrap"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        build_from_settings(detectors()["isolation-forest"], chosen)


# ---- the example in the documentation -------------------------------------------------------------------------------


def test_the_detector_of_the_documents_keeps_the_contract(features: np.ndarray) -> None:
    """The example in docs/extending.md runs unchanged."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    section = text.partition("## Add a detector")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    scope: dict[str, Any] = {"__name__": __name__}
    exec(code, scope)
    detector = scope["LocalOutlierFactor"]().fit(features)
    scores = detector.score(features)
    assert np.isfinite(scores).all()
    assert int(np.argmax(scores)) == len(features) - 1
    assert np.allclose(detector.score(features[[3]])[0], scores[3])
