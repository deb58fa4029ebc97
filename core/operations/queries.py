"""Declaration of the queries about data, for the registry of queries."""

from core.messages import N_
from core.spec.query import Query

LOAD_PAGE = "data"  # address of the page that loads data
READ_FILES, PREVIEW_FILES = "read_files", "preview_files"
COMPARE_DRIFT, READ_IMAGES = "compare_drift", "read_images"
READ_COVARIATES, OPEN_SAMPLE = "read_covariates", "open_sample"
REPLAY_WATCH, REFIT_WATCH = "watch-replay", "refit_watch"
CHECK_QUALITY, PREVIEW_REPAIRS, REPAIR_DATASET = "check_quality", "preview_repairs", "repair_dataset"

QUERIES = (
    Query(
        READ_FILES,
        "core.operations.reading:ReadingSpec",
        "core.operations.reading:read_files",
        label=N_("Reading of files"),
        page=LOAD_PAGE,
    ),
    Query(
        PREVIEW_FILES,
        "core.operations.reading:FilesSpec",
        "core.operations.reading:preview_files",
        "core.operations.reading:FilePreview",
    ),
    Query(
        READ_COVARIATES,
        "core.operations.reading:CovariatesSpec",
        "core.operations.reading:read_covariate_files",
        "core.operations.reading:CovariatesAnswer",
    ),
    Query(OPEN_SAMPLE, "core.operations.reading:SampleSpec", "core.operations.reading:open_sample"),
    Query(
        CHECK_QUALITY,
        "core.spec.spec:DataSpec",
        "core.operations.quality:check_quality",
        "core.operations.quality:QualityAnswer",
    ),
    Query(
        PREVIEW_REPAIRS,
        "core.operations.quality:RepairSpec",
        "core.operations.quality:preview_repairs",
        "core.operations.quality:RepairEffect",
    ),
    Query(
        REPAIR_DATASET,
        "core.operations.quality:RepairOrder",
        "core.operations.quality:repair_dataset",
        label=N_("Repair of data"),
        page=LOAD_PAGE,
    ),
    Query(
        COMPARE_DRIFT,
        "core.operations.drift:DriftSpec",
        "core.operations.drift:answer_drift",
        "core.operations.drift:DriftAnswer",
    ),
    Query(
        READ_IMAGES,
        "core.operations.reading:ImageReadingSpec",
        "core.operations.reading:read_images",
        label=N_("Reading of images"),
        page="images",
    ),
    Query(
        REPLAY_WATCH,
        "core.operations.watching.replay_result:ReplaySpec",
        "core.operations.watching.replay:answer_replay",
        "core.operations.watching.replay_result:Replay",
        label=N_("Replay of a watch"),
        page="watch",
    ),
    Query(
        REFIT_WATCH,
        "core.operations.watching.refit:RefitSpec",
        "core.operations.watching.refit:run_refit",
        label=N_("Retraining of a watch"),
        page="watch",
    ),
)
