"""The page of runs, in Streamlit's own test harness: found, opened, compared, and what it says when MLflow is silent."""

import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.analyses import anomalies, forecast
from core.data.dataset import Dataset
from core.errors import BadData
from core.run import Actor, Workplace, tracked_run
from mlflow_utils.tracking import Tracking
from pages.parts import text
from tests.conftest import free_port, workplace_in
from tests.servers import hanging
from tests.test_pages import at, opened, texts  # noqa: F401
