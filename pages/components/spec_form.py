"""Forms built from specs: one widget per field, as the field declares it.

A page passes its own widget only for a field that needs one (`widgets`). All other widgets are built automatically.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import Field, replace
from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from core.spec.hyperparameters import flatten_union, get_hyperparameters, is_algorithm
from core.spec.spec import DataSpec, PartSpec, Spec
from core.spec.task import Mode, Task
from pages.components import forms, model_picker, term_help
from pages.components.i18n import _, format_percent, format_value
from pages.components.selection_form import select_part

Widget = Callable[[Any], Any]
"""Function that takes the dataset, None for a spec without data, and returns the value of a field."""

COLUMN_WEIGHTS = (4, 3, 3)  # of the fields; names of algorithms, which come first, are long
SELECTION_FIELDS = ("dataset", "entities", "start", "end")


def ask_spec(
    task: Task,
    dataset: Dataset | None,
    widgets: Mapping[str, Widget],
    describe_model: Callable[[Any], str],
    mode: Mode | None = None,
) -> Spec | None:
    """Show the form of `task` and return the spec; None if a saved model is required and none exists.

    A given `mode` replaces the choice of the mode. Without a dataset, only modes without data can be asked for.
    """
    mode = mode or _ask_mode(task)
    spec = mode.spec(**_ask_selection(mode.spec, dataset, task.name))
    if spec.selector_field == "model":
        model = model_picker.pick_model(task.name, describe_model)
        values = _ask_fields(spec, dataset, task.name, widgets, leave_out=("model",))
        return replace(spec, model=model, **values) if model else None  # type: ignore[call-arg]
    return replace(spec, **_ask_fields(spec, dataset, task.name, widgets))


def _ask_mode(task: Task) -> Mode:
    """Return the chosen mode; without a choice if the task has only one mode with a label."""
    modes = task.form_modes
    if len(modes) == 1:
        return modes[0]
    number = st.segmented_control(
        _("Model"),
        range(len(modes)),
        default=0,
        key=f"{task.name}-mode",
        required=True,
        format_func=lambda number: _(modes[number].label),
        persist_state="page",
    )
    return modes[number]


def _ask_selection(cls: type[Spec], dataset: Dataset | None, key: str) -> dict[str, Any]:
    """Return the dataset, entities and period as fields of the spec; {} for a spec without a dataset."""
    if dataset is None:
        return {}
    part = select_part(dataset, key) if issubclass(cls, PartSpec) else {}
    return {"dataset": dataset.digest, **part} if issubclass(cls, DataSpec) else {}


def _ask_fields(
    spec: Spec, dataset: Dataset | None, key: str, widgets: Mapping[str, Widget], leave_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return name → value of all fields except the selection.

    Fields with captions come first, at full width; the other fields follow in columns.
    """
    types = typing.get_type_hints(type(spec))
    asked_before = (*(SELECTION_FIELDS if isinstance(spec, DataSpec) else ()), *leave_out)
    form_fields = {name: field for name, field in get_hyperparameters(spec).items() if name not in asked_before}
    file_fields = [name for name, field in form_fields.items() if field.metadata["files"]]
    fields = {name: field for name, field in form_fields.items() if name not in file_fields}
    captioned = [name for name, field in fields.items() if field.metadata["captions"] and name not in widgets]
    uncaptioned = [name for name in fields if name not in captioned]
    values: dict[str, Any] = {name: widgets[name](dataset) for name in file_fields if name in widgets}
    for names in (captioned, uncaptioned):
        weights = COLUMN_WEIGHTS[: len(names)] or [1]
        for first in range(0, len(names), len(weights)):  # row by row, so that a narrow screen keeps the order
            for name, column in zip(names[first : first + len(weights)], st.columns(weights), strict=False):
                with column:
                    widget = widgets.get(name)
                    values[name] = (
                        widget(dataset) if widget else _ask_field(spec, fields[name], types[name], dataset, key)
                    )
    return values


def _ask_field(spec: Spec, field: Field[Any], field_type: Any, dataset: Dataset | None, key: str) -> Any:
    """Return the value of the widget of one field."""
    texts = field.metadata["label"], field.metadata["help"]
    label, help_ = (_(text) if text else "" for text in texts)
    label, help_, key = label or field.name, term_help.explain(field.name, help_), f"{key}-{field.name}"
    if is_algorithm(field):
        return _ask_algorithm(field, label, help_, key)
    member_types = flatten_union(field_type)
    if choices := spec.list_choices(field.name, dataset):
        return _ask_choice(field, choices, label, help_, key)
    if type(None) in member_types:
        return _ask_optional(field, member_types, label, help_, key)
    if field.metadata["steps"]:
        return _ask_step(field, label, help_, key)
    return forms.ask_value(label, member_types[0], field, help_, key)


def _ask_algorithm(field: Field[Any], label: str, help_: str, key: str) -> Any:
    """Ask for an algorithm of the registry and for its hyper-parameters."""
    classes = field.metadata["classes"]()
    names = list(classes)
    name = st.selectbox(
        label,
        names,
        names.index(field.metadata["default"]),
        format_func=lambda choice: _(classes[choice].label),
        key=key,
        help=help_,
        persist_state="page",
    )
    with st.popover(_("Settings"), icon=":material/settings:"):
        return forms.ask_settings(classes[name], f"{key}-{name}")


def _ask_choice(field: Field[Any], choices: tuple[Any, ...], label: str, help_: str, key: str) -> Any:
    labels, captions = field.metadata["words"], field.metadata["captions"]

    def label_choice(choice: Any) -> str:
        return _(labels.get(choice, str(choice)))

    index = choices.index(field.default) if field.default in choices else 0
    if captions:
        choice_captions = [_(captions.get(choice, "")) for choice in choices]
        return st.radio(
            label, choices, index, format_func=label_choice, captions=choice_captions, key=key, persist_state="page"
        )
    return st.selectbox(label, choices, index, format_func=label_choice, key=key, help=help_, persist_state="page")


def _ask_step(field: Field[Any], label: str, help_: str, key: str) -> Any:
    steps = field.metadata["steps"]
    start = field.default if field.default in steps else steps[len(steps) // 2]
    return st.select_slider(
        label, steps, start, format_func=_choose_step_format(field), key=key, help=help_, persist_state="page"
    )


def _ask_optional(field: Field[Any], member_types: tuple[Any, ...], label: str, help_: str, key: str) -> Any:
    """Ask for a number that may stay empty; for a slider, ask first whether the value is set."""
    if not field.metadata["steps"]:
        number: Any = next(kind for kind in member_types if kind in (int, float))
        low, high = (None if field.metadata[name] is None else number(field.metadata[name]) for name in ("low", "high"))
        default: Any = field.default
        return st.number_input(
            label, low, high, default, placeholder=_("automatic"), key=key, help=help_, persist_state="page"
        )
    is_set = st.checkbox(label, field.default is not None, key=f"{key}-wanted", help=help_, persist_state="page")
    return _ask_step(field, label, help_, key) if is_set else None


def _choose_step_format(field: Field[Any]) -> Callable[[Any], str]:
    if field.metadata["format"] == "one in":
        return lambda share: _("1 in {count}").format(count=format_value(round(1 / share)))
    return format_percent if field.metadata["format"] == "percent" else format_value
