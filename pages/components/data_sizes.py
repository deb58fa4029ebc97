"""Sizes of the parts of the data folder, with the command that removes what is old."""

import pandas as pd
import streamlit as st

from core.operations.retention import measure_parts
from pages.components import cache
from pages.components.i18n import _

PRUNE_COMMAND = "python -m core prune --older-than 90d --dry-run"


def show_sizes() -> None:
    """Show a table of the parts of the data folder, the largest first."""
    with st.expander(_("Size of the data folder"), icon=":material/folder:"):
        rows = [
            {"part": _(part.label), "files": part.files, "megabytes": round(part.total_bytes / 1e6, 1)}
            for part in measure_parts(cache.get_workspace())
        ]
        st.dataframe(
            pd.DataFrame(rows, columns=["part", "files", "megabytes"]),
            column_config={
                "part": st.column_config.TextColumn(_("Part")),
                "files": st.column_config.NumberColumn(_("Files"), format="localized"),
                "megabytes": st.column_config.NumberColumn(_("MB"), format="localized"),
            },
            hide_index=True,
            width="stretch",
            key="data-sizes",
        )
        st.caption(_("This command tells what may be removed. Nothing that a run on record needs is removed."))
        st.code(PRUNE_COMMAND, language="sh", wrap_lines=True)
