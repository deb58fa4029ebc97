"""`docker run --env-file .env` with a copied `.env.example`: the app of the image keeps its data folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.settings import LIBRARY_VARIABLES, ROOT
from tests.support.processes import find_free_port, kill_process_tree, wait_until_reachable
from tests.test_containers import copy_image_files, read_stages

USER_ID = 10001
AS_USER = (
    *("setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # to read Python in the home of another user
)
HIDDEN_VARIABLES = re.compile(r"(VIGIE|MLFLOW|AWS|S3|ELASTIC|CALL_RECORDS|GOOGLE|DATABASE|DASK|COUNTRY|HOME|TMPDIR)")


@pytest.fixture
def container() -> Iterator[Path]:
    """Folder with the files of the image in `app`, and `data` and `tmp`, in which its user may write."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("app", "data", "tmp"):
            (folder / part).mkdir()
        copy_image_files(folder / "app")
        for command in read_stages()["app"].list_arguments("RUN"):
            if command.endswith("> .env"):
                subprocess.run(["sh", "-c", map_paths(command, folder)], cwd=folder / "app", check=True)
        if os.geteuid() == 0:
            for part in ("data", "tmp"):
                shutil.chown(folder / part, USER_ID, USER_ID)
        else:
            (folder / "app").chmod(0o555)
        yield folder
        (folder / "app").chmod(0o755)


def map_paths(text: str, container: Path) -> str:
    """Return a text with the folders of the container instead of those of its root."""
    return re.sub(r"(?<![\w.])/(data|tmp)\b", rf"{container}/\1", text)


def read_env_file_as_docker(text: str) -> dict[str, str]:
    """Return the variables of a file as `docker run --env-file` reads it: values as they stand, also empty ones."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def build_environment(container: Path, env_file: str) -> dict[str, str]:
    """Return the environment of the image, then that of the file; Python comes from this machine."""
    host = {name: value for name, value in os.environ.items() if not HIDDEN_VARIABLES.match(name)}
    image = read_stages()["app"].parse_environment()
    del image["PATH"]
    mapped = {name: map_paths(value, container) for name, value in image.items()}
    return host | mapped | {"PYTHONDONTWRITEBYTECODE": "1"} | read_env_file_as_docker(env_file)


def list_example_lines() -> list[str]:
    return (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()


def test_copied_example_sets_nothing() -> None:
    assert read_env_file_as_docker("\n".join(list_example_lines())) == {}


@pytest.mark.server
def test_app_of_image_starts_with_empty_settings(container: Path) -> None:
    """Every line of the example is in use and empty, as are the variables that libraries and Streamlit read."""
    env_file = "\n".join(line.removeprefix("#") for line in list_example_lines() if re.match(r"#\w+=", line))
    more = [*LIBRARY_VARIABLES, "STREAMLIT_SERVER_MAX_UPLOAD_SIZE", "MLFLOW_HTTP_REQUEST_TIMEOUT", "AWS_CA_BUNDLE"]
    env_file += "".join(f"\n{name}=" for name in more if name not in env_file)
    port, log_path = find_free_port(), container / "tmp" / "app.log"
    command = [part.replace("8501", str(port)) for part in read_stages()["app"].parse_command()]
    prefix = AS_USER if os.geteuid() == 0 else ()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", *command],
            cwd=container / "app",
            env=build_environment(container, env_file),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        with suppress(OSError, urllib.error.URLError):
            wait_until_reachable(f"http://127.0.0.1:{port}/_stcore/health")
        text = log_path.read_text(encoding="utf-8", errors="replace")
        assert (container / "data" / "format.json").exists(), text
        assert process.poll() is None, text
        assert "cannot be used" not in text
        assert not (container / "app" / ".vigie").exists()
    finally:
        kill_process_tree(process)
