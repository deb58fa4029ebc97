"""Results stored by earlier versions, which lack the fields of today."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from core.errors import NotFoundError
from core.messages import N_, Message
from core.runs.result import RESULT_FILE, Result
from core.spec.spec import ApplySpec


@dataclass(frozen=True)
class Ranking(Result):
    """Result with one field that an earlier version did not have."""

    spec: ApplySpec
    rows: pd.DataFrame
    threshold: float
    notes: tuple[Message, ...] = (Message(N_("Default note")),)


def save_without(field: str, folder: Path) -> None:
    """Save a result as a version without `field` did."""
    Ranking(ApplySpec(model="abc"), pd.DataFrame({"score": [3.0, 1.0]}), 2.0, ()).save(folder)
    stored = json.loads((folder / RESULT_FILE).read_text())
    del stored[field]
    (folder / RESULT_FILE).write_text(json.dumps(stored))


def test_field_of_later_version_gets_its_default(tmp_path: Path) -> None:
    save_without("notes", tmp_path)
    ranking = Ranking.load(tmp_path)
    assert ranking.notes == (Message(N_("Default note")),)
    assert ranking.threshold == 2.0
    assert ranking.rows["score"].tolist() == [3.0, 1.0]


def test_stored_field_wins_over_its_default(tmp_path: Path) -> None:
    Ranking(ApplySpec(model="abc"), pd.DataFrame({"score": [3.0]}), 2.0, ()).save(tmp_path)
    assert Ranking.load(tmp_path).notes == ()


def test_result_without_needed_field_is_not_shown(tmp_path: Path) -> None:
    save_without("threshold", tmp_path)
    with pytest.raises(NotFoundError):
        Ranking.load(tmp_path)
