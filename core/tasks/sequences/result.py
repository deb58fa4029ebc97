"""Series scored row by row: the question, the rows, the events they make, what explains them, how good that is."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.evaluation.alarm_rates import alarms_per
from core.exports import written_likelihoods
from core.messages import N_, Text
from core.tasks.anomalies.result import SEVERITIES

FILE = "sequences.json"
TABLES = ("rows", "events", "shares", "categories", "cells", "curves", "card")
THOUSAND: Final = "1000 rows"


@dataclass(frozen=True)
class Question:
    """What was asked: the part of a result that does not depend on rows.

    until        the first row that was not learnt from: a moment, a row number, or "" for the end of the training part
    asked        how the threshold was asked for, and `amount` and `per` with what number
    threshold    the score above which a row is an anomaly, made by `method`
    promise      the share of normal rows that the method promises to flag at most; None where it promises nothing
    mode         how the detector scores: exact windows, or row by row
    row_seconds  from one row to the next; None without dates, and where there is only one moment
    """

    detector: str
    settings: dict[str, Any]
    scaling: str
    counts: bool
    until: str
    asked: str
    amount: float
    per: str
    threshold: float
    method: str
    promise: float | None
    mode: str
    dataset: str
    files: tuple[str, ...]
    unit: str
    profile: bool
    columns: tuple[str, ...]
    row_seconds: float | None
    fitted_by: str = ""
    entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class SequenceDetection:
    """Scored rows, and the events that consecutive anomalies make.

    rows        entity, time, score, anomaly, fitted (the model learnt from it; never an anomaly), event (place in
                `events`, -1 without), category (the mode it belongs to most, -1 without), label where any is known; the
                rows of an entity together, in the order of time
    events      entity, start, end, rows (anomalies in it), peak, severity (0 … 3), odds (conformal p-value of the
                peak),
                causes (by the detector's shares), ranked (by distance to the moving mean), known (a row of it is
                labelled;
                only with labels), first and last (places in `rows`); the highest peak first
    shares      entity, time and "0", "1" …: the greatest share of every column within each of at most 2,000 bins
    categories  entity, time and "0", "1" …: the mean belonging to every mode per bin; empty where there are no modes
    cells       around the first 200 events, of the columns that explain them: event, time, inside, column, value,
                expected,
                low, high, share, by_share and by_distance (the column's place in either ranking)
    curves      curve, step, value: how training went
    card        line and a column per metric: the detector beside random scores and simple baselines; empty without
                labels
    figures     what else was measured: the rate of alarms and between what it lies, rows per second, hit rates …
    """

    question: Question
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
    def labelled(self) -> bool:
        """Is it known of the rows whether they are abnormal?"""
        return "label" in self.rows

    @property
    def dated(self) -> bool:
        return bool(pd.api.types.is_datetime64_any_dtype(self.rows["time"]))

    @property
    def judged(self) -> pd.DataFrame:
        """The rows that were not learnt from."""
        return self.rows[~self.rows["fitted"]]

    @property
    def measured(self) -> float:
        """The share of rows flagged: where there are labels of those that are neither labelled nor of an event with a
        labelled row, else of all judged rows.
        """
        return self.figures.get("measured_rate", float("nan"))

    @property
    def broken(self) -> bool:
        """Did more rows than promised come, by more than chance?"""
        promise = self.question.promise
        return promise is not None and self.figures.get("measured_low", 0.0) > promise

    def per(self, share: float) -> float:
        """A share of rows as alarms in the time asked about, over all entities together; per 1,000 rows without
        dates.
        """
        if self.question.per == THOUSAND or self.question.row_seconds is None:
            return share * 1000
        return alarms_per(share, self.question.per, self.question.row_seconds, self.rows["entity"].nunique())

    def metrics(self) -> dict[str, float]:
        """What a run logs."""
        judged, question = self.judged, self.question
        found = {
            "rows": len(self.rows),
            "rows_fitted": len(self.rows) - len(judged),
            "rows_judged": len(judged),
            "anomalies": int(judged["anomaly"].sum()),
            "anomaly_share": float(judged["anomaly"].mean()) if len(judged) else 0.0,
            "events": len(self.events),
            "entities": self.rows["entity"].nunique(),
            "entities_with_events": self.events["entity"].nunique(),
            "threshold": question.threshold,
            **({} if question.promise is None else {"promised_rate": question.promise}),
            **self.figures,
            **self._scored(),
        }
        return {name: float(value) for name, value in found.items() if np.isfinite(value)}

    def _scored(self) -> dict[str, float]:
        """The card as figures: those of the detector by their own name, those of other lines as line.metric."""
        found: dict[str, float] = {}
        for number, line in enumerate(self.card.to_dict("records")):
            name = line.pop("line")
            line["f1_threshold"] = line.pop("threshold")  # with which the best F1 is reached, not the one that flags
            found |= {metric if number == 0 else f"{name}.{metric}": float(value) for metric, value in line.items()}
        return found

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table to export: the event's number and its severity in words."""
        event = self.rows["event"].to_numpy()
        severity = np.append(self.events["severity"].to_numpy(dtype=int), -1)[event]
        table = self.rows.assign(
            entity=self.rows["entity"].astype(str),
            event=pd.array(np.where(event < 0, 0, event + 1), dtype="Int64"),
            severity=np.asarray((*SEVERITIES, ""), dtype=object)[severity],
            threshold=self.question.threshold,
        )
        table.loc[event < 0, "event"] = pd.NA
        return table.drop(columns="category") if self.categories.empty else table

    def event_table(self) -> pd.DataFrame:
        """The events as a table to export, the most severe first."""
        words = np.asarray(SEVERITIES, dtype=object)[self.events["severity"].to_numpy(dtype=int)]
        table = self.events.assign(entity=self.events["entity"].astype(str), severity=words)
        table.insert(0, "event", np.arange(1, len(table) + 1))
        return table.drop(columns=["first", "last"])

    def write_likelihoods(self, target: Path) -> None:
        """A line `timestamp,loglik,Normaly|Anomaly` per judged row, as the original of SGmVRNN writes its scores.

        The word is what is known of the row where there are labels, else whether it is flagged here.
        """
        judged = self.judged
        words = judged["label"] if self.labelled else judged["anomaly"]
        written_likelihoods(judged["time"], judged["score"].astype(float), words, target, original=True)

    def of(self, entity: str) -> pd.DataFrame:
        """The rows of one entity, in the order of time."""
        return self.rows[(self.rows["entity"] == entity).to_numpy()]

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)
        rest = {
            "question": asdict(self.question),
            "figures": self.figures,
            "notes": [[note.template, dict(note.values)] for note in self.notes],
        }
        (folder / FILE).write_text(json.dumps(rest, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "SequenceDetection":
        """Raises NotFoundError where `folder` holds no scored series."""
        try:
            rest = json.loads((folder / FILE).read_text(encoding="utf-8"))
            known = {field.name for field in fields(Question)}
            asked: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in rest["question"].items()
                if name in known
            }
            tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
            notes = tuple(Text(*note) for note in rest["notes"])
            return cls(Question(**asked), **tables, figures=rest["figures"], notes=notes)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise NotFoundError(N_("This run holds no scored series that could be shown.")) from error
