"""Outline of a dataset: bounds, order of time, missing values; equal for a stored dataset. Sparkline of it."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from core.array_types import Floats
from core.data.dataset import Dataset, make_index
from core.data.outline import PARTS, Outline, outline_dataset, outline_values
from core.data.samples import SAMPLES, load_sample
from core.figures.sparkline import HEIGHT_PX, WIDTH_PX, draw_sparkline
from core.storage.datasets import DatasetStore


@given(arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=300)))
def test_outline_encloses_all_finite_values(values: Floats) -> None:
    outline = outline_values(values)
    finite = values[np.isfinite(values)]
    assert len(outline.low) == len(outline.high) <= min(PARTS, len(values))
    assert all(low <= high for low, high in zip(outline.low, outline.high, strict=True))
    assert bool(outline.low) == bool(finite.size)
    if finite.size:
        assert (min(outline.low), max(outline.high)) == (finite.min(), finite.max())


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=200))
def test_sparkline_stays_inside_its_image(values: list[float]) -> None:
    [polygon] = ElementTree.fromstring(draw_sparkline(values, values))
    points = [tuple(map(float, point.split(","))) for point in polygon.attrib["points"].split()]
    assert all(0 <= x <= WIDTH_PX and 0 <= y <= HEIGHT_PX for x, y in points)


@pytest.mark.parametrize("name", SAMPLES)
def test_outline_of_stored_dataset_equals_that_of_loaded_one(name: str, tmp_path: Path) -> None:
    dataset, store = load_sample(name), DatasetStore(tmp_path)
    outline = store.load_outline(store.save(dataset))
    assert outline == outline_dataset(dataset)
    assert len(outline.low) == PARTS


def test_outline_of_dataset_without_values_is_empty(tmp_path: Path) -> None:
    index = make_index(["north"] * 2, pd.date_range("2024-01-01", periods=2))
    dataset, store = Dataset(pd.DataFrame({"MW": [np.nan, np.nan]}, index), "tidy_series"), DatasetStore(tmp_path)
    assert outline_dataset(dataset) == store.load_outline(store.save(dataset)) == Outline()
    assert draw_sparkline((), ()) == ""
