"""Training rows of a forecaster with lag features, drawn over origins, steps ahead and entities."""

from dataclasses import dataclass

import numpy as np

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.forecasters.series.lag_features import LagTable

MIN_ORIGINS, MAX_ORIGINS = 30, 300
ENTITY_ORIGINS = 15_000  # of all entities together: many entities have fewer origins each


@dataclass(frozen=True)
class TrainingRows:
    """Features (rows, features), and targets (rows,): differences to the baseline as multiples of the scale."""

    features: Floats
    targets: Floats


def draw_training_rows(series: RegularSeries, horizon: int, max_rows: int, seed: int) -> TrainingRows:
    """Draw about `max_rows` rows: past origins after the first week, some steps after each, all entities.

    A row has the features of its origin and the value that came `lead` steps later.
    """
    generator = np.random.default_rng(seed)
    table = LagTable(series, horizon)
    first, last = series.week_steps, len(series) - 1
    origin_count = int(np.clip(ENTITY_ORIGINS // len(series.entities), MIN_ORIGINS, MAX_ORIGINS))
    origins = np.unique(np.linspace(first, last, origin_count).astype(int))
    leads_per_origin = max(max_rows // (len(origins) * len(series.entities)), 1)
    features, targets = [], []
    for origin in origins:
        possible = np.arange(1, min(horizon, len(series) - origin) + 1)
        leads = np.sort(generator.permutation(possible)[:leads_per_origin])
        rows = table.build_features(int(origin), leads)
        target = (series.values[origin + leads - 1] - rows.baseline) / rows.scale
        is_known = np.isfinite(target)
        features.append(rows.values[is_known])
        targets.append(target[is_known])
    matrix = np.concatenate(features)
    matrix[:, np.isnan(matrix).all(axis=0)] = 0.0  # the trees have no bins for a column without any value
    return TrainingRows(matrix, np.concatenate(targets))
