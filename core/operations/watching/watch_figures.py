"""Figures of a watch: alarms expected and measured, and the precision from the verdicts on its incidents."""

from dataclasses import dataclass
from datetime import datetime

from core.errors import VigieError
from core.evaluation.alarm_rates import compute_wilson_interval
from core.evaluation.feedback_metrics import FALSE_ALARM, TRUE_ALARM, AlarmPrecision
from core.operations.watching.judges import load_judge
from core.watches.watch import Watch
from core.workspace import Workspace

MAX_INCIDENTS = 100_000


@dataclass(frozen=True)
class WatchFigures:
    """Figures of a watch since an instant.

    since        ticks that ended after it count, and incidents that ended after it
    rows         judged rows
    alarms       flagged rows among them
    incidents    incidents that were opened
    target_rate  promised share of false alarms among normal rows; None without a promise, or where the model cannot be
                 loaded
    precision    true and false alarms among the resolved incidents with a verdict
    """

    since: datetime
    rows: int
    alarms: int
    incidents: int
    target_rate: float | None
    precision: AlarmPrecision

    @property
    def expected_alarms(self) -> float | None:
        """Number of false alarms that the target rate allows among the judged rows; None without a target."""
        return None if self.target_rate is None else self.target_rate * self.rows

    @property
    def measured_rate(self) -> float:
        """Share of flagged rows; NaN without a judged row."""
        return self.alarms / self.rows if self.rows else float("nan")

    @property
    def exceeds_target(self) -> bool:
        """True where significantly more rows are flagged than the target rate allows for normal ones.

        Flagged rows come in groups. Each opened incident therefore counts as one independent event, of the mean size.
        """
        if self.target_rate is None or not self.rows or not self.alarms:
            return False
        size = max(self.alarms / self.incidents, 1.0) if self.incidents else float(self.alarms)
        return compute_wilson_interval(self.alarms / size, self.rows / size)[0] > self.target_rate


def measure_watch(name: str, workspace: Workspace, since: datetime) -> WatchFigures:
    """Return the figures of a watch over the ticks and incidents since an instant; ticks are stored for two months.

    Raises NotFoundError for an unknown name.
    """
    stores = workspace.watches
    watch, count = stores.watches.load_watch(name), stores.ticks.measure_alarms(name, since)
    resolved = stores.incidents.list_incidents(watch=name, is_open=False, since=since, limit=MAX_INCIDENTS)
    verdicts = [str(incident.verdict) for incident in resolved if incident.kind != "no data"]
    precision = AlarmPrecision(verdicts.count(TRUE_ALARM), verdicts.count(FALSE_ALARM))
    return WatchFigures(since, count.rows, count.alarms, count.incidents, _find_target(watch, workspace), precision)


def _find_target(watch: Watch, workspace: Workspace) -> float | None:
    try:
        return load_judge(watch, workspace)[1].target_rate
    except VigieError:
        return None
