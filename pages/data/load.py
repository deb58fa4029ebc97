"""Page that loads data: files or a sample, the data doctor's report, and repairs."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.dataset import Dataset
from core.data.ingest.layouts.base import Role, Roles
from core.data.ingest.loading import Preview, list_layouts, load, load_preview
from core.data.samples import SAMPLES, load_sample
from core.errors import UnknownLayoutError
from core.runs.tracked_run import record_event
from pages.components import auth, cache, doctor, url_state
from pages.components.i18n import _, format_value, translate_message
from pages.components.role_labels import format_role


def page() -> None:
    """Show the loaded dataset, or the sources of data."""
    dataset = cache.load_dataset()
    if dataset is None:
        st.title(_("Which data do you want to analyse?"))
        _show_sources()
    else:
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
    _show_samples()
    _show_recent()


# ---- files ----------------------------------------------------------------------------------------------------------


def _load_uploads(uploads: list[UploadedFile]) -> None:
    """Load files on click if the layout is recognised; else let the user assign roles to the columns."""
    unit = st.text_input(_("Unit of the measurements (if not in the file)"), key="unit", placeholder="MWh")
    is_manual = st.toggle(_("Set layout and columns manually"), key="by-hand")
    if not is_manual and not st.button(_("Load"), type="primary", key="load"):
        return
    with TemporaryDirectory(prefix="vigie-upload-") as folder:
        files = [_write_upload(upload, Path(folder), number) for number, upload in enumerate(uploads)]
        try:
            if is_manual:
                _map_columns(files, unit)
            else:
                _load_files(files, None, None, unit)
        except UnknownLayoutError as error:
            st.warning(translate_message(error.message), icon=":material/view_column:")
            st.info(_("Switch on “Set layout and columns manually” to set the role of each column."))


def _write_upload(upload: UploadedFile, folder: Path, number: int) -> tuple[Path, str]:
    """Write an upload to a generated path; files are always read by path."""
    path = folder / f"upload-{number}"
    with path.open("wb") as target:
        target.write(upload.getbuffer())
    return path, upload.name


def _map_columns(files: list[tuple[Path, str]], unit: str) -> None:
    """Show the mapping editor: a role for every column, next to its first values."""
    file_preview = load_preview(files)
    layouts = {layout.name: layout for layout in list_layouts()}
    names = list(layouts)
    layout_name = st.selectbox(
        _("Layout"),
        names,
        names.index(file_preview.layout) if file_preview.layout else names.index("tidy_series"),
        format_func=lambda name: _(layouts[name].label),
        key="layout",
    )
    st.caption(_(layouts[layout_name].summary))
    roles = _edit_roles(file_preview)
    if st.button(_("Load with these columns"), type="primary", key="load-mapped"):
        _load_files(files, layout_name, roles, unit)


def _edit_roles(file_preview: Preview) -> Roles:
    columns = list(file_preview.head.columns)
    readings = [file_preview.readings.get(column) for column in columns]
    table = pd.DataFrame(
        {
            "column": columns,
            "role": [file_preview.roles.get(column, "ignore") for column in columns],
            "reason": [translate_message(reading.reason) if reading else "" for reading in readings],
            "unit": [reading.unit if reading else "" for reading in readings],
            "values": [", ".join(map(str, file_preview.head[column].head(3))) for column in columns],
        }
    )
    edited_table = st.data_editor(
        table,
        hide_index=True,
        width="stretch",
        key="roles",
        disabled=["column", "reason", "unit", "values"],
        column_config={
            "column": st.column_config.TextColumn(_("Column")),
            "role": st.column_config.SelectboxColumn(
                _("Role"), options=list(get_args(Role)), required=True, format_func=format_role, width=130
            ),
            "reason": st.column_config.TextColumn(_("Read as")),
            "unit": st.column_config.TextColumn(_("Unit")),
            "values": st.column_config.TextColumn(_("First values"), width="large"),
        },
    )
    return dict(zip(edited_table["column"], edited_table["role"], strict=True))


def _load_files(files: list[tuple[Path, str]], layout: str | None, roles: Roles | None, unit: str) -> None:
    bar = st.progress(0.0, _("Reading …"))

    def show_progress(share: float) -> None:
        bar.progress(share)

    workspace = cache.get_workspace()
    with record_event(
        "data_load", auth.current_actor("data"), workspace, files=[name for _path, name in files]
    ) as inputs:
        dataset = load(files, layout=layout, roles=roles, unit=unit.strip(), progress=show_progress)
        inputs["dataset"] = workspace.datasets.save(dataset, auth.dataset_owner())
    bar.empty()
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _show_samples() -> None:
    st.subheader(_("Or open a sample"))
    for column, sample in zip(st.columns(len(SAMPLES)), SAMPLES.values(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{_(sample.label)}**")
            st.caption(_(sample.summary))
            if st.button(_("Open"), key=f"sample-{sample.name}", width="stretch"):
                _open_sample(sample.name)


def _open_sample(name: str) -> None:
    workspace = cache.get_workspace()
    with (
        st.spinner(_("Creating the sample …")),
        record_event("data_load", auth.current_actor("data"), workspace, sample=name) as inputs,
    ):
        inputs["dataset"] = workspace.datasets.save(load_sample(name), auth.dataset_owner())
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _show_recent() -> None:
    infos = cache.get_workspace().datasets.list_recent(8, auth.dataset_owner())
    if not infos:
        return
    st.subheader(_("Or open recent data"))
    for info in infos:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(_("Open"), key=f"open-{info.digest}"):
                url_state.set_dataset(info.digest)
                st.rerun()
            repaired = _(" · repaired") if info.repairs else ""
            rows = _("rows: {rows}").format(rows=format_value(info.rows))
            st.markdown(f"{', '.join(info.files)} · {rows}{repaired}")


# ---- dataset --------------------------------------------------------------------------------------------------------


def _show_dataset(dataset: Dataset) -> None:
    st.title(", ".join(dataset.files[:3]) + (" …" if len(dataset.files) > 3 else ""))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            Path(__file__).parents[1] / "analysis" / "anomalies.py",
            label=_("Find anomalies"),
            icon=":material/troubleshoot:",
            query_params={"dataset": dataset.digest},
        )
        if st.button(_("Load other data"), icon=":material/upload_file:", key="other", type="tertiary"):
            url_state.clear_dataset()
            st.rerun()
    doctor.show(dataset)


page()
