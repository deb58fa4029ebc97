"""Settings, read once from the environment and `.env`; each one has a working default."""

import logging
import os
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
IS_INSTALLED = ROOT.parent.name in ("site-packages", "dist-packages")
"""True for a package among the libraries, where nothing may be written; False for a checkout and in the image."""

ENV_FILE_VARIABLE = "VIGIE_ENV_FILE"
"""Variable of the environment with the path of another file than `.env` next to the code."""
LIBRARY_VARIABLES = {
    "MLFLOW_TRACKING_USERNAME": "User of an MLflow server that asks for a password.",
    "MLFLOW_TRACKING_PASSWORD": "Password of MLFLOW_TRACKING_USERNAME.",
    "MLFLOW_TRACKING_TOKEN": "Token for an MLflow server behind a proxy that asks for one.",
    "AWS_ACCESS_KEY_ID": "Access key of the standard AWS chain, used where AWS_ACCESS_KEY is not set.",
    "AWS_SECRET_ACCESS_KEY": "Secret key of AWS_ACCESS_KEY_ID.",
    "AWS_SESSION_TOKEN": "Session token of temporary AWS keys.",
    "MLFLOW_S3_ENDPOINT_URL": "Address of an S3 store other than Amazon's, for artifacts on s3://.",
    "AWS_PROFILE": "Profile of the AWS files to use.",
    "AWS_DEFAULT_REGION": "Region of AWS, used where S3_REGION_NAME is not set.",
    "GOOGLE_CLOUD_PROJECT": "Project of Google Cloud, where the credentials name none.",
    "STORAGE_EMULATOR_HOST": "Address of a stand-in for Google Cloud Storage.",
    "HTTP_PROXY": "Proxy for requests by http.",
    "HTTPS_PROXY": "Proxy for requests by https.",
    "NO_PROXY": "Hosts that are reached without a proxy, separated by commas.",
    "REQUESTS_CA_BUNDLE": "File with the certificates of an own authority.",
    "PORT": "Port of the app that `python -m core serve` starts. Default: 8501.",
    "MLFLOW_PORT": "Port of the MLflow server that `python -m core serve` starts. Default: 5000.",
}
"""Variables that libraries and commands read themselves, with their meaning."""
LIBRARY_PREFIXES = ("MLFLOW_", "STREAMLIT_", "AWS_", "GOOGLE_", "STORAGE_", "CODECARBON_", "DASK_", "OMP_")
OTHER_VARIABLES = {"MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_DIR"}
"""Further variables of libraries, whose names are almost those of settings."""
S3_KEYS = {"AWS_ACCESS_KEY": "AWS_ACCESS_KEY_ID", "AWS_SECRET_KEY": "AWS_SECRET_ACCESS_KEY"}
"""Keys of the settings, with the names under which MLflow reads keys for artifacts on s3://."""
MIN_TOKEN_CHARS = 32
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What a token in the header Authorization may hold."""
MIN_SIMILARITY = 0.85  # of a wrong name and the right one, as `difflib` measures it

Source = Literal["environment", ".env", "default"]
"""Where the value of a setting comes from."""


def find_user_folder() -> Path:
    """Return the folder of an installed product for the data and `.env` of the user who runs it."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "vigie"


def check_smtp_url(value: SecretStr) -> SecretStr:
    """Return the address of a mail server. Raises ValueError for another form, without the password in it."""
    url = value.get_secret_value()
    try:
        parts = urlsplit(url)
        is_accepted = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
        is_accepted = is_accepted and parts.path in ("", "/") and not parts.query and not parts.fragment
        is_accepted = is_accepted and unquote(parts.netloc).isascii()  # smtplib can sign in with no other letters
    except ValueError:
        is_accepted = False
    if url and not is_accepted:
        raise ValueError("accepted are smtp://user:password@host:587 and smtps://user:password@host:465, all in ASCII")
    return value


def split_tokens(value: SecretStr) -> tuple[str, ...]:
    """Return the tokens of a setting that lists some, separated by commas."""
    return tuple(token.strip() for token in value.get_secret_value().split(",") if token.strip())


