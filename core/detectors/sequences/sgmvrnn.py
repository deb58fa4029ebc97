"""Switching Gaussian Mixture Variational RNN (Dai et al., INFOCOM 2022), read from top to bottom.

Of a series x₁ … x_T of n columns, with a state h that remembers what came before, every step has a category c (one of
K, the
switch), a latent z of a few numbers that is Gaussian given h and c, and the values, Gaussian given h and z:

    c ~ Categorical(1/K)    z ~ N(prior(h, c))    x ~ N(decoder(h, z))    h ← LSTM(φ(x, z), h)

What is learnt maximises the evidence lower bound with q(c | x, h) (Gumbel-softmax) and q(z | x, h, c). The score of a
row is
its negative log-likelihood −log p(x | h, z) at the mean of z, which splits into one share per column.

`fidelity="original"` is the function of the published code: given the same weights and the same noise, the same loss
and
score. What the default does otherwise, each with its reason measured in docs/results/sgmvrnn.md:

    columns have no order       encoder and decoder are dense, not convolutions over the columns
    outputs are free            means, log-variances and logits carry no LeakyReLU; log-variances stay within ±8
    small beginnings            the last layer of every head starts near zero: nothing saturates before it has learnt
    σ has a floor               e^`log_sigma_floor` in scaled units, and no ceiling
    categories live             KL(mean of q(c) over the batch ‖ uniform) weighs as the other terms do: every category
                                is used,
                                and each row may be sure of its own
    spreads are honest          σ of a column grows until its errors on rows held out are as wide as it says
    scores repeat               c is softmax(logits / τ) without noise when scoring
    runs repeat                 seeds, gradient clipping, early stopping on rows held out
    expected before seen        z is the prior's mean, given the row's category: a row does not explain itself away
    alarms last                 a row's score is the mean over the `smoothing` rows around it (streaming: the last ones)
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from core.detectors.base import Floats32, Scored, SequenceDetector
from core.detectors.training import Learning, Recipe, State
from core.lazy_import import Lazy
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import get_params, hyperparameter

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as functional
    from torch import Tensor

    Four = tuple[Tensor, Tensor, Tensor, Tensor]
else:
    torch, functional = Lazy("torch"), Lazy("torch.nn.functional")

Weights = Mapping[str, "Tensor"]
SLOPE = 0.2  # of every LeakyReLU
ENCODED, HIDDEN, MIXED = (
    20,
    20,
    40,
)  # widths: of an encoded row, of the heads' hidden layers, of φ and of the dense layers
MIRRORED = ((2, 16), (3, 8), (4, 1))  # the decoder's transposed convolutions: layer, channels out
LOGVAR_LIMIT = 8.0
ORIGINAL_FLOOR = -1.0  # of log σ, from its tanh
LOG_2PI = math.log(2 * math.pi)
LAST_TAU = 0.3
SMALL = 0.1  # that the default's heads begin with, of what Kaiming's initialisation gives
WIDEST = 3.0  # that a column's log σ grows by
CLIP = 10.0
FEW = 8  # series that NumPy steps faster than torch
SIDE_BY_SIDE = 256  # series streamed together
BLOCK = 4096  # windows, or rows of all series, scored together
HELD_OUT = 0.1
PATIENCE = 8  # looks at the windows held out without a better one
CHECKED = 512  # windows looked at


# ---- sizes and weights ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """Of one network: columns n, categories K, latent Z, state H."""

    columns: int
    categories: int = 5
    latent: int = 10
    state: int = 20
    original: bool = False

    @property
    def strides(self) -> tuple[int, int, int]:
        """Kernels, equal to their strides, of the original's three convolutions over the columns."""
        return (3, 2, 2) if self.padded % 12 == 0 and self.padded % 8 else (2, 2, 2)

    @property
    def padded(self) -> int:
        """Columns with the zeros that let the convolutions come out even."""
        return next(width for width in range(self.columns, self.columns + 12) if width % 12 == 0 or width % 8 == 0)

    @property
    def flat(self) -> int:
        """What the convolutions leave of a row: 32 channels."""
        return 32 * (self.padded // math.prod(self.strides))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of every weight; inputs first, outputs last, biases of one dimension."""
        n, K, Z, H = self.columns, self.categories, self.latent, self.state
        layers: dict[str, tuple[int, int]] = {
            # ENCODED numbers of a row, HIDDEN of each head; "past" is h
            "category.row": (ENCODED, HIDDEN),
            "category.out": (HIDDEN, K),
            "mean.row": (ENCODED, HIDDEN),
            "mean.out": (HIDDEN, Z),
            "logvar.row": (ENCODED, HIDDEN),
            "logvar.out": (HIDDEN, Z),
            "prior_mean.in": (H + K, HIDDEN),
            "prior_mean.out": (HIDDEN, Z),
            "prior_logvar.in": (H + K, HIDDEN),
            "prior_logvar.out": (HIDDEN, Z),
            "phi.row": (ENCODED, MIXED),
            "gates.in": (MIXED, 4 * H),
            "gates.past": (H, 4 * H),
        }
        if self.original:
            first, second, third = self.strides
            layers |= {"encoder.0": (first, 8), "encoder.1": (second * 8, 16), "encoder.2": (third * 16, 32)}
            layers |= {"encoder.3": (self.flat, MIXED), "encoder.4": (MIXED, ENCODED)}
            for head in ("mu", "log_sigma"):
                layers |= {f"{head}.0": (H + Z, MIXED), f"{head}.1": (MIXED, self.flat)}
                layers |= {f"{head}.2": (32, third * 16), f"{head}.3": (16, second * 8), f"{head}.4": (8, first)}
        else:
            layers |= {"encoder.0": (n, MIXED), "encoder.1": (MIXED, ENCODED), "decoder.0": (H + Z, MIXED)}
            layers |= {"decoder.1": (MIXED, MIXED), "mu.out": (MIXED, n), "log_sigma.out": (MIXED, n)}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in layers.items():
            shapes |= {name: shape, f"{name}.bias": (shape[1],)}
        if self.original:  # a transposed convolution has one bias per channel, for all places it writes to
            shapes |= {
                f"{head}.{number}.bias": (channels,) for head in ("mu", "log_sigma") for number, channels in MIRRORED
            }
        # the same layers' weights for what comes beside the row: h, c, z
        shapes |= {f"{head}.past": (H, HIDDEN) for head in ("category", "mean", "logvar")}
        shapes |= {"mean.category": (K, HIDDEN), "logvar.category": (K, HIDDEN), "phi.latent": (Z, MIXED)}
        return shapes


def initial(sizes: Sizes, seed: int) -> "Tensor":
    """Weights to begin with, all in one vector: Kaiming's for what a LeakyReLU follows, the LSTM's uniform, heads
    small.
    """
    made = torch.Generator().manual_seed(seed)
    parts = []
    for name, shape in sizes.shapes().items():
        if name.startswith("gates"):
            part = (torch.rand(shape, generator=made) * 2 - 1) / math.sqrt(sizes.state)
        elif len(shape) == 1:
            part = torch.zeros(shape)
        else:
            part = torch.randn(shape, generator=made) * math.sqrt(2 / _inputs(name, sizes))
            part *= SMALL if not sizes.original and name.endswith(".out") else 1.0
        parts.append(part.reshape(-1))
    return torch.cat(parts)


def _inputs(name: str, sizes: Sizes) -> int:
    """How many numbers meet in one output of the layer that a weight belongs to."""
    layer = name.partition(".")[0]
    shapes = sizes.shapes()
    met = [
        each
        for each in shapes
        if each.startswith(f"{layer}.") and each.split(".")[1] in ("row", "past", "category", "latent")
    ]
    return sum(shapes[each][0] for each in met) if name in met else shapes[name][0]


def unpacked(vector: "Tensor", sizes: Sizes) -> dict[str, "Tensor"]:
    """The weights in `vector` by name; views, so that gradients flow back."""
    shapes = sizes.shapes()
    parts = vector.split([math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


# ---- what happens to single rows: encoder, decoder, prior -----------------------------------------------------------


def dense(weights: Weights, layer: str, x: "Tensor") -> "Tensor":
    """x W + b over the last dimension."""
    return torch.addmm(weights[f"{layer}.bias"], x.flatten(0, -2), weights[layer]).view(*x.shape[:-1], -1)


def bent(x: "Tensor") -> "Tensor":
    return functional.leaky_relu_(x, SLOPE)


def encode(weights: Weights, sizes: Sizes, x: "Tensor") -> "Tensor":
    """Rows (…, n) → (…, ENCODED)."""
    if sizes.original:
        for number, stride in enumerate(sizes.strides):  # kernel = stride: a convolution is a product over a view
            if number == 0:
                before = (sizes.padded - sizes.columns) // 2
                x = functional.pad(x, (before, sizes.padded - sizes.columns - before)).unsqueeze(-1)
            x = x.reshape(*x.shape[:-2], x.shape[-2] // stride, stride * x.shape[-1])
            x = bent(dense(weights, f"encoder.{number}", x))
        x = x.flatten(-2)
        x = bent(dense(weights, "encoder.3", x))
        return bent(dense(weights, "encoder.4", x))
    return bent(dense(weights, "encoder.1", bent(dense(weights, "encoder.0", x))))


def decode(weights: Weights, sizes: Sizes, h: "Tensor", z: "Tensor", floor: float) -> tuple["Tensor", "Tensor"]:
    """State and latent → mean and log σ of every column, (…, n) each."""
    both = torch.cat([h, z], dim=-1)
    if sizes.original:
        return _mirrored(weights, sizes, "mu", both), _mirrored(weights, sizes, "log_sigma", both)
    x = bent(dense(weights, "decoder.1", bent(dense(weights, "decoder.0", both))))
    return dense(weights, "mu.out", x), floor + functional.softplus(dense(weights, "log_sigma.out", x))


def _mirrored(weights: Weights, sizes: Sizes, head: str, x: "Tensor") -> "Tensor":
    """The encoder's convolutions backwards, for one head of the original."""
    x = bent(dense(weights, f"{head}.1", bent(dense(weights, f"{head}.0", x))))
    x = x.view(*x.shape[:-1], -1, 32)
    for number, channels in MIRRORED:
        matrix, bias = weights[f"{head}.{number}"], weights[f"{head}.{number}.bias"]
        x = torch.addmm(bias.repeat(matrix.shape[1] // channels), x.flatten(0, -2), matrix).view(*x.shape[:-1], -1)
        x = x.view(*x.shape[:-2], -1, channels)
        x = bent(x) if channels > 1 else torch.tanh(x)
    before = (sizes.padded - sizes.columns) // 2
    return x.squeeze(-1)[..., before : before + sizes.columns]


def prior(weights: Weights, sizes: Sizes, h: "Tensor", c: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Mean and log-variance of z before the row is seen."""
    both = torch.cat([h, c], dim=-1)
    logvar = dense(weights, "prior_logvar.out", bent(dense(weights, "prior_logvar.in", both)))
    return prior_mean(weights, sizes, both), bent(logvar) if sizes.original else bounded(logvar)


def prior_mean(weights: Weights, sizes: Sizes, both: "Tensor") -> "Tensor":
    """The mean alone, from state and category side by side."""
    mean = dense(weights, "prior_mean.out", bent(dense(weights, "prior_mean.in", both)))
    return bent(mean) if sizes.original else mean


def bounded(logvar: "Tensor") -> "Tensor":
    """Within ± LOGVAR_LIMIT, smoothly."""
    return LOGVAR_LIMIT * torch.tanh(logvar / LOGVAR_LIMIT)


# ---- the steps: what has to happen one row after the other ----------------------------------------------------------


@dataclass(frozen=True)
class Recurrence:
    """The weights of the steps, those that meet the same input side by side so that one product serves them all.

    columns of `row`: category, mean, log-variance (HIDDEN each), φ; of `past`: category, mean, log-variance, gates.
    What only
    scores needs no log-variance (`with_noise=False`), and has none.
    """

    row: "Tensor"
    row_bias: "Tensor"
    past: "Tensor"
    past_bias: "Tensor"
    category: "Tensor"
    category_bias: "Tensor"
    switch: "Tensor"
    posterior: "Tensor"
    posterior_bias: "Tensor"
    latent: "Tensor"
    gates: "Tensor"

    @classmethod
    def of(cls, weights: Weights, with_noise: bool = True) -> "Recurrence":
        posterior = ("mean", "logvar") if with_noise else ("mean",)
        heads = ("category", *posterior)
        gates = weights["gates.past.bias"] + weights["gates.in.bias"]
        return cls(
            torch.cat([weights[f"{head}.row"] for head in (*heads, "phi")], dim=1),
            torch.cat([weights[f"{head}.row.bias"] for head in (*heads, "phi")]),
            torch.cat([weights[f"{head}.past"] for head in (*heads, "gates")], dim=1),
            torch.cat([gates.new_zeros(len(heads) * HIDDEN), gates]),
            weights["category.out"],
            weights["category.out.bias"],
            torch.cat([weights[f"{head}.category"] for head in posterior], dim=1),
            torch.block_diag(*(weights[f"{head}.out"] for head in posterior)),
            torch.cat([weights[f"{head}.out.bias"] for head in posterior]),
            weights["phi.latent"],
            weights["gates.in"],
        )

    def rows(self, encoded: "Tensor") -> "Tensor":
        """What the heads take from encoded rows (…, ENCODED), for all steps at once."""
        return torch.addmm(self.row_bias, encoded.flatten(0, -2), self.row).view(*encoded.shape[:-1], -1)


def advance(
    by: Recurrence,
    row: "Tensor",
    h: "Tensor",
    cell: "Tensor",
    tau: float,
    original: bool,
    gumbel: "Tensor | None" = None,
    noise: "Tensor | None" = None,
) -> tuple["Tensor", ...]:
    """One step: what a row (B, ·) and the state (B, H) before it give; without noise z is the mean of q.

    Returns category's hidden layer, logits, c, posterior's hidden layer, mean and log-variance side by side, z, φ,
    gates
    after their activations, tanh of the new cell, the new state and cell.
    """
    past = torch.addmm(by.past_bias, h, by.past)
    hidden = bent(row[:, :HIDDEN] + past[:, :HIDDEN])
    logits = torch.addmm(by.category_bias, hidden, by.category)
    logits = bent(logits) if original else logits
    c = torch.softmax((logits if gumbel is None else logits + gumbel) * (1 / tau), dim=1)
    latent, end = by.latent.shape[0], HIDDEN + by.posterior.shape[0]
    mixed = bent(torch.addmm(row[:, HIDDEN:end] + past[:, HIDDEN:end], c, by.switch))
    both = torch.addmm(by.posterior_bias, mixed, by.posterior)
    if original:
        both = bent(both)
    elif noise is not None:
        both[:, latent:] = bounded(both[:, latent:])
    z = both if noise is None else both[:, :latent] + noise * torch.exp(both[:, latent:] / 2)
    phi = bent(torch.addmm(row[:, end:], z, by.latent))
    gates = torch.addmm(past[:, end:], phi, by.gates)
    state = h.shape[1]
    gates[:, : 3 * state].sigmoid_()
    gates[:, 3 * state :].tanh_()
    enter, forget, leave, new = gates.split(state, dim=1)
    cell = torch.addcmul(forget * cell, enter, new)
    bound = torch.tanh(cell)
    return hidden, logits, c, mixed, both, z, phi, gates, bound, leave * bound, cell


@cache
def _steps() -> Any:
    """The steps with their gradients written out: a quarter of the time that recording every small product takes."""

    class Steps(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: Any, rows: "Tensor", gumbel: "Tensor", noise: "Tensor", tau: float, original: bool, *by: "Tensor"
        ) -> Any:
            """rows (T, B, ·), noises (T, B, K) and (T, B, Z) → logits, c, mean and log-variance, z, the states before
            each step.
            """
            with_names = Recurrence(rows.new_empty(0), rows.new_empty(0), *by)
            h = cell = rows.new_zeros(rows.shape[1], with_names.past.shape[0])
            states, cells, made = [], [], []
            for row, g, e in zip(rows, gumbel, noise, strict=True):
                states.append(h)
                cells.append(cell)
                made.append(advance(with_names, row, h, cell, tau, original, g, e))
                h, cell = made[-1][-2:]
            hidden, logits, c, mixed, both, z, phi = (torch.stack(each) for each in list(zip(*made, strict=True))[:7])
            past = torch.stack(states)
            ctx.tau, ctx.original, ctx.cells, ctx.made = tau, original, cells, [each[7:9] for each in made]
            ctx.save_for_backward(noise, hidden, logits, c, mixed, both, z, phi, past, *by)
            return logits, c, both, z, past

        @staticmethod
        def backward(
            ctx: Any, d_logits: "Tensor", d_c: "Tensor", d_both: "Tensor", d_z: "Tensor", d_past: "Tensor"
        ) -> Any:
            noise, hidden, logits, c, mixed, both, z, phi, past, *rest = ctx.saved_tensors
            by = Recurrence(past.new_empty(0), past.new_empty(0), *rest)
            latent, state = z.shape[-1], past.shape[-1]
            turned = [each.t() for each in (by.past, by.category, by.switch, by.posterior, by.latent, by.gates)]
            past_t, category_t, switch_t, posterior_t, latent_t, gates_t = turned
            met = past.new_empty(*past.shape[:2], by.past.shape[1])  # gradients of what `past` and `row` add to
            d_phi, d_out, d_lg = torch.empty_like(phi), torch.empty_like(both), torch.empty_like(logits)
            d_h = d_cell = past.new_zeros(past.shape[1:])
            spread = noise * torch.exp(both[..., latent:] / 2) / 2
            flat = _slopes(both) if ctx.original else 1 - (both[..., latent:] / LOGVAR_LIMIT) ** 2
            slopes = [_slopes(each) for each in (hidden, mixed, phi)]
            for t in range(len(past) - 1, -1, -1):
                gates, bound = ctx.made[t]
                enter, forget, leave, new = gates.split(state, dim=1)
                d_cell = torch.addcmul(d_cell, d_h * leave, 1 - bound * bound)
                d_gates = met[t, :, 3 * HIDDEN :]
                d_gates[:, :state] = d_cell * new
                d_gates[:, state : 2 * state] = d_cell * ctx.cells[t]
                d_gates[:, 2 * state : 3 * state] = d_h * bound
                d_gates[:, : 3 * state] *= gates[:, : 3 * state] * (1 - gates[:, : 3 * state])
                d_gates[:, 3 * state :] = d_cell * enter * (1 - new * new)
                d_cell = d_cell * forget
                torch.mul(torch.mm(d_gates, gates_t), slopes[2][t], out=d_phi[t])
                d_latent = torch.addmm(d_z[t], d_phi[t], latent_t)
                out = d_out[t]
                torch.add(d_both[t, :, :latent], d_latent, out=out[:, :latent])
                torch.addcmul(d_both[t, :, latent:], d_latent, spread[t], out=out[:, latent:])
                if ctx.original:
                    out *= flat[t]
                else:
                    out[:, latent:] *= flat[t]
                d_mixed = met[t, :, HIDDEN : 3 * HIDDEN]
                torch.mul(torch.mm(out, posterior_t), slopes[1][t], out=d_mixed)
                d_soft = torch.addmm(d_c[t], d_mixed, switch_t)
                soft = c[t] * d_soft
                torch.add(d_logits[t], soft - c[t] * soft.sum(dim=1, keepdim=True), alpha=1 / ctx.tau, out=d_lg[t])
                if ctx.original:
                    d_lg[t] *= _slopes(logits[t])
                torch.mul(torch.mm(d_lg[t], category_t), slopes[0][t], out=met[t, :, :HIDDEN])
                d_h = torch.addmm(d_past[t], met[t], past_t)
            d_rows = torch.cat([met[..., : 3 * HIDDEN], d_phi], dim=-1)
            d_gates, d_mixed = met[..., 3 * HIDDEN :], met[..., HIDDEN : 3 * HIDDEN]
            return (
                d_rows,
                None,
                None,
                None,
                None,
                _product(past, met),
                met.sum((0, 1)),
                _product(hidden, d_lg),
                d_lg.sum((0, 1)),
                _product(c, d_mixed),
                _product(mixed, d_out),
                d_out.sum((0, 1)),
                _product(z, d_phi),
                _product(phi, d_gates),
            )

    return Steps


def _slopes(after: "Tensor") -> "Tensor":
    """The derivative of a LeakyReLU, from its output."""
    return (after > 0).to(after.dtype).mul_(1 - SLOPE).add_(SLOPE)


def _product(inputs: "Tensor", gradients: "Tensor") -> "Tensor":
    """The gradient of a weight, of all steps and windows at once."""
    return inputs.flatten(0, 1).t() @ gradients.flatten(0, 1)


# ---- the loss -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """What is drawn for one batch: Gumbel (T, B, K) for the categories, normal (T, B, Z) for the latents."""

    gumbel: "Tensor"
    normal: "Tensor"

    @classmethod
    def drawn(cls, sizes: Sizes, length: int, batch: int, like: "Tensor", by: "torch.Generator") -> "Noise":
        # −log of an exponential is Gumbel, exactly and without NaN; drawn on the processor, so alike for every device
        waiting = torch.empty(length, batch, sizes.categories, dtype=like.dtype).exponential_(generator=by)
        normal = torch.empty(length, batch, sizes.latent, dtype=like.dtype).normal_(generator=by)
        return cls(-torch.log(waiting).to(like.device), normal.to(like.device))


def surprise(sizes: Sizes, x: "Tensor", mu: "Tensor", log_sigma: "Tensor") -> "Tensor":
    """−log N(x; μ, σ²) of every value."""
    if sizes.original:
        variance = torch.exp(2 * log_sigma) + 1e-8
        return (LOG_2PI + torch.log(variance) + (x - mu) ** 2 / variance) / 2
    return LOG_2PI / 2 + log_sigma + ((x - mu) * torch.exp(-log_sigma)) ** 2 / 2


def divergence(of: tuple["Tensor", "Tensor"], to: tuple["Tensor", "Tensor"]) -> "Tensor":
    """KL between Gaussians given as (mean, log-variance), per dimension."""
    (mean, logvar), (other, other_logvar) = of, to
    return (other_logvar - logvar + (torch.exp(logvar) + (mean - other) ** 2) * torch.exp(-other_logvar) - 1) / 2


def terms(
    weights: Weights, sizes: Sizes, x: "Tensor", known: "Tensor | None", noise: Noise, tau: float, floor: float
) -> tuple["Tensor", "Tensor", "Tensor"]:
    """Of windows (T, B, n): surprise, KL of z and KL of c (see `switching`), summed over columns and dimensions, (T,
    B) each.
    """
    by = Recurrence.of(weights)
    rows = by.rows(encode(weights, sizes, x))
    packed = [getattr(by, name) for name in list(Recurrence.__dataclass_fields__)[2:]]
    logits, c, both, z, past = _steps().apply(rows, noise.gumbel, noise.normal, tau, sizes.original, *packed)
    mu, log_sigma = decode(weights, sizes, past, z, floor)
    nats = surprise(sizes, x, mu, log_sigma)
    surprises = (nats if known is None else nats * known).sum(-1)
    latents = divergence((both[..., : sizes.latent], both[..., sizes.latent :]), prior(weights, sizes, past, c)).sum(-1)
    return surprises, latents, switching(sizes, logits)


def switching(sizes: Sizes, logits: "Tensor") -> "Tensor":
    """KL(q(c) ‖ uniform) from logits (T, B, K), (T, B): of each row in the original, of the batch's mean in the
    default.
    """
    shares = torch.log_softmax(logits, dim=-1)
    if sizes.original:
        return math.log(sizes.categories) + (shares.exp() * shares).sum(-1)
    usage = shares.exp().mean((0, 1))
    return (math.log(sizes.categories) + (usage * torch.log(usage + 1e-9)).sum()).expand(logits.shape[:-1])


def loss(sizes: Sizes, surprises: "Tensor", latents: "Tensor", categories: "Tensor") -> "Tensor":
    """The bound with its sign turned: per row in the default, per window and with categories 1 / (T B) as heavy in
    the original.
    """
    if sizes.original:
        return (surprises.sum() + latents.sum() + categories.mean()) / surprises.shape[1]
    return (surprises + latents + categories).mean()


# ---- learning -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """Series one below the other, (rows, n) without NaN, and where windows may begin; `known` is None where nothing
    is missing.
    """

    values: "Tensor"
    known: "Tensor | None"
    learnt: "Tensor"
    held_out: "Tensor"

    @classmethod
    def of(cls, series: Sequence[Floats32], window: int, device: str) -> "Material":
        """Shorter series than a window begin with rows of which nothing is known. The last tenth of each is
        held out.
        """
        long = [_at_least(each, window) for each in series]
        values = np.concatenate(long)
        missing = np.isnan(values)
        ends = np.cumsum([len(each) for each in long])
        learnt, held_out = [], []
        for each, end in zip(long, ends, strict=True):
            starts = np.arange(end - len(each), end - window + 1)
            kept = max(len(starts) - int(len(starts) * HELD_OUT), 1)
            learnt.append(starts[:kept])
            held_out.append(starts[kept:])
        last = np.concatenate(held_out)
        known = torch.from_numpy((~missing).astype(np.float32)).to(device) if missing.any() else None
        return cls(
            torch.from_numpy(np.nan_to_num(values) if known is not None else values).to(device),
            known,
            torch.from_numpy(np.concatenate(learnt)),
            torch.from_numpy(last if len(last) else np.concatenate(learnt)),
        )

    def windows(self, starts: "Tensor", window: int) -> tuple["Tensor", "Tensor | None"]:
        """Values and what is known of windows, (T, B, n)."""
        places = (torch.arange(window)[:, None] + starts).to(self.values.device)
        return self.values[places], None if self.known is None else self.known[places]


@dataclass
class Lessons:
    """The losses of batches and of the windows held out, as far as learning has come."""

    of: "SGmVRNN"
    sizes: Sizes
    material: Material

    def tau(self, step: int) -> float:
        """The categories' temperature: 1 → 0.3 in the default; from 5 in the original, times e^(−0.1 epoch) after
        each epoch.
        """
        if not self.sizes.original:
            return math.exp(step / self.of.steps * math.log(LAST_TAU))
        epoch = step * self.of.batch_size // max(len(self.material.learnt), 1)
        return max(5.0 * math.exp(-0.05 * epoch * (epoch + 1)), 0.1)

    def batch(self, vector: "Tensor", step: int, draws: "torch.Generator") -> "Tensor":
        """The loss of windows drawn at random."""
        picked = torch.randint(0, len(self.material.learnt), (self.of.batch_size,), generator=draws)
        return self._loss(vector, self.material.learnt[picked], step, draws)

    def held_out(self, vector: "Tensor", step: int) -> "Tensor":
        """The loss of the windows held out: always the same ones, with the same noise."""
        starts = self.material.held_out
        starts = starts[torch.linspace(0, len(starts) - 1, min(CHECKED, len(starts))).long()]
        return self._loss(vector, starts, step, torch.Generator().manual_seed(self.of.seed))

    def _loss(self, vector: "Tensor", starts: "Tensor", step: int, draws: "torch.Generator") -> "Tensor":
        x, known = self.material.windows(starts, self.of.window)
        noise = Noise.drawn(self.sizes, self.of.window, x.shape[1], x, draws)
        parts = terms(
            unpacked(vector, self.sizes), self.sizes, x, known, noise, self.tau(step), self.of.log_sigma_floor
        )
        return loss(self.sizes, *parts)


# ---- the detector ---------------------------------------------------------------------------------------------------


@dataclass
class SGmVRNN(SequenceDetector):
    """A recurrent generative model of many columns together; scores how unlikely each row is, given the rows before
    it.
    """

    name = "sgmvrnn"
    label = N_("SGmVRNN (deep)")

    fidelity: Literal["default", "original"] = hyperparameter(
        "default",
        choices=("default", "original"),
        help=N_("The variant that reads what its authors' code taught, or exactly their function."),
    )
    window: int = hyperparameter(20, low=2, high=500, help=N_("Rows the model looks at together."))
    categories: int = hyperparameter(5, low=1, high=50, help=N_("Modes that the series may switch between."))
    latent: int = hyperparameter(10, low=1, high=100, help=N_("Numbers that describe a row."))
    state: int = hyperparameter(20, low=1, high=200, help=N_("Numbers that remember the rows before."))
    steps: int = hyperparameter(
        600,
        low=1,
        high=1_000_000,
        help=N_("Batches to learn from at most; learning ends earlier when rows held out no longer gain."),
    )
    batch_size: int = hyperparameter(128, low=1, high=8192, help=N_("Windows in a batch."))
    learning_rate: float = hyperparameter(0.001, low=0.000001, high=0.1, help=N_("Size of the steps of Adam."))
    seconds: float = hyperparameter(
        60.0, low=0.1, high=86_400.0, help=N_("Time limit of learning; a run that meets it cannot be repeated exactly.")
    )
    log_sigma_floor: float = hyperparameter(
        -3.0,
        low=-10.0,
        high=2.0,
        help=N_("Logarithm of the smallest spread, in scaled units: smaller differences are not worth an alarm."),
    )
    judged: Literal["before", "after"] = hyperparameter(
        "before",
        choices=("before", "after"),
        help=N_(
            "Judge a row by what was expected before it was seen, or by how well it can be described after "
            "(the original)."
        ),
    )
    smoothing: int = hyperparameter(
        11,
        low=1,
        high=1000,
        help=N_("Rows that a score is the mean of: those around a row, or the last ones when streaming."),
    )
    scoring: Literal["windows", "streaming"] = hyperparameter(
        "windows",
        choices=("windows", "streaming"),
        help=N_("Every row at the end of a window of its own, as learnt, or with a memory carried from row to row."),
    )
    seed: int = hyperparameter(0, low=0, high=2**31 - 1, help=N_("Seed of what is drawn at random."))
    device: str = hyperparameter("cpu", help=N_("Where to learn: cpu, cuda, cuda:1, mps."))

    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        """Learn from windows of `series`. Raises DataError for a checkpoint that does not fit, Cancelled."""
        self.columns_ = int(series[0].shape[1])
        material = Material.of(series, self.window, self.device)
        lessons = Lessons(self, self.sizes, material)
        state = State.fresh(initial(self.sizes, self.seed).to(self.device), self.seed)
        learning = Learning(lessons.batch, lessons.held_out, self._recipe)
        self.weights_ = learning.run(state, progress, self._terms(material)).cpu().numpy().copy()
        self.steps_, self.tau_ = state.step, lessons.tau(state.step)
        self.widening_ = np.zeros(self.columns_, np.float32)
        if self.fidelity == "default":
            self.widening_ = Network.of(self).widening(material, self.window)
        progress.tell(1.0)
        return self

    @property
    def sizes(self) -> Sizes:
        """Of the network for the columns that `fit` saw."""
        return Sizes(self.columns_, self.categories, self.latent, self.state, self.fidelity == "original")

    @property
    def mode(self) -> str:  # type: ignore[override]
        return (
            N_("every row at the end of its own window")
            if self.scoring == "windows"
            else N_("streaming, with a memory carried from row to row")
        )

    def score(self, series: Floats32) -> Scored:
        return self.score_many([series])[0]

    def score_many(self, series: Sequence[Floats32]) -> list[Scored]:
        network = Network.of(self)
        with torch.inference_mode():
            if self.scoring == "windows":
                return [network.windows(each, self.window) for each in series]
            return network.streams(series)

    def stream(self, series: int = 1) -> "Stream":
        """A memory for `series` series whose rows come one after the other."""
        return Stream(Network.of(self), series)

    @property
    def _recipe(self) -> Recipe:
        """How to learn; the original neither clips nor slows down nor stops early, and keeps its last weights."""
        if self.fidelity == "original":
            return Recipe(self.steps, self.seconds, self.learning_rate)
        return Recipe(self.steps, self.seconds, self.learning_rate, clip=CLIP, patience=PATIENCE, slows_down=True)

    def _terms(self, material: Material) -> str:
        """What a checkpoint has to agree with: settings, data, version of torch."""
        seen = hashlib.sha256(material.values.cpu().numpy().tobytes()).hexdigest()[:16]
        return json.dumps(
            {**get_params(self), "data": seen, "torch": str(torch.__version__).partition("+")[0]}, sort_keys=True
        )


# ---- scoring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """Learnt weights, ready to score on the processor."""

    sizes: Sizes
    weights: Weights
    by: Recurrence
    tau: float
    floor: float
    before: bool
    smoothing: int
    wider: "Tensor | float" = 0.0

    @classmethod
    def of(cls, detector: SGmVRNN) -> "Network":
        sizes = detector.sizes
        weights = unpacked(torch.from_numpy(detector.weights_), sizes)
        before = detector.judged == "before" and not sizes.original
        smoothing = 1 if sizes.original else detector.smoothing
        return cls(
            sizes,
            weights,
            Recurrence.of(weights, with_noise=False),
            detector.tau_,
            detector.log_sigma_floor,
            before,
            smoothing,
            torch.from_numpy(detector.widening_),
        )

    def rows(self, x: "Tensor") -> "Tensor":
        """What the steps take from rows (…, n); each row is encoded once, in however many windows it stands."""
        return self.by.rows(encode(self.weights, self.sizes, x))

    def judge(
        self, x: "Tensor", known: "Tensor | None", h: "Tensor", c: "Tensor", both: "Tensor"
    ) -> tuple["Tensor", "Tensor", "Tensor"]:
        """Surprise of every value (a missing one is no surprise), and the mean and spread expected; (…, n) each."""
        z = prior_mean(self.weights, self.sizes, torch.cat([h, c], dim=-1)) if self.before else both
        mu, log_sigma = decode(self.weights, self.sizes, h, z, self.floor)
        log_sigma = log_sigma + self.wider
        nats = surprise(self.sizes, x, mu, log_sigma)
        return nats if known is None else nats.masked_fill(known == 0, self.least), mu, torch.exp(log_sigma)

    @property
    def least(self) -> float:
        """The surprise of a value that is exactly what was expected, at the smallest spread."""
        return LOG_2PI / 2 + (ORIGINAL_FLOOR if self.sizes.original else self.floor)

    def last_of_windows(
        self,
        values: "Tensor",
        known: "Tensor | None",
        rows: "Tensor",
        ends: "Tensor",
        window: int,
        gumbel: "Tensor | None" = None,
    ) -> "Four":
        """Nats, mean, spread and category of the rows `ends`, each at the end of its own window; a window that would
        begin before the series is shorter.
        """
        h = cell = rows.new_zeros(len(ends), self.sizes.state)
        for offset in range(window - 1, 0, -1):
            places = ends - offset
            noise = None if gumbel is None else gumbel[window - 1 - offset]
            *_, h, cell = advance(self.by, rows[places.clamp(min=0)], h, cell, self.tau, self.sizes.original, noise)
            if int(places[0]) < 0:
                inside = (places >= 0).unsqueeze(1)
                h, cell = h * inside, cell * inside
        made = advance(
            self.by, rows[ends], h, cell, self.tau, self.sizes.original, None if gumbel is None else gumbel[-1]
        )
        return *self.judge(values[ends], None if known is None else known[ends], h, made[2], made[4]), made[2]

    def widening(self, material: Material, window: int) -> Floats32:
        """By how much log σ of every column has to grow for its errors on the rows held out to be as wide as it says,
        (n,).
        """
        values = material.values.cpu()
        known = None if material.known is None else material.known.cpu()
        ends = (
            material.held_out[torch.linspace(0, len(material.held_out) - 1, min(BLOCK, len(material.held_out))).long()]
            + window
            - 1
        )
        with torch.inference_mode():
            _, mu, sigma, _ = self.last_of_windows(values, known, self.rows(values), ends, window)
            error = ((values[ends] - mu) / sigma) ** 2
            mean = error.mean(0) if known is None else (error * known[ends]).sum(0) / known[ends].sum(0).clamp(min=1)
        return (torch.log(mean.clamp(min=1.0)) / 2).clamp(max=WIDEST).numpy()

    @cached_property
    def few(self) -> "Few":
        return Few(self)

    def windows(self, series: Floats32, window: int) -> Scored:
        """Every row at the end of a window of its own."""
        values, known = _filled(series)
        rows = self.rows(values)
        blocks = [
            self.last_of_windows(values, known, rows, ends, window) for ends in torch.arange(len(values)).split(BLOCK)
        ]
        nats, mu, sigma, c = (torch.cat(parts) for parts in zip(*blocks, strict=True))
        return self.scored(nats, mu, sigma, c, ahead=self.smoothing // 2)

    def streams(self, series: Sequence[Floats32]) -> list[Scored]:
        """Series side by side, each with a memory carried from row to row; those of like length together."""
        order = sorted(range(len(series)), key=lambda place: len(series[place]))
        found: dict[int, Scored] = {}
        for first in range(0, len(order), SIDE_BY_SIDE):
            places = order[first : first + SIDE_BY_SIDE]
            length = len(series[places[-1]])
            block = np.full((length, len(places), self.sizes.columns), np.nan, np.float32)
            for column, place in enumerate(places):
                block[: len(series[place]), column] = series[place]
            nats, mu, sigma, c = Stream(self, len(places)).run(block)
            for column, place in enumerate(places):
                own = (slice(len(series[place])), column)
                found[place] = self.scored(nats[own], mu[own], sigma[own], c[own])
        return [found[place] for place in range(len(series))]

    def scored(self, nats: "Tensor", mu: "Tensor", sigma: "Tensor", c: "Tensor", ahead: int = 0) -> Scored:
        """Scores and shares from nats (rows, n), smoothed; the shares are counted from the least that a value can
        have.
        """
        smooth = _running_mean(nats.numpy(), self.smoothing, ahead)
        return Scored(smooth.sum(axis=1), np.maximum(smooth - self.least, 0), mu.numpy(), sigma.numpy(), c.numpy())


class Few:
    """The default's step for a few series in NumPy, which takes a third of torch's time to begin each small product."""

    def __init__(self, network: Network) -> None:
        self.w = {name: weight.numpy() for name, weight in network.weights.items()}
        self.by = Recurrence(*(getattr(network.by, name).numpy() for name in Recurrence.__dataclass_fields__))
        self.network, self.wider = network, np.asarray(network.wider, np.float32)

    def step(self, row: Floats32, h: Floats32, cell: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """Scores of rows (B, n), and state and cell after them: `encode`, `advance` and `judge` in one."""
        by: Any = self.by
        missing = np.isnan(row)
        x = np.where(missing, np.float32(0), row)
        rows = _bent(self._dense("encoder.1", _bent(self._dense("encoder.0", x)))) @ by.row + by.row_bias
        past = h @ by.past + by.past_bias
        c = np.exp(
            np.clip(
                (_bent(rows[:, :HIDDEN] + past[:, :HIDDEN]) @ by.category + by.category_bias) / self.network.tau,
                -60,
                60,
            )
        )
        c /= c.sum(axis=1, keepdims=True)
        z = (
            _bent(rows[:, HIDDEN : 2 * HIDDEN] + past[:, HIDDEN : 2 * HIDDEN] + c @ by.switch) @ by.posterior
            + by.posterior_bias
        )
        gates = past[:, 2 * HIDDEN :] + _bent(rows[:, 2 * HIDDEN :] + z @ by.latent) @ by.gates
        state = h.shape[1]
        soft = 1 / (1 + np.exp(-gates[:, : 3 * state]))
        after = soft[:, state : 2 * state] * cell + soft[:, :state] * np.tanh(gates[:, 3 * state :])
        if self.network.before:
            z = self._dense("prior_mean.out", _bent(self._dense("prior_mean.in", np.concatenate([h, c], axis=1))))
        shown = _bent(self._dense("decoder.1", _bent(self._dense("decoder.0", np.concatenate([h, z], axis=1)))))
        log_sigma = self.network.floor + np.logaddexp(0, self._dense("log_sigma.out", shown)) + self.wider
        nats = LOG_2PI / 2 + log_sigma + ((x - self._dense("mu.out", shown)) * np.exp(-log_sigma)) ** 2 / 2
        scores = np.where(missing, self.network.least, nats).sum(axis=1)
        return scores.astype(np.float32), soft[:, 2 * state :] * np.tanh(after), after

    def _dense(self, layer: str, x: Floats32) -> Floats32:
        return x @ self.w[layer] + self.w[f"{layer}.bias"]


def _bent(x: Floats32) -> Floats32:
    return np.maximum(x, SLOPE * x)


class Stream:
    """The memory of series whose rows come one after the other, and their scores."""

    def __init__(self, network: Network, series: int) -> None:
        self.network = network
        self.h = torch.zeros(series, network.sizes.state)
        self.cell = torch.zeros(series, network.sizes.state)

    def step(self, row: Floats32) -> Floats32:
        """The scores, not smoothed, of the next row of every series: (series, n) → (series,)."""
        with torch.inference_mode():
            if self.network.sizes.original or len(row) > FEW:
                return self.run(row[None])[0][0].sum(-1).numpy()
            h, cell = self.h.numpy(), self.cell.numpy()
            scores, h, cell = self.network.few.step(row, h, cell)
            self.h, self.cell = torch.from_numpy(h), torch.from_numpy(cell)
            return scores

    def run(self, block: Floats32) -> "Four":
        """Nats, mean, spread and category of the next rows, (rows, series, n) → (rows, series, ·)."""
        network, parts = self.network, []
        size = max(BLOCK // block.shape[1], 1)
        for first in range(0, len(block), size):
            values, known = _filled(block[first : first + size])
            made, states = [], []
            for row in network.rows(values):
                states.append(self.h)
                made.append(advance(network.by, row, self.h, self.cell, network.tau, network.sizes.original))
                self.h, self.cell = made[-1][-2:]
            c, both = (torch.stack([each[place] for each in made]) for place in (2, 4))
            parts.append((*network.judge(values, known, torch.stack(states), c, both), c))
        if len(parts) == 1:
            return parts[0]
        nats, mu, sigma, category = (torch.cat(each) for each in zip(*parts, strict=True))
        return nats, mu, sigma, category


def _filled(series: Floats32) -> tuple["Tensor", "Tensor | None"]:
    """Values with 0, the middle, where one is missing, and 1 where it is known (None: everywhere)."""
    values = torch.from_numpy(np.ascontiguousarray(series))
    missing = torch.isnan(values)
    if not bool(missing.any()):
        return values, None
    return values.masked_fill(missing, 0.0), (~missing).float()


def _at_least(series: Floats32, window: int) -> Floats32:
    """The series, begun with rows of which nothing is known where it is shorter than a window."""
    lacking = max(window - len(series), 0)
    return np.concatenate([np.full((lacking, series.shape[1]), np.nan, np.float32), series]) if lacking else series


def _running_mean(values: Floats32, length: int, ahead: int) -> Floats32:
    """Mean over `length` rows of which `ahead` lie after the row, or as many as there are."""
    if length == 1:
        return values
    total = np.concatenate([np.zeros_like(values[:1], np.float64), np.cumsum(values, axis=0, dtype=np.float64)])
    rows = np.arange(len(values))
    last = np.minimum(rows + ahead + 1, len(values))
    first = np.clip(rows + ahead + 1 - length, 0, last - 1)
    return ((total[last] - total[first]) / (last - first)[:, None]).astype(np.float32)
