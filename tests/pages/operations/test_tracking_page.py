"""The runs page in Streamlit's test harness: search, details, comparison, and no answer from MLflow."""

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import DataError
from core.runs.renaming import rename_run
from core.runs.run_table import DEFAULT_COLUMNS, FACTS
from core.runs.tracked_run import track_run
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace
from pages.components import auth, i18n
from tests.conftest import assert_no_hang, create_workspace, find_free_port
from tests.support.app_pages import click_button, open_page, read_page_text

PAGE = "operations/tracking.py"
ALICE = Actor("alice", "tests")


def record_run(
    dataset: Dataset, workspace: Workspace, task: str = "forecast", wape: float = 0.1, **params: object
) -> str:
    with track_run(task, "Ridge", {"horizon": 7, **params}, dataset, ALICE, workspace) as run:
        run.metrics |= {"wape": wape}
        (run.folder / "note.txt").write_text("x")
    return run.id


def read_run_table(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def list_link_labels(app: AppTest) -> set[str]:
    return {
        str(element.proto.label)
        for kind in ("download_button", "page_link", "link_button")
        for element in app.get(kind)
    }


def set_widget(app: AppTest, key: str, value: str) -> AppTest:
    return next(widget for widget in (*app.text_input, *app.selectbox) if widget.key == key).set_value(value).run()


def test_tracking_page_without_runs_shows_hint(page_workspace: Workspace) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "There are no runs yet" in read_page_text(app)


def test_tracking_page_links_to_mlflow_or_tells_how_to_start_it(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(PAGE)
    [command] = [code.value for code in app.code]
    assert command.startswith("python -m mlflow server --backend-store-uri sqlite:///")
    monkeypatch.setattr("core.workspace.find_mlflow_address", lambda folder: "http://0.0.0.0:5007")
    app = open_page(PAGE)
    assert not app.code
    assert "Open MLflow" in list_link_labels(app)
    [link] = [element.proto.url for element in app.get("link_button") if element.proto.label == "Open MLflow"]
    assert link.startswith("http://127.0.0.1:5007/#/experiments")


def test_tracking_page_lists_and_filters_runs(page_workspace: Workspace, sample: Dataset) -> None:
    record_run(sample, page_workspace, wape=0.0612)
    record_run(sample, page_workspace, task="clusters")
    app = open_page(PAGE)
    assert not app.exception
    years = f"sample_gas_daily {sample.time.min().year}–{sample.time.max().year}"
    assert read_run_table(app)["name"].tolist() == [
        f"Clusters · {years} · Ridge · 1",
        f"Forecast · {years} · Ridge · 1",
    ]
    assert read_run_table(app)["figure"].tolist() == ["–", "WAPE 6.12%"]
    app = set_widget(app, "tracking-task", "forecast")
    assert read_run_table(app)["name"].tolist() == [f"Forecast · {years} · Ridge · 1"]
    assert app.query_params["task"] == "forecast", "a colleague who opens the address sees the same list"
    assert "Lower WAPE is better" in read_page_text(app)
    app = set_widget(app, "tracking-model", "' OR '1'='1")
    assert not app.exception
    assert not app.dataframe
    assert "No run matches these filters" in read_page_text(app)


def test_tracking_page_links_run_to_result(page_workspace: Workspace, sample: Dataset) -> None:
    spec = DetectionSpec(list_detectors()["isolation-forest"](n_estimators=10), baseline="entity")
    _, run = detect(spec, sample, workspace=page_workspace, actor=ALICE)
    app = open_page(PAGE, runs=run.id)
    assert not app.exception
    assert "are not stored here" in read_page_text(app)
    page_workspace.datasets.save(sample)
    app = open_page(PAGE, runs=run.id)
    assert {"Open the result", "English", "Français", "Run card", "Run card (JSON)"} <= list_link_labels(app)
    [link] = app.get("page_link")
    assert link.proto.page == "anomalies"
    assert (sample.digest in link.proto.query_string, run.id in link.proto.query_string) == (True, True)
    assert "Model" in {expander.label for expander in app.expander}
    assert {"Run card", "Run card (JSON)"} <= list_link_labels(
        open_page("analysis/anomalies.py", dataset=sample.digest, run=run.id)
    )


def test_tracking_page_shows_reason_of_failure(page_workspace: Workspace, sample: Dataset) -> None:
    with pytest.raises(DataError), track_run("anomalies", "Forest", {}, sample, ALICE, page_workspace) as run:
        raise DataError("Too few rows in {file}.", file="x.csv")
    app = open_page(PAGE, runs=run.id)
    assert "Too few rows in x.csv" in read_page_text(app)
    assert "Open the result" not in list_link_labels(app)


def test_tracking_page_compares_runs_of_address(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [record_run(sample, page_workspace, wape=wape, alpha=wape) for wape in (0.3, 0.1)]
    app = open_page(PAGE, runs=",".join(run_ids))
    assert not app.exception
    parameters, metrics = app.dataframe[1].value, app.dataframe[2].value
    assert parameters["Parameter"].tolist() == ["Regularisation (α) (alpha)"], "only parameters that differ"
    assert parameters["≠"].tolist() == ["≠"]
    wape = metrics[metrics["Metric"] == "WAPE (wape)"].iloc[0].tolist()[1:]
    assert wape == ["0.3", "★ 0.1"]
    assert app.query_params["runs"] == ",".join(run_ids)
    assert "Comparison (CSV)" in list_link_labels(app)


def test_tracking_page_does_not_rank_other_data(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [
        record_run(sample, page_workspace),
        record_run(sample.filter_rows(sample.entities[:1]), page_workspace, wape=0.01),
    ]
    app = open_page(PAGE, runs=",".join(run_ids))
    assert "different data" in read_page_text(app)
    assert not app.dataframe[2].value.astype(str).apply(lambda column: column.str.contains("★")).any(axis=None)


@pytest.mark.parametrize(
    ("address", "words"),
    [("f" * 32, "The run ffff"), ("../../etc,x", "was not found"), (",".join("abcdef"), "At most 5")],
)
def test_tracking_page_explains_invalid_address(
    page_workspace: Workspace, sample: Dataset, address: str, words: str
) -> None:
    record_run(sample, page_workspace)
    app = open_page(PAGE, runs=address)
    assert not app.exception
    assert words in read_page_text(app)
    assert len(read_run_table(app)) == 1, "the list is still shown"


def test_tracking_page_escapes_hostile_names(page_workspace: Workspace, sample: Dataset) -> None:
    run_id = record_run(sample.replace(files=("<script>*1*.csv",)), page_workspace)
    app = open_page(PAGE, runs=run_id, columns="files,name")
    assert not app.exception
    assert "<script>*1*.csv" in read_run_table(app)["files"].tolist()
    assert "\\<script\\>\\*1\\*" in app.header[0].value, "Markdown shows the name as it is"


def test_tracking_page_does_not_wait_for_silent_mlflow(
    tmp_path: Path, empty_store: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch, page_workspace: Workspace
) -> None:
    folder = tmp_path / "dead"
    folder.mkdir()
    offline_workspace = create_workspace(folder, empty_store, f"http://127.0.0.1:{find_free_port()}")
    run_id = record_run(sample, offline_workspace)
    monkeypatch.setattr("pages.components.cache.get_workspace", lambda: offline_workspace)
    app = open_page(PAGE, runs=run_id)
    offline_workspace.tracking.reset()
    with assert_no_hang():
        app = app.run()
    assert not app.exception
    assert "MLflow does not respond" in read_page_text(app)
    assert "waiting for delivery to MLflow" in read_run_table(app)["status"].iloc[0]


def test_tracking_page_in_french(page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    run_id = record_run(sample, page_workspace)
    app = open_page(PAGE, runs=run_id)
    assert not app.exception
    assert read_run_table(app)["figure"].iloc[0].startswith("WAPE 10\u202f%")
    assert read_run_table(app)["name"].iloc[0].startswith("Prévision · sample_gas_daily")
    app = set_widget(app, "tracking-text", "prévision · sample")
    assert len(read_run_table(app)) == 1, "the name is found as it is shown"


# ---- names, columns and views ---------------------------------------------------------------------------------------


def test_tracking_page_renames_run(page_workspace: Workspace, sample: Dataset) -> None:
    run_id = record_run(sample, page_workspace)
    app = open_page(PAGE, runs=run_id)
    next(field for field in app.text_input if field.key == f"rename-{run_id}-name").set_value("winter *2024*")
    app = click_button(app, f"rename-{run_id}-save")
    assert not app.exception
    assert app.header[0].value == "winter \\*2024\\*"
    assert read_run_table(app)["name"].tolist() == ["winter *2024*"]
    app = set_widget(app, "tracking-text", "WINTER")
    assert len(read_run_table(app)) == 1
    client = MlflowClient(page_workspace.tracking.uri)
    assert client.get_run(run_id).info.run_name == "winter *2024*"


def test_tracking_page_offers_rename_to_owner_only(
    page_workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = record_run(sample, page_workspace)
    monkeypatch.setattr(auth, "is_sign_in_required", lambda: True)
    for name, role, may_rename in (("alice", "analyst", True), ("bob", "analyst", False), ("carol", "operator", True)):
        user = auth.SignedInUser(name, frozenset({role}))
        monkeypatch.setattr(auth, "current_user", lambda user=user: user)
        app = open_page(PAGE, runs=run_id)
        assert not app.exception
        assert any(widget.key == f"rename-{run_id}-name" for widget in app.text_input) == may_rename, name


def test_tracking_page_shows_columns_of_address_in_order(page_workspace: Workspace, sample: Dataset) -> None:
    record_run(sample, page_workspace, alpha=0.5)
    columns = "metrics.wape,params.alpha,name,params.gone,nonsense"
    app = open_page(PAGE, columns=columns)
    assert not app.exception
    table = read_run_table(app)
    assert list(table.columns) == ["metrics.wape", "params.alpha", "name", "params.gone"]
    assert table.iloc[0][["metrics.wape", "params.alpha", "params.gone"]].tolist() == [0.1, "0.5", ""]
    config = json.loads(app.dataframe[0].proto.columns)
    assert (config["params.alpha"]["label"], config["params.alpha"]["help"]) == ("Regularisation (α)", "`alpha`")
    assert (config["params.gone"]["label"], "help" in config["params.gone"]) == ("gone", False)
    [choice] = [widget for widget in app.multiselect if widget.key == "tracking-columns"]
    app = choice.set_value(["name", "metrics.wape"]).run()
    assert list(read_run_table(app).columns) == ["name", "metrics.wape"]
    assert app.query_params["columns"] == "name,metrics.wape"
    app = click_button(app, "tracking-columns-reset")
    assert list(read_run_table(app).columns) == list(DEFAULT_COLUMNS)
    assert "columns" not in app.query_params


def test_tracking_page_saves_opens_and_deletes_view(page_workspace: Workspace, sample: Dataset) -> None:
    record_run(sample, page_workspace)
    record_run(sample, page_workspace, task="clusters")
    app = open_page(PAGE, task="forecast", columns="name,params.horizon")
    set_widget(app, "tracking-view-name", "forecasts *only*")
    app = click_button(app, "tracking-view-save")
    assert not app.exception
    app = open_page(PAGE)
    assert len(read_run_table(app)) == 2
    [view_button] = [button for button in app.button if button.label == "forecasts \\*only\\*"]
    app = view_button.click().run()
    assert list(read_run_table(app).columns) == ["name", "params.horizon"]
    assert len(read_run_table(app)) == 1
    assert app.query_params["task"] == "forecast"
    set_widget(app, "tracking-view-new-name", "mine")
    app = click_button(app, "tracking-view-rename")
    assert [view.name for view in page_workspace.saved_views.list_views("tracking", "")] == ["mine"]
    app = click_button(app, "tracking-view-delete")
    assert page_workspace.saved_views.list_views("tracking", "") == []
    assert not app.exception


@pytest.mark.parametrize("period", ["2026-02-30", "x", ",,", "2026-01-02,2026-01-01,2026-01-03", ","])
def test_tracking_page_accepts_any_period_in_address(page_workspace: Workspace, period: str) -> None:
    app = open_page(PAGE, period=period, status="odd", task="odd", columns=",%2C,%")
    assert not app.exception
    assert not app.error


def test_tracking_page_card_opens_run(page_workspace: Workspace, sample: Dataset) -> None:
    run_id = record_run(sample, page_workspace)
    app = open_page(PAGE)
    [cards] = [widget for widget in app.radio if widget.key == "run-card"]
    assert cards.value is None
    app = cards.set_value(run_id).run()
    assert app.query_params["runs"] == run_id
    assert app.header[0].value.startswith("Forecast · sample\\_gas\\_daily")


def test_tracking_page_card_compares_runs(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [record_run(sample, page_workspace, wape=wape) for wape in (0.3, 0.2, 0.1)]
    app = open_page(PAGE, runs=run_ids[0])
    [compared] = [widget for widget in app.multiselect if widget.key == "compared-cards"]
    assert len(compared.options) == 2
    app = compared.set_value([run_ids[2]]).run()
    assert not app.exception
    assert app.query_params["runs"] == f"{run_ids[0]},{run_ids[2]}"
    assert app.header[0].value == "2 runs compared"
    [cards] = [widget for widget in app.radio if widget.key == "run-card"]
    app = cards.set_value(run_ids[1]).run()
    assert app.query_params["runs"] == f"{run_ids[1]},{run_ids[2]}"


def test_runs_of_same_name_are_told_apart(page_workspace: Workspace, sample: Dataset) -> None:
    run_ids = [record_run(sample, page_workspace) for _ in range(3)]
    for run in run_ids:
        rename_run(run, "winter", workspace=page_workspace, actor=ALICE)
    app = open_page(PAGE, runs=run_ids[0])
    for run in run_ids[1:]:
        [compared] = [widget for widget in app.multiselect if widget.key == "compared-cards"]
        assert len(set(compared.options)) == 2
        app = compared.set_value([run]).run()
        assert app.query_params["runs"] == f"{run_ids[0]},{run}"


# ---- order ----------------------------------------------------------------------------------------------------------


def test_tracking_page_sorts_list_and_keeps_order_in_view(page_workspace: Workspace, sample: Dataset) -> None:
    for wape, depth in ((0.3, 9), (0.1, 10), (0.2, "")):
        record_run(sample, page_workspace, wape=wape, depth=depth)
    app = open_page(PAGE, columns="params.depth,metrics.wape")
    assert read_run_table(app)["metrics.wape"].tolist() == [0.2, 0.1, 0.3], "newest first"
    app = set_widget(app, "tracking-sort", "metrics.wape")
    assert read_run_table(app)["metrics.wape"].tolist() == [0.3, 0.2, 0.1]
    [direction] = [choice for choice in app.segmented_control if choice.key == "tracking-order"]
    app = direction.set_value("ascending").run()
    assert read_run_table(app)["metrics.wape"].tolist() == [0.1, 0.2, 0.3]
    set_widget(app, "tracking-view-name", "by error")
    app = click_button(app, "tracking-view-save")
    [view] = page_workspace.saved_views.list_views("tracking", "")
    assert (view.state["sort"], view.state["order"]) == ("metrics.wape", "ascending")
    app = open_page(PAGE, columns="params.depth", sort="params.depth")
    assert read_run_table(app)["params.depth"].tolist() == ["10", "9", ""], "as numbers, missing ones last"
    assert not app.exception


@pytest.mark.parametrize("column", [*FACTS, "params.horizon", "metrics.wape", "params.unknown", "odd"])
def test_tracking_page_sorts_by_any_column(page_workspace: Workspace, sample: Dataset, column: str) -> None:
    record_run(sample, page_workspace)
    record_run(sample, page_workspace, task="clusters", horizon="a week")
    app = open_page(PAGE, sort=column, order="ascending")
    assert not app.exception
    assert len(read_run_table(app)) == 2
