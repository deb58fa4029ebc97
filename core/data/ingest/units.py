"""Units of measurements: in column headers ("power (kW)", "MWh") and in cells ("40.5 %", "2.8 GiB")."""

import re

PREFIX_FACTORS = {
    "p": 1e-12,
    "n": 1e-9,
    "µ": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}
"""Prefix → factor (SI, and IEC 60027-2 for bytes). Upper and lower case differ: mW is not MW."""

PREFIXED_UNITS = (
    *("Wh", "W", "VAh", "VA", "varh", "var", "V", "A", "Ah", "Hz", "J", "Pa", "bar", "m", "s", "g"),
    *("B", "bit", "bps", "Wp", "Nm3", "m3", "lx", "lm", "N", "Ω", "l", "L", "Erl", "eq"),
)
PLAIN_UNITS = (
    *("%", "‰", "°C", "°F", "K", "°", "h", "min", "d", "dB", "dBm", "ppm", "ppb", "rpm", "m2", "Erlang", "calls"),
    *("€", "EUR", "USD", "GBP", "CHF", "$", "£", "mm", "cm", "km", "t", "psi", "hPa", "J/d", "rad", "req", "pkt"),
)
OTHER_SPELLINGS = {
    "degC": "°C",
    "degc": "°C",
    "deg C": "°C",
    "ºC": "°C",
    "degF": "°F",
    "deg F": "°F",
    "ºF": "°F",
    "degrees": "°",
    "percent": "%",
    "pct": "%",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "hours": "h",
    "minutes": "min",
    "bytes": "B",
    "Nm³": "Nm3",
    "m³": "m3",
    "m²": "m2",
    "KB": "kB",
    "Kb": "kbit",
    "Mb": "Mbit",
    "Gb": "Gbit",
}
LOWER_CASE_UNITS = {
    unit.lower(): unit
    for unit in (
        "Wh",
        "kWh",
        "MWh",
        "GWh",
        "TWh",
        "W",
        "kW",
        "MW",
        "GW",
        "TW",
        "kVA",
        "MVA",
        "kvar",
        "Mvar",
        "Hz",
        "kHz",
    )
}
"""Units whose headers are often written in one case only: "mwh" is read as MWh."""

HEADER_UNITS = frozenset(
    f"{prefix}{unit}" for unit in ("Wh", "W", "VA", "VAh", "var", "varh") for prefix in ("", "k", "M", "G", "T")
) | {"%", "°C", "°F", "degC", "degF", "m3", "Nm3", "kWp", "MWp", "hPa", "kV", "GiB", "MiB", "KiB", "TiB", "kWh", "mW"}
"""Units that are recognised in a header without brackets; shorter ones, such as "m" or "s", are names too often."""

BRACKETS = re.compile(r"[(\[]\s*([^)\]]+?)\s*[)\]]")
LAST_WORD = re.compile(r"(?:^|.*[\s_\-/.,])([^\s_\-.,]+)$")
CELL = re.compile(
    r"\s*([+\-\u2212\u2013]?[\d.,'\s\u00a0\u2009\u202f]*\d[.,]?(?:[eE][+-]?\d+)?)\s*([^\d\s.,+\-][^\d]*?(?:[23]|/\w+)?)\s*"
)
MAX_UNIT_LENGTH = 12


def parse_unit(header: str) -> str:
    """Return the unit in a column header, or "".

    A unit stands in brackets, or as the last word if no other meaning is likely.

    Example:
        >>> [parse_unit(header) for header in ("power (mW)", "MW", "load_kwh", "T [degC]", "wind (m/s)", "min", "cpu")]
        ['mW', 'MW', 'kWh', '°C', 'm/s', '', '']
    """
    for text in BRACKETS.findall(header):
        unit = normalise_unit(text) or normalise_unit(re.split(r"[\s,;]", text)[0])
        if unit:
            return unit
    match = LAST_WORD.match(header.strip())
    word = match[1] if match else ""
    if word in HEADER_UNITS:
        return normalise_unit(word)
    is_single_case = word.islower() or word.isupper()
    return (
        LOWER_CASE_UNITS[word.lower()] if is_single_case and len(word) > 1 and word.lower() in LOWER_CASE_UNITS else ""
    )


def normalise_unit(text: str) -> str:
    """Return the usual spelling of a unit, or "" for another text; prefixes keep their case.

    Example:
        >>> [normalise_unit(text) for text in ("kWh", "KWH", "m³/h", "W/m2", "degF", "GiB", "France")]
        ['kWh', 'kWh', 'm3/h', 'W/m2', '°F', 'GiB', '']
    """
    text = text.strip()
    if not text or len(text) > MAX_UNIT_LENGTH:
        return ""
    if "/" in text:
        parts = [normalise_unit(part) for part in text.split("/")]
        return "/".join(parts) if len(parts) == 2 and all(parts) else ""
    if text in OTHER_SPELLINGS:
        return OTHER_SPELLINGS[text]
    spelled = text.replace("³", "3").replace("²", "2").replace("μ", "µ")
    if spelled in PLAIN_UNITS or split_prefix(spelled) is not None:
        return spelled
    return LOWER_CASE_UNITS.get(text.lower(), "")


def split_prefix(unit: str) -> tuple[float, str] | None:
    """Return the factor of the prefix and the unit without it, or None for a unit that takes no prefix.

    Example:
        >>> split_prefix("kW"), split_prefix("GiB"), split_prefix("°C")
        ((1000.0, 'W'), (1073741824.0, 'B'), None)
    """
    for prefix, factor in sorted(PREFIX_FACTORS.items(), key=lambda pair: -len(pair[0])):
        base = unit.removeprefix(prefix)
        if unit.startswith(prefix) and base in PREFIXED_UNITS and (len(prefix) < 2 or base == "B"):
            return factor, base
    return None


def get_conversion_factor(unit: str, target: str) -> float | None:
    """Return the factor from `unit` to `target`, or None if they are not the same quantity.

    Example:
        >>> get_conversion_factor("kW", "MW"), get_conversion_factor("kW", "°C")
        (0.001, None)
    """
    if unit == target:
        return 1.0
    parts, target_parts = split_prefix(unit), split_prefix(target)
    if parts is None or target_parts is None or parts[1] != target_parts[1]:
        return None
    return parts[0] / target_parts[0]


def split_cell_unit(text: str) -> tuple[str, str]:
    """Return the number and the unit of a cell; the whole text and "" without a unit.

    Example:
        >>> split_cell_unit("40.5%"), split_cell_unit("1,2 kW"), split_cell_unit("12 rue")
        (('40.5', '%'), ('1,2', 'kW'), ('12 rue', ''))
    """
    if text[-1:].isdigit():
        return text, ""
    match = CELL.fullmatch(text)
    unit = normalise_unit(match[2]) if match else ""
    return (match[1], unit) if match and unit else (text, "")
