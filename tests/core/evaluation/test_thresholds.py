"""Thresholds and their false-alarm rates on scores of known distributions; alarms per week."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation import thresholds
from core.evaluation.alarm_rates import (
    compute_wilson_interval,
    convert_alarms_to_rate,
    convert_rate_to_alarms,
    measure_alarm_rate,
)
from core.evaluation.generalised_pareto import ParetoTail, fit_pareto_tail, predict_excess
from core.evaluation.one_class import fit_normal_threshold
from core.evaluation.promises import fit_promise
from core.evaluation.stand_out import fit_stand_out_threshold
from core.evaluation.thresholds import compute_p_values, find_best_f1_threshold, fit_alarm_threshold, fit_pot_threshold
from core.messages import Message
from tests.support.sample_scores import DISTRIBUTIONS, draw_scores


@st.composite
def samples(draw: st.DrawFn, most: int = 400) -> Floats:
    """Draw scores of a distribution, with ties where they are rounded."""
    name = draw(st.sampled_from(sorted(DISTRIBUTIONS)))
    return draw_scores(name, draw(st.integers(1, most)), draw(st.integers(0, 10_000))).round(
        draw(st.sampled_from([1, 12]))
    )


# ---- tail of the scores ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [-0.5, -0.2, 0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("count", [30, 300, 3000])
def test_fit_tail_maximises_likelihood(shape: float, count: int) -> None:
    """The likelihood is at least as high as that of the general search of scipy."""
    excesses = stats.genpareto.rvs(shape, scale=3, size=count, random_state=np.random.default_rng(count))
    tail, (scipy_shape, _, scale) = fit_pareto_tail(excesses, 0.0, count), stats.genpareto.fit(excesses, floc=0)
    ours, theirs = (
        stats.genpareto.logpdf(excesses, *law).sum() for law in ((tail.shape, 0, tail.scale), (scipy_shape, 0, scale))
    )
    assert ours >= theirs - 1e-3
    assert tail.shape == pytest.approx(scipy_shape, abs=2e-3)


def test_fit_tail_handles_exponential_shape() -> None:
    """Exponential excesses, whose mean square is twice the squared mean, have a shape of about 0."""
    excesses = -np.log1p(-(np.arange(2000) + 0.5) / 2000)
    tail = fit_pareto_tail(excesses, 10.0, 100_000)
    assert tail.shape == pytest.approx(0, abs=0.01)
    assert tail.scale == pytest.approx(1, abs=0.01)
    exact, near = (ParetoTail(10.0, shape, 1.0, 0.02, 2000).compute_quantile(1e-5) for shape in (0.0, 1e-9))
    assert exact == pytest.approx(10 + np.log(2000))
    assert near == pytest.approx(exact)


def test_fit_tail_does_not_depend_on_units() -> None:
    excesses = draw_scores("Pareto", 200)
    small, large = (fit_pareto_tail(unit * excesses, 0.0, 200) for unit in (1e-9, 1e9))
    assert small.shape == pytest.approx(large.shape)
    assert small.scale * 1e18 == pytest.approx(large.scale)


@pytest.mark.parametrize(("shape", "worst"), [(-1.5, -1.0), (-3.0, -1.0)])
def test_fit_tail_limits_shape_to_uniform(shape: float, worst: float) -> None:
    """Below a shape of −1 the likelihood grows without bound towards the largest excess."""
    excesses = stats.genpareto.rvs(shape, size=200, random_state=np.random.default_rng(0))
    tail = fit_pareto_tail(excesses, 0.0, 200)
    assert worst <= tail.shape < -0.9
    assert tail.compute_quantile(1e-9) >= excesses.max() * 0.999


# ---- peaks over threshold -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("risk", [1e-3, 1e-4])
def test_pot_threshold_matches_known_quantiles(name: str, risk: float) -> None:
    """The chance to exceed the threshold equals the risk up to sampling error.

    Of 20,000 scores 400 lie in the tail.
    """
    results = [fit_pot_threshold(draw_scores(name, 20_000, seed), risk) for seed in range(20)]
    assert {threshold.method for threshold in results} == {"pot"}
    true_rates = np.array([DISTRIBUTIONS[name].sf(threshold.value) for threshold in results])
    assert np.median(true_rates) == pytest.approx(risk, rel=0.35)
    if name != "uniform":  # its end lies just above the threshold: the chance can be 0
        assert (true_rates > risk / 6).all()
    assert (true_rates < risk * 2.5).all()
    distance = np.abs([threshold.value for threshold in results] - DISTRIBUTIONS[name].isf(risk))
    assert np.median(distance) < 0.1 * DISTRIBUTIONS[name].isf(risk)


@given(samples(), st.lists(st.floats(1e-7, 0.999), min_size=2, max_size=2))
def test_threshold_grows_with_smaller_risk(scores: Floats, risks: list[float]) -> None:
    rare, common = sorted(risks)
    for threshold in (fit_alarm_threshold, fit_pot_threshold):
        assert threshold(scores, rare).value >= threshold(scores, common).value


def test_pot_threshold_notes_too_few_peaks() -> None:
    threshold = fit_pot_threshold(np.arange(100.0), 1e-4)
    assert threshold.method == "highest"
    assert threshold.value == 99
    assert threshold.target_rate == pytest.approx(1 / 101)
    assert "Only 2 lie in the tail; extrapolation needs at least 10" in str(threshold.note)
    constant = fit_pot_threshold(np.ones(500), 1e-4)
    assert (constant.method, constant.value) == ("highest", 1)


def test_pot_threshold_uses_rank_below_tail() -> None:
    threshold = fit_pot_threshold(np.arange(999.0), 0.1)
    assert (threshold.method, threshold.value) == ("conformal", 899)


# ---- conformal thresholds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_alarm_threshold_meets_target_rate(rate: float) -> None:
    """One new score is tested in each of 8,000 calibrations on 150 scores."""
    random = np.random.default_rng(1)
    alarms = []
    for _ in range(8000):
        scores = random.lognormal(size=151)
        alarms.append(scores[-1] > fit_alarm_threshold(scores[:-1], rate).value)
    exact = np.floor(rate * 151) / 151
    assert np.mean(alarms) == pytest.approx(exact, abs=3.3 * np.sqrt(exact / 8000))
    assert np.mean(alarms) <= rate + 3.3 * np.sqrt(rate / 8000)


def test_alarm_threshold_meets_target_rate_with_ties() -> None:
    random = np.random.default_rng(2)
    alarms = [scores[-1] > fit_alarm_threshold(scores[:-1], 0.1).value for scores in random.poisson(2.0, (4000, 100))]
    assert np.mean(alarms) <= 0.1


def test_alarm_threshold_meets_target_rate_on_held_out_rows() -> None:
    """The rate is met on average over calibrations.

    A single calibration deviates by chance; the interval of a long test does not include this deviation.
    """
    random = np.random.default_rng(3)
    rates = []
    for _ in range(300):
        held_out = random.gamma(2.0, size=20_000)
        rates.append(np.mean(held_out > fit_alarm_threshold(random.gamma(2.0, size=2000), 0.002).value))
    assert np.mean(rates) == pytest.approx(4 / 2001, abs=3.3 * np.std(rates) / np.sqrt(300))


def test_alarm_threshold_extrapolates_small_rates() -> None:
    scores = draw_scores("exponential", 3000)
    within, beyond = fit_alarm_threshold(scores, 1 / 3001), fit_alarm_threshold(scores, 1 / 3002)
    assert (within.method, within.value) == ("conformal", scores.max())
    assert beyond.method == "pot"
    assert beyond.value >= scores.max()
    assert "rank 1 among 3,000" in str(within.note)
    assert "Extrapolated from the 60 highest of 3,000 normal scores" in str(beyond.note)
    assert fit_alarm_threshold(scores, 1e-6).target_rate == 1e-6
    scores[0] = 1000  # far above what the tail predicts
    assert fit_alarm_threshold(scores, 1 / 3002).value == 1000


@given(samples(), samples(most=50), st.floats(0.001, 0.999))
def test_p_values_agree_with_conformal_threshold(normal: Floats, scores: Floats, rate: float) -> None:
    threshold = fit_alarm_threshold(normal, rate)
    values = compute_p_values(normal, scores)
    assert ((values > 0) & (values <= 1)).all()
    if threshold.method == "conformal" and (len(normal) + 1) * rate % 1 > 1e-6:
        assert ((values <= rate) == (scores > threshold.value)).all()


def test_p_values_by_hand() -> None:
    """Ties count against the score."""
    assert compute_p_values([1, 2, 2, 5], [0, 2, 3, 5, 6]).tolist() == [1, 0.8, 0.4, 0.4, 0.2]


def test_alarm_threshold_rank_survives_float_rounding() -> None:
    """In floating point 0.07 · 100 is 7.000000000000001, and 0.29 · 100 is 28.999999999999996."""
    assert fit_alarm_threshold(np.arange(99.0), 0.29).value == 70
    assert fit_alarm_threshold(np.arange(99.0), 0.07).value == 92


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("rate", [1e-4, 2e-5])
def test_alarm_threshold_extrapolation_stays_near_target(name: str, rate: float) -> None:
    """The rate beyond the calibration stays on average below four times the target.

    The targets are a fifth and a twenty-fifth of the lowest rate that 2,000 normal scores show. The plain quantile of
    the maximum-likelihood tail exceeds the target up to fourteenfold.
    """
    true_rates = [
        DISTRIBUTIONS[name].sf(fit_alarm_threshold(draw_scores(name, 2000, seed), rate).value) for seed in range(60)
    ]
    assert np.mean(true_rates) < 4 * rate
    assert np.median(true_rates) < 2 * rate


def test_predicted_excess_of_many_matches_tail_quantile() -> None:
    excesses = stats.genpareto.rvs(0.1, size=20_000, random_state=np.random.default_rng(0))
    tail = fit_pareto_tail(excesses, 0.0, 20_000)
    for chance in (0.3, 0.01, 0.001):
        assert predict_excess(excesses, chance) == pytest.approx(tail.compute_quantile(chance), rel=0.02)


def test_predicted_excess_of_few_is_conservative() -> None:
    """The value that one in 200 should exceed is estimated from 15 excesses.

    The quantile of the maximum-likelihood tail is exceeded four times as often, the predicted excess is not.
    """
    plain, conservative = [], []
    for seed in range(200):
        excesses = draw_scores("exponential", 15, seed)
        plain.append(DISTRIBUTIONS["exponential"].sf(fit_pareto_tail(excesses, 0.0, 15).compute_quantile(0.005)))
        conservative.append(DISTRIBUTIONS["exponential"].sf(predict_excess(excesses, 0.005)))
    assert np.mean(plain) > 0.02
    assert 0.002 < np.mean(conservative) < 0.008


# ---- thresholds from labels -----------------------------------------------------------------------------------------


def test_best_f1_threshold_notes_use_of_labels() -> None:
    threshold = find_best_f1_threshold([1.0, 5.0, 2.0, 6.0], [0, 1, 0, 1])
    assert (threshold.value, threshold.method, threshold.target_rate) == (2, "best_f1", None)
    assert "Chosen with the labels" in str(threshold.note)
    with pytest.raises(DataError, match="None of the 2 labels marks an anomaly"):
        find_best_f1_threshold([1.0, 2.0], [0, 0])


@pytest.mark.parametrize("threshold", [fit_alarm_threshold, fit_pot_threshold])
@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_threshold_rejects_share_outside_bounds(threshold: Callable[[Floats, float], object], share: float) -> None:
    with pytest.raises(OptionError, match="Accepted: 0 to 1"):
        threshold(np.arange(5.0), share)


@pytest.mark.parametrize(
    "call",
    [
        lambda bad: fit_alarm_threshold(bad, 0.1),
        lambda bad: fit_pot_threshold(bad, 0.1),
        lambda bad: compute_p_values(bad, [1.0]),
    ],
)
@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [np.inf, 0.0]])
def test_threshold_rejects_invalid_scores(call: Callable[[object], object], bad: list[float]) -> None:
    with pytest.raises(DataError):
        call(bad)


def test_threshold_note_is_template_with_values() -> None:
    """The note is a template with values, which the page translates."""
    note = fit_alarm_threshold(np.arange(50.0), 0.1).note
    assert note.values == {"rank": 5, "count": 50, "chance": Message("{percent}%", {"percent": 10.0})}
    assert thresholds.Threshold(1.0, "pot", None, note) == thresholds.Threshold(1.0, "pot", None, note)


@pytest.mark.parametrize(
    ("rate", "fit"),
    [
        (0.1, fit_alarm_threshold),
        (0.0003, fit_alarm_threshold),
        (0.02, fit_promise),
        (0.0003, fit_promise),
        (0.0003, lambda scores, rate: fit_stand_out_threshold(scores, scores, scores, rate)),
        (0.02, lambda scores, rate: fit_stand_out_threshold([*scores, 90.0], [*scores, 90.0], [*scores, 90.0], rate)),
        (0.0003, lambda scores, rate: fit_normal_threshold(scores[:50], rate)),
    ],
)
def test_rates_in_notes_are_percentages(rate: float, fit: Callable[[Floats, float], thresholds.Threshold]) -> None:
    """A share such as 0.0003 is no number that people read."""
    note = str(fit(np.random.default_rng(0).exponential(size=1000), rate).note)
    assert re.search(r"\d%", note)
    assert not re.search(r"0\.\d+(?![\d%])", note)


# ---- alarm rates ----------------------------------------------------------------------------------------------------


def test_alarm_rate_per_week() -> None:
    """Two alarms a week for rows of one minute, for one entity and for four."""
    assert convert_alarms_to_rate(2, "week", 60) == pytest.approx(2 / 10_080)
    assert convert_alarms_to_rate(2, "week", 60, entities=4) == pytest.approx(2 / 40_320)
    assert convert_rate_to_alarms(convert_alarms_to_rate(3, "month", 300, 5), "month", 300, 5) == pytest.approx(3)


@pytest.mark.parametrize(
    ("count", "per", "step", "said"),
    [
        (2, "fortnight", 60, "per = fortnight is not accepted. Accepted values: hour, day, week, month, year"),
        (0, "week", 60, "count = 0 is out of range. Accepted: 0 to 10,080"),
        (30, "day", 3600, "count = 30 is out of range. Accepted: 0 to 24"),
        (1, "day", 0, "Accepted: 0 to 0"),
    ],
)
def test_alarm_rate_rejects_impossible_count(count: float, per: str, step: float, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        convert_alarms_to_rate(count, per, step)


def test_measured_rate_by_hand() -> None:
    """Alarms in rows 10 and 16 are one burst, the one in row 50 another; labelled rows do not count."""
    scores, labels = np.zeros(100), np.zeros(100)
    scores[[10, 16, 50, 80]], labels[80] = 1, 1
    measurement = measure_alarm_rate(scores, 0.5, labels)
    assert (measurement.alarms, measurement.bursts, measurement.rows) == (3, 2, 99)
    assert measurement.rate == pytest.approx(3 / 99)
    assert (measurement.low, measurement.high) == pytest.approx(compute_wilson_interval(3 / (5 / 3), 99 / (5 / 3)))
    assert measure_alarm_rate(scores, 0.5).alarms == 4


def test_measured_rate_without_alarms_has_upper_bound() -> None:
    measurement = measure_alarm_rate(np.zeros(1000), 1)
    assert (measurement.rate, measurement.low) == (0, 0)
    assert 0.003 < measurement.high < 0.005
    assert not measurement.exceeds(1e-6)
    assert measure_alarm_rate(np.arange(100.0) % 20, 18.5).exceeds(0.01)
    no_rows = measure_alarm_rate([1.0], 0, [1])
    assert np.isnan(no_rows.rate)
    assert (no_rows.low, no_rows.high) == (0, 1)


def test_measured_rate_interval_covers_bursts() -> None:
    """The interval covers the true rate 19 times in 20; an interval for independent rows does not.

    The scores are moving means of 8 rows of noise, of which 2 % lie above the threshold.
    """
    random = np.random.default_rng(0)
    threshold = float(stats.norm.isf(0.02)) / np.sqrt(8)
    covered, naive = [], []
    for _ in range(400):
        scores = np.convolve(random.normal(size=3007), np.full(8, 1 / 8), "valid")
        measurement = measure_alarm_rate(scores, threshold)
        covered.append(measurement.low <= 0.02 <= measurement.high)
        low, high = compute_wilson_interval(measurement.alarms, measurement.rows)
        naive.append(low <= 0.02 <= high)
    assert 0.9 < np.mean(covered) < 0.995
    assert np.mean(naive) < 0.85


@pytest.mark.parametrize("share", [0.005, 0.03])
def test_measured_rate_interval_covers_independent_scores(share: float) -> None:
    random = np.random.default_rng(1)
    bands = [measure_alarm_rate(random.random(2000), 1 - share) for _ in range(500)]
    assert np.mean([measurement.low <= share <= measurement.high for measurement in bands]) > 0.93
