"""Numbers of judged values and of those outside their interval, with the rate that was promised."""

from dataclasses import dataclass

from core.evaluation.forecast_metrics import compute_binomial_band


@dataclass(frozen=True)
class AlarmCounts:
    """Numbers of judged and outside values: of single values, and of means over several periods ("lasting")."""

    judged: int = 0
    outside: int = 0
    lasting_judged: int = 0
    lasting_outside: int = 0

    @property
    def rate(self) -> float:
        """Share of the single values that are outside; NaN without any."""
        return self.outside / self.judged if self.judged else float("nan")

    @property
    def lasting_rate(self) -> float:
        """Share of the means that are outside; NaN without any."""
        return self.lasting_outside / self.lasting_judged if self.lasting_judged else float("nan")

    def compute_chance_band(self, level: float) -> tuple[float, float]:
        """Return the 95 % range of `rate` if all values are usual and the interval keeps its promise `level`."""
        return compute_binomial_band(1 - level, self.judged)
