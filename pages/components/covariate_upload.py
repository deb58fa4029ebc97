"""Upload of covariate files (weather, strikes, holidays), and the report of their join to the dataset.

The tables are stored under a digest, which the URL holds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.data.covariates import CovariateTable, Drivers, Join, joined, read_covariates
from core.data.dataset import DAY, Dataset
from core.data.samples import write_sample
from core.errors import InputError, NotFoundError
from pages.components import cache, url_state
from pages.components.i18n import _, percent, say, shown

NAMED = 6  # entities or regions written in one cell
NOTES = 12
LONGEST = 28  # days after the data that are joined, too
TURN = "drivers-turn"
SAMPLE, WEATHER = ("sample_gas_daily.csv",), "sample_gas_weather.csv"


def digest() -> str:
    """Return the covariates of the URL, else the last ones of the session; "" without any."""
    return url_state.get_query_param("drivers") or url_state.get_state("drivers", "")


def remember(chosen: str) -> None:
    """Set the covariates of the session and of the URL; "" removes them."""
    url_state.set_state("drivers", chosen)
    url_state.set_query_param("drivers", chosen)


def suggest(chosen: str) -> None:
    """Set the covariates of the result on screen, if neither the URL nor the session has any."""
    if chosen and not digest() and url_state.get_state("drivers") is None:
        remember(chosen)


def ask(dataset: Dataset) -> str:
    """Ask for covariate files; return the digest of the stored tables, "" without any."""
    chosen = tables(dataset)
    return cache.get_workspace().drivers.save(chosen) if chosen else ""


def tables(dataset: Dataset) -> tuple[CovariateTable, ...]:
    """Return the covariate tables for `dataset`; show the uploader and the report of the join."""
    known = _stored()
    _upload(known)
    if dataset.files == SAMPLE and WEATHER not in {table.file for table in known}:
        _offer_weather(known)
    if known:
        _report(dataset, known)
    return known


def read(uploads: Sequence[UploadedFile]) -> list[CovariateTable]:
    """Read uploaded files as covariate tables, from generated file names. Raises as `read_covariates`."""
    with TemporaryDirectory(prefix="vigie-drivers-") as folder:
        files = []
        for number, upload in enumerate(uploads):
            path = Path(folder) / f"upload-{number}"
            path.write_bytes(upload.getbuffer())
            files.append((path, upload.name))
        return read_covariates(files)


def _stored() -> tuple[CovariateTable, ...]:
    chosen = digest()
    if not chosen:
        return ()
    try:
        found = cache.get_workspace().drivers.load(chosen)
    except NotFoundError as error:
        remember("")
        st.warning(say(error.text), icon=":material/warning:")
        return ()
    remember(chosen)
    return tuple(found)


def _upload(known: tuple[CovariateTable, ...]) -> None:
    """Show the uploader; files are read at once, and a file replaces an older one of the same name."""
    turn = url_state.get_state(TURN, 0)
    uploads = st.file_uploader(
        _("Drivers: files of weather, strikes, public holidays, school breaks"),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key=f"driver-files-{turn}",
        help=_(
            "What is known before the day comes. One row per day, with a region or for the whole country; "
            "rows beyond the data tell of the days to forecast."
        ),
    )
    st.caption(_("French public holidays and school breaks come by themselves; a file of them takes their place."))
    if uploads:
        _add(known, lambda: read(uploads))


def _offer_weather(known: tuple[CovariateTable, ...]) -> None:
    """Show the button that loads the weather of the built-in gas sample."""
    if st.button(_("Use the sample's weather"), icon=":material/partly_cloudy_day:", key="sample-weather"):
        _add(known, _sample_weather)


def _sample_weather() -> list[CovariateTable]:
    with TemporaryDirectory(prefix="vigie-drivers-") as folder:
        path = Path(folder) / WEATHER
        write_sample("gas_weather", path)
        return read_covariates([path])


def _add(known: tuple[CovariateTable, ...], reading: Callable[[], list[CovariateTable]]) -> None:
    """Store new tables with the current ones, and set both as the covariates."""
    try:
        with st.spinner(_("Reading …")):
            new = reading()
            names = {table.file for table in new}
            chosen = cache.get_workspace().drivers.save([*(table for table in known if table.file not in names), *new])
    except InputError as error:  # the form below stays on screen
        st.error(say(error.text), icon=":material/error:")
        return
    remember(chosen)
    url_state.set_state(TURN, url_state.get_state(TURN, 0) + 1)  # a new key empties the uploader
    st.rerun()


# ---- report of the join ---------------------------------------------------------------------------------------------


def _report(dataset: Dataset, known: tuple[CovariateTable, ...]) -> None:
    found = _joined(dataset, known, f"{dataset.digest} {digest()}")
    st.dataframe(
        pd.DataFrame([_line(join, len(dataset.entities)) for join in found.joins]),
        hide_index=True,
        width="stretch",
        key="joins",
        alt=_("How each file was joined to the data"),
        column_config={
            "file": st.column_config.TextColumn(_("File")),
            "kind": st.column_config.TextColumn(_("Kind")),
            "matched": st.column_config.TextColumn(
                _("Matched"), help=_("Entities whose region, school zone or country the file tells of.")
            ),
            "covered": st.column_config.TextColumn(
                _("Days covered"), help=_("Share of the data's days of which the file says something.")
            ),
            "period": st.column_config.TextColumn(_("Period")),
            "columns": st.column_config.TextColumn(_("Columns")),
            "unmatched": st.column_config.TextColumn(_("Entities without a match")),
            "unused": st.column_config.TextColumn(_("Places not used")),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("Joined by region and day: every entity keeps its days, no join adds or drops a row."))
        if st.button(_("Take these files away"), key="forget-drivers", type="tertiary", icon=":material/delete:"):
            remember("")
            st.rerun()
    notes = [note for table in known for note in table.notes] + list(found.notes)
    st.caption("\n".join(f"- {say(note.text)}" for note in notes[:NOTES]))


@st.cache_resource(max_entries=16, show_spinner=False)
def _joined(_dataset: Dataset, _tables: tuple[CovariateTable, ...], key: str) -> Drivers:
    """Join the tables to the dataset, once per `key` of both."""
    return joined(_dataset, _tables, until=pd.Timestamp(_dataset.time.max()) + DAY * LONGEST)


def _line(join: Join, entities: int) -> dict[str, str]:
    start, end = (shown(pd.Timestamp(day).date()) for day in (join.start, join.end))
    kinds = {
        "weather": _("weather"),
        "strikes": _("strikes"),
        "holidays": _("public holidays"),
        "other": _("other"),
        "school_breaks": _("school breaks"),
        "dataset": _("in the data"),
    }
    return {
        "file": join.file,
        "kind": kinds.get(join.kind, join.kind),
        "matched": f"{join.entities_matched} / {entities}",
        "covered": percent(round(join.coverage, 3)),
        "period": f"{start} – {end}",
        "columns": ", ".join(join.columns),
        "unmatched": _named(join.entities_unmatched),
        "unused": _named(join.places_unused),
    }


def _named(names: Sequence[str]) -> str:
    """Return the first names, and the number of those left out."""
    more = f" … (+{len(names) - NAMED})" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
