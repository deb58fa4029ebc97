"""Contracts of the forecasters: `Forecaster`, and `DirectForecaster` for forecasters with a feature matrix."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.data.panel import Panel
from core.errors import DataError
from core.evaluation.forecast_metrics import mae
from core.forecasters.features.feature_matrix import FeatureMatrix
from core.forecasters.features.feature_plan import FeaturePlan
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_periods_before, split_range
from core.messages import N_, Message
from core.progress import Progress
from core.spec.hyperparameters import get_params

EVERY_ENTITY = slice(None)
MIN_TRAIN_ROWS, MIN_COMPLETE_ROWS = 10, 90
TYPICAL_FEATURES = 100  # of a day with weather, for the size of the parts


class Forecaster(ABC):
    """Contract of a forecaster of daily series.

    A forecaster is a dataclass whose fields are its hyper-parameters. Fitted attributes end in an underscore.
    One test checks the contract for every forecaster:

    - A forecast `step` days ahead uses nothing that becomes known later than `step` days before its day. Covariates are
      the exception: they are known in advance.
    - The same seed gives the same forecasts.
    - Missing history gives NaN, never an invented number.
    - The series stay unchanged.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        """Fit the forecaster on the daily amounts of `series`, for 1 to `horizon` days ahead.

        Raises DataError if an entity has too little history.
        """

    @abstractmethod
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        """Return the forecast of every day from index `first_day` on, made `step` days before it, (days, entities).

        `series` ends with the forecast origin. Later days, and days with missing history, are rows of NaN in `series`.
        """

    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        """Return the forecasts 1 to `horizon` days ahead from every origin, (horizon, days, entities).

        The days are those from index `first_day` up to, not including, `end_day`. The first origin is the day before
        `first_day`, so the first `step` − 1 days are NaN.
        """
        forecasts = np.full((horizon, end_day - first_day, len(series.entities)), np.nan)
        known_series, known_covariates = select_periods_before(series, covariates, end_day)
        for step in range(1, min(horizon, end_day - first_day) + 1):
            forecasts[step - 1, step - 1 :] = self.predict(known_series, known_covariates, step, first_day + step - 1)
        return forecasts

    def predict_next(self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int) -> Floats:
        """Return the forecasts 1 to `horizon` periods ahead from the period before `first_day`, (horizon, entities)."""
        return np.stack(
            [self.predict(series, covariates, step, first_day + step - 1)[0] for step in range(1, horizon + 1)]
        )

    def compute_importance(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int
    ) -> dict[str, float]:
        """Return the growth of the mean absolute error when a group of features is shuffled, by group.

        It is measured `step` days ahead, on the days from index `first_day` on. A forecaster without features returns
        {}.
        """
        return {}

    def list_limits(self) -> tuple[Message, ...]:
        """Return what the fitted forecaster leaves out because its training data cannot teach it."""
        return ()

    def renew(self) -> Self:
        """Return an unfitted forecaster with the same hyper-parameters, and with what this one chose, if anything."""
        return type(self)(**get_params(self))


@dataclass
class DirectForecaster(Forecaster):
    """Contract of a forecaster with a feature matrix.

    Each number of days ahead has features of its own (direct strategy). No forecast is an input of another one.
    The features of some entities at a time are in memory.
    """

    @abstractmethod
    def build_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, entities: slice = EVERY_ENTITY
    ) -> FeatureMatrix:
        """Return the features of the days from index `first_day` on, `step` days ahead, of some entities."""

    @abstractmethod
    def predict_from_features(self, features: FeatureMatrix, step: int, entities: slice = EVERY_ENTITY) -> Floats:
        """Return the amounts of the days and entities of `features`, (days, entities); NaN where a feature is NaN."""

    def split_features(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0, every: int = 1
    ) -> Iterator[tuple[slice, FeatureMatrix]]:
        """Yield entities and their features, part by part.

        With `every` > 1, one of so many entities is used, other ones for each `step`.
        """
        numbers = range(step % every, len(series.entities), every)
        for part in split_range(numbers, max((len(series) - first_day) * TYPICAL_FEATURES, 1)):
            yield part, self.build_features(series, covariates, step, first_day, part)

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        forecasts = np.full((len(series) - first_day, len(series.entities)), np.nan)
        for entities, features in self.split_features(series, covariates, step, first_day):
            forecasts[:, entities] = self.predict_from_features(features, step, entities)
        return forecasts

    def compute_importance(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int
    ) -> dict[str, float]:
        """Return the permutation importance of every group of features, in units of the amounts.

        The features of a group take the values of other days of the same entity. Groups that carry the same information
        share their importance. Breiman: Random Forests, Machine Learning 45, 2001.
        """
        amounts = series.amounts[first_day:]
        shuffled_days = np.random.default_rng(0).permutation(len(amounts))
        forecasts: dict[str, Floats] = {}
        for entities, features in self.split_features(series, covariates, step, first_day):

            def add_forecasts(group: str, part: FeatureMatrix, entities: slice = entities) -> None:
                whole = forecasts.setdefault(group, np.full(amounts.shape, np.nan))
                whole[:, entities] = self.predict_from_features(part, step, entities)

            add_forecasts("", features)
            for group in dict.fromkeys(features.groups):
                shuffled_values, in_group = features.values.copy(), np.array(features.groups) == group
                shuffled_values[:, :, in_group] = features.values[shuffled_days][:, :, in_group]
                add_forecasts(group, replace(features, values=shuffled_values))
        base_error = mae(amounts, forecasts.pop("", amounts))
        return {group: mae(amounts, shuffled) - base_error for group, shuffled in forecasts.items()}


