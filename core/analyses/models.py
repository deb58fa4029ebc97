"""A model's life after its run: registered under a name, promoted where it is better, loaded by alias."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from core.analyses.model_files import kept_model
from core.errors import BadData, BadOption, NotOnRecord, UnreadableFile, VigieError
from core.run import Actor, Workplace, past_run, recorded
from core.text import N_
from mlflow_utils import history, models, registry
from mlflow_utils.record import Record
from mlflow_utils.registry import CHAMPION, Comparison, Decision, Refused, Unknown, Version, Waiting, Yardstick
from mlflow_utils.tracking import Unreachable

T = TypeVar("T")

# A task that is not here has no figure that says which of two models is better: without labels, a detector that flags
# other rows, or a clusterer that draws other groups, is another opinion and not a better one.
YARDSTICKS = {
    "forecast": Yardstick(
        "wape",
        lower_is_better=True,
        tags=("dataset.digest",),
        params=("backtest_from", "backtest_until", "horizon", "entities", "resolution", "weather"),
        optional=("measure",),
    )
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def register(run_id: str, name: str = "", *, at: Workplace, by: Actor) -> Version:
    """Make the model of a run the newest version of `name` (default: the run's task) and the challenger of its
    champion.

    A run is registered once: asked again, its version comes back. Raises BadOption for a name that is not accepted,
    NotOnRecord for a run without a model, BadData for one that waits or has not ended well, VigieError where MLflow
    is silent.
    """
    with recorded("model_registration", by, at, run=run_id, name=name) as inputs, _spoken(at):
        _check_name(name or "model")
        run = registry.candidate(at.tracking, run_id)
        if run.status != "completed":
            raise BadData(
                N_("The run {run} did not complete ({status}); only a completed run is registered."),
                run=run_id[:12],
                status=run.status,
            )
        if not (past_run(run.run_id, at).files / registry.MODEL).is_dir():
            raise NotOnRecord(N_("The run {run} holds no model."), run=run_id[:12])
        kept_model(run.run_id, object, at)  # what cannot be loaded is not registered
        name = name or run.experiment
        _check_task(name, run.experiment, at)
        version = registry.register(at.tracking, run, name, YARDSTICKS.get(run.experiment), by.user)
        inputs |= {"name": name, "version": version.number, "task": run.experiment}
    return version


def promote(
    name: str, version: int | None = None, *, at: Workplace, by: Actor, force: bool = False, reason: str = ""
) -> tuple[Version, Comparison | None]:
    """Make a version (default: the challenger) the champion of `name`, where it is not worse on the same back-test.

    `force`, with a reason, overrules the comparison; both are tagged on the version. The comparison is None where there
    was nothing to compare with. Raises BadData for a promotion that is refused, BadOption for force without a reason,
    NotOnRecord for a name or version that is not there, VigieError where MLflow is silent.
    """
    asked = {"name": name, "version": version, "force": force, "reason": reason}
    with recorded("model_promotion", by, at, **asked) as inputs, _spoken(at):
        _check_name(name)
        if force and not reason.strip():
            raise BadOption(N_("A forced promotion needs a reason; it is kept with the version."))
        task, decision = _task(name, at), Decision(by.user, force, reason.strip())
        if not task:
            raise NotOnRecord(N_("No model {name} is registered."), name=name)
        champion, comparison = registry.promote(at.tracking, name, version, YARDSTICKS.get(task), decision)
        inputs["version"] = champion.number
    return champion, comparison


def listed(at: Workplace, name: str = "") -> list[Version]:
    """The versions of `name`, or of every name, newest first within each. Raises VigieError where MLflow is silent."""
    with _spoken(at):
        if name:
            _check_name(name)
        names = [name] if name else registry.names(at.tracking)
        return [version for each in names for version in registry.versions(at.tracking, each)]


def found(name: str, alias: str = CHAMPION, *, at: Workplace) -> Version:
    """The version that has the alias. Raises NotOnRecord where none has, VigieError where MLflow is silent."""
    with _spoken(at):
        _check_name(name)
        return registry.by_alias(at.tracking, name, alias)


def fitted_runs(task: str, at: Workplace) -> list[Record]:
    """Runs of `task` whose model can be applied, newest first; empty where MLflow does not answer."""
    runs = history.recent(at.tracking, task, limit=100)
    return [run for run in runs if run.status == "completed" and "model_run" not in run.params]


def run_of(address: str, at: Workplace) -> str:
    """The run whose model is meant: of a registered one by NAME@ALIAS, checked as `load` does, else `address` is the
    run.

    Raises as `load`.
    """
    name, mark, alias = address.partition("@")
    if not mark:
        return address
    load(name, alias, at=at)
    return found(name, alias, at=at).run_id


def load(name: str, alias: str = CHAMPION, *, at: Workplace, kind: type[T] = object) -> T:  # type: ignore[assignment]
    """The model of the class `kind` that has the alias.

    Raises as `found` and `kept_model`, and UnreadableFile where the file is not the one that was registered.
    """
    version = found(name, alias, at=at)
    if models.digest(past_run(version.run_id, at).files / registry.MODEL) != version.tags.get("model.sha256"):
        raise UnreadableFile(
            N_("The model file of {name} version {version} is not the one that was registered: its SHA-256 differs."),
            name=name,
            version=version.number,
        )
    return kept_model(version.run_id, kind, at)


def _task(name: str, at: Workplace) -> str:
    """The task that a name was first registered for; "" for a name that is free."""
    known = registry.versions(at.tracking, name)
    return known[-1].tags.get("task", "") if known else ""


def _check_task(name: str, task: str, at: Workplace) -> None:
    """One name, one task: else champion and challenger would answer different questions."""
    taken = _task(name, at)
    if taken not in ("", task):
        raise BadOption(
            N_("The name {name} holds models of the task {taken}; this one is of {task}. Choose another name."),
            name=name,
            taken=taken,
            task=task,
        )


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise BadOption(
            N_(
                "The model name {value!r} is not accepted; take at most 100 letters, digits, "
                "dots, dashes and underscores."
            ),
            value=name,
        )


@contextmanager
def _spoken(at: Workplace) -> Iterator[None]:
    """What the registry cannot or will not do, as a sentence."""
    try:
        yield
    except Waiting as error:
        raise BadData(
            N_("The run {run} waits to be delivered to MLflow; register it once it is there."), run=str(error)[:12]
        ) from error
    except Unknown as error:
        raise NotOnRecord(N_("The model registry knows no {what}."), what=error) from error
    except Unreachable as error:
        raise VigieError(
            N_("MLflow at {uri} does not answer; nothing was changed. Try again when it is back."), uri=at.tracking.uri
        ) from error
    except Refused as refusal:
        raise _refusal(refusal) from refusal


def _refusal(refused: Refused) -> BadData:
    """Why a promotion is not made, and what would have to be given to make it all the same."""
    new, old, comparison = refused.challenger, refused.champion, refused.comparison
    if comparison is None or old is None:
        return BadData(
            N_(
                "Models of the task {task} have no figure that says which is better, as there "
                "are no labels to judge by;"
                " {name} version {version} becomes champion by force and with a reason only."
            ),
            task=new.tags.get("task", "?"),
            name=new.name,
            version=new.number,
        )
    if comparison.differs:
        return BadData(
            N_(
                "{name} version {version} and champion version {champion} were not tested alike: {differs}."
                " Run both on the same back-test, or force with a reason."
            ),
            name=new.name,
            version=new.number,
            champion=old.number,
            differs="; ".join(
                f"{what}: {_short(what, challengers)} ≠ {_short(what, champions)}"
                for what, (champions, challengers) in comparison.differs.items()
            ),
        )
    return BadData(
        N_(
            "{name} version {version} is worse than champion version {champion}: {metric} {new} against {old}."
            " It stays challenger, unless forced with a reason."
        ),
        name=new.name,
        version=new.number,
        champion=old.number,
        metric=comparison.metric,
        new=comparison.figures[1],
        old=comparison.figures[0],
    )


def _short(what: str, text: str) -> str:
    return (text[:12] if what.endswith("digest") else text) or "-"
