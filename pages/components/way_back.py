"""The way back to recent work: jobs that go on, results and datasets, and a search among them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import streamlit as st

from core.errors import NotFoundError
from core.figures.sparkline import draw_sparkline
from core.runs.card_model import Picture
from core.runs.comparison import has_data
from core.runs.recent import RecentResult, RecentResults, find_recent_results, has_words, load_picture
from core.runs.svg import draw_picture
from core.runs.thumbnail import render_thumbnail
from core.storage.datasets import DatasetInfo
from pages.components import auth, cache, clock, running_jobs, url_state
from pages.components.cards import show_cards, show_picture
from pages.components.i18n import _, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.names import shorten_name
from pages.components.run_name import format_run_name
from pages.components.task_links import LOAD_SCRIPT, TRACKING_SCRIPT, link_run

SHOWN_CARDS = 6
MATCHING_CARDS = 24
SEARCHED_DATASETS = 200
MAX_CACHED_PICTURES = 256
DAMAGE_TTL_S = 60
ANONYMOUS = "anonymous"
SEARCH_KEY = "way-back-search"


def show() -> None:
    """Show running jobs, recent results and recent datasets with a search; nothing where there are none."""
    words = str(url_state.get_state(SEARCH_KEY) or "").strip()
    user = auth.current_actor("home").user
    running_jobs.show()
    shown = MATCHING_CARDS if words else SHOWN_CARDS
    recent = find_recent_results(words, user, cache.get_workspace(), _, shown)
    datasets = _find_datasets(words)
    if words or recent.results or datasets:
        st.text_input(
            _("Search in results and data"),
            key=SEARCH_KEY,
            placeholder=_("Name, file, task or person"),
            icon=":material/search:",
        )
        with st.container():
            _show_notes(words, recent, bool(datasets))
        with st.container():
            _show_results(recent, user)
        if datasets:
            st.header(_("Data"))
            show_datasets(datasets[:shown])


def _show_notes(words: str, recent: RecentResults, has_datasets: bool) -> None:
    """Say what was not searched, and that nothing matches."""
    if recent.is_partial:
        st.warning(
            _("MLflow does not respond. The list contains only runs of this machine. No run is lost."),
            icon=":material/cloud_off:",
        )
    if not recent.is_complete:
        st.caption(_("The search was stopped before the oldest runs. Add a word to search all of them."))
    if not recent.results and not has_datasets:
        st.info(_("No result and no data match all these words."), icon=":material/search_off:")


# ---- results and data -----------------------------------------------------------------------------------------------


def _show_results(recent: RecentResults, user: str) -> None:
    if recent.results:
        st.header(_("Results"))
        show_cards(recent.results, lambda result: _show_result(result, user))
    if recent.has_more:
        st.page_link(TRACKING_SCRIPT, label=_("All runs"), icon=":material/experiment:")


def _show_result(result: RecentResult, user: str) -> None:
    record = result.record
    picture = _load_picture(record.id)
    if picture is not None:
        drawing = draw_picture(picture, _, format_value)
        show_picture(render_thumbnail(drawing), drawing.title)
    dataset = record.tags["dataset.digest"] if has_data(record, cache.get_workspace()) else ""
    name, label = format_run_name(record), _(result.task.label)
    link_run(result.task, record.id, dataset, shorten_name(name), f":material/{result.task.icon}:")
    started = clock.from_epoch_ms(record.started_ms)
    person = shorten_name("" if result.user == ANONYMOUS else result.user)
    facts = [
        "" if name.startswith(label) else label,
        _("you") if person and result.user == user else person,
        format_value(started),
    ]
    st.caption(" · ".join(filter(None, facts)))


@st.cache_data(max_entries=MAX_CACHED_PICTURES, show_spinner=False)
def _load_picture(run_id: str) -> Picture | None:
    """Load the picture of a run once per server; the result of a run never changes."""
    return load_picture(run_id, cache.get_workspace())


def _find_datasets(words: str) -> list[DatasetInfo]:
    limit = SEARCHED_DATASETS if words else SHOWN_CARDS
    infos = cache.get_workspace().datasets.list_recent(limit, auth.dataset_owner())
    return [info for info in infos if has_words(words.split(), info.files)]


def show_datasets(infos: Sequence[DatasetInfo]) -> None:
    """Show a card for each dataset, which opens it, and name the damaged ones that are left out."""
    show_cards(infos, _show_dataset)
    damaged = _list_damaged()
    if damaged:
        st.caption(
            _("Damaged and left out: {datasets}. Load their files again, which repairs them.").format(
                datasets=", ".join(escape_markdown(Path(path).name[:12]) for path in damaged)
            )
        )


@st.cache_data(ttl=DAMAGE_TTL_S, show_spinner=False)
def _list_damaged() -> list[str]:
    """List the damaged datasets, at most once a minute."""
    return cache.get_workspace().datasets.list_damaged()


def _show_dataset(info: DatasetInfo) -> None:
    names = shorten_name(", ".join(info.files))
    try:
        show_picture(_draw_dataset(info.digest), _("Values over time: {name}").format(name=names))
    except NotFoundError as error:
        st.warning(translate_message(error.message), icon=":material/broken_image:")
    st.page_link(LOAD_SCRIPT, label=names, icon=":material/table_view:", query_params={"dataset": info.digest})
    facts = [_("rows: {rows}").format(rows=format_value(info.rows))]
    facts += [_("repaired")] if info.repairs else []
    st.caption(" · ".join([*facts, clock.format_instant(datetime.fromisoformat(info.stored))]))


@st.cache_data(max_entries=MAX_CACHED_PICTURES, show_spinner=False)
def _draw_dataset(digest: str) -> str:
    """Draw a stored dataset once per server. Raises NotFoundError for a damaged one."""
    outline = cache.get_workspace().datasets.load_outline(digest)
    return draw_sparkline(outline.low, outline.high)
