"""`python -m core cluster FILE...`: which days, or which entities, are alike."""

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
from core.tasks.clusters.result import Clustering
from core.workspace import get_workspace

FIGURES = ("clusters", "noise_points", "noise_ratio", "inertia", "silhouette")


def cluster(
    files: Files,
    clusterer: Annotated[str, typer.Option(help="Name of the clusterer: kmeans or dbscan.")] = "kmeans",
    of: Annotated[Literal["days", "entities"], typer.Option(help="What is grouped.")] = "days",
    look: Annotated[
        Literal["level", "shape"], typer.Option(help="Values, or values divided by their own mean.")
    ] = "level",
    incomplete: Annotated[
        Literal["drop", "impute", "column-mean"], typer.Option(help="Rows with missing measurements.")
    ] = "drop",
    components: Annotated[int, typer.Option(min=0, help="Principal components to group by; 0 for all columns.")] = 0,
    settings: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter.")] = [],  # noqa: B006
    model: Annotated[
        str | None, typer.Option(metavar="RUN_ID|NAME@ALIAS", help="Assign to the clusters of this model instead.")
    ] = None,
    entities: Entities = [],  # noqa: B006
    start: Start = "",
    end: End = "",
    recipe: Annotated[Path | None, typer.Option(help="Repairs to make first: a JSON list of {kind, settings}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the clusters as .csv or .parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Group the days or entities that are alike, and keep the answer as a run."""
    from core.runs.promotion import run_of
    from core.spec.hyperparameters import configured
    from core.tasks.clusters import run as clusters

    actor, workspace = command_actor("cluster"), get_workspace()
    with one_line_errors():
        check_out(out)
        known = clusters.clusterers()
        one_of("--clusterer", clusterer, known)
        chosen = configured(known[clusterer], pairs(settings))
        dataset = loaded(files, recipe)
        part = selection(dataset, entities, start, end)
        if model is not None:
            found, run = clusters.apply_model(
                dataset, run_of(model, workspace), selection=part, workspace=workspace, actor=actor
            )
        else:
            found, run = clusters.cluster(
                dataset,
                chosen,
                of=of,
                look=look,
                incomplete=incomplete,
                components=components,
                selection=part,
                workspace=workspace,
                actor=actor,
            )
        table = found.to_frame()
        write_out(table.assign(entity=table["entity"].astype(str)), out)
    workspace.tracking.wait_for_delivery(30)
    print_json(_answer(found, run)) if as_json else _print(found, run)


def _answer(found: Clustering, run: Run) -> dict[str, Any]:
    """A figure that does not exist for these clusters is null."""
    metrics = {name: run.metrics.get(name) for name in FIGURES} | run.metrics
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": metrics | {"sizes": found.sizes},
        "notes": [str(note) for note in found.notes],
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
    }


def _print(found: Clustering, run: Run) -> None:
    metrics = found.metrics()
    typer.echo(
        f"{metrics['clusters']:,} clusters of {metrics['points']:,} points, {metrics['noise_points']:,} noise,"
        f" {run.seconds:.1f} s, {run.emissions_kg * 1000:.4f} g CO2, run {run.id}"
    )
    for number, size in enumerate(found.sizes):
        typer.echo(f"  {number:>3}  {size:>10,}")
    for note in found.notes:
        typer.echo(f"  {note}")
