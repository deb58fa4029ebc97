"""Remembered choices about reading."""

from pathlib import Path

from core.data.read_options import DETECT_ALL, ReadOptions
from core.storage.read_choices import ReadChoices


def test_choices_are_found_for_the_same_columns_and_user(tmp_path: Path) -> None:
    choices = ReadChoices(tmp_path)
    options = ReadOptions(roles=("meter=measure",), decimal_mark="comma")
    choices.save(["date", "meter"], options, "ada")
    assert choices.find(["date", "meter"], "ada") == options
    assert choices.find(["date", "meter"]) == choices.find(["date"], "ada") == DETECT_ALL
    next(tmp_path.iterdir()).write_text("{")  # a crash while writing
    assert choices.find(["date", "meter"], "ada") == DETECT_ALL
    choices.save(["date", "meter"], options, "ada")
    choices.save(["date", "meter"], DETECT_ALL, "ada")
    assert choices.find(["date", "meter"], "ada") == DETECT_ALL
