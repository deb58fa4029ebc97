"""Reference implementation of SGmVRNN: the published equations, step by step, with plain convolutions.

It is slow, and written from the formulas alone. The weights have the names of `core.detectors.sequences.sgmvrnn`.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor

from core.detectors.sequences.sgmvrnn import ModelDims, Noise
from core.detectors.sequences.sgmvrnn_original import choose_conv_strides, compute_padded_width


def convolved(w: Mapping[str, Tensor], dims: ModelDims, x: Tensor) -> Tensor:
    """Apply the encoder to rows (B, n); the result has the shape (B, 20)."""
    lacking = compute_padded_width(dims.columns) - dims.columns
    signal = functional.pad(x, (lacking // 2, lacking - lacking // 2))[:, None, :]
    channels = [1, 8, 16, 32]
    for number, stride in enumerate(choose_conv_strides(dims.columns)):
        kernel = w[f"encoder.{number}"].reshape(stride, channels[number], channels[number + 1]).permute(2, 1, 0)
        signal = functional.conv1d(signal, kernel, w[f"encoder.{number}.bias"], stride=stride)
        signal = functional.leaky_relu(signal, 0.2)
    flat = signal.permute(0, 2, 1).reshape(len(x), -1)  # order of the flat layer: position, then channel
    for number in (3, 4):
        flat = functional.leaky_relu(flat @ w[f"encoder.{number}"] + w[f"encoder.{number}.bias"], 0.2)
    return flat


def deconvolved(w: Mapping[str, Tensor], dims: ModelDims, head: str, both: Tensor) -> Tensor:
    """Apply one of the two decoders, `mu` or `log_sigma`, to (B, H + Z); the result has the shape (B, n)."""
    for number in (0, 1):
        both = functional.leaky_relu(both @ w[f"{head}.{number}"] + w[f"{head}.{number}.bias"], 0.2)
    signal = both.reshape(len(both), -1, 32).permute(0, 2, 1)
    channels, strides = [32, 16, 8, 1], choose_conv_strides(dims.columns)[::-1]
    for place, stride in enumerate(strides):
        kernel = w[f"{head}.{place + 2}"].reshape(channels[place], stride, channels[place + 1]).permute(0, 2, 1)
        signal = functional.conv_transpose1d(signal, kernel, w[f"{head}.{place + 2}.bias"], stride=stride)
        signal = functional.leaky_relu(signal, 0.2) if place < 2 else torch.tanh(signal)
    before = (compute_padded_width(dims.columns) - dims.columns) // 2
    return signal[:, 0, before : before + dims.columns]


def mlp(w: Mapping[str, Tensor], hidden: Tensor, out: str) -> Tensor:
    """Apply the activation of the hidden layer and the output layer `out`."""
    hidden = functional.leaky_relu(hidden, 0.2)
    return functional.leaky_relu(hidden @ w[f"{out}.out"] + w[f"{out}.out.bias"], 0.2)


def stepwise(
    w: Mapping[str, Tensor], dims: ModelDims, x: Tensor, noise: Noise, tau: float, evaluating: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the three terms of the evidence lower bound, and the score of the last step of each window.

    `x` has the shape (T, B, n). The terms are summed as in the loss.
    """
    length, batch, _ = x.shape
    h = cell = x.new_zeros(batch, dims.state)
    surprise = latent = x.new_zeros(())
    mixtures = []
    for t in range(length):
        row = convolved(w, dims, x[t])
        logits = mlp(w, row @ w["category.row"] + h @ w["category.past"] + w["category.row.bias"], "category")
        c = torch.softmax((logits + noise.gumbel[t]) / tau, dim=1)
        mean, logvar = (
            mlp(
                w,
                row @ w[f"{head}.row"] + h @ w[f"{head}.past"] + c @ w[f"{head}.category"] + w[f"{head}.row.bias"],
                head,
            )
            for head in ("mean", "logvar")
        )
        z = mean if evaluating else mean + noise.normal[t] * torch.exp(logvar / 2)
        prior_mean, prior_logvar = (
            mlp(w, torch.cat([h, c], 1) @ w[f"prior_{head}.in"] + w[f"prior_{head}.in.bias"], f"prior_{head}")
            for head in ("mean", "logvar")
        )
        both = torch.cat([h, z], 1)
        mu, log_sigma = deconvolved(w, dims, "mu", both), deconvolved(w, dims, "log_sigma", both)
        normal = torch.distributions.Normal(mu, torch.sqrt(torch.exp(log_sigma) ** 2 + 1e-8))
        nats = -normal.log_prob(x[t])
        surprise = surprise + nats.sum()
        q, p = (
            torch.distributions.Normal(m, torch.exp(v / 2)) for m, v in ((mean, logvar), (prior_mean, prior_logvar))
        )
        latent = latent + torch.distributions.kl_divergence(q, p).sum()
        mixtures.append(torch.distributions.Categorical(logits=logits))
        phi = functional.leaky_relu(row @ w["phi.row"] + z @ w["phi.latent"] + w["phi.row.bias"], 0.2)
        gates = phi @ w["gates.in"] + w["gates.in.bias"] + h @ w["gates.past"] + w["gates.past.bias"]
        enter, forget, leave, new = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        h = torch.sigmoid(leave) * torch.tanh(cell)
    uniform = torch.distributions.Categorical(logits=torch.zeros_like(mixtures[0].logits))
    categories = torch.stack([torch.distributions.kl_divergence(each, uniform) for each in mixtures]).mean()
    return surprise, latent, categories, nats.sum(1)
