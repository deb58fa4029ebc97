"""Candidates of the automatic forecaster: the table of their errors and weights, and notes."""

from collections.abc import Iterator

import pandas as pd

from core.forecasters.automatic import Automatic
from core.forecasters.base import Forecaster
from core.messages import N_, Message
from core.tasks.forecast.result import CANDIDATE_COLUMNS

MAX_NAMED = 4  # members in a note


def build_candidate_table(forecaster: Forecaster) -> pd.DataFrame:
    """Return one row per candidate and group of steps ahead; no row for a forecaster without a choice.

    candidate              label of the candidate
    first_step, last_step  group of steps ahead
    wape                   error on the last part of the training data; NaN if the candidate was not compared
    weight                 share in the blend; NaN if the candidate was not compared
    reason                 why it was not compared, as `Message.dump` writes it; "" if it was
    """
    if not isinstance(forecaster, Automatic):
        return pd.DataFrame(columns=list(CANDIDATE_COLUMNS))
    choice, nan = forecaster.choice_, float("nan")
    rows: list[tuple[object, ...]] = []
    for score in choice.scores:
        if score.reason:
            rows.append((score.label, 1, choice.groups[-1][1], nan, nan, score.reason))
            continue
        for (low, high), wape, weight in zip(choice.groups, score.wape, score.weights, strict=True):
            rows.append((score.label, low, high, wape, weight, ""))
    return pd.DataFrame(rows, columns=list(CANDIDATE_COLUMNS))


def list_candidate_notes(forecaster: Forecaster) -> Iterator[Message]:
    """Yield what the automatic forecaster chose, where it is close to the naive line, and what it did not compare."""
    if not isinstance(forecaster, Automatic):
        return
    choice = forecaster.choice_
    weights = build_candidate_table(forecaster).groupby("candidate")["weight"].mean().sort_values(ascending=False)
    members = [f"{name} {weight:.0%}" for name, weight in weights.items() if weight > 0]
    yield Message(
        N_(
            "Automatic choice, based on {origins} forecasts of the last part of the {periods} periods "
            "before the test: {members}. The test data were not used for it."
        ),
        {"origins": choice.origin_count, "periods": choice.period_count, "members": _join(members)},
    )
    if choice.recent_count:
        yield Message(
            N_(
                "The series changed shortly before the end of the data that this choice rests on. Forecasters that "
                "follow the change count most."
            )
        )
    unproven = [f"{low}–{high}" for (low, high), gain in zip(choice.groups, choice.gains, strict=True) if gain < 1]
    if unproven:
        yield Message(
            N_(
                "For these periods ahead, no method is proven better than the best naive forecast, which "
                "therefore has more weight there: {steps}."
            ),
            {"steps": ", ".join(unproven)},
        )
    for score in choice.scores:
        if score.reason:
            yield Message(
                N_("{candidate} was not compared: {reason}"),
                {"candidate": score.label, "reason": Message.load(score.reason)},
            )


def _join(members: list[str]) -> str:
    ellipsis = " …" if len(members) > MAX_NAMED else ""
    return ", ".join(members[:MAX_NAMED]) + ellipsis
