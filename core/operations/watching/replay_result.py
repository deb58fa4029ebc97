"""Question and answer of a replay: a watch that is run over the past."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from typing_extensions import override

from core.array_types import Floats
from core.messages import Message
from core.operations.watching.replay_alarms import KnownSpans, ReplayedRows, judge_incidents
from core.runs.result import Result
from core.spec.spec import PartSpec
from core.watches.watch import Watch

REPLAYED_COLUMNS = ("entity", "instant", "score", "threshold", "is_anomalous")
INCIDENT_COLUMNS = (
    *("entity", "start", "end", "kind", "severity", "peak", "peak_at", "rows"),
    *("column", "measured", "expected", "low", "high", "causes", "truth"),
)
REFIT_COLUMNS = ("instant", "rows", "is_used", "reason")


@dataclass(frozen=True)
class ReplaySpec(PartSpec):
    """Question: which incidents would a watch have opened in a period of a stored dataset?

    The names of the dataset, the run and the verdicts make equal questions equal, whoever asks them.

    watch     the watch as JSON, with the id of the run of its model
    is_refit  True to fit the model again as the watch would have, from rows before each date only
    verdicts  digest of the verdicts that the incidents are compared with; "" for none
    """

    watch: str = ""
    is_refit: bool = False
    verdicts: str = ""

    @cached_property
    def parsed_watch(self) -> Watch:
        """The watch. Raises pydantic.ValidationError for a text that is none."""
        return Watch.model_validate_json(self.watch)


@dataclass(frozen=True)
class Replay(Result):
    """The incidents that a watch would have opened.

    rows          judged rows: `REPLAYED_COLUMNS`; instants are UTC, or the clock of the data where its zone is unknown
    incidents     one line per incident at the thresholds of the model, the worst first: `INCIDENT_COLUMNS`; truth is 1
                  for a true alarm, 0 for a false one, NaN where nothing is known
    thresholds    one line per threshold of the slider, see `tabulate_replay`
    faults        known faults: entity, start, is_found, delay_s, see `find_faults`
    spans         stretches about which the truth is known, with `SPAN_COLUMNS`
    refits        fits of the period: `REFIT_COLUMNS`; rows that were at hand, reason is a code of `REFIT_REASONS`
    threshold     threshold of the latest model
    step_seconds  time between two rows of an entity
    zone          time zone of the clock of the data; "" if unknown
    truth         what the incidents are compared with: "labels", "verdicts", or "" for nothing
    target_rate   promised share of false alarms; None without a promise
    left_out      number of rows that could not be judged
    notes         limits of the replay, to show with it
    """

    spec: ReplaySpec
    rows: pd.DataFrame
    incidents: pd.DataFrame
    thresholds: pd.DataFrame
    faults: pd.DataFrame
    spans: pd.DataFrame
    refits: pd.DataFrame
    threshold: float
    step_seconds: float
    zone: str = ""
    truth: str = ""
    target_rate: float | None = None
    left_out: int = 0
    notes: tuple[Message, ...] = ()

    @property
    def current(self) -> pd.Series:
        """Line of `thresholds` at the threshold of the model."""
        return self.find_line(self.threshold)

    @cached_property
    def replayed_rows(self) -> ReplayedRows:
        """The judged rows in the order in which incidents are found."""
        return ReplayedRows.from_table(self.rows, pd.Timedelta(seconds=self.step_seconds))

    def find_line(self, threshold: float) -> pd.Series:
        """Return the line of `thresholds` nearest to a threshold."""
        return self.thresholds.loc[(self.thresholds["threshold"] - threshold).abs().idxmin()]

    def list_incidents(self, threshold: float) -> pd.DataFrame:
        """Return the incidents at another threshold, the highest peak first.

        Columns: entity, start, end, rows, peak_at, peak and truth, as those of `incidents`.
        """
        rows = self.replayed_rows
        is_flagged = rows.scores > threshold
        first, last = rows.find_alarms(is_flagged)
        flagged = np.flatnonzero(is_flagged)
        numbers = np.searchsorted(first, flagged, side="right")  # of the incident of each flagged row
        order = np.lexsort((-rows.scores[flagged], numbers))
        worst = flagged[order[np.unique(numbers[order], return_index=True)[1]]]
        table = pd.DataFrame(
            {
                "entity": np.asarray(rows.entities, dtype=object)[rows.codes[first]],
                "start": rows.instants[first],
                "end": rows.instants[last],
                "rows": np.unique(numbers, return_counts=True)[1],
                "peak_at": rows.instants[worst],
                "peak": rows.scores[worst],
            }
        )
        table = table.assign(truth=self.judge(table))
        return table.sort_values("peak", ascending=False, kind="stable", ignore_index=True)

    def judge(self, incidents: pd.DataFrame) -> Floats:
        """Return 1 for a true alarm, 0 for a false one, NaN where nothing is known, (incidents,)."""
        spans = KnownSpans.from_table(self.spans, self.replayed_rows, self.truth == "labels")
        return judge_incidents(self.replayed_rows, incidents, spans)

    @override
    def metrics(self) -> dict[str, float]:
        """Return the figures at the threshold of the model; those that are not known are left out."""
        line = self.current
        names = ("incidents", "incidents_per_month", "precision", "recall", "delay_s")
        values = {"rows": float(len(self.rows)), **{name: float(line[name]) for name in names}}
        values["incidents"] = float(len(self.incidents))
        return {name: value for name, value in values.items() if value == value}

    @override
    def to_frame(self) -> pd.DataFrame:
        """Return the incidents as a table to export."""
        return self.incidents
