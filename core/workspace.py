"""Workspace: the stores and services of one process, built from the settings."""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from core.accounts.setup_token import SetupToken
from core.actor import Viewer
from core.errors import OptionError
from core.messages import N_
from core.redaction import pseudonymise, strip_secrets
from core.settings import Settings, get_settings
from core.storage.answers import AnswerStore
from core.storage.change_stamp import ChangeStamp
from core.storage.covariates import CovariateStore
from core.storage.data_folder import open_data_folder
from core.storage.datasets import DatasetStore
from core.storage.events.elasticsearch import EventStream
from core.storage.events.log import EventLog
from core.storage.feedback import FeedbackStore
from core.storage.flash import FlashMessages
from core.storage.image_sets import ImageSetStore
from core.storage.notes import NoteStore
from core.storage.outbox import Outbox
from core.storage.raw_uploads import RAW_FOLDER, RawUploads
from core.storage.read_choices import ReadChoices
from core.storage.renderings import RenderingStore, compute_code_version
from core.storage.s3 import Bucket
from core.storage.saved_views import SavedViews
from core.storage.serve_lock import find_mlflow_address
from core.storage.staged_uploads import StagedUploads
from core.storage.uploads import UploadStore
from core.storage.watches.announcement_outbox import AnnouncementOutbox
from mlflow_utils.tracking import Tracking

if TYPE_CHECKING:
    from core.accounts.service import Accounts
    from core.storage.jobs import JobStore
    from core.storage.watches.stores import WatchStores


@dataclass(frozen=True, eq=False)
class Workspace:
    """Stores and services of one data folder. Two workspaces of the same process share nothing.

    run_changes    mark of the last change of a stored run, such as its name
    event_stream   outbox of the events; None where they stay in the local log
    more_outboxes  outboxes of further services
    viewer         user for whom runs are read; None where every run may be read
    """

    settings: Settings
    datasets: DatasetStore
    staged_uploads: StagedUploads
    uploads: UploadStore
    raw_uploads: RawUploads
    read_choices: ReadChoices
    covariates: CovariateStore
    image_sets: ImageSetStore
    answers: AnswerStore
    notes: NoteStore
    saved_views: SavedViews
    renderings: RenderingStore
    flash: FlashMessages
    setup_token: SetupToken
    run_changes: ChangeStamp
    events: EventLog
    feedback: FeedbackStore
    tracking: Tracking
    event_stream: EventStream | None = None
    more_outboxes: tuple[Outbox, ...] = ()
    viewer: Viewer | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Workspace":
        """Build the workspace of `settings`. Add the outbox of a new service here, to `more_outboxes`."""
        folder = settings.vigie_data_dir.resolve()
        return cls(
            settings,
            DatasetStore(folder / "datasets"),
            StagedUploads(folder / "staged-uploads"),
            UploadStore(folder / "uploads"),
            RawUploads(folder / "jobs" / RAW_FOLDER),
            ReadChoices(folder / "read-choices"),
            CovariateStore(folder / "covariates"),
            ImageSetStore(folder / "image-sets"),
            AnswerStore(folder / "answers"),
            NoteStore(folder / "notes"),
            SavedViews(folder / "saved-views"),
            RenderingStore(folder / "renderings", compute_code_version()),
            FlashMessages(folder / "flash"),
            SetupToken(folder / "setup-token.json"),
            ChangeStamp(folder / "run-changes"),
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
        # cached properties, which `replace` would open again
        for name in ("accounts", "jobs", "watches", "announcements"):
            restricted.__dict__[name] = getattr(self, name)
        return restricted

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.vigie_data_dir.resolve()

    @property
    def mlflow_url(self) -> str:
        """Address of the pages of MLflow for browsers; "" without a server that is set or known to run."""
        return self.settings.mlflow_public_uri or (
            self.tracking.uri if self.tracking.is_remote else find_mlflow_address(self.folder)
        )

    @property
    def outboxes(self) -> tuple[Outbox, ...]:
        """Outboxes of all services that records are delivered to."""
        streams = () if self.event_stream is None else (self.event_stream,)
        return (self.tracking, self.feedback, *streams, self.announcements, *self.more_outboxes)

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

    @cached_property
    def watches(self) -> "WatchStores":
        """Watches and their incidents, opened at first use. Raises OptionError for an invalid DATABASE_URL."""
        from core.storage.watches.stores import WatchStores

        return WatchStores.open(self.folder / "watches", self.settings.database_url.get_secret_value())

    @cached_property
    def announcements(self) -> AnnouncementOutbox:
        """Outbox of what watches announce."""
        return AnnouncementOutbox(self.folder / "watches" / "watches.db", self.settings, lambda: self.watches)

    def pseudonymise(self, user: str) -> str:
        """Return the pseudonym of `user` in events and feedback."""
        return pseudonymise(user, self.settings.vigie_user_key.get_secret_value())

    def redact(self, text: str) -> str:
        """Return `text` without the values of secret settings."""
        return strip_secrets(text, self.settings)


def read_settings() -> Settings:
    """Return the settings of this process. Raises OptionError for values that are not accepted."""
    try:
        return get_settings()
    except ValidationError as error:
        faults = [_describe_fault(str(fault["loc"][0]), fault["input"], fault["msg"]) for fault in error.errors()]
        raise OptionError(N_("Settings are not accepted. {faults}."), faults=". ".join(faults)) from None


def _describe_fault(name: str, value: object, problem: str) -> str:
    """Return what is wrong with a setting; the value of a secret one is not told."""
    field = Settings.model_fields.get(name)
    is_secret = field is not None and field.annotation is SecretStr
    return f"{name.upper()}: {problem}" if is_secret else f"{name.upper()} = {value!r}: {problem}"


@cache
def get_workspace() -> Workspace:
    """Return the workspace of this process, built from the settings.

    Raises VigieError for settings that are not accepted, and for a data folder that cannot be used.
    """
    process_settings = read_settings()
    open_data_folder(process_settings.vigie_data_dir.resolve())
    return Workspace.from_settings(process_settings)
