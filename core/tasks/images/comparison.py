"""Compare detectors of images: every detector, normal class and seed is a run of its own, computed once."""

import shutil
from collections.abc import Iterator

import pandas as pd

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.messages import N_, Message
from core.progress import Progress
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.images.cells import CellProgress, CellStore, describe_cell, plan_cells, run_cell
from core.tasks.images.comparison_result import (
    ImageComparison,
    UnfinishedComparison,
    build_cells,
    measure_lead,
    rank_detectors,
)
from core.tasks.images.fit import TASK, load_images
from core.tasks.images.model_result import ImageFacts
from core.tasks.images.published import list_published
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec
from core.workspace import Workspace

MAX_REASONS = 5  # reasons of failed cells among the notes


def compare(
    spec: ImagesCompareSpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[ImageComparison, Run]:
    """Fit and judge every detector on every normal class with every seed.

    Cells that an earlier comparison finished are taken from it, so a cancelled or killed comparison goes on where it
    was. Raises NotFoundError for images that are not stored, DataError for fewer than two classes, OptionError for a
    value that is not accepted, Cancelled if `progress` was cancelled.
    """
    spec.check()
    progress = progress or Progress()
    images = load_images(spec.images, workspace)
    spec = spec.fill_defaults(images)
    with track_run(TASK, N_("Comparison"), spec.to_params(), images, actor, workspace) as run:
        cells, earlier = _run_cells(spec, images, progress, workspace, actor)
        published, published_notes = list_published(images, spec.classes)
        notes = (*_list_notes(spec, cells, earlier), *published_notes)
        result = ImageComparison(spec, ImageFacts.from_images(images), cells, published, notes)
        run.add_result(result, TASK)
    return result, run


def load_comparison(run_id: str, workspace: Workspace) -> ImageComparison:
    """Load the comparison of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, ImageComparison, workspace)


def load_unfinished(spec: ImagesCompareSpec, images: ImageSet, workspace: Workspace) -> UnfinishedComparison:
    """Return the finished cells of a comparison, while it runs or after it was cancelled.

    Raises the errors of `compare` for a spec that is not accepted.
    """
    spec.check()
    store, cells = CellStore.from_workspace(workspace), plan_cells(spec.fill_defaults(images))
    rows = [store.find(cell) for cell in cells]
    return UnfinishedComparison(build_cells([row for row in rows if row is not None]), len(cells))


def _run_cells(
    spec: ImagesCompareSpec, images: ImageSet, progress: Progress, workspace: Workspace, actor: Actor
) -> tuple[pd.DataFrame, int]:
    """Return all cells, and how many of them were computed earlier."""
    store, cells = CellStore.from_workspace(workspace), plan_cells(spec)
    rows, earlier = [], 0
    for number, cell in enumerate(cells):
        stage = describe_cell(cell, number, len(cells)).dump()
        progress.report(number / len(cells), stage)
        row = store.find(cell)
        earlier += row is not None
        if row is None:
            cell_progress = CellProgress(progress, stage, number, len(cells))
            row = run_cell(cell, images, cell_progress, workspace=workspace, actor=actor)
            if not row["reason"]:  # a failed cell is tried again
                store.save(cell, row)
            if cell_progress.folder is not None:
                shutil.rmtree(cell_progress.folder, ignore_errors=True)
        rows.append(row)
    return build_cells(rows), earlier


# ---- notes ----------------------------------------------------------------------------------------------------------


def _list_notes(spec: ImagesCompareSpec, cells: pd.DataFrame, earlier: int) -> Iterator[Message]:
    """Yield who is ahead, who is below the line to beat, what failed, and what was computed earlier."""
    yield _judge_lead(spec, cells)
    yield from _list_below(cells)
    failed = cells[cells["reason"] != ""]
    for cell in failed.head(MAX_REASONS).to_dict("records"):
        yield Message(
            N_("{detector}, class {name}, seed {seed} failed: {reason}"),
            {
                "detector": cell["detector"],
                "name": cell["normal_class"],
                "seed": cell["seed"],
                "reason": cell["reason"],
            },
        )
    if len(failed) > MAX_REASONS:
        yield Message(
            N_("{count} more cell failed.", "{count} more cells failed."), {"count": len(failed) - MAX_REASONS}
        )
    unknown = int((cells["auc_roc"].isna() & (cells["reason"] == "")).sum())
    if unknown:
        yield Message(
            N_(
                "{count} cell has no AUC, because its test part lacks normal or abnormal images.",
                "{count} cells have no AUC, because their test part lacks normal or abnormal images.",
            ),
            {"count": unknown},
        )
    for detector, count in cells.loc[cells["collapse"] != "", "detector"].value_counts().items():
        yield Message(
            N_(
                "{detector} collapsed in {count} cell: it no longer distinguishes images.",
                "{detector} collapsed in {count} cells: it no longer distinguishes images.",
            ),
            {"detector": detector, "count": int(count)},
        )
    if earlier:
        yield Message(
            N_(
                "{count} of {total} cells was computed earlier, with the same images, settings and code.",
                "{count} of {total} cells were computed earlier, with the same images, settings and code.",
            ),
            {"count": earlier, "total": len(cells)},
        )


def _judge_lead(spec: ImagesCompareSpec, cells: pd.DataFrame) -> Message:
    """Return the winner, or why there is none."""
    lead = measure_lead(cells)
    if lead is None:
        return Message(N_("No winner: fewer than two detectors have figures for all classes."))
    values: dict[str, object] = {"first": lead.first, "second": lead.second, "lead": round(lead.lead, 4)}
    if spec.seeds < 2:
        return Message(
            N_("No winner: {first} leads {second} by {lead}, but one seed does not tell how much seeds differ."), values
        )
    values |= {"spread": round(lead.spread, 4), "error": round(lead.error, 4), "chance": round(lead.chance, 4)}
    if lead.is_clear:
        template = N_(
            "{first} wins: its lead of {lead} over {second} is larger than what chance explains, {chance}. "
            "That is the spread of the seeds, {spread}, together with the error due to the test images, "
            "{error}."
        )
    else:
        template = N_(
            "No winner: the lead of {first} over {second}, {lead}, may be due to chance, which explains up "
            "to {chance}. That is the spread of the seeds, {spread}, together with the error due to the "
            "test images, {error}."
        )
    return Message(template, values)


def _list_below(cells: pd.DataFrame) -> Iterator[Message]:
    """Yield which detectors are below the one that learns nothing."""
    means = rank_detectors(cells).set_index("detector")["auc_roc"].dropna()
    line = means.get(LINE_TO_BEAT)
    if line is None:
        yield Message(N_("{name} has no mean, so no detector can be compared with it."), {"name": LINE_TO_BEAT})
        return
    for detector, mean in means[means < line].items():
        yield Message(
            N_("{detector} ({mean}) is below {name}, which learns nothing ({line})."),
            {"detector": detector, "mean": round(float(mean), 4), "name": LINE_TO_BEAT, "line": round(float(line), 4)},
        )
