"""Words for an event of a sequence: its values, causes and counterfactual; and for the promised alarm rate.

All functions return messages, so that pages translate them and format their numbers.
"""

import math
import re
from collections.abc import Hashable, Mapping
from typing import Any

from core.messages import N_, Message
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.spec import PERIOD_LABELS

Event = Mapping[Hashable, Any]  # columns of one row of `SequenceDetection.events`

LASTING_CHANGE = "lasting change"
NO_TEXT = "–"
NUMBER = r"-?\d[\d.]*(?:e[+-]\d+)?"
RANGE = re.compile(rf"(?<= )({NUMBER}) … ({NUMBER})(?=, |$)")


def describe_event(detection: SequenceDetection, number: int) -> tuple[Message, ...]:
    """Return an event in sentences: measured and usual values, causes, and what would not have been flagged."""
    event = detection.events.loc[number].to_dict()
    sentences = [] if math.isnan(event["measured"]) else [_describe_values(detection, event)]
    sentences.append(Message(N_("Causes: {columns}."), {"columns": str(event["causes"]) or NO_TEXT}))
    if event["kind"] == LASTING_CHANGE:
        change = N_(
            "A lasting change: the scores stay high for longer than in an anomaly. Rises within it are separate events."
        )
        return (*sentences, Message(change))
    if event["unflagged_by"] in ("one column", "several columns"):
        template = N_("It would not have been flagged with **{ranges}**.")
        sentences.append(Message(template, {"ranges": parse_ranges(str(event["unflagged"]))}))
    elif event["unflagged_by"] == "no column":
        sentences.append(
            Message(
                N_(
                    "No range of one column, nor of the first five causes together, would have kept it below the "
                    "threshold."
                )
            )
        )
    elif (detection.cells["event"] == number).any():
        sentences.append(Message(N_("There was no search for ranges that would not have been flagged.")))
    return tuple(sentences)


def _describe_values(detection: SequenceDetection, event: Event) -> Message:
    is_usual = event["usual_low"] <= event["measured"] <= event["usual_high"]
    template = (
        N_("**{column}: {measured}**, inside its usual range {usual}. The columns together are unusual.")
        if is_usual and len(detection.data.columns) > 1
        else N_("**{column}: {measured}**, usually {usual}.")
    )
    measured: object = round_amount(event["measured"])
    if detection.data.unit:
        measured = Message("{value} {unit}", {"value": measured, "unit": detection.data.unit})
    values = {"column": str(event["column"]), "measured": measured, "usual": describe_usual(event)}
    return Message(template, values)


def parse_ranges(text: str) -> Message:
    """Return ranges of columns as a message, so that their numbers follow the language of the reader.

    Example:
        >>> message = parse_ranges("latency 0.22 … 0.404, errors 0 … 1234.5")
        >>> message.render(lambda text: text, lambda value: str(value).replace(".", ","))
        'latency 0,22 … 0,404, errors 0,0 … 1234,5'
    """
    template, values, end = "", dict[str, object](), 0
    for number, match in enumerate(RANGE.finditer(text)):
        template += f"{{text{number}}}{{low{number}}} … {{high{number}}}"
        values |= {f"text{number}": text[end : match.start()]}
        values |= {f"low{number}": float(match[1]), f"high{number}": float(match[2])}
        end = match.end()
    return Message(template + "{rest}", values | {"rest": text[end:]})


def describe_usual(event: Event) -> object:
    """Return the usual range of the first cause of an event as a value of a message; one amount for an equal range."""
    low, high = (round_amount(event[name]) for name in ("usual_low", "usual_high"))
    return low if low == high else Message("{low} … {high}", {"low": low, "high": high})


def round_amount(amount: float) -> float | str:
    """Return a value with four significant digits; a dash for a missing value."""
    return NO_TEXT if math.isnan(amount) else float(f"{amount:.4g}")


# ---- alarm rate -----------------------------------------------------------------------------------------------------


def describe_kept_promise(detection: SequenceDetection) -> Message:
    """Return that the target rate is kept, with the interval of the measured rate."""
    return Message(
        N_("The target false-alarm rate is met: {low} to {high} alarms {per} were measured, {target} are allowed."),
        _list_rates(detection),
    )


def describe_excess(detection: SequenceDetection) -> Message:
    """Return a warning that the measured alarm rate exceeds the target."""
    if detection.is_labelled:
        template = N_(
            "The target false-alarm rate is exceeded: {low} to {high} false alarms {per} instead of "
            "{target}. The evaluated rows differ from the held-out rows of the threshold. Train the "
            "detector on more rows or on later rows."
        )
    else:
        template = N_(
            "More rows are flagged than the target false-alarm rate explains: {low} to {high} "
            "{per}, target {target}. Either the data contain true anomalies, or the evaluated "
            "rows differ from the training rows."
        )
    return Message(template, _list_rates(detection))


def round_rate(rate: float) -> float | str:
    """Return a number of alarms with three significant digits; a dash for an unknown one."""
    return NO_TEXT if rate != rate else float(f"{rate:.3g}")


def _list_rates(detection: SequenceDetection) -> dict[str, object]:
    shares = {
        "low": detection.measurements["measured_low"],
        "high": detection.measurements["measured_high"],
        "target": detection.target_rate or 0.0,
    }
    rates: dict[str, object] = {name: round_rate(detection.count_alarms(share)) for name, share in shares.items()}
    return rates | {"per": Message(PERIOD_LABELS[detection.per])}
