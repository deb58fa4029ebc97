"""Model registry: versions of registered models, their aliases, and promotion.

champion     version that pages and commands load
challenger   newest version, until it is promoted
previous     champion before the current one

The tags of a version hold the metrics of its backtest and the definition of that test.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock

from mlflow_utils import model_io, runs
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import KEY_TAG, MlflowUnavailableError, Tracking

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
MODEL_FOLDER = "model"  # folder of the model within a run
FIGURE_PREFIX, TEST_PREFIX = "figure.", "backtest."
DEFINITION_SEPARATOR = "; then "


class ModelNotFoundError(Exception):
    """A run, model name, version or alias that does not exist."""


class RunNotDeliveredError(Exception):
    """A run that waits to be delivered to MLflow."""


@dataclass(frozen=True)
class PromotionMetric:
    """Metric that compares the models of a task, and the definition of the backtest that must be equal.

    params, tags   names of parameters and tags of runs that define the backtest; a run that lacks one is not
                   comparable
    optional_params  names of further parameters that define it, where a run has them
    then    metrics that decide, in their order, where this one is equal or unknown; this one alone then accepts no
            version that is merely equal
    """

    metric: str
    lower_is_better: bool = True
    params: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    optional_params: tuple[str, ...] = ()
    then: tuple["PromotionMetric", ...] = ()

    @property
    def all_params(self) -> tuple[str, ...]:
        """Parameters of the backtests of this metric and of those that follow."""
        own = (*self.params, *self.optional_params)
        return tuple(dict.fromkeys([*own, *(name for metric in self.then for name in metric.all_params)]))

    @property
    def all_tags(self) -> tuple[str, ...]:
        """Tags of the backtests of this metric and of those that follow."""
        return tuple(dict.fromkeys([*self.tags, *(name for metric in self.then for name in metric.all_tags)]))

    @property
    def definition(self) -> str:
        """Metric and direction of improvement, as text."""
        own = f"{self.metric}, {'lower' if self.lower_is_better else 'higher'} is better"
        return DEFINITION_SEPARATOR.join([own, *(metric.definition for metric in self.then)])


@dataclass(frozen=True)
class ModelVersion:
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
        return {
            tag.removeprefix(FIGURE_PREFIX): float(text)
            for tag, text in self.tags.items()
            if tag.startswith(FIGURE_PREFIX)
        }

    @property
    def test(self) -> dict[str, str]:
        """Definition of the backtest of the version."""
        return {tag.removeprefix(TEST_PREFIX): text for tag, text in self.tags.items() if tag.startswith(TEST_PREFIX)}


@dataclass(frozen=True)
class PromotionCheck:
    """Comparison of a challenger with the champion.

    figures      metric of the champion and of the challenger; NaN where missing
    differences  differences of their backtests: name → (value of the champion, value of the challenger)
    """

    metric: str
    figures: tuple[float, float]
    differences: Mapping[str, tuple[str, str]]
    is_worse: bool

    @property
    def is_accepted(self) -> bool:
        """True where both metrics are comparable and the challenger is not worse."""
        return not self.differences and not self.is_worse


class PromotionRejectedError(Exception):
    """A rejected promotion. `comparison` holds the reason; None where the task has no metric."""

    def __init__(
        self, champion: ModelVersion | None, challenger: ModelVersion, comparison: PromotionCheck | None
    ) -> None:
        self.champion, self.challenger, self.comparison = champion, challenger, comparison
        super().__init__(f"{challenger.name} {challenger.number}")


@dataclass(frozen=True)
class PromotionRequest:
    """Request for a promotion: the user, and whether and why the comparison is overridden."""

    user: str
    force: bool = False
    reason: str = ""


def load_candidate(tracking: Tracking, run: str) -> Record:
    """Return a run for registration, with parameters, metrics and tags from MLflow.

    Raises RunNotDeliveredError for a pending run, ModelNotFoundError for an unknown run, MlflowUnavailableError where
    MLflow does not answer.
    """
    if runs.is_pending(tracking, run):
        raise RunNotDeliveredError(run)
    with _open_client(tracking) as client:
        stored_run = runs.load_run(tracking, run)
        if stored_run is None or not stored_run.record.run_id:
            raise ModelNotFoundError(run)
        mlflow_run = client.get_run(stored_run.record.run_id)
        return Record(
            experiment=client.get_experiment(mlflow_run.info.experiment_id).name,
            name=mlflow_run.info.run_name or "",
            key=mlflow_run.data.tags.get(KEY_TAG, ""),
            run_id=mlflow_run.info.run_id,
            status=stored_run.record.status,
            params=dict(mlflow_run.data.params),
            metrics=dict(mlflow_run.data.metrics),
            tags=dict(mlflow_run.data.tags),
        )


def register(tracking: Tracking, run: Record, name: str, metric: PromotionMetric | None, user: str) -> ModelVersion:
    """Register the model of a run from `load_candidate` as the newest version of `name` and its challenger.

    A second call for the same run returns the existing version. Raises MlflowUnavailableError, and UntrustedModelError
    for a run without a model.
    """
    tags = _build_version_tags(run, metric, user) | {"model.sha256": _compute_digest(tracking, run)}
    with _open_locked_client(tracking) as client:
        _ensure_model(client, name)
        for version in _list_versions(client, name):
            if version.run_id == run.run_id:
                return version
        created_version = client.create_model_version(name, f"runs:/{run.run_id}/{MODEL_FOLDER}", run.run_id, tags=tags)
        newest = max(listed_version.number for listed_version in _list_versions(client, name))
        client.set_registered_model_alias(name, CHALLENGER, str(newest))
        return _get_version(client, name, int(created_version.version))


def list_names(tracking: Tracking) -> list[str]:
    """List the names of the registered models, sorted. Raises MlflowUnavailableError."""
    with _open_client(tracking) as client:
        return sorted(model.name for model in _iter_results(client.search_registered_models))


def list_versions(tracking: Tracking, name: str) -> list[ModelVersion]:
    """List the versions of `name`, newest first; empty for an unknown name. Raises MlflowUnavailableError."""
    with _open_client(tracking) as client:
        return _list_versions(client, name)


def get_by_alias(tracking: Tracking, name: str, alias: str) -> ModelVersion:
    """Return the version with the alias. Raises ModelNotFoundError where none has it, MlflowUnavailableError."""
    with _open_client(tracking) as client:
        return _get_by_alias(client, name, alias)


def promote(
    tracking: Tracking,
    name: str,
    number: int | None,
    metric: PromotionMetric | None,
    decision: PromotionRequest,
    measure: Callable[[ModelVersion], Mapping[str, float]] = lambda version: {},
) -> tuple[ModelVersion, PromotionCheck | None]:
    """Promote a version (default: the challenger) to champion. The former champion becomes `previous`.

    The first champion of a name has nothing to be compared with and is accepted. `measure` returns metrics of a version
    that its run could not know, such as those from verdicts.

    Returns the new champion and its comparison with the former one, None without a former champion or without a metric.
    Raises PromotionRejectedError, unless the decision is forced, where the comparison rejects the version or the task
    has no metric; ModelNotFoundError; MlflowUnavailableError.
    """
    with _open_locked_client(tracking) as client:
        new = _get_by_alias(client, name, CHALLENGER) if number is None else _get_version(client, name, number)
        old = next((version for version in _list_versions(client, name) if CHAMPION in version.aliases), None)
        if old is not None and old.number == new.number:
            return new, None
        comparison = (
            compare_versions(_add_figures(old, measure(old)), _add_figures(new, measure(new)), metric)
            if old and metric
            else None
        )
        is_accepted = comparison.is_accepted if comparison else old is None
        if not is_accepted and not decision.force:
            raise PromotionRejectedError(old, new, comparison)
        for tag, text in _build_promotion_tags(old, comparison, decision).items():
            client.set_model_version_tag(name, str(new.number), tag, text)
        if old is not None:
            client.set_registered_model_alias(name, PREVIOUS, str(old.number))
        client.set_registered_model_alias(name, CHAMPION, str(new.number))
        if CHALLENGER in new.aliases:
            client.delete_registered_model_alias(name, CHALLENGER)
        return _get_version(client, name, new.number), comparison


def compare_versions(champion: ModelVersion, challenger: ModelVersion, metric: PromotionMetric) -> PromotionCheck:
    """Compare two versions on `metric`, and on those that follow it where it is equal or unknown.

    A part of the backtest or a value that one of them lacks is a difference: the metric is unknown. The check is that
    of the metric that decided, or of the last one where none did.
    """
    check = _compare_metric(champion, challenger, metric)
    checks = [_compare_metric(champion, challenger, following) for following in metric.then]
    for decisive in (check, *checks):
        if not decisive.differences and decisive.figures[0] != decisive.figures[1]:
            return decisive
    return next((equal for equal in checks if not equal.differences), (check, *checks)[-1])


def _compare_metric(champion: ModelVersion, challenger: ModelVersion, metric: PromotionMetric) -> PromotionCheck:
    required_names = (*metric.tags, *metric.params)
    pairs = {
        test: (champion.test.get(test, ""), challenger.test.get(test, ""))
        for test in (*required_names, *metric.optional_params)
    }
    pairs["metric"] = _extract_definition(champion, metric), _extract_definition(challenger, metric)
    differences = {
        test: pair for test, pair in pairs.items() if pair[0] != pair[1] or (test in required_names and not pair[0])
    }
    old, new = (version.figures.get(metric.metric, math.nan) for version in (champion, challenger))
    if not (math.isfinite(old) and math.isfinite(new)):
        differences[metric.metric] = (_format_figure(old), _format_figure(new))
    return PromotionCheck(metric.metric, (old, new), differences, new > old if metric.lower_is_better else new < old)


def _extract_definition(version: ModelVersion, metric: PromotionMetric) -> str:
    """Return the definition of a metric in the tag of a version; the whole tag where it has another metric."""
    text = version.tags.get("metric", "")
    return next((part for part in text.split(DEFINITION_SEPARATOR) if part.startswith(f"{metric.metric},")), text)


def _add_figures(version: ModelVersion, figures: Mapping[str, float]) -> ModelVersion:
    return replace(version, tags={**version.tags, **{FIGURE_PREFIX + name: repr(x) for name, x in figures.items()}})


def _format_figure(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _build_version_tags(run: Record, metric: PromotionMetric | None, user: str) -> dict[str, str]:
    """Return the tags of a version: its origin, the user who registered it, its metrics and its backtest."""
    tags = {
        "task": run.experiment,
        KEY_TAG: run.key,
        "dataset.digest": run.tags.get("dataset.digest", ""),
        "model_name": run.tags.get("model_name", ""),
        "code.version": run.tags.get("code.version", ""),
        "registered.by": user,
        **{FIGURE_PREFIX + metric: repr(value) for metric, value in run.metrics.items()},
    }
    if metric is None:
        return tags
    definition = {name: run.tags[name] for name in metric.all_tags if name in run.tags}
    definition |= {name: str(run.params[name]) for name in metric.all_params if name in run.params}
    return tags | {"metric": metric.definition} | {TEST_PREFIX + name: text for name, text in definition.items()}


def _build_promotion_tags(
    old: ModelVersion | None, comparison: PromotionCheck | None, decision: PromotionRequest
) -> dict[str, str]:
    """Return the tags of a promotion: user, time, former champion, metrics and, where forced, the reason."""
    return {
        "promoted.by": decision.user,
        "promoted.at": datetime.now(UTC).isoformat(timespec="seconds"),
        "promoted.over": str(old.number) if old else "",
        "promoted.forced": str(decision.force).lower(),
        "promoted.reason": decision.reason,
        "promoted.figures": "{}: {!r} → {!r}".format(comparison.metric, *comparison.figures) if comparison else "",
    }


def _compute_digest(tracking: Tracking, run: Record) -> str:
    stored_run = runs.load_run(tracking, run.run_id)
    if stored_run is None:
        raise ModelNotFoundError(run.run_id)
    return model_io.compute_digest(stored_run.files / MODEL_FOLDER)


# ---- MLflow ---------------------------------------------------------------------------------------------------------


@contextmanager
def _open_client(tracking: Tracking) -> Iterator[Any]:
    """Yield a client of MLflow. Raises MlflowUnavailableError where MLflow does not answer."""
    if not tracking.is_reachable():
        raise MlflowUnavailableError(tracking.uri)
    yield tracking.open_client()


@contextmanager
def _open_locked_client(tracking: Tracking) -> Iterator[Any]:
    """Yield a client of MLflow under a lock against other processes of this machine that change the registry."""
    with _open_client(tracking) as client, FileLock(tracking.spool.folder / "registry.lock"):
        yield client


def _ensure_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _iter_results(search: Any, **parameters: Any) -> Iterator[Any]:
    """Yield all results of a search of MLflow, page by page."""
    page = search(**parameters)
    yield from page
    while page.token:
        page = search(**parameters, page_token=page.token)
        yield from page


def _list_versions(client: Any, name: str) -> list[ModelVersion]:
    """Return the versions of `name`, newest first, with their aliases, which a search does not return."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []
    model_versions = _iter_results(client.search_model_versions, filter_string=f"name = '{name}'")
    return sorted((_to_version(version, aliases) for version in model_versions), key=lambda version: -version.number)


def _get_version(client: Any, name: str, number: int) -> ModelVersion:
    for version in _list_versions(client, name):
        if version.number == number:
            return version
    raise ModelNotFoundError(f"{name} {number}")


def _get_by_alias(client: Any, name: str, alias: str) -> ModelVersion:
    for version in _list_versions(client, name):
        if alias in version.aliases:
            return version
    raise ModelNotFoundError(f"{name}@{alias}")


def _to_version(model_version: Any, aliases: Mapping[str, Any]) -> ModelVersion:
    number = int(model_version.version)
    return ModelVersion(
        model_version.name,
        number,
        model_version.run_id or "",
        model_version.creation_timestamp or 0,
        tuple(sorted(alias for alias, version_number in aliases.items() if int(version_number) == number)),
        dict(model_version.tags),
    )
