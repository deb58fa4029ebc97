"""Commands of tasks, built from their specs: input → spec → run → output, the same for every task.

The options of a command are the fields of the specs that share it. An option that only one of them has
(`Spec.chosen_by`) chooses the spec. An option that the chosen spec does not have is rejected by name.
"""

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import Field, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from core.actor import Actor
from core.cli.options import (
    Files,
    RecipeOption,
    check_selection,
    exit_on_error,
    load_covariates,
    load_input,
    parse_settings,
)
from core.cli.output import TerminalProgress, check_output_path, print_answer, write_output
from core.errors import OptionError
from core.messages import N_
from core.spec.command_line import SETTINGS_FLAG, CommandOptions, ExtraOption, Values, flag_of, is_positional, to_word
from core.spec.hyperparameters import (
    build_algorithm,
    build_from_settings,
    hyperparameters,
    is_algorithm,
    kinds_of,
    require_choice,
)
from core.spec.spec import DataSpec, PartSpec, Spec
from core.spec.task import Mode, Task, list_tasks, load_entry, run_task
from core.workspace import Workspace, get_workspace

DELIVERY_TIMEOUT_S = 30.0


def add_task_commands(app: typer.Typer, groups: dict[str, typer.Typer]) -> None:
    """Add the commands of all tasks to `app`; a command of two words goes into the group of its first word."""
    for task in list_tasks():
        for command in dict.fromkeys(mode.command for mode in task.modes if mode.command):
            first, _, second = command.partition(" ")
            modes = tuple(mode for mode in task.modes if mode.command == command)
            new_group = typer.Typer(no_args_is_help=True, help=f"{task.label}.")
            group = groups.setdefault(first, new_group) if second else app
            group.command(second or first)(build_command(task, command, modes))


def build_command(task: Task, command: str, modes: Sequence[Mode]) -> Callable[..., None]:
    """Return the function of a typer command, with one parameter per option."""
    extras: CommandOptions = next((load_entry(mode.options) for mode in modes if mode.options), CommandOptions())

    def run(**values: Any) -> None:
        with exit_on_error():
            result, finished = _answer(task, command, modes, extras, values)
        print_answer(task, result, finished, as_json=values["as_json"])

    run.__doc__ = (inspect.getdoc(modes[0].spec) or "").partition("\n\n")[0]
    run.__signature__ = inspect.Signature(_parameters(modes, extras))  # type: ignore[attr-defined]
    return run


# ---- input → spec → run → output ------------------------------------------------------------------------------------


def _answer(task: Task, command: str, modes: Sequence[Mode], extras: CommandOptions, values: Values) -> tuple[Any, Any]:
    extras.prepare()
    workspace, actor = get_workspace(), Actor(application=f"Vigie command {command}")
    table_path = _table_path(modes, values)
    check_output_path(table_path)
    extra = {option.name: values[option.name] for option in extras.options if values[option.name] is not None}
    given = {name: value for name, value in values.items() if _is_given(value)}
    mode = _choose_mode(modes, given)
    _refuse_others(mode, modes, given)
    spec = _build_spec(mode.spec, extras.to_fields(extra, given), workspace)
    spec.check()
    dataset = None
    if isinstance(spec, DataSpec):
        dataset = load_input([*values["files"], *extras.files(extra)], values["recipe"], workspace)
        spec = replace(spec, dataset=dataset.digest)
        if isinstance(spec, PartSpec):
            check_selection(spec, dataset)
    for remark in extras.remarks(spec, dataset, extra):
        typer.echo(remark, err=True)
    spec = extras.adjust(spec, dataset, extra)
    progress = TerminalProgress(extras.checkpoints(extra))
    result, run = run_task(task.name, spec, workspace=workspace, actor=actor, progress=progress, dataset=dataset)
    write_output(result, table_path)
    extras.finish(result, extra)
    workspace.tracking.wait_for_delivery(DELIVERY_TIMEOUT_S)
    return result, run


def _table_path(modes: Sequence[Mode], values: Values) -> Path | None:
    """Return the path of `--out` for the result table; None if a spec has its own field `out`."""
    return None if any("out" in hyperparameters(mode.spec) for mode in modes) else values["out"]


def _is_given(value: Any) -> bool:
    return value is not None and value != [] and value is not False


def _choose_mode(modes: Sequence[Mode], given: Values) -> Mode:
    """Return the mode whose option was given, or the mode without such an option.

    Raises OptionError for the options of two modes, or if an option is missing.
    """
    chosen = [mode for mode in modes if mode.spec.chosen_by and given.get(mode.spec.chosen_by)]
    if len(chosen) > 1:
        flags = " / ".join(_flags(mode.spec)[mode.spec.chosen_by] for mode in chosen)
        raise OptionError(N_("Give only one of {options}."), options=flags)
    if chosen:
        return chosen[0]
    if all(mode.spec.chosen_by for mode in modes):
        flags = " / ".join(_flags(mode.spec)[mode.spec.chosen_by] for mode in modes)
        raise OptionError(N_("{option} is needed."), option=flags)
    return next(mode for mode in modes if not mode.spec.chosen_by)


def _refuse_others(mode: Mode, modes: Sequence[Mode], given: Values) -> None:
    """Raise OptionError for an option that only other modes of the command have."""
    own = hyperparameters(mode.spec)
    for other in modes:
        for name, flag in _flags(other.spec).items():
            if name in given and name not in own:
                raise _conflict(flag, mode)
    settings = [name for name, field in own.items() if is_algorithm(field)]
    if "settings" in given and not settings:
        raise _conflict(SETTINGS_FLAG, mode)


