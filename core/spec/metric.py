"""Metrics of runs: label, unit and direction of improvement."""

import re
from dataclasses import dataclass

from core.messages import N_

HORIZON_SUFFIX = re.compile(r"_\d+$")  # suffix of a metric per forecast horizon: the number of days ahead


@dataclass(frozen=True)
class Metric:
    """A metric of a run. `higher_is_better` is None where neither direction is better.

    is_yes_no  True where 1 means yes and 0 means no

    Example:
        >>> METRICS["wape"].unit, METRICS["wape"].direction
        ('%', -1)
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool | None = None
    is_yes_no: bool = False

    @property
    def direction(self) -> int:
        """1 where higher is better, -1 where lower is better, 0 where neither is."""
        return 0 if self.higher_is_better is None else 1 if self.higher_is_better else -1


def _index_by_name(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS = _index_by_name(
    Metric("anomalies", N_("anomalies")),
    Metric("clusters", N_("clusters")),
    Metric("events", N_("events")),
    Metric("series", N_("series")),
    Metric("rows_scored", N_("test rows")),
    Metric("mae", N_("MAE"), higher_is_better=False),
    Metric("wape", N_("WAPE"), "%", higher_is_better=False),
    Metric("rmse", N_("RMSE"), higher_is_better=False),
    Metric("mase", N_("MASE"), higher_is_better=False),
    Metric("quantile_loss", N_("Quantile loss"), higher_is_better=False),
    Metric("mwql", N_("Mean weighted quantile loss"), higher_is_better=False),
    Metric("r2", N_("R²"), higher_is_better=True),
    Metric("skill_naive1", N_("Skill against naive-1"), higher_is_better=True),
    Metric("skill_naive7", N_("Skill against naive-7"), higher_is_better=True),
    Metric("coverage", N_("Coverage"), "%"),
    Metric("width", N_("Width")),
    Metric("silhouette", N_("Silhouette"), higher_is_better=True),
    Metric("calinski_harabasz", N_("Calinski–Harabasz"), higher_is_better=True),
    Metric("davies_bouldin", N_("Davies–Bouldin"), higher_is_better=False),
    Metric("stability", N_("Stability"), higher_is_better=True),
    Metric("inertia", N_("Inertia")),
    Metric("f1", N_("F1"), higher_is_better=True),
    Metric("auc_pr", N_("AUC-PR"), higher_is_better=True),
    Metric("vus_pr", N_("VUS-PR"), higher_is_better=True),
    Metric("auc_roc", N_("AUC-ROC"), higher_is_better=True),
    Metric("vus_roc", N_("VUS-ROC"), higher_is_better=True),
    Metric("event_f1", N_("Event F1"), higher_is_better=True),
    Metric("affiliation_f1", N_("Affiliation F1"), higher_is_better=True),
    Metric("delay", N_("Delay"), N_("rows"), higher_is_better=False),
    Metric("hit_100", N_("Hit rate @100"), higher_is_better=True),
    Metric("hit_150", N_("Hit rate @150"), higher_is_better=True),
    Metric("promise_kept", N_("Target false-alarm rate met"), higher_is_better=True, is_yes_no=True),
    Metric("verdict_precision", N_("Precision from verdicts"), higher_is_better=True),
    Metric("planted_recall", N_("Recall of planted faults"), higher_is_better=True),
    Metric("pa_f1", N_("Point-adjusted F1")),
    Metric("rows_per_second", N_("Rows per second"), higher_is_better=True),
    Metric("series_per_second", N_("Series per second"), higher_is_better=True),
    Metric("seconds", N_("Seconds"), "s", higher_is_better=False),
    Metric("emissions_kg", N_("Emissions"), "kg CO₂", higher_is_better=False),
    Metric("energy_kwh", N_("Energy"), "kWh", higher_is_better=False),
)
"""Metrics shared by several tasks. A task declares further ones in `Task.metrics`."""

SCORE_CARD_METRICS = ("f1", "auc_pr", "vus_pr", "auc_roc", "event_f1", "affiliation_f1", "delay")
"""Metrics of the score card of detectors, in the order of display."""

BASELINE_NAMES = ("random", "mean_distance", "pca", "moving_mean")
"""Names of the simple detectors that every score card contains for comparison."""
