"""Parameters of commands, built from the fields of specs and of the options of reading files."""

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import Field
from pathlib import Path
from typing import Annotated, Any

import typer

from core.data.read_options import ReadOptions
from core.spec.command_line import OptionValues, get_flag, is_positional, to_word
from core.spec.hyperparameters import flatten_union, get_hyperparameters, is_algorithm, require_choice


def build_read_parameters() -> list[inspect.Parameter]:
    """Return one parameter per field of `ReadOptions`: the options of every command that reads files."""
    kinds = typing.get_type_hints(ReadOptions)
    return [build_parameter(field, kinds[name]) for name, field in get_hyperparameters(ReadOptions).items()]


def parse_read_options(values: OptionValues) -> ReadOptions:
    """Return the options of reading files among the values of a command. Raises OptionError for another choice."""
    fields = get_hyperparameters(ReadOptions)
    return ReadOptions(
        **{name: convert_value(field, values[name]) for name, field in fields.items() if values[name] not in (None, [])}
    )


def convert_value(field: Field[Any], value: Any) -> Any:
    """Convert the value of an option to the type of its field: words to choices, lists to tuples."""
    if field.metadata["choices"] and isinstance(value, str):
        words = {to_word(choice): choice for choice in field.metadata["choices"]}
        require_choice(get_flag(field), value, tuple(words))
        return words[value]
    if isinstance(value, list):
        return tuple(str(part) if isinstance(part, Path) else part for part in value)
    return str(value) if isinstance(value, Path) else value


def with_read_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `read_values` of a command by the options of reading files."""

    @functools.wraps(command)
    def call_command(**values: Any) -> None:
        names = get_hyperparameters(ReadOptions)
        others = {name: value for name, value in values.items() if name not in names}
        command(**others, read_values={name: values[name] for name in names})

    signature = inspect.signature(command)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "read_values"
    ]
    call_command.__signature__ = inspect.Signature([*parameters, *build_read_parameters()])  # type: ignore[attr-defined]
    return call_command


def build_parameter(field: Field[Any], kind: Any) -> inspect.Parameter:
    """Return the parameter of a field; its default is empty, so that given values can be distinguished."""
    metadata = field.metadata
    if is_positional(field):
        argument = typer.Argument(metavar=metadata["metavar"] or field.name.upper(), help=metadata["help"])
        if typing.get_origin(kind) is tuple:  # any number of paths; the spec checks whether one is needed
            return make_keyword(field.name, Annotated[list[Path], argument], [])
        return make_keyword(field.name, Annotated[Path, argument], inspect.Parameter.empty)
    if metadata["files"]:
        return make_keyword(field.name, Annotated[list[Path], typer.Option(get_flag(field), help=metadata["help"])], [])
    option = typer.Option(
        get_flag(field), help=metadata["help"], metavar=_format_metavar(field), show_default=_format_default(field)
    )
    member = _choose_option_type(field, kind)
    if typing.get_origin(member) is list:
        return make_keyword(field.name, Annotated[member, option], [])
    return make_keyword(field.name, Annotated[member | None, option], None)


def _choose_option_type(field: Field[Any], kind: Any) -> Any:
    if is_algorithm(field):
        return str
    members = [member for member in flatten_union(kind) if member is not type(None)]
    if all(isinstance(member, str) for member in members):
        return str  # a Literal; Vigie reports invalid choices in one line
    member = members[0]
    if typing.get_origin(member) is tuple:
        return list[str] if typing.get_args(member)[0] is str else str
    return member if member in (int, float, bool) else str


def _format_metavar(field: Field[Any]) -> str | None:
    choices = [to_word(choice) for choice in field.metadata["choices"] if choice != ""]
    return field.metadata["metavar"] or ("|".join(choices) if choices else None)


def _format_default(field: Field[Any]) -> str | bool:
    default = field.metadata["default"] if is_algorithm(field) else field.default
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or False
    return False if default in (None, "", False) else to_word(default)


def make_keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return a parameter of a command that is given by its name."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
