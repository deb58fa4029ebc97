"""Result of the cleaning of counts: every change, the thresholds, and the cleaned dataset."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.cleaning import CLEANED, IS_IMPUTED, IS_SPIKE, CleanedSeries
from core.data.dataset import DataSummary
from core.data.time_zones import to_local_times
from core.messages import N_, Message
from core.runs.result import Result
from core.tasks.call_records.clean_spec import CleanSpec


@dataclass(frozen=True)
class CleaningResult(Result):
    """Values of one column before and after the cleaning.

    data             files, unit and columns of the dataset
    measure          the cleaned column
    cleaned_dataset  digest of the stored dataset with the cleaned values
    rows             entity, time (local clock), timestamp (with the offset, where the zone is known), original,
                     cleaned, is_spike, is_imputed, weeks_back, is_shift; without the steps that have no value before
                     and after
    entities         entity, threshold (NaN if too few values), spikes, imputed, silent, missing, shifts
    notes            what a reader has to know
    """

    spec: CleanSpec
    data: DataSummary
    measure: str
    cleaned_dataset: str
    rows: pd.DataFrame
    entities: pd.DataFrame
    notes: tuple[Message, ...] = ()

    @property
    @override
    def made_dataset(self) -> str:
        return self.cleaned_dataset

    def metrics(self) -> dict[str, float]:
        """Return the numbers of changes, and the range of the thresholds."""
        counts: dict[str, float] = {
            name: int(self.entities[column].sum())
            for name, column in (
                ("spikes", "spikes"),
                ("imputed", "imputed"),
                ("still_missing", "missing"),
                ("level_shifts", "shifts"),
                ("silent", "silent"),
            )
        }
        thresholds = self.entities["threshold"].dropna()
        if thresholds.empty:
            return counts
        if len(self.entities) == 1:
            return {**counts, "threshold": float(thresholds.iloc[0])}
        return {**counts, "lowest_threshold": float(thresholds.min()), "highest_threshold": float(thresholds.max())}

    def to_frame(self) -> pd.DataFrame:
        """Return the table to export: timestamp, the measured column, cleaned, is_spike, is_imputed.

        Several entities follow each other, named in the column trunk.
        """
        table = self.rows[["timestamp", "original", CLEANED, IS_SPIKE, IS_IMPUTED]].rename(
            columns={"original": self.measure, IS_SPIKE: self.spec.spike_column}
        )
        if len(self.entities) > 1:
            table.insert(1, "trunk", self.rows["entity"].astype(str))
        return table

    def list_changes(self) -> pd.DataFrame:
        """Return the rows whose value changed, and those of level shifts."""
        return self.rows[self.rows[IS_SPIKE] | self.rows[IS_IMPUTED] | self.rows["is_shift"]]


def tabulate_rows(cleaned: CleanedSeries, zone: str) -> pd.DataFrame:
    """Return one row per entity and step with a value before or after the cleaning, as in `CleaningResult.rows`.

    `zone` is that of the dataset; "" for a clock of an unknown zone.
    """
    series = cleaned.original
    steps, entities = np.nonzero((~np.isnan(series.values) | ~np.isnan(cleaned.values)).T)[::-1]
    instants = series.times[steps]
    is_known = bool(zone) and "/+" not in zone and "/-" not in zone
    cells = (steps, entities)
    return pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(entities, list(series.entities)),
            "time": to_local_times(instants, zone)[0] if is_known else instants,
            "timestamp": instants.tz_localize("UTC").tz_convert(zone) if is_known else instants,
            "original": series.values[cells],
            CLEANED: cleaned.values[cells],
            IS_SPIKE: cleaned.is_spike[cells],
            IS_IMPUTED: cleaned.is_imputed[cells],
            "weeks_back": cleaned.weeks_back[cells].astype(np.int8),
            "is_shift": cleaned.is_shift[cells],
        }
    )


def tabulate_entities(cleaned: CleanedSeries) -> pd.DataFrame:
    """Return the threshold and the numbers of changes of every entity."""
    marks = {
        "spikes": cleaned.is_spike,
        "imputed": cleaned.is_imputed,
        "silent": cleaned.is_silent,
        "missing": cleaned.is_missing,
    }
    starts = cleaned.is_shift & ~np.roll(cleaned.is_shift, 1, axis=0)
    starts[0] = cleaned.is_shift[0]
    return pd.DataFrame(
        {
            "entity": list(cleaned.original.entities),
            "threshold": cleaned.thresholds,
            **{name: mask.sum(axis=0) for name, mask in marks.items()},
            "shifts": starts.sum(axis=0),
        }
    )


def describe_cleaning(cleaned: CleanedSeries, entities: pd.DataFrame, fill_from: str) -> tuple[Message, ...]:
    """Return what a reader has to know: thresholds that were not learnt, values of older weeks, what stays missing."""
    notes = []
    unknown = int(entities["threshold"].isna().sum())
    if unknown:
        notes.append(
            Message(
                N_("Too few values to learn a threshold, so no spike was looked for (entities: {count})."),
                {"count": unknown},
            )
        )
    silent = int(cleaned.is_silent.sum())
    if silent:
        notes.append(
            Message(
                N_(
                    "Zeros of all entities for a day or longer were taken as missing records ({count} values). Choose "
                    "“measured zeros” if there really were no events."
                ),
                {"count": silent},
            )
        )
    older = int((cleaned.weeks_back > 1).sum())
    if older:
        notes.append(
            Message(
                N_("Values from two to four weeks before, because the week before has no value either: {count}."),
                {"count": older},
            )
        )
    missing = int(entities["missing"].sum())
    if missing:
        notes.append(
            Message(
                N_("Values that stay missing, because no earlier week has a value at the same time: {count}.")
                if fill_from == "previous-week"
                else N_("Values that stay missing: {count}."),
                {"count": missing},
            )
        )
    if cleaned.is_shift.any():
        notes.append(
            Message(
                N_("Level shifts that were kept, because the values stay at the new level: {count}."),
                {"count": int(entities["shifts"].sum())},
            )
        )
    return tuple(notes)
