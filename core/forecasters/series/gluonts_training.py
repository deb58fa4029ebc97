"""Training of a network of GluonTS with Lightning: quiet, seeded, cancellable, and without files."""

import copy
import logging
import math
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.lazy_import import LazyModule
from core.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

Batch = dict[str, "Tensor"]
Weights = dict[str, NDArray[Any]]

INITIAL_DF, INITIAL_SCALE = 4.0, 0.24  # before the softplus: 6 degrees of freedom, standard deviation 1
INITIAL_WEIGHT = 0.05  # of the usual weights of the output layers
MAX_GRADIENT_NORM = 10.0  # clipping norm of the gradients


@dataclass(frozen=True)
class NetworkTraining:
    """Settings of a training.

    epochs      most epochs, each of all training batches
    seconds     time limit
    patience    epochs without a better validation loss before the training ends
    """

    epochs: int
    seconds: float
    patience: int


def train_network(
    module: Any,
    batches: Iterable[Batch],
    validation_batches: Iterable[Batch],
    training: NetworkTraining,
    progress: Progress | None = None,
) -> Weights:
    """Train a Lightning module and return the weights of the epoch with the lowest validation loss.

    Call it inside `isolate_torch`. The training and validation losses become curves of `progress`. Raises
    CancelledError.
    """
    from lightning.pytorch import Trainer

    observer = _build_observer(training, progress or Progress())
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=training.epochs,
        callbacks=[observer],
        gradient_clip_val=MAX_GRADIENT_NORM,
        logger=False,
        enable_checkpointing=False,  # a checkpoint is a file: the observer holds the best weights
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=-1,  # the untrained network is a candidate too
    )
    trainer.fit(module, batches, validation_batches)
    return {name: weight.numpy().copy() for name, weight in observer.best_weights.items()}


@contextmanager
def isolate_torch(seed: int) -> Iterator[None]:
    """Run a block quietly on one thread with the random state `seed`; restore threads and random state afterwards.

    The networks are so small that a second thread waits more than it computes.
    """
    threads = torch.get_num_threads()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        import lightning.pytorch  # noqa: F401 — the import sets the levels of its loggers

        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _build_observer(training: NetworkTraining, progress: Progress) -> Any:
    """Return the callback of a training: progress, early stopping, time limit and the best weights."""
    from lightning.pytorch import Callback

    class TrainingObserver(Callback):  # a class in a function, because its base is imported late
        best_weights: dict[str, Any] = {}
        best_loss, best_epoch = math.inf, 0
        end = time.monotonic() + training.seconds

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Batch, batch_index: int) -> None:
            progress.report(trainer.current_epoch / training.epochs)
            if time.monotonic() > self.end:
                trainer.should_stop = True

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            loss = float(trainer.callback_metrics["val_loss"])
            epoch = 0 if trainer.sanity_checking else trainer.current_epoch + 1
            progress.add_point("validation loss", epoch, loss)
            if loss < self.best_loss:
                self.best_loss, self.best_epoch = loss, epoch
                self.best_weights = copy.deepcopy(module.model.state_dict())
            elif epoch - self.best_epoch >= training.patience:
                trainer.should_stop = True

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            progress.add_point("loss", trainer.current_epoch + 1, float(trainer.callback_metrics["train_loss"]))

    return TrainingObserver()


def start_at_seasonal_mean(projection: Any) -> None:
    """Set the output layers of an untrained network so that distributions have a mean near 0 and a deviation near 1."""
    with torch.no_grad():
        for layer, bias in zip(projection.proj, (INITIAL_DF, 0.0, INITIAL_SCALE), strict=True):
            layer.weight.mul_(INITIAL_WEIGHT)
            layer.bias.fill_(bias)


def restore_weights(network: Any, weights: Weights) -> Any:
    """Return `network` with `weights`, ready for forecasts in double precision.

    In double precision a forecast hardly depends on which others are computed with it.
    """
    network.load_state_dict({name: torch.from_numpy(np.asarray(weight)) for name, weight in weights.items()})
    return network.double().eval()
