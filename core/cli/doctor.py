"""The command `python -m core doctor FILE...`: data-quality issues of files, and a repaired copy."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import (
    FilesArgument,
    LayoutOption,
    RecipeOption,
    RoleOption,
    command_actor,
    exit_on_error,
    load_input,
)
from core.cli.output import CsvFormatOption, check_csv_format, check_output_path, print_json, write_table
from core.data.quality.doctor import QualityReport, run_checks
from core.runs.tracked_run import record_event
from core.workspace import get_workspace


def doctor(
    files: FilesArgument,
    layout: LayoutOption = None,
    role: RoleOption = [],  # noqa: B006
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
        dataset = load_input(files, recipe, get_workspace(), layout, role)
        report = run_checks(dataset)
        table = dataset.frame.reset_index()
        if out is not None:
            write_table(table, out, checked_format)
        print_json(report.to_json()) if as_json else _print_report(report)


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
