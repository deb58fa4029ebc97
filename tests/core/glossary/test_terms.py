"""The glossary: every term is complete, and every metric that needs a word has one."""

import pytest

from core.glossary.terms import TERMS, Term, find_term
from core.spec.metric import METRICS, SCORE_CARD_METRICS
from core.spec.task import list_tasks

MAX_HELP_CHARACTERS = 110


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.name)
def test_term_has_one_line_and_a_paragraph(term: Term) -> None:
    assert len(term.help) <= MAX_HELP_CHARACTERS
    assert term.help.endswith(".")
    assert len(term.text) > len(term.help)
    assert term.text.endswith(".")


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.name)
def test_picture_of_term_has_only_translated_names(term: Term) -> None:
    figure = term.draw(lambda text: f"<{text}>")
    assert figure.data
    names = [trace.name for trace in figure.data if trace.name] + [
        axis.title.text for axis in (figure.layout.xaxis, figure.layout.yaxis) if axis.title.text
    ]
    assert [name for name in names if not name.startswith("<") and name not in ("F1", "+7σ")] == []


def test_metric_names_of_terms_exist() -> None:
    metrics = METRICS.keys() | {metric.name for task in list_tasks() for metric in task.metrics}
    options = {"contamination", "backtest_from", "quantiles", "level", "precision", "recall", "psi"}
    assert {name for term in TERMS.values() for name in term.names} - metrics == options


def test_no_metric_has_two_terms() -> None:
    names = [name for term in TERMS.values() for name in term.names]
    assert len(names) == len(set(names))


def test_quality_metrics_of_score_card_have_terms() -> None:
    assert [name for name in SCORE_CARD_METRICS if find_term(name) is None] == ["delay"]