def _conflict(flag: str, mode: Mode) -> OptionError:
    """Return the error for an option that `mode` does not have."""
    chosen = _flags(mode.spec).get(mode.spec.chosen_by, mode.spec.__name__)
    return OptionError(N_("{option} does not go with {chosen}."), option=flag, chosen=chosen)


def _build_spec(cls: type[Spec], given: Values, workspace: Workspace) -> Spec:
    """Build the spec from the values of the options. Raises OptionError for a value that is not accepted."""
    fields = hyperparameters(cls)
    plain = {
        name: _value(field, given[name], workspace)
        for name, field in fields.items()
        if name in given and not is_algorithm(field)
    }
    spec = build_from_settings(cls, plain)
    settings = parse_settings(given.get("settings", []))
    algorithms = {
        name: build_algorithm(field, given.get(name, field.metadata["default"]), settings)
        for name, field in fields.items()
        if is_algorithm(field)
    }
    return replace(spec, **algorithms)


def _value(field: Field[Any], value: Any, workspace: Workspace) -> Any:
    """Convert the value of an option to the type of its field: files to a digest, words to choices."""
    if field.metadata["files"]:
        return load_covariates(value, workspace)
    if field.metadata["choices"] and isinstance(value, str):
        words = {to_word(choice): choice for choice in field.metadata["choices"]}
        require_choice(flag_of(field), value, tuple(words))
        return words[value]
    return tuple(value) if isinstance(value, list) else str(value) if isinstance(value, Path) else value


# ---- options of typer -----------------------------------------------------------------------------------------------


def _parameters(modes: Sequence[Mode], extras: CommandOptions) -> list[inspect.Parameter]:
    fields: dict[str, Field[Any]] = {}
    kinds: dict[str, Any] = {}
    for mode in modes:
        fields = {**hyperparameters(mode.spec), **fields}
        kinds = {**typing.get_type_hints(mode.spec), **kinds}
    about_data = any(issubclass(mode.spec, DataSpec) for mode in modes)
    parameters = [_files(extras.optional_files)] if about_data else []
    ordered = [name for mode in modes for name in hyperparameters(mode.spec)]
    for name in dict.fromkeys(ordered):
        if fields[name].metadata["files"] != "datasets":
            parameters.append(_parameter(fields[name], kinds[name]))
    if any(is_algorithm(field) for field in fields.values()):
        hint = typer.Option(SETTINGS_FLAG, metavar="NAME=VALUE", help="A hyper-parameter; may be given several times.")
        parameters.append(_keyword("settings", Annotated[list[str], hint], []))
    parameters += [_keyword(option.name, *_extra(option)) for option in extras.options]
    if about_data:
        parameters.append(_keyword("recipe", RecipeOption, None))
    out = Annotated[Path | None, typer.Option(help="Write the answer as .csv or .parquet.")]
    as_json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
    if "out" not in fields:
        parameters.append(_keyword("out", out, None))
    parameters.append(_keyword("as_json", as_json, False))
    return sorted(parameters, key=lambda parameter: parameter.name != "files" and not _is_argument(parameter))


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(type(part).__name__ == "ArgumentInfo" for part in typing.get_args(parameter.annotation)[1:])


def _files(optional: bool) -> inspect.Parameter:
    return _keyword("files", Files, [] if optional else inspect.Parameter.empty)


def _parameter(field: Field[Any], kind: Any) -> inspect.Parameter:
    """Return the parameter of a field; its default is empty, so that given values can be distinguished."""
    metadata = field.metadata
    if is_positional(field):
        annotation = Annotated[
            Path, typer.Argument(metavar=metadata["metavar"] or field.name.upper(), help=metadata["help"])
        ]
        return _keyword(field.name, annotation, inspect.Parameter.empty)
    if metadata["files"]:
        return _keyword(field.name, Annotated[list[Path], typer.Option(flag_of(field), help=metadata["help"])], [])
    option = typer.Option(
        flag_of(field), help=metadata["help"], metavar=_metavar(field), show_default=_default_text(field)
    )
    member = _option_type(field, kind)
    if typing.get_origin(member) is list:
        return _keyword(field.name, Annotated[member, option], [])
    return _keyword(field.name, Annotated[member | None, option], None)


def _option_type(field: Field[Any], kind: Any) -> Any:
    if is_algorithm(field):
        return str
    members = [member for member in kinds_of(kind) if member is not type(None)]
    if all(isinstance(member, str) for member in members):
        return str  # a Literal; Vigie reports invalid choices in one line
    member = members[0]
    if typing.get_origin(member) is tuple:
        return list[str] if typing.get_args(member)[0] is str else str
    return member if member in (int, float, bool) else str


def _metavar(field: Field[Any]) -> str | None:
    choices = [to_word(choice) for choice in field.metadata["choices"] if choice != ""]
    return field.metadata["metavar"] or ("|".join(choices) if choices else None)


def _default_text(field: Field[Any]) -> str | bool:
    default = field.metadata["default"] if is_algorithm(field) else field.default
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or False
    return False if default in (None, "", False) else to_word(default)


def _extra(option: ExtraOption) -> tuple[Any, Any]:
    hint = typer.Option(option.option, help=option.help, metavar=option.metavar or None)
    return Annotated[option.kind | None, hint], None


def _flags(cls: type[Spec]) -> dict[str, str]:
    return {name: flag_of(field) for name, field in hyperparameters(cls).items()}


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
