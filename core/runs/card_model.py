"""The card of a run as plain data: on what, with what, how good, at what cost, and how to repeat it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from core.messages import Text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Part:
    """The rows asked about: `first` and `last` as text, "" where rows have no moment; what was selected beside."""

    rows: int
    entities: int
    first: str
    last: str
    selected_entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class Threshold:
    """The score above which a row is flagged, and why.

    `amount` is what was asked for (a share of rows, or alarms `per` time).

    promised, measured  shares of rows; None where nothing is promised, or measured
    """

    value: float
    method: str
    amount: float
    per: str
    why: Text
    promised: float | None = None
    measured: float | None = None


@dataclass(frozen=True)
class ScoreCard:
    """Lines with a figure per metric, the answer first and simple answers beside; None where a line has it not."""

    metrics: tuple[str, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class Intervals:
    """Levels of the outermost quantiles, and the shares of what came that were to lie and did lie between them."""

    low: float
    high: float
    promised: float
    measured: float | None


@dataclass(frozen=True)
class Picture:
    """A small figure as numbers.

    kind    "histogram" (edges in `x`, one more than counts), "lines" or "bars" (a name or number per value in `x`)
    series  name → values
    mark    a place on the x axis that matters: the threshold; None without
    """

    kind: str
    title: Text
    x: tuple[float | str, ...]
    series: Mapping[str, tuple[float | None, ...]]
    mark: float | None = None


@dataclass(frozen=True)
class About:
    """Which run. `title` is the task for a person; `began` and `ended` are UTC, ISO; `error` is why it failed."""

    id: str
    key: str
    task: str
    title: Text
    name: str
    status: str
    is_pending: bool
    user: str
    application: str
    began: str
    ended: str
    error: str


@dataclass(frozen=True)
class Data:
    """The dataset, and the part of it that was asked about.

    stored_here  the rows are in this data folder
    rows, entities, first, last  of the whole dataset; None and "" where its rows are not stored here
    recipe       repairs that made it, to be put in recipe.json; None where they are not on record, only their kinds
    """

    files: tuple[str, ...]
    digest: str
    stored_here: bool
    rows: int | None
    entities: int | None
    first: str
    last: str
    repairs: str
    recipe: tuple[Mapping[str, Any], ...] | None
    part: Part | None


@dataclass(frozen=True)
class Model:
    """Everything the answer depends on beside the data.

    `applied_from` is the run whose model was applied, "" for one fitted here.
    """

    name: str
    parameters: Mapping[str, str]
    seed: int | None
    applied_from: str


@dataclass(frozen=True)
class Cost:
    """Seconds, kg CO₂, kWh; None where not measured, and how the emissions were found."""

    seconds: float | None
    emissions_kg: float | None
    energy_kwh: float | None
    method: str
    country: str


@dataclass(frozen=True)
class Repeat:
    """The command that gives the same scores; "" where there is none: `notes` say why, or what is needed."""

    command: str
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class Card:
    """All of it. `metrics` are those on record, `counts` what of them matters most."""

    about: About
    data: Data
    model: Model
    threshold: Threshold | None
    score_card: ScoreCard | None
    intervals: Intervals | None
    counts: Mapping[str, float]
    metrics: Mapping[str, float]
    cost: Cost
    versions: Mapping[str, str]
    repeat: Repeat
    picture: Picture | None
    notes: tuple[Text, ...]
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """One JSON object without words of any language but template and values; what is no number is null."""
        return json.dumps(_plain(self), ensure_ascii=False, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """`value` as JSON has it: a Text as template and values, NaN and infinity as null."""
    if isinstance(value, Text):
        return {"template": value.template, "values": _plain(value.values)}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in (field.name for field in fields(value))}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
