"""Learning by gradient descent, the same for every network: batches, early stopping without labels, checkpoints.

All weights are one vector, so that Adam, clipping and a checkpoint are a few operations whatever the network.
"""

import ctypes
import json
import math
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import DataError
from core.lazy_import import Lazy
from core.messages import N_
from core.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = Lazy("torch")

CHECKPOINT = "checkpoint.npz"
CHECKPOINT_EVERY = 5.0  # seconds
CHECK_EVERY = 50  # steps between two looks at what was held out
TELL_EVERY = 10  # steps
FADING, FADING_SQUARE = 0.9, 0.999  # of Adam's means


@dataclass(frozen=True)
class Recipe:
    """How to learn: batches at most, seconds at most, Adam's learning rate.

    clip        norm that gradients are cut to; None leaves them as they are
    patience    looks at what was held out without a better one, after which learning ends; None goes on, and keeps
                the last
                weights instead of the best
    slows_down  the learning rate falls to a twentieth during the second half
    """

    steps: int
    seconds: float
    learning_rate: float
    clip: float | None = None
    patience: int | None = None
    slows_down: bool = False


@dataclass
class State:
    """Everything that learning has so far: what a checkpoint holds."""

    vector: "Tensor"
    mean: "Tensor"
    square: "Tensor"
    best: "Tensor"
    draws: "torch.Generator"
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    seconds: float = 0.0

    @classmethod
    def fresh(cls, vector: "Tensor", seed: int) -> "State":
        zeros = torch.zeros_like(vector)
        return cls(
            vector.requires_grad_(), zeros, zeros.clone(), vector.detach().clone(), torch.Generator().manual_seed(seed)
        )

    def save(self, path: Path, terms: str) -> None:
        """Write to `path` in one piece: what is killed while it writes leaves the checkpoint before."""
        held = {name: getattr(self, name).detach().cpu().numpy() for name in ("vector", "mean", "square", "best")}
        plain = {name: getattr(self, name) for name in ("step", "best_loss", "best_step", "seconds")}
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".part")
        with written.open("wb") as file:
            np.savez(file, **held, draws=self.draws.get_state().numpy(), plain=json.dumps(plain), terms=terms)
        written.replace(path)

    def load(self, path: Path, terms: str) -> None:
        """Go on from `path`. Raises DataError where it was made on other terms (data, settings, versions) or is
        damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                found = str(held["terms"])
                if found == terms:
                    with torch.no_grad():
                        for name in ("vector", "mean", "square", "best"):
                            getattr(self, name).copy_(torch.from_numpy(held[name]))
                    self.draws.set_state(torch.from_numpy(held["draws"]))
                    for name, value in json.loads(str(held["plain"])).items():
                        setattr(self, name, value)
        except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
            raise DataError(
                N_("The checkpoint {file} cannot be read ({reason}); delete it to begin anew."),
                file=path.name,
                reason=error,
            ) from error
        if found != terms:
            raise DataError(
                N_(
                    "The checkpoint {file} belongs to other data, settings or versions ({value}, not "
                    "{accepted}); delete it to begin anew."
                ),
                file=path.name,
                value=found,
                accepted=terms,
            )


@dataclass(frozen=True)
class Learning:
    """What is learnt: the loss of a batch at a step, with what is drawn for it, and of what is held out."""

    batch: "Callable[[Tensor, int, torch.Generator], Tensor]"
    held_out: "Callable[[Tensor, int], Tensor]"
    recipe: Recipe

    def run(self, state: State, progress: Progress, terms: str) -> "Tensor":
        """The best weights, or the last ones where the recipe has no patience.

        Goes on from the checkpoint in `progress.folder`, where there is one; `terms` says what it has to agree with.

        Raises:
        DataError for one that does not, and for a loss that is no number; Cancelled.
        """
        _keep_freed_memory()
        checkpoint = progress.folder / CHECKPOINT if progress.folder else None
        if checkpoint is not None and checkpoint.exists():
            state.load(checkpoint, terms)
        recipe, saved = self.recipe, time.monotonic()
        began = saved - state.seconds
        while state.step < recipe.steps and time.monotonic() - began < recipe.seconds and not self._tired(state):
            loss = self.step(state)
            if state.step % TELL_EVERY == 0:
                self._tell(state, float(loss), progress, time.monotonic() - began)
            if state.step % CHECK_EVERY == 0 or state.step == recipe.steps:
                self._look(state, progress)
                state.seconds = time.monotonic() - began
                if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_EVERY:
                    state.save(checkpoint, terms)
                    saved = time.monotonic()
        if checkpoint is not None:
            state.seconds = time.monotonic() - began
            state.save(checkpoint, terms)
        if state.best_step == 0 or recipe.patience is None:
            return state.vector.detach()
        return state.best

    def step(self, state: State) -> "Tensor":
        """One batch; its loss."""
        loss = self.batch(state.vector, state.step, state.draws)
        (gradient,) = torch.autograd.grad(loss, state.vector)
        self._adam(state, gradient)
        state.step += 1
        return loss.detach()

    def _adam(self, state: State, gradient: "Tensor") -> None:
        """Kingma and Ba, 2015."""
        recipe, step = self.recipe, state.step + 1
        if recipe.clip is not None:
            gradient *= torch.clamp(recipe.clip / (gradient.norm() + 1e-6), max=1.0)
        slower = min(1.0, 2.05 - 2 * state.step / recipe.steps) if recipe.slows_down else 1.0
        with torch.no_grad():
            state.mean.lerp_(gradient, 1 - FADING)
            state.square.mul_(FADING_SQUARE).addcmul_(gradient, gradient, value=1 - FADING_SQUARE)
            sized = (state.square / (1 - FADING_SQUARE**step)).sqrt_().add_(1e-8)
            state.vector.addcdiv_(state.mean, sized, value=-recipe.learning_rate * slower / (1 - FADING**step))

    def _tell(self, state: State, loss: float, progress: Progress, seconds: float) -> None:
        if not math.isfinite(loss):
            raise DataError(
                N_("Learning came to nothing at step {step}: the loss is no number. Try a smaller learning_rate."),
                step=state.step,
            )
        progress.tell(min(max(state.step / self.recipe.steps, seconds / self.recipe.seconds), 1.0))
        progress.draw(N_("loss"), state.step, loss)

    def _look(self, state: State, progress: Progress) -> None:
        """Keep the weights where what is held out costs less than ever."""
        with torch.no_grad():
            loss = float(self.held_out(state.vector, state.step))
        progress.draw(N_("rows held out"), state.step, loss)
        if loss < state.best_loss:
            state.best_loss, state.best_step = loss, state.step
            state.best.copy_(state.vector.detach())

    def _tired(self, state: State) -> bool:
        patience = self.recipe.patience
        return patience is not None and state.step - state.best_step > patience * CHECK_EVERY


def _keep_freed_memory() -> None:
    """Ask glibc not to hand freed memory back after every step: the page faults cost a quarter of the time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-3, 1 << 28)  # M_MMAP_THRESHOLD
            libc.mallopt(-1, 1 << 28)  # M_TRIM_THRESHOLD
