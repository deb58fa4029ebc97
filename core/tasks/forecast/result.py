"""What comes next: the forecast rows with their intervals, and everything that says how far to trust them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, DataSummary
from core.messages import Text
from core.runs.result import Result
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec

KEPT_STEPS = (1, 7, 28)  # days ahead whose figures a run logs, beside those of the whole horizon and its end
METRICS = ("mae", "wape", "rmse", "r2", "mase", "skill_naive1", "skill_naive7", "quantile_loss", "coverage", "width")


@dataclass(frozen=True)
class Forecast(Result):
    """The days to come and the back-test.

    model_spec      what was asked of the run that fitted the model: the same as `spec`, unless a model was applied
    backtest_until  last day of the back-test, ISO
    slots           the times of the day; one for daily amounts
    covariates      the columns known in advance that the model uses; `joins` the report of how each file came in
    calibration     of which past errors the intervals are made
    notes           what a reader has to know
    rows            entity, time, step, forecast, one column per quantile ("q0.05"), naive1, naive7, assumed (True
                    where a covariate's usual value for the date stood in)
    scores          errors per number of days ahead (0: all) and entity ("": all), the naive forecasts beside: see
                    `scoring.scores`
    checked         every forecast of the back-test beside what came: see `scoring.checked`
    reliability     nominal against measured coverage, by month, entity …: see `scoring.reliability`
    importance      group, step, spared (share of the mean absolute error that grows when the group is shuffled)
    response        what if: strike (0, 1, or NaN as given), shift (°C warmer), amount (over all entities and days)
    effects         strike effects: method ("raw", "matched", "matched, weather taken out"), change, low, high, days,
                    episodes
    """

    spec: ForecastSpec | ForecastApplySpec | RecalibrationSpec
    model_spec: ForecastSpec
    data: DataSummary
    backtest_until: str
    slots: tuple[str, ...]
    covariates: tuple[str, ...]
    joins: tuple[dict[str, Any], ...]
    calibration: dict[str, Any]
    notes: tuple[Text, ...]
    rows: pd.DataFrame
    scores: pd.DataFrame
    checked: pd.DataFrame
    reliability: pd.DataFrame
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)
    response: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def selection(self) -> ForecastSpec:
        """The spec that says which rows the result is about: an applied model keeps its entities, not its period."""
        return (
            replace(self.model_spec, start="", end="") if isinstance(self.spec, ForecastApplySpec) else self.model_spec
        )

    def select(self, dataset: Dataset) -> Dataset:
        """Return the rows of `dataset` that the result is about."""
        return self.selection.select(dataset)

    @property
    def covariate_digest(self) -> str:
        """The digest under which the tables of what was known in advance are stored; "" without any."""
        return self.model_spec.covariates if isinstance(self.spec, RecalibrationSpec) else self.spec.covariates

    def metrics(self) -> dict[str, float]:
        """Return figures over all days ahead, and with the number of days ahead behind the name (`wape_1`)."""
        found: dict[str, float] = {}
        together = self.scores[self.scores["entity"] == ""]
        for line in together.to_dict("records"):
            step = int(line["step"])
            if step in (0, *KEPT_STEPS, self.model_spec.horizon):
                found |= {name if step == 0 else f"{name}_{step}": float(line[name]) for name in METRICS}
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def per_step(self) -> pd.DataFrame:
        """The figures over all entities, one row per number of days ahead."""
        own = self.scores[(self.scores["entity"] == "") & (self.scores["step"] > 0)]
        return own.drop(columns="entity").reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """The forecast rows as a table to export."""
        return self.rows.assign(entity=self.rows["entity"].astype(str), unit=self.data.unit)
