"""Sequences page in Streamlit's test harness, with a worker that executes its jobs."""

import time
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.jobs.worker import Worker
from core.spec.spec import ApplySpec
from core.tasks.comparison.run import compare, load_comparison
from core.tasks.comparison.spec import ComparisonSpec
from core.tasks.sequences.run import load_sequences, train
from core.tasks.sequences.spec import SequenceSpec, detectors
from core.workspace import Workspace
from pages.components import forms, i18n
from tests.test_pages import at, clicked, opened, promoted_by_force, texts  # noqa: F401
from tests.test_sequences import several

BY = Actor("bob", "tests")
PAGE = "analysis/sequences.py"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def server() -> Dataset:
    return load_sample("server_kpis")


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def labels(app: AppTest) -> set[str]:
    return {tab.label for tab in app.tabs}


def widget(app: AppTest, key: str) -> Any:
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
    return next(each for kind in kinds for each in app.get(kind) if each.key == key)


def keys(app: AppTest) -> set[str]:
    return {
        each.key
        for kind in ("selectbox", "number_input", "select_slider", "date_input", "text_input", "datetime_input")
        for each in app.get(kind)
    }


def answered(app: AppTest) -> AppTest:
    """Rerun the page until its job has ended."""
    until = time.monotonic() + PATIENCE
    while "work" in app.query_params or "run" not in app.query_params:
        assert time.monotonic() < until, texts(app)
        if app.error:
            return app
        time.sleep(0.2)
        app = app.run()
    return app


def trained(at: Workspace, dataset: Dataset, detector: str = "pca-residual", **asked: Any) -> dict[str, str]:  # noqa: F811
    """Train a model. Return the query parameters that open its result."""
    _, run = train(SequenceSpec(detectors()[detector](), **asked), dataset, workspace=at, actor=BY)
    return {"dataset": at.datasets.save(dataset), "run": run.id}


# ---- empty states ---------------------------------------------------------------------------------------------------


def test_without_data_it_says_what_to_do(at: Workspace) -> None:  # noqa: F811
    app = opened(PAGE)
    assert not app.exception
    assert "There is no data yet" in texts(app)


def test_too_few_rows(at: Workspace) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(several(1, 12)))
    assert not app.exception
    assert "These data have 12 rows: too few" in texts(app)
    assert "sequences-detector" not in keys(app)


def test_nothing_above_the_threshold(at: Workspace) -> None:  # noqa: F811
    calm = several(1)
    values = calm.values.copy()
    values[365:385] = values[300:320]
    calm = calm.replace(frame=pd.DataFrame(values, index=calm.frame.index, columns=calm.columns))
    app = opened(PAGE, **trained(at, calm, threshold="pot", amount=0.00001))
    assert not app.exception
    assert figures(app)["Events"] == "0"
    assert "No row lies above the threshold" in texts(app)


# ---- form and job ---------------------------------------------------------------------------------------------------


def test_a_job_answers_and_the_address_keeps_it(at: Workspace, server: Dataset, worker: Worker) -> None:  # noqa: F811
    digest = at.datasets.save(server)
    app = answered(clicked(opened(PAGE, dataset=digest), "sequences-ask"))
    assert not app.exception
    assert not app.error
    run = app.query_params["run"]
    found = load_sequences(run, at)
    assert figures(app)["Events"] == str(len(found.events))
    assert figures(app)["False alarms a week"] == "0"
    assert (found.model_spec.threshold, found.model_spec.amount, found.per) == ("alarms", 2.0, "week")
    assert found.model_spec.until == "2024-03-06 00:00:00"
    assert {"Over time", "Score card", "Model"} <= labels(app)
    again = opened(PAGE, dataset=digest, run=run)
    assert figures(again) == figures(app)
    assert len(at.events.read()) == 1, "opening the result again starts no run"


def test_the_settings_change_with_the_detector_and_the_threshold(
    at: Workspace,  # noqa: F811
    server: Dataset,
    worker: Worker,
) -> None:
    app = opened(PAGE, dataset=at.datasets.save(server))
    assert "try first" in widget(app, "sequences-detector").options[0]
    app = widget(app, "sequences-detector").set_value("moving-mean").run()
    assert "sequences-detector-moving-mean.window" in keys(app)
    app = widget(app, "sequences-detector").set_value("sgmvrnn").run()
    assert not app.exception
    assert {
        "sequences-detector-sgmvrnn.window",
        "sequences-detector-sgmvrnn.seed",
        "sequences-detector-sgmvrnn.device",
    } <= keys(app)
    assert widget(app, "sequences-detector-sgmvrnn.scoring").options == ["windows", "streaming"]
    rate = widget(app, "sequences-detector-sgmvrnn.learning_rate")
    assert (rate.value, rate.step, rate.proto.format) == (0.001, 0.0005, "%g")
    app = widget(app, "sequences-detector").set_value("moving-mean").run()
    app = widget(app, "sequences-threshold").set_value("contamination").run()
    assert {"sequences-amount", "sequences-per"}.isdisjoint(keys(app))
    app = widget(app, "sequences-scaling").set_value("robust").run()
    app = answered(clicked(app, "sequences-ask"))
    found = load_sequences(app.query_params["run"], at)
    assert isinstance(found.spec, SequenceSpec)
    assert (found.spec.detector.name, found.spec.scaling, found.spec.threshold, found.spec.amount) == (
        "moving-mean",
        "robust",
        "contamination",
        0.01,
    )
    assert "it promises nothing" in texts(app)
    app = widget(app, "sequences-threshold").set_value("best_f1").run()
    assert "an upper bound" in texts(app)


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
def test_a_click_moves_a_number_by_its_own_size(default: float, low: float, high: float, clicked: float) -> None:
    assert forms.input_step(default, low, high) == clicked


