"""The command `python -m core sequences evaluate`: metrics of a detector of series on labelled data.

`core/cli/task_commands.py` adds the other commands of the group.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.options import exit_on_error, parse_settings
from core.cli.output import CsvFormatOption, TerminalProgress, check_csv_format, print_json
from core.detectors.scaling import ScalingMethod
from core.spec.metric import BASELINE_NAMES

DEFAULT_DETECTOR = "sub-pca"

sequences = typer.Typer(no_args_is_help=True, help="Series of many KPIs: train a detector, score with it, evaluate it.")


@sequences.command()
def evaluate(
    data: Annotated[Path, typer.Option(metavar="FILE.npz", help="NPZ file with the arrays train, test and label.")],
    detector: Annotated[str, typer.Option(help="Name of the detector.")] = DEFAULT_DETECTOR,
    seconds: Annotated[
        float | None, typer.Option(help="Time limit of training in seconds, for detectors that have one.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the detector, of random scores and of injected anomalies.")] = 0,
    scaling: Annotated[ScalingMethod, typer.Option(help="Scaling of the columns.")] = "minmax",
    settings: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter of the detector.")
    ] = [],  # noqa: B006
    causes: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File with the root causes of the events, one line start-end:column,column… per event.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="SCORES.csv", help="CSV file for the columns row (index in test) and score.")
    ] = None,
    csv_format: CsvFormatOption = "point",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate a detector on labelled data and compare it with random scores and simple detectors."""
    from core.tasks.sequences.evaluation import evaluate_file

    with exit_on_error():
        answer = evaluate_file(
            data,
            detector,
            seconds=seconds,
            seed=seed,
            out=out,
            csv_format=check_csv_format(csv_format),
            scaling=scaling,
            settings=parse_settings(settings),
            causes=causes,
            progress=TerminalProgress(),
        )
    if as_json:
        print_json(answer)
    else:
        for line in _format_lines(answer):
            typer.echo(line)


def _format_lines(answer: dict[str, Any]) -> Iterator[str]:
    """Yield lines of text: numbers of rows, metrics of the detector and the baselines, and notes."""
    from core.tasks.sequences.command import format_score_card

    yield (
        f"{answer['file']}: learnt from {answer['rows_fitted']:,} rows, judged on {answer['rows']:,} "
        f"({answer['labels']} labels)"
    )
    yield from format_score_card(
        {answer["detector"]: answer["metrics"], **{name: answer[name] for name in BASELINE_NAMES}}
    )
    yield from (f"  {note}" for note in answer["notes"])
