"""Names of the roles of columns: one for every role."""

from typing import get_args

from core.data.ingest.layouts.base import Role
from pages.components.role_labels import ROLE_LABELS


def test_every_role_has_a_name() -> None:
    assert set(ROLE_LABELS) == set(get_args(Role))
