"""Report as one self-contained HTML file, to open without a network and to print.

Figures are drawn by Plotly, whose program is in the file once, compressed. The file loads nothing from anywhere. All
text from files and users is escaped, also in figures, which have a markup of their own.
"""

import base64
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from core.language import Language
from core.messages import MANY, N_, Message
from core.runs.card_html import MISSING_TEXT, Section, format_number, list_sections
from core.runs.documents import render_document
from core.runs.report import Report
from core.runs.report_content import Cell, EventList, ReportFigure, ReportTable
from core.spec.metric import Metric
from core.spec.task import get_metric

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIGURE_STYLE = {
    "layout": {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1b2733"},
        "xaxis": {"gridcolor": "#e6ebef", "linecolor": "#d5dde4", "zerolinecolor": "#d5dde4", "automargin": True},
        "yaxis": {"gridcolor": "#e6ebef", "linecolor": "#d5dde4", "zerolinecolor": "#d5dde4", "automargin": True},
        "colorway": ["#0072B2"],
    }
}
"""Template of the figures: the light colours of paper."""

BOLD = re.compile(r"\*\*(.+?)\*\*")
MARKUP = re.compile(r"<(?!br>|extra>|/extra>)|&")  # what figures themselves use stays
MARKUP_ENTITIES = {"<": "&lt;", "&": "&amp;"}


@dataclass(frozen=True)
class _EventText:
    """An event as text: its title, the word of its severity, and what is known about it."""

    title: str
    severity: str
    text: str


@dataclass(frozen=True)
class _DrawnFigure:
    """A drawn figure: its JSON, which is safe within a script element, and its height in pixels."""

    title: str
    note: str
    json: str
    height: int


def render_report(report: Report, language: Language) -> str:
    """Return the report as HTML in the language of the reader."""
    return _Writer(report, language).render()


@dataclass(frozen=True)
class _Writer:
    """Text of a report in one language."""

    report: Report
    language: Language

    def render(self) -> str:
        card, content, language = self.report.card, self.report.content, self.language
        files = ", ".join(card.data.files[:3]) + (" …" if len(card.data.files) > 3 else "")
        figures = [self._draw(figure) for figure in content.figures]
        known = [issue for _count, issue in self.report.quality.issues]  # the data doctor tells them
        title = self._tell(card.about.title)
        day = language.format_value(date.fromisoformat(card.about.began[:10])) if card.about.began else ""
        return render_document(
            "report.html",
            language=language.code,
            title=title,
            files=files,
            day=day,
            heading=_quote_css(f"{title} · {files}" if files else title),
            date=_quote_css(day),
            labels={name: language.translate(text) for name, text in LABELS.items()},
            summary=[_end_sentence(self._tell(text)) for text in (self.report.introduction, *content.summary)],
            key_figures=[
                (self._tell(figure.label), self._format(figure.value), self._tell(figure.baseline))
                for figure in content.key_figures
            ],
            tables=[self._build_score_table(), *map(self._build_table, content.tables)],
            events=self._build_events(content.events) if content.events is not None else None,
            figures=figures,
            galleries=[
                (self._tell(gallery.title), [(self._tell(caption), source) for caption, source in gallery.pictures])
                for gallery in content.galleries
            ],
            plotly=load_plotly() if figures else "",
            style=_to_script_json(FIGURE_STYLE),
            chart_config=_to_script_json(language.build_chart_config()),
            quality=self._build_quality(),
            certainty=[self._tell(text) for text in (*self.report.certainty, *content.certainty)],
            notes=[self._tell(text) for text in content.notes if text not in known],
            card=[
                section
                for section in list_sections(card, language)
                if section.title not in self._list_repeated_titles()
            ],
        )

    def _list_repeated_titles(self) -> set[str]:
        """Return the titles of the sections of the run card whose content the report tells before."""
        return {self.language.translate(title) for title in ("Quality", "Intervals", "All recorded metrics")}

    def _tell(self, text: Message | None) -> str:
        """Return a message as text, without the marks of bold text that a page shows."""
        return "" if text is None else text.render(self._translate_plainly, self.language.format_value)

    def _translate_plainly(self, text: str, plural: str = "", count: int = MANY, /) -> str:
        return BOLD.sub(r"\1", self.language.translate(text, plural, count))

    def _format(self, cell: Cell) -> str:
        if isinstance(cell, Message):
            return self._tell(cell)
        if cell is None:
            return MISSING_TEXT
        return cell if isinstance(cell, str) else format_number(cell, self.language)

    # ---- sections ---------------------------------------------------------------------------------------------------

    def _build_score_table(self) -> Section:
        """Return the metrics of the model beside those of its baselines; empty without them."""
        card = self.report.card.score_card
        title = self.language.translate(N_("Compared with simple methods"))
        if card is None:
            return Section(title)
        metrics = [get_metric(name, self.report.card.about.task) for name in card.metrics]
        heads = [self.language.translate(metric.label) + (", %" if metric.unit == "%" else "") for metric in metrics]
        rows = tuple(
            (
                self.language.translate(self.report.content.line_labels.get(name, name)),
                *(self._format_metric(metric, value) for metric, value in zip(metrics, values, strict=True)),
            )
            for name, values in card.lines
        )
        return Section(title, head=(self.language.translate(N_("Method")), *heads), rows=_drop_empty(rows))

    def _format_metric(self, metric: Metric, value: float | None) -> str:
        return format_number(value if value is None or metric.unit != "%" else 100 * value, self.language)

    def _build_table(self, table: ReportTable) -> Section:
        notes = (self._tell(table.note),) if table.note is not None else ()
        rows = tuple(tuple(map(self._format, row)) for row in table.rows)
        return Section(self._tell(table.title), head=tuple(map(self._tell, table.head)), rows=rows, notes=notes)

    def _build_events(self, events: EventList) -> dict[str, Any]:
        more = events.total - len(events.events)
        template = N_("{count} more are not listed here; the page of the result and its export list all.")
        return {
            "heading": self._tell(events.heading),
            "items": [
                _EventText(
                    self._tell(event.title),
                    self.language.translate(event.severity) if event.severity else "",
                    " ".join(_end_sentence(self._tell(sentence)) for sentence in event.sentences),
                )
                for event in events.events
            ],
            "more": self._tell(Message(template, {"count": more})) if more > 0 and events.events else "",
            "empty": "" if events.events else self._tell(events.empty),
        }

    def _build_quality(self) -> dict[str, Any]:
        quality = self.report.quality
        more = Message(N_("{count} more issues are not listed here."), {"count": quality.more})
        return {
            "facts": [self._tell(text) for text in quality.facts],
            "issues": [
                (self.language.format_value(count) if count else "", self._tell(text)) for count, text in quality.issues
            ],
            "more": self._tell(more) if quality.more else "",
            "repairs": [self._tell(text) for text in quality.repairs],
        }

    def _draw(self, figure: ReportFigure) -> _DrawnFigure:
        drawn = self.language.localise_figure(figure.draw(self.language))
        return _DrawnFigure(
            self._tell(figure.title), self._tell(figure.note), write_figure(drawn), int(drawn.layout.height or 360)
        )


