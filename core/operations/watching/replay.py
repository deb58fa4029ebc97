"""Replay: a watch is run over the past, to see which incidents it would have opened."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, OptionError
from core.messages import N_, Message
from core.operations.watching.judges import find_judge_entry, load_judge
from core.operations.watching.known_entities import mark_known_rows
from core.operations.watching.replay_alarms import (
    KnownSpans,
    ReplayedRows,
    find_faults,
    judge_incidents,
    tabulate_replay,
)
from core.operations.watching.replay_result import INCIDENT_COLUMNS, REFIT_COLUMNS, REPLAYED_COLUMNS, Replay, ReplaySpec
from core.operations.watching.replay_truth import build_label_spans, compute_verdict_digest, read_verdict_spans
from core.operations.watching.walk_forward import fit_forward
from core.progress import Progress
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_run
from core.watches.incident import Incident
from core.watches.judgement import JUDGED_COLUMNS, Judge, Judgement
from core.watches.merging import merge_judgement
from core.watches.watch import Watch
from core.workspace import Workspace

MAX_NAMES = 5  # in a note
MAX_JUDGED_ROWS = 100_000  # at once, so that a long replay reports its progress and can be cancelled
NO_TIME = pd.Timedelta(0)
ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
JUDGING_STAGE, COUNTING_STAGE = N_("Judging the past"), N_("Counting incidents")


@dataclass(frozen=True)
class PastRows:
    """Rows of a dataset in the order of time.

    instants   (rows,), as a judgement has them
    is_judged  (rows,), True inside the replayed period; rows before it are the past of these
    """

    dataset: Dataset
    instants: pd.DatetimeIndex
    is_judged: NDArray[np.bool_]


@dataclass
class Judgements:
    """Judged rows of a replay, collected part by part."""

    tables: list[pd.DataFrame] = field(default_factory=list)
    step: pd.Timedelta = NO_TIME
    target_rate: float | None = None
    left_out: int = 0

    def add(self, judgement: Judgement) -> None:
        """Add the judgement of later rows."""
        self.tables.append(judgement.rows)
        self.step, self.target_rate = pd.Timedelta(judgement.step), judgement.target_rate
        self.left_out += judgement.left_out

    @property
    def rows(self) -> pd.DataFrame:
        """All judged rows, with `JUDGED_COLUMNS`."""
        tables = [table for table in self.tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(JUDGED_COLUMNS))


def build_replay_spec(
    watch: Watch, dataset: Dataset, start: str = "", end: str = "", *, is_refit: bool = False, workspace: Workspace
) -> ReplaySpec:
    """Return the question of a replay, with the run of the model as it is now and the verdicts that there are.

    Args:
        watch: stored, or a draft.
        dataset: the past.
        start: first date on the clock of the data; "" for no limit.
        end: last date, included; "" for no limit.
        is_refit: True to fit the model again as the watch would have.
        workspace: of the model and the verdicts.

    Raises:
        NotFoundError: for a model that does not exist.
    """
    run_id = resolve_run(watch.model, workspace)
    asked = Watch(
        name=watch.name,
        task=watch.task,
        model=run_id,
        source=watch.source,
        schedule=watch.schedule,
        zone=watch.zone,
        refit=watch.refit if is_refit else "",
        history_days=watch.history_days if is_refit else 0,
        new_normals=watch.new_normals if is_refit else (),
        created_at=ANY_TIME,
    )
    verdicts = "" if dataset.labels is not None else compute_verdict_digest(_read_spans(run_id, dataset, workspace))
    return ReplaySpec(
        watch=asked.model_dump_json(),
        dataset=dataset.digest,
        start=start,
        end=end,
        is_refit=is_refit,
        verdicts=verdicts,
    )


def replay_watch(
    watch: Watch,
    dataset: Dataset,
    start: str = "",
    end: str = "",
    *,
    is_refit: bool = False,
    workspace: Workspace,
    progress: Progress | None = None,
) -> Replay:
    """Return the incidents that a watch would have opened in a period of a dataset. Nothing is stored.

    Rows are judged in the order of time with the rows before them, and merged as those of a watch. Without `is_refit`
    the model of today judges all of them. With it, the model is fitted on the rows before the period, and again at each
    date of `Watch.refit`, on rows before that date only.

    Raises the errors of `build_replay_spec` and `load_judge`, DataError for data without dates, for a period without a
    row, and for data that do not fit the model.
    """
    spec = build_replay_spec(watch, dataset, start, end, is_refit=is_refit, workspace=workspace)
    return _replay(spec, dataset, workspace, progress or Progress())


def answer_replay(spec: ReplaySpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> Replay:
    """Answer the question `spec`. Raises the errors of `replay_watch`, NotFoundError for data that are not stored."""
    return _replay(spec, workspace.datasets.load(spec.dataset), workspace, progress)


def _replay(spec: ReplaySpec, dataset: Dataset, workspace: Workspace, progress: Progress) -> Replay:
    watch = _parse_watch(spec)
    find_judge_entry(watch.task)
    past = _select_past(spec, dataset)
    judgements, refits = Judgements(), pd.DataFrame(columns=list(REFIT_COLUMNS))
    progress.report(0.0, JUDGING_STAGE)
    if spec.is_refit:
        fits = []
        for fit in fit_forward(watch, past.dataset, past.instants, past.is_judged, workspace):
            fits.append((fit.instant, fit.rows, fit.is_used, fit.reason))
            if fit.judge is not None:
                _judge_part(fit.judge, past, fit.is_judged, judgements, progress)
        refits = pd.DataFrame(fits, columns=list(REFIT_COLUMNS))
    else:
        _, judge = load_judge(watch, workspace)
        _judge_part(judge, past, past.is_judged, judgements, progress)
    progress.report(0.95, COUNTING_STAGE)
    return _build_result(spec, watch, past, judgements, refits, workspace)


def _parse_watch(spec: ReplaySpec) -> Watch:
    try:
        return Watch.model_validate_json(spec.watch)
    except ValidationError as error:
        raise OptionError(N_("The watch cannot be read: {problem}."), problem=str(error.errors()[0]["msg"])) from error


# ---- judging --------------------------------------------------------------------------------------------------------


def _select_past(spec: ReplaySpec, dataset: Dataset) -> PastRows:
    """Return the rows up to the end of the period, in the order of time, each key once: the last row counts."""
    if not dataset.has_dates:
        raise DataError(N_("{file} has no dates. A replay needs dates."), file=", ".join(dataset.files))
    selected = spec.select(dataset)  # raises DataError where no row is left
    until = pd.DatetimeIndex(selected.time).max()
    chosen = (dataset.time <= until) & ~dataset.mark_duplicates("last")
    if spec.entities:
        chosen &= dataset.entity.isin(list(spec.entities))
    rows = dataset.take_rows(np.asarray(chosen))
    instants = rows.compute_instants()
    order = np.lexsort((rows.entity_codes, instants.to_numpy()))
    rows, instants = rows.take_rows(order), instants[order]
    return PastRows(rows, instants, np.asarray(rows.time >= pd.DatetimeIndex(selected.time).min()))


def _judge_part(
    judge: Judge, past: PastRows, is_judged: NDArray[np.bool_], judgements: Judgements, progress: Progress
) -> None:
    """Judge some rows in the order of time, each with the past that the judge needs."""
    codes, total = past.dataset.entity_codes, int(past.is_judged.sum())
    is_known = mark_known_rows(judge, past.dataset)
    judgements.left_out += int((is_judged & ~is_known).sum())
    for chunk in _split_at_instants(np.flatnonzero(is_judged & is_known), past.instants):
        before = _find_latest(codes[: chunk[0]], judge.past_rows)
        part = past.dataset.take_rows(np.concatenate([before, chunk]))
        judgements.add(judge.judge_rows(part, np.arange(len(part)) >= len(before)))
        progress.report(0.9 * float(past.is_judged[: chunk[-1] + 1].sum()) / total)


def _find_latest(codes: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return the positions of the last `count` rows of each entity, in their order."""
    if not count:
        return np.zeros(0, dtype=np.intp)
    from_end = pd.Series(codes[::-1]).groupby(codes[::-1]).cumcount().to_numpy()[::-1]
    return np.flatnonzero(from_end < count)


