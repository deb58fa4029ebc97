"""Intervals of ratios such as a call completion ratio: within 0 and 1, and the wider the fewer the attempts."""

from dataclasses import dataclass, replace

import numpy as np

from core.array_types import Floats

PRIOR_ATTEMPTS = 10.0  # that the usual ratio of a series counts as
MIN_ERRORS = 20  # of many attempts, that a spread is learnt from
SIGMA_PER_MAD = 1.4826  # of a normal distribution, per median absolute deviation
MIN_RATIO = 0.005  # of the expected ratio; nearer to 0 or 1, no noise would be left


@dataclass(frozen=True)
class RatioHistory:
    """Usual ratios of several series.

    mean   mean ratio of all attempts, (series,)
    noise  mean variance p (1 − p) / n of ratios of n attempts, (series,)
    structure_share  share of the spread of the forecast, without that noise, that ratios of many attempts have,
                     (series,); see `learn_structure`
    """

    mean: Floats
    noise: Floats
    structure_share: Floats

    @classmethod
    def from_ratios(cls, ratios: Floats, attempts: Floats) -> "RatioHistory":
        """Summarise ratios and their attempts, both (steps, series).

        Example:
            >>> history = RatioHistory.from_ratios(np.array([[0.5], [0.5]]), np.array([[10.0], [40.0]]))
            >>> history.mean.tolist(), history.noise.tolist()
            ([0.5], [0.015625])
        """
        known = np.isfinite(ratios) & (attempts > 0)
        counts = np.where(known, attempts, 0.0)
        mean = np.where(known, ratios, 0.0) * counts
        mean = mean.sum(axis=0) / np.maximum(counts.sum(axis=0), 1.0)
        inverse = np.where(known, 1 / np.where(known, attempts, 1.0), 0.0).sum(axis=0)
        noise = mean * (1 - mean) * inverse / np.maximum(known.sum(axis=0), 1)
        return cls(mean, noise, np.ones(len(mean)))

    def learn_structure(
        self, ratios: Floats, quantiles: Floats, median: Floats, levels: Floats, attempts: Floats
    ) -> "RatioHistory":
        """Return the history with the share of the structure, learnt from the errors of many attempts.

        A forecast of one spread for all hours owes much of it to the hours of few attempts. `ratios`, `median` and
        `attempts` are (steps, series), `quantiles` (steps, series, levels).
        """
        structure = _measure_structure(quantiles, median, levels, self.noise)
        shares = self.structure_share.copy()
        for place in range(len(shares)):
            known = np.isfinite(ratios[:, place] + median[:, place]) & (attempts[:, place] > 0)
            trials = attempts[known, place]
            is_many = trials >= np.median(trials) if len(trials) else trials > 0
            if is_many.sum() < MIN_ERRORS:
                continue
            errors = (ratios[known, place] - median[known, place])[is_many]
            noise = self.mean[place] * (1 - self.mean[place]) * (1 / trials[is_many]).mean()
            variance = (SIGMA_PER_MAD * np.median(np.abs(errors))) ** 2
            expected = structure[known, place][is_many].mean()
            shares[place] = np.clip((variance - noise) / expected, 0.0, 1.0) if expected > 0 else 1.0
        return replace(self, structure_share=shares)


def _measure_structure(quantiles: Floats, median: Floats, levels: Floats, noise: Floats) -> Floats:
    """Return the variance of the forecast without binomial noise, from the side that neither 0 nor 1 cuts off."""
    from scipy.special import ndtri  # type: ignore[import-untyped, unused-ignore]

    normal = ndtri(levels)
    sides = np.stack([(median - quantiles[..., 0]) / -normal[0], (quantiles[..., -1] - median) / normal[-1]])
    return np.asarray(np.maximum(sides.max(axis=0) ** 2 - noise, 0.0), dtype=np.float64)


def widen_ratio_quantiles(
    quantiles: Floats, median: Floats, levels: Floats, attempts: Floats, history: RatioHistory
) -> Floats:
    """Return quantiles of a ratio that allow for the chance of its `attempts`.

    The spread of the forecast contains the usual binomial noise, which is taken out and replaced by that of the
    attempts at hand. The ratio has then the variance of a binomial one with fewer attempts, its effective ones, as in a
    beta-binomial distribution (Skellam 1948). Its quantiles are those of that binomial distribution, whole attempts.
    The expected ratio is the median, drawn towards the mean of the history as by `PRIOR_ATTEMPTS` attempts: a forecast
    from few attempts may be 1 by chance.

    Args:
        quantiles: of the forecast, shape (…, series, levels), ascending.
        median: of the forecast, shape (…, series).
        levels: of the quantiles, two or more.
        attempts: shape (…, series). Where they are not known, or none, the quantiles stay as they are.
        history: usual ratios of the series.

    Example:
        >>> levels, quantiles = np.array([0.025, 0.975]), np.array([[0.88, 0.92], [0.88, 0.92]])
        >>> attempts, history = np.array([10.0, 1000.0]), RatioHistory(np.full(2, 0.9), np.zeros(2), np.ones(2))
        >>> widen_ratio_quantiles(quantiles, np.array([0.9, 0.9]), levels, attempts, history).tolist()
        [[0.7, 1.0], [0.871, 0.926]]
    """
    from scipy.special import bdtrik  # type: ignore[import-untyped, unused-ignore]

    structure = _measure_structure(quantiles, median, levels, history.noise) * history.structure_share
    known = np.isfinite(median) & (attempts > 0)
    trials = np.where(known, attempts, 1.0)
    expected = (trials * median + PRIOR_ATTEMPTS * history.mean) / (trials + PRIOR_ATTEMPTS)
    ratio = np.clip(np.where(known, expected, 0.5), MIN_RATIO, 1 - MIN_RATIO)
    noise = ratio * (1 - ratio)
    effective = noise / (np.where(known, structure, 0.0) + noise / trials)
    successes = np.nan_to_num(bdtrik(levels, effective[..., None], ratio[..., None]))
    widened = np.ceil(successes * (trials / effective)[..., None] - 1e-9) / trials[..., None]
    return np.where(known[..., None], np.clip(widened, 0.0, 1.0), quantiles)
