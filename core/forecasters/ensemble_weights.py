"""Weights of a blend from past forecasts: ensemble selection, drawn towards the simplest forecast without proof."""

import numpy as np

from core.array_types import Floats

ROUNDS = 30  # of ensemble selection; a weight is a multiple of 1/30
PRIOR_POWER = 4  # of the inverse error, in the weights that a short back-test is shrunk to
PRIOR_ORIGINS = 12  # independent origins that the prior weights count as
PROOF_ERRORS = 1.0  # standard errors by which a blend has to beat the naive line to be used without it


def weigh_members(forecasts: Floats, actual: Floats, naive: int, independent_share: float) -> tuple[Floats, float]:
    """Return the weights of the members (members,), and the out-of-sample gain of the blend in standard errors.

    forecasts          (members, origins, cells): the cells of an origin are its steps and entities; finite
    actual             (origins, cells); NaN for a cell that is not measured
    naive              index of the best naive line among the members
    independent_share  share of the origins that are independent of each other (0–1)

    The weights come from ensemble selection, shrunk to inverse errors where there are few independent origins. The
    gain over the naive line is measured on each half of the origins with the weights of the other half. A blend that
    is not better by one standard error is drawn towards the naive line; one that is worse is replaced by it.

    Example:
        >>> actual = np.tile([10.0, 20.0], (60, 1))
        >>> forecasts = np.stack([actual + 4, actual + 1, actual - 1])
        >>> weights, gain = weigh_members(forecasts, actual, 0, 1.0)
        >>> weights.round(2).tolist()  # the errors of the last two cancel
        [0.0, 0.5, 0.5]
    """
    halves = np.arange(len(actual)) * 2 // len(actual)
    gains = np.zeros(len(actual))
    for half in (0, 1):
        is_here = halves == half
        weights = _choose_weights(forecasts[:, ~is_here], actual[~is_here], independent_share)
        blend = np.tensordot(weights, forecasts[:, is_here], 1)
        gains[is_here] = _sum_errors(forecasts[naive, is_here], actual[is_here]) - _sum_errors(blend, actual[is_here])
    independent = max(len(actual) * independent_share, 2.0)
    spread = float(gains.std()) / np.sqrt(independent - 1)
    gain = float(gains.mean()) / spread if spread > 0 else float(PROOF_ERRORS * np.sign(gains.mean()))
    trust = float(np.clip(gain / PROOF_ERRORS, 0.0, 1.0))
    weights = trust * _choose_weights(forecasts, actual, independent_share)
    weights[naive] += 1 - trust
    return weights, gain


def _choose_weights(forecasts: Floats, actual: Floats, independent_share: float) -> Floats:
    """Return the weights of ensemble selection, shrunk to those by inverse error, (members,)."""
    errors = np.array([_sum_errors(each, actual).sum() for each in forecasts])
    floor = max(1e-9 * float(np.nansum(np.abs(actual))), 1e-300)
    inverse = (np.maximum(errors, floor) / max(float(errors.min()), floor)) ** -PRIOR_POWER
    origins = len(actual) * independent_share
    share = origins / (origins + PRIOR_ORIGINS)
    return share * select_members(forecasts, actual) + (1 - share) * inverse / inverse.sum()


def select_members(forecasts: Floats, actual: Floats) -> Floats:
    """Return the weights of the members by ensemble selection, (members,).

    Starting from nothing, the member that lowers the error of the mean most is added again and again, with
    replacement. Caruana et al.: Ensemble Selection from Libraries of Models, ICML 2004.

    Example:
        >>> forecasts = np.array([[[12.0]], [[8.0]], [[30.0]]])
        >>> select_members(forecasts, np.array([[10.0]])).tolist()
        [0.5, 0.5, 0.0]
    """
    is_known = np.isfinite(actual)
    known_forecasts, known = forecasts[:, is_known], actual[is_known]
    counts, total = np.zeros(len(forecasts)), np.zeros(len(known))
    for number in range(1, ROUNDS + 1):
        errors = np.abs((total + known_forecasts) / number - known).sum(axis=1)
        best = int(errors.argmin())
        counts[best] += 1
        total += known_forecasts[best]
    return counts / ROUNDS


def _sum_errors(forecast: Floats, actual: Floats) -> Floats:
    """Return the sum of the absolute errors by origin, (origins,)."""
    return np.nansum(np.abs(forecast - actual), axis=1)
