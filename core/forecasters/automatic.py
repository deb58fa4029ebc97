"""Automatic: the blend of forecasters that wins on the series' own back-test."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.forecasters.base import Forecaster, build_history_error, gather_limits
from core.forecasters.choice.candidates import list_candidates
from core.forecasters.choice.choice import Choice, choose_members
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.series.base import SeriesForecaster
from core.messages import N_, Message
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

MIN_VALUES = 4  # of an entity
RENEWAL_GROWTH = 1.8  # times the history that the choice was made on, from which it is made anew
MIN_KNOWN_WEIGHT = 0.5  # of the members with a forecast, for a forecast of the blend


@dataclass
class Automatic(Forecaster):
    """Weighted mean of the forecasters that erred least on the last part of the training data.

    Naive lines, exponential smoothing, Ridge, boosted trees, a zero-shot network and others are fitted on the first
    part of the history and compared on the last. Near and far steps have weights of their own. What does not beat the
    best naive line by one standard error is drawn towards it. See `choose_members` and `weigh_members`.

    A later fit on less than 1.8 times the history keeps the choice, so a backtest and the fit on all days use the same
    blend. What is tried depends on counted work, not on a clock: the same data give the same forecasts.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=84)
        >>> values = np.where(days.dayofweek < 5, 100.0, 60.0)
        >>> series = Panel(days, ("Lyon",), ("day",), values[:, None, None])
        >>> known = CovariatePanel(days.append(days[-1:] + pd.Timedelta(days=1)), {}, np.zeros((85, 1), dtype=bool))
        >>> forecaster = Automatic(seconds=1).fit(series, known, horizon=2)
        >>> forecaster.predict(series, known, 2, 77).ravel().round().tolist()  # from a Monday on
        [100.0, 100.0, 100.0, 100.0, 100.0, 60.0, 60.0]
    """

    name = "automatic"
    label = N_("Automatic: the best on your data")

    seconds: int = hyperparameter(
        60,
        low=1,
        high=36_000,
        help=N_(
            "Time allowed for the comparison of forecasting methods, in seconds of a usual machine. It is "
            "computed from the size of the data, not measured, so that the same data give the same "
            "forecasts."
        ),
        label=N_("Time limit (s)"),
    )

    @override
    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int, progress: Progress | None = None) -> Self:
        known_count = int(np.isfinite(series.amounts).sum(axis=0).max(initial=0))
        if known_count < MIN_VALUES:
            raise build_history_error(series, known_count, MIN_VALUES)
        parts = (None, None) if progress is None else (progress.create_part(0, 2), progress.create_part(1, 2))
        if self._is_choice_due(series, horizon):
            self.choice_: Choice = choose_members(series, covariates, horizon, self.seconds, parts[0])
        builders = {candidate.label: candidate.build for candidate in list_candidates(series)}
        labels = self.choice_.member_labels
        self.members_: list[Forecaster] = [
            builders[label]().fit(
                series, covariates, horizon, None if parts[1] is None else parts[1].create_part(number, len(labels))
            )
            for number, label in enumerate(labels)
        ]
        return self

    @override
    def renew(self) -> Self:
        forecaster = super().renew()
        if hasattr(self, "choice_"):
            forecaster.choice_ = self.choice_
        return forecaster

    @override
    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        weights, members = self._select_members(step)
        forecasts = np.stack([member.predict(series, covariates, step, first_day) for member in members])
        return _mix(forecasts, weights[:, None])

    @override
    def predict_steps(
        self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int, end_day: int
    ) -> Floats:
        forecasts = np.stack(
            [member.predict_steps(series, covariates, horizon, first_day, end_day) for member in self.members_]
        )
        weights = self._stack_weights(horizon)
        mixed = _mix(forecasts, weights[:, :, None])
        if series.step >= DAY:
            return mixed
        for member, own_forecasts, own_weights in zip(self.members_, forecasts, weights, strict=True):
            if isinstance(member, SeriesForecaster):  # it skips origins of short steps; a blend without it is another
                mixed[np.isnan(own_forecasts) & (own_weights > 0)[:, None, None]] = np.nan
        return mixed

    @override
    def predict_next(self, series: Panel, covariates: CovariatePanel, horizon: int, first_day: int) -> Floats:
        forecasts = [member.predict_next(series, covariates, horizon, first_day) for member in self.members_]
        return _mix(np.stack(forecasts), self._stack_weights(horizon))

    @override
    def compute_importance(
        self, series: Panel, covariates: CovariatePanel, step: int, first_day: int
    ) -> dict[str, float]:
        weights, members = self._select_members(step)
        importance: dict[str, float] = {}
        for weight, member in zip(weights, members, strict=True):
            for group, growth in member.compute_importance(series, covariates, step, first_day).items():
                importance[group] = importance.get(group, 0.0) + float(weight) * growth
        return importance

    @override
    def list_limits(self) -> tuple[Message, ...]:
        return gather_limits(self.members_)

    def _stack_weights(self, horizon: int) -> Floats:
        """Return the weights of the members by steps ahead, (members, horizon)."""
        return np.stack([self.choice_.get_weights(step) for step in range(1, horizon + 1)], axis=1)

    def _select_members(self, step: int) -> tuple[Floats, list[Forecaster]]:
        """Return the weights above 0 `step` periods ahead, and their members."""
        weights = self.choice_.get_weights(step)
        members = [member for weight, member in zip(weights, self.members_, strict=True) if weight > 0]
        return weights[weights > 0], members

    def _is_choice_due(self, series: Panel, horizon: int) -> bool:
        choice: Choice | None = getattr(self, "choice_", None)
        if choice is None or choice.groups[-1][1] != horizon:
            return True
        return len(series) >= RENEWAL_GROWTH * choice.period_count


def _mix(forecasts: Floats, weights: Floats) -> Floats:
    """Return the weighted mean over the first axis of the members with a forecast; NaN where they weigh too little.

    `weights` (members, …) has one axis less than `forecasts` (members, …, entities) and the sum 1.
    """
    used_weights = np.where(np.isfinite(forecasts), weights[..., None], 0.0)
    known_weight = used_weights.sum(axis=0)
    total = (np.nan_to_num(forecasts) * used_weights).sum(axis=0)
    return np.where(known_weight > MIN_KNOWN_WEIGHT, total / np.maximum(known_weight, MIN_KNOWN_WEIGHT), np.nan)
