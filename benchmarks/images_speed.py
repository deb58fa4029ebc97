"""Networks of images compared with a plain PyTorch loop over the same network: images per second, training and scoring.

The plain loop has a Dataset of single images, a DataLoader, float32 weights one by one, and reads the loss of every
batch. One thread is measured in processor seconds, so that a busy machine gives nearly the same result as an idle one.
Two threads are measured in wall-clock seconds, on a machine with two idle cores only.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ResultLine, median
from core.detectors import training
from core.detectors.images.network_detector import NetworkDetector, Parts
from core.detectors.images.oc_nn import OCNN
from core.detectors.images.training_threads import count_idle_cores
from core.detectors.images.vae import VAE
from core.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

SIDE, IMAGES, BATCH = 28, 6000, 128
STEPS, REPETITIONS = 8, 7
MAX_THREADS = 2
TRAINING_TARGET = 3.0


def main() -> list[ResultLine]:
    """Measure training steps and scoring with one thread, and with two where two cores are idle."""
    return [line for threads in range(1, min(count_idle_cores(), MAX_THREADS) + 1) for line in _compare(threads)]


def _compare(threads: int) -> list[ResultLine]:
    """Measure both networks; the sides take turns, each in a process with its own memory settings."""
    import torch

    torch.set_num_threads(threads)
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,)) as plain:
        return [line for cls in (VAE, OCNN) for line in (_compare_training(cls, plain), _compare_scoring(cls, plain))]


def _compare_training(cls: type[NetworkDetector], plain: Executor) -> ResultLine:
    training._keep_freed_memory()
    step = _make_our_step(cls)
    step()
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(REPETITIONS):
        rates["ours"].append(STEPS * BATCH / _measure_seconds(lambda: [step() for _ in range(STEPS)]))
        rates["plain"].append(STEPS * BATCH / plain.submit(_measure_plain_steps, cls).result())
    return _build_ratio(f"learning {SIDE} × {SIDE}, batch {BATCH}: {cls.name}", rates, TRAINING_TARGET)


def _make_our_step(cls: type[NetworkDetector]) -> Callable[[], object]:
    detector = _prepare_detector(cls)
    loss = detector.build_loss(make_images())
    trainer = training.Trainer(loss, detector.build_config(loss, detector.epochs))
    state = training.TrainingState.start(detector.init_vector(loss, Progress(), ""), 0, fused=True)
    return lambda: trainer.train_batch(state)


def _measure_plain_steps(cls: type[NetworkDetector]) -> float:
    step = _make_plain_step(cls)
    step()
    return _measure_seconds(lambda: [step() for _ in range(STEPS)])


def _make_plain_step(cls: type[NetworkDetector]) -> Callable[[], object]:
    import torch

    detector = _prepare_detector(cls)
    parts, batches = _split_plainly(detector), _iterate_plain_batches(make_images())
    optimiser, rng = torch.optim.Adam(parts.weights.values(), 0.001), torch.Generator().manual_seed(0)
    losses = []

    def step() -> None:
        images = next(batches)
        loss = detector.combine_terms(detector.compute_terms(parts, images, images, rng), parts.extras)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())

    return step


def _compare_scoring(cls: type[NetworkDetector], plain: Executor) -> ResultLine:
    detector, images = cls(epochs=1).fit(make_images(200), Progress()), make_images()
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(REPETITIONS):
        rates["ours"].append(IMAGES / _measure_seconds(lambda: detector.score(images)))
        rates["plain"].append(IMAGES / plain.submit(_measure_plain_scoring, detector).result())
    return _build_ratio(f"scoring {SIDE} × {SIDE}: {cls.name}", rates)


def _measure_plain_scoring(detector: NetworkDetector) -> float:
    images = make_images()
    return _measure_seconds(lambda: _score_plainly(detector, images))


def _score_plainly(detector: NetworkDetector, images: NDArray[np.uint8]) -> list[float]:
    import torch

    parts = _split_plainly(detector)
    with torch.no_grad():
        return [
            score.item()
            for batch in _build_loader(images, shuffle=False)
            for score in detector.score_batch(parts, batch)
        ]


# ---- plain side -----------------------------------------------------------------------------------------------------


def _prepare_detector(cls: type[NetworkDetector]) -> NetworkDetector:
    detector = cls(batch_size=BATCH, epochs=1000)
    detector.image_shape_, detector.device_ = (SIDE, SIDE, 1), "cpu"
    return detector


def _split_plainly(detector: NetworkDetector) -> Parts:
    """Return the weights as single contiguous tensors."""
    import torch

    vector = (
        torch.from_numpy(detector.weights_)
        if hasattr(detector, "weights_")
        else detector.init_vector(detector.build_loss(make_images(200)), Progress(), "")
    )
    weights, extras = detector.split_vector(vector)
    return Parts(
        {name: part.clone(memory_format=torch.contiguous_format).requires_grad_() for name, part in weights.items()},
        extras,
    )


def _build_loader(images: NDArray[np.uint8], *, shuffle: bool) -> "Iterator[Tensor]":
    import torch
    from torch.utils.data import DataLoader, Dataset

    class SingleImages(Dataset["Tensor"]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, position: int) -> "Tensor":
            return torch.from_numpy(images[position]).permute(2, 0, 1).float() / 255

    return iter(DataLoader(SingleImages(), BATCH, shuffle=shuffle, drop_last=shuffle))


def _iterate_plain_batches(images: NDArray[np.uint8]) -> "Iterator[Tensor]":
    while True:
        yield from _build_loader(images, shuffle=True)


# ---- shared functions -----------------------------------------------------------------------------------------------


def make_images(count: int = IMAGES) -> NDArray[np.uint8]:
    """Return smooth random images, (count, SIDE, SIDE, 1)."""
    draws = np.random.default_rng(0)
    coarse = draws.integers(0, 256, (count, SIDE // 4, SIDE // 4, 1), dtype=np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def _measure_seconds(function: Callable[[], object]) -> float:
    import torch

    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    function()
    return clock() - began


def _build_ratio(measured: str, rates: dict[str, list[float]], target: float | None = None) -> ResultLine:
    import torch

    measured += f", threads: {torch.get_num_threads()}"
    ours, plain = rates["ours"], rates["plain"]
    ratios = [our_rate / plain_rate for our_rate, plain_rate in zip(ours, plain, strict=True)]
    result = median(ours) / median(plain)
    return ResultLine(
        measured,
        f"{result:.1f} x",
        f"{min(ratios):.1f} – {max(ratios):.1f}",
        f"{median(ours):,.0f} and {median(plain):,.0f} images/s",
        "" if target is None else f"≥ {target:g} x",
        "" if target is None else "met" if result >= target else "MISSED",
    )
