"""Forms built from dataclasses: one widget per hyper-parameter, with its bounds and help text."""

import math
import typing
from dataclasses import Field
from typing import Any

import streamlit as st

from core.spec.hyperparameters import build_from_settings, get_hyperparameters
from pages.components.i18n import _


def ask_settings(cls: type[Any], key: str) -> Any:
    """Show a widget for every hyper-parameter of `cls`, and return an instance with the values."""
    types = typing.get_type_hints(cls)
    fields = get_hyperparameters(cls)
    columns = st.columns(min(len(fields), 3) or 1)
    values = {}
    for number, (name, field) in enumerate(fields.items()):
        with columns[number % len(columns)]:
            label, help_text = (_(text) if text else "" for text in (field.metadata["label"], field.metadata["help"]))
            values[name] = ask_value(label or name, types[name], field, f"{help_text} `{name}`", f"{key}.{name}")
    return build_from_settings(cls, values)


def compute_input_step(default: float, low: float, high: float) -> float:
    """Return the step of a number field: half the power of ten of the default, at most a tenth of the range."""
    step: float = 10.0 ** math.floor(math.log10(abs(default) or 1.0)) / 2
    while step > (high - low) / 10:
        step /= 10
    return float(f"{step:g}")


def ask_value(label: str, value_type: Any, field: Field[Any], help_: str, key: str) -> Any:
    """Show the widget for the type of a field, and return its value."""
    default: Any = field.default
    metadata = field.metadata
    if value_type is bool:
        return st.checkbox(label, default, help=help_, key=key, persist_state="page")
    if value_type is int:
        return st.number_input(
            label, int(metadata["low"]), int(metadata["high"]), default, help=help_, key=key, persist_state="page"
        )
    if value_type is float:
        low, high = float(metadata["low"]), float(metadata["high"])
        step = compute_input_step(default, low, high)
        return st.number_input(
            label, low, high, float(default), step=step, format="%g", help=help_, key=key, persist_state="page"
        )
    if metadata["choices"] and (value_type is str or typing.get_origin(value_type) is typing.Literal):
        return st.selectbox(
            label, metadata["choices"], metadata["choices"].index(default), help=help_, key=key, persist_state="page"
        )
    return st.text_input(label, str(default), help=help_, key=key, persist_state="page")
