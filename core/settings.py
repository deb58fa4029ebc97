"""The settings, read once from the environment and `.env`; every one has a default that works."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """One field per variable of `.env.example`; the names in capitals are the variables."""

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
        """The MLflow server, or a SQLite file in the data folder when none is set."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.vigie_data_dir.resolve() / 'mlflow.db'}"

    @property
    def artefacts_location(self) -> str | None:
        """Where new experiments keep their artifacts; None lets a remote MLflow server decide."""
        if self.mlflow_artefacts_location:
            return self.mlflow_artefacts_location
        if self.mlflow_tracking_uri:
            return None
        return (self.vigie_data_dir.resolve() / "mlartifacts").as_uri()


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
