"""Redaction: a secret never appears in a message, and a harmless text stays as it is."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.redaction import MIN_PLAIN_CHARS, PLACEHOLDER, remove_secrets, strip_secrets
from core.settings import Settings

SECRET_FIELDS = (
    *("aws_access_key", "aws_secret_key", "elastic_password", "call_records_password", "vigie_user_key"),
    "vigie_webhook_key",
)
ADDRESS_FIELDS = ("database_url", "vigie_source_databases", "vigie_smtp_url")
NAMES = {
    "vigie_data_dir": Path("/srv/vigie"),
    "s3_bucket_name": "vigie",
    "s3_endpoint_url": "http://storage:8333",
    "elastic_username": "elastic",
    "mlflow_tracking_uri": "http://mlflow:5000",
    "call_records_index": "call-records-2026,other",
}
HARMLESS_TEXTS = (
    "s3://vigie",
    "The bucket vigie does not exist (NoSuchBucket). Check S3_BUCKET_NAME.",
    "The folder /srv/vigie is not writable.",
    "No answer: connection to http://storage:8333 refused after 1234 ms in 2026.",
    "http://mlflow:5000 rejects the user elastic; the password is wrong.",
    "no index call-records-2026",
)

letters_and_signs = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, categories=("L", "N", "P", "S")))
secrets = letters_and_signs.filter(
    lambda text: (
        4 <= len(text) < 60
        and not (len(text) < MIN_PLAIN_CHARS and (text.isalpha() or text.isdigit()))
        and text not in PLACEHOLDER
    )
)


def make_settings(**values: object) -> Settings:
    secret_values = {
        name: SecretStr(str(value)) if name in (*SECRET_FIELDS, *ADDRESS_FIELDS) else value
        for name, value in values.items()
    }
    return Settings.model_construct(**secret_values)  # type: ignore[arg-type]


@given(secrets, letters_and_signs, letters_and_signs, st.sampled_from(SECRET_FIELDS))
def test_secret_never_appears(secret: str, before: str, after: str, field: str) -> None:
    settings = make_settings(**{field: secret})
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        shown = strip_secrets(f"{before} {form} {after}", settings)
        assert form not in shown
        assert PLACEHOLDER in shown


@given(secrets)
def test_password_of_address_never_appears(password: str) -> None:
    address = f"postgresql://ada:{quote(password, safe='')}@db.example.org:5432/accounts"
    settings = make_settings(database_url=address)
    shown = strip_secrets(f"{address} refuses {password!r} of ada", settings)
    assert password not in shown
    assert quote(password, safe="") not in shown
    assert "@db.example.org:5432/accounts refuses '" in shown or '@db.example.org:5432/accounts refuses "' in shown


@given(secrets)
def test_password_of_watched_database_never_appears(password: str) -> None:
    addresses = {"plant": f"postgresql://ada:{quote(password, safe='')}@db.example.org/plant", "other": "sqlite:////x"}
    settings = make_settings(vigie_source_databases=json.dumps(addresses))
    shown = strip_secrets(f"{addresses['plant']} refuses {password!r} of ada", settings)
    assert password not in shown
    assert quote(password, safe="") not in shown
    assert "@db.example.org/plant refuses" in shown


@given(secrets)
def test_password_of_mail_server_never_appears(password: str) -> None:
    settings = make_settings(vigie_smtp_url=f"smtp://ada:{quote(password, safe='')}@mail.example.org:587")
    shown = strip_secrets(f"mail.example.org:587 refuses {password!r} of ada", settings)
    assert password not in shown
    assert shown.startswith("mail.example.org:587 refuses ")


@pytest.mark.parametrize("password", ["p@ss/word-7", "a/b", "x@y"])
def test_password_with_signs_of_addresses_never_appears(password: str) -> None:
    settings = make_settings(database_url=f"postgresql://ada:{password}@db.example.org/accounts")
    assert password not in strip_secrets(f"could not parse postgresql://ada:{password}@db.example.org", settings)


@pytest.mark.parametrize("secret", ["vigie", "elastic", "mlflow", "storage", "call-records-2026", "1234", "2026", "is"])
@pytest.mark.parametrize("field", [*SECRET_FIELDS, "database_url"])
def test_names_that_equal_a_secret_stay(secret: str, field: str) -> None:
    value = f"postgresql://vigie:{secret}@postgres:5432/accounts" if field == "database_url" else secret
    settings = make_settings(**NAMES, **{field: value})
    assert [strip_secrets(text, settings) for text in HARMLESS_TEXTS] == list(HARMLESS_TEXTS)


@pytest.mark.parametrize("secret", ["vigie", "abc", "1", "password", "long-and-distinct-77"])
@pytest.mark.parametrize(
    "text",
    [
        "password={}",
        "refused: AWS_SECRET_KEY={} here",
        '{{"elastic_password": "{}"}}',
        "token: '{}'",
        "postgresql://vigie:{}@postgres:5432/accounts",
    ],
)
def test_short_secret_is_removed_where_a_password_stands(secret: str, text: str) -> None:
    shown = strip_secrets(text.format(secret), make_settings(**NAMES, elastic_password=secret))
    assert shown.count(PLACEHOLDER) == 1
    assert shown in (text.format(PLACEHOLDER), f"postgresql://{PLACEHOLDER}@postgres:5432/accounts")


@given(st.lists(secrets, max_size=4), st.sampled_from(HARMLESS_TEXTS))
def test_harmless_text_stays(values: list[str], text: str) -> None:
    if not any(value in text for value in values):
        assert remove_secrets(text, values) == text


def test_secrets_of_libraries_never_appear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "pa55word-of-mlflow")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "5ecret+of/aws")
    shown = strip_secrets("pa55word-of-mlflow, 5ecret+of/aws, 5ecret%2Bof%2Faws", make_settings())
    assert shown == ", ".join([PLACEHOLDER] * 3)
