"""A watch, and the recipients of what it announces."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.watches.source import Source

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,59}$"
MAX_FAILURES, MAX_RECIPIENTS, MAX_HISTORY_DAYS = 3, 50, 3 * 366
Severity = Annotated[int, Field(ge=0, le=3)]


class NewNormal(BaseModel):
    """Level of an entity that a person accepted: rows before `since` no longer belong to its past."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entity: Annotated[str, Field(max_length=1000)]
    since: AwareDatetime


class Watch(BaseModel):
    """A saved question that is asked again by itself.

    name          unique name
    task          task of the model
    model         NAME@ALIAS of a registered model, or the id of a run, that judges new rows
    reading       choices about reading the files, the fields of `core.data.read_options.ReadOptions`
    schedule      when it is asked: "15 minutes", "1 hour", "1 day", or a cron line of five fields
    zone          time zone of the cron line
    min_severity  incidents of a lower severity are not announced
    max_failures  so many failures of the source in a row open an incident of the kind "no data"
    max_silence_minutes  the same after so long without a new row; 0 for never
    refit         when the model is fitted again, like `schedule`; "" for never
    history_days  so many days of rows are stored, for re-fitting and as the past that a model needs
    new_normals   levels that persons accepted
    covariates    digest of stored covariate tables, whose strikes, weather and events are named beside incidents; ""
                  without
    calendar      public holidays that are named: "FR", "DE-BY" …, "none"; "" for those that the data point to
    places        places of entities in the covariates and calendars, such as "AEP=Ohio"
    created_at    time of creation
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    task: Annotated[str, Field(min_length=1, max_length=100)]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    source: Source
    reading: dict[str, Any] = Field(default_factory=dict)
    schedule: Annotated[str, Field(min_length=1, max_length=200)]
    zone: Annotated[str, Field(max_length=100)] = "UTC"
    recipients: Annotated[tuple[str, ...], Field(max_length=MAX_RECIPIENTS)] = ()
    min_severity: Severity = 0
    max_failures: Annotated[int, Field(ge=1, le=100)] = MAX_FAILURES
    max_silence_minutes: Annotated[int, Field(ge=0, le=525_600)] = 0
    refit: Annotated[str, Field(max_length=200)] = ""
    history_days: Annotated[int, Field(ge=0, le=MAX_HISTORY_DAYS)] = 0
    new_normals: tuple[NewNormal, ...] = ()
    covariates: Annotated[str, Field(max_length=64)] = ""
    calendar: Annotated[str, Field(max_length=20)] = ""
    places: tuple[str, ...] = ()
    is_paused: bool = False
    owner: Annotated[str, Field(max_length=1000)] = ""
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))


class Recipient(BaseModel):
    """Somebody, or a channel, that incidents are announced to.

    channel      how: mail, a signed JSON webhook, or a chat through Apprise
    address      mail address, address of the webhook, or address of Apprise such as slack://…; it may hold a secret
    language     language of the announcements
    zone         time zone of the quiet hours, and of the times in announcements
    quiet_from, quiet_until  hours such as 22:00 and 07:00 between which only severity 3 is announced; "" for none
    max_per_hour  more announcements in an hour wait, and come as one
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    channel: Literal["mail", "webhook", "chat"]
    address: Annotated[str, Field(min_length=3, max_length=2000, repr=False)]
    language: Literal["en", "fr"] = "en"
    zone: Annotated[str, Field(max_length=100)] = "UTC"
    quiet_from: Annotated[str, Field(pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$")] = ""
    quiet_until: Annotated[str, Field(pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d$")] = ""
    max_per_hour: Annotated[int, Field(ge=1, le=1000)] = 12
