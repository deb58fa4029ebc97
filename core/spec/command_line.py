"""Specs as words of a command line: the names of options, and the command that asks a spec again."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

from core.spec.hyperparameters import get_params, hyperparameters, is_algorithm
from core.spec.spec import Spec
from core.spec.task import Task

PROGRAM = ("python", "-m", "core")
SETTINGS_FLAG = "--set"
Values = dict[str, Any]


@dataclass(frozen=True)
class ExtraOption:
    """An option beside the fields of the specs: another spelling of one of them, or where something else is written."""

    name: str
    kind: Any
    help: str
    flag: str = ""
    metavar: str = ""

    @property
    def option(self) -> str:
        """What is written on the command line."""
        return self.flag or f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class CommandOptions:
    """What a command has beside its specs.

    options   the options themselves
    to_fields what they say of the fields of the spec, before any file is read: (extra values, field values) → fields
    remarks   lines that are said on standard error once the data are there: (spec, dataset, extra values) → lines
    adjust    the spec then: (spec, dataset, extra values) → spec
    finish    what is written beside the answer: (result, extra values)
    checkpoints  the folder of checkpoints that the extra values name; None for none
    files     the input files that the extra values name
    prepare   what the process needs before anything is loaded
    optional_files  may the files be left out, because an option names them?
    """

    options: tuple[ExtraOption, ...] = ()
    to_fields: Callable[[Values, Values], Values] = lambda extra, fields: fields
    remarks: Callable[[Any, Any, Values], Iterable[str]] = lambda spec, dataset, extra: ()
    adjust: Callable[[Any, Any, Values], Any] = lambda spec, dataset, extra: spec
    finish: Callable[[Any, Values], None] = lambda result, extra: None
    checkpoints: Callable[[Values], Path | None] = lambda extra: None
    files: Callable[[Values], list[Path]] = lambda extra: []
    prepare: Callable[[], None] = lambda: None
    optional_files: bool = False


def flag_of(field: Field[Any]) -> str:
    """Return the option that a field is on the command line."""
    return field.metadata["flag"] or f"--{field.name.replace('_', '-')}"


def is_positional(field: Field[Any]) -> bool:
    """Tell whether a field stands on the command line without an option: the files asked about, a folder."""
    return bool(field.metadata["argument"]) or field.metadata["files"] == "datasets"


def to_word(choice: Any) -> str:
    """Return a choice as one word: spaces become dashes."""
    return str(choice).replace(" ", "-")


def command_line(task: Task, spec: Spec) -> str:
    """Return the command that asks `spec`, quoted for a shell; "" where no command does."""
    command = task.mode_of(spec).command
    return shlex.join([*PROGRAM, *command.split(), *spec_words(spec)]) if command else ""


def spec_words(spec: Spec) -> list[str]:
    """Return the arguments and options that say `spec`; what is not set is left out."""
    fields = hyperparameters(spec).values()
    positional = [str(getattr(spec, field.name)) for field in fields if is_positional(field)]
    options = (
        word for field in fields if not is_positional(field) for word in _option(field, getattr(spec, field.name))
    )
    return [*positional, *options]


def _option(field: Field[Any], value: Any) -> Iterator[str]:
    flag = flag_of(field)
    if is_algorithm(field):
        yield f"{flag}={value.name}"
        yield from (f"{SETTINGS_FLAG}={name}={setting}" for name, setting in get_params(value).items())
    elif value is True:
        yield flag
    elif isinstance(value, tuple):
        if all(isinstance(part, str) for part in value):
            yield from (f"{flag}={part}" for part in value)
        else:
            yield f"{flag}={','.join(map(repr, value))}"
    elif value is not None and value is not False and value != "":
        yield f"{flag}={to_word(value) if field.metadata['choices'] else value}"
