"""What is asked of series: which rows are learnt from, how they are scaled, and how many false alarms are accepted."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset
from core.detectors.scaling import METHODS, Method
from core.errors import DataError, OptionError
from core.evaluation.alarm_rates import alarm_rate
from core.messages import N_
from core.tasks.sequences.result import THOUSAND

PART, TRAIN = "part", "train"  # a context column that says which rows are for training, and what it says of them
KINDS = ("alarms", "pot", "contamination", "best_f1")
TIMES = ("week", "day", "hour", "month")


@dataclass(frozen=True)
class Asked:
    """How the threshold is chosen.

    kind    "alarms": at most `amount` false alarms `per` hour, day, week, month or 1,000 rows, over all entities
            together; "pot": the
            share `amount` of normal rows lies above it, by the tail of their scores; "contamination": the share
            `amount` of
            the rows judged is flagged; "best_f1": the best for these labels, which nobody could have known before
    """

    kind: Literal["alarms", "pot", "contamination", "best_f1"] = "alarms"
    amount: float = 2.0
    per: Literal["hour", "day", "week", "month", "1000 rows"] = "week"

    def check(self, dataset: Dataset) -> None:
        """Raises OptionError for a word or number that is not accepted, and for days and weeks without dates."""
        accepted = {"kind": (self.kind, KINDS), "per": (self.per, (*TIMES, THOUSAND))}
        for name, (value, words) in accepted.items():
            if value not in words:
                raise OptionError(
                    N_("{name} = {value!r} is not accepted; choose {accepted}."),
                    name=name,
                    value=value,
                    accepted=", ".join(words),
                )
        if self.kind == "alarms" and self.per != THOUSAND and row_seconds(dataset) is None:
            raise OptionError(N_("{file} has no dates: ask for alarms per 1,000 rows."), file=", ".join(dataset.files))
        if self.kind == "best_f1" and dataset.labels is None:
            raise OptionError(
                N_("The best threshold for labels needs labels, and {file} has none."), file=", ".join(dataset.files)
            )
        if self.kind != "best_f1" and not 0 < self.rate(dataset) < 1:
            raise OptionError(
                N_("A threshold that {value} of all rows lie above cannot be; ask for more than 0 and less than 1."),
                value=self.rate(dataset),
            )

    def rate(self, dataset: Dataset) -> float:
        """The share of rows that may be flagged."""
        if self.kind != "alarms":
            return self.amount
        seconds = row_seconds(dataset)
        if self.per == THOUSAND or seconds is None:
            return self.amount / 1000
        return alarm_rate(self.amount, self.per, seconds, len(dataset.entities))


@dataclass(frozen=True)
class Plan:
    """How rows are prepared and divided: `scaling` and `counts` as `Scaling` has them; `until` a moment or row
    number.
    """

    until: str = ""
    scaling: Method = "minmax"
    counts: bool = False

    def check(self) -> None:
        """Raises OptionError for a scaling that does not exist."""
        if self.scaling not in METHODS:
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."),
                name="scaling",
                value=self.scaling,
                accepted=", ".join(METHODS),
            )


# ---- rows -----------------------------------------------------------------------------------------------------------


def usual_until(dataset: Dataset) -> str:
    """The end of the training part where the files name one, else the moment that half of the rows come before."""
    if has_part(dataset):
        return TRAIN
    times = np.sort(dataset.time.to_numpy())
    middle = times[len(times) // 2]
    return str(pd.Timestamp(middle)) if dataset.dated else str(int(middle))


def learnt(dataset: Dataset, until: str) -> NDArray[np.bool_]:
    """True for the rows to learn from: those before `until`, or of the training part where it says "train".

    Raises OptionError for what is neither a moment nor a row number, DataError where no row or every row comes before.
    """
    if until == TRAIN and has_part(dataset):
        assert dataset.context is not None
        fitted = (dataset.context[PART].astype(str) == TRAIN).to_numpy()
    else:
        fitted = np.asarray(dataset.time < _moment(dataset, until))
    if fitted.all() or not fitted.any():
        raise DataError(
            N_(
                "{name} = {value}: {count} of {rows} rows come before it; some are needed to learn from and "
                "some to judge."
            ),
            name="until",
            value=until,
            count=int(fitted.sum()),
            rows=len(dataset),
        )
    return fitted


def has_part(dataset: Dataset) -> bool:
    """Do the files say which rows are for training?"""
    return (
        dataset.context is not None
        and PART in dataset.context
        and bool((dataset.context[PART].astype(str) == TRAIN).any())
    )


def _moment(dataset: Dataset, until: str) -> object:
    moment: object = pd.to_datetime(until, errors="coerce") if dataset.dated else pd.to_numeric(until, errors="coerce")
    if pd.isna(moment) or getattr(moment, "tz", None) is not None:
        accepted = f"{dataset.time.min()} … {dataset.time.max()}"
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."), name="until", value=until, accepted=accepted
        )
    return moment


def row_seconds(dataset: Dataset) -> float | None:
    """From one row of an entity to the next, by the entity with most rows; None without dates, and where no two
    differ.
    """
    if not dataset.dated or not len(dataset):
        return None
    if dataset.profile:
        return DAY.total_seconds()
    if dataset.step is not None:
        return dataset.step.total_seconds()
    longest = np.bincount(dataset.entity_codes).argmax()
    steps = np.diff(np.unique(dataset.time[dataset.entity_codes == longest].to_numpy()))
    return float(np.median(steps) / np.timedelta64(1, "s")) if len(steps) else None
