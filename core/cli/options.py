"""What goes into every command: files, recipes and settings from its arguments; errors as one line."""

import json
import re
import sys
from collections.abc import Iterator
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
from core.messages import N_
from core.spec.hyperparameters import require_choice
from core.spec.spec import PartSpec
from core.workspace import Workspace

BAD_INPUT = 2
STORED = re.compile(r"[0-9a-f]{64}")
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help=f"{ACCEPTED}; folders of them; or the digest of a stored dataset."),
]
RecipeOption = Annotated[Path | None, typer.Option(help="Repairs to make first: a JSON list of {kind, settings}.")]


@contextmanager
def exit_on_error() -> Iterator[None]:
    """A VigieError ends the command with one line on standard error: exit code 2 for bad input, 1 for the rest."""
    try:
        yield
    except VigieError as error:
        exit_with(str(error), BAD_INPUT if isinstance(error, InputError) else 1)


def exit_with(message: str, code: int) -> NoReturn:
    """Print the message as one line on standard error and end the command."""
    typer.echo(" ".join(message.split()), err=True)
    raise typer.Exit(code)


def show_reading(share: float) -> None:
    """A line on standard error that rewrites itself, where somebody watches."""
    if sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        sys.stderr.write(f"\rreading {share:4.0%}{end}")
        sys.stderr.flush()


def load_input(files: list[Path], recipe: Path | None, workspace: Workspace) -> Dataset:
    """Return the dataset in `files`, or the stored one whose digest is their only name, after the repairs of `recipe`.

    It is stored. Raises OptionError where nothing was named, and as `load`.
    """
    if not files:
        raise OptionError(N_("No file was given: name files, or the digest of a stored dataset."))
    digest = stored_digest(files)
    dataset = workspace.datasets.load(digest) if digest else load(list(files), progress=show_reading)
    if recipe is not None:
        dataset = repairs.apply(repairs.recipe_from_json(read_json(recipe)), dataset)
    workspace.datasets.save(dataset)
    return dataset


def load_covariates(files: list[Path], workspace: Workspace) -> str:
    """Return the digest under which the tables of `files` are stored; they may be named by that digest themselves.

    Raises NotFoundError, UnreadableFileError, OptionError.
    """
    from core.data.covariates import read_covariates

    digest = stored_digest(files)
    return digest or workspace.drivers.save(tuple(read_covariates(list(files))))


def stored_digest(files: list[Path]) -> str:
    """Return the digest that stands where a file could; "" where `files` are files.

    Raises OptionError for a digest among files.
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


def check_selection(spec: PartSpec, dataset: Dataset) -> None:
    """Raise OptionError for an entity that `dataset` does not have and for what is no date."""
    for entity in spec.entities:
        require_choice("--entity", entity, tuple(dataset.entities))
    for option, text in (("--start", spec.start), ("--end", spec.end)):
        if text and (not dataset.dated or pd.isna(pd.to_datetime(text, errors="coerce"))):
            accepted = (
                f"{dataset.time.min()} … {dataset.time.max()}" if dataset.dated else "nothing: rows have no dates"
            )
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."), name=option, value=text, accepted=accepted
            )


def read_json(path: Path) -> Any:
    """Raises UnreadableFileError where the file is absent or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(N_("{file}: not valid JSON ({reason})."), file=path.name, reason=error) from error


def command_actor(command: str) -> Actor:
    """Return who acts: whoever runs the command."""
    return Actor(application=f"Vigie command {command}")


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Return the words of `--set NAME=VALUE` as a dictionary. Raises OptionError for anything else."""
    values = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."),
                name="--set",
                value=setting,
                accepted="NAME=VALUE",
            )
        values[name.strip().replace("-", "_")] = value.strip()
    return values
