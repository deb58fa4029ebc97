"""Answer of the judge of a watch about arrived rows: the new and the corrected ones, and the incidents they make."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.errors import DataError
from core.operations.watching.incident_events import add_known_events
from core.operations.watching.known_entities import mark_known_rows
from core.operations.watching.past import Past, is_zone_known
from core.storage.watches.judged_rows import CORRECTED, KNOWN, LATE, NEW, JudgedBatch, compute_digests
from core.storage.watches.ticks import TickLease
from core.watches.incident import Incident, IncidentChange
from core.watches.judged_table import EXPLAINED_FILLERS
from core.watches.judgement import JUDGED_COLUMNS, Judge, Judgement
from core.watches.merging import NO_ALARMS, measure_reach, merge_judgement, select_alarms
from core.watches.watch import Watch
from core.workspace import Workspace

PAST_DAYS = 2  # stored in addition to the past that a judge needs


@dataclass(frozen=True)
class Answer:
    """Rows of a tick, as it stores them, with their numbers.

    unknown_entities  entities whose rows were stored and not judged, because the model does not know them
    """

    model_run: str
    judged: JudgedBatch | None = None
    arrivals: pd.DataFrame | None = None
    changes: tuple[IncidentChange, ...] = ()
    keep_arrivals_since: datetime | None = None
    rows_new: int = 0
    rows_corrected: int = 0
    rows_known: int = 0
    rows_late: int = 0
    rows_left_out: int = 0
    alarms: int = 0
    unknown_entities: tuple[str, ...] = ()

    def find_last_row(self, lease: TickLease, now: datetime) -> datetime | None:
        """Return the time at which the last new row came, this tick included."""
        return now if self.rows_new else lease.last_row_at


def ask_judge(
    watch: Watch, judge: Judge, run_id: str, dataset: Dataset | None, workspace: Workspace, now: datetime
) -> Answer:
    """Judge the new and the corrected rows of `dataset`, and merge their alarms into the incidents of the watch.

    Every entity and instant is in `dataset` once. Raises DataError for rows that the model cannot judge.
    """
    if dataset is None or not len(dataset):
        return Answer(run_id)
    entities = np.asarray(dataset.entity.astype(str), dtype=object)
    instants, digests = dataset.compute_instants().as_unit("ns").to_numpy(), compute_digests(dataset.frame)
    states = workspace.watches.rows.classify(watch.name, entities, instants, digests)
    answer = Answer(
        run_id,
        rows_new=states.count_rows(NEW),
        rows_corrected=states.count_rows(CORRECTED),
        rows_known=states.count_rows(KNOWN),
        rows_late=states.count_rows(LATE),
    )
    if not states.needs_judgement.any():
        return answer
    past = Past(watch, workspace.watches.rows, judge)
    keys = pd.MultiIndex.from_arrays([entities, instants])
    wanted = states.needs_judgement
    judgement, is_judged = _judge_known_rows(judge, past, dataset, wanted)
    judgement = _withdraw_unjudged(judgement, keys[wanted & states.was_anomalous])
    judged_keys = pd.MultiIndex.from_arrays([judgement.rows["entity"], judgement.rows["instant"]])
    was_anomalous = states.was_anomalous[keys.get_indexer(judged_keys)]
    is_anomalous = _mark_alarms(judgement, keys)
    alarms = select_alarms(judgement, was_anomalous)
    batch = JudgedBatch(entities[wanted], instants[wanted], digests[wanted], is_anomalous[wanted], alarms)
    is_stored = wanted & bool(watch.history_days or judge.past_rows)
    values = dataset.frame.set_axis(keys.set_names(["entity", "instant"]), axis=0)
    newest = _to_utc(pd.Timestamp(instants[wanted].max()))
    return replace(
        answer,
        judged=batch,
        arrivals=values[is_stored] if is_stored.any() else None,
        changes=_merge(watch, judgement, was_anomalous, judge.template, run_id, workspace, now),
        keep_arrivals_since=min(now, newest) - _choose_stored_time(watch, past),
        rows_left_out=judgement.left_out + int((wanted & ~is_judged).sum()),
        alarms=int(judgement.rows["is_anomalous"].sum()),
        unknown_entities=tuple(sorted(set(entities[~is_judged]))),
    )


def _judge_known_rows(
    judge: Judge, past: Past, dataset: Dataset, wanted: NDArray[np.bool_]
) -> tuple[Judgement, NDArray[np.bool_]]:
    """Judge the wanted rows of the entities that the model knows; return also which rows these are, (rows,).

    Raises the DataError of the judge where it knows none of them.
    """
    try:
        return judge.judge_rows(*past.join(dataset, wanted)), np.ones(len(dataset), dtype=bool)
    except DataError:
        wanted_rows = dataset.take_rows(wanted)
        known_entities = set(wanted_rows.entity[mark_known_rows(judge, wanted_rows)])
        is_known = np.asarray(dataset.entity.isin(known_entities)) | ~wanted
        if is_known.all():
            raise  # the fault is another one
        return judge.judge_rows(*past.join(dataset, wanted & is_known)), is_known


def _merge(
    watch: Watch,
    judgement: Judgement,
    was_anomalous: NDArray[np.bool_],
    template: Dataset,
    run_id: str,
    workspace: Workspace,
    now: datetime,
) -> tuple[IncidentChange, ...]:
    """Return the changes of incidents that the judged rows make, with the unit and the zone of the data.

    `was_anomalous` is (rows,) of the judgement.
    """
    rows, stores = judgement.rows, workspace.watches
    if not len(rows):
        return ()
    reach, entities = measure_reach(judgement), set(rows["entity"])
    start, end = _to_utc(rows["instant"].min()) - reach, _to_utc(rows["instant"].max()) + reach
    incidents = {each.id: each for each in stores.incidents.list_touching(watch.name, entities, start, end)}
    for each in stores.incidents.list_incidents(watch=watch.name, is_open=True, limit=10**9):
        if each.is_going_on and each.entity in entities:
            incidents.setdefault(each.id, each)
    known = list(incidents.values())
    past_alarms = _load_past_alarms(watch, set(rows.loc[was_anomalous, "entity"]), known, workspace)
    changes = merge_judgement(watch, known, judgement, was_anomalous, now, run_id, past_alarms)
    facts = {"unit": template.unit[:100], "zone": template.zone if is_zone_known(template.zone) else ""}
    changes = tuple(
        change.model_copy(update={"incident": change.incident.model_copy(update=facts)}) for change in changes
    )
    return add_known_events(watch, changes, template, workspace)


def _load_past_alarms(
    watch: Watch, entities: set[str], incidents: list[Incident], workspace: Workspace
) -> pd.DataFrame:
    """Return the stored alarms of the incidents of entities with corrected alarms."""
    concerned = [incident for incident in incidents if incident.entity in entities]
    if not concerned:
        return NO_ALARMS
    start, end = min(each.start for each in concerned), max(each.end for each in concerned)
    return workspace.watches.rows.load_alarms(watch.name, entities, start, end)


def _withdraw_unjudged(judgement: Judgement, alarms: pd.MultiIndex) -> Judgement:
    """Return the judgement with earlier alarms as normal rows, where their corrected row cannot be judged."""
    judged = pd.MultiIndex.from_arrays([judgement.rows["entity"], judgement.rows["instant"]])
    unjudged = alarms[~alarms.isin(judged)]
    if not len(unjudged):
        return judgement
    normal = {"score": np.nan, "threshold": np.nan, "is_anomalous": False, "severity": 0, **EXPLAINED_FILLERS}
    lines = [{"entity": entity, "instant": instant, **normal} for entity, instant in unjudged]
    rows = pd.DataFrame(lines, columns=list(JUDGED_COLUMNS))
    joined = pd.concat([judgement.rows, rows], ignore_index=True) if len(judged) else rows
    return replace(judgement, rows=joined)


def _mark_alarms(judgement: Judgement, keys: pd.MultiIndex) -> NDArray[np.bool_]:
    """Return True for the rows with these keys that are alarms."""
    alarms = judgement.rows[judgement.rows["is_anomalous"].to_numpy(dtype=bool)]
    return np.asarray(keys.isin(pd.MultiIndex.from_arrays([alarms["entity"], alarms["instant"]])))


def _choose_stored_time(watch: Watch, past: Past) -> timedelta:
    """Return how long before the newest rows arrivals are stored: the history, and the past of the judge."""
    return max(timedelta(days=watch.history_days), past.length + timedelta(days=PAST_DAYS))


def _to_utc(instant: pd.Timestamp) -> datetime:
    return instant.tz_localize(UTC).to_pydatetime()
