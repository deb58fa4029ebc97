"""Files of drivers on screen: read, stored under a digest that the address keeps, and how each came into the data."""

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

NAMED = 6  # entities and places written out in a cell
NOTES = 12
LONGEST = 28  # days to come that are joined as well
TURN = "drivers-turn"
SAMPLE, WEATHER = ("sample_gas_daily.csv",), "sample_gas_weather.csv"


def digest() -> str:
    """The drivers of the address, or those used last in this session; "" without any."""
    return url_state.get_query_param("drivers") or url_state.get_state("drivers", "")


def remember(chosen: str) -> None:
    """Make `chosen` the drivers of this session and of the address; "" takes them away."""
    url_state.set_state("drivers", chosen)
    url_state.set_query_param("drivers", chosen)


def suggest(chosen: str) -> None:
    """The drivers of the result on screen, where the address and this session have no others."""
    if chosen and not digest() and url_state.get_state("drivers") is None:
        remember(chosen)


def ask(dataset: Dataset) -> str:
    """Ask for files of what is known in advance; return the digest they are stored under, "" without any."""
    chosen = tables(dataset)
    return cache.get_workspace().drivers.save(chosen) if chosen else ""


def tables(dataset: Dataset) -> tuple[CovariateTable, ...]:
    """The files chosen for `dataset`, with what loads more of them and the report of how they were joined."""
    known = _stored()
    _upload(known)
    if dataset.files == SAMPLE and WEATHER not in {table.file for table in known}:
        _offer_weather(known)
    if known:
        _report(dataset, known)
    return known


def read(uploads: Sequence[UploadedFile]) -> list[CovariateTable]:
    """Uploaded files as tables; read by path, under a name of ours. Raises as `read_covariates`."""
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
    """Read as soon as they are dropped; a file of the same name takes the older one's place."""
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
    """The built-in gas sample has its weather built in as well."""
    if st.button(_("Use the sample's weather"), icon=":material/partly_cloudy_day:", key="sample-weather"):
        _add(known, _sample_weather)


def _sample_weather() -> list[CovariateTable]:
    with TemporaryDirectory(prefix="vigie-drivers-") as folder:
        path = Path(folder) / WEATHER
        write_sample("gas_weather", path)
        return read_covariates([path])


def _add(known: tuple[CovariateTable, ...], reading: Callable[[], list[CovariateTable]]) -> None:
    """Store what is read beside the files known, and make both the drivers."""
    try:
        with st.spinner(_("Reading …")):
            new = reading()
            names = {table.file for table in new}
            chosen = cache.get_workspace().drivers.save([*(table for table in known if table.file not in names), *new])
    except InputError as error:  # the question below stays as it is
        st.error(say(error.text), icon=":material/error:")
        return
    remember(chosen)
    url_state.set_state(TURN, url_state.get_state(TURN, 0) + 1)  # an empty uploader: what was read stands in the report
    st.rerun()


# ---- the report -----------------------------------------------------------------------------------------------------


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
    """Joined once for a `key` of both."""
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
    """The first names, and how many more there are."""
    more = f" … (+{len(names) - NAMED})" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
