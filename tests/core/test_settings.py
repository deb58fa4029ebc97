"""The settings: their documentation, their defaults, and the protection of secrets."""

import re
from pathlib import Path
from typing import get_args

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from core.settings import ROOT, Settings

EXAMPLE = ROOT / ".env.example"
VARIABLE_NAMES = [name.upper() for name in Settings.model_fields]
SECRET_FIELDS = [
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all settings from outside: variables and the `.env` of the checkout."""
    for name in VARIABLE_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


def read_comment(name: str) -> str:
    """Return the comment lines directly above the variable."""
    lines: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}="):
            break
        lines = [*lines, line] if line.startswith("#") else []
    return " ".join(lines)


def test_env_example_lists_every_setting() -> None:
    assert sorted(dotenv_values(EXAMPLE)) == sorted(VARIABLE_NAMES)


def test_env_example_keeps_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert set(dotenv_values(EXAMPLE).values()) == {""}
    assert Settings() == Settings(_env_file=None)


@pytest.mark.parametrize("name", VARIABLE_NAMES)
def test_env_example_explains_setting(name: str) -> None:
    assert "Default:" in read_comment(name)


@pytest.mark.parametrize("name", VARIABLE_NAMES)
def test_env_example_marks_unused_setting(name: str) -> None:
    files = [path for folder in ("core", "pages") for path in (ROOT / folder).rglob("*.py")]
    code = (path.read_text(encoding="utf-8") for path in files if path.name != "settings.py")
    settings_code = (ROOT / "core" / "settings.py").read_text(encoding="utf-8")
    used = f"self.{name.lower()}" in settings_code or any(re.search(rf"\.{name.lower()}\b", text) for text in code)
    assert ("not used yet" in read_comment(name).lower()) is not used


@pytest.mark.parametrize("name", VARIABLE_NAMES)
def test_settings_reference_mentions_setting(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")


def test_settings_from_empty_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("", encoding="utf-8")
    settings = Settings()
    assert settings.vigie_data_dir == ROOT / ".vigie"
    assert settings.tracking_uri == f"sqlite:///{ROOT / '.vigie' / 'mlflow.db'}"
    assert settings.artefacts_location == (ROOT / ".vigie" / "mlartifacts").as_uri()


def test_settings_leave_artifact_location_to_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert (Settings().tracking_uri, Settings().artefacts_location) == ("http://mlflow:5000", None)
    monkeypatch.setenv("MLFLOW_ARTEFACTS_LOCATION", "gs://bucket/runs")
    assert Settings().artefacts_location == "gs://bucket/runs"


def test_settings_environment_overrides_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COUNTRY_ISO_CODE=DEU\nS3_BUCKET_NAME=kept\n", encoding="utf-8")
    assert Settings().country_iso_code == "DEU"
    monkeypatch.setenv("COUNTRY_ISO_CODE", "ESP")
    assert (Settings().country_iso_code, Settings().s3_bucket_name) == ("ESP", "kept")


def test_settings_empty_variable_means_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATA_DIR", "")
    monkeypatch.setenv("VIGIE_MAX_UPLOAD_MB", "")
    assert Settings() == Settings(_env_file=None)


@pytest.mark.parametrize(("name", "value"), [("COUNTRY_ISO_CODE", "FR"), ("VIGIE_MAX_UPLOAD_MB", "0")])
def test_settings_reject_invalid_values(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_settings_declare_passwords_and_keys_secret() -> None:
    sensitive_names = {name for name in Settings.model_fields if re.search(r"password|secret|_key$|_url$", name)}
    assert sensitive_names - {"s3_endpoint_url"} == set(SECRET_FIELDS)


@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "hunter2-do-not-show")
    settings = Settings()
    assert getattr(settings, name).get_secret_value() == "hunter2-do-not-show"
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in text
