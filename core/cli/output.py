"""What comes out of every command: progress on standard error, the answer for a person or as JSON, tables as files."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from core.exports import written_csv
from core.progress import Progress
from core.runs.result import Result
from core.runs.tracked_run import Run
from core.spec.hyperparameters import require_choice
from core.spec.task import Task, load_entry


class TerminalProgress(Progress):
    """A line on standard error that rewrites itself: what is being done, and how much of it."""

    def tell(self, share: float, doing: str = "") -> None:
        """Report progress where somebody watches."""
        super().tell(share, doing)
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            sys.stderr.write(f"\r{self.doing:40.40} {share:4.0%}{end}")
            sys.stderr.flush()


def print_json(answer: dict[str, Any]) -> None:
    """Print the one JSON object of a command."""
    typer.echo(json.dumps(answer, ensure_ascii=False, default=str))


def print_answer(task: Task, result: Result, run: Run, *, as_json: bool) -> None:
    """Print the answer of a task: as one JSON object, or in lines for a person."""
    if as_json:
        print_json(answer_to_json(task, result, run))
        return
    for line in load_entry(task.lines)(result, run) if task.lines else (f"{task.name}: {run.summary}",):
        typer.echo(line)


def answer_to_json(task: Task, result: Result, run: Run) -> dict[str, Any]:
    """Return what `--json` prints: the run, its metrics and cost, the notes of the result, and what the task adds."""
    notes = getattr(result, "notes", None)
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": run.metrics,
        **({} if notes is None else {"notes": [str(note) for note in notes]}),
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
        **(load_entry(task.answer)(result, run) if task.answer else {}),
    }


def check_output_path(path: Path | None) -> None:
    """Raise OptionError, before anything is computed, where `path` cannot be written as a table."""
    if path is not None and path.suffix not in (".csv", ".parquet"):
        require_choice("--out", path.suffix, (".csv", ".parquet"))


def write_output(result: Result, path: Path | None) -> None:
    """Write the answer as CSV or Parquet, by the ending of `path`."""
    if path is not None:
        write_table(result.to_frame(), path)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the ending of `path`."""
    if "entity" in table:
        table = table.assign(entity=table["entity"].astype(str))
    table.to_parquet(path, index=False) if path.suffix == ".parquet" else written_csv(table, path)
