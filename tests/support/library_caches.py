"""What libraries read anew for each page, store or model although it stays the same while a process runs.

A server of the product pays for it once or seldom; the tests would pay thousands of times.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

PAGE_FUNCTIONS = (("streamlit.components.v2.manifest_scanner", "scan_component_manifests"),)
"""Metadata of all installed libraries, for each page of AppTest."""
TRACKING_FUNCTIONS = (
    ("mlflow.store.db.utils", "_get_latest_schema_revision"),  # all migrations, for each store
    ("mlflow.utils.requirements_utils", "_check_requirement_satisfied"),  # files of a library, for each model
)


def remember(functions: tuple[tuple[str, str], ...]) -> None:
    """Keep the answers of functions of libraries, given as (module, name), for the life of this process."""
    for module_name, name in functions:
        module = import_module(module_name)
        function: Callable[..., Any] = getattr(module, name)
        if not hasattr(function, "cache_info"):
            setattr(module, name, cache(function))


def read_environment() -> None:
    """Read once which libraries are installed and what the code of every model imports, as saving a model does."""
    from mlflow.utils import requirements_utils

    from core.runs import model_files, model_loader
    from core.settings import ROOT
    from mlflow_utils.model_code import collect_code

    names = [model_loader.__name__, *model_files.list_trusted_types()]
    collect_code(ROOT, names, (*model_files.MODEL_PACKAGES, "mlflow_utils"))
    requirements_utils._init_packages_to_modules_map()
