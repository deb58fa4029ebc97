"""The page that loads data in Streamlit's test harness: uploads at once, by a job, after a refresh, with errors."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.worker import Worker
from core.workspace import Workspace
from tests.conftest import run_worker, wait_for_answers, wait_for_job
from tests.support.app_pages import click_button, open_page, read_page_text

PAGE = "data/load.py"
ROWS = ("time,load\n" + "".join(f"2024-01-{day:02},{day * 1.5}\n" for day in range(1, 29))).encode()
ODD_ROWS = ("year,number,flow\n" + "".join(f"2024,{day},{day % 9 + 0.5}\n" for day in range(99))).encode()


@pytest.fixture
def is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any file a large one, which a worker reads."""
    monkeypatch.setattr("core.operations.reading.SHORT_FILES_BYTES", 0)


@pytest.fixture
def job_worker(page_workspace: Workspace) -> Iterator[Worker]:
    with run_worker(page_workspace) as worker:
        yield worker


def upload(content: bytes = ROWS, name: str = "load.csv") -> AppTest:
    app = open_page(PAGE)
    return app.file_uploader[0].set_value([(name, content, "text/csv")]).run()


def reopen(app: AppTest) -> AppTest:
    """Return the page in a new session with the same address, as after a refresh."""
    return open_page(PAGE, **{name: app.query_params[name] for name in app.query_params})


def test_load_page_reads_small_file_at_once(page_workspace: Workspace) -> None:
    app = click_button(upload(), "load")
    assert not app.exception
    [stored] = page_workspace.datasets.list_recent()
    assert app.query_params["dataset"] == stored.digest
    assert "files" not in app.query_params
    assert "load.csv" in read_page_text(app)


def test_load_page_keeps_upload_after_refresh(page_workspace: Workspace) -> None:
    app = reopen(upload())
    assert "load.csv" in read_page_text(app)
    app = click_button(app, "load")
    assert [info.digest for info in page_workspace.datasets.list_recent()] == [app.query_params["dataset"]]


def test_load_page_forgets_upload_on_request(page_workspace: Workspace) -> None:
    app = click_button(reopen(upload()), "other-files")
    assert "files" not in app.query_params
    app = upload().file_uploader[0].set_value(None).run()
    assert "files" not in app.query_params, "removed with the cross of the uploader"
    assert "load" not in {button.key for button in app.button}


@pytest.mark.usefixtures("is_slow")
def test_load_page_opens_dataset_of_job_in_every_tab(page_workspace: Workspace) -> None:
    app = click_button(upload(), "load")
    assert "work" in app.query_params
    refreshed = reopen(app)
    with run_worker(page_workspace):
        for tab in (refreshed, app):
            tab = wait_for_job(tab)
            assert not tab.exception
            assert [info.digest for info in page_workspace.datasets.list_recent()] == [tab.query_params["dataset"]]
            assert "files" not in tab.query_params
    assert [event.event for event in page_workspace.events.read_events()] == ["data_load"], "read once"


@pytest.mark.usefixtures("is_slow")
def test_load_page_cancels_reading_and_keeps_the_files(page_workspace: Workspace) -> None:
    app = click_button(upload(), "load")
    assert app.get("progress")
    assert "load.csv" in read_page_text(app)
    assert not app.file_uploader, "nothing else to do meanwhile"
    app = wait_for_job(click_button(app, "cancel-work"))
    assert "The files are still here." in read_page_text(app)
    assert "load" in {button.key for button in app.button}
    assert "load.csv" in read_page_text(reopen(app))


@pytest.mark.usefixtures("is_slow")
def test_home_page_leads_back_to_reading(page_workspace: Workspace) -> None:
    app = click_button(upload(), "load")
    home = open_page("home/home.py")
    [link] = [link for link in home.get("page_link") if "Reading of files" in link.proto.label]
    assert "load.csv" in link.proto.label
    assert app.query_params["work"] in link.proto.query_string
    assert open_page(PAGE).query_params["work"] == app.query_params["work"], "a new visit opens it at once"
    opened = open_page(PAGE, work=app.query_params["work"])
    assert opened.get("progress")
    assert opened.query_params["files"] == app.query_params["files"]


