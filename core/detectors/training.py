"""Training by gradient descent for any network: windows, early stopping without labels, checkpoints.

All weights are one vector, so that clipping, Adam and a checkpoint need only a few operations.
"""

import ctypes
import json
import math
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from core.detectors.base import Floats32
from core.errors import DataError
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

CHECKPOINT = "checkpoint.npz"
HELD_OUT_CURVE = N_("held-out rows")  # name of the curve of the loss on held-out rows
CHECKPOINT_INTERVAL_S = 5.0
VALIDATION_INTERVAL_STEPS = 50
REPORT_INTERVAL_STEPS = 10
VALIDATION_SHARE = 0.1  # last share of the windows of every series
MIN_LR_SHARE = 0.05  # share of the learning rate at the end of its decay


# ---- training data --------------------------------------------------------------------------------------------------


def fill_missing(series: Floats32) -> tuple["Tensor", "Tensor | None"]:
    """Return the values with 0 for missing ones, and a mask: 1 for known values, 0 for missing ones.

    0 is the middle of scaled values. The mask is None if no value is missing.
    """
    values = torch.from_numpy(np.ascontiguousarray(series))
    missing = torch.isnan(values)
    if not bool(missing.any()):
        return values, None
    return values.masked_fill(missing, 0.0), (~missing).float()


@dataclass(frozen=True)
class TrainingData:
    """Concatenated series, (rows, columns) without NaN, and the rows where a window may begin."""

    window: int
    values: "Tensor"
    mask: "Tensor | None"
    train_starts: "Tensor"
    validation_starts: "Tensor"

    @classmethod
    def from_series(cls, series: Sequence[Floats32], window: int, device: str) -> Self:
        """Build the training data of `series` and hold out the last windows of each one.

        A series shorter than a window is padded at its start with rows of missing values.
        """
        padded = [_pad_to_window(rows, window) for rows in series]
        values, mask = fill_missing(np.concatenate(padded))
        train_parts, validation_parts, first = [], [], 0
        for rows in padded:
            starts = torch.arange(first, first + len(rows) - window + 1)
            train_count = max(len(starts) - int(len(starts) * VALIDATION_SHARE), 1)
            train_parts.append(starts[:train_count])
            validation_parts.append(starts[train_count:])
            first += len(rows)
        validation_starts = torch.cat(validation_parts)
        return cls(
            window,
            values.to(device),
            None if mask is None else mask.to(device),
            torch.cat(train_parts),
            validation_starts if len(validation_starts) else torch.cat(train_parts),
        )

    def select_windows(self, starts: "Tensor") -> tuple["Tensor", "Tensor | None"]:
        """Return values and mask of the windows that begin at `starts` (B,), each (window, B, columns)."""
        positions = (torch.arange(self.window)[:, None] + starts).to(self.values.device)
        return self.values[positions], None if self.mask is None else self.mask[positions]


def _pad_to_window(series: Floats32, window: int) -> Floats32:
    missing_rows = max(window - len(series), 0)
    return np.pad(series, ((missing_rows, 0), (0, 0)), constant_values=np.nan) if missing_rows else series