def gather_limits(forecasters: Sequence[Forecaster]) -> tuple[Message, ...]:
    """Return the limits of all members of a forecaster, each once."""
    return tuple({str(limit): limit for member in forecasters for limit in member.list_limits()}.values())


def count_min_rows(plan: FeaturePlan) -> int:
    """Return the rows that a regression is trained on at least: fewer where few features are used.

    Example:
        >>> count_min_rows(FeaturePlan("D", 30)), count_min_rows(FeaturePlan("D", 800))
        (10, 90)
    """
    return MIN_COMPLETE_ROWS if plan.is_complete and plan.is_daily else MIN_TRAIN_ROWS


def build_history_error(series: Panel, count: int, needed: int) -> DataError:
    """Return the error for training data with `count` values where `needed` are needed.

    Example:
        >>> import numpy as np
        >>> series = Panel(pd.date_range("2024-01-01", periods=3), ("Lyon",), ("day",), np.ones((3, 1, 1)))
        >>> build_history_error(series, 3, 17).args[1]["entity"]
        'Lyon'
    """
    return DataError(
        N_(
            "{entity}: the history is too short for this forecasting method: {count} values. At least "
            "{accepted} are needed."
        ),
        entity=", ".join(series.entities[:3]),
        count=count,
        accepted=needed,
    )


def require_rows(series: Panel, rows: int, plan: FeaturePlan, step: int) -> None:
    """Raise DataError for fewer training rows than a regression `step` periods ahead needs, with what would be enough.

    Example:
        >>> import numpy as np
        >>> series = Panel(pd.date_range("2024-01-01", periods=12), ("Lyon",), ("day",), np.ones((12, 1, 1)))
        >>> try: require_rows(series, 5, FeaturePlan("D", 12), 7)
        ... except DataError as error: print(error)
        Lyon: the history is too short for this forecasting method: 12 values. At least 17 are needed.
    """
    min_rows = count_min_rows(plan)
    if rows >= min_rows:
        return
    known_count = int(np.isfinite(series.amounts).sum(axis=0).max(initial=0))
    needed = plan.count_needed(step, min_rows)
    if known_count < needed:
        raise build_history_error(series, known_count, needed)
    raise DataError(
        N_(
            "{entity}: too many gaps for this forecasting method. Only {count} values have known values "
            "before them. At least {accepted} are needed."
        ),
        entity=", ".join(series.entities[:3]),
        count=rows,
        accepted=min_rows,
    )


@dataclass(frozen=True)
class TargetTransform:
    """Transform of daily amounts to the target of a regression, and back.

    Amounts that are never negative become logarithms. Other amounts become multiples of the entity's standard
    deviation.

    offset          added before the logarithm: 1 % of the entity's mean, so that a day without consumption is finite
    scale           standard deviation of every entity
    is_logarithmic  True for amounts that are never negative

    Example:
        >>> load = np.array([[100.0], [0.0], [200.0]])
        >>> log_transform = TargetTransform.from_amounts(load)
        >>> log_transform.transform(load).round(2).ravel().tolist()
        [4.62, 0.0, 5.3]
        >>> log_transform.inverse_transform(log_transform.transform(load)).round(6).ravel().tolist()
        [100.0, 0.0, 200.0]
    """

    offset: Floats
    scale: Floats
    is_logarithmic: bool

    @classmethod
    def from_amounts(cls, amounts: Floats) -> "TargetTransform":
        """Return the transform for amounts of shape (days, entities)."""
        table = pd.DataFrame(amounts)
        mean = table.abs().mean().replace(0, 1).fillna(1).to_numpy()
        scale = table.std().replace(0, 1).fillna(1).to_numpy()
        return cls(0.01 * mean, scale, is_logarithmic=bool(np.nanmin(amounts, initial=0) >= 0))

    def select(self, entities: slice) -> "TargetTransform":
        """Return the transform of some entities."""
        return TargetTransform(self.offset[entities], self.scale[entities], self.is_logarithmic)

    def transform(self, amounts: Floats) -> Floats:
        """Return the transformed amounts, shape unchanged.

        If the training data had no negative amount, a later negative amount counts as 0.
        """
        return np.log(np.maximum(amounts, 0) + self.offset) if self.is_logarithmic else amounts / self.scale

    def inverse_transform(self, values: Floats) -> Floats:
        """Return the amounts of transformed values, shape unchanged; the inverse of `transform`."""
        return np.maximum(np.exp(values) - self.offset, 0) if self.is_logarithmic else values * self.scale
