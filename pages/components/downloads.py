"""Buttons that download a table as CSV or Parquet or the report of a run, and the choice of the form of CSV files."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pandas as pd
import streamlit as st

from core.exports import CsvFormat, to_csv_bytes, to_parquet_bytes
from core.language import LANGUAGES, Language
from pages.components import cache, url_state
from pages.components.i18n import _, get_language

FORMAT_BY_LANGUAGE: dict[str, CsvFormat] = {"fr": "comma"}
AS_LANGUAGE = "language"


def get_csv_format() -> CsvFormat:
    """Return the form of CSV files chosen in the sidebar, else the one of spreadsheets in the reader's language."""
    choice = url_state.get_state("csv-format", AS_LANGUAGE)
    return FORMAT_BY_LANGUAGE.get(get_language(), "point") if choice == AS_LANGUAGE else cast(CsvFormat, choice)


def show_csv_format_choice() -> None:
    """Show the choice of the form of CSV files; the default follows the language."""
    labels = {
        AS_LANGUAGE: _("Follow the language"),
        "point": _("Decimal point and comma (English Excel)"),
        "comma": _("Decimal comma and semicolon (French Excel)"),
    }
    with st.popover(_("CSV files"), icon=":material/csv:", type="tertiary"):
        st.radio(
            _("Form of downloaded CSV files"),
            list(labels),
            format_func=labels.__getitem__,
            key="csv-format",
            help=_("Follow the language: decimal comma and semicolon in French, decimal point and comma in English."),
        )


def show_csv_button(
    label: str,
    build_table: Callable[[], pd.DataFrame],
    file_name: str,
    key: str,
    icon: str = ":material/download:",
    **options: Any,
) -> None:
    """Show the button that downloads a table as CSV; `build_table` is called on click. `options` go to Streamlit."""
    csv_writer = partial(to_csv_bytes, csv_format=get_csv_format())  # a click runs outside the script of the page
    _show_button(label, csv_writer, build_table, file_name, key, icon=icon, **options)


def show_table_buttons(build_table: Callable[[], pd.DataFrame], name: str, label: str = "{kind}") -> None:
    """Show the buttons that download a table as CSV and as Parquet; `label` contains {kind}."""
    show_csv_button(label.format(kind="CSV"), build_table, f"{name}.csv", f"{name}-CSV")
    _show_button(label.format(kind="Parquet"), to_parquet_bytes, build_table, f"{name}.parquet", f"{name}-Parquet")


def show_report_button(run: str) -> None:
    """Show the download of the report of a run in the language of choice; the report is built on click."""
    workspace = cache.get_workspace()

    def build(language: Language) -> str:
        """Build the report without any call of Streamlit, which runs this outside the script of the page."""
        from core.runs.report import build_report
        from core.runs.report_html import render_report

        return render_report(build_report(run, workspace), language)

    with st.popover(_("Report"), icon=":material/description:"):
        st.caption(
            _(
                "One file to hand on: the result in words and figures, the quality of the data and the run card. It "
                "opens without a network. To make a PDF, print it."
            )
        )
        for code, name in LANGUAGES.items():
            st.download_button(
                name,
                partial(build, Language(code)),
                f"report-{run[:12]}-{code}.html",
                mime="text/html",
                key=f"report-{code}-{run}",
                icon=":material/download:",
                on_click="ignore",
            )


def _show_button(
    label: str,
    writer: Callable[[pd.DataFrame], bytes],
    build_table: Callable[[], pd.DataFrame],
    file_name: str,
    key: str,
    icon: str = ":material/download:",
    **options: Any,
) -> None:
    st.download_button(
        label, lambda: writer(build_table()), file_name, key=key, icon=icon, on_click="ignore", **options
    )
