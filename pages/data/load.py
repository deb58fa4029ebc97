"""Page that loads data: files or a sample, the data doctor's report, and repairs."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.dataset import Dataset
from core.data.ingest.layouts.base import Roles
from core.data.ingest.loading import Preview, known_layouts, load, preview
from core.data.samples import SAMPLES, load_sample
from core.errors import UnknownLayoutError
from core.runs.tracked_run import recorded
from pages.components import auth, cache, doctor, url_state
from pages.components.i18n import _, say, shown

ROLES = ("time", "entity", "measure", "total", "driver", "context", "label", "ignore")


def page() -> None:
    """Show the loaded dataset, or the sources of data."""
    dataset = cache.load_dataset()
    if dataset is None:
        st.title(_("What do you want to look at?"))
        _choose()
    else:
        _show(dataset)


def _choose() -> None:
    uploads = st.file_uploader(
        _("Drop one or more files here: CSV, TSV, XLSX, Parquet, JSON, NPZ, .seq or NetMob23, also as .gz or .zip"),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key="uploads",
    )
    if uploads:
        _uploaded(uploads)
    _samples()
    _recent()


# ---- files ----------------------------------------------------------------------------------------------------------


def _uploaded(uploads: list[UploadedFile]) -> None:
    """Load files on click if the layout is recognised; else let the user assign roles to the columns."""
    unit = st.text_input(_("Unit of the measurements, where the file does not say"), key="unit", placeholder="MWh")
    by_hand = st.toggle(_("Choose layout and columns myself"), key="by-hand")
    if not by_hand and not st.button(_("Load"), type="primary", key="load"):
        return
    with TemporaryDirectory(prefix="vigie-upload-") as folder:
        files = [_on_disk(upload, Path(folder), number) for number, upload in enumerate(uploads)]
        try:
            _mapped(files, unit) if by_hand else _read(files, None, None, unit)
        except UnknownLayoutError as error:
            st.warning(say(error.text), icon=":material/view_column:")
            st.info(_("Switch on “Choose layout and columns myself” to say which column is what."))


def _on_disk(upload: UploadedFile, folder: Path, number: int) -> tuple[Path, str]:
    """Write an upload to a generated path; files are always read by path."""
    path = folder / f"upload-{number}"
    with path.open("wb") as target:
        target.write(upload.getbuffer())
    return path, upload.name


def _mapped(files: list[tuple[Path, str]], unit: str) -> None:
    """Show the mapping editor: a role for every column, next to its first values."""
    found = preview(files)
    layouts = {layout.name: layout for layout in known_layouts()}
    names = list(layouts)
    chosen = st.selectbox(
        _("Layout"),
        names,
        names.index(found.layout) if found.layout else names.index("tidy_series"),
        format_func=lambda name: _(layouts[name].label),
        key="layout",
    )
    st.caption(_(layouts[chosen].summary))
    roles = _edited(found)
    if st.button(_("Load with these columns"), type="primary", key="load-mapped"):
        _read(files, chosen, roles, unit)


def _edited(found: Preview) -> Roles:
    table = pd.DataFrame(
        {
            "column": list(found.head.columns),
            "role": [found.roles.get(column, "ignore") for column in found.head.columns],
            "values": [", ".join(map(str, found.head[column].head(3))) for column in found.head.columns],
        }
    )
    edited = st.data_editor(
        table,
        hide_index=True,
        width="stretch",
        key="roles",
        disabled=["column", "values"],
        column_config={
            "column": st.column_config.TextColumn(_("Column")),
            "role": st.column_config.SelectboxColumn(_("Role"), options=list(ROLES), required=True),
            "values": st.column_config.TextColumn(_("First values"), width="large"),
        },
    )
    return dict(zip(edited["column"], edited["role"], strict=True))


def _read(files: list[tuple[Path, str]], layout: str | None, roles: Roles | None, unit: str) -> None:
    bar = st.progress(0.0, _("Reading …"))

    def show_progress(share: float) -> None:
        bar.progress(share)

    here = cache.get_workspace()
    with recorded("data_load", auth.current_actor("data"), here, files=[name for _path, name in files]) as inputs:
        dataset = load(files, layout=layout, roles=roles, unit=unit.strip(), progress=show_progress)
        inputs["dataset"] = here.datasets.save(dataset, auth.dataset_owner())
    bar.empty()
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _samples() -> None:
    st.subheader(_("No file at hand? Take a sample"))
    for column, sample in zip(st.columns(len(SAMPLES)), SAMPLES.values(), strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{_(sample.label)}**")
            st.caption(_(sample.summary))
            if st.button(_("Open"), key=f"sample-{sample.name}", width="stretch"):
                _take_sample(sample.name)


def _take_sample(name: str) -> None:
    here = cache.get_workspace()
    with (
        st.spinner(_("Making the sample …")),
        recorded("data_load", auth.current_actor("data"), here, sample=name) as inputs,
    ):
        inputs["dataset"] = here.datasets.save(load_sample(name), auth.dataset_owner())
    url_state.set_dataset(inputs["dataset"])
    st.rerun()


def _recent() -> None:
    stored = cache.get_workspace().datasets.recent(8, auth.dataset_owner())
    if not stored:
        return
    st.subheader(_("Or continue with recent data"))
    for each in stored:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(_("Open"), key=f"open-{each.digest}"):
                url_state.set_dataset(each.digest)
                st.rerun()
            repaired = _(" · repaired") if each.repairs else ""
            rows = _("rows: {rows}").format(rows=shown(each.rows))
            st.markdown(f"{', '.join(each.files)} · {rows}{repaired}")


# ---- dataset --------------------------------------------------------------------------------------------------------


def _show(dataset: Dataset) -> None:
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
