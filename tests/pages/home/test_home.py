"""Home page: samples, the way back to results, data and jobs, the search, and unknown addresses."""

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import SAMPLES, load_sample
from core.settings import ROOT
from core.spec.codec import encode
from core.spec.spec import DataSpec
from core.spec.task import Mode, Task, list_tasks
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from pages.components import guide
from pages.components.names import shorten_name
from tests.support.app_pages import click_button, open_page, read_page_text

HOME = "home/home.py"
FOREST = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")


@pytest.fixture(scope="module")
def counts() -> Dataset:
    return load_sample("trunk_calls")


def read_links(app: AppTest) -> dict[str, str]:
    """Return the label of each link to a page, by its query."""
    return {link.proto.query_string: link.proto.label for link in app.get("page_link")}


def test_home_page_offers_every_sample_with_outlook(page_workspace: Workspace) -> None:
    app = open_page(HOME)
    assert not app.exception
    assert {f"sample-{name}" for name in SAMPLES} <= {button.key for button in app.button}
    text = read_page_text(app)
    assert all(sample.outlook in text for sample in SAMPLES.values())
    assert len(app.get("image")) == len(SAMPLES)
    assert not app.text_input, "nothing to search yet"
    app = click_button(app, "sample-tidy_series")
    [stored] = page_workspace.datasets.list_recent()
    assert app.query_params["dataset"] == stored.digest
    assert "sample_tidy_series" in read_page_text(app)


def test_home_page_leads_back_to_results_data_and_jobs(page_workspace: Workspace, sample: Dataset) -> None:
    digest = page_workspace.datasets.save(sample)
    run = detect(FOREST, sample, workspace=page_workspace, actor=Actor("bob", "tests"))[1]
    arguments = encode(DetectionSpec(dataset=digest))
    job = jobs.submit("anomalies", arguments, workspace=page_workspace, actor=Actor("anonymous", "tests"))
    app = open_page(HOME)
    assert not app.exception
    links = read_links(app)
    assert any(run.id in query and digest in query for query in links)
    assert f"dataset={digest}" in links
    assert "waiting in the queue" in links[f"work={job.key}"]
    assert "bob" in read_page_text(app)
    for words, is_match in (("gas BOB", True), ("anomalies", True), ("gas carol", False)):
        app.text_input[0].set_value(words).run()
        assert any(run.id in query for query in read_links(app)) == is_match
    assert "match all these words" in read_page_text(app)


DATA_MODES = [
    (task, mode) for task in list_tasks() if task.page for mode in task.modes if issubclass(mode.spec, DataSpec)
]


@pytest.mark.parametrize(
    ("task", "mode"), DATA_MODES, ids=lambda part: part.name if isinstance(part, Task) else part.spec.__name__
)
def test_page_of_task_leads_back_to_unfinished_job(
    page_workspace: Workspace, counts: Dataset, task: Task, mode: Mode
) -> None:
    """A job that goes on is found without its address, and a refresh shows its progress and its data."""
    digest = page_workspace.datasets.save(counts)
    arguments = encode(mode.spec(dataset=digest))
    job = jobs.submit(task.name, arguments, workspace=page_workspace, actor=Actor("anonymous", "tests"))
    page = f"analysis/{task.page}.py"
    elsewhere = page_workspace.datasets.save(counts.filter_rows(counts.entities[:1]))
    assert f"work={job.key}" in read_links(open_page(page, dataset=elsewhere))
    app = open_page(page)
    assert not app.exception
    assert (app.query_params["work"], app.query_params["dataset"]) == (job.key, digest)
    assert app.get("progress")
    assert f"work={job.key}" not in read_links(app), "its progress is shown"
    other = "clusters" if task.page != "clusters" else "forecast"
    assert f"work={job.key}" not in read_links(open_page(f"analysis/{other}.py"))


@pytest.mark.parametrize("name", ["[x](http://a.b)", "a_b*c`d`", "$x$ :red[y]", "<b>bold</b>"])
def test_shortened_names_have_no_markup(name: str) -> None:
    assert all(name[i - 1] == "\\" for name in [shorten_name(name)] for i, c in enumerate(name) if c in "[]*_`$:<>")


def test_guided_walk_follows_user(page_workspace: Workspace, sample: Dataset) -> None:
    digest = page_workspace.datasets.save(sample)
    run = detect(FOREST, sample, workspace=page_workspace, actor=Actor("bob", "tests"))[1]
    app = click_button(open_page(HOME), "guide-start")
    assert "guide-start" not in [button.key for button in app.button]
    assert "**Load**" in read_page_text(app)
    app.query_params["dataset"] = digest
    assert "**Check**" in read_page_text(app.run())
    app = click_button(app, "guide-next")
    assert "**Find**" in read_page_text(app)
    app.query_params["run"] = run.id
    assert "**Understand**" in read_page_text(app.run())
    app = app.switch_page(str(ROOT / "pages" / "analysis" / "anomalies.py")).run()
    verdict = next(choice for choice in app.segmented_control if str(choice.key).startswith("verdict-choice-"))
    app = verdict.set_value("true_alarm").run()
    app = click_button(app, str(verdict.key).replace("choice", "save"))
    assert "**Hand on**" in read_page_text(app), "a verdict on an incident needs no other click"
    assert f"runs={run.id}" in read_links(app)
    app = click_button(app, "guide-next")
    assert "The walk is complete" in read_page_text(app)
    app = click_button(app, "guide-leave")
    assert app.session_state[guide.STATE_KEY] is None
