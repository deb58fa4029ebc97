"""Every page, in Streamlit's own test harness: what it shows without data, with data, and when something is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.analyses.anomalies import detect, detectors
from core.data.dataset import Dataset
from core.run import Actor, Workplace
from pages.parts import text
from tests.conftest import ROOT

SCRIPT = str(ROOT / "pages" / "navigation.py")


@pytest.fixture
def at(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The pages' workplace is the test's; nothing is warmed beside the test."""
    monkeypatch.setattr("pages.parts.session.workplace", lambda: place)
    monkeypatch.setattr("core.background.warm", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield place
    st.cache_data.clear()
    st.cache_resource.clear()


def opened(page: str = "data/load.py", **address: str) -> AppTest:
    """The app on one of its pages."""
    app = AppTest.from_file(SCRIPT, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    return app if page == "data/load.py" else app.switch_page(str(ROOT / "pages" / page)).run()


def texts(app: AppTest) -> str:
    """Everything a person reads on the page."""
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(part.value) for part in parts)


def clicked(app: AppTest, key: str) -> AppTest:
    return next(button for button in app.button if button.key == key).click().run()


def test_the_first_page_offers_samples(at: Workplace) -> None:
    app = opened()
    assert not app.exception
    assert {f"sample-{name}" for name in ("gas_daily", "daily_profile", "tidy_series", "kpi_matrix")} <= {
        button.key for button in app.button
    }


@pytest.mark.parametrize("name", ["gas_daily", "daily_profile", "tidy_series", "kpi_matrix"])
def test_a_sample_opens_with_its_findings(at: Workplace, name: str) -> None:
    app = clicked(opened(), f"sample-{name}")
    assert not app.exception
    assert not app.error
    [stored] = at.datasets.recent()
    assert app.query_params["dataset"] == stored.digest
    assert "sample_" + name in texts(app)
    assert [event.event for event in at.events.read()] == ["data_load"]


def test_repairs_are_shown_made_and_undone(at: Workplace) -> None:
    app = clicked(opened(), "sample-gas_daily")
    before = app.query_params["dataset"]
    choice = next(box for box in app.selectbox if box.key == "repair-incomplete_rows")
    app = choice.set_value(0).run()
    assert not app.exception
    assert "What the repairs change" in texts(app)
    app = clicked(app, "make-repairs")
    assert app.query_params["dataset"] != before
    assert "Repaired" in texts(app)
    app = clicked(app, "undo-0")
    assert app.query_params["dataset"] == before
    assert [event.event for event in at.events.read()] == ["data_load", "data_repair", "data_repair"]


def test_anomalies_without_data_says_what_to_do(at: Workplace) -> None:
    app = opened("analysis/anomalies.py")
    assert not app.exception
    assert "There is no data yet" in texts(app)


def test_anomalies_are_found_and_kept(at: Workplace, sample: Dataset) -> None:
    digest = at.datasets.save(sample)
    app = opened("analysis/anomalies.py", dataset=digest)
    app = next(button for button in app.button if button.label == "Find anomalies").click().run()
    assert not app.exception
    assert not app.error
    [event] = at.events.read()
    assert app.query_params["run"] == event.run_id
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Anomalies"] == str(event.details.anomalies_count)
    assert "Ranked rows" in texts(app)
    again = opened("analysis/anomalies.py", dataset=digest, run=str(event.run_id))
    assert {metric.label: metric.value for metric in again.metric} == figures
    assert len(at.events.read()) == 1, "looking again is not a new run"


def test_a_shared_link_shows_the_same_in_another_session(at: Workplace, sample: Dataset) -> None:
    digest = at.datasets.save(sample)
    forest = detectors()["isolation-forest"]()
    found, run = detect(sample, forest, compare_with="entity", at=at, by=Actor("bob", "tests"))
    app = opened("analysis/anomalies.py", dataset=digest, run=run.id)
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Anomalies"] == str(len(found.anomalies))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"dataset": "0" * 64}, "is not stored here"),
        ({"dataset": "../../etc"}, "is not stored here"),
        ({"dataset": "SAMPLE", "run": "f" * 32}, "No run"),
        ({"dataset": "SAMPLE", "run": "../../../etc/passwd"}, "No run"),
    ],
)
def test_an_address_that_leads_nowhere_is_a_message(
    at: Workplace, sample: Dataset, address: dict[str, str], words: str
) -> None:
    digest = at.datasets.save(sample)
    page = "analysis/anomalies.py" if "run" in address else "data/load.py"
    app = opened(page, **{name: digest if value == "SAMPLE" else value for name, value in address.items()})
    assert not app.exception
    assert words in "\n".join(str(error.value) for error in app.error)


def test_an_unexpected_fault_is_a_number_to_quote(
    at: Workplace, sample: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(digest: str) -> Dataset:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("pages.parts.session._dataset", broken)
    app = opened(dataset="0" * 64)
    assert not app.exception
    assert "Quote number" in app.error[0].value
    assert "a fault of ours" not in app.error[0].value
    assert "a fault of ours" in caplog.text


def test_french(at: Workplace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "language", lambda: "fr")
    digest = at.datasets.save(sample)
    app = opened("analysis/anomalies.py", dataset=digest)
    assert app.title[0].value == "Anomalies"
    assert [radio.label.replace("\xa0", " ") for radio in app.radio] == ["Par rapport à quoi ?"]
    assert text.shown(33720).replace("\u202f", " ").replace("\xa0", " ") == "33 720"


def test_two_sessions_do_not_see_each_others_choice(at: Workplace, sample: Dataset) -> None:
    digest = at.datasets.save(sample)
    first, second = opened(dataset=digest), opened()
    assert "sample_gas_daily" in first.title[0].value
    assert "sample_gas_daily" not in second.title[0].value


def test_every_page_has_a_test() -> None:
    """Pages live in sub-folders of pages/; each of them is named in this file or in the browser tests."""
    scripts = {
        path.relative_to(ROOT / "pages").as_posix() for path in (ROOT / "pages").glob("*/*.py") if path.parent.name != "parts"
    }
    said = Path(__file__).read_text() + (ROOT / "tests" / "test_browser.py").read_text()
    assert all(script in said or Path(script).stem in said for script in scripts)
