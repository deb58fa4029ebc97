"""The settings: their documentation, their defaults, their sources, and the protection of secrets."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from core.errors import OptionError
from core.settings import (
    ENV_FILE_VARIABLE,
    LIBRARY_VARIABLES,
    ROOT,
    Settings,
    find_misspelt_names,
    find_source,
    get_settings,
    load_environment,
    read_env_file,
)
from core.workspace import read_settings

EXAMPLE = ROOT / ".env.example"
VARIABLE_NAMES = [name.upper() for name in Settings.model_fields]
SECRET_FIELDS = [
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
]

SECRET_FORMS = {
    "vigie_smtp_url": "smtp://vigie:hunter2-do-not-show@mail.example.org",
    "vigie_api_tokens": "hunter2-do-not-show-in-any-text-of-settings",
}
"""Values of secret settings that have a form of their own."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Remove all settings from outside, and put `.env` in the folder of the test."""
    environment = dict(os.environ)
    for name in (*VARIABLE_NAMES, *LIBRARY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(ENV_FILE_VARIABLE, str(tmp_path / ".env"))
    read_env_file.cache_clear()
    yield
    read_env_file.cache_clear()
    os.environ.clear()
    os.environ.update(environment)


def write_env_file(folder: Path, text: str) -> None:
    (folder / ".env").write_text(text, encoding="utf-8")
    read_env_file.cache_clear()
    load_environment()


def read_comment(name: str) -> str:
    """Return the comment lines directly above the variable."""
    lines: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"#{name}="):
            break
        lines = [*lines, line] if line.startswith("#") else []
    return " ".join(lines)


