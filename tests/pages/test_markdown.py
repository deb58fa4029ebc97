"""Markdown of the pages: values that a file or a person brought are escaped, which is read from the source code."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.language import Language
from core.messages import Message
from core.settings import ROOT
from pages.components.markdown import escape_markdown, format_code

MARKDOWN = {"title", "header", "subheader", "markdown", "caption", "write", "toast", "badge", "expander", "popover"}
MARKDOWN |= {"error", "warning", "info", "success"}
LABELLED = {"button", "checkbox", "data_editor", "date_input", "dialog", "download_button", "file_uploader", "metric"}
LABELLED |= {"form_submit_button", "link_button", "multiselect", "number_input", "pills", "radio", "segmented_control"}
LABELLED |= {"select_slider", "selectbox", "slider", "spinner", "status", "tabs", "text_area", "text_input", "toggle"}
MARKDOWN_KEYWORDS = {"body", "label", "help", "captions"}  # the label of `page_link` is one, too
WRAPPERS = {"str", "list", "filter", "sorted", "join", "format"}  # return what they are given, or parts of it
NUMBERS = {"int", "float", "bool"}

TRUSTED = {
    "pages/analysis/clusters.py": {"suggestion.k"},  # numbers
    "pages/components/results/model.py": {"version.number"},
    "pages/components/results/images_threshold.py": {
        *("confusion.true_alarms", "confusion.false_alarms", "confusion.missed", "confusion.quiet")
    },
    "pages/components/results/sequence_event.py": {"event['start']", "event['end']"},  # numbers or times
    "pages/navigation.py": {"uuid.uuid4().hex[:8]"},
    "pages/components/clock.py": {"st.context.timezone"},  # a name that ZoneInfo knows
    "pages/components/image_picker.py": {"self.invitation"},  # texts of ours that another module passes
    "pages/analysis/call_records.py": {"label"},
    "pages/components/downloads.py": {"label"},
    "pages/components/ranked_list.py": {"label"},
    "pages/components/task_links.py": {"label"},  # texts of ours, and names of runs that their page escapes
    "pages/components/results/live_threshold.py": {  # numbers
        *("before.rate", "after.rate", "before.flagged_rows", "after.flagged_rows")
    },
    "pages/components/spec_form.py": {"field.name"},
    "pages/components/timeline.py": {"chart.caption"},  # a text of ours
    "pages/components/mlflow_links.py": {"urlsplit(url).port"},  # a number
    "pages/operations/feedback.py": {"threshold_review.show"},  # a function
    "pages/components/job_progress.py": {"cancelled"},
    "pages/gate/upload_form.py": {"chunk"},  # bytes for a parser
}
"""Values without an escape, by module, and why."""


@dataclass(frozen=True)
class Reader:
    """Reads which values end up in an expression within a function of a module."""

    tree: ast.Module
    function: ast.FunctionDef
    seen: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    def list_values(self, node: ast.AST | None) -> Iterator[ast.AST]:
        """Yield the values of an expression that nothing has escaped, formatted or translated."""
        match node:
            case None | ast.Constant() | ast.Compare() | ast.UnaryOp() | ast.Lambda():
                return
            case ast.Name(id=name) if list(_list_functions(self.tree, name)):  # shown when it is called
                return
            case ast.FormattedValue(value=value, format_spec=None) | ast.Starred(value=value):
                yield from self.list_values(value)
            case ast.FormattedValue():  # a format such as :g takes numbers only
                return
            case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
                yield from self._list_all(parts)
            case ast.Dict(keys=keys, values=values):
                yield from self._list_all([*filter(None, keys), *values])
            case ast.DictComp(key=key, value=value):
                yield from self._list_all([key, value])
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                yield from self._list_all(parts)
            case ast.BinOp(left=left, right=right):
                yield from self._list_all([left, right])
            case ast.IfExp(body=body, orelse=orelse):
                yield from self._list_all([body, orelse])
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
                yield from self.list_values(element)
            case ast.Subscript(value=ast.Name() | ast.Dict() as value, slice=index) if not _is_key(index):
                yield from self.list_values(value)
            case ast.Call():
                yield from self._list_call_values(node)
            case ast.Name(id=name) if not name.isupper():
                yield from self._list_variable_values(node)
            case ast.Name():
                return
            case ast.Attribute(attr=name) if name.isupper():
                return
            case _:
                yield node

    def _list_all(self, nodes: list[ast.expr]) -> Iterator[ast.AST]:
        for node in nodes:
            yield from self.list_values(node)

    def _list_call_values(self, call: ast.Call) -> Iterator[ast.AST]:
        """A function of the same module returns its values; any other one formats, escapes or translates."""
        match call.func:
            case ast.Attribute(value=receiver, attr=name) if name in WRAPPERS:
                yield from self._list_all([receiver, *call.args, *(keyword.value for keyword in call.keywords)])
            case ast.Name(id=name) if name in WRAPPERS:
                yield from self._list_all(call.args)
            case ast.Name(id=name) if (name, "") not in self.seen:
                for function in _list_functions(self.tree, name):
                    inner = Reader(self.tree, function, self.seen | {(name, "")})
                    for node in ast.walk(function):
                        if isinstance(node, ast.Return | ast.Yield):
                            yield from inner.list_values(node.value)

    def _list_variable_values(self, variable: ast.Name) -> Iterator[ast.AST]:
        key = (self.function.name, variable.id)
        if key in self.seen:
            return
        inner = replace(self, seen=self.seen | {key})
        sources = [source for node in ast.walk(self.function) for source in _list_sources(node, variable.id)]
        parameters = [*self.function.args.args, *self.function.args.kwonlyargs]
        position = next((index for index, entry in enumerate(parameters) if entry.arg == variable.id), None)
        if position is None or sources:
            yield from inner._list_all(sources) if sources else [variable]
            return
        annotation = parameters[position].annotation
        if annotation is not None and ast.unparse(annotation) in NUMBERS:
            return
        arguments = list(_list_arguments(self.tree, self.function.name, position, variable.id))
        if not arguments:
            yield variable
        for caller, argument in arguments:
            yield from Reader(self.tree, caller, self.seen | {key}).list_values(argument)


def _is_key(index: ast.expr) -> bool:
    return isinstance(index, ast.Constant) and isinstance(index.value, str)


def _list_functions(tree: ast.Module, name: str = "") -> list[ast.FunctionDef]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if name in ("", function.name)]


def _list_sources(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """Yield what a statement or comprehension puts into the variable `name`."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _list_bound(target, value, name)
        case ast.AugAssign(target=target, value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _list_bound(target, value, name)
        case ast.NamedExpr(target=target, value=value):
            yield from _list_bound(target, value, name)
        case ast.For(target=target, iter=ast.Tuple(elts=elements) | ast.List(elts=elements)):
            for element in elements:
                yield from _list_bound(target, element, name)
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            yield from _list_bound(target, value, name)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="append" | "extend" | "insert"), args=args):
            if owner == name:
                yield args[-1]


