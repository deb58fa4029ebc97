"""The commands `python -m core models list|register|promote`: registered models and their aliases."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.workspace import get_workspace

if TYPE_CHECKING:
    from mlflow_utils.registry import ModelVersion, PromotionCheck

models = typer.Typer(no_args_is_help=True, help="Registered models: list, register, promote.")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@models.command("list")
def list_models(name: Annotated[str, typer.Option(help="Only this model.")] = "", as_json: AsJson = False) -> None:
    """List registered models: versions, aliases and metrics."""
    from core.runs.promotion import list_versions

    with exit_on_error():
        versions = list_versions(get_workspace(), name)
    if as_json:
        print_json({"models": [_version_to_json(version) for version in versions]})
        return
    for version in versions:
        typer.echo(_format_version(version))
    if not versions:
        typer.echo("no model is registered")


@models.command()
def register(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="Id of the run whose model is registered.")],
    name: Annotated[str, typer.Option(help="Name of the model (default: the run's task).")] = "",
    as_json: AsJson = False,
) -> None:
    """Register the model of a run as the newest version of a name, with the alias challenger."""
    from core.runs.promotion import register as register_model

    with exit_on_error():
        version = register_model(run_id, name, workspace=get_workspace(), actor=command_actor("models register"))
    print_json(_version_to_json(version)) if as_json else typer.echo(_format_version(version))


@models.command()
def promote(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")],
    version: Annotated[int | None, typer.Option(help="Version (default: the challenger).")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote a version that is worse or cannot be compared. Requires --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Reason for the promotion, stored with the version.")] = "",
    as_json: AsJson = False,
) -> None:
    """Promote a version to champion if it is not worse than the champion on the same backtest."""
    from core.runs.promotion import promote as promote_model

    with exit_on_error():
        champion, comparison = promote_model(
            name, version, workspace=get_workspace(), actor=command_actor("models promote"), force=force, reason=reason
        )
    if as_json:
        print_json(_version_to_json(champion) | {"comparison": _check_to_json(comparison)})
    else:
        typer.echo(_format_version(champion))


def _version_to_json(version: "ModelVersion") -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.number,
        "run_id": version.run_id,
        "aliases": list(version.aliases),
        "task": version.tags.get("task", ""),
        "model": version.tags.get("model_name", ""),
        "dataset": version.tags.get("dataset.digest", ""),
        "registered_by": version.tags.get("registered.by", ""),
        "registered_at": _format_time(version),
        "backtest": version.test,
        "metrics": version.figures,
        "promoted": {
            tag.removeprefix("promoted."): text for tag, text in version.tags.items() if tag.startswith("promoted.")
        },
    }


def _check_to_json(comparison: "PromotionCheck | None") -> dict[str, Any] | None:
    if comparison is None:
        return None
    before, after = (None if value != value else value for value in comparison.figures)
    return {
        "metric": comparison.metric,
        "before": before,
        "after": after,
        "worse": comparison.is_worse,
        "differs": comparison.differences,
    }


def _format_version(version: "ModelVersion") -> str:
    aliases = ", ".join(version.aliases) or "-"
    metric = version.tags.get("metric", "").partition(",")[0]
    metric_text = f"{metric} {version.figures[metric]:.4f}" if metric in version.figures else "-"
    model = version.tags.get("model_name", "?")
    return (
        f"{version.name:24} {version.number:>4}  {aliases:22} {model:18} {metric_text:16} {_format_time(version)}  run "
        f"{version.run_id}"
    )


def _format_time(version: "ModelVersion") -> str:
    return datetime.fromtimestamp(version.created_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
