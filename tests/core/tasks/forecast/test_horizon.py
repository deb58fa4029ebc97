"""The default horizon: about a day of short steps, a week of days, never more than the history bears."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import DAY, Dataset, make_index
from core.data.frequencies import get_step
from core.data.panel import Panel
from core.tasks.forecast.horizon import MAX_SHORT_PERIODS, choose_horizon, suggest_horizon
from core.tasks.forecast.spec import MAX_HORIZON_PERIODS, ForecastSpec

ALIASES = (
    "s",
    "30s",
    "min",
    "5min",
    "15min",
    "30min",
    "h",
    "90min",
    "6h",
    "D",
    "2D",
    "W-MON",
    "MS",
    "QS-JAN",
    "YS-JAN",
)


@given(st.sampled_from(ALIASES), st.integers(3, 100_000))
def test_default_horizon_suits_step_and_history(frequency: str, count: int) -> None:
    horizon, step = choose_horizon(frequency, count), get_step(frequency)
    assert 1 <= horizon <= MAX_HORIZON_PERIODS["step"]
    if step < DAY:
        assert horizon <= max(MAX_SHORT_PERIODS, 7)
        assert horizon * step <= max(DAY, 7 * step)
        assert horizon <= max(count // 8, 7)


@pytest.mark.parametrize(
    ("alias", "count", "resolution", "periods"),
    [
        ("min", 3000, "auto", 60),
        ("h", 400, "auto", 24),
        ("h", 1000, "auto", 7),
        ("h", 1000, "step", 24),
        ("D", 90, "auto", 7),
    ],
)
def test_default_horizon_of_form_is_that_of_run(alias: str, count: int, resolution: str, periods: int) -> None:
    times = pd.date_range("2024-01-01", periods=count, freq=alias)
    values = pd.DataFrame({"total": np.arange(float(count)) + 1}, make_index(["a"] * count, times))
    dataset = Dataset(values, "tidy_series", step=get_step(alias))
    spec = ForecastSpec(resolution=resolution).choose_defaults(dataset)  # type: ignore[arg-type]
    series: Panel = spec.build_panel(dataset)
    assert spec.fill_defaults(dataset, series).horizon == periods
    assert suggest_horizon(resolution, dataset) == periods  # type: ignore[arg-type]
