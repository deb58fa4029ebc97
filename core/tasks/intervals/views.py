"""Tables that the page of intervals shows: one series as is or resampled, its event, and its reliability."""

from dataclasses import dataclass, replace

import pandas as pd

from core.data.aggregation import is_averaged_unit
from core.evaluation.forecast_metrics import compute_binomial_band
from core.evaluation.interval_events import SEVERITIES
from core.messages import N_
from core.tasks.intervals.result import FUTURE, JUDGED, NAIVE, Intervals

RESOLUTIONS = {"step": N_("as is"), "hour": N_("per hour"), "day": N_("per day")}
RULES = {"hour": "h", "day": "D"}
MIN_KNOWN_SHARE = 0.9  # of the steps of an hour or day that is shown: a day of 23 hours is, half a day is not
RESAMPLED_COLUMNS = ["y", "cleaned", "yhat"]
PEAK_COLUMNS = ["distance", "rel_distance", "event"]
CONTEXT_STEPS, CONTEXT_SHARE = 24, 1.0  # usual steps around an event that is looked at, and per step of the event

MAX_HOURLY_STEP_S = 12 * 3600  # of data with several times of the day

Span = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True)
class SeriesView:
    """Points of one entity and measure, and how they are looked at.

    rows        points in order of time, see `Intervals.rows`; without bounds where they are resampled
    level       promised share of usual points inside the interval
    step        between two points
    resolution  "step", "hour" or "day"
    is_summed   True where the values of an hour or a day are sums, False where they are means
    event       start and end of the event that is looked at; None without
    span        visible period; None for the judged points and the future
    """

    rows: pd.DataFrame
    level: float
    step: pd.Timedelta
    resolution: str = "step"
    is_summed: bool = False
    event: Span | None = None
    span: Span | None = None

    @property
    def has_bounds(self) -> bool:
        """True where the points have intervals: those of sums and means are unknown."""
        return self.resolution == "step"

    @property
    def has_cleaning(self) -> bool:
        """True where a shown value was replaced or filled before the forecaster saw it."""
        return bool(is_replaced(self.rows).any())

    @property
    def has_negative_values(self) -> bool:
        """True where a logarithmic scale is impossible."""
        return bool((self.rows["y"] < 0).any())

    @property
    def visible_rows(self) -> pd.DataFrame:
        """Points of the visible period."""
        if self.span is not None:
            return self.rows[self.rows["time"].between(*self.span)]
        return self.rows[self.rows["phase"].isin((JUDGED, FUTURE))]


def select_series(result: Intervals, entity: str, measure: str, event: int | None = None) -> SeriesView:
    """Return the points of one entity and measure; with the number of an event, the points around it are visible."""
    is_selected = (result.rows["entity"] == entity) & (result.rows["measure"] == measure)
    step = pd.Timedelta(seconds=result.step_seconds)
    view = SeriesView(result.rows[is_selected].reset_index(drop=True), result.level, step)
    if event is None:
        return view
    [line] = result.events[result.events["event"] == event].to_dict("records")
    margin = max(CONTEXT_STEPS, int(CONTEXT_SHARE * line["steps"])) * step
    return replace(view, event=(line["start"], line["end"]), span=(line["start"] - margin, line["end"] + margin))


def is_replaced(rows: pd.DataFrame) -> pd.Series:
    """Return True for the points whose value was replaced or filled before the forecaster saw it."""
    is_changed = rows["cleaned"].notna() & ((rows["cleaned"] - rows["y"]).abs() > 1e-9 * rows["cleaned"].abs())
    return is_changed | (rows["is_imputed"] & rows["cleaned"].notna())


# ---- resampling -----------------------------------------------------------------------------------------------------


def list_resolutions(result: Intervals) -> list[str]:
    """Return the resolutions that are coarser than the step of the data, and "step"."""
    lengths_s = {"hour": 3600, "day": 86_400}
    return ["step", *(name for name, length_s in lengths_s.items() if length_s > result.step_seconds)]


def is_count(values: pd.Series, unit: str = "") -> bool:
    """Tell whether values are counts, which are summed over an hour; means are taken of all other values.

    Example:
        >>> is_count(pd.Series([3.0, 0.0, None])), is_count(pd.Series([0.92, 1.0])), is_count(pd.Series([3.0]), "MW")
        (True, False, False)
    """
    known = values.dropna()
    return not is_averaged_unit(unit) and bool(len(known)) and bool(((known >= 0) & (known % 1 == 0)).all())