def test_without_dates_alarms_are_counted_per_thousand_rows(at: Workspace, worker: Worker) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(load_sample("kpi_matrix")))
    assert widget(app, "sequences-per").options == ["per 1,000 rows"]
    assert widget(app, "sequences-until-row").value == 3600
    app = answered(clicked(app, "sequences-ask"))
    assert not app.exception
    assert "False alarms per 1,000 rows" in figures(app)


def test_days_of_a_profile(at: Workspace, sample: Dataset, worker: Worker) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(sample))
    assert "sequences-until-day" in keys(app)
    app = answered(clicked(app, "sequences-ask"))
    assert not app.exception
    assert not app.error
    assert "sequence-entity" in keys(app)


def test_the_training_part_of_a_file(at: Workspace) -> None:  # noqa: F811
    dataset = several(1)
    part = pd.DataFrame({"part": pd.Categorical(["train"] * 150 + ["test"] * 250)}, index=dataset.frame.index)
    app = opened(PAGE, dataset=at.datasets.save(dataset.replace(context=part)))
    assert not app.exception
    assert widget(app, "sequences-part").value == "the end of the training part"


def test_what_cannot_be_answered_is_said_on_the_page(at: Workspace, worker: Worker) -> None:  # noqa: F811
    app = opened(PAGE, dataset=at.datasets.save(several(1, 24, dated=False)))
    app = widget(app, "sequences-until-row").set_value(2).run()
    app = answered(clicked(app, "sequences-ask"))
    assert "too few to learn from" in app.error[0].value


def test_a_saved_model_is_applied(at: Workspace, server: Dataset, worker: Worker) -> None:  # noqa: F811
    first = trained(at, server)
    app = opened(PAGE, dataset=first["dataset"])
    app = widget(app, "sequences-mode").set_value(1).run()
    app = answered(clicked(app, "sequences-ask"))
    assert not app.error
    assert load_sequences(app.query_params["run"], at).spec == ApplySpec(first["run"], dataset=first["dataset"])
    assert next(button for button in app.button if button.key == "comparison-ask").disabled
    assert "The threshold is that of the run" in texts(app)


def test_the_model_is_registered_and_promoted_by_force(at: Workspace, server: Dataset) -> None:  # noqa: F811
    address = trained(at, server)
    app = opened(PAGE, **address)
    app.session_state["sequence-view"] = "Model"
    promoted_by_force(app.run(), "sequences")


# ---- result ---------------------------------------------------------------------------------------------------------


def test_an_event_is_opened_and_explained(at: Workspace, server: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, **trained(at, server))
    assert "#1 · ★ extreme · sample_server_kpis" in texts(app)
    assert "In this order: errors" in texts(app)
    app = widget(app, "event-ranking").set_value("share").run()
    assert "errors 9" in texts(app)
    app = widget(app, "event-severity").set_value([2]).run()
    assert not app.exception


def test_the_score_card_strikes_point_adjusted_f1_through(at: Workspace, server: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, **trained(at, server))
    app.session_state["sequence-view"] = "Score card"
    said = texts(app.run())
    assert "comes first: VUS-PR" in said
    assert "~~Point-adjusted F1~~" in said
    assert "Window of VUS: 100 rows" in said
    assert "random scores reach" in said


def test_more_alarms_than_promised_are_told(at: Workspace, server: Dataset) -> None:  # noqa: F811
    app = opened(PAGE, **trained(at, server, "mean-distance", amount=1.0, per="1000 rows"))
    assert "The promise does not hold here" in app.warning[0].value
    unlabelled = server.replace(labels=None)
    app = opened(PAGE, **trained(at, unlabelled, amount=1.0, per="1000 rows"))
    assert "More rows are flagged than false alarms alone would explain" in app.warning[0].value
    assert "Score card" not in labels(app)


def test_a_result_of_other_data_is_shown_without_its_values(at: Workspace, server: Dataset, sample: Dataset) -> None:  # noqa: F811
    run = trained(at, server)["run"]
    app = opened(PAGE, dataset=at.datasets.save(sample), run=run)
    assert not app.exception
    assert "data other than those loaded" in texts(app)
    assert "sequence-values" not in {each.key for each in app.multiselect}


def test_detectors_are_compared_by_their_labels(at: Workspace, server: Dataset, worker: Worker) -> None:  # noqa: F811
    app = answered(clicked(opened(PAGE, dataset=at.datasets.save(server)), "comparison-ask"))
    assert not app.exception
    found = load_comparison(app.query_params["run"], at)
    assert set(found.card["line"]) == {"pca-residual", "moving-mean", "kmeans-ad", "sub-pca", "random", "mean_distance"}
    assert found.winner not in ("random", "mean_distance")
    assert found.card["vus_pr"].is_monotonic_decreasing
    assert "comes first: VUS-PR" in texts(app)
    assert found.injected == 0


def test_detectors_are_compared_by_planted_anomalies(at: Workspace) -> None:  # noqa: F811
    dataset = several(2, 600)
    found, run = compare(ComparisonSpec(), dataset, workspace=at, actor=BY)
    assert found.injected > 20
    assert found.copies == 10_000 // 300
    assert found.card.set_index("line").loc["pca-residual", "hit_100"] > 0
    app = opened(PAGE, dataset=at.datasets.save(dataset), run=run.id)
    assert "anomalies were planted" in texts(app)
    assert "Hit rate @100" in texts(app)
    assert run.metrics["random.vus_pr"] < max(found.card["vus_pr"])


def test_french(at: Workspace, server: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    address = trained(at, server)
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    app = opened(PAGE, **address)
    assert not app.exception
    assert app.title[0].value == i18n.catalogue("fr").gettext("Sequences")
