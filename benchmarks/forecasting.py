"""Forecasts of French regional gas, fitted before 2023 and tested from then on, compared with naive forecasts.

It measures errors, intervals and seconds.
"""

import time

import numpy as np
import pandas as pd

from benchmarks.lines import Line, judged
from benchmarks.material import gas_files
from core.data.covariates import Drivers, joined, read_covariates
from core.data.dataset import DAY
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.forecasters import scoring
from core.forecasters.backtest import Backtest, backtest
from core.forecasters.known import Weather
from core.tasks.forecast.spec import forecasters

DRIVERS = ("temperature-quotidienne-regionale.csv", "mouvements-sociaux-depuis-2002.csv", "vacances-scolaires.csv")
START, HORIZON = pd.Timestamp("2023-01-01"), 7
ENDS = np.array([0.05, 0.95])
PROMISED = (0.88, 0.92)  # accepted coverage of a 90 % interval
TARGETS: dict[str, tuple[float, float]] = {"ridge": (5.0, 9.1), "random-forest": (5.0, 8.8), "blend": (4.2, 7.7)}
"""Forecaster → maximum WAPE in percent, 1 and 7 days ahead, with the observed weather."""
WORTH: dict[Weather, str] = {
    "as given": "observed weather",
    "degraded": "weather with the error of a usual forecast",
    "none": "no weather",
}
ASKED: tuple[tuple[str, Weather], ...] = (
    ("seasonal-naive", "none"),
    ("ridge", "as given"),
    ("random-forest", "as given"),
    ("gradient-boosting", "as given"),
    ("blend", "as given"),
    ("ridge", "degraded"),
    ("blend", "degraded"),
    ("ridge", "none"),
    ("blend", "none"),
)


def main() -> list[Line]:
    """Measure every forecaster, with different qualities of the weather."""
    files = gas_files()
    if not files or not all((files[0].parent / name).exists() for name in DRIVERS):
        return [Line("skipped: no gas_france/ in the shared data", "–")]
    dataset = load(files)
    series = Panel.of(dataset)
    tables = read_covariates([files[0].parent / name for name in DRIVERS])
    drivers = joined(dataset, tables, until=series.days[-1] + DAY * (HORIZON + 1))
    return [line for name, weather in ASKED for line in _measured(name, weather, series, drivers)]


def _measured(name: str, weather: Weather, series: Panel, drivers: Drivers) -> list[Line]:
    began = time.perf_counter()
    found = backtest(forecasters()[name](), series, drivers, start=START, horizon=HORIZON, weather=weather)
    seconds = time.perf_counter() - began
    per_step = _per_step(found)
    worth = WORTH[weather] if name != "seasonal-naive" else "last known day of the same weekday"
    targets = TARGETS.get(name, (None, None)) if weather == "as given" else (None, None)
    lines = [Line(f"{name}, {worth}", f"{seconds:.1f} s", basis="two fits and 14 forecasts of a year and more")]
    for step, target in zip((1, HORIZON), targets, strict=True):
        of = per_step.loc[step]
        basis = f"naive-1 {of['wape_naive1']:.2%}, naive-7 {of['wape_naive7']:.2%}"
        lines.append(
            Line(f"    WAPE, {step} d ahead", f"{of['wape']:.2%}", "", basis, *judged(100 * of["wape"], target, "%"))
        )
        lines.append(_skills(step, of))
    return [*lines, _coverage(per_step)]


def _per_step(found: Backtest) -> pd.DataFrame:
    scores = scoring.judged(found, ENDS)["scores"]
    return scores[scores["entity"] == ""].set_index("step")


def _skills(step: int, of: "pd.Series[float]") -> Line:
    skills = f"{of['skill_naive1']:+.3f} and {of['skill_naive7']:+.3f}"
    return Line(
        f"    skill over naive-1 and naive-7, {step} d ahead", skills, basis=f"MASE {of['mase']:.2f}, R² {of['r2']:.4f}"
    )


def _coverage(per_step: pd.DataFrame) -> Line:
    found = per_step.drop(index=0)["coverage"]
    low, high = PROMISED
    kept = bool(found.between(low, high).all())
    return Line(
        "    coverage of the 90 % interval, 1 to 7 d ahead",
        f"{per_step.loc[0, 'coverage']:.1%}",
        f"{found.min():.1%} – {found.max():.1%}",
        f"width {per_step.loc[0, 'width']:.1%} of the amounts",
        f"{low:.0%} – {high:.0%}",
        "met" if kept else "MISSED",
    )
