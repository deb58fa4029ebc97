"""Result of a forecast: forecast rows with prediction intervals, errors, coverage and effects."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, DataSummary
from core.messages import Message
from core.runs.result import Result
from core.tasks.forecast.alarm_counts import AlarmCounts
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec

LOGGED_STEPS = (1, 7, 28)  # days ahead with logged metrics, in addition to the whole horizon and its last day
METRICS = (
    "mae",
    "wape",
    "rmse",
    "r2",
    "mase",
    "skill_naive1",
    "skill_naive7",
    "quantile_loss",
    "mwql",
    "coverage",
    "width",
)

CANDIDATE_COLUMNS = ("candidate", "first_step", "last_step", "wape", "weight", "reason")


@dataclass(frozen=True)
class Forecast(Result):
    """Forecast of the next days, with its backtest.

    spec            spec of this run
    model_spec      spec of the run that fitted the model; equal to `spec` unless a saved model was applied
    backtest_until  last day of the backtest, ISO
    slots           times of the day; one slot for one amount per period
    frequency       alias of the period in pandas: "D", "MS", "15min" …
    covariates      columns known in advance that the model uses
    timed_covariates  those of them that count at the times of the day; the others have one value per day
    joins           report on each covariate file
    calibration     past errors that the intervals are computed from, see `ConformalConfig`
    notes           limits that a reader has to know
    cautions        the notes about what was guessed, shared or left out; a command prints them as errors are
    rows            entity, time, step, forecast, one column per quantile ("q0.05"), naive1, naive7, assumed (True if a
                    missing covariate was replaced by the usual value of the date)
    scores          errors by days ahead (0: all) and entity ("": all), with those of the naive forecasts, see
                    `backtest_report.build_report`
    checked         every forecast of the backtest with its measured value, see `backtest_report.build_report`
    reliability     nominal and measured coverage, by month, entity …, see `backtest_report.build_report`
    importance      group, step, spared (growth of the mean absolute error when the group is shuffled, as a share)
    response        strike (0, 1, or NaN for unchanged), shift (°C), amount (over all entities and days)
    candidates      what the automatic forecaster compared, see `build_candidate_table`; empty for other forecasters
    effects         effects of strikes: method ("raw", "matched", "matched, weather taken out"), change, low, high,
                    days, episodes
    judged          values judged by the forecast one period ahead: entity, time, actual, forecast, low, high (interval
                    of the alarms), distance (signed, outside it), alarm (−1 without); those of the backtest, or the
                    measured ones after the training of an applied model
    alarms          incidents, worst first: alarm, entity, kind ("high", "low", "lasting"), severity, start, end,
                    peak and peak_end (times of its worst values), measured, expected, low, high (there; means per
                    period where it is lasting), score, difference (measured − expected), percent (of expected), steps,
                    outside (their number), is_open (lasts at the end of the data)
    alarm_counts    numbers of judged periods, and of those outside
    """

    spec: ForecastSpec | ForecastApplySpec | RecalibrationSpec
    model_spec: ForecastSpec
    data: DataSummary
    backtest_until: str
    slots: tuple[str, ...]
    covariates: tuple[str, ...]
    joins: tuple[dict[str, Any], ...]
    calibration: dict[str, Any]
    notes: tuple[Message, ...]
    rows: pd.DataFrame
    scores: pd.DataFrame
    checked: pd.DataFrame
    reliability: pd.DataFrame
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)
    response: pd.DataFrame = field(default_factory=pd.DataFrame)
    effects: pd.DataFrame = field(default_factory=pd.DataFrame)
    cautions: tuple[Message, ...] = ()
    judged: pd.DataFrame = field(default_factory=pd.DataFrame)
    alarms: pd.DataFrame = field(default_factory=pd.DataFrame)
    alarm_counts: AlarmCounts = field(default_factory=AlarmCounts)
    candidates: pd.DataFrame = field(default_factory=pd.DataFrame)
    frequency: str = "D"
    timed_covariates: tuple[str, ...] = ()

    @property
    def selection(self) -> ForecastSpec:
        """Spec that selects the rows of the result; an applied model keeps its entities, not its period."""
        return (
            replace(self.model_spec, start="", end="") if isinstance(self.spec, ForecastApplySpec) else self.model_spec
        )

    def select(self, dataset: Dataset) -> Dataset:
        """Return the rows of `dataset` that the result is about."""
        return self.selection.select(dataset)

    @property
    def covariate_digest(self) -> str:
        """Digest of the stored covariate tables; "" without covariates."""
        return self.model_spec.covariates if isinstance(self.spec, RecalibrationSpec) else self.spec.covariates

    @property
    def alarm_level(self) -> float:
        """Promised share of usual periods inside the interval of the alarms."""
        return self.model_spec.alarm_level

    def metrics(self) -> dict[str, float]:
        """Return the metrics over all days ahead, those of some with a suffix (`wape_1`), and those of the alarms."""
        metrics: dict[str, float] = {}
        overall_rows = self.scores[self.scores["entity"] == ""]
        for row in overall_rows.to_dict("records"):
            step = int(row["step"])
            if step in (0, *LOGGED_STEPS, self.model_spec.horizon_periods):
                metrics |= {
                    name if step == 0 else f"{name}_{step}": float(row[name]) for name in METRICS if name in row
                }
        metrics |= compute_candidate_metrics(self.candidates)
        return {name: value for name, value in (metrics | self._list_alarm_metrics()).items() if np.isfinite(value)}

    def _list_alarm_metrics(self) -> dict[str, float]:
        if not self.alarm_counts.judged:
            return {}
        return {
            "alarms": float(len(self.alarms)),
            "alarm_rate": self.alarm_counts.rate,
            "promised_rate": round(1 - self.alarm_level, 9),
            "lasting_rate": self.alarm_counts.lasting_rate,
        }

    def get_step_scores(self) -> pd.DataFrame:
        """Return the metrics over all entities, one row per number of days ahead."""
        step_rows = self.scores[(self.scores["entity"] == "") & (self.scores["step"] > 0)]
        return step_rows.drop(columns="entity").reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """Return the forecast rows as a table to export."""
        return self.rows.assign(entity=self.rows["entity"].astype(str), unit=self.data.unit)

    def build_judged_table(self) -> pd.DataFrame:
        """Return the judged values as a table to export; alarms are numbered from 1, 0 is none."""
        return self.judged.assign(
            entity=self.judged["entity"].astype(str), alarm=self.judged["alarm"] + 1, unit=self.data.unit
        )


def compute_candidate_metrics(table: pd.DataFrame) -> dict[str, float]:
    """Return the mean error and weight of every candidate over the groups of steps, by name of the metric.

    Example:
        >>> compute_candidate_metrics(pd.DataFrame([("ridge", 1, 1, 0.04, 0.5, "")], columns=CANDIDATE_COLUMNS))
        {'candidate_wape.ridge': 0.04, 'candidate_weight.ridge': 0.5}
    """
    if table.empty:
        return {}
    means = table.groupby("candidate", sort=False)[["wape", "weight"]].mean().dropna()
    return {
        f"candidate_{column}.{str(name).replace(' ', '_')}": float(means.loc[name, column])
        for column in means
        for name in means.index
    }
