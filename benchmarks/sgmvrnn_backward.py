"""Training of SGmVRNN with autograd, handwritten gradients and torch.compile: windows per second.

Handwritten or compiled gradients are worth their lines if they are 1.3 times as fast as autograd. All sides have the
same loss and batches, and take turns in one process. The handwritten gradients equal those of autograd. One thread is
measured in processor seconds, two threads in wall-clock seconds. With the option "compiled", the compiled sides run,
too; their compilation takes minutes.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

from benchmarks.report import ResultLine, median
from benchmarks.sgmvrnn import COLUMNS, ROWS, WINDOW, make_series
from core.detectors import training
from core.detectors.sequences.sgmvrnn import (
    HIDDEN,
    LEAKY_SLOPE,
    LOGVAR_LIMIT,
    CellOutput,
    ModelDims,
    Noise,
    SwitchingVRNN,
    leaky_relu,
)
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN, TrainingLoss

BATCHES = (128, 512)
THREADS = (1, 2)
REPETITIONS = 11
STEPS = 4  # training steps in one repetition
MIN_GAIN = 1.3


def main() -> list[ResultLine]:
    """Compare all sides for every batch size and number of threads."""
    training._keep_freed_memory()
    sides: dict[str, type[SwitchingVRNN]] = {"autograd": SwitchingVRNN, "written by hand": HandWritten}
    if shutil.which("g++") and "compiled" in sys.argv:
        sides |= {"compiled, the step": CompiledStep, "compiled, the loss": CompiledLoss}
    lines = []
    for batch, threads in product(BATCHES, THREADS):
        torch.set_num_threads(threads)
        lines += _compare(batch, threads, sides)
    return lines


def _compare(batch: int, threads: int, sides: Mapping[str, type[SwitchingVRNN]]) -> Iterator[ResultLine]:
    """Yield the results of all sides, which take turns."""
    _check_gradients(batch)
    clock = time.process_time if threads == 1 else time.perf_counter
    trainers = {name: _make_training_step(model, batch) for name, model in sides.items()}
    first = {name: _measure_seconds(step, 2, time.perf_counter) for name, step in trainers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(REPETITIONS):
        for name, step in trainers.items():
            seconds[name].append(_measure_seconds(step, STEPS, clock))
    plain, what = seconds["autograd"], f"batch {batch}, {threads} thread{'s' * (threads > 1)}"
    yield _print_line(ResultLine(f"{what}: autograd", f"{batch * STEPS / median(plain):,.0f} windows/s"))
    for name in [*trainers][1:]:
        gains = [plain_seconds / side_seconds for plain_seconds, side_seconds in zip(plain, seconds[name], strict=True)]
        basis = f"{batch * STEPS / median(seconds[name]):,.0f} windows/s; first two steps {first[name]:.1f} s"
        verdict = "worth it" if median(gains) >= MIN_GAIN else "not worth it"
        spread = f"{min(gains):.2f} – {max(gains):.2f}"
        yield _print_line(
            ResultLine(
                f"    {name}, times autograd", f"{median(gains):.2f} x", spread, basis, f"≥ {MIN_GAIN} x", verdict
            )
        )


def _print_line(line: ResultLine) -> ResultLine:
    print(line, file=sys.stderr, flush=True)
    return line


def _make_training_step(model: type[SwitchingVRNN], batch: int) -> Callable[[], object]:
    """Return a function that makes one training step of the default model on 38 columns."""
    detector = SGmVRNN(batch_size=batch, steps=10**6)
    detector.columns_ = COLUMNS
    data = training.TrainingData.from_series([make_series(ROWS)], WINDOW, "cpu")
    loss = _OtherModelLoss(detector, data)
    loss.model = model
    state = training.TrainingState.start(model.init_weights(detector.dims, 0), 0)
    trainer = training.Trainer(loss, detector._training_config)
    return lambda: trainer.train_batch(state)


class _OtherModelLoss(TrainingLoss):
    """Training loss with another model class."""

    model: type[SwitchingVRNN]

    def _compute_loss(self, vector: Tensor, starts: Tensor, step: int, rng: torch.Generator) -> Tensor:
        x, known = self.data.select_windows(starts)
        model = self.model(self.detector.dims, vector, self.detector.log_sigma_floor)
        tau = torch.tensor(self.compute_tau(step))  # a float would be recompiled for every step
        return model.compute_loss(x, known, Noise.draw(model.dims, x, rng), tau)  # type: ignore[arg-type]


def _check_gradients(batch: int) -> None:
    """Check that the handwritten gradients equal those of autograd."""
    dims = ModelDims(COLUMNS, 5, 10, 20)
    vector = SwitchingVRNN.init_weights(dims, 0).double().requires_grad_()
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(WINDOW, batch, COLUMNS, generator=rng, dtype=torch.float64)
    noise = Noise.draw(dims, x, rng)
    plain, by_hand = (
        torch.autograd.grad(model(dims, vector, -3.0).compute_loss(x, None, noise, 0.7), vector)[0]
        for model in (SwitchingVRNN, HandWritten)
    )
    torch.testing.assert_close(by_hand, plain, rtol=1e-8, atol=1e-10)


def _measure_seconds(step: Callable[[], object], times: int, clock: Callable[[], float]) -> float:
    began = clock()
    for _ in range(times):
        step()
    return clock() - began


# ---- other sides ----------------------------------------------------------------------------------------------------


class CompiledStep(SwitchingVRNN):
    """Model with a compiled step, which runs 20 times per window."""

    step_cell = torch.compile(SwitchingVRNN.step_cell, dynamic=False)


class CompiledLoss(SwitchingVRNN):
    """Model with a compiled loss, which contains the 20 steps in sequence."""

    compute_loss = torch.compile(SwitchingVRNN.compute_loss, dynamic=False)


class HandWritten(SwitchingVRNN):
    """Model with handwritten gradients of the steps, instead of the autograd graph of every small product."""

    def unroll(
        self, x: Tensor, h: Tensor, cell: Tensor, tau: float, noise: Noise | None = None
    ) -> tuple[Tensor, CellOutput]:
        assert noise is not None
        w = self.weights
        category, latent, gates = (w["category.out"], w["category.out.bias"]), w["phi.latent"], w["gates.in"]
        weights = (
            self.past,
            self.past_bias,
            *category,
            self.switch,
            self.posterior,
            self.posterior_bias,
            latent,
            gates,
        )
        logits, c, both, z, past = _Steps.apply(self.project(x), noise.gumbel, noise.normal, tau, *weights)
        mean, logvar = both.split(self.dims.latent, 2)
        return past, CellOutput(logits, c, mean, logvar, z, past, past)  # the last states are not used


class _Steps(torch.autograd.Function):
    """Steps of a window: projected rows (T, B, ·) and noise → logits, c, mean and log-variance, z, previous states."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, gumbel: Tensor, normal: Tensor, tau: float, *weights: Tensor) -> Any:
        past_w, past_b, category, category_b, switch, posterior, posterior_b, latent, gates_w = weights
        Z, H, Q = latent.shape[0], past_w.shape[0], HIDDEN + posterior.shape[0]
        h = cell = rows.new_zeros(rows.shape[1], H)
        cells, before, made, ctx.gates = [], [], [], []
        for row, g, e in zip(rows, gumbel, normal, strict=True):
            before.append(h)
            cells.append(cell)
            past = torch.addmm(past_b, h, past_w)
            hidden = leaky_relu(row[:, :HIDDEN] + past[:, :HIDDEN])
            logits = torch.addmm(category_b, hidden, category)
            c = torch.softmax((logits + g) * (1 / tau), 1)
            mixed = leaky_relu(torch.addmm(row[:, HIDDEN:Q] + past[:, HIDDEN:Q], c, switch))
            both = torch.addmm(posterior_b, mixed, posterior)
            both[:, Z:] = LOGVAR_LIMIT * torch.tanh(both[:, Z:] / LOGVAR_LIMIT)
            z = both[:, :Z] + e * torch.exp(both[:, Z:] / 2)
            phi = leaky_relu(torch.addmm(row[:, Q:], z, latent))
            gates = torch.addmm(past[:, Q:], phi, gates_w)
            gates[:, : 3 * H].sigmoid_()
            gates[:, 3 * H :].tanh_()
            enter, forget, leave, new = gates.split(H, 1)
            cell = torch.addcmul(forget * cell, enter, new)
            bound = torch.tanh(cell)
            h = leave * bound
            ctx.gates.append((gates, bound))
            made.append((hidden, logits, c, mixed, both, z, phi))
        hidden, logits, c, mixed, both, z, phi = (torch.stack(part) for part in zip(*made, strict=True))
        states = torch.stack(before)
        ctx.tau, ctx.cells = tau, cells
        ctx.save_for_backward(normal, hidden, logits, c, mixed, both, z, phi, states, *weights)
        return logits, c, both, z, states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        d_logits, d_c, d_both, d_z, d_states = gradients
        normal, hidden, logits, c, mixed, both, z, phi, states, *weights = ctx.saved_tensors
        past_w, _, category, _, switch, posterior, _, latent, gates_w = (weight.t() for weight in weights)
        Z, H = z.shape[-1], states.shape[-1]
        met = states.new_empty(*states.shape[:2], past_w.shape[0])  # gradients of the sums that contain `past`
        d_phi, d_out, d_lg = torch.empty_like(phi), torch.empty_like(both), torch.empty_like(logits)
        d_h = d_cell = states.new_zeros(states.shape[1:])
        spread = normal * torch.exp(both[..., Z:] / 2) / 2
        flat = 1 - (both[..., Z:] / LOGVAR_LIMIT) ** 2
        slopes = [(after > 0).to(after.dtype) * (1 - LEAKY_SLOPE) + LEAKY_SLOPE for after in (hidden, mixed, phi)]
        for t in range(len(states) - 1, -1, -1):
            gates, bound = ctx.gates[t]
            enter, forget, leave, new = gates.split(H, 1)
            d_cell = torch.addcmul(d_cell, d_h * leave, 1 - bound * bound)
            d_gates = met[t, :, 3 * HIDDEN :]
            d_gates[:, :H] = d_cell * new
            d_gates[:, H : 2 * H] = d_cell * ctx.cells[t]
            d_gates[:, 2 * H : 3 * H] = d_h * bound
            d_gates[:, : 3 * H] *= gates[:, : 3 * H] * (1 - gates[:, : 3 * H])
            d_gates[:, 3 * H :] = d_cell * enter * (1 - new * new)
            d_cell = d_cell * forget
            torch.mul(torch.mm(d_gates, gates_w), slopes[2][t], out=d_phi[t])
            d_latent = torch.addmm(d_z[t], d_phi[t], latent)
            torch.add(d_both[t, :, :Z], d_latent, out=d_out[t, :, :Z])
            torch.addcmul(d_both[t, :, Z:], d_latent, spread[t], out=d_out[t, :, Z:])
            d_out[t, :, Z:] *= flat[t]
            torch.mul(torch.mm(d_out[t], posterior), slopes[1][t], out=met[t, :, HIDDEN : 3 * HIDDEN])
            soft = c[t] * torch.addmm(d_c[t], met[t, :, HIDDEN : 3 * HIDDEN], switch)
            torch.add(d_logits[t], (soft - c[t] * soft.sum(1, keepdim=True)) / ctx.tau, out=d_lg[t])
            torch.mul(torch.mm(d_lg[t], category), slopes[0][t], out=met[t, :, :HIDDEN])
            d_h = torch.addmm(d_states[t], met[t], past_w)
        d_mixed, d_gates = met[..., HIDDEN : 3 * HIDDEN], met[..., 3 * HIDDEN :]
        d_weights = (
            *(
                _weight_gradient(states, met),
                met.sum((0, 1)),
                _weight_gradient(hidden, d_lg),
                d_lg.sum((0, 1)),
                _weight_gradient(c, d_mixed),
            ),
            *(
                _weight_gradient(mixed, d_out),
                d_out.sum((0, 1)),
                _weight_gradient(z, d_phi),
                _weight_gradient(phi, d_gates),
            ),
        )
        return torch.cat([met[..., : 3 * HIDDEN], d_phi], -1), None, None, None, *d_weights


def _weight_gradient(inputs: Tensor, gradients: Tensor) -> Tensor:
    """Return the gradient of a weight, summed over all steps and windows."""
    return inputs.flatten(0, 1).t() @ gradients.flatten(0, 1)
