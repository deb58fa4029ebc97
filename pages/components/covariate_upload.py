"""Upload of covariate files (weather, strikes, holidays), the calendar, and the report of the join to the dataset.

The tables are stored under a digest, which the URL holds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import streamlit as st

from core.data.covariates import Covariates, CovariateTable, JoinReport, join_covariates, read_covariates
from core.data.covariates.calendar_choice import CalendarChoice, choose_calendars
from core.data.covariates.countries import NO_CALENDAR, list_countries, name_country
from core.data.covariates.covariate_table import NATION
from core.data.covariates.matching import MAP_SIGN, SCHOOL_ZONES, match_places, parse_places
from core.data.dataset import DAY, Dataset
from core.data.quality.findings import QUESTION_KINDS, Finding
from core.data.samples import write_sample
from core.errors import InputError, NotFoundError
from core.operations.queries import READ_COVARIATES
from core.operations.reading import CovariatesSpec, find_files, is_quickly_read
from pages.components import answers, cache, url_state
from pages.components.i18n import _, format_percent, format_value, get_language, translate_message
from pages.components.names import shorten_name
from pages.components.uploads import store_files

MAX_SHOWN_NAMES = 6  # entities or regions written in one cell
MAX_SHOWN_NOTES = 12
MAX_FUTURE_DAYS = 28  # days after the data that are joined, too
MAX_EDITED_ENTITIES = 500  # that are mapped on screen
UPLOADER_VERSION, UPLOADED_STATE = "covariates-version", "covariates-uploaded"
FILES_PARAM = "covariate-files"  # query parameter: the digest of files that are being read
CALENDAR_KEY, PLACES_STATE, FIRST_PLACES_STATE = "forecast-calendar", "covariate-places", "covariate-places-first"
SAMPLE_FILES, SAMPLE_WEATHER_FILE = ("sample_gas_daily.csv",), "sample_gas_weather.csv"


def get_digest() -> str:
    """Return the covariates of the URL, else the last ones of the session; "" without any."""
    return url_state.get_query_param("covariates") or url_state.get_state("covariates", "")


def set_digest(digest: str) -> None:
    """Set the covariates of the session and of the URL; "" removes them."""
    url_state.set_state("covariates", digest)
    url_state.set_query_param("covariates", digest)


def suggest_digest(digest: str) -> None:
    """Set the covariates of the result on screen, if neither the URL nor the session has any."""
    if digest and not get_digest() and url_state.get_state("covariates") is None:
        set_digest(digest)


def ask_digest(dataset: Dataset) -> str:
    """Ask for covariate files; return the digest of the stored tables, "" without any."""
    tables = ask_tables(dataset)
    return cache.get_workspace().covariates.save(tables) if tables else ""


def ask_tables(dataset: Dataset) -> tuple[CovariateTable, ...]:
    """Return the covariate tables for `dataset`; show the uploader and the report of the join."""
    tables = _load_stored_tables()
    _show_uploader(tables, dataset)
    if dataset.files == SAMPLE_FILES and SAMPLE_WEATHER_FILE not in {table.file for table in tables}:
        _offer_weather(tables)
    if tables:
        _show_join_report(dataset, tables)
    return tables


def read_files(files: str, dataset: str, place: str) -> tuple[CovariateTable, ...] | None:
    """Return the tables in uploaded files; None while a worker reads them, with the progress in their place.

    files    digest of the files, as `store_files` returns it
    dataset  digest of the data that they belong to
    place    part of the page that asks

    Raises the errors of `read_covariates` for files that are read at once.
    """
    is_short = is_quickly_read(files, cache.get_workspace())
    answer = answers.ask(READ_COVARIATES, CovariatesSpec(files, dataset), place=place, is_short=is_short)
    return None if answer is None else answer.tables


def _load_stored_tables() -> tuple[CovariateTable, ...]:
    digest = get_digest()
    if not digest:
        return ()
    try:
        tables = cache.get_workspace().covariates.load(digest)
    except NotFoundError as error:
        set_digest("")
        st.warning(translate_message(error.message), icon=":material/warning:")
        return ()
    set_digest(digest)
    return tuple(tables)


def _show_uploader(tables: tuple[CovariateTable, ...], dataset: Dataset) -> None:
    """Show the uploader, and read its files; a file replaces an older one of the same name."""
    version = url_state.get_state(UPLOADER_VERSION, 0)
    uploads = st.file_uploader(
        _("Covariates (weather, strikes, holidays): files"),
        accept_multiple_files=True,
        max_upload_size=cache.get_workspace().settings.vigie_max_upload_mb,
        key=f"covariate-files-{version}",
        help=_(
            "Covariates are known in advance: weather, strikes, public holidays, school "
            "breaks, other events. A file has one row per day or per event, for places (regions, countries, sites) or "
            "for all entities. Rows after the last day of the data describe the days to forecast."
        ),
    )
    st.caption(
        _(
            "Public holidays come from the calendar in the form. A file with holidays of its own replaces them in the "
            "years that it covers; a file with few days adds them."
        )
    )
    if uploads:
        url_state.set_query_param(FILES_PARAM, store_files(uploads))
        url_state.set_state(UPLOADED_STATE, url_state.get_query_param(FILES_PARAM))
    files = url_state.get_query_param(FILES_PARAM)
    was_removed = not uploads and files == url_state.get_state(UPLOADED_STATE)  # with the cross of the uploader
    stored_files = find_files(files, cache.get_workspace())
    if was_removed or not stored_files:
        url_state.set_query_param(FILES_PARAM, "")
        return
    if not uploads:  # after a refresh
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(shorten_name(", ".join(name for _path, name in stored_files)))
            if st.button(_("Other files"), key="other-covariates", type="tertiary", icon=":material/close:"):
                url_state.set_query_param(FILES_PARAM, "")
                st.rerun()
    _add_tables(tables, lambda: read_files(files, dataset.digest, "covariates"))


def _offer_weather(tables: tuple[CovariateTable, ...]) -> None:
    """Show the button that loads the weather of the built-in gas sample."""
    if st.button(_("Use the weather of the sample"), icon=":material/partly_cloudy_day:", key="sample-weather"):
        _add_tables(tables, _load_sample_weather)


def _load_sample_weather() -> list[CovariateTable]:
    with st.spinner(_("Reading …")), TemporaryDirectory(prefix="vigie-covariates-") as folder:
        path = Path(folder) / SAMPLE_WEATHER_FILE
        write_sample("gas_weather", path)
        return read_covariates([path])


def _add_tables(tables: tuple[CovariateTable, ...], read_tables: Callable[[], Sequence[CovariateTable] | None]) -> None:
    """Store new tables with the current ones, and set both as the covariates. None are still being read."""
    try:
        new_tables = read_tables()
        if new_tables is None:
            return
        names = {table.file for table in new_tables}
        digest = cache.get_workspace().covariates.save(
            [*(table for table in tables if table.file not in names), *new_tables]
        )
    except InputError as error:  # the form below stays on screen
        st.error(translate_message(error.message), icon=":material/error:")
        return
    set_digest(digest)
    url_state.set_query_param(FILES_PARAM, "")
    url_state.set_state(
        UPLOADER_VERSION, url_state.get_state(UPLOADER_VERSION, 0) + 1
    )  # a new key empties the uploader
    st.rerun()


# ---- calendar and places --------------------------------------------------------------------------------------------


def ask_calendar(dataset: Dataset) -> str:
    """Ask for the calendar of public holidays; "" for the one that the data point to, which is named."""
    choice = _guess_calendar(dataset, url_state.get_state(PLACES_STATE, ()), dataset.digest)
    guess = ", ".join(name_country(code, get_language()) for code in choice.calendars) or _("none")
    home = choice.calendars[0].partition("-")[0] if choice.calendars else ""
    parts = [f"{home}-{part}" for part in list_countries().get(home, ())]
    labels = {"": _("from the data: {calendar}").format(calendar=guess), NO_CALENDAR: _("none")}
    calendar: str | None = st.selectbox(
        _("Public holidays"),
        ["", NO_CALENDAR, *parts, *list_countries()],
        format_func=lambda code: labels.get(code) or name_country(code, get_language()),
        accept_new_options=True,
        key=CALENDAR_KEY,
        help=translate_message(choice.note) + " " + _("Type a code for a part of a country, such as DE-BY or US-NY."),
        persist_state="page",
    )
    return calendar or ""


def ask_places(dataset: Dataset) -> tuple[str, ...]:
    """Ask for the places of the entities that a file does not match by name; () where all are matched."""
    tables = _load_stored_tables()
    places = sorted({place for table in tables for place in table.places} - {NATION, *SCHOOL_ZONES})
    entities = _list_unmatched(dataset, tables)[:MAX_EDITED_ENTITIES]
    if not places or not entities:
        url_state.set_state(PLACES_STATE, ())
        return ()
    st.caption(_("Places of the entities: choose one for each entity that no file names."))
    key = f"forecast-places-{get_digest()[:12]}"
    if not url_state.has_state(key):  # an editor forgets its cells while the form is closed
        pairs = url_state.get_state(PLACES_STATE, ())
        url_state.set_state(FIRST_PLACES_STATE, dict(pair.rpartition(MAP_SIGN)[::2] for pair in pairs))
    first = url_state.get_state(FIRST_PLACES_STATE, {})
    chosen = [first.get(entity) if first.get(entity) in places else None for entity in entities]
    edited = st.data_editor(
        pd.DataFrame({"entity": entities, "place": chosen}).astype({"place": "object"}),
        hide_index=True,
        disabled=["entity"],
        key=key,
        column_config={
            "entity": st.column_config.TextColumn(_("Entity")),
            "place": st.column_config.SelectboxColumn(_("Place"), options=places),
        },
    )
    pairs = tuple(f"{row.entity}{MAP_SIGN}{row.place}" for row in edited.itertuples() if row.place)
    if pairs != url_state.get_state(PLACES_STATE, ()):
        url_state.set_state(PLACES_STATE, pairs)
        st.rerun()  # the report of the join is above
    return pairs


def _list_unmatched(dataset: Dataset, tables: Sequence[CovariateTable]) -> list[str]:
    """Return the entities that a file does not name."""
    codes = _guess_calendar(dataset, (), dataset.digest).codes
    matches = [match_places(dataset.entities, table.places, {}, codes) for table in tables]
    return [
        entity for entity in dataset.entities if any(match.is_shared or not match.places[entity] for match in matches)
    ]


@st.cache_resource(max_entries=16, show_spinner=False)
def _guess_calendar(_dataset: Dataset, places: tuple[str, ...], digest: str) -> CalendarChoice:
    """Guess the calendar of a dataset, once per places and digest."""
    return choose_calendars(_dataset, "", parse_places(places))


# ---- report of the join ---------------------------------------------------------------------------------------------


def _show_join_report(dataset: Dataset, tables: tuple[CovariateTable, ...]) -> None:
    calendar, places = st.session_state.get(CALENDAR_KEY) or "", url_state.get_state(PLACES_STATE, ())
    try:
        covariates = _join_covariates(dataset, tables, calendar, places, f"{dataset.digest} {get_digest()}")
    except InputError as error:  # an unknown calendar, or a place of other files: the form below changes it
        st.error(translate_message(error.message), icon=":material/error:")
        return
    st.dataframe(
        pd.DataFrame([_describe_join(join, len(dataset.entities)) for join in covariates.joins]),
        hide_index=True,
        width="stretch",
        key="joins",
        alt=_("Join of each file to the data"),
        column_config={
            "file": st.column_config.TextColumn(_("File")),
            "kind": st.column_config.TextColumn(_("Kind")),
            "matched": st.column_config.TextColumn(
                _("Matched"), help=_("Entities whose region, school zone or country is in the file.")
            ),
            "covered": st.column_config.TextColumn(
                _("Days covered"), help=_("Share of the days of the data that the file covers.")
            ),
            "period": st.column_config.TextColumn(_("Period")),
            "columns": st.column_config.TextColumn(_("Columns")),
            "unmatched": st.column_config.TextColumn(_("Entities without a match")),
            "unused": st.column_config.TextColumn(_("Unused regions")),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_("The files are joined by region and day. The join neither adds nor drops rows."))
        if st.button(_("Remove these files"), key="forget-covariates", type="tertiary", icon=":material/delete:"):
            set_digest("")
            st.rerun()
    _show_notes([note for table in tables for note in table.notes] + list(covariates.notes))


def _show_notes(notes: Sequence[Finding]) -> None:
    """Show what was converted, left out or aggregated; a file with two readings is a warning."""
    for note in notes:
        if note.kind in QUESTION_KINDS:
            st.warning(translate_message(note.message), icon=":material/help:")
    lines = [f"- {translate_message(note.message)}" for note in notes if note.kind not in QUESTION_KINDS]
    if lines:
        st.caption("\n".join(lines[:MAX_SHOWN_NOTES]))
    if len(lines) > MAX_SHOWN_NOTES:
        with st.expander(
            _("{count} more note", "{count} more notes", len(lines) - MAX_SHOWN_NOTES).format(
                count=len(lines) - MAX_SHOWN_NOTES
            )
        ):
            st.caption("\n".join(lines[MAX_SHOWN_NOTES:]))


@st.cache_resource(max_entries=16, show_spinner=False)
def _join_covariates(
    _dataset: Dataset, _tables: tuple[CovariateTable, ...], calendar: str, places: tuple[str, ...], key: str
) -> Covariates:
    """Join the tables to the dataset, once per calendar, places and `key` of both."""
    last_day = pd.Timestamp(_dataset.time.max()) + DAY * MAX_FUTURE_DAYS
    return join_covariates(_dataset, _tables, last_day, calendar, places)


def _describe_join(join: JoinReport, entity_count: int) -> dict[str, str]:
    start, end = (format_value(pd.Timestamp(day).date()) for day in (join.start, join.end))
    kind_labels = {
        "weather": _("weather"),
        "strikes": _("strikes"),
        "holidays": _("public holidays"),
        "events": _("events"),
        "other": _("other"),
        "school_breaks": _("school breaks"),
        "dataset": _("in the data"),
    }
    return {
        "file": join.file,
        "kind": kind_labels.get(join.kind, join.kind),
        "matched": f"{join.entities_matched} / {entity_count}",
        "covered": format_percent(round(join.coverage, 3)),
        "period": f"{start} – {end}",
        "columns": ", ".join(join.columns),
        "unmatched": _abbreviate_names(join.entities_unmatched),
        "unused": _abbreviate_names(join.places_unused),
    }


def _abbreviate_names(names: Sequence[str]) -> str:
    """Return the first names, and the number of those left out."""
    suffix = f" … (+{len(names) - MAX_SHOWN_NAMES})" if len(names) > MAX_SHOWN_NAMES else ""
    return ", ".join(names[:MAX_SHOWN_NAMES]) + suffix
