"""Sequences page in Streamlit's test harness, with a worker that executes its jobs."""

import re
import time
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.jobs.worker import Worker
from core.language import load_catalogue
from core.spec.spec import ApplySpec
from core.tasks.comparison.run import compare, load_comparison
from core.tasks.comparison.spec import ComparisonSpec
from core.tasks.sequences.run import load_sequences, train
from core.tasks.sequences.spec import FAST_DETECTORS, SequenceSpec, list_detectors
from core.workspace import Workspace
from pages.components import forms, i18n
from tests.support.app_pages import click_button, open_form, open_page, promote_first_model, read_page_text
from tests.support.sample_sequences import make_series

BOB = Actor("bob", "tests")
PAGE = "analysis/sequences.py"
JOB_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def kpis() -> Dataset:
    return load_sample("server_kpis")


def read_metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def get_table(app: AppTest, key: str) -> pd.DataFrame:
    """Return the table of the page that has the column `key`."""
    return next(element.value for element in app.dataframe if key in element.value.columns)


def list_tabs(app: AppTest) -> set[str]:
    return {tab.label for tab in app.tabs}


def get_widget(app: AppTest, key: str) -> Any:
    kinds = (
        "selectbox",
        "number_input",
        "select_slider",
        "button_group",
        "date_input",
        "multiselect",
        "text_input",
        "datetime_input",
    )
    return next(element for kind in kinds for element in app.get(kind) if element.key == key)


def list_widget_keys(app: AppTest) -> set[str]:
    return {
        element.key
        for kind in ("selectbox", "number_input", "select_slider", "date_input", "text_input", "datetime_input")
        for element in app.get(kind)
    }


