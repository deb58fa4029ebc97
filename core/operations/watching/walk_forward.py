"""Re-fitting as it would have been: models of the past, each fitted on the rows before its date only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.errors import InputError, VigieError
from core.messages import N_
from core.operations.watching.refit_gate import compare_judges, split_rows
from core.operations.watching.trial_fits import fit_trial, open_trial_workspace
from core.progress import Progress
from core.runs.stored_runs import load_model_spec
from core.spec.spec import DataSpec
from core.watches.judgement import Judge
from core.watches.schedule import parse_schedule
from core.watches.watch import Watch
from core.workspace import Workspace

MIN_FIT_ROWS = 100
MAX_FITS = 400  # of a replay
REFIT_REASONS: Mapping[str, str] = {
    "first": N_("The first model, trained on the rows before the period."),
    "better": N_("The new model is at least as good on the latest rows."),
    "worse": N_("The new model is worse on the latest rows. The old one stays."),
    "unknown": N_("The latest rows do not tell which model is better. The old one stays."),
    "too few rows": N_("There are too few rows to train a model on. The old one stays."),
    "failed": N_("The model could not be trained on these rows. The old one stays."),
}
"""Code of an outcome → sentence."""


@dataclass(frozen=True)
class ForwardFit:
    """A date at which a model was fitted, and the model that judges the rows from there to the next date.

    instant    date, UTC
    rows       number of rows that were at hand
    judge      judge of the following rows, which may be an earlier one; None where no model could be fitted yet
    is_judged  (rows of the dataset,), True for these rows
    reason     code of `REFIT_REASONS`
    """

    instant: pd.Timestamp
    rows: int
    judge: Judge | None
    is_judged: NDArray[np.bool_]
    reason: str

    @property
    def is_used(self) -> bool:
        """True where the new model replaced the old one."""
        return self.reason in ("first", "better")


def fit_forward(
    watch: Watch, dataset: Dataset, instants: pd.DatetimeIndex, is_judged: NDArray[np.bool_], workspace: Workspace
) -> Iterator[ForwardFit]:
    """Yield the models of a period, in the order of time; nothing is stored.

    Args:
        watch: its model gives the settings, its `refit` the dates after the first row; "" for one fit.
        dataset: rows in the order of time.
        instants: (rows,), in UTC, or on the clock of the data where its zone is unknown.
        is_judged: (rows,), True for the rows of the period.
        workspace: of the model.

    Raises:
        InputError: for a model without settings to fit again, and for more than `MAX_FITS` dates.
    """
    spec = load_fit_spec(watch.model, workspace)
    dates = [*_list_dates(watch, instants[is_judged]), instants.max() + pd.Timedelta(1, "ns")]
    judge: Judge | None = None
    with open_trial_workspace() as trial:
        for date, following in pairwise(dates):
            is_known = select_fit_rows(watch, dataset, instants, date)
            candidate, reason = _fit(watch, spec, dataset.take_rows(is_known), judge, trial)
            judge = judge if candidate is None else candidate
            is_next = is_judged & np.asarray(instants >= date) & np.asarray(instants < following)
            yield ForwardFit(date, int(is_known.sum()), judge, is_next, reason)


def load_fit_spec(run_id: str, workspace: Workspace) -> DataSpec:
    """Return the settings that the model of a run was fitted with.

    Raises NotFoundError for an unknown run, InputError for a model that is not fitted on a dataset.
    """
    spec = load_model_spec(run_id, workspace)
    if not isinstance(spec, DataSpec):
        raise InputError(N_("The model of the run {run} cannot be trained again on other rows."), run=run_id[:12])
    return spec


def select_fit_rows(
    watch: Watch, dataset: Dataset, instants: pd.DatetimeIndex, date: pd.Timestamp
) -> NDArray[np.bool_]:
    """Return True for the rows that a model of `date` may be fitted on, (rows,).

    They lie before `date`, within `history_days`, and after the beginning of a level that a person accepted.
    """
    is_known = np.asarray(instants < date)
    if watch.history_days:
        is_known &= np.asarray(instants >= date - pd.Timedelta(days=watch.history_days))
    for level in watch.new_normals:
        since = pd.Timestamp(level.since).tz_convert("UTC").tz_localize(None)
        if since <= date:
            is_known &= ~(np.asarray(dataset.entity == level.entity) & np.asarray(instants < since))
    return is_known


def _list_dates(watch: Watch, instants: pd.DatetimeIndex) -> list[pd.Timestamp]:
    """Return the first instant of the period, and the dates of re-fitting after it."""
    dates = [instants.min()]
    if watch.refit:
        schedule = parse_schedule(watch.refit, watch.zone)
        date = schedule.find_next_tick(_to_datetime(dates[0]))
        while date <= _to_datetime(instants.max()):
            dates.append(pd.Timestamp(date).tz_convert("UTC").tz_localize(None))
            if len(dates) > MAX_FITS:
                raise InputError(
                    N_("The period has more than {count} dates of retraining ({value}). Choose a shorter period."),
                    count=MAX_FITS,
                    value=watch.refit,
                )
            date = schedule.find_next_tick(date)
    return dates


def _to_datetime(instant: pd.Timestamp) -> datetime:
    return instant.to_pydatetime(warn=False).replace(tzinfo=UTC)


def _fit(
    watch: Watch, spec: DataSpec, rows: Dataset, judge: Judge | None, trial: Workspace
) -> tuple[Judge | None, str]:
    """Return the judge of a new model if it is to be used, and why."""
    if len(rows) < MIN_FIT_ROWS:
        return None, "too few rows"
    split = split_rows(rows)
    try:
        fitted_rows = rows if judge is None else split.training_rows
        candidate = fit_trial(watch.task, spec, fitted_rows, trial, Progress())
        if judge is None:
            return candidate, "first"
        check = compare_judges(judge, candidate, split)
    except VigieError:
        return None, "failed"
    if check.is_accepted:
        return candidate, "better"
    return None, "unknown" if check.differences else "worse"
