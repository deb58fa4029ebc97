"""The page Watch in Streamlit's test harness: incidents, watches, the form of a watch, recipients, maintenance."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.messages import Message
from core.operations.queries import REPLAY_WATCH
from core.operations.watching.replay import build_replay_spec, replay_watch
from core.operations.watching.watches import suggest_watch
from core.settings import ROOT
from core.spec.codec import encode
from core.storage.watches.stores import WatchStores
from core.storage.watches.ticks import TickOutcome, TickRecord
from core.watches.maintenance import MaintenanceWindow
from core.watches.watch import Recipient
from core.workspace import Workspace
from pages.components import auth, i18n
from tests.conftest import assert_no_hang, find_free_port, run_worker, wait_for_answers
from tests.support.app_pages import click_button, open_page, read_page_text
from tests.support.watched_incidents import HOUR, NOW, make_incident, store_incidents
from tests.support.watched_power import train_power_model

PAGE = "operations/watch.py"


def list_words(app: AppTest) -> list[str]:
    return [words.replace("\u00a0", " ") for words in app.dataframe[0].value["words"]] if app.dataframe else []


def list_button_keys(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.button}


def set_field(app: AppTest, key: str, value: object) -> None:
    fields = (*app.text_input, *app.text_area, *app.selectbox, *app.segmented_control, *app.number_input, *app.radio)
    next(field for field in fields if field.key == key).set_value(value)


# ---- incidents ------------------------------------------------------------------------------------------------------


def test_watch_page_without_watches_tells_what_a_watch_is(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "A watch asks the question of a result again by itself" in read_page_text(app)
    labels = {link.proto.label for link in app.get("page_link")}
    assert {"Load data", "Open a recent result"} <= labels


def test_watch_page_lists_open_incidents_worst_first(page_workspace: Workspace) -> None:
    mild, lasting = make_incident("rennes", severity=0), make_incident("paris", severity=1, kind="lasting change")
    silent = make_incident("", kind="no data", severity=2, rows=0, column="", measured=None)
    resolved = make_incident("nice", state="resolved")
    store_incidents(page_workspace, mild, lasting, make_incident(), silent, resolved)
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    assert list_words(app) == [
        "lyon · 182.3 MW measured in load, 101.2 MW expected, usual range 60 – 140",
        "gas · no new rows",
        "paris · 182.3 MW measured in load, 101.2 MW expected, usual range 60 – 140; the level has changed",
        "rennes · 182.3 MW measured in load, 101.2 MW expected, usual range 60 – 140",
    ]
    text = read_page_text(app)
    assert "★ extreme · lyon" in text
    assert "2 Mar 2026 12:00 – 13:00 (Europe/Paris)" in text, "the clock of the data, not that of the browser"
    assert app.get("plotly_chart"), "the rows around the incident are stored"


def test_watch_page_filters_incidents_and_keeps_filters_in_address(page_workspace: Workspace) -> None:
    store_incidents(page_workspace, make_incident(), make_incident("paris", severity=1, state="resolved"))
    app = open_page(PAGE)
    assert [words.partition(" · ")[0] for words in list_words(app)] == ["lyon"]
    set_field(app, "incident-state", "resolved")
    app.run()
    assert [words.partition(" · ")[0] for words in list_words(app)] == ["paris"]
    assert app.query_params["state"] in ("resolved", ["resolved"])
    app = open_page(PAGE, state="all", severity="1,9,x", watch="nonsense")
    assert not app.exception
    assert [words.partition(" · ")[0] for words in list_words(app)] == ["paris"]
    app = open_page(PAGE, severity="0")
    assert "No incident matches these filters" in read_page_text(app)


def test_link_of_message_opens_resolved_and_merged_incident(page_workspace: Workspace) -> None:
    older = make_incident("paris", state="resolved", severity=0)
    merged = make_incident("rennes", state="resolved", merged_into=older.id)
    store_incidents(page_workspace, make_incident(), older, merged)
    for address in (older.id, merged.id):
        app = open_page(PAGE, incident=address)
        assert not app.exception
        assert "○ mild · paris" in read_page_text(app)
        assert "incident-reopen" in list_button_keys(app)
    for address in ("f" * 32, "x", "../etc", merged.id[:3]):
        app = open_page(PAGE, incident=address)
        assert not app.exception
        assert not app.error
        assert "★ extreme · lyon" in read_page_text(app)


def test_watch_page_escapes_hostile_names_of_incidents(page_workspace: Workspace) -> None:
    hostile = make_incident(
        "<script>*x*</script>", column="![a](b)", known_events=(Message("{name}", {"name": "$a$ :red[b]"}).dump(),)
    )
    store_incidents(page_workspace, hostile)
    app = open_page(PAGE)
    assert not app.exception
    assert "\\<script\\>\\*x\\*" in app.header[0].value
    assert "\\!\\[a\\](b)" in app.header[0].value
    assert any("\\$a\\$ \\:red\\[b\\]" in part.value for part in app.markdown)


def test_persons_work_on_incident_from_acknowledgement_to_new_opening(page_workspace: Workspace) -> None:
    incident = make_incident()
    store_incidents(page_workspace, incident)
    store = page_workspace.watches.incidents
    app = click_button(open_page(PAGE), "incident-acknowledge")
    assert not app.exception
    assert store.load_incident(incident.id).state == "acknowledged"
    set_field(app, f"incident-assignee-{incident.id}", "bob_*")
    app = click_button(app, "incident-assign")
    assert "Assigned to bob_*" in read_page_text(app)
    app = click_button(app, "incident-mute")
    muted_until = store.load_incident(incident.id).muted_until
    assert muted_until is not None
    assert muted_until > datetime.now(UTC)
    assert "Muted until" in read_page_text(app)
    app = click_button(app, "incident-unmute")
    assert store.load_incident(incident.id).muted_until is None
    set_field(app, f"incident-verdict-{incident.id}", "false_alarm")
    set_field(app, f"incident-comment-{incident.id}", "works on the line")
    app = click_button(app, "incident-resolve")
    assert not app.exception
    resolved = store.load_incident(incident.id)
    assert (resolved.state, resolved.verdict, resolved.comment) == ("resolved", "false_alarm", "works on the line")
    assert "★ extreme · lyon" in read_page_text(app), "what was just resolved stays on the page"
    app = click_button(app, "incident-reopen")
    assert store.load_incident(incident.id).is_open


def test_second_person_sees_who_was_first(page_workspace: Workspace) -> None:
    incident = make_incident()
    store_incidents(page_workspace, incident)
    first, second = open_page(PAGE), open_page(PAGE)
    click_button(first, "incident-acknowledge")
    app = click_button(second, "incident-acknowledge")
    assert not app.exception
    assert "Acknowledged by anonymous" in read_page_text(app)
    assert "incident-acknowledge" not in list_button_keys(app)


def test_new_normal_is_kept_with_watch(page_workspace: Workspace) -> None:
    incident = make_incident(kind="lasting change", is_lasting_from=NOW - HOUR)
    store_incidents(page_workspace, incident)
    app = click_button(open_page(PAGE), "incident-normal")
    assert not app.exception
    assert not app.error
    [level] = page_workspace.watches.watches.load_watch("gas").new_normals
    assert (level.entity, level.since) == ("lyon", NOW - HOUR)
    assert not page_workspace.watches.incidents.load_incident(incident.id).is_open


def test_watch_page_reads_in_french(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    store_incidents(page_workspace, make_incident())
    for view in ("", "calendar", "watches", "new", "recipients"):
        app = open_page(PAGE, view=view)
        assert not app.exception, view
        assert not app.error, view


# ---- calendar and watches -------------------------------------------------------------------------------------------


def test_calendar_shows_incidents_of_period(page_workspace: Workspace) -> None:
    now = datetime.now(UTC)
    store_incidents(page_workspace, make_incident(start=now - HOUR, end=now, peak_at=now))
    app = open_page(PAGE, view="calendar")
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1


def test_watches_are_listed_with_their_ticks_and_can_be_paused_and_removed(page_workspace: Workspace) -> None:
    store_incidents(page_workspace)
    store_incidents(page_workspace, name="water")
    app = open_page(PAGE, view="watches", name="water")
    assert not app.exception
    assert list(app.dataframe[0].value["name"]) == ["gas", "water"]
    assert list(app.dataframe[0].value["rows"]) == [6, 6]
    assert app.header[0].value == "water"
    app = click_button(app, "watch-pause")
    assert page_workspace.watches.watches.load_watch("water").is_paused
    assert "paused" in list(app.dataframe[0].value["state"])[1]
    app = click_button(app, "watch-pause")
    assert not page_workspace.watches.watches.load_watch("water").is_paused
    app = click_button(app, "watch-remove")
    assert not app.exception
    assert [state.watch.name for state in page_workspace.watches.watches.list_states()] == ["gas"]
    assert app.header[0].value == "gas"


def test_problem_of_last_tick_is_shown(page_workspace: Workspace) -> None:
    store_incidents(page_workspace)
    store = page_workspace.watches.ticks
    lease = store.claim_tick("worker", NOW, "gas")
    assert lease is not None
    problem = Message("The file {file!r} has no column {column}.", {"file": "x_*.csv", "column": "load"})
    record = TickRecord(lease.tick, "gas", NOW, NOW, NOW + HOUR, "failed", problem=problem)
    assert store.fail_tick(lease, TickOutcome(record), NOW + 2 * HOUR)
    app = open_page(PAGE, view="watches")
    assert not app.exception
    assert "failing" in app.dataframe[0].value["state"].iloc[0]
    assert "has no column load" in app.error[0].value


# ---- new watch ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def power_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    return train_power_model(tmp_path_factory.mktemp("watch-page"), empty_store)


@pytest.fixture
def power_page(power_model: tuple[Workspace, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, str]:
    """Workspace with a model of power that the pages use, without a watch; and the run of the model."""
    workspace, run_id = power_model
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: workspace)
    monkeypatch.setattr("core.lifespan.start_preload", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    for state in workspace.watches.watches.list_states():
        workspace.watches.watches.delete_watch(state.watch.name)
    return workspace, run_id


def test_result_leads_to_watch_in_two_clicks(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    [info] = workspace.datasets.list_recent()
    app = open_page("analysis/anomalies.py", dataset=info.digest, run=run_id)
    [link] = [link.proto for link in app.get("page_link") if link.proto.label == "Ask this again…"]
    assert (link.page, f"run={run_id}" in link.query_string) == ("watch", True)
    app = open_page(PAGE, view="new", run=run_id)
    assert not app.exception
    assert not app.error
    app = click_button(app, "watch-start")
    assert not app.exception
    assert not app.error
    [state] = workspace.watches.watches.list_states()
    assert (state.watch.task, state.watch.schedule) == ("anomalies", "1 hour")
    assert app.query_params["view"] in ("watches", ["watches"])
    assert app.header[0].value == state.watch.name
    app.query_params["view"], app.query_params["run"] = "new", run_id
    app = click_button(app.run(), "watch-start")
    assert not app.error
    assert len(workspace.watches.watches.list_states()) == 2, "the same result again, under another name"


def test_form_tells_what_is_not_accepted_and_loses_nothing(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    app = open_page(PAGE, view="new", run=run_id)
    key = f"new-watch-{run_id}"
    for field, value, words in (
        ("name", "Gas Lyon", "small letters"),
        ("schedule", "soon", "15 minutes"),
        ("path", "/etc", "VIGIE_SOURCE_PLACES"),
        ("path", "", "the path of a folder"),
    ):
        app = open_page(PAGE, view="new", run=run_id)
        set_field(app, f"{key}-{field}", value)
        app = click_button(app, "watch-start")
        assert not app.exception
        assert words in "\n".join(str(error.value) for error in app.error), field
        assert next(each for each in app.text_input if each.key == f"{key}-{field}").value == value
    assert workspace.watches.watches.list_states() == []


@pytest.mark.parametrize("kind", ["bucket", "web", "search", "database"])
def test_form_refuses_sources_that_are_not_allowed(power_page: tuple[Workspace, str], kind: str) -> None:
    workspace, run_id = power_page
    app = open_page(PAGE, view="new", run=run_id)
    key = f"new-watch-{run_id}"
    set_field(app, f"{key}-kind", kind)
    app.run()
    values = {"address": "s3://bucket/x", "url": "http://127.0.0.1/x.csv", "database": "secret", "query": "SELECT 1"}
    for name in {"bucket": ["address"], "web": ["url"], "database": ["database", "query"]}.get(kind, []):
        set_field(app, f"{key}-{name}", values[name])
    app = click_button(app, "watch-check")
    assert not app.exception
    assert len(app.error) == 1
    assert workspace.watches.watches.list_states() == []


def test_watch_is_changed_without_losing_what_others_did(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    click_button(open_page(PAGE, view="new", run=run_id), "watch-start")
    [state] = workspace.watches.watches.list_states()
    name = state.watch.name
    app = open_page(PAGE, view="watches", name=name)
    app.session_state[f"watch-change-{name}"] = True
    app.run()
    set_field(app, f"watch-{name}-schedule", "2 hours")
    workspace.watches.watches.set_paused(name, True, None)
    app = click_button(app, f"watch-save-{name}")
    assert not app.exception
    assert not app.error
    changed = workspace.watches.watches.load_watch(name)
    assert (changed.schedule, changed.is_paused) == ("2 hours", True)


def test_new_watch_without_result_lists_recent_results(power_page: tuple[Workspace, str]) -> None:
    _, run_id = power_page
    app = open_page(PAGE, view="new")
    assert not app.exception
    [choice] = [box for box in app.selectbox if box.key == "watch-result"]
    app = choice.set_value(run_id).run()
    assert app.query_params["run"] in (run_id, [run_id])
    assert "watch-start" in list_button_keys(app)


@pytest.mark.parametrize("run", ["f" * 32, "../../x", "%00"])
def test_new_watch_of_unknown_run_is_explained(page_workspace: Workspace, run: str) -> None:
    app = open_page(PAGE, view="new", run=run)
    assert not app.exception
    assert "was not found" in "\n".join(str(error.value) for error in app.error)


# ---- recipients and maintenance -------------------------------------------------------------------------------------


def test_recipient_is_added_shown_without_secret_and_removed(page_workspace: Workspace) -> None:
    app = open_page(PAGE, view="recipients")
    set_field(app, "recipient-name", "on-call")
    set_field(app, "recipient-address", "oncall@example.org")
    form = [button for button in app.button if button.label == "Save the recipient"]
    app = form[0].click().run()
    assert not app.exception
    assert not app.error
    [recipient] = page_workspace.watches.recipients.list_recipients()
    assert (recipient.name, recipient.channel, recipient.max_per_hour) == ("on-call", "mail", 12)
    page_workspace.watches.recipients.save_recipient(
        Recipient(name="chat", channel="chat", address="slack://secret-a/secret-b/secret-c")
    )
    app = open_page(PAGE, view="recipients")
    assert list(app.dataframe[0].value["address"]) == ["•••", "oncall@example.org"]
    assert "secret-" not in read_page_text(app)
    set_field(app, "recipient-choice", "chat")
    app = click_button(app.run(), "recipient-remove")
    assert [each.name for each in page_workspace.watches.recipients.list_recipients()] == ["on-call"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("name", "On Call", "small letters"), ("address", "nobody", "nobody"), ("quiet-from", "25:00", "22:00")],
)
def test_recipient_that_is_not_accepted_is_explained(
    page_workspace: Workspace, field: str, value: str, words: str
) -> None:
    app = open_page(PAGE, view="recipients")
    for name, text in {"name": "on-call", "address": "a@example.org", field: value}.items():
        set_field(app, f"recipient-{name}", text)
    app = next(button for button in app.button if button.label == "Save the recipient").click().run()
    assert not app.exception
    assert words in app.error[0].value
    assert page_workspace.watches.recipients.list_recipients() == []


def test_recipients_are_for_operators(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "is_sign_in_required", lambda: True)
    for role, is_shown in (("analyst", False), ("operator", True), ("administrator", True)):
        user = auth.SignedInUser("alice", frozenset({role}))
        monkeypatch.setattr(auth, "current_user", lambda user=user: user)
        app = open_page(PAGE, view="recipients")
        assert not app.exception
        assert ("Recipients" in [tab.label for tab in app.tabs]) == is_shown, role
        assert any(field.key == "recipient-name" for field in app.text_input) == is_shown


def test_maintenance_window_is_added_and_removed(page_workspace: Workspace) -> None:
    app = open_page(PAGE, view="recipients")
    set_field(app, "maintenance-kind", "recurring")
    app.run()
    set_field(app, "maintenance-cron", "0 2 * * SUN")
    set_field(app, "maintenance-reason", "backup")
    app = click_button(app, "maintenance-add")
    assert not app.exception
    assert not app.error
    [window] = page_workspace.watches.maintenance.list_windows()
    assert (window.cron, window.minutes, window.reason, window.author) == ("0 2 * * SUN", 60, "backup", "anonymous")
    app = click_button(app, "maintenance-remove")
    assert page_workspace.watches.maintenance.list_windows() == []
    app = click_button(open_page(PAGE, view="recipients"), "maintenance-add")
    assert not app.error
    [window] = page_workspace.watches.maintenance.list_windows()
    assert isinstance(window, MaintenanceWindow)
    assert window.end is not None
    assert window.start is not None
    assert window.end - window.start == HOUR


def test_watches_of_others_are_hidden_where_runs_are_private(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = make_incident()
    store_incidents(page_workspace, incident, owner="alice")
    monkeypatch.setattr(auth, "is_sign_in_required", lambda: True)
    monkeypatch.setattr(auth, "has_private_runs", lambda: True)
    for name, role, is_shown in (("alice", "analyst", True), ("bob", "analyst", False), ("carol", "operator", True)):
        user = auth.SignedInUser(name, frozenset({role}))
        monkeypatch.setattr(auth, "current_user", lambda user=user: user)
        for view in ("", "calendar", "watches"):
            app = open_page(PAGE, view=view, incident=incident.id, months="all")
            assert not app.exception
            assert ("lyon" in read_page_text(app) or "gas" in read_page_text(app) or bool(app.get("plotly_chart"))) == (
                is_shown
            ), (name, view)


# ---- replay ---------------------------------------------------------------------------------------------------------


def test_replay_shows_incidents_at_other_threshold(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    with run_worker(workspace):
        app = click_button(open_page(PAGE, view="replay", run=run_id), "replay-ask")
        app = wait_for_answers(app)
    assert not app.exception
    assert not app.error
    counts = [metric.value for metric in app.metric if metric.label == "Incidents"]
    [info] = workspace.datasets.list_recent()
    watch, dataset = suggest_watch(run_id, workspace), workspace.datasets.load(info.digest)
    lowest = float(replay_watch(watch, dataset, workspace=workspace).thresholds["threshold"].min())
    app = app.select_slider[0].set_value(lowest).run()
    assert not app.exception
    assert [metric.value for metric in app.metric if metric.label == "Incidents"] != counts
    assert len(app.dataframe[-1].value) > 0


def test_home_page_leads_to_replay_that_waits(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    [info] = workspace.datasets.list_recent()
    watch, dataset = suggest_watch(run_id, workspace), workspace.datasets.load(info.digest)
    spec = build_replay_spec(watch, dataset, "2024-02-01", workspace=workspace)
    jobs.submit(REPLAY_WATCH, encode(spec), workspace=workspace, actor=Actor("anonymous", "tests"))
    app = open_page("home/home.py")
    assert not app.exception
    [link] = [link.proto for link in app.get("page_link") if link.proto.label.startswith("Replay of a watch")]
    assert link.page == "watch"
    app = open_page(PAGE, work=link.query_string.partition("work=")[2], run=run_id)
    assert not app.exception
    assert "replay-ask" in list_button_keys(app)
    assert "work" not in app.query_params


def test_verdict_on_proposed_row_is_saved_and_row_leaves_list(power_page: tuple[Workspace, str]) -> None:
    workspace, run_id = power_page
    app = open_page(PAGE, view="replay", run=run_id)
    app.session_state[f"rows-to-judge-{run_id}"] = True
    app.run()
    assert not app.exception
    first = next(button for button in app.button if str(button.key).endswith("-false_alarm"))
    count = len([button for button in app.button if str(button.key).endswith("-false_alarm")])
    assert count == 10
    app = first.click().run()
    assert not app.exception
    [record] = workspace.feedback.read_records()
    assert (record.verdict, record.run_id, record.page) == ("false_alarm", run_id, "anomalies")
    assert first.key not in list_button_keys(app)


# ---- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["nonsense", "%", "open,watches"])
def test_watch_page_opens_first_view_for_unknown_one(page_workspace: Workspace, view: str) -> None:
    app = open_page(PAGE, view=view)
    assert not app.exception
    assert not app.error


def test_watch_page_tells_that_database_does_not_answer(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://vigie@127.0.0.1:{find_free_port()}/vigie"
    monkeypatch.setitem(page_workspace.__dict__, "watches", WatchStores.open(page_workspace.folder / "watches", url))
    with assert_no_hang():
        app = open_page(PAGE)
    assert not app.exception
    assert app.title[0].value == "Watch"
    assert "The database of the watches does not answer" in app.error[0].value


def test_watch_page_is_a_thin_script() -> None:
    assert len((ROOT / "pages" / PAGE).read_text(encoding="utf-8").splitlines()) < 80
