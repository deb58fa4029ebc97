"""Forms built from dataclasses: one widget per hyper-parameter, with its bounds and help text."""

import math
import typing
from dataclasses import Field
from typing import Any

import streamlit as st

from core.spec.hyperparameters import build_from_settings, hyperparameters
from pages.components.i18n import _


def ask(cls: type[Any], key: str) -> Any:
    """Show a widget for every hyper-parameter of `cls`, and return an instance with the values."""
    kinds = typing.get_type_hints(cls)
    fields = hyperparameters(cls)
    columns = st.columns(min(len(fields), 3) or 1)
    chosen = {}
    for number, (name, field) in enumerate(fields.items()):
        with columns[number % len(columns)]:
            sentence = field.metadata["help"]
            chosen[name] = ask_value(name, kinds[name], field, _(sentence), f"{key}.{name}")
    return build_from_settings(cls, chosen)


def input_step(default: float, low: float, high: float) -> float:
    """Return the step of a number field: half the power of ten of the default, at most a tenth of the range."""
    found: float = 10.0 ** math.floor(math.log10(abs(default) or 1.0)) / 2
    while found > (high - low) / 10:
        found /= 10
    return float(f"{found:g}")


def ask_value(label: str, kind: Any, field: Field[Any], help_: str, key: str) -> Any:
    """Show the widget for the type of a field, and return its value."""
    default: Any = field.default
    metadata = field.metadata
    if kind is bool:
        return st.checkbox(label, default, help=help_, key=key)
    if kind is int:
        return st.number_input(label, int(metadata["low"]), int(metadata["high"]), default, help=help_, key=key)
    if kind is float:
        low, high = float(metadata["low"]), float(metadata["high"])
        click = input_step(default, low, high)
        return st.number_input(label, low, high, float(default), step=click, format="%g", help=help_, key=key)
    if metadata["choices"] and (kind is str or typing.get_origin(kind) is typing.Literal):
        return st.selectbox(label, metadata["choices"], metadata["choices"].index(default), help=help_, key=key)
    return st.text_input(label, str(default), help=help_, key=key)
