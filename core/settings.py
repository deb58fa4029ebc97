"""Settings, read once from the environment and `.env`; each one has a working default."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Settings, one field per variable of `.env.example`; the variable has the name of the field in capitals."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", extra="ignore", env_ignore_empty=True, frozen=True, use_attribute_docstrings=True
    )

    vigie_data_dir: Path = ROOT / ".vigie"
    """Folder for datasets, runs, events and SQLite files. Default: .vigie next to the code; /data in the image."""
    vigie_require_sign_in: bool | None = None
    """true: every page requires sign-in; false: no page does. Default: false if the app listens on 127.0.0.1 only,
    else true."""
    vigie_user_key: SecretStr = SecretStr("")
    """A long random text. With it, events and feedback contain a keyed hash of the user name instead of the name.
    Default: none, names are stored."""
    vigie_max_upload_mb: int = Field(2048, gt=0)
    """Largest file that the page accepts, in megabytes. Default: 2048."""
    vigie_allowed_hosts: str = Field("", pattern=r"^[\w.:\[\]*, -]*$")
    """Names under which browsers reach the app besides those of this machine, separated by commas, for instance
    vigie.example.org, *.example.net. Default: none, the addresses on which the app listens and localhost."""
    vigie_max_uploads_per_user_mb: int = Field(4096, gt=0)
    """Uploads that the app keeps in memory for one user at a time, in megabytes. Default: 4096."""
    vigie_max_uploads_mb: int = Field(8192, gt=0)
    """Uploads that the app keeps in memory for all users at a time, in megabytes. Default: 8192."""
    vigie_trusted_proxies: str = Field("", pattern=r"^[\w.:/*, -]*$")
    """Addresses or networks of proxies, separated by commas, for instance 10.0.0.7, 172.16.0.0/12. Only they may
    name the address of a visitor in X-Forwarded-For. Default: none, a visitor has the address that connects."""
    vigie_private_runs: bool = False
    """true: where users sign in, a run can be read by its user and by operators only. Default: false, every user who
    has the address of a run can read it."""

    mlflow_tracking_uri: str = ""
    """Address of the MLflow server. Default: a SQLite file in the data folder; `make run` starts a server on it."""
    mlflow_public_uri: str = ""
    """Address of the MLflow server for browsers, used in links. Default: MLFLOW_TRACKING_URI."""
    mlflow_artefacts_location: str = ""
    """Where new experiments store artifacts, for instance gs://bucket/folder. Default: the data folder, or the
    choice of the MLflow server."""
    google_application_credentials: str = ""
    """Path of the key file of a Google service account, for artifacts on gs://. Default: the credentials that
    Google's library finds."""
    country_iso_code: str = Field("FRA", min_length=3, max_length=3)
    """Country whose electricity mix gives the CO2, as an ISO code of three letters. Default: FRA."""

    aws_access_key: SecretStr = SecretStr("")
    """S3 access key, if the standard AWS chain (AWS_ACCESS_KEY_ID, files, role of the machine) is not used.
    Default: none."""
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
    database_url: SecretStr = SecretStr("")
    """Database of accounts and jobs, postgresql://user:password@host:5432/database. Its tables are created at
    first use. Default: none, two SQLite files in the data folder."""
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
