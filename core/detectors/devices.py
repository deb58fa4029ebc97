"""Device of a training: the one that a user chose, or the CPU where the machine lacks it or it fails."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import OptionError
from core.lazy_import import LazyModule
from core.messages import N_, Message

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

T = TypeVar("T")
logger = logging.getLogger(__name__)

CPU = "cpu"
DEVICE_NAME = re.compile(r"cpu|mps|cuda(:\d{1,4})?")
DEVICE_HELP = N_(
    "Device of the training: cpu, cuda, cuda:1 or mps. The CPU replaces a device that is missing or fails, for example "
    "because its memory is full."
)
MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True)
class UsedDevice:
    """Device that did some work; `failure` is the error of the chosen device if the CPU had to replace it."""

    name: str
    failure: str = ""


def check_device(name: str) -> None:
    """Raise OptionError for a name that is no device.

    Example:
        >>> check_device("gpu")
        Traceback (most recent call last):
        core.errors.OptionError: device = 'gpu' is not accepted. Accepted: cpu, cuda, cuda:1, mps.
    """
    if not DEVICE_NAME.fullmatch(name):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="device",
            value=name,
            accepted="cpu, cuda, cuda:1, mps",
        )


def choose_device(name: str) -> str:
    """Return the device `name`, or "cpu" where the machine has no such device. Raises OptionError for another name."""
    check_device(name)
    kind, _, number = name.partition(":")
    if kind == "cuda" and not int(number or 0) < torch.cuda.device_count():
        return CPU
    return CPU if kind == "mps" and not torch.backends.mps.is_available() else name


def run_on_device(name: str, work: Callable[[str], T]) -> tuple[T, UsedDevice]:
    """Return what `work` returns on the device `name`, and the device that it used.

    The CPU replaces a device that is missing or fails: its memory is full, its driver is too old, it lacks an
    operation. `work` then begins again. A warning is logged once for each reason. Raises OptionError for another name,
    and the errors of `work` on the CPU.
    """
    device = choose_device(name)
    used = UsedDevice(device)
    if device != CPU:
        try:
            return work(device), used
        except (RuntimeError, AssertionError) as error:  # of many types; a fault of the work itself is raised again
            used = UsedDevice(CPU, (str(error) or type(error).__name__).splitlines()[0][:MAX_REASON_CHARACTERS])
    for message in describe_replacement(name, used):
        _log_once(str(message))
    return work(CPU), used


def describe_replacement(name: str, used: UsedDevice) -> Iterator[Message]:
    """Yield the sentence that the CPU replaced the device `name`; nothing if that device was used.

    Example:
        >>> [str(message) for message in describe_replacement("cuda:0", UsedDevice("cpu"))]
        ['The device cuda:0 is missing. The CPU replaces it.']
    """
    if used.failure:
        values = {"requested": name, "reason": used.failure}
        yield Message(N_("The device {requested} failed ({reason}). The CPU replaces it."), values)
    elif name != used.name:
        yield Message(N_("The device {requested} is missing. The CPU replaces it."), {"requested": name})


def describe_training(detector: Any) -> Iterator[Message]:
    """Yield the sentence that the CPU replaced the device of a fitted detector; nothing for one without a device."""
    if used_name := getattr(detector, "device_", ""):
        yield from describe_replacement(
            detector.device, UsedDevice(used_name, getattr(detector, "device_failure_", ""))
        )


def describe_missing(detector: Any) -> Iterator[Message]:
    """Yield the sentence that this machine lacks the device of a detector; nothing for one without a device."""
    if name := getattr(detector, "device", ""):
        yield from describe_replacement(name, UsedDevice(choose_device(name)))


def list_device_params(detector: Any) -> dict[str, str]:
    """Return the parameter of a run with the device that trained a detector; none for one without a device."""
    used_name = getattr(detector, "device_", "")
    return {"device_used": used_name} if used_name else {}


@cache
def _log_once(text: str) -> None:
    """Log a warning, which a command shows on standard error, once per process: a comparison trains many models."""
    logger.warning("%s", text)
