"""`python -m core detect FILE...`: which rows are abnormal, against what, and why."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core.cli.options import (
    End,
    Entities,
    Files,
    Start,
    check_out,
    command_actor,
    loaded,
    one_line_errors,
    one_of,
    pairs,
    print_json,
    selection,
    write_out,
)
from core.runs.tracked_run import Run
from core.tasks.anomalies.result import Detection
from core.workspace import get_workspace

SHOWN = 10


def detect(
    files: Files,
    detector: Annotated[str, typer.Option(help="Name of the detector.")] = "isolation-forest",
    contamination: Annotated[float, typer.Option(help="Share of rows to flag, above 0, at most 0.5.")] = 0.01,
    risk: Annotated[
        float | None, typer.Option(help="Instead: share of normal rows above the threshold, by peaks over threshold.")
    ] = None,
    compare_with: Annotated[
        Literal["everything", "entity", "calendar", "shape"] | None,
        typer.Option(help="What a row is compared with (default: calendar; entity where there are no dates)."),
    ] = None,
    incomplete: Annotated[Literal["drop", "impute"], typer.Option(help="Rows with missing measurements.")] = "drop",
    settings: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter.")] = [],  # noqa: B006
    model: Annotated[str | None, typer.Option(metavar="RUN_ID|NAME@ALIAS", help="Apply this model instead.")] = None,
    entities: Entities = [],  # noqa: B006
    start: Start = "",
    end: End = "",
    recipe: Annotated[Path | None, typer.Option(help="Repairs to make first: a JSON list of {kind, settings}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the scores as .csv or .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score every row, flag the most abnormal, and keep the answer as a run."""
    from core.runs.promotion import run_of
    from core.spec.hyperparameters import configured
    from core.tasks.anomalies import run as anomalies

    actor, workspace = command_actor("detect"), get_workspace()
    with one_line_errors():
        check_out(out)
        known = anomalies.detectors()
        one_of("--detector", detector, known)
        chosen = configured(known[detector], pairs(settings))
        dataset = loaded(files, recipe)
        part = selection(dataset, entities, start, end)
        if model is not None:
            detection, run = anomalies.apply_model(
                dataset, run_of(model, workspace), selection=part, workspace=workspace, actor=actor
            )
        else:
            detection, run = anomalies.detect(
                dataset,
                chosen,
                compare_with=compare_with or ("calendar" if dataset.dated else "entity"),
                contamination=contamination,
                risk=risk,
                incomplete=incomplete,
                selection=part,
                workspace=workspace,
                actor=actor,
            )
        table = detection.to_frame()
        write_out(table.assign(entity=table["entity"].astype(str)), out)
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(detection, run)) if as_json else _print(detection, run)


def _answer(detection: Detection, run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": run.metrics,
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
    }


def _print(detection: Detection, run: Run) -> None:
    found = detection.metrics()
    typer.echo(
        f"{found['anomalies']:,} anomalies in {found['rows']:,} rows "
        f"({found['rows_left_out']:,} incomplete rows left out),"
        f" {run.seconds:.1f} s, {run.emissions_kg * 1000:.4f} g CO2, run {run.id}"
    )
    for row in detection.to_frame().head(SHOWN).itertuples():
        typer.echo(
            f"  {row.rank:>3}  {row.time!s:19.19}  {row.entity:32.32}  {row.score:.3f}  {row.severity:8}  {row.causes}"
        )
