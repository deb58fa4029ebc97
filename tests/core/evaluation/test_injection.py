"""Injected anomalies: positions, sizes and kinds; all other cells stay unchanged."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.explanation import compute_explanation_metrics, compute_moving_mean_distance
from core.evaluation.injection import ANOMALY_KINDS, MIN_GAP_ROWS, inject
from core.evaluation.vus import find_ranges


def make_seasonal_series(rows: int = 6000, columns: int = 4) -> Floats:
    """Return noisy daily cycles (rows, columns); each column has its own scale."""
    random = np.random.default_rng(0)
    cycle = np.sin(2 * np.pi * np.arange(rows)[:, None] / 48 + np.arange(columns))
    return np.asarray((cycle + 0.1 * random.normal(size=(rows, columns))) * 10.0 ** np.arange(columns))


@given(st.integers(100, 1500), st.integers(1, 4), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_inject_changes_only_labelled_cells(rows: int, columns: int, seed: int, share: float) -> None:
    values = make_seasonal_series(rows, columns)
    after, labels, events = inject(values, seed=seed, share=share)
    touched = np.zeros(values.shape, dtype=bool)
    for event in events:
        touched[event.start : event.stop, list(event.columns)] = True
    assert (after[~touched] == values[~touched]).all()
    assert (labels == touched.any(axis=1)).all()
    assert labels.mean() <= share + 1 / rows


@given(st.integers(100, 1500), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_inject_keeps_distance_between_events(rows: int, seed: int, share: float) -> None:
    _, labels, events = inject(make_seasonal_series(rows), seed=seed, share=share)
    first, last = find_ranges(labels)
    assert [(event.start, event.stop - 1) for event in events] == list(zip(first.tolist(), last.tolist(), strict=True))
    assert all(following.start - previous.stop >= MIN_GAP_ROWS for previous, following in pairwise(events))


def test_inject_is_reproducible_by_seed() -> None:
    values = make_seasonal_series()
    first, repeated, other = (inject(values, seed=seed) for seed in (3, 3, 4))
    assert first[2] == repeated[2] != other[2]
    assert (first[0] == repeated[0]).all()


def test_inject_keeps_input_and_dtype() -> None:
    values = make_seasonal_series().astype(np.float32)
    before = values.copy()
    after, labels, _ = inject(values, seed=0)
    assert (values == before).all()
    assert after.dtype == np.float32
    assert labels.mean() == pytest.approx(0.05, abs=0.005)


def test_inject_covers_kinds_sizes_and_lengths() -> None:
    _, _, events = inject(make_seasonal_series(60_000), seed=0, share=0.3)
    lengths = np.array([event.stop - event.start for event in events if event.kind != "spike"])
    sizes = np.array([event.size for event in events])
    assert {event.kind for event in events} == set(ANOMALY_KINDS)
    assert 22 < np.median(lengths) < 40
    assert max(event.stop - event.start for event in events if event.kind == "spike") <= 3
    assert np.quantile(sizes, 0.1) < 1.5 < 5 < np.quantile(sizes, 0.9)


def test_inject_shapes_events_by_kind() -> None:
    values = make_seasonal_series(40_000, 1)
    after, _, events = inject(values, seed=1, share=0.3)
    spread = values.std()
    for event in events:
        rows = slice(event.start, event.stop)
        change, new = (after - values)[rows, 0], after[rows, 0]
        assert np.abs(change).max() / spread == pytest.approx(event.size)
        if event.kind in ("spike", "shift"):
            assert np.ptp(change) == pytest.approx(0, abs=1e-9)
        elif event.kind == "drift":
            assert np.diff(np.abs(change)) == pytest.approx(np.abs(change[0]))
        elif event.kind == "frozen":
            assert new == pytest.approx(values[event.start - 1, 0], abs=1e-9)
        elif event.kind == "line" and len(new) > 2:
            assert np.diff(new, 2) == pytest.approx(0, abs=1e-9)
        elif event.kind in ("late", "stranger"):
            stretches = np.lib.stride_tricks.sliding_window_view(values[:, 0], len(new))
            assert np.abs(stretches - new).max(axis=1).min() < 1e-9


def test_inject_keeps_missing_values() -> None:
    values = make_seasonal_series()
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    after, labels, events = inject(values, seed=0)
    assert (np.isnan(after) == np.isnan(values)).all()
    assert labels.any()
    assert all(np.isfinite(event.size) for event in events)


def test_inject_skips_constant_columns() -> None:
    values = np.column_stack([np.full(3000, 7.0), make_seasonal_series(3000, 1)[:, 0], np.full(3000, np.nan)])
    after, _, events = inject(values, seed=0, share=0.2)
    assert {event.columns for event in events} == {(1,)}
    assert (after[:, 0] == 7).all()


def test_inject_rejects_invalid_input() -> None:
    with pytest.raises(OptionError, match=r"share = 0\.7 is out of range. Accepted: 0 to 0\.5"):
        inject(make_seasonal_series(), seed=0, share=0.7)
    with pytest.raises(DataError, match=r"Too few rows to inject anomalies: 99\. At least 100"):
        inject(make_seasonal_series(99), seed=0)
    with pytest.raises(DataError, match=r"No column varies \(columns: 2\)"):
        inject(np.column_stack([np.ones(200), np.full(200, np.nan)]), seed=0)


def test_injected_anomalies_can_be_detected_and_explained(shared_data: Path) -> None:
    """On normal rows of a real server, the distance to the moving mean is better than chance and not perfect."""
    values, labels, events = inject(np.load(shared_data / "smd" / "machine-1-6.npz")["train"], seed=0)
    distances = compute_moving_mean_distance(values)
    distance_card, random_card = (
        compute_detection_metrics(labels, scores)
        for scores in (distances.max(axis=1), np.random.default_rng(0).random(len(labels)))
    )
    assert 1.5 * random_card["vus_pr"] < distance_card["vus_pr"] < 0.9
    explanation = compute_explanation_metrics(distances, events)
    assert explanation["chance_100"] + 0.2 < explanation["hit_100"] < 1
