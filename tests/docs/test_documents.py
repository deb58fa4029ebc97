"""README and docs: commands, options, settings, links and generated files match the code."""

import re
import shlex
from functools import cache
from typing import Any

import pytest

from core.settings import ROOT
from tests.support.commands import run_code
from tests.test_containers import MAKE_VARIABLES, SETTING_NAMES, THIRD_PARTY_VARIABLES

MAX_README_LINES = 100
SOURCE_FOLDERS = ("core", "mlflow_utils", "pages", "tests")
MAX_DESIGN_LINES = 120
TEST_VARIABLES = {"VIGIE_SHARED_DATA", "PYTEST_DEBUG_TEMPROOT"}


@cache
def read_documents() -> dict[str, str]:
    """Return the text of every document by its path."""
    paths = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


@cache
def list_options() -> dict[str, set[str]]:
    """Return the options of every command by its words: "sequences train" → {"--detector", …}."""
    from typer.main import get_command

    from core.__main__ import build_app

    options: dict[str, set[str]] = {}

    def add_command(command: Any, words: list[str]) -> None:
        for word, child in getattr(command, "commands", {}).items():
            add_command(child, [*words, word])
        options[" ".join(words)] = {option for param in command.params for option in param.opts} | {"--help"}

    add_command(get_command(build_app()), [])
    return options


def extract_code(text: str) -> list[str]:
    """Return inline code and the lines of code blocks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


def find_commands(text: str) -> list[list[str]]:
    """Return the words after `python -m core` of every command in a document."""
    commands = [line.partition("python -m core ")[2] for line in extract_code(text) if "python -m core " in line]
    return [shlex.split(command.partition(" #")[0], comments=True) for command in commands]


@pytest.mark.parametrize("name", sorted(read_documents()))
def test_document_commands_and_options_exist(name: str) -> None:
    for words in find_commands(read_documents()[name]):
        candidates = [" ".join(words[:count]) for count in (3, 2, 1) if " ".join(words[:count]) in list_options()]
        assert candidates or words[0].startswith("-"), words
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= list_options()[candidates[0] if candidates else ""], words


@pytest.mark.parametrize("name", sorted(read_documents()))
def test_document_make_targets_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    lines = [text for text in extract_code(read_documents()[name]) if text.startswith("make ")]
    words = {word for line in lines for word in shlex.split(line, comments=True)[1:]}
    assert {word for word in words if "=" not in word} <= targets
    assert {word.partition("=")[0] for word in words if "=" in word} <= MAKE_VARIABLES


@pytest.mark.parametrize("name", sorted(read_documents()))
def test_document_variables_exist(name: str) -> None:
    variables = {
        word
        for text in extract_code(read_documents()[name])
        for word in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text)
    }
    known = SETTING_NAMES | THIRD_PARTY_VARIABLES | MAKE_VARIABLES | TEST_VARIABLES | read_constants()
    assert variables <= known | ({"JOBS_URL"} if "decisions" in name else set())


@cache
def read_constants() -> set[str]:
    """Return the constants of the product and the metavariables of its commands."""
    sources = [path.read_text(encoding="utf-8") for room in ("core", "pages") for path in (ROOT / room).rglob("*.py")]
    return {word for text in sources for word in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", text)}


@pytest.mark.parametrize("name", sorted(read_documents()))
def test_document_links_resolve(name: str) -> None:
    folder = (ROOT / name).parent
    targets = re.findall(r"\]\(([^)\s]+)", read_documents()[name])
    for target in targets:
        path, _, anchor = target.partition("#")
        if target.startswith("http"):
            continue
        assert not path or (folder / path).exists(), target
        if anchor and path.endswith(".md"):
            assert anchor in list_anchors((folder / path).read_text(encoding="utf-8")), target


def list_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}


@pytest.mark.parametrize("name", sorted(set(read_documents()) - {"docs/design.md"}))
def test_document_paths_exist(name: str) -> None:
    """Folders of the repository that a document names in backticks exist."""
    texts = re.findall(r"`([^`\n]+)`", read_documents()[name])
    paths = {text for text in texts if re.fullmatch(r"(?:core|pages|tests|docs|mlflow_utils|locales)/[\w./-]*", text)}
    planned = {"core/tasks/limit", "pages/analysis/limit.py", "locales/de/LC_MESSAGES/vigie.po"}
    assert not [path for path in sorted(paths - planned) if not (ROOT / path).exists()]


def test_test_book_names_existing_tests() -> None:
    """Every file of tests exists, and every test after its name is in it."""
    names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", read_documents()["docs/testing.md"])
    assert names
    for path, test in names:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8") if test else (ROOT / path).exists(), (
            path,
            test,
        )


@pytest.mark.parametrize("name", sorted(name for name in read_documents() if "how-to" in name or "design" in name))
def test_document_code_names_exist(name: str) -> None:
    """Classes, functions and constants that a guide names in backticks exist."""
    texts = re.findall(r"`([\w.]+)(?:\([^`]*\))?`", re.sub(r"```.*?```", "", read_documents()[name], flags=re.DOTALL))
    names = {text.rpartition(".")[2] for text in texts if not text.endswith((".py", ".md"))}
    code_names = {
        word for word in names if re.fullmatch(r"[A-Z][a-z]\w*[A-Z]\w*|[a-z]+(?:_[a-z]+)+|[A-Z]+(?:_[A-Z]+)+", word)
    }
    assert code_names - THIRD_PARTY_VARIABLES - SETTING_NAMES <= read_code_words()


@cache
def read_code_words() -> set[str]:
    """Return the words of the product and of its tests."""
    sources = [path.read_text(encoding="utf-8") for room in SOURCE_FOLDERS for path in (ROOT / room).rglob("*.py")]
    return {word for text in sources for word in re.findall(r"[A-Za-z_]\w+", text)}


def test_readme_and_design_are_short() -> None:
    assert len(read_documents()["README.md"].splitlines()) <= MAX_README_LINES
    assert len(read_documents()["docs/design.md"].splitlines()) <= MAX_DESIGN_LINES


def test_decision_index_lists_every_decision() -> None:
    files = {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    index = read_documents()["docs/decisions/README.md"]
    assert set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index)) == files
    for name in files:
        text = read_documents()[f"docs/decisions/{name}"]
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_design_links_every_guide() -> None:
    links = set(re.findall(r"\]\(how-to/([\w-]+\.md)\)", read_documents()["docs/design.md"]))
    assert links == {path.name for path in (ROOT / "docs" / "how-to").glob("*.md")}


def test_generated_documents_match_code() -> None:
    """Run the generator in a process where no test has registered anything, and compare its texts with the files."""
    code = (
        "import json, runpy; "
        f"texts = runpy.run_path({str(ROOT / 'docs' / 'reference' / 'make.py')!r})['build_files'](); "
        "print(json.dumps([str(path) for path, text in texts.items() if path.read_text(encoding='utf-8') != text]))"
    )
    process = run_code(code)
    assert process.stdout.strip() == "[]", f"run `python docs/reference/make.py` {process.stderr}"
