"""A finished chart: a figure in the language of its readers, as JSON, and what is to be seen in words."""

import json
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.basedatatypes import BaseFigure
from typing_extensions import override

from core.figures.style import shorten_times
from core.figures.tables import describe_figure
from core.language import Language


@dataclass(frozen=True)
class Chart:
    """A chart that pages show as it is; plain values, so that it can be kept.

    figure        JSON of the figure, as Plotly writes it
    words         what is to be seen, in sentences
    caption       text below the chart; "" for none
    has_time      True where a period can be drawn across it
    """

    figure: dict[str, Any]
    words: str
    caption: str = ""
    has_time: bool = False


class SentFigure(BaseFigure):  # type: ignore[misc]  # Plotly has no types
    """The figure of a chart for Streamlit, which asks for its JSON alone.

    A figure of Plotly would check every property of the JSON and copy it, which takes longer than drawing.
    """

    def __init__(self, chart: Chart) -> None:
        self._parts = chart.figure

    @override
    def to_dict(self) -> dict[str, Any]:
        return self._parts


def finish_chart(figure: go.Figure, language: Language) -> Chart:
    """Return a figure as a chart, its numbers and dates in a language; the figure is changed."""
    words = " ".join(map(language.render, describe_figure(figure, language.translate)))
    shown = language.localise_figure(shorten_times(figure))
    return Chart(json.loads(shown.to_json(validate=False)), words)
