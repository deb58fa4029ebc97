"""Strategies that draw specs from the declarations of their fields, and parsing of command lines into specs."""

import shlex
import string
import typing
from dataclasses import Field
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from click.testing import CliRunner
from hypothesis import strategies as st

from core.__main__ import build_app
from core.cli import task_commands
from core.errors import OptionError
from core.spec.command_line import reproduce_command
from core.spec.hyperparameters import flatten_union, get_hyperparameters, is_algorithm
from core.spec.spec import Spec
from core.spec.task import Task, list_task_names

DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(string.ascii_letters + string.digits + "._", min_size=1, max_size=20).filter(
    lambda name: name[0] != "."
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBER_STRATEGIES = {int: st.integers(-(2**31), 2**31), float: st.floats(-1e9, 1e9)}


def specs(cls: type[Spec]) -> st.SearchStrategy[Spec]:
    """Return a strategy for the specs of `cls` that pass their own check."""
    return _build_instances(cls, required=cls.selector_field).filter(_is_accepted)


def _is_accepted(spec: Spec) -> bool:
    try:
        spec.check()
    except OptionError:
        return False
    return True


def _build_instances(cls: type[Any], required: str = "") -> st.SearchStrategy[Any]:
    kinds = typing.get_type_hints(cls)
    fields = get_hyperparameters(cls)
    return st.builds(
        cls, **{name: _build_values(field, kinds[name], name == required) for name, field in fields.items()}
    )


def _build_values(field: Field[Any], kind: Any, required: bool) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a field.

    A required field tells the spec from the other specs of its command, so its value must not be empty.
    """
    metadata = field.metadata
    if is_algorithm(field):
        return st.one_of([_build_instances(cls) for cls in metadata["classes"]().values()])
    if metadata["files"]:
        return DIGESTS if metadata["files"] == "datasets" else st.just("") | DIGESTS
    if metadata["argument"]:
        return st.lists(NAMES, max_size=3).map(tuple) if typing.get_origin(kind) is tuple else NAMES
    values = _build_member_values(field, [member for member in flatten_union(kind) if not isinstance(member, str)])
    if metadata["choices"]:
        numbers = [member for member in flatten_union(kind) if member in NUMBER_STRATEGIES]
        values = st.sampled_from(metadata["choices"]) | (
            _build_member_values(field, numbers) if numbers else st.nothing()
        )
    return values.filter(bool) if required else values


def _build_member_values(field: Field[Any], members: list[Any]) -> st.SearchStrategy[Any]:
    default = st.nothing() if field.default is None else st.just(field.default)
    return st.one_of(default, *(_build_type_values(field, member) for member in members))


def _build_type_values(field: Field[Any], kind: Any) -> st.SearchStrategy[Any]:
    low, high = field.metadata["low"], field.metadata["high"]
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(-(2**31) if low is None else -(-low // 1), 2**31 if high is None else int(high))
    if kind is float:
        return st.floats(-1e9 if low is None else low, 1e9 if high is None else high)
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is float:  # increasing levels
        return st.lists(st.floats(0.001, 0.999), min_size=2, max_size=5, unique=True).map(
            lambda levels: tuple(sorted(levels))
        )
    if typing.get_origin(kind) is tuple:
        return st.lists(_build_type_values(field, typing.get_args(kind)[0]), max_size=3).map(tuple)
    if field.metadata["metavar"] in ("DATE", "TIME"):
        return st.dates().map(str)
    if field.metadata["metavar"] == "ENTITY=PLACE":
        return st.tuples(NAMES, NAMES).map("=".join)
    if field.name == "calendar":
        return st.sampled_from(("none", "FR", "DE-BY", "US-NY"))
    assert kind is str, f"{field.name}: {kind}"
    return TEXTS


class ParsedSpecError(Exception):
    """Carrier of the spec that a command has parsed, raised instead of running the task."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec


@cache
def build_command_line(task_names: tuple[str, ...]) -> Any:
    """Return the command line with the commands of these tasks; building it takes longer than using it."""
    return typer.main.get_command(build_app())


def parse_command_line(task: Task, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """Return the spec that the command of `task` parses from the command line for `spec`.

    Each dataset and set of images is replaced by its digest.
    """

    def raise_spec(name: str, spec: Spec, **others: Any) -> None:
        raise ParsedSpecError(spec)

    with monkeypatch.context() as patch:
        patch.setattr(task_commands, "run_task", raise_spec)
        patch.setattr(
            task_commands,
            "load_input",
            lambda files, *others: SimpleNamespace(digest=str(files[0]), zone="", entities=()),
        )
        patch.setattr(task_commands, "check_selection", lambda spec, dataset: None)
        patch.setitem(task_commands.INTAKES, "image_sets", lambda files, workspace: str(files[0]))
        arguments = shlex.split(reproduce_command(task, spec))
        result = CliRunner().invoke(build_command_line(tuple(list_task_names())), arguments[3:])
    if isinstance(result.exception, ParsedSpecError):
        return result.exception.spec
    raise AssertionError(f"{arguments}: {result.output} {result.exception!r}")
