"""The contract of detectors, baselines, contamination thresholds and hyper-parameters."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.data.dataset import Dataset
from core.detectors.base import Detector
from core.detectors.baseline import Baseline
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import CALIBRATION_FITS, RowModel
from core.errors import DataError, OptionError
from core.evaluation.thresholds import fit_contamination_threshold
from core.settings import ROOT
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.tasks.anomalies.spec import list_detectors

EVERY_DETECTOR = pytest.mark.parametrize("cls", list_detectors().values(), ids=list_detectors().keys())
EVERY_BASELINE = pytest.mark.parametrize("cls", BASELINE_CLASSES.values(), ids=BASELINE_CLASSES.keys())


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """Features (500, 4) of normally distributed rows; the last row is an outlier."""
    rows = np.random.default_rng(0).normal(size=(500, 4))
    rows[-1] = 25.0
    return rows


# ---- detectors ------------------------------------------------------------------------------------------------------


def test_detectors_are_registered_by_folder() -> None:
    assert "isolation-forest" in list_detectors()


@EVERY_DETECTOR
def test_detector_gives_one_finite_score_per_row(cls: type[Detector], features: np.ndarray) -> None:
    scores = cls().fit(features).score(features)
    assert scores.shape == (len(features),)
    assert np.isfinite(scores).all()


@EVERY_DETECTOR
def test_detector_scores_outlier_highest(cls: type[Detector], features: np.ndarray) -> None:
    assert int(np.argmax(cls().fit(features).score(features))) == len(features) - 1


@EVERY_DETECTOR
def test_detector_scores_are_reproducible_by_seed(cls: type[Detector], features: np.ndarray) -> None:
    assert np.array_equal(cls().fit(features).score(features), cls().fit(features).score(features))


@EVERY_DETECTOR
def test_detector_does_not_modify_features(cls: type[Detector], features: np.ndarray) -> None:
    before = features.copy()
    cls().fit(features).score(features)
    assert np.array_equal(features, before)


@EVERY_DETECTOR
def test_detector_scores_single_row_as_in_batch(cls: type[Detector], features: np.ndarray) -> None:
    detector = cls().fit(features)
    batch = detector.score(features)
    assert np.array_equal(batch[[3, 77, 499]], [detector.score(features[[row]])[0] for row in (3, 77, 499)])


@EVERY_DETECTOR
def test_detector_hyperparameters_have_help_and_valid_default(cls: type[Detector]) -> None:
    assert all(field.metadata["help"] for field in get_hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())


@EVERY_DETECTOR
def test_detector_fitted_attributes_end_in_underscore(cls: type[Detector], features: np.ndarray) -> None:
    fitted_names = vars(cls().fit(features)).keys() - get_hyperparameters(cls).keys()
    assert fitted_names
    assert all(name.endswith("_") for name in fitted_names)


# ---- baselines ------------------------------------------------------------------------------------------------------


@EVERY_BASELINE
def test_baseline_treats_rows_independently(cls: type[Baseline], sample: Dataset) -> None:
    """Features, expected values and deviations of a row do not depend on the other rows."""
    complete = sample.take_rows(sample.is_complete)
    baseline = cls().fit(complete)
    positions = np.array([0, 17, 1203, len(complete) - 1])
    selected_rows = complete.take_rows(positions)
    assert np.allclose(
        baseline.compute_features(complete)[positions], baseline.compute_features(selected_rows), rtol=0, atol=1e-12
    )
    assert np.allclose(baseline.predict_values(complete)[0][positions], baseline.predict_values(selected_rows)[0])
    assert np.allclose(
        baseline.compute_deviations(complete).to_numpy()[positions],
        baseline.compute_deviations(selected_rows).to_numpy(),
    )


@EVERY_BASELINE
def test_baseline_features_are_finite_and_data_unchanged(cls: type[Baseline], sample: Dataset) -> None:
    complete = sample.take_rows(sample.is_complete)
    before = complete.values.copy()
    baseline = cls().fit(complete)
    center, spread = baseline.predict_values(complete)
    assert np.isfinite(baseline.compute_features(complete)).all()
    assert np.isfinite(center).all()
    assert (spread >= 0).all()
    assert baseline.label
    assert baseline.help
    assert np.array_equal(complete.values, before)


@pytest.mark.parametrize("cls", BASELINE_CLASSES.values())
def test_baseline_fits_and_computes_features_at_once(cls: type[Baseline], sample: Dataset) -> None:
    complete = sample.take_rows(sample.is_complete)
    assert np.array_equal(cls().fit_features(complete), cls().fit(complete).compute_features(complete))


def test_calendar_baseline_expects_less_in_summer(sample: Dataset) -> None:
    complete = sample.take_rows(sample.is_complete)
    center, _ = BASELINE_CLASSES["calendar"]().fit(complete).predict_values(complete)
    month = complete.time.month
    for entity in complete.entities:
        is_entity = complete.entity == entity
        assert center[is_entity & (month == 7)].mean() < 0.5 * center[is_entity & (month == 1)].mean()


def test_row_model_scores_do_not_depend_on_unit(sample: Dataset) -> None:
    """Scores in MWh and kWh agree for every baseline except `everything`, which uses raw values."""
    scaled = sample.replace(frame=sample.frame * 1000.0)
    for name in ("calendar", "entity", "shape"):
        scores, scaled_scores = (
            RowModel(list_detectors()["isolation-forest"](), BASELINE_CLASSES[name]()).fit_score(dataset)[1]
            for dataset in (sample, scaled)
        )
        assert np.allclose(scores, scaled_scores, atol=0.02), name


def test_row_model_rejects_unknown_entity(sample: Dataset) -> None:
    training_data = sample.filter_rows([sample.entities[0]])
    model = RowModel(list_detectors()["isolation-forest"](), BASELINE_CLASSES["calendar"]()).fit(training_data)
    with pytest.raises(DataError, match=sample.entities[1]):
        model.score(model.prepare_rows(sample.filter_rows([sample.entities[1]])))


def test_row_model_fills_hours_from_same_entity(sample: Dataset) -> None:
    """Scaling all other entities by 1,000 does not change the filled values of one entity."""
    entity = sample.entities[0]
    scaled = sample.replace(frame=sample.frame.mul(np.where(sample.entity == entity, 1.0, 1000.0), axis=0))
    filled = [
        RowModel(list_detectors()["isolation-forest"](), BASELINE_CLASSES["entity"](), "impute")
        .fit(dataset)
        .prepare_rows(dataset)
        for dataset in (sample, scaled)
    ]
    is_entity = sample.entity == entity
    assert not np.isnan(filled[0].values).any()
    assert np.array_equal(filled[0].values[is_entity], filled[1].values[is_entity])


def test_row_model_drops_incomplete_rows(sample: Dataset) -> None:
    ready, scores = RowModel(list_detectors()["isolation-forest"](), BASELINE_CLASSES["entity"]()).fit_score(sample)
    assert len(scores) == len(ready) == int(sample.is_complete.sum()) < len(sample)


def test_held_out_scores_are_those_of_models_without_the_rows(sample: Dataset) -> None:
    complete = sample.take_rows(sample.is_complete)
    detector = list_detectors()["robust-pca"]()
    scores, blocks = RowModel(detector, BASELINE_CLASSES["day"]()).score_held_out(complete)
    assert len(scores) == len(complete)
    for fold in range(CALIBRATION_FITS):
        is_held_out = blocks % CALIBRATION_FITS == fold
        model = RowModel(list_detectors()["robust-pca"](), BASELINE_CLASSES["day"]())
        expected = model.fit(complete.take_rows(~is_held_out)).score(complete.take_rows(is_held_out))
        assert np.array_equal(scores[is_held_out], expected)


# ---- thresholds -----------------------------------------------------------------------------------------------------


@given(arrays(float, st.integers(10, 400), elements=st.floats(-1e6, 1e6), unique=True), st.floats(0.001, 0.5))
def test_contamination_threshold_flags_its_share(scores: np.ndarray, contamination: float) -> None:
    flagged = int((scores > fit_contamination_threshold(scores, contamination)).sum())
    assert abs(flagged - contamination * len(scores)) <= 1


@pytest.mark.parametrize("scores", [np.full(7, 0.5), np.zeros(0), np.array([1.0])])
def test_contamination_threshold_rejects_constant_scores(scores: np.ndarray) -> None:
    with pytest.raises(DataError, match="same score"):
        fit_contamination_threshold(scores, 0.1)


@pytest.mark.parametrize("contamination", [0.0, -0.1, 0.51, float("nan")])
def test_contamination_threshold_rejects_share_out_of_bounds(contamination: float) -> None:
    with pytest.raises(OptionError, match="contamination"):
        fit_contamination_threshold(np.arange(10.0), contamination)


# ---- hyper-parameters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("512", 512), ("0.5", 0.5)])
def test_hyperparameters_convert_text_to_field_type(text: str, value: object) -> None:
    forest = build_from_settings(list_detectors()["isolation-forest"], {"max_samples": text})
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
def test_hyperparameters_reject_wrong_setting(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        build_from_settings(list_detectors()["isolation-forest"], chosen)


# ---- the example in the documentation -------------------------------------------------------------------------------


def test_documented_detector_keeps_contract(features: np.ndarray) -> None:
    """The example in docs/how-to/add-a-detector.md runs unchanged."""
    text = (ROOT / "docs" / "how-to" / "add-a-detector.md").read_text(encoding="utf-8")
    section = text
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    scope: dict[str, Any] = {"__name__": __name__}
    exec(code, scope)
    detector = scope["LocalOutlierFactor"]().fit(features)
    scores = detector.score(features)
    assert np.isfinite(scores).all()
    assert int(np.argmax(scores)) == len(features) - 1
    assert np.allclose(detector.score(features[[3]])[0], scores[3])
