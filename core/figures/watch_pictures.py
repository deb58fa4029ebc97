"""Small pictures of the terms about watches, drawn from made-up numbers."""

import numpy as np
import plotly.graph_objects as go

from core.figures.picture_parts import add_band, add_line, add_points, finish_picture
from core.figures.style import HIGHLIGHT_COLOUR, NEUTRAL_COLOUR, PALETTE, Translate
from core.messages import N_

HOURS = np.arange(0.0, 24.0)
EXPECTED = 60.0 - 25.0 * np.cos(HOURS / 24.0 * 2.0 * np.pi)
FAULT_HOURS = np.array([14, 15, 16])
LEVEL = 70.0


def draw_watch(translate: Translate = str) -> go.Figure:
    """Draw a day of values with their usual range, where the last ones are outside it."""
    measured = EXPECTED + np.random.default_rng(4).normal(0.0, 2.0, len(HOURS))
    measured[FAULT_HOURS] -= 40.0
    figure = go.Figure()
    add_band(figure, HOURS, EXPECTED - 8.0, EXPECTED + 8.0, translate(N_("usual range")))
    add_line(figure, HOURS, measured, translate(N_("measured")), PALETTE[0])
    add_points(figure, HOURS[FAULT_HOURS], measured[FAULT_HOURS], translate(N_("alarms")), HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("hour")))


def draw_ticks(translate: Translate = str) -> go.Figure:
    """Draw the rows that came between ticks: one tick in two hours, and a late row."""
    figure = go.Figure()
    arrivals = np.array([0.5, 1.4, 2.6, 3.5, 4.4, 5.6, 6.5, 7.5])
    ticks = np.arange(0.0, 9.0, 2.0)
    add_points(figure, arrivals, np.ones(len(arrivals)), translate(N_("new rows")), PALETTE[0])
    add_points(figure, ticks, np.zeros(len(ticks)), translate(N_("ticks")), PALETTE[1])
    figure = finish_picture(figure, translate, x=translate(N_("hour")))
    figure.update_yaxes(visible=False, range=[-0.6, 1.6])
    return figure


def draw_maintenance(translate: Translate = str) -> go.Figure:
    """Draw alarms within a maintenance window, which are not announced, and one after it."""
    figure = go.Figure()
    add_band(figure, np.array([8.0, 12.0]), np.zeros(2), np.full(2, 100.0), translate(N_("maintenance window")))
    values = np.full(len(HOURS), LEVEL)
    values[8:12], values[19] = 25.0, 20.0
    add_line(figure, HOURS, values, translate(N_("measured")), NEUTRAL_COLOUR)
    add_points(figure, HOURS[8:12], values[8:12], translate(N_("not announced")), PALETTE[0])
    add_points(figure, HOURS[19:20], values[19:20], translate(N_("announced")), HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("hour")))


def draw_replay(translate: Translate = str) -> go.Figure:
    """Draw how many incidents of the past a threshold would have opened, true ones and false ones."""
    thresholds = np.linspace(2.0, 9.0, 29)
    figure = go.Figure()
    false_ones = np.round(40.0 * np.exp(-(thresholds - 2.0)))
    true_ones = np.round(8.0 / (1.0 + np.exp(2.0 * (thresholds - 7.0))))
    add_line(figure, thresholds, true_ones, translate(N_("true alarms")), PALETTE[1])
    add_line(figure, thresholds, false_ones, translate(N_("false alarms")), HIGHLIGHT_COLOUR)
    return finish_picture(figure, translate, x=translate(N_("Threshold")), y=translate(N_("Incidents")))


def draw_messages(translate: Translate = str) -> go.Figure:
    """Draw the incidents of some hours and the fewer messages that tell about them."""
    hours = np.arange(1.0, 7.0)
    figure = go.Figure()
    for name, counts, colour in (
        (N_("incidents"), [1, 0, 34, 2, 0, 1], HIGHLIGHT_COLOUR),
        (N_("messages"), [1, 0, 2, 1, 0, 1], PALETTE[0]),
    ):
        figure.add_bar(x=hours, y=counts, name=translate(name), marker_color=colour)
    return finish_picture(figure, translate, x=translate(N_("hour")))
