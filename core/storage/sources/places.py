"""Folders and prefixes of buckets that the settings allow watches to read."""

from pathlib import Path

from core.errors import AccessDeniedError
from core.messages import N_
from core.settings import Settings

INBOX_FOLDER = "inbox"


def check_place(place: str, settings: Settings) -> None:
    """Raise AccessDeniedError for a folder or an address of a bucket that VIGIE_SOURCE_PLACES does not contain.

    A folder inside an allowed one is allowed. Links are followed first.
    """
    allowed_places = list_places(settings)
    if not any(_contains_place(allowed, place) for allowed in allowed_places):
        raise AccessDeniedError(
            N_("Watches may not read {value!r}. Accepted: {accepted}, and what is below. Change VIGIE_SOURCE_PLACES."),
            value=place,
            accepted=", ".join(allowed_places),
        )


def list_places(settings: Settings) -> list[str]:
    """Return the folders and addresses of buckets that watches may read."""
    places = [place.strip() for place in settings.vigie_source_places.split(",") if place.strip()]
    return places or [str(settings.vigie_data_dir.resolve() / INBOX_FOLDER)]


def _contains_place(allowed: str, place: str) -> bool:
    if "://" in allowed or "://" in place:
        return f"{place.rstrip('/')}/".startswith(f"{allowed.rstrip('/')}/")
    return Path(place).resolve().is_relative_to(Path(allowed).resolve())