def _split_at_instants(positions: NDArray[np.intp], instants: pd.DatetimeIndex) -> Iterator[NDArray[np.intp]]:
    """Yield parts of about `MAX_JUDGED_ROWS` positions; the rows of one instant are never divided."""
    times = instants.to_numpy()[positions]
    start = 0
    while start < len(positions):
        last = min(start + MAX_JUDGED_ROWS, len(positions)) - 1
        stop = int(np.searchsorted(times, times[last], side="right"))
        yield positions[start:stop]
        start = stop


# ---- result ---------------------------------------------------------------------------------------------------------


def _build_result(
    spec: ReplaySpec, watch: Watch, past: PastRows, judgements: Judgements, refits: pd.DataFrame, workspace: Workspace
) -> Replay:
    judged = judgements.rows
    if not len(judged):
        raise DataError(_explain_no_rows(refits))
    rows = ReplayedRows.from_table(judged, judgements.step)
    truth, spans = _find_truth(watch, past, rows, workspace)
    known = KnownSpans.from_table(spans, rows, truth == "labels")
    incidents = _merge(watch, judged, judgements)
    incidents = incidents.assign(truth=judge_incidents(rows, incidents, known))
    return Replay(
        spec,
        rows=judged[list(REPLAYED_COLUMNS)],
        incidents=incidents[list(INCIDENT_COLUMNS)],
        thresholds=tabulate_replay(rows, known),
        faults=find_faults(rows, known, incidents),
        spans=spans,
        refits=refits,
        threshold=rows.threshold,
        step_seconds=judgements.step.total_seconds(),
        zone=past.dataset.zone,
        truth=truth,
        target_rate=judgements.target_rate,
        left_out=judgements.left_out,
        notes=tuple(_iter_notes(spec, past, judged, refits, workspace, watch)),
    )


