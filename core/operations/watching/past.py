"""The past of a watch: stored rows before new ones."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset, make_index
from core.data.time_zones import to_local_times
from core.operations.watching.reading import join_rows
from core.storage.watches.judged_rows import JudgedRows
from core.watches.judgement import Judge
from core.watches.watch import Watch

GAP_FACTOR = 2  # a past of so many steps is loaded for every step that a judge needs, because rows may be missing


@dataclass(frozen=True)
class Past:
    """Stored rows of a watch, in the form of its model."""

    watch: Watch
    rows: JudgedRows
    judge: Judge

    @property
    def length(self) -> timedelta:
        """Time before a new row in which the rows lie that its judgement needs."""
        return self.judge.past_rows * GAP_FACTOR * self._step

    @property
    def _step(self) -> timedelta:
        template: Dataset = self.judge.template
        step = DAY if template.profile or template.step is None else template.step
        return timedelta(seconds=step.total_seconds())

    def join(self, dataset: Dataset, needs_judgement: NDArray[np.bool_]) -> tuple[Dataset, NDArray[np.bool_]]:
        """Return the rows with those before them that the judge needs, by entity and time, and which are to be judged.

        Rows of `dataset` that need no judgement are past rows too.
        """
        if not self.judge.past_rows:
            return dataset, needs_judgement
        instants = dataset.compute_instants()
        wanted = instants[needs_judgement]
        entities = set(dataset.entity[needs_judgement].astype(str))
        first, last = _to_utc(wanted.min()) - self.length, _to_utc(wanted.max())
        stored = self._load(entities, first, last)
        joined = dataset if stored is None else join_rows([stored, dataset], self.judge.template)
        is_new = np.concatenate([np.zeros(len(joined) - len(dataset), dtype=bool), needs_judgement])
        keys = pd.MultiIndex.from_arrays([joined.entity.astype(str), joined.compute_instants()])
        is_last = ~keys.duplicated("last")  # rows that came now replace stored ones
        kept, kept_new = joined.take_rows(is_last), is_new[is_last]
        order = np.lexsort((kept.compute_instants().to_numpy(), kept.entity_codes))
        return kept.take_rows(order), kept_new[order]

    def _load(self, entities: Collection[str], since: datetime, until: datetime) -> Dataset | None:
        """Return the stored rows of some entities from `since` to before `until`; None without any."""
        stored = self.rows.load_past(self.watch.name, entities, since, until)
        template: Dataset = self.judge.template
        stored = stored[~self._mark_outdated(stored)]
        if stored.empty or list(stored.columns) != template.columns:
            return None
        return build_past_dataset(stored, template)

    def _mark_outdated(self, stored: pd.DataFrame) -> NDArray[np.bool_]:
        """Return True for rows before a level that a person accepted."""
        entities, instants = (stored.index.get_level_values(level) for level in (0, 1))
        is_outdated = np.zeros(len(stored), dtype=bool)
        for level in self.watch.new_normals:
            since = pd.Timestamp(level.since).tz_convert(None)
            is_outdated |= np.asarray((entities == level.entity) & (instants < since))
        return is_outdated


def build_past_dataset(stored: pd.DataFrame, template: Dataset) -> Dataset:
    """Return stored rows, with the index (entity, instant), as a dataset in the form of `template`."""
    instants = pd.DatetimeIndex(stored.index.get_level_values(1))
    times, fold = (
        to_local_times(instants, template.zone)
        if is_zone_known(template.zone)
        else (instants, np.zeros(len(instants), dtype=bool))
    )
    index = make_index(stored.index.get_level_values(0), times)
    return template.replace(
        frame=pd.DataFrame(stored.to_numpy(dtype=np.float64), index=index, columns=template.columns),
        fold=pd.Series(fold, index=index, name="fold") if fold.any() else None,
    )


def is_zone_known(zone: str) -> bool:
    """Tell whether the instants of data in this zone are known; data of days may have several offsets."""
    return bool(zone) and "/+" not in zone and "/-" not in zone


def _to_utc(instant: pd.Timestamp) -> datetime:
    return instant.tz_localize(UTC).to_pydatetime()
