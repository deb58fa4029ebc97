"""The command `python -m core watch replay`: the incidents that a watch would have opened in the past."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import typer

from core.cli.options import exit_on_error, find_stored_digest, load_input
from core.cli.output import TerminalProgress, print_json
from core.cli.watch_options import format_text
from core.data.dataset import Dataset
from core.data.read_options import DETECT_ALL
from core.spec.spec import DataSpec
from core.watches.watch import Watch
from core.workspace import Workspace, get_workspace

if TYPE_CHECKING:
    from core.operations.watching.replay_result import Replay

MAX_LINES = 30
NEIGHBOURS = 8  # thresholds above and below the chosen one that are printed
THRESHOLD_COLUMNS = ("threshold", "incidents", "incidents_per_month", "precision", "recall")


def replay(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the watch, as `watch list` prints it.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="The past, read as the watch reads (default: data of the model's run)."),
    ] = None,
    start: Annotated[str, typer.Option("--from", metavar="DATE", help="First date, on the clock of the data.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="DATE", help="Last date, included.")] = "",
    refit: Annotated[
        bool, typer.Option("--refit", help="Train the model again meanwhile, on what was known then.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="List the incidents of this threshold (default: that of the model).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show which incidents a watch would have opened in the past, at each threshold. Nothing is stored or told.

    Where labels or verdicts are known, precision and recall are those of the incidents.
    """
    from core.operations.watching.replay import replay_watch

    with exit_on_error():
        workspace = get_workspace()
        watch = workspace.watches.watches.load_watch(name)
        past = _load_past(watch, files or [], workspace)
        answer = replay_watch(watch, past, start, end, is_refit=refit, workspace=workspace, progress=TerminalProgress())
    print_json(_replay_to_json(name, answer, threshold)) if as_json else _print_replay(answer, threshold)


def _load_past(watch: Watch, files: list[Path], workspace: Workspace) -> Dataset:
    """Return the data of the files, read as the watch reads, or those of the run of its model."""
    from core.operations.watching.reading import build_read_options
    from core.runs.promotion import resolve_run
    from core.runs.stored_runs import load_model_spec

    if files:
        options = DETECT_ALL if find_stored_digest(files) else build_read_options(watch.reading)
        return load_input(files, None, workspace, options)
    spec = load_model_spec(resolve_run(watch.model, workspace), workspace)
    return workspace.datasets.load(spec.dataset if isinstance(spec, DataSpec) else "")


def _list_incidents(answer: "Replay", threshold: float | None) -> pd.DataFrame:
    return answer.incidents if threshold is None else answer.list_incidents(threshold)


def _replay_to_json(name: str, answer: "Replay", threshold: float | None) -> dict[str, Any]:
    return {
        "watch": name,
        "metrics": answer.metrics(),
        "threshold": answer.threshold if threshold is None else threshold,
        "truth": answer.truth,
        "target_rate": answer.target_rate,
        "left_out": answer.left_out,
        "notes": [str(note) for note in answer.notes],
        "thresholds": _to_lines(answer.thresholds),
        "incidents": _to_lines(_list_incidents(answer, threshold)),
        "refits": _to_lines(answer.refits),
    }


def _to_lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table for JSON: instants as text, numbers that are not known as null."""
    return [{name: _to_plain(value) for name, value in line.items()} for line in table.to_dict("records")]


def _to_plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return list(value)
    if pd.isna(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def _print_replay(answer: "Replay", threshold: float | None) -> None:
    chosen = answer.threshold if threshold is None else threshold
    table = answer.thresholds.reset_index(drop=True)
    place = int((table["threshold"] - chosen).abs().idxmin())
    typer.echo("  ".join(f"{name:>19}" for name in THRESHOLD_COLUMNS))
    for number, line in list(enumerate(table.to_dict("records")))[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1]:
        cells = "  ".join(_format_number(line[name]) for name in THRESHOLD_COLUMNS)
        typer.echo(f"{cells}{'  <' if number == place else ''}")
    incidents = _list_incidents(answer, threshold)
    typer.echo(
        f"incidents at {chosen:.6g}: {len(incidents)}" + (f", compared with {answer.truth}" if answer.truth else "")
    )
    for line in incidents.head(MAX_LINES).to_dict("records"):
        entity = format_text(str(line["entity"]))
        typer.echo(f"  {line['start']} to {line['end']}  {entity}  {line['rows']} rows, peak {line['peak']:.6g}")
    if len(incidents) > MAX_LINES:
        typer.echo(f"  and {len(incidents) - MAX_LINES} more; --json has all")
    for note in answer.notes:
        typer.echo(str(note), err=True)


def _format_number(value: float) -> str:
    return f"{'-' if pd.isna(value) else format(value, '.4g'):>19}"
