"""First part of every form: the dataset, and the selected entities and period."""

from typing import Any

import streamlit as st

from core.data.dataset import Dataset
from pages.components import doctor
from pages.components.i18n import _, format_value, get_date_format
from pages.components.markdown import escape_markdown
from pages.components.task_links import LOAD_SCRIPT, link_first_steps


def show_no_data() -> None:
    """Show that no data are loaded, and where to load some."""
    st.info(_("No data are loaded. Load a file or open a sample."), icon=":material/upload_file:")
    link_first_steps()


def show_dataset(dataset: Dataset) -> None:
    """Show the dataset in one line, with a link to the data doctor if it proposes repairs."""
    repaired = _("repairs made: {count}").format(count=len(dataset.recipe)) if dataset.recipe else _("no repairs")
    rows = _("rows: {rows}").format(rows=format_value(len(dataset)))
    entities = _("entities: {entities}").format(entities=format_value(len(dataset.entities)))
    st.caption(
        " · ".join(
            [
                escape_markdown(", ".join(dataset.files)),
                rows,
                entities,
                escape_markdown(dataset.unit) or _("no unit"),
                repaired,
            ]
        )
    )
    proposals = doctor.count_open_proposals(dataset)
    if proposals:
        st.page_link(
            LOAD_SCRIPT,
            icon=":material/healing:",
            query_params={"dataset": dataset.digest},
            label=_("Repairs proposed by the data doctor: {count}").format(count=format_value(proposals)),
        )


def select_part(dataset: Dataset, key: str) -> dict[str, Any]:
    """Ask for entities and period; return them as fields of `PartSpec`, empty where everything is selected."""
    entity_column, period_column = st.columns([3, 2])
    entities = entity_column.multiselect(
        _("Entities"), dataset.entities, placeholder=_("All"), key=f"{key}-entities", persist_state="page"
    )
    if not dataset.has_dates:
        return {"entities": tuple(entities)}
    first, last = dataset.time.min().date(), dataset.time.max().date()
    period = list(
        period_column.date_input(
            _("Period"),
            (first, last),
            min_value=first,
            max_value=last,
            format=get_date_format(),
            key=f"{key}-period",
            persist_state="page",
        )
    )
    start, end = (period[0], period[-1]) if period else (first, last)
    return {
        "entities": tuple(entities),
        "start": "" if start == first else str(start),
        "end": "" if end == last else str(end),
    }
