"""The command `python -m core threshold`: what other thresholds of a run would flag, and a run with one of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.options import command_actor, exit_on_error
from core.cli.output import (
    CsvFormatOption,
    TerminalProgress,
    check_csv_format,
    check_output_path,
    print_answer,
    print_json,
    write_table,
)
from core.spec.task import get_task, run_task
from core.workspace import get_workspace

if TYPE_CHECKING:
    import pandas as pd

    from core.operations.threshold_from_feedback import FlaggedRows

DELIVERY_TIMEOUT_S = 30.0
MAX_LINES = 25


def threshold(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="Id of a run of anomalies or sequences.")],
    value: Annotated[
        float | None, typer.Option(help="Show the alarms of this threshold (default: of a range of thresholds).")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Make a run with the threshold of --value.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table of thresholds as .csv or .parquet.")] = None,
    csv_format: CsvFormatOption = "point",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what other thresholds of a run would flag, without a new run; --keep makes a run with one of them."""
    from core.operations.threshold_from_feedback import load_flagged_rows, tabulate_alarms

    with exit_on_error():
        check_output_path(out)
        file_format = check_csv_format(csv_format)
        flagged = load_flagged_rows(run_id, get_workspace())
        table = tabulate_alarms(flagged, value)
        if out is not None:
            write_table(table, out, file_format)
        if keep:
            _keep_threshold(flagged, value, as_json=as_json)
            return
    lines = [{name: _to_json(cell) for name, cell in line.items()} for line in table.to_dict("records")]
    if as_json:
        print_json({"run_id": run_id, "task": flagged.task, "threshold": flagged.threshold, "thresholds": lines})
    else:
        for text in _format_lines(table, flagged.threshold):
            typer.echo(text)


def _keep_threshold(flagged: "FlaggedRows", value: float | None, *, as_json: bool) -> None:
    """Make the run with another threshold and print its result. Raises OptionError without a threshold."""
    from core.errors import OptionError
    from core.messages import N_

    if value is None:
        raise OptionError(N_("{option} is required."), option="--value")
    task, workspace = get_task(flagged.task), get_workspace()
    spec = flagged.build_spec(value, "chosen")
    result, run = run_task(
        task.name, spec, workspace=workspace, actor=command_actor("threshold"), progress=TerminalProgress()
    )
    workspace.tracking.wait_for_delivery(DELIVERY_TIMEOUT_S)
    print_answer(task, result, run, as_json=as_json)


def _to_json(cell: Any) -> Any:
    return None if cell != cell else cell


def _format_lines(table: "pd.DataFrame", current: float) -> list[str]:
    """Return at most 25 lines of the table, evenly chosen, with the current threshold marked."""
    step = -(-len(table) // MAX_LINES)
    chosen = table[(table.index % step == 0) | (table["threshold"] == current)]
    heading = f"  {'threshold':>12} {'rows':>9} {'incidents':>9} {'entities':>8} {'per entity and month':>20}"
    quality = [name for name in ("precision", "recall", "verdicts_precision") if name in table]
    lines = [heading + "".join(f" {name.replace('_', ' '):>18}" for name in quality)]
    for line in chosen.to_dict("records"):
        numbers = [line["incidents_per_entity_month"], *(line[name] for name in quality)]
        texts = ["-" if number != number else f"{number:.3g}" for number in numbers]
        lines.append(
            f"{'*' if line['threshold'] == current else ' '} {line['threshold']:>12.6g} {line['flagged_rows']:>9,} "
            f"{line['incidents']:>9,} {line['entities']:>8,} {texts[0]:>20}" + "".join(f" {t:>18}" for t in texts[1:])
        )
    return lines
