"""The command `python -m core prune`: removes what is old and not needed."""

from collections import Counter
from typing import Annotated

import typer

from core.cli.options import exit_on_error
from core.operations.retention import parse_age, prune
from core.workspace import get_workspace


def prune_data(
    older_than: Annotated[str, typer.Option(help="Age since the last change, for instance 90d or 12w; at least 1d.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> None:
    """Remove old files that nothing on record needs, also while the app and workers run.

    Runs and registered models still open: their files are removed here only where MLflow has all of them. Datasets,
    covariates and images are kept if a run, a job, a note or a saved view names them.
    """
    with exit_on_error():
        removals = prune(get_workspace(), parse_age(older_than), is_rehearsal=dry_run)
    counts, sizes = Counter(removal.part for removal in removals), Counter[str]()
    for removal in removals:
        sizes[removal.part] += removal.total_bytes
        if dry_run:
            typer.echo(removal.path)
    for part, count in counts.items():
        typer.echo(f"{part}: {count} {'would be ' if dry_run else ''}removed, {sizes[part] / 1e6:.1f} MB", err=dry_run)
    if not removals:
        typer.echo("nothing to remove", err=dry_run)
