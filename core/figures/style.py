"""Common style of the figures: a palette for colour-blind readers, downsampling of long lines, layout.

Titles and names pass through `translate`, which translates them. Long lines are downsampled to the resolution of a
screen. Downsampling keeps the peaks; a figure keeps at least its first 1,000 anomalies.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

Translate = Callable[[str], str]

PALETTE = (
    "#0072B2",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#8C6D1F",
    "#5B5EA6",
    "#44AA99",
    "#882255",
)  # after Okabe and Ito, Color Universal Design
HIGHLIGHT_COLOUR = "#D55E00"
NEUTRAL_COLOUR = "#7A8B99"
BAND_COLOUR = "rgba(0, 114, 178, 0.16)"
SEVERITY_SYMBOLS = ("circle-open", "diamond-open", "triangle-up", "star")
HEAT_SCALE = ((0.0, "rgba(122, 139, 153, 0.12)"), (0.001, "#FDE3CF"), (0.4, "#F2A66B"), (1.0, "#B34700"))
MAX_POINTS = 6000
TICKS_WIDTH_PX, TICKS_HEIGHT_PX, TITLE_PX = 48, 50, 32  # of the labels of an axis, dates in two lines; of its title
TIME_UNITS = ("D", "m", "s", "ms")
TIME_FORMAT = "%{x|%Y-%m-%d %H:%M}"


def downsample(values: NDArray[np.float64], max_points: int) -> NDArray[np.intp]:
    """Return the positions of at most `max_points` values that keep the shape of the line (MinMaxLTTB)."""
    if len(values) <= max_points:
        return np.arange(len(values))
    from tsdownsample import MinMaxLTTBDownsampler

    positions = MinMaxLTTBDownsampler().downsample(  # type: ignore[no-untyped-call]
        np.nan_to_num(values), n_out=max_points
    )
    return np.asarray(positions, dtype=np.intp)


def choose_points(
    values: NDArray[np.float64], max_points: int, is_visible: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Return the positions of a line as `downsample`, and as many again of its visible part, in their order."""
    positions = downsample(values, max_points)
    if is_visible is None or len(positions) == len(values):
        return positions
    visible = np.flatnonzero(is_visible)
    return np.unique(np.concatenate([positions, visible[downsample(values[visible], max_points)]]))


def to_float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return `values` as float32, which halves the size of the figure."""
    return values.astype(np.float32)


def shorten_times(figure: go.Figure) -> go.Figure:
    """Store the times of the traces in the coarsest unit that holds them, and return the figure.

    Its JSON is then shorter: `2024-05-01` instead of `2024-05-01T00:00:00.000000000`, thousands of times.
    """
    for trace in figure.data:
        for axis in ("x", "y"):
            times = getattr(trace, axis, None)
            if not isinstance(times, np.ndarray) or times.dtype.kind != "M":
                continue
            candidates = (times.astype(f"datetime64[{unit}]") for unit in TIME_UNITS)
            short = next((each for each in candidates if ((each == times) | np.isnat(times)).all()), times)
            trace[axis] = None  # an array of equal times would not replace it
            trace[axis] = short
    return figure


def pick_hover_time(times: pd.Index) -> str:
    """Return the template of the x value for a hover text: a date, a date with its time, or a row number.

    Example:
        >>> pick_hover_time(pd.DatetimeIndex(["2024-05-01", "2024-05-02"])), pick_hover_time(pd.Index([1, 2]))
        ('%{x|%Y-%m-%d}', '%{x}')
    """
    if not isinstance(times, pd.DatetimeIndex):
        return "%{x}"
    return "%{x|%Y-%m-%d}" if (times.normalize() == times).all() else TIME_FORMAT


def compute_axis_range(amounts: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of an axis: all finite amounts, without a few extreme ones that would flatten the rest."""
    finite = amounts[np.isfinite(amounts)]
    if not len(finite):
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.0005, 0.9995])
    span = max(high - low, 1e-9)
    bottom = float(finite.min()) if finite.min() > low - span else float(low - 0.3 * span)
    top = float(finite.max()) if finite.max() < high + span else float(high + 0.3 * span)
    return (min(bottom, 0.0) if bottom > 0 and bottom < 0.5 * top else bottom - 0.03 * span), top + 0.06 * span


def apply_layout(figure: go.Figure, translate: Translate, x: str = "", y: str = "", height: int = 360) -> go.Figure:
    """Apply the legend, margins and axis titles of the product to `figure`, and return it.

    The margins hold ordinary labels: where Plotly has to widen them, it draws the whole figure a second time.
    """
    figure.update_layout(
        height=height,
        margin={
            "l": TICKS_WIDTH_PX + (TITLE_PX if y else 0),
            "r": 8,
            "t": 28,
            "b": TICKS_HEIGHT_PX + (TITLE_PX if x else 0),
        },
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "font": {"size": 11}},
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    if x:
        figure.update_xaxes(title={"text": x})
    if y:
        figure.update_yaxes(title={"text": y})
    return figure
