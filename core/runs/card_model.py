"""Data model of a run card: data, model, quality, cost, and the command that repeats the run."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from core.messages import Message

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DataSelection:
    """Selected rows and the selection; `first` and `last` are timestamps as text, "" without timestamps."""

    rows: int
    entities: int
    first: str
    last: str
    selected_entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class CardThreshold:
    """Score above which a row is flagged, and its origin.

    amount    requested share of rows, or number of alarms `per` period
    promised  target false-alarm rate, as a share of rows; None without a target
    measured  measured false-alarm rate, as a share of rows; None where it was not measured
    """

    value: float
    method: str
    amount: float
    per: str
    why: Message
    promised: float | None = None
    measured: float | None = None


@dataclass(frozen=True)
class ScoreCard:
    """Metrics of the detector, in the first line, and of its baselines; None for a missing metric."""

    metrics: tuple[str, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class CardIntervals:
    """Levels of the outermost quantiles, and the nominal (`promised`) and measured coverage, as shares 0–1."""

    low: float
    high: float
    promised: float
    measured: float | None


@dataclass(frozen=True)
class Picture:
    """Data of a small figure.

    kind    "histogram" (`x` holds the bin edges, one more than counts), "lines" or "bars" (one `x` per value)
    series  name → values
    mark    position of the threshold on the x axis; None without one
    """

    kind: str
    title: Message
    x: tuple[float | str, ...]
    series: Mapping[str, tuple[float | None, ...]]
    mark: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """Identity of a run. `title` names the task; `began` and `ended` are ISO timestamps in UTC.

    parent   id of the run that it starts from; "" for a run that fits a model
    changed  what differs from the parent, as text
    """

    id: str
    key: str
    task: str
    title: Message
    name: str
    status: str
    is_pending: bool
    user: str
    application: str
    began: str
    ended: str
    error: str
    parent: str = ""
    changed: str = ""


@dataclass(frozen=True)
class CardDataset:
    """Dataset of a run, and the selected part of it.

    stored_here  True where the rows are in this data folder
    rows, entities, first, last  of the whole dataset; None and "" where it is not stored here
    repairs      kinds of the repairs, as text
    recipe       settings of the repairs, for recipe.json; None where only their kinds are known
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
    part: DataSelection | None


@dataclass(frozen=True)
class ModelSummary:
    """Model of a run with its parameters.

    applied_from  id of the run with the applied model; "" for a model fitted in this run
    """

    name: str
    parameters: Mapping[str, str]
    seed: int | None
    applied_from: str


@dataclass(frozen=True)
class CardCost:
    """Cost of a run in seconds, kg CO₂ and kWh (None where not measured), and the method of the emissions."""

    seconds: float | None
    emissions_kg: float | None
    energy_kwh: float | None
    method: str
    country: str


@dataclass(frozen=True)
class RepeatCommand:
    """Command that reproduces the scores, "" without one; `notes` give the reason or the requirements."""

    command: str
    notes: tuple[Message, ...]


@dataclass(frozen=True)
class RunCard:
    """Run card. `metrics` are all recorded metrics, `counts` the most important ones."""

    about: RunSummary
    data: CardDataset
    model: ModelSummary
    threshold: CardThreshold | None
    score_card: ScoreCard | None
    intervals: CardIntervals | None
    counts: Mapping[str, float]
    metrics: Mapping[str, float]
    cost: CardCost
    versions: Mapping[str, str]
    repeat: RepeatCommand
    picture: Picture | None
    notes: tuple[Message, ...]
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the card as JSON. Messages keep template and values for translation; NaN becomes null."""
        return json.dumps(_to_plain(self), ensure_ascii=False, indent=2, allow_nan=False)


def _to_plain(value: Any) -> Any:
    """Convert `value` for JSON: a `Message` to its template and values, NaN and infinity to null."""
    if isinstance(value, Message):
        return {"template": value.template, "values": _to_plain(value.values)}
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _to_plain(getattr(value, name)) for name in (field.name for field in fields(value))}
    if isinstance(value, Mapping):
        return {str(name): _to_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
