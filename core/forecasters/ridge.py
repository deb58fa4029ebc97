"""Ridge: one regularised linear model per entity and number of days ahead."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn import linear_model
from typing_extensions import override

from core.data.panel import Panel
from core.forecasters.base import Direct, Floats, too_short
from core.forecasters.features import Table, for_a_line
from core.forecasters.known import Known, shifted
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

LEAST_DAYS = 90


@dataclass
class Ridge(Direct):
    """Linear model of the change since the last known day, one per entity and number of days ahead.

    The features are degree-days, past amounts, the calendar and the covariates. Regularisation shrinks the change: with
    little training data the forecast is close to the last known day.

    The model extrapolates to days colder than any training day, as heating does. It finds no interactions.
    Hoerl, Kennard: Ridge Regression, Technometrics 12, 1970. The implementation is scikit-learn's.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2022-01-01", periods=300)
        >>> temperature = 10 + 8 * np.cos(np.arange(301) / 20)
        >>> columns = {"temperature": temperature[:, None]}
        >>> known = Known(days.append(days[-1:] + pd.Timedelta(days=1)), columns, np.zeros((301, 1), dtype=bool))
        >>> load = 100 + 5 * np.maximum(16 - temperature[:300], 0)  # 5 GWh for each degree below 16 °C
        >>> series = Panel(days, ("Lyon",), ("day",), load[:, None, None])
        >>> forecast = Ridge().fit(series, known, horizon=3).predict(series, known, 3, 297)
        >>> bool((abs(forecast.ravel() / load[297:] - 1) < 0.02).all())  # the forecast errs by less than 2 %
        True
    """

    name = "ridge"
    label = N_("Ridge")

    alpha: float | str = hyperparameter(
        "auto",
        low=0.0001,
        high=1e6,
        choices=("auto",),
        help=N_("Strength of the regularisation; auto chooses for each line by leave-one-out error."),
    )

    @override
    def fit(self, series: Panel, drivers: Known, horizon: int, progress: Progress | None = None) -> Self:
        self.years_ = len(series) / 365.25
        self.lines_: dict[int, list[tuple[Floats, Floats, Floats, float]]] = {}
        for step in range(1, horizon + 1):
            table = self.table(series, drivers, step)
            change = series.lessons - shifted(series.recent, step)
            usable = table.usable & np.isfinite(change)
            self.lines_[step] = [
                self._line(table.values[usable[:, place], place], change[usable[:, place], place])
                for place in range(len(series.entities))
            ]
            if not usable.sum(axis=0).max(initial=0) >= LEAST_DAYS:
                raise too_short(series, int(usable.sum(axis=0).max(initial=0)), LEAST_DAYS)
            if progress is not None:
                progress.tell(step / horizon)
        return self

    def _line(self, features: Floats, change: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Return the mean, the scale and the coefficient of every feature, and the intercept of the change.

        All are NaN for fewer than `LEAST_DAYS` training rows.
        """
        if len(features) < LEAST_DAYS:
            return (*np.full((3, features.shape[1]), np.nan), float("nan"))
        mean, width = features.mean(axis=0), features.std(axis=0)
        width[width < 1e-9 * np.maximum(np.abs(mean), 1)] = np.inf  # weight 0 for a constant feature
        scaled = (features - mean) / width
        if self.alpha == "auto":
            fitted = linear_model.RidgeCV(alphas=(1, 3, 10, 30, 100, 300, 1000)).fit(scaled, change)
        else:
            fitted = linear_model.Ridge(alpha=float(self.alpha)).fit(scaled, change)
        return mean, width, fitted.coef_, float(fitted.intercept_)

    @override
    def table(self, series: Panel, drivers: Known, step: int) -> Table:
        return for_a_line(series, drivers, series.recent, step, self.years_)

    @override
    def answer(self, table: Table, series: Panel, step: int, first: int) -> Floats:
        found = shifted(series.recent, step)[first:].copy()
        for place, (mean, width, coefficients, intercept) in enumerate(self.lines_[step]):
            found[:, place] += (table.values[first:, place] - mean) / width @ coefficients + intercept
        return found
