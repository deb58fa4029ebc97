"""The workspace: additional outboxes, and two workspaces in one process without shared state."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from core.errors import ServiceUnavailableError
from core.messages import N_, Text
from core.operations.health import ServiceHealth, check_services
from core.outbox import deliver, deliver_now, start_delivery_threads
from core.settings import Settings
from core.storage.outbox import Outbox
from core.workspace import Workspace
from tests.conftest import ROOT, free_port


@dataclass
class Letters:
    """Toy service: an outbox of letters for a post office that is open or closed."""

    name: str = "Post"
    content: str = "letters"
    location: str = "post://user:hunter2@office"
    is_remote: bool = True
    last_error: str = ""
    is_closed: bool = False
    is_reset: bool = False
    waiting: list[str] = field(default_factory=lambda: ["one", "two"])
    delivered: list[str] = field(default_factory=list)

    def deliver_pending(self) -> int:
        if self.is_closed:
            self.last_error = "closed"
            return 0
        count, self.delivered = len(self.waiting), [*self.delivered, *self.waiting]
        self.waiting = []
        return count

    def pending_count(self) -> int:
        return len(self.waiting)

    def rejected_count(self) -> int:
        return 3

    def check(self) -> str:
        if self.is_closed:
            raise ServiceUnavailableError(N_("{folder} cannot be written to."), folder="the post office")
        return "1.0"

    def reset(self) -> None:
        self.is_reset = True


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def at(place: Workspace, letters: Letters) -> Workspace:
    """Workspace with the additional outbox."""
    outbox: Outbox = letters
    return replace(place, more_outboxes=(outbox,))


def health_of(at: Workspace) -> ServiceHealth:
    return {service.name: service for service in check_services(at, lambda at: [object()])}["Post"]


def test_a_service_that_was_plugged_in_is_delivered(at: Workspace, letters: Letters) -> None:
    assert deliver(at) == {"runs": 0, "feedback": 0, "letters": 2}
    assert (letters.delivered, letters.is_reset) == (["one", "two"], False)


def test_it_is_delivered_in_the_background(at: Workspace, letters: Letters) -> None:
    ending, told, came = threading.Event(), [], threading.Event()

    def on_delivered(content: str, count: int) -> None:
        told.append((content, count))
        came.set()

    start_delivery_threads(at, 0.05, ending, on_delivered)
    assert came.wait(10)
    ending.set()
    assert told == [("letters", 2)]


def test_it_is_reset_and_delivered_at_once_where_somebody_says_so(at: Workspace, letters: Letters) -> None:
    assert deliver_now(at, 30)["letters"] == 2
    assert letters.is_reset


def test_the_page_of_health_delivers_and_shows_it(
    at: Workspace, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: at)
    page = AppTest.from_file(str(ROOT / "pages" / "operations/health.py"), default_timeout=30).run()
    assert not page.exception
    assert "**Post**" in [markdown.value for markdown in page.markdown]
    page.button(key="deliver-now").click().run()
    assert not page.exception
    assert "2 letters" in page.info[0].value or "goes on" in page.info[0].value
    assert letters.is_reset


def test_health_says_how_it_is(at: Workspace, letters: Letters) -> None:
    service = health_of(at)
    assert (service.state, service.version, service.backlog, service.refused) == ("works", "1.0", 2, 3)
    assert service.place == "post://[removed]@office"
    letters.is_closed = True
    letters.deliver_pending()
    service = health_of(at)
    assert (service.state, service.earlier, service.backlog) == ("failing", "closed", 2)
    assert str(service.problem) == "the post office cannot be written to."


def test_an_outbox_that_breaks_stops_no_other(at: Workspace, letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    def deliver_pending() -> int:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(at.feedback, "deliver_pending", deliver_pending)
    assert deliver(at) == {"runs": 0, "feedback": 0, "letters": 2}


# ---- two workspaces in one process ----------------------------------------------------------------------------------


def settings_in(folder: Path, **values: object) -> Settings:
    return Settings.model_construct(vigie_data_dir=folder, **values)  # type: ignore[arg-type]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Workspace, Workspace]:
    """Two workspaces with the same address for every service; no service answers."""
    gone = f"http://127.0.0.1:{free_port()}"
    services = {
        "mlflow_tracking_uri": gone,
        "s3_bucket_name": "vigie",
        "s3_endpoint_url": gone,
        "s3_region_name": "eu-west-3",
        "aws_access_key": SecretStr("key"),
        "aws_secret_key": SecretStr("secret"),
        "elastic_deployment_endpoint": gone,
    }
    first, second = (Workspace.from_settings(settings_in(tmp_path / name, **services)) for name in ("one", "two"))
    return first, second


def test_settings_lead_to_every_outbox(pair: tuple[Workspace, Workspace]) -> None:
    assert [(outbox.name, outbox.content, outbox.is_remote) for outbox in pair[0].outboxes] == [
        ("MLflow", "runs", True),
        ("Feedback", "feedback", True),
        ("Events", "events", True),
    ]


def test_a_breaker_is_open_for_one_workspace_alone(pair: tuple[Workspace, Workspace]) -> None:
    first, second = pair
    assert first.event_stream is not None
    assert second.event_stream is not None
    assert not first.tracking.is_reachable()
    for check in (first.feedback.check, first.event_stream.check):
        with pytest.raises(ServiceUnavailableError):
            check()
    assert all(outbox.last_error for outbox in first.outboxes[1:])
    assert not any(outbox.last_error for outbox in second.outboxes)
    assert first.tracking._ping_breaker.is_open
    assert not second.tracking._ping_breaker.is_open


def test_messages_tokens_and_accounts_are_a_workspace_s_own(tmp_path: Path) -> None:
    first, second = (Workspace.from_settings(settings_in(tmp_path / name)) for name in ("one", "two"))
    number = first.flash.put(Text(N_("This account is disabled; ask an administrator.")))
    assert first.flash.get(number) is not None
    assert second.flash.get(number) is None
    assert first.setup_token.token != second.setup_token.token
    first.accounts.add_user("ada", "orage-violet-tambour-7", ["administrator"])
    assert second.accounts.empty()
    assert not first.accounts.empty()
    first.accounts.close()
    second.accounts.close()


def test_names_and_secrets_are_those_of_the_settings(tmp_path: Path) -> None:
    key, password = SecretStr("k" * 40), SecretStr("elastic-hunter2")
    private = Workspace.from_settings(settings_in(tmp_path, vigie_user_key=key, elastic_password=password))
    public = Workspace.from_settings(settings_in(tmp_path))
    assert public.pseudonymise("ada") == "ada"
    assert private.pseudonymise("ada") not in ("ada", public.pseudonymise("ada"))
    assert private.redact("no way in with elastic-hunter2") == "no way in with [removed]"
