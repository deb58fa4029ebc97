"""Page that loads data: files or a sample, the data doctor's report, and repairs.

Uploaded files are stored at once. The address holds their digest, and the key of the job that reads them.
"""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import queries
from core.data.dataset import Dataset
from core.data.overview import ColumnOverview
from core.data.read_options import DETECT_ALL, ReadOptions, format_roles
from core.errors import UnknownLayoutError, VigieError
from core.jobs import Job
from core.operations.queries import LOAD_PAGE, PREVIEW_FILES, READ_FILES
from core.operations.reading import FilesSpec, ReadingSpec, find_files, is_quickly_read
from core.progress import Progress
from core.spec.codec import encode
from pages.components import (
    answers,
    auth,
    cache,
    dataset_overview,
    doctor,
    job_progress,
    running_jobs,
    sample_cards,
    url_state,
    way_back,
)
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown
from pages.components.task_links import ANALYSIS_FOLDER
from pages.components.uploads import store_files

RECENT_DATASETS = 6
FILES_PARAM = "files"
UPLOADED_STATE = "uploaded-files"


def page() -> None:
    """Show the loaded dataset, or the sources of data."""
    job = job_progress.open_finished_run(url_state.get_dataset_digest())
    dataset = cache.load_dataset()
    if dataset is None:
        with st.container():
            st.title(_("Which data do you want to analyse?"))
            _show_sources(job)
    else:
        st.empty()  # takes the place of the sources, which otherwise stay below the dataset until all is drawn
        _show_dataset(dataset, job)


def _show_sources(job: Job | None) -> None:
    """Show the progress of the reading, or the ways to data. `job` is one that has just ended without a dataset."""
    running_jobs.show_page_jobs(LOAD_PAGE)
    if job_progress.is_job_running():
        _show_reading()
        return
    uploads = st.file_uploader(
        _(
            "Drop one or more files here. Formats: CSV, TSV, XLSX, Parquet, JSON, NPZ, .seq and "
            "NetMob23, also compressed as .gz or .zip"
        ),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key="uploads",
    )
    files = _store_uploads(uploads)
    if files:
        _offer_reading(files, has_uploader=bool(uploads))
    _explain(lambda: job_progress.show(job, _("The reading is cancelled. The files are still here.")))
    infos = cache.get_workspace().datasets.list_recent(RECENT_DATASETS, auth.dataset_owner())
    if infos:
        st.header(_("Or open recent data"))
        way_back.show_datasets(infos)
    st.header(_("Or open a sample"))
    sample_cards.show()


# ---- files ----------------------------------------------------------------------------------------------------------


def _store_uploads(uploads: list[UploadedFile]) -> str:
    """Store the files of the uploader, and return the digest of these, or of those in the address; "" without any."""
    if uploads:
        with st.spinner(_("Saving the files …")):
            digest = store_files(uploads)
        url_state.set_state(UPLOADED_STATE, digest)
        url_state.set_query_param(FILES_PARAM, digest)
        return digest
    digest = url_state.get_query_param(FILES_PARAM)
    was_removed = digest == url_state.get_state(UPLOADED_STATE)  # with the cross of the uploader
    if digest and (was_removed or not find_files(digest, cache.get_workspace())):
        url_state.set_query_param(FILES_PARAM, "")
        return ""
    return digest


def _offer_reading(files: str, *, has_uploader: bool) -> None:
    """Read files on click; let the user assign roles to the columns on request, or if no layout fits."""
    if not has_uploader:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(escape_markdown(_name_files(files)))
            if st.button(_("Other files"), key="other-files", type="tertiary", icon=":material/close:"):
                url_state.set_query_param(FILES_PARAM, "")
                st.rerun()
    if st.toggle(_("Set layout and columns manually"), key="by-hand"):
        _explain(lambda: _map_columns(files))
    elif st.button(_("Load"), type="primary", key="load"):
        _explain(lambda: _read_files(files, DETECT_ALL))


def _name_files(files: str) -> str:
    names = [name for _path, name in find_files(files, cache.get_workspace())]
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _map_columns(files: str) -> None:
    """Show how the columns are read, with a role to choose for each, and the other options of reading."""
    is_short = is_quickly_read(files, cache.get_workspace())
    preview = answers.ask(PREVIEW_FILES, FilesSpec(files), place="columns", is_short=is_short)
    if preview is None:
        return
    table = dataset_overview.tabulate_columns([ColumnOverview(column) for column in preview.columns])
    edited = dataset_overview.edit_roles(table, is_editable=True, key="roles")
    options = dataset_overview.ask_read_options(DETECT_ALL, "read")
    if st.button(_("Load with these columns"), type="primary", key="load-mapped"):
        roles = {
            name: role
            for name, role, old in zip(edited["column"], edited["role"], table["role"], strict=True)
            if role != old
        }
        _read_files(files, replace(options, roles=format_roles(roles)))


def _read_files(files: str, options: ReadOptions) -> None:
    """Read small files at once, and others by a job; then open the dataset. Raises the errors of `read_files`."""
    spec = ReadingSpec(files, options, auth.dataset_owner())
    spec.check()
    if not is_quickly_read(files, cache.get_workspace()):
        job_progress.submit_job(READ_FILES, encode(spec))
    workspace, actor = cache.get_workspace(), auth.current_actor("data")
    with st.spinner(_("Reading …")):
        digest = cache.submit_once(
            f"read {encode(spec)}",
            lambda: queries.answer_question(READ_FILES, spec, workspace=workspace, actor=actor, progress=Progress()),
        )
    url_state.open_dataset(digest)
    st.rerun()


def _show_reading() -> None:
    """Show the progress of the job that reads files, whose digest stays in the address."""
    url_state.set_state(UPLOADED_STATE, "")  # the uploader is empty afterwards, and nobody emptied it
    job = job_progress.find_running_job()
    files = "" if job is None else str(job.arguments.get("files", ""))
    if files:
        url_state.set_query_param(FILES_PARAM, files)
        st.markdown(escape_markdown(_name_files(files)))
    job_progress.show(None)


def _explain(work: Callable[[], None]) -> None:
    """Call `work`, and show its error in place, so that the rest of the page stays."""
    try:
        work()
    except UnknownLayoutError as error:
        st.warning(translate_message(error.message), icon=":material/view_column:")
        st.info(_("Switch on “Set layout and columns manually” to set the role of each column."))
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")


# ---- dataset --------------------------------------------------------------------------------------------------------


def _show_dataset(dataset: Dataset, job: Job | None) -> None:
    """Show a dataset. `job` is one that has just ended without a dataset: another reading, or a repair."""
    url_state.set_query_param(FILES_PARAM, "")
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
    _explain(lambda: job_progress.show(job, _("The job is cancelled. The data stay as they are.")))
    files = dataset.source or dataset.digest
    is_stored = bool(find_files(files, cache.get_workspace()))
    dataset_overview.show(
        dataset, (lambda options: _explain(lambda: _read_files(files, options))) if is_stored else None
    )
    doctor.show(dataset)


page()
