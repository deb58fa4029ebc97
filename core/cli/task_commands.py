"""Commands of tasks, built from their specs: input → spec → run → output, the same for every task.

The options of a command are the fields of the specs that share it. An option that only one of them has
(`Spec.selector_field`) chooses the spec. An option that the chosen spec does not have is rejected by name.
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
    INTAKES,
    FilesArgument,
    RecipeOption,
    check_selection,
    exit_on_error,
    load_covariates,
    load_input,
    parse_settings,
)
from core.cli.output import (
    CsvFormatOption,
    TerminalProgress,
    check_csv_format,
    check_output_path,
    print_answer,
    write_output,
)
from core.cli.parameters import build_parameter, build_read_parameters, convert_value, make_keyword, parse_read_options
from core.errors import OptionError
from core.messages import N_
from core.spec.command_line import SETTINGS_FLAG, CommandOptions, ExtraOption, OptionValues, get_flag
from core.spec.hyperparameters import build_algorithm, build_from_settings, get_hyperparameters, is_algorithm
from core.spec.spec import DataSpec, PartSpec, Spec
from core.spec.task import Mode, Task, list_tasks, load_entry_point, run_task
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
    extras: CommandOptions = next((load_entry_point(mode.options) for mode in modes if mode.options), CommandOptions())

    def execute_command(**values: Any) -> None:
        with exit_on_error():
            result, task_run = _execute_task(task, command, modes, extras, values)
        print_answer(task, result, task_run, as_json=values["as_json"])

    execute_command.__doc__ = (inspect.getdoc(modes[0].spec) or "").partition("\n\n")[0]
    execute_command.__signature__ = inspect.Signature(_build_parameters(modes, extras))  # type: ignore[attr-defined]
    return execute_command


# ---- input → spec → run → output ------------------------------------------------------------------------------------


def _execute_task(
    task: Task, command: str, modes: Sequence[Mode], extras: CommandOptions, values: OptionValues
) -> tuple[Any, Any]:
    extras.prepare()
    workspace, actor = get_workspace(), Actor(application=f"Vigie command {command}")
    table_path = _get_table_path(modes, values)
    check_output_path(table_path)
    csv_format = check_csv_format(values.get("csv_format", "point"))
    extra_values = {option.name: values[option.name] for option in extras.options if values[option.name] is not None}
    option_values = extras.to_fields(extra_values, {name: value for name, value in values.items() if _has_value(value)})
    mode = _choose_mode(modes, option_values)
    _reject_other_options(mode, modes, option_values)
    spec = _build_spec(mode.spec, option_values, workspace)
    spec.check()
    dataset = None
    if isinstance(spec, DataSpec):
        files = [*values["files"], *extras.files(extra_values)]
        dataset = load_input(files, values["recipe"], workspace, parse_read_options(values))
        spec = replace(spec, dataset=dataset.digest)
        if "covariates" in option_values:  # read after the data, because their clock is that of the data
            covariates = load_covariates(option_values["covariates"], workspace, dataset.zone, dataset.entities)
            spec = replace(spec, covariates=covariates)  # type: ignore[call-arg]
        if isinstance(spec, PartSpec):
            check_selection(spec, dataset)
    for remark in extras.remarks(spec, dataset, extra_values):
        typer.echo(remark, err=True)
    spec = extras.adjust(spec, dataset, extra_values)
    progress = TerminalProgress(extras.checkpoints(extra_values))
    result, run = run_task(task.name, spec, workspace=workspace, actor=actor, progress=progress, dataset=dataset)
    for caution in extras.cautions(result):
        typer.echo(caution, err=True)
    write_output(result, table_path, csv_format)
    extras.finish(result, run, {**extra_values, "csv_format": csv_format})
    workspace.tracking.wait_for_delivery(DELIVERY_TIMEOUT_S)
    return result, run


def _get_table_path(modes: Sequence[Mode], values: OptionValues) -> Path | None:
    """Return the path of `--out` for the result table; None if a spec has its own field `out`."""
    return None if any("out" in get_hyperparameters(mode.spec) for mode in modes) else values["out"]


def _has_value(value: Any) -> bool:
    return value is not None and value != [] and value is not False


def _choose_mode(modes: Sequence[Mode], option_values: OptionValues) -> Mode:
    """Return the mode whose option was given, or the mode without such an option.

    Raises OptionError for the options of two modes, or if an option is missing.
    """
    chosen_modes = [mode for mode in modes if mode.spec.selector_field and option_values.get(mode.spec.selector_field)]
    if len(chosen_modes) > 1:
        flags = " / ".join(_map_flags(mode.spec)[mode.spec.selector_field] for mode in chosen_modes)
        raise OptionError(N_("Give only one of these options: {options}."), options=flags)
    if chosen_modes:
        return chosen_modes[0]
    if all(mode.spec.selector_field for mode in modes):
        flags = " / ".join(_map_flags(mode.spec)[mode.spec.selector_field] for mode in modes)
        raise OptionError(N_("{option} is required."), option=flags)
    return next(mode for mode in modes if not mode.spec.selector_field)


def _reject_other_options(mode: Mode, modes: Sequence[Mode], option_values: OptionValues) -> None:
    """Raise OptionError for an option that only other modes of the command have."""
    mode_fields = get_hyperparameters(mode.spec)
    for other_mode in modes:
        for name, flag in _map_flags(other_mode.spec).items():
            if name in option_values and name not in mode_fields:
                raise _make_conflict_error(flag, mode)
    settings = [name for name, field in mode_fields.items() if is_algorithm(field)]
    if "settings" in option_values and not settings:
        raise _make_conflict_error(SETTINGS_FLAG, mode)


def _make_conflict_error(flag: str, mode: Mode) -> OptionError:
    """Return the error for an option that `mode` does not have."""
    chosen_flag = _map_flags(mode.spec).get(mode.spec.selector_field, mode.spec.__name__)
    return OptionError(N_("{option} cannot be combined with {chosen}."), option=flag, chosen=chosen_flag)


def _build_spec(cls: type[Spec], option_values: OptionValues, workspace: Workspace) -> Spec:
    """Build the spec from the values of the options. Raises OptionError for a value that is not accepted."""
    fields = get_hyperparameters(cls)
    plain_values = {
        name: _convert_value(field, option_values[name], workspace)
        for name, field in fields.items()
        if name in option_values and not is_algorithm(field) and field.metadata["files"] != "covariates"
    }
    spec = build_from_settings(cls, plain_values)
    settings = parse_settings(option_values.get("settings", []))
    algorithms = {
        name: build_algorithm(field, option_values.get(name, field.metadata["default"]), settings)
        for name, field in fields.items()
        if is_algorithm(field)
    }
    return replace(spec, **algorithms)


def _convert_value(field: Field[Any], value: Any, workspace: Workspace) -> Any:
    """Convert the value of an option to the type of its field: files to a digest, words to choices."""
    store = field.metadata["files"]
    return INTAKES[store](value, workspace) if store else convert_value(field, value)


# ---- options of typer -----------------------------------------------------------------------------------------------


def _build_parameters(modes: Sequence[Mode], extras: CommandOptions) -> list[inspect.Parameter]:
    fields: dict[str, Field[Any]] = {}
    kinds: dict[str, Any] = {}
    for mode in modes:
        fields = {**get_hyperparameters(mode.spec), **fields}
        kinds = {**typing.get_type_hints(mode.spec), **kinds}
    has_data = any(issubclass(mode.spec, DataSpec) for mode in modes)
    parameters = [_build_files_parameter(extras.optional_files)] if has_data else []
    names = [name for mode in modes for name in get_hyperparameters(mode.spec)]
    for name in dict.fromkeys(names):
        if fields[name].metadata["files"] != "datasets":
            parameters.append(build_parameter(fields[name], kinds[name]))
    if any(is_algorithm(field) for field in fields.values()):
        settings_option = typer.Option(
            SETTINGS_FLAG, metavar="NAME=VALUE", help="Hyper-parameter. Repeat the option for several."
        )
        parameters.append(make_keyword("settings", Annotated[list[str], settings_option], []))
    parameters += [make_keyword(option.name, *_annotate_extra(option)) for option in extras.options]
    if has_data:
        parameters += build_read_parameters()
        parameters.append(make_keyword("recipe", RecipeOption, None))
    out = Annotated[Path | None, typer.Option(help="Write the result as .csv or .parquet.")]
    as_json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
    if "out" not in fields:
        parameters.append(make_keyword("out", out, None))
        parameters.append(make_keyword("csv_format", CsvFormatOption, "point"))
    parameters.append(make_keyword("as_json", as_json, False))
    return sorted(parameters, key=lambda parameter: parameter.name != "files" and not _is_argument(parameter))


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(type(part).__name__ == "ArgumentInfo" for part in typing.get_args(parameter.annotation)[1:])


def _build_files_parameter(optional: bool) -> inspect.Parameter:
    return make_keyword("files", FilesArgument, [] if optional else inspect.Parameter.empty)


def _annotate_extra(option: ExtraOption) -> tuple[Any, Any]:
    hint = typer.Option(option.option_name, help=option.help, metavar=option.metavar or None, hidden=option.hidden)
    return Annotated[option.kind | None, hint], None


def _map_flags(cls: type[Spec]) -> dict[str, str]:
    return {name: get_flag(field) for name, field in get_hyperparameters(cls).items()}
