"""System information for administrators: versions and settings, without secrets."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pydantic import SecretStr

from core import __version__
from core.redaction import PRIVATE_NAME, strip_secrets
from core.settings import LIBRARY_VARIABLES, Settings, Source, find_source

MASK = "••••"
LIBRARIES = (
    "streamlit",
    "mlflow",
    "pandas",
    "numpy",
    "scikit-learn",
    "torch",
    "sqlalchemy",
    "boto3",
    "elasticsearch",
    "dask",
)


@dataclass(frozen=True)
class Setting:
    """A setting, or a variable of a library. `value` is masked where it is secret, "" where it is empty."""

    name: str
    value: str
    source: Source


def list_settings(settings: Settings) -> list[Setting]:
    """List all settings, in the order of `.env.example`, and the variables of libraries that are set."""
    return [
        *(_describe_setting(name.upper(), getattr(settings, name), settings) for name in type(settings).model_fields),
        *(_describe_variable(name, settings) for name in LIBRARY_VARIABLES if find_source(name) != "default"),
    ]


def list_versions() -> dict[str, str]:
    """Return name → version of Vigie, Python and the main libraries."""
    return {"vigie": __version__, "python": platform.python_version(), **dict(_iter_library_versions())}


def _describe_setting(name: str, value: object, settings: Settings) -> Setting:
    if isinstance(value, SecretStr):
        return Setting(name, MASK if value.get_secret_value() else "", find_source(name))
    return Setting(name, "" if value is None else strip_secrets(str(value), settings), find_source(name))


def _describe_variable(name: str, settings: Settings) -> Setting:
    value = os.environ.get(name) or os.environ.get(name.lower(), "")
    return Setting(name, MASK if PRIVATE_NAME.search(name) else strip_secrets(value, settings), find_source(name))


def _iter_library_versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, ""
