"""Sum or mean: how values become the amount of a longer period, by their unit, their name or their kind."""

import re
from typing import Literal

import numpy as np

from core.array_types import Floats

Aggregation = Literal["auto", "sum", "mean"]

AVERAGED_UNITS = frozenset(
    (
        *("W", "kW", "MW", "GW", "TW", "VA", "kVA", "MVA", "kvar", "Mvar", "V", "kV", "mV", "A", "mA", "Hz", "Ω"),
        *("°C", "°F", "°", "K", "C", "F", "%", "‰", "ms", "s", "µs", "min", "dB", "dBm"),
        *("bar", "mbar", "hPa", "kPa", "Pa", "psi", "lux", "m", "cm", "mm", "ppm", "Erl", "Erlang", "ratio"),
    )
)
SUMMED_UNITS = frozenset(
    (
        *("Wh", "kWh", "MWh", "GWh", "TWh", "J", "kJ", "MJ", "GJ", "TJ", "toe", "BTU", "therm", "varh", "kvarh"),
        *("B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "bit", "kbit", "Mbit", "Gbit"),
        *("m3", "m³", "l", "L", "t", "kg", "€", "$", "£", "EUR", "USD", "calls", "call", "count", "events", "#"),
    )
)
AVERAGED_WORDS = (
    *("temp", "temperature", "température", "price", "prix", "tarif", "tariff", "rate", "ratio", "taux", "percent"),
    *("pourcentage", "share", "load", "charge", "power", "puissance", "demand", "humidity", "humidité", "pressure"),
    *("pression", "voltage", "tension", "current", "frequency", "speed", "wind", "vent", "cpu", "memory", "usage"),
    *(
        "utilization",
        "utilisation",
        "utilisations",
        "latency",
        "latence",
        "delay",
        "level",
        "niveau",
        "mean",
        "average",
    ),
    *("moyenne", "moyen", "avg", "index", "indice", "ccr", "asr", "erlang", "mw", "kw", "gw"),
)
SUMMED_WORDS = (
    *("energy", "énergie", "energie", "consumption", "consommation", "conso", "count", "counts", "calls", "appels"),
    *("call", "passengers", "passagers", "volume", "sales", "ventes", "total", "nombre", "number", "bytes", "octets"),
    *("quantity", "quantité", "production", "generation", "kwh", "mwh", "gwh", "rainfall", "precipitation", "pluie"),
    *("attempts", "answered", "failures", "requests", "requêtes", "events", "visits", "orders", "sum", "somme"),
)


def is_averaged_unit(unit: str) -> bool | None:
    """Tell whether values of a unit are averaged over a period, not summed; None for an unknown unit.

    A unit with a slash is a price or a rate.

    Example:
        >>> [is_averaged_unit(unit) for unit in ("MW", "MWh", "°C", "€/MWh", "Mbit/s", "", "furlong")]
        [True, False, True, True, True, None, None]
    """
    if unit in AVERAGED_UNITS or "/" in unit:
        return True
    return False if unit in SUMMED_UNITS else None


def is_averaged_name(name: str) -> bool | None:
    """Tell whether the name of a column is that of a level (temperature, price), not of an amount; None if neither.

    Example:
        >>> [is_averaged_name(name) for name in ("oil temperature", "nb_calls", "call rate", "totalLoad", "x")]
        [True, False, True, None, None]
    """
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", name))
    kinds = {word.casefold() for word in words}
    is_level, is_amount = not kinds.isdisjoint(AVERAGED_WORDS), not kinds.isdisjoint(SUMMED_WORDS)
    if is_level and is_amount:
        return True if not kinds.isdisjoint(("rate", "taux", "ratio", "price", "prix", "mean", "average")) else None
    return is_level or (False if is_amount else None)


def are_counts(values: Floats) -> bool:
    """Tell whether all known values are whole numbers and none is negative.

    Example:
        >>> are_counts(np.array([3.0, np.nan, 0.0])), are_counts(np.array([3.5])), are_counts(np.array([-1.0]))
        (True, False, False)
    """
    known = values[np.isfinite(values)]
    return bool(len(known) and (known >= 0).all() and (known % 1 == 0).all())


def choose_aggregation(aggregation: Aggregation, unit: str, column: str, values: Floats) -> tuple[bool, bool]:
    """Return whether values are averaged over a period, and whether that was guessed from the values alone.

    "auto" goes by the unit, then by the name of the column. Where both are unknown, counts are summed and other values
    averaged.

    Example:
        >>> choose_aggregation("auto", "", "value", np.array([20.5, -3.0]))
        (True, True)
        >>> choose_aggregation("auto", "MWh", "value", np.array([20.5])), choose_aggregation("mean", "MWh", "x", None)
        ((False, False), (True, False))
    """
    if aggregation != "auto":
        return aggregation == "mean", False
    for is_averaged in (is_averaged_unit(unit), is_averaged_name(column)):
        if is_averaged is not None:
            return is_averaged, False
    return not are_counts(values), True
