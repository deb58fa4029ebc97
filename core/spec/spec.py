"""Specs: everything that can be asked of a task, as one frozen dataclass for each of its modes."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar

from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import check_hyperparameters, get_params, hyperparameter, hyperparameters, is_algorithm


class Selectable(Protocol):
    """What a spec can be about a part of: a dataset."""

    def select(self, entities: Any = (), start: Any = None, end: Any = None) -> Self:
        """Return the rows of some entities in a period, both ends included."""
        ...


D = TypeVar("D", bound=Selectable)


@dataclass(frozen=True)
class Spec:
    """What can be asked of a task. A field is declared once, with `hyperparameter` or `algorithm`.

    The fields are the form on the page, the options of the command, the run's parameters, the JSON arguments of the
    job, what the result keeps of the question, and the command that repeats the run.

    chosen_by  the field whose option selects this spec among those of one command; "" for the one taken without it
    """

    chosen_by: ClassVar[str] = ""

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted. Subclasses add what one field alone cannot tell."""
        check_hyperparameters(self)

    def params(self) -> dict[str, Any]:
        """Return the parameters of the run: an algorithm's settings beside its name, and nothing that is not set."""
        params: dict[str, Any] = {}
        for name, field in hyperparameters(self).items():
            value = getattr(self, name)
            if is_algorithm(field):
                params |= {**get_params(value), name: value.name}
            elif name != "dataset" and value is not None and value != () and value != "":  # its digest is a tag
                params[name] = _join(value) if isinstance(value, tuple) else value
        return params

    @classmethod
    def accepted_choices(cls, name: str, dataset: Any) -> tuple[Any, ...]:
        """Return the choices of the field `name` that make sense for `dataset`; all of them by default."""
        choices: tuple[Any, ...] = hyperparameters(cls)[name].metadata["choices"]
        return choices


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """What can be asked about a whole stored dataset, by its digest."""

    dataset: str = hyperparameter("", help=N_("Digest of the dataset."), files="datasets")

    def select(self, dataset: D) -> D:
        """Return the part of `dataset` that is asked about: all of it."""
        return dataset

    def training_rows(self, dataset: Any) -> Any:
        """Return the rows of `dataset` that a model is fitted on. Subclasses leave out what they hold out."""
        return self.select(dataset)


@dataclass(frozen=True, kw_only=True)
class DataSpec(DatasetSpec):
    """What can be asked about a part of a stored dataset.

    entities    all of them when empty
    start, end  first and last moment as text, both included; "" for no limit
    """

    entities: tuple[str, ...] = hyperparameter(
        (), help=N_("Only this entity; may be given several times."), label=N_("Entities"), flag="--entity"
    )
    start: str = hyperparameter("", help=N_("Only rows from this moment on."), metavar="DATE")
    end: str = hyperparameter("", help=N_("Only rows until the end of this day."), metavar="DATE")

    def select(self, dataset: D) -> D:
        """Return the part of `dataset` that is asked about. Raises DataError when nothing is left."""
        import pandas as pd

        start, end = (pd.Timestamp(text) if text else None for text in (self.start, self.end))
        return dataset.select(self.entities, start, end)


@dataclass(frozen=True)
class ApplySpec(DataSpec):
    """Apply the model of an earlier run, with its threshold, to data."""

    chosen_by: ClassVar[str] = "model"

    model: str = hyperparameter(
        "", help=N_("Apply this model instead."), label=N_("Saved model"), metavar="RUN_ID|NAME@ALIAS"
    )

    def params(self) -> dict[str, Any]:
        """Return the parameters, the model under the name that says that nothing was fitted."""
        params = super().params()
        params["model_run"] = params.pop("model", "")
        return params


@dataclass(frozen=True)
class ThresholdSpec(DataSpec):
    """Judge the rows of an earlier run by another threshold: the one that people's verdicts on it led to.

    run        the earlier run; the dataset and the part of it are those of that run
    threshold  rows with a higher score are anomalies
    """

    chosen_by: ClassVar[str] = "run"

    run: str = hyperparameter("", help=N_("The run whose rows were judged."))
    threshold: float = hyperparameter(0.0, help=N_("Rows with a higher score are anomalies."))

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, a threshold that is no finite number among them."""
        if not math.isfinite(self.threshold):
            raise OptionError(N_("{name} = {value} is no finite number."), name="threshold", value=str(self.threshold))
        super().check()

    def params(self) -> dict[str, Any]:
        """Return the parameters: where the threshold comes from and what it is."""
        return {"threshold_from": "verdicts", "threshold_value": self.threshold, "source_run": self.run}


def _join(values: tuple[Any, ...]) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
