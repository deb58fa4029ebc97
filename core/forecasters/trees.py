"""Common base of the tree forecasters."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import DirectForecaster, TargetTransform, build_history_error
from core.forecasters.covariate_panel import CovariatePanel, shift_days
from core.forecasters.features import FeatureMatrix, build_tree_features
from core.progress import Progress

MIN_TRAIN_ROWS = 200


@dataclass
class TreeForecaster(DirectForecaster):
    """Contract of a forecaster made of trees, fitted for all entities at once.

    Trees cannot extrapolate beyond the training data. The target is therefore the log-ratio of a day to the forecast
    origin.
    """

    max_train_rows: ClassVar[int] = 60_000  # of training, drawn evenly over entities, days and numbers of days ahead

    @abstractmethod
    def build_regressor(self) -> Any:
        """Return an unfitted scikit-learn regressor."""

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        amounts = series.training_targets
        self.target_transform_ = TargetTransform.from_amounts(amounts)
        generator = np.random.default_rng(0)
        features, targets = [], []
        for step in range(1, horizon + 1):
            feature_matrix = self.build_features(series, covariates, step)
            target = self.target_transform_.transform(amounts) - self._get_origin_targets(series, step)
            rows = np.flatnonzero((feature_matrix.complete_mask & np.isfinite(target)).ravel())
            rows = np.sort(generator.permutation(rows)[: max(self.max_train_rows // horizon, 500)])
            features.append(feature_matrix.values.reshape(-1, feature_matrix.values.shape[2])[rows])
            targets.append(target.ravel()[rows])
            if progress is not None:
                progress.report(0.3 * step / horizon)
        if sum(map(len, targets)) < MIN_TRAIN_ROWS:
            raise build_history_error(series, len(targets[0]), MIN_TRAIN_ROWS)
        self.regressor_ = self.build_regressor().fit(np.concatenate(features), np.concatenate(targets))
        if progress is not None:
            progress.report(1.0)
        return self

    @override
    def build_features(self, series: Panel, covariates: CovariatePanel, step: int) -> FeatureMatrix:
        last_known = self.target_transform_.transform(series.last_known)
        return build_tree_features(series, covariates, last_known, step)

    @override
    def predict_from_features(self, features: FeatureMatrix, series: Panel, step: int, first_day: int) -> Floats:
        complete_mask = features.complete_mask[first_day:]
        predictions = np.full(complete_mask.shape, np.nan)
        if complete_mask.any():
            predictions[complete_mask] = self.regressor_.predict(features.values[first_day:][complete_mask])
        return self.target_transform_.inverse_transform(
            self._get_origin_targets(series, step)[first_day:] + predictions
        )

    def _get_origin_targets(self, series: Panel, step: int) -> Floats:
        return shift_days(self.target_transform_.transform(series.last_known), step)
