"""Forecasts of French regional gas, fitted before 2023 and tested from then on, compared with naive forecasts.

It measures errors, intervals and seconds.
"""

import time

import numpy as np
import pandas as pd

from benchmarks.datasets import find_gas_files
from benchmarks.report import ResultLine, check_target
from core.data.covariates import Covariates, join_covariates, read_covariates
from core.data.dataset import DAY
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.forecasters.backtests import backtest_report
from core.forecasters.backtests.backtest import Backtest, run_backtest
from core.forecasters.panels.covariate_panel import WeatherMode
from core.tasks.forecast.spec import list_forecasters

COVARIATE_FILES = (
    "temperature-quotidienne-regionale.csv",
    "mouvements-sociaux-depuis-2002.csv",
    "vacances-scolaires.csv",
)
START, HORIZON = pd.Timestamp("2023-01-01"), 7
INTERVAL_QUANTILES = np.array([0.05, 0.95])
COVERAGE_RANGE = (0.88, 0.92)  # accepted coverage of a 90 % interval
MAX_WAPE_PERCENT: dict[str, tuple[float, float]] = {
    "ridge": (5.0, 9.1),
    "random-forest": (5.0, 8.8),
    "blend": (4.2, 7.7),
}
"""Forecaster → maximum WAPE in percent, 1 and 7 days ahead, with the observed weather."""
WEATHER_LABELS: dict[WeatherMode, str] = {
    "original": "observed weather",
    "degraded": "weather with the error of a usual forecast",
    "none": "no weather",
}
RUNS: tuple[tuple[str, WeatherMode], ...] = (
    ("seasonal-naive", "none"),
    ("ridge", "original"),
    ("random-forest", "original"),
    ("gradient-boosting", "original"),
    ("blend", "original"),
    ("ridge", "degraded"),
    ("blend", "degraded"),
    ("ridge", "none"),
    ("blend", "none"),
)


def main() -> list[ResultLine]:
    """Measure every forecaster, with different qualities of the weather."""
    files = find_gas_files()
    if not files or not all((files[0].parent / name).exists() for name in COVARIATE_FILES):
        return [ResultLine("skipped: no gas_france/ in the shared data", "–")]
    dataset = load(files)
    series = Panel.from_dataset(dataset)
    tables = read_covariates([files[0].parent / name for name in COVARIATE_FILES])
    covariates = join_covariates(dataset, tables, last_day=series.periods[-1] + DAY * (HORIZON + 1))
    return [line for name, weather in RUNS for line in _measure_forecaster(name, weather, series, covariates)]


def _measure_forecaster(name: str, weather: WeatherMode, series: Panel, covariates: Covariates) -> list[ResultLine]:
    began = time.perf_counter()
    result = run_backtest(
        list_forecasters()[name](), series, covariates, start_date=START, horizon=HORIZON, weather=weather
    )
    seconds = time.perf_counter() - began
    per_step = _score_per_step(result)
    weather_label = WEATHER_LABELS[weather] if name != "seasonal-naive" else "last known day of the same weekday"
    targets = MAX_WAPE_PERCENT.get(name, (None, None)) if weather == "original" else (None, None)
    lines = [
        ResultLine(f"{name}, {weather_label}", f"{seconds:.1f} s", basis="two fits and 14 forecasts of a year and more")
    ]
    for step, target in zip((1, HORIZON), targets, strict=True):
        step_scores = per_step.loc[step]
        basis = f"naive-1 {step_scores['wape_naive1']:.2%}, naive-7 {step_scores['wape_naive7']:.2%}"
        lines.append(
            ResultLine(
                f"    WAPE, {step} d ahead",
                f"{step_scores['wape']:.2%}",
                "",
                basis,
                *check_target(100 * step_scores["wape"], target, "%"),
            )
        )
        lines.append(_build_skill_line(step, step_scores))
    return [*lines, _build_coverage_line(per_step)]


def _score_per_step(result: Backtest) -> pd.DataFrame:
    scores = backtest_report.build_report(result, INTERVAL_QUANTILES)["scores"]
    return scores[scores["entity"] == ""].set_index("step")


def _build_skill_line(step: int, step_scores: "pd.Series[float]") -> ResultLine:
    skills = f"{step_scores['skill_naive1']:+.3f} and {step_scores['skill_naive7']:+.3f}"
    return ResultLine(
        f"    skill over naive-1 and naive-7, {step} d ahead",
        skills,
        basis=f"MASE {step_scores['mase']:.2f}, R² {step_scores['r2']:.4f}",
    )


def _build_coverage_line(per_step: pd.DataFrame) -> ResultLine:
    coverages = per_step.drop(index=0)["coverage"]
    low, high = COVERAGE_RANGE
    is_met = bool(coverages.between(low, high).all())
    return ResultLine(
        "    coverage of the 90 % interval, 1 to 7 d ahead",
        f"{per_step.loc[0, 'coverage']:.1%}",
        f"{coverages.min():.1%} – {coverages.max():.1%}",
        f"width {per_step.loc[0, 'width']:.1%} of the amounts",
        f"{low:.0%} – {high:.0%}",
        "met" if is_met else "MISSED",
    )
