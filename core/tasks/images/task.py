"""Declaration of the task images for the registry of tasks."""

from core.messages import N_
from core.spec.metric import Metric
from core.spec.task import Mode, Task
from core.tasks.images.spec import ImagesCompareSpec, ImagesFitSpec, ImagesScoreSpec
from mlflow_utils.registry import PromotionMetric

TASK = Task(
    name="images",
    label=N_("Images"),
    modes=(
        Mode(ImagesFitSpec, "core.tasks.images.fit:fit_detector", "images fit", label=N_("Train on a normal class")),
        Mode(
            ImagesCompareSpec,
            "core.tasks.images.comparison:compare",
            "images compare",
            label=N_("Compare detectors"),
            result="core.tasks.images.comparison_result:ImageComparison",
            action=N_("Compare"),
        ),
        Mode(
            ImagesScoreSpec,
            "core.tasks.images.score:apply_model",
            "images score",
            label=N_("Apply a saved model"),
            result="core.tasks.images.model_result:ImageScores",
            action=N_("Score images"),
        ),
    ),
    result="core.tasks.images.model_result:ImageModelResult",
    card="core.tasks.images.card:describe",
    report="core.tasks.images.report:describe_report",
    json_fields="core.tasks.images.command:to_answer",
    lines="core.tasks.images.command:to_lines",
    page="images",
    action=N_("Find the abnormal images"),
    icon="image_search",
    headline="auc_roc",
    accuracy="auc_roc",
    metrics=(
        Metric("threshold", N_("threshold")),
        Metric("alarm_rate", N_("Alarm rate"), "%"),
        Metric("promised_rate", N_("Expected alarm rate"), "%"),
        Metric("sensitivity", N_("Sensitivity"), higher_is_better=True),
        Metric("specificity", N_("Specificity"), higher_is_better=True),
        Metric("line_auc_roc", N_("AUC-ROC of nearest neighbours on pixels")),
        Metric("collapsed", N_("collapsed"), higher_is_better=False),
        Metric("rows", N_("images")),
        Metric("rows_fitted", N_("training images")),
        Metric("rows_scored", N_("scored images")),
        Metric("images_per_second", N_("images per second"), higher_is_better=True),
        Metric("fit_seconds", N_("seconds of the training"), "s", higher_is_better=False),
        Metric("latent_spread", N_("spread of the embeddings")),
        Metric("auc_roc_error", N_("standard error of the AUC-ROC"), higher_is_better=False),
        Metric("cells", N_("cells")),
        Metric("cells_failed", N_("failed cells"), higher_is_better=False),
    ),
    promotion=PromotionMetric("auc_roc", lower_is_better=False, tags=("dataset.digest",), params=("normal_class",)),
    saves_model=True,
)
