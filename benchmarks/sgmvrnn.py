"""SGmVRNN compared with a plain step-by-step torch implementation: windows and rows per second, memory.

It uses one thread. Seconds are processor seconds, so that a busy machine gives the same result as an idle one.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ResultLine, median
from core.detectors import training
from core.detectors.scaling import Scaling
from core.detectors.sequences.sgmvrnn import ModelDims, Noise, unflatten
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN, TrainingLoss
from core.detectors.sequences.sgmvrnn_original import OriginalVRNN
from core.detectors.sequences.sgmvrnn_streaming import StreamingState
from core.progress import Progress

COLUMNS, WINDOW, ROWS = 38, 20, 24_000
REPETITIONS = 5
TRAIN_TARGETS = {128: 4500, 512: 6000}
PUBLISHED_RATES = "original, quoted: 849 (128), 1,422 (512) windows/s in memory on a 2-core Xeon"


def main() -> list[ResultLine]:
    """Measure training, scoring, data preparation and memory."""
    import torch

    torch.set_num_threads(1)
    training._keep_freed_memory()
    lines = []
    for batch, target in TRAIN_TARGETS.items():
        lines += _compare_training(batch, target)
    lines += [
        *_measure_windows(),
        *_measure_streams(256, 200_000),
        *_measure_streams(8, 8_000),
        *_measure_streams(1, 8_000),
        _measure_preparation(),
        *_measure_memory(),
    ]
    return lines


# ---- training -------------------------------------------------------------------------------------------------------


def _compare_training(batch: int, target: int) -> list[ResultLine]:
    """Compare the default, the function of the original, and that function step by step; the sides take turns."""
    sides = {
        "default": _make_our_step(batch, "default"),
        "original": _make_our_step(batch, "original"),
        "plain": _make_plain_step(batch),
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(REPETITIONS):
        for side, step in sides.items():
            rates[side].append(batch / _measure_seconds(step, 4 if side == "plain" else 10))
    return [
        _build_rate(f"learning, batch {batch}: default", rates["default"], "windows/s", target),
        _build_rate(f"learning, batch {batch}: the original's function", rates["original"], "windows/s"),
        _build_rate(f"learning, batch {batch}: that function step by step", rates["plain"], "windows/s"),
        _build_ratio(f"learning, batch {batch}: default, times step by step", rates["default"], rates["plain"], 5.0),
        _build_ratio(f"learning, batch {batch}: same function, times step by step", rates["original"], rates["plain"]),
    ]


def _make_our_step(batch: int, fidelity: str) -> Callable[[], object]:
    detector = SGmVRNN(fidelity=fidelity, batch_size=batch, steps=10**6)  # type: ignore[arg-type]
    detector.columns_ = COLUMNS
    data = training.TrainingData.from_series([make_series(ROWS)], WINDOW, "cpu")
    trainer = training.Trainer(TrainingLoss(detector, data), detector._training_config)
    state = training.TrainingState.start(detector._model_class.init_weights(detector.dims, 0), 0)
    return lambda: trainer.train_batch(state)


def _make_plain_step(batch: int) -> Callable[[], object]:
    import torch

    from tests.support.sgmvrnn_reference import compute_terms_stepwise

    dims = ModelDims(COLUMNS, categories=5, latent=10, state=20)
    initial_weights = unflatten(OriginalVRNN.init_weights(dims, 0), OriginalVRNN.list_weight_shapes(dims))
    weights = {name: weight.clone().requires_grad_() for name, weight in initial_weights.items()}
    optimiser = torch.optim.Adam(weights.values(), 2e-4)
    draws = torch.Generator().manual_seed(0)
    values = torch.from_numpy(make_series(ROWS))

    def step() -> None:
        starts = torch.randint(0, ROWS - WINDOW + 1, (batch,), generator=draws)
        x = torch.stack([values[start : start + WINDOW] for start in starts], dim=1)
        noise = Noise.draw(dims, x, draws)
        surprise, latent, category, _ = compute_terms_stepwise(weights, dims, x, noise, 1.0)
        optimiser.zero_grad()
        ((surprise + latent + category) / batch).backward()
        optimiser.step()

    return step


# ---- scoring --------------------------------------------------------------------------------------------------------


def _measure_windows() -> list[ResultLine]:
    series = make_series(ROWS)
    rates = {}
    for fidelity in ("default", "original"):
        detector = _fit_detector(scoring="windows", fidelity=fidelity)
        rates[fidelity] = [
            ROWS / _measure_seconds(lambda fitted=detector: fitted.score(series), 1) for _ in range(REPETITIONS)
        ]  # type: ignore[misc]
    return [
        _build_rate("scoring, every window: default", rates["default"], "windows/s", 60_000),
        _build_rate("scoring, every window: the original's function", rates["original"], "windows/s"),
    ]


def _measure_streams(series: int, target: int) -> list[ResultLine]:
    """Measure scoring row by row for several series; the NumPy step and the torch step take turns."""
    detector, rows = _fit_detector(scoring="streaming", fidelity="default"), 1000 if series == 1 else 200
    stream = detector.start_stream(series)
    block = np.stack([make_series(1000, seed) for seed in range(min(series, 8))], axis=1)
    block = np.tile(block, (1, math.ceil(series / block.shape[1]), 1))[:, :series]
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPETITIONS):
        for by_numpy in rates:
            side = stream if by_numpy else StreamingState(stream.scorer, series)
            began = time.process_time()
            for row in block[:rows]:
                side.score_next_rows(row)
            rates[by_numpy].append(series * rows / (time.process_time() - began))
    what = f"scoring, one row at a time, {series} series"
    lines = [
        _build_rate(what, rates[True], "rows/s", target),
        _build_ratio(f"{what}: NumPy, times torch", rates[True], rates[False]),
    ]
    if series > 1:
        block_rates = [
            block.size / COLUMNS / _measure_seconds(lambda: stream.score_block(block), 1) for _ in range(REPETITIONS)
        ]
        lines.append(_build_rate(f"scoring, blocks of rows, {series} series", block_rates, "rows/s", target))
    return lines


def _fit_detector(**settings: object) -> SGmVRNN:
    return SGmVRNN(steps=2, **settings).fit([make_series(200)], Progress())  # type: ignore[arg-type]


# ---- data preparation and memory ------------------------------------------------------------------------------------


def _measure_preparation() -> ResultLine:
    """Measure loading and scaling of an .npz file; windows are views and cost nothing."""
    from core.data.ingest.loading import load

    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        path = Path(folder) / "machine.npz"
        train, test = make_series(ROWS), make_series(ROWS, 1)
        np.savez(path, train=train, test=test, label=np.zeros(ROWS))

        def prepare() -> None:
            dataset = load([path])
            Scaling().fit([dataset.values[:ROWS]]).transform(dataset.values)

        return _build_limit(
            "preparing one machine of 48,000 rows", [_measure_seconds(prepare, 1) for _ in range(3)], "s", 1.0
        )


def _measure_memory() -> list[ResultLine]:
    """Return the peak memory of training, for two lengths of the series."""
    peaks = {rows: _in_child(rows) for rows in (ROWS, 10 * ROWS)}
    more = f"{peaks[10 * ROWS]:.0f} MB"
    return [
        _build_limit("peak memory of learning, batch 128, 24,000 rows", [peaks[ROWS]], "MB", 472),
        ResultLine("    with 240,000 rows: 35 MB, and their making", more),
    ]


def _in_child(rows: int) -> float:
    """Return the peak memory of training in a child process, in MB."""
    code = (
        f"from benchmarks.report import peak_mb; from benchmarks.sgmvrnn import learn; learn({rows}); print(peak_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def train_briefly(rows: int) -> None:
    """Train for a short time, to measure the peak memory."""
    SGmVRNN(steps=60, seconds=600).fit([make_series(rows)], Progress())


# ---- shared functions -----------------------------------------------------------------------------------------------


def make_series(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a noisy series of sine waves, (rows, COLUMNS)."""
    draws = np.random.default_rng(seed)
    phase = np.arange(rows)[:, None] * (0.02 + 0.01 * np.arange(COLUMNS))
    return (0.5 * np.sin(phase) + 0.1 * draws.normal(size=(rows, COLUMNS))).astype(np.float32)


