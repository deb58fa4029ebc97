"""Energy and CO₂ emissions of a computation, measured with the offline tracker of CodeCarbon."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_start_lock = threading.Lock()


@dataclass
class Emissions:
    """Measured emissions as metrics and tags of a run; empty until the measurement ends."""

    kg: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@contextmanager
def measure_emissions(country: str, emissions: Emissions) -> Iterator[None]:
    """Measure the block and write its emissions to `emissions`.

    country   ISO code of three letters, which determines the carbon intensity of the electricity

    The values are estimates: without a power meter CodeCarbon takes a constant per core and per memory module. A
    failure of the tracker does not affect the block: the metrics are then absent and a tag records it.
    """
    tracker = _start_tracker(country)
    try:
        yield
    finally:
        if tracker is None:
            emissions.tags["emissions.method"] = "unavailable"
        else:
            _read_tracker(tracker, emissions)


def preload(country: str) -> None:
    """Detect the processor once per process (about two seconds), so that the first run does not wait for it."""
    with measure_emissions(country, Emissions()):
        pass


def _start_tracker(country: str) -> Any:
    logging.getLogger("codecarbon").disabled = True  # it writes 25 lines per run, at any log level
    try:
        from codecarbon import OfflineEmissionsTracker

        with _start_lock:
            tracker = OfflineEmissionsTracker(
                country_iso_code=country, output_methods=[], log_level="critical", allow_multiple_runs=True
            )
            tracker.start()
    except Exception:  # noqa: BLE001 hardware detection may raise anything
        return None
    return tracker


def _read_tracker(tracker: Any, emissions: Emissions) -> None:
    try:
        tracker.stop()
        data = tracker.final_emissions_data
    except Exception:  # noqa: BLE001 see _started
        emissions.tags["emissions.method"] = "unavailable"
        return
    emissions.kg = float(data.emissions)
    emissions.metrics = {
        "emissions_kg": float(data.emissions),
        "energy_kwh": float(data.energy_consumed),
        "cpu_energy_kwh": float(data.cpu_energy),
        "gpu_energy_kwh": float(data.gpu_energy),
        "ram_energy_kwh": float(data.ram_energy),
    }
    emissions.tags = {
        "emissions.method": f"codecarbon {data.codecarbon_version}, {_get_cpu_method(tracker)}, {data.tracking_mode}",
        "emissions.country": str(data.country_iso_code),
        "emissions.cpu_model": str(data.cpu_model),
    }


def _get_cpu_method(tracker: Any) -> str:
    """Return the method of the CPU power: a meter (RAPL …), a table, or an estimate from the load and a constant."""
    modes = {str(getattr(part, "_mode", "")) for part in getattr(tracker, "_hardware", [])} - {""}
    return "/".join(sorted(modes)) or "estimated"
