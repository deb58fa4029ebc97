"""Simple sequence detectors on labelled real servers, each compared with random scores.

It measures the best F1, AUC-PR, VUS-PR, and the seconds of scoring.
"""

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.report import ResultLine, build_figure
from core.detectors.base import SequenceDetector
from core.detectors.scaling import SCALING_METHODS, Scaling, ScalingMethod
from core.detectors.sequences.kmeans_ad import KMeansAD
from core.detectors.sequences.mean_distance import MeanDistance
from core.detectors.sequences.moving_mean import MovingMean
from core.detectors.sequences.pca_residual import PcaResidual
from core.detectors.sequences.sub_pca import SubPCA
from core.evaluation.detection_metrics import compute_detection_metrics
from core.progress import Progress
from core.tasks.sequences.evaluation import EvaluationArrays, read_arrays

FIGURES = ("f1", "auc_pr", "vus_pr")
RANDOM_SEEDS = range(5)
SCALING: ScalingMethod = "minmax"
SIMPLE_DETECTORS: dict[str, SequenceDetector] = {
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


def main() -> list[ResultLine]:
    """Measure all simple detectors, and three of them with every scaling."""
    arrays_by_name = {path.stem: read_arrays(path) for path in find_server_files()}
    if not arrays_by_name:
        return [ResultLine("skipped: no smd/ or asd/ in the shared data", "–")]
    lines = _build_table(
        "random numbers", {name: _evaluate_randomly(arrays) for name, arrays in arrays_by_name.items()}
    )
    for what, detector in SIMPLE_DETECTORS.items():
        lines += _build_table(what, {name: _evaluate(detector, arrays)[0] for name, arrays in arrays_by_name.items()})
    for what, detector in (("KMeansAD", KMeansAD()), ("Sub-PCA", SubPCA()), ("PCA residual", PcaResidual())):
        for scaling in SCALING_METHODS:
            cards = [_evaluate(detector, arrays, scaling)[0] for arrays in arrays_by_name.values()]
            lines.append(
                ResultLine(f"{what}, scaling {scaling}", _format_mean(cards), basis=f"mean of {len(cards)} sets")
            )
    return lines + _measure_speed(next(iter(arrays_by_name.values())))


def find_server_files() -> list[Path]:
    """Return the labelled server datasets; [] if they are missing."""
    default_folder = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VIGIE_SHARED_DATA") or default_folder)
    return [*sorted(folder.glob("smd/*.npz")), *sorted(folder.glob("asd/*.npz"))]


def _build_table(what: str, cards: dict[str, Card]) -> list[ResultLine]:
    """Return the mean over the datasets, and one line per dataset."""
    lines = [ResultLine(what, _format_mean(list(cards.values())), basis=f"mean of {len(cards)} sets")]
    return lines + [ResultLine(f"    {name}", _format_card(card)) for name, card in cards.items()]


def _evaluate(
    detector: SequenceDetector, arrays: EvaluationArrays, scaling: ScalingMethod = SCALING
) -> tuple[Card, float]:
    """Return the metrics of the detector, and the seconds of its scoring."""
    scaled = Scaling(scaling).fit([arrays.train])
    detector.fit([scaled.transform(arrays.train)], Progress())
    test_rows, start = scaled.transform(arrays.test), time.perf_counter()
    scores = detector.score(test_rows).score
    seconds = time.perf_counter() - start
    assert arrays.labels is not None
    return compute_detection_metrics(arrays.labels, scores), seconds


def _evaluate_randomly(arrays: EvaluationArrays) -> Card:
    """Return the mean metrics of random scores over some seeds."""
    assert arrays.labels is not None
    cards = [
        compute_detection_metrics(arrays.labels, np.random.default_rng(seed).random(len(arrays.labels)))
        for seed in RANDOM_SEEDS
    ]
    return {name: float(np.mean([card[name] for card in cards])) for name in FIGURES}


def _measure_speed(arrays: EvaluationArrays) -> list[ResultLine]:
    """Return the seconds to score one machine, measured three times."""
    shape = " × ".join(f"{size:,}" for size in arrays.test.shape)
    return [
        build_figure(
            f"{what}, seconds to score {shape}", [_evaluate(detector, arrays)[1] for _ in range(3)], "s", target=1.0
        )
        for what, detector in SIMPLE_DETECTORS.items()
    ]


def _format_mean(cards: list[Card]) -> str:
    return _format_card({name: float(np.mean([card[name] for card in cards])) for name in FIGURES})


def _format_card(card: Card) -> str:
    return " / ".join(f"{card[name]:.3f}" for name in FIGURES)
