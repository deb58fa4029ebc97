"""Page of the images task: compare models of one normal class, inspect one, apply one to other pictures."""

from typing import Any

import streamlit as st

from core.data.images.image_set import ImageSet
from core.runs.result import Result
from core.runs.stored_runs import load_task_result
from core.spec.spec import Spec
from core.spec.task import Mode, Task, get_task
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.model_result import ImageModelResult, ImageScores
from core.tasks.images.spec import (
    LINE_TO_BEAT,
    ImagesCompareSpec,
    ImagesFitSpec,
    ImagesScoreSpec,
    choose_normal_class,
    choose_quick_detectors,
    list_comparable,
    list_detectors,
)
from core.tasks.images.views import list_fitting_classes
from pages.components import cache, chart_script, image_picker, running_jobs, task_page, url_state
from pages.components.i18n import _, format_value
from pages.components.image_picker import ImagePicker
from pages.components.results import images_comparison, images_model, images_scores
from pages.components.results.images_comparison import name_detector
from pages.components.task_links import ANALYSIS_FOLDER

COMPARE, MODEL, PICTURES = "compare", "model", "pictures"
SECTION_BY_SPEC: dict[type[Spec], str] = {ImagesCompareSpec: COMPARE, ImagesFitSpec: MODEL, ImagesScoreSpec: PICTURES}
SECONDS_PER_MINUTE = 60
ABNORMAL_FIELD = "abnormal_count"


def page() -> None:
    """Show the chosen section: its images, its form, its result."""
    task = get_task("images")
    st.title(_(task.label))
    chart_script.show()
    running_jobs.show_page_jobs(task.page)
    result = cache.load_result(task.name, load_task_result)
    shown_spec = task_page.find_running_spec(task) or (None if result is None else result.spec)
    section = _choose_section(shown_spec)
    if section == PICTURES:
        _show_pictures(task, result, shown_spec)
        return
    picker = ImagePicker(
        "images",
        _(
            "Which model finds abnormal images best? It learns one class of images, the normal one, and "
            "scores all others. Load images, or start with a sample."
        ),
    )
    images = _open_images(picker, shown_spec, section)
    if images is None:
        picker.show_sources()
        return
    _show_images(picker, images, result)
    if not images.classes:
        st.info(
            _(
                "These images have no classes. To train a model, load them in folders, one per class, or "
                "with labels. A saved model can score them under “Your images”."
            ),
            icon=":material/label_off:",
        )
        return
    if section == COMPARE:
        _show_comparison(task, images)
    else:
        _show_model(task, images)


def _choose_section(shown_spec: Spec | None) -> str:
    """Ask for the section; at first that of the address, else of the job or the result. The URL holds the choice."""
    labels = {COMPARE: _("Compare"), MODEL: _("One model"), PICTURES: _("Your images")}
    asked = url_state.get_query_param("section")
    start = asked if asked in labels else COMPARE if shown_spec is None else SECTION_BY_SPEC[type(shown_spec)]
    section = st.segmented_control(
        _("Section"),
        list(labels),
        default=start,
        format_func=labels.__getitem__,
        key=f"images-section-{url_state.get_run_id()}",  # a link to another run brings its own section
        label_visibility="collapsed",
        required=True,
    )
    url_state.set_query_param("section", section)
    return str(section)


def _open_images(picker: ImagePicker, shown_spec: Any, section: str) -> ImageSet | None:
    """Return the images of the section; those of its job or its result come first."""
    if shown_spec is not None and SECTION_BY_SPEC[type(shown_spec)] == section:
        picker.open(shown_spec.images)
    return picker.load()


def _show_images(picker: ImagePicker, images: ImageSet, result: Result | None) -> None:
    """Show the images; without a result, what they look like."""
    picker.show_line(images)
    with st.expander(_("The images"), expanded=result is None, icon=":material/photo_library:"):
        image_picker.show_overview(images)


def _find_mode(task: Task, kind: type[Spec]) -> Mode:
    return next(mode for mode in task.modes if mode.spec is kind)


# ---- compare --------------------------------------------------------------------------------------------------------


def _show_comparison(task: Task, images: ImageSet) -> None:
    form = _CompareForm(images)
    task_page.ask_and_show(
        task,
        None,
        lambda result, _rows, run: images_comparison.show_comparison(result, run),
        mode=_find_mode(task, ImagesCompareSpec),
        kind=ImageComparison,
        widgets=form.widgets,
        before_fields=form.ask_names,
        after_button=form.show_effort,
        cancelled=_(
            "The comparison is cancelled. Its finished trainings are saved: if you start the same "
            "comparison again, it continues from there."
        ),
    )
    running = task_page.find_running_spec(task)
    if isinstance(running, ImagesCompareSpec) and running.images == images.digest:
        images_comparison.watch_unfinished(running, images)
    elif form.spec is not None and not url_state.get_run_id():
        images_comparison.show_unfinished(form.spec, images)