def _list_bound(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    match target, value:
        case ast.Name(id=found), _ if found == name:
            yield value
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for part, source in zip(targets, values, strict=True):
                yield from _list_bound(part, source, name)
        case ast.Tuple(elts=targets), _:
            for part in targets:
                yield from _list_bound(part, value, name)


def _list_arguments(
    tree: ast.Module, function: str, position: int, name: str
) -> Iterator[tuple[ast.FunctionDef, ast.expr]]:
    """Yield what the functions of the module pass to a parameter of `function`, with the function that does."""
    for caller in _list_functions(tree):
        for node in ast.walk(caller):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                named = [keyword.value for keyword in node.keywords if keyword.arg == name]
                yield from ((caller, argument) for argument in [*node.args[position : position + 1], *named])


def list_unescaped_values(source: str) -> set[str]:
    """Return the values that the functions of a module show as Markdown without an escape."""
    tree = ast.parse(source)
    return {
        ast.unparse(value)
        for function in _list_functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        for text in _list_texts(node, node.func.attr)
        for value in Reader(tree, function).list_values(text)
    }


def _list_texts(call: ast.Call, method: str) -> Iterator[ast.expr]:
    """Yield the arguments of a call of Streamlit that it shows as Markdown."""
    if method in MARKDOWN | LABELLED:
        yield from call.args[:1]
    if method in MARKDOWN | LABELLED | {"page_link"}:
        yield from (keyword.value for keyword in call.keywords if keyword.arg in MARKDOWN_KEYWORDS)


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.stem)
def test_pages_escape_what_they_show_as_markdown(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    assert list_unescaped_values(path.read_text(encoding="utf-8")) <= TRUSTED.get(name, set())


def test_trusted_values_are_still_shown() -> None:
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in TRUSTED}
    assert {name: list_unescaped_values(source) for name, source in sources.items()} == TRUSTED


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("st.title(dataset.name)", {"dataset.name"}),
        ("st.caption(f'**{row[\"entity\"]}** {count(row)}')", {"row['entity']"}),
        ("st.error(_('{file}: no').format(file=dataset.files[0]))", {"dataset.files[0]"}),
        ("x = ', '.join(dataset.files)\n    st.info(x)", {"dataset.files"}),
        ("for name in dataset.files:\n        st.info(name)", {"dataset.files"}),
        ("st.markdown(describe(dataset))", {"thing.name"}),
        ("st.button(dataset.name, key='a')", {"dataset.name"}),
        ("first, second = st.tabs([_('All'), dataset.name])", {"dataset.name"}),
        ("st.page_link('page.py', label=dataset.name)", {"dataset.name"}),
        ("st.radio(_('Row'), [1, 2], captions=[dataset.name])", {"dataset.name"}),
        ("st.markdown(escape_markdown(dataset.name))", set()),
        ("st.selectbox(_('Name'), [dataset.name])", set()),
        ("st.markdown(translate_message(note.message))", set()),
        ("st.text(dataset.name)", set()),
    ],
)
def test_unescaped_values_are_found(body: str, values: set[str]) -> None:
    helper = "def describe(thing):\n    return f'{thing.name}!'\n"
    assert list_unescaped_values(f"{helper}def page(dataset, row):\n    {body}\n") == values


# ---- the escape -----------------------------------------------------------------------------------------------------

ATTACK = "![px](http://evil.example/px.png) [Session expired: sign in again](http://evil.example).csv"
MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[*_\[\]$~<>#!|`]")


def test_messages_escape_names_of_files() -> None:
    text = Language("en").render(Message("{file}: *no* rows", {"file": ATTACK}), escape_markdown)
    assert text == f"{escape_markdown(ATTACK)}: *no* rows"
    assert not MARKUP.search(escape_markdown(ATTACK))
    assert str(Message("{file}", {"file": ATTACK})) == ATTACK


@given(text=st.text(max_size=40))
def test_escaped_text_has_no_markup(text: str) -> None:
    escaped = escape_markdown(text)
    assert not MARKUP.search(escaped)
    assert re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL) == text


@given(text=st.text(max_size=40))
def test_code_ends_where_it_should(text: str) -> None:
    assert format_code(text).count("`") == 2
