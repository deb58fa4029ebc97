"""Sentence about a scenario with a strike."""

import pandas as pd
import pytest

from core.tasks.forecast.strike_words import describe_scenario


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"change": -0.03, "low": -0.05, "high": -0.01}, "Past strikes changed the amounts by −3 % on similar days"),
        ({"change": -0.003, "low": -0.02, "high": 0.01}, "past strikes show no certain effect: −0.3 %"),
        (None, "Too few strikes are known"),
    ],
)
def test_scenario_sentence_carries_verdict_on_past_strikes(effect: dict[str, float] | None, words: str) -> None:
    text = str(describe_scenario(-0.021, pd.DataFrame([effect] if effect else [])))
    assert text.startswith("The scenario changes the forecast by −2.1 %")
    assert words in text
