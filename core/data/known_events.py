"""Known events of a dataset: what a calendar, files of covariates and the clock say about its days.

An event is a row of a table with the columns of `EVENT_COLUMNS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.calendar_choice import choose_calendars
from core.data.covariates.calendars import name_public_holidays
from core.data.covariates.column_names import NAME_SIGN, is_flag
from core.data.covariates.covariate_table import CovariateTable
from core.data.covariates.covariates import Covariates
from core.data.covariates.join import join_covariates
from core.data.covariates.matching import parse_places
from core.data.dataset import DAY, Dataset
from core.data.nameless import name_by_file
from core.data.time_zones import has_clock_changes, list_clock_changes
from core.evaluation.events import merge_anomalies
from core.messages import N_, Message

EVENT_COLUMNS = ["start", "end", "kind", "label", "entities"]
"""start, end  the event lasts from `start` up to `end`, on the clock of the data
kind        "holiday", "school_break", "strike", "event", "cold_spell", "clock_change" or "note"
label       what is known besides the kind, as a message; None for nothing
entities    names of the entities that it concerns; () for all"""

COLD_SHARE = 0.05  # of the days of an entity, the coldest of which make a cold spell
MIN_COLD_DAYS, MIN_WEATHER_DAYS = 3, 365  # in a row; days with a temperature, without which cold is not known
MAX_LABELS = 3  # of merged events, that are told

LONGEST_BREAK = pd.Timedelta(days=62)
"""After the last day, so that an event that goes on is told with its end."""

Flags = NDArray[np.bool_]
"""True where an entity has an event on a day, shape (entities, days)."""


def list_calendar_events(
    dataset: Dataset,
    tables: Sequence[CovariateTable] = (),
    calendar: str = "",
    places: Sequence[str] = (),
    last_day: pd.Timestamp | None = None,
    language: str = "en",
) -> pd.DataFrame:
    """Return the events that calendar, covariates and clock tell, from the first day of the data to `last_day`.

    Tables, calendar and places are those of `join_covariates`. Public holidays are named in `language` where their
    calendar can. Consecutive days are one event. Cold spells need a year of temperatures.

    Raises DataError for data without dates and for too many entities and days, OptionError as `join_covariates`.
    """
    end = pd.DatetimeIndex(dataset.time).max() if last_day is None else last_day
    covariates = join_covariates(dataset, tables, end + LONGEST_BREAK, calendar, places)
    rows = [
        *_iter_flag_events(covariates, _name_holidays(dataset, covariates, calendar, places, language)),
        *_iter_cold_spells(covariates),
        *_iter_clock_changes(dataset, covariates.days),
    ]
    events = build_event_table(rows)
    return events[events["start"] < end.normalize() + DAY].reset_index(drop=True)


def build_event_table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return a table of events in the order of their start."""
    table = pd.DataFrame(list(rows), columns=EVENT_COLUMNS, dtype=object)
    times = {name: pd.to_datetime(table[name]).astype("datetime64[ns]") for name in ("start", "end")}
    return table.assign(**times).sort_values(["start", "end", "kind"], kind="stable").reset_index(drop=True)


def select_events(
    events: pd.DataFrame, entity: str = "", span: tuple[pd.Timestamp, pd.Timestamp] | None = None
) -> pd.DataFrame:
    """Return the events of an entity inside `span`; those of any entity for "", merged where they overlap."""
    if span is not None:
        has_begun_before_end = events["start"] < span[1]
        events = events[has_begun_before_end & ((events["end"] > span[0]) | (events["start"] == span[0]))]
    if entity:
        return events[events["entities"].map(lambda entities: not entities or entity in entities).astype(bool)]
    return _merge_events(events)


def describe_span(start: datetime, end: datetime) -> Message:
    """Return an event from `start` up to `end` in words: whole days by their first and last day.

    Example:
        >>> str(describe_span(datetime(2024, 5, 1), datetime(2024, 5, 2)))
        '2024-05-01 00:00:00'
        >>> str(describe_span(datetime(2024, 5, 1), datetime(2024, 5, 3)))
        '2024-05-01 00:00:00 – 2024-05-02 00:00:00'
    """
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    has_whole_days = first == first.normalize() and last == last.normalize()
    if has_whole_days and last > first:
        last -= DAY
    values = {"start": first.to_pydatetime(), "end": last.to_pydatetime()}
    return Message("{start}" if last <= first else "{start} – {end}", values)


# ---- merged events of several entities ------------------------------------------------------------------------------


