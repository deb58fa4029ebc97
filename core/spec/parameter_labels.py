"""Labels of the parameters of runs: those of the fields of specs and algorithms."""

from collections.abc import Iterator, Sequence
from functools import cache

from core.messages import N_
from core.spec.hyperparameters import get_hyperparameters, is_algorithm
from core.spec.spec import Spec
from core.spec.task import find_task, list_tasks

NOTED_LABELS = {
    "fit_from": N_("Trained from"),
    "fit_until": N_("Trained until"),
    "test_from": N_("Tested from"),
    "test_until": N_("Tested until"),
    "scored_from": N_("Scored from"),
    "scored_until": N_("Scored until"),
    "model_run": N_("Run of the model"),
    "source_run": N_("Run with the scores"),
    "threshold_value": N_("Threshold"),
    "threshold_from": N_("Origin of the threshold"),
}
"""Labels of the parameters that runs note and no field declares."""


def get_parameter_label(name: str, task: str = "") -> str:
    """Return the label of a parameter of a task, or of any task (""); its name where no or several labels are known.

    A field of a spec comes before those of the algorithms.

    Example:
        >>> get_parameter_label("n_estimators", "anomalies"), get_parameter_label("detector", "anomalies")
        ('Number of trees', 'Detector')
        >>> get_parameter_label("smoothing"), get_parameter_label("calibration_windows_used")
        ('smoothing', 'calibration_windows_used')
    """
    if name in NOTED_LABELS:
        return NOTED_LABELS[name]
    spec_labels, algorithm_labels = _collect_labels(task if find_task(task) else "")
    labels = spec_labels.get(name) or algorithm_labels.get(name) or set()
    return next(iter(labels)) if len(labels) == 1 else name


@cache
def _collect_labels(task: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return name → labels of the fields of specs, and of algorithms; it imports the modules of all algorithms."""
    tasks = [known_task] if (known_task := find_task(task)) else list_tasks()
    specs = [mode.spec for known_task in tasks for mode in known_task.modes]
    algorithms = [cls for spec in specs for cls in _list_algorithms(spec)]
    return _index_labels(specs), _index_labels(algorithms)


def _list_algorithms(spec: type[Spec]) -> Iterator[type[object]]:
    for field in get_hyperparameters(spec).values():
        if is_algorithm(field):
            yield from field.metadata["classes"]().values()


def _index_labels(classes: Sequence[type[object]]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for cls in classes:
        for name, field in get_hyperparameters(cls).items():
            if field.metadata["label"]:
                labels.setdefault(name, set()).add(field.metadata["label"])
    return labels
