"""Options of every task that scores a folder in batches: input, output, size of a batch, workers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from core import __version__
from core.batch.file_inventory import Folder, Inventory
from core.errors import OptionError
from core.messages import N_
from core.spec.hyperparameters import hyperparameter, require_choice
from core.spec.spec import Spec


def declare_batch_rows(default: int) -> Any:
    """Declare the field `batch_rows` with a default that suits the task."""
    return hyperparameter(default, help=N_("Approximate number of rows per batch."), low=1)


@dataclass(frozen=True)
class FolderSpec(Spec):
    """Score every series in a folder.

    folder      a folder, a file or a glob pattern
    out         output folder
    batch_rows  approximate number of rows per batch
    workers     worker processes on this machine; 0: the Dask scheduler of the settings, else this process
    """

    folder: str = hyperparameter(
        "",
        help=N_("Folder, file or pattern such as 'data/**/*.parquet'. All file formats that Vigie reads are accepted."),
        metavar="FOLDER",
        argument=True,
    )
    out: str = hyperparameter(
        "",
        help=N_(
            "Output folder for the scores. If it contains scores of the same command, only missing scores are added."
        ),
        metavar="FOLDER",
    )
    batch_rows: int = declare_batch_rows(50_000)
    workers: int = hyperparameter(
        0,
        help=N_(
            "Number of worker processes on this machine (default: the Dask cluster at "
            "DASK_SCHEDULER_ADDRESS, or this process)."
        ),
        low=0,
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, and without an output folder."""
        super().check()
        if not self.out:
            require_choice("--out", self.out, ("FOLDER",))

    def fill_defaults(self) -> Self:
        """Return the spec with absolute paths, so that it does not depend on the working directory."""
        return replace(self, folder=str(Path(self.folder).absolute()), out=str(Path(self.out).resolve()))

    def find_input(self) -> Folder:
        """Return the input folder.

        Raises OptionError if the output folder lies inside it, where its files would be read as input, and
        UnreadableFileError if nothing exists.
        """
        folder, out = Folder.parse(Path(self.folder)), Path(self.out)
        if folder.covers(out):
            raise OptionError(
                N_("The output folder {file} is inside the input folder. Choose another output folder."), file=str(out)
            )
        return folder

    def build_manifest(self, inventory: Inventory, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the scores depend on: the settings of the task, and the input files."""
        return {
            "version": __version__,
            **settings,
            "batch_rows": self.batch_rows,
            "files": inventory.files,
            "bytes": inventory.size,
            "inputs": inventory.digest,
        }


def use_one_core() -> None:
    """Limit this process to one core; `--workers` starts more processes."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
