"""Detector SGmVRNN: settings, training of the model, and scores of whole series."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.detectors.devices import DEVICE_HELP, run_on_device
from core.detectors.reconstruction import compute_slice_means
from core.detectors.sequences.sgmvrnn import ModelDims, Noise, RowScores, Scorer, SwitchingVRNN
from core.detectors.sequences.sgmvrnn_original import OriginalVRNN
from core.detectors.sequences.sgmvrnn_streaming import NumpyStep, StreamingState
from core.detectors.training import Trainer, TrainingConfig, TrainingData, TrainingState, fill_missing
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

MAX_GRADIENT_NORM = 10.0  # clipping norm of the gradients
PATIENCE_VALIDATIONS = 8  # validations without improvement before early stopping
MAX_VALIDATION_WINDOWS = 512
MAX_CALIBRATION_WINDOWS = 4096
BLOCK_WINDOWS = 4096  # windows scored together
MAX_STREAM_SERIES = 256  # series streamed together
STREAM_PAST_ROWS = 100  # rows after which the state hardly depends on where a stream began
FINAL_TAU = 0.3
SMOOTHING_ROWS = 11  # by default
MAX_SMOOTHING_S = 3600.0  # by default
MAX_LOG_SIGMA_GROWTH = 3.0  # largest increase of a column's log σ


@dataclass
class SGmVRNN(SequenceDetector):
    """Recurrent generative model of several columns; the score is how unlikely a row is, given the previous rows.

    A row's score is the mean over the `smoothing` rows around it, or over the last ones when streaming, because
    anomalies of servers last several minutes. Rows an hour or more apart are not smoothed: there the mean would ring
    on rows that are usual.

    weights_           (weights,), float32
    steps_             trained batches
    tau_               temperature of the categories after training
    log_sigma_growth_  (columns,), added to log σ so that σ covers the errors on held-out windows
    device_            device of the training; "cpu" where the machine lacks the chosen one, or it failed
    device_failure_    error of the chosen device; "" if it did not fail

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> wave = np.sin(np.arange(80) / 3, dtype=np.float32)[:, None]
        >>> detector = SGmVRNN(window=5, steps=10, batch_size=16, smoothing=1).fit([wave], Progress())
        >>> wave[20] = 4.0
        >>> int(detector.score(wave).score.argmax())
        20
    """

    name = "sgmvrnn"
    label = N_("SGmVRNN (deep)")
    calibration_fits = 1  # a fit takes minutes to hours

    fidelity: Literal["default", "original"] = hyperparameter(
        "default",
        choices=("default", "original"),
        help=N_("default: the improved variant. original: exactly the published function."),
        label=N_("Variant"),
    )
    window: int = hyperparameter(20, low=2, high=500, help=N_("Number of rows in a window."), label=N_("Window, rows"))
    categories: int = hyperparameter(
        5,
        low=1,
        high=50,
        help=N_("Number of modes (categories) between which the series can switch."),
        label=N_("Modes"),
    )
    latent: int = hyperparameter(
        10, low=1, high=100, help=N_("Size of the latent vector of a row."), label=N_("Latent size")
    )
    state: int = hyperparameter(
        20,
        low=1,
        high=200,
        help=N_("Size of the state that carries the memory of the previous rows."),
        label=N_("Size of the state"),
    )
    steps: int = hyperparameter(
        600,
        low=1,
        high=1_000_000,
        help=N_(
            "Maximum number of training batches. Early stopping ends the training when the "
            "held-out rows no longer improve."
        ),
        label=N_("Maximum of batches"),
    )
    batch_size: int = hyperparameter(
        128, low=1, high=8192, help=N_("Number of windows in a batch."), label=N_("Batch size")
    )
    learning_rate: float = hyperparameter(
        0.001, low=0.000001, high=0.1, help=N_("Learning rate of the Adam optimiser."), label=N_("Learning rate")
    )
    seconds: float = hyperparameter(
        60.0,
        low=0.1,
        high=86_400.0,
        help=N_("Time limit of the training, in seconds. A run that reaches it cannot be reproduced exactly."),
        label=N_("Time limit (s)"),
    )
    log_sigma_floor: float = hyperparameter(
        -3.0,
        low=-10.0,
        high=2.0,
        help=N_("Logarithm of the smallest standard deviation, in scaled units. Smaller deviations raise no alarm."),
        label=N_("Smallest spread (log σ)"),
    )
    score_timing: Literal["before", "after"] = hyperparameter(
        "before",
        choices=("before", "after"),
        help=N_(
            "before: compare a row with its prediction from the previous rows. after: compare "
            "it with its reconstruction (as in the original)."
        ),
        label=N_("Moment of the score"),
    )
    smoothing: int = hyperparameter(
        0,
        low=0,
        high=1000,
        help=N_(
            "Number of rows over which a score is averaged: the rows around it, or the last rows when streaming. "
            "0: 11 rows, or the rows of one hour if these are fewer."
        ),
        label=N_("Averaged rows"),
    )
    scoring: Literal["windows", "streaming"] = hyperparameter(
        "windows",
        choices=("windows", "streaming"),
        help=N_(
            "windows: each row is scored at the end of its own window, as in training. streaming: "
            "a state is carried from row to row."
        ),
        label=N_("Score of a row"),
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Random seed."), label=N_("Seed"))
    device: str = hyperparameter("cpu", help=DEVICE_HELP, label=N_("Device"))

    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        """Fit the model on windows of `series`.

        Raises DataError for a checkpoint of other settings, OptionError for an unknown device, and Cancelled.
        """
        self.columns_ = int(series[0].shape[1])
        _, used = run_on_device(self.device, lambda device: self._train(device, series, progress))
        self.device_, self.device_failure_ = used.name, used.failure
        progress.report(1.0)
        return self

    def _train(self, device: str, series: Sequence[Floats32], progress: Progress) -> None:
        data = TrainingData.from_series(series, self.window, device)
        loss = TrainingLoss(self, data)
        vector = self._model_class.init_weights(self.dims, self.seed).to(device)
        state = TrainingState.start(vector, self.seed)
        weights = Trainer(loss, self._training_config).train(state, progress, self._compute_fingerprint(data))
        self.weights_ = weights.cpu().numpy().copy()
        self.steps_, self.tau_ = state.step, loss.compute_tau(state.step)
        self.log_sigma_growth_ = np.zeros(self.columns_, np.float32)
        if self.fidelity == "default":
            self.log_sigma_growth_ = calibrate_sigma(self._build_scorer(), data)

    def score(self, series: Floats32) -> SequenceScores:
        """Return the scores of every row of one series."""
        return self.score_many([series])[0]

    def score_many(self, series: Sequence[Floats32]) -> list[SequenceScores]:
        """Return the scores of several series; streaming scores series of similar length together."""
        if self.scoring == "streaming":
            return self._score_streams(series)
        scorer = self._build_scorer()
        return [self._score_windows(scorer, values) for values in series]

    def start_stream(self, series: int = 1) -> StreamingState:
        """Return the state of `series` new streams, which then take their rows one by one."""
        scorer = self._build_scorer()
        return StreamingState(scorer, series, NumpyStep(scorer) if self.fidelity == "default" else None)

    @property
    def mode(self) -> str:  # type: ignore[override]
        """Description of how rows are scored, shown with the result."""
        return (
            N_("each row at the end of its own window")
            if self.scoring == "windows"
            else N_("streaming, with a state carried from row to row")
        )

    @property
    def carries_state(self) -> bool:  # type: ignore[override]
        """True where a state is carried from row to row."""
        return self.scoring == "streaming"

    @property
    def past_rows(self) -> int | None:  # type: ignore[override]
        """Rows before a row that its score depends on, or that settle the state; None where scores look ahead."""
        if self.scoring == "streaming":
            return max(STREAM_PAST_ROWS, 4 * self.window) + self.smoothing_rows - 1
        return self.window - 1 if self.smoothing_rows // 2 == 0 else None

    @property
    def smoothing_rows(self) -> int:
        """Rows over which a score is averaged: half an hour to each side at most, unless `smoothing` is set."""
        if self.fidelity == "original":
            return 1
        if self.smoothing or self.step_seconds_ is None:
            return self.smoothing or SMOOTHING_ROWS
        return min(SMOOTHING_ROWS, 1 + 2 * int(MAX_SMOOTHING_S / 2 // self.step_seconds_))

    @property
    def dims(self) -> ModelDims:
        """Dimensions of the network for the columns of the training data."""
        return ModelDims(self.columns_, self.categories, self.latent, self.state)

    def build_model(self, vector: "Tensor", *, with_logvar: bool = True) -> SwitchingVRNN:
        """Return the network with the weights in `vector`."""
        return self._model_class(self.dims, vector, self.log_sigma_floor, with_logvar=with_logvar)

    @property
    def _model_class(self) -> type[SwitchingVRNN]:
        return SwitchingVRNN if self.fidelity == "default" else OriginalVRNN

    @property
    def _training_config(self) -> TrainingConfig:
        """Training settings; the original has no clipping, no decay and no early stopping."""
        if self.fidelity == "original":
            return TrainingConfig(self.steps, self.seconds, self.learning_rate)
        return TrainingConfig(
            self.steps, self.seconds, self.learning_rate, MAX_GRADIENT_NORM, PATIENCE_VALIDATIONS, lr_decay=True
        )

    def _compute_fingerprint(self, data: TrainingData) -> str:
        """Return settings, digest of the data and version of torch, which a checkpoint must match."""
        digest = hashlib.sha256(data.values.cpu().numpy().tobytes()).hexdigest()[:16]
        version = str(torch.__version__).partition("+")[0]
        return json.dumps({**get_params(self), "data": digest, "torch": version}, sort_keys=True)

    def _build_scorer(self) -> Scorer:
        """Return the scorer of the trained model, on the CPU."""
        with torch.inference_mode():
            model = self.build_model(torch.from_numpy(self.weights_), with_logvar=False)
        predictive = self.score_timing == "before" and self.fidelity == "default"
        return Scorer(model, self.tau_, torch.from_numpy(self.log_sigma_growth_), predictive)

    def _score_windows(self, scorer: Scorer, series: Floats32) -> SequenceScores:
        """Score every row at the end of its own window."""
        with torch.inference_mode():
            x, mask = fill_missing(series)
            rows = scorer.model.project(x)
            blocks = [
                scorer.score_window_ends(x, mask, rows, ends, self.window)
                for ends in torch.arange(len(x)).split(BLOCK_WINDOWS)
            ]
            scores = RowScores(*(torch.cat(part) for part in zip(*blocks, strict=True)))
        return self._smooth_scores(scorer, scores, ahead=self.smoothing_rows // 2)

    def _score_streams(self, series: Sequence[Floats32]) -> list[SequenceScores]:
        """Score series with a state carried from row to row."""
        scorer = self._build_scorer()
        order = sorted(range(len(series)), key=lambda i: len(series[i]))
        scores_by_series: dict[int, SequenceScores] = {}
        for first in range(0, len(order), MAX_STREAM_SERIES):
            group = order[first : first + MAX_STREAM_SERIES]
            block = np.full((len(series[group[-1]]), len(group), self.columns_), np.nan, np.float32)
            for column, i in enumerate(group):
                block[: len(series[i]), column] = series[i]
            scores = StreamingState(scorer, len(group)).score_block(block)
            for column, i in enumerate(group):
                series_scores = RowScores(*(part[: len(series[i]), column] for part in scores))
                scores_by_series[i] = self._smooth_scores(scorer, series_scores, ahead=0)
        return [scores_by_series[i] for i in range(len(series))]

    def _smooth_scores(self, scorer: Scorer, scores: RowScores, ahead: int) -> SequenceScores:
        """Average the scores over `smoothing_rows` rows, `ahead` of them after the row.

        Shares count from the smallest possible value.
        """
        nll, mu, sigma, c = (part.numpy() for part in scores)
        length = self.smoothing_rows
        ends = np.arange(len(nll)) + ahead + 1
        last = np.minimum(ends, len(nll))
        nll = compute_slice_means(nll, np.clip(ends - length, 0, last - 1), last)
        return SequenceScores(nll.sum(axis=1), np.maximum(nll - scorer.min_nll, 0), mu, sigma, c)


@dataclass
class TrainingLoss:
    """Losses of batches and of held-out windows."""

    detector: SGmVRNN
    data: TrainingData

    def compute_tau(self, step: int) -> float:
        """Return the temperature of the categories after `step` batches.

        It falls from 1 to 0.3. In the original it starts at 5 and is multiplied by e^(−0.1 epoch) after each epoch.
        """
        if self.detector.fidelity == "default":
            return math.exp(step / self.detector.steps * math.log(FINAL_TAU))
        epoch = step * self.detector.batch_size // max(len(self.data.train_starts), 1)
        return max(5.0 * math.exp(-0.05 * epoch * (epoch + 1)), 0.1)

    def batch_loss(self, vector: "Tensor", step: int, rng: "torch.Generator") -> "Tensor":
        """Return the loss of randomly drawn windows."""
        starts = self.data.train_starts
        indices = torch.randint(0, len(starts), (self.detector.batch_size,), generator=rng)
        return self._compute_loss(vector, starts[indices], step, rng)

    def validation_loss(self, vector: "Tensor", step: int) -> "Tensor":
        """Return the loss of the held-out windows, always the same ones with the same noise."""
        starts = sample_evenly(self.data.validation_starts, MAX_VALIDATION_WINDOWS)
        return self._compute_loss(vector, starts, step, torch.Generator().manual_seed(self.detector.seed))

    def _compute_loss(self, vector: "Tensor", starts: "Tensor", step: int, rng: "torch.Generator") -> "Tensor":
        x, mask = self.data.select_windows(starts)
        noise = Noise.draw(self.detector.dims, x, rng)
        return self.detector.build_model(vector).compute_loss(x, mask, noise, self.compute_tau(step))


def calibrate_sigma(scorer: Scorer, data: TrainingData) -> Floats32:
    """Return the increase of log σ per column, (columns,), that makes σ cover the errors on held-out windows."""
    x, mask = data.values.cpu(), None if data.mask is None else data.mask.cpu()
    ends = sample_evenly(data.validation_starts, MAX_CALIBRATION_WINDOWS) + data.window - 1
    with torch.inference_mode():
        scores = scorer.score_window_ends(x, mask, scorer.model.project(x), ends, data.window)
        squares = ((x[ends] - scores.mu) / scores.sigma) ** 2
        weight = torch.ones_like(squares) if mask is None else mask[ends]
        mean = (squares * weight).sum(0) / weight.sum(0).clamp(min=1)
        return (torch.log(mean.clamp(min=1.0)) / 2).clamp(max=MAX_LOG_SIGMA_GROWTH).numpy()


def sample_evenly(starts: "Tensor", count: int) -> "Tensor":
    """Return at most `count` of `starts`, evenly spaced."""
    return starts[torch.linspace(0, len(starts) - 1, min(count, len(starts))).long()]
