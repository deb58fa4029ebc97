"""SPOT and DSPOT: single and batch updates, risk, alarms, drift, errors, speed."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.spot import Dspot, Spot
from core.evaluation.thresholds import fit_pot_threshold
from tests.support.sample_scores import DISTRIBUTIONS, draw_scores


def update_one_by_one(spot: Spot | Dspot, scores: Floats) -> tuple[list[float], list[bool]]:
    steps = [spot.update(float(score)) for score in scores]
    return [threshold for threshold, _ in steps], [alarm for _, alarm in steps]


@settings(max_examples=15)
@given(st.sampled_from(sorted(DISTRIBUTIONS)), st.integers(0, 1000), st.sampled_from([1e-2, 1e-3, 1e-5]))
def test_spot_update_many_equals_single_updates(name: str, seed: int, risk: float) -> None:
    scores = draw_scores(name, 1300, seed)
    for create in (lambda: Spot(risk), lambda: Dspot(risk, depth=20)):
        at_once, one_by_one = create().fit(scores[:600]), create().fit(scores[:600])
        thresholds, alarms = at_once.update_many(scores[600:])
        assert (thresholds.tolist(), alarms.tolist()) == update_one_by_one(one_by_one, scores[600:])
        assert at_once == one_by_one
        assert (alarms == (scores[600:] > thresholds)).mean() > 0.999  # the moving mean of DSPOT may round differently


@pytest.mark.parametrize("name", ["exponential", "normal", "lognormal"])
def test_spot_keeps_risk_when_alarms_update_it(name: str) -> None:
    """Six streams, fitted on 2,000 scores and run on 10,000. Published SPOT raises about twice the alarms."""

    def compute_alarm_rate(scores: Floats, learn_from_alarms: bool) -> float:
        return float(
            Spot(1e-3, learn_from_alarms=learn_from_alarms).fit(scores[:2000]).update_many(scores[2000:])[1].mean()
        )

    streams = [draw_scores(name, 12_000, seed) for seed in range(6)]
    assert np.mean([compute_alarm_rate(scores, True) for scores in streams]) == pytest.approx(1e-3, rel=0.25)
    assert 1.3e-3 < np.mean([compute_alarm_rate(scores, False) for scores in streams]) < 3.5e-3


def test_spot_threshold_equals_fit_on_all_normal_scores() -> None:
    scores = draw_scores("exponential", 3000)
    spot = Spot(1e-4).fit(scores[:1000])
    assert spot.threshold_ == fit_pot_threshold(scores[:1000], 1e-4).value
    spot.update_many(scores[1000:])
    excesses = np.asarray(spot.peaks_)
    assert len(excesses) == (scores > spot.tail_start_).sum()
    assert spot.score_count_ == 3000
    assert spot.threshold_ == pytest.approx(DISTRIBUTIONS["exponential"].isf(1e-4), rel=0.25)


def test_spot_ignores_alarms_when_refitting() -> None:
    spot = Spot(1e-3).fit(draw_scores("normal", 2000))
    before = (spot.threshold_, spot.score_count_, len(spot.peaks_))
    assert spot.update(50.0) == (before[0], True)
    assert (spot.threshold_, spot.score_count_, len(spot.peaks_)) == before


def test_spot_peak_changes_threshold() -> None:
    spot = Spot(1e-3).fit(draw_scores("normal", 2000))
    before = spot.threshold_
    assert spot.update(before - 0.01) == (before, False)
    assert spot.threshold_ > before


def test_dspot_follows_drift() -> None:
    """The level rises by 40 standard deviations, with one spike of 8. SPOT flags most rows, DSPOT the spike."""
    rise = np.linspace(0, 40, 10_000)
    scores = rise + draw_scores("normal", 10_000)
    scores[7000] = rise[7000] + 8
    plain, drifting = (spot.fit(scores[:2000]).update_many(scores[2000:])[1] for spot in (Spot(1e-3), Dspot(1e-3)))
    assert plain.mean() > 0.5
    assert drifting[5000]
    assert drifting.mean() < 4e-3


def test_dspot_mean_uses_normal_scores() -> None:
    scores = np.concatenate([draw_scores("normal", 1000), np.full(200, 30.0), draw_scores("normal", 100, seed=1)])
    spot = Dspot(1e-3, depth=30).fit(scores[:1000])
    thresholds, alarms = spot.update_many(scores[1000:])
    assert alarms[:200].all()
    assert not alarms[200:].any()
    assert thresholds[0] == thresholds[199]
    assert spot.last_sum_ == pytest.approx(scores[-30:].sum())


def test_spot_names_missing_requirements() -> None:
    with pytest.raises(OptionError, match=re.escape("risk = 0.05 is out of range. Accepted: 0 to 0.02")):
        Spot(0.05).fit(draw_scores("normal", 100))
    with pytest.raises(DataError, match=r"Too few scores: 20\. A moving mean over 50"):
        Dspot().fit(np.arange(20.0))


def test_spot_waits_for_enough_peaks() -> None:
    spot = Spot(1e-3).fit(np.arange(100.0))
    assert spot.threshold_ == 99
    spot.update_many(np.full(7, 98.5))
    assert spot.threshold_ == 99  # nine peaks
    spot.update_many([98.5])
    assert spot.threshold_ != 99
