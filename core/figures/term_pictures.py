"""Small pictures of the terms of the glossary, drawn from made-up numbers."""

from typing import Literal

import numpy as np
import plotly.graph_objects as go

from core.array_types import Floats
from core.figures.picture_parts import add_band, add_line, add_points, finish_picture
from core.figures.style import BAND_COLOUR, HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate
from core.messages import N_

DAYS = 28
SCORES = np.linspace(0.0, 10.0, 101)
THRESHOLD = 6.0


def _make_days(seed: int = 3) -> tuple[Floats, Floats, Floats]:
    """Return numbers of days, expected amounts with a weekly rhythm, and measured amounts, (days,) each."""
    days = np.arange(1.0, DAYS + 1)
    expected: Floats = np.where((days - 1) % 7 >= 5, 82.0, 100.0)
    return days, expected, expected + np.random.default_rng(seed).normal(0.0, 4.0, DAYS)


# ---- alarms ---------------------------------------------------------------------------------------------------------


def _draw_scores(translate: Translate, threshold: float, has_anomalies: bool = True) -> go.Figure:
    """Draw how often scores occur among normal rows and anomalies, with a threshold."""
    figure = go.Figure()
    normal = 100.0 * np.exp(-((SCORES - 2.5) ** 2) / 3.0)
    add_line(figure, SCORES, normal, translate(N_("normal rows")), PALETTE[0])
    if has_anomalies:
        anomalies = 18.0 * np.exp(-((SCORES - 7.5) ** 2) / 2.0)
        add_line(figure, SCORES, anomalies, translate(N_("anomalies")), HIGHLIGHT_COLOUR)
    limits = np.array([threshold, threshold])
    add_line(figure, limits, np.array([0.0, 105.0]), translate(N_("threshold")), NEUTRAL_COLOUR, "dash")
    return finish_picture(figure, translate, x=translate(N_("Score")), y=translate(N_("rows")))


def draw_threshold(translate: Translate = str) -> go.Figure:
    """Draw scores of normal rows and anomalies with a threshold between them."""
    return _draw_scores(translate, THRESHOLD)


def draw_false_alarms(translate: Translate = str) -> go.Figure:
    """Draw scores of normal rows, of which few are above the threshold."""
    figure = _draw_scores(translate, 4.5, has_anomalies=False)
    beyond = SCORES[SCORES >= 4.5]
    height = 100.0 * np.exp(-((beyond - 2.5) ** 2) / 3.0)
    add_band(figure, beyond, np.zeros_like(beyond), height, translate(N_("false alarms")), "rgba(213, 94, 0, 0.45)")
    return figure


def draw_contamination(translate: Translate = str) -> go.Figure:
    """Draw the sorted scores of rows, of which a fixed share is flagged."""
    ranks = np.arange(1.0, 21.0)
    scores = np.sort(np.random.default_rng(5).gamma(2.0, 1.0, 20))[::-1]
    figure = go.Figure()
    for name, is_shown, colour in (
        (N_("flagged"), ranks <= 2, HIGHLIGHT_COLOUR),
        (N_("not flagged"), ranks > 2, PALETTE[0]),
    ):
        figure.add_bar(x=ranks[is_shown], y=scores[is_shown], name=translate(name), marker_color=colour)
    return finish_picture(figure, translate, x=translate(N_("Rank")), y=translate(N_("Score")))


def draw_spread(translate: Translate = str) -> go.Figure:
    """Draw measured amounts with a band of two spreads and one value far outside."""
    days, expected, measured = _make_days()
    measured[17] += 30.0
    figure = go.Figure()
    add_band(figure, days, expected - 8.0, expected + 8.0, translate(N_("expected ± 2σ")))
    add_line(figure, days, measured, translate(N_("measured")), PALETTE[0])
    add_points(figure, days[17:18], measured[17:18], "+7σ", HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("day")))


