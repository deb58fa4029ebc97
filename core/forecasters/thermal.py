"""Amounts that weather and calendar explain, for the estimate of the effect of an event."""

import numpy as np
from numpy.typing import NDArray
from sklearn import linear_model

from core.data.panel import Panel
from core.forecasters.features import for_a_line
from core.forecasters.known import Known

Floats = NDArray[np.float64]


def weather_and_calendar(series: Panel, drivers: Known, event: str) -> Floats:
    """Return the amounts (days, entities) that weather and calendar explain; NaN where a feature is unknown.

    One regularised linear model per entity. It uses neither past amounts nor the covariate `event`.
    """
    amounts = series.lessons
    table = for_a_line(series, drivers, series.recent, 1)
    kept = np.array([group not in ("past", event, f"{event}_rate") for group in table.groups])
    found = np.full(amounts.shape, np.nan)
    for place in range(len(series.entities)):
        features = table.values[:, place][:, kept]
        usable = np.isfinite(features).all(axis=1)
        learnt = usable & np.isfinite(amounts[:, place])
        if learnt.sum() > kept.sum():
            mean, width = features[learnt].mean(axis=0), features[learnt].std(axis=0)
            scaled = (features - mean) / np.where(width > 0, width, 1)
            line = linear_model.RidgeCV(alphas=(1, 10, 100)).fit(scaled[learnt], amounts[learnt, place])
            found[usable, place] = line.predict(scaled[usable])
    return found
