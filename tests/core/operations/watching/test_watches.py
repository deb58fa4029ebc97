"""Watches of persons: what is suggested for a run, what is refused, and what is recorded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.errors import AccessDeniedError, InputError, NotFoundError, OptionError, VigieError
from core.operations.watching.reading import pin_reading
from core.operations.watching.tick import run_watch_now
from core.operations.watching.watches import (
    add_recipient,
    add_watch,
    change_watch,
    check_watch,
    list_recipients,
    list_watches,
    pause_watch,
    remove_recipient,
    remove_watch,
    suggest_watch,
)
from core.spec.spec import ApplySpec
from core.tasks.anomalies.run import apply_model, detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.clusters.run import cluster
from core.tasks.clusters.spec import ClusteringSpec
from core.watches.source import FolderSource
from core.watches.watch import Recipient, Watch
from core.workspace import Workspace
from tests.support.watched_power import ALICE, FIRST_WATCHED, make_rows, train_power_model, watch_inbox, write_rows


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Workspace, str]:
    """A workspace with a model, and the id of its run."""
    return train_power_model(tmp_path_factory.mktemp("watches"), empty_store)


@pytest.fixture
def watch(trained_model: tuple[Workspace, str]) -> Watch:
    """A watch that can be asked."""
    workspace, run_id = trained_model
    (workspace.folder / "inbox").mkdir(exist_ok=True)
    return suggest_watch(run_id, workspace)


def test_suggestion_follows_run(trained_model: tuple[Workspace, str], watch: Watch) -> None:
    workspace, run_id = trained_model
    assert (watch.name, watch.task, watch.model, watch.schedule) == ("anomalies-power", "anomalies", run_id, "1 hour")
    assert watch.source == FolderSource(path=str(workspace.folder / "inbox"))
    assert watch.reading == {
        "layout": "tidy_series",
        "roles": ["time=time", "site=entity", "power=measure", "voltage=measure"],
    }
    assert watch.max_silence_minutes == 5 * 60


def test_applied_run_is_watched_by_its_model(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    rows = load([write_rows(make_rows(FIRST_WATCHED, 24), workspace.folder / "later.csv")])
    workspace.datasets.save(rows)
    _, applied = apply_model(ApplySpec(model=run_id), rows, workspace=workspace, actor=ALICE)
    assert suggest_watch(applied.id, workspace).model == run_id


def test_result_without_judge_cannot_be_watched(trained_model: tuple[Workspace, str]) -> None:
    workspace, _ = trained_model
    data = load([workspace.folder / "power.csv"])
    _, run = cluster(ClusteringSpec(), data, workspace=workspace, actor=ALICE)
    with pytest.raises(OptionError, match=r"clusters cannot be watched\. Accepted: anomalies, intervals, sequences"):
        suggest_watch(run.id, workspace)


def test_data_without_dates_cannot_be_watched(trained_model: tuple[Workspace, str]) -> None:
    workspace, _ = trained_model
    values = np.random.default_rng(0).normal(10, 1, (60, 2))
    data = Dataset(pd.DataFrame(values, make_index(["a"] * 60, range(60)), ["x", "y"]), "kpi_matrix", files=("x.csv",))
    workspace.datasets.save(data)
    _, run = detect(DetectionSpec(), data, workspace=workspace, actor=ALICE)
    with pytest.raises(OptionError, match="without dates at regular steps"):
        suggest_watch(run.id, workspace)


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"schedule": "sometimes"}, OptionError, "'sometimes' is not accepted"),
        ({"refit": "sometimes"}, OptionError, "'sometimes' is not accepted"),
        ({"zone": "Mars/Olympus"}, OptionError, "Mars/Olympus"),
        ({"task": "clusters"}, OptionError, "cannot be watched"),
        ({"task": "nothing"}, OptionError, "cannot be watched"),
        ({"model": "0" * 32}, NotFoundError, "was not found"),
        ({"model": "nobody@champion"}, NotFoundError, "nobody"),
        ({"reading": {"colour": "red"}}, OptionError, "'colour' is not accepted"),
        ({"reading": {"roles": ["power"]}}, OptionError, "COLUMN=ROLE"),
        ({"source": FolderSource(path="/etc")}, AccessDeniedError, "/etc"),
        ({"recipients": ("nobody",)}, OptionError, "nobody"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_watch_that_cannot_be_asked_is_refused(
    trained_model: tuple[Workspace, str], watch: Watch, changes: dict[str, object], error: type[VigieError], reason: str
) -> None:
    workspace, _ = trained_model
    before = len(list_watches(workspace))
    with pytest.raises(error, match=reason):
        add_watch(watch.model_copy(update=changes), workspace, ALICE)
    assert len(list_watches(workspace)) == before


def test_watch_is_added_changed_paused_and_removed(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    watch, inbox = watch_inbox(workspace, run_id, "life")
    assert watch.owner == "alice"
    with pytest.raises(OptionError, match="There is a watch life already"):
        add_watch(watch, workspace, ALICE)
    changed = change_watch(watch.model_copy(update={"schedule": "2 hours", "owner": "eve"}), workspace, ALICE)
    assert (changed.schedule, changed.owner) == ("2 hours", "alice")
    write_rows(make_rows(FIRST_WATCHED, 1), inbox / "rows.csv")
    run_watch_now("life", workspace, ALICE)
    pause_watch("life", True, workspace, ALICE)
    [state] = [each for each in list_watches(workspace) if each.watch.name == "life"]
    assert (state.next_tick, state.last_tick is not None) == (None, True)
    pause_watch("life", False, workspace, ALICE)
    remove_watch("life", workspace, ALICE)
    with pytest.raises(NotFoundError):
        remove_watch("life", workspace, ALICE)
    events = [event for event in workspace.events.read_events() if event.details.inputs.get("watch") == "life"]
    assert [(event.event, event.status) for event in events] == [
        ("watch_add", "completed"),
        ("watch_add", "failed"),
        ("watch_change", "completed"),
        ("watch_run", "completed"),
        ("watch_pause", "completed"),
        ("watch_resume", "completed"),
        ("watch_remove", "completed"),
        ("watch_remove", "failed"),
    ]


def test_recipient_is_checked_and_kept_while_a_watch_names_it(trained_model: tuple[Workspace, str]) -> None:
    workspace, run_id = trained_model
    with pytest.raises(InputError):
        add_recipient(Recipient(name="nowhere", channel="mail", address="no address"), workspace, ALICE)
    add_recipient(Recipient(name="desk", channel="mail", address="desk@example.org"), workspace, ALICE)
    watch_inbox(workspace, run_id, "told", recipients=("desk",))
    with pytest.raises(OptionError, match="told"):
        remove_recipient("desk", workspace, ALICE)
    remove_watch("told", workspace, ALICE)
    remove_recipient("desk", workspace, ALICE)
    assert list(list_recipients(workspace)) == []
    inputs = str([event.details.inputs for event in workspace.events.read_events()])
    assert "desk@example.org" not in inputs


def test_marks_of_first_file_are_pinned(tmp_path: Path, trained_model: tuple[Workspace, str], watch: Watch) -> None:
    text = "date;site;power\n31/01/2024 10:00;a;1,5\n31/01/2024 11:00;a;2,25\n"
    (tmp_path / "a.csv").write_text(text)
    dataset = load([tmp_path / "a.csv"])
    reading = pin_reading(dataset, [(tmp_path / "a.csv", "a.csv")])
    assert (reading["decimal_mark"], reading["date_order"]) == ("comma", "day first")
    check_watch(watch.model_copy(update={"reading": reading}), trained_model[0])
