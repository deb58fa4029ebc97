"""The settings: their documentation, their defaults, and the protection of secrets."""

import re
from pathlib import Path
from typing import get_args

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from core.settings import ROOT, Settings

EXAMPLE = ROOT / ".env.example"
NAMES = [name.upper() for name in Settings.model_fields]
SECRETS = [
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all settings from outside: variables and the `.env` of the checkout."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


def comment_of(name: str) -> str:
    """Return the comment lines directly above the variable."""
    found: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}="):
            break
        found = [*found, line] if line.startswith("#") else []
    return " ".join(found)


def test_example_names_every_setting_and_nothing_else() -> None:
    assert sorted(dotenv_values(EXAMPLE)) == sorted(NAMES)


def test_example_keeps_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert set(dotenv_values(EXAMPLE).values()) == {""}
    assert Settings() == Settings(_env_file=None)


@pytest.mark.parametrize("name", NAMES)
def test_example_explains(name: str) -> None:
    assert "Default:" in comment_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_example_tells_what_is_not_used_yet(name: str) -> None:
    files = [path for room in ("core", "pages") for path in (ROOT / room).rglob("*.py")]
    code = (path.read_text(encoding="utf-8") for path in files if path.name != "settings.py")
    own = (ROOT / "core" / "settings.py").read_text(encoding="utf-8")
    used = f"self.{name.lower()}" in own or any(re.search(rf"\.{name.lower()}\b", text) for text in code)
    assert ("not used yet" in comment_of(name).lower()) is not used


@pytest.mark.parametrize("name", NAMES)
def test_deployment_guide_mentions(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_empty_file_works(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("", encoding="utf-8")
    given = Settings()
    assert given.vigie_data_dir == ROOT / ".vigie"
    assert given.tracking_uri == f"sqlite:///{ROOT / '.vigie' / 'mlflow.db'}"
    assert given.artefacts_location == (ROOT / ".vigie" / "mlartifacts").as_uri()


def test_a_server_decides_where_artifacts_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert (Settings().tracking_uri, Settings().artefacts_location) == ("http://mlflow:5000", None)
    monkeypatch.setenv("MLFLOW_ARTEFACTS_LOCATION", "gs://bucket/runs")
    assert Settings().artefacts_location == "gs://bucket/runs"


def test_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COUNTRY_ISO_CODE=DEU\nS3_BUCKET_NAME=kept\n", encoding="utf-8")
    assert Settings().country_iso_code == "DEU"
    monkeypatch.setenv("COUNTRY_ISO_CODE", "ESP")
    assert (Settings().country_iso_code, Settings().s3_bucket_name) == ("ESP", "kept")


def test_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATA_DIR", "")
    monkeypatch.setenv("VIGIE_MAX_UPLOAD_MB", "")
    assert Settings() == Settings(_env_file=None)


@pytest.mark.parametrize(("name", "value"), [("COUNTRY_ISO_CODE", "FR"), ("VIGIE_MAX_UPLOAD_MB", "0")])
def test_refused_values(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_passwords_and_keys_are_secrets() -> None:
    telling = {name for name in Settings.model_fields if re.search(r"password|secret|_key$|_url$", name)}
    assert telling - {"s3_endpoint_url"} == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_never_show(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "hunter2-do-not-show")
    given = Settings()
    assert getattr(given, name).get_secret_value() == "hunter2-do-not-show"
    for shown in (repr(given), str(given), str(given.model_dump()), given.model_dump_json()):
        assert "hunter2" not in shown
