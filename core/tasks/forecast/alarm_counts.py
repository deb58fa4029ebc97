"""Numbers of judged periods and of those outside their interval, with the rate that was promised."""

import math
from dataclasses import dataclass

from core.evaluation.forecast_metrics import compute_binomial_band
from core.messages import N_, Message


@dataclass(frozen=True)
class AlarmCounts:
    """Numbers of judged and outside periods of entities: single ones, and means over several of them ("lasting").

    A period is outside with any of its times.

    past_errors  periods with an error that the interval begins with, of the entity with the fewest
    """

    judged: int = 0
    outside: int = 0
    lasting_judged: int = 0
    lasting_outside: int = 0
    past_errors: int = 0

    @property
    def rate(self) -> float:
        """Share of the single periods that are outside; NaN without any."""
        return self.outside / self.judged if self.judged else float("nan")

    @property
    def lasting_rate(self) -> float:
        """Share of the means that are outside; NaN without any."""
        return self.lasting_outside / self.lasting_judged if self.lasting_judged else float("nan")

    def compute_chance_band(self, level: float) -> tuple[float, float]:
        """Return the 95 % range of `rate` if all periods are usual and the interval keeps its promise `level`."""
        return compute_binomial_band(1 - level, self.judged)

    def list_notes(self, level: float) -> tuple[Message, ...]:
        """Return a note where the past errors are too few for the promise `level`.

        The interval ends at the outermost of n past errors at best, and one of n + 1 usual periods lies beyond.

        Example:
            >>> [str(note)[:51] for note in AlarmCounts(40, 1, past_errors=60).list_notes(0.99)]
            ['A 99 % interval for the alarms needs 99 past errors']
            >>> AlarmCounts(40, 1, past_errors=99).list_notes(0.99)
            ()
        """
        needed = math.ceil(round(1 / (1 - level), 6)) - 1
        if not self.judged or self.past_errors >= needed:
            return ()
        text = N_(
            "A {level} % interval for the alarms needs {needed} past errors. There are {count}: up to {share} % of the "
            "usual periods may be outside."
        )
        share = round(100 / (self.past_errors + 1), 1)
        values = {"level": round(100 * level, 3), "needed": needed, "count": self.past_errors, "share": share}
        return (Message(text, values),)
