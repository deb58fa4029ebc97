"""Report of images: the judgement of a model, scores by a saved model, or the comparison of detectors."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.data.images.exporting import to_data_url
from core.data.images.image_set import ImageSet
from core.messages import N_, Message
from core.phrases import list_names, to_percent
from core.runs.report_content import (
    MAX_EVENTS,
    Cell,
    EventList,
    Gallery,
    KeyFigure,
    ReportContent,
    ReportEvent,
    ReportFigure,
    ReportTable,
)
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.images import figures
from core.tasks.images.card import describe
from core.tasks.images.comparison_figures import draw_means
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.model_result import COLLAPSE_LABELS, ImageModelResult, ImageScores
from core.tasks.images.spec import LINE_TO_BEAT, list_detectors
from core.tasks.images.views import FALSE_ALARMS, MISSED, MOST, select_gallery

PICTURE_SIDE_PX = 112
GALLERY_SIZES = {MOST: 12, FALSE_ALARMS: 6, MISSED: 6}
GALLERY_TITLES = {
    MOST: N_("The most abnormal images"),
    FALSE_ALARMS: N_("Normal images with the highest scores"),
    MISSED: N_("Abnormal images with the lowest scores"),
}


def describe_report(result: ImageModelResult | ImageScores | ImageComparison, images: ImageSet | None) -> ReportContent:
    """Return the sections of the report; `images` are those of the run, None where they are not stored."""
    if isinstance(result, ImageComparison):
        return _describe_comparison(result)
    return _describe_model(result, images) if isinstance(result, ImageModelResult) else _describe_scores(result, images)


def _label_detector(name: str) -> Message:
    """Return the label of a detector; the name itself for one that no longer exists."""
    cls = list_detectors().get(name)
    return Message(cls.label) if cls else Message("{name}", {"name": name})


# ---- one model ------------------------------------------------------------------------------------------------------


def _describe_model(result: ImageModelResult, images: ImageSet | None) -> ReportContent:
    area, line = result.measurements["auc_roc"], result.measurements.get("line_auc_roc", float("nan"))
    beaten = Message(N_("reference {area}"), {"area": to_percent(line, 1)}) if line == line else None
    figures_ = [KeyFigure(Message(N_("Area under the ROC curve")), to_percent(area, 1), beaten)]
    if result.threshold is not None and result.promised_rate is not None:
        promised = Message(N_("expected: at most {rate}"), {"rate": to_percent(result.promised_rate)})
        figures_.append(KeyFigure(Message(N_("False alarms")), to_percent(result.alarm_rate), promised))
    figures_.append(
        KeyFigure(
            Message(N_("Test images")),
            len(result.test_rows),
            Message(N_("training images: {count}"), {"count": result.counts.training}),
        )
    )
    return ReportContent(
        summary=_summarise_model(result),
        key_figures=tuple(figures_),
        events=_list_images(result.test_rows if len(result.test_rows) else result.rows),
        galleries=tuple(_list_galleries(result, images)) if images is not None else (),
        figures=tuple(_list_model_figures(result)),
        certainty=tuple(_describe_promise(result)),
        tells_threshold=True,
        notes=(*_list_warnings(result), *result.notes),
    )


def _summarise_model(result: ImageModelResult) -> tuple[Message, ...]:
    values = {
        "detector": _label_detector(result.spec.detector.name),
        "name": result.spec.normal_class,
        "count": result.counts.training,
        "area": to_percent(result.measurements["auc_roc"], 1),
    }
    learnt = N_("{detector} learnt the normal class “{name}” from {count} images.")
    if not result.has_abnormal:
        return (Message(learnt, values),)
    told_apart = N_("An abnormal test image scores higher than a normal one in {area} of the pairs (50% is chance).")
    return (Message(learnt, values), Message(told_apart, values))


def _describe_threshold(result: ImageModelResult | ImageScores) -> tuple[Message, ...]:
    threshold = describe(result).threshold
    if threshold is None:
        return ()
    value = {"threshold": float(f"{threshold.value:.4g}")}
    return (Message(N_("Images with a score above {threshold} are alarms."), value), threshold.why)


def _describe_promise(result: ImageModelResult) -> Iterator[Message]:
    yield from _describe_threshold(result)
    if result.alarm_rate != result.alarm_rate:
        return
    low, high = result.alarm_band
    values = {"rate": to_percent(result.alarm_rate), "low": to_percent(low), "high": to_percent(high)}
    kept = N_("{rate} of the normal test images are above the threshold; by chance {low} to {high}: the target is met.")
    broken = N_(
        "{rate} of the normal test images are above the threshold; by chance {low} to {high}: the target is not met."
    )
    yield Message(kept if low <= result.alarm_rate <= high else broken, values)


def _list_warnings(result: ImageModelResult) -> Iterator[Message]:
    if result.is_collapsed:
        yield Message(
            N_("The model has collapsed: {reason}. It cannot tell images apart, and its figures mean nothing."),
            {"reason": Message(COLLAPSE_LABELS[result.collapse])},
        )
    line, area = result.measurements.get("line_auc_roc", float("nan")), result.measurements["auc_roc"]
    if area < line:
        yield Message(
            N_("Below the reference: a detector that learns nothing reaches {line}, this one {area}."),
            {"line": to_percent(line, 1), "area": to_percent(area, 1)},
        )
    if not result.has_abnormal:
        yield Message(N_("The test part has no abnormal image, so ROC curve and sensitivity are unknown."))


def _list_model_figures(result: ImageModelResult) -> Iterator[ReportFigure]:
    yield ReportFigure(
        Message(N_("Scores of normal and of abnormal images, with the threshold")),
        lambda language: figures.draw_score_histogram(result, None, language.translate),
    )
    if len(result.roc):
        yield ReportFigure(
            Message(N_("ROC curve of the test images")),
            lambda language: figures.draw_roc(
                result, None, language.translate, lambda area: language.format_percent(round(area, 3))
            ),
        )
    if len(result.points):
        yield ReportFigure(
            Message(N_("Embedding of the test images on its two principal components")),
            lambda language: figures.draw_points(result, "pca", language.translate),
        )


def _list_galleries(result: ImageModelResult, images: ImageSet) -> Iterator[Gallery]:
    for kind, count in GALLERY_SIZES.items():
        rows = select_gallery(result, kind, count)
        if len(rows):
            yield Gallery(Message(GALLERY_TITLES[kind]), _show_pictures(rows, images))


# ---- scores ---------------------------------------------------------------------------------------------------------


def _describe_scores(result: ImageScores, images: ImageSet | None) -> ReportContent:
    metrics = result.metrics()
    alarms = KeyFigure(Message(N_("Alarms")), "–", Message(N_("no threshold")))
    if result.threshold is not None and result.promised_rate is not None:
        accepted = Message(N_("at most {rate} of normal ones"), {"rate": to_percent(result.promised_rate)})
        alarms = KeyFigure(Message(N_("Alarms")), len(result.anomalies), accepted)
    area = metrics.get("auc_roc", float("nan"))
    known_area = (KeyFigure(Message(N_("Area under the ROC curve")), to_percent(area, 1)),) if area == area else ()
    worst = result.rows.head(GALLERY_SIZES[MOST])
    return ReportContent(
        summary=(
            Message(
                N_("{detector}, trained on the class “{name}”, scored {count} images; alarms: {alarms}."),
                {
                    "detector": _label_detector(result.model_spec.detector.name),
                    "name": result.model_spec.normal_class,
                    "count": len(result.rows),
                    "alarms": len(result.anomalies),
                },
            ),
        ),
        key_figures=(KeyFigure(Message(N_("Images")), len(result.rows)), alarms, *known_area),
        events=_list_images(result.rows),
        galleries=(Gallery(Message(GALLERY_TITLES[MOST]), _show_pictures(worst, images)),)
        if images is not None and len(worst)
        else (),
        certainty=_describe_threshold(result),
        tells_threshold=True,
        notes=result.notes,
    )


def _list_images(rows: pd.DataFrame) -> EventList:
    """Return the images above the threshold, the most abnormal first."""
    flagged = rows[rows["anomaly"]]
    return EventList(
        Message(N_("Images above the threshold, most abnormal first")),
        tuple(_describe_image(row) for row in flagged.head(MAX_EVENTS).to_dict("records")),
        len(flagged),
        Message(N_("No image is above the threshold.")),
    )


def _describe_image(row: Mapping[Hashable, Any]) -> ReportEvent:
    score = {"score": float(f"{row['score']:.4g}"), "name": str(row["class"])}
    sentences = [Message(N_("Score {score}, class “{name}”.") if row["class"] else N_("Score {score}."), score)]
    if np.isfinite(row["p_value"]):
        rarity = {"rate": to_percent(row["p_value"])}
        sentences.append(Message(N_("{rate} of normal images are expected to score at least as high."), rarity))
    title = Message("{image}", {"image": str(row["image"])})
    return ReportEvent(title, tuple(sentences), SEVERITIES[int(row["severity"])])


def _show_pictures(rows: pd.DataFrame, images: ImageSet) -> tuple[tuple[Message, str], ...]:
    """Return caption and picture, as an address that contains it, of every row."""
    zoom = max(PICTURE_SIDE_PX // max(images.height, images.width), 1)
    return tuple(
        (
            Message(N_("{image}, score {score}"), {"image": str(row["image"]), "score": float(f"{row['score']:.4g}")}),
            to_data_url(images.pixels[int(row["position"])], zoom),
        )
        for row in rows.to_dict("records")
    )


# ---- comparison -----------------------------------------------------------------------------------------------------


def _describe_comparison(result: ImageComparison) -> ReportContent:
    ranking = result.ranking
    best, failed = ranking.iloc[0], int((result.cells["reason"] != "").sum())
    below = result.list_below_line()
    return ReportContent(
        summary=_summarise_comparison(result),
        key_figures=(
            KeyFigure(
                Message(N_("Best mean area under the ROC curve")),
                to_percent(best["auc_roc"], 1),
                _label_detector(str(best["detector"])),
            ),
            KeyFigure(Message(N_("Reference")), to_percent(result.line_to_beat, 1), _label_detector(LINE_TO_BEAT)),
            KeyFigure(Message(N_("Trainings")), len(result.cells), Message(N_("failed: {count}"), {"count": failed})),
        ),
        tables=(_tabulate_ranking(result),),
        figures=(
            ReportFigure(
                Message(N_("Mean area of every detector with its spread over the seeds, and the reference")),
                lambda language: draw_means(
                    result, lambda name: language.render(_label_detector(name)), language.translate
                ),
            ),
        ),
        notes=(
            *(
                (
                    Message(
                        N_("Below the reference, which learns nothing: {names}."),
                        {"names": list_names(map(_label_detector, below))},
                    ),
                )
                if below
                else ()
            ),
            *result.notes,
        ),
    )


def _summarise_comparison(result: ImageComparison) -> tuple[Message, ...]:
    if not result.winner:
        if result.spec.seeds < 2:
            text = N_(
                "**No winner is named**, because one seed does not tell how much the figures vary. Compare "
                "with two seeds or more."
            )
        else:
            text = N_(
                "**No winner**: the lead of the first over the second is not larger than the spread of the "
                "seeds and the error due to the test images. More seeds, classes or test images may tell "
                "them apart."
            )
        return (Message(text),)
    first, second = result.ranking.iloc[0], result.ranking.iloc[1]
    return (
        Message(
            N_(
                "**Winner: {name}**, {area}. Its lead over {second} ({other}) exceeds the spread of the seeds and the "
                "error by the test images."
            ),
            {
                "name": _label_detector(result.winner),
                "area": to_percent(first["auc_roc"], 1),
                "second": _label_detector(str(second["detector"])),
                "other": to_percent(second["auc_roc"], 1),
            },
        ),
    )


def _tabulate_ranking(result: ImageComparison) -> ReportTable:
    head = (N_("Detector"), N_("Mean area"), N_("Spread"), N_("Weakest class"), N_("Seconds"))
    rows: list[tuple[Cell, ...]] = []
    for line in result.ranking.to_dict("records"):
        worst = {"name": str(line["worst_class"]), "area": to_percent(line["worst"], 1)}
        rows.append(
            (
                _label_detector(str(line["detector"])),
                to_percent(line["auc_roc"], 1),
                to_percent(line["sd"], 1),
                Message("{name} · {area}", worst) if line["worst_class"] else None,
                float(line["seconds"]),
            )
        )
    return ReportTable(Message(N_("Ranking of the detectors")), tuple(map(Message, head)), tuple(rows))
