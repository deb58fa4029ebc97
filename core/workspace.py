"""Where this process keeps things: the stores and services that the settings describe."""

import os
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.redaction import pseudonym
from core.settings import settings
from core.storage.covariates import CovariateStore
from core.storage.datasets import Datasets
from core.storage.events.elasticsearch import EventStream
from core.storage.events.log import Events
from core.storage.feedback import FeedbackStore
from core.storage.s3 import Bucket
from mlflow_utils.tracking import Tracking

if TYPE_CHECKING:
    from core.storage.jobs import JobStore


@dataclass(frozen=True)
class Workspace:
    """Where this process keeps things."""

    datasets: Datasets
    drivers: CovariateStore
    events: Events
    feedback: FeedbackStore
    tracking: Tracking
    country: str
    mlflow_public_uri: str = ""
    user_key: str = ""
    database_url: str = ""
    event_stream: EventStream | None = None

    @classmethod
    def below(cls, folder: Path, tracking: Tracking, country: str = "FRA", **others: Any) -> "Workspace":
        """The workplace whose files are below `folder`."""
        stores = (Datasets(folder / "datasets"), CovariateStore(folder / "drivers"), Events(folder / "events"))
        return cls(*stores, FeedbackStore(folder / "feedback"), tracking, country, **others)

    @cached_property
    def jobs(self) -> "JobStore":
        """The queue of slow work; SQLAlchemy is loaded when it is first asked for. Raises OptionError."""
        from core.storage.jobs import JobStore

        return JobStore((self.datasets.folder.parent / "jobs").resolve(), self.database_url)

    def known_as(self, user: str) -> str:
        """`user` as events and feedback know them."""
        return pseudonym(user, self.user_key)


@cache
def get_workspace() -> Workspace:
    """The workplace that the settings describe."""
    given = settings()
    if given.google_application_credentials:  # Google's library reads the environment, not our `.env`
        os.environ.setdefault("GOOGLE_APPLICATION_CREDENTIALS", given.google_application_credentials)
    folder = given.vigie_data_dir.resolve()
    found = Workspace.below(
        folder,
        Tracking(given.tracking_uri, given.artefacts_location, folder / "runs"),
        given.country_iso_code,
        mlflow_public_uri=given.mlflow_public_uri,
        user_key=given.vigie_user_key.get_secret_value(),
        database_url=given.database_url.get_secret_value(),
        event_stream=EventStream.of(folder / "events", given),
    )
    return replace(found, feedback=FeedbackStore(folder / "feedback", Bucket.of(given)))
