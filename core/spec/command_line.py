"""Specs as command lines: the names of options, and the command that runs a spec again."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Any

from core.spec.hyperparameters import get_hyperparameters, get_params, is_algorithm
from core.spec.spec import Spec
from core.spec.task import Task

PROGRAM_WORDS = ("python", "-m", "core")
SETTINGS_FLAG = "--set"
OptionValues = dict[str, Any]


@dataclass(frozen=True)
class ExtraOption:
    """An option in addition to the fields of a spec: an alias of a field, or the file of another output.

    hidden  True for an option of an earlier program that `--help` leaves out

    Example:
        >>> ExtraOption("scores_file", str, "File of the scores.").option_name
        '--scores-file'
    """

    name: str
    kind: Any
    help: str
    flag: str = ""
    metavar: str = ""
    hidden: bool = False

    @property
    def option_name(self) -> str:
        """Name of the option on the command line, with its dashes."""
        return self.flag or f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class CommandOptions:
    """Options and hooks of a command in addition to the fields of its specs.

    options      the extra options
    to_fields    (extra values, field values) → field values; called before any file is read
    remarks      (spec, dataset, extra values) → lines for standard error; called after the data are loaded
    adjust       (spec, dataset, extra values) → spec; called after the data are loaded
    finish       (result, run, extra values with csv_format); writes additional output
    cautions     result → lines for standard error; called after the run
    checkpoints  extra values → folder of the checkpoints; None without checkpoints
    files        extra values → input files
    prepare      sets up the process before anything is loaded
    optional_files  True where an option may name the input files instead
    """

    options: tuple[ExtraOption, ...] = ()
    to_fields: Callable[[OptionValues, OptionValues], OptionValues] = lambda extra, fields: fields
    remarks: Callable[[Any, Any, OptionValues], Iterable[str]] = lambda spec, dataset, extra: ()
    adjust: Callable[[Any, Any, OptionValues], Any] = lambda spec, dataset, extra: spec
    finish: Callable[[Any, Any, OptionValues], None] = lambda result, run, extra: None
    cautions: Callable[[Any], Iterable[str]] = lambda result: ()
    checkpoints: Callable[[OptionValues], Path | None] = lambda extra: None
    files: Callable[[OptionValues], list[Path]] = lambda extra: []
    prepare: Callable[[], None] = lambda: None
    optional_files: bool = False


def get_flag(field: Field[Any]) -> str:
    """Return the name of a field's option on the command line.

    Example:
        >>> from core.spec.spec import PartSpec
        >>> [get_flag(field) for field in get_hyperparameters(PartSpec).values()]
        ['--dataset', '--entity', '--start', '--end']
    """
    return field.metadata["flag"] or f"--{field.name.replace('_', '-')}"


def is_positional(field: Field[Any]) -> bool:
    """Tell whether a field is a positional argument: the files of the dataset, or a folder.

    Example:
        >>> from core.spec.spec import PartSpec
        >>> [name for name, field in get_hyperparameters(PartSpec).items() if is_positional(field)]
        ['dataset']
    """
    return bool(field.metadata["argument"]) or field.metadata["files"] == "datasets"


def to_word(choice: Any) -> str:
    """Return a choice as one word: spaces become dashes.

    Example:
        >>> to_word("any model")
        'any-model'
    """
    return str(choice).replace(" ", "-")


def reproduce_command(task: Task, spec: Spec) -> str:
    """Return the command that runs `spec`, quoted for a shell; "" where the task has no command for it.

    Example:
        >>> from core.spec.spec import PartSpec
        >>> from core.spec.task import Mode
        >>> task = Task("demo", "Demo", (Mode(PartSpec, "demo:run", "detect"),), "demo:Result")
        >>> reproduce_command(task, PartSpec(dataset="load 2024.csv", entities=("paris",)))
        "python -m core detect 'load 2024.csv' --entity=paris"
    """
    command = task.get_mode(spec).command
    return shlex.join([*PROGRAM_WORDS, *command.split(), *build_arguments(spec)]) if command else ""


def build_arguments(spec: Spec) -> list[str]:
    """Return the arguments and options of `spec`, without the fields that are not set.

    Example:
        >>> from core.spec.spec import PartSpec
        >>> build_arguments(PartSpec(dataset="loads.csv", entities=("paris", "lyon"), start="2024-01-01"))
        ['loads.csv', '--entity=paris', '--entity=lyon', '--start=2024-01-01']
    """
    positional = [
        str(word)
        for field in get_hyperparameters(spec).values()
        if is_positional(field)
        for value in [getattr(spec, field.name)]
        for word in (value if isinstance(value, tuple) else (value,))
    ]
    return [*positional, *build_options(spec)]


def build_options(instance: Any) -> list[str]:
    """Return the options that set the fields of a spec or of other choices, without positional arguments."""
    return [
        word
        for field in get_hyperparameters(instance).values()
        if not is_positional(field)
        for word in _iter_option_words(field, getattr(instance, field.name))
    ]


def _iter_option_words(field: Field[Any], value: Any) -> Iterator[str]:
    flag = get_flag(field)
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
