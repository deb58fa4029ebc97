"""Choice of the features of a forecast by the length of the periods and of the history."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.data.dataset import DAY
from core.data.frequencies import YEAR, get_step, list_seasons
from core.data.panel import Panel
from core.messages import N_, Message

MIN_TREND_YEARS = 2.5  # years; with fewer, a trend cannot be separated from the finer waves of the year
SMALL_LENGTH = 365  # periods
MIN_INTERACTION_DAYS = 182
MAX_WAVES = 3  # of the year
LAG_SHARE = 3  # the longest lag is at most a third of the history, so that two thirds are left to train on
LAG_DAYS = (0, 1, 2, 3, 4, 5, 6, 7, 13, 20)
RECENT_LAGS = (0, 1, 2, 3)  # periods before the origin, for other periods than days
LAG_SEASONS = 3  # last known values of the same phase of a season
MIN_NEIGHBOUR_SEASON = 5  # periods; the neighbours of the same phase of shorter seasons are other lags already
MAX_EVERY_STEP = 31  # numbers of periods ahead up to which each has its own model


@dataclass(frozen=True)
class FeaturePlan:
    """Choice of the features that the history of some periods can teach a forecaster to use.

    frequency  alias of the period in pandas
    length     periods of history; 0 for as many as are needed

    Example:
        >>> plan = FeaturePlan("D", 60)
        >>> plan.is_complete, plan.wave_count, plan.list_lags(7)
        (False, 0, [7, 8, 9, 10, 11, 12, 13, 14, 20])
        >>> FeaturePlan("h", 24 * 60).list_lags(1)  # an hour, around a day, around a week
        [1, 2, 3, 4, 23, 24, 25, 48, 72, 167, 168, 169, 336]
    """

    frequency: str
    length: int = 0

    @classmethod
    def from_series(cls, series: Panel) -> "FeaturePlan":
        """Return the plan for the history of `series`."""
        return cls(series.frequency, len(series))

    @property
    def is_daily(self) -> bool:
        """True for periods of a day."""
        return self.frequency == "D"

    @property
    def years(self) -> float:
        """Years of history."""
        return self.length * (get_step(self.frequency) / YEAR) if self.length else float("inf")

    @property
    def is_complete(self) -> bool:
        """True for a year or more, from which the course of the year can be learnt."""
        return self.years >= 365 / 365.25

    @property
    def has_interactions(self) -> bool:
        """True for enough days to tell the cold of one weekday from that of another."""
        return self.is_daily and (not self.length or self.length >= MIN_INTERACTION_DAYS)

    @property
    def is_small(self) -> bool:
        """True for so few periods that a regression can be worse than its base."""
        return 0 < self.length < SMALL_LENGTH

    @property
    def seasons(self) -> tuple[int, ...]:
        """Seasons that lags go back by, in periods: the day and the week, or the year of weeks and months."""
        seasons = list_seasons(self.frequency)
        return (
            seasons
            if get_step(self.frequency) > DAY
            else tuple(season for season in seasons if season * get_step(self.frequency) < YEAR / 2)
        )

    @property
    def day_length(self) -> int:
        """Periods of a day; 0 for a day and longer periods, and for periods that are no part of a day."""
        is_part = get_step(self.frequency) < DAY and DAY % get_step(self.frequency) == 0 * DAY
        return int(DAY // get_step(self.frequency)) if is_part else 0

    @property
    def wave_count(self) -> int:
        """Waves of the year that the history can teach: 3 from two and a half years on, 0 for less than a year."""
        year = round(YEAR / get_step(self.frequency))
        return min(MAX_WAVES if self.has_trend else int(self.years), max((year - 1) // 2, 0))

    @property
    def has_trend(self) -> bool:
        """True if a trend over years can be told from the waves of a year."""
        return self.years >= MIN_TREND_YEARS

    @property
    def level_window(self) -> int:
        """Periods whose mean is the level of a series: 4 weeks of days, else the longest season of the lags."""
        if self.is_daily:
            return 28
        return max((season for season in self.seasons if self.can_use(season)), default=8)

    def can_use(self, lag: int, step: int = 1) -> bool:
        """Tell whether a lag leaves enough periods to train on, `step` periods ahead.

        The last value of the same phase of the shortest season may take half of the history.
        """
        shortest = find_season_lag(step, min(self.seasons, default=1))
        is_short = lag <= self.length // LAG_SHARE or lag <= shortest <= self.length // 2
        return not self.length or lag == step or is_short

    def list_lags(self, step: int) -> list[int]:
        """Return the lags, in periods before the one that is forecast `step` periods ahead; the first is `step`."""
        season_lags = [lag for season in self.seasons for lag in self.list_season_lags(season, step)]
        if self.is_daily:
            others = [step + days for days in LAG_DAYS]
        else:
            last_lags = [find_season_lag(step, season) for season in self.seasons if season >= MIN_NEIGHBOUR_SEASON]
            around = [lag + shift for lag in last_lags for shift in (-1, 1)]
            others = [
                *(step + periods for periods in RECENT_LAGS),
                *around,
                *(step + season for season in self.seasons),
            ]
        return sorted({lag for lag in (*season_lags, *others) if lag >= step and self.can_use(lag, step)})

    def list_aligned_lags(self, step: int, horizon: int) -> list[int]:
        """Return as many lags for every `step` up to `horizon`; each has one meaning, such as the same phase.

        Example:
            >>> [FeaturePlan("D", 40).list_aligned_lags(step, 7) for step in (1, 7)]
            [[1, 2, 3, 4, 5, 6, 7, 7], [7, 8, 9, 10, 11, 12, 13, 7]]
        """
        offsets = LAG_DAYS if self.is_daily else (*RECENT_LAGS, *self.seasons)
        lags = [step + offset for offset in offsets if self.can_use(horizon + offset, horizon)]
        for season in self.seasons:
            first, farthest = find_season_lag(step, season), find_season_lag(horizon, season)
            lags += [first + count * season for count in range(len(self.list_season_lags(season, horizon)))]
            if not self.is_daily and season >= MIN_NEIGHBOUR_SEASON and self.can_use(farthest + 1, horizon):
                lags += [max(first - 1, step), first + 1]
        return lags

    def list_season_lags(self, season: int, step: int) -> list[int]:
        """Return the lags of the last known values of the same phase of a season; [] if the history is too short."""
        first = find_season_lag(step, season)
        return [lag for lag in range(first, first + LAG_SEASONS * season, season) if self.can_use(lag, step)]

    def count_needed(self, step: int, rows: int) -> int:
        """Return the periods of history that leave `rows` periods to train on, `step` periods ahead.

        Example:
            >>> [FeaturePlan("D").count_needed(step, 10) for step in (1, 7, 8)]
            [17, 17, 18]
        """
        lengths = range(rows, rows + 2 * find_season_lag(step, min(self.seasons, default=1)) + 10 * LAG_SHARE)
        return next(
            length
            for length in lengths
            if length - max(FeaturePlan(self.frequency, length).list_lags(step), default=0) >= rows
        )

    def list_fitted_steps(self, horizon: int) -> list[int]:
        """Return the numbers of periods ahead that have a model of their own; others use the next larger one.

        Example:
            >>> FeaturePlan("h", 8766).list_fitted_steps(72)
            [1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 72]
        """
        if horizon <= MAX_EVERY_STEP:
            return list(range(1, horizon + 1))
        season = min(self.seasons, default=MAX_EVERY_STEP)
        steps = {size * 2**power for size in (2, 3) for power in range(20)} | {1}
        short = {step for step in steps if step < season}
        return sorted({step for step in (*short, *range(season, horizon, season)) if step < horizon} | {horizon})

    def list_limits(self) -> Iterator[Message]:
        """Yield what the forecast leaves out because the history is too short to teach it."""
        if not self.is_complete:
            yield Message(
                N_(
                    "The history is shorter than a year ({count} periods). The model has no terms for the time of the "
                    "year and for a trend, so a forecast into another season can be far off."
                ),
                {"count": self.length},
            )
        elif not self.has_trend:
            yield Message(
                N_(
                    "The history is shorter than two and a half years. The linear model has no trend over years and "
                    "only a coarse course of the year."
                )
            )
        unused = [season for season in self.seasons if not self.can_use(find_season_lag(1, season))]
        if unused:
            yield Message(
                N_(
                    "The history of {count} periods is too short for comparisons with the period {season} periods "
                    "before. They are left out."
                ),
                {"count": self.length, "season": max(unused)},
            )


def find_season_lag(step: int, season: int) -> int:
    """Return the lag of the last known period of the same phase of a season, in periods before the one forecast.

    Example:
        >>> [find_season_lag(step, 7) for step in (1, 7, 8)]
        [7, 7, 14]
    """
    return step + (-step) % season
