"""Notes on a model of images: what its figures do not tell, and what a reader would take for better than it is."""

from collections.abc import Iterator

from core.detectors.devices import describe_training
from core.detectors.images.image_model import ImageModel
from core.messages import N_, Message
from core.phrases import to_percent
from core.tasks.images.model_result import ImageModelResult
from core.tasks.images.spec import LINE_TO_BEAT

COLLAPSE_NOTES = {
    "scores": N_("The model has collapsed: it gives almost every image the same score. Its figures mean nothing."),
    "latent": N_(
        "The model has collapsed: it maps every image to almost the same point (spread {spread} of its length). Its "
        "scores are rounding errors."
    ),
}
CHANCE = 0.5


def list_fit_notes(result: ImageModelResult, model: ImageModel, threshold: Message | None) -> tuple[Message, ...]:
    """Return what a reader has to know about a fitted model."""
    return (
        *_list_accuracy_notes(result),
        *_list_threshold_notes(result, threshold),
        *_list_training_notes(result, model),
    )


def _list_accuracy_notes(result: ImageModelResult) -> Iterator[Message]:
    measured = result.measurements
    if result.is_collapsed:
        yield Message(COLLAPSE_NOTES[result.collapse], {"spread": measured["latent_spread"]})
    if not result.has_abnormal:
        yield Message(N_("The test part has no image of another class, so AUC and sensitivity are unknown."))
    elif result.normal_test_rows.empty:
        yield Message(N_("The test part has no image of the normal class, so AUC and the alarm rate are unknown."))
    area, line = measured["auc_roc"], measured.get("line_auc_roc")
    if area < CHANCE:
        yield Message(
            N_("The AUC of {auc} is below chance: abnormal images get lower scores."), {"auc": round(area, 3)}
        )
    if line is not None and area < line:
        yield Message(
            N_("The AUC of {auc} is below that of {name}, which learns nothing: {line}."),
            {"auc": round(area, 3), "name": LINE_TO_BEAT, "line": round(line, 3)},
        )


def _list_threshold_notes(result: ImageModelResult, threshold: Message | None) -> Iterator[Message]:
    if threshold is None:
        yield Message(N_("No normal image was held out, so there is no threshold: images are only ranked."))
        return
    yield threshold
    low, high = result.alarm_band
    rate = result.alarm_rate
    if rate > high:
        yield Message(
            N_(
                "{rate} of the normal test images are above the threshold, more than chance explains ({low} to "
                "{high}): they differ from the held-out ones."
            ),
            {"rate": to_percent(rate), "low": to_percent(low), "high": to_percent(high)},
        )


def _list_training_notes(result: ImageModelResult, model: ImageModel) -> Iterator[Message]:
    spec, counts = result.spec, result.counts
    if counts.intruders:
        yield Message(
            N_(
                "{count} of {total} training images is of another class, as requested.",
                "{count} of {total} training images are of other classes, as requested.",
            ),
            {"count": counts.intruders, "total": counts.training},
        )
    if spec.contamination and counts.intruders < round(spec.contamination * counts.training):
        yield Message(
            N_("The images have too few abnormal ones outside the test part for a contamination of {share}."),
            {"share": to_percent(spec.contamination)},
        )
    if counts.abnormal < spec.abnormal_count:
        yield Message(
            N_(
                "Only {count} labelled abnormal image is outside the test part, not {needed}.",
                "Only {count} labelled abnormal images are outside the test part, not {needed}.",
            ),
            {"count": counts.abnormal, "needed": spec.abnormal_count},
        )
    if model.detector.needs_abnormal:
        yield Message(
            N_(
                "The detector has learnt from abnormal images of the classes on which it is judged. Its "
                "AUC does not tell how it treats a class that it has never seen."
            )
        )
    yield from describe_training(model.detector)
