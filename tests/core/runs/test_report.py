"""Report to hand on: every task, both languages, no request, names that are HTML code."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFoundError
from core.figures.tables import describe_figure, tabulate_figure
from core.language import LANGUAGES, Language
from core.runs.report import build_report
from core.runs.report_html import _escape_markup, _quote_css, _to_script_json, render_report
from core.runs.tracked_run import track_run
from core.spec.task import get_task, list_task_names
from core.workspace import Workspace
from tests.support.commands import run_vigie
from tests.support.report_runs import ALICE, ENTITY, FILE, RUNS, run_anomalies, store_days

MAX_BYTES = 5_000_000
VOID_TAGS = {"meta", "img", "br", "hr", "input", "link"}
CASES = [(task, name) for task, runs in RUNS.items() for name in runs]


class ReportParser(HTMLParser):
    """Parser that collects tags, attributes and the text of a report, and checks that the tags are balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open_tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def parse_report(run: str, workspace: Workspace, language: str = "en") -> tuple[ReportParser, str]:
    page = render_report(build_report(run, workspace), Language(language))
    return ReportParser(page), page


def test_every_task_has_a_report() -> None:
    assert set(RUNS) == set(list_task_names())
    assert [name for name in list_task_names() if not get_task(name).report] == []


@pytest.mark.parametrize(("task", "name"), CASES, ids=lambda value: value)
def test_report_is_whole_and_needs_nothing(task: str, name: str, workspace: Workspace, tmp_path: Path) -> None:
    run = RUNS[task][name](workspace, tmp_path)
    report = build_report(run, workspace)
    for language in LANGUAGES:
        page = render_report(report, Language(language))
        parsed = ReportParser(page)
        assert parsed.open_tags == []
        assert len(page.encode()) < MAX_BYTES
        assert f'<html lang="{language}">' in page
        assert run in parsed.text
        assert_loads_nothing(parsed)
        assert_escapes_names(parsed, len(report.content.figures))
        assert "{" not in parsed.text.partition("Run card" if language == "en" else "Fiche d’exécution")[0]
    assert report.content.key_figures
    assert report.content.summary
    assert report.content.figures or report.content.galleries or name in ("batch", "folder")
    for figure in report.content.figures:
        drawn = figure.draw(Language("en"))
        assert not tabulate_figure(drawn).empty
        assert describe_figure(drawn)


def assert_loads_nothing(parsed: ReportParser) -> None:
    tag_names = {tag for tag, _ in parsed.tags}
    assert not tag_names & {"link", "iframe", "object", "embed", "a", "form", "base", "video", "audio"}
    sources = [attributes["src"] for _, attributes in parsed.tags if attributes.get("src")]
    assert not [source for source in sources if not str(source).startswith("data:image/png;base64,")]
    policies = [attributes.get("content") for tag, attributes in parsed.tags if "http-equiv" in attributes]
    assert str(policies[0]).startswith("default-src 'none';")


def assert_escapes_names(parsed: ReportParser, figures: int) -> None:
    """No element comes from a name: the scripts are the figures, Plotly and what draws them."""
    names = [tag for tag, _ in parsed.tags]
    assert names.count("script") == (figures + 2 if figures else 0)
    handlers = [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert handlers == ["onclick"]  # the button that prints
    assert not {"b", "i", "u"} & {tag for tag, attributes in parsed.tags if attributes}
    for script in parsed.scripts[:figures]:
        json.loads(script)


def test_report_tells_result_in_order(workspace: Workspace, tmp_path: Path) -> None:
    parsed, _page = parse_report(run_anomalies(workspace, tmp_path), workspace)
    headings = ("In short", "Key figures", "Incidents, worst first", "Figures", "Quality of the data")
    headings += ("How sure this is", "Limits of this result", "Run card", "Repeat the run")
    places = [parsed.text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert ENTITY in parsed.text
    assert FILE in parsed.text
    assert "alice <b>" in parsed.text
    assert re.search(r"\d % above the usual [\d.,]+ MWh at 06:00", parsed.text)
    assert "python -m core detect" in parsed.text


def test_report_in_french_has_french_words_and_numbers(workspace: Workspace, tmp_path: Path) -> None:
    parsed, _page = parse_report(run_anomalies(workspace, tmp_path), workspace, "fr")
    assert "Fiche d’exécution" in parsed.text
    assert "extrême" in parsed.text
    assert re.search(r"\d,\d+", parsed.text)
    assert "Run card" not in parsed.text


def test_report_without_its_data_says_so(workspace: Workspace, tmp_path: Path) -> None:
    run = run_anomalies(workspace, tmp_path)
    assert "were not checked" not in parse_report(run, workspace)[0].text
    shutil.rmtree(workspace.settings.vigie_data_dir / "datasets")
    parsed, _page = parse_report(run, workspace)
    assert "The data are not stored here, so they were not checked for this report." in parsed.text
    assert "Values over time, incidents marked" not in parsed.text
    assert "MWh at 06:00" in parsed.text


def test_report_of_run_without_result_is_refused(workspace: Workspace) -> None:
    with (
        pytest.raises(ValueError, match="broken"),
        track_run("anomalies", "Forest", {}, store_days(workspace), ALICE, workspace) as run,
    ):
        raise ValueError("broken")
    with pytest.raises(NotFoundError):
        build_report(run.id, workspace)


def test_report_command_writes_file_in_chosen_language(workspace: Workspace, tmp_path: Path) -> None:
    run = run_anomalies(workspace, tmp_path)
    out = tmp_path / "handed.html"
    process = run_vigie(tmp_path, "report", run, "--out", out, "--lang", "fr", MLFLOW_TRACKING_URI="")
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == str(out)
    assert '<html lang="fr">' in out.read_text(encoding="utf-8")
    refused = run_vigie(tmp_path, "report", run, "--out", out, "--lang", "de", MLFLOW_TRACKING_URI="")
    assert refused.returncode != 0
    assert "--lang" in refused.stderr
    unknown = run_vigie(tmp_path, "report", "0" * 32, "--out", tmp_path / "none.html", MLFLOW_TRACKING_URI="")
    assert unknown.returncode != 0
    assert not (tmp_path / "none.html").exists()


@given(st.text())
def test_text_cannot_leave_script_nor_style(text: str) -> None:
    assert "<" not in _to_script_json({"name": text})
    assert json.loads(_to_script_json({"name": text})) == {"name": text}
    assert re.fullmatch(r'"([a-zA-Z0-9]|\\[0-9a-f]+ )*"', _quote_css(text))


@given(st.text(alphabet='<>/aA \thref="b'))
def test_no_name_is_markup_in_a_figure(text: str) -> None:
    content = _escape_markup({"data": [{"name": text, "text": [text, 1.5, None]}]})
    assert not re.search("<(?!br>)", json.dumps(content))
    assert html.unescape(content["data"][0]["name"]) == html.unescape(text) or "&" in text
    assert content["data"][0]["text"][1:] == [1.5, None]
