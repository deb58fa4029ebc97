"""Sources of watches: where new rows come from. Each kind has a reader in `core/storage/sources`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_ADDRESS_CHARS, MAX_QUERY_CHARS = 2000, 20_000


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FolderSource(_Source):
    """Files of a folder of this machine whose names match `pattern`: new ones, and grown ones."""

    kind: Literal["folder"] = "folder"
    path: Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS_CHARS)]
    pattern: Annotated[str, Field(min_length=1, max_length=200)] = "*"


class BucketSource(_Source):
    """Objects of S3 or Google Cloud Storage below `address`, such as s3://bucket/prefix, that match `pattern`."""

    kind: Literal["bucket"] = "bucket"
    address: Annotated[str, Field(pattern=r"^(s3|gs)://[^/]+(/.*)?$", max_length=MAX_ADDRESS_CHARS)]
    pattern: Annotated[str, Field(min_length=1, max_length=200)] = "*"


class WebSource(_Source):
    """A table, as CSV or JSON, at an address of the web; the whole answer is read at every tick."""

    kind: Literal["web"] = "web"
    url: Annotated[str, Field(pattern=r"^https?://", max_length=MAX_ADDRESS_CHARS)]


class SearchSource(_Source):
    """Counts of the call records that Elasticsearch holds, as the import of call records counts them.

    step_minutes  length of the counted intervals
    """

    kind: Literal["search"] = "search"
    index: Annotated[str, Field(max_length=200)] = ""
    step_minutes: Annotated[int, Field(ge=1, le=1440)] = 15


class DatabaseSource(_Source):
    """Rows of a query on a database of the settings, read-only.

    database     name of the database in VIGIE_SOURCE_DATABASES
    query        SELECT with the parameter :since, the greatest value of `time_column` that was read
    time_column  column that orders the rows
    """

    kind: Literal["database"] = "database"
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS)]
    time_column: Annotated[str, Field(min_length=1, max_length=200)] = "time"


Source = Annotated[FolderSource | BucketSource | WebSource | SearchSource | DatabaseSource, Field(discriminator="kind")]
