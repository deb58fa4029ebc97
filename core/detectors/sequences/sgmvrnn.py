"""SGmVRNN, a Switching Gaussian Mixture Variational RNN (Dai et al., INFOCOM 2022): model, loss and score.

A series x₁ … x_T has n columns, and a state h carries the memory of the previous rows. Every row has a category c
(one of K modes, the switch), a latent z of Z numbers, Gaussian given h and c, and values that are Gaussian given h
and z:

    c ~ Categorical(1/K)    z ~ N(prior(h, c))    x ~ N(decoder(h, z))    h ← LSTM(φ(x, z), h)

Training maximises the evidence lower bound with q(c | x, h), a Gumbel-softmax, and q(z | x, h, c). The score of a row
is its negative log-likelihood −log p(x | h, z) at the mean of z; it is a sum with one share per column.

`sgmvrnn_original.py` reproduces the published code: the same weights and the same noise give the same loss and score.
The default model differs in eight points; docs/results/sgmvrnn.md has the measured reasons:

    unordered columns           encoder and decoder are dense, not convolutions over the columns
    linear outputs              means, log-variances and logits have no LeakyReLU; log-variances stay within ±8
    small initial heads         the last layer of every head starts near zero, so that nothing saturates early
    floor of σ                  σ is at least e^`log_sigma_floor` in scaled units, without an upper limit
    balanced categories         KL(mean of q(c) over the batch ‖ uniform) has the weight of the other terms: all
                                categories are used, and a single row can have a clear one
    calibrated spreads          σ of a column is widened until it covers the errors on held-out windows
    deterministic scores        c is softmax(logits / τ) without noise when scoring
    predictive scores           z is the prior's mean, given the row's category: a row does not explain itself away

`sgmvrnn_detector.py` holds the settings, trains the model and smooths its scores. `sgmvrnn_streaming.py` scores rows
one by one.

Shapes in comments: T rows of a window, B windows, n columns, K categories, Z numbers of a latent, H of a state.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as functional
    from torch import Tensor
else:
    torch, functional = LazyModule("torch"), LazyModule("torch.nn.functional")

ENCODED = 20  # size of an encoded row
HIDDEN = 20  # width of the hidden layer of every head
MIXED = 40  # width of φ and of the dense layers of encoder and decoder
LEAKY_SLOPE = 0.2
LOGVAR_LIMIT = 8.0
INPUT_KINDS = ("row", "past", "category", "latent")  # inputs of a head's first layer, each with its own weights
LOG_2PI = math.log(2 * math.pi)

Shapes = dict[str, tuple[int, ...]]


# ---- dimensions and weights -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelDims:
    """Dimensions of the network for one dataset."""

    columns: int  # n
    categories: int  # K
    latent: int  # Z
    state: int  # H


def unflatten(vector: "Tensor", shapes: Shapes) -> dict[str, "Tensor"]:
    """Split `vector` into the named weights; they are views, so that gradients flow back."""
    parts = vector.split([math.prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def leaky_relu(x: "Tensor") -> "Tensor":
    """Return LeakyReLU of `x` with the slope of the published code."""
    return functional.leaky_relu(x, LEAKY_SLOPE)


class Noise(NamedTuple):
    """Random numbers of one batch."""

    gumbel: "Tensor"  # (T, B, K), noise of the categories
    normal: "Tensor"  # (T, B, Z), noise of the latents

    @classmethod
    def draw(cls, dims: ModelDims, x: "Tensor", rng: "torch.Generator") -> Self:
        """Draw the noise for the windows x (T, B, n) on the CPU, so that it is the same for every device."""
        shape = x.shape[:2]
        # −log of an exponential is Gumbel, exactly and without NaN
        exponential = torch.empty(*shape, dims.categories, dtype=x.dtype).exponential_(generator=rng)
        normal = torch.empty(*shape, dims.latent, dtype=x.dtype).normal_(generator=rng)
        return cls(-torch.log(exponential).to(x.device), normal.to(x.device))

    def select(self, t: int) -> Self:
        """Return the noise of row t, (B, ·) each."""
        return type(self)(self.gumbel[t], self.normal[t])


class CellOutput(NamedTuple):
    """Output of the recurrent cell for one row of B windows."""

    logits: "Tensor"  # (B, K), of the categories
    c: "Tensor"  # (B, K), the softened category
    mean: "Tensor"  # (B, Z), of q(z | x, h, c)
    logvar: "Tensor"  # (B, Z), of q(z | x, h, c); (B, 0) without log-variances
    z: "Tensor"  # (B, Z), drawn from q, or its mean without noise
    h: "Tensor"  # (B, H), the state after the row
    cell: "Tensor"  # (B, H), the cell state of the LSTM after the row


# ---- the model ------------------------------------------------------------------------------------------------------


class SwitchingVRNN:
    """Network of the default model with the weights in `vector`."""

    head_init_scale = 0.1  # of the heads' last layers, as a share of Kaiming's initialisation

    def __init__(self, dims: ModelDims, vector: "Tensor", log_sigma_floor: float, *, with_logvar: bool = True) -> None:
        """Prepare the weights in `vector`.

        `with_logvar=False` omits the log-variance of q(z): scoring does not need it and is a sixth faster without.
        """
        self.dims, self.log_sigma_floor = dims, log_sigma_floor
        self.weights: Mapping[str, Tensor] = unflatten(vector, self.list_weight_shapes(dims))
        # Weights of the same input are concatenated: one product serves all heads. Q is HIDDEN per latent head.
        w, latent = self.weights, ("mean", "logvar") if with_logvar else ("mean",)
        heads, self.latent_width = ("category", *latent), len(latent) * HIDDEN
        self.row = torch.cat([w[f"{head}.row"] for head in (*heads, "phi")], 1)  # (ENCODED, HIDDEN + Q + MIXED)
        self.row_bias = torch.cat([w[f"{head}.row.bias"] for head in (*heads, "phi")])
        self.past = torch.cat([w[f"{head}.past"] for head in (*heads, "gates")], 1)  # (H, HIDDEN + Q + 4 H)
        gates_bias = w["gates.past.bias"] + w["gates.in.bias"]
        self.past_bias = torch.cat([gates_bias.new_zeros(len(heads) * HIDDEN), gates_bias])
        self.switch = torch.cat([w[f"{head}.category"] for head in latent], 1)  # (K, Q)
        self.posterior = torch.block_diag(*(w[f"{head}.out"] for head in latent))  # (Q, 2 Z)
        self.posterior_bias = torch.cat([w[f"{head}.out.bias"] for head in latent])

    @classmethod
    def list_weight_shapes(cls, dims: ModelDims) -> Shapes:
        """Return name → shape of every weight, (inputs, outputs), and of its bias."""
        K, Z, H = dims.categories, dims.latent, dims.state
        layers = {
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
            **cls.list_row_layers(dims),
        }
        shapes: Shapes = {}
        for name, shape in layers.items():
            shapes |= {name: shape, f"{name}.bias": (shape[1],)}
        # weights of the same layers for their other inputs: h, c, z
        shapes |= {f"{head}.past": (H, HIDDEN) for head in ("category", "mean", "logvar")}
        return shapes | {"mean.category": (K, HIDDEN), "logvar.category": (K, HIDDEN), "phi.latent": (Z, MIXED)}

    @classmethod
    def list_row_layers(cls, dims: ModelDims) -> dict[str, tuple[int, int]]:
        """Return name → (inputs, outputs) of the layers of encoder and decoder."""
        return {
            "encoder.0": (dims.columns, MIXED),
            "encoder.1": (MIXED, ENCODED),
            "decoder.0": (dims.state + dims.latent, MIXED),
            "decoder.1": (MIXED, MIXED),
            "mu.out": (MIXED, dims.columns),
            "log_sigma.out": (MIXED, dims.columns),
        }

    @classmethod
    def init_weights(cls, dims: ModelDims, seed: int) -> "Tensor":
        """Draw the initial weights.

        Layers before a LeakyReLU get Kaiming's initialisation, the LSTM a uniform one, the last layers of the heads a
        small one.
        """
        rng, shapes, parts = torch.Generator().manual_seed(seed), cls.list_weight_shapes(dims), []
        for name, shape in shapes.items():
            head, _, kind = name.partition(".")
            if head == "gates":
                part = (torch.rand(shape, generator=rng) * 2 - 1) / math.sqrt(dims.state)
            elif len(shape) == 1:
                part = torch.zeros(shape)
            else:
                fan_in = shape[0]
                if kind in INPUT_KINDS:  # its width is added: a little less than Kaiming's, as in the measured results
                    fan_in = shape[1] + sum(shapes[f"{head}.{i}"][0] for i in INPUT_KINDS if f"{head}.{i}" in shapes)
                part = torch.randn(shape, generator=rng) * math.sqrt(2 / fan_in)
                part *= cls.head_init_scale if kind == "out" else 1.0
            parts.append(part.reshape(-1))
        return torch.cat(parts)

    def linear(self, layer: str, x: "Tensor") -> "Tensor":
        """Return X W + b over the last dimension."""
        return functional.linear(x, self.weights[layer].t(), self.weights[f"{layer}.bias"])

    # layers of a single row

    def encode(self, x: "Tensor") -> "Tensor":
        """Encode rows (…, n) as (…, ENCODED)."""
        return leaky_relu(self.linear("encoder.1", leaky_relu(self.linear("encoder.0", x))))

    def project(self, x: "Tensor") -> "Tensor":
        """Project rows (…, n) to the inputs of the cell, (…, HIDDEN + Q + MIXED)."""
        return functional.linear(self.encode(x), self.row.t(), self.row_bias)

    def decode(self, h: "Tensor", z: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Return mean and log σ of every column, (…, n) each, for a state (…, H) and a latent (…, Z)."""
        x = leaky_relu(self.linear("decoder.0", torch.cat([h, z], -1)))  # (…, MIXED)
        x = leaky_relu(self.linear("decoder.1", x))
        return self.linear("mu.out", x), self.log_sigma_floor + functional.softplus(self.linear("log_sigma.out", x))

    def compute_prior_mean(self, h: "Tensor", c: "Tensor") -> "Tensor":
        """Return the mean of z before the row is seen, (…, Z), for a state (…, H) and a category (…, K)."""
        hidden = leaky_relu(self.linear("prior_mean.in", torch.cat([h, c], -1)))
        return self.activate_output(self.linear("prior_mean.out", hidden))

    def compute_prior_logvar(self, h: "Tensor", c: "Tensor") -> "Tensor":
        """Return the log-variance of z before the row is seen, (…, Z), for a state and a category."""
        hidden = leaky_relu(self.linear("prior_logvar.in", torch.cat([h, c], -1)))
        return self.activate_logvar(self.linear("prior_logvar.out", hidden))

    def activate_output(self, x: "Tensor") -> "Tensor":
        """Return the output of the last layer of means and logits: here the identity."""
        return x

    def activate_logvar(self, x: "Tensor") -> "Tensor":
        """Return log-variances, smoothly limited to ± LOGVAR_LIMIT."""
        return LOGVAR_LIMIT * torch.tanh(x / LOGVAR_LIMIT)

    # recurrent part

    def step_cell(
        self, row: "Tensor", h: "Tensor", cell: "Tensor", tau: float, noise: Noise | None = None
    ) -> CellOutput:
        """Process a projected row (B, ·) in the state (B, H) before it; without noise z is the mean of q."""
        row_c, row_z, row_phi = row.split([HIDDEN, self.latent_width, MIXED], 1)
        past = torch.addmm(self.past_bias, h, self.past)
        past_c, past_z, past_gates = past.split([HIDDEN, self.latent_width, 4 * self.dims.state], 1)
        # q(c | x, h)
        logits = self.activate_output(self.linear("category.out", leaky_relu(row_c + past_c)))  # (B, K)
        c = torch.softmax((logits if noise is None else logits + noise.gumbel) * (1 / tau), 1)
        # q(z | x, h, c)
        hidden = leaky_relu(torch.addmm(row_z + past_z, c, self.switch))  # (B, Q)
        posterior = torch.addmm(self.posterior_bias, hidden, self.posterior)
        mean, logvar = posterior[:, : self.dims.latent], posterior[:, self.dims.latent :]  # (B, Z) each
        mean, logvar = self.activate_output(mean), self.activate_logvar(logvar)
        z = mean if noise is None else mean + noise.normal * torch.exp(logvar / 2)
        # h ← LSTM(φ(x, z), h)
        phi = leaky_relu(torch.addmm(row_phi, z, self.weights["phi.latent"]))  # (B, MIXED)
        gates = torch.addmm(past_gates, phi, self.weights["gates.in"])  # (B, 4 H)
        gate_logits, candidate = gates.split([3 * self.dims.state, self.dims.state], 1)
        input_gate, forget_gate, output_gate = torch.sigmoid(gate_logits).chunk(3, 1)  # (B, H) each
        cell = forget_gate * cell + input_gate * torch.tanh(candidate)
        return CellOutput(logits, c, mean, logvar, z, output_gate * torch.tanh(cell), cell)

    def unroll(
        self, x: "Tensor", h: "Tensor", cell: "Tensor", tau: float, noise: Noise | None = None
    ) -> tuple["Tensor", CellOutput]:
        """Process rows x (T, B, n) one after the other.

        Returns the states before each row (T, B, H), and the outputs of the cell, (T, B, ·).
        """
        initial_state, steps = h, []
        for t, row in enumerate(self.project(x)):  # projected all at once: only the cell is sequential
            steps.append(self.step_cell(row, h, cell, tau, None if noise is None else noise.select(t)))
            h, cell = steps[-1].h, steps[-1].cell
        stacked = CellOutput(*(torch.stack(part) for part in zip(*steps, strict=True)))
        return torch.cat([initial_state.unsqueeze(0), stacked.h[:-1]]), stacked

    # ---- the loss ---------------------------------------------------------------------------------------------------

    def compute_elbo_terms(
        self, x: "Tensor", mask: "Tensor | None", noise: Noise, tau: float
    ) -> tuple["Tensor", "Tensor", "Tensor"]:
        """Return −log p(x), KL of z and KL of c of windows (T, B, n), summed over columns and latents, (T, B) each."""
        zero_state = x.new_zeros(x.shape[1], self.dims.state)
        states, steps = self.unroll(x, zero_state, zero_state, tau, noise)
        nll = self.gaussian_nll(x, *self.decode(states, steps.z))  # (T, B, n)
        nll = nll if mask is None else nll * mask
        prior = self.compute_prior_mean(states, steps.c), self.compute_prior_logvar(states, steps.c)
        latent_kl = gaussian_kl(steps.mean, steps.logvar, *prior)  # (T, B, Z)
        return nll.sum(-1), latent_kl.sum(-1), self.categorical_kl(steps.logits)

    def compute_loss(self, x: "Tensor", mask: "Tensor | None", noise: Noise, tau: float) -> "Tensor":
        """Return the negative evidence lower bound of windows (T, B, n).

        `mask` is 1 for known values and 0 for missing ones.
        """
        return self.sum_terms(*self.compute_elbo_terms(x, mask, noise, tau))

    def gaussian_nll(self, x: "Tensor", mu: "Tensor", log_sigma: "Tensor") -> "Tensor":
        """Return −log N(x; μ, σ²) of every value."""
        return LOG_2PI / 2 + log_sigma + ((x - mu) * torch.exp(-log_sigma)) ** 2 / 2

    def categorical_kl(self, logits: "Tensor") -> "Tensor":
        """Return KL(mean of q(c) over the batch ‖ uniform) for logits (T, B, K): one number, expanded to (T, B)."""
        usage = torch.softmax(logits, -1).mean((0, 1))  # (K,)
        return (math.log(self.dims.categories) + (usage * torch.log(usage + 1e-9)).sum()).expand(logits.shape[:-1])

    def sum_terms(self, nll: "Tensor", latent_kl: "Tensor", category_kl: "Tensor") -> "Tensor":
        """Return the sum of the three terms, (T, B) each, as the mean over the rows."""
        return (nll + latent_kl + category_kl).mean()


