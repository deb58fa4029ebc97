"""Scores from known distributions."""

import numpy as np
from scipy import stats

from core.array_types import Floats

DISTRIBUTIONS = {
    "exponential": stats.expon(),
    "Pareto": stats.pareto(3),
    "uniform": stats.uniform(),
    "normal": stats.norm(),
    "lognormal": stats.lognorm(0.7),
    "Student's t": stats.t(4),
}


def draw_scores(name: str, count: int, seed: int = 0) -> Floats:
    return np.asarray(DISTRIBUTIONS[name].rvs(count, random_state=np.random.default_rng(seed)))