# ---- training -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training: batches at most, seconds at most, learning rate of Adam.

    max_norm  gradients are clipped to this norm; None disables clipping
    patience  validations without improvement before early stopping; None disables it and keeps the last weights instead
              of the best
    lr_decay  the learning rate falls to a twentieth during the second half of the batches or of the seconds
    validation_interval_steps  batches between two validations, such as those of an epoch
    """

    steps: int
    seconds: float
    learning_rate: float
    max_norm: float | None = None
    patience: int | None = None
    lr_decay: bool = False
    validation_interval_steps: int = VALIDATION_INTERVAL_STEPS

    def compute_learning_rate(self, step: int, seconds: float = 0.0) -> float:
        """Return the learning rate of batch number `step`, counted from 0, after `seconds` of training.

        Example:
            >>> config = TrainingConfig(steps=100, seconds=60.0, learning_rate=0.01, lr_decay=True)
            >>> [round(config.compute_learning_rate(step), 4) for step in (0, 50, 75, 100)]
            [0.01, 0.01, 0.0055, 0.0005]
            >>> round(config.compute_learning_rate(step=10, seconds=60.0), 4)
            0.0005
        """
        share_done = max(step / self.steps, min(seconds / self.seconds, 1.0))
        share = min(1.0, 2 + MIN_LR_SHARE - 2 * share_done) if self.lr_decay else 1.0
        return self.learning_rate * share


class Loss(Protocol):
    """Function to minimise, of the weights in `vector` after `step` batches."""

    def batch_loss(self, vector: "Tensor", step: int, rng: "torch.Generator") -> "Tensor":
        """Return the loss of one batch, drawn with `rng`."""

    def validation_loss(self, vector: "Tensor", step: int) -> "Tensor":
        """Return the loss of the held-out windows, the same ones at every call."""


@dataclass
class TrainingState:
    """State of the training, as a checkpoint stores it."""

    vector: "Tensor"
    optimizer: "torch.optim.Adam"
    best: "Tensor"
    rng: "torch.Generator"
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    seconds: float = 0.0

    @classmethod
    def start(cls, vector: "Tensor", seed: int, *, fused: bool = False) -> Self:
        """Return the state before the first batch, with the initial weights `vector`.

        `fused` updates the weights in one pass, which is faster for large networks and rounds differently.
        """
        vector = vector.requires_grad_()
        best, rng = vector.detach().clone(), torch.Generator().manual_seed(seed)
        return cls(vector, torch.optim.Adam([vector], fused=fused), best, rng)

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the state to `path` atomically; a process killed while it writes keeps the previous checkpoint."""
        adam = self.optimizer.state_dict()["state"].get(0, {})  # step, exp_avg, exp_avg_sq; empty at the start
        tensors = {"vector": self.vector, "best": self.best, "rng": self.rng.get_state()}
        tensors |= {f"adam.{name}": value for name, value in adam.items()}
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        scalars = {name: getattr(self, name) for name in ("step", "best_loss", "best_step", "seconds")}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary_path = path.with_suffix(".part")
        with temporary_path.open("wb") as file:
            np.savez(file, **arrays, plain=json.dumps(scalars), terms=fingerprint)  # type: ignore[arg-type]
        temporary_path.replace(path)

    def load(self, path: Path, fingerprint: str) -> None:
        """Restore the state from `path`. Raises DataError if the file is damaged or has another `fingerprint`."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                stored_fingerprint = str(arrays["terms"])
                if stored_fingerprint == fingerprint:
                    self._restore(arrays)
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise DataError(
                N_("The checkpoint {file} cannot be read: {reason}. Delete the file to start again."),
                file=path.name,
                reason=error,
            ) from error
        if stored_fingerprint != fingerprint:
            raise DataError(
                N_(
                    "The checkpoint {file} was made with other data, settings or versions: "
                    "{value}. This run needs {accepted}. Delete the file to start again."
                ),
                file=path.name,
                value=stored_fingerprint,
                accepted=fingerprint,
            )

    def _restore(self, arrays: "np.lib.npyio.NpzFile") -> None:
        tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name not in ("plain", "terms")}
        with torch.no_grad():
            self.vector.copy_(tensors["vector"])
            self.best.copy_(tensors["best"])
        self.rng.set_state(tensors["rng"])
        adam = {name.removeprefix("adam."): value for name, value in tensors.items() if name.startswith("adam.")}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": {0: adam} if adam else {}})
        for name, value in json.loads(str(arrays["plain"])).items():
            setattr(self, name, value)


@dataclass(frozen=True)
class Trainer:
    """Minimiser of a loss.

    after_validation  called after each validation with the state of the training, whose weights it may change
    held_out_curve    name of the curve of the held-out loss
    """

    loss: Loss
    config: TrainingConfig
    after_validation: Callable[[TrainingState], None] | None = None
    held_out_curve: str = HELD_OUT_CURVE

    def train(self, state: TrainingState, progress: Progress, fingerprint: str) -> "Tensor":
        """Train from `state` on; return the best weights, or the last ones if early stopping is off.

        Continues from the checkpoint in `progress.folder`, if there is one. `fingerprint` identifies settings and data,
        and must equal that of the checkpoint. Raises DataError for other terms or a loss that is not finite, and
        Cancelled.
        """
        _keep_freed_memory()
        checkpoint = progress.folder / CHECKPOINT if progress.folder else None
        if checkpoint is not None and checkpoint.exists():
            state.load(checkpoint, fingerprint)
        last_save = time.monotonic()
        start_time = last_save - state.seconds
        while not self._should_stop(state, time.monotonic() - start_time):
            loss = self.train_batch(state, time.monotonic() - start_time)
            if state.step % REPORT_INTERVAL_STEPS == 0:
                self._report_progress(state, float(loss), progress, time.monotonic() - start_time)
            if state.step % self.config.validation_interval_steps == 0 or state.step == self.config.steps:
                self._update_best(state, progress)
                if self.after_validation is not None:
                    self.after_validation(state)
                state.seconds = time.monotonic() - start_time
                if checkpoint is not None and time.monotonic() - last_save > CHECKPOINT_INTERVAL_S:
                    state.save(checkpoint, fingerprint)
                    last_save = time.monotonic()
        if checkpoint is not None:
            state.seconds = time.monotonic() - start_time
            state.save(checkpoint, fingerprint)
        if state.best_step == 0 or self.config.patience is None:
            return state.vector.detach()
        return state.best

    def train_batch(self, state: TrainingState, seconds: float = 0.0) -> "Tensor":
        """Train on one batch after `seconds` of training; return its loss."""
        for group in state.optimizer.param_groups:
            group["lr"] = self.config.compute_learning_rate(state.step, seconds)
        state.optimizer.zero_grad()
        loss = self.loss.batch_loss(state.vector, state.step, state.rng)
        loss.backward()
        if self.config.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(state.vector, self.config.max_norm)
        state.optimizer.step()
        state.step += 1
        return loss.detach()

    def _report_progress(self, state: TrainingState, loss: float, progress: Progress, seconds: float) -> None:
        if not math.isfinite(loss):
            raise DataError(
                N_("The training failed at step {step}: the loss is not a finite number. Try a smaller learning_rate."),
                step=state.step,
            )
        progress.report(min(max(state.step / self.config.steps, seconds / self.config.seconds), 1.0))
        progress.add_point(N_("loss"), state.step, loss)

    def _update_best(self, state: TrainingState, progress: Progress) -> None:
        """Keep the weights if the loss of the held-out windows is the lowest so far."""
        with torch.no_grad():
            loss = float(self.loss.validation_loss(state.vector, state.step))
        progress.add_point(self.held_out_curve, state.step, loss)
        if loss < state.best_loss:
            state.best_loss, state.best_step = loss, state.step
            state.best.copy_(state.vector.detach())

    def _should_stop(self, state: TrainingState, seconds: float) -> bool:
        config, since_best = self.config, state.step - state.best_step
        if state.step >= config.steps or seconds >= config.seconds:
            return True
        return config.patience is not None and since_best > config.patience * config.validation_interval_steps


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of returning it after every step.

    The page faults would cost a quarter of the time.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 1 << 28)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 1 << 28)  # M_TRIM_THRESHOLD
