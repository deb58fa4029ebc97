"""Passwords and keys: in no file and in no output, whatever fails."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Command, find_free_port

PASSWORD, WRONG_PASSWORD = "correct horse battery staple 7391", "a wrong guess of a password 2846"
SECRETS = {
    "ELASTIC_PASSWORD": "elastic-pa55word-1830",
    "AWS_SECRET_KEY": "aws-5ecret-key-4471",
    "CALL_RECORDS_PASSWORD": "records-pa55word-5520",
    "VIGIE_USER_KEY": "key-of-pseudonyms-9902",
}
URL_PASSWORD = "url-pa55word-6618"
ALL_SECRETS = (PASSWORD, WRONG_PASSWORD, URL_PASSWORD, *SECRETS.values())


def find_secrets(folder: Path) -> list[str]:
    """List the secrets in the files below `folder`, as "file: secret"."""
    return [
        f"{path.relative_to(folder)}: {secret}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for secret in _iter_secrets(path.read_bytes())
    ]


def _iter_secrets(content: bytes) -> Iterator[str]:
    for secret in ALL_SECRETS:
        if secret.encode() in content or secret.encode("utf-16-le") in content:
            yield secret


def test_search_finds_a_secret_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "crash.log").write_text(f"Traceback: {PASSWORD}")
    assert find_secrets(tmp_path) == [f"crash.log: {PASSWORD}"]


@pytest.mark.parametrize("services", ["dead", "hidden in addresses"])
def test_commands_write_no_secret_to_a_file_or_a_stream(services: str, tmp_path: Path, vigie: Command) -> None:
    port, outputs = find_free_port(), []
    settings = SECRETS | {
        "ELASTIC_DEPLOYMENT_ENDPOINT": f"http://127.0.0.1:{port}",
        "ELASTIC_USERNAME": "elastic",
        "CALL_RECORDS_ENDPOINT": f"http://127.0.0.1:{port}",
        "CALL_RECORDS_USERNAME": "reader",
        "S3_BUCKET_NAME": "vigie",
        "S3_REGION_NAME": "eu-west-3",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY": "public-name",
    }
    if services != "dead":
        settings |= {
            "DATABASE_URL": f"postgresql://vigie:{URL_PASSWORD}@127.0.0.1:{port}/vigie",
            "MLFLOW_TRACKING_URI": f"http://vigie:{URL_PASSWORD}@127.0.0.1:{port}",
        }
    sample = tmp_path / "sample.csv"
    commands = [
        (["sample", "gas_daily", "--out", str(sample)], ""),
        (["health"], ""),
        (["anomalies", str(sample)], ""),
        (["users", "add", "ada", "--role", "administrator", "--password-stdin"], f"{PASSWORD}\n"),
        (["users", "add", "ada", "--password-stdin"], f"{WRONG_PASSWORD}\n"),
        (["users", "password", "nobody", "--password-stdin"], f"{WRONG_PASSWORD}\n"),
        (["users", "list"], ""),
        (["worker", "--once"], ""),
        (["health", "--json"], ""),
    ]
    for words, piped in commands:
        process = vigie(*words, piped=piped, **settings)
        outputs += [process.stdout, process.stderr]
    _break_accounts(tmp_path / "data" / "accounts.db")
    crashed = vigie("users", "add", "grace", "--password-stdin", piped=f"{PASSWORD}\n", **settings)
    outputs += [crashed.stdout, crashed.stderr]
    assert len(list((tmp_path / "data").rglob("*"))) > 8, "the commands wrote nothing"
    (tmp_path / "streams.log").write_text("\n".join(outputs))
    assert find_secrets(tmp_path) == []


def _break_accounts(path: Path) -> None:
    """Remove a table, so that the next sign-up crashes inside of SQLAlchemy."""
    if path.exists():
        with closing(sqlite3.connect(path)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%user%'").fetchall():
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.commit()
