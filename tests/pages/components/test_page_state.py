"""Fields of the address: what a widget has is what the address gives back."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from pages.components.page_state import make_choice_field, make_list_field, make_period_field, make_text_field

ANYTHING = make_list_field("columns", "key", bool)


@given(st.lists(st.text(min_size=1), unique=True))
def test_list_field_keeps_names_and_order(names: list[str]) -> None:
    assert ANYTHING.parse(ANYTHING.serialise(names)) == names


@given(st.text(max_size=40))
def test_fields_accept_any_address(text: str) -> None:
    assert all(name for name in ANYTHING.parse(text))
    assert len(make_period_field("period", "key").parse(text)) <= 2
    assert make_choice_field("status", "key", ("a", "b"), "a").parse(text) in ("a", "b")


@given(st.lists(st.dates(), max_size=2).map(sorted))
def test_period_field_keeps_days(days: list[date]) -> None:
    field = make_period_field("period", "key")
    assert field.parse(field.serialise(days)) == tuple(days)


def test_default_values_leave_address_empty() -> None:
    assert make_choice_field("period", "key", ("day", "week"), "week").serialise("week") == ""
    columns = make_list_field("columns", "key", bool, ("name", "began"))
    assert columns.serialise(["name", "began"]) == columns.serialise([]) == ""
    assert columns.parse("") == ["name", "began"]
    assert columns.serialise(["began", "name"]) == "began,name"
    assert make_text_field("text", "key").serialise(" a ") == "a"