def _measure_seconds(function: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - began) / times


def _build_rate(measured: str, values: list[float], unit: str, target: float | None = None) -> ResultLine:
    result = median(values)
    target_and_verdict = ("", "") if target is None else (f"≥ {target:,.0f}", "met" if result >= target else "MISSED")
    return ResultLine(
        measured,
        f"{result:,.0f} {unit}",
        f"{min(values):,.0f} – {max(values):,.0f}",
        f"{len(values)} repetitions",
        *target_and_verdict,
    )


def _build_ratio(measured: str, ours: list[float], theirs: list[float], target: float | None = None) -> ResultLine:
    ratios = [our_value / their_value for our_value, their_value in zip(ours, theirs, strict=True)]
    result = median(ours) / median(theirs)
    target_and_verdict = ("", "") if target is None else (f"≥ {target:g} x", "met" if result >= target else "MISSED")
    return ResultLine(
        measured,
        f"{result:.2f} x",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        PUBLISHED_RATES if target else "",
        *target_and_verdict,
    )


def _build_limit(measured: str, values: list[float], unit: str, target: float) -> ResultLine:
    result = median(values)
    return ResultLine(
        measured, f"{result:.3g} {unit}", "", "", f"≤ {target:g} {unit}", "met" if result <= target else "MISSED"
    )