def draw_severity(translate: Translate = str) -> go.Figure:
    """Draw how rare the scores of each severity are."""
    names = [translate(name) for name in (N_("extreme"), N_("rare"), N_("notable"))]
    figure = go.Figure(
        go.Bar(y=names, x=[1, 10, 100], orientation="h", marker_color=HIGHLIGHT_COLOUR, showlegend=False)
    )
    figure.update_xaxes(type="log", tickvals=[1, 10, 100])
    return finish_picture(figure, translate, x=translate(N_("rows in 10,000")))


def draw_incident(translate: Translate = str) -> go.Figure:
    """Draw scores over time, where flagged rows that follow one another are one incident."""
    rows = np.arange(1.0, 25.0)
    scores = 2.0 + np.random.default_rng(2).uniform(0.0, 1.0, len(rows))
    scores[8:12] += (3.2, 5.0, 4.1, 3.0)
    scores[19] += 3.6
    is_flagged = scores > 5.0
    figure = go.Figure()
    for name, is_shown, colour in (
        (N_("flagged"), is_flagged, HIGHLIGHT_COLOUR),
        (N_("not flagged"), ~is_flagged, PALETTE[0]),
    ):
        figure.add_bar(x=rows[is_shown], y=scores[is_shown], name=translate(name), marker_color=colour)
    for number, place in enumerate((10.5, 20.0), 1):
        figure.add_annotation(
            x=place, y=8.6, text=translate(N_("incident {number}")).format(number=number), showarrow=False
        )
    figure.update_yaxes(range=[0, 10])
    return finish_picture(figure, translate, x=translate(N_("Row")), y=translate(N_("Score")))


# ---- quality of detectors -------------------------------------------------------------------------------------------


def draw_hits(translate: Translate = str, kind: Literal["precision", "recall"] = "precision") -> go.Figure:
    """Draw ten alarms or ten anomalies, and how many of them are right."""
    first, second, right = (
        (N_("true alarms"), N_("false alarms"), 8) if kind == "precision" else (N_("found"), N_("missed"), 6)
    )
    places, height = np.arange(1.0, 11.0), np.zeros(10)
    figure = go.Figure()
    add_points(figure, places[:right], height[:right], translate(first), PALETTE[1])
    add_points(figure, places[right:], height[right:], translate(second), HIGHLIGHT_COLOUR)
    figure.update_traces(marker_size=18)
    figure = finish_picture(figure, translate, x=translate(N_("alarms") if kind == "precision" else N_("anomalies")))
    figure.update_yaxes(visible=False)
    return figure


def draw_f1(translate: Translate = str) -> go.Figure:
    """Draw precision, recall and F1 over the threshold."""
    recall = 1.0 / (1.0 + np.exp(1.6 * (SCORES - 7.0)))
    precision = 0.1 + 0.9 / (1.0 + np.exp(-1.6 * (SCORES - 4.5)))
    figure = go.Figure()
    add_line(figure, SCORES, precision, translate(N_("Precision")), PALETTE[0])
    add_line(figure, SCORES, recall, translate(N_("Recall")), PALETTE[1])
    add_line(figure, SCORES, 2 * precision * recall / (precision + recall), "F1", HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("Threshold")))


def draw_affiliation(translate: Translate = str) -> go.Figure:
    """Draw a labelled anomaly with alarms inside, near and far."""
    figure = go.Figure()
    figure.add_vrect(x0=40, x1=55, fillcolor=BAND_COLOUR, line_width=0)
    for name, row, colour in (
        (N_("inside: full credit"), 47.0, PALETTE[1]),
        (N_("near: some credit"), 60.0, PALETTE[4]),
        (N_("far: no credit"), 92.0, HIGHLIGHT_COLOUR),
    ):
        add_points(figure, np.array([row]), np.zeros(1), translate(name), colour)
    figure.update_traces(marker_size=14)
    figure = finish_picture(figure, translate, x=translate(N_("Row")))
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(visible=False)
    return figure


def draw_roc(translate: Translate = str) -> go.Figure:
    """Draw a ROC curve with the area below it, and that of random scores."""
    share = np.linspace(0.0, 1.0, 60)
    figure = go.Figure()
    add_band(figure, share, np.zeros(60), share**0.25, translate(N_("area")))
    add_line(figure, share, share**0.25, translate(N_("detector")), PALETTE[0])
    add_line(figure, share, share, translate(N_("random scores")), NEUTRAL_COLOUR, "dot")
    return finish_picture(
        figure, translate, x=translate(N_("share of normal rows flagged")), y=translate(N_("anomalies found"))
    )


