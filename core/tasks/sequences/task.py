"""Declaration of the sequences task."""

from core.messages import N_
from core.spec.alarm_promotion import ALARM_PROMOTION
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import Mode, Task
from core.tasks.sequences.spec import SequenceSpec

TASK = Task(
    name="sequences",
    label=N_("Sequences"),
    modes=(
        Mode(
            SequenceSpec,
            "core.tasks.sequences.run:train",
            "sequences train",
            label=N_("Train on the first rows"),
            options="core.tasks.sequences.command:TRAIN_OPTIONS",
        ),
        Mode(
            ApplySpec,
            "core.tasks.sequences.run:apply_model",
            "sequences score",
            label=N_("Apply a saved model"),
            options="core.tasks.sequences.command:SCORE_OPTIONS",
        ),
        Mode(ThresholdSpec, "core.tasks.sequences.run:apply_threshold"),
    ),
    result="core.tasks.sequences.result:SequenceDetection",
    card="core.tasks.sequences.card:describe",
    report="core.tasks.sequences.report:describe_report",
    lines="core.tasks.sequences.command:to_lines",
    json_fields="core.tasks.sequences.command:to_answer",
    page="sequences",
    action=N_("Find abnormal events"),
    icon="monitoring",
    headline="events",
    accuracy="vus_pr",
    promotion=ALARM_PROMOTION,
    saves_model=True,
    judge="core.tasks.sequences.judge:load_judge",
)
