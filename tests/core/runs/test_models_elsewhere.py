"""Models outside the product: MLflow loads them where only the libraries are installed, and scores tables.

Nothing can be installed in a test, so the environment is that of the tests without the product: an isolated Python
(`-I`: no PYTHONPATH, no current folder) in another folder. The libraries are thus not proven to be complete by
installing them; the requirements are compared with the modules that scoring has imported.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.actor import Actor
from core.data.samples import load_sample
from core.forecasters.seasonal_naive import SeasonalNaive
from core.runs import model_files
from core.settings import ROOT
from core.tasks.anomalies import run as anomalies
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.clusters import run as clusters
from core.tasks.clusters.spec import ClusteringSpec
from core.tasks.forecast import run as forecast
from core.tasks.forecast.spec import ForecastSpec, list_forecasters
from core.tasks.images import fit as images
from core.tasks.images.spec import ImagesFitSpec
from core.tasks.images.spec import list_detectors as list_image_detectors
from core.tasks.intervals import run as intervals
from core.tasks.intervals.spec import IntervalsSpec
from core.tasks.sequences import run as sequences
from core.tasks.sequences.spec import SequenceSpec
from core.workspace import Workspace
from mlflow_utils.model_code import CODE_FOLDER
from tests.conftest import create_workspace
from tests.support.sample_calls import make_call_dataset, make_calls
from tests.support.sample_sequences import make_series
from tests.support.sample_series import make_consumption, make_daily_dataset
from tests.support.toy_images import make_images

ACTOR = Actor("alice", "tests")
MAX_CODE_BYTES = 1_000_000
Run = Callable[[Workspace], Any]


def run_images(workspace: Workspace) -> Any:
    digest = workspace.image_sets.save(make_images())
    return images.fit_detector(
        ImagesFitSpec(digest, detector=list_image_detectors()["pca-pixels"]()), workspace=workspace, actor=ACTOR
    )


RUNS: dict[str, tuple[Any, Run]] = {
    "anomalies": (
        anomalies,
        lambda workspace: anomalies.detect(DetectionSpec(), load_sample("gas_daily"), workspace=workspace, actor=ACTOR),
    ),
    "sequences": (
        sequences,
        lambda workspace: sequences.train(SequenceSpec(), make_series(), workspace=workspace, actor=ACTOR),
    ),
    "forecast": (
        forecast,
        lambda workspace: forecast.forecast(
            ForecastSpec(forecaster=list_forecasters()["ridge"](), horizon=2),
            make_daily_dataset(make_consumption(420, 2)),
            workspace=workspace,
            actor=ACTOR,
        ),
    ),
    "intervals": (
        intervals,
        lambda workspace: intervals.judge_points(
            IntervalsSpec(forecaster=SeasonalNaive()),
            make_call_dataset(make_calls(6, 2)),
            workspace=workspace,
            actor=ACTOR,
        ),
    ),
    "images": (images, run_images),
    "clusters": (
        clusters,
        lambda workspace: clusters.cluster(
            ClusteringSpec(), load_sample("gas_daily"), workspace=workspace, actor=ACTOR
        ),
    ),
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Folder with a model of every task, its input, the product's answer, and the answers of the other environment."""
    folder, workspace = (
        tmp_path_factory.mktemp("models"),
        create_workspace(tmp_path_factory.mktemp("data"), empty_store),
    )
    for name, (module, run) in RUNS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                module,
                "save_model",
                lambda _, model, example, name=name, **rest: keep(folder / name, model, example, rest),
            )
            run(workspace)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    program = (ROOT / "tests" / "support" / "load_elsewhere.py").read_text()
    (elsewhere / "program.py").write_text(program)
    process = subprocess.run(
        [sys.executable, "-I", elsewhere / "program.py", folder],
        cwd=elsewhere,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(elsewhere)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return folder


def keep(folder: Path, model: Any, example: pd.DataFrame, options: dict[str, Any]) -> None:
    """Save the model as a task does, with the input and the output of the product."""
    folder.mkdir()
    model_files.save_model(folder / "model", model, example, **options)
    example.to_pickle(folder / "input.pkl")
    model.predict(example).to_pickle(folder / "expected.pkl")


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("answer", ["output.pkl", "together.pkl"])
def test_model_scores_alike_without_the_product(scored: Path, name: str, answer: str) -> None:
    """The answers are equal for a model alone in a process, and after other models were loaded by the same process."""
    folder = scored / name
    output = pd.read_pickle(folder / answer)
    pd.testing.assert_frame_equal(output, pd.read_pickle(folder / "expected.pkl"), check_dtype=False)
    assert len(output)
    loaded_from = json.loads((folder / f"{answer}.json").read_text())
    assert loaded_from
    assert all(Path(file).is_relative_to(scored) for file in loaded_from.values())
    if answer == "output.pkl":
        assert all(Path(file).is_relative_to(folder / "model" / CODE_FOLDER) for file in loaded_from.values())


@pytest.mark.parametrize("name", RUNS)
def test_logged_code_is_small_and_without_screens(scored: Path, name: str) -> None:
    code = scored / name / "model" / CODE_FOLDER
    files = [path.relative_to(code) for path in code.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.parts[0] for path in files} == {"core", "mlflow_utils"}
    assert {path.suffix for path in files} == {".py"}
    assert not [
        path for path in files if path.parts[1] in ("tasks", "jobs", "cli", "accounts", "storage", "operations")
    ]
    assert sum((code / path).stat().st_size for path in files) < MAX_CODE_BYTES


@pytest.mark.parametrize("name", RUNS)
def test_requirements_are_pinned_and_complete(scored: Path, name: str) -> None:
    """Every requirement is pinned to what is installed, and covers what the code of the model imports."""
    lines = (scored / name / "model" / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines)
    assert pins == {name: version(name).partition("+")[0] for name in pins}
    assert {"mlflow", "numpy", "pandas", "skops", "scikit-learn"} <= set(pins)
    providers = packages_distributions()
    code = scored / name / "model" / CODE_FOLDER
    eager = {
        line.split()[1].partition(".")[0]
        for path in code.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    libraries = {library for library in eager if library in providers and library not in ("core", "mlflow_utils")}
    assert {providers[library][0] for library in libraries} <= set(pins)
