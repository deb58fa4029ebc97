"""Layers of the convolutional network that train faster on a processor than those of torch, with the same results.

A convolution of stride 2 becomes products of matrices. Maps have the shape (B, channels, height, width), but the batch
is the last dimension in memory. A tap is one place of the kernel; what it sees of all images is then a slice of long
rows, quick to copy and to add. oneDNN is slow at the gradients of so few channels, and at transposed convolutions.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

STRIDE, PADDING = 2, 1
MAX_BATCH_PIXELS = 2**20  # of the maps of a batch: above, the taps no longer fit into the cache
Gradients = tuple["Tensor | None", ...]


def contract_maps(maps: "Tensor", weights: "Tensor", bias: "Tensor | None" = None) -> "Tensor":
    """Return the convolution of stride 2 and padding 1 of `maps` with `weights` (out, in, side, side).

    Example:
        >>> tuple(contract_maps(torch.zeros(1, 2, 7, 8), torch.zeros(3, 2, 3, 3)).shape)
        (1, 3, 4, 4)
    """
    if not is_trained_fast(maps, weights):
        return functional.conv2d(maps, weights, bias, STRIDE, PADDING)
    return _load_functions()["contract"].apply(*_match_numbers(maps, weights, bias))


def expand_maps(maps: "Tensor", weights: "Tensor", bias: "Tensor", height: int, width: int) -> "Tensor":
    """Return the transposed convolution of stride 2 and padding 1 with `weights` (in, out, 4, 4), cut to the size.

    Example:
        >>> tuple(expand_maps(torch.zeros(1, 3, 4, 4), torch.zeros(3, 2, 4, 4), torch.zeros(2), 7, 8).shape)
        (1, 2, 7, 8)
    """
    if not is_trained_fast(maps, weights):
        return functional.conv_transpose2d(maps, weights, bias, STRIDE, PADDING)[:, :, :height, :width]
    return _load_functions()["expand"].apply(*_match_numbers(maps, weights, bias), height, width)


def apply_tanh(maps: "Tensor") -> "Tensor":
    """Return the hyperbolic tangent of `maps`; in training from the logistic function, which torch computes faster.

    Example:
        >>> apply_tanh(torch.tensor([0.0, 1.0])).tolist()
        [0.0, 0.7615941762924194]
    """
    is_fast = maps.requires_grad and maps.dtype == torch.bfloat16 and maps.device.type == "cpu"
    return _load_functions()["tanh"].apply(maps) if is_fast else torch.tanh(maps)


def order_batch_last(maps: "Tensor") -> "Tensor":
    """Return `maps` (B, channels, height, width) with the batch last in memory.

    Example:
        >>> order_batch_last(torch.zeros(5, 2, 3, 3)).stride()
        (1, 45, 15, 5)
    """
    return _to_rows(maps).permute(3, 0, 1, 2)


def is_trained_fast(maps: "Tensor", weights: "Tensor") -> bool:
    """Return whether products of matrices are the faster way: training of small maps in bfloat16 on a processor."""
    if maps.device.type != "cpu" or not (torch.is_grad_enabled() and weights.requires_grad):
        return False
    return torch.is_autocast_enabled("cpu") and len(maps) * maps.shape[2] * maps.shape[3] <= MAX_BATCH_PIXELS


# ---- functions with gradients ---------------------------------------------------------------------------------------


@cache
def _load_functions() -> dict[str, Any]:
    """Return the functions by name. Their classes stand in a function, because their base is imported late."""

    class Contraction(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, maps: "Tensor", weights: "Tensor", bias: "Tensor | None") -> "Tensor":
            rows, side = _to_rows(maps), weights.shape[2]
            taps = _gather_taps(rows, side)
            kernel = weights.permute(0, 2, 3, 1).reshape(len(weights), -1)
            ctx.save_for_backward(taps, kernel)
            ctx.shapes = (rows.shape, weights.shape)
            product = kernel @ _flatten(taps, 3)
            if bias is not None:
                product += bias[:, None]
            return product.view(-1, *taps.shape[3:]).permute(3, 0, 1, 2)

        @staticmethod
        def backward(ctx: Any, gradient: "Tensor") -> Gradients:
            taps, kernel = ctx.saved_tensors
            (_, height, width, _), (outputs, inputs, side, _) = ctx.shapes
            rows, of_maps, of_weights = _flatten(_to_rows(gradient), 1), None, None
            if ctx.needs_input_grad[0]:  # images need none
                of_maps = _add_taps((kernel.t() @ rows).view(taps.shape), height, width).permute(3, 0, 1, 2)
            if ctx.needs_input_grad[1]:
                of_weights = (rows @ _flatten(taps, 3).t()).view(outputs, side, side, inputs).permute(0, 3, 1, 2)
            return of_maps, of_weights, rows.sum(1) if ctx.needs_input_grad[2] else None

    class Expansion(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, maps: "Tensor", weights: "Tensor", bias: "Tensor", height: int, width: int) -> "Tensor":
            rows, (inputs, outputs, side, _) = _to_rows(maps), weights.shape
            kernel = weights.permute(2, 3, 1, 0).reshape(-1, inputs)
            ctx.save_for_backward(rows, kernel)
            ctx.weights_shape = weights.shape
            taps = (kernel @ _flatten(rows, 1)).view(side, side, outputs, *rows.shape[1:])
            return _add_taps(taps, height, width).add_(bias[:, None, None, None]).permute(3, 0, 1, 2)

        @staticmethod
        def backward(ctx: Any, gradient: "Tensor") -> Gradients:
            rows, kernel = ctx.saved_tensors
            inputs, outputs, side, _ = ctx.weights_shape
            drawn = _to_rows(gradient)
            taps = _flatten(_gather_taps(drawn, side), 3)
            of_maps = (kernel.t() @ taps).view(rows.shape).permute(3, 0, 1, 2)
            of_weights = (taps @ _flatten(rows, 1).t()).view(side, side, outputs, inputs).permute(3, 2, 0, 1)
            return of_maps, of_weights, _flatten(drawn, 1).sum(1), None, None

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, maps: "Tensor") -> "Tensor":
            result = maps.float().mul_(2).sigmoid_().mul_(2).sub_(1).to(maps.dtype)
            ctx.save_for_backward(result)
            return result

        @staticmethod
        def backward(ctx: Any, gradient: "Tensor") -> "Tensor":
            return torch.ops.aten.tanh_backward(gradient, *ctx.saved_tensors)

    return {"contract": Contraction, "expand": Expansion, "tanh": Tanh}


# ---- taps -----------------------------------------------------------------------------------------------------------


def _match_numbers(*tensors: "Tensor | None") -> "list[Tensor | None]":
    """Return tensors in the numbers of the autocast; `torch.autograd.Function` does not see it by itself."""
    if not torch.is_autocast_enabled("cpu"):
        return list(tensors)
    numbers = torch.get_autocast_dtype("cpu")
    return [None if tensor is None else tensor.to(numbers) for tensor in tensors]


def _flatten(tensor: "Tensor", count: int) -> "Tensor":
    """Return `tensor` as a matrix: its first `count` dimensions are one, the others the second."""
    return tensor.flatten(count).flatten(0, count - 1)


def _to_rows(maps: "Tensor") -> "Tensor":
    """Return `maps` as (channels, height, width, B) without gaps."""
    return maps.permute(1, 2, 3, 0).contiguous()


def _span_places(tap: int, count: int, length: int) -> tuple[slice, slice]:
    """Return which of `count` places of the kernel see the map with a tap, and which of `length` pixels they see."""
    first, last = max(PADDING - tap + 1, 0) // STRIDE, min(count, (length - 1 + PADDING - tap) // STRIDE + 1)
    offset = tap - PADDING
    return slice(first, last), slice(STRIDE * first + offset, STRIDE * (last - 1) + offset + 1, STRIDE)


def _gather_taps(rows: "Tensor", side: int) -> "Tensor":
    """Return what each tap sees of `rows`, (side, side, channels, out height, out width, B); 0 in the padding."""
    channels, height, width, count = rows.shape
    out_height, out_width = -(-height // STRIDE), -(-width // STRIDE)
    taps = rows.new_zeros(side, side, channels, out_height, out_width, count)
    for i in range(side):
        places, pixels = _span_places(i, out_height, height)
        for j in range(side):
            places_across, pixels_across = _span_places(j, out_width, width)
            taps[i, j, :, places, places_across] = rows[:, pixels, pixels_across]
    return taps


def _add_taps(taps: "Tensor", height: int, width: int) -> "Tensor":
    """Return the sum of the taps at the pixels that they see, (channels, height, width, B)."""
    side, _, channels, out_height, out_width, count = taps.shape
    rows = taps.new_zeros(channels, height, width, count)
    for i in range(side):
        places, pixels = _span_places(i, out_height, height)
        for j in range(side):
            places_across, pixels_across = _span_places(j, out_width, width)
            rows[:, pixels, pixels_across].add_(taps[i, j, :, places, places_across])
    return rows
