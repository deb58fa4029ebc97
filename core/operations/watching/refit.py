"""Re-fitting of the model of a watch on its stored rows: at the dates of its schedule, through the promotion gate."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pandas as pd

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError, NotFoundError, OptionError, VigieError
from core.messages import N_, Message
from core.operations.queries import REFIT_WATCH
from core.operations.watching.drift_watch import measure_rows_per_day
from core.operations.watching.judges import find_judge_entry, load_judge
from core.operations.watching.past import build_past_dataset
from core.operations.watching.refit_gate import (
    REFIT_PROMOTION,
    SplitRows,
    compare_figures,
    measure_backtest,
    split_rows,
)
from core.operations.watching.trial_fits import prepare_fit_spec
from core.operations.watching.walk_forward import MIN_FIT_ROWS, REFIT_REASONS, load_fit_spec, select_fit_rows
from core.progress import Progress
from core.runs.promotion import CommonBacktest, promote, register
from core.runs.tracked_run import Run, record_event
from core.spec.codec import encode
from core.spec.spec import Spec
from core.spec.task import load_entry_point, run_task
from core.storage.watches.refit_records import RefitOutcome, RefitRecord, RefitRecords
from core.watches.judgement import Judge
from core.watches.schedule import parse_schedule
from core.watches.watch import Watch
from core.workspace import Workspace
from mlflow_utils.registry import CHAMPION, ModelVersion

RECORDS_FOLDER = "refits"
MAX_FIT_VALUES = 50_000_000  # rows × columns: of a watch with more, the latest are loaded, in 400 MB
CLOCK_MARGIN = timedelta(days=2)  # rows on a clock whose zone is unknown may be ahead of UTC
TOO_FEW_ROWS = N_(
    "The watch has {count} stored row. Training needs {accepted}. The old model stays.",
    "The watch has {count} stored rows. Training needs {accepted}. The old model stays.",
)
UNEXPECTED = N_("An unexpected error has stopped the training. Its number in the log is {number}.")
PROMOTED = N_("The new model is at least as good on the latest rows. It judges from now on.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefitSpec(Spec):
    """Order to fit the model of a watch again.

    due  date of its schedule, as ISO text in UTC
    """

    watch: str = ""
    due: str = ""


@dataclass(frozen=True)
class _Ending:
    """End of a re-fitting; the fields are those of `RefitRecord`."""

    outcome: RefitOutcome
    reason: Message
    rows: int = 0
    run: str = ""
    version: str = ""


def open_records(workspace: Workspace) -> RefitRecords:
    """Return the records of re-fittings of a workspace."""
    return RefitRecords(workspace.folder / "watches" / RECORDS_FOLDER)


def list_refits(watch: Watch, workspace: Workspace) -> list[RefitRecord]:
    """Return what became of the re-fittings of a watch, the latest first."""
    return open_records(workspace).list_records(watch.name, watch.created_at)


def submit_due_refits(workspace: Workspace, now: datetime) -> int:
    """Submit a job for each watch whose date of re-fitting has come, and return their number.

    However many dates an outage took, one is made up. A date is done once: its record, and before that the key of its
    job, keep other workers away. Raises ServiceUnavailableError where a database does not answer.
    """
    records, count = open_records(workspace), 0
    for state in workspace.watches.watches.list_states():
        try:
            due = find_due_refit(state.watch, now)
        except OptionError:  # the other watches go on
            logger.exception("the dates of retraining of the watch %s cannot be read", state.watch.name)
            continue
        if due is None or records.has_record(state.watch.name, due):
            continue
        spec = RefitSpec(state.watch.name, due.isoformat())
        actor = Actor(state.watch.owner or state.watch.name)
        if jobs.find_equal(REFIT_WATCH, encode(spec), workspace=workspace, actor=actor) is None:
            jobs.submit(REFIT_WATCH, encode(spec), workspace=workspace, actor=actor)
            count += 1
    return count


def find_due_refit(watch: Watch, now: datetime) -> datetime | None:
    """Return the latest date of re-fitting since the watch was made; None without one, and for a paused watch."""
    if not watch.refit or watch.is_paused:
        return None
    return parse_schedule(watch.refit, watch.zone).find_due_tick(watch.created_at, now)


def run_refit(spec: RefitSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Fit the model of a watch again for a date, unless that is done, and return the id of the new run; "" without one.

    Raises NotFoundError for a watch that was removed.
    """
    watch, due = workspace.watches.watches.load_watch(spec.watch), datetime.fromisoformat(spec.due)
    for record in list_refits(watch, workspace):
        if record.due == due:
            return record.run
    return _refit(watch, due, workspace, actor, progress).run


def refit_watch(name: str, workspace: Workspace, actor: Actor, progress: Progress | None = None) -> RefitRecord:
    """Fit the model of a watch again now, and return what became of it.

    The model is fitted with the same settings on the stored rows, without the last of each entity, as an ordinary run.
    It becomes the challenger of the registered name. Both models then judge the last rows, which neither was fitted on;
    the new one becomes champion if the promotion gate accepts it. Rows of an entity before its new normal are left out.

    Raises NotFoundError for an unknown watch, ServiceUnavailableError where the database does not answer.
    """
    watch = workspace.watches.watches.load_watch(name)
    return _refit(watch, datetime.now(UTC).replace(microsecond=0), workspace, actor, progress or Progress())


