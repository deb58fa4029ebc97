"""Injected anomalies: positions, sizes and kinds; all other cells stay unchanged."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, OptionError
from core.evaluation.explanation import explanation_card, moving_mean_distance
from core.evaluation.injection import KINDS, REST, inject
from core.evaluation.metrics import score_card
from core.evaluation.ranges import ranges
from core.evaluation.scores import Floats

quick = settings(max_examples=60, deadline=None)


def seasonal(rows: int = 6000, columns: int = 4) -> Floats:
    """Return noisy daily cycles (rows, columns); each column has its own scale."""
    random = np.random.default_rng(0)
    cycle = np.sin(2 * np.pi * np.arange(rows)[:, None] / 48 + np.arange(columns))
    return np.asarray((cycle + 0.1 * random.normal(size=(rows, columns))) * 10.0 ** np.arange(columns))


@quick
@given(st.integers(100, 1500), st.integers(1, 4), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_nothing_but_the_planted_cells_changes(rows: int, columns: int, seed: int, share: float) -> None:
    values = seasonal(rows, columns)
    after, labels, planted = inject(values, seed=seed, share=share)
    touched = np.zeros(values.shape, dtype=bool)
    for event in planted:
        touched[event.start : event.stop, list(event.columns)] = True
    assert (after[~touched] == values[~touched]).all()
    assert (labels == touched.any(axis=1)).all()
    assert labels.mean() <= share + 1 / rows


@quick
@given(st.integers(100, 1500), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_events_keep_apart(rows: int, seed: int, share: float) -> None:
    _, labels, planted = inject(seasonal(rows), seed=seed, share=share)
    first, last = ranges(labels)
    assert [(event.start, event.stop - 1) for event in planted] == list(zip(first.tolist(), last.tolist(), strict=True))
    assert all(other.start - one.stop >= REST for one, other in pairwise(planted))


def test_the_same_seed_plants_the_same() -> None:
    values = seasonal()
    one, same, other = (inject(values, seed=seed) for seed in (3, 3, 4))
    assert one[2] == same[2] != other[2]
    assert (one[0] == same[0]).all()


def test_the_series_is_left_untouched_and_its_kind_kept() -> None:
    values = seasonal().astype(np.float32)
    before = values.copy()
    after, labels, _ = inject(values, seed=0)
    assert (values == before).all()
    assert after.dtype == np.float32
    assert labels.mean() == pytest.approx(0.05, abs=0.005)


def test_every_kind_is_planted_at_many_sizes_and_lengths() -> None:
    _, _, planted = inject(seasonal(60_000), seed=0, share=0.3)
    lengths = np.array([event.stop - event.start for event in planted if event.kind != "spike"])
    sizes = np.array([event.size for event in planted])
    assert {event.kind for event in planted} == set(KINDS)
    assert 22 < np.median(lengths) < 40
    assert max(event.stop - event.start for event in planted if event.kind == "spike") <= 3
    assert np.quantile(sizes, 0.1) < 1.5 < 5 < np.quantile(sizes, 0.9)


def test_kinds_are_what_they_are_called() -> None:
    values = seasonal(40_000, 1)
    after, _, planted = inject(values, seed=1, share=0.3)
    spread = values.std()
    for event in planted:
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


def test_missing_values_stay_missing() -> None:
    values = seasonal()
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    after, labels, planted = inject(values, seed=0)
    assert (np.isnan(after) == np.isnan(values)).all()
    assert labels.any()
    assert all(np.isfinite(event.size) for event in planted)


def test_columns_that_never_change_are_left_alone() -> None:
    values = np.column_stack([np.full(3000, 7.0), seasonal(3000, 1)[:, 0], np.full(3000, np.nan)])
    after, _, planted = inject(values, seed=0, share=0.2)
    assert {event.columns for event in planted} == {(1,)}
    assert (after[:, 0] == 7).all()


def test_what_it_says_no_to() -> None:
    with pytest.raises(OptionError, match=r"share = 0\.7 is outside 0 to 0\.5"):
        inject(seasonal(), seed=0, share=0.7)
    with pytest.raises(DataError, match="99 rows are too few to plant anomalies in; at least 100"):
        inject(seasonal(99), seed=0)
    with pytest.raises(DataError, match="None of 2 columns ever changes"):
        inject(np.column_stack([np.ones(200), np.full(200, np.nan)]), seed=0)


def test_planted_anomalies_can_be_found_and_explained(shared_data: Path) -> None:
    """On normal rows of a real server, the distance to the moving mean is better than chance and not perfect."""
    values, labels, planted = inject(np.load(shared_data / "smd" / "machine-1-6.npz")["train"], seed=0)
    away = moving_mean_distance(values)
    found, noise = (
        score_card(labels, scores) for scores in (away.max(axis=1), np.random.default_rng(0).random(len(labels)))
    )
    assert 1.5 * noise["vus_pr"] < found["vus_pr"] < 0.9
    card = explanation_card(away, planted)
    assert card["chance_100"] + 0.2 < card["hit_100"] < 1
