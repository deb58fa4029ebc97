"""Specs: the parameters of a task, one frozen dataclass for each of its modes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

from core.errors import OptionError
from core.messages import N_, Message
from core.spec.hyperparameters import (
    check_hyperparameters,
    get_hyperparameters,
    get_params,
    hyperparameter,
    is_algorithm,
)

ThresholdOrigin = Literal["verdicts", "chosen"]
THRESHOLD_NOTES: Mapping[ThresholdOrigin, str] = {
    "verdicts": N_("The threshold was chosen from verdicts on run {run}. It has no target false-alarm rate."),
    "chosen": N_("The threshold was chosen by hand on run {run}. It has no target false-alarm rate."),
}


class Selectable(Protocol):
    """A dataset that a spec can select a part of."""

    def filter_rows(self, entities: Any = (), start: Any = None, end: Any = None) -> Self:
        """Return the rows of `entities` from `start` to `end`, both included."""
        ...


D = TypeVar("D", bound=Selectable)


@dataclass(frozen=True)
class Spec:
    """Parameters of a task. Each field is declared once, with `hyperparameter` or `algorithm`.

    The fields define the form on the page, the options of the command, and the parameters of the run. They also define
    the JSON of the job, the stored result and the command that repeats the run.

    selector_field  field with the option that selects this spec among those of a command; "" for the default spec

    Example:
        >>> @dataclass(frozen=True)
        ... class SmoothingSpec(Spec):
        ...     span: int = hyperparameter(7, help="Rows of the moving average.", low=1)
        >>> SmoothingSpec(span=14).to_params()
        {'span': 14}
        >>> SmoothingSpec(span=0).check()
        Traceback (most recent call last):
        core.errors.OptionError: span = 0 is out of range. Accepted: 1 to ∞.
    """

    selector_field: ClassVar[str] = ""

    def check(self) -> None:
        """Raise OptionError if a value is not accepted. Subclasses add checks that involve several fields."""
        check_hyperparameters(self)

    def to_params(self) -> dict[str, Any]:
        """Return the parameters of the run, with the settings of algorithms and without fields that are not set."""
        params: dict[str, Any] = {}
        for name, field in get_hyperparameters(self).items():
            value = getattr(self, name)
            if is_algorithm(field):
                params |= {**get_params(value), name: value.name}
            elif name != "dataset" and value is not None and value != () and value != "":  # the digest is a tag
                params[name] = _join_values(value) if isinstance(value, tuple) else value
        return params

    @classmethod
    def list_choices(cls, name: str, dataset: Any) -> tuple[Any, ...]:
        """Return the choices of the field `name` that suit `dataset`; by default all of them."""
        choices: tuple[Any, ...] = get_hyperparameters(cls)[name].metadata["choices"]
        return choices


@dataclass(frozen=True, kw_only=True)
class DataSpec(Spec):
    """Parameters of a task on a whole stored dataset, given by its digest."""

    dataset: str = hyperparameter("", help=N_("Digest of the dataset."), files="datasets")

    def select(self, dataset: D) -> D:
        """Return the part of `dataset` that the task uses: all rows."""
        return dataset

    def select_training_rows(self, dataset: Any) -> Any:
        """Return the training rows of `dataset`. Subclasses leave out the test rows."""
        return self.select(dataset)


@dataclass(frozen=True, kw_only=True)
class PartSpec(DataSpec):
    """Parameters of a task on a part of a stored dataset.

    entities    selected entities; all of them when empty
    start, end  first and last timestamp as text, both included; "" for no limit

    Example:
        >>> PartSpec(dataset="0f1e2d", entities=("paris", "lyon"), start="2024-01-01").to_params()
        {'entities': 'paris, lyon', 'start': '2024-01-01'}
    """

    entities: tuple[str, ...] = hyperparameter(
        (), help=N_("Use only this entity. The option can be repeated."), label=N_("Entities"), flag="--entity"
    )
    start: str = hyperparameter("", help=N_("First date of the rows (included)."), metavar="DATE")
    end: str = hyperparameter(
        "", help=N_("Last date of the rows (included, until the end of the day)."), metavar="DATE"
    )

    def select(self, dataset: D) -> D:
        """Return the selected part of `dataset`. Raises DataError when no row is left."""
        import pandas as pd

        start, end = (pd.Timestamp(text) if text else None for text in (self.start, self.end))
        return dataset.filter_rows(self.entities, start, end)


@dataclass(frozen=True)
class ApplySpec(PartSpec):
    """Apply the model of an earlier run, with its threshold, to data."""

    selector_field: ClassVar[str] = "model"

    model: str = hyperparameter(
        "",
        help=N_("Saved model to apply, instead of training one."),
        label=N_("Saved model"),
        metavar="RUN_ID|NAME@ALIAS",
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters, with the applied model as `model_run`."""
        params = super().to_params()
        params["model_run"] = params.pop("model", "")
        return params


@dataclass(frozen=True)
class ThresholdSpec(PartSpec):
    """Parameters to apply another threshold to the scores of an earlier run.

    run        the earlier run, with its dataset and selection
    threshold  rows with a higher score are anomalies
    origin     "verdicts": chosen from the verdicts of users; "chosen": chosen by a user who looked at its alarms
    """

    selector_field: ClassVar[str] = "run"

    run: str = hyperparameter("", help=N_("Run with the reviewed rows."))
    threshold: float = hyperparameter(0.0, help=N_("Rows with a higher score are anomalies."))
    origin: ThresholdOrigin = hyperparameter(
        "verdicts", help=N_("How the threshold was chosen."), choices=tuple(THRESHOLD_NOTES)
    )

    @property
    def note(self) -> Message:
        """Origin of the threshold, and what is not known about it."""
        return Message(THRESHOLD_NOTES[self.origin], {"run": self.run[:12]})

    def check(self) -> None:
        """Raise OptionError if a value is not accepted or the threshold is not finite."""
        if not math.isfinite(self.threshold):
            raise OptionError(
                N_("{name} = {value} is not a finite number."), name="threshold", value=str(self.threshold)
            )
        super().check()

    def to_params(self) -> dict[str, Any]:
        """Return the threshold, its origin and the source run."""
        return {"threshold_from": self.origin, "threshold_value": self.threshold, "source_run": self.run}


def _join_values(values: tuple[Any, ...]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
