"""One file of drivers as read: one row per place and day, whatever stood in the file."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.names import LARGEST
from core.data.quality.findings import Finding

Places = NDArray[np.object_]
"""The place of every row."""

NATION = ""
"""The place of what holds for the whole country."""


@dataclass(frozen=True)
class CovariateTable:
    """One file of drivers.

    kind    "weather", "strikes", "holidays", "school_breaks" or "other"
    frame   float64, index (place, day), unique and sorted; a place is a canonical region, a school zone "A", "B", "C",
            or "" for the whole country
    file    the name the user knows it by
    notes   what reading it found: unknown names, unreadable cells, rows taken together
    """

    kind: str
    frame: pd.DataFrame
    file: str
    notes: tuple[Finding, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.frame.columns)

    @cached_property
    def places(self) -> list[str]:
        """The places it tells of, sorted."""
        return sorted(self.frame.index.unique("place"))

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """The days it tells of, sorted."""
        return pd.DatetimeIndex(self.frame.index.unique("day")).sort_values()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of kind, file name, places, days, columns and values."""
        found = hashlib.sha256(json.dumps([self.kind, self.file, self.columns, self.places]).encode())
        place = pd.Index(self.places).get_indexer(self.frame.index.get_level_values("place"))
        found.update(place.astype("<i8").tobytes())
        found.update(self.frame.index.get_level_values("day").to_numpy("<M8[ns]").tobytes())
        found.update(np.ascontiguousarray(self.frame.fillna(np.nan).to_numpy(dtype="<f8")).data)
        return found.hexdigest()


def by_day(values: pd.DataFrame, day: pd.DatetimeIndex, place: Places, written: Places | None = None) -> pd.DataFrame:
    """One row per place and day: the mean of a column, the largest value of a flag.

    `written` is the place as the file writes it. Where several of them are one place (regions of before 2016), each
    counts once, however many rows it has.
    """
    rule = {column: "max" if column in LARGEST else "mean" for column in values.columns}
    keys = [pd.Index(place, name="place"), day.normalize().rename("day")]
    if written is not None:
        values = values.groupby([*keys, pd.factorize(written)[0]]).agg(rule)
        keys = [values.index.get_level_values(level) for level in ("place", "day")]
    return values.groupby(keys).agg(rule).astype(float)
