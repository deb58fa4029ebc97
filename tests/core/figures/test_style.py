"""Times of figures in short: as many characters as they need, and no other times."""

import json

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.figures.style import shorten_times

UNITS_NS = (86_400 * 10**9, 60 * 10**9, 10**9, 10**6, 1)


@given(st.lists(st.none() | st.integers(0, 10**5), max_size=5), st.sampled_from(UNITS_NS))
def test_short_times_are_the_same_times(counts: list[int | None], unit_ns: int) -> None:
    times = np.array(
        ["NaT" if count is None else np.datetime64(count * unit_ns, "ns") for count in counts], "datetime64[ns]"
    )
    figure = shorten_times(go.Figure(go.Scatter(x=times, y=np.arange(len(times)))))
    read = pd.to_datetime(pd.Series(json.loads(figure.to_json())["data"][0]["x"], dtype=object), format="ISO8601")
    assert read.astype("datetime64[ns]").equals(pd.Series(times))


@pytest.mark.parametrize(
    ("step", "text"), [("1D", "2024-01-02"), ("1h", "2024-01-01T01:00"), ("1s", "2024-01-01T00:00:01")]
)
def test_times_have_no_more_characters_than_they_need(step: str, text: str) -> None:
    times = pd.date_range("2024-01-01", periods=3, freq=step)
    figure = shorten_times(go.Figure([go.Scatter(x=times), go.Bar(x=["a"], y=[1]), go.Pie(labels=["a"], values=[1])]))
    traces = json.loads(figure.to_json())["data"]
    assert traces[0]["x"][1] == text
    assert traces[1]["x"] == ["a"]
