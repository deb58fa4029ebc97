"""The first layers of a ResNet whose weights were saved by torchvision; the library itself is not needed."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UnreadableFileError
from core.lazy_import import LazyModule
from core.messages import N_

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

Weights = Mapping[str, "Tensor"]

INPUT_SIDE = 128  # pixels; smaller images are enlarged to it, as such networks know larger objects
CHANNEL_MEANS = (0.485, 0.456, 0.406)  # of ImageNet, values 0–1
CHANNEL_SPREADS = (0.229, 0.224, 0.225)
LAYERS = (1, 2, 3)  # the fourth knows the classes of ImageNet best and places least
PATCH_LAYERS = (2, 3)  # those of PatchCore
ACCEPTED = "state_dict of torchvision: resnet18, resnet34, resnet50, resnet101, resnet152, wide_resnet50_2"
STATE_NAMES = re.compile(rf"(conv1|bn1|layer[{LAYERS[0]}-{LAYERS[-1]}]\..+)")


def read_resnet_weights(path: Path) -> "dict[str, Tensor]":
    """Return name → weights of the layers that are used, from a file that holds a state of torchvision's ResNet.

    Accepted are ResNets 18 to 152 and wide ones. Code in the file is never run. Raises UnreadableFileError.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError) as error:
        raise _refuse(path, str(error).partition("\n")[0] or type(error).__name__) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise _refuse(path, "no state_dict")
    weights = {name: value.float() for name, value in state.items() if STATE_NAMES.match(name) and value.ndim}
    try:
        with torch.inference_mode():
            extract_patch_maps(weights, torch.zeros(1, 3, INPUT_SIDE, INPUT_SIDE))
    except (KeyError, RuntimeError) as error:
        raise _refuse(path, str(error).partition("\n")[0]) from error
    return weights


def _refuse(path: Path, reason: str) -> UnreadableFileError:
    return UnreadableFileError(
        N_("The file {file} has no weights that can be used: {reason}. Accepted: {accepted}."),
        file=path.name,
        reason=reason,
        accepted=ACCEPTED,
    )


def extract_patch_maps(weights: Weights, images: "Tensor") -> "list[Tensor]":
    """Return the maps of the second and third layer of images (B, 1 or 3, height, width) with values 0–1."""
    inputs = images.expand(-1, 3, -1, -1)
    inputs = functional.interpolate(inputs, (INPUT_SIDE, INPUT_SIDE), mode="bilinear", antialias=True)
    means, spreads = (
        torch.tensor(values, device=images.device)[:, None, None] for values in (CHANNEL_MEANS, CHANNEL_SPREADS)
    )
    inputs = (inputs - means) / spreads
    maps = torch.relu(_convolve(weights, "conv1", "bn1", inputs, stride=2))
    maps = functional.max_pool2d(maps, 3, 2, 1)
    outputs = []
    for layer in LAYERS:
        block = 0
        while block == 0 or f"layer{layer}.{block}.conv1.weight" in weights:
            stride = 2 if block == 0 and layer > 1 else 1
            maps = _apply_block(weights, f"layer{layer}.{block}", maps, stride)
            block += 1
        outputs.append(maps)
    return [outputs[layer - 1] for layer in PATCH_LAYERS]


def _apply_block(weights: Weights, block: str, inputs: "Tensor", stride: int) -> "Tensor":
    """Return the output of a basic block of two convolutions, or of a bottleneck of three."""
    is_bottleneck = f"{block}.conv3.weight" in weights
    strides = (1, stride, 1) if is_bottleneck else (stride, 1)
    maps = inputs
    for number, step in enumerate(strides, 1):
        maps = _convolve(weights, f"{block}.conv{number}", f"{block}.bn{number}", maps, step)
        if number < len(strides):
            maps = torch.relu(maps)
    if f"{block}.downsample.0.weight" in weights:
        inputs = _convolve(weights, f"{block}.downsample.0", f"{block}.downsample.1", inputs, stride)
    return torch.relu(maps + inputs)


def _convolve(weights: Weights, name: str, norm: str, maps: "Tensor", stride: int) -> "Tensor":
    """Return a convolution and its normalisation by the statistics in the file."""
    kernel = weights[f"{name}.weight"]
    maps = functional.conv2d(maps, kernel, stride=stride, padding=kernel.shape[2] // 2)
    mean, variance, scale, shift = (
        weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return functional.batch_norm(maps, mean, variance, scale, shift)