def _merge(watch: Watch, judged: pd.DataFrame, judgements: Judgements) -> pd.DataFrame:
    """Return the incidents of all judged rows, merged as the ticks of a watch merge them, the worst first."""
    judgement = Judgement(judged, judgements.step.to_pytimedelta(), judgements.target_rate, judgements.left_out)
    was_anomalous = np.zeros(len(judged), dtype=bool)
    incidents: dict[str, Incident] = {}
    for change in merge_judgement(watch, (), judgement, was_anomalous, datetime.now(UTC), watch.model):
        incidents[change.incident.id] = change.incident
    names = [name for name in INCIDENT_COLUMNS if name != "truth"]
    lines = [
        [_to_cell(getattr(incident, name)) for name in names]
        for incident in incidents.values()
        if not incident.merged_into and incident.rows
    ]
    table = pd.DataFrame(lines, columns=names)
    times = {name: pd.to_datetime(table[name], utc=True).dt.tz_localize(None) for name in ("start", "end", "peak_at")}
    numbers = {name: table[name].astype("float64") for name in ("peak", "measured", "expected", "low", "high")}
    table = table.assign(**{name: each.astype("datetime64[ns]") for name, each in times.items()}, **numbers)
    return table.sort_values(["severity", "peak"], ascending=False, kind="stable", ignore_index=True)


def _to_cell(value: object) -> object:
    return ", ".join(value) if isinstance(value, tuple) else value


def _find_truth(watch: Watch, past: PastRows, rows: ReplayedRows, workspace: Workspace) -> tuple[str, pd.DataFrame]:
    """Return what the incidents are compared with, and its spans: labels if the data have some, else verdicts."""
    if past.dataset.labels is not None:
        return "labels", build_label_spans(rows, past.dataset, past.instants)
    spans = _read_spans(watch.model, past.dataset, workspace)
    is_inside = (spans["end"] >= rows.instants.min()) & (spans["start"] <= rows.instants.max())
    spans = spans[is_inside & spans["entity"].isin(rows.entities)].reset_index(drop=True)
    return ("verdicts" if len(spans) else ""), spans


def _read_spans(run_id: str, dataset: Dataset, workspace: Workspace) -> pd.DataFrame:
    return read_verdict_spans(run_id, workspace, dataset.zone)


def _explain_no_rows(refits: pd.DataFrame) -> str:
    return (
        N_("No row of this period could be judged, because no model could be trained on the rows before it.")
        if len(refits)
        else N_("No row of this period could be judged.")
    )


def _iter_notes(
    spec: ReplaySpec, past: PastRows, judged: pd.DataFrame, refits: pd.DataFrame, workspace: Workspace, watch: Watch
) -> Iterator[Message]:
    """Yield the limits of a replay."""
    if not spec.is_refit and _has_seen(watch, past, workspace):
        yield Message(
            N_(
                "The model was trained on rows of this period, so it knows them better than a watch would have. "
                "Replay with retraining for a fair test."
            )
        )
    judged_entities = set(judged["entity"])
    unknown = [name for name in past.dataset.take_rows(past.is_judged).entities if name not in judged_entities]
    if unknown:
        yield Message(
            N_(
                "Entities that were not judged, because the model does not know them or all their rows are incomplete: "
                "{names}."
            ),
            {"names": ", ".join(unknown[:MAX_NAMES]) + (" …" if len(unknown) > MAX_NAMES else "")},
        )
    if spec.is_refit and not refits["is_used"].iloc[0]:
        yield Message(
            N_("The first rows of the period could not be judged, because no model could be trained before them.")
        )


def _has_seen(watch: Watch, past: PastRows, workspace: Workspace) -> bool:
    """Tell whether the model was fitted on rows of the period, as far as its run tells."""
    params = load_run(watch.model, workspace).record.params
    seen = [pd.to_datetime(params.get(name, ""), errors="coerce") for name in ("fit_from", "fit_until")]
    times = pd.DatetimeIndex(past.dataset.time[past.is_judged])
    return not any(map(pd.isna, seen)) and bool(seen[0] <= times.max() and seen[1] >= times.min())
