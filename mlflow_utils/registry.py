"""Model registry: versions of registered models, their aliases, and promotion.

champion     version that pages and commands load
challenger   newest version, until it is promoted
previous     champion before the current one

The tags of a version hold the metrics of its back-test and the definition of that test.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock

from mlflow_utils import model_io, runs
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY, MlflowUnavailableError, Tracking

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
MODEL = "model"  # folder of the model within a run
FIGURE, TEST = "figure.", "backtest."


class ModelNotFoundError(Exception):
    """A run, model name, version or alias that does not exist."""


class RunNotDeliveredError(Exception):
    """A run that waits to be delivered to MLflow."""


@dataclass(frozen=True)
class PromotionMetric:
    """Metric that compares the models of a task, and the definition of the back-test that must be equal.

    params, tags   names of parameters and tags of runs that define the back-test; a run that lacks one is not
                   comparable
    optional       names of further parameters that define it, where a run has them
    """

    metric: str
    lower_is_better: bool = True
    params: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        """Metric and direction of improvement, as text."""
        return f"{self.metric}, {'lower' if self.lower_is_better else 'higher'} is better"


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    number: int
    run_id: str
    created_ms: int
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Metrics of the run of the version."""
        return {tag.removeprefix(FIGURE): float(text) for tag, text in self.tags.items() if tag.startswith(FIGURE)}

    @property
    def test(self) -> dict[str, str]:
        """Definition of the back-test of the version."""
        return {tag.removeprefix(TEST): text for tag, text in self.tags.items() if tag.startswith(TEST)}


@dataclass(frozen=True)
class PromotionCheck:
    """Comparison of a challenger with the champion.

    figures   metric of the champion and of the challenger; NaN where missing
    differs   differences of their back-tests: name → (value of the champion, value of the challenger)
    """

    metric: str
    figures: tuple[float, float]
    differs: Mapping[str, tuple[str, str]]
    worse: bool

    @property
    def accepted(self) -> bool:
        """True where both metrics are comparable and the challenger is not worse."""
        return not self.differs and not self.worse


class PromotionRejectedError(Exception):
    """A rejected promotion. `comparison` holds the reason; None where the task has no metric."""

    def __init__(self, champion: Version | None, challenger: Version, comparison: PromotionCheck | None) -> None:
        self.champion, self.challenger, self.comparison = champion, challenger, comparison
        super().__init__(f"{challenger.name} {challenger.number}")


@dataclass(frozen=True)
class PromotionRequest:
    """Request for a promotion: the user, and whether and why the comparison is overridden."""

    by: str
    force: bool = False
    reason: str = ""


def candidate(tracking: Tracking, run: str) -> Record:
    """Return a run for registration, with parameters, metrics and tags from MLflow.

    Raises RunNotDeliveredError for a pending run, ModelNotFoundError for an unknown run, MlflowUnavailableError where
    MLflow does not answer.
    """
    if runs.is_pending(tracking, run):
        raise RunNotDeliveredError(run)
    with _answering(tracking) as client:
        past = runs.load_run(tracking, run)
        if past is None or not past.record.run_id:
            raise ModelNotFoundError(run)
        found = client.get_run(past.record.run_id)
        return Record(
            experiment=client.get_experiment(found.info.experiment_id).name,
            name=found.info.run_name or "",
            key=found.data.tags.get(KEY, ""),
            run_id=found.info.run_id,
            status=past.record.status,
            params=dict(found.data.params),
            metrics=dict(found.data.metrics),
            tags=dict(found.data.tags),
        )


def register(tracking: Tracking, run: Record, name: str, metric: PromotionMetric | None, by: str) -> Version:
    """Register the model of a run from `candidate` as the newest version of `name` and its challenger.

    A second call for the same run returns the existing version. Raises MlflowUnavailableError, and UntrustedModelError
    for a run without a model.
    """
    tags = _tags(run, metric, by) | {"model.sha256": _digest(tracking, run)}
    with _alone(tracking) as client:
        _ensure(client, name)
        for known in _versions(client, name):
            if known.run_id == run.run_id:
                return known
        made = client.create_model_version(name, f"runs:/{run.run_id}/{MODEL}", run.run_id, tags=tags)
        newest = max(each.number for each in _versions(client, name))
        client.set_registered_model_alias(name, CHALLENGER, str(newest))
        return _numbered(client, name, int(made.version))


def names(tracking: Tracking) -> list[str]:
    """List the names of the registered models, sorted. Raises MlflowUnavailableError."""
    with _answering(tracking) as client:
        return sorted(each.name for each in _pages(client.search_registered_models))


def versions(tracking: Tracking, name: str) -> list[Version]:
    """List the versions of `name`, newest first; empty for an unknown name. Raises MlflowUnavailableError."""
    with _answering(tracking) as client:
        return _versions(client, name)


def by_alias(tracking: Tracking, name: str, alias: str) -> Version:
    """Return the version with the alias. Raises ModelNotFoundError where none has it, MlflowUnavailableError."""
    with _answering(tracking) as client:
        return _aliased(client, name, alias)


