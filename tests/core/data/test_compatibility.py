"""Data fit a model with the same columns, or with the same number of times of day where one side names no columns."""

from pathlib import Path

import pytest

from core.actor import Actor
from core.data.conversion import NetmobFilter, convert_netmob
from core.data.ingest.loading import load
from core.detectors.sequences.pca_residual import PcaResidual
from core.errors import DataError
from core.spec.spec import ApplySpec
from core.tasks.sequences.run import apply_model, train
from core.tasks.sequences.spec import SequenceSpec
from core.workspace import Workspace
from tests.support.netmob_samples import make_traffic, write_tile_files

ALICE = Actor("alice", "tests")


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    """Folder with tile files of NetMob23, and the same tiles as windows."""
    write_tile_files(tmp_path / "tiles", "Netflix", make_traffic(2, 60))
    convert_netmob(tmp_path / "tiles", tmp_path / "windows", NetmobFilter("Netflix"))
    return tmp_path


@pytest.mark.parametrize(("fitted", "scored"), [("windows", "tiles"), ("tiles", "windows")])
def test_model_of_windows_and_of_tile_files_score_each_other(
    traffic: Path, workspace: Workspace, fitted: str, scored: str
) -> None:
    spec = SequenceSpec(PcaResidual(), threshold="pot", amount=0.01)
    own, run = train(spec, load([traffic / fitted]), workspace=workspace, actor=ALICE)
    other, _ = apply_model(ApplySpec(model=run.id), load([traffic / scored]), workspace=workspace, actor=ALICE)
    assert other.rows["score"].tolist() == pytest.approx(own.rows["score"].tolist())


def test_unnamed_columns_of_another_number_are_refused(traffic: Path, workspace: Workspace) -> None:
    spec = SequenceSpec(PcaResidual(), threshold="pot", amount=0.01)
    windows = load([traffic / "windows"])
    narrow = windows.replace(frame=windows.frame[windows.columns[:95]])
    _, run = train(spec, narrow, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="trained on the columns"):
        apply_model(ApplySpec(model=run.id), load([traffic / "tiles"]), workspace=workspace, actor=ALICE)
