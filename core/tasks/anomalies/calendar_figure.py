"""Calendar of a detection: the anomalies of every day, one map per year."""

import calendar
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.figures.style import HEAT_SCALE, Translate, apply_layout
from core.messages import N_
from core.tasks.anomalies.result import Detection

WEEKDAYS = tuple(calendar.day_abbr)
MONTHS = tuple(calendar.month_abbr)[1:]
WEEK_COUNT = 54
DAY_HEIGHT_PX = 15
HEADER_HEIGHT_PX = 50  # of a year: its name and its months
LEGEND_HEIGHT_PX = 40


def draw_calendar_map(
    detection: Detection, translate: Translate = str, weekdays: Sequence[str] = WEEKDAYS, months: Sequence[str] = MONTHS
) -> go.Figure:
    """Draw the number of anomalies per day: years one under another, weeks across, weekdays down.

    `weekdays` begin with Monday; they and `months` are names for the axes.
    """
    days = pd.DatetimeIndex(detection.rows["time"]).normalize()
    counts_by_day = pd.DatetimeIndex(detection.anomalies["time"]).normalize().value_counts()
    years = list(range(days.min().year, days.max().year + 1))
    panel_height = 7 * DAY_HEIGHT_PX
    plot_height = len(years) * panel_height + (len(years) - 1) * HEADER_HEIGHT_PX
    figure = make_subplots(
        rows=len(years),
        cols=1,
        vertical_spacing=HEADER_HEIGHT_PX / plot_height if len(years) > 1 else 0,
        subplot_titles=[f"<b>{year}</b>" for year in years],
    )
    for panel, year in enumerate(years, 1):
        count, dates = _build_year_grid(year, days, counts_by_day)
        figure.add_heatmap(z=count, customdata=dates, coloraxis="coloraxis", row=panel, col=1)
        first_days = pd.DatetimeIndex([f"{year}-{month:02d}-01" for month in range(1, 13)])
        figure.update_xaxes(tickvals=_find_week(first_days) + 1.7, ticktext=list(months), row=panel, col=1)
    figure.update_traces(xgap=1, ygap=1, hoverongaps=False, hovertemplate="%{customdata|%Y-%m-%d}: %{z}<extra></extra>")
    figure.update_xaxes(
        range=[-0.5, WEEK_COUNT - 0.5], side="top", fixedrange=True, showgrid=False, ticks="", tickfont={"size": 10}
    )
    figure.update_yaxes(
        range=[6.5, -0.5],
        tickvals=list(range(7)),
        ticktext=list(weekdays),
        tickfont={"size": 9},
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        ticks="",
    )
    figure.update_annotations(x=0, xanchor="left", yshift=19, font={"size": 13})
    apply_layout(figure, translate, height=plot_height + HEADER_HEIGHT_PX + LEGEND_HEIGHT_PX)
    _show_scale(figure, translate, int(counts_by_day.max()) if len(counts_by_day) else 1)
    return figure


def _show_scale(figure: go.Figure, translate: Translate, highest: int) -> None:
    """Show the colours of the counts, 0 … `highest`, in a bar below the last year."""
    ticks = sorted({0, (highest + 1) // 2, highest})
    figure.update_layout(
        coloraxis={
            "colorscale": HEAT_SCALE,
            "cmin": 0,
            "cmax": highest,
            "colorbar": {
                "orientation": "h",
                "title": {"text": translate(N_("anomalies per day")), "side": "right", "font": {"size": 11}},
                "thickness": 8,
                "len": 150,
                "lenmode": "pixels",
                "x": 0,
                "xanchor": "left",
                "y": 0,
                "yanchor": "top",
                "ypad": 6,
                "xpad": 0,
                "tickvals": ticks,
                "ticktext": list(map(str, ticks)),
            },
        },
        margin={"t": HEADER_HEIGHT_PX, "b": LEGEND_HEIGHT_PX, "l": 8, "r": 8},
    )


def _build_year_grid(
    year: int, days: pd.DatetimeIndex, counts_by_day: pd.Series
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return counts and dates of every day of `year`, each (7, 54) = weekdays × weeks.

    The count is NaN on days without data.
    """
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    cell = dates.dayofweek, _find_week(dates)
    count, names = np.full((7, WEEK_COUNT), np.nan), np.full((7, WEEK_COUNT), "", dtype="<U10")
    count[cell] = np.where(dates.isin(days), counts_by_day.reindex(dates).fillna(0).to_numpy(), np.nan)
    names[cell] = dates.strftime("%Y-%m-%d")
    return count, names


def _find_week(dates: pd.DatetimeIndex) -> NDArray[np.intp]:
    """Return the column of every date in the map of its year: weeks begin on Monday."""
    first_weekday = pd.DatetimeIndex([f"{year}-01-01" for year in dates.year]).dayofweek
    return np.asarray((dates.dayofyear + first_weekday - 1) // 7)
