"""Run card as one self-contained HTML file.

The file has no script and makes no network request. All text from files and users is escaped.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.figures.style import Translate
from core.language import Language
from core.messages import N_, Message
from core.runs.card_model import RunCard, ScoreCard
from core.runs.documents import render_document
from core.runs.run_names import translate_run_name
from core.runs.svg import Shapes, draw_picture

MISSING_TEXT = "–"
STATUS_LABELS = {
    "completed": N_("completed"),
    "failed": N_("failed"),
    "interrupted": N_("interrupted (cancelled, or the program was stopped)"),
}
ENGLISH = Language("en")


@dataclass(frozen=True)
class Section:
    """A section of the card: facts, a table, a drawing, preformatted blocks and notes. Empty parts are omitted."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    drawing: Shapes | None = None
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_content(self) -> bool:
        """True where the section has content."""
        return bool(self.facts or self.rows or self.drawing or self.blocks or self.notes)


def render_html(card: RunCard, language: Language = ENGLISH) -> str:
    """Return the card as HTML in the language of the reader."""
    title = Message(N_("Run card: {task}"), {"task": card.about.title})
    return render_document(
        "card.html",
        title=language.render(title),
        subtitle=translate_run_name(card.about.name, card.about.task, language.translate),
        sections=list_sections(card, language),
        language=language.code,
    )


def list_sections(card: RunCard, language: Language) -> list[Section]:
    """Return the sections of the card that have content."""
    return [section for section in _Page(card, language).iter_sections() if section.has_content]


