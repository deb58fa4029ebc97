"""Workspace: the stores and services of one process, built from the settings."""

import os
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.accounts.setup_token import SetupToken
from core.actor import Viewer
from core.redaction import pseudonymise, strip_secrets
from core.settings import Settings, get_settings
from core.storage.answers import AnswerStore
from core.storage.covariates import CovariateStore
from core.storage.data_folder import open_data_folder
from core.storage.datasets import DatasetStore
from core.storage.events.elasticsearch import EventStream
from core.storage.events.log import EventLog
from core.storage.feedback import FeedbackStore
from core.storage.flash import FlashMessages
from core.storage.image_sets import ImageSetStore
from core.storage.incoming_files import IncomingFiles
from core.storage.notes import NoteStore
from core.storage.outbox import Outbox
from core.storage.raw_uploads import RAW_FOLDER, RawUploads
from core.storage.read_choices import ReadChoices
from core.storage.renderings import RenderingStore, compute_code_version
from core.storage.s3 import Bucket
from core.storage.saved_views import SavedViews
from core.storage.uploads import UploadStore
from mlflow_utils.tracking import Tracking

if TYPE_CHECKING:
    from core.accounts.service import Accounts
    from core.storage.jobs import JobStore


@dataclass(frozen=True, eq=False)
class Workspace:
    """Stores and services of one data folder. Two workspaces of the same process share nothing.

    event_stream   outbox of the events; None where they stay in the local log
    more_outboxes  outboxes of further services
    viewer         user for whom runs are read; None where every run may be read
    """

    settings: Settings
    datasets: DatasetStore
    incoming: IncomingFiles
    uploads: UploadStore
    raw_uploads: RawUploads
    read_choices: ReadChoices
    covariates: CovariateStore
    image_sets: ImageSetStore
    answers: AnswerStore
    notes: NoteStore
    saved_views: SavedViews
    renderings: RenderingStore
    events: EventLog
    feedback: FeedbackStore
    tracking: Tracking
    event_stream: EventStream | None = None
    more_outboxes: tuple[Outbox, ...] = ()
    flash: FlashMessages = field(default_factory=FlashMessages)
    setup_token: SetupToken = field(default_factory=SetupToken)
    viewer: Viewer | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Workspace":
        """Build the workspace of `settings`. Add the outbox of a new service here, to `more_outboxes`."""
        folder = settings.vigie_data_dir.resolve()
        return cls(
            settings,
            DatasetStore(folder / "datasets"),
            IncomingFiles(folder / "incoming"),
            UploadStore(folder / "uploads"),
            RawUploads(folder / "jobs" / RAW_FOLDER),
            ReadChoices(folder / "read-choices"),
            CovariateStore(folder / "covariates"),
            ImageSetStore(folder / "image-sets"),
            AnswerStore(folder / "answers"),
            NoteStore(folder / "notes"),
            SavedViews(folder / "saved-views"),
            RenderingStore(folder / "renderings", compute_code_version()),
            EventLog(folder / "events"),
            FeedbackStore(folder / "feedback", Bucket.from_settings(settings)),
            Tracking(settings.tracking_uri, settings.artefacts_location, folder / "runs"),
            EventStream.from_settings(folder / "events", settings),
        )

    @classmethod
    def in_folder(cls, folder: Path, tracking: Tracking, **overrides: Any) -> "Workspace":
        """Build a workspace below `folder` with `tracking` as its only service, independent of the environment."""
        local = cls.from_settings(Settings.model_construct(vigie_data_dir=folder))
        return replace(local, tracking=tracking, **overrides)

    def restrict_to(self, viewer: Viewer) -> "Workspace":
        """Return this workspace, with the same stores and services, as `viewer` may read it."""
        restricted = replace(self, viewer=viewer)
        for name in ("accounts", "jobs"):  # cached properties, which `replace` would open again
            restricted.__dict__[name] = getattr(self, name)
        return restricted

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.vigie_data_dir.resolve()

    @property
    def outboxes(self) -> tuple[Outbox, ...]:
        """Outboxes of all services that records are delivered to."""
        streams = () if self.event_stream is None else (self.event_stream,)
        return (self.tracking, self.feedback, *streams, *self.more_outboxes)

    @cached_property
    def accounts(self) -> "Accounts":
        """Accounts of the users, created at first use, so that SQLAlchemy is loaded only where users sign in."""
        from core.accounts.service import Accounts

        return Accounts(self.settings.database_url.get_secret_value(), self.folder)

    @cached_property
    def jobs(self) -> "JobStore":
        """Job queue, created at first use. Raises OptionError for an invalid DATABASE_URL."""
        from core.storage.jobs import JobStore

        return JobStore(self.folder / "jobs", self.settings.database_url.get_secret_value())

    def pseudonymise(self, user: str) -> str:
        """Return the pseudonym of `user` in events and feedback."""
        return pseudonymise(user, self.settings.vigie_user_key.get_secret_value())

    def redact(self, text: str) -> str:
        """Return `text` without the values of secret settings."""
        return strip_secrets(text, self.settings)


@cache
def get_workspace() -> Workspace:
    """Return the workspace of this process, built from the environment and `.env`.

    Raises VigieError for a data folder that cannot be used.
    """
    process_settings = get_settings()
    open_data_folder(process_settings.vigie_data_dir.resolve())
    if process_settings.google_application_credentials:  # Google's library reads the environment, not `.env`
        os.environ.setdefault("GOOGLE_APPLICATION_CREDENTIALS", process_settings.google_application_credentials)
    return Workspace.from_settings(process_settings)
