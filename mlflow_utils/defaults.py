"""Variables of MLflow that are set where nobody has set them."""

import os

MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # waiting runs are sent again later, and MLflow's own retries would create duplicates
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would appear in the output of the commands
}
"""Variables of MLflow, whose own defaults wait four minutes for a dead server."""


def set_mlflow_defaults() -> None:
    """Set the variables of MLflow that are not set; after `.env` is read, and before the first import of MLflow."""
    for name, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
