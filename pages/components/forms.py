"""Forms from dataclasses: one widget per hyper-parameter, with its bounds and its sentence."""

import math
import typing
from typing import Any

import streamlit as st

from core.spec.hyperparameters import configured, hyperparameters
from pages.components.i18n import _


def ask(cls: type[Any], key: str) -> Any:
    """Widgets for every hyper-parameter of `cls`, and an instance with what they say."""
    kinds = typing.get_type_hints(cls)
    fields = hyperparameters(cls)
    columns = st.columns(min(len(fields), 3) or 1)
    chosen = {}
    for number, (name, field) in enumerate(fields.items()):
        with columns[number % len(columns)]:
            chosen[name] = _widget(name, kinds[name], field.default, field.metadata, f"{key}.{name}")
    return configured(cls, chosen)


def step(default: float, low: float, high: float) -> float:
    """How far one click moves a number: half the power of ten of its default, at most a tenth of what is accepted."""
    found: float = 10.0 ** math.floor(math.log10(abs(default) or 1.0)) / 2
    while found > (high - low) / 10:
        found /= 10
    return float(f"{found:g}")


def _widget(name: str, kind: Any, default: Any, metadata: Any, key: str) -> Any:
    sentence = metadata["help"]
    help_ = _(sentence)
    if kind is bool:
        return st.checkbox(name, default, help=help_, key=key)
    if kind is int:
        return st.number_input(name, int(metadata["low"]), int(metadata["high"]), default, help=help_, key=key)
    if kind is float:
        low, high = float(metadata["low"]), float(metadata["high"])
        return st.number_input(
            name, low, high, float(default), step=step(default, low, high), format="%g", help=help_, key=key
        )
    if metadata["choices"] and (kind is str or typing.get_origin(kind) is typing.Literal):
        return st.selectbox(name, metadata["choices"], metadata["choices"].index(default), help=help_, key=key)
    return st.text_input(name, str(default), help=help_, key=key)
