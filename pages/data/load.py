"""Page that loads data: files or a sample, the data doctor's report, and repairs."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.dataset import Dataset
from core.data.ingest.loading import load, load_preview
from core.data.overview import ColumnOverview
from core.data.read_options import DETECT_ALL, ReadOptions, format_roles
from core.errors import InputError, UnknownLayoutError
from core.runs.tracked_run import record_event
from pages.components import auth, cache, dataset_overview, doctor, sample_cards, url_state, way_back
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown
from pages.components.task_links import ANALYSIS_FOLDER

RECENT_DATASETS = 6


def page() -> None:
    """Show the loaded dataset, or the sources of data."""
    dataset = cache.load_dataset()
    if dataset is None:
        with st.container():
            st.title(_("Which data do you want to analyse?"))
            _show_sources()
    else:
        st.empty()  # takes the place of the sources, which otherwise stay below the dataset until all is drawn
        _show_dataset(dataset)


def _show_sources() -> None:
    uploads = st.file_uploader(
        _(
            "Drop one or more files here. Formats: CSV, TSV, XLSX, Parquet, JSON, NPZ, .seq and "
            "NetMob23, also compressed as .gz or .zip"
        ),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key="uploads",
    )
    if uploads:
        _load_uploads(uploads)
    infos = cache.get_workspace().datasets.list_recent(RECENT_DATASETS, auth.dataset_owner())
    if infos:
        st.header(_("Or open recent data"))
        way_back.show_datasets(infos)
    st.header(_("Or open a sample"))
    sample_cards.show()


# ---- files ----------------------------------------------------------------------------------------------------------


def _load_uploads(uploads: list[UploadedFile]) -> None:
    """Load files on click; let the user assign roles to the columns on request, or if no layout fits."""
    is_manual = st.toggle(_("Set layout and columns manually"), key="by-hand")
    if not is_manual and not st.button(_("Load"), type="primary", key="load"):
        return
    with TemporaryDirectory(prefix="vigie-upload-") as folder:
        files = [_write_upload(upload, Path(folder), number) for number, upload in enumerate(uploads)]
        try:
            if is_manual:
                _map_columns(files)
            else:
                _load_files(files, DETECT_ALL)
        except UnknownLayoutError as error:
            st.warning(translate_message(error.message), icon=":material/view_column:")
            st.info(_("Switch on “Set layout and columns manually” to set the role of each column."))


def _write_upload(upload: UploadedFile, folder: Path, number: int) -> tuple[Path, str]:
    """Write an upload to a generated path; files are always read by path."""
    path = folder / f"upload-{number}"
    with path.open("wb") as target:
        target.write(upload.getbuffer())
    return path, upload.name


def _map_columns(files: list[tuple[Path, str]]) -> None:
    """Show how the columns are read, with a role to choose for each, and the other options of reading."""
    preview = load_preview(files)
    table = dataset_overview.tabulate_columns([ColumnOverview(column) for column in preview.columns])
    edited = dataset_overview.edit_roles(table, is_editable=True, key="roles")
    options = dataset_overview.ask_read_options(DETECT_ALL, "read")
    if st.button(_("Load with these columns"), type="primary", key="load-mapped"):
        roles = {
            name: role
            for name, role, old in zip(edited["column"], edited["role"], table["role"], strict=True)
            if role != old
        }
        _load_files(files, replace(options, roles=format_roles(roles)))


def _load_files(files: list[tuple[Path, str]], options: ReadOptions) -> None:
    """Load the files, keep them for another reading, and remember the options for files with the same columns."""
    bar = st.progress(0.0, _("Reading …"))

    def show_progress(share: float) -> None:
        bar.progress(share)

    workspace, owner = cache.get_workspace(), auth.dataset_owner()
    with record_event(
        "data_load", auth.current_actor("data"), workspace, files=[name for _path, name in files]
    ) as inputs:
        dataset = load(files, options, progress=show_progress)
        inputs["dataset"] = workspace.datasets.save(dataset, owner)
    workspace.uploads.save(dataset.digest, files)
    if not options.is_empty:
        workspace.read_choices.save([reading.name for reading in dataset.readings], options, owner)
    bar.empty()
    url_state.set_dataset(dataset.digest)
    st.rerun()


# ---- dataset --------------------------------------------------------------------------------------------------------


def _show_dataset(dataset: Dataset) -> None:
    st.title(escape_markdown(", ".join(dataset.files[:3])) + (" …" if len(dataset.files) > 3 else ""))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            ANALYSIS_FOLDER / "anomalies.py",
            label=_("Find anomalies"),
            icon=":material/troubleshoot:",
            query_params={"dataset": dataset.digest},
        )
        if st.button(_("Load other data"), icon=":material/upload_file:", key="other", type="tertiary"):
            url_state.clear_dataset()
            st.rerun()
    files = cache.get_workspace().uploads.find(dataset.source or dataset.digest)
    dataset_overview.show(dataset, partial(_read_again, files) if files else None)
    doctor.show(dataset)


def _read_again(files: list[tuple[Path, str]], options: ReadOptions) -> None:
    """Read the files of the dataset with other options; the dataset stays as it is if that fails."""
    try:
        _load_files(files, options)
    except InputError as error:
        st.error(translate_message(error.message), icon=":material/error:")


page()
