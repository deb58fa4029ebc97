"""What people say of results and of the product: one JSON record each, written here first, then sent to S3."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["true_alarm", "false_alarm", "unsure"]
LONGEST_COMMENT = 2000


class Feedback(BaseModel):
    """One thing that one person said, about a row of a run, a run, a page, or the product."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: str(uuid.uuid4()), pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    user: Annotated[str, Field(max_length=200)]
    page: Annotated[str, Field(max_length=100)]
    run_id: str | None = None
    model: str | None = None
    model_version: str | None = None
    dataset: str | None = Field(None, description="SHA-256 digest of the dataset.")
    row: dict[str, str | float] | None = Field(None, description="Which row: entity, time, and its score.")
    verdict: Verdict | None = None
    rating: int | None = Field(None, ge=1, le=5)
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""

    @property
    def key(self) -> str:
        """Where it is stored: nothing that a person typed is in it."""
        return f"feedback/v1/date={self.time.astimezone(UTC):%Y-%m-%d}/{self.id}.json"


class FeedbackStore:
    """Records below `folder`: `v1/date=…/<id>.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, record: Feedback) -> None:
        """Write the record down, whole or not at all. Raises OSError where the disk cannot take it."""
        path = self.folder.parent / record.key
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(record.model_dump_json(), encoding="utf-8")
        draft.replace(path)

    def read(self) -> list[Feedback]:
        """Every record, oldest first."""
        found = [Feedback.model_validate_json(path.read_bytes()) for path in self.folder.glob("v1/date=*/*.json")]
        return sorted(found, key=lambda record: record.time)