class _CompareForm:
    """Detectors and classes at full width, above the fields of the spec. `spec` is the one that was asked for."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images
        self.detectors: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self.spec: ImagesCompareSpec | None = None

    @property
    def widgets(self) -> dict[str, Any]:
        """Field of the spec → widget; the names are asked above the fields."""
        return {
            "images": lambda _dataset: self.images.digest,
            "detectors": lambda _dataset: self.detectors,
            "classes": lambda _dataset: self.classes,
        }

    def ask_names(self) -> None:
        """Ask for detectors and normal classes. A class that is in the test part only cannot be normal."""
        known = list_comparable(st.session_state.get(f"images-{ABNORMAL_FIELD}") or 0)
        choices = list_fitting_classes(self.images)
        names = st.multiselect(
            _("Detectors"),
            [name for name in known if name != LINE_TO_BEAT],
            [name for name in choose_quick_detectors(self.images) if name != LINE_TO_BEAT],
            format_func=name_detector,
            key="images-detectors-colour" if self.images.is_colour else "images-detectors",
            help=_("{name} learns nothing and takes part in every comparison: it is the reference.").format(
                name=name_detector(LINE_TO_BEAT)
            ),
            persist_state="page",
        )
        if len(known) < len(list_detectors()):
            st.caption(_("Supervised detectors can be chosen when “Labelled abnormal images” is above 0."))
        classes = st.multiselect(
            _("Normal classes"),
            choices,
            placeholder=_("All"),
            key=f"images-classes-{self.images.digest}",
            help=_("Each of them is the normal class in turn; all other test images are then abnormal."),
            persist_state="page",
        )
        self.detectors, self.classes = (LINE_TO_BEAT, *names), tuple(classes or choices)

    def show_effort(self, spec: Any) -> None:
        """Keep the spec, and show how many fits it makes."""
        self.spec = spec
        _show_effort(spec)


def _show_effort(spec: Any) -> None:
    """Show how many fits a comparison makes, and how long they may take."""
    classes = len(spec.classes)
    fits = len(spec.detectors) * classes * spec.seeds
    minutes = fits * spec.seconds_per_fit / SECONDS_PER_MINUTE
    template = _(
        "Detectors: {detectors}. Normal classes: {classes}. Seeds: {seeds}. Trainings: {fits}, in at most "
        "{minutes} min. Finished trainings are kept, even if the job is cancelled."
    )
    st.caption(
        template.format(
            detectors=format_value(len(spec.detectors)),
            classes=format_value(classes),
            seeds=format_value(spec.seeds),
            fits=format_value(fits),
            minutes=format_value(max(1, round(minutes))),
        )
    )


# ---- one model ------------------------------------------------------------------------------------------------------


def _show_model(task: Task, images: ImageSet) -> None:
    comparison = url_state.get_query_param("from")
    if comparison:
        st.page_link(
            ANALYSIS_FOLDER / "images.py",
            label=_("Back to the comparison"),
            icon=":material/arrow_back:",
            query_params={"run": comparison, "section": COMPARE},
        )
    task_page.ask_and_show(
        task,
        None,
        lambda result, _rows, run: images_model.show_model(result, images, run),
        mode=_find_mode(task, ImagesFitSpec),
        kind=ImageModelResult,
        widgets={"images": lambda _dataset: images.digest, "normal_class": lambda _dataset: _ask_normal_class(images)},
    )


def _ask_normal_class(images: ImageSet) -> str:
    names = list_fitting_classes(images) or list(images.classes)
    default = choose_normal_class(images)
    return st.selectbox(
        _("Normal class"),
        names,
        names.index(default) if default in names else 0,
        key=f"images-normal_class-{images.digest}",
        help=_("The model learns this class only. All other images of the test part are abnormal."),
        persist_state="page",
    )


# ---- your pictures --------------------------------------------------------------------------------------------------


def _show_pictures(task: Task, result: Result | None, shown_spec: Spec | None) -> None:
    """Show the pictures to be inspected, and the saved model that scores them."""
    picker = ImagePicker(
        "pictures", _("Load the images to inspect. A saved model scores them, the most abnormal first."), False
    )
    pictures = _open_images(picker, shown_spec, PICTURES)
    if pictures is None:
        picker.show_sources()
        return
    _show_images(picker, pictures, result)
    task_page.ask_and_show(
        task,
        None,
        lambda scores, _rows, run: images_scores.show_scores(scores, pictures, run),
        mode=_find_mode(task, ImagesScoreSpec),
        kind=ImageScores,
        widgets={"images": lambda _dataset: pictures.digest},
        describe_model=_describe_model,
    )


def _describe_model(record: Any) -> str:
    detector, normal_class = record.params.get("detector", ""), record.params.get("normal_class", "")
    return " · ".join(filter(None, [name_detector(detector), normal_class]))


page()
