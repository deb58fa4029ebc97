"""Settings, read once from the environment and `.env`; each one has a working default."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Settings, one field per variable of `.env.example`; the variable has the name of the field in capitals."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", extra="ignore", env_ignore_empty=True, frozen=True)

    vigie_data_dir: Path = ROOT / ".vigie"
    vigie_require_sign_in: bool | None = None
    vigie_user_key: SecretStr = SecretStr("")
    vigie_max_upload_mb: int = Field(2048, gt=0)

    mlflow_tracking_uri: str = ""
    mlflow_public_uri: str = ""
    mlflow_artefacts_location: str = ""
    google_application_credentials: str = ""
    country_iso_code: str = Field("FRA", min_length=3, max_length=3)

    aws_access_key: SecretStr = SecretStr("")
    aws_secret_key: SecretStr = SecretStr("")
    s3_bucket_name: str = ""
    s3_region_name: str = ""
    s3_endpoint_url: str = ""
    elastic_deployment_endpoint: str = ""
    elastic_username: str = ""
    elastic_password: SecretStr = SecretStr("")
    database_url: SecretStr = SecretStr("")
    dask_scheduler_address: str = ""

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
