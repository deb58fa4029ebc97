"""Ranked list: the choice is in the address, and table and cards follow each other and the filters."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from pages.components.markdown import escape_markdown


def show_list() -> None:
    """Script of a page with a list of 30 entries and a filter; it shows the number of the chosen entry."""
    import pandas as pd
    import streamlit as st

    from pages.components.ranked_list import Card, choose_entry

    is_filtered = st.checkbox("even")
    numbers = [number for number in range(1, 31) if not is_filtered or number % 2 == 0]
    table = pd.DataFrame({"name": [f"entry {number}" for number in numbers], "score": 0.5}, index=numbers)
    chosen = choose_entry(
        table,
        {},
        lambda number: Card(f"entry {number}", f"in words {number}"),
        address="entry",
        label="Entries",
        details=["score"],
    )
    st.text(f"chosen {chosen}")


def open_list(entry: str = "") -> AppTest:
    app = AppTest.from_function(show_list)
    if entry:
        app.query_params["entry"] = entry
    return app.run()


def read_selection(app: AppTest) -> list[int]:
    return list(app.session_state["entry-table"]["selection"]["rows"])


def test_list_opens_entry_of_address() -> None:
    """Without an entry in the address, or with one that is not listed, the first one is chosen."""
    for entry, number in (("", 1), ("7", 7), ("99", 1), ("-1", 1), ("x", 1), ("9" * 40, 1)):
        app = open_list(entry)
        assert not app.exception
        assert app.text[0].value == f"chosen {number}"
        assert read_selection(app) == [number - 1]
        assert app.radio[0].value == (number if number <= 5 else None)


def test_choice_of_card_goes_to_address_and_table() -> None:
    app = open_list()
    app.radio[0].set_value(4).run()
    assert app.query_params["entry"] in ("4", ["4"])
    assert app.text[0].value == "chosen 4"
    assert read_selection(app) == [3]


def test_chosen_entry_stays_chosen_when_list_is_filtered() -> None:
    """The same entry stays selected at its new place; one that is filtered out gives way to the first."""
    app = open_list("6")
    app.checkbox[0].check().run()
    assert app.text[0].value == "chosen 6"
    assert read_selection(app) == [2]
    app = open_list("5")
    app.checkbox[0].check().run()
    assert app.text[0].value == "chosen 2"


def test_details_and_more_cards_are_shown_on_demand() -> None:
    app = open_list()
    assert list(app.dataframe[0].proto.column_order) == ["name"]
    app.toggle[0].set_value(True).run()
    assert list(app.dataframe[0].proto.column_order) == ["name", "score"]
    assert len(app.radio[0].options) == 5
    app.button[0].click().run()
    assert len(app.radio[0].options) == 10


@given(st.text(alphabet="ab*_`[]()<>#~$:\\&!- 1.", max_size=20))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    inline = MarkdownIt().enable("strikethrough").parseInline(escape_markdown(f"x{text}x"))[0]
    assert "".join(token.content for token in inline.children) == f"x{text}x"
