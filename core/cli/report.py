"""The command `python -m core report RUN_ID`: one HTML file to hand on."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.cli.output import write_text
from core.cli.runs import RunId
from core.language import LANGUAGES, Language
from core.spec.hyperparameters import require_choice
from core.workspace import get_workspace


def report(
    run_id: RunId,
    out: Annotated[Path, typer.Option(help="Path of the HTML file.")] = Path("report.html"),
    lang: Annotated[str, typer.Option(metavar="|".join(LANGUAGES), help="Language of the report.")] = "en",
) -> None:
    """Write the report of a run as one HTML file: result in words and figures, quality of the data, run card.

    The file needs no network. To make a PDF, open it in a browser and print it.
    """
    from core.runs.report import build_report
    from core.runs.report_html import render_report

    with exit_on_error():
        require_choice("--lang", lang, tuple(LANGUAGES))
        write_text(out, render_report(build_report(run_id, get_workspace()), Language(lang)))
    typer.echo(out)