def test_env_example_lists_every_setting() -> None:
    names = re.findall(r"^#([A-Z0-9_]+)=$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == VARIABLE_NAMES


def test_env_example_keeps_defaults() -> None:
    assert not dotenv_values(EXAMPLE)


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
    write_env_file(tmp_path, "")
    settings = Settings()
    assert settings.vigie_data_dir == ROOT / ".vigie"
    assert settings.tracking_uri == f"sqlite:///{ROOT / '.vigie' / 'mlflow.db'}"
    assert settings.artefacts_location == (ROOT / ".vigie" / "mlartifacts").as_uri()


def test_settings_leave_artifact_location_to_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert (Settings().tracking_uri, Settings().artefacts_location) == ("http://mlflow:5000", None)
    monkeypatch.setenv("MLFLOW_ARTEFACTS_LOCATION", "gs://bucket/runs")
    assert Settings().artefacts_location == "gs://bucket/runs"


def test_environment_overrides_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COUNTRY_ISO_CODE", "ESP")
    monkeypatch.setenv("https_proxy", "http://proxy.example.org")
    write_env_file(tmp_path, "COUNTRY_ISO_CODE=DEU\nS3_BUCKET_NAME=kept\nHTTPS_PROXY=http://other.example.org\n")
    assert (Settings().country_iso_code, Settings().s3_bucket_name) == ("ESP", "kept")
    assert "HTTPS_PROXY" not in os.environ, "a proxy in small letters is the same variable"
    sources = [find_source(name) for name in ("COUNTRY_ISO_CODE", "S3_BUCKET_NAME", "HTTPS_PROXY", "PORT")]
    assert sources == ["environment", ".env", "environment", "default"]


def test_env_file_reaches_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from botocore.session import Session

    text = "\ufeffAWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY='se cret'\nMLFLOW_TRACKING_TOKEN=token\nNO_VALUE\n"
    write_env_file(tmp_path, text)
    credentials = Session().get_credentials()
    assert (credentials.access_key, credentials.secret_key) == ("id", "se cret")
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "token"


S3_KEYS = "AWS_ACCESS_KEY=id\nAWS_SECRET_KEY=secret\n"


@pytest.mark.parametrize(
    ("text", "access_key"),
    [
        ("", "id"),
        ("S3_ENDPOINT_URL=http://s3:8333\nMLFLOW_S3_ENDPOINT_URL=http://s3:8333\n", "id"),
        ("S3_ENDPOINT_URL=http://s3:8333\n", None),  # artifacts are at Amazon
        ("AWS_ACCESS_KEY_ID=own\nAWS_SECRET_ACCESS_KEY=own\n", "own"),
        ("AWS_PROFILE=own\n", None),
    ],
)
def test_s3_keys_reach_artifacts_in_the_same_store(text: str, access_key: str | None, tmp_path: Path) -> None:
    write_env_file(tmp_path, S3_KEYS + text)
    assert os.environ.get("AWS_ACCESS_KEY_ID") == access_key
    assert (os.environ.get("AWS_SECRET_ACCESS_KEY") == "secret") is (access_key == "id")


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("name", [*VARIABLE_NAMES, *LIBRARY_VARIABLES, "STREAMLIT_SERVER_PORT", "MLFLOW_ANYTHING"])
def test_empty_variable_means_unset(name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(name, value)
    load_environment()
    assert name not in os.environ
    assert Settings() == Settings.model_construct()
    monkeypatch.setenv(name, value)
    write_env_file(tmp_path, f"{name}=from-file\n")
    assert os.environ[name] == "from-file", "an empty variable does not hide that of .env"


def test_empty_variable_of_others_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # it hides every device
    load_environment()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize(
    ("wrong_name", "right_name"),
    [
        ("MLFLOW_TRACKING_URL", "MLFLOW_TRACKING_URI"),
        ("MLFLOW_ARTIFACTS_LOCATION", "MLFLOW_ARTEFACTS_LOCATION"),
        ("GOOGLE_APPLICATION_CREDENTIAL", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("ELASTIC_USER", "ELASTIC_USERNAME"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("VIGIE_DATADIR", "VIGIE_DATA_DIR"),
        ("VIGIE_MAX_MB", "VIGIE_MAX_UPLOAD_MB"),
    ],
)
def test_misspelt_setting_is_told_with_the_right_one(
    wrong_name: str, right_name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_env_file(tmp_path, f"{wrong_name}=a-value-that-may-be-secret\n")
    assert find_misspelt_names() == {wrong_name: right_name}
    assert f"{wrong_name} is not a setting. The nearest one is {right_name}." in caplog.text
    assert "a-value" not in caplog.text


def test_variables_of_libraries_are_not_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.environment_variables as mlflow_variables
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

    for name in (name for name in vars(mlflow_variables) if name.startswith("MLFLOW_")):
        monkeypatch.setenv(name, "set")
    for names in (variable[1] for variable in BOTOCORE_DEFAUT_SESSION_VARIABLES.values()):
        for name in [names] if isinstance(names, str) else names or []:
            monkeypatch.setenv(name, "set")
    for name in ("POSTGRES_PASSWORD", "VIGIE_SHARED_DATA", "S3_BUCKET", "DASK_SCHEDULER__WORK_STEALING", "AWS_REGION"):
        monkeypatch.setenv(name, "set")
    assert find_misspelt_names() == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTRY_ISO_CODE", "FR"),
        ("VIGIE_MAX_UPLOAD_MB", "0"),
        ("VIGIE_API_TOKENS", "short"),
        ("VIGIE_API_TOKENS", f"{'a' * 32},short"),
        ("VIGIE_API_TOKENS", f"with a blank {'a' * 32}"),
    ],
)
def test_settings_reject_invalid_values(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_refused_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_API_TOKENS", "hunter2-too-short")
    get_settings.cache_clear()
    with pytest.raises(OptionError, match=r"VIGIE_API_TOKENS: .*32 or more") as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)


def test_settings_declare_passwords_and_keys_secret() -> None:
    sensitive_names = {
        name for name in Settings.model_fields if re.search(r"password|secret|_key$|_url$|_databases$|_tokens$", name)
    }
    assert sensitive_names - {"s3_endpoint_url", "vigie_public_url"} == set(SECRET_FIELDS)


@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = SECRET_FORMS.get(name, "hunter2-do-not-show")
    monkeypatch.setenv(name.upper(), value)
    settings = Settings()
    assert getattr(settings, name).get_secret_value() == value
    for text in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in text
