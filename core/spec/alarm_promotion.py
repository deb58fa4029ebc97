"""Comparison of two models that raise alarms, for the tasks that have no labels to compare them by."""

from mlflow_utils.registry import PromotionMetric

ALARM_PROMOTION = PromotionMetric(
    "promise_kept",
    lower_is_better=False,
    then=(
        PromotionMetric("verdict_precision", lower_is_better=False),
        PromotionMetric(
            "planted_recall",
            lower_is_better=False,
            tags=("dataset.digest",),
            optional_params=("entities", "start", "end", "until"),
        ),
    ),
)
"""First the promised rate of false alarms must hold, then the verdicts of users decide, then planted faults."""
