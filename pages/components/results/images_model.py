"""Result of one model of images: what it tells apart, at which threshold, on which pictures, and how it learnt."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from core.data.images.image_set import ImageSet
from core.detectors.images.base import WeightedDetector
from core.detectors.images.image_model import ImageModel
from core.errors import NotFoundError
from core.spec.task import get_task
from core.tasks.images import figures
from core.tasks.images.fit import load_fitted_model
from core.tasks.images.judgement import change_weight
from core.tasks.images.model_result import COLLAPSE_LABELS, PART_LABELS, ImageModelResult
from core.tasks.images.views import FALSE_ALARMS, GALLERIES, LEAST, MISSED, MOST, select_gallery
from core.workspace import Workspace
from pages.components import cache, job_progress, task_page
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown
from pages.components.results import image_gallery, images_threshold, model
from pages.components.results.images_comparison import format_area, name_detector
from pages.components.results.images_threshold import format_rate
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_notes, show_record
from pages.components.term_help import explain

GALLERY_SIZE = 12
WEIGHT_STEP = 0.05
MAX_CACHED_WEIGHTS = 16


def show_model(result: ImageModelResult, images: ImageSet, run: str) -> None:
    """Show the judgement of a model; `images` is the set that it was fitted on."""
    fitted = cache.cache_by_run(find_fitted_model, run)
    model_key = run
    if fitted is not None and isinstance(fitted.detector, WeightedDetector):
        weight = _ask_weight(fitted.detector, run)
        if weight is not None:
            fitted, result = _change_weight(run, weight, fitted, result, images)
            model_key = f"{run} {weight}"
    _show_metrics(result, run)
    _show_warnings(result)
    if fitted is None:
        _offer_diagnosis(result)
    views: dict[str, Callable[[], None]] = {
        _("Threshold"): lambda: images_threshold.show(result, run),
        _("Images"): lambda: _show_pictures(result, images, fitted, model_key, run),
    }
    if len(result.points):
        views[_("Embedding")] = lambda: _show_embedding(result)
    if result.history["step"].nunique() > 1:
        views[_("Training")] = lambda: _show_training(result)
    if fitted is not None:
        views[_("Model")] = lambda: model.show(run, "images")
    tabs = st.tabs(list(views), key="images-view", on_change="rerun")
    for tab, show_view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()
    show_notes(result.notes)
    show_downloads(result.to_frame, "image-model", _("Scores of the images ({kind})"))
    show_record(run)


def find_fitted_model(run: str, workspace: Workspace) -> ImageModel | None:
    """Load the model of a run; None for a fit of a comparison, which keeps no model."""
    try:
        return load_fitted_model(run, workspace)
    except NotFoundError:
        return None


# ---- head -----------------------------------------------------------------------------------------------------------


def _show_metrics(result: ImageModelResult, run: str) -> None:
    spec, measured = result.spec, result.measurements
    line = measured.get("line_auc_roc", float("nan"))
    with st.container(horizontal=True, key="result-figures"):
        st.metric(
            _("AUROC, %"),
            format_area(measured["auc_roc"]),
            border=True,
            delta=_("reference {area}").format(area=format_area(line)) if line == line else None,
            delta_color="off",
            delta_arrow="off",
            help=explain(
                "auc_roc", _("Area under the ROC curve: chance that an abnormal image scores higher than a normal one.")
            ),
        )
        st.metric(_("AUPR, %"), format_area(measured["auc_pr"]), border=True, help=explain("auc_pr"))
        if result.threshold is not None:
            st.metric(
                _("False alarms"),
                format_rate(result.alarm_rate),
                border=True,
                delta=_("expected: at most {rate}").format(rate=format_rate(result.promised_rate)),
                delta_color="off",
                delta_arrow="off",
                help=explain(
                    "alarm_rate",
                    _(
                        "Share of normal test images above the threshold, compared with the share expected "
                        "from the held-out ones."
                    ),
                ),
            )
        show_cost(run)
    text = _("{detector} · normal class “{name}” · trained on {count} images")
    if result.counts.intruders:
        text = _("{detector} · normal class “{name}” · trained on {count} images, of which {intruders} are abnormal")
    st.caption(
        text.format(
            detector=name_detector(spec.detector.name),
            name=escape_markdown(spec.normal_class),
            count=format_value(result.counts.training),
            intruders=format_value(result.counts.intruders),
        )
    )


def _show_warnings(result: ImageModelResult) -> None:
    if result.is_collapsed:
        st.error(
            _("The model has collapsed: {reason}. It cannot tell images apart, and its figures mean nothing.").format(
                reason=_(COLLAPSE_LABELS[result.collapse])
            ),
            icon=":material/compress:",
        )
    line, area = result.measurements.get("line_auc_roc", float("nan")), result.measurements["auc_roc"]
    if area < line:
        st.warning(
            _("Below the reference: a detector that learns nothing reaches {line} %, this one {area} %.").format(
                line=format_area(line), area=format_area(area)
            ),
            icon=":material/trending_down:",
        )
    if not result.has_abnormal:
        st.info(
            _("The test part has no abnormal image, so ROC curve and sensitivity are unknown."), icon=":material/help:"
        )


def _offer_diagnosis(result: ImageModelResult) -> None:
    """Offer the fit with threshold, embedding and saved model for one that a comparison made without them."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("A comparison keeps the scores of its trainings, but neither a model nor a threshold."))
        if st.button(
            _("Train again with threshold and diagnosis"),
            icon=":material/biotech:",
            key="images-diagnose",
            disabled=job_progress.is_job_running(),
        ):
            task_page.submit_spec(get_task("images"), replace(result.spec, held_out=None))


