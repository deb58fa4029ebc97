"""Form of downloaded CSV files, and the report of a run as a file: without a network, in a browser, and printed."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from streamlit.testing.v1 import AppTest

from core.language import Language
from core.runs.report import build_report
from core.runs.report_html import render_report
from core.workspace import Workspace
from tests.support.report_runs import ENTITY, run_anomalies, run_sequences

PAGE_WIDTHS = (1280, 420)


def show_csv_format() -> None:
    import streamlit as st

    from pages.components import downloads

    downloads.show_csv_format_choice()
    st.text(downloads.get_csv_format())


@pytest.mark.parametrize(("language", "csv_format"), [("en", "point"), ("fr", "comma")])
def test_csv_format_follows_language(language: str, csv_format: str) -> None:
    app = AppTest.from_function(show_csv_format, default_timeout=60)
    app.session_state["language"] = language
    assert app.run().text[0].value == csv_format


def test_csv_format_of_person_stays_with_language() -> None:
    app = AppTest.from_function(show_csv_format, default_timeout=60)
    app.session_state["language"] = "fr"
    app.run().radio[0].set_value("point").run()
    assert app.text[0].value == "point"
    app.session_state["language"] = "en"
    app.radio[0].set_value("comma").run()
    assert app.text[0].value == "comma"


# ---- report ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_run", [run_anomalies, run_sequences])
def test_report_file_draws_all_figures_without_network(
    make_run: object, workspace: Workspace, tmp_path: Path, browser: Browser
) -> None:
    """The names of this report are HTML code: none of it runs, and no link comes from it."""
    run = make_run(workspace, tmp_path)  # type: ignore[operator]
    file = tmp_path / "report.html"
    file.write_text(render_report(build_report(run, workspace), Language("en")), encoding="utf-8")
    for width in PAGE_WIDTHS:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        page, problems = context.new_page(), []
        page.on("pageerror", lambda error, problems=problems: problems.append(str(error)))
        page.on("console", lambda message, problems=problems: problems.append(message.text))
        page.on("dialog", lambda dialog, problems=problems: (problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request, problems=problems: problems.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function("document.body.dataset.ready === 'true'")
        assert [url for url in problems if url != file.as_uri()] == []
        plots = page.locator(".plot").count()
        assert plots >= 3
        assert page.locator(".plot:has(svg.main-svg)").count() == plots
        assert page.locator("a").count() == 0
        assert page.locator("#missing").is_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert ENTITY in page.inner_text("body")
        if width == PAGE_WIDTHS[0]:
            check_print(page.pdf(prefer_css_page_size=True))
        context.close()


def check_print(pdf: bytes) -> None:
    """Check that the pages are of A4, in points, and several."""
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert len(boxes) > 2
    assert {(round(float(width)), round(float(height))) for width, height in boxes} == {(595, 842)}


def show_report_button() -> None:
    from pages.components import downloads

    downloads.show_report_button("0" * 32)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_report_is_offered_in_every_language(language: str, page_workspace: Workspace) -> None:
    app = AppTest.from_function(show_report_button, default_timeout=60)
    app.session_state["language"] = language
    app.run()
    assert not app.exception
    assert [button.proto.label for button in app.get("download_button")] == ["English", "Français"]
