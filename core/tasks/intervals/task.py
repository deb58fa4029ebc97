"""Declaration of the task intervals for the registry of tasks."""

from core.messages import N_
from core.spec.metric import Metric
from core.spec.task import Mode, Task
from core.tasks.intervals.spec import IntervalsApplySpec, IntervalsFolderSpec, IntervalsSpec
from mlflow_utils.registry import PromotionMetric

OPTIONS = "core.tasks.intervals.command:OPTIONS"

TASK = Task(
    name="intervals",
    label=N_("Intervals"),
    modes=(
        Mode(IntervalsSpec, "core.tasks.intervals.run:judge_points", "intervals", N_("Train on this history"), OPTIONS),
        Mode(
            IntervalsApplySpec, "core.tasks.intervals.run:apply_model", "intervals", N_("Apply a saved model"), OPTIONS
        ),
        Mode(
            IntervalsFolderSpec,
            "core.tasks.intervals.folder_run:judge_folder",
            "scale-intervals",
            options="core.tasks.intervals.folder_command:OPTIONS",
            result="core.tasks.intervals.folder_result:FolderIntervals",
        ),
    ),
    result="core.tasks.intervals.result:Intervals",
    card="core.tasks.intervals.card:describe",
    report="core.tasks.intervals.report:describe_report",
    json_fields="core.tasks.intervals.command:to_answer",
    lines="core.tasks.intervals.command:to_lines",
    page="intervals",
    action=N_("Find what leaves its interval"),
    icon="align_vertical_center",
    headline="events",
    accuracy="mwql",
    metrics=(
        Metric("coverage_50", N_("Coverage of the 50 % interval"), "%"),
        Metric("coverage_ahead", N_("Coverage at the full horizon"), "%"),
        Metric("alarm_rate", N_("Alarm rate"), "%"),
        Metric("promised_rate", N_("Expected alarm rate"), "%"),
        Metric("skill", N_("Skill against seasonal naive"), higher_is_better=True),
    ),
    promotion=PromotionMetric(
        "mwql",
        lower_is_better=True,
        tags=("dataset.digest",),
        params=("value", "horizon", "calibration_windows", "test_windows", "level"),
        optional_params=("entities", "start", "end", "attempts"),
    ),
    saves_model=True,
    judge="core.tasks.intervals.judge:load_judge",
)