def gaussian_kl(mean: "Tensor", logvar: "Tensor", prior_mean: "Tensor", prior_logvar: "Tensor") -> "Tensor":
    """Return KL(q ‖ p) of every pair of Gaussians."""
    ratio = (torch.exp(logvar) + (mean - prior_mean) ** 2) * torch.exp(-prior_logvar)
    return (prior_logvar - logvar + ratio - 1) / 2


# ---- the score ------------------------------------------------------------------------------------------------------


class RowScores(NamedTuple):
    """Scores of rows, with their explanation."""

    nll: "Tensor"  # (…, n), −log p of every value; `min_nll` for a missing one
    mu: "Tensor"  # (…, n), expected values
    sigma: "Tensor"  # (…, n), standard deviation of the expected values
    c: "Tensor"  # (…, K), category


@dataclass(frozen=True)
class Scorer:
    """Trained model with the settings of scoring.

    log_sigma_growth  (n,), added to log σ of each column
    predictive        True: z is the prior's mean before the row is seen; False: z is the mean of q given the row
    """

    model: SwitchingVRNN
    tau: float
    log_sigma_growth: "Tensor"
    predictive: bool

    @property
    def min_nll(self) -> float:
        """Negative log-likelihood of a value that equals its expectation, at the smallest spread."""
        return LOG_2PI / 2 + self.model.log_sigma_floor

    def score_rows(self, x: "Tensor", mask: "Tensor | None", h: "Tensor", c: "Tensor", z: "Tensor") -> RowScores:
        """Score rows x (…, n), given the state h before them and category c and latent z of q."""
        mu, log_sigma = self.model.decode(h, self.model.compute_prior_mean(h, c) if self.predictive else z)
        log_sigma = log_sigma + self.log_sigma_growth
        nll = self.model.gaussian_nll(x, mu, log_sigma)
        nll = nll if mask is None else nll.masked_fill(mask == 0, self.min_nll)
        return RowScores(nll, mu, torch.exp(log_sigma), c)

    def score_window_ends(
        self,
        x: "Tensor",
        mask: "Tensor | None",
        rows: "Tensor",
        ends: "Tensor",
        window: int,
        noise: Noise | None = None,
    ) -> RowScores:
        """Score the rows `ends` (B,) of a series x (rows, n), ascending, each as the last row of its own window.

        `rows` is the projected series: each row is encoded once for all its windows. A window that would begin before
        the series is shorter. `noise` (window, B, ·) serves the comparison with the published function.
        """
        h = cell = rows.new_zeros(len(ends), self.model.dims.state)
        for t in range(window):
            positions = ends - (window - 1 - t)
            if int(positions[0]) <= 0:  # the state is 0 before the series begins
                has_started = (positions > 0).unsqueeze(1)
                h, cell = h * has_started, cell * has_started
            previous_state = h
            row = rows[positions.clamp(min=0)]
            step = self.model.step_cell(row, h, cell, self.tau, None if noise is None else noise.select(t))
            h, cell = step.h, step.cell
        return self.score_rows(x[ends], None if mask is None else mask[ends], previous_state, step.c, step.z)

    def score_stream(
        self, x: "Tensor", mask: "Tensor | None", h: "Tensor", cell: "Tensor"
    ) -> tuple[RowScores, "Tensor", "Tensor"]:
        """Score the next rows x (T, B, n) of B series after the state (B, H).

        Returns the scores and the state after the rows.
        """
        states, steps = self.model.unroll(x, h, cell, self.tau)
        return self.score_rows(x, mask, states, steps.c, steps.z), steps.h[-1], steps.cell[-1]
