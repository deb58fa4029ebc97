"""The command `python -m core convert netmob|seq`: mobile traffic → windows or a table; windows → a table."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core.cli.options import command_actor, exit_on_error, show_read_progress
from core.cli.output import CsvFormatOption, check_csv_format, print_json
from core.data.conversion import ConversionResult, NetmobFilter, build_summary, convert_netmob, convert_seq
from core.runs.tracked_run import record_event
from core.spec.hyperparameters import require_choice
from core.workspace import get_workspace

MAX_SHOWN_FILES = 20

convert = typer.Typer(no_args_is_help=True, help="Convert files of sequences to another format.")
InputPath = Annotated[Path, typer.Option("--input-path", "--input_path", help="A folder, a file or an archive.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@convert.command()
def netmob(
    input_path: InputPath,
    output_path: Annotated[
        Path,
        typer.Option("--output-path", "--output_path", help="Output folder for windows, or output file for a table."),
    ],
    app: Annotated[str, typer.Option(help="Name of the service in the file names, for example Netflix.")],
    tile: Annotated[list[str], typer.Option(help="Only this tile. Repeat the option for several tiles.")] = [],  # noqa: B006
    direction: Annotated[Literal["DL", "UL"] | None, typer.Option(help="Only downlink or uplink.")] = None,
    window: Annotated[int, typer.Option(min=1, help="Length of a window in days.")] = 20,
    form: Annotated[
        Literal["seq", "parquet", "csv"],
        typer.Option("--format", help="Output format: windows, or one table with a row per day."),
    ] = "seq",
    csv_format: CsvFormatOption = "point",
    as_json: AsJson = False,
) -> None:
    """Convert NetMob23 files of either layout to one row per tile and day, with 96 quarter-hours."""
    file_filter = NetmobFilter(app, tile, [direction] if direction else [])
    started = time.perf_counter()
    with (
        exit_on_error(),
        record_event("data_convert", command_actor("convert netmob"), get_workspace(), files=[input_path.name]),
    ):
        conversion = convert_netmob(
            input_path, output_path, file_filter, form, window, show_read_progress, check_csv_format(csv_format)
        )
    _print_conversion(conversion, time.perf_counter() - started, as_json)


@convert.command()
def seq(
    input_path: InputPath,
    output_path: Annotated[Path, typer.Option("--output-path", "--output_path", help="A .parquet, .csv or .npz file.")],
    csv_format: CsvFormatOption = "point",
    as_json: AsJson = False,
) -> None:
    """Convert windows (.seq) to a table with each timestamp once, in order of time."""
    started = time.perf_counter()
    with (
        exit_on_error(),
        record_event("data_convert", command_actor("convert seq"), get_workspace(), files=[input_path.name]),
    ):
        require_choice("--output-path", output_path.suffix, (".parquet", ".csv", ".npz"))
        conversion = convert_seq(input_path, output_path, show_read_progress, check_csv_format(csv_format))
    _print_conversion(conversion, time.perf_counter() - started, as_json)


def _print_conversion(conversion: ConversionResult, seconds: float, as_json: bool) -> None:
    if as_json:
        answer: dict[str, Any] = build_summary(conversion) | {"seconds": round(seconds, 3)}
        print_json(answer)
        return
    typer.echo(
        f"{conversion.files:,} files, {conversion.entities:,} series, {conversion.rows:,} rows, "
        f"{conversion.windows:,} windows → {conversion.output}, {seconds:.1f} s"
    )
    for note in conversion.notes:
        typer.echo(f"  {note}")
    for skipped_file in conversion.skipped[:MAX_SHOWN_FILES]:
        typer.echo(f"  skipped: {skipped_file.file}: {skipped_file.reason}", err=True)
    if len(conversion.skipped) > MAX_SHOWN_FILES:
        typer.echo(f"  and {len(conversion.skipped) - MAX_SHOWN_FILES:,} more", err=True)
