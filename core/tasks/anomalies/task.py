"""Declaration of the anomalies task."""

from core.messages import N_
from core.spec.alarm_promotion import ALARM_PROMOTION
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import Mode, Task
from core.tasks.anomalies.spec import DetectionSpec

TASK = Task(
    name="anomalies",
    label=N_("Anomalies"),
    modes=(
        Mode(DetectionSpec, "core.tasks.anomalies.run:detect", "detect", label=N_("Train on these rows")),
        Mode(ApplySpec, "core.tasks.anomalies.run:apply_model", "detect", label=N_("Apply a saved model")),
        Mode(ThresholdSpec, "core.tasks.anomalies.run:apply_threshold"),
    ),
    result="core.tasks.anomalies.result:Detection",
    card="core.tasks.anomalies.card:describe",
    report="core.tasks.anomalies.report:describe_report",
    lines="core.tasks.anomalies.command:to_lines",
    json_fields="core.tasks.anomalies.command:to_answer",
    page="anomalies",
    action=N_("Find anomalies"),
    icon="troubleshoot",
    headline="anomalies",
    promotion=ALARM_PROMOTION,
    saves_model=True,
    judge="core.tasks.anomalies.judge:load_judge",
)
