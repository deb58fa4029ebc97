"""Incidents from judged rows: the same whatever the order, the delay and the ticks in which the rows come.

The alarms of an entity that are at most two steps apart are one incident. Nothing else decides, so that an incident is
a property of the alarms and not of their arrival. What a person has resolved stays as it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import DataError
from core.messages import N_
from core.watches.alarm_span import AlarmSpan, WorstAlarm, iter_instants, iter_rows
from core.watches.incident import MAX_ENTITY_CHARS, ChangeKind, Incident, IncidentChange
from core.watches.judgement import JUDGED_COLUMNS, Judgement
from core.watches.level_shifts import find_lasting_change
from core.watches.watch import Watch

MAX_GAP_STEPS = 2.5  # between two alarms of one incident: two steps, and half a step for uneven clocks
MIN_NORMAL_STEPS = 1.5  # after the last alarm, beyond which a row cannot continue the incident: two steps, less half
NO_ALARMS = pd.DataFrame(columns=list(JUDGED_COLUMNS))


@dataclass
class _Component:
    """Alarms that touch, and the incidents that had them so far."""

    span: AlarmSpan
    owners: list[Incident]

    def add(self, span: AlarmSpan, owner: Incident | None) -> None:
        self.span = self.span.join(span)
        if owner is not None and owner not in self.owners:
            self.owners.append(owner)


@dataclass
class _ConcernedRows:
    """Judged rows of one entity that are, or were, alarms.

    alarms     instant → alarm
    corrected  instants of rows whose earlier version was an alarm
    newest     newest instant of all its judged rows
    """

    alarms: dict[datetime, AlarmSpan] = field(default_factory=dict)
    corrected: set[datetime] = field(default_factory=set)
    newest: datetime | None = None


def measure_reach(judgement: Judgement) -> timedelta:
    """Return how far before or after an alarm an incident may lie that it belongs to."""
    return judgement.step * MAX_GAP_STEPS


def select_alarms(judgement: Judgement, was_anomalous: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the rows of a judgement to store for later corrections: those that are alarms, or were.

    Of several stored rows with one key the last counts, and it is an alarm only if `is_anomalous`.
    """
    is_concerned = judgement.rows["is_anomalous"].to_numpy(dtype=bool) | was_anomalous
    return judgement.rows[is_concerned].reset_index(drop=True)


def merge_judgement(
    watch: Watch,
    incidents: Sequence[Incident],
    judgement: Judgement,
    was_anomalous: NDArray[np.bool_],
    now: datetime,
    run: str,
    past_alarms: pd.DataFrame = NO_ALARMS,
) -> tuple[IncidentChange, ...]:
    """Return the changes of incidents that newly judged rows make.

    An alarm opens an incident, or joins those within reach. Incidents that it bridges become one, the oldest. A row
    that is corrected to normal leaves its incident, which may shrink, part, or end without any alarm: withdrawn. An
    incident ends when two steps after it were normal; it stays open until a person resolves it. An alarm within a
    resolved incident belongs to it, and opens it again only if it is more severe.

    Args:
        watch: whose rows were judged.
        incidents: of the entities of the rows: those that are going on (`Incident.is_going_on`), and those that touch
            the rows within `measure_reach`, resolved ones too.
        judgement: of the new and the corrected rows.
        was_anomalous: (rows,) of `judgement.rows`, True where an earlier version of the row was an alarm.
        now: time of the tick.
        run: id of the run whose model judged.
        past_alarms: stored alarms, with `JUDGED_COLUMNS`, of the entities with corrected rows, within the spans of
            `incidents`; needed only where `was_anomalous` is True for any row. Alarms that are no longer stored are
            taken to be the oldest of their incident.

    Raises DataError for an entity whose name is too long.
    """
    by_entity: dict[str, dict[str, Incident]] = {}
    for incident in incidents:
        if incident.kind != "no data" and not incident.merged_into and not incident.is_withdrawn:
            by_entity.setdefault(incident.entity, {})[incident.id] = incident
    rows_by_entity = _group_rows(judgement, was_anomalous, by_entity, run)
    past_by_entity = _group_past_alarms(past_alarms, run)
    changes: list[IncidentChange] = []
    for entity, rows in rows_by_entity.items():
        merger = _EntityMerger(watch.name, entity, judgement.step, now)
        changes += merger.merge(list(by_entity.get(entity, {}).values()), rows, past_by_entity.get(entity, {}))
    return tuple(changes)


