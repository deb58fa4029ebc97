"""Comparison of forecasters on the last part of a series, and the weights of their blend."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.base import Forecaster
from core.forecasters.choice.candidates import Candidate, PanelSize, list_candidates
from core.forecasters.choice.ensemble_weights import PastForecasts, weigh_members
from core.forecasters.choice.recent_change import count_changed_origins, weigh_after_change
from core.forecasters.exponential_smoothing import group_steps
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_entities, select_last_periods, select_periods_before
from core.forecasters.seasons import list_repeated_seasons
from core.forecasters.series.base import MEDIAN, SeriesForecaster
from core.messages import N_, Message
from core.progress import Progress

Positions = NDArray[np.intp]

MAX_ENTITIES = 24  # that the comparison is made on, evenly drawn
MAX_CELLS = 1_500_000  # periods × entities × steps that the comparison is made on; the last periods are taken
MAX_WINDOW = 4000  # periods that are forecast, at most; days: a year
WINDOW_SEASONS = 30  # that are forecast, at most; ten days of half-hours can be ten unusual ones, as those of New Year
YEAR_DAYS = 365
MAX_ORIGINS = 128
FOLDS = ((400, 1, 1 / 3), (120, 3, 0.4), (0, 4, 0.4))  # periods from which; number of folds; share that is forecast
MIN_TRAINING_SEASONS, MIN_TRAINING_PERIODS = 2, 4  # of the first fold, for the forecasters that learn a season
RECENT_ORIGINS, RECENT_SHARE = 16, 1 / 3  # last origins that show a change, at most; of the window, at most
MIN_KNOWN_SHARE = 0.9  # of the forecasts that the naive line gives, for a candidate to be compared
BACKTEST_SHARE = 0.6  # of the periods, that the backtest after the choice forecasts
BACKTEST_ORIGINS, BACKTEST_STEPS = 2 * YEAR_DAYS, 600  # at most, of days, and of shorter steps in forecasters of series


@dataclass(frozen=True)
class CandidateScore:
    """Result of one candidate.

    label    name of the candidate
    wape     error by group of steps ahead; empty if it was not compared
    weights  weight in the blend by group of steps ahead; empty if it was not compared
    reason   why it was not compared, as `Message.dump` writes it; "" if it was
    """

    label: str
    wape: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """Decision of the automatic choice, and what it rests on.

    groups        first and last step ahead of every group
    scores        one for every candidate
    gains         by how many standard errors the blend beats the best naive line on origins held back, by group
    period_count  periods of the history that the choice was made on
    origin_count  origins that were compared
    recent_count  last origins that the weights rest on, because the series changed before them; 0 without a change
    """

    groups: tuple[tuple[int, int], ...]
    scores: tuple[CandidateScore, ...]
    gains: tuple[float, ...]
    period_count: int
    origin_count: int
    recent_count: int = 0

    @property
    def member_labels(self) -> tuple[str, ...]:
        """Labels of the candidates with a weight."""
        return tuple(score.label for score in self.scores if any(score.weights))

    def get_weights(self, step: int) -> Floats:
        """Return the weights of the members `step` periods ahead, (members,)."""
        group = next((number for number, (low, high) in enumerate(self.groups) if step <= high), len(self.groups) - 1)
        return np.array([score.weights[group] for score in self.scores if any(score.weights)])


def choose_members(
    series: Panel, covariates: CovariatePanel, horizon: int, seconds: float, progress: Progress | None = None
) -> Choice:
    """Compare the candidates on the last part of `series` and return the weights of their blend.

    Every candidate is fitted on the periods before and forecasts from the same origins. Candidates whose counted work
    does not fit in `seconds` are not tried; neither are those that raise DataError. Raises DataError for a history
    that not even a naive line can forecast.
    """
    sample, sample_covariates = _draw_sample(series, covariates, horizon)
    folds = _list_folds(sample, horizon)
    even_origins = np.concatenate(folds)
    recent_start = _find_recent_start(even_origins, len(sample))
    folds[-1] = np.union1d(folds[-1], np.arange(recent_start, len(sample)))
    groups, origins = group_steps(horizon), np.concatenate(folds)
    backtest_origins = min(
        BACKTEST_ORIGINS if series.step >= DAY else BACKTEST_STEPS, int(BACKTEST_SHARE * len(series))
    )
    size = PanelSize(len(sample), len(sample.entities), horizon, len(origins) + backtest_origins)
    candidates, spent = list_candidates(series), 0.0
    forecasts: dict[str, Floats] = {}
    reasons: dict[str, Message] = {}
    for number, candidate in enumerate(candidates):
        needed = candidate.seconds(size)
        if spent + needed > seconds:
            reasons[candidate.label] = Message(
                N_("needs about {needed} s more, but only {accepted} s are allowed"),
                {"needed": round(needed), "accepted": round(seconds)},
            )
            continue
        part = None if progress is None else progress.create_part(number, len(candidates))
        try:
            forecasts[candidate.label] = _forecast_folds(candidate, sample, sample_covariates, folds, horizon, part)
        except DataError as error:
            reasons[candidate.label] = error.message
            continue
        spent += needed
    actual = _gather_actual(sample, origins, horizon)
    _drop_incomplete(forecasts, reasons, candidates, actual)
    naive_labels = [candidate.label for candidate in candidates if candidate.is_naive and candidate.label in forecasts]
    if not naive_labels:
        raise DataError(next(iter(reasons.values())).template, **dict(next(iter(reasons.values())).values))
    spacing = (int(even_origins[-1] - even_origins[0]) + 1) / len(even_origins)
    every = PastForecasts.from_forecasts(np.stack(list(forecasts.values())), actual, spacing)
    is_even, is_recent = np.isin(origins, even_origins), origins >= recent_start
    return _weigh(every, list(forecasts), reasons, candidates, naive_labels, is_even, is_recent, groups, len(series))


def _weigh(
    every: PastForecasts,
    labels: list[str],
    reasons: dict[str, Message],
    candidates: list[Candidate],
    naive_labels: list[str],
    is_even: NDArray[np.bool_],
    is_recent: NDArray[np.bool_],
    groups: list[tuple[int, int]],
    period_count: int,
) -> Choice:
    """Return the choice from the forecasts of `labels`.

    The weights are those of the evenly spaced origins; after a change, members have to be good before and since.
    """
    naive_members = [labels.index(label) for label in naive_labels]
    past, recent = every.select_origins(is_even), every.select_origins(is_recent)
    weights, gains = weigh_members(past, groups, naive_members)
    before = every.select_origins(is_even & ~is_recent)
    recent_count = count_changed_origins(before, recent, weights, groups)
    if recent_count:
        changed = recent.select_origins(slice(-recent_count, None))
        weights = weigh_after_change(before, changed, groups)
    wape = np.stack([past.select_steps(low, high).compute_wape() for low, high in groups])
    results = {
        label: (tuple(map(float, wape[:, number])), tuple(map(float, weights[:, number])))
        for number, label in enumerate(labels)
    }
    scores = [
        CandidateScore(candidate.label, *results.get(candidate.label, ((), ())), _dump(reasons.get(candidate.label)))
        for candidate in candidates
    ]
    return Choice(
        tuple(groups), tuple(scores), tuple(map(float, gains)), period_count, int(is_even.sum()), recent_count
    )


def _dump(reason: Message | None) -> str:
    return "" if reason is None else reason.dump()


def _draw_sample(series: Panel, covariates: CovariatePanel, horizon: int) -> tuple[Panel, CovariatePanel]:
    """Return the entities and the last periods that the comparison is made on."""
    every = ceil(len(series.entities) / MAX_ENTITIES)
    if every > 1:
        series, covariates = select_entities(series, covariates, slice(every // 2, None, every))
    count = max(MAX_CELLS // (len(series.entities) * horizon), 4 * horizon)
    return select_last_periods(series, covariates, count) if count < len(series) else (series, covariates)


def _list_folds(series: Panel, horizon: int) -> list[Positions]:
    """Return the origins of every fold; an origin is the number of periods known at it."""
    count, season = len(series), min(list_repeated_seasons(series))
    longest = YEAR_DAYS if series.frequency == "D" else min(MAX_WINDOW, WINDOW_SEASONS * max(season, horizon))
    fold_count, share = next((folds, share) for least, folds, share in FOLDS if count >= least)
    spare = count - MIN_TRAINING_SEASONS * season - MIN_TRAINING_PERIODS
    window = int(np.clip(min(count * share, longest), 1, max(spare, count // 4, 1)))
    last = count - min(horizon, window // 2)
    origins = np.unique(np.linspace(count - window, max(last, count - window), MAX_ORIGINS).round().astype(np.intp))
    origins = origins[(origins > 0) & (origins < count)]
    if not len(origins):
        origins = np.array([max(count - 1, 0)], dtype=np.intp)
    return [fold for fold in np.array_split(origins, min(fold_count, len(origins))) if len(fold)]


def _find_recent_start(origins: Positions, period_count: int) -> int:
    """Return the first of the last origins, one a period, that can show a recent change."""
    window = period_count - int(origins[0])
    return period_count - min(RECENT_ORIGINS, int(window * RECENT_SHARE))


def _forecast_folds(
    candidate: Candidate,
    series: Panel,
    covariates: CovariatePanel,
    folds: list[Positions],
    horizon: int,
    progress: Progress | None,
) -> Floats:
    """Return the forecasts from all origins, (origins, horizon, entities); NaN after the end of `series`."""
    forecasts = []
    for number, origins in enumerate(folds):
        start = int(origins[0])
        part = None if progress is None else progress.create_part(number, len(folds))
        train_series, train_covariates = select_periods_before(series, covariates, start)
        forecaster = candidate.build().fit(train_series, train_covariates, horizon, part)
        forecasts.append(forecast_origins(forecaster, series, covariates, origins, horizon))
    return np.concatenate(forecasts)


def forecast_origins(
    forecaster: Forecaster, series: Panel, covariates: CovariatePanel, origins: Positions, horizon: int
) -> Floats:
    """Return the forecasts from `origins`, (origins, horizon, entities); NaN after the end of `series`."""
    steps = np.arange(1, horizon + 1)
    targets = origins[:, None] + steps - 1
    is_inside = targets < len(series)
    if isinstance(forecaster, SeriesForecaster):
        medians = forecaster.predict_origins(RegularSeries.from_panel(series), origins.tolist(), horizon, MEDIAN)[
            ..., 0
        ]
        return np.where(is_inside[:, :, None], medians, np.nan)
    first, end = int(origins[0]), min(int(origins[-1]) + horizon, len(series))
    by_target = forecaster.predict_steps(series, covariates, horizon, first, end)
    rows = np.minimum(targets, end - 1) - first
    return np.where(is_inside[:, :, None], by_target[steps[None] - 1, rows], np.nan)


def _gather_actual(series: Panel, origins: Positions, horizon: int) -> Floats:
    """Return the measured amounts after every origin, (origins, horizon, entities); NaN after the end."""
    targets = origins[:, None] + np.arange(horizon)
    amounts = series.amounts[np.minimum(targets, len(series) - 1)]
    return np.where((targets < len(series))[:, :, None], amounts, np.nan)


def _drop_incomplete(
    forecasts: dict[str, Floats], reasons: dict[str, Message], candidates: list[Candidate], actual: Floats
) -> None:
    """Remove the candidates that forecast much less than the naive lines do."""
    counts = {label: int((np.isfinite(each) & np.isfinite(actual)).sum()) for label, each in forecasts.items()}
    most = max((counts.get(candidate.label, 0) for candidate in candidates if candidate.is_naive), default=0)
    for label, count in counts.items():
        if count < max(MIN_KNOWN_SHARE * most, 1):
            del forecasts[label]
            reasons[label] = Message(
                N_("forecasts only {count} of {total} values"), {"count": count, "total": max(most, count)}
            )
