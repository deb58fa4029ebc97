"""Fit a detector of images on one normal class, judge it on the test part, and save it with its threshold."""

from core.actor import Actor
from core.data.images.image_set import ImageSet
from core.detectors.devices import list_device_params
from core.detectors.images.image_model import ImageModel, encode_images
from core.errors import OptionError
from core.messages import N_
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.tasks.images.judgement import judge_detector
from core.tasks.images.model_result import ImageModelResult
from core.tasks.images.spec import ImagesFitSpec
from core.workspace import Workspace

TASK = "images"
LIBRARIES = ("pillow", "torch")
EXAMPLE_IMAGES = 5


def fit_detector(
    spec: ImagesFitSpec, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[ImageModelResult, Run]:
    """Fit the detector on the normal class and judge it on the test part.

    Raises NotFoundError for images that are not stored, DataError for images without classes or too few of them,
    OptionError for a value that is not accepted, Cancelled if `progress` was cancelled.
    """
    spec.check()
    progress = progress or Progress()
    images = load_images(spec.images, workspace)
    spec = spec.fill_defaults(images)
    with track_run(TASK, type(spec.detector).__name__, spec.to_params(), images, actor, workspace) as run:
        model, result = judge_detector(spec, images, progress, with_diagnosis=True)
        progress.report(0.98, N_("Saving the model"))
        save_outcome(run, result)
        run.params |= list_device_params(model.detector)
        example = encode_images(images.pixels[result.rows["position"].head(EXAMPLE_IMAGES)])
        save_model(run.folder / "model", model, example, libraries=LIBRARIES)
    return result, run


def load_images(digest: str, workspace: Workspace) -> ImageSet:
    """Return the stored set of images. Raises OptionError without a digest, NotFoundError for an unknown one."""
    if not digest:
        raise OptionError(N_("{option} is required."), option="--data")
    return workspace.image_sets.load(digest)


def load_model_result(run_id: str, workspace: Workspace) -> ImageModelResult:
    """Load the judgement of the model of a run. Raises NotFoundError for a run without one."""
    return load_result(run_id, ImageModelResult, workspace)


def load_fitted_model(run_id: str, workspace: Workspace) -> ImageModel:
    """Load the model of a run. Raises NotFoundError without one, UnreadableFileError for one that is not trusted."""
    return load_model(run_id, ImageModel, workspace)


def save_outcome(run: Run, result: ImageModelResult) -> None:
    """Save the result and the details of the event with the run."""
    run.add_result(result, TASK)
    run.details = {
        "anomalies_count": int(result.rows["anomaly"].sum()),
        "successful_predictions": len(result.rows),
        "failed_predictions": 0,
    }
