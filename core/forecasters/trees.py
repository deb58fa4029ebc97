"""Common base of the tree forecasters."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.forecasters.base import EVERY_ENTITY, DirectForecaster, TargetTransform, require_rows
from core.forecasters.damping import EARLY_SHARE, DampingTrial
from core.forecasters.exponential_smoothing import group_steps
from core.forecasters.features.feature_matrix import FeatureMatrix
from core.forecasters.features.feature_plan import FeaturePlan
from core.forecasters.features.features import build_tree_features
from core.forecasters.features.seasonal_base import choose_bases, select_base
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_entities
from core.messages import Message
from core.progress import Progress

MIN_DRAWN_FROM = 8  # rows of the entities that are used for each row that is drawn


@dataclass(frozen=True)
class DrawnRows:
    """Rows of training: features (rows, features), targets (rows,), and the index of the period of each row."""

    features: Floats
    targets: Floats
    periods: NDArray[np.intp]

    @classmethod
    def concatenate(cls, parts: "Sequence[DrawnRows]") -> "DrawnRows":
        """Return the rows of all `parts`."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


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
        self.plan_, self.horizon_ = FeaturePlan.from_series(series), horizon
        self.target_transform_ = TargetTransform.from_amounts(series.training_targets)
        known, amounts = (
            self.target_transform_.transform(values) for values in (series.last_known, series.training_targets)
        )
        generator, groups = np.random.default_rng(0), self._group_fitted_steps(series, horizon)
        self.bases_: dict[int, NDArray[np.intp]] = {}
        self.shares_: dict[int, float] = {}
        self.regressors_: dict[int, Any] = {}
        for number, steps in enumerate(groups, start=1):
            drawn: list[DrawnRows] = []
            for step in steps:
                self.bases_[step] = choose_bases(known, amounts, step, self.plan_)
                drawn.append(self._draw_rows(series, covariates, step, len(groups) * len(steps), generator))
            require_rows(series, max(len(rows.targets) for rows in drawn), self.plan_, steps[-1])
            rows = DrawnRows.concatenate(drawn)
            share = self._choose_share(rows) if self.plan_.is_small else 1.0
            regressor = self.build_regressor().fit(rows.features, rows.targets)
            self.shares_ |= dict.fromkeys(steps, share)
            self.regressors_ |= dict.fromkeys(steps, regressor)
            if progress is not None:
                progress.report(number / len(groups))
        return self

    def _group_fitted_steps(self, series: Panel, horizon: int) -> list[list[int]]:
        """Return the numbers of periods ahead that share a model.

        Days and longer periods share one. Near steps of shorter periods follow the last values, far ones the seasons:
        one model for all of them erred twice as much one step ahead on half-hours.
        """
        steps = self.plan_.list_fitted_steps(horizon)
        if series.step >= DAY:
            return [steps]
        groups = [[step for step in steps if low <= step <= high] for low, high in group_steps(horizon)]
        return [group for group in groups if group]

    def _choose_share(self, rows: "DrawnRows") -> float:
        """Return the share of the change that was right on the last quarter of the training periods."""
        is_late = rows.periods >= np.quantile(np.unique(rows.periods), EARLY_SHARE)
        trial = DampingTrial()
        regressor = self.build_regressor().fit(rows.features[~is_late], rows.targets[~is_late])
        predictions = regressor.predict(rows.features[is_late])
        trial.add_errors(
            rows.targets[is_late][:, None], predictions[:, None], np.ones((len(predictions), 1), dtype=bool)
        )
        trial.max_periods = len(np.unique(rows.periods[is_late]))
        return trial.choose_share()

    def _draw_rows(
        self, series: Panel, covariates: CovariatePanel, step: int, step_count: int, generator: np.random.Generator
    ) -> "DrawnRows":
        """Return training rows `step` days ahead, drawn evenly over days and entities.

        Where there are many more rows than are drawn, one entity in some is used, other ones for each `step`.
        """
        row_count = max(self.max_train_rows // step_count, 500)
        amounts = series.training_targets
        every = max(min(amounts.size // (MIN_DRAWN_FROM * row_count), step_count), 1)
        used_count = len(range(step % every, amounts.shape[1], every))
        drawn: list[DrawnRows] = []
        for entities, matrix in self.split_features(series, covariates, step, every=every):
            target = self.target_transform_.select(entities).transform(amounts[:, entities]) - matrix.base
            rows = np.flatnonzero((matrix.complete_mask & np.isfinite(target)).ravel())
            share = target.shape[1] / used_count
            rows = np.sort(generator.permutation(rows)[: math.ceil(row_count * share)])
            features = matrix.values.reshape(-1, matrix.values.shape[2])[rows]
            drawn.append(DrawnRows(features, target.ravel()[rows], rows // target.shape[1]))
        return DrawnRows.concatenate(drawn)

    @override
    def build_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, entities: slice = EVERY_ENTITY
    ) -> FeatureMatrix:
        part, known = select_entities(series, covariates, entities)
        last_known = self.target_transform_.select(entities).transform(series.last_known[:, entities])
        entity_numbers = np.arange(len(series.entities))[entities]
        base = select_base(last_known, step, self.plan_, self.bases_[step][entities])
        return build_tree_features(
            part, known, last_known, step, self.horizon_, self.plan_, first_day, base, entity_numbers
        )

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        fitted_step = min(fitted for fitted in self.bases_ if fitted >= step)
        return super().predict(series, covariates, fitted_step, first_day)

    @override
    def predict_from_features(self, features: FeatureMatrix, step: int, entities: slice = EVERY_ENTITY) -> Floats:
        complete_mask = features.complete_mask
        predictions = np.full(complete_mask.shape, np.nan)
        if complete_mask.any():
            predictions[complete_mask] = self.regressors_[step].predict(features.values[complete_mask])
        return self.target_transform_.select(entities).inverse_transform(
            features.base + self.shares_[step] * predictions
        )

    @override
    def list_limits(self) -> tuple[Message, ...]:
        return tuple(self.plan_.list_limits())