def check_refit(watch: Watch) -> str:
    """Return the registered name of the model of a watch. Raises OptionError for a model without one."""
    name, separator, alias = watch.model.partition("@")
    if not separator or alias != CHAMPION:
        raise OptionError(
            N_(
                "The watch {watch} asks the model {model}. Only the champion of a registered name is trained again. "
                "Register the model, and let the watch ask NAME@champion."
            ),
            watch=watch.name,
            model=watch.model,
        )
    return name


def _refit(watch: Watch, due: datetime, workspace: Workspace, actor: Actor, progress: Progress) -> RefitRecord:
    """Fit a model and record what became of it; a failure is a record, too."""
    started = datetime.now(UTC)
    with record_event("watch_refit", actor, workspace, watch=watch.name, due=due.isoformat()) as inputs:
        try:
            ending = _fit_and_compare(watch, started, workspace, actor, progress)
        except VigieError as error:
            ending = _Ending("failed", error.message)
        except Exception:
            number = uuid4().hex[:8]
            logger.exception("re-fitting of the watch %s failed: error %s", watch.name, number)
            ending = _Ending("failed", Message(UNEXPECTED, {"number": number}))
        inputs |= {"outcome": ending.outcome, "run": ending.run, "version": ending.version}
    record = RefitRecord(
        watch=watch.name,
        due=due,
        started=started,
        ended=datetime.now(UTC),
        outcome=ending.outcome,
        rows=ending.rows,
        run=ending.run,
        version=ending.version,
        template=ending.reason.template,
        values=_make_storable(ending.reason.values),
    )
    open_records(workspace).save_record(record)
    return record


def _fit_and_compare(watch: Watch, now: datetime, workspace: Workspace, actor: Actor, progress: Progress) -> _Ending:
    """Fit, register and compare a model. Raises VigieError where one of these fails."""
    name = check_refit(watch)
    old_run, old_judge = load_judge(watch, workspace)
    rows = _load_rows(watch, old_run, old_judge, workspace, now)
    if rows is None or len(rows) < MIN_FIT_ROWS:
        count = 0 if rows is None else len(rows)
        return _Ending("kept", Message(TOO_FEW_ROWS, {"count": count, "accepted": MIN_FIT_ROWS}), count)
    split = split_rows(rows)
    run = _fit(watch, old_run, split, workspace, actor, progress)
    try:
        version = register(run.id, name, workspace=workspace, actor=actor)
    except VigieError as error:  # such as a run that waits for MLflow: a person can register it later
        return _Ending("failed", error.message, len(rows), run.id)
    new_judge: Judge = load_entry_point(find_judge_entry(watch.task))(run.id, workspace)
    common = split.select_common(old_judge, new_judge)
    figures = {old_run: measure_backtest(old_judge, common), version.run_id: measure_backtest(new_judge, common)}
    outcome, reason = _promote(version, CommonBacktest(REFIT_PROMOTION, figures), old_run, workspace, actor)
    return _Ending(outcome, reason, len(rows), run.id, f"{version.name}/{version.number}")


def _choose_days(watch: Watch, old_run: str, template: Dataset, workspace: Workspace) -> float:
    """Return the days of stored rows to load: all of them, or so many that they fit into the memory."""
    try:
        values_per_day = measure_rows_per_day(old_run, workspace) * len(template.columns)
    except NotFoundError:
        return watch.history_days
    return min(watch.history_days, MAX_FIT_VALUES / values_per_day)


def _load_rows(watch: Watch, old_run: str, judge: Judge, workspace: Workspace, now: datetime) -> Dataset | None:
    """Return the stored rows that a model may be fitted on; None where there are none of the form of the model."""
    since = now - timedelta(days=_choose_days(watch, old_run, judge.template, workspace))
    stored = workspace.watches.rows.load_past(watch.name, None, since, now + CLOCK_MARGIN)
    template: Dataset = judge.template
    if stored.empty or list(stored.columns) != template.columns:
        return None
    dataset = build_past_dataset(stored, template).replace(files=(watch.name,))
    date = pd.Timestamp(now + CLOCK_MARGIN).tz_convert("UTC").tz_localize(None)
    levels = watch.model_copy(update={"history_days": 0})  # they were selected by their instants
    return dataset.take_rows(select_fit_rows(levels, dataset, dataset.compute_instants(), date))


def _fit(watch: Watch, old_run: str, split: SplitRows, workspace: Workspace, actor: Actor, progress: Progress) -> Run:
    """Fit a model with the settings of the old one, as an ordinary run with its stored data."""
    rows = split.training_rows
    spec = prepare_fit_spec(load_fit_spec(old_run, workspace), rows)
    workspace.datasets.save(rows, actor.user)
    run: Run = run_task(watch.task, spec, workspace=workspace, actor=actor, progress=progress, dataset=rows)[1]
    return run


def _promote(
    version: ModelVersion, backtest: CommonBacktest, old_run: str, workspace: Workspace, actor: Actor
) -> tuple[RefitOutcome, Message]:
    """Promote a version if it is not worse, and return what became of it, and why."""
    old, new = (backtest.get_figures(run_id) for run_id in (old_run, version.run_id))
    if compare_figures(old, new).differences:
        return "kept", Message(REFIT_REASONS["unknown"])
    try:
        promote(version.name, version.number, workspace=workspace, actor=actor, backtest=backtest)
    except DataError as rejection:
        return "kept", rejection.message
    return "promoted", Message(PROMOTED)


def _make_storable(values: Mapping[str, object]) -> dict[str, object]:
    """Return values of a message that JSON knows; others as text."""
    return {
        name: value if value is None or isinstance(value, bool | int | float | str) else str(value)
        for name, value in values.items()
    }
