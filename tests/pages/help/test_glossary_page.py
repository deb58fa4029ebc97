"""The page of the glossary, and the help that leads to it."""

from core.glossary.terms import TERMS
from pages.components.term_help import explain, link_label
from tests.support.app_pages import open_page


def test_glossary_opens_asked_term_first() -> None:
    app = open_page("help/glossary.py", term="mase")
    assert not app.exception
    assert len(app.expander) == len(TERMS)
    assert app.expander[0].label.startswith("**MASE**")
    assert app.expander[0].proto.expanded
    assert not app.expander[1].proto.expanded


def test_glossary_tells_how_tables_are_used() -> None:
    text = open_page("help/glossary.py").markdown[-1].value
    assert all(key in text for key in ("Tab", "Space", "Enter", "Ctrl+F", "Ctrl+C"))


def test_help_links_to_term_of_metric() -> None:
    assert explain("event_f1").endswith("[Glossary](glossary?term=f1)")
    assert explain("wape", "Sum of the errors.").startswith("Sum of the errors. [")
    assert explain("seconds", "Duration.") == "Duration."
    assert (link_label("vus_pr", "VUS-PR"), link_label("delay", "Delay")) == ("[VUS-PR](glossary?term=vus-pr)", "Delay")
