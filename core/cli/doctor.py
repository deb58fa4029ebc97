"""The command `python -m core doctor FILE...`: data-quality issues of files, and a repaired copy."""

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.options import FilesArgument, RecipeOption, command_actor, exit_on_error, load_input
from core.cli.output import CsvFormatOption, check_csv_format, check_output_path, print_json, write_table
from core.cli.parameters import parse_read_options, with_read_options
from core.data.dataset import Dataset
from core.data.quality.doctor import QualityReport, run_checks
from core.runs.tracked_run import record_event
from core.spec.command_line import OptionValues
from core.workspace import get_workspace


@with_read_options
def doctor(
    files: FilesArgument,
    read_values: OptionValues,
    recipe: RecipeOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the repaired data as .parquet or .csv.")] = None,
    csv_format: CsvFormatOption = "point",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check files for data-quality issues: their count, their places and the proposed repair."""
    actor = command_actor("doctor")
    with exit_on_error(), record_event("data_doctor", actor, get_workspace(), files=[path.name for path in files]):
        check_output_path(out)
        checked_format = check_csv_format(csv_format)
        dataset = load_input(files, recipe, get_workspace(), parse_read_options(read_values))
        report = run_checks(dataset)
        table = dataset.frame.reset_index()
        if out is not None:
            write_table(table, out, checked_format)
        print_json({**report.to_json(), **_describe_reading(dataset)}) if as_json else _print_report(report)


def _describe_reading(dataset: Dataset) -> dict[str, Any]:
    """Return how the first file was read: the role, unit and reason of every column, the time zone and the step."""
    return {
        "zone": dataset.zone,
        "step": None if dataset.step is None else dataset.step.total_seconds(),
        "read_columns": [
            {"name": column.name, "role": column.role, "unit": column.unit, "reason": str(column.reason)}
            for column in dataset.readings
        ],
    }


def _print_report(report: QualityReport) -> None:
    summary = report.summary
    dates = f"{summary.dates:,} dates ({summary.start[:10]} to {summary.end[:10]})" if summary.dates else "no dates"
    typer.echo(
        f"{summary.rows:,} rows, {summary.entities:,} entities, {dates}, {summary.unit or 'no unit'}, layout "
        f"{summary.layout}"
    )
    for finding in report.findings:
        repair = finding.repairs[0].kind if finding.repairs else "-"
        typer.echo(f"  {finding.kind:22} {finding.count:>8,}  {finding.message}  [{repair}]")
    if not report.findings:
        typer.echo("  no data-quality issue found")
