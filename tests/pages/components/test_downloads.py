"""Form of downloaded CSV files: it follows the language until a person chooses one in the sidebar."""

import pytest
from streamlit.testing.v1 import AppTest


def show_csv_format() -> None:
    import streamlit as st

    from pages.components import downloads

    downloads.show_csv_format_choice()
    st.text(downloads.get_csv_format())


@pytest.mark.parametrize(("language", "csv_format"), [("en", "point"), ("fr", "comma")])
def test_csv_format_follows_language(language: str, csv_format: str) -> None:
    app = AppTest.from_function(show_csv_format, default_timeout=60)
    app.session_state["language"] = language
    assert app.run().text[0].value == csv_format


def test_csv_format_of_person_stays_with_language() -> None:
    app = AppTest.from_function(show_csv_format, default_timeout=60)
    app.session_state["language"] = "fr"
    app.run().radio[0].set_value("point").run()
    assert app.text[0].value == "point"
    app.session_state["language"] = "en"
    app.radio[0].set_value("comma").run()
    assert app.text[0].value == "comma"