@pytest.mark.parametrize("speed", ["quick", "slow"])
def test_load_page_explains_unknown_layout_and_maps_columns(
    speed: str, page_workspace: Workspace, job_worker: Worker, request: pytest.FixtureRequest
) -> None:
    if speed == "slow":
        request.getfixturevalue("is_slow")
    app = wait_for_job(click_button(upload(b"name,size\nx,1\ny,2\n", "names.csv"), "load"))
    assert not app.exception
    assert "Switch on “Set layout and columns manually”" in read_page_text(app)
    app = map_columns(reopen(app))
    assert "no layout fits" in read_page_text(wait_for_job(click_button(app, "load-mapped"))), "no role was changed"
    app = wait_for_job(click_button(map_columns(upload(ODD_ROWS, "odd.csv")), "load-mapped"))
    assert not app.exception
    [stored] = page_workspace.datasets.list_recent()
    assert (stored.rows, app.query_params["dataset"]) == (99, stored.digest)


def map_columns(app: AppTest) -> AppTest:
    """Switch on the table of columns, and wait for it."""
    return wait_for_answers(next(toggle for toggle in app.toggle if toggle.key == "by-hand").set_value(True).run())


@pytest.mark.parametrize("speed", ["quick", "slow"])
def test_load_page_explains_unreadable_file_in_place(
    speed: str, page_workspace: Workspace, job_worker: Worker, request: pytest.FixtureRequest
) -> None:
    if speed == "slow":
        request.getfixturevalue("is_slow")
    app = wait_for_job(click_button(upload(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "photo.csv"), "load"))
    assert not app.exception
    assert any("photo.csv" in str(error.value) for error in app.error)
    assert "sample-gas_daily" in {button.key for button in app.button}, "the rest of the page stays"


def test_load_page_ignores_files_that_are_gone(page_workspace: Workspace) -> None:
    app = open_page(PAGE, files="0" * 64)
    assert not app.exception
    assert "files" not in app.query_params


# ---- checks and repairs ---------------------------------------------------------------------------------------------


@pytest.fixture
def has_large_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any dataset a large one, which a worker checks and repairs."""
    monkeypatch.setattr("core.operations.quality.SHORT_CELLS", 0)
    monkeypatch.setattr("core.queries.answer_at_once", None)


@pytest.mark.usefixtures("has_large_data", "job_worker")
def test_load_page_checks_and_repairs_large_data_by_jobs(page_workspace: Workspace) -> None:
    app = click_button(open_page(PAGE), "sample-gas_daily")
    before = app.query_params["dataset"]
    app = wait_for_answers(app)
    choice = next(box for box in app.selectbox if box.key == "repair-incomplete_rows")
    app = wait_for_answers(choice.set_value(0).run())
    assert "What the repairs change" in read_page_text(app)
    app = wait_for_answers(wait_for_job(click_button(app, "make-repairs")))
    assert not app.exception
    assert app.query_params["dataset"] != before
    assert "Repaired" in read_page_text(app)
    app = wait_for_answers(wait_for_job(click_button(app, "undo-0")))
    assert app.query_params["dataset"] == before
    assert [event.event for event in page_workspace.events.read_events()] == ["data_load", "data_repair", "data_repair"]


@pytest.mark.usefixtures("has_large_data")
def test_load_page_shows_the_running_check_after_refresh(page_workspace: Workspace) -> None:
    app = click_button(open_page(PAGE), "sample-gas_daily")
    assert app.get("progress")
    assert "sample_gas_daily" in read_page_text(app), "the data are on the page meanwhile"
    [job] = page_workspace.jobs.list_unfinished("anonymous")
    assert reopen(app).get("progress")
    assert [unfinished.id for unfinished in page_workspace.jobs.list_unfinished("anonymous")] == [job.id]
    tasks = open_page("analysis/anomalies.py", dataset=app.query_params["dataset"])
    assert not tasks.exception
    assert "Repairs proposed" not in "".join(link.proto.label for link in tasks.get("page_link"))
