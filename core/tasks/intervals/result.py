"""Result of the task intervals: judged points, events, trunks now, errors and coverage."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.data.dataset import Dataset, DataSummary
from core.messages import Message
from core.runs.result import Result
from core.tasks.intervals.spec import IntervalsApplySpec, IntervalsSpec

NAIVE = "seasonal-naive"
JUDGED, CALIBRATION, FUTURE = "test", "calibration", "future"
POINT_COLUMNS = ("y", "yhat", "yhat_lower", "yhat_upper", "distance", "rel_distance", "anomalous")
LOGGED_METRICS = ("rmse", "mae", "mase", "mwql", "coverage", "coverage_50", "coverage_ahead", "skill")


@dataclass(frozen=True)
class Intervals(Result):
    """Forecast intervals of regular series, the points outside them, and the events that these form.

    spec          spec of this run
    model_spec    spec of the run that fitted the model, with the settings that a search chose; else equal to `spec`
    horizon       steps of one forecast
    season        steps of the season of MASE: a week, or a day where the history is shorter
    step_seconds  seconds between two steps
    windows       numbers of horizons that calibrate and that are judged
    notes         limits that a reader has to know
    rows          entity, measure, time (local clock), y (original value), cleaned (value that the forecaster saw),
                  forecast (its median), yhat (the median, moved with the level), yhat_lower, yhat_upper, lower_50,
                  upper_50, distance (signed, outside the interval), rel_distance (in % of yhat; NaN where it is 0),
                  score (distance in widths of the interval), anomalous, is_imputed, is_shifted (usual at a new level
                  only), phase ("calibration", "test" or "future"), event (−1 without)
    events        event, entity, measure, kind ("high", "low", "level_shift"), start, end, peak (times), y, yhat,
                  distance, rel_distance (at the peak), severity, steps, points (outside), score, is_open (lasts at the
                  end of the data); worst first
    scores        measure, entity ("": all), model, rmse, mae, mase_<season>, mwql, coverage_50, coverage_<level>,
                  coverage_ahead, points; the errors are those of the forecasts a horizon ahead
    trials        settings that a search tried: trial, the settings, mwql, seconds; empty without a search
    clusters      measure, entity, cluster (from 1; 0 without values); empty for a forecaster without clusters
    """

    spec: IntervalsSpec | IntervalsApplySpec
    model_spec: IntervalsSpec
    data: DataSummary
    horizon: int
    season: int
    step_seconds: float
    windows: dict[str, int]
    notes: tuple[Message, ...]
    rows: pd.DataFrame
    events: pd.DataFrame
    scores: pd.DataFrame
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    clusters: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def level(self) -> float:
        """Promised share of usual points inside the interval."""
        return self.model_spec.level

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns that are watched."""
        return self.model_spec.value

    @property
    def mase_name(self) -> str:
        """Name of MASE with its season, in the scores."""
        return f"mase_{self.season}"

    @property
    def coverage_name(self) -> str:
        """Name of the coverage of the interval in the scores."""
        return f"coverage_{100 * self.level:g}"

    @property
    def judged_rows(self) -> pd.DataFrame:
        """Rows of the judged period with a value and an interval."""
        rows = self.rows
        return rows[(rows["phase"] == JUDGED) & rows["distance"].notna()]

    @property
    def promised_rate(self) -> float:
        """Promised share of usual points outside the interval."""
        return 1 - self.level

    @property
    def alarm_rate(self) -> float:
        """Measured share of judged points outside the interval; NaN without any."""
        return float(self.judged_rows["anomalous"].mean()) if len(self.judged_rows) else float("nan")

    @property
    def alarm_band(self) -> tuple[float, float]:
        """95 % range of the measured alarm rate if all points are usual and the promise is kept."""
        from core.evaluation.forecast_metrics import compute_binomial_band

        return compute_binomial_band(self.promised_rate, len(self.judged_rows))

    def select(self, dataset: Dataset) -> Dataset:
        """Return the rows of `dataset` that the result is about."""
        return self.spec.select(dataset)

    def get_scores(self, measure: str = "", entity: str = "") -> pd.DataFrame:
        """Return the scores of a measure (default: the first) and an entity (default: all), the forecaster first."""
        scores = self.scores
        return scores[(scores["measure"] == (measure or self.measures[0])) & (scores["entity"] == entity)]

    def metrics(self) -> dict[str, float]:
        """Return the metrics: those of the first measure under their names, of another one as `mwql.ccr`."""
        metrics: dict[str, float] = {}
        for number, measure in enumerate(self.measures):
            suffix = f".{measure}" if number else ""
            metrics |= {f"{name}{suffix}": value for name, value in self._list_metrics(measure).items()}
        counts = {name: int((self.events["severity"] == name).sum()) for name in ("high", "critical")}
        metrics |= {
            "alarm_rate": self.alarm_rate,
            "promised_rate": self.promised_rate,
            "events": len(self.events),
            "anomalies": int(self.rows["anomalous"].sum()),
            "rows_scored": len(self.judged_rows),
            **{f"events_{name}": value for name, value in counts.items()},
        }
        return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}

    def _list_metrics(self, measure: str) -> dict[str, float]:
        lines = self.get_scores(measure).to_dict("records")
        if not lines:
            return {}
        names = {self.mase_name: "mase", self.coverage_name: "coverage"}
        scores = {names.get(str(name), str(name)): value for name, value in lines[0].items()}
        naive = next((line for line in lines if line["model"] == NAIVE), lines[0])
        scores["skill"] = 1 - scores["mwql"] / naive["mwql"] if naive["mwql"] else float("nan")
        scores |= {f"{name}_naive": naive[name] for name in ("rmse", "mwql")}
        chosen = (*LOGGED_METRICS, "rmse_naive", "mwql_naive")
        return {name: float(scores[name]) for name in chosen if name in scores}

    def to_frame(self) -> pd.DataFrame:
        """Return the events as a table to export, worst first; events are numbered from 1."""
        return self.events.assign(
            event=self.events["event"] + 1, **{name: self.events[name].astype(str) for name in ("entity", "measure")}
        )

    def build_point_table(self, entity: str = "", measure: str = "") -> pd.DataFrame:
        """Return the judged and future points: entity and measure (where there are several), timestamp, y, yhat ….

        Without `entity` or `measure`, all of them.
        """
        rows = self.rows[self.rows["phase"] != CALIBRATION]
        for name, value in (("entity", entity), ("measure", measure)):
            rows = rows[rows[name] == value] if value else rows
        keys = [name for name in ("entity", "measure") if self.rows[name].nunique() > 1]
        table = rows[[*keys, "time", *POINT_COLUMNS]].rename(columns={"time": "timestamp"})
        return table.assign(**{name: table[name].astype(str) for name in keys}).reset_index(drop=True)

    def list_current(self) -> pd.DataFrame:
        """Return the last judged value of every entity and measure with its interval, worst first.

        Columns: entity, measure, time, y, yhat, yhat_lower, yhat_upper, distance, rel_distance, anomalous, since (start
        of the event that it belongs to), event (−1 without), severity ("" without), score.
        """
        columns = ["entity", "measure", "time", *POINT_COLUMNS, "event"]
        last = self.judged_rows.groupby(["entity", "measure"], observed=True, sort=True).tail(1)[columns]
        events = self.events.set_index("event")[["start", "severity", "score"]]
        table = last.join(events.rename(columns={"start": "since"}), on="event")
        table = table.assign(severity=table["severity"].fillna(""), score=table["score"].fillna(0.0))
        return table.sort_values(["score", "distance"], ascending=False, kind="stable").reset_index(drop=True)

    def list_alarms(self) -> pd.DataFrame:
        """Return entity, measure, time, end and score of every event, for verdicts."""
        return self.events.rename(columns={"start": "time"})[["entity", "measure", "time", "end", "score"]]
