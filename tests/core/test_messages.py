"""Messages: their two forms, stored and passed on as one text."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.jobs.job_error import error_from_json, error_to_json
from core.messages import N_, Message, keep_english, split_template
from core.spec.codec import decode, encode

ROWS = N_("{file}: {count} of {total} rows is empty.", "{file}: {count} of {total} rows are empty.")


@pytest.mark.parametrize(("count", "verb"), [(0, "are"), (1, "is"), (2, "are"), (np.int64(1), "is"), (True, "is")])
def test_first_whole_number_decides_between_forms(count: int, verb: str) -> None:
    assert f"rows {verb} empty" in str(Message(ROWS, {"total": 1, "file": "1.csv", "count": count}))


def test_message_without_a_whole_number_has_the_plural() -> None:
    assert "rows are empty" in str(Message(ROWS, {"total": "many", "file": "a.csv", "count": "some"}))


@given(st.integers(0, 5))
def test_stored_message_keeps_both_forms(count: int) -> None:
    message = Message(ROWS, {"file": "a.csv", "count": count, "total": 5})
    assert str(Message.load(message.dump())) == str(message)
    assert str(decode(Message, json.loads(json.dumps(encode(message))))) == str(message)


@given(st.integers(0, 5))
def test_error_keeps_both_forms_from_worker_to_page(count: int) -> None:
    error = DataError(ROWS, file="a.csv", count=count, total=5)
    assert str(error_from_json(json.loads(json.dumps(error_to_json(error, ""))))) == str(error)


def test_message_of_one_form_is_unchanged() -> None:
    assert split_template("All rows") == ("All rows", "")
    assert keep_english("All rows") == str(Message("All rows")) == "All rows"
