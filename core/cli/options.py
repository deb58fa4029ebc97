"""What every command shares: errors as one line, progress on standard error, files and recipes from arguments."""

import json
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import typer

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.file_types import ACCEPTED
from core.data.ingest.loading import load
from core.data.quality import repairs
from core.errors import InputError, OptionError, UnreadableFileError, VigieError
from core.exports import written_csv
from core.messages import N_
from core.tasks.selection import Selection
from core.workspace import get_workspace

BAD_INPUT = 2
STORED = re.compile(r"[0-9a-f]{64}")
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help=f"{ACCEPTED}; folders of them; or the digest of a stored dataset."),
]
Entities = Annotated[list[str], typer.Option("--entity", help="Only this entity; may be given several times.")]
Start = Annotated[str, typer.Option("--start", metavar="DATE", help="Only rows from this moment on.")]
End = Annotated[str, typer.Option("--end", metavar="DATE", help="Only rows until the end of this day.")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A VigieError ends the command with one line on standard error: exit code 2 for bad input, 1 for the rest."""
    try:
        yield
    except VigieError as error:
        fail(str(error), BAD_INPUT if isinstance(error, InputError) else 1)


def fail(message: str, code: int) -> NoReturn:
    typer.echo(" ".join(message.split()), err=True)
    raise typer.Exit(code)


def progress(share: float) -> None:
    """A line on standard error that rewrites itself, where somebody watches."""
    if sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        sys.stderr.write(f"\rreading {share:4.0%}{end}")
        sys.stderr.flush()


def loaded(files: list[Path], recipe: Path | None) -> Dataset:
    """The dataset in `files`, or the stored one that their only name is the digest of, after the repairs of `recipe`;
    stored.
    """
    workspace = get_workspace()
    digest = stored_digest(files)
    dataset = workspace.datasets.load(digest) if digest else load(list(files), progress=progress)
    if recipe is not None:
        dataset = repairs.apply(repairs.recipe_from_json(read_json(recipe)), dataset)
    workspace.datasets.save(dataset)
    return dataset


def stored_digest(files: list[Path]) -> str:
    """The digest that stands where a file could; "" where `files` are files. Raises OptionError for a digest among
    files.
    """
    digests = [str(file) for file in files if STORED.fullmatch(str(file)) and not file.exists()]
    if digests and len(files) > 1:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name="FILE",
            value=digests[0],
            accepted="files, or the digest of one stored dataset",
        )
    return digests[0] if digests else ""


def selection(dataset: Dataset, entities: list[str], start: str, end: str) -> Selection:
    """The part of `dataset` that is asked about. Raises OptionError for an entity it has not and for what is no
    date.
    """
    for entity in entities:
        one_of("--entity", entity, dataset.entities)
    for option, text in (("--start", start), ("--end", end)):
        if text and (not dataset.dated or pd.isna(pd.to_datetime(text, errors="coerce"))):
            accepted = (
                f"{dataset.time.min()} … {dataset.time.max()}" if dataset.dated else "nothing: rows have no dates"
            )
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."), name=option, value=text, accepted=accepted
            )
    return Selection.from_json({"entities": entities, "start": start, "end": end})


def read_json(path: Path) -> Any:
    """Raises UnreadableFileError where the file is absent or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(N_("{file}: not valid JSON ({reason})."), file=path.name, reason=error) from error


def command_actor(command: str) -> Actor:
    return Actor(application=f"Vigie command {command}")


def print_json(answer: dict[str, Any]) -> None:
    """The one JSON object of a command."""
    typer.echo(json.dumps(answer, ensure_ascii=False, default=str))


def pairs(settings: list[str]) -> dict[str, str]:
    """`--set NAME=VALUE` as a dictionary. Raises OptionError for anything else."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."),
                name="--set",
                value=setting,
                accepted="NAME=VALUE",
            )
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def one_of(option: str, value: str, accepted: Collection[str]) -> None:
    """Raises OptionError where `value` is not among those accepted."""
    if value not in accepted:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name=option,
            value=value,
            accepted=", ".join(accepted),
        )


def check_out(out: Path | None) -> None:
    """Raises OptionError before anything is computed where `out` cannot be written as a table."""
    if out is not None:
        one_of("--out", out.suffix, (".csv", ".parquet"))


def write_out(table: pd.DataFrame, out: Path | None) -> None:
    """The table as CSV or Parquet, by the ending of `out`."""
    if out is not None:
        table.to_parquet(out, index=False) if out.suffix == ".parquet" else written_csv(table, out)
