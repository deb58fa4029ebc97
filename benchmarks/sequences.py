"""Simple sequence detectors on labelled real servers, each compared with random scores.

It measures the best F1, AUC-PR, VUS-PR, and the seconds of scoring.
"""

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.lines import Line, figure
from core.detectors.base import SequenceDetector
from core.detectors.scaling import METHODS, Method, Scaling
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation.metrics import score_card
from core.progress import Progress
from core.tasks.sequences.evaluation import Arrays, read_arrays

FIGURES = ("f1", "auc_pr", "vus_pr")
RANDOM_SEEDS = range(5)
SCALING: Method = "minmax"
SIMPLE: dict[str, SequenceDetector] = {
    "distance to the mean": MeanDistance(),
    "PCA residual": PcaResidual(),
    "moving mean": MovingMean(),
    "moving mean, no look ahead": MovingMean(centred=False),
    "KMeansAD": KMeansAD(),
    "KMeansAD, no look ahead": KMeansAD(centred=False),
    "Sub-PCA": SubPCA(),
    "Sub-PCA, no look ahead": SubPCA(centred=False),
}
Card = dict[str, float]


def main() -> list[Line]:
    """Measure all simple detectors, and three of them with every scaling."""
    found = {path.stem: read_arrays(path) for path in server_files()}
    if not found:
        return [Line("skipped: no smd/ or asd/ in the shared data", "–")]
    lines = _table("random numbers", {name: _random(arrays) for name, arrays in found.items()})
    for what, detector in SIMPLE.items():
        lines += _table(what, {name: _judged(detector, arrays)[0] for name, arrays in found.items()})
    for what, detector in (("KMeansAD", KMeansAD()), ("Sub-PCA", SubPCA()), ("PCA residual", PcaResidual())):
        for scaling in METHODS:
            cards = [_judged(detector, arrays, scaling)[0] for arrays in found.values()]
            lines.append(Line(f"{what}, scaling {scaling}", _mean(cards), basis=f"mean of {len(cards)} sets"))
    return lines + _speed(next(iter(found.values())))


def server_files() -> list[Path]:
    """Return the labelled server datasets; [] if they are missing."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VIGIE_SHARED_DATA") or beside)
    return [*sorted(folder.glob("smd/*.npz")), *sorted(folder.glob("asd/*.npz"))]


def _table(what: str, cards: dict[str, Card]) -> list[Line]:
    """Return the mean over the datasets, and one line per dataset."""
    lines = [Line(what, _mean(list(cards.values())), basis=f"mean of {len(cards)} sets")]
    return lines + [Line(f"    {name}", _three(card)) for name, card in cards.items()]


def _judged(detector: SequenceDetector, arrays: Arrays, scaling: Method = SCALING) -> tuple[Card, float]:
    """Return the metrics of the detector, and the seconds of its scoring."""
    scaled = Scaling(scaling).fit([arrays.train])
    detector.fit([scaled.transform(arrays.train)], Progress())
    judged, began = scaled.transform(arrays.test), time.perf_counter()
    scores = detector.score(judged).score
    seconds = time.perf_counter() - began
    assert arrays.labels is not None
    return score_card(arrays.labels, scores), seconds


def _random(arrays: Arrays) -> Card:
    """Return the mean metrics of random scores over some seeds."""
    assert arrays.labels is not None
    cards = [score_card(arrays.labels, np.random.default_rng(seed).random(len(arrays.labels))) for seed in RANDOM_SEEDS]
    return {name: float(np.mean([card[name] for card in cards])) for name in FIGURES}


def _speed(arrays: Arrays) -> list[Line]:
    """Return the seconds to score one machine, measured three times."""
    shape = " × ".join(f"{size:,}" for size in arrays.test.shape)
    return [
        figure(f"{what}, seconds to score {shape}", [_judged(detector, arrays)[1] for _ in range(3)], "s", target=1.0)
        for what, detector in SIMPLE.items()
    ]


def _mean(cards: list[Card]) -> str:
    return _three({name: float(np.mean([card[name] for card in cards])) for name in FIGURES})


def _three(card: Card) -> str:
    return " / ".join(f"{card[name]:.3f}" for name in FIGURES)
