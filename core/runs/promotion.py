"""Registration of models under a name, promotion to champion, and loading by alias."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from core.actor import Actor
from core.errors import DataError, NotFoundError, OptionError, UnreadableFileError, VigieError
from core.messages import N_
from core.runs.model_files import load_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import MODEL_SAVED, MODEL_TAG, record_event
from core.runs.verdicts import measure_model_precision
from core.runs.visibility import may_read, select_readable
from core.spec.task import find_task
from core.workspace import Workspace
from mlflow_utils import model_io, registry
from mlflow_utils import runs as mlflow_runs
from mlflow_utils.registry import (
    CHAMPION,
    ModelNotFoundError,
    ModelVersion,
    PromotionCheck,
    PromotionMetric,
    PromotionRejectedError,
    PromotionRequest,
    RunNotDeliveredError,
)
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import MlflowUnavailableError

T = TypeVar("T")

MAX_LISTED_MODELS = 100
MIN_VERDICTS = 10  # reviewed alarms of a model; with fewer, their precision decides nothing
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class CommonBacktest:
    """Figures of models on the same rows, which none of them was trained on.

    It compares models of different training data, whose own backtests differ.

    metric   comparison; it asks for no equal data
    figures  id of the run of a model → name → figure; NaN, or absent, where it is not known
    """

    metric: PromotionMetric
    figures: Mapping[str, Mapping[str, float]]

    def get_figures(self, run_id: str) -> dict[str, float]:
        """Return the figures of a model; NaN for those that are not known, so that no other backtest counts."""
        names = (self.metric.metric, *(metric.metric for metric in self.metric.then))
        return {**dict.fromkeys(names, math.nan), **self.figures.get(run_id, {})}


def get_promotion_metric(task: str) -> PromotionMetric | None:
    """Return the metric that compares two models of a task; None where only a user can decide."""
    known_task = find_task(task)
    return known_task.promotion if known_task else None


def register(run_id: str, name: str = "", *, workspace: Workspace, actor: Actor) -> ModelVersion:
    """Register the model of a run as the newest version of `name`, and as its challenger.

    The default name is the task of the run. A second call for the same run returns the existing version. Raises
    OptionError for a name that is not accepted, NotFoundError for a run without a model, DataError for a run that is
    not completed or not delivered, VigieError where MLflow does not answer.
    """
    with (
        record_event("model_registration", actor, workspace, run=run_id, name=name) as inputs,
        _translate_errors(workspace),
    ):
        _check_name(name or "model")
        run = registry.load_candidate(workspace.tracking, run_id)
        if not may_read(run, workspace):
            raise NotFoundError(N_("The run {run} was not found."), run=run_id[:12])
        if run.status != "completed":
            raise DataError(
                N_("The run {run} did not complete ({status}). Only completed runs can be registered."),
                run=run_id[:12],
                status=run.status,
            )
        if not (load_run(run.run_id, workspace).files / registry.MODEL_FOLDER).is_dir():
            raise NotFoundError(N_("The run {run} has no saved model."), run=run_id[:12])
        load_model(run.run_id, object, workspace)  # a model that cannot be loaded is not registered
        name = name or run.experiment
        _check_task(name, run.experiment, workspace)
        version = registry.register(workspace.tracking, run, name, get_promotion_metric(run.experiment), actor.user)
        inputs |= {"name": name, "version": version.number, "task": run.experiment}
    return version


def promote(
    name: str,
    version: int | None = None,
    *,
    workspace: Workspace,
    actor: Actor,
    force: bool = False,
    reason: str = "",
    backtest: CommonBacktest | None = None,
) -> tuple[ModelVersion, PromotionCheck | None]:
    """Promote a version (default: the challenger) to champion of `name` if it is not worse on the same backtest.

    The first champion of a name has nothing to be compared with and is accepted.

    `backtest` replaces the figures that the models have from their own runs. `force`, with a reason, overrides the
    comparison; both are tags of the version. The comparison is None where there was nothing to compare with.

    Raises DataError for a rejected promotion, OptionError for force without a reason, NotFoundError for an unknown name
    or version, VigieError where MLflow does not answer.
    """
    request = {"name": name, "version": version, "force": force, "reason": reason}
    with record_event("model_promotion", actor, workspace, **request) as inputs, _translate_errors(workspace):
        _check_name(name)
        if force and not reason.strip():
            raise OptionError(N_("A forced promotion needs a reason, which is saved with the version."))
        task, decision = _find_task_of_name(name, workspace), PromotionRequest(actor.user, force, reason.strip())
        if not task:
            raise NotFoundError(N_("The model {name} is not registered."), name=name)
        champion, comparison = registry.promote(
            workspace.tracking,
            name,
            version,
            backtest.metric if backtest else get_promotion_metric(task),
            decision,
            lambda candidate: {
                **(backtest.get_figures(candidate.run_id) if backtest else {}),
                **measure_verdicts(candidate.run_id, workspace),
            },
        )
        inputs["version"] = champion.number
    return champion, comparison


def measure_verdicts(run_id: str, workspace: Workspace) -> dict[str, float]:
    """Return the precision of the alarms of a model as `verdict_precision`; empty for fewer than 10 verdicts."""
    precision = measure_model_precision(run_id, workspace)
    return {"verdict_precision": precision.share} if precision.reviewed_count >= MIN_VERDICTS else {}


def list_versions(workspace: Workspace, name: str = "") -> list[ModelVersion]:
    """List the versions of `name`, or of all names, newest first. Raises VigieError where MLflow does not answer."""
    with _translate_errors(workspace):
        if name:
            _check_name(name)
        names = [name] if name else registry.list_names(workspace.tracking)
        return [version for model_name in names for version in registry.list_versions(workspace.tracking, model_name)]


def get_version(name: str, alias: str = CHAMPION, *, workspace: Workspace) -> ModelVersion:
    """Return the version with the alias.

    Raises NotFoundError where no version has it, VigieError where MLflow does not answer.
    """
    with _translate_errors(workspace):
        _check_name(name)
        return registry.get_by_alias(workspace.tracking, name, alias)


def runs_with_model(task: str, workspace: Workspace) -> list[Record]:
    """List the runs of `task` with a model that can be applied, newest first; empty where MLflow does not answer."""
    tagged_runs = mlflow_runs.list_latest_runs(
        workspace.tracking, task, MAX_LISTED_MODELS, f"tags.`{MODEL_TAG}` = '{MODEL_SAVED}'"
    )
    runs = mlflow_runs.list_latest_runs(workspace.tracking, task, MAX_LISTED_MODELS)
    earlier_runs = [run for run in runs if MODEL_TAG not in run.tags]  # of versions without the tag
    return [run for run in select_readable((*tagged_runs, *earlier_runs), workspace) if fits_model(run)]


def fits_model(run: Record) -> bool:
    """Tell whether a run fitted a model of its own and saved it."""
    is_saved = run.tags.get(MODEL_TAG, MODEL_SAVED) == MODEL_SAVED  # runs of earlier versions have no tag
    return run.status == "completed" and is_saved and "model_run" not in run.params


def resolve_run(address: str, workspace: Workspace) -> str:
    """Return the id of the run of a model: `address` itself, or the run of the registered model NAME@ALIAS.

    A registered model is loaded as a check. Raises the errors of `load_by_alias`.
    """
    name, separator, alias = address.partition("@")
    if not separator:
        return address
    load_by_alias(name, alias, workspace=workspace)
    return get_version(name, alias, workspace=workspace).run_id


def load_by_alias(name: str, alias: str = CHAMPION, *, workspace: Workspace, kind: type[T] = object) -> T:  # type: ignore[assignment]
    """Load the model of class `kind` with the alias.

    Raises the errors of `get_version` and `load_model`, and UnreadableFileError where the model file has changed since
    its registration.
    """
    version = get_version(name, alias, workspace=workspace)
    if model_io.compute_digest(load_run(version.run_id, workspace).files / registry.MODEL_FOLDER) != version.tags.get(
        "model.sha256"
    ):
        raise UnreadableFileError(
            N_("The model file of {name} version {version} has changed since its registration: its SHA-256 differs."),
            name=name,
            version=version.number,
        )
    return load_model(version.run_id, kind, workspace)


def _find_task_of_name(name: str, workspace: Workspace) -> str:
    """Return the task that a name was first registered for; "" for an unused name."""
    versions = registry.list_versions(workspace.tracking, name)
    return versions[-1].tags.get("task", "") if versions else ""


def _check_task(name: str, task: str, workspace: Workspace) -> None:
    """Raise OptionError if `name` holds models of another task, which could not be compared."""
    registered_task = _find_task_of_name(name, workspace)
    if registered_task not in ("", task):
        raise OptionError(
            N_(
                "The name {name} is used for models of the task {taken}. This model is of the task "
                "{task}. Choose another name."
            ),
            name=name,
            taken=registered_task,
            task=task,
        )


def _check_name(name: str) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise OptionError(
            N_(
                "The model name {value!r} is not accepted. Use at most 100 letters, digits, "
                "dots, dashes and underscores."
            ),
            value=name,
        )


@contextmanager
def _translate_errors(workspace: Workspace) -> Iterator[None]:
    """Translate errors of the registry to VigieErrors."""
    try:
        yield
    except RunNotDeliveredError as error:
        raise DataError(
            N_("The run {run} is waiting for delivery to MLflow. Register it after its delivery."), run=str(error)[:12]
        ) from error
    except ModelNotFoundError as error:
        raise NotFoundError(N_("MLflow does not contain {what}."), what=error) from error
    except MlflowUnavailableError as error:
        raise VigieError(
            N_("MLflow at {uri} does not answer. Nothing was changed. Try again later."), uri=workspace.tracking.uri
        ) from error
    except PromotionRejectedError as refusal:
        raise _explain_rejection(refusal) from refusal


def _explain_rejection(rejection: PromotionRejectedError) -> DataError:
    """Return the error with the reason of a rejected promotion, and with the ways to force it."""
    new, old, comparison = rejection.challenger, rejection.champion, rejection.comparison
    if comparison is None or old is None:
        return DataError(
            N_(
                "Models of the task {task} cannot be compared, because the data have no "
                "labels. To make {name} version {version} the champion, force the promotion "
                "with a reason."
            ),
            task=new.tags.get("task", "?"),
            name=new.name,
            version=new.number,
        )
    if comparison.differences:
        return DataError(
            N_(
                "{name} version {version} and champion version {champion} have different "
                "backtests: {differs}. Run both on the same backtest, or force the promotion "
                "with a reason."
            ),
            name=new.name,
            version=new.number,
            champion=old.number,
            differs="; ".join(
                f"{key}: {_shorten_value(key, challengers)} ≠ {_shorten_value(key, champions)}"
                for key, (champions, challengers) in comparison.differences.items()
            ),
        )
    return DataError(
        N_(
            "{name} version {version} is worse than champion version {champion}: {metric} is "
            "{new} instead of {old}. It stays challenger. To promote it anyway, force the "
            "promotion with a reason."
        ),
        name=new.name,
        version=new.number,
        champion=old.number,
        metric=comparison.metric,
        new=comparison.figures[1],
        old=comparison.figures[0],
    )


def _shorten_value(key: str, text: str) -> str:
    return (text[:12] if key.endswith("digest") else text) or "-"
