"""System information for administrators: versions and settings, without secrets."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pydantic import SecretStr

from core import __version__
from core.redaction import strip_secrets
from core.settings import Settings

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
    """A setting. `value` is masked where it is secret, "" where it is empty."""

    name: str
    value: str
    is_set: bool


def list_settings(settings: Settings) -> list[Setting]:
    """List all settings, in the order of `.env.example`."""
    return [_describe_setting(name, getattr(settings, name), settings) for name in type(settings).model_fields]


def list_versions() -> dict[str, str]:
    """Return name → version of Vigie, Python and the main libraries."""
    return {"vigie": __version__, "python": platform.python_version(), **dict(_iter_library_versions())}


def _describe_setting(name: str, value: object, settings: Settings) -> Setting:
    is_set = value != type(settings).model_fields[name].default
    if isinstance(value, SecretStr):
        return Setting(name.upper(), MASK if value.get_secret_value() else "", is_set)
    return Setting(name.upper(), "" if value is None else strip_secrets(str(value), settings), is_set)


def _iter_library_versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, ""
