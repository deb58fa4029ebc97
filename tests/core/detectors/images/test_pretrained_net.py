"""A ResNet from a file of weights: what is read, what is refused, what the features are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.detectors.images.patch_knn import PatchNeighbours
from core.detectors.images.pretrained_net import extract_patch_maps, read_resnet_weights
from core.errors import UnreadableFileError
from core.progress import Progress


def _build_state(*, is_bottleneck: bool) -> dict[str, torch.Tensor]:
    """Return random weights under the names of torchvision, of a narrow ResNet with one block a layer."""
    torch.manual_seed(0)
    modules: dict[str, nn.Module] = {"conv1": nn.Conv2d(3, 8, 7, bias=False), "bn1": nn.BatchNorm2d(8)}
    inputs = 8
    for layer, width in enumerate((8, 16, 32, 64), 1):
        block, outputs = f"layer{layer}.0", width * (4 if is_bottleneck else 1)
        sizes = (
            [(inputs, width, 1), (width, width, 3), (width, outputs, 1)]
            if is_bottleneck
            else [(inputs, width, 3), (width, width, 3)]
        )
        for number, (before, after, side) in enumerate(sizes, 1):
            modules[f"{block}.conv{number}"] = nn.Conv2d(before, after, side, bias=False)
            modules[f"{block}.bn{number}"] = nn.BatchNorm2d(after)
        if inputs != outputs:
            modules[f"{block}.downsample.0"] = nn.Conv2d(inputs, outputs, 1, bias=False)
            modules[f"{block}.downsample.1"] = nn.BatchNorm2d(outputs)
        inputs = outputs
    modules["fc"] = nn.Linear(inputs, 10)
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("is_bottleneck", [False, True])
def test_maps_of_two_layers_have_the_sizes_of_a_resnet(tmp_path: Path, *, is_bottleneck: bool) -> None:
    torch.save(_build_state(is_bottleneck=is_bottleneck), tmp_path / "net.pth")
    weights = read_resnet_weights(tmp_path / "net.pth")
    assert not any(name.startswith(("layer4", "fc")) for name in weights)
    second, third = extract_patch_maps(weights, torch.rand(2, 1, 32, 32))
    factor = 4 if is_bottleneck else 1
    assert second.shape == (2, 16 * factor, 16, 16)
    assert third.shape == (2, 32 * factor, 8, 8)


def test_first_layers_equal_those_of_modules(tmp_path: Path) -> None:
    state = _build_state(is_bottleneck=False)
    maps, _ = extract_patch_maps(state, torch.full((1, 3, 128, 128), 0.5))
    stem = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    ).eval()
    stem[0].load_state_dict({"weight": state["conv1.weight"]})
    means, spreads = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    values = stem(((0.5 - means) / spreads)[None, :, None, None].expand(1, 3, 128, 128))
    for layer, stride in ((1, 1), (2, 2)):
        name, before = f"layer{layer}.0", values
        for number, step in ((1, stride), (2, 1)):
            values = nn.functional.conv2d(values, state[f"{name}.conv{number}.weight"], stride=step, padding=1)
            values = values / (1 + 1e-5) ** 0.5  # a new normalisation has mean 0 and variance 1
            values = values.relu() if number == 1 else values
        if f"{name}.downsample.0.weight" in state:
            before = (
                nn.functional.conv2d(before, state[f"{name}.downsample.0.weight"], stride=stride) / (1 + 1e-5) ** 0.5
            )
        values = (values + before).relu()
    torch.testing.assert_close(maps, values, rtol=1e-3, atol=1e-4)


def test_patches_of_a_file_find_a_defect_without_training(tmp_path: Path) -> None:
    torch.save(_build_state(is_bottleneck=False), tmp_path / "net.pth")
    images = np.random.default_rng(0).integers(90, 110, (12, 32, 32, 1)).astype(np.uint8)
    detector = PatchNeighbours(weights_file=str(tmp_path / "net.pth"), patches=3000).fit(images, Progress())
    marked = images.copy()
    marked[:, 20:26, 20:26] = 250
    assert detector.score(marked).min() > detector.score(images).max()
    heat = detector.heat_map(marked).mean(axis=0)
    assert heat[20:26, 20:26].mean() > 2 * heat[:14].mean()


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.pth"
    if content is None:
        torch.save({"conv1.weight": torch.zeros(8, 3, 7, 7)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"weights"):
        read_resnet_weights(path)
    with pytest.raises(UnreadableFileError):
        read_resnet_weights(tmp_path / "absent.pth")