def promote(
    tracking: Tracking, name: str, number: int | None, metric: PromotionMetric | None, decision: PromotionRequest
) -> tuple[Version, PromotionCheck | None]:
    """Promote a version (default: the challenger) to champion. The former champion becomes `previous`.

    Returns the new champion and its comparison with the former one, None without a former champion or without a metric.
    Raises PromotionRejectedError, unless the decision is forced, where the comparison rejects the version or the task
    has no metric; ModelNotFoundError; MlflowUnavailableError.
    """
    with _alone(tracking) as client:
        new = _aliased(client, name, CHALLENGER) if number is None else _numbered(client, name, number)
        old = next((each for each in _versions(client, name) if CHAMPION in each.aliases), None)
        if old is not None and old.number == new.number:
            return new, None
        comparison = compared(old, new, metric) if old and metric else None
        accepted = comparison.accepted if comparison else metric is not None
        if not accepted and not decision.force:
            raise PromotionRejectedError(old, new, comparison)
        for tag, text in _promotion(old, comparison, decision).items():
            client.set_model_version_tag(name, str(new.number), tag, text)
        if old is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(old.number))
        client.set_registered_model_alias(name, CHAMPION, str(new.number))
        if CHALLENGER in new.aliases:
            client.delete_registered_model_alias(name, CHALLENGER)
        return _numbered(client, name, new.number), comparison


def compared(champion: Version, challenger: Version, metric: PromotionMetric) -> PromotionCheck:
    """Compare two versions on `metric`. A part of the back-test or a value that one of them lacks is a difference."""
    needed = (*metric.tags, *metric.params)
    pairs = {test: (champion.test.get(test, ""), challenger.test.get(test, "")) for test in (*needed, *metric.optional)}
    pairs["metric"] = (champion.tags.get("metric", ""), challenger.tags.get("metric", ""))
    differs = {test: pair for test, pair in pairs.items() if pair[0] != pair[1] or (test in needed and not pair[0])}
    old, new = (each.figures.get(metric.metric, math.nan) for each in (champion, challenger))
    if not (math.isfinite(old) and math.isfinite(new)):
        differs[metric.metric] = (_figure(old), _figure(new))
    return PromotionCheck(metric.metric, (old, new), differs, new > old if metric.lower_is_better else new < old)


def _figure(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _tags(run: Record, metric: PromotionMetric | None, by: str) -> dict[str, str]:
    """Return the tags of a version: its origin, the user who registered it, its metrics and its back-test."""
    tags = {
        "task": run.experiment,
        KEY: run.key,
        "dataset.digest": run.tags.get("dataset.digest", ""),
        "model_name": run.tags.get("model_name", ""),
        "code.version": run.tags.get("code.version", ""),
        "registered.by": by,
        **{FIGURE + metric: repr(value) for metric, value in run.metrics.items()},
    }
    if metric is None:
        return tags
    said = {name: run.tags[name] for name in metric.tags if name in run.tags}
    said |= {name: str(run.params[name]) for name in (*metric.params, *metric.optional) if name in run.params}
    return tags | {"metric": metric.definition} | {TEST + name: text for name, text in said.items()}


def _promotion(old: Version | None, comparison: PromotionCheck | None, decision: PromotionRequest) -> dict[str, str]:
    """Return the tags of a promotion: user, time, former champion, metrics and, where forced, the reason."""
    return {
        "promoted.by": decision.by,
        "promoted.at": datetime.now(UTC).isoformat(timespec="seconds"),
        "promoted.over": str(old.number) if old else "",
        "promoted.forced": str(decision.force).lower(),
        "promoted.reason": decision.reason,
        "promoted.figures": "{}: {!r} → {!r}".format(comparison.metric, *comparison.figures) if comparison else "",
    }


def _digest(tracking: Tracking, run: Record) -> str:
    past = runs.load_run(tracking, run.run_id)
    if past is None:
        raise ModelNotFoundError(run.run_id)
    return model_io.digest(past.files / MODEL)


# ---- MLflow ---------------------------------------------------------------------------------------------------------


@contextmanager
def _answering(tracking: Tracking) -> Iterator[Any]:
    """Yield a client of MLflow. Raises MlflowUnavailableError where MLflow does not answer."""
    if not tracking.is_reachable():
        raise MlflowUnavailableError(tracking.uri)
    yield tracking.client()


@contextmanager
def _alone(tracking: Tracking) -> Iterator[Any]:
    """Yield a client of MLflow under a lock against other processes of this machine that change the registry."""
    with _answering(tracking) as client, FileLock(tracking.spool.folder / "registry.lock"):
        yield client


def _ensure(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _pages(search: Any, **asked: Any) -> Iterator[Any]:
    """Yield all results of a search of MLflow, page by page."""
    found = search(**asked)
    yield from found
    while found.token:
        found = search(**asked, page_token=found.token)
        yield from found


def _versions(client: Any, name: str) -> list[Version]:
    """Return the versions of `name`, newest first, with their aliases, which a search does not return."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []
    found = _pages(client.search_model_versions, filter_string=f"name = '{name}'")
    return sorted((_version(each, aliases) for each in found), key=lambda each: -each.number)


def _numbered(client: Any, name: str, number: int) -> Version:
    for each in _versions(client, name):
        if each.number == number:
            return each
    raise ModelNotFoundError(f"{name} {number}")


def _aliased(client: Any, name: str, alias: str) -> Version:
    for each in _versions(client, name):
        if alias in each.aliases:
            return each
    raise ModelNotFoundError(f"{name}@{alias}")


def _version(found: Any, aliases: Mapping[str, Any]) -> Version:
    number = int(found.version)
    return Version(
        found.name,
        number,
        found.run_id or "",
        found.creation_timestamp or 0,
        tuple(sorted(alias for alias, points_at in aliases.items() if int(points_at) == number)),
        dict(found.tags),
    )
