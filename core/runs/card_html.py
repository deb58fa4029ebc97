"""Run card as one self-contained HTML file.

The file has no script and makes no network request. All text from files and users is escaped.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.figures.style import Say
from core.messages import N_, Text, plain
from core.runs.card_model import Card, ScoreCard
from core.runs.svg import Drawing, drawn

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = Path(__file__).with_name("card.html")
NONE = "–"
STATUS = {
    "completed": N_("completed"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted: it was stopped, or the program was"),
}
Shown = Callable[[object], str]


@dataclass(frozen=True)
class Section:
    """A section of the card: facts, a table, a drawing, preformatted blocks and notes. Empty parts are omitted."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    drawing: Drawing | None = None
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def filled(self) -> bool:
        """True where the section has content."""
        return bool(self.facts or self.rows or self.drawing or self.blocks or self.notes)


def html(card: Card, say: Say = str, shown: Shown = plain, language: str = "en") -> str:
    """Return the card as HTML; `say` translates the text, `shown` formats numbers."""
    page = _Page(card, say, shown)
    sections = [section for section in page.sections() if section.filled]
    title = say(N_("Run card: {task}")).format(task=page.tell(card.about.title))
    return _template().render(title=title, subtitle=card.about.name, sections=sections, language=language)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(TEMPLATE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Page:
    """Text of a card in one language."""

    card: Card
    say: Say
    shown: Shown

    def tell(self, text: Text) -> str:
        return text.rendered(self.say, self.shown)

    def sections(self) -> Iterator[Section]:
        card, say = self.card, self.say
        yield Section(say(N_("Run")), self._run())
        yield Section(say(N_("Data")), self._data())
        yield Section(
            say(N_("Model")),
            self._model(),
            (say(N_("Parameter")), say(N_("Value"))),
            tuple(card.model.parameters.items()),
        )
        yield Section(say(N_("Threshold")), self._threshold())
        head, rows = _table(card.score_card, say, self._number) if card.score_card else ((), ())
        yield Section(
            say(N_("How good it is")),
            self._figures(card.counts, self.say),
            head,
            rows,
            drawn(card.picture, say, self.shown) if card.picture else None,
            notes=tuple(map(self.tell, card.notes)),
        )
        yield Section(say(N_("Intervals")), self._intervals())
        yield Section(
            say(N_("Cost")),
            self._cost(),
            notes=(
                say(
                    N_(
                        "Emissions are an estimate: without a power meter CodeCarbon takes a constant per "
                        "processor core and memory module."
                    )
                ),
            ),
        )
        yield Section(say(N_("Versions")), tuple(card.versions.items()))
        yield self._repeat()
        yield Section(say(N_("Every figure on record")), self._figures(card.metrics))

    def _facts(self, given: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """Return (translated label, text) of the values that are not empty."""
        return tuple(
            (self.say(label), self.shown(value)) for label, value in given.items() if value not in (None, "", ())
        )

    def _run(self) -> tuple[tuple[str, str], ...]:
        about = self.card.about
        waits = self.say(N_("waits for MLflow")) if about.is_pending else ""
        return self._facts(
            {
                N_("Run"): about.id,
                N_("Status"): self.say(STATUS.get(about.status, about.status)),
                N_("Delivery"): waits,
                N_("Error"): about.error,
                N_("User"): about.user,
                N_("Through"): about.application,
                N_("Began (UTC)"): about.began,
                N_("Ended (UTC)"): about.ended,
            }
        )

    def _data(self) -> tuple[tuple[str, str], ...]:
        data, part = self.card.data, self.card.data.part
        here = N_("stored here") if data.stored_here else N_("not stored here")
        found = {
            N_("Files"): ", ".join(data.files),
            "SHA-256": data.digest,
            N_("Rows of the dataset"): data.rows,
            N_("Entities of the dataset"): data.entities,
            N_("Period of the dataset"): _period(data.first, data.last),
            N_("Where"): self.say(here),
            N_("Repairs"): data.repairs or self.say(N_("none")),
        }
        if part is not None:
            found |= {
                N_("Rows in the result"): part.rows,
                N_("Entities in the result"): part.entities,
                N_("Period of the result"): _period(part.first, part.last),
                N_("Entities asked about"): ", ".join(part.selected_entities) or self.say(N_("All entities")),
                N_("Asked from"): part.start,
                N_("Asked until"): part.end,
            }
        return self._facts(found)

    def _model(self) -> tuple[tuple[str, str], ...]:
        model = self.card.model
        return self._facts(
            {
                N_("Model"): model.name,
                N_("Applied, fitted by run"): model.applied_from,
                N_("Seed"): None if model.seed is None else str(model.seed),
            }
        )

    def _threshold(self) -> tuple[tuple[str, str], ...]:
        found = self.card.threshold
        if found is None:
            return ()
        return self._facts(
            {
                N_("Threshold"): self._number(found.value),
                N_("Method"): found.method,
                N_("Why"): self.tell(found.why),
                N_("Share of rows promised at most"): self._number(found.promised),
                N_("Share of rows measured"): self._number(found.measured),
            }
        )

    def _intervals(self) -> tuple[tuple[str, str], ...]:
        found = self.card.intervals
        if found is None:
            return ()
        return self._facts(
            {
                N_("Quantiles"): f"{self._number(found.low)} … {self._number(found.high)}",
                N_("Coverage promised"): self._number(found.promised),
                N_("Coverage measured in the back-test"): self._number(found.measured),
            }
        )

    def _cost(self) -> tuple[tuple[str, str], ...]:
        cost = self.card.cost
        return self._facts(
            {
                N_("Seconds"): self._number(cost.seconds),
                "kg CO₂": self._number(cost.emissions_kg),
                "kWh": self._number(cost.energy_kwh),
                N_("Method"): cost.method,
                N_("Electricity of"): cost.country,
            }
        )

    def _repeat(self) -> Section:
        card = self.card
        recipe = [json.dumps(card.data.recipe, ensure_ascii=False)] if card.data.recipe else []
        blocks = [card.repeat.command] if card.repeat.command else []
        label = ((self.say(N_("Recipe")), "recipe.json"),) if recipe else ()
        return Section(
            self.say(N_("Repeat it")), label, blocks=(*blocks, *recipe), notes=tuple(map(self.tell, card.repeat.notes))
        )

    def _figures(self, figures: Mapping[str, float], name_figure: Say = str) -> tuple[tuple[str, str], ...]:
        """Return (name, value) of figures; `name_figure` translates the names, by default they stay as recorded."""
        return tuple((name_figure(name), self._number(value)) for name, value in figures.items())

    def _number(self, value: float | None) -> str:
        """Format a number with four significant digits."""
        if value is None or value != value:
            return NONE
        if float(value).is_integer() and abs(value) < 1e15:
            return self.shown(int(value))
        return self.shown(float(f"{value:.4g}")) if abs(value) >= 1e-4 else f"{value:.3g}"


def _period(first: str, last: str) -> str:
    return f"{first.removesuffix(' 00:00:00')} … {last.removesuffix(' 00:00:00')}" if first else ""


def _table(
    card: ScoreCard, say: Say, number: Callable[[Any], str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    rows = tuple((line, *map(number, values)) for line, values in card.lines)
    return (say(N_("Line")), *card.metrics), rows
