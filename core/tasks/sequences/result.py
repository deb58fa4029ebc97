"""Series scored row by row: the rows, the events they make, what explains them, how good that is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DataSummary
from core.evaluation.alarm_rates import alarms_per
from core.exports import written_likelihoods
from core.messages import Text
from core.runs.result import Result
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences.spec import THOUSAND, Period, SequenceSpec


@dataclass(frozen=True)
class SequenceDetection(Result):
    """Scored rows, and the events that consecutive anomalies make.

    spec        what was asked of this run
    model_spec  what was asked of the run that fitted the model: the same, unless a model was applied
    data        the dataset's files, unit and columns
    threshold   the score above which a row is an anomaly, made by `method`
    promise     the share of normal rows that the method promises to flag at most; None where it promises nothing
    per         the period, or 1,000 rows, in which alarms are counted
    mode        how the detector scores: exact windows, or row by row
    sampling_seconds from one row to the next; None without dates, and where there is only one moment
    rows        entity, time, score, anomaly, fitted (the model learnt from it; never an anomaly), event (place in
                `events`, -1 without), category (the mode it belongs to most, -1 without), label where any is known; the
                rows of an entity together, in the order of time
    events      entity, start, end, rows (anomalies in it), peak, severity (0 … 3), odds (conformal p-value of the
                peak), causes (by the detector's shares), ranked (by distance to the moving mean), known (a row of it is
                labelled; only with labels), first and last (places in `rows`); the highest peak first
    shares      entity, time and "0", "1" …: the greatest share of every column within each of at most 2,000 bins
    categories  entity, time and "0", "1" …: the mean belonging to every mode per bin; empty where there are no modes
    cells       around the first 200 events, of the columns that explain them: event, time, inside, column, value,
                expected, low, high, share, by_share and by_distance (the column's place in either ranking)
    curves      curve, step, value: how training went
    card        line and a column per metric: the detector beside random scores and simple baselines; empty without
                labels
    figures     what else was measured: the rate of alarms and between what it lies, rows per second, hit rates …
    """

    spec: SequenceSpec | ApplySpec | ThresholdSpec
    model_spec: SequenceSpec
    data: DataSummary
    threshold: float
    method: str
    promise: float | None
    per: Period
    mode: str
    sampling_seconds: float | None
    rows: pd.DataFrame
    events: pd.DataFrame
    shares: pd.DataFrame
    categories: pd.DataFrame
    cells: pd.DataFrame
    curves: pd.DataFrame
    card: pd.DataFrame
    figures: dict[str, float]
    notes: tuple[Text, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Is it known of the rows whether they are abnormal?"""
        return "label" in self.rows

    @property
    def is_dated(self) -> bool:
        """Have the rows dates, and not only numbers?"""
        return bool(pd.api.types.is_datetime64_any_dtype(self.rows["time"]))

    @property
    def learnt_here(self) -> bool:
        """Did the model learn from some of these rows?"""
        return bool(self.rows["fitted"].any())

    @property
    def test_rows(self) -> pd.DataFrame:
        """The rows that were not learnt from."""
        return self.rows[~self.rows["fitted"]]

    @property
    def measured_rate(self) -> float:
        """The share of rows flagged.

        Where there are labels, of those that are neither labelled nor of an event with a labelled row, else of all
        test rows.
        """
        return self.figures.get("measured_rate", float("nan"))

    @property
    def exceeds_promise(self) -> bool:
        """Did more rows than promised come, by more than chance?"""
        return self.promise is not None and self.figures.get("measured_low", 0.0) > self.promise

    def count_alarms(self, share: float) -> float:
        """Return a share of rows as alarms in the period asked about, over all entities together.

        Per 1,000 rows without dates.
        """
        if self.per == THOUSAND or self.sampling_seconds is None:
            return share * 1000
        return alarms_per(share, self.per, self.sampling_seconds, self.rows["entity"].nunique())

    def metrics(self) -> dict[str, float]:
        """Return what the run logs."""
        judged = self.test_rows
        figures = {
            "rows": len(self.rows),
            "rows_fitted": len(self.rows) - len(judged),
            "rows_judged": len(judged),
            "anomalies": int(judged["anomaly"].sum()),
            "anomaly_share": float(judged["anomaly"].mean()) if len(judged) else 0.0,
            "events": len(self.events),
            "entities": self.rows["entity"].nunique(),
            "entities_with_events": self.events["entity"].nunique(),
            "threshold": self.threshold,
            **({} if self.promise is None else {"promised_rate": self.promise}),
            **self.figures,
            **self._card_metrics(),
        }
        return {name: float(value) for name, value in figures.items() if np.isfinite(value)}

    def _card_metrics(self) -> dict[str, float]:
        """Return the card as metrics: those of the detector by their own name, those of baselines as line.metric."""
        metrics: dict[str, float] = {}
        for number, line in enumerate(self.card.to_dict("records")):
            name = line.pop("line")
            line["f1_threshold"] = line.pop("threshold")  # with which the best F1 is reached, not the one that flags
            metrics |= {metric if number == 0 else f"{name}.{metric}": float(value) for metric, value in line.items()}
        return metrics

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table to export: the event's number and its severity in words."""
        event = self.rows["event"].to_numpy()
        severity = np.append(self.events["severity"].to_numpy(dtype=int), -1)[event]
        table = self.rows.assign(
            entity=self.rows["entity"].astype(str),
            event=pd.array(np.where(event < 0, 0, event + 1), dtype="Int64"),
            severity=np.asarray((*SEVERITIES, ""), dtype=object)[severity],
            threshold=self.threshold,
        )
        table.loc[event < 0, "event"] = pd.NA
        return table.drop(columns="category") if self.categories.empty else table

    def event_table(self) -> pd.DataFrame:
        """Return the events as a table to export, the most severe first."""
        words = np.asarray(SEVERITIES, dtype=object)[self.events["severity"].to_numpy(dtype=int)]
        table = self.events.assign(entity=self.events["entity"].astype(str), severity=words)
        table.insert(0, "event", np.arange(1, len(table) + 1))
        return table.drop(columns=["first", "last"])

    def write_likelihoods(self, target: Path) -> None:
        """Write a line `timestamp,loglik,Normaly|Anomaly` per test row, as the original of SGmVRNN writes its scores.

        The word is what is known of the row where there are labels, else whether it is flagged here.
        """
        judged = self.test_rows
        words = judged["label"] if self.is_labelled else judged["anomaly"]
        written_likelihoods(judged["time"], judged["score"].astype(float), words, target, original=True)

    def rows_of(self, entity: str) -> pd.DataFrame:
        """Return the rows of one entity, in the order of time."""
        return self.rows[(self.rows["entity"] == entity).to_numpy()]

    def events_of(self, entity: str) -> pd.DataFrame:
        """Return the events of one entity, the highest peak first."""
        return self.events[(self.events["entity"] == entity).to_numpy()]

    def alarm_rows(self) -> pd.DataFrame:
        """Return what people can judge: entity, time, end and score of every event."""
        events = self.events.rename(columns={"start": "time", "peak": "score"})
        return events[["entity", "time", "end", "score"]]

    def judged_scores(self) -> NDArray[np.float64]:
        """Return the scores that the threshold divides: those of the rows that were not learnt from."""
        return self.test_rows["score"].to_numpy(dtype=np.float64)
