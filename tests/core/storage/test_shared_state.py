"""State that all processes of a data folder share: flash messages, marks of changes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages import N_, Message
from core.storage import flash as flash_messages
from core.storage.change_stamp import ChangeStamp
from core.storage.flash import FlashMessages

LOCKED = Message(N_("Too many attempts. Try again in {minutes} min."), {"minutes": 3})


def test_flash_message_is_shown_by_any_process(tmp_path: Path) -> None:
    key = FlashMessages(tmp_path).put(LOCKED)
    assert FlashMessages(tmp_path).get(key) == LOCKED


def test_flash_messages_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_messages, "MAX_MESSAGES", 3)
    flash = FlashMessages(tmp_path)
    first = flash.put(LOCKED)
    os.utime(tmp_path / first, (0, 0))
    keys = [flash.put(LOCKED) for _ in range(3)]
    assert flash.get(first) is None
    assert flash.get(keys[-1]) == LOCKED
    assert len(list(tmp_path.iterdir())) == 3


@given(key=st.text() | st.sampled_from(["Call 555", "..", "../flash", "a" * 16, ""]))
def test_forged_key_of_a_flash_message_shows_nothing(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert FlashMessages(tmp_path_factory.getbasetemp()).get(key) is None


def test_flash_message_that_cannot_be_stored_has_no_key(tmp_path: Path) -> None:
    (tmp_path / "flash").write_text("a file where the folder should be")
    assert FlashMessages(tmp_path / "flash").put(LOCKED) == ""


def test_change_is_seen_by_any_process(tmp_path: Path) -> None:
    stamp, other_process = ChangeStamp(tmp_path / "runs" / "changed"), ChangeStamp(tmp_path / "runs" / "changed")
    before = other_process.read()
    stamp.mark()
    assert other_process.read() != before == 0
