"""Gradients of the residual network do not depend on which kernels compute its convolutions."""

import pytest
import torch

from core.detectors.images.residual_net import Norms, ResidualNet


def compute_gradient(net: ResidualNet, *, use_onednn: bool) -> torch.Tensor:
    vector = net.init_weights(seed=0).requires_grad_()
    images = torch.randn(32, net.channels, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.backends.mkldnn.flags(enabled=use_onednn, allow_tf32=None, fp32_precision=None):
        weights = net.split_weights(vector)
        outputs = net.classify(
            weights, net.embed(weights, images.contiguous(memory_format=torch.channels_last), Norms())
        )
        return torch.autograd.grad(outputs.square().mean(), vector)[0]


@pytest.mark.parametrize("width", [4, 7, 8, 15, 16])
def test_gradients_of_narrow_networks_are_those_of_plain_kernels(width: int) -> None:
    net = ResidualNet(channels=1, width=width, outputs=4)
    plain, fast = compute_gradient(net, use_onednn=False), compute_gradient(net, use_onednn=True)
    torch.testing.assert_close(fast, plain, atol=1e-4 * float(plain.abs().max()), rtol=1e-3)
