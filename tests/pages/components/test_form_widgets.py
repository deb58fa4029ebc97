"""Widgets of the analysis forms: each keeps its value while its form is closed and therefore not drawn."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import ROOT

INPUTS = {
    *("checkbox", "date_input", "datetime_input", "multiselect", "number_input", "pills", "radio", "segmented_control"),
    *("select_slider", "selectbox", "slider", "text_area", "text_input", "time_input", "toggle"),
}
FORM_PARTS = ("forms", "model_picker", "selection_form", "spec_form")
FORM_FILES = [
    *sorted((ROOT / "pages" / "analysis").glob("*.py")),
    *(ROOT / "pages" / "components" / f"{name}.py" for name in FORM_PARTS),
]
ALWAYS_DRAWN = ("_choose_section",)


def list_calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls below a node, without those of functions that are drawn at all times."""
    if isinstance(node, ast.FunctionDef) and node.name in ALWAYS_DRAWN:
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from list_calls(child)


@pytest.mark.parametrize("path", FORM_FILES, ids=lambda path: path.stem)
def test_form_widgets_keep_values_while_form_is_closed(path: Path) -> None:
    calls = list_calls(ast.parse(path.read_text(encoding="utf-8")))
    inputs = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in INPUTS]
    forgetful = [call.lineno for call in inputs if not list_options(call) & {"persist_state='page'", "disabled=True"}]
    assert not forgetful, "give these widgets persist_state='page'"


def list_options(call: ast.Call) -> set[str]:
    return {ast.unparse(keyword) for keyword in call.keywords}