def draw_precision_recall(translate: Translate = str) -> go.Figure:
    """Draw precision over recall with the area below, and that of random scores."""
    recall = np.linspace(0.0, 1.0, 60)
    precision = 1.0 - 0.9 * recall**3
    figure = go.Figure()
    add_band(figure, recall, np.zeros(60), precision, translate(N_("area")))
    add_line(figure, recall, precision, translate(N_("detector")), PALETTE[0])
    add_line(figure, recall, np.full(60, 0.1), translate(N_("random scores")), NEUTRAL_COLOUR, "dot")
    return finish_picture(figure, translate, x=translate(N_("Recall")), y=translate(N_("Precision")))


def draw_vus(translate: Translate = str) -> go.Figure:
    """Draw a labelled anomaly that is extended by windows of growing length."""
    figure = go.Figure()
    rows = np.arange(0.0, 101.0)
    for width, opacity in ((20, 0.12), (10, 0.2), (0, 0.45)):
        figure.add_vrect(x0=45 - width, x1=55 + width, fillcolor=PALETTE[0], opacity=opacity, line_width=0)
    score = 1.0 + 5.0 * np.exp(-((rows - 58.0) ** 2) / 30.0)
    add_line(figure, rows, score, translate(N_("Score")), HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("Row")))


# ---- forecasts ------------------------------------------------------------------------------------------------------


def draw_backtest(translate: Translate = str) -> go.Figure:
    """Draw days of training, and past days that are forecast and compared with what was measured."""
    days, expected, measured = _make_days()
    figure = go.Figure()
    add_line(figure, days[:20], measured[:20], translate(N_("training")), NEUTRAL_COLOUR)
    add_line(figure, days[19:], measured[19:], translate(N_("measured")), PALETTE[0])
    add_line(figure, days[19:], expected[19:], translate(N_("forecast")), HIGHLIGHT_COLOUR, "dash")
    return finish_picture(figure, translate, x=translate(N_("day")))


def draw_naive(translate: Translate = str) -> go.Figure:
    """Draw a week that is repeated as the forecast of the next one."""
    days, _, measured = _make_days()
    figure = go.Figure()
    add_line(figure, days[:21], measured[:21], translate(N_("measured")), PALETTE[0])
    add_line(
        figure, days[20:], np.append(measured[20], measured[14:21]), translate(N_("forecast")), HIGHLIGHT_COLOUR, "dash"
    )
    return finish_picture(figure, translate, x=translate(N_("day")))


def draw_errors(translate: Translate = str) -> go.Figure:
    """Draw measured amounts, a forecast, and the errors between them."""
    days, expected, measured = (values[:14] for values in _make_days())
    figure = go.Figure()
    for day, low, high in zip(days, expected, measured, strict=True):
        figure.add_scatter(
            x=[day, day], y=[low, high], mode="lines", line={"color": HIGHLIGHT_COLOUR}, showlegend=False
        )
    add_points(figure, days, measured, translate(N_("measured")), PALETTE[0])
    add_line(figure, days, expected, translate(N_("forecast")), NEUTRAL_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("day")))


def draw_scaled_errors(translate: Translate = str) -> go.Figure:
    """Draw the mean error of a model and of the naive forecast, and their ratio."""
    errors, names = np.array([8.0, 4.8]), [translate(N_("naive forecast")), translate(N_("model"))]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=errors,
            orientation="h",
            marker_color=[NEUTRAL_COLOUR, PALETTE[0]],
            customdata=errors / errors[0],
            texttemplate=["%{x}", "%{x}, MASE %{customdata:.1f}"],
            showlegend=False,
        )
    )
    return finish_picture(figure, translate, x=translate(N_("Mean absolute error")))


