"""`python -m core sample NAME`: a generated file of each layout, with anomalies whose places are known."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.data.samples import DRIVERS, SAMPLES, write_sample


def sample(
    name: Annotated[str, typer.Argument(help=f"{', '.join(SAMPLES)}; {', '.join(DRIVERS)}: drivers of the first.")],
    out: Annotated[Path, typer.Option(help="Where to write the CSV.")] = Path("sample.csv"),
) -> None:
    """Write a sample file to try Vigie with."""
    with exit_on_error():
        write_sample(name, out)
    typer.echo(out)
