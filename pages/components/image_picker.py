"""Choice of a set of images: upload, sample or stored set, its address, and a first look at it.

The address of a set is a query parameter with its digest; a page with two sets gives them two names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.images.exporting import make_contact_sheet
from core.data.images.image_set import UNLABELLED, ImageSet
from core.data.images.reading import read_image_set
from core.data.images.samples import IMAGE_SAMPLES, load_image_sample
from core.errors import NotFoundError
from core.figures.class_counts import draw_class_counts
from core.runs.tracked_run import record_event
from core.storage.image_sets import ImageSetInfo
from pages.components import auth, cache, url_state
from pages.components.i18n import _, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_chart

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
        """Show the ways to images: files, samples, recent sets."""
        st.markdown(self.invitation)
        uploads = st.file_uploader(
            _("Images, a zip with one folder per class, npz or idx files"),
            accept_multiple_files=True,
            max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
            key=f"{self.param}-files",
            help=_("A folder named normal, good or ok holds the normal images. An npz file holds x_train, y_train, …"),
        )
        if uploads and st.button(_("Load"), type="primary", icon=":material/upload:", key=f"{self.param}-load"):
            self._store("upload", partial(_read_uploads, uploads), files=[upload.name for upload in uploads])
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

    def _show_samples(self) -> None:
        st.header(_("Or open a sample"))
        for column, sample in zip(st.columns(len(IMAGE_SAMPLES)), IMAGE_SAMPLES.values(), strict=True):
            with column.container(border=True, height="stretch"):
                st.markdown(f"**{_(sample.label)}**")
                st.caption(_(sample.summary))
                if st.button(_("Open"), key=f"{self.param}-sample-{sample.name}", width="stretch"):
                    self._store("sample", partial(load_image_sample, sample.name), sample=sample.name)

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

    def _store(self, source: str, read: Callable[[], ImageSet], **inputs: object) -> None:
        """Read a set of images, store it, and open it."""
        workspace = cache.get_workspace()
        with (
            st.spinner(_("Reading …")),
            record_event("data_load", auth.current_actor("images"), workspace, source=source, **inputs) as event,
        ):
            event["dataset"] = workspace.image_sets.save(read(), auth.dataset_owner())
        self.open(event["dataset"])
        st.rerun()


@st.cache_resource(max_entries=MAX_CACHED_SETS, show_spinner=False)
def _load_images(digest: str) -> ImageSet:
    """Load a set once per server; its pixels stay on disk until they are used."""
    return cache.get_workspace().image_sets.load(digest)


def _read_uploads(uploads: list[UploadedFile]) -> ImageSet:
    with TemporaryDirectory(prefix="vigie-upload-") as folder:
        files = [_write_upload(upload, Path(folder) / f"upload-{number}") for number, upload in enumerate(uploads)]
        return read_image_set(files, source="upload")


def _write_upload(upload: UploadedFile, path: Path) -> tuple[Path, str]:
    path.write_bytes(upload.getbuffer())
    return path, upload.name


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
