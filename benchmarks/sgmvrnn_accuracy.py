"""SGmVRNN on real servers with labels, three seeds, beside the simple lines; and what each departure from the original brings."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lines import Line, median
from benchmarks.sequences import server_files
from core.analyses.sequence_evaluation import Arrays, read_arrays, simple_lines
from core.detectors.scaling import Scaling
from core.detectors.sequences import sgmvrnn
from core.detectors.sequences.sgmvrnn import SGmVRNN
from core.evaluation.metrics import score_card
from core.progress import Progress

FIGURES = ("f1", "auc_pr", "vus_pr")
SEEDS = (0, 1, 2)
REACH = {  # figures to reach: plain best F1, AUC-PR, VUS-PR with a window of 100
    "machine-2-1": (0.45, 0.42, 0.48), "machine-1-6": (0.86, 0.89, 0.88), "machine-3-4": (0.89, 0.88, 0.90),
}  # fmt: skip
ABLATED = ("machine-2-1", "machine-3-4", "omi-4")
ABLATION_SEEDS = (0, 1)
Figures = NDArray[np.float64]


def main() -> list[Line]:
    import torch

    torch.set_num_threads(1)
    sets = {path.stem: read_arrays(path) for path in server_files()}
    if not sets:
        return [Line("skipped: no smd/ or asd/ in the shared data", "–")]
    if "departures" in sys.argv:
        return list(_departures({name: sets[name] for name in ABLATED}))
    return _accuracy(sets)


def _accuracy(sets: Mapping[str, Arrays]) -> list[Line]:
    lines, ours, seconds = [], {}, []
    simple: dict[str, list[Figures]] = {}
    for name, arrays in sets.items():
        found = []
        for seed in SEEDS:
            figures, spent = _figures(SGmVRNN(seed=seed), arrays)
            found.append(figures)
            seconds.append(spent)
        ours[name] = np.mean(found, axis=0)
        assert arrays.labels is not None
        for line, card in simple_lines([arrays.train], [arrays.test], arrays.labels, seed=0).items():
            simple.setdefault(line, []).append(np.array([card[figure] for figure in FIGURES]))
        reach = REACH.get(name)
        lines.append(
            Line(
                f"    {name}", _three(ours[name]), f"± {np.std(found, axis=0).max():.3f}", f"{len(SEEDS)} seeds",
                "≥ " + _three(np.array(reach)) if reach else "",
                _verdict(ours[name], np.array(reach)) if reach else "",
            )
        )  # fmt: skip
        print(lines[-1], file=sys.stderr, flush=True)
    means = {line: np.mean(each, axis=0) for line, each in simple.items()}
    best = np.max(list(means.values()), axis=0)
    mean = np.mean(list(ours.values()), axis=0)
    head = Line("SGmVRNN: best F1 / AUC-PR / VUS-PR", _three(mean), basis=f"mean of {len(sets)} sets", target="≥ " + _three(best), verdict=_verdict(mean, best))
    return [
        head, *lines, *(Line(line, _three(each), basis=f"mean of {len(sets)} sets") for line, each in means.items()),
        Line("seconds of learning, one core", f"{median(seconds):.0f} s", f"{min(seconds):.0f} – {max(seconds):.0f}", target="≤ 60 s"),
    ]  # fmt: skip


# ---- departures: the default with one of them taken back ------------------------------------------------------------


def _departures(sets: Mapping[str, Arrays]) -> Iterator[Line]:
    default = SGmVRNN()
    variants: dict[str, tuple[SGmVRNN, Mapping[str, Any]]] = {
        "the default": (default, {}),
        "the original's function and recipe": (replace(default, fidelity="original", learning_rate=0.0002), {}),
        "judged after the row was seen": (replace(default, judged="after"), {}),
        "scores not smoothed": (replace(default, smoothing=1), {}),
        "streaming": (replace(default, scoring="streaming"), {}),
        "sigma floor e^-1": (replace(default, log_sigma_floor=-1.0), {}),
        "sigma floor e^-2": (replace(default, log_sigma_floor=-2.0), {}),
        "spreads not widened": (default, {"WIDEST": 0.0}),
        "no clipping": (default, {"CLIP": float("inf")}),
        "no early stopping": (default, {"PATIENCE": 10**9}),
        "categories weigh 1 / (T B)": (default, {"loss": _light_categories}),
        "every row's category weighs": (default, {"EACH_ROW": True}),
        "heads not begun small": (default, {"initial": _large_heads}),
        "log-variances not bounded": (default, {"LOGVAR_LIMIT": 1e4}),
    }
    for what, (detector, changes) in variants.items():
        found, used = [], []
        with _changed(changes):
            for arrays in sets.values():
                for seed in ABLATION_SEEDS:
                    figures, _, categories = _scored(replace(detector, seed=seed), arrays)
                    found.append(figures)
                    used.append(categories)
        yield Line(
            what, _three(np.mean(found, axis=0)), f"± {np.std(np.reshape(found, (-1, len(ABLATION_SEEDS), 3)), axis=1).mean():.3f}",
            f"{len(found)} runs, {np.mean(used):.1f} categories in use",
        )  # fmt: skip


def _light_categories(sizes: Any, surprises: Any, latents: Any, categories: Any) -> Any:
    return (surprises + latents).mean() + categories.mean() / surprises.numel()


def _large_heads(sizes: sgmvrnn.Sizes, seed: int) -> Any:
    return KEPT_INITIAL(sizes, seed, small=1.0)


KEPT_INITIAL = sgmvrnn.initial


@contextmanager
def _changed(changes: Mapping[str, Any]) -> Iterator[None]:
    kept = {name: getattr(sgmvrnn, name) for name in changes}
    for name, value in changes.items():
        setattr(sgmvrnn, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(sgmvrnn, name, value)


# ---- parts ----------------------------------------------------------------------------------------------------------


def _figures(detector: SGmVRNN, arrays: Arrays) -> tuple[Figures, float]:
    figures, seconds, _ = _scored(detector, arrays)
    return figures, seconds


def _scored(detector: SGmVRNN, arrays: Arrays) -> tuple[Figures, float, int]:
    """F1, AUC-PR and VUS-PR on the test rows, seconds of learning, categories that are the likeliest of at least 1 % of rows."""
    progress = Progress()
    scaling = Scaling().fit([arrays.train])
    began = time.process_time()
    detector.fit([scaling.transform(arrays.train)], progress)
    seconds = time.process_time() - began
    scored = detector.score(scaling.transform(arrays.test))
    assert arrays.labels is not None
    assert scored.categories is not None
    card = score_card(arrays.labels, scored.score)
    usage = np.bincount(scored.categories.argmax(axis=1)) / len(scored.score)
    return np.array([card[figure] for figure in FIGURES]), seconds, int((usage >= 0.01).sum())


def _three(figures: Figures) -> str:
    return " / ".join(f"{each:.3f}" for each in figures)


def _verdict(found: Figures, target: Figures) -> str:
    return " / ".join("met" if one >= other else "MISSED" for one, other in zip(found, target, strict=True))