@dataclass(frozen=True)
class _Page:
    """Text of a card in one language."""

    card: RunCard
    language: Language

    def translate(self, text: str) -> str:
        return self.language.translate(text)

    def format_value(self, value: object) -> str:
        return self.language.format_value(value)

    def render_message(self, text: Message) -> str:
        return self.language.render(text)

    def iter_sections(self) -> Iterator[Section]:
        card, translate = self.card, self.translate
        yield Section(translate(N_("Run")), self._list_run_facts())
        yield Section(translate(N_("Data")), self._list_data_facts())
        yield Section(
            translate(N_("Model")),
            self._list_model_facts(),
            (translate(N_("Parameter")), translate(N_("Value"))),
            tuple(card.model.parameters.items()),
        )
        yield Section(translate(N_("Threshold")), self._list_threshold_facts())
        head, rows = _build_table(card.score_card, translate, self._format_number) if card.score_card else ((), ())
        yield Section(
            translate(N_("Quality")),
            self._format_metrics(card.counts, self.translate),
            head,
            rows,
            draw_picture(card.picture, self.language.translate, self.format_value) if card.picture else None,
            notes=tuple(map(self.render_message, card.notes)),
        )
        yield Section(translate(N_("Intervals")), self._list_interval_facts())
        yield Section(
            translate(N_("Cost")),
            self._list_cost_facts(),
            notes=(
                translate(
                    N_(
                        "Emissions are an estimate. Without a power meter, CodeCarbon uses a "
                        "constant per processor core and per memory module."
                    )
                ),
            ),
        )
        yield Section(translate(N_("Versions")), tuple(card.versions.items()))
        yield self._build_repeat_section()
        yield Section(translate(N_("All recorded metrics")), self._format_metrics(card.metrics))

    def _list_facts(self, values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """Return (translated label, text) of the values that are not empty."""
        return tuple(
            (self.translate(label), self.format_value(value))
            for label, value in values.items()
            if value not in (None, "", ())
        )

    def _list_run_facts(self) -> tuple[tuple[str, str], ...]:
        about = self.card.about
        delivery_text = self.translate(N_("waiting for delivery to MLflow")) if about.is_pending else ""
        return self._list_facts(
            {
                N_("Run"): about.id,
                N_("Status"): self.translate(STATUS_LABELS.get(about.status, about.status)),
                N_("Delivery"): delivery_text,
                N_("Error"): about.error,
                N_("User"): about.user,
                N_("Application"): about.application,
                N_("Start (UTC)"): about.began,
                N_("End (UTC)"): about.ended,
                N_("Parent run"): about.parent,
                N_("Changed since the parent run"): about.changed,
            }
        )

    def _list_data_facts(self) -> tuple[tuple[str, str], ...]:
        data, part = self.card.data, self.card.data.part
        location = N_("stored here") if data.stored_here else N_("not stored here")
        facts = {
            N_("Files"): ", ".join(data.files),
            "SHA-256": data.digest,
            N_("Rows of the dataset"): data.rows,
            N_("Entities of the dataset"): data.entities,
            N_("Period of the dataset"): _format_period(data.first, data.last),
            N_("Location"): self.translate(location),
            N_("Repairs"): data.repairs or self.translate(N_("none")),
        }
        if part is not None:
            facts |= {
                N_("Rows in the result"): part.rows,
                N_("Entities in the result"): part.entities,
                N_("Period of the result"): _format_period(part.first, part.last),
                N_("Selected entities"): ", ".join(part.selected_entities) or self.translate(N_("All entities")),
                N_("Selected from"): part.start,
                N_("Selected until"): part.end,
            }
        return self._list_facts(facts)

    def _list_model_facts(self) -> tuple[tuple[str, str], ...]:
        model = self.card.model
        return self._list_facts(
            {
                N_("Model"): model.name,
                N_("Saved model of run"): model.applied_from,
                N_("Seed"): None if model.seed is None else str(model.seed),
            }
        )

    def _list_threshold_facts(self) -> tuple[tuple[str, str], ...]:
        threshold = self.card.threshold
        if threshold is None:
            return ()
        return self._list_facts(
            {
                N_("Threshold"): self._format_number(threshold.value),
                N_("Method"): threshold.method,
                N_("Reason"): self.render_message(threshold.why),
                N_("Target false-alarm rate (share of rows)"): self._format_number(threshold.promised),
                N_("Measured false-alarm rate (share of rows)"): self._format_number(threshold.measured),
            }
        )

    def _list_interval_facts(self) -> tuple[tuple[str, str], ...]:
        intervals = self.card.intervals
        if intervals is None:
            return ()
        return self._list_facts(
            {
                N_("Quantiles"): f"{self._format_number(intervals.low)} … {self._format_number(intervals.high)}",
                N_("Nominal coverage"): self._format_number(intervals.promised),
                N_("Measured coverage in the backtest"): self._format_number(intervals.measured),
            }
        )

    def _list_cost_facts(self) -> tuple[tuple[str, str], ...]:
        cost = self.card.cost
        return self._list_facts(
            {
                N_("Seconds"): self._format_number(cost.seconds),
                "kg CO₂": self._format_number(cost.emissions_kg),
                "kWh": self._format_number(cost.energy_kwh),
                N_("Method"): cost.method,
                N_("Country of the electricity"): cost.country,
            }
        )

    def _build_repeat_section(self) -> Section:
        card = self.card
        recipe = [json.dumps(card.data.recipe, ensure_ascii=False)] if card.data.recipe else []
        blocks = [card.repeat.command] if card.repeat.command else []
        label = ((self.translate(N_("Recipe")), "recipe.json"),) if recipe else ()
        return Section(
            self.translate(N_("Repeat the run")),
            label,
            blocks=(*blocks, *recipe),
            notes=tuple(map(self.render_message, card.repeat.notes)),
        )

    def _format_metrics(
        self, metrics: Mapping[str, float], translate_name: Translate = str
    ) -> tuple[tuple[str, str], ...]:
        """Return (name, value) of figures; `translate_name` translates the names, by default they stay as recorded."""
        return tuple((translate_name(name), self._format_number(value)) for name, value in metrics.items())

    def _format_number(self, value: float | None) -> str:
        return format_number(value, self.language)


def format_number(value: float | None, language: Language) -> str:
    """Return a number with four significant digits, a dash for a missing one."""
    if value is None or value != value:
        return MISSING_TEXT
    if float(value).is_integer() and abs(value) < 1e15:
        return language.format_value(int(value))
    return language.format_value(float(f"{value:.4g}")) if abs(value) >= 1e-4 else f"{value:.3g}"


def _format_period(first: str, last: str) -> str:
    return f"{first.removesuffix(' 00:00:00')} … {last.removesuffix(' 00:00:00')}" if first else ""


def _build_table(
    card: ScoreCard, translate: Translate, format_number: Callable[[Any], str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    rows = tuple((line, *map(format_number, values)) for line, values in card.lines)
    return (translate(N_("Method")), *card.metrics), rows
