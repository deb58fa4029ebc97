"""Fast layers equal those of torch, in values and in gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from core.detectors.images import fast_layers
from core.detectors.images.convnet import ConvNet

SIDES, COUNTS = st.integers(1, 13), st.integers(1, 4)


def draw(*shape: int) -> torch.Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)
    return numbers.requires_grad_()


def assert_equal(ours: torch.Tensor, theirs: torch.Tensor, inputs: tuple[torch.Tensor, ...]) -> None:
    torch.testing.assert_close(ours, theirs)
    change = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    gradients = torch.autograd.grad(ours, inputs, change), torch.autograd.grad(theirs, inputs, change)
    torch.testing.assert_close(*gradients)


@given(COUNTS, COUNTS, COUNTS, SIDES, SIDES, st.booleans())
def test_contraction_equals_a_convolution_of_stride_2(
    count: int, inputs: int, outputs: int, height: int, width: int, has_bias: bool
) -> None:
    maps, weights, bias = draw(count, inputs, height, width), draw(outputs, inputs, 3, 3), draw(outputs)
    arguments = (maps, weights, bias if has_bias else None)
    ours = fast_layers._load_functions()["contract"].apply(*arguments)
    assert_equal(ours, functional.conv2d(*arguments, 2, 1), (maps, weights, bias)[: 2 + has_bias])


@given(COUNTS, COUNTS, COUNTS, SIDES, SIDES)
def test_expansion_equals_a_transposed_convolution(
    count: int, inputs: int, outputs: int, height: int, width: int
) -> None:
    maps = draw(count, inputs, -(-height // 2), -(-width // 2))
    weights, bias = draw(inputs, outputs, 4, 4), draw(outputs)
    ours = fast_layers._load_functions()["expand"].apply(maps, weights, bias, height, width)
    theirs = functional.conv_transpose2d(maps, weights, bias, 2, 1)[:, :, :height, :width]
    assert_equal(ours, theirs, (maps, weights, bias))


def test_fast_tanh_is_exact_to_the_last_bit_of_bfloat16() -> None:
    values = torch.linspace(-6, 6, 4001).bfloat16().requires_grad_()
    ours = fast_layers.apply_tanh(values)
    torch.testing.assert_close(ours, torch.tanh(values), atol=1e-6, rtol=2**-7)
    ours.sum().backward()
    torch.testing.assert_close(values.grad, 1 - torch.tanh(values.detach()).square(), atol=2**-7, rtol=2**-7)


@pytest.mark.parametrize("activation", ["tanh", "leaky-relu"])
@pytest.mark.parametrize("latent_kind", ["flat", "spatial"])
def test_training_in_bfloat16_gives_the_gradient_of_exact_numbers(activation: str, latent_kind: str) -> None:
    net = ConvNet(28, 20, 3, activation=activation, latent_kind=latent_kind, attention=True, is_conditioned=True)  # type: ignore[arg-type]
    images, condition = draw(16, 3, 28, 20).detach().float().sigmoid(), torch.rand(16)

    def measure(numbers: torch.dtype) -> tuple[float, torch.Tensor]:
        vector = net.init_weights(0).requires_grad_()
        weights = net.split_weights(vector)
        with torch.autocast("cpu", numbers, enabled=numbers == torch.bfloat16):
            assert fast_layers.is_trained_fast(images, weights["encoder.0"]) == (numbers == torch.bfloat16)
            drawing = net.decode(weights, net.encode(weights, images, condition)[:, 0], condition)
        loss = (drawing - images).square().mean()
        loss.backward()
        assert vector.grad is not None
        return float(loss.detach()), vector.grad

    (loss, gradient), (exact_loss, exact) = measure(torch.bfloat16), measure(torch.float32)
    assert loss == pytest.approx(exact_loss, rel=0.01)
    assert functional.cosine_similarity(gradient, exact, dim=0) > 0.99


def test_layers_without_gradients_are_those_of_torch() -> None:
    maps, weights = draw(2, 3, 8, 8).detach().float(), draw(4, 3, 3, 3).detach().float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        ours = fast_layers.contract_maps(maps, weights)
        assert torch.equal(ours, functional.conv2d(maps, weights, None, 2, 1))