def check_tokens(value: SecretStr) -> SecretStr:
    """Return a list of tokens. Raises ValueError for one that could be guessed, or that no header can hold."""
    if any(len(token) < MIN_TOKEN_CHARS or not TOKEN_PATTERN.fullmatch(token) for token in split_tokens(value)):
        raise ValueError(f"a token has {MIN_TOKEN_CHARS} or more letters, digits and signs of -._~+/=")
    return value


class Settings(BaseSettings):
    """Settings, one field per variable of `.env.example`; the variable has the name of the field in capitals."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True, use_attribute_docstrings=True)

    vigie_data_dir: Path = find_user_folder() if IS_INSTALLED else ROOT / ".vigie"
    """Folder for datasets, runs, events and SQLite files. Default: .vigie next to the code; ~/.local/share/vigie for
    the installed package; /data in the image."""
    vigie_require_sign_in: bool | None = None
    """true: every page requires sign-in; false: no page does. Default: false if the app listens on 127.0.0.1 only,
    else true."""
    vigie_user_key: SecretStr = SecretStr("")
    """A long random text. With it, events and feedback contain a keyed hash of the user name instead of the name.
    Default: none, names are stored."""
    vigie_workers: int | None = Field(None, ge=1)
    """Number of jobs that run at a time, each in a worker process. Default: one less than the number of cores, at
    least 1, and fewer where memory is short: 1 GB for each, besides 2 GB."""
    vigie_max_upload_mb: int = Field(2048, gt=0)
    """Largest file that the page accepts, in megabytes. Default: 2048."""
    vigie_allowed_hosts: str = Field("", pattern=r"^[\w.:\[\]*, -]*$")
    """Names under which browsers reach the app besides those of this machine, separated by commas, for instance
    vigie.example.org, *.example.net. Default: none, the addresses on which the app listens and localhost."""
    vigie_max_uploads_per_user_mb: int = Field(4096, gt=0)
    """Uploads of one user that wait on the disk in open tabs, in megabytes. Default: 4096."""
    vigie_max_uploads_mb: int = Field(8192, gt=0)
    """Uploads of all users that wait on the disk in open tabs, in megabytes. Default: 8192."""
    vigie_trusted_proxies: str = Field("", pattern=r"^[\w.:/*, -]*$")
    """Addresses or networks of proxies, separated by commas, for instance 10.0.0.7, 172.16.0.0/12. Only they may
    name the address of a visitor in X-Forwarded-For. Default: none, a visitor has the address that connects."""
    vigie_private_runs: bool = False
    """true: where users sign in, a run can be read by its user and by operators only. Default: false, every user who
    has the address of a run can read it."""
    vigie_api_tokens: Annotated[SecretStr, AfterValidator(check_tokens)] = SecretStr("")
    """Tokens with which other programs read watches and incidents below /api/v1, separated by commas, of 32 or more
    characters each. Default: none, and these addresses do not exist."""

    vigie_source_places: str = ""
    """Folders and prefixes of buckets that watches may read, separated by commas, for instance /srv/measurements,
    s3://bucket/prefix. Default: none but the folder inbox in the data folder."""
    vigie_source_hosts: str = Field("", pattern=r"^[\w.:\[\]*, -]*$")
    """Hosts of the web that watches may read, separated by commas, for instance data.example.org, *.example.net.
    Default: none."""
    vigie_source_networks: str = Field("", pattern=r"^[\w.:/, ]*$")
    """Private addresses and networks in which these hosts may be, separated by commas, for instance 10.20.0.0/16.
    Default: none, hosts have public addresses."""
    vigie_source_databases: SecretStr = SecretStr("")
    """Databases that watches may query, as JSON: a name and the address of each, for instance
    {"plant": "postgresql://reader:password@host:5432/plant"}. The user needs the right to read and no other.
    Default: none."""

    mlflow_tracking_uri: str = ""
    """Address of the MLflow server. Default: a SQLite file in the data folder; `make run` starts a server on it."""
    mlflow_public_uri: str = ""
    """Address of the MLflow server for browsers, used in links, for instance where a container publishes its port under
    another number. Default: MLFLOW_TRACKING_URI, or the server that the app starts under the name of the app."""
    vigie_mlflow_address: str = Field("127.0.0.1:5000", pattern=r"^([\w.-]+:\d{1,5}|off)$")
    """Where the app starts an MLflow server for the data folder if MLFLOW_TRACKING_URI is not set: host:port, or off.
    The next free port is taken if this one is in use. It asks for no password. Default: 127.0.0.1:5000; 0.0.0.0:5000
    in the image, where it can be reached once the port is published."""
    mlflow_artefacts_location: str = ""
    """Where new experiments store artifacts, for instance gs://bucket/folder. Default: the data folder, or the
    choice of the MLflow server."""
    google_application_credentials: str = ""
    """Path of the key file of a Google service account, for artifacts on gs://. Default: the credentials that
    Google's library finds."""
    country_iso_code: str = Field("FRA", min_length=3, max_length=3)
    """Country whose electricity mix gives the CO2, as an ISO code of three letters. Default: FRA."""

    aws_access_key: SecretStr = SecretStr("")
    """S3 access key, if the standard AWS chain (AWS_ACCESS_KEY_ID, files, role of the machine) is not used. MLflow
    uses it for artifacts on s3:// too, if S3_ENDPOINT_URL equals MLFLOW_S3_ENDPOINT_URL. Default: none."""
    aws_secret_key: SecretStr = SecretStr("")
    """S3 secret key of AWS_ACCESS_KEY. Default: none."""
    s3_bucket_name: str = ""
    """S3 bucket that receives feedback. Default: none, feedback stays in the data folder."""
    s3_region_name: str = ""
    """Region of the bucket, for instance eu-west-3. Default: the region of the standard AWS chain."""
    s3_endpoint_url: str = ""
    """Address of an S3 store other than Amazon's, for instance http://storage:8333. Default: none, Amazon's."""
    elastic_deployment_endpoint: str = ""
    """Address of Elasticsearch, which receives a copy of every event, for instance https://host:9243. Default:
    none, events stay in the data folder."""
    elastic_username: str = ""
    """User of Elasticsearch, with write and read access to vigie-events* and the right to create its index
    template. Default: none."""
    elastic_password: SecretStr = SecretStr("")
    """Password of ELASTIC_USERNAME. Default: none."""
    call_records_endpoint: str = ""
    """Address of the Elasticsearch that holds call records, for instance https://host:9243; they are read and never
    changed. Default: none, call records are imported from files."""
    call_records_index: str = "hookah-cdrs-t1t7_*"
    """Index or pattern of the call records. Default: hookah-cdrs-t1t7_*."""
    call_records_username: str = ""
    """User of CALL_RECORDS_ENDPOINT, with read access to CALL_RECORDS_INDEX. Its password goes to this address
    alone. Default: none."""
    call_records_password: SecretStr = SecretStr("")
    """Password of CALL_RECORDS_USERNAME. Default: none."""
    vigie_smtp_url: Annotated[SecretStr, AfterValidator(check_smtp_url)] = SecretStr("")
    """Mail server that sends what watches announce: smtp://user:password@host:587, which begins to encrypt where the
    server can (STARTTLS), or smtps://user:password@host:465, which is encrypted from the start. Signs such as @ and /
    of the password are written as %40 and %2F. Default: none, no mail is sent."""
    vigie_mail_from: str = Field("", pattern=r"^$|^[^@\s<>,;]+@[^@\s<>,;]+$")
    """Sender of these mails, for instance vigie@example.org. Default: vigie@ with the name of the mail server."""
    vigie_webhook_key: SecretStr = SecretStr("")
    """A long random text that signs what is sent to webhooks. Receivers need it too. Default: none, no webhook is
    called."""
    vigie_public_url: str = Field("", pattern=r"^$|^https?://[^\s?#]+$")
    """Address of the app for browsers, for the links in announcements, for instance https://vigie.example.org.
    Default: none, announcements have no links."""
    database_url: SecretStr = SecretStr("")
    """Database of accounts, jobs and watches, postgresql://user:password@host:5432/database. Its tables are created at
    first use. Default: none, SQLite files in the data folder."""
    dask_scheduler_address: str = ""
    """Address of a Dask scheduler for `python -m core scale`, for instance tcp://host:8786. Its workers must see
    the same folders. Default: none, this machine computes."""

    @property
    def tracking_uri(self) -> str:
        """URI of the MLflow server, or of a SQLite file in the data folder where no server is set."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.vigie_data_dir.resolve() / 'mlflow.db'}"

    @property
    def artefacts_location(self) -> str | None:
        """URI of the artifacts of new experiments; None lets a remote MLflow server decide."""
        if self.mlflow_artefacts_location:
            return self.mlflow_artefacts_location
        if self.mlflow_tracking_uri:
            return None
        return (self.vigie_data_dir.resolve() / "mlartifacts").as_uri()


@cache
def get_settings() -> Settings:
    """Return the settings of this process."""
    return Settings()


# ---- the environment and .env ---------------------------------------------------------------------------------------


def load_environment() -> None:
    """Prepare the environment of this process, at its start: an empty variable is none, and `.env` adds its own.

    What the environment has wins over `.env`. Libraries and child processes read the same environment. A warning names
    each misspelt setting.
    """
    for name in [name for name, value in os.environ.items() if not value.strip() and _is_optional(name.upper())]:
        del os.environ[name]
    present = set(_read_variables())
    os.environ.update({name: value for name, value in read_env_file().items() if name.upper() not in present})
    _share_s3_keys()
    for wrong_name, right_name in find_misspelt_names().items():
        logger.warning("%s is not a setting. The nearest one is %s.", wrong_name, right_name)


@cache
def read_env_file() -> dict[str, str]:
    """Return name → value of the variables of `.env`, without empty ones. Raises OSError if it cannot be read."""
    # editors of Windows write a mark before the first name
    values = dotenv_values(get_env_file(), encoding="utf-8-sig")
    return {name: value for name, value in values.items() if value and value.strip()}


def get_env_file() -> Path:
    """Return the path of `.env`, which need not exist."""
    folder = find_user_folder() if IS_INSTALLED else ROOT
    return Path(os.environ.get(ENV_FILE_VARIABLE, "").strip() or folder / ".env")


def find_source(name: str) -> Source:
    """Return where the variable `name`, in capitals, comes from. A value that both have is that of `.env`."""
    value = _read_variables().get(name)
    if value is None:
        return "default"
    return ".env" if read_env_file().get(name) == value else "environment"


def find_misspelt_names() -> dict[str, str]:
    """Return wrong name → nearest right name, of variables that are almost a setting.

    A name of `.env` that begins with VIGIE_ and is no setting is always wrong.
    """
    names = list_setting_names()
    known_names = {*names, *LIBRARY_VARIABLES, *OTHER_VARIABLES, ENV_FILE_VARIABLE}
    unknown_names = sorted({*_read_variables(), *map(str.upper, read_env_file())} - known_names)
    nearest = {name: get_close_matches(name, names, 1, _choose_similarity(name)) for name in unknown_names}
    return {name: matches[0] for name, matches in nearest.items() if matches}


def list_setting_names() -> list[str]:
    """Return the names of the variables of all settings."""
    return [name.upper() for name in Settings.model_fields]


def _share_s3_keys() -> None:
    """Give MLflow the S3 keys of the settings where its artifacts have the same store, and no AWS keys are set."""
    values = _read_variables()
    is_same_store = values.get("S3_ENDPOINT_URL") == values.get("MLFLOW_S3_ENDPOINT_URL")
    if is_same_store and S3_KEYS.keys() <= values.keys() and not {*S3_KEYS.values(), "AWS_PROFILE"} & values.keys():
        os.environ.update({library_name: values[name] for name, library_name in S3_KEYS.items()})


def _choose_similarity(name: str) -> float:
    return 0.0 if name.startswith("VIGIE_") and name in read_env_file() else MIN_SIMILARITY


def _read_variables() -> dict[str, str]:
    """Return the variables of the environment that are not empty, by their names in capitals."""
    return {name.upper(): value for name, value in os.environ.items() if value.strip()}


def _is_optional(name: str) -> bool:
    """Tell whether an empty value of this variable means that it is not set: those of others may mean more."""
    return name in {*list_setting_names(), *LIBRARY_VARIABLES} or name.startswith(("VIGIE_", *LIBRARY_PREFIXES))
