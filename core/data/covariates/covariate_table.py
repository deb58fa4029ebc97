"""Table of covariates from one file: one row per place and day."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates.column_names import takes_largest
from core.data.quality.findings import Finding

Places = NDArray[np.object_]
"""Place of every row."""

NATION = ""
"""Place of values for the whole country."""


@dataclass(frozen=True)
class CovariateTable:
    """Covariates of one file.

    kind      "weather", "strikes", "holidays", "school_breaks", "events" or "other"
    frame     float64, index (place, day), unique and sorted; a place is a canonical region of France, a school zone
              "A", "B", "C", any other name as the file writes it, or "" for all entities
    file      name of the file, as the user knows it
    notes     findings of reading: unknown names, unreadable cells, aggregated rows
    intraday  numbers at their local times, where the file has several values a day: float64, index (place, time),
              unique and sorted; None otherwise
    """

    kind: str
    frame: pd.DataFrame
    file: str
    notes: tuple[Finding, ...] = ()
    intraday: pd.DataFrame | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.frame.columns)

    @cached_property
    def places(self) -> list[str]:
        """Places of the table, sorted."""
        return sorted(self.frame.index.unique("place"))

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """Days of the table, sorted."""
        return pd.DatetimeIndex(self.frame.index.unique("day")).sort_values()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of kind, file name, places, times, columns and values."""
        hasher = hashlib.sha256(json.dumps([self.kind, self.file, self.columns, self.places]).encode())
        for frame in [self.frame, *([] if self.intraday is None else [self.intraday])]:
            place_codes = pd.Index(self.places).get_indexer(frame.index.get_level_values("place"))
            hasher.update(place_codes.astype("<i8").tobytes())
            hasher.update(frame.index.get_level_values(1).to_numpy("<M8[ns]").tobytes())
            hasher.update(np.ascontiguousarray(frame.fillna(np.nan).to_numpy(dtype="<f8")).data)
        return hasher.hexdigest()


def aggregate_by_day(
    values: pd.DataFrame, days: pd.DatetimeIndex, places: Places, written_places: Places | None = None
) -> pd.DataFrame:
    """Return one row per place and day: the mean of each column, or the maximum where `takes_largest`.

    `written_places` holds the places as the file writes them. Several of them may be one place (regions of before
    2016). Each of these then has the same weight, whatever its number of rows.
    """
    aggregation = {column: "max" if takes_largest(column) else "mean" for column in values.columns}
    keys = [pd.Index(places, name="place"), days.normalize().rename("day")]
    if written_places is not None:
        values = values.groupby([*keys, pd.factorize(written_places)[0]]).agg(aggregation)
        keys = [values.index.get_level_values(level) for level in ("place", "day")]
    return values.groupby(keys).agg(aggregation).astype(float)
