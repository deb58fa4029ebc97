"""Hourly power of some entities, a model of it, and the files in which later rows arrive."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.ingest.loading import load
from core.operations.watching.watches import add_watch, suggest_watch
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.watches.source import FolderSource
from core.watches.watch import Watch
from core.workspace import Workspace
from tests.conftest import create_workspace

ALICE = Actor("alice", "tests")
ENTITIES = ("lyon", "paris", "rennes")
TRAINING_DAYS = 40
FIRST_WATCHED = pd.Timestamp("2024-03-01")


def make_rows(start: pd.Timestamp, hours: int, seed: int = 0, entities: tuple[str, ...] = ENTITIES) -> pd.DataFrame:
    """Return hourly power and voltage of the entities, with the columns of the files."""
    times = pd.date_range(start, periods=hours, freq="h")
    random = np.random.default_rng(seed)
    parts = []
    for number, entity in enumerate(entities):
        day = (1 + number) * (10 + 3 * np.sin(2 * np.pi * times.hour.to_numpy() / 24))
        values = np.column_stack([day, np.full(hours, 230.0)]) * random.normal(1, 0.01, (hours, 2))
        parts.append(
            pd.DataFrame({"time": times, "site": entity, "power": values[:, 0], "voltage": values[:, 1]}).round(3)
        )
    return pd.concat(parts, ignore_index=True).sort_values(["time", "site"], ignore_index=True)


def write_rows(rows: pd.DataFrame, path: Path) -> Path:
    """Write rows as a file that arrives at once, as a careful program does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    rows.to_csv(draft, index=False)
    return draft.rename(path)


def train_power_model(folder: Path, store: Path) -> tuple[Workspace, str]:
    """Return a workspace with a model of hourly power, and the id of its run."""
    workspace = create_workspace(folder, store)
    return workspace, fit_power_model(workspace)


def fit_power_model(workspace: Workspace) -> str:
    """Train a model of the hourly power before the first watched row; return the id of its run."""
    rows = make_rows(FIRST_WATCHED - pd.Timedelta(days=TRAINING_DAYS), 24 * TRAINING_DAYS)
    history = load([write_rows(rows, workspace.folder / "power.csv")])
    workspace.datasets.save(history)
    return detect(DetectionSpec(), history, workspace=workspace, actor=ALICE)[1].id


def watch_inbox(workspace: Workspace, run_id: str, name: str, **changes: object) -> tuple[Watch, Path]:
    """Return a stored watch of a folder of its own, and the folder."""
    inbox = workspace.folder / "inbox" / name
    inbox.mkdir(parents=True)
    watch = suggest_watch(run_id, workspace, FolderSource(path=str(inbox)))
    watch = watch.model_copy(update={"name": name, "history_days": 0, **changes})
    return add_watch(watch, workspace, ALICE), inbox
