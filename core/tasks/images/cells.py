"""Cells of a comparison: one detector, normal class and seed, computed once and found again."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.errors import VigieError
from core.messages import N_, Message
from core.progress import Progress
from core.runs.tracked_run import track_run
from core.settings import ROOT
from core.spec.codec import encode
from core.storage.durable_files import read_checked, write_checked
from core.tasks.images.fit import TASK, save_outcome
from core.tasks.images.judgement import judge_detector
from core.tasks.images.spec import ImagesCompareSpec, ImagesFitSpec, list_detectors, set_common
from core.workspace import Workspace

CELL_FOLDER = "image-cells"
CODE_FOLDERS = ("core/detectors", "core/data/images", "core/tasks/images")  # what the figures of a cell depend on
CellRow = dict[str, Any]
logger = logging.getLogger(__name__)


class CellStore:
    """Figures of finished cells in `folder`, one file each.

    A cell is found again by everything that it was computed from: images, detector with its settings, class, seed, time
    limit, and the source code. So a comparison that was cancelled or killed goes on where it was, whoever asks again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def from_workspace(cls, workspace: Workspace) -> "CellStore":
        """Return the store of a data folder."""
        return cls(workspace.folder / CELL_FOLDER)

    def find(self, spec: ImagesFitSpec) -> CellRow | None:
        """Return the figures of the cell of a spec; None where it was not computed."""
        try:
            row: CellRow = json.loads(read_checked(self._get_path(spec)))
        except (OSError, ValueError):
            return None
        return row

    def save(self, spec: ImagesFitSpec, row: Mapping[str, Any]) -> None:
        """Keep the figures of a cell; the file appears when it is complete."""
        write_checked(self._get_path(spec), json.dumps(dict(row)))

    def _get_path(self, spec: ImagesFitSpec) -> Path:
        text = json.dumps([encode(spec), _digest_code()], sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


@cache
def _digest_code() -> str:
    """Return the SHA-256 of the source files that the figures of a cell depend on."""
    hasher = hashlib.sha256()
    for path in sorted(path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py")):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def plan_cells(spec: ImagesCompareSpec) -> list[ImagesFitSpec]:
    """Return the spec of every cell of a comparison with its defaults filled.

    The detectors of a class and seed follow each other, so that a comparison that is stopped early still compares. All
    normal images of the training part are fitted on, as in published protocols: a cell has no threshold.
    """
    classes = list_detectors()
    return [
        ImagesFitSpec(
            images=spec.images,
            normal_class=normal_class,
            detector=set_common(classes[name](), seed=seed, seconds=spec.seconds_per_fit),
            held_out=0.0,
            contamination=spec.contamination,
            abnormal_count=spec.abnormal_count,
            seconds=spec.seconds_per_fit,
            seed=seed,
        )
        for seed in range(spec.seeds)
        for normal_class in spec.classes
        for name in spec.detectors
    ]


def describe_cell(spec: ImagesFitSpec, number: int, count: int) -> Message:
    """Return what is computed, for the progress: cell `number` (from 0) of `count`, its detector, class and seed."""
    return Message(
        N_("{number} of {count}: {detector}, class {name}, seed {seed}"),
        {
            "number": number + 1,
            "count": count,
            "detector": spec.detector.name,
            "name": spec.normal_class,
            "seed": spec.seed or 0,
        },
    )


class CellProgress(Progress):
    """Progress of one cell within a comparison, with its own curves and its own folder of checkpoints."""

    def __init__(self, parent: Progress, stage: str, number: int, count: int) -> None:
        super().__init__(None if parent.folder is None else parent.folder / f"cell-{number}")
        self.parent, self.number, self.count = parent, number, count
        self.stage = stage
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def report(self, share: float, stage: str = "") -> None:
        """Report the share of this cell; the stage stays the name of the cell. Raises Cancelled."""
        self.share = share
        self.parent.report((self.number + share) / self.count, self.stage)

    def cancel(self) -> None:
        """Request that the comparison stops."""
        self.parent.cancel()


def run_cell(
    spec: ImagesFitSpec, images: ImageSet, progress: Progress, *, workspace: Workspace, actor: Actor
) -> CellRow:
    """Run a cell as a run of its own and return its figures, see `CELL_COLUMNS`.

    A detector that fails is a row with the reason. Raises Cancelled.
    """
    row: CellRow = {
        "detector": spec.detector.name,
        "normal_class": spec.normal_class,
        "seed": spec.seed,
        "run": "",
        "auc_roc": float("nan"),
        "auc_roc_error": float("nan"),
        "auc_pr": float("nan"),
        "seconds": float("nan"),
        "emissions_kg": float("nan"),
        "training_images": 0,
        "collapse": "",
        "reason": "",
    }
    own_actor = replace(actor, job="")  # else a restarted job would take this run for its own
    params = spec.to_params()
    try:
        with track_run(TASK, type(spec.detector).__name__, params, images, own_actor, workspace) as run:
            row["run"] = run.id
            _, result = judge_detector(spec, images, progress)
            save_outcome(run, result)
    except VigieError as error:
        return row | {"reason": workspace.redact(str(error))}
    except Exception as error:  # the other cells are still of use; its text is for the log only
        logger.warning("a cell of %s failed", spec.detector.name, exc_info=True)
        return row | {"reason": type(error).__name__}
    measured = result.measurements
    return row | {
        "run": run.id,
        "auc_roc": measured["auc_roc"],
        "auc_roc_error": measured["auc_roc_error"],
        "auc_pr": measured["auc_pr"],
        "seconds": measured["fit_seconds"] + len(result.rows) / measured["images_per_second"],
        "emissions_kg": run.emissions_kg,
        "training_images": result.counts.training,
        "collapse": result.collapse,
    }
