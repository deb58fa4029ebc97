"""Networks of images: sizes, training that can be interrupted, curves, balance of losses, and weights moved later."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from core.data.images.image_set import Pixels
from core.detectors import training
from core.detectors.images.convnet import ConvNet
from core.detectors.images.network_training import ImageLoss, corrupt_values
from core.detectors.images.oc_nn import OCNN
from core.detectors.images.oc_vae import OCVAE
from core.detectors.images.vae import VAE
from core.errors import DataError, OptionError
from core.progress import CancelledError, Progress


@pytest.fixture(scope="module")
def digits() -> tuple[Pixels, np.ndarray]:
    samples = load_digits()
    return (samples.images * 15.9).astype(np.uint8)[..., None], samples.target


@pytest.fixture(scope="module")
def threes(digits: tuple[Pixels, np.ndarray]) -> Pixels:
    pixels, labels = digits
    return pixels[::2][labels[::2] == 3]


# ---- network --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["flat", "spatial"])
@pytest.mark.parametrize("size", [(8, 8, 1), (9, 13, 3), (28, 28, 1), (64, 40, 3), (256, 256, 1)], ids=str)
def test_decoder_mirrors_the_encoder_for_any_size(size: tuple[int, int, int], kind: str) -> None:
    for contraction in (-1, 0, 1):
        network = ConvNet(*size, latent_kind=kind, attention=True, extra_contraction=contraction, width=4)  # type: ignore[arg-type]
        weights = network.split_weights(network.init_weights(0))
        images = torch.rand(2, size[2], size[0], size[1])
        latent = network.encode(weights, images)
        assert latent.shape == (2, 1, *network.latent_shape)
        assert network.decode(weights, latent[:, 0]).shape == images.shape


def test_spatial_latent_does_not_mix_places() -> None:
    network = ConvNet(64, 64, 1, latent_kind="spatial", encoder_bias=False)
    weights = network.split_weights(network.init_weights(0))
    images = torch.zeros(1, 1, 64, 64)
    images[:, :, :8, :8] = 1.0
    latent = network.encode(weights, images)[0, 0]
    assert latent[:, 0, 0].abs().max() > 0
    assert latent[:, -1, -1].abs().max() == 0


def test_encoder_without_bias_maps_a_black_image_to_zero() -> None:
    network = ConvNet(28, 28, 1, encoder_bias=False, is_conditioned=True)
    weights = network.split_weights(network.init_weights(0))
    assert network.encode(weights, torch.zeros(1, 1, 28, 28), torch.tensor([0.3])).abs().max() == 0


def test_corruption_changes_the_chosen_share_of_images() -> None:
    values = torch.full((400, 1, 16, 16), 0.5)
    changed = (corrupt_values(values, 0.3, torch.Generator().manual_seed(0)) != values).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4


# ---- training -------------------------------------------------------------------------------------------------------


class StoppedError(Exception):
    pass


def test_interrupted_training_continues_from_its_checkpoint(
    threes: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    settings = {"epochs": 4, "centre_update": "epoch", "objective": "soft-boundary"}
    whole = OCNN(**settings).fit(threes, Progress())  # type: ignore[arg-type]

    def stop(epoch: int, _: object) -> None:
        if epoch == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        OCNN(**settings).fit(threes, Progress(tmp_path), monitor=stop)  # type: ignore[arg-type]
    assert list(tmp_path.glob("checkpoint*"))
    resumed = OCNN(**settings).fit(threes, Progress(tmp_path))  # type: ignore[arg-type]
    assert np.array_equal(resumed.weights_, whole.weights_)
    assert np.array_equal(resumed.score(threes), whole.score(threes))


def test_checkpoint_of_other_images_is_refused(threes: Pixels, tmp_path: Path) -> None:
    VAE(epochs=1).fit(threes, Progress(tmp_path))
    with pytest.raises(DataError, match="was made with other data"):
        VAE(epochs=1).fit(255 - threes, Progress(tmp_path))


def test_cancel_ends_the_training(threes: Pixels) -> None:
    progress = Progress()
    with pytest.raises(CancelledError):
        VAE(epochs=50).fit(threes, progress, monitor=lambda *_: progress.cancel())


def test_monitor_does_not_change_the_training(threes: Pixels) -> None:
    scores = []
    watched = OCVAE(epochs=3).fit(threes, Progress(), monitor=lambda epoch, score: scores.append(score(threes)))
    assert len(scores) == 3
    assert np.array_equal(watched.weights_, OCVAE(epochs=3).fit(threes, Progress()).weights_)


def test_history_holds_each_loss_and_its_gradient(threes: Pixels) -> None:
    progress = Progress()
    detector = OCVAE(epochs=3).fit(threes, progress)
    names = {"reconstruction", "divergence", "distance"}
    assert detector.history_.keys() == names | {f"gradient of {name}" for name in names}
    for name, points in detector.history_.items():
        assert [epoch for epoch, _ in points] == [1, 2, 3]
        assert all(value > 0 for _, value in points)
        assert progress.curves[name] == [tuple(point) for point in points]


def test_held_out_images_are_no_training_images(threes: Pixels) -> None:
    loss = ImageLoss(torch.from_numpy(threes), lambda *_: {}, lambda *_: torch.zeros(()), 16, seed=0)
    held_out, trained = set(loss.validation_positions.tolist()), set(loss.train_positions.tolist())
    assert held_out | trained == set(range(len(threes)))
    assert not held_out & trained
    assert len(held_out) == len(threes) // 10


def test_images_of_another_size_are_refused(threes: Pixels) -> None:
    with pytest.raises(DataError, match="9 × 8 × 1"):
        VAE(epochs=1).fit(threes, Progress()).score(np.zeros((2, 9, 8, 1), np.uint8))


# ---- centre and weight ----------------------------------------------------------------------------------------------


def test_centre_is_fixed_or_follows_the_latents(threes: Pixels) -> None:
    def train(epochs: int, update: str) -> np.ndarray:
        detector = OCNN(epochs=epochs, centre_update=update, patience=0).fit(threes, Progress())  # type: ignore[arg-type]
        return detector.split_extras(torch.from_numpy(detector.weights_))["centre"].numpy()

    assert np.array_equal(train(1, "fixed"), train(3, "fixed"))
    assert not np.allclose(train(1, "epoch"), train(3, "epoch"))


def test_soft_boundary_leaves_the_chosen_share_outside(threes: Pixels) -> None:
    detector = OCNN(objective="soft-boundary", nu=0.2, epochs=15).fit(threes, Progress())
    assert 0.1 < (detector.score(threes) > 0).mean() < 0.35


def test_warm_up_by_an_autoencoder_changes_the_start(threes: Pixels) -> None:
    for normalisation in ("none", "contrast", "unit-length"):
        scores = [
            OCNN(epochs=1, warm_up_epochs=epochs, normalisation=normalisation).fit(threes, Progress()).score(threes)  # type: ignore[arg-type]
            for epochs in (0, 2)
        ]
        assert np.isfinite(scores).all()
        assert not np.allclose(*scores)


def test_unit_length_ignores_brightness(threes: Pixels) -> None:
    detector = OCNN(epochs=1, normalisation="unit-length").fit(threes, Progress())
    dark = threes // 2 * 2
    np.testing.assert_allclose(detector.score(dark), detector.score(dark // 2), rtol=1e-3)


def test_weight_moves_only_where_it_was_trained(threes: Pixels) -> None:
    with pytest.raises(OptionError, match="trained for one weight"):
        OCVAE(epochs=1).fit(threes, Progress()).with_weight(0.3)
    detector = OCVAE(epochs=1, train_all_weights=True).fit(threes, Progress())
    moved = detector.with_weight(1.0)
    assert (detector.weight, moved.weight) == (0.5, 1.0)
    assert not np.allclose(moved.score(threes), detector.score(threes))
    with pytest.raises(OptionError, match=r"weight = 1\.5 is out of range"):
        detector.with_weight(1.5)


def test_balance_scales_the_distance_to_the_other_loss(threes: Pixels) -> None:
    def get_factor(balance: str) -> float:
        detector = OCVAE(epochs=1, balance=balance).fit(threes, Progress())  # type: ignore[arg-type]
        return float(detector.split_extras(torch.from_numpy(detector.weights_))["balance"])

    assert get_factor("fixed") == 1.0
    assert get_factor("losses") > 0
    assert not np.isclose(get_factor("losses"), get_factor("gradients"))


def test_ends_of_the_moved_weight_are_the_models_of_one_loss(digits: tuple[Pixels, np.ndarray]) -> None:
    pixels, labels = digits
    training_images, is_abnormal = pixels[::2][labels[::2] == 8], labels[1::2] != 8

    def measure(detector: OCVAE) -> float:
        return float(roc_auc_score(is_abnormal, detector.score(pixels[1::2])))

    settings = {"patience": 0, "seconds": 300.0}
    movable = OCVAE(train_all_weights=True, epochs=100, **settings).fit(training_images, Progress())  # type: ignore[arg-type]
    for weight in (0.0, 1.0):
        single = OCVAE(weight=weight, epochs=50, **settings).fit(training_images, Progress())  # type: ignore[arg-type]
        assert measure(movable.with_weight(weight)) == pytest.approx(measure(single), abs=0.05)


def test_balanced_losses_are_refused_for_all_weights() -> None:
    images = np.zeros((20, 8, 8, 1), np.uint8)
    with pytest.raises(OptionError, match="train_all_weights"):
        OCVAE(balance="losses", train_all_weights=True).fit(images, Progress())
