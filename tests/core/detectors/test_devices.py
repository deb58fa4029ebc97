"""Devices: every detector with a device trains on the CPU where that device is missing or fails, and says so."""

import logging

import numpy as np
import pytest
import torch

from core.detectors import devices
from core.detectors.devices import UsedDevice, describe_training, list_device_params, run_on_device
from core.detectors.images.trained_detector import TrainedDetector
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.errors import DataError, OptionError
from core.progress import Progress
from core.spec.hyperparameters import get_hyperparameters
from core.tasks.images.spec import list_detectors as list_image_detectors
from core.tasks.sequences.spec import list_detectors as list_sequence_detectors
from tests.support.toy_images import make_images

DEVICE_DETECTORS = {
    name: detector
    for classes in (list_sequence_detectors(), list_image_detectors())
    for name, detector in classes.items()
    if "device" in get_hyperparameters(detector)
}
SMALL_SETTINGS = {"steps": 2, "epochs": 1, "batch_size": 8, "window": 4}


@pytest.fixture
def claimed_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch claim a graphics card that does not work, as with a driver that is too old."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    devices._log_once.cache_clear()


def fit_small(name: str, device: str) -> tuple[object, np.ndarray]:  # type: ignore[type-arg]
    """Fit a detector for a moment on `device`, and return it with its scores."""
    detector_class = DEVICE_DETECTORS[name]
    settings = {key: value for key, value in SMALL_SETTINGS.items() if key in get_hyperparameters(detector_class)}
    detector = detector_class(**settings, device=device)
    if name in list_sequence_detectors():
        wave = np.sin(np.arange(60) / 3, dtype=np.float32)[:, None]
        return detector.fit([wave], Progress()), detector.score(wave).score
    pixels = make_images(16, classes=("0",)).pixels
    return detector.fit(pixels, Progress()), detector.score(pixels)


def test_all_detectors_with_a_device_train_in_one_of_two_ways() -> None:
    """Each way is tested with the detectors below; a third way has to replace a missing device, too."""
    assert DEVICE_DETECTORS.keys() > {"sgmvrnn", "vae", "patch-knn"}
    assert all(issubclass(detector, SGmVRNN | TrainedDetector) for detector in DEVICE_DETECTORS.values())


@pytest.mark.parametrize("name", ["sgmvrnn", "vae", "patch-knn"])
def test_detector_trains_on_the_cpu_if_its_device_fails(name: str, claimed_card: None) -> None:
    detector, scores = fit_small(name, "cuda:0")
    assert list_device_params(detector) == {"device_used": "cpu"}
    [message] = describe_training(detector)
    assert str(message).startswith("The device cuda:0 failed (Torch not compiled with CUDA enabled)")
    np.testing.assert_array_equal(scores, fit_small(name, "cpu")[1])


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:77", "mps"])
def test_sgmvrnn_trains_on_the_cpu_without_its_device(
    device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    devices._log_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        detector, _ = fit_small("sgmvrnn", device)
        fit_small("sgmvrnn", device)
    sentence = f"The device {device} is missing. The CPU replaces it."
    assert [str(message) for message in describe_training(detector)] == [sentence]
    assert [record.getMessage() for record in caplog.records] == [sentence]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation."),
        RuntimeError("MPS backend out of memory"),
        NotImplementedError("The operator is not implemented for the device"),
    ],
    ids=["memory of CUDA", "memory of MPS", "operator"],
)
def test_device_that_fails_is_replaced_and_named(error: Exception, claimed_card: None) -> None:
    tried = []

    def work(device: str) -> str:
        tried.append(device)
        if device != "cpu":
            raise error
        return "done"

    assert run_on_device("cuda:0", work) == ("done", UsedDevice("cpu", str(error).splitlines()[0]))
    assert tried == ["cuda:0", "cpu"]


@pytest.mark.parametrize(("error", "attempts"), [(RuntimeError("a fault of the work"), 2), (DataError("too few"), 1)])
def test_faults_of_the_work_are_raised(error: Exception, attempts: int, claimed_card: None) -> None:
    tried = []

    def work(device: str) -> None:
        tried.append(device)
        raise error

    with pytest.raises(type(error)) as caught:
        run_on_device("cuda:0", work)
    assert (caught.value, len(tried)) == (error, attempts)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "CPU", ""])
def test_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="Accepted: cpu, cuda, cuda:1, mps"):
        run_on_device(name, str)
