"""Default answer of *Anomalies* on the gas files: every incident in words, as a page and a picture in docs/results."""

import tempfile
from collections import defaultdict
from html import escape
from pathlib import Path

import pandas as pd

from benchmarks.datasets import find_gas_files
from benchmarks.known_anomalies import find_anomalous_rows
from benchmarks.report import ResultLine
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.quality.repairs import undo_hour_shift
from core.tasks.anomalies.result import SEVERITIES, Detection
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

PAGE = Path(__file__).parents[1] / "docs" / "results" / "gas-incidents.md"
PICTURE = PAGE.with_suffix(".svg")
CLOCK_WEEKS = ((3, 24), (10, 24))  # month and first day of the weeks in which clocks change
COLOURS = ("#8fb3d9", "#3b7dbf", "#e08a1e", "#c0392b")  # of the severities, from the lowest
LEFT_PX, ROW_PX, YEAR_PX, TOP_PX = 250, 22, 110, 30


def main() -> list[ResultLine]:
    """Ask the default question about the files as they are and without hour shift; write the page and the picture."""
    if not find_gas_files():
        return [ResultLine("skipped: no gas_france/ in the shared data", "–")]
    read, lines = load(find_gas_files()), []
    for state, dataset in (("as they are", read), ("hour shift undone", undo_hour_shift(read))):
        detection = _ask(dataset)
        known = set(zip(*_list_known(dataset), strict=True))
        flagged = list(zip(detection.anomalies["entity"].astype(str), detection.anomalies["time"], strict=True))
        basis = f"{len(known & set(flagged))} of {len(known)} known faults, {len(detection.incidents)} incidents"
        lines.append(ResultLine(f"gas files, {state}", f"{len(flagged)} days flagged", basis=basis))
    PAGE.write_text(_write_page(detection, known, lines), encoding="utf-8")
    PICTURE.write_text(_draw_picture(detection), encoding="utf-8")
    return lines


def _ask(dataset: Dataset) -> Detection:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri(), folder / "runs")
        workspace = Workspace.in_folder(folder, tracking)
        return detect(DetectionSpec(), dataset, workspace=workspace, actor=Actor("benchmark"))[0]


def _list_known(dataset: Dataset) -> tuple[list[str], list[pd.Timestamp]]:
    rows = dataset.take_rows(find_anomalous_rows(dataset) & dataset.is_complete)
    return [str(entity) for entity in rows.entity], list(rows.time)


def _write_page(detection: Detection, known: set[tuple[str, pd.Timestamp]], lines: list[ResultLine]) -> str:
    """Return the incidents of the files without hour shift, one line per date, the latest date last."""
    by_date: dict[pd.Timestamp, list[str]] = defaultdict(list)
    for incident in detection.incidents.itertuples():
        mark = " *(known fault)*" if (str(incident.entity), incident.start) in known else ""
        days = f", {incident.rows} days" if incident.rows > 1 else ""
        sentence = str(detection.describe_row(incident.row)[0]).rstrip(".")
        by_date[incident.start].append(f"{incident.entity}{days}: {sentence}{mark}")
    table = [f"| {date:%Y-%m-%d} | {_name_week(date)} | {'; '.join(by_date[date])} |" for date in sorted(by_date)]
    counts = [f"- {line.measured}: {line.result}; {line.basis}." for line in lines]
    return "\n".join(
        [
            "# What stands out in the gas files",
            "",
            "Default question of *Anomalies* on `gas_france`, every incident in words. Written by",
            "`python -m benchmarks gas_incidents`.",
            "",
            *counts,
            "",
            f"![Incidents by region and day]({PICTURE.name})",
            "",
            "The table and the picture show the files with the hour shift undone, as the data doctor proposes.",
            "",
            "| date | | incidents |",
            "|---|---|---|",
            *table,
            "",
        ]
    )


def _name_week(date: pd.Timestamp) -> str:
    return "clock change" if any(date.month == month and date.day >= day for month, day in CLOCK_WEEKS) else ""


def _draw_picture(detection: Detection) -> str:
    """Return an SVG picture with a dot for every incident: regions down, time to the right, severity as colour."""
    incidents, regions = detection.incidents, sorted({str(entity) for entity in detection.rows["entity"].unique()})
    years = range(detection.rows["time"].min().year, detection.rows["time"].max().year + 2)
    origin = pd.Timestamp(f"{years[0]}-01-01")
    width, height = LEFT_PX + YEAR_PX * (len(years) - 1) + 10, TOP_PX + ROW_PX * len(regions) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12"><title>Incidents by region and day</title>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, year in enumerate(years):
        x = LEFT_PX + YEAR_PX * number
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP_PX - 8}" y2="{height}" stroke="#ddd"/>')
        if year != years[-1]:
            parts.append(f'<text x="{x + 4}" y="{TOP_PX - 12}">{year}</text>')
    for number, region in enumerate(regions):
        parts.append(f'<text x="4" y="{TOP_PX + ROW_PX * number + 12}">{escape(region)}</text>')
    for incident in incidents.iloc[::-1].itertuples():
        x = LEFT_PX + YEAR_PX * (incident.start - origin).days / 365.25
        y = TOP_PX + ROW_PX * regions.index(str(incident.entity)) + 8
        label = escape(f"{incident.start:%Y-%m-%d} {incident.entity}: {SEVERITIES[incident.severity]}")
        colour = COLOURS[min(incident.severity, len(COLOURS) - 1)]
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{colour}"><title>{label}</title></circle>')
    return "\n".join([*parts, "</svg>", ""])
