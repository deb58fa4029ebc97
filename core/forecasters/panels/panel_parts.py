"""Parts of a panel and its covariates: some entities, or the periods before an end."""

from collections.abc import Iterator
from dataclasses import replace

from core.data.panel import Panel
from core.forecasters.panels.covariate_panel import CovariatePanel

PART_CELLS = 4_000_000  # periods × entities × features at once, 32 MB


def split_range(numbers: range, cells: int) -> Iterator[slice]:
    """Yield slices of `numbers`, of which each has `cells` cells, that fit in memory together.

    Example:
        >>> list(split_range(range(1, 9, 2), 2_000_000))
        [slice(1, 4, 2), slice(5, 8, 2)]
    """
    size = max(PART_CELLS // cells, 1)
    for first in range(0, len(numbers), size):
        part = numbers[first : first + size]
        yield slice(part[0], part[-1] + 1, part.step)


def select_entities(series: Panel, covariates: CovariatePanel, entities: slice) -> tuple[Panel, CovariatePanel]:
    """Return the panel and the covariates of some entities; both are views.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=3)
        >>> series = Panel(days[:2], ("Lyon", "Nice"), ("day",), np.ones((2, 2, 1)))
        >>> known = CovariatePanel(days, {"wind": np.ones((3, 2))}, np.zeros((3, 2), dtype=bool))
        >>> part, known_part = select_entities(series, known, slice(1, 2))
        >>> part.entities, known_part.columns["wind"].shape
        (('Nice',), (3, 1))
    """
    errors = covariates.temperature_error
    return (
        replace(series, entities=series.entities[entities], values=series.values[:, entities]),
        replace(
            covariates,
            columns={name: values[:, entities] for name, values in covariates.columns.items()},
            assumed=covariates.assumed[:, entities],
            temperature_error=None if errors is None else errors[:, :, entities],
            at_times={name: values[:, entities] for name, values in covariates.at_times.items()},
        ),
    )


def select_periods_before(series: Panel, covariates: CovariatePanel, end: int) -> tuple[Panel, CovariatePanel]:
    """Return the periods up to, not including, index `end`, and their covariates with the period after them.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> series = Panel(days[:3], ("Lyon",), ("day",), np.ones((3, 1, 1)))
        >>> known = CovariatePanel(days, {"wind": np.ones((4, 1))}, np.zeros((4, 1), dtype=bool))
        >>> part, known_part = select_periods_before(series, known, 2)
        >>> len(part), len(known_part.periods)
        (2, 3)
    """
    if end >= len(series):
        return series, covariates
    return replace(series, periods=series.periods[:end], values=series.values[:end]), select_rows(
        covariates, slice(end + 1)
    )


def select_last_periods(series: Panel, covariates: CovariatePanel, count: int) -> tuple[Panel, CovariatePanel]:
    """Return the last `count` periods, and their covariates with the period after them.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> series = Panel(days[:3], ("Lyon",), ("day",), np.ones((3, 1, 1)))
        >>> known = CovariatePanel(days, {"wind": np.ones((4, 1))}, np.zeros((4, 1), dtype=bool))
        >>> part, known_part = select_last_periods(series, known, 2)
        >>> part.periods[0] == known_part.periods[0], len(part), len(known_part.periods)
        (True, 2, 3)
    """
    return series.tail(count), select_rows(covariates, slice(max(len(series) - count, 0), None))


def select_rows(covariates: CovariatePanel, rows: slice) -> CovariatePanel:
    """Return some rows of the covariates."""
    errors = covariates.temperature_error
    return replace(
        covariates,
        periods=covariates.periods[rows],
        columns={name: values[rows] for name, values in covariates.columns.items()},
        assumed=covariates.assumed[rows],
        temperature_error=None if errors is None else errors[rows],
        at_times={name: values[rows] for name, values in covariates.at_times.items()},
    )