def resample_series(view: SeriesView, resolution: str, unit: str = "") -> SeriesView:
    """Return a view per hour or day: sums of counts, means of everything else, without intervals.

    The interval of a sum is not the sum of the intervals, because errors partly cancel out. A sum needs all values of
    its hour or day, a mean nine tenths of them. Distances are those of the point farthest outside.
    """
    if resolution == "step":
        return view
    rows, is_summed = view.rows, is_count(view.rows["y"], unit)
    has_turned_back = (rows["time"].diff() < pd.Timedelta(0)).cumsum()  # the clock of an hour that comes twice
    rows = rows.assign(time=rows["time"].dt.floor(RULES[resolution]), turn=has_turned_back * (resolution == "hour"))
    groups = rows.groupby(["turn", "time"], sort=True)
    sizes, known = groups.size(), groups[RESAMPLED_COLUMNS].count()
    amounts = groups[RESAMPLED_COLUMNS].sum() if is_summed else groups[RESAMPLED_COLUMNS].mean()
    needed_share = 1.0 if is_summed else MIN_KNOWN_SHARE
    table = amounts.where(known.ge(needed_share * sizes, axis=0)).assign(
        **{name: groups[name].any() for name in ("anomalous", "is_imputed")}, phase=groups["phase"].first()
    )
    peaks = rows[rows["anomalous"]].sort_values("score").groupby(["turn", "time"])[PEAK_COLUMNS].last()
    table = table.join(peaks)
    steps = max(pd.Timedelta(1, RULES[resolution]) / view.step, 1)
    table = table[(sizes >= MIN_KNOWN_SHARE * steps).to_numpy()].reset_index()
    step = pd.Timedelta(1, RULES[resolution])
    return replace(view, rows=table, step=step, resolution=resolution, is_summed=is_summed)


# ---- now, severity, reliability -------------------------------------------------------------------------------------


def count_severities(events: pd.DataFrame) -> dict[str, int]:
    """Return severity → number of events, the worst first."""
    return {name: int((events["severity"] == name).sum()) for name in reversed(SEVERITIES)}


def list_peaks(result: Intervals) -> pd.DataFrame:
    """Return the events, worst first, with `yhat_lower` and `yhat_upper` at their peaks."""
    rows = result.rows[result.rows["event"] >= 0]
    at_peak = rows["time"].to_numpy() == result.events.set_index("event")["peak"].reindex(rows["event"]).to_numpy()
    bounds = rows[at_peak].drop_duplicates("event").set_index("event")[["yhat_lower", "yhat_upper"]]
    return result.events.join(bounds, on="event")


@dataclass(frozen=True)
class CurrentCounts:
    """Numbers of series: all, those outside their interval at their last value, and those whose last value is late."""

    series: int
    outside: int
    late: int


def count_current(current: pd.DataFrame) -> CurrentCounts:
    """Return the counts of a table of `Intervals.list_current`; the column `time` tells which values are late."""
    is_late = current["time"] < current["time"].max()
    return CurrentCounts(len(current), int((current["anomalous"] & ~is_late).sum()), int(is_late.sum()))


def compute_reliability(result: Intervals, measure: str, grouping: str) -> pd.DataFrame:
    """Return the share of judged points outside the interval by "entity" or "hour" of the day.

    Columns: group, points, outside (share), low and high (95 % range of chance if the promise is kept). Entities are in
    order of their share, highest first.
    """
    rows = result.judged_rows
    rows = rows[rows["measure"] == measure]
    keys = rows["entity"].astype(str) if grouping == "entity" else rows["time"].dt.hour
    groups = rows["anomalous"].groupby(keys.rename("group"), sort=True)
    table = groups.agg(["size", "mean"]).set_axis(["points", "outside"], axis=1).reset_index()
    bands = [compute_binomial_band(result.promised_rate, count) for count in table["points"]]
    table = table.assign(low=[low for low, _ in bands], high=[high for _, high in bands])
    return table.sort_values("outside", ascending=False, kind="stable") if grouping == "entity" else table


def compute_skill(result: Intervals, measure: str) -> float:
    """Return 1 − loss / loss of seasonal naive (mean weighted quantile loss); NaN where it is not compared."""
    lines = result.get_scores(measure).set_index("model")["mwql"]
    if len(lines) < 2 or not lines[NAIVE]:
        return float("nan")
    return float(1 - lines.drop(NAIVE).iloc[0] / lines[NAIVE])


def has_times_of_day(result: Intervals) -> bool:
    """Tell whether the points have different times of the day."""
    return result.step_seconds <= MAX_HOURLY_STEP_S
