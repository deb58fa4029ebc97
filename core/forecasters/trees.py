"""Common base of the tree forecasters."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.base import EVERY_ENTITY, DirectForecaster, TargetTransform, build_history_error
from core.forecasters.covariate_panel import CovariatePanel
from core.forecasters.features import FeatureMatrix, build_tree_features
from core.forecasters.panel_parts import select_entities
from core.progress import Progress

MIN_TRAIN_ROWS = 200
MIN_DRAWN_FROM = 8  # rows of the entities that are used for each row that is drawn


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
        self.target_transform_ = TargetTransform.from_amounts(series.training_targets)
        generator = np.random.default_rng(0)
        features, targets = [], []
        for step in range(1, horizon + 1):
            step_features, step_targets = self._draw_rows(series, covariates, step, horizon, generator)
            features.append(step_features)
            targets.append(step_targets)
            if progress is not None:
                progress.report(0.3 * step / horizon)
        if sum(map(len, targets)) < MIN_TRAIN_ROWS:
            raise build_history_error(series, len(targets[0]), MIN_TRAIN_ROWS)
        self.regressor_ = self.build_regressor().fit(np.concatenate(features), np.concatenate(targets))
        if progress is not None:
            progress.report(1.0)
        return self

    def _draw_rows(
        self, series: Panel, covariates: CovariatePanel, step: int, horizon: int, generator: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Return features and targets of training rows `step` days ahead, drawn evenly over days and entities.

        Where there are many more rows than are drawn, one entity in some is used, other ones for each `step`.
        """
        row_count = max(self.max_train_rows // horizon, 500)
        amounts = series.training_targets
        every = max(min(amounts.size // (MIN_DRAWN_FROM * row_count), horizon), 1)
        used_count = len(range(step % every, amounts.shape[1], every))
        features, targets = [], []
        for entities, matrix in self.split_features(series, covariates, step, every=every):
            target = self.target_transform_.select(entities).transform(amounts[:, entities]) - matrix.base
            rows = np.flatnonzero((matrix.complete_mask & np.isfinite(target)).ravel())
            share = target.shape[1] / used_count
            rows = np.sort(generator.permutation(rows)[: math.ceil(row_count * share)])
            features.append(matrix.values.reshape(-1, matrix.values.shape[2])[rows])
            targets.append(target.ravel()[rows])
        return np.concatenate(features), np.concatenate(targets)

    @override
    def build_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, entities: slice = EVERY_ENTITY
    ) -> FeatureMatrix:
        part, known = select_entities(series, covariates, entities)
        last_known = self.target_transform_.select(entities).transform(series.last_known[:, entities])
        entity_numbers = np.arange(len(series.entities))[entities]
        return build_tree_features(part, known, last_known, step, first_day, entity_numbers)

    @override
    def predict_from_features(self, features: FeatureMatrix, step: int, entities: slice = EVERY_ENTITY) -> Floats:
        complete_mask = features.complete_mask
        predictions = np.full(complete_mask.shape, np.nan)
        if complete_mask.any():
            predictions[complete_mask] = self.regressor_.predict(features.values[complete_mask])
        return self.target_transform_.select(entities).inverse_transform(features.base + predictions)
