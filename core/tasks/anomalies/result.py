"""Result of the anomalies task: ranked rows, with the cells that explain them."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.dataset import DataSummary
from core.evaluation.threshold_views import ScoredRows
from core.messages import N_, Message
from core.runs.result import Result
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies import words
from core.tasks.anomalies.explanation import upgrade_tables
from core.tasks.anomalies.incident_facts import count_alike, measure_rows
from core.tasks.anomalies.incident_words import describe_incident
from core.tasks.anomalies.incidents import build_incidents
from core.tasks.anomalies.spec import DetectionSpec

SEVERITIES = (N_("mild"), N_("notable"), N_("rare"), N_("extreme"))
"""Names of the severities 0 … 3: below the top 1 % of the training scores, in the top 1 %, 1 in 1,000, 1 in 10,000."""

FACT_COLUMNS = (
    *("entity", "time", "severity", "score"),
    *("level", "expected_level", "repeats", "repeats_high", "shift_gain"),
)
TEXT_COLUMNS = ("column", "causes", "explanation")
NO_TEXT = "–"  # for rows that are not explained; with empty cells pandas would warn about mixed types
ROUNDING_FACTOR = 1.02  # the requested rate in a note is rounded
EXPORTED_COLUMNS = (
    *("rank", "severity", "entity", "time", "incident", "anomaly"),
    *("column", "value", "expected", "low", "high", "deviation", "unit", "causes", "explanation"),
    *("unflagged_low", "unflagged_high", "amount", "expected_amount", "score"),
)


@dataclass(frozen=True)
class Detection(Result):
    """Scored rows of a dataset, sorted from the highest score to the lowest.

    spec           spec of this run.
    model_spec     spec of the run that fitted the model; the same as `spec` unless an existing model was applied.
    data           files, unit and columns of the dataset.
    threshold      score above which a row is an anomaly.
    rows_left_out  number of incomplete rows, which have no score.
    rows           entity, time, score, severity (0 … 3), anomaly, incident (−1 for none), amount (sum of a daily
                   profile, else mean of a row); and for explained rows: expected_amount; column, value, expected, low,
                   high, deviation and level_shift (see `cells`) of the value farthest outside its band; causes (up to
                   three such columns, as text); level and expected_level of the day where the level is unusual;
                   jump_column, jump and jump_high where the distance of a value to the mean of its neighbours is
                   unusual; repeats and repeats_high where more values in a row are equal than usual; shift_gain, the
                   share of the distance to the usual shape that a move removes, where it is unusual; counterfactual
                   (kind, see `Counterfactuals`).
    cells          cells of the explained rows (every anomaly, and at least the top rows): row, column, value, expected,
                   low, high, deviation (spreads), level_shift (part of value − expected that the level of the day
                   causes), unflagged_low and unflagged_high (interval within which the row is not flagged).
    threshold_run  run whose verdicts led to the threshold; "" for a threshold computed from scores.
    method         how the threshold was computed, see `Threshold`; "" in runs of earlier versions.
    target_rate    largest share of normal rows above the threshold; None for a threshold without target.
    notes          limits of the result, to show with it.
    promise_kept   False if significantly more rows than `target_rate` are flagged by an existing model; True for rows
                   that the threshold was computed from; None without target.
    step_seconds   time between two rows of an entity; None without an even step.
    """

    spec: DetectionSpec | ApplySpec | ThresholdSpec
    model_spec: DetectionSpec
    data: DataSummary
    threshold: float
    rows_left_out: int
    rows: pd.DataFrame
    cells: pd.DataFrame
    threshold_run: str = ""
    method: str = ""
    target_rate: float | None = None
    notes: tuple[Message, ...] = ()
    promise_kept: bool | None = None
    step_seconds: float | None = None

    @override
    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the result that `save` wrote, also that of an earlier version. Raises NotFoundError without one."""
        detection = super().load(folder)
        if "incident" in detection.rows:
            return detection
        rows, cells = upgrade_tables(detection.rows, detection.cells, detection.data.columns)
        return replace(detection, rows=rows, cells=cells)

    @property
    def anomalies(self) -> pd.DataFrame:
        """Rows above the threshold, the highest score first."""
        return self.rows[self.rows["anomaly"]]

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """Incidents, the highest score first: entity, start, end, rows, peak, severity, row (position of the worst)."""
        return build_incidents(self.rows)

    @cached_property
    def measured_incidents(self) -> pd.DataFrame:
        """`incidents` with what deviates in the worst row of each, see `measure_rows`, and alike.

        alike is the number of other entities that deviate in the same direction during the incident.
        """
        flagged = self._measured_anomalies
        incidents = self.incidents.join(flagged.drop(columns=["entity", "severity"]), on="row")
        return incidents.assign(alike=count_alike(incidents, flagged))

    @cached_property
    def _measured_anomalies(self) -> pd.DataFrame:
        return self.measure_rows(self.anomalies.index)

    def measure_rows(self, rows: Iterable[int]) -> pd.DataFrame:
        """Return what deviates in the rows at the given positions, in figures: see `measure_rows`; and their columns.

        direction is above or below the expected value, or jump; "" where none is known.
        """
        columns = [name for name in FACT_COLUMNS if name in self.rows]
        facts = measure_rows(self.rows, self.cells, list(rows), self.data.columns, is_profile=self.data.profile)
        difference = facts["measured"] - facts["expected"]
        direction = np.select([facts["part"] == "jump", difference > 0, difference < 0], ["jump", "above", "below"], "")
        return facts.assign(direction=direction).join(self.rows[columns])

    def list_row_incidents(self, rows: Iterable[int]) -> pd.DataFrame:
        """Return the rows at the given positions like lines of `measured_incidents`, each as an incident of one row."""
        entries = self.measure_rows(rows)
        entries = entries.assign(start=entries["time"], end=entries["time"], rows=1, row=entries.index)
        return entries.assign(alike=count_alike(entries, self._measured_anomalies))

    def describe_incidents(self, numbers: Iterable[int]) -> list[Message]:
        """Return incidents in one sentence each, given their numbers: 0 is the one with the highest score."""
        lines = self.measured_incidents.loc[list(numbers)].to_dict("records")
        return [describe_incident(line, self.data.unit) for line in lines]

    @property
    def has_weaker_promise(self) -> bool:
        """True if the rows were too few for the requested rate, so that a higher one is promised."""
        noted = [note.values.get("asked_rate", note.values.get("asked")) for note in self.notes]
        requested = [rate for rate in noted if isinstance(rate, float)]  # runs of earlier versions have it as `asked`
        return self.target_rate is not None and any(self.target_rate > ROUNDING_FACTOR * rate for rate in requested)

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log."""
        anomalies = self.anomalies
        return {
            "rows": len(self.rows),
            "anomalies": len(anomalies),
            "incidents": len(self.incidents),
            "flagged_share": len(anomalies) / max(len(self.rows), 1),
            "anomaly_share": len(anomalies) / max(len(self.rows), 1),
            "rows_left_out": self.rows_left_out,
            "entities": self.rows["entity"].nunique(),
            "entities_with_anomalies": anomalies["entity"].nunique(),
            "extreme_anomalies": int((anomalies["severity"] == 3).sum()),
            "threshold": self.threshold,
            "highest_score": float(self.rows["score"].max()),
            **({} if self.target_rate is None else {"target_rate": self.target_rate}),
            **({} if self.promise_kept is None else {"promise_kept": float(self.promise_kept)}),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the ranked rows as a table to export: names of severities, numbers of incidents, words in English."""
        rows, incident = self.rows, self.rows["incident"]
        flagged = rows[rows["anomaly"]].to_dict("records")
        intervals = [self._find_interval(position, row["column"]) for position, row in enumerate(flagged)]
        table = rows.assign(
            rank=np.arange(1, len(rows) + 1),
            severity=np.asarray(SEVERITIES, dtype=object)[rows["severity"]],
            incident=(incident + 1).astype("Int32").where(incident >= 0),
            unit=self.data.unit,
            unflagged_low=_pad([low for low, _ in intervals], np.nan, len(rows)),
            unflagged_high=_pad([high for _, high in intervals], np.nan, len(rows)),
            explanation=_pad(
                [
                    " ".join(
                        f"{str(text).rstrip('.')}." for text in self._describe(row, self._list_intervals(position))
                    )
                    for position, row in enumerate(flagged)
                ],
                "",
                len(rows),
            ),
        )
        texts = table[list(TEXT_COLUMNS)].astype(object).fillna("").replace("", NO_TEXT)
        return table.assign(**texts)[list(EXPORTED_COLUMNS)]

    def describe_row(self, row: int) -> tuple[Message, ...]:
        """Return the explanation of a row, given its position in `rows`, in sentences.

        The first tells the value that deviates most and its usual range. The others tell the level of the day, its part
        in the deviation, repeats and shifts, and what would not have been flagged.
        """
        return self._describe(self.rows.loc[row].to_dict(), self._list_intervals(row))

    def describe_values(self, rows: Iterable[int]) -> list[Message]:
        """Return the value of each row that deviates most, with its usual range, in words."""
        count = len(self.data.columns)
        return [words.describe_value(row, self.data.unit, count) for row in self._take_records(rows)]

    def describe_levels(self, rows: Iterable[int]) -> list[Message | None]:
        """Return how far the level of the day is from the usual one for each row; None for a usual level."""
        return [words.describe_level(row, self.data.unit) for row in self._take_records(rows)]

    def describe_patterns(self, rows: Iterable[int]) -> list[tuple[Message, ...]]:
        """Return the unusual patterns of each row: values that repeat, hours that lie too early or too late."""
        return [words.describe_patterns(row) for row in self._take_records(rows)]

    def _take_records(self, rows: Iterable[int]) -> list[dict[Hashable, Any]]:
        return self.rows.loc[list(rows)].to_dict("records")

    def _describe(
        self, row: Mapping[Hashable, Any], intervals: Sequence[Mapping[Hashable, Any]]
    ) -> tuple[Message, ...]:
        parts = words.describe_level(row, self.data.unit), words.describe_parts(row, self.data.unit)
        return (
            words.describe_value(row, self.data.unit, len(self.data.columns)),
            *(part for part in parts if part is not None),
            *words.describe_patterns(row),
            *words.describe_counterfactual(str(row["counterfactual"]), intervals, self.data.unit),
        )

    def _find_interval(self, row: int, column: object) -> tuple[float, float]:
        """Return the interval of a column within which the row is not flagged; NaN without one."""
        for interval in self._list_intervals(row):
            if interval["column"] == column:
                return interval["unflagged_low"], interval["unflagged_high"]
        return np.nan, np.nan

    def _list_intervals(self, row: int) -> Sequence[Mapping[Hashable, Any]]:
        return self._intervals_by_row.get(row, [])

    @cached_property
    def _intervals_by_row(self) -> dict[int, list[dict[Hashable, Any]]]:
        """Cells with an interval that is not flagged, the largest deviation first, by row."""
        cells = self.cells[self.cells["unflagged_low"].notna()]
        cells = cells.loc[cells["deviation"].abs().sort_values(ascending=False, kind="stable").index]
        intervals: dict[int, list[dict[Hashable, Any]]] = {}
        for cell in cells.to_dict("records"):
            intervals.setdefault(int(cell["row"]), []).append(cell)
        return intervals

    def select_cells(self, row: int) -> pd.DataFrame:
        """Return the cells of one row, given its position in `rows`; empty for a row that is not explained."""
        return self.cells[self.cells["row"] == row].drop(columns="row").reset_index(drop=True)

    def list_alarms(self) -> pd.DataFrame:
        """Return entity, time and score of every row, for feedback."""
        return self.rows[["entity", "time", "score"]]

    def list_scored_rows(self) -> ScoredRows:
        """Return all rows, which the threshold is compared with."""
        return ScoredRows.from_table(self.rows)


def _pad(values: list[Any], filler: Any, count: int) -> list[Any]:
    """Return `values` of the first rows, then the filler up to `count` rows."""
    return values + [filler] * (count - len(values))
