"""Scores in the format of the SGmVRNN programs: one line per window, one file per entity."""

import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.seq_writer import WINDOW_ROWS
from core.detectors.sequences.sgmvrnn_detector import SGmVRNN
from core.exports import format_likelihoods
from core.tasks.sequences.result import SequenceDetection

MAX_NAME_CHARACTERS = 100
SCORES_FILE = "scores.txt"


def tabulate_window_scores(detection: SequenceDetection) -> pd.DataFrame:
    """Return one row per window: entity, time and score of its last row, and whether that row is above the threshold.

    A window has the rows of the model's windows, or 20 for another detector than SGmVRNN. A series of L rows has
    L − T + 1 windows of T rows. Training rows are compared with the threshold, too.
    """
    rows, detector = detection.rows, detection.model_spec.detector
    window = detector.window if isinstance(detector, SGmVRNN) else WINDOW_ROWS
    is_window_end = rows.groupby("entity", observed=True, sort=False).cumcount().to_numpy() >= window - 1
    score = rows["score"].to_numpy(dtype=np.float64)
    threshold = rows.get("threshold", detection.threshold)
    is_above = np.where(rows["fitted"], score > threshold, rows["anomaly"])  # flags know the score before rounding
    table = pd.DataFrame({"entity": rows["entity"], "time": rows["time"], "score": score, "anomaly": is_above})
    return table[is_window_end]


def name_scores_files(entities: Iterable[str], name: str) -> dict[str, str]:
    """Return entity → name of its file: `name` for a single one, else `name` with the entity in it.

    Example:
        >>> name_scores_files(["north"], "scores.txt")
        {'north': 'scores.txt'}
        >>> name_scores_files(["Netflix · DL · 7", "netflix/dl/7"], "scores.txt")
        {'Netflix · DL · 7': 'scores_Netflix_DL_7.txt', 'netflix/dl/7': 'scores_netflix_dl_7_2.txt'}
    """
    names = list(dict.fromkeys(map(str, entities)))
    if len(names) == 1:
        return {names[0]: name}
    stem, suffix = Path(name).stem, Path(name).suffix
    files: dict[str, str] = {}
    taken: set[str] = set()
    for entity in names:
        word = re.sub(r"[^\w.-]+", "_", entity).strip("_.")[:MAX_NAME_CHARACTERS] or "entity"
        number, file = 1, f"{stem}_{word}{suffix}"
        while file.casefold() in taken:  # some file systems take capitals for small letters
            number += 1
            file = f"{stem}_{word}_{number}{suffix}"
        taken.add(file.casefold())
        files[entity] = file
    return files


def format_scores_files(detection: SequenceDetection, name: str = SCORES_FILE) -> dict[str, str]:
    """Return file name → lines `timestamp,loglik,Normaly|Anomaly` of an entity, as the programs of SGmVRNN write them.

    The word tells whether the score is above the threshold in force. The spelling `Normaly` is the original's.
    """
    table = tabulate_window_scores(detection)
    file_by_entity = name_scores_files(detection.rows["entity"].unique(), name)
    return {
        file: format_likelihoods(part["time"], part["score"], part["anomaly"], original=True)
        for entity, file in file_by_entity.items()
        for part in [table[(table["entity"] == entity).to_numpy()]]
    }


def write_scores_files(detection: SequenceDetection, target: Path) -> list[Path]:
    """Write the scores to `target`, or to one file per entity beside it, and return the paths."""
    target.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in format_scores_files(detection, target.name).items():
        paths.append(target.with_name(name))
        paths[-1].write_text(text, encoding="ascii", newline="\n")
    return paths


def pack_scores_files(detection: SequenceDetection) -> bytes:
    """Return the lines of the scores of one entity, or a zip with one file per entity."""
    texts = format_scores_files(detection)
    if len(texts) == 1:
        return next(iter(texts.values())).encode("ascii")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return buffer.getvalue()
