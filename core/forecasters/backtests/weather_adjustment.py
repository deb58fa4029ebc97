"""Amounts that weather and calendar explain, for the estimate of the effect of an event."""

import numpy as np
from sklearn import linear_model

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.features.features import build_linear_features
from core.forecasters.panels.covariate_panel import CovariatePanel


def predict_from_weather(series: Panel, covariates: CovariatePanel, event: str) -> Floats:
    """Return the amounts (days, entities) that weather and calendar explain; NaN where a feature is unknown.

    One regularised linear model per entity. It uses neither past amounts nor the covariate `event`.
    """
    amounts = series.training_targets
    feature_matrix = build_linear_features(series, covariates, series.last_known, 1)
    is_weather_feature = np.array([group not in ("past", event, f"{event}_rate") for group in feature_matrix.groups])
    expected_amounts = np.full(amounts.shape, np.nan)
    for entity in range(len(series.entities)):
        features = feature_matrix.values[:, entity][:, is_weather_feature]
        is_complete = np.isfinite(features).all(axis=1)
        train_rows = is_complete & np.isfinite(amounts[:, entity])
        if train_rows.sum() > is_weather_feature.sum():
            mean, scale = features[train_rows].mean(axis=0), features[train_rows].std(axis=0)
            scaled = (features - mean) / np.where(scale > 0, scale, 1)
            regression = linear_model.RidgeCV(alphas=(1, 10, 100)).fit(scaled[train_rows], amounts[train_rows, entity])
            expected_amounts[is_complete, entity] = regression.predict(scaled[is_complete])
    return expected_amounts
