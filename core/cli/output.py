"""Output of commands: progress on standard error, results as text or JSON, tables as files."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import pandas as pd
import typer

from core.errors import UnreadableFileError
from core.exports import CSV_MARKS, CsvFormat, write_csv
from core.messages import N_, Message
from core.progress import Progress
from core.runs.result import Result
from core.runs.tracked_run import Run
from core.spec.hyperparameters import require_choice
from core.spec.task import Task, load_entry_point

CsvFormatOption = Annotated[
    str,
    typer.Option(
        metavar="|".join(CSV_MARKS),
        help="Form of a CSV file: point (1.5 and commas), or comma (1,5 and semicolons, for a French Excel).",
    ),
]


class TerminalProgress(Progress):
    """Progress on one line of standard error: current stage and completed share."""

    def report(self, share: float, stage: str = "") -> None:
        """Store the progress, and show it if standard error is a terminal."""
        super().report(share, stage)
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            sys.stderr.write(f"\r{Message.load(self.stage)!s:40.40} {share:4.0%}{end}")
            sys.stderr.flush()


def print_json(answer: dict[str, Any]) -> None:
    """Print the result of a command as one JSON object."""
    typer.echo(json.dumps(answer, ensure_ascii=False, default=str))


def print_answer(task: Task, result: Result, run: Run, *, as_json: bool) -> None:
    """Print the result of a task as one JSON object or as lines of text."""
    if as_json:
        print_json(answer_to_json(task, result, run))
        return
    for line in load_entry_point(task.lines)(result, run) if task.lines else (f"{task.name}: {run.summary}",):
        typer.echo(line)


def answer_to_json(task: Task, result: Result, run: Run) -> dict[str, Any]:
    """Return the JSON object of `--json`: run, metrics, cost, notes of the result, and fields of the task."""
    notes = getattr(result, "notes", None)
    return {
        "run_id": run.id,
        "recorded": run.delivered,
        "metrics": run.metrics,
        **({} if notes is None else {"notes": [str(note) for note in notes]}),
        "seconds": run.seconds,
        "emissions_kg": run.emissions_kg,
        **(load_entry_point(task.json_fields)(result, run) if task.json_fields else {}),
    }


def check_csv_format(csv_format: str) -> CsvFormat:
    """Return the value of `--csv-format`. Raises OptionError, before any computation, for an unknown form."""
    require_choice("--csv-format", csv_format, tuple(CSV_MARKS))
    return cast(CsvFormat, csv_format)


def check_output_path(path: Path | None) -> None:
    """Raise OptionError, before any computation, if the file type of `path` is not supported."""
    if path is not None and path.suffix not in (".csv", ".parquet"):
        require_choice("--out", path.suffix, (".csv", ".parquet"))


def write_output(result: Result, path: Path | None, csv_format: CsvFormat = "point") -> None:
    """Write the table of a result as CSV or Parquet, by the suffix of `path`; do nothing without a path."""
    if path is not None:
        write_table(result.to_frame(), path, csv_format)


def write_table(table: pd.DataFrame, path: Path, csv_format: CsvFormat = "point") -> None:
    """Write a table as CSV or Parquet, by the suffix of `path`."""
    if "entity" in table:
        table = table.assign(entity=table["entity"].astype(str))
    table.to_parquet(path, index=False) if path.suffix == ".parquet" else write_csv(table, path, csv_format)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8. Raises UnreadableFileError with the reason where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnreadableFileError(
            N_("{file} cannot be written ({reason})."), file=path.name, reason=error.strerror
        ) from error
