"""Detectors that know seasons, windows and smoothing in time, and the notes about fitted detectors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.detectors.base import Floats32
from core.detectors.scaling import Scaling
from core.detectors.seasons import Seasons
from core.detectors.sequence_model import SequenceModel
from core.detectors.sequences.level_shift import LevelShift
from core.detectors.sequences.matrix_profile import MatrixProfile
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.seasonal_residual import SeasonalResidual
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation.score_checks import check_score_range, check_training
from core.progress import Progress

HOUR_S, DAY_S = 3600.0, 86_400.0


def make_hours(days: int, seed: int = 0) -> Floats32:
    """Make one column with a daily and a weekly season, and noise of standard deviation 0.05."""
    hour = np.arange(24 * days)
    season = np.sin(2 * np.pi * hour / 24) - 0.5 * (hour // 24 % 7 >= 5)
    return (season + np.random.default_rng(seed).normal(0, 0.05, len(hour))).astype(np.float32)[:, None]


def fit_on_hours(detector: SeasonalResidual | LevelShift) -> SeasonalResidual | LevelShift:
    detector.step_seconds_ = HOUR_S
    return detector.fit([make_hours(56)], Progress())


def make_profiles(days: int, seed: int) -> Dataset:
    """Make days of 24 hours around one shape."""
    rng = np.random.default_rng(seed)
    values = (3 + np.sin(np.arange(24) / 4)) * rng.uniform(0.9, 1.1, (days, 1)) + rng.normal(0, 0.05, (days, 24))
    index = make_index(["north"] * days, pd.date_range("2023-01-01", periods=days))
    columns = [f"{hour:02d}:00" for hour in range(24)]
    return Dataset(pd.DataFrame(values, index, columns), "daily_profile", profile=True, step=pd.Timedelta(hours=1))


# ---- seasons --------------------------------------------------------------------------------------------------------


def test_seasons_of_hours_are_a_day_and_a_week() -> None:
    assert Seasons().fit([make_hours(56)], HOUR_S).periods_ == [24, 168]


def test_seasons_of_noise_are_none() -> None:
    noise = np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    assert Seasons().fit([noise], HOUR_S).periods_ == []


@settings(max_examples=20)
@given(st.integers(0, 167), st.integers(30, 400))
def test_short_series_gets_the_season_of_its_own_phase(start: int, rows: int) -> None:
    seasons = Seasons().fit([make_hours(56)], HOUR_S)
    part = make_hours(28, seed=1)[start : start + rows]
    rest = part - seasons.compute_season(part)
    assert np.abs(rest - np.median(rest)).mean() < 0.2


# ---- what the new detectors find ------------------------------------------------------------------------------------


def test_seasonal_residual_finds_usual_value_at_unusual_hour() -> None:
    values = make_hours(56, seed=1)
    values[24 * 20 + 6] = 0.0  # six o'clock is the highest hour; the value occurs twice on every other day
    assert int(fit_on_hours(SeasonalResidual()).score(values).score.argmax()) == 24 * 20 + 6
    distance = MeanDistance().fit([make_hours(56)], Progress()).score(values).score
    assert int(distance.argmax()) != 24 * 20 + 6


@pytest.mark.parametrize("size", [-0.5, 0.5])
def test_level_shift_is_highest_at_the_change(size: float) -> None:
    values = make_hours(56, seed=1)
    values[24 * 20 :] += size
    score = fit_on_hours(LevelShift()).score(values).score
    assert abs(int(score.argmax()) - 24 * 20) <= 2
    assert score[24 * 30 :].max() < score.max() / 2  # the new level is no news later


def test_level_shift_scores_no_border_of_a_gap() -> None:
    values = make_hours(56, seed=1)
    values[500:600] = np.nan
    score = fit_on_hours(LevelShift()).score(values).score
    assert score[480:620].max() <= 1.5 * np.delete(score, np.s_[480:620]).max()


def test_matrix_profile_by_hand() -> None:
    train = np.array([[0], [1], [0], [1], [0]], dtype=np.float32)
    scored = MatrixProfile(window=2).fit([train], Progress()).score(np.array([[0], [1], [3]], dtype=np.float32))
    assert scored.score.tolist() == pytest.approx([0.0, 1.25, 2.5])  # windows (0, 1): 0, and (1, 3) − (1, 0): 4.5
    assert MatrixProfile(window=2).fit([train], Progress()).score(train).score.tolist() == [0.0] * 5


# ---- windows and smoothing in time ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step_seconds", "window_rows", "smoothing_rows"),
    [
        (None, 20, 11),
        (60.0, 20, 11),
        (300.0, 20, 11),
        (900.0, 20, 5),
        (HOUR_S, 20, 1),
        (DAY_S / 4, 4, 1),
        (DAY_S, 1, 1),
    ],
)
def test_windows_and_smoothing_depend_on_step(
    step_seconds: float | None, window_rows: int, smoothing_rows: int
) -> None:
    simple, deep = SubPCA(), SGmVRNN()
    simple.step_seconds_ = deep.step_seconds_ = step_seconds
    assert (simple.window_rows, deep.smoothing_rows) == (window_rows, smoothing_rows)


def test_chosen_window_and_smoothing_are_used_at_any_step() -> None:
    simple, deep = SubPCA(window=7), SGmVRNN(smoothing=3)
    simple.step_seconds_ = deep.step_seconds_ = DAY_S
    assert (simple.window_rows, deep.smoothing_rows) == (7, 3)


@pytest.mark.parametrize(
    "detector", [SubPCA(), MatrixProfile(), SGmVRNN(steps=60, batch_size=32)], ids=lambda item: item.name
)
def test_unusual_day_rings_on_its_own_day(detector: SubPCA | MatrixProfile | SGmVRNN) -> None:
    """A day of four times its values is above all usual days; of its neighbours, at most the next day is, too."""
    model = SequenceModel(detector, Scaling()).fit(make_profiles(200, seed=0))
    days = make_profiles(120, seed=1)
    changed = days.frame.copy()
    changed.iloc[60] *= 4
    [scored] = model.score(days.replace(frame=changed))
    is_alarm = scored.score > max(model.calibration_.max(), np.delete(scored.score, np.s_[50:70]).max())
    assert is_alarm[60]
    assert set(np.flatnonzero(is_alarm)) <= {60, 61}


# ---- notes ----------------------------------------------------------------------------------------------------------


def test_training_of_few_steps_is_noted() -> None:
    progress = Progress()
    SGmVRNN(steps=20, batch_size=16).fit([make_hours(20)], progress)
    [note] = check_training(progress.curves, "held-out rows")
    assert "20" in str(note)


def test_early_stopping_is_not_noted() -> None:
    losses = [9.0, 2.0, 1.0, 0.9, 0.95, 0.97, 0.99, 1.0]
    assert check_training({"held-out": list(zip(range(50, 450, 50), losses, strict=True))}, "held-out") == ()


@pytest.mark.parametrize("scores", [np.zeros(100), np.full(100, -8.0), -8 + 1e-3 * np.arange(60) / 60])
def test_constant_scores_are_noted(scores: np.ndarray) -> None:
    assert len(check_score_range(scores)) == 1
