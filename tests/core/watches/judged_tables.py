"""Judgements for tests, and a watch whose rows come in any order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from core.watches.incident import Incident, IncidentChange
from core.watches.judgement import JUDGED_COLUMNS, Judgement
from core.watches.merging import NO_ALARMS, measure_reach, merge_judgement, select_alarms
from core.watches.source import FolderSource
from core.watches.watch import Watch

START, STEP = datetime(2024, 5, 1, tzinfo=UTC), timedelta(hours=1)
WATCH = Watch(name="loads", task="anomalies", model="loads@champion", source=FolderSource(path="/data"), schedule="1 h")


@dataclass(frozen=True)
class PlannedRow:
    """A version of a row: `step` steps after START; an alarm if its severity is not None."""

    entity: str
    step: int
    score: float = 1.0
    severity: int | None = None
    deviation: float = 1.0

    @property
    def instant(self) -> datetime:
        return START + self.step * STEP


def build_judgement(rows: list[PlannedRow]) -> Judgement:
    lines = [
        (
            *(row.entity, pd.Timestamp(row.instant).tz_localize(None), row.score, 0.5, row.severity is not None),
            *(row.severity or 0, "load", 10 + row.deviation, 10.0, 9.0, 11.0, ["load"]),
        )
        for row in rows
    ]
    table = pd.DataFrame(lines, columns=list(JUDGED_COLUMNS))
    return Judgement(table.astype({"instant": "datetime64[ns]", "is_anomalous": bool}), STEP)


@dataclass
class ReplayedWatch:
    """Judges rows tick by tick, with stores in memory that keep what the real ones keep."""

    now: datetime = START + timedelta(days=30)
    incidents: dict[str, Incident] = field(default_factory=dict)
    alarms: pd.DataFrame = field(default_factory=NO_ALARMS.copy)
    is_alarm: dict[tuple[str, datetime], bool] = field(default_factory=dict)

    def tick(self, rows: list[PlannedRow]) -> tuple[IncidentChange, ...]:
        judgement = build_judgement(rows)
        was_anomalous = np.array([self.is_alarm.get((row.entity, row.instant), False) for row in rows], dtype=bool)
        stored = self.alarms.drop_duplicates(["entity", "instant"], keep="last")
        past = stored[stored["is_anomalous"].astype(bool)]
        changes = merge_judgement(
            WATCH, self.list_concerned(judgement), judgement, was_anomalous, self.now, "run", past
        )
        self.now += timedelta(minutes=1)
        self.incidents |= {change.incident.id: change.incident for change in changes}
        self.is_alarm |= {(row.entity, row.instant): row.severity is not None for row in rows}
        added = select_alarms(judgement, was_anomalous)
        self.alarms = pd.concat([self.alarms, added]) if len(self.alarms) else added
        return changes

    def list_concerned(self, judgement: Judgement) -> list[Incident]:
        reach, instants = measure_reach(judgement), pd.to_datetime(judgement.rows["instant"], utc=True)
        first, last = instants.min() - reach, instants.max() + reach
        return [
            incident
            for incident in self.incidents.values()
            if not incident.merged_into and (incident.is_going_on or (incident.start <= last and incident.end >= first))
        ]

    def list_open(self) -> list[Incident]:
        return sorted(filter(lambda incident: incident.is_open, self.incidents.values()), key=lambda i: i.start)