@dataclass(frozen=True)
class _EntityMerger:
    """Merges the alarms of one entity."""

    watch: str
    entity: str
    step: timedelta
    now: datetime

    def merge(
        self, incidents: list[Incident], rows: _ConcernedRows, past: dict[datetime, AlarmSpan]
    ) -> list[IncidentChange]:
        """Return the changes of the incidents of the entity."""
        reopened = self._settle_resolved(incidents, rows)
        unresolved = [incident for incident in incidents if incident.is_open]
        components = self._join(self._iter_spans(unresolved, rows, past))
        survivors = _choose_survivors(components)
        changes = reopened
        for component, survivor in zip(components, survivors, strict=True):
            change = self._update(component, survivor, rows.newest)
            changes += [change] if change is not None else []
        survivor_ids = {survivor.id for survivor in survivors if survivor is not None}
        for incident in unresolved:
            if incident.id not in survivor_ids:
                changes.append(self._close(incident, components, survivors))
        return changes

    def _settle_resolved(self, incidents: list[Incident], rows: _ConcernedRows) -> list[IncidentChange]:
        """Take the rows within resolved incidents out of `rows`; return the incidents that they open again."""
        changes = []
        for incident in incidents:
            if incident.is_open:
                continue
            inside = {instant for instant in rows.alarms if incident.start <= instant <= incident.end}
            worst = max((rows.alarms[instant].severity for instant in inside), default=0)
            if worst > incident.severity:
                span = AlarmSpan.from_incident(incident)
                for instant in sorted(inside):
                    joined = span.join(rows.alarms[instant])
                    span = replace(joined, rows=span.rows) if instant in rows.corrected else joined
                values = {**span.build_values(), **_clear_resolution(incident)}
                changes.append(self._change("reopened", incident, values))
            for instant in inside:
                del rows.alarms[instant]
            rows.corrected -= {instant for instant in rows.corrected if incident.start <= instant <= incident.end}
        return changes

    def _iter_spans(
        self, unresolved: list[Incident], rows: _ConcernedRows, past: dict[datetime, AlarmSpan]
    ) -> Iterable[tuple[AlarmSpan, Incident | None]]:
        """Yield alarms with the incident that had them; one with corrected rows is taken apart."""
        owners: dict[datetime, Incident] = {}
        for incident in unresolved:
            corrected = [instant for instant in rows.corrected if incident.start <= instant <= incident.end]
            if not corrected:
                yield AlarmSpan.from_incident(incident), incident
                continue
            owners |= dict.fromkeys(corrected, incident)
            others = {
                instant: alarm.judge_with(incident.run)
                for instant, alarm in past.items()
                if incident.start <= instant <= incident.end and instant not in rows.corrected
            }
            yield from ((alarm, incident) for alarm in others.values())
            if len(others) + len(corrected) < incident.rows:
                yield _estimate_forgotten(incident, list(others.values()), corrected), incident
        for instant, alarm in rows.alarms.items():
            yield alarm, owners.get(instant)

    def _join(self, spans: Iterable[tuple[AlarmSpan, Incident | None]]) -> list[_Component]:
        """Return the groups of alarms that touch, in the order of time."""
        components: list[_Component] = []
        for span, owner in sorted(spans, key=lambda pair: pair[0].start):
            if components and components[-1].span.touches(span, self.step * MAX_GAP_STEPS):
                components[-1].add(span, owner)
            else:
                components.append(_Component(span, [] if owner is None else [owner]))
        return components

    def _update(
        self, component: _Component, survivor: Incident | None, newest: datetime | None
    ) -> IncidentChange | None:
        """Return the change of the incident of some alarms; None where nothing has changed."""
        before = survivor or self._build_incident(component)
        values = component.span.build_values()
        lasting_from = find_lasting_change(before.model_copy(update=values), self.step)
        values["kind"] = "anomaly" if lasting_from is None else "lasting change"
        values["is_lasting_from"] = lasting_from
        values["assignee"] = next((owner.assignee for owner in component.owners if owner.assignee), before.assignee)
        values["ended_at"] = self._find_end(before, component.span.end, newest)
        if survivor is None:
            return self._change("grown" if component.owners else "opened", before, values)
        if all(getattr(before, name) == value for name, value in values.items()):
            return None
        was_severe = max(owner.severity for owner in component.owners)
        was_lasting = any(owner.kind == "lasting change" for owner in component.owners)
        is_worse = component.span.severity > was_severe or (lasting_from is not None and not was_lasting)
        has_ended = values["ended_at"] is not None and before.ended_at is None
        return self._change("worse" if is_worse else "ended" if has_ended else "grown", before, values)

    def _find_end(self, before: Incident, end: datetime, newest: datetime | None) -> datetime | None:
        """Return when the incident was seen to have ended; None while its next alarm would belong to it."""
        if before.ended_at is not None and end <= before.end:
            return before.ended_at
        return self.now if newest is not None and newest > end + self.step * MIN_NORMAL_STEPS else None

    def _build_incident(self, component: _Component) -> Incident:
        """Return a new incident; alarms that part from others keep what persons did about these."""
        span, times = component.span, {"opened_at": self.now, "changed_at": self.now}
        incident = Incident(watch=self.watch, entity=self.entity, **times, **span.build_values())
        if not component.owners:
            return incident
        origin = component.owners[0]
        values = {name: getattr(incident, name) for name in ("id", "opened_at", *span.build_values())}
        return origin.model_copy(update=values | {"ended_at": None})

    def _close(
        self, incident: Incident, components: list[_Component], survivors: list[Incident | None]
    ) -> IncidentChange:
        """Return the end of an incident that lives on in an older one, or has no alarm left."""
        values = {"state": "resolved", "resolved_at": self.now, "ended_at": incident.ended_at or self.now}
        for component, survivor in zip(components, survivors, strict=True):
            if incident in component.owners and survivor is not None:
                return self._change("grown", incident, values | {"merged_into": survivor.id})
        return self._change("resolved", incident, values | {"rows": 0, "rows_above": 0, "rows_below": 0})

    def _change(self, kind: ChangeKind, incident: Incident, values: dict[str, object]) -> IncidentChange:
        return IncidentChange(kind=kind, incident=incident.model_copy(update={**values, "changed_at": self.now}))