# ---- weight ---------------------------------------------------------------------------------------------------------


def _ask_weight(detector: WeightedDetector, run: str) -> float | None:
    """Ask for the weight between the losses; None for that of the fit."""
    start = float(getattr(detector, "weight", 0.5))
    weight = st.slider(
        _("Weight between the two losses"),
        0.0,
        1.0,
        start,
        WEIGHT_STEP,
        key=f"images-weight-{run}",
        help=_(
            "The model was trained once for all weights: 0 is the first loss alone, 1 the second one "
            "alone. Scores, threshold and images follow; nothing is trained again."
        ),
    )
    return None if weight == start else weight


@st.cache_resource(max_entries=MAX_CACHED_WEIGHTS, show_spinner=False)
def _change_weight(
    run: str, weight: float, _model: ImageModel, _result: ImageModelResult, _images: ImageSet
) -> tuple[ImageModel, ImageModelResult]:
    """Score the images with another weight once."""
    return change_weight(_model, _result, _images, weight)


# ---- pictures -------------------------------------------------------------------------------------------------------


def _show_pictures(
    result: ImageModelResult, images: ImageSet, fitted: ImageModel | None, model_key: str, run: str
) -> None:
    labels = {
        MOST: _("Most abnormal"),
        LEAST: _("Least abnormal"),
        FALSE_ALARMS: _("Normal, but highest"),
        MISSED: _("Abnormal, but lowest"),
    }
    parts = [part for part in PART_LABELS if (result.rows["part"] == part).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            _("Images to show"),
            GALLERIES,
            default=MOST,
            format_func=labels.__getitem__,
            key="images-gallery-kind",
            required=True,
        )
        part = st.selectbox(
            _("Part"), parts, format_func=lambda name: _(PART_LABELS[name]), key="images-gallery-part", width=260
        )
    rows = select_gallery(result, str(kind), GALLERY_SIZE, part)
    if rows.empty:
        st.info(_("There is no such image in this part."))
        return
    image_gallery.show_gallery(rows, images, fitted, model_key, run, "model")


# ---- embedding, training --------------------------------------------------------------------------------------------


def _show_embedding(result: ImageModelResult) -> None:
    kind = st.segmented_control(
        _("Projection"),
        list(figures.PROJECTIONS),
        default="pca",
        format_func=lambda name: _(figures.PROJECTIONS[name]),
        key="images-projection",
        required=True,
    )
    show_chart(
        figures.draw_points(result, str(kind), _),
        "images-points",
        _("Embeddings of test images in the plane, coloured by class"),
    )
    st.caption(
        _(
            "Points of one class beside the others: the embedding separates them. Abnormal points in the middle of the "
            "normal ones: a distance to the centre cannot find them."
        )
    )
    _show_moments(result)


def _show_moments(result: ImageModelResult) -> None:
    st.header(_("Moments of the embedding"))
    labels = {"mean": _("mean"), "sd": _("standard deviation"), "skew": _("skewness"), "kurtosis": _("kurtosis")}
    moment = st.segmented_control(
        _("Moment"),
        list(labels),
        default="mean",
        format_func=labels.__getitem__,
        key="images-moment",
        label_visibility="collapsed",
        required=True,
    )
    show_chart(
        figures.draw_moments(result, str(moment), _),
        "images-moments",
        _("Moment of every dimension of the embedding, of normal and of abnormal images"),
    )


def _show_training(result: ImageModelResult) -> None:
    st.caption(
        _(
            "The validation part is used neither for training nor for the test. A loss that falls while "
            "AUC and precision fall too shows over-fitting."
        )
    )
    for title, curves in figures.list_curve_groups(result.history).items():
        heading = _(title)
        st.header(heading[:1].upper() + heading[1:])
        show_chart(
            figures.draw_history(result.history, curves, _),
            f"images-history-{title}",
            _("Curves of the training per epoch"),
        )