def wait_for_run(app: AppTest) -> AppTest:
    """Rerun the page until its job has ended."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while "work" in app.query_params or "run" not in app.query_params:
        assert time.monotonic() < deadline, read_page_text(app)
        if app.error:
            return app
        time.sleep(0.2)
        app = app.run()
    return app


def fit_model(workspace: Workspace, dataset: Dataset, detector: str = "pca-residual", **options: Any) -> dict[str, str]:
    """Train a model. Return the query parameters that open its result."""
    _, run = train(SequenceSpec(list_detectors()[detector](), **options), dataset, workspace=workspace, actor=BOB)
    return {"dataset": workspace.datasets.save(dataset), "run": run.id}


# ---- empty states ---------------------------------------------------------------------------------------------------


def test_sequences_page_without_data_shows_hint(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No data are loaded" in read_page_text(app)


def test_sequences_page_with_too_few_rows(page_workspace: Workspace) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(make_series(1, 12)))
    assert not app.exception
    assert "These data have only 12 rows" in read_page_text(app)
    assert "sequences-detector" not in list_widget_keys(app)


def test_sequences_page_without_events(page_workspace: Workspace) -> None:
    calm = make_series(1)
    values = calm.values.copy()
    values[365:385] = values[300:320]
    calm = calm.replace(frame=pd.DataFrame(values, index=calm.frame.index, columns=calm.columns))
    app = open_page(PAGE, **fit_model(page_workspace, calm, threshold="pot", amount=0.00001))
    assert not app.exception
    assert read_metrics(app)["Events"] == "0"
    assert "No row has a score above the threshold" in read_page_text(app)


# ---- form and job ---------------------------------------------------------------------------------------------------


def test_sequences_page_runs_job_and_keeps_address(page_workspace: Workspace, kpis: Dataset, worker: Worker) -> None:
    digest = page_workspace.datasets.save(kpis)
    app = wait_for_run(click_button(open_page(PAGE, dataset=digest), "sequences-ask"))
    assert not app.exception
    assert not app.error
    run = app.query_params["run"]
    result = load_sequences(run, page_workspace)
    assert read_metrics(app)["Events"] == str(len(result.events))
    assert read_metrics(app)["False alarms per week"] == "0"
    assert (result.model_spec.threshold, result.model_spec.amount, result.per) == ("alarms", 2.0, "week")
    assert result.model_spec.until == "2024-03-06 00:00:00"
    assert {"Over time", "Score card", "Model"} <= list_tabs(app)
    reopened = open_page(PAGE, dataset=digest, run=run)
    assert read_metrics(reopened) == read_metrics(app)
    assert len(page_workspace.events.read_events()) == 1, "opening the result again starts no run"


def test_sequences_page_adapts_settings(page_workspace: Workspace, kpis: Dataset, worker: Worker) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(kpis))
    assert "recommended first" in get_widget(app, "sequences-detector").options[0]
    app = get_widget(app, "sequences-detector").set_value("moving-mean").run()
    assert "sequences-detector-moving-mean.window" in list_widget_keys(app)
    app = get_widget(app, "sequences-detector").set_value("sgmvrnn").run()
    assert not app.exception
    assert {
        "sequences-detector-sgmvrnn.window",
        "sequences-detector-sgmvrnn.seed",
        "sequences-detector-sgmvrnn.device",
    } <= list_widget_keys(app)
    assert get_widget(app, "sequences-detector-sgmvrnn.scoring").options == ["windows", "streaming"]
    rate = get_widget(app, "sequences-detector-sgmvrnn.learning_rate")
    assert (rate.value, rate.step, rate.proto.format) == (0.001, 0.0005, "%g")
    app = get_widget(app, "sequences-detector").set_value("moving-mean").run()
    app = get_widget(app, "sequences-threshold").set_value("contamination").run()
    assert {"sequences-amount", "sequences-per"}.isdisjoint(list_widget_keys(app))
    app = get_widget(app, "sequences-scaling").set_value("robust").run()
    app = wait_for_run(click_button(app, "sequences-ask"))
    result = load_sequences(app.query_params["run"], page_workspace)
    assert isinstance(result.spec, SequenceSpec)
    assert (result.spec.detector.name, result.spec.scaling, result.spec.threshold, result.spec.amount) == (
        "moving-mean",
        "robust",
        "contamination",
        0.01,
    )
    assert "It has no target false-alarm rate" in read_page_text(app)
    app = get_widget(open_form(app, "sequences"), "sequences-threshold").set_value("best_f1").run()
    assert "an upper bound" in read_page_text(app)


@pytest.mark.parametrize(
    ("default", "low", "high", "clicked"),
    [
        (0.001, 1e-6, 0.1, 0.0005),
        (1.0, 0.01, 1.0, 0.05),
        (0.9, 0.05, 0.999, 0.05),
        (60.0, 0.1, 86_400.0, 5.0),
        (-3.0, -10.0, 2.0, 0.5),
        (0.0, 0.0, 1.0, 0.05),
    ],
)
def test_input_step_follows_default_and_range(default: float, low: float, high: float, clicked: float) -> None:
    assert forms.compute_input_step(default, low, high) == clicked


def test_sequences_page_counts_alarms_per_thousand_rows(page_workspace: Workspace, worker: Worker) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(load_sample("kpi_matrix")))
    assert get_widget(app, "sequences-per").options == ["per 1,000 rows"]
    assert get_widget(app, "sequences-until-row").value == 3600
    app = wait_for_run(click_button(app, "sequences-ask"))
    assert not app.exception
    assert "False alarms per 1,000 rows" in read_metrics(app)


def test_sequences_page_accepts_daily_profile(page_workspace: Workspace, sample: Dataset, worker: Worker) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample))
    assert "sequences-until-day" in list_widget_keys(app)
    app = wait_for_run(click_button(app, "sequences-ask"))
    assert not app.exception
    assert not app.error
    assert "sequence-entity" in list_widget_keys(app)


def test_sequences_page_offers_training_part(page_workspace: Workspace) -> None:
    dataset = make_series(1)
    part = pd.DataFrame({"part": pd.Categorical(["train"] * 150 + ["test"] * 250)}, index=dataset.frame.index)
    app = open_page(PAGE, dataset=page_workspace.datasets.save(dataset.replace(context=part)))
    assert not app.exception
    assert get_widget(app, "sequences-part").value == "the end of the training part"


def test_sequences_page_shows_job_error(page_workspace: Workspace, worker: Worker) -> None:
    app = open_page(PAGE, dataset=page_workspace.datasets.save(make_series(1, 24, dated=False)))
    app = get_widget(app, "sequences-until-row").set_value(2).run()
    app = wait_for_run(click_button(app, "sequences-ask"))
    assert "Too few rows for training" in app.error[0].value


def test_sequences_page_applies_saved_model(page_workspace: Workspace, kpis: Dataset, worker: Worker) -> None:
    first = fit_model(page_workspace, kpis)
    app = open_page(PAGE, dataset=first["dataset"])
    app = get_widget(app, "sequences-mode").set_value(1).run()
    app = wait_for_run(click_button(app, "sequences-ask"))
    assert not app.error
    assert load_sequences(app.query_params["run"], page_workspace).spec == ApplySpec(
        first["run"], dataset=first["dataset"]
    )
    assert next(button for button in open_form(app, "sequences").button if button.key == "comparison-ask").disabled
    assert "The threshold comes from run" in read_page_text(app)


def test_sequences_page_promotes_model_by_force(page_workspace: Workspace, kpis: Dataset) -> None:
    address = fit_model(page_workspace, kpis)
    app = open_page(PAGE, **address)
    app.session_state["sequence-view"] = "Model"
    promote_first_model(app.run(), "sequences")


# ---- result ---------------------------------------------------------------------------------------------------------


def test_sequences_page_explains_event(page_workspace: Workspace, kpis: Dataset) -> None:
    app = open_page(PAGE, **fit_model(page_workspace, kpis))
    assert "#1 · ★ extreme · series" in read_page_text(app)
    page_text = read_page_text(app)
    assert re.search(r"Causes: errors \d\d %", page_text)
    assert "**errors: 0.8598**, usually 0." in page_text
    assert "It would not have been flagged with **errors 0." in page_text
    table = get_table(app, "causes")
    assert list(table)[:7] == ["severity", "entity", "start", "measured", "usual", "causes", "duration"]
    assert str(table["causes"].iloc[0]) in page_text, "the table and the event name the same causes"
    assert table["duration"].iloc[0].endswith(" min")
    app = get_widget(app, "event-severity").set_value([2]).run()
    assert not app.exception


def test_sequences_page_strikes_point_adjusted_f1_through(page_workspace: Workspace, kpis: Dataset) -> None:
    app = open_page(PAGE, **fit_model(page_workspace, kpis))
    app.session_state["sequence-view"] = "Score card"
    page_text = read_page_text(app.run())
    assert "(VUS-PR" in page_text
    assert "~~Point-adjusted F1~~" in page_text
    assert "VUS window: 100 rows" in page_text
    assert "random scores can reach" in page_text


def test_sequences_page_warns_about_excess_alarms(page_workspace: Workspace, kpis: Dataset) -> None:
    app = open_page(PAGE, **fit_model(page_workspace, kpis, "level-shift", amount=1.0, per="1000 rows"))
    assert "The evaluated rows differ from the held-out rows of the" in app.warning[0].value
    unlabelled = kpis.replace(labels=None)
    app = open_page(PAGE, **fit_model(page_workspace, unlabelled, amount=1.0, per="1000 rows"))
    assert "More rows are flagged than the target false-alarm rate" in app.warning[0].value
    assert "Score card" not in list_tabs(app)


def test_sequences_page_hides_values_of_other_data(page_workspace: Workspace, kpis: Dataset, sample: Dataset) -> None:
    run = fit_model(page_workspace, kpis)["run"]
    app = open_page(PAGE, dataset=page_workspace.datasets.save(sample), run=run)
    assert not app.exception
    assert "This result belongs to other data than the loaded data" in read_page_text(app)
    assert "sequence-values" not in {element.key for element in app.multiselect}


def test_sequences_page_compares_detectors_by_labels(page_workspace: Workspace, kpis: Dataset, worker: Worker) -> None:
    app = wait_for_run(click_button(open_page(PAGE, dataset=page_workspace.datasets.save(kpis)), "comparison-ask"))
    assert not app.exception
    comparison = load_comparison(app.query_params["run"], page_workspace)
    assert set(comparison.card["line"]) == {*FAST_DETECTORS, "random", "mean_distance"}
    assert comparison.winner not in ("random", "mean_distance")
    assert comparison.card["vus_pr"].is_monotonic_decreasing
    assert "(VUS-PR" in read_page_text(app)
    assert comparison.injected_count == 0


def test_sequences_page_compares_detectors_by_injected_anomalies(page_workspace: Workspace) -> None:
    dataset = make_series(2, 600)
    comparison, run = compare(ComparisonSpec(), dataset, workspace=page_workspace, actor=BOB)
    assert comparison.injected_count > 20
    assert comparison.copy_count == 10_000 // 300
    assert comparison.card.set_index("line").loc["pca-residual", "hit_100"] > 0
    app = open_page(PAGE, dataset=page_workspace.datasets.save(dataset), run=run.id)
    assert "The ranking is valid for injected anomalies only" in read_page_text(app)
    assert "Hit rate @100" in read_page_text(app)
    assert run.metrics["random.vus_pr"] < max(comparison.card["vus_pr"])


def test_sequences_page_in_french(page_workspace: Workspace, kpis: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    address = fit_model(page_workspace, kpis)
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    app = open_page(PAGE, **address)
    assert not app.exception
    assert app.title[0].value == load_catalogue("fr").gettext("Sequences")
