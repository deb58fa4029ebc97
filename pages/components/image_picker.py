"""Choice of a set of images: upload, sample or stored set, its address, and a first look at it.

The address of a set is a query parameter with its digest; a page with two sets gives them two names.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import queries
from core.data.images.exporting import make_contact_sheet
from core.data.images.image_set import UNLABELLED, ImageSet
from core.data.images.samples import IMAGE_SAMPLES, load_image_sample
from core.errors import NotFoundError, VigieError
from core.figures.class_counts import draw_class_counts
from core.jobs import Job
from core.operations.queries import READ_IMAGES
from core.operations.reading import ImageReadingSpec, is_quickly_read
from core.progress import Progress
from core.runs.tracked_run import record_event
from core.spec.codec import encode
from core.storage.image_sets import ImageSetInfo
from pages.components import auth, cache, job_progress, url_state
from pages.components.i18n import _, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_chart
from pages.components.uploads import store_files

MAX_CACHED_SETS = 4
MAX_SHOWN_CLASSES, IMAGES_PER_CLASS = 20, 8
STRIP_WIDTH_PX = 320


@dataclass(frozen=True)
class ImagePicker:
    """One set of images of a page.

    param        query parameter with its digest; also the prefix of the widgets
    invitation   sentence above the sources
    has_samples  True to offer samples
    """

    param: str
    invitation: str
    has_samples: bool = True

    def load(self) -> ImageSet | None:
        """Return the set of the address, else the last one of the session; None without one.

        Raises NotFoundError for a set that is not stored, and removes it from the address.
        """
        self._open_finished_reading()
        digest = url_state.get_query_param(self.param) or url_state.get_state(self._state_key) or ""
        if not digest:
            return None
        try:
            images = _load_images(digest)
        except NotFoundError:
            self.drop()
            raise
        self.open(digest)
        return images

    def open(self, digest: str) -> None:
        """Set the set of the address and of the session."""
        url_state.set_state(self._state_key, digest)
        url_state.set_query_param(self.param, digest)

    def drop(self) -> None:
        """Remove the set from the address and from the session."""
        self.open("")

    def show_sources(self) -> None:
        """Show the progress of the reading, or the ways to images: files, samples, recent sets."""
        if self._is_reading():
            job_progress.show(None)
            return
        st.markdown(self.invitation)
        self._explain_last_reading()
        uploads = st.file_uploader(
            _("Images, a zip with one folder per class, npz or idx files"),
            accept_multiple_files=True,
            max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
            key=f"{self.param}-files",
            help=_("A folder named normal, good or ok holds the normal images. An npz file holds x_train, y_train, …"),
        )
        if uploads and st.button(_("Load"), type="primary", icon=":material/upload:", key=f"{self.param}-load"):
            self._read_uploads(uploads)
        if self.has_samples:
            self._show_samples()
        self._show_recent()

    def show_line(self, images: ImageSet) -> None:
        """Show the set in one line, with the button that leaves it."""
        with st.container(horizontal=True, vertical_alignment="center", key=f"{self.param}-line"):
            st.caption(describe_images(images))
            if st.button(_("Other images"), icon=":material/upload_file:", key=f"{self.param}-other", type="tertiary"):
                self.drop()
                url_state.set_query_param("run", "")
                st.rerun()

    @property
    def _state_key(self) -> str:
        return f"set-{self.param}"

    @property
    def _job_key(self) -> str:
        return f"ended-job-{self.param}"

    def _show_samples(self) -> None:
        st.header(_("Or open a sample"))
        for column, sample in zip(st.columns(len(IMAGE_SAMPLES)), IMAGE_SAMPLES.values(), strict=True):
            with column.container(border=True, height="stretch"):
                st.markdown(f"**{_(sample.label)}**")
                st.caption(_(sample.summary))
                if st.button(_("Open"), key=f"{self.param}-sample-{sample.name}", width="stretch"):
                    self._store_sample(sample.name)

    def _show_recent(self) -> None:
        infos = cache.get_workspace().image_sets.list_recent(8, auth.dataset_owner())
        if not infos:
            return
        st.header(_("Or open recent images"))
        for info in infos:
            with st.container(horizontal=True, vertical_alignment="center"):
                if st.button(_("Open"), key=f"{self.param}-open-{info.digest}"):
                    self.open(info.digest)
                    st.rerun()
                st.markdown(_describe_stored(info))

    def _store_sample(self, name: str) -> None:
        """Create a sample, store it, and open it."""
        workspace, actor = cache.get_workspace(), auth.current_actor("images")
        with (
            st.spinner(_("Creating the sample …")),
            record_event("data_load", actor, workspace, source="sample", sample=name) as event,
        ):
            event["dataset"] = workspace.image_sets.save(load_image_sample(name), auth.dataset_owner())
        self.open(event["dataset"])
        st.rerun()

    def _read_uploads(self, uploads: list[UploadedFile]) -> None:
        """Read small files at once, and others by a job; then open the set."""
        workspace, actor = cache.get_workspace(), auth.current_actor("images")
        with st.spinner(_("Reading …")):
            files = store_files(uploads)
            spec = ImageReadingSpec(files, auth.dataset_owner(), self.param)
            if not is_quickly_read(files, workspace):
                job_progress.submit_job(READ_IMAGES, encode(spec))
            digest = queries.answer_question(READ_IMAGES, spec, workspace=workspace, actor=actor, progress=Progress())
        self.open(digest)
        st.rerun()

    def _is_reading(self) -> bool:
        """Tell whether the job of the address reads images for this picker."""
        job = job_progress.find_running_job()
        return job is not None and job.task == READ_IMAGES and job.arguments.get("opener") == self.param

    def _open_finished_reading(self) -> None:
        """Open the set that the job of the address has read, or keep the job, to show why there is none."""
        job = job_progress.take_finished_job() if self._is_reading() else None
        if job is not None and job.run_id:
            self.open(job.run_id)
            st.rerun()
        url_state.set_state(self._job_key, job)

    def _explain_last_reading(self) -> None:
        job: Job | None = url_state.get_state(self._job_key)
        url_state.set_state(self._job_key, None)
        try:
            job_progress.show(job)
        except VigieError as error:
            st.error(translate_message(error.message), icon=":material/error:")


@st.cache_resource(max_entries=MAX_CACHED_SETS, show_spinner=False)
def _load_images(digest: str) -> ImageSet:
    """Load a set once per server; its pixels stay on disk until they are used."""
    return cache.get_workspace().image_sets.load(digest)


# ---- first look -----------------------------------------------------------------------------------------------------


def describe_images(images: ImageSet) -> str:
    """Return files, number, size, colours, classes and test part of a set in a few words."""
    facts = [
        _describe_files(images.files),
        *_describe_size(len(images), images.height, images.width, images.is_colour),
        _("classes: {count}").format(count=format_value(len(images.classes))) if images.classes else _("no classes"),
    ]
    if images.has_test_part:
        facts.append(_("test part: {count}").format(count=format_value(int(images.is_test.sum()))))
    return " · ".join(filter(None, facts))


def _describe_stored(info: ImageSetInfo) -> str:
    facts = _describe_size(info.images, info.height, info.width, info.is_colour)
    return " · ".join(filter(None, [_describe_files(info.files), *facts]))


def _describe_files(files: tuple[str, ...]) -> str:
    return escape_markdown(", ".join(files[:3]) + (" …" if len(files) > 3 else ""))


def _describe_size(count: int, height: int, width: int, is_colour: bool) -> list[str]:
    return [
        _("images: {count}").format(count=format_value(count)),
        f"{format_value(width)} × {format_value(height)}",
        _("colour") if is_colour else _("grey"),
    ]


def show_overview(images: ImageSet) -> None:
    """Show some images of every class, the images per class, and what a reader has to know about the reading."""
    for note in images.notes:
        st.caption(f":material/info: {translate_message(note)}")
    sheet, counts = st.columns([3, 2])
    with sheet:
        _show_sheet(images)
    if images.classes:
        with counts:
            figure = draw_class_counts(images.count_parts(MAX_SHOWN_CLASSES), _)
            show_chart(figure, "image-counts", _("Images per class"))


def _show_sheet(images: ImageSet) -> None:
    """Show the first images of every class in one line per class, those without a class last."""
    numbers = [*range(min(len(images.classes), MAX_SHOWN_CLASSES)), UNLABELLED]
    for number in numbers:
        members = np.flatnonzero(images.labels == number)[:IMAGES_PER_CLASS]
        if not len(members):
            continue
        name = _("without a class") if number == UNLABELLED else images.classes[number]
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"sheet-{number}"):
            with st.container(width=96):
                st.markdown(f"**{escape_markdown(name)}**")
            width = STRIP_WIDTH_PX * len(members) // IMAGES_PER_CLASS
            st.image(make_contact_sheet(images.pixels[members], columns=len(members)), width=width, alt=name)
    if len(images.classes) > MAX_SHOWN_CLASSES:
        st.caption(
            _("The first {shown} of {count} are shown.").format(
                shown=MAX_SHOWN_CLASSES, count=format_value(len(images.classes))
            )
        )