def _merge_events(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events with those of one kind that overlap as one; notes stay as they are."""
    is_note = events["kind"] == "note"
    rows = [row for _kind, group in events[~is_note].groupby("kind", sort=False) for row in _merge_kind(group)]
    return build_event_table([*rows, *events[is_note].to_dict("records")])


def _merge_kind(events: pd.DataFrame) -> Iterator[dict[str, object]]:
    records = events.sort_values("start", kind="stable").to_dict("records")
    last_ends = np.maximum.accumulate(events.sort_values("start", kind="stable")["end"].to_numpy())
    edges = [number for number in range(1, len(records)) if records[number]["start"] >= last_ends[number - 1]]
    for first, stop in pairwise([0, *edges, len(records)]):
        group = records[first:stop]
        labels = list(dict.fromkeys(str(row["label"]) for row in group if row["label"] is not None))
        known = {str(row["label"]): row["label"] for row in group}
        entities = () if any(not row["entities"] for row in group) else _unite(row["entities"] for row in group)
        yield {
            "start": group[0]["start"],
            "end": max(row["end"] for row in group),
            "kind": group[0]["kind"],
            "label": _join_labels([known[label] for label in labels]),
            "entities": entities,
        }


def _unite(parts: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for part in parts for name in part}))


def _join_labels(labels: Sequence[Message]) -> Message | None:
    if len(labels) < 2:
        return labels[0] if labels else None
    shown = {f"label_{number}": label for number, label in enumerate(labels[:MAX_LABELS])}
    return Message("; ".join(f"{{{name}}}" for name in shown) + (" …" if len(labels) > MAX_LABELS else ""), shown)


# ---- flags ----------------------------------------------------------------------------------------------------------


def _iter_flag_events(
    covariates: Covariates, names: Mapping[str, Mapping[pd.Timestamp, str]]
) -> Iterator[dict[str, object]]:
    """Yield the events of every flag; `names` maps an entity to the names of its holidays."""
    values = dict(zip(covariates.columns, np.moveaxis(covariates.values, 2, 0), strict=True))
    named = {column.partition(NAME_SIGN)[0] for column in values if NAME_SIGN in column and is_flag(column)}
    for column in filter(is_flag, covariates.columns):
        kind, _sign, name = column.partition(NAME_SIGN)
        flags = np.nan_to_num(values[column]) > 0
        if kind == column and kind in named:  # the days that have a name are told by the column of that name
            others = [np.nan_to_num(values[other]) > 0 for other in values if other.startswith(kind + NAME_SIGN)]
            flags = flags & ~np.logical_or.reduce(others)
        for row in _iter_spans(flags, covariates, kind):
            entity = row["entities"][0] if row["entities"] else covariates.entities[0]  # type: ignore[index]
            if name:
                row["label"] = Message("{name}", {"name": name})
            elif kind == "holiday":
                row["label"] = _label_holidays(row, names.get(entity, {}))
            elif kind == "strike" and "strike_rate" in values:
                row["label"] = _label_strike(row, values["strike_rate"][covariates.entities.index(entity)], covariates)
            yield row


def _iter_spans(flags: Flags, covariates: Covariates, kind: str) -> Iterator[dict[str, object]]:
    """Yield one event per run of days and group of entities with the same days."""
    if not flags.any():
        return
    patterns, group_by_entity = np.unique(flags, axis=0, return_inverse=True)
    for group, pattern in enumerate(patterns):
        members = np.flatnonzero(group_by_entity.ravel() == group)
        entities = () if len(members) == len(flags) else tuple(covariates.entities[member] for member in members)
        for first, last in merge_anomalies(pattern, gap=0):
            span = {"start": covariates.days[first], "end": covariates.days[last] + DAY}
            yield {**span, "kind": kind, "label": None, "entities": entities}


def _name_holidays(
    dataset: Dataset, covariates: Covariates, calendar: str, places: Sequence[str], language: str
) -> dict[str, Mapping[pd.Timestamp, str]]:
    """Return entity → day → name of its public holiday."""
    choice = choose_calendars(name_by_file(dataset), calendar, parse_places(places))
    names = {code: name_public_holidays(covariates.days, code, language) for code in choice.calendars}
    codes = [choice.codes[entity] for entity in sorted(choice.codes)]
    return {entity: names.get(code, {}) for entity, code in zip(covariates.entities, codes, strict=True)}


def _label_holidays(row: Mapping[str, object], names: Mapping[pd.Timestamp, str]) -> Message | None:
    days = pd.date_range(row["start"], row["end"], inclusive="left")
    text = "; ".join(dict.fromkeys(names[day] for day in days if day in names))
    return Message("{name}", {"name": text}) if text else None


def _label_strike(row: Mapping[str, object], rates: NDArray[np.float64], covariates: Covariates) -> Message | None:
    is_inside = (covariates.days >= row["start"]) & (covariates.days < row["end"])
    known = rates[is_inside & np.isfinite(rates)]
    if not len(known) or not known.max() > 0:
        return None
    return Message(N_("up to {rate} % of the staff"), {"rate": round(float(known.max()), 1)})


# ---- weather and clock ----------------------------------------------------------------------------------------------


def _iter_cold_spells(covariates: Covariates) -> Iterator[dict[str, object]]:
    """Yield runs of three days or more among the coldest days of an entity, where a year of temperatures is known."""
    if "temperature" not in covariates.columns:
        return
    temperatures = covariates.values[:, :, covariates.columns.index("temperature")]
    groups, group_by_entity = np.unique(np.nan_to_num(temperatures, nan=np.inf), axis=0, return_inverse=True)
    for group, values in enumerate(groups):
        is_known = np.isfinite(values)
        if is_known.sum() < MIN_WEATHER_DAYS:
            continue
        members = np.flatnonzero(group_by_entity.ravel() == group)
        entities = tuple(covariates.entities[member] for member in members)
        for first, last in merge_anomalies(values < np.quantile(values[is_known], COLD_SHARE), gap=0):
            if last - first + 1 >= MIN_COLD_DAYS:
                yield {
                    "start": covariates.days[first],
                    "end": covariates.days[last] + DAY,
                    "kind": "cold_spell",
                    "label": _label_cold_spell(float(values[first : last + 1].min())),
                    "entities": () if len(members) == len(temperatures) else entities,
                }


def _label_cold_spell(lowest: float) -> Message:
    return Message(N_("mean of the coldest day {degrees} °C"), {"degrees": round(lowest, 1)})


def _iter_clock_changes(dataset: Dataset, days: pd.DatetimeIndex) -> Iterator[dict[str, object]]:
    if not has_clock_changes(dataset.zone):
        return
    for change in list_clock_changes(dataset.zone, days[0].year, days[-1].year):
        if days[0] <= change.start < days[-1] + DAY:
            label = N_("an hour comes twice") if change.is_repeated else N_("an hour is skipped")
            span = {"start": change.start, "end": change.end}
            yield {**span, "kind": "clock_change", "label": Message(label), "entities": ()}
