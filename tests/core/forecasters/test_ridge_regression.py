"""Ridge regressions of many entities at once: equal to scikit-learn's, entity by entity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import linear_model

from core.forecasters.ridge_regression import fit_ridge_lines

ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(12, 60),
    entities=st.integers(1, 4),
    feature_count=st.integers(1, 80),
    noise=st.sampled_from([0.01, 1.0, 30.0]),
    alphas=st.sampled_from([ALPHAS, (7.0,)]),
)
def test_ridge_lines_equal_those_of_scikit_learn(
    seed: int, rows: int, entities: int, feature_count: int, noise: float, alphas: tuple[float, ...]
) -> None:
    """Missing rows differ from entity to entity; there may be more features than rows, and constant ones."""
    random = np.random.default_rng(seed)
    features = random.normal(5, 3, (rows, entities, feature_count))
    features[..., -1] = 4.0
    targets = features[..., 0] * 2 + noise * random.normal(size=(rows, entities))
    is_row = random.random((rows, entities)) < 0.9
    features[~is_row] = np.nan
    lines = fit_ridge_lines(features, targets, is_row, alphas, 10)
    new_features = random.normal(5, 3, (5, entities, feature_count))
    forecasts = lines.predict(new_features)
    for entity in range(entities):
        chosen = is_row[:, entity]
        if chosen.sum() < 10:
            assert np.isnan(forecasts[:, entity]).all()
            continue
        mean, scale = features[chosen, entity].mean(axis=0), features[chosen, entity].std(axis=0)
        scale[scale < 1e-9] = np.inf
        model = linear_model.RidgeCV(alphas=alphas) if len(alphas) > 1 else linear_model.Ridge(alpha=alphas[0])
        regression = model.fit((features[chosen, entity] - mean) / scale, targets[chosen, entity])
        expected = regression.predict((new_features[:, entity] - mean) / scale)
        assert forecasts[:, entity] == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(targets[chosen]).max())


def test_ridge_lines_do_not_depend_on_other_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(50, 7, 5)), random.normal(size=(50, 7))
    is_row = np.ones((50, 7), dtype=bool)
    is_row[:45, 2] = False
    together = fit_ridge_lines(features, targets, is_row, ALPHAS, 10).coefficients
    monkeypatch.setattr("core.forecasters.ridge_regression.BATCH_CELLS", 1)
    alone = fit_ridge_lines(features, targets, is_row, ALPHAS, 10).coefficients
    assert np.allclose(together, alone, rtol=1e-9, equal_nan=True)
    assert np.isnan(alone[2]).all()
    assert np.isfinite(np.delete(alone, 2, axis=0)).all()
