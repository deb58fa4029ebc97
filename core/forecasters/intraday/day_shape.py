"""Shape of the day: how the amount of a day is spread over its times, forecast from weather, calendar and past days."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.intraday.day_shape_features import build_shape_features
from core.forecasters.intraday.intraday_profile import DeviationUnit, compute_slot_means, compute_usual_deviations
from core.forecasters.intraday.times_choice import TimesTest, has_gain
from core.forecasters.panels.covariate_panel import CovariatePanel, shift_periods
from core.forecasters.panels.panel_parts import select_entities, select_rows

MIN_TRAIN_DAYS, MAX_TEST_DAYS = 30, 365
TEST_SHARE = 0.25  # of the history, which the model of the shape is tested on before it is used
MIN_SHAPE_DAYS = 56  # of history, for the two together
WEIGHTS = (1.0, 0.5)  # of the model that are tested; a model of a short history errs less at half weight
TRUST_DAYS = 14  # known days before an origin that tell how far the model is trusted
MAX_CHUNK_VALUES = 20_000_000  # of features that are held in memory at once
BLOCK_DAYS = 14  # that are left out together to choose the regularisation
ALPHAS = np.array([0.3, 1, 3, 10, 30, 100, 300, 1000, 3000])
OUTLIER_FACTOR = 6.0  # × the median of the largest deviation of a day, above which a day is no training day
USUAL_LOOKBACK_DAYS = 40  # days that the features of a day look back, in addition to twice the days ahead


@dataclass(frozen=True)
class ShapeTest:
    """Test of the model of the shape on the last days of the training data, with the measured amounts of the days.

    days         tested days
    usual_error  absolute error of the slots with the usual profile, as a share of the amounts
    model_error  the same with the model, with the best of WEIGHTS
    weight       this weight of the model
    is_gain      True if the model is measurably better
    times        test of covariates at the times of the day beside their means of the day; None without such covariates
    """

    days: int
    usual_error: float
    model_error: float
    weight: float
    is_gain: bool
    times: TimesTest | None = None


@dataclass(frozen=True)
class ShapeLines:
    """Linear models of the deviations from the usual profile, one per entity, for one number of days ahead.

    mean, scale, low, high  of every feature in the training data, (entities, features)
    coefficients            (entities, features, slots); 0 for an entity with too few training days
    intercept               (entities, slots)
    products, squares       of the last 14 training days, see `_compute_trust`, with the lines of the other weeks:
                            (days, entities)
    """

    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    coefficients: NDArray[np.float32]
    intercept: Floats
    products: Floats
    squares: Floats

    def predict(self, features: Floats, entities: slice) -> Floats:
        """Return the deviations from the usual profile, (days, entities, slots).

        A feature outside its range in the training data counts as the end of the range; an unknown one as its mean.
        """
        features = np.clip(features, self.low[entities], self.high[entities])
        scaled = np.nan_to_num((features - self.mean[entities]) / self.scale[entities])
        products = np.matmul(scaled.transpose(1, 0, 2), self.coefficients[entities].astype(float))
        deviations: Floats = products.transpose(1, 0, 2) + self.intercept[entities]
        return deviations


@dataclass
class DayShape:
    """Model of the shape of a day: a ridge regression of the deviations of its times from their usual profile.

    The usual profile is the mean of the last four days of the same weekday. Weather, holidays, the season, the level of
    the day and the last known shapes move the hours away from it. All times of an entity share one regression with the
    same features, so the deviations of a day add up to 0 and the amount of the day stays as forecast.

    The model is used where it was measurably better than the usual profile on the last days of the training data
    (`test_`), at full or half weight, for all entities or none. Covariates at the times of the day are used where they
    were measurably better there than their values of the day. Before every origin, a factor from 0 to 1 per entity
    adapts it to the shapes of the two weeks before. The factor is near 0 when the shapes have become others than those
    of the training data.

    Hoerl, Kennard: Ridge Regression, Technometrics 12, 1970. Bates, Granger: The Combination of Forecasts, Operational
    Research Quarterly 20, 1969.

    Example:
        >>> days = pd.date_range("2023-01-01", periods=200)
        >>> cold = np.random.default_rng(0).uniform(0, 10, 200)  # degrees below 16 °C move amounts to the morning
        >>> values = np.stack([100 + 5 * cold, 100 - 5 * cold], axis=1)[:, None]
        >>> series = Panel(days, ("Lyon",), ("00:00", "12:00"), values)
        >>> temperature = np.append(16 - cold, 16)[:, None]
        >>> until_tomorrow = days.append(days[-1:] + pd.Timedelta(days=1))
        >>> known = CovariatePanel(until_tomorrow, {"temperature": temperature}, np.zeros((201, 1), dtype=bool))
        >>> shape = DayShape().fit(series, known, horizon=1)
        >>> round(shape.test_.usual_error, 2), round(shape.test_.model_error, 2)
        (0.15, 0.02)
        >>> float(shape.spread(series.amounts[199:], series, known, 1, 199).sum().round(6))  # the amount of the day
        200.0
    """

    unit_: DeviationUnit | None = field(default=None, init=False)
    history_years_: float = field(default=0.0, init=False)
    fitted_until_: str = field(default="", init=False)
    weight_: float = field(default=1.0, init=False)
    lines_: dict[int, ShapeLines] = field(default_factory=dict, init=False)
    test_: ShapeTest | None = field(default=None, init=False)
    timed_names_: tuple[str, ...] = field(default=(), init=False)

    def fit(self, series: Panel, covariates: CovariatePanel, horizon: int) -> Self:
        """Test the model on the last days of `series`; fit it on all days for 1 to `horizon` days ahead if it is used.

        With one slot, or too few days for the test, the usual profile is kept.
        """
        self.unit_, self.lines_, self.test_ = DeviationUnit.from_series(series), {}, None
        self.timed_names_ = ()
        test_days = min(int(len(series) * TEST_SHARE), MAX_TEST_DAYS)
        if len(series.slots) == 1 or len(series) < MIN_SHAPE_DAYS:
            return self
        trial = self._try(series, covariates.drop_times(), horizon, len(series) - test_days)
        test = trial.test
        if covariates.at_times:
            timed_trial = self._try(series, covariates, horizon, len(series) - test_days)
            times = TimesTest.from_losses(tuple(covariates.at_times), trial.losses, timed_trial.losses, trial.total)
            is_timed = times.is_gain and timed_trial.test.is_gain
            test = replace(timed_trial.test if is_timed else test, times=times)
            self.timed_names_ = times.names if is_timed else ()
        self.test_, self.weight_, self.lines_ = test, test.weight, {}
        if test.is_gain:
            self._fit_lines(series, self._select_covariates(covariates), list(range(1, horizon + 1)), len(series))
        return self

    def _select_covariates(self, covariates: CovariatePanel) -> CovariatePanel:
        """Return the covariates with the values of days only, unless those at the times of the day are used."""
        return covariates if self.timed_names_ else covariates.drop_times()

    def _try(self, series: Panel, covariates: CovariatePanel, horizon: int, test_start: int) -> "_Trial":
        """Return the trial of the best of WEIGHTS for lines fitted before `test_start`."""
        self._fit_lines(series, covariates, sorted({1, horizon}), test_start)
        trials = [self._test(series, covariates, test_start, weight) for weight in WEIGHTS]
        return min(trials, key=lambda trial: (not trial.test.is_gain, trial.test.model_error))

    def spread(self, amounts: Floats, series: Panel, covariates: CovariatePanel, step: int, first_day: int) -> Floats:
        """Return `amounts` per slot, (days, entities, slots); they are forecasts of the days from `first_day` on.

        The forecasts are made `step` days ahead; only slots known by then are used. NaN for an entity without any known
        shape in the last weeks.
        """
        if len(series.slots) == 1:
            return amounts[:, :, None]
        unit = self.unit_ or DeviationUnit.from_series(series.select_before(series.periods[first_day]))
        start = max(first_day - 2 * step - TRUST_DAYS - USUAL_LOOKBACK_DAYS, 0)
        all_means = compute_slot_means(np.concatenate([series.amounts[start:first_day], amounts]), series)
        values = np.empty((len(amounts), *series.values.shape[1:]))
        end = first_day + len(amounts)
        for entities, part, part_covariates in _iter_chunks(series, self._select_covariates(covariates), start, end):
            part_unit, means = unit.select(entities), all_means[:, entities]
            deviations = part_unit.compute_deviations(part)
            usual = compute_usual_deviations(deviations, step, (part.values == 0).all(axis=2))
            if step in self.lines_:
                features = build_shape_features(part, part_covariates, part_unit, means, step, self.history_years_)
                change = self.lines_[step].predict(features, entities)
                trust = self._compute_trust(change, deviations - usual, part_unit.measure(means), part, entities, step)
                usual = usual + (self.weight_ * trust)[:, :, None] * change
            values[:, entities] = part_unit.apply_deviations(means, usual)[first_day - start :]
        return values

    def _compute_trust(
        self, change: Floats, target: Floats, unit: Floats, series: Panel, entities: slice, step: int
    ) -> Floats:
        """Return the factor of `change` that would have fitted the known days best, 0 to 1, (days, entities).

        It is the slope of `target` on `change` over the 14 days known `step` days before; 1 without a known day.
        Training days fit their own lines too well, so they count with the lines of the other weeks.
        """
        products, squares = _compare_change(change, target, unit)
        end, lines = int(series.periods.searchsorted(pd.Timestamp(self.fitted_until_), side="right")), self.lines_[step]
        start = max(end - TRUST_DAYS, 0)
        for sums, left_out in ((products, lines.products), (squares, lines.squares)):
            sums[start:end] = left_out[TRUST_DAYS - (end - start) :, entities]
        product_sum, square_sum = _sum_known_days(products, step), _sum_known_days(squares, step)
        slope = np.divide(product_sum, square_sum, out=np.ones_like(square_sum), where=square_sum > 0)
        return np.clip(slope, 0, 1)

    def _fit_lines(self, series: Panel, covariates: CovariatePanel, steps: list[int], end: int) -> None:
        """Fit the lines of `steps` on the days before index `end`."""
        assert self.unit_ is not None
        self.history_years_, self.fitted_until_ = end / 365.25, str(series.periods[end - 1])[:10]
        parts: dict[int, list[ShapeLines]] = {step: [] for step in steps}
        for entities, part, part_covariates in _iter_chunks(series, covariates, 0, end):
            unit, means = self.unit_.select(entities), part.values.mean(axis=2)
            deviations = unit.compute_deviations(part)
            for step in steps:
                features = build_shape_features(part, part_covariates, unit, means, step, self.history_years_)
                targets = deviations - compute_usual_deviations(deviations, step)
                parts[step].append(_fit_entities(features, targets, np.abs(unit.measure(means))))
        self.lines_ = {step: _join_lines(lines) for step, lines in parts.items()}

    def _test(self, series: Panel, covariates: CovariatePanel, test_start: int, weight: float) -> "_Trial":
        """Compare the lines, fitted before `test_start`, with the usual profile from then on."""
        usual_shape, shape = DayShape(), replace(self)
        for each in (usual_shape, shape):
            each.unit_ = self.unit_
        shape.history_years_, shape.fitted_until_, shape.lines_ = self.history_years_, self.fitted_until_, self.lines_
        shape.weight_, shape.timed_names_ = weight, tuple(covariates.at_times)
        usual_losses, losses = np.zeros((2, len(series) - test_start))
        total = 0.0
        for step in self.lines_:
            first_day = test_start + step - 1
            actual, amounts = series.values[first_day:], series.amounts[first_day:]
            errors = [
                np.abs(actual - each.spread(amounts, series, covariates, step, first_day))
                for each in (usual_shape, shape)
            ]
            is_known = np.isfinite(errors[0]) & np.isfinite(errors[1])
            for sums, error in zip((usual_losses, losses), errors, strict=True):
                sums[step - 1 :] += np.where(is_known, error, 0).sum(axis=(1, 2))
            total += float(np.abs(actual[is_known]).sum())
        total = total or 1.0
        errors_of_all = (float(usual_losses.sum()) / total, float(losses.sum()) / total)
        return _Trial(ShapeTest(len(losses), *errors_of_all, weight, has_gain(usual_losses, losses)), losses, total)


@dataclass(frozen=True)
class _Trial:
    """Test of the lines with one weight, the absolute errors of its days (days,), and the sum of the amounts."""

    test: ShapeTest
    losses: Floats
    total: float


def _iter_chunks(
    series: Panel, covariates: CovariatePanel, start: int, end: int
) -> Iterator[tuple[slice, Panel, CovariatePanel]]:
    """Yield entities, few enough for memory, with their series and covariates of the days `start` to `end`."""
    feature_count = 120 + 50 * len(covariates.at_times) + 2 * len(series.slots)
    size = max(MAX_CHUNK_VALUES // max((end - start) * feature_count, 1), 1)
    for first in range(0, len(series.entities), size):
        entities = slice(first, first + size)
        part, known = select_entities(series, covariates, entities)
        part = replace(part, periods=part.periods[start:end], values=part.values[start:end])
        yield entities, part, select_rows(known, slice(start, end + 1))


def _compare_change(change: Floats, target: Floats, unit: Floats) -> tuple[Floats, Floats]:
    """Return the products of `change` and `target` and the squares of `change`, summed over slots, (days, entities).

    Days count with the square of their `unit`. A day without a target has 0.
    """
    is_known = np.isfinite(target)
    products = np.where(is_known, change * np.where(is_known, target, 0), 0).sum(axis=2)
    squares = np.where(is_known, np.square(change), 0).sum(axis=2)
    weight = np.square(np.nan_to_num(unit))
    return np.nan_to_num(products) * weight, np.nan_to_num(squares) * weight


def _sum_known_days(values: Floats, step: int) -> Floats:
    """Return the sums over the 14 days known `step` days before every day, shape unchanged."""
    sums = np.cumsum(values, axis=0)
    return np.nan_to_num(shift_periods(sums, step)) - np.nan_to_num(shift_periods(sums, step + TRUST_DAYS))


def _fit_entities(features: Floats, targets: Floats, weights: Floats) -> ShapeLines:
    """Return the lines of every entity: `features` (days, entities, features), `targets` (days, entities, slots)."""
    _, entities, feature_count = features.shape
    slots, shape = targets.shape[2], (entities, feature_count)
    lines = ShapeLines(
        mean=np.zeros(shape),
        scale=np.ones(shape),
        low=np.zeros(shape),
        high=np.zeros(shape),
        coefficients=np.zeros((*shape, slots), dtype=np.float32),
        intercept=np.zeros((entities, slots)),
        products=np.zeros((TRUST_DAYS, entities)),
        squares=np.zeros((TRUST_DAYS, entities)),
    )
    left_out = np.full(targets.shape, np.nan)
    for entity in range(entities):
        is_usable = np.isfinite(targets[:, entity]).all(axis=1) & (weights[:, entity] > 0)
        largest = np.abs(targets[:, entity]).max(axis=1)
        if is_usable.any():
            is_usable &= largest <= OUTLIER_FACTOR * np.median(largest[is_usable])
        if is_usable.sum() < MIN_TRAIN_DAYS:
            continue
        values, weight = features[is_usable, entity], weights[is_usable, entity]
        is_known = np.isfinite(values).any(axis=0)
        values[:, ~is_known] = 0
        lines.low[entity], lines.high[entity] = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        lines.mean[entity] = np.nanmean(values, axis=0)
        values = np.where(np.isfinite(values), values, lines.mean[entity]) - lines.mean[entity]
        spread = values.std(axis=0)
        lines.scale[entity] = np.where(spread > 1e-9 * np.maximum(np.abs(lines.mean[entity]), 1), spread, np.inf)
        lines.coefficients[entity], lines.intercept[entity], left_out[is_usable, entity] = _solve_ridge(
            values / lines.scale[entity], targets[is_usable, entity], weight / weight.mean()
        )
    last_targets = np.where(np.isfinite(left_out), targets, np.nan)[-TRUST_DAYS:]
    products, squares = _compare_change(left_out[-TRUST_DAYS:], last_targets, weights[-TRUST_DAYS:])
    lines.products[-len(products) :], lines.squares[-len(squares) :] = products, squares
    return lines


def _solve_ridge(features: Floats, targets: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the coefficients (features, slots) and the intercept (slots,) with the least error on left-out weeks.

    The third array has the prediction of every day by the lines of the other weeks, (days, slots); NaN for the first
    days, which are no whole two weeks.

    The regularisation is one number for all slots. Days count with `weights`. Two weeks are left out together, because
    the shapes of neighbouring days are alike; their errors follow from the whole fit. Hastie, Tibshirani, Friedman: The
    Elements of Statistical Learning, 2009, section 7.10.
    """
    root = np.sqrt(weights)[:, None]
    centre, intercept = np.average(features, axis=0, weights=weights), np.average(targets, axis=0, weights=weights)
    scaled, residuals = (features - centre) * root, (targets - intercept) * root
    eigenvalues, eigenvectors = np.linalg.eigh(scaled.T @ scaled)
    rotated = scaled @ eigenvectors
    products, eigenvalues = rotated.T @ residuals, np.maximum(eigenvalues, 0)
    in_blocks = slice(len(features) % BLOCK_DAYS, None)
    blocks = rotated[in_blocks].reshape(-1, BLOCK_DAYS, rotated.shape[1])
    block_roots = root[in_blocks].reshape(-1, BLOCK_DAYS, 1)
    intercept_influence = block_roots @ block_roots.transpose(0, 2, 1) / weights.sum()
    best_error, best_coefficients = np.inf, np.zeros((features.shape[1], targets.shape[1]))
    left_out = np.full(targets.shape, np.nan)
    for alpha in ALPHAS:
        shrunk = products / (eigenvalues + alpha)[:, None]
        errors = (residuals - rotated @ shrunk)[in_blocks].reshape(len(blocks), BLOCK_DAYS, -1)
        influence = intercept_influence + (blocks / (eigenvalues + alpha)) @ blocks.transpose(0, 2, 1)
        errors = np.linalg.solve(np.eye(BLOCK_DAYS) - influence, errors).reshape(-1, targets.shape[1])
        error = float(np.square(errors).mean())
        if error < best_error:
            best_error, best_coefficients = error, eigenvectors @ shrunk
            left_out[in_blocks] = targets[in_blocks] - errors / root[in_blocks]
    return best_coefficients, intercept - centre @ best_coefficients, left_out


def _join_lines(parts: list[ShapeLines]) -> ShapeLines:
    """Return the lines of several chunks of entities as one."""
    axes = dict.fromkeys(("mean", "scale", "low", "high", "coefficients", "intercept"), 0) | {
        "products": 1,
        "squares": 1,
    }
    return ShapeLines(
        **{name: np.concatenate([getattr(part, name) for part in parts], axis=axis) for name, axis in axes.items()}
    )
