"""The table of image detectors on MNIST: train on one class, test on all 10,000 images, beside the published rows.

`make bench-images`, or `python -m benchmarks.images --detectors oc-nn,vae --classes 8 --seeds 3`. The cells are kept in
the folder given by --folder: a run that was stopped goes on where it was. The last complete table is written to
docs/results/images.md.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.actor import Actor
from core.cli.output import TerminalProgress
from core.data.images.reading import read_image_set
from core.runs.tracked_run import Run, get_revision
from core.settings import ROOT
from core.tasks.images.comparison import compare
from core.tasks.images.comparison_result import ImageComparison
from core.tasks.images.spec import ImagesCompareSpec, list_comparable
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

RESULT_FILE = ROOT / "docs" / "results" / "images.md"
CELL_FOLDER = ROOT / "build" / "bench-images"


def main(words: list[str]) -> None:
    """Compare the detectors and write the table."""
    options = parse_options(words)
    workspace = open_workspace(options.folder)
    images = read_image_set([options.data])
    spec = ImagesCompareSpec(
        workspace.image_sets.save(images),
        tuple(options.detectors.split(",")) if options.detectors else tuple(list_comparable(0)),
        tuple(options.classes.split(",")) if options.classes else (),
        options.seeds,
        options.seconds,
    )
    actor = Actor(application="Vigie benchmark images")
    result, run = compare(spec, workspace=workspace, actor=actor, progress=TerminalProgress())
    text = write_document(result, run, " ".join(["python -m benchmarks.images", *words]))
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")


def parse_options(words: list[str]) -> argparse.Namespace:
    """Return the options of the command."""
    shared = Path(os.environ.get("VIGIE_SHARED_DATA") or ROOT.parent / "shared" / "data")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=shared / "images" / "mnist.npz", help="npz, idx, zip or folder")
    parser.add_argument("--detectors", default="", help="names, separated by commas; default: all without labels")
    parser.add_argument("--classes", default="", help="classes, separated by commas; default: all")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of each training")
    parser.add_argument("--folder", type=Path, default=CELL_FOLDER, help="data folder that keeps the cells")
    parser.add_argument("--out", type=Path, default=RESULT_FILE)
    return parser.parse_args(words)


def open_workspace(folder: Path) -> Workspace:
    """Return the workspace of a folder, with its own MLflow file."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri(), folder / "runs")
    return Workspace.in_folder(folder, tracking)


# ---- document -------------------------------------------------------------------------------------------------------


def write_document(result: ImageComparison, run: Run, command: str) -> str:
    """Return the Markdown document: how it was measured, our rows, the published ones, the cost, the notes."""
    files = ", ".join(result.data.files)
    lines = [
        "# Images",
        "",
        f"Train on one class of {files}, test on all test images: area under the ROC curve in percent, mean ± standard",
        f"deviation over {result.spec.seeds} seeds, at most {result.spec.seconds_per_fit:g} s per training. The line",
        "to beat is knn-pixels, which learns nothing.",
        "",
        f"- Date: {datetime.now(UTC):%Y-%m-%d}",
        f"- Commit: {get_revision()[:12] or 'unknown'}",
        f"- Machine: {describe_machine()}",
        f"- Command: `{command}`",
        f"- This table: {len(result.cells)} cells, {result.cells['seconds'].sum() / 60:,.0f} minutes of training and "
        f"scoring, {result.cells['emissions_kg'].sum():.4f} kg CO₂, run {run.id[:12]}",
        "",
        "## Measured",
        "",
        *format_table(tabulate_ours(result)),
        "",
        *(f"- {note}" for note in result.notes),
    ]
    if not result.published.empty:
        lines += ["", "## Published", "", *format_table(tabulate_published(result)), "", *list_sources(result)]
    return "\n".join(lines) + "\n"


def describe_machine() -> str:
    """Return the model of the processor, its cores, and the versions of Python and torch."""
    import torch

    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    processor = models[0] if models else platform.processor()
    return (
        f"{processor}, {os.cpu_count()} cores, {device}, Python {platform.python_version()}, torch {torch.__version__}"
    )


def tabulate_ours(result: ImageComparison) -> pd.DataFrame:
    """Return one row per detector, the best first: classes, mean, least, seconds per fit and grams of CO₂."""
    table, rows = result.table.set_index(["detector", "normal_class"]), []
    for line in result.ranking.to_dict("records"):
        detector = line["detector"]
        areas = {
            name: format_area(*table.loc[(detector, name), ["auc_roc", "sd"]].tolist()) for name in result.spec.classes
        }
        rows.append(
            {
                "detector": detector,
                **areas,
                "mean": format_area(line["auc_roc"], line["sd"]),
                "least": format_area(line["worst"]),
                "s per fit": f"{line['seconds']:.1f}",
                "g CO₂": f"{1000 * line['emissions_kg']:.2f}",
            }
        )
    return pd.DataFrame(rows)


def tabulate_published(result: ImageComparison) -> pd.DataFrame:
    """Return one row per published model: classes and mean."""
    rows = []
    for model, part in result.published.groupby("model", sort=False):
        areas = {line["normal_class"]: format_area(line["auc_roc"], line["sd"]) for line in part.to_dict("records")}
        rows.append({"model": model, **areas, "mean": format_area(part["auc_roc"].mean())})
    return pd.DataFrame(rows)


def list_sources(result: ImageComparison) -> Iterator[str]:
    """Yield the source of every published row, and whether it was read there."""
    for (source, is_checked), part in result.published.groupby(["source", "is_checked"], sort=False):
        word = "read in a second source" if is_checked else "quoted from memory, means compared with later papers"
        yield f"- {', '.join(part['model'].unique())}: {source} ({word})"


def format_area(area: float, deviation: float = float("nan")) -> str:
    """Return an area in percent, with its deviation where it is known.

    Example:
        >>> format_area(0.97981, 0.0012), format_area(0.5), format_area(float("nan"))
        ('98.0 ±0.1', '50.0', '–')
    """
    if area != area:
        return "–"
    return f"{100 * area:.1f}" + (f" ±{100 * deviation:.1f}" if deviation == deviation else "")


def format_table(table: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| " + " | ".join(map(str, table.columns)) + " |"
    yield "|" + "---|" * len(table.columns)
    for row in table.itertuples(index=False):
        yield "| " + " | ".join(map(str, row)) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
