"""The workspace: additional outboxes, and two workspaces in one process without shared state."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from core.errors import ServiceUnavailableError
from core.messages import N_, Message
from core.operations.health import ServiceHealth, check_services
from core.outbox import deliver, deliver_now, start_delivery_threads
from core.settings import ROOT, Settings
from core.storage.outbox import Outbox
from core.workspace import Workspace
from tests.conftest import find_free_port


@dataclass
class LetterOutbox:
    """Toy service: an outbox of letters for a post office that is open or closed."""

    name: str = "Post"
    content: str = "letters"
    location: str = "post://user:hunter2@office"
    is_remote: bool = True
    last_error: str = ""
    is_closed: bool = False
    is_reset: bool = False
    is_loaded: bool = False
    waiting: list[str] = field(default_factory=lambda: ["one", "two"])
    delivered: list[str] = field(default_factory=list)

    def deliver_pending(self) -> int:
        if self.is_closed:
            self.last_error = "closed"
            return 0
        count, self.delivered = len(self.waiting), [*self.delivered, *self.waiting]
        self.waiting = []
        return count

    def count_pending(self) -> int:
        return len(self.waiting)

    def count_rejected(self) -> int:
        return 3

    def load_client(self) -> None:
        self.is_loaded = True
        raise ImportError("told by the check, not here")

    def check(self) -> str:
        assert self.is_loaded
        if self.is_closed:
            raise ServiceUnavailableError(N_("The folder {folder} is not writable."), folder="the post office")
        return "1.0"

    def reset(self) -> None:
        self.is_reset = True


@pytest.fixture
def letters() -> LetterOutbox:
    return LetterOutbox()


@pytest.fixture
def letters_workspace(workspace: Workspace, letters: LetterOutbox) -> Workspace:
    """Workspace with the additional outbox."""
    outbox: Outbox = letters
    return replace(workspace, more_outboxes=(outbox,))


def check_letters_health(workspace: Workspace) -> ServiceHealth:
    return {service.name: service for service in check_services(workspace, lambda workspace: [object()])}["Post"]


def test_workspace_delivers_additional_outbox(letters_workspace: Workspace, letters: LetterOutbox) -> None:
    assert deliver(letters_workspace) == {"runs": 0, "feedback": 0, "announcements": 0, "letters": 2}
    assert (letters.delivered, letters.is_reset) == (["one", "two"], False)


def test_workspace_delivers_additional_outbox_in_background(
    letters_workspace: Workspace, letters: LetterOutbox
) -> None:
    stop_event, deliveries, delivered = threading.Event(), [], threading.Event()

    def on_delivered(content: str, count: int) -> None:
        deliveries.append((content, count))
        delivered.set()

    start_delivery_threads(letters_workspace, 0.05, stop_event, on_delivered)
    assert delivered.wait(10)
    stop_event.set()
    assert deliveries == [("letters", 2)]


def test_deliver_now_resets_additional_outbox(letters_workspace: Workspace, letters: LetterOutbox) -> None:
    assert deliver_now(letters_workspace, 30)["letters"] == 2
    assert letters.is_reset


def test_health_page_delivers_additional_outbox(
    letters_workspace: Workspace, letters: LetterOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: letters_workspace)
    page = AppTest.from_file(str(ROOT / "pages" / "operations/health.py"), default_timeout=30).run()
    assert not page.exception
    assert "**Post**" in [markdown.value for markdown in page.markdown]
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "2 letters" in page.info[0].value or "continues in the background" in page.info[0].value
    assert letters.is_reset


def test_health_reports_additional_outbox(letters_workspace: Workspace, letters: LetterOutbox) -> None:
    service = check_letters_health(letters_workspace)
    assert (service.state, service.version, service.backlog, service.refused) == ("works", "1.0", 2, 3)
    assert service.place == "post://[removed]@office"
    letters.is_closed = True
    letters.deliver_pending()
    service = check_letters_health(letters_workspace)
    assert (service.state, service.earlier, service.backlog) == ("failing", "closed", 2)
    assert str(service.problem) == "The folder the post office is not writable."


def test_workspace_delivers_other_outboxes_after_failure(
    letters_workspace: Workspace, letters: LetterOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver_pending() -> int:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(letters_workspace.feedback, "deliver_pending", deliver_pending)
    assert deliver(letters_workspace) == {"runs": 0, "feedback": 0, "announcements": 0, "letters": 2}


# ---- two workspaces in one process ----------------------------------------------------------------------------------


def make_settings(folder: Path, **values: object) -> Settings:
    return Settings.model_construct(vigie_data_dir=folder, **values)  # type: ignore[arg-type]


@pytest.fixture
def offline_workspaces(tmp_path: Path) -> tuple[Workspace, Workspace]:
    """Two workspaces with the same address for every service; no service answers."""
    dead_url = f"http://127.0.0.1:{find_free_port()}"
    services = {
        "mlflow_tracking_uri": dead_url,
        "s3_bucket_name": "vigie",
        "s3_endpoint_url": dead_url,
        "s3_region_name": "eu-west-3",
        "aws_access_key": SecretStr("key"),
        "aws_secret_key": SecretStr("secret"),
        "elastic_deployment_endpoint": dead_url,
    }
    first, second = (Workspace.from_settings(make_settings(tmp_path / name, **services)) for name in ("one", "two"))
    return first, second


def test_workspace_settings_create_every_outbox(offline_workspaces: tuple[Workspace, Workspace]) -> None:
    assert [(outbox.name, outbox.content, outbox.is_remote) for outbox in offline_workspaces[0].outboxes] == [
        ("MLflow", "runs", True),
        ("Feedback", "feedback", True),
        ("Events", "events", True),
        ("Announcements", "announcements", False),
    ]


def test_workspaces_do_not_share_circuit_breakers(offline_workspaces: tuple[Workspace, Workspace]) -> None:
    first, second = offline_workspaces
    assert first.event_stream is not None
    assert second.event_stream is not None
    assert not first.tracking.is_reachable()
    for check in (first.feedback.check, first.event_stream.check):
        with pytest.raises(ServiceUnavailableError):
            check()
    assert all(outbox.last_error for outbox in (first.feedback, first.event_stream))
    assert not any(outbox.last_error for outbox in second.outboxes)
    assert first.tracking._ping_breaker.is_open
    assert not second.tracking._ping_breaker.is_open


def test_workspaces_do_not_share_messages_tokens_or_accounts(tmp_path: Path) -> None:
    first, second = (Workspace.from_settings(make_settings(tmp_path / name)) for name in ("one", "two"))
    number = first.flash.put(Message(N_("This account is disabled. Contact an administrator.")))
    assert first.flash.get(number) is not None
    assert second.flash.get(number) is None
    assert first.setup_token.token != second.setup_token.token
    first.accounts.add_user("ada", "orage-violet-tambour-7", ["administrator"])
    assert second.accounts.is_empty()
    assert not first.accounts.is_empty()
    first.accounts.close()
    second.accounts.close()


def test_workspace_pseudonymises_and_redacts_by_settings(tmp_path: Path) -> None:
    key, password = SecretStr("k" * 40), SecretStr("elastic-hunter2")
    private = Workspace.from_settings(make_settings(tmp_path, vigie_user_key=key, elastic_password=password))
    public = Workspace.from_settings(make_settings(tmp_path))
    assert public.pseudonymise("ada") == "ada"
    assert private.pseudonymise("ada") not in ("ada", public.pseudonymise("ada"))
    assert private.redact("no way in with elastic-hunter2") == "no way in with [removed]"
