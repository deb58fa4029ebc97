"""Sentence about a forecast with a strike, beside the effect of past strikes."""

import pandas as pd

from core.messages import N_, Message


def describe_scenario(change: float, effects: pd.DataFrame) -> Message:
    """Return the change of a forecast by a scenario with a strike (0.02: +2 %), beside the effect of past strikes.

    `effects` is the table of `estimate_strike_effects`; its last row is the effect on similar days. An interval that
    holds 0 shows no certain effect.

    Example:
        >>> effects = pd.DataFrame([{"change": 0.01, "low": -0.02, "high": 0.04}])
        >>> print(describe_scenario(0.02, effects).values["change"], describe_scenario(0.02, effects).values["low"])
        +2 % −2 %
    """
    values: dict[str, object] = {"change": format_change(change)}
    if effects.empty:
        template = N_("The scenario changes the forecast by {change}. Too few strikes are known to confirm an effect.")
        return Message(template, values)
    effect = effects.iloc[-1]
    values |= {name: format_change(float(effect[name])) for name in ("low", "high")}
    values["effect"] = format_change(float(effect["change"]))
    template = N_(
        "The scenario changes the forecast by {change}, but past strikes show no certain effect: {effect} on similar "
        "days (95 % interval {low} to {high})."
    )
    if effect["low"] * effect["high"] > 0:
        template = N_(
            "The scenario changes the forecast by {change}. Past strikes changed the amounts by {effect} on similar "
            "days (95 % interval {low} to {high})."
        )
    return Message(template, values)


def format_change(share: float) -> Message:
    """Return a change in percent with its sign.

    Example:
        >>> [str(format_change(share)) for share in (0.0213, -0.5, 0.0)]
        ['+2.1 %', '−50 %', '0 %']
    """
    percent = round(100 * share, 1)
    if percent == 0:
        return Message(N_("0 %"))
    sign = N_("+{percent} %") if percent > 0 else N_("−{percent} %")
    return Message(sign, {"percent": abs(percent)})