def draw_quantile_loss(translate: Translate = str) -> go.Figure:
    """Draw the loss of the 90 % quantile over the measured value."""
    measured = np.linspace(80.0, 160.0, 81)
    loss = np.where(measured > 120.0, 0.9 * (measured - 120.0), 0.1 * (120.0 - measured))
    figure = go.Figure()
    add_line(figure, measured, loss, translate(N_("loss")), PALETTE[0])
    limits, height = np.array([120.0, 120.0]), np.array([0.0, 36.0])
    add_line(figure, limits, height, translate(N_("90 % quantile")), NEUTRAL_COLOUR, "dash")
    return finish_picture(figure, translate, x=translate(N_("measured")))


def _draw_interval(translate: Translate, half_width: float) -> go.Figure:
    days, expected, measured = _make_days()
    low, high = expected - half_width, expected + half_width
    is_inside = (measured >= low) & (measured <= high)
    figure = go.Figure()
    add_band(figure, days, low, high, translate(N_("interval")))
    add_points(figure, days[is_inside], measured[is_inside], translate(N_("inside")), PALETTE[0])
    add_points(figure, days[~is_inside], measured[~is_inside], translate(N_("outside")), HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("day")))


def draw_interval(translate: Translate = str) -> go.Figure:
    """Draw an interval that contains most of the measured amounts."""
    return _draw_interval(translate, 9.0)


def draw_coverage(translate: Translate = str) -> go.Figure:
    """Draw a narrow interval that misses more of the measured amounts."""
    return _draw_interval(translate, 4.0)


# ---- clusters and data ----------------------------------------------------------------------------------------------


def draw_silhouette(translate: Translate = str) -> go.Figure:
    """Draw two clusters of points and one point between them."""
    generator = np.random.default_rng(4)
    figure = go.Figure()
    for number, (centre, colour) in enumerate(((0.0, PALETTE[0]), (6.0, PALETTE[1])), 1):
        points = generator.normal(centre, 0.8, (15, 2))
        name = translate(N_("cluster {number}")).format(number=number)
        add_points(figure, points[:, 0], points[:, 1], name, colour)
    add_points(figure, np.array([3.0]), np.array([3.0]), translate(N_("between two clusters: 0")), HIGHLIGHT_COLOUR)
    figure = finish_picture(figure, translate)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def draw_drift(translate: Translate = str) -> go.Figure:
    """Draw the distribution of a column in the training data and in new data."""
    figure = go.Figure()
    for name, centre, colour in ((N_("training data"), 4.0, PALETTE[0]), (N_("new data"), 5.5, HIGHLIGHT_COLOUR)):
        add_line(figure, SCORES, np.exp(-((SCORES - centre) ** 2) / 3.0), translate(name), colour)
    return finish_picture(figure, translate, x=translate(N_("Value")))


def draw_erlang(translate: Translate = str) -> go.Figure:
    """Draw the number of calls at the same time, and its mean."""
    minutes = np.arange(0.0, 60.0)
    calls = np.random.default_rng(6).poisson(1.0, 60).astype(float)
    figure = go.Figure()
    figure.add_bar(x=minutes, y=calls, name=translate(N_("calls")), marker_color=PALETTE[0])
    add_line(figure, minutes, np.full(60, calls.mean()), translate(N_("mean")), HIGHLIGHT_COLOUR, "dash")
    return finish_picture(figure, translate, x=translate(N_("minute")))


def draw_completion(translate: Translate = str) -> go.Figure:
    """Draw the answered and the other call attempts of some hours."""
    hours, answered = np.arange(8.0, 16.0), np.array([12, 20, 25, 24, 18, 22, 26, 21])
    figure = go.Figure()
    figure.add_bar(x=hours, y=answered, name=translate(N_("answered")), marker_color=PALETTE[0])
    figure.add_bar(
        x=hours,
        y=np.array([3, 5, 4, 18, 5, 4, 6, 5]),
        name=translate(N_("not answered")),
        marker_color=HIGHLIGHT_COLOUR,
    )
    figure.update_layout(barmode="stack")
    return finish_picture(figure, translate, x=translate(N_("hour")), y=translate(N_("calls")))
