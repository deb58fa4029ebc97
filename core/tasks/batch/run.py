"""Score many series below a folder with one model, or with one fitted per group of files, and keep that as one run."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from core import __version__
from core.actor import Actor
from core.batch import Cut, Fit, Folder, Inventory, Per, Place, Tally, Work, begun, digest, score_folder
from core.batch.output import MANIFEST, MODEL
from core.data.dataset import Dataset
from core.detectors.base import SequenceDetector
from core.detectors.scaling import METHODS, Method
from core.detectors.sequence_model import SequenceModel
from core.errors import OptionError
from core.evaluation.thresholds import alarm_threshold
from core.messages import N_, Text
from core.progress import Progress
from core.runs.model_files import load_model, trusted_types
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.spec.hyperparameters import build_from_settings, get_params, hyperparameters
from core.tasks.sequences.run import detectors
from core.workspace import Workspace
from mlflow_utils.model_io import FILE
from mlflow_utils.model_io import digest as model_digest

TASK = "scale"
QUICK = "pca-residual"
PER: tuple[Per, ...] = ("folder", "name")
RATE = 2.0  # false alarms per 1,000 rows, of models fitted here


@dataclass(frozen=True)
class Question:
    """What is scored, with what, and where to; plain JSON.

    folder           a folder, a file, or a pattern
    model            the run, or NAME@ALIAS, whose model scores everything; or else:
    fit_per          "folder" or "name" (what file names begin with): one model for each group, with `detector` and
                     `settings`
    alarms_per_1000  false alarms per 1,000 rows that set the threshold; None: that of the model, 2 for models fitted
                     here
    streaming        with a memory carried from row to row where the detector can, else as the model was trained
    workers          processes of this machine; 0: the Dask scheduler of the settings, or this process
    """

    folder: str
    out: str
    model: str = ""
    fit_per: Per = ""
    detector: str = QUICK
    settings: Mapping[str, Any] = field(default_factory=dict)
    scaling: Method = "minmax"
    counts: bool = False
    alarms_per_1000: float | None = None
    streaming: bool = True
    batch_rows: int = 50_000
    workers: int = 0

    def check(self) -> None:
        """Raises OptionError for what is not accepted."""
        if bool(self.model) == bool(self.fit_per):
            raise OptionError(
                N_("Give either a model (a run, or NAME@ALIAS) or what to fit one per ({accepted})."),
                accepted=", ".join(PER),
            )
        accepted = {"fit_per": ("", *PER), "scaling": METHODS, "detector": tuple(detectors())}
        for name, words in accepted.items():
            if getattr(self, name) not in words:
                raise OptionError(
                    N_("{name} = {value!r} is not accepted; choose {accepted}."),
                    name=name,
                    value=getattr(self, name),
                    accepted=", ".join(filter(None, words)),
                )
        if self.batch_rows < 1:
            raise OptionError(
                N_("{name} = {value} is outside {low} to {high}."),
                name="batch_rows",
                value=self.batch_rows,
                low=1,
                high="∞",
            )
        if self.alarms_per_1000 is not None and not 0 < self.alarms_per_1000 < 1000:
            raise OptionError(
                N_("{name} = {value} is outside {low} to {high}."),
                name="alarms_per_1000",
                value=self.alarms_per_1000,
                low=0,
                high=1000,
            )


@dataclass(frozen=True)
class Scores:
    """What was done, where it lies, and what has to be known of it."""

    tally: Tally
    out: Path
    notes: tuple[Text, ...] = ()


def score(
    question: Question, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Scores, Run]:
    """Score every series below the folder that is not scored yet; a command that was stopped goes on where it was.

    Raises as `load_model` and `begun`, UnreadableFileError for a folder without files, OptionError for what
    cannot be asked,
    DataError where no file can be scored, Cancelled where `progress` was told to stop.
    """
    question.check()
    folder, out = Folder.of(Path(question.folder)), Path(question.out).resolve()
    if out == folder.place or folder.place in out.parents:
        raise OptionError(N_("{file} lies in the folder that is scored; choose another one."), file=str(out))
    model = _model_of(question, workspace)
    place = Place(question.workers, "" if question.workers else workspace.settings.dask_scheduler_address)
    inventory = folder.inventory()
    with begun(out, manifest := _manifest(question, model, inventory)):
        work = _work(question, model, folder, out, digest(manifest))
        with tracked_run(
            TASK, _called(model), _params(question, model, place), _recorded(folder, inventory, model), actor, workspace
        ) as run:
            tally = score_folder(
                work, folder, inventory, Cut(question.batch_rows, question.fit_per), place, progress or Progress()
            )
            _keep(run, tally, out)
    return Scores(tally, out, tuple(_notes(question, model))), run


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """The id of the run that answers `Question(**arguments)`. Raises as `score`."""
    return score(Question(**arguments), workspace=workspace, actor=actor, progress=progress)[1].id


# ---- the model ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _OfRun:
    """The model of a run: its file, and the SHA-256 of that."""

    run_id: str
    file: Path
    digest: str
    model: SequenceModel

    @property
    def detector(self) -> SequenceDetector:
        return self.model.detector


@dataclass(frozen=True)
class _PerGroup:
    """How the models of the groups are fitted here."""

    fit: Fit

    @property
    def detector(self) -> SequenceDetector:
        return self.fit.detector


def _model_of(question: Question, workspace: Workspace) -> _OfRun | _PerGroup:
    if question.model:
        run_id = resolve_run(question.model, workspace)
        model = load_model(run_id, SequenceModel, workspace)
        folder = load_run(run_id, workspace).files / "model"
        return _OfRun(run_id, folder / FILE, model_digest(folder), model)
    cls = detectors()[question.detector]
    can_stream = question.streaming and "scoring" in hyperparameters(cls)
    detector = build_from_settings(cls, ({"scoring": "streaming"} if can_stream else {}) | dict(question.settings))
    rate = (question.alarms_per_1000 or RATE) / 1000
    return _PerGroup(Fit(detector, question.scaling, question.counts, rate))


def _work(question: Question, model: _OfRun | _PerGroup, folder: Folder, out: Path, made: str) -> Work:
    """What the workers are told; the model of a run is copied beside the results, where they can read it."""
    work = Work(folder.place, out, made, trusted_types(), streaming=question.streaming)
    if isinstance(model, _PerGroup):
        return replace(work, fit=model.fit)
    shutil.copyfile(model.file, out / MODEL)
    if question.alarms_per_1000 is None:
        return work
    return replace(work, threshold=alarm_threshold(model.model.calibration_, question.alarms_per_1000 / 1000).value)


# ---- the record -----------------------------------------------------------------------------------------------------


class _FileList(Dataset):
    """Stands in the record for files that are never one dataset: its digest, in `source`, is that of the list of
    them.
    """

    @cached_property
    def digest(self) -> str:
        return self.source


def _recorded(folder: Folder, inventory: Inventory, model: _OfRun | _PerGroup) -> Dataset:
    columns = model.model.columns_ if isinstance(model, _OfRun) else []
    name = "/".join(filter(None, (folder.place.name, folder.pattern)))
    return _FileList(
        pd.DataFrame(columns=columns, dtype=float),
        layout="files",
        files=(f"{name} ({inventory.files} files)",),
        source=inventory.digest,
    )


def _manifest(question: Question, model: _OfRun | _PerGroup, inventory: Inventory) -> dict[str, Any]:
    """What the results depend on."""
    asked = asdict(question)
    kept = {name: asked[name] for name in ("fit_per", "alarms_per_1000", "streaming", "batch_rows")}
    fitted = {name: asked[name] for name in ("scaling", "counts")} if question.fit_per else {}
    return {
        "version": __version__,
        "model": model.digest if isinstance(model, _OfRun) else "",
        "detector": model.detector.name,
        "settings": get_params(model.detector),
        **kept,
        **fitted,
        "files": inventory.files,
        "bytes": inventory.size,
        "inputs": inventory.digest,
    }


def _params(question: Question, model: _OfRun | _PerGroup, place: Place) -> dict[str, Any]:
    where = f"{place.workers} processes" if place.workers else place.address or "this process"
    return {
        **get_params(model.detector),
        "detector": model.detector.name,
        "fit_per": question.fit_per,
        "streaming": question.streaming,
        "alarms_per_1000": question.alarms_per_1000,
        "batch_rows": question.batch_rows,
        "place": where,
        "out": question.out,
        **(
            {"model_run": model.run_id}
            if isinstance(model, _OfRun)
            else {"scaling": question.scaling, "counts": question.counts}
        ),
    }


def _called(model: _OfRun | _PerGroup) -> str:
    return type(model.detector).__name__


def _keep(run: Run, tally: Tally, out: Path) -> None:
    """The figures of the run, and what says where its results are; the scores themselves stay where they are."""
    run.metrics = tally.metrics()
    run.details = {
        "anomalies_count": tally.anomalies,
        "successful_predictions": tally.rows,
        "failed_predictions": tally.files_skipped,
    }
    for name in (MANIFEST, "skipped.csv"):
        shutil.copyfile(out / name, run.folder / name)


def _notes(question: Question, model: _OfRun | _PerGroup) -> Iterator[Text]:
    if (
        isinstance(model, _OfRun)
        and question.streaming
        and getattr(model.detector, "scoring", "streaming") != "streaming"
    ):
        yield Text(
            N_(
                "The threshold comes from scores of windows, the rows are scored one after the other: compare "
                "the share flagged with the share promised."
            )
        )
    if isinstance(model, _PerGroup):
        yield Text(
            N_(
                "Each group's model has learnt from rows that it scores; what is abnormal in most of them "
                "passes for usual."
            )
        )