LABELS = {
    "print": N_("Print or save as PDF"),
    "summary": N_("In short"),
    "key_figures": N_("Key figures"),
    "figures": N_("Figures"),
    "quality": N_("Quality of the data"),
    "repairs": N_("Repairs that were made"),
    "certainty": N_("How sure this is"),
    "notes": N_("Limits of this result"),
    "card": N_("Run card"),
    "no_figures": N_("This program does not show the figures. Open the file in a browser that allows scripts."),
}
"""Part of the report → its heading."""


def write_figure(figure: "go.Figure") -> str:
    """Return data and layout of a figure as JSON that is safe within a script element.

    Points that the page draws with the graphics card are drawn as vectors, which print sharply.
    """
    import plotly.io as pio

    content = json.loads(pio.to_json(figure, engine="json", remove_uids=True))
    content["layout"].pop("template", None)
    for axis in (axis for name, axis in content["layout"].items() if name.startswith("xaxis")):
        axis.pop("rangeslider", None)  # a way to move about, not a part of the picture
    for trace in content["data"]:
        if trace["type"] == "scattergl":
            trace["type"] = "scatter"
    return _to_script_json(_escape_markup(content))


def _escape_markup(value: Any) -> Any:
    """Return the content of a figure in which no name is markup: Plotly renders <b> as bold text, <a> as a link.

    Example:
        >>> _escape_markup(["R&D <a href='x'>", "%{y}<br>%{x}<extra></extra>", 1.5])
        ["R&amp;D &lt;a href='x'>", '%{y}<br>%{x}<extra></extra>', 1.5]
    """
    if isinstance(value, str):
        return MARKUP.sub(lambda match: MARKUP_ENTITIES[match[0]], value)
    if isinstance(value, list):
        return [_escape_markup(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _escape_markup(item) for name, item in value.items()}
    return value


def _to_script_json(value: Any) -> str:
    """Return JSON in which no text can end the script element that holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def load_plotly() -> str:
    """Return the program of Plotly, compressed with gzip, as Base64."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _quote_css(text: str) -> str:
    r"""Return a text as a string of CSS in which every character but plain letters and digits is escaped.

    Example:
        >>> _quote_css("a</style>")
        '"a\\3c \\2f style\\3e "'
    """
    return '"' + "".join(sign if sign.isascii() and sign.isalnum() else f"\\{ord(sign):x} " for sign in text) + '"'


def _end_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…", ":")) else f"{text}."


def _drop_empty(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Return the rows that have a figure."""
    return tuple(row for row in rows if any(cell != MISSING_TEXT for cell in row[1:]))
