"""Words for the periods of a forecast: days, hours, weeks, months, or steps of another length."""

from dataclasses import dataclass

from core.data.dataset import DAY
from core.data.frequencies import get_month_count, get_step
from core.messages import N_


@dataclass(frozen=True)
class PeriodWords:
    """Texts about the periods of a forecast, to be translated.

    ahead          number of periods ahead, as the label of an axis; `ahead_title` as the label of a column
    metric         name of an error so many periods ahead, with {step}
    last_known     name of the naive forecast of the last known amount
    season_before  name of the naive forecast of the amount a season before; `season_title` as the label of a column
    per_period     added to a unit that is summed over the period; "" for nothing
    """

    ahead: str
    ahead_title: str
    metric: str
    last_known: str
    season_before: str
    season_title: str
    per_period: str = ""


DAYS = PeriodWords(
    N_("days ahead"),
    N_("Days ahead"),
    N_("WAPE, day {step}"),
    N_("last known day"),
    N_("same weekday before"),
    N_("Last same weekday"),
    N_("per day"),
)
WEEKS = PeriodWords(
    N_("weeks ahead"),
    N_("Weeks ahead"),
    N_("WAPE, week {step}"),
    N_("last known week"),
    N_("same week a year before"),
    N_("Same week a year before"),
    N_("per week"),
)
MONTHS = PeriodWords(
    N_("months ahead"),
    N_("Months ahead"),
    N_("WAPE, month {step}"),
    N_("last known month"),
    N_("same month a year before"),
    N_("Same month a year before"),
    N_("per month"),
)
HOURS = PeriodWords(
    N_("hours ahead"),
    N_("Hours ahead"),
    N_("WAPE, hour {step}"),
    N_("last known hour"),
    N_("same hour the day before"),
    N_("Same hour the day before"),
)
SHORT_STEPS = PeriodWords(
    N_("steps ahead"),
    N_("Steps ahead"),
    N_("WAPE, step {step}"),
    N_("last known value"),
    N_("same time the day before"),
    N_("Same time the day before"),
)
LONG_STEPS = PeriodWords(
    N_("steps ahead"),
    N_("Steps ahead"),
    N_("WAPE, step {step}"),
    N_("last known value"),
    N_("a year before"),
    N_("A year before"),
)


def has_clock(frequency: str, slots: tuple[str, ...]) -> bool:
    """Tell whether the periods, or the amounts in them, have times of the day.

    Example:
        >>> has_clock("D", ("day",)), has_clock("D", ("00:00", "12:00")), has_clock("15min", ("day",))
        (False, True, True)
    """
    return len(slots) > 1 or get_step(frequency) < DAY


def get_period_words(frequency: str) -> PeriodWords:
    """Return the words for the periods of a frequency.

    Example:
        >>> [get_period_words(frequency).ahead for frequency in ("D", "h", "15min", "W-MON", "MS", "QS-JAN")]
        ['days ahead', 'hours ahead', 'steps ahead', 'weeks ahead', 'months ahead', 'steps ahead']
    """
    words = {"D": DAYS, "h": HOURS}.get(frequency)
    if words is not None:
        return words
    if frequency.startswith("W-"):
        return WEEKS
    if get_month_count(frequency) == 1:
        return MONTHS
    return SHORT_STEPS if get_step(frequency) < DAY else LONG_STEPS
