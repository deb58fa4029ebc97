"""Reference implementation of SGmVRNN: the published equations, step by step, with plain convolutions.

It is slow, and written from the formulas alone. The weights have the names of `core.detectors.sequences.sgmvrnn`.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor

from core.detectors.sequences.sgmvrnn import ModelDims, Noise
from core.detectors.sequences.sgmvrnn_original import choose_conv_strides, compute_padded_width


def encode_rows(w: Mapping[str, Tensor], dims: ModelDims, x: Tensor) -> Tensor:
    """Apply the encoder to rows (B, n); the result has the shape (B, 20)."""
    padding = compute_padded_width(dims.columns) - dims.columns
    signal = functional.pad(x, (padding // 2, padding - padding // 2))[:, None, :]
    channels = [1, 8, 16, 32]
    for layer, stride in enumerate(choose_conv_strides(dims.columns)):
        kernel = w[f"encoder.{layer}"].reshape(stride, channels[layer], channels[layer + 1]).permute(2, 1, 0)
        signal = functional.conv1d(signal, kernel, w[f"encoder.{layer}.bias"], stride=stride)
        signal = functional.leaky_relu(signal, 0.2)
    flat = signal.permute(0, 2, 1).reshape(len(x), -1)  # order of the flat layer: position, then channel
    for layer in (3, 4):
        flat = functional.leaky_relu(flat @ w[f"encoder.{layer}"] + w[f"encoder.{layer}.bias"], 0.2)
    return flat


def decode_rows(w: Mapping[str, Tensor], dims: ModelDims, head: str, inputs: Tensor) -> Tensor:
    """Apply one of the two decoders, `mu` or `log_sigma`, to (B, H + Z); the result has the shape (B, n)."""
    for layer in (0, 1):
        inputs = functional.leaky_relu(inputs @ w[f"{head}.{layer}"] + w[f"{head}.{layer}.bias"], 0.2)
    signal = inputs.reshape(len(inputs), -1, 32).permute(0, 2, 1)
    channels, strides = [32, 16, 8, 1], choose_conv_strides(dims.columns)[::-1]
    for layer_number, stride in enumerate(strides):
        kernel = (
            w[f"{head}.{layer_number + 2}"]
            .reshape(channels[layer_number], stride, channels[layer_number + 1])
            .permute(0, 2, 1)
        )
        signal = functional.conv_transpose1d(signal, kernel, w[f"{head}.{layer_number + 2}.bias"], stride=stride)
        signal = functional.leaky_relu(signal, 0.2) if layer_number < 2 else torch.tanh(signal)
    left_padding = (compute_padded_width(dims.columns) - dims.columns) // 2
    return signal[:, 0, left_padding : left_padding + dims.columns]


def apply_mlp(w: Mapping[str, Tensor], hidden: Tensor, out: str) -> Tensor:
    """Apply the activation of the hidden layer and the output layer `out`."""
    hidden = functional.leaky_relu(hidden, 0.2)
    return functional.leaky_relu(hidden @ w[f"{out}.out"] + w[f"{out}.out.bias"], 0.2)


def compute_terms_stepwise(
    w: Mapping[str, Tensor], dims: ModelDims, x: Tensor, noise: Noise, tau: float, evaluating: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the three terms of the evidence lower bound, and the score of the last step of each window.

    `x` has the shape (T, B, n). The terms are summed as in the loss.
    """
    length, batch, _ = x.shape
    h = cell = x.new_zeros(batch, dims.state)
    nll = latent_kl = x.new_zeros(())
    mixtures = []
    for t in range(length):
        row = encode_rows(w, dims, x[t])
        logits = apply_mlp(w, row @ w["category.row"] + h @ w["category.past"] + w["category.row.bias"], "category")
        c = torch.softmax((logits + noise.gumbel[t]) / tau, dim=1)
        mean, logvar = (
            apply_mlp(
                w,
                row @ w[f"{head}.row"] + h @ w[f"{head}.past"] + c @ w[f"{head}.category"] + w[f"{head}.row.bias"],
                head,
            )
            for head in ("mean", "logvar")
        )
        z = mean if evaluating else mean + noise.normal[t] * torch.exp(logvar / 2)
        prior_mean, prior_logvar = (
            apply_mlp(w, torch.cat([h, c], 1) @ w[f"prior_{head}.in"] + w[f"prior_{head}.in.bias"], f"prior_{head}")
            for head in ("mean", "logvar")
        )
        state_and_latent = torch.cat([h, z], 1)
        mu, log_sigma = (
            decode_rows(w, dims, "mu", state_and_latent),
            decode_rows(w, dims, "log_sigma", state_and_latent),
        )
        normal = torch.distributions.Normal(mu, torch.sqrt(torch.exp(log_sigma) ** 2 + 1e-8))
        nats = -normal.log_prob(x[t])
        nll = nll + nats.sum()
        q, p = (
            torch.distributions.Normal(m, torch.exp(v / 2)) for m, v in ((mean, logvar), (prior_mean, prior_logvar))
        )
        latent_kl = latent_kl + torch.distributions.kl_divergence(q, p).sum()
        mixtures.append(torch.distributions.Categorical(logits=logits))
        phi = functional.leaky_relu(row @ w["phi.row"] + z @ w["phi.latent"] + w["phi.row.bias"], 0.2)
        gates = phi @ w["gates.in"] + w["gates.in.bias"] + h @ w["gates.past"] + w["gates.past.bias"]
        enter, forget, leave, new = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        h = torch.sigmoid(leave) * torch.tanh(cell)
    uniform = torch.distributions.Categorical(logits=torch.zeros_like(mixtures[0].logits))
    category_kl = torch.stack([torch.distributions.kl_divergence(mixture, uniform) for mixture in mixtures]).mean()
    return nll, latent_kl, category_kl, nats.sum(1)