def _estimate_forgotten(incident: Incident, known: list[AlarmSpan], corrected: list[datetime]) -> AlarmSpan:
    """Return the oldest alarms of a long incident, which are no longer stored: what the known ones leave over."""
    span = AlarmSpan.from_incident(incident)
    end = min([*corrected, *(alarm.start for alarm in known)])
    is_peak_known = span.worst.peak_at >= end
    unknown = WorstAlarm(0.0, incident.start, run=incident.run)
    least = min((alarm.worst for alarm in known), key=lambda worst: worst.peak, default=unknown)
    return replace(
        span,
        end=end,
        rows=incident.rows - len(known) - len(corrected),
        rows_above=max(incident.rows_above - sum(alarm.rows_above for alarm in known), 0),
        rows_below=max(incident.rows_below - sum(alarm.rows_below for alarm in known), 0),
        worst=least if is_peak_known else span.worst,
    )


def _clear_resolution(incident: Incident) -> dict[str, object]:
    return {
        "state": "open",
        "resolved_at": None,
        "resolved_by": "",
        "acknowledged_by": "",
        "verdict": None,
        "reopenings": incident.reopenings + 1,
    }


def _choose_survivors(components: list[_Component]) -> list[Incident | None]:
    """Return the incident that each component continues: its oldest one that no earlier component continues."""
    survivors: list[Incident | None] = []
    taken: set[str] = set()
    for component in components:
        free = [owner for owner in component.owners if owner.id not in taken]
        survivor = min(free, key=lambda owner: (owner.opened_at, owner.start, owner.id), default=None)
        taken |= {survivor.id} if survivor is not None else set()
        survivors.append(survivor)
    return survivors


def _group_rows(
    judgement: Judgement, was_anomalous: NDArray[np.bool_], stored: Iterable[str], run: str
) -> dict[str, _ConcernedRows]:
    """Return the rows by entity, of those with an alarm now, an alarm before, or a stored incident."""
    table = judgement.rows.assign(entity=judgement.rows["entity"].astype(str), was_anomalous=was_anomalous)
    table = table.drop_duplicates(["entity", "instant"], keep="last")
    is_alarm, was_alarm = (table[name].to_numpy(dtype=bool) for name in ("is_anomalous", "was_anomalous"))
    concerned = {*stored, *table["entity"][is_alarm | was_alarm]}
    _check_names(concerned)
    newest = table[table["entity"].isin(concerned)].groupby("entity", sort=True, observed=True)["instant"].max()
    groups = {
        str(entity): _ConcernedRows(newest=instant)
        for entity, instant in zip(newest.index, iter_instants(newest), strict=True)
    }
    alarms = table[is_alarm]
    for row, instant in zip(iter_rows(alarms), iter_instants(alarms["instant"]), strict=True):
        groups[row.entity].alarms[instant] = AlarmSpan.from_row(row, instant, run)
    corrected = table[was_alarm]
    for entity, instant in zip(corrected["entity"], iter_instants(corrected["instant"]), strict=True):
        groups[entity].corrected.add(instant)
    return groups


def _check_names(entities: Iterable[str]) -> None:
    longest = max(entities, key=len, default="")
    if len(longest) > MAX_ENTITY_CHARS:
        raise DataError(
            N_("The entity {value!r} … has a name of {count} characters. A watch accepts {accepted}."),
            value=longest[:40],
            count=len(longest),
            accepted=MAX_ENTITY_CHARS,
        )


def _group_past_alarms(past_alarms: pd.DataFrame, run: str) -> dict[str, dict[datetime, AlarmSpan]]:
    """Return entity → instant → alarm."""
    groups: dict[str, dict[datetime, AlarmSpan]] = {}
    for row, instant in zip(iter_rows(past_alarms), iter_instants(past_alarms["instant"]), strict=True):
        groups.setdefault(str(row.entity), {})[instant] = AlarmSpan.from_row(row, instant, run)
    return groups
