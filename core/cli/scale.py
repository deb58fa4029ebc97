"""`python -m core scale FOLDER`: score many series from a folder of files, on one core, several, or a Dask cluster."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.cli.options import command_actor, one_line_errors, pairs, print_json
from core.cli.output import Telling
from core.runs.tracked_run import Run
from core.workspace import get_workspace

if TYPE_CHECKING:
    from core.tasks.batch.run import Scores

SHOWN = 5


def scale(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder, file or 'pattern/**/*.parquet': any files that are read elsewhere."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the scores; where it holds some of the same question, the rest is added.")
    ],
    model: Annotated[str, typer.Option(metavar="RUN_ID|NAME@ALIAS", help="The model to score with.")] = "",
    fit_per: Annotated[
        Literal["folder", "name"] | None,
        typer.Option(help="Instead: a model for each folder, or for files whose names begin alike."),
    ] = None,
    detector: Annotated[str, typer.Option(help="Name of the detector that is fitted.")] = "pca-residual",
    settings: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter of it.")] = [],  # noqa: B006
    scaling: Annotated[
        Literal["standard", "robust", "minmax"],
        typer.Option(help="How columns are made comparable where models are fitted."),
    ] = "minmax",
    counts: Annotated[
        bool, typer.Option("--counts", help="Columns are counts: log(1 + value) first, where models are fitted.")
    ] = False,
    alarms_per_1000: Annotated[
        float | None, typer.Option(help="At most so many false alarms per 1,000 rows (default: the model's threshold).")
    ] = None,
    as_trained: Annotated[
        bool, typer.Option("--as-trained", help="Score as the model was trained, not row after row.")
    ] = False,
    batch_rows: Annotated[int, typer.Option(help="Rows that one task scores, about.", min=1)] = 50_000,
    workers: Annotated[
        int, typer.Option(help="Processes of this machine (default: DASK_SCHEDULER_ADDRESS, or this process).", min=0)
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score every series in a folder of files; stopped and started again, it goes on where it was."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core per process; more processes are asked for by --workers
    from core.tasks.batch import run as analysis

    actor, workspace = command_actor("scale"), get_workspace()
    with one_line_errors():
        question = analysis.Question(
            str(folder),
            str(out),
            model,
            fit_per or "",
            detector,
            pairs(settings),
            scaling,
            counts,
            alarms_per_1000,
            not as_trained,
            batch_rows,
            workers,
        )
        found, run = analysis.score(question, workspace=workspace, actor=actor, progress=Telling())
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(found, run)) if as_json else _print(found, run)


def _answer(found: "Scores", run: Run) -> dict[str, Any]:
    metrics = found.tally.metrics()
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        **metrics,
        "seconds": found.tally.seconds,
        "where": str(found.out),
        "notes": [str(note) for note in found.notes],
        "emissions_kg": run.emissions_kg,
    }


def _print(found: "Scores", run: Run) -> None:
    tally = found.tally
    typer.echo(
        f"{tally.series:,} series, {tally.rows:,} rows, {tally.anomalies:,} anomalies, "
        f"{tally.files_skipped:,} files skipped,"
        f" {tally.series_per_second:,.0f} series/s, {tally.seconds:.1f} s, run {run.id}"
    )
    if tally.resumed:
        typer.echo(f"{tally.resumed:,} of {tally.batches:,} batches were finished before")
    for file, reason in tally.skipped[:SHOWN]:
        typer.echo(f"  skipped {file}: {reason}")
    for note in found.notes:
        typer.echo(str(note))
    typer.echo(str(found.out))
