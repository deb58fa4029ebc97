"""The command `python -m core sample NAME`: generated files of each layout, with anomalies at known places."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.cli.output import CsvFormatOption, check_csv_format
from core.data.samples import COVARIATE_SAMPLES, SAMPLES, write_sample


def sample(
    name: Annotated[
        str, typer.Argument(help=f"{', '.join(SAMPLES)}. Covariates of the first: {', '.join(COVARIATE_SAMPLES)}.")
    ],
    out: Annotated[Path, typer.Option(help="Path of the CSV file.")] = Path("sample.csv"),
    csv_format: CsvFormatOption = "point",
) -> None:
    """Write a sample file to try Vigie."""
    with exit_on_error():
        write_sample(name, out, check_csv_format(csv_format))
    typer.echo(out)
