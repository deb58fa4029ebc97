"""Input of commands: files, recipes and settings from the arguments, and errors as one line."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import typer

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.file_types import ACCEPTED_FORMATS
from core.data.ingest.loading import load
from core.data.quality import repairs
from core.data.quality.findings import QUESTION_KINDS
from core.data.read_options import DETECT_ALL, ReadOptions
from core.data.recipes import parse_recipe
from core.errors import InputError, OptionError, UnreadableFileError, VigieError
from core.messages import N_
from core.spec.hyperparameters import require_choice
from core.spec.spec import PartSpec
from core.workspace import Workspace

BAD_INPUT_EXIT_CODE = 2
DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")
FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help=f"Files ({ACCEPTED_FORMATS}), folders of such files, or the digest of a stored dataset."
    ),
]
RecipeOption = Annotated[
    Path | None,
    typer.Option(help="How to read the files, and the repairs to make first: a JSON list of {kind, settings}."),
]

DECIDING_OPTIONS = {
    "ambiguous_dates": "--date-order",
    "ambiguous_numbers": "--decimal-mark",
    "uncertain_role": "--role COLUMN=ROLE",
    "uncertain_layout": "--layout",
    "ignored_sheets": "--sheet",
}
"""Kind of a question about a file → option that decides it."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the command at a VigieError, with one line on standard error; exit code 2 for an InputError, else 1."""
    try:
        yield
    except VigieError as error:
        exit_with(str(error), BAD_INPUT_EXIT_CODE if isinstance(error, InputError) else 1)


def exit_with(message: str, code: int) -> NoReturn:
    """Print the message as one line on standard error and end the command with `code`."""
    typer.echo(" ".join(message.split()), err=True)
    raise typer.Exit(code)


def show_read_progress(share: float) -> None:
    """Show the completed share (0–1) of reading on standard error if it is a terminal."""
    if sys.stderr.isatty():
        end = "\n" if share >= 1 else ""
        sys.stderr.write(f"\rreading {share:4.0%}{end}")
        sys.stderr.flush()


def load_input(
    files: list[Path], recipe: Path | None, workspace: Workspace, options: ReadOptions = DETECT_ALL
) -> Dataset:
    """Return and store the dataset in `files`, with the repairs of `recipe`.

    `options` replace what is detected, and the choices of the recipe. What has two readings is printed on standard
    error, with the option that decides it. A single digest instead of files loads a stored dataset. Raises OptionError
    without any file, for options with a digest, and as `load` does.
    """
    if not files:
        raise OptionError(N_("No file was given. Give files or the digest of a stored dataset."))
    recipe_options, recipe_repairs = (DETECT_ALL, ()) if recipe is None else parse_recipe(read_json(recipe))
    digest = find_stored_digest(files)
    if digest and not options.is_empty:
        raise OptionError(
            N_("{option} cannot be combined with {chosen}."),
            option=options.to_arguments()[0],
            chosen=f"the stored dataset {digest[:12]}",
        )
    options = recipe_options if options.is_empty else options
    dataset = workspace.datasets.load(digest) if digest else load(files, options, progress=show_read_progress)
    if not digest:
        _print_questions(dataset, workspace)
    dataset = repairs.apply_repairs(recipe_repairs, dataset)
    workspace.datasets.save(dataset)
    return dataset


def _print_questions(dataset: Dataset, workspace: Workspace) -> None:
    """Print on standard error what has two readings, and what was chosen for a file with the same columns."""
    for note in dataset.notes:
        if note.kind in QUESTION_KINDS:
            typer.echo(f"{note.message} ({DECIDING_OPTIONS[note.kind]})", err=True)
    columns = [reading.name for reading in dataset.readings]
    if not dataset.read_options.is_empty:
        workspace.read_choices.save(columns, dataset.read_options)
        return
    earlier = workspace.read_choices.find(columns)
    if not earlier.is_empty:
        options = shlex.join(earlier.to_arguments())
        typer.echo(f"A file with these columns was read with other options before: {options}", err=True)


def load_covariates(files: list[Path], workspace: Workspace, zone: str = "", entities: Sequence[str] = ()) -> str:
    """Store the covariate tables in `files` and return their digest; a digest instead of files is returned.

    Timestamps in UTC are converted to the time `zone` of the data. Columns may be named like its `entities`. What was
    converted, left out or has two readings is printed on standard error. Raises NotFoundError, UnreadableFileError,
    OptionError.
    """
    from core.data.covariates import read_covariates

    digest = find_stored_digest(files)
    if digest:
        return digest
    tables = read_covariates(list(files), zone, entities)
    for table in tables:
        for note in table.notes:
            typer.echo(str(note.message), err=True)
    return workspace.covariates.save(tables)


def load_images(files: list[Path], workspace: Workspace) -> str:
    """Store the set of images in `files` and return its digest; a stored digest instead of files is returned.

    The name of a sample is accepted in place of a file. What was converted or left out is printed on standard error.
    Raises NotFoundError, UnreadableFileError, OptionError.
    """
    from core.data.images.reading import read_image_set
    from core.data.images.samples import IMAGE_SAMPLES, load_image_sample

    digest = find_stored_digest(files)
    if digest:
        workspace.image_sets.load(digest)
        return digest
    is_sample = len(files) == 1 and str(files[0]) in IMAGE_SAMPLES and not files[0].exists()
    images = load_image_sample(str(files[0])) if is_sample else read_image_set(files, progress=show_read_progress)
    for note in images.notes:
        typer.echo(str(note), err=True)
    return workspace.image_sets.save(images)


INTAKES: dict[str, Callable[[list[Path], Workspace], str]] = {"covariates": load_covariates, "image_sets": load_images}
"""Store that a field names with `files=…` → function that stores the files of its option and returns their digest."""


def find_stored_digest(files: list[Path]) -> str:
    """Return the digest that is given instead of files, or "" if `files` are paths.

    Raises OptionError if a digest is mixed with files.
    """
    digests = [str(file) for file in files if DIGEST_PATTERN.fullmatch(str(file)) and not file.exists()]
    if digests and len(files) > 1:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name="FILE",
            value=digests[0],
            accepted="files or the digest of one stored dataset",
        )
    return digests[0] if digests else ""


def check_selection(spec: PartSpec, dataset: Dataset) -> None:
    """Raise OptionError for an entity that is not in `dataset` or an invalid date."""
    for entity in spec.entities:
        require_choice("--entity", entity, tuple(dataset.entities))
    for option, text in (("--start", spec.start), ("--end", spec.end)):
        if text and (not dataset.has_dates or pd.isna(pd.to_datetime(text, errors="coerce"))):
            accepted = (
                f"{dataset.time.min()} … {dataset.time.max()}"
                if dataset.has_dates
                else "no value, because the rows have no dates"
            )
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name=option,
                value=text,
                accepted=accepted,
            )


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises UnreadableFileError if it is missing or not valid JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(N_("{file} is not valid JSON ({reason})."), file=path.name, reason=error) from error


def command_actor(command: str) -> Actor:
    """Return the user who runs the command as an actor."""
    return Actor(application=f"Vigie command {command}")


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Return the values of `--set NAME=VALUE` as a dictionary. Raises OptionError for any other form.

    Example:
        >>> parse_settings(["max-depth=4", "alpha = 0.1"])
        {'max_depth': '4', 'alpha': '0.1'}
    """
    values = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="--set",
                value=setting,
                accepted="NAME=VALUE",
            )
        is_spaced = name.endswith(" ")  # "alpha = 0.1"; any other blank belongs to the value
        values[name.strip().replace("-", "_")] = value.removeprefix(" ") if is_spaced else value
    return values
