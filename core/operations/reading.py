"""Reading of uploaded files and samples as queries of the pages: into data, images, covariates, or only the columns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from typing_extensions import override

from core.actor import Actor
from core.data.columns import ColumnReading
from core.data.covariates import CovariateTable, read_covariates
from core.data.images.reading import read_image_set
from core.data.ingest.loading import load, load_preview
from core.data.read_options import ReadOptions
from core.data.samples import load_sample
from core.errors import NotFoundError
from core.messages import N_
from core.progress import Progress
from core.runs.result import Result
from core.runs.tracked_run import record_event
from core.spec.spec import Spec
from core.storage.covariates import CovariateStore
from core.workspace import Workspace

SHORT_FILES_BYTES = 1_000_000  # so much of any format is read in less than two seconds
TABLES_FOLDER = "tables"


@dataclass(frozen=True)
class FilesSpec(Spec):
    """Question about the columns of uploaded files. `files` is their digest, or that of the dataset read from them."""

    files: str = ""


@dataclass(frozen=True)
class ReadingSpec(FilesSpec):
    """Order to read uploaded files.

    options  choices of a person
    owner    user whom the dataset is listed for; "" for all
    """

    options: ReadOptions = field(default_factory=ReadOptions)
    owner: str = ""

    @override
    def check(self) -> None:
        self.options.check()


@dataclass(frozen=True)
class ImageReadingSpec(FilesSpec):
    """Order to read uploaded images.

    owner   user whom the set of images is listed for; "" for all
    opener  query parameter of the page that opens the set
    """

    owner: str = ""
    opener: str = ""


@dataclass(frozen=True)
class FilePreview(Result):
    """Readings of the columns of the first file. `layout` is "" if no layout fits."""

    spec: FilesSpec
    name: str
    layout: str
    columns: tuple[ColumnReading, ...]


def find_files(digest: str, workspace: Workspace) -> list[tuple[Path, str]]:
    """Return uploaded files, or those that a dataset was read from; none if they are not stored here."""
    return workspace.uploads.find(digest)


def is_quickly_read(digest: str, workspace: Workspace) -> bool:
    """Tell whether the files of a digest are small."""
    return sum(path.stat().st_size for path, _name in find_files(digest, workspace)) <= SHORT_FILES_BYTES


def preview_files(spec: FilesSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> FilePreview:
    """Return how the columns of the first file are read. Raises NotFoundError, and the errors of `load_preview`."""
    progress.report(0.0, N_("Reading the first file"))
    preview = load_preview(_get_files(spec, workspace))
    return FilePreview(spec, preview.name, preview.layout, preview.columns)


def read_files(spec: ReadingSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Read the files into a dataset, store it, and return its digest. One event is recorded.

    The files are kept for another reading, and the options for files with the same columns. Raises NotFoundError for
    files that are not stored, and the errors of `load`.
    """
    files = _get_files(spec, workspace)
    progress.report(0.0, N_("Reading the files"))
    with record_event("data_load", actor, workspace, files=[name for _path, name in files]) as inputs:
        dataset = load(files, spec.options, progress=progress.report)
        progress.report(1.0, N_("Saving the data"))
        inputs["dataset"] = workspace.datasets.save(dataset, spec.owner)
    workspace.uploads.record_dataset(dataset.digest, spec.files)
    if not spec.options.is_empty:
        workspace.read_choices.save([reading.name for reading in dataset.readings], spec.options, spec.owner)
    return dataset.digest


def read_images(spec: ImageReadingSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Read uploaded images into a set, store it, and return its digest. One event is recorded.

    Raises NotFoundError for files that are not stored, and the errors of `read_image_set`.
    """
    files = _get_files(spec, workspace)
    progress.report(0.0, N_("Reading the images"))
    names = [name for _path, name in files]
    with record_event("data_load", actor, workspace, source="upload", files=names) as inputs:
        images = read_image_set(files, source="upload", progress=progress.report)
        inputs["dataset"] = workspace.image_sets.save(images, spec.owner)
    return str(inputs["dataset"])


# ---- covariates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CovariatesSpec(FilesSpec):
    """Question for the tables in uploaded covariate files. `dataset` is the digest of the data that they belong to."""

    dataset: str = ""


@dataclass(frozen=True)
class _StoredTables(Result):
    """Digest of the tables of a `CovariatesAnswer`."""

    spec: CovariatesSpec
    digest: str


@dataclass(frozen=True)
class CovariatesAnswer:
    """The tables in covariate files, in the order of the files."""

    spec: CovariatesSpec
    tables: tuple[CovariateTable, ...]

    def save(self, folder: Path) -> None:
        """Write the tables below `folder`; `load` reads them back."""
        _StoredTables(self.spec, CovariateStore(folder / TABLES_FOLDER).save(self.tables)).save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the tables that `save` wrote. Raises NotFoundError where `folder` holds none."""
        stored = _StoredTables.load(folder)
        return cls(stored.spec, tuple(CovariateStore(folder / TABLES_FOLDER).load(stored.digest)))


def read_covariate_files(
    spec: CovariatesSpec, *, workspace: Workspace, actor: Actor, progress: Progress
) -> CovariatesAnswer:
    """Read the covariate files for a stored dataset.

    Raises NotFoundError for files or data that are not stored, and the errors of `read_covariates`.
    """
    files = _get_files(spec, workspace)
    progress.report(0.0, N_("Reading the files"))
    dataset = workspace.datasets.load(spec.dataset)
    return CovariatesAnswer(spec, tuple(read_covariates(files, dataset.zone, dataset.entities)))


# ---- samples --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleSpec(Spec):
    """Order to open the sample `name`. `owner` is the user whom its dataset is listed for; "" for all."""

    name: str = ""
    owner: str = ""


def open_sample(spec: SampleSpec, *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """Create a sample, store it, and return its digest. One event is recorded.

    Raises the errors of `load_sample`.
    """
    progress.report(0.0, N_("Creating the sample"))
    with record_event("data_load", actor, workspace, sample=spec.name) as inputs:
        digest = workspace.datasets.save(load_sample(spec.name), spec.owner)
        inputs["dataset"] = digest
    return digest


def _get_files(spec: FilesSpec, workspace: Workspace) -> list[tuple[Path, str]]:
    files = find_files(spec.files, workspace)
    if not files:
        raise NotFoundError(N_("The uploaded files are no longer stored here. Load them again."))
    return files
