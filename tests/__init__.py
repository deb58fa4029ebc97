"""The tests; real files, real servers, a real browser."""

import os

from mlflow_utils.defaults import set_mlflow_defaults

set_mlflow_defaults()  # before a test imports MLflow

# Tests run beside each other: with a thread per core in each of them, threads wait for cores most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ["VIGIE_ENV_FILE"] = os.devnull  # tests and the processes that they start read no `.env` of a developer
